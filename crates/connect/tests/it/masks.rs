//! What differs from run to run: positions, transaction ids, clocks, uuids, Java's identity hashes.

use regex::Regex;

/// Masks a recorded or produced text; `names` are fields that hold positions or clocks under names of their own.
pub(crate) struct Masks(Vec<(Regex, &'static str)>);

impl Masks {
    pub(crate) fn new(names: &[String]) -> Self {
        let names: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
        let own = format!(
            r#"("(?:lsn|txId|ts_ms|__ts_ms{}{})":)\d+"#,
            if names.is_empty() { "" } else { "|" },
            names.join("|")
        );
        let rules = [
            (own.as_str(), "${1}0"),
            (r#"\\"\d+\\""#, r#"\"0\""#),
            (r#""\d+:\d+""#, r#""0:0""#),
            (r"String;@[0-9a-f]+", "String;@0"),
            (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-(open|close)", "uuid-$2"),
            // Clocks of the days on which this is run and was recorded, in any form.
            (r"20(2[6-9]|3\d)-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00)?", "now"),
            (r"\b1[789]\d{11}(\d{3})?\b", "now"),
            // Values of defaults that are made anew each time.
            (r#""(ug|k2)":"[0-9a-f-]{36}""#, "made"),
            (r#""(tmf|dtf|dtn)":\d+"#, "made"),
            (r"\bk2=[0-9a-f-]{36}", "made"),
        ];
        Self(rules.iter().map(|(pattern, by)| (Regex::new(pattern).unwrap(), *by)).collect())
    }

    pub(crate) fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (pattern, by) in &self.0 {
            text = pattern.replace_all(&text, *by).into_owned();
        }
        text
    }
}
