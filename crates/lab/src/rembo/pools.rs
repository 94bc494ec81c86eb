//! Names and addresses, drawn once per seed: making them is what takes time, choosing among them does not.

use fake::Fake;
use fake::faker::address::en::{SecondaryAddress, StreetName};
use fake::faker::internet::en::DomainSuffix;
use fake::faker::name::en::{FirstName, LastName, Suffix};
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Size of each pool: large enough that neighbours differ, small enough to be made in milliseconds.
const POOL_SIZE: usize = 2_000;

/// `varchar(50)`.
const MAX_CHARS: usize = 50;

/// Ready-made words.
#[derive(Debug)]
pub(super) struct Pools {
    pub(super) first_names: Vec<String>,
    pub(super) last_names: Vec<String>,
    pub(super) streets: Vec<String>,
    pub(super) secondary_addresses: Vec<String>,
    pub(super) suffixes: Vec<String>,
    pub(super) domain_suffixes: Vec<String>,
}

impl Pools {
    pub(super) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            first_names: pool(rng, |rng| FirstName().fake_with_rng(rng)),
            last_names: pool(rng, |rng| LastName().fake_with_rng(rng)),
            streets: pool(rng, |rng| StreetName().fake_with_rng(rng)),
            secondary_addresses: pool(rng, |rng| SecondaryAddress().fake_with_rng(rng)),
            suffixes: pool(rng, |rng| Suffix().fake_with_rng(rng)),
            domain_suffixes: pool(rng, |rng| DomainSuffix().fake_with_rng(rng)),
        }
    }
}

fn pool(rng: &mut ChaCha8Rng, make: impl Fn(&mut ChaCha8Rng) -> String) -> Vec<String> {
    (0..POOL_SIZE).map(|_| make(rng)).collect()
}

/// One of `words`; the empty text when there is none.
pub(super) fn pick<'a, T: AsRef<str>>(rng: &mut ChaCha8Rng, words: &'a [T]) -> &'a str {
    words.choose(rng).map_or("", AsRef::as_ref)
}

/// Cuts a text to what `varchar(50)` takes.
pub(super) fn fit(text: String) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}
