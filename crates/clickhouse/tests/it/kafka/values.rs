//! Every type under every handling mode: what Debezium writes is read back as the direct way stores it.

use serde_json::{Value, json};
use walhouse_change::ReplicaIdentity;
use walhouse_clickhouse::kafka::{Around, Binary, Wire};
use walhouse_value::{Class, PgType};

use super::{builtin, create, feed, send};
use crate::support::{INT4, Place};

/// A type, its Connect schema, and values with what they become.
struct Case {
    ty: PgType,
    schema: Value,
    values: Vec<(Value, &'static str)>,
}

fn case(ty: PgType, schema: Value, values: &[(Value, &'static str)]) -> Case {
    Case { ty, schema, values: values.to_vec() }
}

fn named(kind: &str, name: &str) -> Value {
    json!({"type": kind, "name": name, "version": 1})
}

fn decimal(scale: u32) -> Value {
    json!({"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": scale.to_string()}})
}

fn array(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

fn numeric(precision: i32, scale: i32) -> PgType {
    PgType::builtin(1700, ((precision << 16) | scale) + 4).unwrap()
}

fn list_of(element: u32) -> PgType {
    PgType::new(0, -1, "list", Class::Array(Box::new(builtin(element))))
}

fn cases() -> Vec<Case> {
    [numbers(), times(), texts(), lists()].into_iter().flatten().collect()
}

fn numbers() -> Vec<Case> {
    let plain = |kind: &str| json!({"type": kind});
    let variable = named("struct", "io.debezium.data.VariableScaleDecimal");
    let sized = |scale: i32, value: &str| json!({"scale": scale, "value": value});
    vec![
        case(builtin(21), plain("int16"), &[(json!(-32768), "-32768")]),
        case(builtin(20), plain("int64"), &[(json!(9_223_372_036_854_775_807_i64), "9223372036854775807")]),
        case(builtin(26), plain("int64"), &[(json!(4_294_967_295_u32), "4294967295")]),
        case(builtin(16), plain("boolean"), &[(json!(true), "true"), (json!(false), "false"), (json!(null), "\\N")]),
        case(builtin(700), plain("float"), &[(json!(0.1), "0.1"), (json!("NaN"), "nan")]),
        case(builtin(701), plain("double"), &[(json!(1.0e10), "10000000000"), (json!("-Infinity"), "-inf")]),
        case(numeric(5, 2), decimal(2), &[(json!("AJY="), "1.5"), (json!("/w=="), "-0.01"), (json!("AA=="), "0")]),
        case(
            numeric(38, 0),
            decimal(0),
            &[(json!("CUmw9vACMxPESZBQ3jjzTg=="), "12345678901234567890123456789012345678")],
        ),
        case(numeric(12, 2), plain("double"), &[(json!(1234.5), "1234.5"), (json!("NaN"), "\\N NaN")]),
        case(numeric(12, 2), plain("string"), &[(json!("-1234.50"), "-1234.5"), (json!("NAN"), "\\N NaN")]),
        case(numeric(80, 2), decimal(2), &[(json!("AJY="), "1.50")]),
        case(
            builtin(1700),
            variable,
            &[(sized(1, "Dw=="), "1.5"), (sized(0, "Ag=="), "2"), (sized(3, "/w=="), "-0.001")],
        ),
        case(builtin(1700), plain("string"), &[(json!("1.10"), "1.10"), (json!("POSITIVE_INFINITY"), "Infinity")]),
        case(builtin(790), decimal(2), &[(json!("AeJA"), "1234.56"), (json!("gAAAAAAAAAA="), "-92233720368547758.08")]),
        case(builtin(790), plain("string"), &[(json!("1234.50"), "1234.5")]),
    ]
}

fn times() -> Vec<Case> {
    let infinity = 9_223_372_036_825_200_000_i64;
    let debezium = |kind: &str, name: &str| named(kind, &format!("io.debezium.time.{name}"));
    let connect = |kind: &str, name: &str| named(kind, &format!("org.apache.kafka.connect.data.{name}"));
    let dates = [
        (json!(18262), "2020-01-01"),
        (json!(-1), "1969-12-31"),
        (json!(2_932_896), "9999-12-31"),
        (json!(-719_528), "0000-01-01"),
        (json!(-2_147_472_692), "\\N infinity"),
        (json!(4_000_000), "\\N 4000000 days since 1970-01-01"),
    ];
    vec![
        case(builtin(1082), debezium("int32", "Date"), &dates),
        case(builtin(1082), connect("int32", "Date"), &dates[..2]),
        case(builtin(1083), debezium("int32", "Time"), &[(json!(3_723_500), "01:02:03.500000")]),
        case(builtin(1083), connect("int32", "Time"), &[(json!(3_723_500), "01:02:03.500000")]),
        case(
            builtin(1083),
            debezium("int64", "MicroTime"),
            &[(json!(3_723_456_789_i64), "01:02:03.456789"), (json!(86_400_000_000_i64), "24:00:00.000000")],
        ),
        case(
            builtin(1114),
            debezium("int64", "MicroTimestamp"),
            &[
                (json!(1_577_840_523_456_789_i64), "2020-01-01 01:02:03.456789"),
                (json!(-1), "1969-12-31 23:59:59.999999"),
                (json!(infinity), "\\N infinity"),
                (json!(9_223_000_000_000_000_000_i64), "\\N 9223000000000000000 us since 1970-01-01"),
            ],
        ),
        case(
            builtin(1114),
            debezium("int64", "Timestamp"),
            &[(json!(1_577_840_523_456_i64), "2020-01-01 01:02:03.456000"), (json!(infinity / 1000), "\\N infinity")],
        ),
        case(builtin(1114), connect("int64", "Timestamp"), &[(json!(-1), "1969-12-31 23:59:59.999000")]),
        case(
            builtin(1184),
            debezium("string", "ZonedTimestamp"),
            &[
                (json!("2023-11-08T11:34:09.123456Z"), "2023-11-08 11:34:09.123456"),
                (json!("1883-11-18T12:03:58Z"), "1883-11-18 12:03:58.000000"),
                (json!("0001-01-01T00:00:00.500Z"), "0001-01-01 00:00:00.500000"),
                (json!("-infinity"), "\\N -infinity"),
                (json!("+21016-11-04T06:51:30.123456Z"), "\\N +21016-11-04T06:51:30.123456Z"),
            ],
        ),
        case(builtin(1266), debezium("string", "ZonedTime"), &[(json!("23:02:03.5Z"), "23:02:03.5+00")]),
        case(
            builtin(1186),
            debezium("int64", "MicroDuration"),
            &[(json!(14_706_789_000_i64), "04:05:06.789"), (json!(-1), "-00:00:00.000001")],
        ),
        case(
            builtin(1186),
            debezium("string", "Interval"),
            &[
                (json!("P1Y2M3DT4H5M6.789S"), "1 year 2 mons 3 days 04:05:06.789"),
                (json!("P-1Y-2M-3DT-4H-5M-6.789S"), "-1 years -2 mons -3 days -04:05:06.789"),
                (json!("P0Y1M-1DT0H0M0.000001S"), "1 mon -1 days +00:00:00.000001"),
                (json!("P0Y0M0DT0H0M0S"), "00:00:00"),
                (json!("P0Y0M0DT0H0M59.9995S"), "00:00:59.9995"),
                (json!("P-5Y0M1DT0H0M0S"), "-5 years +1 day"),
            ],
        ),
    ]
}

fn texts() -> Vec<Case> {
    let text = json!({"type": "string"});
    let bits =
        |length: &str| json!({"type": "bytes", "name": "io.debezium.data.Bits", "parameters": {"length": length}});
    let hstore = PgType::new(90_000, -1, "hstore", Class::Other);
    let other = |name: &str| PgType::new(90_001, -1, name, Class::Other);
    let point = named("struct", "io.debezium.data.geometry.Point");
    let geometry = named("struct", "io.debezium.data.geometry.Geometry");
    vec![
        case(builtin(25), text.clone(), &[(json!("a\"b\\ \u{1f600}\n"), "a\"b\\\\ \u{1f600}\\n"), (json!(""), "")]),
        case(
            builtin(2950),
            named("string", "io.debezium.data.Uuid"),
            &[(json!("11111111-2222-3333-4444-555555555555"), "11111111-2222-3333-4444-555555555555")],
        ),
        case(
            PgType::new(80_000, -1, "mood", Class::Enum),
            named("string", "io.debezium.data.Enum"),
            &[(json!("ok"), "ok")],
        ),
        case(builtin(3802), named("string", "io.debezium.data.Json"), &[(json!("{\"a\": 1.50}"), "{\"a\": 1.50}")]),
        case(builtin(17), json!({"type": "bytes"}), &[(json!("YWJj"), "abc"), (json!(""), "")]),
        case(builtin(1560), bits("8"), &[(json!("sA=="), "10110000"), (json!(""), "00000000")]),
        case(builtin(1560), bits("20"), &[(json!("AQAI"), "10000000000000000001")]),
        case(builtin(1560), json!({"type": "boolean"}), &[(json!(true), "1")]),
        case(builtin(1562), bits("12"), &[(json!("Bg=="), "110"), (json!(""), "")]),
        case(builtin(869), text.clone(), &[(json!("10.1.2.3/24"), "10.1.2.3/24")]),
        case(other("int4range"), text, &[(json!("[1,5)"), "[1,5)")]),
        case(
            hstore.clone(),
            named("string", "io.debezium.data.Json"),
            &[(
                json!("{\"bb\":null,\"a\":\"1\",\"c d\":\"e\\\"f\"}"),
                "\"a\"=>\"1\", \"bb\"=>NULL, \"c d\"=>\"e\\\\\"f\"",
            )],
        ),
        case(hstore, json!({"type": "map"}), &[(json!({"k": "v"}), "\"k\"=>\"v\"")]),
        case(builtin(600), point, &[(json!({"x": 1.5, "y": -2.0, "wkb": "AQ==", "srid": null}), "(1.5,-2)")]),
        case(other("geometry"), geometry, &[(json!({"wkb": "AQIDBA==", "srid": 4326}), "01020304")]),
        case(other("tsvector"), json!({"type": "bytes"}), &[(json!("J2NhdCc="), "\\'cat\\'")]),
    ]
}

fn lists() -> Vec<Case> {
    let plain = |kind: &str| array(&json!({"type": kind}));
    let debezium = |kind: &str, name: &str| array(&named(kind, &format!("io.debezium.time.{name}")));
    let words = json!(["a", "b,c", null, "NULL", "q\"q", "", "b\\s", "{x}"]);
    vec![
        case(
            list_of(23),
            plain("int32"),
            &[(json!([1, -2, null]), "{1,-2,NULL}"), (json!([]), "{}"), (json!(null), "\\N")],
        ),
        case(list_of(16), plain("boolean"), &[(json!([true, false, null]), "{t,f,NULL}")]),
        case(
            list_of(25),
            plain("string"),
            &[(words, "{a,\"b,c\",NULL,\"NULL\",\"q\\\\\"q\",\"\",\"b\\\\\\\\s\",\"{x}\"}")],
        ),
        case(list_of(1700), array(&decimal(2)), &[(json!(["AJY=", "AMg=", null]), "{1.50,2.00,NULL}")]),
        case(list_of(1082), debezium("int32", "Date"), &[(json!([18262, -1]), "{2020-01-01,1969-12-31}")]),
        case(
            list_of(1114),
            debezium("int64", "MicroTimestamp"),
            &[(json!([1_577_840_523_456_000_i64]), "{\"2020-01-01 01:02:03.456\"}")],
        ),
        case(
            list_of(1184),
            debezium("string", "ZonedTimestamp"),
            &[(
                json!(["2019-12-31T23:02:03.450000Z", "2020-01-01T00:00:00.000000Z"]),
                "{\"2019-12-31 23:02:03.45+00\",\"2020-01-01 00:00:00+00\"}",
            )],
        ),
        case(list_of(17), plain("bytes"), &[(json!(["3q0=", "AA=="]), "{\"\\\\\\\\xdead\",\"\\\\\\\\x00\"}")]),
    ]
}

#[tokio::test]
async fn every_type_is_read_back() {
    let place = Place::shared("kafka_values");
    let all = cases();
    let names: Vec<String> = (0..all.len()).map(|index| format!("c{index}")).collect();
    let mut fields = vec![("id", builtin(INT4), json!({"type": "int32"}))];
    fields.extend(all.iter().zip(&names).map(|(case, name)| (name.as_str(), case.ty.clone(), case.schema.clone())));
    create(&place, &feed(&place.config.database, ReplicaIdentity::Full, Around::Envelope, &fields)).await;
    let rows = all.iter().map(|case| case.values.len()).max().unwrap();
    let mut messages = Vec::new();
    for row in 0..rows {
        let mut after = json!({ "id": row });
        for (case, name) in all.iter().zip(&names) {
            after[name.as_str()] = case.values.get(row).map_or(Value::Null, |(value, _)| value.clone());
        }
        let event = json!({"before": null, "after": after, "source": {"lsn": row + 1, "ts_ms": 1}, "op": "c"});
        messages.push((0, row as i64, event.to_string()));
    }
    send(&place, &messages).await;
    assert_eq!(place.ask("SELECT count() FROM walhouse_dead_letters").await, "0");
    let mut wrong = Vec::new();
    for (case, name) in all.iter().zip(&names) {
        let sql = format!(
            "SELECT {name}, _unrepresentable['{name}'] FROM view_t_last_rec WHERE id < {} ORDER BY id",
            case.values.len()
        );
        let answer = place.ask(&sql).await;
        for ((value, expected), line) in case.values.iter().zip(answer.split('\n')) {
            let (got, unfit) = line.split_once('\t').unwrap_or((line, ""));
            let got = if unfit.is_empty() { got.to_owned() } else { format!("{got} {unfit}") };
            if got != *expected {
                wrong.push(format!("{} {}: {value} became {got}, not {expected}", case.ty.name, case.schema));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn decimals_as_numbers_keep_their_digits() {
    let place = Place::shared("kafka_numbers");
    let fields = [
        ("id", builtin(INT4), json!({"type": "int32"})),
        ("price", numeric(38, 4), decimal(4)),
        ("note", builtin(25), json!({"type": "string"})),
    ];
    let mut feed = feed(&place.config.database, ReplicaIdentity::Full, Around::Envelope, &fields);
    feed.numbers = true;
    feed.columns[1].wire = Wire::of(&decimal(4), &numeric(38, 4), Binary::Base64, true).unwrap();
    create(&place, &feed).await;
    let note = "\\\"price\\\":5,";
    let event = format!(
        "{{\"before\":null,\"after\":{{\"id\":1,\"price\":1234567890123456789012345678901234.5678,\"note\":\"{note}\"}},\"source\":{{\"lsn\":1}},\"op\":\"c\"}}"
    );
    send(&place, &[(0, 0, event)]).await;
    let expected = "1\t1234567890123456789012345678901234.5678\t\"price\":5,";
    assert_eq!(place.rows("t", "id, price, note").await, expected);
}
