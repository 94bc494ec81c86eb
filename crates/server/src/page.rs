//! The console's page: the files of `page/dist`, embedded in the binary.
//!
//! They name nothing outside of themselves, and the policy that goes with them allows nothing else: no inline
//! script or style, no other site, no frame around it. A browser asks again each time and gets "not modified".

use std::borrow::Cow;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use rust_embed::{Embed, EmbeddedFile};

/// `npm run build` writes them; `cargo xtask tidy` says when they are older than their sources.
#[derive(Embed)]
#[folder = "page/dist"]
struct Files;

const INDEX: &str = "index.html";
/// Charts are drawn on a canvas, downloads are blobs: neither needs more than this.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// `/` and the files it names.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let index = async |headers: HeaderMap| serve(INDEX, &headers);
    let file = async |Path(name): Path<String>, headers: HeaderMap| serve(&name, &headers);
    Router::new().route("/", get(index)).route("/{file}", get(file))
}

fn serve(name: &str, asked: &HeaderMap) -> Response<Body> {
    let Some(file) = Files::get(name) else { return bare(StatusCode::NOT_FOUND) };
    let tag = tag(&file);
    let known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| tag.as_ref() == Some(known));
    let mut response = if known { bare(StatusCode::NOT_MODIFIED) } else { whole(name, file.data) };
    response.headers_mut().extend(HEADERS);
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn whole(name: &str, data: Cow<'static, [u8]>) -> Response<Body> {
    let body = match data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    response
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The start of the file's digest, in quotes.
fn tag(file: &EmbeddedFile) -> Option<HeaderValue> {
    let digest: String = file.metadata.sha256_hash().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{digest}\"")).ok()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let index = Files::get(INDEX).unwrap();
        let text = std::str::from_utf8(&index.data).unwrap();
        let named = text.split('"').skip(1).step_by(2).filter(|value| value.contains('.') && !value.contains(' '));
        let named: Vec<&str> = named.collect();
        assert!(named.len() >= 5, "{named:?}");
        for name in named {
            assert!(Files::get(name).is_some(), "{name} is not in dist");
        }
    }

    #[test]
    fn is_sent_once() {
        let first = serve(INDEX, &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        assert!(first.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src 'self';"));
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(serve(INDEX, &asked).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn nothing_else_is_served() {
        for name in ["../sources.sha256", "../../Cargo.toml", "nothing.js", ""] {
            assert_eq!(serve(name, &HeaderMap::new()).status(), StatusCode::NOT_FOUND, "{name}");
        }
    }
}
