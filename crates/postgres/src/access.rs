//! The same server for somebody else's client: what proves walhouse right reads Postgres with none of its sessions,
//! and still must reach it with the same url, password file, `~/.pgpass`, trust and environment.

use std::fmt;
use std::path::PathBuf;

use crate::config::{Config, SslMode};
use crate::endpoint::{Endpoint, Host};
use crate::wire::tls;
use crate::{Error, Result};

/// How `tokio_postgres` reaches the configured server.
pub struct Access {
    /// Hosts, role, database, password and whether TLS is wanted.
    pub settings: tokio_postgres::Config,
    /// Which certificates are trusted, when it is.
    pub tls: rustls::ClientConfig,
    /// What TLS is wanted for, in full.
    pub sslmode: SslMode,
    /// The file of certificates that are trusted in place of the system's.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Reads the configuration, the password's file and that of the certificates; nothing is connected.
    ///
    /// # Errors
    /// The URL, the password's file or the file of certificates cannot be used.
    pub fn new(config: &Config) -> Result<Self> {
        let endpoint = Endpoint::new(config)?;
        let mut settings = tokio_postgres::Config::new();
        for (host, port) in &endpoint.hosts {
            match host {
                Host::Tcp(name) => settings.host(name),
                Host::Unix(folder) => settings.host_path(folder),
            };
            settings.port(*port);
        }
        settings.user(&endpoint.user).dbname(&endpoint.database);
        settings.application_name(&endpoint.application_name).connect_timeout(endpoint.connect_timeout);
        settings.ssl_mode(match endpoint.sslmode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
        });
        if let Some((host, port)) = endpoint.hosts.first()
            && let Some(password) = endpoint.password(host, *port)?
        {
            settings.password(password.expose());
        }
        let unusable = |reason| Error::config(reason, "check sslmode and ca_file of [postgres]");
        let tls = tls::trust(&endpoint).map_err(unusable)?;
        Ok(Self { settings, tls, sslmode: endpoint.sslmode, ca_file: endpoint.ca_file })
    }
}
