//! Which partition a key lies in: the default partitioner of Kafka's own producers, which Connect
//! uses as well.

/// The partition of `key` among `count`; none for a topic without partitions.
pub(crate) fn partition(key: &[u8], count: usize) -> Option<i32> {
    let count = u32::try_from(count).ok().filter(|&count| count > 0)?;
    i32::try_from((murmur2(key) & 0x7fff_ffff) % count).ok()
}

/// Murmur2 with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = chunk.iter().rev().fold(0_u32, |word, &byte| (word << 8) | u32::from(byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0_u32, |word, &byte| (word << 8) | u32::from(byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Kafka's own test of its `Utils.murmur2`.
    #[test]
    fn hashes_as_kafka_does() {
        let cases: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in cases {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
        assert_eq!(partition(b"abc", 0), None);
        assert_eq!(partition(b"abc", 1), Some(0));
    }
}
