//! Base64 with padding, in both alphabets.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Appends the standard form of `bytes`.
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    encode(out, bytes, STANDARD);
}

/// The standard form.
pub(crate) fn standard(bytes: &[u8]) -> String {
    text(bytes, STANDARD)
}

/// The form for URLs and file names.
pub(crate) fn url_safe(bytes: &[u8]) -> String {
    text(bytes, URL_SAFE)
}

fn text(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    encode(&mut out, bytes, alphabet);
    String::from_utf8(out).unwrap_or_default()
}

fn encode(out: &mut Vec<u8>, bytes: &[u8], alphabet: &[u8; 64]) {
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let word = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        for place in 0..4 {
            let filled = place <= chunk.len();
            out.push(if filled { alphabet[(word >> (18 - 6 * place) & 63) as usize] } else { b'=' });
        }
    }
}
