//! What went wrong with one statement, in ClickHouse's own words: a number, a text, and the HTTP status that goes with it.

use std::fmt;

/// The version every error text ends with, as clients cut it off.
pub(crate) const ENGINE_VERSION: &str = "26.7.2.1";

/// A failed statement. `message` is the whole text `Code: N. DB::Exception: ... (NAME)`, without a final newline.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u32,
    pub(crate) message: String,
}

impl Failure {
    /// A failure of ours, worded as the engine would.
    pub(crate) fn new(code: u32, name: &str, text: impl fmt::Display) -> Failure {
        Failure { code, message: format!("Code: {code}. DB::Exception: {text}. ({name})") }
    }

    /// A failure as the engine's library reports it; a text without a number is one of the library's own refusals.
    pub(crate) fn from_engine(text: &str) -> Failure {
        let text = text.trim_end();
        let code = text
            .strip_prefix("Code: ")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(number, _)| number.parse().ok());
        match code {
            Some(code) => Failure { code, message: text.to_owned() },
            None => Failure::new(48, "NOT_IMPLEMENTED", text),
        }
    }

    pub(crate) fn syntax(text: impl fmt::Display) -> Failure {
        Failure::new(62, "SYNTAX_ERROR", text)
    }

    pub(crate) fn denied(text: impl fmt::Display) -> Failure {
        Failure::new(497, "ACCESS_DENIED", text)
    }

    pub(crate) fn readonly(text: impl fmt::Display) -> Failure {
        Failure::new(164, "READONLY", text)
    }

    /// The text as it goes to the client, with the version tail and a newline.
    pub(crate) fn body(&self) -> String {
        if self.message.contains("(official build)") {
            return format!("{}\n", self.message);
        }
        let bare = format!(" (version {ENGINE_VERSION})");
        let message = self.message.strip_suffix(bare.as_str()).unwrap_or(&self.message);
        format!("{message} (version {ENGINE_VERSION} (official build))\n")
    }

    /// ClickHouse's own table of statuses.
    pub(crate) fn status(&self) -> u16 {
        match self.code {
            194 => 401,
            192 | 193 | 497 | 512 | 516 => 403,
            6 | 8 | 15 | 25 | 26 | 27 | 36 | 37 | 38 | 41 | 44 | 53 | 62 | 72 | 117 | 123 | 167 | 168 | 223 | 321
            | 376 | 427 | 441 | 675 | 676 => 400,
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 152 | 336 | 511 => 404,
            159 => 408,
            381 => 411,
            229 => 413,
            779 => 415,
            48 => 501,
            76 | 209 | 439 => 503,
            _ => 500,
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the text may quote a row's value
        f.debug_struct("Failure").field("code", &self.code).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_texts_get_a_number_and_a_tail() {
        let failure = Failure::from_engine("Code: 60. DB::Exception: no table. (UNKNOWN_TABLE)");
        assert_eq!((failure.code, failure.status()), (60, 404));
        assert!(failure.body().ends_with("(UNKNOWN_TABLE) (version 26.7.2.1 (official build))\n"));
        let failure = Failure::from_engine("Code: 73. DB::Exception: x. (UNKNOWN_FORMAT) (version 26.7.2.1)");
        assert!(failure.body().ends_with("(UNKNOWN_FORMAT) (version 26.7.2.1 (official build))\n"));
        assert_eq!(Failure::from_engine("no number here").code, 48);
    }
}
