//! A `.proto` text: its messages and enums. Options, services and extensions are passed over.

use std::collections::HashMap;

use super::super::MOST_DEPTH;
use super::tokens::tokens;

/// A file's types by their full names.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Schema {
    package: String,
    messages: HashMap<String, Message>,
    enums: HashMap<String, HashMap<i32, String>>,
    /// Names of the top-level messages, in order.
    top: Vec<String>,
}

/// A message's fields, and the names of the messages in it, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    fields: Vec<Field>,
    nested: Vec<String>,
}

/// A field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    number: u64,
    pub(super) name: String,
    pub(super) repeated: bool,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Bool,
    Int32,
    Int64,
    Uint,
    Sint,
    Fixed32,
    Sfixed32,
    Float,
    Fixed64,
    Sfixed64,
    Double,
    Text,
    Bytes,
    /// A message or an enum, by its full name.
    Named(String),
    Map(Box<Kind>, Box<Kind>),
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "bool" => Self::Bool,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uint32" | "uint64" => Self::Uint,
            "sint32" | "sint64" => Self::Sint,
            "fixed32" => Self::Fixed32,
            "sfixed32" => Self::Sfixed32,
            "float" => Self::Float,
            "fixed64" => Self::Fixed64,
            "sfixed64" => Self::Sfixed64,
            "double" => Self::Double,
            "string" => Self::Text,
            "bytes" => Self::Bytes,
            other => Self::Named(other.to_owned()),
        }
    }

    /// Bytes of one value in a packed list, 0 for a varint; none when it is never packed.
    pub(super) fn packed(&self) -> Option<usize> {
        match self {
            Self::Bool | Self::Int32 | Self::Int64 | Self::Uint | Self::Sint => Some(0),
            Self::Fixed32 | Self::Sfixed32 | Self::Float => Some(4),
            Self::Fixed64 | Self::Sfixed64 | Self::Double => Some(8),
            // An enum; a message's bytes begin with a tag that is read as one and shown as a number.
            Self::Named(name) if name.starts_with(ENUM) => Some(0),
            _ => None,
        }
    }
}

/// Marks the name of an enum, once it is known to be one.
const ENUM: char = '#';

impl Message {
    pub(super) fn field(&self, number: u64) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

impl Schema {
    pub(in super::super) fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text);
        let mut parser = Parser { tokens: &tokens, schema: Self::default() };
        parser.file()?;
        let mut schema = parser.schema;
        schema.resolve();
        Ok(schema)
    }

    /// The message at these indexes: the first of the file's, the second within that one, ...
    pub(super) fn at(&self, indexes: &[usize]) -> Option<&Message> {
        let (first, rest) = indexes.split_first()?;
        let mut message = self.messages.get(self.top.get(*first)?)?;
        for index in rest {
            message = self.messages.get(message.nested.get(*index)?)?;
        }
        Some(message)
    }

    pub(super) fn message(&self, name: &str) -> Option<&Message> {
        self.messages.get(name)
    }

    pub(super) fn symbol(&self, name: &str, number: i32) -> Option<&str> {
        self.enums.get(name.trim_start_matches(ENUM))?.get(&number).map(String::as_str)
    }

    /// Replaces each name by the full one it means, looked up from the inside out.
    fn resolve(&mut self) {
        let is_enum = |name: &str| self.enums.contains_key(name);
        let is_known = |name: &str| is_enum(name) || self.messages.contains_key(name);
        let full = |name: &str, scope: &str| {
            if let Some(absolute) = name.strip_prefix('.') {
                return absolute.to_owned();
            }
            let mut scope = Some(scope);
            while let Some(outer) = scope {
                let candidate = if outer.is_empty() { name.to_owned() } else { format!("{outer}.{name}") };
                if is_known(&candidate) {
                    return candidate;
                }
                scope = if outer.is_empty() { None } else { Some(outer.rsplit_once('.').map_or("", |(rest, _)| rest)) };
            }
            name.to_owned()
        };
        let mut resolved = HashMap::new();
        for (scope, message) in &self.messages {
            for field in &message.fields {
                for name in field.kind.names() {
                    let target = full(name, scope);
                    let marked = if is_enum(&target) { format!("{ENUM}{target}") } else { target };
                    resolved.insert((scope.clone(), name.to_owned()), marked);
                }
            }
        }
        for (scope, message) in &mut self.messages {
            for field in &mut message.fields {
                field.kind.rename(&|name| resolved.get(&(scope.clone(), name.to_owned())).cloned());
            }
        }
    }
}

