//! pgoutput, protocol version 1: from a message's bytes to what it says. Pure; no panic on any bytes.
//!
//! A row message is read in two steps: [`parse`] says what it is and of which relation, [`images`] finds its values.
//! So a table that nobody wants costs no look at its values.

use std::ops::Range;

use walhouse_change::{Lsn, OldImage, ReplicaIdentity, Span};
use walhouse_value::Kind;

use super::Malformed;
use super::cursor::Cursor;

/// From Postgres' epoch (2000-01-01) to 1970-01-01, in microseconds.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// What the walsender puts in a CopyData message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// A pgoutput message that begins at `payload` bytes into the body.
    Data { lsn: Lsn, payload: usize },
    /// Everything up to `end` was looked at by the sender.
    Keepalive { end: Lsn, reply_requested: bool },
}

/// A pgoutput message, without its rows' values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Begin {
        commit_lsn: Lsn,
        commit_time: i64,
        xid: u32,
    },
    Commit {
        commit_lsn: Lsn,
        end_lsn: Lsn,
    },
    Relation(Relation),
    Row {
        kind: RowKind,
        relid: u32,
    },
    Truncate {
        relids: Vec<u32>,
    },
    /// A logical message; prefix and content are where the offsets say, counted from the payload's start.
    Logical {
        transactional: bool,
        prefix: Range<usize>,
        content: Range<usize>,
    },
    /// Type and Origin: nothing for us.
    Other,
}

/// Which row message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    Insert,
    Update,
    Delete,
}

/// A relation as the stream describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) relid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) identity: ReplicaIdentity,
    pub(crate) columns: Vec<RelationColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelationColumn {
    /// Part of the replica identity; under FULL every column is.
    pub(crate) in_identity: bool,
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    pub(crate) typmod: i32,
}

/// Where a row message's images lie among the spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Images {
    pub(crate) old: Option<(OldImage, Range<usize>)>,
    pub(crate) new: Option<Range<usize>>,
}

/// Reads the walsender's header.
#[inline]
pub(crate) fn envelope(body: &[u8]) -> Result<Envelope, Malformed> {
    let mut cursor = Cursor::new(body, "replication message");
    match cursor.u8()? {
        b'w' => {
            let lsn = Lsn(cursor.u64()?);
            let (_same, _sent_at) = (cursor.u64()?, cursor.i64()?);
            Ok(Envelope::Data { lsn, payload: cursor.at() })
        }
        b'k' => {
            let end = Lsn(cursor.u64()?);
            let _sent_at = cursor.i64()?;
            Ok(Envelope::Keepalive { end, reply_requested: cursor.u8()? != 0 })
        }
        _ => Err(cursor.malformed()),
    }
}

/// Reads a pgoutput message.
pub(crate) fn parse(payload: &[u8]) -> Result<Message, Malformed> {
    let mut cursor = Cursor::new(payload, "pgoutput message");
    let row = |kind, mut cursor: Cursor<'_>| Ok(Message::Row { kind, relid: cursor.u32()? });
    match cursor.u8()? {
        b'I' => row(RowKind::Insert, cursor),
        b'U' => row(RowKind::Update, cursor),
        b'D' => row(RowKind::Delete, cursor),
        b'B' => Ok(Message::Begin {
            commit_lsn: Lsn(cursor.u64()?),
            commit_time: cursor.i64()?.saturating_add(EPOCH_MICROSECONDS),
            xid: cursor.u32()?,
        }),
        b'C' => {
            let _flags = cursor.u8()?;
            Ok(Message::Commit { commit_lsn: Lsn(cursor.u64()?), end_lsn: Lsn(cursor.u64()?) })
        }
        b'R' => relation(cursor).map(Message::Relation),
        b'T' => {
            let (count, _options) = (cursor.u32()?, cursor.u8()?);
            // collected one by one: the count is only a claim
            let relids = (0..count).map(|_| cursor.u32()).collect::<Result<_, _>>()?;
            Ok(Message::Truncate { relids })
        }
        b'M' => {
            let transactional = cursor.u8()? & 1 != 0;
            let _lsn = cursor.u64()?;
            let start = cursor.at();
            cursor.text()?;
            let prefix = start..cursor.at() - 1;
            let len = cursor.u32()?;
            let start = cursor.at();
            cursor.take(len as usize)?;
            Ok(Message::Logical { transactional, prefix, content: start..cursor.at() })
        }
        b'Y' | b'O' => Ok(Message::Other),
        _ => Err(Malformed("pgoutput message tag")),
    }
}

