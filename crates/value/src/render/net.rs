//! Network addresses as Postgres prints them.

use super::number::{hex_byte, unsigned};
use crate::decode::{Family, Inet};

/// The prefix length only where it is not that of a host.
pub(super) fn inet(value: &Inet, out: &mut Vec<u8>) {
    address(value, out);
    if !value.is_host() {
        prefix(value, out);
    }
}

/// The prefix length always.
pub(super) fn cidr(value: &Inet, out: &mut Vec<u8>) {
    address(value, out);
    prefix(value, out);
}

pub(super) fn mac(bytes: &[u8], out: &mut Vec<u8>) {
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(b':');
        }
        hex_byte(*byte, out);
    }
}

fn prefix(value: &Inet, out: &mut Vec<u8>) {
    out.push(b'/');
    unsigned(value.bits.into(), out);
}

fn address(value: &Inet, out: &mut Vec<u8>) {
    match value.family {
        Family::V4 => dotted(value.address.get(..4).unwrap_or_default(), out),
        Family::V6 => v6(&value.address, out),
    }
}

fn dotted(bytes: &[u8], out: &mut Vec<u8>) {
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        unsigned((*byte).into(), out);
    }
}

/// The first longest run of two or more zero words is `::`; addresses that wrap a v4 one
/// (`::a.b.c.d`, `::ffff:a.b.c.d`) show it dotted.
fn v6(address: &[u8; 16], out: &mut Vec<u8>) {
    let mut words = [0u16; 8];
    for (word, bytes) in words.iter_mut().zip(address.as_chunks::<2>().0) {
        *word = u16::from_be_bytes(*bytes);
    }
    let zeros = longest_zeros(&words);
    let wraps_v4 = zeros == (0..6) || (zeros == (0..5) && matches!(words, [.., 0xffff, _, _]));
    for (at, word) in words.iter().enumerate() {
        if zeros.contains(&at) {
            if at == zeros.start {
                out.push(b':');
            }
            continue;
        }
        if at > 0 {
            out.push(b':');
        }
        if at == 6 && wraps_v4 {
            dotted(address.get(12..).unwrap_or_default(), out);
            return;
        }
        hex_word(*word, out);
    }
    if !zeros.is_empty() && zeros.end == words.len() {
        out.push(b':');
    }
}

fn longest_zeros(words: &[u16; 8]) -> std::ops::Range<usize> {
    let (mut best, mut start) = (0..0, 0usize);
    for (at, word) in words.iter().enumerate() {
        if *word != 0 {
            start = at + 1;
        } else if at + 1 - start > best.len() {
            best = start..at + 1;
        }
    }
    if best.len() < 2 { 0..0 } else { best }
}

/// Lower-case hexadecimal without leading zeros.
fn hex_word(word: u16, out: &mut Vec<u8>) {
    let start = out.len();
    for byte in word.to_be_bytes() {
        hex_byte(byte, out);
    }
    let leading = (word.leading_zeros() / 4).min(3) as usize;
    out.drain(start..start + leading);
}
