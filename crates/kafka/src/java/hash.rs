//! `String.hashCode`, the order in which a `HashMap` is walked, and Kafka's murmur2.

/// `String.hashCode` over UTF-16 units.
fn string_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// Puts entries (already without duplicates, in insertion order) into the order in which a
/// `java.util.HashMap` that grew from its default size gives them.
pub fn hash_map_order<T>(entries: &mut [T], key: impl Fn(&T) -> &str) {
    let mut capacity = 16usize;
    // A map doubles when it holds more than three quarters of its capacity.
    while entries.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    bucket_order(entries, capacity, key);
}

/// The same for a `java.util.HashMap` that was made as a copy of these entries: it begins with room for them.
pub fn copied_map_order<T>(entries: &mut [T], key: impl Fn(&T) -> &str) {
    let room = entries.len() * 4 / 3 + 1;
    bucket_order(entries, room.next_power_of_two(), key);
}

fn bucket_order<T>(entries: &mut [T], capacity: usize, key: impl Fn(&T) -> &str) {
    entries.sort_by_key(|entry| {
        let hash = string_hash(key(entry));
        (hash ^ hash >> 16) as usize & (capacity - 1)
    });
}

/// The partition of a record with this key among `partitions`, as the Java producer chooses it.
#[must_use]
pub fn partition(key: &[u8], partitions: u32) -> u32 {
    if partitions == 0 { 0 } else { (murmur2(key) & 0x7fff_ffff) % partitions }
}

fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word = chunk.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        word = word.wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_as_kafka_tests_it() {
        let cases: [(&str, i32); 4] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("abc", 479_470_107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn walks_as_a_hash_map() {
        let mut keys = ["a", "Aa", "BB", "bb", "zz", "c d"];
        hash_map_order(&mut keys, |key| key);
        assert_eq!(keys, ["Aa", "BB", "bb", "zz", "a", "c d"]);
    }
}
