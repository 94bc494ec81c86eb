//! `multipart/form-data`: query parameters as fields, external tables as files.

use crate::failure::Failure;

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'b> {
    pub(crate) name: String,
    /// Parts with a file name are external tables.
    pub(crate) is_file: bool,
    pub(crate) data: &'b [u8],
}

/// The boundary of a multipart content type.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let mut pieces = content_type.split(';');
    if !pieces.next()?.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    pieces.find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The parts of a form; none when there is no boundary.
pub(crate) fn parse_form<'b>(body: &'b [u8], boundary: Option<&str>) -> Result<Vec<Part<'b>>, Failure> {
    let Some(boundary) = boundary else { return Ok(Vec::new()) };
    parse(body, boundary).ok_or_else(|| Failure::new(36, "BAD_ARGUMENTS", "The multipart/form-data body is malformed"))
}

/// Splits a form; `None` when it is not one.
fn parse<'b>(body: &'b [u8], boundary: &str) -> Option<Vec<Part<'b>>> {
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    let first = delimiter.get(2..)?;
    let mut rest = match body.strip_prefix(first) {
        Some(rest) => rest,
        None => body.get(find(body, &delimiter)? + delimiter.len()..)?,
    };
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        rest = rest.get(find(rest, b"\r\n")? + 2..)?;
        let end = find(rest, &delimiter)?;
        parts.push(part(rest.get(..end)?)?);
        rest = rest.get(end + delimiter.len()..)?;
    }
}

fn part(text: &[u8]) -> Option<Part<'_>> {
    let (head, data) = match text.strip_prefix(b"\r\n") {
        Some(data) => (&b""[..], data),
        None => {
            let at = find(text, b"\r\n\r\n")?;
            (text.get(..at)?, text.get(at + 4..)?)
        }
    };
    let head = String::from_utf8_lossy(head);
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let name = attribute(disposition, "name")?;
    Some(Part { name, is_file: attribute(disposition, "filename").is_some(), data })
}

fn attribute(line: &str, wanted: &str) -> Option<String> {
    line.split(';').skip(1).find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        (name.trim() == wanted).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT 1\r\n--B\r\n\
                     content-disposition: form-data; name=\"e\"; filename=\"e.csv\"\r\nContent-Type: x\r\n\r\n1\r\n2\r\n\r\n--B--\r\n";
        let parts = parse(body, "B").expect("a form");
        assert_eq!(parts[0], Part { name: "query".into(), is_file: false, data: b"SELECT 1" });
        assert_eq!(parts[1], Part { name: "e".into(), is_file: true, data: b"1\r\n2\r\n" });
        assert_eq!(parse(b"--B\r\ncut", "B"), None);
        assert_eq!(boundary("multipart/form-data; boundary=\"B\""), Some("B".to_owned()));
        assert_eq!(boundary("text/plain"), None);
    }
}
