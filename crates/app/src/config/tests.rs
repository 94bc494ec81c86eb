//! Defaults, refusals and the check against the source.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use walhouse_change::{Column, Pattern, ReplicaIdentity, TableName, TableSchema};
use walhouse_value::PgType;

use super::*;

const PATH: &str = "/etc/walhouse/walhouse.toml";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new(PATH), text)
}

fn minimal(rest: &str) -> Result<Config, ConfigError> {
    parse(&format!("[postgres]\nurl = \"postgresql://app@localhost:5432/shop\"\n{rest}"))
}

fn refusal(rest: &str) -> String {
    minimal(rest).unwrap_err().to_string()
}

#[test]
fn the_smallest_file_has_every_default() {
    let config = minimal("").unwrap();
    assert_eq!(config.postgres.tables, [Pattern::parse("public.*").unwrap()]);
    assert_eq!((config.postgres.slot(), config.postgres.publication()), ("walhouse", "walhouse"));
    assert_eq!(config.clickhouse.url, "http://127.0.0.1:8123");
    assert_eq!((config.clickhouse.slot.as_str(), config.clickhouse.database.as_str()), ("walhouse", "default"));
    assert!(config.clickhouse.history && config.clickhouse.retention.is_none());
    let engine = config.engine.unwrap();
    assert_eq!(engine.data, Path::new("/etc/walhouse/walhouse-data"));
    assert_eq!(engine.listen.to_string(), "127.0.0.1:8123");
    assert_eq!(config.console.listen.to_string(), "127.0.0.1:9090");
}

#[test]
fn the_default_file_says_what_the_code_does() {
    assert_eq!(format!("{:?}", parse(DEFAULT_FILE).unwrap()), format!("{:?}", minimal("").unwrap()));
}

/// Every commented-out key of the default file is a real one.
#[test]
fn the_default_file_comments_only_real_keys() {
    let folder = tempfile::tempdir().unwrap();
    let secrets =
        ["postgres.password", "clickhouse.password", "engine.password", "reader.password", "console.password"];
    for file in
        secrets.into_iter().chain(["ca.pem", "console.token", "console.crt", "console.key", "registry.password"])
    {
        std::fs::write(folder.path().join(file), "secret\n").unwrap();
    }
    std::fs::write(folder.path().join("pg-src.json"), r#"{"name": "c", "config": {"topic.prefix": "x"}}"#).unwrap();
    let text: String = DEFAULT_FILE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with("[tables.") || rest == "[kafka]" || is_setting(rest) => rest,
            _ => line,
        })
        .map(|line| format!("{line}\n").replace("http://", "https://"))
        .collect();
    let config = Config::parse(&folder.path().join("walhouse.toml"), &text).unwrap();
    assert_eq!(config.postgres.password_file, Some(folder.path().join("postgres.password")));
    assert!(config.clickhouse.ca_file.is_some() && config.clickhouse.password.is_some() && config.engine.is_none());
    let access = &config.console.access;
    assert!(access.password.is_some() && access.token.is_some() && access.tls.is_some() && access.audit_file.is_some());
    let kafka = config.kafka.unwrap();
    assert_eq!((kafka.name.as_deref(), kafka.client.0.len()), (Some("c"), 1));
    assert_eq!(kafka.connector.0.get("topic.prefix").map(String::as_str), Some("shop"));
    assert_eq!(kafka.connect.as_deref(), Some("https://localhost:8083"));
    let registry = kafka.registry.unwrap();
    assert_eq!((registry.url.as_str(), registry.login.unwrap().0.as_str()), ("https://localhost:8081", "walhouse"));
    let employee = config.clickhouse.tables.get(&TableName::new("public", "employee")).unwrap();
    assert_eq!(employee.name.as_deref(), Some("staff"));
    assert_eq!(employee.history, Some(false));
    assert_eq!(employee.retention, Some(Duration::from_secs(90 * 24 * 60 * 60)));
    assert_eq!((employee.columns.len(), employee.order_by.len()), (1, 1));
}

