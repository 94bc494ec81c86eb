//! Opens connections: plain for http, rustls for https.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::socket::Socket;
use crate::config::Config;
use crate::error::{Error, Result};

/// A server on the same continent answers in a fraction of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Notices a peer that vanished without a word while an insert is under way.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Below the 3 s after which older servers close an idle connection, so that none is used that is
/// being closed.
const IDLE_TIMEOUT: Duration = Duration::from_millis(2_500);

/// A checked `url`.
pub(super) struct Address {
    host: String,
    https: bool,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self> {
        let refuse = |why: &str| Error::Config(format!("[clickhouse] url {why}, such as http://localhost:8123"));
        let uri: Uri = url.parse().map_err(|_| refuse("must be of the form http(s)://host:port"))?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refuse("must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("must name a host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("must hold no user and password"));
        }
        Ok(Self { host: authority.host().trim_matches(['[', ']']).to_owned(), https })
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The official client over a pool of our own.
pub(super) fn http_client(config: &Config, address: &Address) -> Result<clickhouse::Client> {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(TCP_KEEPALIVE));
    // an answer to a small insert must not wait for more data
    http.set_nodelay(true);
    let mut pool = HyperClient::builder(TokioExecutor::new());
    pool.pool_idle_timeout(IDLE_TIMEOUT);
    if let Some(socket) = &config.socket {
        return Ok(clickhouse::Client::with_http_client(pool.build(Socket::new(socket))));
    }
    Ok(if address.https {
        clickhouse::Client::with_http_client(pool.build(tls(http, config.ca_file.as_deref())?))
    } else {
        clickhouse::Client::with_http_client(pool.build(http))
    })
}

fn tls(mut http: HttpConnector, ca_file: Option<&Path>) -> Result<HttpsConnector<HttpConnector>> {
    http.enforce_http(false);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Config(format!("cannot set up TLS: {error}")))?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().wrap_connector(http))
}

/// Certificates to check the server against: those of `ca_file` only, or the system's.
fn roots(ca_file: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        return Ok(roots);
    };
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Certificates { path: path.into(), source };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.into()))?;
    for certificate in certificates {
        roots.add(certificate.map_err(|error| failed(error.into()))?).map_err(|error| failed(error.into()))?;
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate".into()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked() {
        for (url, loopback) in [
            ("http://localhost:8123", true),
            ("http://127.0.0.1:8123/", true),
            ("http://[::1]:8123", true),
            ("https://ch.example.com", false),
            ("http://10.0.0.1:8123", false),
        ] {
            assert_eq!(Address::parse(url).unwrap().is_loopback(), loopback, "{url}");
        }
        for url in ["", "localhost:8123", "tcp://h:9000", "http://u:secret@h:1", "http://"] {
            let error = Address::parse(url).err().map(|error| error.to_string()).unwrap();
            assert!(error.starts_with("[clickhouse] url") && !error.contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn a_ca_file_must_hold_a_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "nothing").unwrap();
        for path in [empty, folder.path().join("missing.pem")] {
            assert!(matches!(roots(Some(&path)), Err(Error::Certificates { .. })));
        }
    }
}
