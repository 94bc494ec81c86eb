//! What Debezium 2.4.2 asks of its options' values, and what it says when they are not so.
//!
//! Recorded: each option was given each kind of value on a real worker. An option that is not in the table takes
//! anything.

use std::collections::BTreeMap;

/// A rule for one value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// There must be one.
    Required,
    /// A whole number; said as often as the option is checked for it.
    Integer,
    Long,
    PositiveInteger,
    NonNegativeInteger,
    NonNegativeLong,
    PositiveLong,
    Boolean,
    /// One of these, in any case, with blanks around it or without.
    OneOf(&'static [&'static str]),
    /// Letters, digits, `.`, `_` and `-`.
    Name,
    SlotName,
    QueueSize,
    ClassName,
    Regexes,
    NotEmpty,
    ReplicaIdentity,
    /// Not beside that other option, which is named so in the message.
    NotBeside(&'static str, &'static str),
}

use Rule::{
    Boolean, ClassName, Integer, Long, Name, NonNegativeInteger, NonNegativeLong, NotBeside, NotEmpty, OneOf,
    PositiveInteger, PositiveLong, QueueSize, Regexes, ReplicaIdentity, Required, SlotName,
};

const IDENTITY: &str =
    r"(?i)^\s*(?<tablepredicate>[^\s:]+):(?<replicaidentity>DEFAULT|(INDEX) (?<indexname>.\w*)|FULL|NOTHING)\s*$";

pub(super) const RULES: [(&str, &[Rule]); 59] = [
    ("topic.prefix", &[Required, Name]),
    ("database.hostname", &[Required, Name]),
    ("database.port", &[Integer, Integer]),
    ("database.user", &[Required]),
    ("database.dbname", &[Required]),
    ("plugin.name", &[OneOf(&["decoderbufs", "pgoutput"])]),
    ("slot.name", &[SlotName]),
    ("publication.autocreate.mode", &[OneOf(&["filtered", "disabled", "all_tables"])]),
    ("replica.identity.autoset.values", &[NotEmpty, ReplicaIdentity]),
    ("slot.drop.on.stop", &[Boolean]),
    ("database.sslmode", &[OneOf(&["allow", "prefer", "disable", "verify-ca", "require", "verify-full"])]),
    ("slot.max.retries", &[Integer, Integer]),
    ("slot.retry.delay.ms", &[Long, Integer]),
    ("status.update.interval.ms", &[Integer, PositiveInteger]),
    ("database.tcpKeepAlive", &[Boolean, Boolean]),
    ("xmin.fetch.interval.ms", &[Long, NonNegativeLong]),
    ("flush.lsn.source", &[Boolean, Boolean]),
    ("event.processing.failure.handling.mode", &[OneOf(&["warn", "fail", "ignore", "skip"])]),
    ("max.batch.size", &[Integer, PositiveInteger]),
    ("max.queue.size", &[QueueSize]),
    ("poll.interval.ms", &[Long, PositiveInteger]),
    ("max.queue.size.in.bytes", &[Long, NonNegativeLong]),
    ("provide.transaction.metadata", &[Boolean]),
    ("snapshot.delay.ms", &[Long, NonNegativeLong]),
    ("snapshot.include.collection.list", &[Regexes]),
    ("snapshot.fetch.size", &[Integer, NonNegativeInteger]),
    ("snapshot.max.threads", &[Integer, PositiveInteger]),
    ("retriable.restart.connector.wait.ms", &[Long, PositiveLong]),
    ("query.fetch.size", &[Integer, NonNegativeInteger]),
    ("errors.max.retries", &[Integer, Integer]),
    ("decimal.handling.mode", &[OneOf(&["string", "double", "precise"])]),
    ("time.precision.mode", &[OneOf(&["adaptive", "adaptive_time_microseconds", "connect"])]),
    ("snapshot.lock.timeout.ms", &[Long]),
    ("snapshot.mode", &[OneOf(&["always", "never", "initial_only", "initial", "custom"])]),
    ("hstore.handling.mode", &[OneOf(&["json", "map"])]),
    ("binary.handling.mode", &[OneOf(&["bytes", "base64", "hex", "base64-url-safe"])]),
    ("schema.name.adjustment.mode", &[OneOf(&["none", "avro_unicode", "avro"])]),
    ("interval.handling.mode", &[OneOf(&["string", "numeric"])]),
    ("schema.refresh.mode", &[OneOf(&["columns_diff", "columns_diff_exclude_unchanged_toast"])]),
    ("incremental.snapshot.chunk.size", &[Integer, NonNegativeInteger]),
    ("message.prefix.include.list", &[Regexes]),
    (
        "message.prefix.exclude.list",
        &[Regexes, NotBeside("message.prefix.include.list", "logical_decoding_message.prefix.include.list")],
    ),
    ("tombstones.on.delete", &[Boolean, Boolean]),
    ("heartbeat.interval.ms", &[Integer, NonNegativeInteger]),
    ("signal.poll.interval.ms", &[Long, PositiveInteger]),
    ("topic.naming.strategy", &[ClassName]),
    ("column.include.list", &[Regexes]),
    ("column.exclude.list", &[Regexes, NotBeside("column.include.list", "column.include.list")]),
    ("table.include.list", &[Regexes]),
    ("table.exclude.list", &[Regexes, NotBeside("table.include.list", "table.include.list")]),
    ("table.ignore.builtin", &[Boolean, Boolean]),
    ("schema.include.list", &[Regexes]),
    ("schema.exclude.list", &[Regexes, NotBeside("schema.include.list", "schema.include.list")]),
    ("include.schema.comments", &[Boolean, Boolean]),
    ("column.propagate.source.type", &[Regexes]),
    ("datatype.propagate.source.type", &[Regexes]),
    ("internal.snapshot.scan.all.columns.force", &[Boolean]),
    ("snapshot.tables.order.by.row.count", &[OneOf(&["disabled", "ascending", "descending"])]),
    ("include.unknown.datatypes", &[Boolean]),
];

