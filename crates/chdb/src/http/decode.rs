//! Decompression of request bodies, on the thread that feeds the engine.

use std::io::{Error, ErrorKind, Read, Result};

use super::codec::{BLOCK_HEADER, Coding, METHOD_LZ4, checksum};

/// A reader of plain bytes over a body in the given compressions: `Content-Encoding` outside, blocks inside.
pub(crate) fn decoder(body: Box<dyn Read + Send>, coding: Option<Coding>, blocks: bool) -> Box<dyn Read + Send> {
    let plain: Box<dyn Read + Send> = match coding {
        None => body,
        Some(Coding::Zstd) => match zstd::stream::read::Decoder::new(body) {
            Ok(decoder) => Box::new(decoder),
            Err(error) => Box::new(Failing(Some(error))),
        },
        Some(Coding::Brotli) => Box::new(brotli::Decompressor::new(body, 1 << 16)),
        Some(Coding::Lz4) => Box::new(lz4_flex::frame::FrameDecoder::new(body)),
        Some(Coding::Snappy) => Box::new(snap::read::FrameDecoder::new(body)),
        Some(Coding::Gzip) => Box::new(flate2::read::MultiGzDecoder::new(body)),
        Some(Coding::Deflate) => Box::new(flate2::read::ZlibDecoder::new(body)),
        Some(Coding::Xz) => Box::new(liblzma::read::XzDecoder::new_multi_decoder(body)),
        Some(Coding::Bzip2) => Box::new(bzip2::read::MultiBzDecoder::new(body)),
    };
    if blocks { Box::new(Blocks { inner: plain, block: Vec::new(), at: 0 }) } else { plain }
}

/// A decoder that could not be made.
struct Failing(Option<Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> Result<usize> {
        Err(self.0.take().unwrap_or_else(|| Error::other("no decoder")))
    }
}

/// ClickHouse's compressed blocks.
struct Blocks<R> {
    inner: R,
    block: Vec<u8>,
    at: usize,
}

/// A block larger than this is a broken or hostile one; clients write 1 MiB, at most some.
const MAX_BLOCK: u32 = 1 << 30;

impl<R: Read> Blocks<R> {
    /// Reads the next block; false at the end of the body.
    fn next(&mut self) -> Result<bool> {
        let mut start = [0_u8; 16 + BLOCK_HEADER];
        let mut have = 0;
        while let Some(space) = start.get_mut(have..).filter(|space| !space.is_empty()) {
            match self.inner.read(space)? {
                0 if have == 0 => return Ok(false),
                0 => return Err(Error::new(ErrorKind::UnexpectedEof, "a compressed block is cut")),
                count => have += count,
            }
        }
        let [sum @ .., method, p0, p1, p2, p3, u0, u1, u2, u3] = start;
        let packed_size = u32::from_le_bytes([p0, p1, p2, p3]);
        let plain_size = u32::from_le_bytes([u0, u1, u2, u3]);
        let invalid = |text: &'static str| Error::new(ErrorKind::InvalidData, text);
        let payload = usize::try_from(packed_size).unwrap_or(0).checked_sub(BLOCK_HEADER);
        let Some(payload) = payload.filter(|_| packed_size <= MAX_BLOCK && plain_size <= MAX_BLOCK) else {
            return Err(invalid("a compressed block has an impossible size"));
        };
        let mut whole = start.get(16..).unwrap_or_default().to_vec();
        // grows as bytes come, not as the header claims
        let read = self.inner.by_ref().take(payload as u64).read_to_end(&mut whole)?;
        if read != payload {
            return Err(Error::new(ErrorKind::UnexpectedEof, "a compressed block is cut"));
        }
        if checksum(&whole) != sum {
            return Err(invalid("a compressed block has a wrong checksum"));
        }
        let packed = whole.get(BLOCK_HEADER..).unwrap_or_default();
        let plain_size = usize::try_from(plain_size).unwrap_or(0);
        self.block = match method {
            0x02 => packed.to_vec(),
            METHOD_LZ4 => {
                lz4_flex::block::decompress(packed, plain_size).map_err(|_| invalid("a compressed block is broken"))?
            }
            0x90 => zstd::bulk::decompress(packed, plain_size)?,
            _ => return Err(invalid("a compressed block has an unknown method")),
        };
        self.at = 0;
        Ok(true)
    }
}

impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.at >= self.block.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let rest = self.block.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_blocks_are_errors() {
        let mut encoder = super::super::codec::Encoder::new(None, true).expect("an encoder");
        let good = encoder.push(b"some data", true).expect("pushed");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            let mut out = Vec::new();
            assert!(decoder(Box::new(std::io::Cursor::new(bad)), None, true).read_to_end(&mut out).is_err(), "{at}");
            let cut = good[..at].to_vec();
            let result = decoder(Box::new(std::io::Cursor::new(cut)), None, true).read_to_end(&mut out);
            assert_eq!(result.is_err(), at > 0, "{at}");
        }
    }
}
