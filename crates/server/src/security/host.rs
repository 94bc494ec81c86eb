//! Which `Host` a request may name.
//!
//! A page of another site can make a browser send requests to our address under a name that the
//! site chose (DNS rebinding), and read the answers. Such a request carries that name as its
//! `Host`. So on loopback only loopback names are served, elsewhere only IP addresses and the
//! names that the configuration lists.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;

/// Whether a server that listens on `listening` answers to this `Host`.
pub(super) fn is_ours(listening: SocketAddr, hosts: &[String], host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = name.parse::<IpAddr>().ok();
    if name.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    !listening.ip().is_loopback() && (address.is_some() || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name)))
}

/// Whether an `Origin` is the very place that the request was sent to.
pub(super) fn is_same(origin: &str, host: &str) -> bool {
    let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    place.is_some_and(|place| place.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_loopback_names() {
        let here = "127.0.0.1:9090".parse().unwrap();
        for host in ["localhost", "LOCALHOST:9090", "127.0.0.1", "127.0.0.1:9090", "127.8.9.1", "[::1]:9090", "[::1]"] {
            assert!(is_ours(here, &[], host), "{host}");
        }
        for host in ["", "example.com", "localhost.example.com", "10.0.0.1:9090", "127.0.0.1.example.com", "a b"] {
            assert!(!is_ours(here, &["example.com".to_owned()], host), "{host}");
        }
    }

    #[test]
    fn elsewhere_names_are_listed() {
        let there = "0.0.0.0:9090".parse().unwrap();
        let hosts = ["console.example.com".to_owned()];
        for host in ["10.0.0.1:9090", "Console.Example.com", "console.example.com:9090", "localhost"] {
            assert!(is_ours(there, &hosts, host), "{host}");
        }
        for host in ["", "evil.example", "console.example.com.evil.example"] {
            assert!(!is_ours(there, &hosts, host), "{host}");
        }
    }

    #[test]
    fn an_origin_is_compared_whole() {
        assert!(is_same("http://localhost:9090", "localhost:9090"));
        for origin in ["null", "http://localhost:9091", "http://evil.example", "http://localhost:9090.evil.example", ""]
        {
            assert!(!is_same(origin, "localhost:9090"), "{origin}");
        }
    }
}
