//! Against what a worker of Connect 3.5.1 said to the same bodies.

use serde_json::Value;

use super::*;

/// Each line: how the body was read (as a request or as a map), the body, status and message of the reply.
const RECORDED: &str = include_str!("recorded.jsonl");

/// Messages that are said after the body was read.
fn is_about_content(message: &str) -> bool {
    message.contains("contains no connector type") || message.starts_with("Cannot invoke")
}

#[test]
fn says_what_connect_said() {
    let mut faults = Vec::new();
    for line in RECORDED.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| case[key].as_str().unwrap();
        let (body, message) = (text("body"), text("message"));
        let read = match text("kind") {
            "create" => create_request(body.as_bytes()).map(drop),
            _ => text_map(body.as_bytes()).map(drop),
        };
        let said = read.err();
        let expected = (!is_about_content(message)).then(|| message.to_owned());
        if said != expected {
            faults.push(format!("{body}\n  expected {expected:?}\n       got {said:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(RECORDED.lines().count() > 60);
}

#[test]
fn scalars_become_texts() {
    let body = br#"{"name":5,"config":{"a":1.50,"b":true,"c":1e3,"d":null,"e":"\ud83d\ude00","a":"2"}} trailing"#;
    let request = create_request(body).unwrap().unwrap();
    assert_eq!(request.name.as_deref(), Some("5"));
    let expected = r#"{"a":"2","b":"true","c":"1e3","d":null,"e":"😀"}"#;
    assert_eq!(request.config.unwrap().to_json().to_string(), expected);
    assert_eq!(create_request(b"  ").unwrap(), None);
    assert_eq!(text_map(b"null").unwrap(), None);
}

#[test]
fn a_deep_body_is_refused() {
    let deep = format!("{{\"x\":{}", "[".repeat(1_000_000));
    assert!(create_request(deep.as_bytes()).unwrap_err().contains("nesting depth"));
}
