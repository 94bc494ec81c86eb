//! The embedded page.

use walhouse_pipeline::StatusBoard;
use walhouse_server::{Console, Recorder};

use crate::http::{Ask, get, serve};

#[tokio::test]
async fn is_served_and_asked_for_again_without_a_body() {
    let address = serve(Console::new(StatusBoard::new("s"), Recorder::detached().unwrap())).await;
    let page = get(address, "/").await;
    assert_eq!((page.code, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.contains("<script"), "{}", page.body);
    let script = get(address, "/app.js").await;
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let tag = script.header("etag").unwrap();
    let again = Ask::get("/app.js").header("if-none-match", tag).send(address).await;
    assert_eq!((again.code, again.body.as_str()), (304, ""));
    let packed = Ask::get("/app.js").header("accept-encoding", "br, gzip").send(address).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let size = |answer: &crate::http::Answer| answer.header("content-length").unwrap().parse::<usize>().unwrap();
    assert!(size(&packed) * 2 < size(&script), "{} of {}", size(&packed), size(&script));
    for path in ["/nowhere", "/..%2fCargo.toml", "/%2e%2e/Cargo.toml", "/src/main.tsx"] {
        assert_eq!(get(address, path).await.code, 404, "{path}");
    }
}
