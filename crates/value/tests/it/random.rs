//! Random values through a real server, in rounds until the time budget is spent.
//!
//! The values are made in their binary form, so that every bit pattern a type allows comes up;
//! Postgres receives, stores and prints them. `WALHOUSE_TEST_SEED` replays a run, and
//! `WALHOUSE_TEST_SECONDS` lengthens it.

use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::agree::agree;
use crate::oracle::{Oracle, Raw};

type Make = fn(&mut ChaCha8Rng) -> Vec<u8>;

const DAYS: std::ops::Range<i32> = -2_451_545..2_145_031_949;
const MICROS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

const MAKERS: &[(&str, Make)] = &[
    ("int8", |rng| rng.random::<i64>().to_be_bytes().to_vec()),
    ("pg_lsn", |rng| (rng.random::<u64>() >> rng.random_range(0..64)).to_be_bytes().to_vec()),
    ("money", |rng| (rng.random::<i64>() >> rng.random_range(0..64)).to_be_bytes().to_vec()),
    ("float8", |rng| float8(rng).to_be_bytes().to_vec()),
    ("float4", |rng| float4(rng).to_be_bytes().to_vec()),
    ("numeric", numeric),
    ("bytea", |rng| random_bytes(rng, 20)),
    ("text", text),
    ("uuid", |rng| rng.random::<[u8; 16]>().to_vec()),
    ("date", |rng| {
        near(rng, DAYS.start.into(), DAYS.end.into(), 0).map_or(0, |days| days as i32).to_be_bytes().to_vec()
    }),
    ("time", |rng| rng.random_range(0..=DAY_MICROS).to_be_bytes().to_vec()),
    ("timetz", timetz),
    ("timestamp", timestamp),
    ("timestamptz", timestamp),
    ("interval", interval),
    ("inet", inet),
    ("macaddr", |rng| rng.random::<[u8; 6]>().to_vec()),
    ("varbit", varbit),
];

#[tokio::test]
async fn both_forms_agree_on_random_values() -> Result<()> {
    let seed = knob("WALHOUSE_TEST_SEED", rand::random::<u64>());
    let budget = Duration::from_secs(knob("WALHOUSE_TEST_SECONDS", 3));
    println!("WALHOUSE_TEST_SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let oracle = Oracle::start("random").await?;
    let (deadline, mut checked, mut round) = (Instant::now() + budget, 0usize, 0usize);
    while round == 0 || Instant::now() < deadline {
        for (number, (ty, make)) in MAKERS.iter().enumerate() {
            checked += scalars(&oracle, &mut rng, &format!("s{round}_{number}"), ty, *make).await?;
            checked += arrays(&oracle, &mut rng, &format!("a{round}_{number}"), ty, *make).await?;
        }
        round += 1;
    }
    println!("{checked} random values agree, {round} rounds");
    Ok(())
}

/// A bad knob fails the test rather than being ignored.
fn knob<T: FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().expect(name),
        Err(_) => default,
    }
}

async fn scalars(oracle: &Oracle, rng: &mut ChaCha8Rng, table: &str, ty: &str, make: Make) -> Result<usize> {
    let values: Vec<Raw> = (0..1_000).map(|_| Raw(make(rng))).collect();
    let column = oracle.column(table, ty).await?;
    let insert = format!("INSERT INTO {table} (v) SELECT unnest($1::{ty}[])");
    oracle.client.execute(&insert, &[&values]).await.with_context(|| insert.clone())?;
    check(oracle, table, &column).await
}

async fn arrays(oracle: &Oracle, rng: &mut ChaCha8Rng, table: &str, ty: &str, make: Make) -> Result<usize> {
    let column = oracle.column(table, &format!("{ty}[]")).await?;
    let insert = oracle.client.prepare(&format!("INSERT INTO {table} (v) VALUES ($1)")).await?;
    let oid = oracle.client.query_one("SELECT $1::text::regtype::oid", &[&ty]).await?.get(0);
    for _ in 0..20 {
        oracle.client.execute(&insert, &[&Raw(array(rng, oid, make))]).await?;
    }
    check(oracle, table, &column).await
}

async fn check(oracle: &Oracle, table: &str, ty: &walhouse_value::PgType) -> Result<usize> {
    let pairs = oracle.pairs(table).await?;
    for pair in &pairs {
        agree(ty, pair);
    }
    oracle.client.batch_execute(&format!("DROP TABLE {table}")).await?;
    Ok(pairs.len())
}

/// A random binary array: up to three dimensions, any lower bounds, NULLs.
fn array(rng: &mut ChaCha8Rng, element_oid: u32, make: Make) -> Vec<u8> {
    let dimensions = rng.random_range(0..=3usize);
    let mut out = Vec::new();
    out.extend((dimensions as i32).to_be_bytes());
    out.extend(1i32.to_be_bytes());
    out.extend(element_oid.to_be_bytes());
    let bounded = rng.random_bool(0.3);
    let mut count = 1;
    for _ in 0..dimensions {
        let length = rng.random_range(1..=4i32);
        count *= length;
        let lower = if bounded { rng.random_range(-3..=3) } else { 1i32 };
        out.extend(length.to_be_bytes());
        out.extend(lower.to_be_bytes());
    }
    for _ in 0..if dimensions == 0 { 0 } else { count } {
        if rng.random_bool(0.1) {
            out.extend((-1i32).to_be_bytes());
        } else {
            let element = make(rng);
            out.extend((element.len() as i32).to_be_bytes());
            out.extend(element);
        }
    }
    out
}

