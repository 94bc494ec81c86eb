//! ErrorResponse and NoticeResponse.

use super::cursor::Cursor;
use crate::error::Refusal;

/// Reads as many fields as there are; a torn message gives what it has.
pub(super) fn parse(body: &[u8]) -> Refusal {
    let mut refusal = Refusal::default();
    let mut cursor = Cursor::new(body, "error message");
    while let Ok(field) = cursor.u8() {
        let Ok(text) = cursor.text() else { break };
        match field {
            b'V' => refusal.severity = text,
            b'C' => refusal.code = text,
            b'M' => refusal.message = text,
            _ => {}
        }
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_untranslated_severity() {
        let refusal = parse(b"SFEHLER\0VERROR\0C55000\0Mno\0Dsecret row\0\0");
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("ERROR", "55000"));
        assert_eq!(refusal.to_string(), "no (SQLSTATE 55000)");
        assert_eq!(parse(b"Mtorn"), Refusal::default());
    }
}
