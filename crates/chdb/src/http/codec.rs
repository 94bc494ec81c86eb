//! Compression of answers, and the names of compressions.
//!
//! Every encoder is a `Write` into a buffer that is emptied after each piece, so that pieces leave as they come.

use std::io::{Result, Write};

use crate::failure::Failure;

/// A compression, by its HTTP name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Lz4,
    Snappy,
    Gzip,
    Deflate,
    Xz,
    Bzip2,
}

/// In the order in which ClickHouse chooses.
const NAMES: [(Coding, &str); 8] = [
    (Coding::Zstd, "zstd"),
    (Coding::Brotli, "br"),
    (Coding::Lz4, "lz4"),
    (Coding::Snappy, "snappy"),
    (Coding::Gzip, "gzip"),
    (Coding::Deflate, "deflate"),
    (Coding::Xz, "xz"),
    (Coding::Bzip2, "bz2"),
];

impl Coding {
    /// The one to answer with, by the `Accept-Encoding` header; like ClickHouse it looks for the name anywhere.
    pub(crate) fn accepted(header: &str) -> Option<Coding> {
        NAMES.into_iter().find(|(_, name)| header.contains(name)).map(|(coding, _)| coding)
    }

    /// The one of a request's `Content-Encoding`.
    pub(crate) fn of_request(header: &str) -> std::result::Result<Option<Coding>, Failure> {
        let header = header.trim();
        if header.is_empty() || header.eq_ignore_ascii_case("identity") {
            return Ok(None);
        }
        let known = NAMES.into_iter().find(|(_, name)| header.eq_ignore_ascii_case(name)).map(|(coding, _)| coding);
        match known {
            Some(coding) => Ok(Some(coding)),
            None => {
                let shown: String = header.chars().take(40).collect();
                let text = format!("Unknown compression method of the request's body: {shown}");
                Err(Failure::new(89, "UNKNOWN_COMPRESSION_METHOD", text))
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES.into_iter().find(|(coding, _)| *coding == self).map_or("", |(_, name)| name)
    }
}

/// Where an encoder writes to, and which can be emptied.
type Sink = Vec<u8>;

/// Compresses an answer piece by piece.
pub(crate) enum Encoder {
    Plain(Sink),
    Zstd(Box<zstd::stream::write::Encoder<'static, Sink>>),
    Brotli(Box<brotli::CompressorWriter<Sink>>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<Sink>>),
    Snappy(Box<snap::write::FrameEncoder<Sink>>),
    Gzip(Box<flate2::write::GzEncoder<Sink>>),
    Deflate(Box<flate2::write::ZlibEncoder<Sink>>),
    Xz(Box<liblzma::write::XzEncoder<Sink>>),
    Bzip2(Box<bzip2::write::BzEncoder<Sink>>),
    Blocks(Sink),
}

impl Encoder {
    /// An encoder for the answer's compression; `blocks` is ClickHouse's own framing.
    pub(crate) fn new(coding: Option<Coding>, blocks: bool) -> Result<Encoder> {
        // levels: speed counts more than size between a client and an engine that are usually on one machine
        Ok(match coding {
            _ if blocks => Encoder::Blocks(Sink::new()),
            None => Encoder::Plain(Sink::new()),
            Some(Coding::Zstd) => Encoder::Zstd(Box::new(zstd::stream::write::Encoder::new(Sink::new(), 1)?)),
            Some(Coding::Brotli) => {
                Encoder::Brotli(Box::new(brotli::CompressorWriter::new(Sink::new(), 1 << 16, 1, 20)))
            }
            Some(Coding::Lz4) => Encoder::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(Sink::new()))),
            Some(Coding::Snappy) => Encoder::Snappy(Box::new(snap::write::FrameEncoder::new(Sink::new()))),
            Some(Coding::Gzip) => {
                Encoder::Gzip(Box::new(flate2::write::GzEncoder::new(Sink::new(), flate2::Compression::new(3))))
            }
            Some(Coding::Deflate) => {
                Encoder::Deflate(Box::new(flate2::write::ZlibEncoder::new(Sink::new(), flate2::Compression::new(3))))
            }
            Some(Coding::Xz) => Encoder::Xz(Box::new(liblzma::write::XzEncoder::new(Sink::new(), 1))),
            Some(Coding::Bzip2) => {
                Encoder::Bzip2(Box::new(bzip2::write::BzEncoder::new(Sink::new(), bzip2::Compression::fast())))
            }
        })
    }

    /// Whether bytes pass unchanged.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Encoder::Plain(_))
    }

