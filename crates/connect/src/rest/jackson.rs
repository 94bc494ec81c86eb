//! Request bodies as Connect reads them: with Jackson's leniency, and with its words for what is wrong.
//!
//! Only two shapes are read: a map of texts, and a request that holds a name and such a map. Both are read in one pass
//! without a tree, because what is said depends on what is met first.

use crate::map::ConfigMap;

/// How Jackson names where a body comes from.
const SOURCE: &str =
    "[Source: (org.glassfish.jersey.message.internal.ReaderInterceptorExecutor$UnCloseableInputStream)";
const REQUEST: &str = "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest";
const MAP: &str = "java.util.LinkedHashMap";
/// Deeper bodies are refused, as Jackson does: reading is recursive.
const MAX_DEPTH: usize = 1000;
const EXPECTED: &str = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'";

/// A request to create a connector.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CreateRequest {
    pub(crate) name: Option<String>,
    pub(crate) config: Option<ConfigMap>,
}

/// Reads a request to create a connector; none for an empty body or null.
pub(crate) fn create_request(body: &[u8]) -> Result<Option<CreateRequest>, String> {
    let mut reader = Reader::new(body);
    let Some(token) = reader.value()? else { return Ok(None) };
    let start = match token {
        Token::Null => return Ok(None),
        Token::Object(start) => start,
        other => return Err(reader.mismatch(&other, REQUEST, REQUEST)),
    };
    let mut request = CreateRequest::default();
    let unknown_field = |name: &str, place: Place| {
        format!(
            "Unrecognized field \"{name}\" (class {REQUEST}), not marked as ignorable (2 known properties: \"config\", \
             \"name\"])\n{} (through reference chain: {REQUEST}[\"{name}\"])",
            place.text()
        )
    };
    let mut unknown = None;
    let mut seen = (false, false);
    let mut first = true;
    while let Some(name) = reader.member(start, std::mem::take(&mut first))? {
        let Some(token) = reader.value()? else { return Err(reader.end_within()) };
        let chained = |message: String| format!("{message} (through reference chain: {REQUEST}[\"{name}\"])");
        match name.as_str() {
            "name" => {
                seen.0 = true;
                request.name = reader.text(&token).map_err(chained)?;
            }
            "config" => {
                seen.1 = true;
                let config = reader.map(&token, &format!("{REQUEST}[\"config\"]->"));
                request.config = config.map_err(|error| match error {
                    MapError::Complete(message) => message,
                    MapError::Plain(message) => chained(message),
                })?;
            }
            // Once it has both, Jackson has made the object, and stumbles at the next name at once.
            _ if seen == (true, true) => {
                reader.at += usize::from(matches!(token, Token::Text(_)));
                return Err(unknown_field(&name, reader.place()));
            }
            _ => {
                reader.skip(&token)?;
                unknown.get_or_insert(name);
            }
        }
    }
    match unknown {
        Some(name) => Err(unknown_field(&name, reader.place())),
        None => Ok(Some(request)),
    }
}

/// Reads a map of texts; none for an empty body or null.
pub(crate) fn text_map(body: &[u8]) -> Result<Option<ConfigMap>, String> {
    let mut reader = Reader::new(body);
    let Some(token) = reader.value()? else { return Ok(None) };
    reader.map(&token, "").map_err(|error| match error {
        MapError::Complete(message) | MapError::Plain(message) => message,
    })
}

/// A message that names its place already, or one that whoever holds the map adds its own to.
enum MapError {
    Complete(String),
    Plain(String),
}

