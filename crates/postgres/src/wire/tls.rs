//! TLS over a blocking socket, and what SCRAM's channel binding needs of the server's certificate.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::config::SslMode;
use crate::endpoint::Endpoint;

/// Begins TLS to `host` as the endpoint's `sslmode` asks; the reason when it cannot.
pub(super) fn client(endpoint: &Endpoint, host: &str) -> Result<ClientConnection, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is no host name"))?;
    ClientConnection::new(Arc::new(trust(endpoint)?), name).map_err(|error| error.to_string())
}

/// What the endpoint's `sslmode` and `ca_file` trust; the reason when they cannot be used.
pub(crate) fn trust(endpoint: &Endpoint) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    // As libpq does: a CA file that is given is used, even under `require`.
    let verifies = match endpoint.sslmode {
        SslMode::VerifyFull | SslMode::VerifyCa => true,
        SslMode::Require => endpoint.ca_file.is_some(),
        SslMode::Disable | SslMode::Prefer => false,
    };
    let webpki = if verifies { Some(webpki(endpoint, &provider)?) } else { None };
    let verifier =
        Verifier { webpki, host_too: endpoint.sslmode == SslMode::VerifyFull, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config.with_no_client_auth())
}

fn webpki(endpoint: &Endpoint, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    match &endpoint.ca_file {
        Some(path) => {
            let unreadable = |error| format!("cannot read ca_file {}: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                roots.add(certificate.map_err(unreadable)?).map_err(|error| error.to_string())?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| format!("no trusted authority: {error}"))
}

/// libpq's four degrees of trust.
#[derive(Debug)]
struct Verifier {
    webpki: Option<Arc<WebPkiServerVerifier>>,
    host_too: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(webpki) = &self.webpki else { return Ok(ServerCertVerified::assertion()) };
        match webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain was verified before the name was.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.host_too => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// `tls-server-end-point` of RFC 5929: the certificate's hash by its own signature's hash function, SHA-256 in place
/// of MD5 and SHA-1. None for signatures that name no hash (Ed25519, RSA-PSS), where there is no binding.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    // iso(1) member-body(2) us(840): rsadsi pkcs-1, and ansi-x9-62 signatures ecdsa-with-SHA2
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let (prefix, number) = signature_algorithm(certificate)?.split_last_chunk::<1>()?;
    match (prefix, number[0]) {
        (RSA, 4 | 5 | 11) | (ECDSA_SHA2, 2) => Some(Sha256::digest(certificate).to_vec()),
        (RSA, 12) | (ECDSA_SHA2, 3) => Some(Sha384::digest(certificate).to_vec()),
        (RSA, 13) | (ECDSA_SHA2, 4) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// The OID of `SEQUENCE { tbsCertificate, SEQUENCE { OID, .. }, .. }`.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OID: u8 = 0x06;
    let (whole, _) = der(certificate, SEQUENCE)?;
    let (_tbs, rest) = der(whole, SEQUENCE)?;
    let (algorithm, _) = der(rest, SEQUENCE)?;
    der(algorithm, OID).map(|(oid, _)| oid)
}

/// Content of the DER element of type `tag` at the beginning, and what follows it.
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (len, rest) = match usize::from(first) {
        len @ 0..=0x7f => (len, rest),
        long => {
            let (digits, rest) = rest.split_at_checked(long & 0x7f)?;
            let len = digits.iter().try_fold(0usize, |len, &digit| len.checked_mul(256)?.checked_add(digit.into()))?;
            (len, rest)
        }
    };
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn certificate(oid: &[u8]) -> Vec<u8> {
        let oid = [&[0x06, oid.len() as u8], oid].concat();
        let algorithm = [&[0x30, oid.len() as u8], &oid[..]].concat();
        let tbs = [0x30, 0x82, 0, 3, 1, 2, 3];
        let len = (tbs.len() + algorithm.len()) as u8;
        [&[0x30, 0x81, len], &tbs[..], &algorithm].concat()
    }

    #[test]
    fn hashes_as_the_signature_does() {
        let bytes = certificate(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 12]);
        assert_eq!(server_end_point(&bytes), Some(Sha384::digest(&bytes).to_vec()));
        let bytes = certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 2]);
        assert_eq!(server_end_point(&bytes), Some(Sha256::digest(&bytes).to_vec()));
        assert_eq!(server_end_point(&certificate(&[0x2b, 0x65, 0x70])), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = server_end_point(&bytes);
        }
    }
}