fn is_setting(text: &str) -> bool {
    let key = text.split_once(" = ").map(|(key, _)| key);
    key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

#[test]
fn an_error_names_the_line_and_the_key() {
    let cases = [
        ("tabels = []", ":3: unknown field `tabels`"),
        ("[clickhose]", ":3: unknown field `clickhose`"),
        ("[clickhouse]\nhistory = \"yes\"", ":4: invalid type"),
        ("tables = []", ":3: [postgres] tables must name a table"),
        ("tables = [\"public\"]", ":3: [postgres] tables: table pattern \"public\""),
        ("slot = \"My-Slot\"", ":3: [postgres] slot \"My-Slot\" may hold only"),
        ("publication = \"\"", ":3: [postgres] publication must have 1 to 63 bytes"),
        ("password_file = \"nowhere\"", ":3: [postgres] password_file /etc/walhouse/nowhere: No such file"),
        ("[clickhouse]\nurl = \"localhost:8123\"", ":4: [clickhouse] url must be of the form"),
        ("[clickhouse]\nurl = \"http://u:p@h:1\"", ":4: [clickhouse] url must hold no user"),
        ("[clickhouse]\nuser = \"me\"", ":4: [clickhouse] user goes with [clickhouse] url"),
        ("[clickhouse]\nretention = \"3 weeks\"", ":4: [clickhouse] retention \"3 weeks\" is neither"),
        ("[clickhouse]\nretention = \"0d\"", ":4: [clickhouse] retention"),
        ("[engine]\nlisten = \"localhost:8123\"", ":4: [engine] listen \"localhost:8123\" is not of the form"),
        ("[engine]\nlisten = \"0.0.0.0:8123\"", ":4: [engine] listen 0.0.0.0:8123 is not loopback"),
        ("[engine]\nreader = \"default\"", ":4: [engine] reader must be another user"),
        ("[engine]\nreader_password_file = \"x\"", ":4: [engine] reader_password_file goes with [engine] reader"),
        ("[console]\nlisten = \"127.0.0.1:8123\"", ":4: [engine] listen and [console] listen are both"),
        ("[console]\nallow = [\"all\"]", ":4: [console] allow: \"all\" is not one of"),
        ("[console]\ntls_cert = \"/dev/null\"", ":4: [console] tls_cert and tls_key go together"),
        ("[console]\ntoken_file = \"/dev/null\"", ":4: [console] token_file /dev/null: its first line is empty"),
        ("[kafka]\nbootstrap = \"h\"", ":4: [kafka] bootstrap must be of the form"),
        ("[kafka]\nbootstrap = \"h:1\"", ":4: [kafka] needs topic_prefix"),
        ("[kafka]\nbootstrap = \"h:1\"\nconnector = \"none.json\"", ":5: [kafka] connector /etc/walhouse/none.json"),
        ("[kafka]\nbootstrap = \"h:1\"\nconnector = { a = [] }", ":5: [kafka] connector: quote the name of option"),
        (
            "[kafka]\nbootstrap = \"h:1\"\ntopic_prefix = \"t\"\nconnect = \"h:8083\"",
            ":6: [kafka] connect must be of the form http://",
        ),
        (
            "[kafka]\nbootstrap = \"h:1\"\ntopic_prefix = \"t\"\nregistry_user = \"me\"",
            ":4: [kafka] registry_user and registry_password_file go together",
        ),
        ("[tables.employee]", ":3: [tables.\"employee\"] must name one table"),
        ("[tables.\"other.t\"]", ":3: [tables.\"other.t\"] is not among [postgres] tables"),
        ("[tables.\"public.t\"]\nnmae = \"x\"", ":4: unknown field `nmae`"),
        ("[tables.\"public.t\"]\norder_by = []", ":4: [tables.\"public.t\"] order_by must name a column"),
        ("[tables.\"public.t\"]\nretention = \"x\"", ":4: [tables.\"public.t\"] retention \"x\" is neither"),
        (
            "[tables.\"public.a\"]\nname = \"x\"\n[tables.\"public.b\"]\nname = \"x\"",
            ":5: public.a and public.b would have the same name",
        ),
    ];
    for (rest, expected) in cases {
        let message = refusal(rest);
        assert!(message.starts_with(&format!("{PATH}{expected}")), "{rest:?}\n got {message}\nwant {expected}");
        assert!(!message.contains('\n'), "one line: {message}");
    }
}

#[test]
fn a_missing_url_is_named() {
    let message = parse("[postgres]\n").unwrap_err().to_string();
    assert!(message.contains("missing field `url`"), "{message}");
    let message = parse("[postgres]\nurl = \"mysql://x\"\n").unwrap_err().to_string();
    assert!(message.contains(":2: [postgres] url must start with postgresql://"), "{message}");
}

#[test]
fn a_missing_file_says_how_to_get_one() {
    let message = Config::load(Path::new("/nonexistent/walhouse.toml")).unwrap_err().to_string();
    assert!(message.starts_with("/nonexistent/walhouse.toml: cannot read") && message.contains("--default-config"));
}

#[test]
fn a_reader_is_bound_to_the_database() {
    let config = minimal("[clickhouse]\ndatabase = \"shop\"\n[engine]\nreader = \"bi\"").unwrap();
    let reader = config.engine.unwrap().reader.unwrap();
    assert_eq!((reader.user.as_str(), reader.database.as_str(), reader.password_file), ("bi", "shop", None));
}

#[test]
fn an_open_console_is_refused_with_its_line_unless_it_is_meant() {
    let none = ConsoleOptions::default();
    let open = minimal("[console]\nlisten = \"0.0.0.0:9090\"").unwrap().console;
    let refusal = open.served(&none).unwrap_err().to_string();
    assert!(refusal.starts_with(&format!("{PATH}:4: [console] listen 0.0.0.0:9090 is not loopback")), "{refusal}");
    let meant = ConsoleOptions { insecure: true, ..none.clone() };
    let (address, access) = open.served(&meant).unwrap().unwrap();
    assert!(access.insecure && address.port() == 9090);
    let elsewhere = |console| ConsoleOptions { console: Some(console), ..none.clone() };
    assert!(open.served(&elsewhere(ConsoleAddress::Off)).unwrap().is_none());
    let loopback = "127.0.0.1:1".parse().unwrap();
    assert_eq!(open.served(&elsewhere(ConsoleAddress::At(loopback))).unwrap().unwrap().0, loopback);
    let default = minimal("").unwrap().console;
    assert_eq!(default.served(&none).unwrap().unwrap().1, walhouse_server::Access::default());
    assert!(default.served(&elsewhere(ConsoleAddress::At("10.0.0.1:1".parse().unwrap()))).is_err());
    let spelled = minimal("[console]\nlisten = \"0.0.0.0:9090\"\ninsecure = true").unwrap().console;
    assert!(spelled.served(&none).is_ok());
}

#[test]
fn a_connector_is_a_file_as_posted_or_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walhouse.toml");
    let seed = r#"{"name": "c", "config": {"topic.prefix": "rembo", "a.b": 4, "c": false, "n": null}}"#;
    let posted = [("seed.json", seed), ("flat.json", r#"{"topic.prefix": "rembo", "a.b": "4", "c": "false"}"#)];
    let head = "[postgres]\nurl = \"postgresql://h/d\"\n[kafka]\nbootstrap = \"h:1, i:2\"\n";
    let of = |rest: &str| Config::parse(&path, &format!("{head}{rest}")).unwrap().kafka.unwrap().connector.0;
    let table = of("connector = { \"topic.prefix\" = \"rembo\", \"a.b\" = 4, c = false }");
    assert_eq!(table.len(), 3);
    for (file, text) in posted {
        std::fs::write(folder.path().join(file), text).unwrap();
        assert_eq!(of(&format!("connector = {file:?}")), table);
    }
}

#[test]
fn secrets_are_not_printed() {
    let config = parse(
        "[postgres]\nurl = \"postgresql://app:hush@localhost/shop\"\n[kafka]\nbootstrap = \"h:1\"\ntopic_prefix = \"t\"\n\
         client = { \"sasl.password\" = \"hush\" }\nconnector = { \"database.password\" = \"hush\" }\n",
    )
    .unwrap();
    assert!(!format!("{config:?}").contains("hush"));
}

fn table(name: &str) -> Arc<TableSchema> {
    let (schema, name) = name.split_once('.').unwrap();
    Arc::new(TableSchema {
        relid: 1,
        name: TableName::new(schema, name),
        identity: ReplicaIdentity::Default,
        columns: vec![Column { name: "id".to_owned(), ty: PgType::builtin(23, -1).unwrap() }],
        key: vec![0],
    })
}

#[test]
fn tables_are_held_against_the_source() {
    let config = minimal(
        "tables = [\"public.*\", \"s.t\"]\n[tables.\"public.employee\"]\nview = \"view_employees_last_rec\"\n\
         order_by = [\"id\"]",
    )
    .unwrap();
    let check = |names: &[&str]| check_tables(&config, &names.iter().map(|name| table(name)).collect::<Vec<_>>());
    check(&["public.employee", "s.t"]).unwrap();
    let refusals = [
        (vec![], "no table matches \"public.*\", \"s.t\""),
        (vec!["public.employee"], "there is no table s.t"),
        (vec!["public.t", "s.t"], "[tables.\"public.employee\"]: there is no such table"),
        (vec!["public.employee", "public.s_t", "s.t"], "tables public.s_t and s.t would both create \"s_t\""),
        (
            vec!["public.employee", "public.view_employees_last_rec", "s.t"],
            "would both create \"view_employees_last_rec\"",
        ),
    ];
    for (names, expected) in refusals {
        let message = check(&names).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn an_override_must_fit_its_table() {
    let check = |line: &str| {
        let config = minimal(&format!("[tables.\"public.t\"]\n{line}")).unwrap();
        check_tables(&config, &[table("public.t")]).unwrap_err().to_string()
    };
    assert!(check("order_by = [\"nope\"]").contains("order_by names column \"nope\""));
    assert!(check("columns = { id = \"Float32\" }").contains("id"));
}
