//! Right by default: what 2.4.2 garbles, nulls or fails on, without `walhouse.oddities`.

use crate::scenario::{Hints, Scenario, text};

fn values(name: &str) -> Vec<String> {
    let mut scenario = Scenario::load(name);
    scenario.config.remove("walhouse.oddities");
    let (records, error) = scenario.replay(Hints::default());
    assert_eq!(error, None, "{name}");
    records.iter().filter_map(|record| text(record.value.as_ref())).collect()
}

fn some_value_has(name: &str, part: &str) {
    assert!(values(name).iter().any(|value| value.contains(part)), "{name}: no value with {part}");
}

#[test]
fn identifiers_keep_their_letters() {
    some_value_has("f-keys-identifiers", r#""Ünï":2"#);
    let mut scenario = Scenario::load("f-keys-identifiers");
    scenario.config.remove("walhouse.oddities");
    let (records, _) = scenario.replay(Hints::default());
    let key = records.iter().filter_map(|record| text(record.key.as_ref())).find(|key| key.contains("Order Id"));
    assert!(key.is_some_and(|key| key.ends_with(r#""payload":{"Ünï":2,"Order Id":1}}"#)));
}

#[test]
fn names_are_text_when_streamed() {
    some_value_has("c-types-default", r#""nm":"nm""#);
}

#[test]
fn arrays_of_bits_are_filled() {
    some_value_has("c-types-default", r#""abit":["BQ==","Ag=="]"#);
}

#[test]
fn array_elements_keep_their_fractions() {
    some_value_has("c-types-default", r#""atm":[3723500000,86399999999]"#);
    some_value_has("c-types-default", r#""attz":["23:02:03Z","14:00:00.25Z"]"#);
}

#[test]
fn elements_of_inner_arrays_are_kept() {
    some_value_has("c-types-extremes-streamed", r#""v":[1,2,3,4]"#);
    some_value_has("c-types-extremes-streamed", r#""v":["a","b","c","d"]"#);
}

#[test]
fn enum_arrays_may_hold_nulls() {
    some_value_has("c-types-extremes-streamed", r#""v":["a",null]"#);
}

#[test]
fn negative_scales_are_whole_numbers() {
    some_value_has("c-types-default", r#""nneg":"MAw=""#);
}

#[test]
fn defaults_with_quotes_are_whole() {
    some_value_has("d-defaults", r#""default":"it's""#);
}

#[test]
fn defaults_wider_than_the_scale_do_not_stop_the_task() {
    assert!(!values("d-default-wider-than-scale").is_empty());
}

#[test]
fn what_cannot_be_represented_does_not_stop_the_task() {
    assert!(values("c-fatal-nan-not-null").len() > 1);
}

#[test]
fn columns_that_differ_by_case_are_two_columns() {
    assert!(values("f-fatal-columns-differ-by-case").len() > 1);
}

#[test]
fn a_key_that_moved_is_never_skipped() {
    let mut scenario = Scenario::load("h-columns-include-skip");
    scenario.config.remove("walhouse.oddities");
    let (records, _) = scenario.replay(Hints::default());
    assert!(records.iter().any(|record| record.headers.iter().any(|header| &*header.name == "__debezium.newkey")));
}

#[test]
fn structs_can_be_added() {
    some_value_has("h-fatal-smt-add-struct", r#""__source":{"version":"2.4.2.Final""#);
}

#[test]
fn prefixes_of_messages_keep_their_letters() {
    some_value_has("h-txmeta-heartbeat-message", r#""message":{"prefix":"évé""#);
}

#[test]
fn infinities_in_arrays_are_those_of_scalars() {
    some_value_has("c-types-extremes-streamed", r#""v":["-infinity"]"#);
    some_value_has("c-types-extremes-streamed", r#""v":[-2147472692,18262]"#);
}

#[test]
fn defaults_are_read_to_their_end() {
    some_value_has("d-defaults", r#""default":9223372036825200000,"field":"tsi""#);
    some_value_has("d-defaults", r#""default":"a\nb","field":"tesc""#);
    some_value_has("d-defaults", r#""default":"b","field":"em""#);
}

#[test]
fn placeholders_are_there_in_every_mode() {
    some_value_has("e-identity-toast", r#""hs":"{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}""#);
    some_value_has("e-identity-toast-modes", r#""by":"?NA?""#);
}

#[test]
fn what_was_not_sent_does_not_stop_the_task() {
    let mut scenario = Scenario::load("e-identity-toast");
    scenario.require("rid_default", "hs");
    let (_, error) = scenario.replay(Hints::default());
    assert!(matches!(error, Some(walhouse_kafka::Error::RequiredField { .. })));
    scenario.config.remove("walhouse.oddities");
    assert_eq!(scenario.replay(Hints::default()).1, None);
}

#[test]
fn binary_keys_tell_rows_apart() {
    let mut scenario = Scenario::load("f-header-values");
    scenario.config.remove("walhouse.oddities");
    scenario.config.insert("key.converter".into(), "org.apache.kafka.connect.storage.StringConverter".into());
    let (records, _) = scenario.replay(Hints::default());
    let keys: Vec<String> = records.iter().filter_map(|record| text(record.key.as_ref())).collect();
    assert!(keys.iter().any(|key| key.contains(",by=AP8i,")), "no base64");
    assert!(!keys.iter().any(|key| key.contains("HeapByteBuffer")));
}