/// What later versions of Debezium call a value, which are taken here too.
const NEWER: [(&str, &[&str]); 2] =
    [("snapshot.mode", &["no_data", "when_needed"]), ("publication.autocreate.mode", &["no_tables"])];

/// The values that an option's recommender names.
pub(super) fn choices(option: &str) -> &'static [&'static str] {
    let rules = RULES.iter().find(|(name, _)| *name == option).map_or(&[][..], |(_, rules)| rules);
    rules.iter().find_map(|rule| if let OneOf(choices) = rule { Some(*choices) } else { None }).unwrap_or_default()
}

/// What is wrong with an option, in Debezium's words.
pub(super) fn faults(option: &str, config: &BTreeMap<String, String>) -> Vec<String> {
    let rules = RULES.iter().find(|(name, _)| *name == option).map_or(&[][..], |(_, rules)| rules);
    let problems = rules.iter().flat_map(|rule| problems(*rule, option, config));
    problems.map(|problem| format!("The '{option}' value is invalid: {problem}")).collect()
}

fn problems(rule: Rule, option: &str, config: &BTreeMap<String, String>) -> Vec<String> {
    let value = config.get(option).map(String::as_str);
    if let Required = rule {
        return if value.unwrap_or_default().is_empty() { vec!["A value is required".to_owned()] } else { Vec::new() };
    }
    let Some(value) = value else {
        return if let QueueSize = rule { queue_size(None, config) } else { Vec::new() };
    };
    let integer = value.parse::<i32>().ok();
    let long = value.parse::<i64>().ok();
    let unless = |good: bool, problem: &str| if good { Vec::new() } else { vec![problem.to_owned()] };
    match rule {
        Required => Vec::new(),
        Integer => unless(long.is_some_and(|_| integer.is_some()), "An integer is expected"),
        Long => unless(long.is_some(), "A long value is expected"),
        PositiveInteger => {
            unless(long.is_some_and(|number| number > 0), "A positive, non-zero integer value is expected")
        }
        NonNegativeInteger => unless(integer.is_some_and(|number| number >= 0), "An non-negative integer is expected"),
        NonNegativeLong => unless(long.is_some_and(|number| number >= 0), "A non-negative long value is expected"),
        PositiveLong => unless(long.is_some_and(|number| number > 0), "A positive, non-zero long value is expected"),
        Boolean => {
            let value = value.trim();
            let good = value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
            unless(good, "Either 'true' or 'false' is expected")
        }
        OneOf(choices) => one_of(option, value, choices),
        Name => {
            let good = !value.is_empty() && value.bytes().all(is_name);
            let format =
                "has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)";
            // An empty host is only said to be missing.
            if value.is_empty() && option == "database.hostname" {
                Vec::new()
            } else {
                unless(good, &format!("{value} {format}"))
            }
        }
        SlotName => {
            let good = (1..=63).contains(&value.len())
                && value.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit() || byte.is_ascii_lowercase());
            let rule = "must contain only digits, lowercase characters and underscores with length <= 63";
            unless(good, &format!("Valid replication slot name {rule}"))
        }
        QueueSize => queue_size(Some(value), config),
        ClassName => {
            let identifier = |part: &str| {
                part.starts_with(|letter: char| letter.is_alphabetic() || letter == '_' || letter == '$')
                    && part.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '$')
            };
            let parts: Vec<&str> = value.split('.').collect();
            let reserved = ["true", "false", "null"].contains(&value);
            let simple = parts.len() == 1 && value.starts_with(char::is_lowercase);
            unless(parts.into_iter().all(identifier) && !reserved && !simple, "A Java class name is expected")
        }
        Regexes => regexes(value),
        NotEmpty => unless(!value.is_empty(), "Must not be empty"),
        ReplicaIdentity => {
            let good = value == "," || value.split(',').all(|part| is_identity(part.trim()));
            unless(good, &format!("{value} has an invalid format (expecting '{IDENTITY}')"))
        }
        NotBeside(other, called) => unless(!config.contains_key(other), &format!("\"{called}\" is already specified")),
    }
}

