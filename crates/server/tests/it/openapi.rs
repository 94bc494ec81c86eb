//! The document in the repository is the one that the code makes.

use std::fs;
use std::path::Path;

use walhouse_server::api;

#[test]
fn the_document_in_the_repository_is_the_codes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("page/openapi.json");
    let document = api::document().unwrap();
    if std::env::var_os("WALHOUSE_WRITE_OPENAPI").is_some() {
        fs::write(&file, &document).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == document, "write it anew with WALHOUSE_WRITE_OPENAPI=1 cargo test -p walhouse-server openapi");
}
