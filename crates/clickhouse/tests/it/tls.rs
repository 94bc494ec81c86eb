//! https: a server that speaks TLS in front of the real engine, trusted by `ca_file` and by nothing else.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere; clippy knows only test functions")]

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use walhouse_change::{Retry, Target};
use walhouse_clickhouse::{ClickHouse, Config};

use crate::support::{INT8, Place, TEXT, table};

/// Takes TLS off and passes the rest on to the engine. Returns its port.
async fn endpoint(made: &CertifiedKey<rcgen::KeyPair>, engine: String) -> u16 {
    let certificate = CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (acceptor, engine) = (acceptor.clone(), engine.clone());
            tokio::spawn(async move {
                let Ok(mut plain) = acceptor.accept(connection).await else { return };
                let mut behind = TcpStream::connect(engine).await.unwrap();
                // Either side may go away first.
                let _ = tokio::io::copy_bidirectional(&mut plain, &mut behind).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_trusted_by_ca_file() {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let engine = walhouse_chdb::testing::shared().url();
    let port = endpoint(&made, engine.trim_start_matches("http://").to_owned()).await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, made.cert.pem()).unwrap();

    let plain = Place::at(&engine, "over_tls");
    let secure = Place::with(&format!("https://localhost:{port}"), "over_tls", |config| {
        config.ca_file = Some(ca_file.clone());
    });
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    secure.copied(&t, &[&[Some("1"), Some("one")]]).await;
    assert_eq!(plain.rows("t", "id, v").await, "1\tone");

    let refused = async |url: String, trusted: bool| {
        let mut config = Config::new(&url, "over_tls");
        config.ca_file = trusted.then(|| ca_file.clone());
        ClickHouse::new(config).unwrap().load().await.unwrap_err()
    };
    // A stranger's certificate, and one of another name.
    for error in [
        refused(format!("https://localhost:{port}"), false).await,
        refused(format!("https://127.0.0.1:{port}"), true).await,
    ] {
        let line = error.one_line();
        assert!(line.contains("certificate"), "{line}");
        assert_eq!(error.retry(), &Retry::Later, "it may be a proxy that is being set up: {line}");
    }
}