fn relation(mut cursor: Cursor<'_>) -> Result<Relation, Malformed> {
    let relid = cursor.u32()?;
    let schema = cursor.text()?;
    let name = cursor.text()?;
    let identity = ReplicaIdentity::from_byte(cursor.u8()?).ok_or(Malformed("replica identity"))?;
    let count = cursor.u16()?;
    let column = |_| {
        let in_identity = cursor.u8()? & 1 != 0;
        Ok(RelationColumn { in_identity, name: cursor.text()?, type_oid: cursor.u32()?, typmod: cursor.i32()? })
    };
    let columns = (0..count).map(column).collect::<Result<_, _>>()?;
    // '' stands for pg_catalog
    let schema = if schema.is_empty() { "pg_catalog".to_owned() } else { schema };
    Ok(Relation { relid, schema, name, identity, columns })
}

/// Finds the values of a row message. `base` is the payload's offset in the batch's buffer; spans are appended.
#[inline]
pub(crate) fn images(payload: &[u8], base: usize, spans: &mut Vec<Span>) -> Result<Images, Malformed> {
    let mut cursor = Cursor::new(payload, "row");
    let kind = cursor.u8()?;
    let _relid = cursor.u32()?;
    let mut images = Images { old: None, new: None };
    let mut marker = cursor.u8()?;
    if kind != b'I' && matches!(marker, b'K' | b'O') {
        let image = if marker == b'K' { OldImage::Key } else { OldImage::Full };
        images.old = Some((image, tuple(&mut cursor, base, spans)?));
        if kind == b'D' {
            return Ok(images);
        }
        marker = cursor.u8()?;
    }
    if marker != b'N' || kind == b'D' {
        return Err(cursor.malformed());
    }
    images.new = Some(tuple(&mut cursor, base, spans)?);
    Ok(images)
}

#[inline]
fn tuple(cursor: &mut Cursor<'_>, base: usize, spans: &mut Vec<Span>) -> Result<Range<usize>, Malformed> {
    let start = spans.len();
    for _ in 0..cursor.u16()? {
        let kind = Kind::from_byte(cursor.u8()?).ok_or(cursor.malformed())?;
        let (offset, len) = match kind {
            Kind::Null | Kind::Unchanged => (0, 0),
            Kind::Text | Kind::Binary => {
                let len = cursor.u32()?;
                let offset = u32::try_from(base + cursor.at()).map_err(|_| cursor.malformed())?;
                cursor.take(len as usize)?;
                (offset, len)
            }
        };
        spans.push(Span { offset, len, kind });
    }
    Ok(start..spans.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn update() -> Vec<u8> {
        let mut message = vec![b'U', 0, 0, 0, 9, b'K', 0, 2, b't', 0, 0, 0, 1, b'1', b'n', b'N', 0, 2];
        message.extend([b'b', 0, 0, 0, 2, 0xab, 0xcd, b'u']);
        message
    }

    #[test]
    fn finds_both_images() {
        let message = update();
        assert_eq!(parse(&message), Ok(Message::Row { kind: RowKind::Update, relid: 9 }));
        let mut spans = Vec::new();
        let images = images(&message, 100, &mut spans).unwrap();
        assert_eq!(images, Images { old: Some((OldImage::Key, 0..2)), new: Some(2..4) });
        let kinds: Vec<Kind> = spans.iter().map(|span| span.kind).collect();
        assert_eq!(kinds, [Kind::Text, Kind::Null, Kind::Binary, Kind::Unchanged]);
        assert_eq!((spans[0].offset, spans[0].len), (113, 1));
        assert_eq!((spans[2].offset, spans[2].len), (123, 2));
    }

    #[test]
    fn reads_a_relation() {
        let mut message = vec![b'R', 0, 0, 0, 5];
        message.extend(b"\0we\"ird\0f\0\x01\x01id\0");
        message.extend([0, 0, 0, 23, 255, 255, 255, 255]);
        let Ok(Message::Relation(relation)) = parse(&message) else { panic!("no relation") };
        assert_eq!((relation.schema.as_str(), relation.name.as_str()), ("pg_catalog", "we\"ird"));
        assert_eq!(relation.identity, ReplicaIdentity::Full);
        let column = RelationColumn { in_identity: true, name: "id".into(), type_oid: 23, typmod: -1 };
        assert_eq!(relation.columns, [column]);
    }

    fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
        let _ = envelope(bytes);
        let _ = parse(bytes);
        let mut spans = Vec::new();
        if images(bytes, 0, &mut spans).is_ok() {
            for span in spans {
                prop_assert!(bytes.get(span.offset as usize..(span.offset + span.len) as usize).is_some());
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, tag in prop::sample::select(b"BCRYOIUDTM".to_vec())) {
            check(&bytes)?;
            check(&[&[tag], &bytes[..]].concat())?;
        }

        #[test]
        fn mutated_messages_are_read_without_panic(at in 0usize..26, byte: u8, cut in 0usize..27) {
            let mut message = update();
            message[at] = byte;
            message.truncate(cut);
            check(&message)?;
        }
    }
}