impl Kind {
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Named(name) => vec![name],
            Self::Map(_, value) => value.names(),
            _ => Vec::new(),
        }
    }

    fn rename(&mut self, new: &impl Fn(&str) -> Option<String>) {
        match self {
            Self::Named(name) => {
                if let Some(new) = new(name) {
                    *name = new;
                }
            }
            Self::Map(_, value) => value.rename(new),
            _ => {}
        }
    }
}

struct Parser<'a> {
    tokens: &'a [String],
    schema: Schema,
}

impl Parser<'_> {
    fn peek(&self) -> &str {
        self.tokens.first().map_or("", String::as_str)
    }

    fn next(&mut self) -> Result<String, String> {
        let (first, rest) = self.tokens.split_first().ok_or("its schema ends too early")?;
        self.tokens = rest;
        Ok(first.clone())
    }

    fn file(&mut self) -> Result<(), String> {
        while !self.tokens.is_empty() {
            match self.next()?.as_str() {
                "package" => {
                    self.schema.package = self.next()?;
                    self.statement()?;
                }
                "message" => {
                    let scope = self.schema.package.clone();
                    let name = self.message(&scope, 0)?;
                    self.schema.top.push(name);
                }
                "enum" => {
                    let scope = self.schema.package.clone();
                    self.symbols(&scope)?;
                }
                ";" => {}
                _ => self.statement()?,
            }
        }
        Ok(())
    }

    /// Passes over the rest of a statement: up to a semicolon, or over a block.
    fn statement(&mut self) -> Result<(), String> {
        let mut depth = 0_usize;
        loop {
            match self.next()?.as_str() {
                "{" => depth += 1,
                "}" if depth <= 1 => return Ok(()),
                "}" => depth -= 1,
                ";" if depth == 0 => return Ok(()),
                _ => {}
            }
        }
    }

    fn message(&mut self, scope: &str, depth: usize) -> Result<String, String> {
        if depth > MOST_DEPTH {
            return Err("its schema is nested too deep".to_owned());
        }
        let name = self.next()?;
        let name = if scope.is_empty() { name } else { format!("{scope}.{name}") };
        let mut message = Message::default();
        self.body(&name, &mut message, depth)?;
        self.schema.messages.insert(name.clone(), message);
        Ok(name)
    }

    fn body(&mut self, name: &str, message: &mut Message, depth: usize) -> Result<(), String> {
        self.next()?;
        loop {
            match self.peek() {
                "}" => return self.next().map(|_| ()),
                "message" => {
                    self.next()?;
                    let nested = self.message(name, depth + 1)?;
                    message.nested.push(nested);
                }
                "enum" => {
                    self.next()?;
                    self.symbols(name)?;
                }
                "oneof" => {
                    self.next()?;
                    self.next()?;
                    if depth > MOST_DEPTH {
                        return Err("its schema is nested too deep".to_owned());
                    }
                    self.body(name, message, depth + 1)?;
                }
                "option" | "reserved" | "extensions" | "extend" | "group" => self.statement()?,
                ";" => self.next().map(|_| ())?,
                _ => {
                    let field = self.field()?;
                    message.fields.push(field);
                }
            }
        }
    }

    fn field(&mut self) -> Result<Field, String> {
        let mut repeated = false;
        let mut word = self.next()?;
        while matches!(word.as_str(), "repeated" | "optional" | "required") {
            repeated |= word == "repeated";
            word = self.next()?;
        }
        let kind = if word == "map" && self.peek() == "<" {
            self.next()?;
            let key = Kind::of(&self.next()?);
            self.next()?;
            let value = Kind::of(&self.next()?);
            self.next()?;
            Kind::Map(Box::new(key), Box::new(value))
        } else {
            Kind::of(&word)
        };
        let name = self.next()?;
        if self.next()? != "=" {
            return Err(format!("its schema has a field {name} without a number"));
        }
        let number = self.next()?.parse().map_err(|_| format!("its schema has a field {name} without a number"))?;
        self.statement()?;
        Ok(Field { number, name, repeated, kind })
    }

    fn symbols(&mut self, scope: &str) -> Result<(), String> {
        let name = self.next()?;
        let name = if scope.is_empty() { name } else { format!("{scope}.{name}") };
        self.next()?;
        let mut symbols = HashMap::new();
        loop {
            match self.next()?.as_str() {
                "}" => break,
                "option" | "reserved" => self.statement()?,
                ";" => {}
                symbol => {
                    let symbol = symbol.to_owned();
                    self.next()?;
                    if let Ok(number) = self.next()?.parse() {
                        symbols.entry(number).or_insert(symbol);
                    }
                    self.statement()?;
                }
            }
        }
        self.schema.enums.insert(name, symbols);
        Ok(())
    }
}
