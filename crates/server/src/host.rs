//! Which `Host` a request may name.
//!
//! A page of another site can make a browser on this machine send requests to 127.0.0.1 under a
//! name that the site chose (DNS rebinding), and read the answers. Such a request carries that
//! name as its `Host`.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses a foreign `Host` when the server listens on loopback.
pub(crate) async fn check(State(listening): State<SocketAddr>, request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    // Only HTTP/1.0 may leave it out, and no browser speaks that.
    if listening.ip().is_loopback() && named.is_some_and(|host| !is_loopback(host)) {
        return (StatusCode::FORBIDDEN, "this address answers to localhost only\n").into_response();
    }
    next.run(request).await
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_loopback_names() {
        for host in ["localhost", "LOCALHOST:9090", "127.0.0.1", "127.0.0.1:9090", "127.8.9.1", "[::1]:9090", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "example.com", "localhost.example.com", "10.0.0.1:9090", "127.0.0.1.example.com", "a b"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
