//! Connections under TLS, in libpq's degrees of trust, with SCRAM bound to the channel.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tokio_postgres_rustls::MakeRustlsConnect;
use walhouse_change::{Budget, Origin, Retry};
use walhouse_lab::postgres::Server;
use walhouse_postgres::{Access, Config, Postgres, Secret, SslMode};

use crate::support::{Db, usable};

/// Writes a file that the server's account owns, as Postgres wants its key.
fn write_for_server(folder: &Path, name: &str, text: &str) -> PathBuf {
    let owner = std::fs::metadata(folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Connects as the comparison does, with the same trust.
async fn another_client(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let Access { settings, tls, .. } = Access::new(config)?;
    let (client, connection) = settings.connect(MakeRustlsConnect::new(tls)).await?;
    tokio::spawn(connection);
    client.batch_execute("SELECT 1").await?;
    Ok(())
}

#[tokio::test]
async fn trust_is_what_sslmode_says() {
    let rules =
        "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    let mut server = Server::builder().access_rules(rules).start().await.unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = write_for_server(server.data(), "server.crt", &made.cert.pem());
    write_for_server(server.data(), "server.key", &made.signing_key.serialize_pem());
    server.set("ssl", "on");
    server.restart().await.unwrap();
    let db = Db::on(&server, "tls").await;
    db.sql(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE app LOGIN REPLICATION PASSWORD 's3same';
         ALTER TABLE t OWNER TO app; GRANT CREATE ON DATABASE tls TO app",
    )
    .await;
    let config = |host: &str, sslmode, ca_file: Option<&PathBuf>| Config {
        url: Some(Secret::new(format!("postgresql://app:s3same@{host}:{}/tls", server.port()))),
        sslmode: Some(sslmode),
        ca_file: ca_file.cloned(),
        ..db.config(&["public.*"])
    };
    let facts = async |config| Postgres::new(config, Budget::new(1 << 20)).unwrap().server_facts().await;
    for accepted in [
        config("127.0.0.1", SslMode::Prefer, None),
        config("127.0.0.1", SslMode::Require, None),
        config("127.0.0.1", SslMode::Require, Some(&ca)),
        config("127.0.0.1", SslMode::VerifyCa, Some(&ca)),
        config("localhost", SslMode::VerifyFull, Some(&ca)),
    ] {
        let shown = format!("{accepted:?}");
        another_client(&accepted).await.unwrap_or_else(|error| panic!("{error} with {shown}"));
        facts(accepted).await.unwrap_or_else(|error| panic!("{} with {shown}", error.one_line()));
    }
    for refused in [
        config("127.0.0.1", SslMode::VerifyFull, Some(&ca)),
        config("localhost", SslMode::VerifyFull, None),
        config("localhost", SslMode::VerifyCa, None),
        config("localhost", SslMode::Disable, None),
    ] {
        let shown = format!("{refused:?}");
        another_client(&refused).await.expect_err(&shown);
        let error = facts(refused).await.expect_err(&shown);
        assert_eq!(error.retry(), &Retry::Never, "{} with {shown}", error.one_line());
    }

    let origin = Postgres::new(config("localhost", SslMode::VerifyFull, Some(&ca)), Budget::new(16 << 20)).unwrap();
    usable(&origin).await;
    let mut begun = db.begin_with(origin).await;
    assert!(begun.copied().await.is_empty());
    let mut reader = begun.stream().await;
    db.sql("INSERT INTO t SELECT generate_series(1, 50000)").await;
    assert_eq!(reader.until("[50000]").await.len(), 50_000);
    let secure =
        "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'app'";
    assert_eq!(db.text(secure).await, "t");
    reader.acknowledge(reader.progress);
    drop(reader);
    begun.origin.drop_slot().await.unwrap();
}
