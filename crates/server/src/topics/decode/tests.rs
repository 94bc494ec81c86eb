//! Known bytes, and any bytes.

use serde_json::json;
use walhouse_change::BoxFuture;

use super::*;
use crate::ports::Failure;

struct Kept(&'static str, &'static str);

impl Registry for Kept {
    fn schema(&self, id: u32) -> BoxFuture<'_, crate::ports::Result<(String, String)>> {
        Box::pin(async move {
            if id == 7 { Ok((self.0.to_owned(), self.1.to_owned())) } else { Err(Failure::not_found("such schema")) }
        })
    }
}

const AVRO: Kept = Kept(
    "AVRO",
    r#"{"type":"record","name":"Value","namespace":"shop","fields":[
        {"name":"id","type":"int"},
        {"name":"name","type":["null","string"]},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
        {"name":"tags","type":{"type":"array","items":"string"}},
        {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B"]}},
        {"name":"attributes","type":{"type":"map","values":"long"}},
        {"name":"parent","type":["null","Value"]}
    ]}"#,
);

const PROTOBUF: Kept = Kept(
    "PROTOBUF",
    r#"syntax = "proto3"; // a comment
    package shop;
    option java_package = "x";
    message Other { string nothing = 1; }
    message Order {
      message Line { string sku = 1; int32 count = 2; }
      enum State { NEW = 0; PAID = 1; }
      int64 id = 1;
      repeated Line lines = 2 [deprecated = true];
      State state = 3;
      repeated sint32 deltas = 4;
      map<string, int32> stock = 5;
      oneof pay { string card = 6; bool cash = 7; }
      double total = 8;
      reserved 9, 10;
    }"#,
);

async fn read(format: Format, bytes: &[u8], registry: Option<&dyn Registry>) -> Decoded {
    decode(format, bytes, &Schemas::default(), registry).await
}

/// In a registry's frame.
fn framed(value: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 7], value].concat()
}

