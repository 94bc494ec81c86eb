//! Digests: SHA-2 for masks, MD5 for masks and name-based UUIDs, SHA-1 for masks.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// Lower-case hexadecimal digest by its Java name; none for an algorithm Java does not have.
pub(crate) fn hex_digest(algorithm: &str, data: &[u8]) -> Option<String> {
    let name = algorithm.to_ascii_uppercase();
    let bytes = match name.as_str() {
        "MD5" => md5(data).to_vec(),
        "SHA" | "SHA1" | "SHA-1" => sha1(data).to_vec(),
        "SHA-224" | "SHA224" => Sha224::digest(data).to_vec(),
        "SHA-256" | "SHA256" => Sha256::digest(data).to_vec(),
        "SHA-384" | "SHA384" => Sha384::digest(data).to_vec(),
        "SHA-512" | "SHA512" => Sha512::digest(data).to_vec(),
        _ => return None,
    };
    Some(hex(&bytes))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// `UUID.nameUUIDFromBytes`.
pub(crate) fn name_uuid(name: &[u8]) -> String {
    let mut bytes = md5(name);
    bytes[6] = bytes[6] & 0x0f | 0x30;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = hex(&bytes);
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

/// The message padded to blocks of 64 bytes, with its length in bits at the end.
fn padded(data: &[u8], length: [u8; 8]) -> Vec<u8> {
    let mut message = data.to_vec();
    message.push(0x80);
    message.resize((data.len() + 9).next_multiple_of(64) - 8, 0);
    message.extend_from_slice(&length);
    message
}

fn md5(data: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded(data, (data.len() as u64 * 8).to_le_bytes()).chunks(64) {
        let word = |index: usize| block.iter().skip(index * 4).take(4).rev().fold(0u32, |w, b| w << 8 | u32::from(*b));
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64usize {
            let (mix, index) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            let constant = ((step as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mix).wrapping_add(constant).wrapping_add(word(index));
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (part, value) in state.iter_mut().zip([a, b, c, d]) {
            *part = part.wrapping_add(value);
        }
    }
    let mut out = [0; 16];
    for (bytes, part) in out.chunks_mut(4).zip(state) {
        bytes.copy_from_slice(&part.to_le_bytes());
    }
    out
}

fn sha1(data: &[u8]) -> [u8; 20] {
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in padded(data, (data.len() as u64 * 8).to_be_bytes()).chunks(64) {
        let mut words: Vec<u32> =
            block.chunks(4).map(|word| word.iter().fold(0u32, |w, b| w << 8 | u32::from(*b))).collect();
        for index in 16..80 {
            let word = words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16];
            words.push(word.rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (step, word) in words.iter().enumerate() {
            let (mix, constant) = match step / 20 {
                0 => (b & c | !b & d, 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6u32),
            };
            let sum = a.rotate_left(5).wrapping_add(mix).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, sum);
        }
        for (part, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *part = part.wrapping_add(value);
        }
    }
    let mut out = [0; 20];
    for (bytes, part) in out.chunks_mut(4).zip(state) {
        bytes.copy_from_slice(&part.to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests() {
        assert_eq!(hex_digest("md5", b"abc").unwrap(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex_digest("SHA-1", b"abc").unwrap(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(name_uuid(b"__debezium_unavailable_value"), "b68a35a7-17ad-35b3-af2a-ae46edb4545a");
        assert_eq!(hex_digest("whirlpool", b""), None);
    }
}
