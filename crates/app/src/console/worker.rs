//! The console beside a Connect worker: where it answers, and who may ask it for what.
//!
//! A worker's file has properties and no sections, so what `[console]` says elsewhere is said there by properties that
//! begin with `walhouse.console.`; Kafka Connect ignores them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use walhouse_connect::Api;
use walhouse_server::{Access, Allow, Credential, Listener, PORT_PATIENCE, Recorder, TlsFiles};

use crate::cli::{ConsoleAddress, ConsoleOptions};
use crate::config::{DEFAULT_CONSOLE_LISTEN, Registry, read_secret};
use crate::exit::UsageError;
use crate::kafka::OwnWorker;
use crate::service;

const PREFIX: &str = "walhouse.console.";

/// Where a worker's console answers, and whom.
pub(crate) struct Edge {
    /// None: nowhere.
    listen: Option<SocketAddr>,
    /// Nobody named the address: another program may have it.
    by_default: bool,
    access: Access,
    registry: Option<Registry>,
}

impl Edge {
    /// Takes the console's properties out of a worker's; `options` has the last word.
    ///
    /// # Errors
    /// A property that cannot be used, or an address that lies open.
    pub(crate) fn take(properties: &mut BTreeMap<String, String>, options: &ConsoleOptions) -> Result<Self> {
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        properties.retain(|key, value| match key.strip_prefix(PREFIX) {
            Some(name) => {
                own.insert(name.to_owned(), value.trim().to_owned());
                false
            }
            None => true,
        });
        let named = match (options.console, own.remove("listen")) {
            (Some(address), _) => Some(address),
            (None, Some(text)) => Some(text.parse().map_err(|problem: String| wrong("listen", &problem))?),
            (None, None) => None,
        };
        let listen = match named {
            Some(ConsoleAddress::Off) => None,
            Some(ConsoleAddress::At(address)) => Some(address),
            None => DEFAULT_CONSOLE_LISTEN.parse().ok(),
        };
        let registry = registry(&mut own)?;
        let access = access(&mut own, options.insecure)?;
        if let Some(unknown) = own.keys().next() {
            return Err(wrong(unknown, "there is no such property").into());
        }
        if let Some(listen) = listen {
            access.check(listen).map_err(|error| UsageError(error.to_string()))?;
        }
        Ok(Self { listen, by_default: named.is_none(), access, registry })
    }

