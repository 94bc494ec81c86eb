//! Each refusal, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use walhouse_pipeline::StatusBoard;
use walhouse_server::{Access, Console, Credential, Listener, Recorder, TlsFiles};

use crate::http::{Answer, Ask, csrf, get, serve};

const CSRF: &str = "x-walhouse-csrf";

fn console(access: Access) -> Console {
    Console { access, ..Console::new(StatusBoard::new("s"), Recorder::detached().unwrap()) }
}

fn with_login() -> Access {
    Access {
        password: Some(Credential::of("open sesame")),
        token: Some(Credential::of("a-token")),
        ..Access::default()
    }
}

/// A change that reaches its handler is refused there: this console has no pipeline.
fn change() -> Ask {
    Ask::post("/api/tables/public/t/pause", "")
}

fn is_served(answer: &Answer) -> bool {
    answer.code == 501 && answer.json()["code"] == "missing"
}

async fn log_in(address: SocketAddr, password: &str) -> Answer {
    let ask = Ask::post("/api/login", json!({ "password": password }));
    ask.header(CSRF, &csrf(address).await).send(address).await
}

#[tokio::test]
async fn an_open_address_is_refused_unless_it_is_meant() {
    let bind = async || Listener::bind("0.0.0.0:0".parse().unwrap(), Duration::ZERO).await.unwrap();
    for access in [Access::default(), with_login()] {
        let error = bind().await.serve(console(access), std::future::pending()).await.unwrap_err().to_string();
        assert!(error.contains("is not loopback") && error.contains("tls_cert") && !error.contains('\n'), "{error}");
    }
    let listener = bind().await;
    let address = SocketAddr::from(([127, 0, 0, 1], listener.address().port()));
    let meant = Access { insecure: true, ..Access::default() };
    tokio::spawn(listener.serve(console(meant), std::future::pending()));
    assert_eq!(get(address, "/api/overview").await.code, 200);
    // Another site's name is refused here as well.
    let foreign = Ask::get("/api/overview").header("host", "evil.example").send(address).await;
    assert_eq!(foreign.code, 403);
}

#[tokio::test]
async fn a_change_needs_the_pages_token() {
    let address = serve(console(Access::default())).await;
    let token = csrf(address).await;
    let own = format!("http://{address}");
    let refused = [
        change(),
        change().header(CSRF, "guessed"),
        change().header(CSRF, &token).header("origin", "http://evil.example"),
        change().header(CSRF, &token).header("origin", "null"),
        // Without a configured token, nobody is exempt for naming one.
        change().header("authorization", "Bearer anything"),
        Ask::post("/api/query", json!({ "sql": "SELECT 1" })),
        Ask::post("/api/nowhere", ""),
    ];
    for ask in refused {
        let answer = ask.send(address).await;
        assert_eq!((answer.code, answer.json()["code"].as_str()), (403, Some("csrf")), "{ask:?}");
    }
    for ask in [change().header(CSRF, &token), change().header(CSRF, &token).header("origin", &own)] {
        let answer = ask.send(address).await;
        assert!(is_served(&answer), "{answer:?}");
    }
    assert_ne!(token, csrf(serve(console(Access::default())).await).await, "each process has its own");
}

#[tokio::test]
async fn without_a_login_there_is_only_a_pulse_and_the_login() {
    let address = serve(console(with_login())).await;
    for path in
        ["/api/overview", "/api/events", "/api/tables", "/api/audit", "/api/openapi.json", "/status", "/metrics"]
    {
        let answer = get(address, path).await;
        assert_eq!((answer.code, answer.json()["code"].as_str()), (401, Some("login_required")), "{path}");
    }
    assert_eq!(get(address, "/health").await.code, 200);
    let ready = get(address, "/ready").await;
    assert_eq!((ready.code, ready.json()["reasons"].as_array().unwrap().len()), (503, 0), "no reason is told");
    let session = get(address, "/api/session").await.json();
    assert_eq!(session["login"], "password");
    // A token of the page alone does not replace a login.
    let answer = change().header(CSRF, &csrf(address).await).send(address).await;
    assert_eq!(answer.code, 401);
    assert_eq!(Ask::post("/api/login", json!({ "password": "open sesame" })).send(address).await.code, 403);
}

