//! Names of topics and schemas.

use crate::options::{Adjustment, Options};

/// Kafka's limit.
const MAX_TOPIC: usize = 249;

/// A topic's name: parts joined, what Kafka does not allow replaced.
pub(crate) fn topic(parts: &[&str], delimiter: &str) -> String {
    let name: String = parts.join(delimiter).chars().map(legal).take(MAX_TOPIC).collect();
    match name.as_str() {
        "." => "_".to_owned(),
        ".." => "__".to_owned(),
        _ => name,
    }
}

fn legal(character: char) -> char {
    if character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-') { character } else { '_' }
}

/// A table's topic.
pub(crate) fn table_topic(options: &Options, schema: &str, table: &str) -> String {
    topic(&[&options.prefix, schema, table], &options.delimiter)
}

/// A schema's or field's name as a registry takes it.
pub(crate) fn adjust(name: &str, adjustment: Adjustment) -> String {
    let valid = |index: usize, character: char| {
        character.is_ascii_alphabetic()
            || character == '_'
            || (index > 0 && (character.is_ascii_digit() || character == '.'))
    };
    let underscore = adjustment == Adjustment::AvroUnicode && name.contains('_');
    if adjustment == Adjustment::None
        || !underscore && name.chars().enumerate().all(|(index, letter)| valid(index, letter))
    {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len() + 1);
    for (index, character) in name.chars().enumerate() {
        if adjustment == Adjustment::AvroUnicode {
            if valid(index, character) && character != '_' {
                out.push(character);
            } else {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    out.push_str(&format!("_u{unit:04x}"));
                }
            }
        } else if valid(index, character) {
            out.push(character);
        } else {
            out.push('_');
            if index == 0 && character.is_ascii_digit() {
                out.push(character);
            }
        }
    }
    out
}

/// A name as 2.4.2 reads it from the stream: byte by byte, so that every byte beyond ASCII becomes
/// a character of its own.
pub(crate) fn garbled(name: &str) -> String {
    let letter = |byte: u8| {
        if byte < 0x80 { char::from(byte) } else { char::from_u32(0xff00 + u32::from(byte)).unwrap_or('_') }
    };
    name.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(topic(&["vh", "we ird", "t@b"], "-"), "vh-we_ird-t_b");
        assert_eq!(adjust("vh-we_ird-t_b.Key", Adjustment::Avro), "vh_we_ird_t_b.Key");
        assert_eq!(adjust("2x", Adjustment::Avro), "_2x");
        assert_eq!(garbled("Ünï"), "ￃﾜnￃﾯ");
    }
}
