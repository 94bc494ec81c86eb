//! Back-pressure, and clients that go away.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use walhouse_chdb::testing::{self, TestEngine};

use crate::wire::{connect, ok, read_answer, send_head};

fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the engine's status");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}

/// A failure after 20 MB, to a reader that is far behind: the block must still arrive, whatever the compression.
#[test]
fn a_late_failure_reaches_a_slow_reader() {
    let address = testing::shared().address();
    for (name, more) in [("plain", ""), ("gzip", ""), ("zstd", ""), ("br", ""), ("lz4", ""), ("blocks", "&compress=1")]
    {
        let query = "SELECT throwIf(number = 3000000), number FROM numbers(4000000) FORMAT TSV";
        let path = format!("/?max_block_size=10000&query={}{more}", query.replace(' ', "+"));
        let mut socket = connect(&address);
        let headers = [("Content-Length".to_owned(), "0".to_owned()), ("Accept-Encoding".to_owned(), name.to_owned())];
        send_head(&mut socket, "POST", &path, &headers);
        std::thread::sleep(Duration::from_millis(500));
        let answer = read_answer(&mut socket, false);
        assert_eq!(answer.status, 200);
        assert!(!answer.complete, "{name}: the last chunk was sent");
        let (body, all) = (answer.body(), answer.chunks.len());
        let mut plain = Vec::new();
        let read = match name {
            "gzip" => flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain),
            "zstd" => zstd::stream::read::Decoder::new(body.as_slice()).expect("zstd").read_to_end(&mut plain),
            "br" => brotli::Decompressor::new(body.as_slice(), 1 << 16).read_to_end(&mut plain),
            "lz4" => lz4_flex::frame::FrameDecoder::new(body.as_slice()).read_to_end(&mut plain),
            "blocks" => Ok(plain.write(&crate::checks::unblock(&body)).expect("written")),
            _ => Ok(plain.write(&body).expect("written")),
        };
        // a compressed stream that is broken off has no end of its own
        drop(read);
        let tag = &answer.headers["x-clickhouse-exception-tag"];
        let end = format!(" {tag}\r\n__exception__\r\n");
        assert!(plain.ends_with(end.as_bytes()), "{name}: {all} chunks, {} bytes", plain.len());
        assert!(plain.len() > 20_000_000, "{name}: {}", plain.len());
    }
}

fn running(address: &str, id: &str) -> bool {
    ok(address, &format!("SELECT count() FROM system.processes WHERE Settings['log_comment'] = '{id}'")) != "0\n"
}

/// Asserts that the statement ends within a second.
fn ends_soon(address: &str, id: &str) {
    let start = Instant::now();
    while running(address, id) {
        assert!(start.elapsed() < Duration::from_secs(1), "{id} still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn begin(address: &str, id: &str, query: &str) -> std::net::TcpStream {
    let mut socket = connect(address);
    let path = format!("/?query_id={id}&query={}", query.replace('%', "%25").replace(' ', "+"));
    send_head(&mut socket, "POST", &path, &[("Content-Length".to_owned(), "0".to_owned())]);
    socket
}

#[test]
fn a_slow_reader_holds_the_engine_back() {
    // an engine of its own: other tests would move the figures
    let engine = TestEngine::start();
    let address = engine.address();
    ok(&address, "SELECT number FROM numbers(1000000) FORMAT Null");
    let mut socket = begin(&address, "slow", "SELECT number, toString(number) FROM numbers(1000000000)");
    let mut some = vec![0; 1 << 20];
    socket.read_exact(&mut some).expect("the first megabyte");
    let before = resident_mib(engine.pid());
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        let now = resident_mib(engine.pid());
        assert!(now < before + 64, "{before} MiB grew to {now} MiB");
    }
    assert!(running(&address, "slow"));
    drop(socket);
    ends_soon(&address, "slow");
}

#[test]
fn a_client_that_goes_away_ends_its_query() {
    let address = testing::shared().address();
    // nothing was sent yet; in a write; in a result that is held back; in the middle of the answer; in a sleep
    for (id, query) in [
        ("gone-silent", "SELECT count() FROM numbers(1000000000000) WHERE number % 7 = 3"),
        ("gone-writing", "INSERT INTO FUNCTION null('n UInt64') SELECT number FROM numbers(1000000000000)"),
        ("gone-held", "SELECT number % 3 FROM numbers(1000000000000)&wait_end_of_query=1"),
        ("gone-streaming", "SELECT number FROM numbers(1000000000000)"),
        (
            "gone-sleeping",
            "SELECT sleepEachRow(0.05) FROM numbers(10000) SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0",
        ),
    ] {
        let socket = begin(&address, id, query);
        let start = Instant::now();
        while !running(&address, id) {
            assert!(start.elapsed() < Duration::from_secs(5), "{id} does not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        drop(socket);
        ends_soon(&address, id);
    }
}

#[test]
fn many_requests_at_once_are_all_answered() {
    let address = testing::shared().address();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|n| {
                let address = &address;
                scope.spawn(move || {
                    for round in 0..20 {
                        assert_eq!(
                            ok(address, &format!("SELECT {n} * 1000 + {round}")),
                            format!("{}\n", n * 1000 + round)
                        );
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("answered"));
    });
}

#[test]
fn a_query_is_killed_by_its_id() {
    let address = testing::shared().address();
    for how in ["SYNC", "ASYNC", ""] {
        let mut socket = begin(&address, "kill-me", "SELECT count() FROM numbers(1000000000000) WHERE number % 7 = 3");
        while !running(&address, "kill-me") {
            std::thread::sleep(Duration::from_millis(5));
        }
        ok(&address, &format!("KILL QUERY WHERE query_id = 'kill-me' {how}"));
        let answer = read_answer(&mut socket, false);
        assert_eq!((answer.status, answer.code()), (500, 394), "{how}");
    }
}