/// What begins at a value.
#[derive(Debug)]
enum Token {
    Object(Place),
    Array(Place),
    /// A text, not read yet: Jackson reads it when it is asked for.
    Text(Place),
    Number(String, Place),
    Bool(bool, Place),
    Null,
}

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug)]
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn text(self) -> String {
        format!(" at {SOURCE}; line: {}, column: {}]", self.line, self.column)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1, line_start: 0, depth: 0 }
    }

    fn place(&self) -> Place {
        Place { line: self.line, column: self.at - self.line_start + 1 }
    }

    fn here(&self) -> String {
        self.place().text()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn bump(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// The character at the cursor, which may be more than a byte.
    fn character(&self) -> char {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let valid = |length: usize| rest.get(..length).and_then(|part| std::str::from_utf8(part).ok());
        let text = (1..=4).find_map(valid);
        let latin = rest.first().map(|byte| char::from(*byte));
        text.and_then(|text| text.chars().next()).or(latin).unwrap_or_default()
    }

    fn blank(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.at += 1;
            if byte == b'\n' {
                self.line += 1;
                self.line_start = self.at;
            }
        }
    }

    /// The character at the cursor is not what is expected there.
    fn unexpected(&mut self, expected: &str) -> String {
        let letter = self.character();
        self.at += letter.len_utf8().min(self.bytes.len() - self.at);
        format!("Unexpected character ('{letter}' (code {})){expected}\n{}", u32::from(letter), self.here())
    }

    fn end_within(&self) -> String {
        format!("Unexpected end-of-input within/between Object entries\n{}", self.here())
    }

    /// The next member's name; none at the object's end.
    fn member(&mut self, start: Place, first: bool) -> Result<Option<String>, String> {
        self.blank();
        match self.peek() {
            None => {
                let open = start.text();
                let open = open.trim_start_matches(" at ");
                let message =
                    format!("Unexpected end-of-input: expected close marker for Object (start marker at {open})");
                return Err(format!("{message}\n{}", self.here()));
            }
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b']') => {
                self.at += 1;
                let open = start.text();
                let open = open.trim_start_matches(" at ");
                let message = format!("Unexpected close marker ']': expected '}}' (for Object starting at {open})");
                return Err(format!("{message}\n{}", self.here()));
            }
            Some(b',') if !first => {
                self.at += 1;
                self.blank();
                if self.peek().is_none() {
                    return Err(self.end_within());
                }
            }
            Some(_) if !first => return Err(self.unexpected(": was expecting comma to separate Object entries")),
            Some(_) => {}
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(": was expecting double-quote to start field name"));
        }
        let name = self.string("in field name")?;
        self.blank();
        match self.peek() {
            Some(b':') => self.at += 1,
            None => return Err(self.end_within()),
            Some(_) => return Err(self.unexpected(": was expecting a colon to separate field name and value")),
        }
        Ok(Some(name))
    }

    /// The next value's beginning; none at the end of the body.
    fn value(&mut self) -> Result<Option<Token>, String> {
        self.blank();
        let place = self.place();
        let Some(byte) = self.peek() else { return Ok(None) };
        Ok(Some(match byte {
            b'{' => {
                self.at += 1;
                Token::Object(place)
            }
            b'[' => {
                self.at += 1;
                Token::Array(place)
            }
            b'"' => Token::Text(place),
            b'-' | b'0'..=b'9' => Token::Number(self.number()?, place),
            b'}' | b']' => {
                self.at += 1;
                let marker = char::from(byte);
                let root = format!("(for root starting at {SOURCE}; line: 1, column: 0])");
                return Err(format!("Unexpected close marker '{marker}': expected ']' {root}\n{}", self.here()));
            }
            b'/' => {
                let hint = "maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not \
                            enabled for parser)";
                return Err(self.unexpected(&format!(": {hint}")));
            }
            b'+' => {
                self.at += 1;
                return Err(
                    self.unexpected_in_number(": expected digit (0-9) to follow minus sign, for valid numeric value")
                );
            }
            _ => self.word(place)?,
        }))
    }

    /// `null`, `true` or `false`.
    fn word(&mut self, place: Place) -> Result<Token, String> {
        let start = self.at;
        loop {
            let letter = self.character();
            if self.at >= self.bytes.len() || !(letter.is_alphanumeric() || letter == '_' || letter == '$') {
                break;
            }
            self.at += letter.len_utf8().min(self.bytes.len() - self.at);
        }
        let word = self.bytes.get(start..self.at).unwrap_or_default();
        match word {
            b"null" => Ok(Token::Null),
            b"true" => Ok(Token::Bool(true, place)),
            b"false" => Ok(Token::Bool(false, place)),
            b"NaN" => {
                let hint = "enable JsonParser.Feature.ALLOW_NON_NUMERIC_NUMBERS to allow";
                Err(format!("Non-standard token 'NaN': {hint}\n{}", self.here()))
            }
            b"" => Err(self.unexpected(&format!(": expected a valid value ({EXPECTED})"))),
            _ => {
                let word = match std::str::from_utf8(word) {
                    Ok(word) => word.to_owned(),
                    Err(_) => word.iter().map(|byte| char::from(*byte)).collect(),
                };
                // What ends the word was read too.
                self.at += usize::from(self.at < self.bytes.len());
                Err(format!("Unrecognized token '{word}': was expecting ({EXPECTED})\n{}", self.here()))
            }
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<String, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                let expected = ": expected digit (0-9) to follow minus sign, for valid numeric value";
                return Err(self.unexpected_in_number(expected));
            }
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(format!("Invalid numeric value: Leading zeroes not allowed\n{}", self.here()));
            }
        } else {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.unexpected_in_number(": Decimal point not followed by a digit"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.unexpected_in_number(": Exponent indicator not followed by a digit"));
            }
        }
        let text = self.bytes.get(start..self.at).unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn unexpected_in_number(&mut self, expected: &str) -> String {
        if self.peek().is_none() {
            return format!("Unexpected end-of-input in VALUE_NUMBER_INT\n{}", self.here());
        }
        self.unexpected(&format!(" in numeric value{expected}"))
    }

    /// The text whose quote is at the cursor.
    fn string(&mut self, what: &str) -> Result<String, String> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.bump() {
                None => return Err(format!("Unexpected end-of-input {what}\n{}", self.here())),
                Some(b'"') => return Ok(String::from_utf8_lossy(&text).into_owned()),
                Some(b'\\') => {
                    let mut encoded = [0; 4];
                    text.extend_from_slice(self.escape(what)?.encode_utf8(&mut encoded).as_bytes());
                }
                Some(byte) if byte < 0x20 => {
                    let message = format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {byte})): has to be escaped using backslash to be \
                         included in string value"
                    );
                    return Err(format!("{message}\n{}", self.here()));
                }
                Some(byte) => text.push(byte),
            }
        }
    }

    fn escape(&mut self, what: &str) -> Result<char, String> {
        let letter = match self.bump() {
            None => return Err(format!("Unexpected end-of-input {what}\n{}", self.here())),
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(what),
            Some(other) => {
                let letter = char::from(other);
                let message = format!("Unrecognized character escape '{letter}' (code {other})");
                return Err(format!("{message}\n{}", self.here()));
            }
        };
        Ok(letter)
    }

    fn unicode(&mut self, what: &str) -> Result<char, String> {
        let high = self.hex(what)?;
        let rest = self.bytes.get(self.at..self.at + 2);
        if (0xd800..0xdc00).contains(&high) && rest == Some(b"\\u") {
            self.at += 2;
            let low = self.hex(what)?;
            let pair = char::decode_utf16([high, low]).next();
            return Ok(pair.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Ok(char::from_u32(u32::from(high)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self, what: &str) -> Result<u16, String> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(byte) = self.peek() else {
                return Err(format!("Unexpected end-of-input {what}\n{}", self.here()));
            };
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(self.unexpected(": expected a hex-digit for character escape sequence"));
            };
            self.at += 1;
            code = code << 4 | u16::try_from(digit).unwrap_or(0);
        }
        Ok(code)
    }

    /// A value where a text is expected: scalars become texts.
    fn text(&mut self, token: &Token) -> Result<Option<String>, String> {
        match token {
            Token::Null => Ok(None),
            Token::Text(_) => self.string("in VALUE_STRING").map(Some),
            Token::Number(text, _) => Ok(Some(text.clone())),
            Token::Bool(value, _) => Ok(Some(value.to_string())),
            Token::Object(_) | Token::Array(_) => Err(self.mismatch(token, "java.lang.String", "java.lang.String")),
        }
    }

    /// A value where a map of texts is expected; `chain` is what holds the map.
    fn map(&mut self, token: &Token, chain: &str) -> Result<Option<ConfigMap>, MapError> {
        let start = match token {
            Token::Null => return Ok(None),
            Token::Object(start) => *start,
            other => {
                let long = format!("{MAP}<java.lang.String,java.lang.String>");
                return Err(MapError::Plain(self.mismatch(other, &long, MAP)));
            }
        };
        let mut map = ConfigMap::default();
        let mut first = true;
        while let Some(name) = self.member(start, std::mem::take(&mut first)).map_err(MapError::Plain)? {
            let value = match self.value().map_err(MapError::Plain)? {
                Some(token @ (Token::Object(_) | Token::Array(_))) => {
                    let message = self.mismatch(&token, "java.lang.String", "java.lang.String");
                    let chain = format!("(through reference chain: {chain}{MAP}[\"{name}\"])");
                    return Err(MapError::Complete(format!("{message} {chain}")));
                }
                Some(token) => self.text(&token).map_err(MapError::Plain)?,
                None => return Err(MapError::Plain(self.end_within())),
            };
            map.set(&name, value);
        }
        Ok(Some(map))
    }

    /// A value of another kind than `class`.
    fn mismatch(&mut self, token: &Token, class: &str, short: &str) -> String {
        let constructor = |kind: &str, value: &str, place: Place| {
            format!(
                "Cannot construct instance of `{short}` (although at least one Creator exists): no {kind}-argument \
                 constructor/factory method to deserialize from {value}\n{}",
                place.text()
            )
        };
        match token {
            Token::Object(place) => format!(
                "Cannot deserialize value of type `{class}` from Object value (token `JsonToken.START_OBJECT`)\n{}",
                place.text()
            ),
            Token::Array(place) => format!(
                "Cannot deserialize value of type `{class}` from Array value (token `JsonToken.START_ARRAY`)\n{}",
                place.text()
            ),
            Token::Text(place) => match self.string("in VALUE_STRING") {
                Ok(text) => constructor("String", &format!("String value ('{text}')"), *place),
                Err(message) => message,
            },
            Token::Number(..) | Token::Bool(..) if short == MAP => scalar(token, class),
            Token::Number(text, place) if text.contains(['.', 'e', 'E']) => {
                constructor("double/Double", &format!("Number value ({text})"), *place)
            }
            Token::Number(text, place) => constructor("int/Int", &format!("Number value ({text})"), *place),
            Token::Bool(value, place) => constructor("boolean/Boolean", &format!("boolean value ({value})"), *place),
            Token::Null => String::new(),
        }
    }

    /// Reads over a value.
    fn skip(&mut self, token: &Token) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let limit = format!("exceeds the maximum allowed ({MAX_DEPTH})");
            return Err(format!("Document nesting depth ({}) {limit}\n{}", self.depth, self.here()));
        }
        let skipped = self.skip_value(token);
        self.depth -= 1;
        skipped
    }

    fn skip_value(&mut self, token: &Token) -> Result<(), String> {
        match token {
            Token::Text(_) => self.string("in VALUE_STRING").map(drop),
            Token::Object(start) => {
                let mut first = true;
                while self.member(*start, std::mem::take(&mut first))?.is_some() {
                    let Some(value) = self.value()? else { return Err(self.end_within()) };
                    self.skip(&value)?;
                }
                Ok(())
            }
            Token::Array(start) => self.skip_array(*start),
            Token::Number(..) | Token::Bool(..) | Token::Null => Ok(()),
        }
    }

    fn skip_array(&mut self, start: Place) -> Result<(), String> {
        let mut first = true;
        loop {
            self.blank();
            match self.peek() {
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b',') if !first => self.at += 1,
                Some(_) if !first => return Err(self.unexpected(": was expecting comma to separate Array entries")),
                Some(_) => {}
                None => {
                    let open = start.text();
                    let open = open.trim_start_matches(" at ");
                    let message =
                        format!("Unexpected end-of-input: expected close marker for Array (start marker at {open})");
                    return Err(format!("{message}\n{}", self.here()));
                }
            }
            first = false;
            let Some(value) = self.value()? else { return Err(self.end_within()) };
            self.skip(&value)?;
        }
    }
}

/// A scalar where a map is expected.
fn scalar(token: &Token, class: &str) -> String {
    let (kind, name, place) = match token {
        Token::Number(text, place) if text.contains(['.', 'e', 'E']) => ("Floating-point", "VALUE_NUMBER_FLOAT", place),
        Token::Number(_, place) => ("Integer", "VALUE_NUMBER_INT", place),
        Token::Bool(true, place) => ("Boolean", "VALUE_TRUE", place),
        Token::Bool(false, place) => ("Boolean", "VALUE_FALSE", place),
        Token::Object(_) | Token::Array(_) | Token::Text(_) | Token::Null => return String::new(),
    };
    format!("Cannot deserialize value of type `{class}` from {kind} value (token `JsonToken.{name}`)\n{}", place.text())
}

#[cfg(test)]
mod tests;