fn one_of(option: &str, value: &str, choices: &[&str]) -> Vec<String> {
    let newer = NEWER.iter().find(|(name, _)| *name == option).map_or(&[][..], |(_, newer)| newer);
    let value = value.trim();
    // The driver is told as it is written: no blanks, small letters.
    if choices.iter().chain(newer).any(|choice| choice.eq_ignore_ascii_case(value)) {
        return Vec::new();
    }
    vec![format!("Value must be one of {}", choices.join(", "))]
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// The queue must hold more than a batch; the defaults do.
fn queue_size(value: Option<&str>, config: &BTreeMap<String, String>) -> Vec<String> {
    let Ok(size) = value.unwrap_or("8192").parse::<i32>() else { return vec!["An integer is expected".to_owned()] };
    let batch: i32 = config.get("max.batch.size").map_or(Ok(2048), |text| text.parse()).unwrap_or(2048);
    let mut problems = Vec::new();
    if size <= 0 {
        problems.push("A positive queue size is required".to_owned());
    }
    if size <= batch {
        problems.push("Must be larger than the maximum batch size".to_owned());
    }
    problems
}

/// A list of regular expressions with commas between them; a comma after a backslash is part of one.
fn regexes(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, parts.last_mut()) {
            ('\\', Some(part)) if letters.peek() == Some(&',') => part.extend(letters.next()),
            (',', _) => parts.push(String::new()),
            (letter, Some(part)) => part.push(letter),
            (_, None) => {}
        }
    }
    let broken = |part: &String| regex::Regex::new(part.trim()).err();
    let said = |error: regex::Error| {
        let last = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("A comma-separated list of valid regular expressions is expected, but {last}")
    };
    parts.iter().find_map(broken).map(said).into_iter().collect()
}

fn is_identity(part: &str) -> bool {
    let Some((table, identity)) = part.split_once(':') else { return false };
    let identity = identity.trim().to_ascii_uppercase();
    let known = ["DEFAULT", "FULL", "NOTHING"].contains(&identity.as_str()) || identity.starts_with("INDEX ");
    !table.is_empty() && !table.contains(char::is_whitespace) && known
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line: an option, a value, and what a real worker said to it.
    const RECORDED: &str = include_str!("data/rules.jsonl");

    #[test]
    fn says_what_debezium_said() {
        let mut wrong = Vec::new();
        for line in RECORDED.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| case[key].as_str().unwrap();
            let (option, value) = (text("option"), text("value"));
            let mut config = BTreeMap::from([(option.to_owned(), value.to_owned())]);
            config.entry("table.include.list".to_owned()).or_insert_with(|| "public.orders".to_owned());
            let expected: Vec<&str> =
                case["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
            let said = faults(option, &config);
            // Regular expressions have other words for what is wrong.
            let but = |text: &str| text.split(", but ").next().unwrap_or_default().to_owned();
            if said.iter().map(|text| but(text)).ne(expected.iter().map(|text| but(text))) {
                wrong.push(format!("{option}={value:?}\n  expected {expected:?}\n  got      {said:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
