//! Bad input: each refusal says what to do, and whether waiting helps.

use walhouse_change::{Budget, Origin, Retry, SlotKind};
use walhouse_lab::postgres::Server;
use walhouse_postgres::{Config, Postgres, Secret, SslMode};

use crate::support::{Db, usable};

async fn survey_error(config: Config) -> walhouse_change::Error {
    Postgres::new(config, Budget::new(1 << 20)).unwrap().survey().await.unwrap_err()
}

#[tokio::test]
async fn logins_that_fail() {
    let server = Server::builder().password("s3same").start().await.unwrap();
    let db = Db::on(&server, "logins").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE plain LOGIN PASSWORD 'plain'").await;
    db.sql("SET password_encryption = md5; CREATE ROLE old LOGIN REPLICATION PASSWORD 'old'").await;
    let config = |user: &str, password: &str, database: &str| Config {
        url: Some(Secret::new(format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}", server.port()))),
        ..db.config(&["public.*"])
    };
    let cases = [
        (config("postgres", "wrong", "logins"), "28P01", "PGPASSWORD"),
        (config("plain", "plain", "logins"), "42501", "ALTER ROLE \"plain\" REPLICATION"),
        (config("postgres", "s3same", "nowhere"), "3D000", "existing database"),
        (Config { sslmode: Some(SslMode::Require), ..config("postgres", "s3same", "logins") }, "no TLS", "sslmode"),
    ];
    for (config, reason, remedy) in cases {
        let error = survey_error(config).await;
        assert_eq!(error.retry(), &Retry::Never, "{}", error.one_line());
        assert!(error.to_string().contains(reason), "{}", error.one_line());
        assert!(error.remedy().unwrap().contains(remedy), "{}", error.one_line());
        assert!(!error.one_line().contains("s3same"), "{}", error.one_line());
    }
    Postgres::new(config("postgres", "s3same", "logins"), Budget::new(1)).unwrap().survey().await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3same\n").unwrap();
    let by_file = Config { password_file: Some(file.path().to_owned()), ..config("postgres", "wrong", "logins") };
    Postgres::new(by_file, Budget::new(1)).unwrap().survey().await.unwrap();
}

#[tokio::test]
async fn md5_and_cleartext_passwords_are_answered_and_others_rejected() {
    let rules = "host all postgres 127.0.0.1/32 trust\nhost all old 127.0.0.1/32 md5\n\
                 host all open 127.0.0.1/32 password\nhost all all 127.0.0.1/32 reject\n";
    let server = Server::builder().access_rules(rules).start().await.unwrap();
    let db = Db::on(&server, "methods").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE open LOGIN REPLICATION PASSWORD 'open'").await;
    db.sql("SET password_encryption = 'md5'; CREATE ROLE old LOGIN REPLICATION PASSWORD 'old'; CREATE ROLE shut LOGIN")
        .await;
    for user in ["old", "open"] {
        let url = format!("postgresql://{user}:{user}@127.0.0.1:{}/methods", server.port());
        let config = Config { url: Some(Secret::new(url)), ..db.config(&["public.*"]) };
        Postgres::new(config, Budget::new(1)).unwrap().server_facts().await.unwrap();
    }
    let error = survey_error(Config { user: Some("shut".into()), ..db.config(&["public.*"]) }).await;
    assert_eq!(error.retry(), &Retry::Never);
    assert!(error.one_line().contains("pg_hba.conf"), "{}", error.one_line());
}

#[tokio::test]
async fn a_server_that_is_down_is_waited_for() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = Config {
        url: Some(Secret::new(format!("postgresql://app@127.0.0.1:{port}/shop"))),
        tables: vec![walhouse_change::Pattern::parse("public.*").unwrap()],
        ..Config::default()
    };
    let error = survey_error(config).await;
    assert_eq!(error.retry(), &Retry::Later);
    assert!(error.one_line().contains(&format!("cannot reach postgres at 127.0.0.1:{port}")), "{}", error.one_line());
}

#[tokio::test]
async fn a_server_that_does_not_decode_is_refused() {
    let server = Server::builder().setting("wal_level", "replica").start().await.unwrap();
    let db = Db::on(&server, "physical").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
    let error = db.origin(&["public.*"]).survey().await.unwrap_err();
    assert_eq!(error.retry(), &Retry::Never);
    assert!(error.remedy().unwrap().contains("wal_level = logical"), "{}", error.one_line());
}

#[tokio::test]
async fn no_free_slot_and_no_free_sender_are_told_apart() {
    let server =
        Server::builder().setting("max_replication_slots", "1").setting("max_wal_senders", "1").start().await.unwrap();
    let db = Db::on(&server, "full").await;
    db.sql("CREATE TABLE t (id int PRIMARY KEY); SELECT pg_create_physical_replication_slot('other')").await;
    let origin = db.origin(&["public.*"]);
    let tables = usable(&origin).await;
    origin.publish(&tables).await.unwrap();
    let error = origin.snapshot(&tables, SlotKind::Lasting).await.err().unwrap();
    assert_eq!(error.retry(), &Retry::Never);
    assert!(error.remedy().unwrap().contains("max_replication_slots"), "{}", error.one_line());
    assert!(origin.check().await.iter().any(|finding| finding.what.contains("slots are in use")));

    db.sql("SELECT pg_drop_replication_slot('other')").await;
    let mut begun = db.begin_with(origin.clone()).await;
    let _reader = begun.stream().await;
    let error = origin.survey().await.unwrap_err();
    assert_eq!(error.retry(), &Retry::Later);
    assert!(error.remedy().unwrap().contains("max_wal_senders"), "{}", error.one_line());
}

#[tokio::test]
async fn nothing_shows_the_password() {
    let url = "postgresql://app:hunter2@127.0.0.1:1/shop";
    let config = Config {
        url: Some(Secret::new(url)),
        tables: vec![walhouse_change::Pattern::parse("public.*").unwrap()],
        ..Config::default()
    };
    let origin = Postgres::new(config, Budget::new(1)).unwrap();
    let error = origin.survey().await.unwrap_err();
    let findings = origin.check().await;
    let shown = format!("{origin:?} {:?} {error:?} {findings:?}", origin.config());
    assert!(!shown.contains("hunter2"), "{shown}");
}
