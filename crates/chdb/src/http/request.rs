//! What a request asks for, taken from its URL and headers. The body is read later, by the statement.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::codec::Coding;
use super::multipart;
use crate::failure::Failure;
use crate::operator::Peer;
use crate::options::User;
use crate::session::Asked;

/// Whether a request may write: only POST may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// A parsed request.
pub(crate) struct Request {
    pub(crate) user: User,
    /// Who asks; what only the operator may say is refused to others.
    pub(crate) peer: Peer,
    pub(crate) method: Method,
    /// The `query` parameter; the body follows it after a newline.
    pub(crate) sql: Vec<u8>,
    pub(crate) query_id: String,
    pub(crate) database: Option<String>,
    pub(crate) default_format: Option<String>,
    pub(crate) session: Option<Asked>,
    /// Hold the answer back until the statement has ended.
    pub(crate) wait_end: bool,
    /// Answer in ClickHouse's compressed blocks.
    pub(crate) compress: bool,
    /// The body is in ClickHouse's compressed blocks.
    pub(crate) decompress: bool,
    /// Compression of the body.
    pub(crate) content_encoding: Option<Coding>,
    /// Compression of the answer.
    pub(crate) accept: Option<Coding>,
    /// Boundary of a multipart/form-data body.
    pub(crate) boundary: Option<String>,
    /// Settings for this request only.
    pub(crate) settings: Vec<(String, Vec<u8>)>,
    /// Values of `{name:Type}`.
    pub(crate) params: Vec<(String, Vec<u8>)>,
}

/// Known to HTTP alone: not settings, or settings that mean nothing to an engine without an HTTP server.
const NOT_SETTINGS: [&str; 15] = [
    "quota_key",
    "stacktrace",
    "role",
    "buffer_size",
    "client_protocol_version",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close",
    "http_zlib_compression_level",
    "http_response_buffer_size",
    "http_wait_end_of_query",
    "http_write_exception_in_output_format",
    "log_comment",
    "user",
    "password",
];

/// The longest a session may be kept.
const MAX_SESSION: u64 = 3600;
/// Kept when nothing is said.
const DEFAULT_SESSION: u64 = 60;

