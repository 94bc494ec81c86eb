//! The list of HTTP checks in `tests/data`, recorded from what the official clients send and need.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::Value;
use walhouse_chdb::testing;

use crate::wire::{Answer, connect, read_answer, send_head};

#[test]
fn every_recorded_check_passes() {
    let address = testing::shared().address();
    let mut failed = Vec::new();
    let list = include_str!("../data/http-checks.jsonl");
    assert_eq!(list.lines().count(), 79);
    for line in list.lines().filter(|line| !line.is_empty()) {
        let check: Value = serde_json::from_str(line).expect("a check");
        let answer = perform(&address, &check);
        let faults = answer.map_or_else(Vec::new, |answer| faults(&check["expect"], &answer));
        if !faults.is_empty() {
            failed.push(format!("{}: {}", check["id"], faults.join("; ")));
        }
    }
    assert!(failed.is_empty(), "{} of {} fail:\n{}", failed.len(), list.lines().count(), failed.join("\n"));
}

fn body_of(check: &Value) -> Option<Vec<u8>> {
    if let Some(encoded) = check["body_b64"].as_str() {
        return Some(base64(encoded));
    }
    let body = check["body"].as_str()?;
    Some(body.strip_prefix("@block:").map_or_else(|| body.as_bytes().to_vec(), |encoded| block(&base64(encoded))))
}

/// ClickHouse's block framing, uncompressed.
fn block(data: &[u8]) -> Vec<u8> {
    let mut framed = vec![0x02];
    let size = |length: usize| u32::try_from(length).expect("a small block").to_le_bytes();
    framed.extend(size(data.len() + 9));
    framed.extend(size(data.len()));
    framed.extend(data);
    let hash = cityhash_rs::cityhash_102_128(&framed);
    let mut out = ((hash >> 64) as u64).to_le_bytes().to_vec();
    out.extend((hash as u64).to_le_bytes());
    out.extend(framed);
    out
}

pub(crate) fn unblock(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while !body.is_empty() {
        let size = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().expect("four bytes")) as usize;
        let (packed, plain) = (size(17), size(21));
        let payload = &body[25..16 + packed];
        if body[16] == 0x02 {
            out.extend(payload);
        } else {
            out.extend(lz4_flex::block::decompress(payload, plain).expect("a block"));
        }
        body = &body[16 + packed..];
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let value = alphabet.iter().position(|known| *known == byte).expect("base64");
        bits = (bits << 6) | u32::try_from(value).expect("six bits");
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(((bits >> count) & 0xff) as u8);
        }
    }
    out
}

/// `None` for a request that is broken off on purpose.
fn perform(address: &str, check: &Value) -> Option<Answer> {
    let method = check["method"].as_str().expect("a method");
    let body = body_of(check);
    let mut headers = vec![("Connection".to_owned(), "close".to_owned())];
    for (name, value) in check["headers"].as_object().expect("headers") {
        headers.push((name.clone(), value.as_str().unwrap_or_default().to_owned()));
    }
    let chunked = &check["chunked"];
    match &body {
        Some(_) if !chunked.is_null() => headers.push(("Transfer-Encoding".into(), "chunked".into())),
        Some(body) => headers.push(("Content-Length".into(), body.len().to_string())),
        None => {}
    }
    let mut socket = connect(address);
    send_head(&mut socket, method, check["path"].as_str().expect("a path"), &headers);
    if let Some(body) = body {
        if chunked.is_null() {
            // a server that answers early may have closed its side
            let _ = socket.write_all(&body);
        } else {
            socket.write_all(format!("{:x}\r\n", body.len()).as_bytes()).expect("sent");
            socket.write_all(&body).expect("sent");
            socket.write_all(b"\r\n").expect("sent");
            if chunked.as_str() == Some("cut") {
                std::thread::sleep(Duration::from_millis(300));
                drop(socket);
                std::thread::sleep(Duration::from_millis(300));
                return None;
            }
            socket.write_all(b"0\r\n\r\n").expect("sent");
        }
    }
    Some(read_answer(&mut socket, method == "HEAD"))
}

fn faults(expect: &Value, answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    let statuses: Vec<u64> = match expect["any_status"].as_array() {
        Some(any) => any.iter().filter_map(Value::as_u64).collect(),
        None => expect["status"].as_u64().into_iter().collect(),
    };
    if !statuses.contains(&u64::from(answer.status)) {
        faults.push(format!("status {}", answer.status));
    }
    let mut body = answer.body();
    match expect["decode"].as_str() {
        Some("gzip") => {
            let packed = std::mem::take(&mut body);
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut body).expect("gzip");
        }
        Some("block") => body = unblock(&body),
        _ => {}
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    if expect["body"].as_str().is_some_and(|wanted| wanted != text) {
        faults.push(format!("body {text:?}"));
    }
    if expect["body_b64"].as_str().is_some_and(|wanted| base64(wanted) != body) {
        faults.push(format!("body {body:?}"));
    }
    if let Some(wanted) = expect["body_re"].as_str() {
        let pattern = format!("(?s){wanted}");
        if !regex::Regex::new(&pattern).expect("a pattern").is_match(&text) {
            faults.push(format!("body {:?}", text.chars().take(300).collect::<String>()));
        }
    }
    header_faults(expect, answer, &mut faults);
    json_faults(expect, &body, &mut faults);
    match expect["midstream"].as_u64() {
        Some(code) => midstream_faults(code, answer, &body, &mut faults),
        None if !answer.complete => faults.push("truncated".to_owned()),
        None => {}
    }
    faults
}

fn header_faults(expect: &Value, answer: &Answer, faults: &mut Vec<String>) {
    for (name, wanted) in expect["headers_re"].as_object().into_iter().flatten() {
        let value = answer.headers.get(name).cloned().unwrap_or_default();
        let wanted = regex::Regex::new(wanted.as_str().unwrap_or_default()).expect("a pattern");
        if !answer.headers.contains_key(name) || !wanted.is_match(&value) {
            faults.push(format!("header {name}: {value:?}"));
        }
    }
    for name in expect["absent_headers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if answer.headers.contains_key(name) {
            faults.push(format!("header {name} is there"));
        }
    }
}

fn json_faults(expect: &Value, body: &[u8], faults: &mut Vec<String>) {
    let Some(paths) = expect["json_path"].as_object() else { return };
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    for (path, wanted) in paths {
        let found = document.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or_default();
        let plain = |value: &Value| value.to_string().trim_matches('"').to_owned();
        if plain(&found) != plain(wanted) {
            faults.push(format!("{path} = {found}"));
        }
    }
}

/// The exception block stands at the end, in a chunk's end, and no last chunk follows.
fn midstream_faults(code: u64, answer: &Answer, body: &[u8], faults: &mut Vec<String>) {
    let tag = answer.headers.get("x-clickhouse-exception-tag").cloned().unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let end = format!(" {tag}\r\n__exception__\r\n");
    let begin = format!("\r\n__exception__\r\n{tag}\r\n");
    let message = text
        .strip_suffix(end.as_str())
        .and_then(|text| text.rsplit_once(begin.as_str()))
        .and_then(|(_, block)| block.rsplit_once('\n'));
    match message {
        Some((message, length))
            if length == (message.len() + 1).to_string() && message.contains(&format!("Code: {code}.")) => {}
        other => faults.push(format!("exception block {other:?}")),
    }
    let last = answer.chunks.last().cloned().unwrap_or_default();
    if !last.starts_with(begin.as_bytes()) {
        faults.push("the block is not a chunk of its own".to_owned());
    }
    if answer.complete {
        faults.push("the last chunk was sent".to_owned());
    }
}