#[tokio::test]
async fn whatever_fits_is_found() {
    let cases: [(&[u8], Format); 7] = [
        (br#"{"a": 1}"#, Format::Json),
        (b"12", Format::Json),
        (b"hello", Format::Text),
        ("caf\u{e9}".as_bytes(), Format::Text),
        (b"\x00\x01\x02", Format::Hex),
        (b"\xff\xfe", Format::Hex),
        (b"", Format::Text),
    ];
    for (bytes, format) in cases {
        assert_eq!(read(Format::Auto, bytes, None).await.format, format, "{bytes:?}");
    }
    let long = format!("{}\u{e9}", "x".repeat(MOST_TEXT - 1));
    let shown = read(Format::Auto, long.as_bytes(), None).await;
    assert_eq!((shown.format, shown.truncated, shown.size), (Format::Text, true, long.len()));
}

#[tokio::test]
async fn integers_are_not_rounded() {
    let shown = read(Format::Json, b"[9007199254740993, 1, -9223372036854775808]", None).await;
    assert_eq!(shown.json, Some(json!(["9007199254740993", 1, "-9223372036854775808"])));
    assert_eq!(read(Format::Int, &[0xff, 0xff, 0xff, 0xfe], None).await.json, Some(json!(-2)));
    assert_eq!(read(Format::Int, &[0, 0, 0, 0, 0, 0, 1, 0], None).await.json, Some(json!(256)));
    assert!(read(Format::Int, b"abc", None).await.error.is_some());
}

#[tokio::test]
async fn avro_is_read_by_its_registered_schema() {
    let value = [
        &[2 * 5, 2, 4][..],
        b"ab",
        &[4, 0xff, 0x85],             // -123 hundredths
        &[3, 4, 2, b'x', 2, b'y', 0], // a block of two, with its size
        &[2],
        &[2, 2, b'k', 20, 0],
        &[2, 2, 0, 2, 1, 0, 0, 0, 0],
    ]
    .concat();
    let shown = read(Format::Auto, &framed(&value), Some(&AVRO)).await;
    let parent =
        json!({"id": 1, "name": null, "price": "0.01", "tags": [], "kind": "A", "attributes": {}, "parent": null});
    let expected = json!({
        "id": 5, "name": "ab", "price": "-1.23", "tags": ["x", "y"], "kind": "B", "attributes": {"k": 10}, "parent": parent
    });
    assert_eq!((shown.format, shown.json, shown.error), (Format::Avro, Some(expected), None));
    let torn = read(Format::Avro, &framed(value.get(..4).unwrap()), Some(&AVRO)).await;
    assert_eq!(torn.error.as_deref(), Some("it ends too early"));
    let unknown = read(Format::Avro, &[0, 0, 0, 0, 8, 1], Some(&AVRO)).await;
    assert_eq!(unknown.error.as_deref(), Some("there is no such schema"));
    assert!(read(Format::Avro, b"plain", None).await.error.unwrap().contains("no schema registry"));
}

#[tokio::test]
async fn protobuf_is_read_by_its_registered_schema_or_by_number() {
    let order = [
        &[0x08, 0x96, 0x01][..], // id 150
        &[0x12, 5, 0x0a, 1, b'a', 0x10, 2],
        &[0x12, 3, 0x0a, 1, b'b'],
        &[0x18, 1],
        &[0x22, 2, 1, 4], // -1, 2
        &[0x2a, 5, 0x0a, 1, b'k', 0x10, 9],
        &[0x38, 1],
        &[0x41],
        &1.5_f64.to_le_bytes(),
    ]
    .concat();
    let indexed = framed(&[&[2, 2][..], &order].concat());
    let shown = read(Format::Auto, &indexed, Some(&PROTOBUF)).await;
    let expected = json!({
        "id": 150, "lines": [{"sku": "a", "count": 2}, {"sku": "b"}], "state": "PAID", "deltas": [-1, 2],
        "stock": {"k": 9}, "cash": true, "total": 1.5
    });
    assert_eq!((shown.format, shown.json, shown.error), (Format::Protobuf, Some(expected), None));
    let first = read(Format::Protobuf, &framed(&[0, 0x0a, 1, b'x']), Some(&PROTOBUF)).await;
    assert_eq!(first.json, Some(json!({"nothing": "x"})));
    let bare = read(Format::Protobuf, &[0x08, 0x96, 0x01, 0x12, 2, b'h', b'i'], None).await;
    assert_eq!(bare.json, Some(json!({"1": 150, "2": "hi"})));
}

#[tokio::test]
async fn msgpack_is_read() {
    let bytes = [&[0x83, 0xa1, b'a', 0x01, 0xa1, b'b', 0x92, 0xc3, 0xc0, 0xa1, b'c', 0xcb][..], &0.5_f64.to_be_bytes()]
        .concat();
    let shown = read(Format::Msgpack, &bytes, None).await;
    assert_eq!(shown.json, Some(json!({"a": 1, "b": [true, null], "c": 0.5})));
    let stamp = read(Format::Msgpack, &[0xd6, 0xff, 0, 0, 0, 5], None).await;
    assert_eq!(stamp.json, Some(json!({"timestamp": 5, "nanos": 0})));
    let torn = read(Format::Msgpack, &[0xdd, 0xff, 0xff, 0xff, 0xff], None).await;
    assert_eq!(torn.error.as_deref(), Some("it ends too early"));
}

/// Nothing panics, hangs or grows: whatever bytes come, in whatever format they are asked for.
#[tokio::test]
async fn any_bytes_are_shown() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let formats = [Format::Auto, Format::Text, Format::Json, Format::Int, Format::Msgpack, Format::Hex];
    for round in 0..3000 {
        let mut bytes: Vec<u8> = (0..random() % 64).map(|_| random() as u8).collect();
        if round % 2 == 0 {
            bytes = framed(&bytes);
        }
        for registry in [&AVRO as &dyn Registry, &PROTOBUF] {
            for format in [Format::Auto, Format::Avro, Format::Protobuf] {
                assert_eq!(read(format, &bytes, Some(registry)).await.size, bytes.len());
            }
        }
        for format in formats {
            assert_eq!(read(format, &bytes, None).await.size, bytes.len());
        }
    }
    let nested = [vec![0x91; 100_000], vec![0xc0]].concat();
    assert!(read(Format::Msgpack, &nested, None).await.error.unwrap().contains("too deep"));
    let many = [&[0xdd, 0x00, 0xff, 0xff, 0xff][..], &vec![0xc0; 15 << 20]].concat();
    assert!(read(Format::Msgpack, &many, None).await.error.unwrap().contains("more than"));
}

#[test]
fn a_schema_of_any_text_is_refused_or_read() {
    for text in
        ["", "{", "\"", "message", "message A {", "message A { int32 x = ; }", "enum E { A", "/* ", "'", "package"]
    {
        let _ = protobuf::Schema::parse(text);
        let _ = avro::Schema::parse(text);
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(avro::Schema::parse(&deep).is_err());
    assert!(protobuf::Schema::parse(&"message A {".repeat(10_000)).is_err());
}
