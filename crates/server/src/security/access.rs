//! What `[console]` says about access, and the refusal to serve what lies open.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::Error;

/// A password or a token. Only its digest is kept: it cannot be shown, and comparing digests tells
/// nothing about how much of a guess was right.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential([u8; 32]);

impl Credential {
    /// Of this text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Whether `text` is it.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        *self == Self::of(text)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Files of a certificate chain and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Changes of the cluster that are off unless they are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// Topics may be made.
    pub create_topics: bool,
    /// Topics may be deleted, with all they hold.
    pub delete_topics: bool,
    /// Messages may be sent.
    pub send_messages: bool,
}

/// Who may ask for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// A person's password.
    pub password: Option<Credential>,
    /// A program's bearer token.
    pub token: Option<Credential>,
    /// Serve TLS.
    pub tls: Option<TlsFiles>,
    /// Serve another address than loopback without a login or TLS.
    pub insecure: bool,
    /// Names besides IP addresses by which an address other than loopback may be asked.
    pub hosts: Vec<String>,
    /// Row values may be shown where a user asks for them.
    pub data: bool,
    /// What else may be changed.
    pub allow: Allow,
    /// Where state changes are put on record, one JSON object a line; besides the program's log.
    pub audit_file: Option<PathBuf>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            password: None,
            token: None,
            tls: None,
            insecure: false,
            hosts: Vec::new(),
            data: true,
            allow: Allow::default(),
            audit_file: None,
        }
    }
}

impl Access {
    /// Refuses an address that others reach, without a login or without TLS.
    ///
    /// # Errors
    /// [`Error::Exposed`], which says what is missing.
    pub fn check(&self, address: SocketAddr) -> Result<(), Error> {
        if address.ip().is_loopback() || self.insecure {
            return Ok(());
        }
        let login = (!self.needs_login()).then_some("[console] password_file or token_file");
        let tls = self.tls.is_none().then_some("[console] tls_cert and tls_key");
        let missing: Vec<&str> = login.into_iter().chain(tls).collect();
        if missing.is_empty() { Ok(()) } else { Err(Error::Exposed { address, missing: missing.join(" and ") }) }
    }

    /// Whether one must log in.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        self.password.is_some() || self.token.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(access: &Access, address: &str) -> Option<String> {
        access.check(address.parse().unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn loopback_needs_nothing_and_other_addresses_a_login_and_tls() {
        let open = Access::default();
        assert_eq!(refusal(&open, "127.0.0.1:9090"), None);
        assert_eq!(refusal(&open, "[::1]:9090"), None);
        for address in ["0.0.0.0:9090", "[::]:9090", "10.1.2.3:9090"] {
            let said = refusal(&open, address).unwrap();
            assert!(said.contains("password_file or token_file and [console] tls_cert"), "{said}");
            assert!(said.contains("--insecure") && said.contains(address), "{said}");
        }
        let password = Access { password: Some(Credential::of("x")), ..Access::default() };
        let said = refusal(&password, "0.0.0.0:1").unwrap();
        assert!(said.contains("tls_cert") && !said.contains("password_file"), "{said}");
        let tls = TlsFiles { cert: "c".into(), key: "k".into() };
        let said = refusal(&Access { tls: Some(tls.clone()), ..Access::default() }, "0.0.0.0:1").unwrap();
        assert!(said.contains("password_file") && !said.contains("tls_cert"), "{said}");
        assert_eq!(refusal(&Access { tls: Some(tls), ..password }, "0.0.0.0:1"), None);
        assert_eq!(refusal(&Access { insecure: true, ..Access::default() }, "0.0.0.0:1"), None);
    }

    #[test]
    fn a_credential_is_never_shown() {
        let access = Access { password: Some(Credential::of("hunter2")), ..Access::default() };
        assert!(!format!("{access:?}").contains("hunter2"));
        assert!(Credential::of("hunter2").is("hunter2") && !Credential::of("hunter2").is("hunter"));
    }
}
