//! Stable identifiers: version 5 of RFC 9562, the SHA-1 of a namespace and a name.
//!
//! Superset matches what it imports by these, so they decide whether a second run updates or doubles.

use sha1::{Digest, Sha1};

/// walhouse's own namespace, drawn once at random.
const NAMESPACE: [u8; 16] =
    [0x5c, 0x0b, 0x7f, 0x3e, 0x1d, 0x52, 0x4a, 0x6b, 0x9e, 0x14, 0x27, 0xc8, 0xd0, 0x63, 0xf1, 0x8a];

/// The identifier of the object of that kind and name, within a deployment.
pub(super) fn of(deployment: &str, kind: &str, name: &str) -> String {
    // a separator that no name holds, so that no two triples share a text
    v5(&NAMESPACE, &[deployment, kind, name].join("\0"))
}

fn v5(namespace: &[u8; 16], name: &str) -> String {
    let digest = Sha1::new().chain_update(namespace).chain_update(name).finalize();
    let mut bytes = [0_u8; 16];
    for (byte, hashed) in bytes.iter_mut().zip(digest) {
        *byte = hashed;
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The RFC's own example: `www.example.com` in the namespace of DNS names.
    #[test]
    fn as_the_rfc_has_it() {
        let dns = [0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
        assert_eq!(v5(&dns, "www.example.com"), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    }

    #[test]
    fn differs_by_each_part() {
        let ids = [of("a", "b", "c"), of("ab", "", "c"), of("a", "b", "d"), of("a", "c", "c")];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(of("a", "b", "c"), of("a", "b", "c"));
    }
}
