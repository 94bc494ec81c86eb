//! `[console]`: where it listens, and who may ask it for what.

use std::net::SocketAddr;

use toml::Spanned;
use walhouse_server::{Access, Allow, Credential, TlsFiles};

use super::resolve::{Resolver, Result};
use super::{Console, raw};

impl Resolver<'_> {
    /// `engine`: where the embedded engine listens, if there is one.
    pub(super) fn console(&self, raw: raw::Console, engine: Option<SocketAddr>) -> Result<Console> {
        let (listen, span) = self.address("[console] listen", raw.listen, super::DEFAULT_CONSOLE_LISTEN)?;
        if engine == Some(listen) {
            return self.fail(span, format!("[engine] listen and [console] listen are both {listen}"));
        }
        let password = self.credential("[console] password_file", raw.password_file.as_ref())?;
        let token = self.credential("[console] token_file", raw.token_file.as_ref())?;
        let access = Access {
            password: password.as_deref().map(Credential::of),
            token: token.as_deref().map(Credential::of),
            tls: self.tls(raw.tls_cert.as_ref(), raw.tls_key.as_ref())?,
            insecure: raw.insecure.unwrap_or(false),
            hosts: raw.hosts.unwrap_or_default(),
            data: raw.data.unwrap_or(true),
            allow: self.allow(raw.allow.unwrap_or_default())?,
            audit_file: raw.audit_file.map(|file| self.absolute(file.get_ref())),
        };
        let exposed = access.check(listen).err().map(|error| self.error(span, error.to_string()));
        Ok(Console { listen, access, token: token.map(walhouse_postgres::Secret::new), exposed })
    }

    /// The first line of a file, which must not be empty: that would let everybody in.
    fn credential(&self, key: &str, file: Option<&Spanned<String>>) -> Result<Option<String>> {
        let secret = self.secret(key, file)?;
        match (&secret, file) {
            (Some(secret), Some(file)) if secret.trim().is_empty() => self.fail(
                file.span(),
                format!("{key} {}: its first line is empty", self.absolute(file.get_ref()).display()),
            ),
            _ => Ok(secret),
        }
    }

    fn tls(&self, cert: Option<&Spanned<String>>, key: Option<&Spanned<String>>) -> Result<Option<TlsFiles>> {
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Some(TlsFiles {
                cert: self.existing("[console] tls_cert", cert)?,
                key: self.existing("[console] tls_key", key)?,
            })),
            (None, None) => Ok(None),
            (Some(one), None) | (None, Some(one)) => {
                self.fail(one.span(), "[console] tls_cert and tls_key go together")
            }
        }
    }

    fn allow(&self, names: Vec<Spanned<String>>) -> Result<Allow> {
        let mut allow = Allow::default();
        for name in names {
            match name.get_ref().as_str() {
                "topics.create" => allow.create_topics = true,
                "topics.delete" => allow.delete_topics = true,
                "messages.send" => allow.send_messages = true,
                other => {
                    let known = "topics.create, topics.delete or messages.send";
                    return self.fail(name.span(), format!("[console] allow: {other:?} is not one of {known}"));
                }
            }
        }
        Ok(allow)
    }
}
