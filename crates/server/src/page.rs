//! The page: files built beforehand and embedded, so that building the program needs no node.
//!
//! Names are not versioned, so a browser asks each time whether what it has is still right
//! (`ETag`), which costs no body. Text goes out compressed, once per file and process.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;

use crate::router::Shared;

#[derive(RustEmbed)]
#[folder = "page/dist/"]
struct Dist;

/// Compressed files by name and tag; there are as many as the page has files.
static COMPRESSED: Mutex<Option<HashMap<String, Vec<u8>>>> = Mutex::new(None);

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(async |headers: HeaderMap| serve("index.html", &headers)))
        .route("/{file}", get(async |Path(file): Path<String>, headers: HeaderMap| serve(&file, &headers)))
}

fn serve(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = Dist::get(name) else { return (StatusCode::NOT_FOUND, "there is no such page\n").into_response() };
    let hash = file.metadata.sha256_hash();
    let tag: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut answer = Response::new(Body::empty());
    let kind = content_type(name);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    // A proxy may have weakened the tag.
    if known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let gzip = is_text(kind) && accepts.split(',').any(|one| one.trim().split(';').next() == Some("gzip"));
    *answer.body_mut() = match (gzip, file.data) {
        (true, data) => {
            answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed(&tag, &data).into()
        }
        (false, Cow::Borrowed(data)) => data.into(),
        (false, Cow::Owned(data)) => data.into(),
    };
    answer
}

fn compressed(tag: &str, data: &[u8]) -> Vec<u8> {
    let mut all = COMPRESSED.lock().unwrap_or_else(PoisonError::into_inner);
    let all = all.get_or_insert_default();
    if let Some(found) = all.get(tag) {
        return found.clone();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(data);
    let bytes = encoder.finish().unwrap_or_default();
    all.insert(tag.to_owned(), bytes.clone());
    bytes
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    }
}

fn is_text(kind: &str) -> bool {
    kind.starts_with("text/") || matches!(kind, "image/svg+xml" | "application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let index = Dist::get("index.html").unwrap();
        let text = std::str::from_utf8(&index.data).unwrap();
        let named = text.split('"').skip(1).step_by(2).filter(|value| value.contains('.') && !value.contains(' '));
        let named: Vec<&str> = named.collect();
        assert!(named.len() >= 5, "{named:?}");
        for name in named {
            assert!(Dist::get(name).is_some(), "{name} is not in dist");
        }
    }
}
