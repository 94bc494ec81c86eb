//! Network addresses: inet, cidr, macaddr, macaddr8.

use super::scalar::hex_digit;
use super::scan::{BAD_TEXT, Form, WRONG_LENGTH, digits, exact, form};
use crate::{Invalid, Wire};

/// Postgres' own numbers, the same on every platform: AF_INET, and AF_INET + 1.
const WIRE_V4: u8 = 2;
const WIRE_V6: u8 = 3;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Four bytes.
    V4,
    /// Sixteen bytes.
    V6,
}

/// A decoded `inet` or `cidr`. `Debug` shows no address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Inet {
    /// The family.
    pub family: Family,
    /// Length of the network part in bits: 0..=32 or 0..=128.
    pub bits: u8,
    /// The address, network order; a v4 address in the first four bytes, the rest zero.
    pub address: [u8; 16],
}

impl std::fmt::Debug for Inet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inet").field("family", &self.family).finish_non_exhaustive()
    }
}

impl Family {
    /// Bits of an address.
    #[inline]
    pub const fn max_bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl Inet {
    /// Whether this is one host rather than a host within a network.
    #[inline]
    pub const fn is_host(&self) -> bool {
        self.bits == self.family.max_bits()
    }
}

/// `inet` and `cidr`: `192.168.1.5/24`, `::1`; without `/bits` it is a host.
#[inline]
pub fn inet(wire: Wire<'_>) -> Result<Inet, Invalid> {
    const NAME: &str = "inet";
    match form(wire, NAME)? {
        Form::Binary(bytes) => inet_binary(bytes).ok_or(Invalid::new(NAME, WRONG_LENGTH)),
        Form::Text(text) => inet_text(text).ok_or(Invalid::new(NAME, BAD_TEXT)),
    }
}

/// family, bits, is_cidr, address length, address.
fn inet_binary(bytes: &[u8]) -> Option<Inet> {
    let ([family, bits, _is_cidr, length], rest) = bytes.split_first_chunk::<4>()?;
    let family = match *family {
        WIRE_V4 => Family::V4,
        WIRE_V6 => Family::V6,
        _ => return None,
    };
    let size = usize::from(family.max_bits() / 8);
    if usize::from(*length) != size || rest.len() != size || *bits > family.max_bits() {
        return None;
    }
    let mut address = [0; 16];
    address.get_mut(..size)?.copy_from_slice(rest);
    Some(Inet { family, bits: *bits, address })
}

fn inet_text(text: &[u8]) -> Option<Inet> {
    let (host, bits) = match text.iter().position(|byte| *byte == b'/') {
        Some(slash) => (text.get(..slash)?, Some(digits(text.get(slash + 1..)?)?)),
        None => (text, None),
    };
    let host = std::str::from_utf8(host).ok()?;
    let mut address = [0; 16];
    let family = match host.parse().ok()? {
        std::net::IpAddr::V4(v4) => {
            address.get_mut(..4)?.copy_from_slice(&v4.octets());
            Family::V4
        }
        std::net::IpAddr::V6(v6) => {
            address = v6.octets();
            Family::V6
        }
    };
    let bits = match bits {
        Some(bits) => u8::try_from(bits).ok().filter(|bits| *bits <= family.max_bits())?,
        None => family.max_bits(),
    };
    Some(Inet { family, bits, address })
}

/// `macaddr`: `08:00:2b:01:02:03`.
#[inline]
pub fn macaddr(wire: Wire<'_>) -> Result<[u8; 6], Invalid> {
    mac(wire, "macaddr")
}

/// `macaddr8`: `08:00:2b:01:02:03:04:05`.
#[inline]
pub fn macaddr8(wire: Wire<'_>) -> Result<[u8; 8], Invalid> {
    mac(wire, "macaddr8")
}

#[inline]
fn mac<const N: usize>(wire: Wire<'_>, name: &'static str) -> Result<[u8; N], Invalid> {
    match form(wire, name)? {
        Form::Binary(bytes) => exact(bytes, name),
        Form::Text(text) => mac_text(text).ok_or(Invalid::new(name, BAD_TEXT)),
    }
}

/// Pairs of hexadecimal digits with colons between.
fn mac_text<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let mut groups = text.split(|byte| *byte == b':');
    for byte in &mut out {
        let [high, low] = groups.next()? else {
            return None;
        };
        *byte = (hex_digit(*high)? << 4) | hex_digit(*low)?;
    }
    groups.next().is_none().then_some(out)
}
