//! Reading bytes in order, never past their end.

/// More values than this make a tree that neither we nor a browser hold.
const MOST_VALUES: u32 = 1_000_000;

/// The unread rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    values: u32,
}

const SHORT: &str = "it ends too early";

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, values: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Counts one more value of the tree that is built.
    pub(super) fn count_value(&mut self) -> Result<(), String> {
        self.values += 1;
        if self.values > MOST_VALUES { Err(format!("it holds more than {MOST_VALUES} values")) } else { Ok(()) }
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        self.take(1).and_then(|bytes| bytes.first().copied().ok_or_else(|| SHORT.to_owned()))
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N).and_then(|bytes| bytes.try_into().map_err(|_| SHORT.to_owned()))
    }

    /// Seven bits a byte, lowest first, as Avro and Protobuf write numbers.
    pub(super) fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number in it is too long".to_owned())
    }

    /// A varint with its sign in the lowest bit.
    pub(super) fn zigzag(&mut self) -> Result<i64, String> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}
