//! Options on recordings that were made without them: masks, cuts, source types, keys, the fraction's digits of money,
//! operations that are skipped.

use walhouse_kafka::Record;

use crate::scenario::{Hints, Scenario, text};

const STRINGS: &str = "c-types-string-connect-base64";

fn replay(name: &str, options: &[(&str, &str)], oddities: bool) -> Vec<Record> {
    let mut scenario = Scenario::load(name);
    if !oddities {
        scenario.config.remove("walhouse.oddities");
    }
    scenario.config.extend(options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let (records, error) = scenario.replay(Hints::default());
    assert_eq!(error, None, "{name}");
    records
}

fn values(options: &[(&str, &str)], oddities: bool) -> String {
    let records = replay(STRINGS, options, oddities);
    records.iter().filter_map(|record| text(record.value.as_ref())).collect::<Vec<_>>().join("\n")
}

fn has(values: &str, part: &str) {
    assert!(values.contains(part), "no {part}");
}

#[test]
fn texts_of_every_type_are_cut() {
    let all = values(&[("column.truncate.to.3.chars", r"public\.t_num\.(n3010|m|i|b),public\.t_str\.(u|j|vc)")], true);
    has(&all, r#""n3010":"1.5""#);
    has(&all, r#""m":"123""#);
    has(&all, r#""vc":"var""#);
    has(&all, r#"{"type":"string","optional":true,"parameters":{"truncateLength":"3"},"field":"n3010"}"#);
    has(&all, r#"{"type":"int32","optional":true,"parameters":{"truncateLength":"3"},"field":"i"}"#);
    has(&all, r#"{"type":"boolean","optional":true,"field":"b"}"#);
    has(&all, r#""i":2147483647"#);
}

#[test]
fn texts_are_masked_and_columns_are_marked() {
    let all = values(&[("column.mask.with.4.chars", r"public\.t_str\.(e|vc|nm),public\.t_num\.i")], true);
    has(&all, r#""vc":"****""#);
    has(&all, r#""e":"****""#);
    has(&all, r#"{"type":"int32","optional":true,"parameters":{"masked":"true"},"field":"i"}"#);
    has(&all, r#""i":2147483647"#);
}

#[test]
fn a_hash_is_as_long_as_its_column() {
    let all = values(&[("column.mask.hash.v2.SHA-256.with.salt.s", r"public\.t_str\.(vc|vcn)")], true);
    let length = |field: &str| {
        let (_, rest) = all.split_once(&format!(r#""{field}":""#)).unwrap();
        rest.split_once('"').unwrap().0.len()
    };
    assert_eq!((length("vc"), length("vcn")), (20, 64));
}

#[test]
fn a_secret_stays_one_whose_source_type_is_wanted() {
    let options =
        [("column.mask.hash.v2.SHA-256.with.salt.s", r"public\.t_str\.vc"), ("column.propagate.source.type", ".*")];
    has(&values(&options, true), r#""vc":"varchar""#);
    let right = values(&options, false);
    assert!(!right.contains(r#""vc":"varchar""#));
    has(&right, r#""__debezium.source.column.name":"vc","masked":"true""#);
    // Cuts and asterisks come before the source's type.
    let options = [("column.mask.with.4.chars", r"public\.t_str\.vc"), ("column.propagate.source.type", ".*")];
    let all = values(&options, true);
    has(&all, r#""parameters":{"masked":"true"},"field":"vc""#);
    has(&all, r#""vc":"****""#);
}

#[test]
fn an_array_has_the_source_type_of_its_elements() {
    let all = values(&[("column.propagate.source.type", r"public\.t_arr\..*")], true);
    let of = |ty: &str, length: &str, scale: &str, name: &str| {
        let own = |key: &str, value: &str| format!(r#""__debezium.source.column.{key}":"{value}""#);
        let parts = [own("type", ty), own("length", length), own("scale", scale), own("name", name)];
        has(&all, &parts.join(","));
    };
    of("_INT8", "19", "0", "a8");
    of("_NUMERIC", "10", "2", "an2");
    of("_VARCHAR", "10", "0", "av");
}

#[test]
fn only_decimals_of_money_are_rounded() {
    let digits = ("money.fraction.digits", "0");
    has(&values(&[digits], true), r#""m":"1234.50""#);
    has(&values(&[digits, ("decimal.handling.mode", "double")], true), r#""m":1234.5"#);
    has(&values(&[digits, ("decimal.handling.mode", "precise")], true), r#""m":"BNM=""#);
}

#[test]
fn a_key_whose_columns_are_gone_is_the_tables_own() {
    let keys = |columns: &str| {
        let records = replay(STRINGS, &[("message.key.columns", columns)], true);
        records.iter().filter_map(|record| text(record.key.as_ref())).collect::<Vec<_>>()
    };
    assert_eq!(keys("public.t_num:gone"), keys("public.other:id"));
    assert!(keys("public.t_num:b;public.t_.*:id").iter().any(|key| key.contains(r#","b":true}"#)));
}

#[test]
fn bits_in_printed_keys_are_the_same_for_every_record() {
    let options = [
        ("message.key.columns", "public.t_misc:id,b8"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
    ];
    let records = replay(STRINGS, &options, true);
    let keys: Vec<String> = records.iter().filter_map(|record| text(record.key.as_ref())).collect();
    assert!(keys.iter().any(|key| key.starts_with("Struct{id=") && key.contains(",b8=")));
    assert!(!keys.iter().any(|key| key.contains("HeapByteBuffer")));
}

#[test]
fn a_key_that_moves_leaves_out_what_is_skipped() {
    let moved = |skipped: &str| {
        let records = replay("f-header-values", &[("skipped.operations", skipped)], true);
        let count = |name: &str| {
            let has = |record: &&Record| record.headers.iter().any(|header| &*header.name == name);
            records.iter().filter(has).count()
        };
        (count("__debezium.newkey") > 0, count("__debezium.oldkey") > 0)
    };
    assert_eq!(moved("t"), (true, true));
    assert_eq!(moved("d"), (false, true));
    assert_eq!(moved("c"), (true, false));
}
