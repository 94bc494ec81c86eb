//! Natural numbers of any size, as little as printing doubles and scaling decimals needs.

use std::cmp::Ordering;

/// Little-endian 32-bit limbs without leading zeros; zero is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nat(Vec<u32>);

impl Nat {
    pub(super) fn from_u64(value: u64) -> Self {
        let mut nat = Self(vec![value as u32, (value >> 32) as u32]);
        nat.trim();
        nat
    }

    /// From ASCII digits; other bytes are skipped.
    pub(super) fn from_digits(digits: &[u8]) -> Self {
        let mut nat = Self(Vec::with_capacity(digits.len() / 9 + 1));
        for chunk in digits.chunks(9) {
            let mut factor = 1;
            let mut part = 0;
            for digit in chunk.iter().filter(|byte| byte.is_ascii_digit()) {
                factor *= 10;
                part = part * 10 + u32::from(digit - b'0');
            }
            nat.mul_add(factor, part);
        }
        nat
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn mul_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.0 {
            let product = u64::from(*limb) * u64::from(factor) + carry;
            *limb = product as u32;
            carry = product >> 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
        self.trim();
    }

    /// Times `5^five * 2^two`.
    pub(super) fn scaled(mut self, five: u32, two: u32) -> Self {
        for _ in 0..five / 13 {
            self.mul_add(1_220_703_125, 0);
        }
        self.mul_add(5u32.pow(five % 13), 0);
        self.shl(two)
    }

    fn shl(mut self, bits: u32) -> Self {
        if self.is_zero() {
            return self;
        }
        self.mul_add(1 << (bits % 32), 0);
        let mut limbs = vec![0; (bits / 32) as usize];
        limbs.append(&mut self.0);
        Self(limbs)
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let (long, short) = if self.0.len() >= other.0.len() { (self, other) } else { (other, self) };
        let mut limbs = Vec::with_capacity(long.0.len() + 1);
        let mut carry = 0u64;
        for (index, limb) in long.0.iter().enumerate() {
            let sum = u64::from(*limb) + u64::from(short.0.get(index).copied().unwrap_or(0)) + carry;
            limbs.push(sum as u32);
            carry = sum >> 32;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
        Self(limbs)
    }

    /// Subtracts `other`, which is not greater.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = 0i64;
        for (index, limb) in self.0.iter_mut().enumerate() {
            let difference = i64::from(*limb) - i64::from(other.0.get(index).copied().unwrap_or(0)) - borrow;
            borrow = i64::from(difference < 0);
            *limb = difference as u32;
        }
        self.trim();
    }

    /// Leaves the remainder and gives the quotient, which must be a small number.
    pub(super) fn divide_small(&mut self, divisor: &Self) -> u8 {
        let mut quotient = 0;
        while self.compare(divisor) != Ordering::Less {
            self.subtract(divisor);
            quotient += 1;
        }
        quotient
    }

    /// Big-endian bytes without leading zeros.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let bytes: Vec<u8> = self.0.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        bytes.into_iter().skip_while(|byte| *byte == 0).collect()
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }
}
