//! A reader of recorded pgoutput frames (protocol version 1), for tests only.

use bytes::Bytes;
use walhouse_value::Kind;

/// One value of a tuple.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    pub(crate) bytes: Bytes,
}

/// A column of a Relation message.
pub(crate) struct RelationColumn {
    pub(crate) key: bool,
    pub(crate) name: String,
    pub(crate) oid: u32,
    pub(crate) typmod: i32,
}

pub(crate) enum Frame {
    Begin { commit_lsn: u64, time: i64, xid: u32 },
    Commit,
    Relation { oid: u32, schema: String, name: String, identity: u8, columns: Vec<RelationColumn> },
    Insert { oid: u32, new: Vec<Field> },
    Update { oid: u32, old: Option<(u8, Vec<Field>)>, new: Vec<Field> },
    Delete { oid: u32, old: (u8, Vec<Field>) },
    Truncate { oids: Vec<u32> },
    Message { transactional: bool, prefix: String, content: Vec<u8> },
    Other,
}

struct Reader(Bytes);

impl Reader {
    fn take(&mut self, count: usize) -> Bytes {
        self.0.split_to(count)
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2)[..].try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4)[..].try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take(8)[..].try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap();
        let text = self.take(end);
        self.u8();
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn tuple(&mut self) -> Vec<Field> {
        let count = self.u16();
        (0..count)
            .map(|_| {
                let kind = Kind::from_byte(self.u8()).unwrap();
                let length = if matches!(kind, Kind::Text | Kind::Binary) { self.u32() as usize } else { 0 };
                Field { kind, bytes: self.take(length) }
            })
            .collect()
    }
}

/// Microseconds from 1970 to Postgres' epoch, 2000-01-01.
const EPOCH: i64 = 946_684_800_000_000;

pub(crate) fn parse(data: Bytes) -> Frame {
    let mut reader = Reader(data);
    match reader.u8() {
        b'B' => {
            let commit_lsn = reader.u64();
            let time = reader.u64() as i64 + EPOCH;
            Frame::Begin { commit_lsn, time, xid: reader.u32() }
        }
        b'C' => Frame::Commit,
        b'R' => {
            let (oid, schema, name, identity) = (reader.u32(), reader.text(), reader.text(), reader.u8());
            let count = reader.u16();
            let columns = (0..count)
                .map(|_| RelationColumn {
                    key: reader.u8() & 1 == 1,
                    name: reader.text(),
                    oid: reader.u32(),
                    typmod: reader.u32() as i32,
                })
                .collect();
            Frame::Relation { oid, schema, name, identity, columns }
        }
        b'I' => {
            let oid = reader.u32();
            reader.u8();
            Frame::Insert { oid, new: reader.tuple() }
        }
        b'U' => {
            let oid = reader.u32();
            match reader.u8() {
                b'N' => Frame::Update { oid, old: None, new: reader.tuple() },
                kind => {
                    let old = reader.tuple();
                    reader.u8();
                    Frame::Update { oid, old: Some((kind, old)), new: reader.tuple() }
                }
            }
        }
        b'D' => {
            let oid = reader.u32();
            let kind = reader.u8();
            Frame::Delete { oid, old: (kind, reader.tuple()) }
        }
        b'T' => {
            let count = reader.u32();
            reader.u8();
            Frame::Truncate { oids: (0..count).map(|_| reader.u32()).collect() }
        }
        b'M' => {
            let transactional = reader.u8() & 1 == 1;
            reader.u64();
            let prefix = reader.text();
            let length = reader.u32() as usize;
            Frame::Message { transactional, prefix, content: reader.take(length).to_vec() }
        }
        _ => Frame::Other,
    }
}

/// Standard base64 with padding.
pub(crate) fn base64(text: &str) -> Bytes {
    let mut out = Vec::new();
    let (mut word, mut bits) = (0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    out.into()
}