    /// Takes a piece; gives what is ready to leave. `flush` makes that everything.
    pub(crate) fn push(&mut self, data: &[u8], flush: bool) -> Result<Vec<u8>> {
        macro_rules! stream {
            ($encoder:expr) => {{
                $encoder.write_all(data)?;
                if flush {
                    $encoder.flush()?;
                }
                Ok(std::mem::take($encoder.get_mut()))
            }};
        }
        match self {
            Encoder::Plain(sink) => {
                sink.extend_from_slice(data);
                Ok(std::mem::take(sink))
            }
            Encoder::Blocks(sink) => {
                write_blocks(data, sink);
                Ok(std::mem::take(sink))
            }
            Encoder::Zstd(encoder) => stream!(encoder),
            Encoder::Lz4(encoder) => stream!(encoder),
            Encoder::Snappy(encoder) => stream!(encoder),
            Encoder::Gzip(encoder) => stream!(encoder),
            Encoder::Deflate(encoder) => stream!(encoder),
            Encoder::Xz(encoder) => stream!(encoder),
            Encoder::Bzip2(encoder) => stream!(encoder),
            Encoder::Brotli(encoder) => {
                encoder.write_all(data)?;
                if flush {
                    encoder.flush()?;
                }
                // its buffer can only be copied out
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// Ends the stream; gives its last bytes.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        Ok(match self {
            Encoder::Plain(sink) | Encoder::Blocks(sink) => sink,
            Encoder::Zstd(encoder) => encoder.finish()?,
            Encoder::Brotli(encoder) => encoder.into_inner(),
            Encoder::Lz4(encoder) => encoder.finish().map_err(std::io::Error::other)?,
            Encoder::Snappy(encoder) => {
                encoder.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?
            }
            Encoder::Gzip(encoder) => encoder.finish()?,
            Encoder::Deflate(encoder) => encoder.finish()?,
            Encoder::Xz(encoder) => encoder.finish()?,
            Encoder::Bzip2(encoder) => encoder.finish()?,
        })
    }
}

/// The most a block of ClickHouse's framing holds, as its servers write them.
const BLOCK: usize = 1 << 20;

/// Method byte of an LZ4 block.
pub(crate) const METHOD_LZ4: u8 = 0x82;
/// Method, compressed size, plain size.
pub(crate) const BLOCK_HEADER: usize = 9;

fn write_blocks(data: &[u8], out: &mut Vec<u8>) {
    for piece in data.chunks(BLOCK) {
        let packed = lz4_flex::block::compress(piece);
        let mut block = Vec::with_capacity(packed.len() + BLOCK_HEADER);
        block.push(METHOD_LZ4);
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        block.extend_from_slice(&size(packed.len() + BLOCK_HEADER));
        block.extend_from_slice(&size(piece.len()));
        block.extend_from_slice(&packed);
        out.extend_from_slice(&checksum(&block));
        out.extend_from_slice(&block);
    }
}

/// CityHash128 1.0.2 of a block, as it stands before it: high half first.
pub(crate) fn checksum(block: &[u8]) -> [u8; 16] {
    let hash = cityhash_rs::cityhash_102_128(block);
    let halves = [(hash >> 64) as u64, hash as u64];
    let mut bytes = [0_u8; 16];
    for (to, half) in bytes.chunks_exact_mut(8).zip(halves) {
        to.copy_from_slice(&half.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::http::decoder;

    #[test]
    fn each_compression_comes_back() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let codings = NAMES.into_iter().map(|(coding, _)| (Some(coding), false)).chain([(None, true), (None, false)]);
        for (coding, blocks) in codings {
            let mut encoder = Encoder::new(coding, blocks).expect("an encoder");
            let mut packed = Vec::new();
            for piece in text.chunks(70_001) {
                packed.extend(encoder.push(piece, false).expect("pushed"));
            }
            packed.extend(encoder.push(b"end", true).expect("flushed"));
            packed.extend(encoder.finish().expect("finished"));
            let mut back = Vec::new();
            decoder(Box::new(std::io::Cursor::new(packed)), coding, blocks).read_to_end(&mut back).expect("decoded");
            assert!(back.ends_with(b"end") && back.starts_with(&text), "{coding:?}");
        }
    }

    #[test]
    fn chosen_in_the_documented_order() {
        assert_eq!(Coding::accepted("lz4,zstd,br,gzip"), Some(Coding::Zstd));
        assert_eq!(Coding::accepted("gzip, deflate"), Some(Coding::Gzip));
        assert_eq!(Coding::accepted("identity"), None);
    }
}