/// `a=1&b=2`, percent-decoded, `+` for a blank.
pub(crate) fn parse_query(query: &str) -> Vec<(String, Vec<u8>)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (String::from_utf8_lossy(&percent_decode(name.as_bytes())).into_owned(), percent_decode(value.as_bytes()))
        })
        .collect()
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return out,
            [b'+', tail @ ..] => {
                out.push(b' ');
                tail
            }
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0);
                out.push(u8::try_from(digit(high) * 16 + digit(low)).unwrap_or(b'?'));
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl Request {
    /// Reads parameters and headers. `parameters` are those of the URL.
    pub(crate) fn parse(
        user: User,
        method: Method,
        query_id: String,
        parameters: Vec<(String, Vec<u8>)>,
        headers: &HeaderMap,
    ) -> Result<Request, Failure> {
        let mut request = Request {
            user,
            peer: Peer::Client,
            method,
            sql: Vec::new(),
            query_id,
            database: None,
            default_format: None,
            session: None,
            wait_end: false,
            compress: false,
            decompress: false,
            content_encoding: None,
            accept: Coding::accepted(header(headers, "accept-encoding").unwrap_or_default()),
            boundary: header(headers, CONTENT_TYPE.as_str()).and_then(multipart::boundary),
            settings: Vec::new(),
            params: Vec::new(),
        };
        let mut session = SessionParameters::default();
        for (name, value) in parameters {
            request.parameter(name, value, &mut session)?;
        }
        request.session = session.asked()?;
        if let Some(encoding) = header(headers, CONTENT_ENCODING.as_str()) {
            request.content_encoding = Coding::of_request(encoding)?;
        }
        let named = |name: &str| header(headers, name).filter(|value| !value.is_empty()).map(str::to_owned);
        request.database = named("x-clickhouse-database").or(request.database);
        request.default_format = request.default_format.or_else(|| named("x-clickhouse-format"));
        Ok(request)
    }

    fn parameter(&mut self, name: String, value: Vec<u8>, session: &mut SessionParameters) -> Result<(), Failure> {
        let text = || String::from_utf8_lossy(&value).into_owned();
        let flag = || value == b"1" || value.eq_ignore_ascii_case(b"true");
        let some = || Some(text()).filter(|text| !text.is_empty());
        match name.as_str() {
            "" | "query_id" => {}
            "query" => self.sql = value,
            "database" => self.database = some(),
            "default_format" => self.default_format = some(),
            "session_id" => session.id = Some(text()),
            "session_timeout" => session.timeout = Some(text()),
            "session_check" => session.check = flag(),
            "close_session" => session.close = flag(),
            "wait_end_of_query" => self.wait_end = flag(),
            "compress" => self.compress = flag(),
            "decompress" => self.decompress = flag(),
            "enable_http_compression" => {
                if !flag() {
                    self.accept = None;
                }
            }
            other => {
                if let Some(param) = other.strip_prefix("param_") {
                    self.params.push((param.to_owned(), value));
                } else if !NOT_SETTINGS.contains(&other) {
                    self.settings.push((name, value));
                }
            }
        }
        Ok(())
    }

    /// A part of a form: `query` is appended to the parameter, `param_x` is a value.
    pub(crate) fn form_field(&mut self, name: &str, value: &[u8]) {
        if name == "query" {
            self.sql.extend_from_slice(value);
        } else if let Some(param) = name.strip_prefix("param_") {
            self.params.push((param.to_owned(), value.to_vec()));
        }
    }

    /// Takes a parameter that describes an external table out of the settings.
    pub(crate) fn take_setting(&mut self, name: &str) -> Option<String> {
        let at = self.settings.iter().position(|(known, _)| known == name)?;
        Some(String::from_utf8_lossy(&self.settings.remove(at).1).into_owned())
    }
}

#[derive(Default)]
struct SessionParameters {
    id: Option<String>,
    timeout: Option<String>,
    check: bool,
    close: bool,
}

impl SessionParameters {
    fn asked(self) -> Result<Option<Asked>, Failure> {
        let Some(id) = self.id else { return Ok(None) };
        if id.is_empty() {
            return Err(Failure::new(36, "BAD_ARGUMENTS", "Session id is empty"));
        }
        let invalid = |text: &str| {
            Failure::new(
                374,
                "INVALID_SESSION_TIMEOUT",
                format_args!("Invalid session timeout: '{text}', maximum {MAX_SESSION}"),
            )
        };
        let seconds = match &self.timeout {
            None => DEFAULT_SESSION,
            Some(text) => text.parse().ok().filter(|seconds| *seconds <= MAX_SESSION).ok_or_else(|| invalid(text))?,
        };
        Ok(Some(Asked { id, timeout: Duration::from_secs(seconds), check: self.check, close: self.close }))
    }
}

/// The query id to use: the client's without control characters, or a new one.
pub(crate) fn query_id(parameters: &[(String, Vec<u8>)], headers: &HeaderMap) -> String {
    let given = parameters
        .iter()
        .find(|(name, _)| name == "query_id")
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .or_else(|| header(headers, "x-clickhouse-query-id").map(str::to_owned))
        .unwrap_or_default();
    let clean: String = given.chars().filter(|char| !char.is_control()).collect();
    if clean.is_empty() { uuid::Uuid::new_v4().to_string() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let parsed = parse_query("query=SELECT+1%2B&a&=x&param_s=it%27s%zz");
        let own = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        assert_eq!(parsed, [own("query", "SELECT 1+"), own("a", ""), own("", "x"), own("param_s", "it's%zz")]);
    }
}