    /// Takes the port. None when there is no console, or another program has the default port.
    ///
    /// # Errors
    /// An address that was named is taken.
    pub(crate) async fn bind(&self) -> Result<Option<Listener>> {
        let Some(listen) = self.listen else { return Ok(None) };
        let patience = if self.by_default { Duration::ZERO } else { PORT_PATIENCE };
        match Listener::bind(listen, patience).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) if self.by_default => {
                tracing::warn!(error = %error, "no console: --console ADDR puts it elsewhere");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Serves on a port that was taken, until `stop`.
    ///
    /// # Errors
    /// Files of TLS or of the audit log that cannot be used.
    pub(crate) fn serve(self, listener: Listener, api: Api, stop: CancellationToken) -> Result<()> {
        let recorder = Recorder::install()?;
        tokio::spawn(recorder.clone().keep_up());
        let address = listener.address();
        let settings = api.worker().settings().clone();
        let (_, worker) = watch::channel(OwnWorker::Runs(api));
        let console = super::of_worker(&settings, worker, self.registry.as_ref(), recorder)?;
        let server = listener.open(walhouse_server::Console { access: self.access, ..console })?;
        tokio::spawn(service::serve(server, stop));
        tracing::info!(console = %address, "the console is up");
        Ok(())
    }
}

/// The schema registry of the cluster.
fn registry(own: &mut BTreeMap<String, String>) -> Result<Option<Registry>> {
    let (url, user) = (own.remove("registry"), own.remove("registry.user"));
    let login = match (user, own.remove("registry.password.file")) {
        (Some(user), Some(file)) => {
            let text = read_secret(Path::new(&file));
            let text = text.map_err(|problem| wrong("registry.password.file", &problem.to_string()))?;
            Some((user, walhouse_postgres::Secret::new(text)))
        }
        (None, None) => None,
        _ => return Err(wrong("registry.user", "and registry.password.file go together").into()),
    };
    Ok(url.map(|url| Registry { url: url.trim_end_matches('/').to_owned(), login }))
}

fn access(own: &mut BTreeMap<String, String>, insecure: bool) -> Result<Access> {
    let list = |text: Option<String>| -> Vec<String> {
        let text = text.unwrap_or_default();
        text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    let mut allow = Allow::default();
    for name in list(own.remove("allow")) {
        match name.as_str() {
            "topics.create" => allow.create_topics = true,
            "topics.delete" => allow.delete_topics = true,
            "messages.send" => allow.send_messages = true,
            _ => return Err(wrong("allow", "is a list of topics.create, topics.delete and messages.send").into()),
        }
    }
    let mut secret = |name: &str| -> Result<Option<Credential>> {
        let Some(file) = own.remove(name) else { return Ok(None) };
        let text = read_secret(Path::new(&file)).map_err(|problem| wrong(name, &problem.to_string()))?;
        if text.trim().is_empty() {
            return Err(wrong(name, "its first line is empty").into());
        }
        Ok(Some(Credential::of(&text)))
    };
    let (password, token) = (secret("password.file")?, secret("token.file")?);
    let tls = match (own.remove("tls.cert"), own.remove("tls.key")) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert: cert.into(), key: key.into() }),
        (None, None) => None,
        _ => return Err(wrong("tls.cert", "and tls.key go together").into()),
    };
    let mut flag = |name: &str, default: bool| own.remove(name).map_or(default, |text| text == "true");
    Ok(Access {
        data: flag("data", true),
        insecure: flag("insecure", false) || insecure,
        password,
        token,
        tls,
        hosts: list(own.remove("hosts")),
        allow,
        audit_file: own.remove("audit.file").map(Into::into),
    })
}

fn wrong(name: &str, problem: &str) -> UsageError {
    UsageError(format!("worker property {PREFIX}{name}: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str, options: &ConsoleOptions) -> Result<Edge> {
        Edge::take(&mut walhouse_connect::read_properties(text), options)
    }

    #[test]
    fn properties_and_then_the_command_line_say_where_and_whom() {
        let none = ConsoleOptions::default();
        let edge = take("bootstrap.servers=b:1\n", &none).unwrap();
        assert!(edge.by_default && edge.listen == DEFAULT_CONSOLE_LISTEN.parse().ok());
        assert!(!edge.access.allow.delete_topics && edge.access.data);
        let text = "walhouse.console.listen=127.0.0.1:7\nwalhouse.console.allow=topics.create, topics.delete\n";
        let edge = take(text, &none).unwrap();
        assert!(edge.access.allow.create_topics && edge.access.allow.delete_topics && !edge.access.allow.send_messages);
        assert_eq!(edge.listen, "127.0.0.1:7".parse().ok());
        let off = ConsoleOptions { console: Some(ConsoleAddress::Off), ..none.clone() };
        assert!(take(text, &off).unwrap().listen.is_none());
        let edge = take("walhouse.console.registry=http://r:8081/", &none).unwrap();
        assert_eq!(edge.registry.unwrap().url, "http://r:8081");
        let mut rest = walhouse_connect::read_properties("group.id=1\nwalhouse.console.data=false");
        assert!(!Edge::take(&mut rest, &none).unwrap().access.data);
        assert_eq!(rest.keys().collect::<Vec<_>>(), ["group.id"]);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (text, part) in [
            ("walhouse.console.lisen=1", "no such property"),
            ("walhouse.console.listen=here", "neither off nor"),
            ("walhouse.console.allow=all", "is a list of"),
            ("walhouse.console.tls.key=k", "go together"),
            ("walhouse.console.registry.user=me", "go together"),
            ("walhouse.console.listen=0.0.0.0:9090", "0.0.0.0:9090"),
        ] {
            let error = take(text, &ConsoleOptions::default()).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