/// Any bits, short decimals, small multiples of powers of two and large whole numbers: the last
/// three are where shortest decimals meet edges and ties.
fn float8(rng: &mut ChaCha8Rng) -> f64 {
    match rng.random_range(0..5) {
        0 => f64::from_bits(rng.random()),
        1 => f64::from_bits(rng.random_range(0..100_000)),
        2 => short_decimal(rng, 17, 300).parse().unwrap_or_default(),
        3 => (rng.random::<u64>() >> rng.random_range(0..64)) as f64 * 2f64.powi(rng.random_range(-60..60)),
        _ => {
            let power = 2f64.powi(rng.random_range(-1022..1023));
            if rng.random() { power.next_up() } else { power }
        }
    }
}

fn float4(rng: &mut ChaCha8Rng) -> f32 {
    match rng.random_range(0..5) {
        0 => f32::from_bits(rng.random()),
        1 => f32::from_bits(rng.random_range(0..100_000)),
        2 => short_decimal(rng, 9, 37).parse().unwrap_or_default(),
        3 => (rng.random::<u32>() >> rng.random_range(0..32)) as f32 * 2f32.powi(rng.random_range(-40..40)),
        _ => 2f32.powi(rng.random_range(-126..127)),
    }
}

fn short_decimal(rng: &mut ChaCha8Rng, max_digits: u32, max_exponent: i32) -> String {
    let length = rng.random_range(1..=max_digits);
    let digits = rng.random_range(0..10u64.pow(length));
    format!("{digits}e{}", rng.random_range(-max_exponent..=max_exponent - max_digits as i32))
}

fn numeric(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let count = rng.random_range(0..=12u16);
    let weight = rng.random_range(-12..=12i16);
    // enough of a scale to keep most digits, sometimes less, sometimes trailing zeros
    let needed = (i32::from(count) - 1 - i32::from(weight)) * 4;
    let scale = (needed + rng.random_range(-6..=6)).clamp(0, 200) as u16;
    let sign = if rng.random() { 0x4000 } else { 0u16 };
    let mut out: Vec<u8> = [count, weight as u16, sign, scale].into_iter().flat_map(u16::to_be_bytes).collect();
    for _ in 0..count {
        let group: u16 = if rng.random_bool(0.3) { 0 } else { rng.random_range(0..=9_999) };
        out.extend(group.to_be_bytes());
    }
    out
}

fn random_bytes(rng: &mut ChaCha8Rng, max: usize) -> Vec<u8> {
    let length = rng.random_range(0..=max);
    (0..length).map(|_| rng.random()).collect()
}

/// Characters that array quoting cares about, and some that it does not.
fn text(rng: &mut ChaCha8Rng) -> Vec<u8> {
    const ALPHABET: [char; 16] =
        ['a', 'N', 'U', 'L', '"', '\\', '{', '}', ',', ' ', '\t', '\u{b}', 'é', '\u{a0}', '日', '\''];
    if rng.random_bool(0.05) {
        return b"null".to_vec();
    }
    let length = rng.random_range(0..6);
    (0..length).map(|_| ALPHABET[rng.random_range(0..ALPHABET.len())]).collect::<String>().into_bytes()
}

/// A value of the whole range, or within a few thousand units of a point in it.
fn near(rng: &mut ChaCha8Rng, start: i64, end: i64, point: i64) -> Option<i64> {
    let value = if rng.random() { rng.random_range(start..end) } else { point + rng.random_range(-800_000..800_000) };
    (start..end).contains(&value).then_some(value)
}

fn timestamp(rng: &mut ChaCha8Rng) -> Vec<u8> {
    // year 294247, where microseconds since 1970 leave 64 bits
    let point = if rng.random() { i64::MAX - 946_684_800_000_000 } else { 0 };
    let micros = near(rng, MICROS.start, MICROS.end, point).unwrap_or(0);
    let zeros = 10i64.pow(rng.random_range(0..=6));
    (micros / zeros * zeros).to_be_bytes().to_vec()
}

fn timetz(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let zone: i32 = rng.random_range(-57_599..=57_599);
    let unit = [1, 60, 3_600][rng.random_range(0..3usize)];
    let micros = rng.random_range(0..=DAY_MICROS);
    [micros.to_be_bytes().as_slice(), &(zone / unit * unit).to_be_bytes()].concat()
}

fn interval(rng: &mut ChaCha8Rng) -> Vec<u8> {
    // version 14 cannot print more than 2^31 hours
    let micros = rng.random::<i64>() >> rng.random_range(1..64);
    let days = rng.random::<i32>() >> rng.random_range(0..32);
    let months = rng.random::<i32>() >> rng.random_range(0..32);
    let mut keep = |value: i64| if rng.random_bool(0.3) { 0 } else { value };
    let (micros, days, months) = (keep(micros), keep(days.into()) as i32, keep(months.into()) as i32);
    [micros.to_be_bytes().as_slice(), &days.to_be_bytes(), &months.to_be_bytes()].concat()
}

fn inet(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let v4 = rng.random::<bool>();
    let (family, size) = if v4 { (2u8, 4u8) } else { (3, 16) };
    let bits = if rng.random() { size * 8 } else { rng.random_range(0..=size * 8) };
    let mut out = vec![family, bits, 0, size];
    for _ in 0..size / 2 {
        let word: u16 = if rng.random_bool(0.6) { 0 } else { rng.random::<u16>() >> rng.random_range(0..16) };
        out.extend(word.to_be_bytes());
    }
    if !v4 && rng.random_bool(0.2) {
        // ::ffff:a.b.c.d
        out[4..14].fill(0);
        out[14..16].fill(0xff);
    }
    out
}

fn varbit(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let length = rng.random_range(0..40u32);
    let mut out = length.to_be_bytes().to_vec();
    out.extend((0..length.div_ceil(8)).map(|_| rng.random::<u8>()));
    out
}