#[tokio::test]
async fn a_login_opens_a_session_of_its_own() {
    let address = serve(console(with_login())).await;
    let wrong = log_in(address, "open sesam").await;
    assert_eq!((wrong.code, wrong.header("set-cookie")), (401, None));
    let right = log_in(address, "open sesame").await;
    assert_eq!((right.code, right.json()["login"].as_str()), (200, Some("done")));
    let cookie = right.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let as_user = |ask: Ask| ask.header("cookie", &format!("theme=dark; {cookie}"));
    assert_eq!(as_user(Ask::get("/api/overview")).send(address).await.code, 200);
    let anonymous = csrf(address).await;
    assert_eq!(as_user(change()).header(CSRF, &anonymous).send(address).await.code, 403, "not this session's token");
    let own = right.json()["csrf"].as_str().unwrap().to_owned();
    assert!(is_served(&as_user(change()).header(CSRF, &own).send(address).await));
    let audit = as_user(Ask::get("/api/audit")).send(address).await;
    let actions: Vec<_> = audit.json()["entries"].as_array().unwrap().iter().map(|entry| entry.to_string()).collect();
    assert_eq!(actions.len(), 3, "{actions:?}");
    assert!(actions.iter().any(|entry| entry.contains("table.pause") && entry.contains("127.0.0.1")), "{actions:?}");
    assert!(!audit.body.contains("sesam"), "{}", audit.body);
    let ended = as_user(Ask::post("/api/logout", "")).header(CSRF, &own).send(address).await;
    assert!(ended.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(as_user(Ask::get("/api/overview")).send(address).await.code, 401);
}

#[tokio::test]
async fn a_program_comes_with_the_token_or_reads_with_the_password() {
    let address = serve(console(with_login())).await;
    let bearer = |token: &str| Ask::get("/metrics").header("authorization", &format!("Bearer {token}"));
    assert_eq!(bearer("a-token").send(address).await.code, 200);
    assert_eq!(bearer("another").send(address).await.code, 401);
    assert!(is_served(&change().header("authorization", "Bearer a-token").send(address).await));
    // prometheus:open sesame
    let basic = "Basic cHJvbWV0aGV1czpvcGVuIHNlc2FtZQ==";
    assert_eq!(Ask::get("/metrics").header("authorization", basic).send(address).await.code, 200);
    assert_eq!(change().header("authorization", basic).send(address).await.code, 403, "for reading only");
}

#[tokio::test]
async fn every_answer_tells_the_browser_its_limits() {
    let address = serve(console(with_login())).await;
    for path in ["/", "/app.js", "/nowhere", "/health", "/api/overview", "/api/session"] {
        let answer = get(address, path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    assert_eq!(get(address, "/api/session").await.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn data_that_is_switched_off_is_not_shown() {
    let address = serve(console(Access { data: false, ..Access::default() })).await;
    let token = csrf(address).await;
    let asks = [
        Ask::post("/api/query", json!({ "sql": "SELECT 1" })).header(CSRF, &token),
        Ask::get("/api/tables/public/t/changes"),
    ];
    for ask in asks {
        let answer = ask.send(address).await;
        assert_eq!((answer.code, answer.json()["code"].as_str()), (403, Some("refused")), "{ask:?}");
    }
}

#[tokio::test]
async fn tls_is_served_and_its_cookie_stays_within() {
    let folder = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.cert, cert.pem()).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    let address = serve(console(Access { tls: Some(files.clone()), ..with_login() })).await;

    // Somebody who says nothing keeps nobody out.
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(client));
    let connect = async || {
        let stream = TcpStream::connect(address).await.unwrap();
        connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    };
    let session = Ask::get("/api/session").send_over(connect().await, "localhost").await;
    let token = session.json()["csrf"].as_str().unwrap().to_owned();
    let ask = Ask::post("/api/login", json!({ "password": "open sesame" })).header(CSRF, &token);
    let answer = ask.send_over(connect().await, "localhost").await;
    assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"), "{answer:?}");

    let missing = TlsFiles { key: folder.path().join("nothing.pem"), ..files };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Duration::ZERO).await.unwrap();
    let access = Access { tls: Some(missing), ..Access::default() };
    let error = listener.serve(console(access), std::future::pending()).await.unwrap_err().to_string();
    assert!(error.contains("nothing.pem"), "{error}");
}
