//! Whether the database can be reached as a connector says, in the words of Debezium and of Postgres' Java driver.

use std::collections::BTreeMap;
use std::io;

use walhouse_change::Budget;
use walhouse_postgres::{Config, Database, Error, Secret, SslMode};

use crate::worker::runner::Fault;

/// The option at which Debezium shows that a connection failed.
const SHOWN_AT: &str = "database.hostname";
/// A connection for a look carries no batches.
const NO_BYTES: usize = 1 << 20;

/// Connects, and checks what a stream of changes needs of the server.
pub(super) async fn check(config: &BTreeMap<String, String>) -> Vec<Fault> {
    let config = config.clone();
    // A look at a database blocks.
    let looked = tokio::task::spawn_blocking(move || look(&config)).await;
    let fault = |message: String| Fault { option: SHOWN_AT.to_owned(), message };
    match looked {
        Ok(Ok(())) | Err(_) => Vec::new(),
        Ok(Err(message)) => vec![fault(message)],
    }
}

fn look(config: &BTreeMap<String, String>) -> Result<(), String> {
    let get = |key: &str| config.get(key).map_or("", String::as_str);
    let (host, port) = (get("database.hostname"), config.get("database.port").map_or("5432", String::as_str));
    let failed = |error: Error| format!("Error while validating connector config: {}", words(error, host, port));
    let sslmode = match config.get("database.sslmode").map(|mode| mode.trim().to_ascii_lowercase()).as_deref() {
        None | Some("allow" | "prefer") => SslMode::Prefer,
        Some("disable") => SslMode::Disable,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        // Any other was refused before.
        Some(_) => SslMode::VerifyFull,
    };
    let address = Config {
        url: Some(Secret::new(url(get("database.user"), get("database.password"), host, port, get("database.dbname")))),
        sslmode: Some(sslmode),
        ca_file: config.get("database.sslrootcert").filter(|path| !path.is_empty()).map(Into::into),
        ..Config::default()
    };
    let database = Database::new(&address, Budget::new(NO_BYTES)).map_err(failed)?;
    let mut session = database.session().map_err(failed)?;
    let streams = !get("snapshot.mode").trim().eq_ignore_ascii_case("initial_only");
    let level = session.value("read wal_level", "SHOW wal_level").map_err(failed)?;
    session.close();
    if streams && level != "logical" {
        return Err(format!("Postgres server wal_level property must be 'logical' but is: '{level}'"));
    }
    Ok(())
}

fn url(user: &str, password: &str, host: &str, port: &str, database: &str) -> String {
    let encode = |text: &str| -> String {
        let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        text.bytes()
            .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    let password = if password.is_empty() { String::new() } else { format!(":{}", encode(password)) };
    format!("postgresql://{}{password}@{}:{port}/{}", encode(user), encode(host), encode(database))
}

/// What the Java driver says.
fn words(error: Error, host: &str, port: &str) -> String {
    match &error {
        Error::Refused { refusal, .. } => format!("{}: {}", refusal.severity, refusal.message),
        Error::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => format!(
            "Connection to {host}:{port} refused. Check that the hostname and port are correct and that the postmaster \
             is accepting TCP/IP connections."
        ),
        Error::Unreachable { .. } | Error::Broken { .. } => "The connection attempt failed.".to_owned(),
        _ => walhouse_change::Error::from(error).one_line(),
    }
}
