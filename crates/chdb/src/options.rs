//! What an engine process is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::error::Error;

/// How to serve. The defaults suit an engine that only this machine can reach.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the data; created when missing, made absolute. Holds one engine at a time.
    pub data: PathBuf,
    /// Address of the HTTP interface; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Password of user `default`; none is accepted on a loopback address only.
    pub password: Option<String>,
    /// Further users.
    pub users: Vec<User>,
    /// Whether statements may use the engine's own Kafka tables, and with them reach other hosts.
    pub kafka: bool,
}

/// A user beside `default`. The engine itself knows one user only: these live in the HTTP layer.
#[derive(Clone)]
pub struct User {
    /// Name to log in with.
    pub name: String,
    /// Password; an empty one is accepted on a loopback address only.
    pub password: String,
    /// What the user may do.
    pub access: Access,
}

/// What a user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everything `default` may.
    Full,
    /// Read the tables of one database, and the engine's description of itself.
    ReadOnly {
        /// The database.
        database: String,
    },
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("access", &self.access).finish_non_exhaustive()
    }
}

impl Options {
    /// An engine on a free loopback port.
    pub fn new(data: impl Into<PathBuf>) -> Options {
        Options {
            data: data.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            password: None,
            users: Vec::new(),
            kafka: false,
        }
    }

    /// Refuses to be open to a network without passwords.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.listen.ip().is_loopback() {
            return Ok(());
        }
        let open = |password: &str| password.is_empty();
        if open(self.password.as_deref().unwrap_or_default()) {
            return Err(Error::Refused(format!(
                "refusing to listen on {} without a password for user default; set one or listen on 127.0.0.1",
                self.listen
            )));
        }
        match self.users.iter().find(|user| open(&user.password)) {
            Some(user) => Err(Error::Refused(format!(
                "refusing to listen on {} without a password for user {}; set one or listen on 127.0.0.1",
                self.listen, user.name
            ))),
            None => Ok(()),
        }
    }

    /// `default` and the others, as the HTTP layer checks them.
    pub(crate) fn all_users(&self) -> Vec<User> {
        let default = User {
            name: "default".to_owned(),
            password: self.password.clone().unwrap_or_default(),
            access: Access::Full,
        };
        std::iter::once(default).chain(self.users.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_address_needs_passwords() {
        let mut options = Options::new("d");
        assert!(options.validate().is_ok());
        options.listen = "0.0.0.0:8123".parse().expect("an address");
        assert!(options.validate().is_err());
        options.password = Some("secret".to_owned());
        assert!(options.validate().is_ok());
        options.users.push(User { name: "bi".into(), password: String::new(), access: Access::Full });
        let error = options.validate().expect_err("an open user").to_string();
        assert!(error.contains("user bi") && !error.contains("secret"), "{error}");
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
