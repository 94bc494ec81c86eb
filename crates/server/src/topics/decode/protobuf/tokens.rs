//! The words of a `.proto` text, without its comments.

/// A word, a number, a quoted text, or one sign.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|&char| char != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => {
                chars.next();
                let mut last = ' ';
                for char in chars.by_ref() {
                    if last == '*' && char == '/' {
                        break;
                    }
                    last = char;
                }
            }
            '"' | '\'' => {
                let mut quoted = String::from('"');
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => quoted.extend(chars.next()),
                        end if end == char => break,
                        other => quoted.push(other),
                    }
                }
                tokens.push(quoted);
            }
            _ if is_word(char) => {
                let mut word = String::from(char);
                while let Some(next) = chars.next_if(|&char| is_word(char)) {
                    word.push(next);
                }
                tokens.push(word);
            }
            _ if char.is_whitespace() => {}
            sign => tokens.push(sign.to_string()),
        }
    }
    tokens
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '.' | '-' | '+')
}
