//! A random connector configuration: every option that changes what a message looks like.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A connector's options, by name.
pub(crate) type Config = Vec<(String, String)>;

/// Options with their values; each scenario takes some.
const CHOICES: [(&str, &[&str]); 17] = [
    ("decimal.handling.mode", &["precise", "double", "string"]),
    ("time.precision.mode", &["adaptive", "adaptive_time_microseconds", "connect"]),
    ("binary.handling.mode", &["bytes", "base64", "base64-url-safe", "hex"]),
    ("interval.handling.mode", &["numeric", "string"]),
    ("money.fraction.digits", &["0", "2", "3"]),
    ("include.unknown.datatypes", &["true", "false"]),
    ("tombstones.on.delete", &["true", "false"]),
    ("skipped.operations", &["t", "none", "u", "d"]),
    ("provide.transaction.metadata", &["true", "false"]),
    ("schema.name.adjustment.mode", &["none", "avro", "avro_unicode"]),
    ("field.name.adjustment.mode", &["none", "avro"]),
    ("column.propagate.source.type", &[".*"]),
    ("unavailable.value.placeholder", &["gone", "__debezium_unavailable_value"]),
    ("topic.delimiter", &[".", "-"]),
    ("skip.messages.without.change", &["true", "false"]),
    ("max.batch.size", &["16", "2048"]),
    ("converters.unused", &["a key that nobody knows"]),
];

/// How the row is taken out of its envelope.
const UNWRAP_CHOICES: [(&str, &[&str]); 6] = [
    ("delete.handling.mode", &["drop", "rewrite", "none"]),
    ("drop.tombstones", &["true", "false"]),
    ("add.fields", &["table,op,lsn,source.ts_ms", "op", "op,source.schema,source.txId", "op,db,snapshot"]),
    ("add.headers", &["op", "table", "op,db"]),
    ("add.fields.prefix", &["__", "x_"]),
    ("add.headers.prefix", &["__", ""]),
];

/// The options of scenario `number`, but for what names the database, the slot and the publication.
pub(crate) fn choose(random: &mut ChaCha8Rng, number: u64, snapshot: bool) -> Config {
    let mut config = Config::new();
    let mut set = |key: &str, value: &str| config.push((key.to_owned(), value.to_owned()));
    set("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
    set("plugin.name", "pgoutput");
    set("topic.prefix", &format!("c{number}"));
    set("snapshot.mode", if snapshot { "initial" } else { "never" });
    set("poll.interval.ms", "50");
    set("walhouse.oddities", "true");
    set("topic.creation.default.replication.factor", "1");
    set("topic.creation.default.partitions", one(random, &["1", "3", "4"]));
    for (key, values) in CHOICES {
        if random.random_bool(0.35) {
            set(key, one(random, values));
        }
    }
    for side in ["key", "value"] {
        if random.random_bool(0.7) {
            set(&format!("{side}.converter"), "org.apache.kafka.connect.json.JsonConverter");
            set(&format!("{side}.converter.schemas.enable"), one(random, &["true", "false"]));
        } else if side == "key" {
            set("key.converter", "org.apache.kafka.connect.storage.StringConverter");
        }
    }
    columns(random, &mut config);
    transforms(random, &mut config);
    config
}

/// Leaves keys to the tables where keys are printed: what is printed of some types has no one answer.
pub(crate) fn without_printed_keys(config: &mut Config) {
    let printed = config.iter().any(|(key, value)| key == "key.converter" && value.ends_with("StringConverter"));
    config.retain(|(key, _)| !printed || key != "message.key.columns");
}

/// Columns that are left out, masked or cut; every table has `c1`, `c2` and so on.
fn columns(random: &mut ChaCha8Rng, config: &mut Config) {
    let mut set = |key: &str, value: &str| config.push((key.to_owned(), value.to_owned()));
    if random.random_bool(0.15) {
        set("column.exclude.list", r"public\.t[0-9]\.c2");
    }
    if random.random_bool(0.15) {
        set("column.mask.with.6.chars", r"public\.t[0-9]\.c[34]");
    }
    if random.random_bool(0.15) {
        set("column.truncate.to.3.chars", r"public\.t[0-9]\.c5");
    }
    if random.random_bool(0.15) {
        set("column.mask.hash.v2.SHA-256.with.salt.salty", r"public\.t[0-9]\.c6");
    }
    if random.random_bool(0.15) {
        set("message.key.columns", "public.t1:c1;public.t2:id,c3");
    }
}

fn transforms(random: &mut ChaCha8Rng, config: &mut Config) {
    let mut names = Vec::new();
    let mut set = |key: &str, value: &str| config.push((key.to_owned(), value.to_owned()));
    if random.random_bool(0.5) {
        names.push("unwrap");
        set("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState");
        for (key, values) in UNWRAP_CHOICES {
            if random.random_bool(0.5) {
                set(&format!("transforms.unwrap.{key}"), one(random, values));
            }
        }
    }
    if random.random_bool(0.2) {
        names.push("route");
        set("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter");
        set("transforms.route.regex", r"(.*)\.t([0-9])");
        set("transforms.route.replacement", "$1.renamed_$2");
    }
    if !names.is_empty() {
        set("transforms", &names.join(","));
    }
}

fn one<'a>(random: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from[random.random_range(0..from.len())]
}
