//! Avro to JSON, by the schema that it was written with.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::MOST_DEPTH;
use super::cursor::Cursor;

/// A schema that was read.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    root: Type,
    /// Records, enums and fixed by their full names.
    named: HashMap<String, Arc<Named>>,
}

#[derive(Clone, Debug)]
enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes(Logical),
    Text,
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Named(String),
}

#[derive(Debug)]
enum Named {
    Record(Vec<(String, Type)>),
    Enum(Vec<String>),
    Fixed(usize, Logical),
}

/// What the number or the bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logical {
    Plain,
    /// A decimal with so many digits after the point.
    Decimal(usize),
}

impl Schema {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|_| "its schema is no JSON".to_owned())?;
        let mut parser = Parser { named: HashMap::new() };
        let root = parser.parse(&json, "", 0)?;
        Ok(Self { root, named: parser.named })
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Value, String> {
        let mut cursor = Cursor::new(bytes);
        let value = self.value(&self.root, &mut cursor, 0)?;
        if cursor.is_empty() { Ok(value) } else { Err(format!("{} bytes follow its value", cursor.len())) }
    }

    fn value(&self, ty: &Type, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, String> {
        if depth > MOST_DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        cursor.count_value()?;
        Ok(match ty {
            Type::Null => Value::Null,
            Type::Boolean => (cursor.byte()? != 0).into(),
            Type::Int | Type::Long => cursor.zigzag()?.into(),
            Type::Float => float(f64::from(f32::from_le_bytes(cursor.array()?))),
            Type::Double => float(f64::from_le_bytes(cursor.array()?)),
            Type::Bytes(logical) => {
                let length = size(cursor)?;
                bytes(cursor.take(length)?, *logical)
            }
            Type::Text => {
                let length = size(cursor)?;
                String::from_utf8_lossy(cursor.take(length)?).into_owned().into()
            }
            Type::Array(item) => {
                let mut values = Vec::new();
                while let Some(count) = block(cursor)? {
                    for _ in 0..count {
                        values.push(self.item(item, cursor, depth)?);
                    }
                }
                Value::Array(values)
            }
            Type::Map(item) => {
                let mut fields = Map::new();
                while let Some(count) = block(cursor)? {
                    for _ in 0..count {
                        let length = size(cursor)?;
                        let name = String::from_utf8_lossy(cursor.take(length)?).into_owned();
                        fields.insert(name, self.item(item, cursor, depth)?);
                    }
                }
                Value::Object(fields)
            }
            Type::Union(branches) => {
                let branch = usize::try_from(cursor.zigzag()?).ok().and_then(|index| branches.get(index));
                self.value(branch.ok_or("it chooses a branch that its union does not have")?, cursor, depth + 1)?
            }
            Type::Named(name) => self.named(name, cursor, depth)?,
        })
    }

    /// Items without bytes (null) would be endless: a count costs nothing to write.
    fn item(&self, ty: &Type, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, String> {
        let before = cursor.len();
        let value = self.value(ty, cursor, depth + 1)?;
        if cursor.len() == before { Err("it repeats a value without bytes".to_owned()) } else { Ok(value) }
    }

    fn named(&self, name: &str, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, String> {
        let named = self.named.get(name).ok_or_else(|| format!("its schema does not say what {name} is"))?;
        Ok(match &**named {
            Named::Record(fields) => {
                let mut object = Map::new();
                for (field, ty) in fields {
                    object.insert(field.clone(), self.value(ty, cursor, depth + 1)?);
                }
                Value::Object(object)
            }
            Named::Enum(symbols) => {
                let symbol = usize::try_from(cursor.zigzag()?).ok().and_then(|index| symbols.get(index));
                symbol.ok_or("it chooses a symbol that its enum does not have")?.clone().into()
            }
            Named::Fixed(length, logical) => bytes(cursor.take(*length)?, *logical),
        })
    }
}

struct Parser {
    named: HashMap<String, Arc<Named>>,
}

impl Parser {
    fn parse(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<Type, String> {
        if depth > MOST_DEPTH {
            return Err("its schema is nested too deep".to_owned());
        }
        match json {
            Value::String(name) => {
                Ok(primitive(name, Logical::Plain).unwrap_or_else(|| Type::Named(full(name, namespace))))
            }
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.parse(branch, namespace, depth + 1));
                branches.collect::<Result<_, _>>().map(Type::Union)
            }
            Value::Object(fields) => self.object(fields, namespace, depth),
            _ => Err("its schema names no type".to_owned()),
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, namespace: &str, depth: usize) -> Result<Type, String> {
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let child = |key: &str| fields.get(key).ok_or_else(|| format!("its schema lacks {key}"));
        let kind = match fields.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(other) => return self.parse(other, namespace, depth + 1),
            None => return Err("its schema lacks a type".to_owned()),
        };
        let scale = || fields.get("scale").and_then(Value::as_u64).and_then(|scale| usize::try_from(scale).ok());
        let logical = match text("logicalType") {
            Some("decimal") => Logical::Decimal(scale().unwrap_or(0)),
            _ => Logical::Plain,
        };
        match kind {
            "array" => Ok(Type::Array(Box::new(self.parse(child("items")?, namespace, depth + 1)?))),
            "map" => Ok(Type::Map(Box::new(self.parse(child("values")?, namespace, depth + 1)?))),
            "record" | "error" | "enum" | "fixed" => {
                let namespace = text("namespace").unwrap_or(namespace);
                let name = full(text("name").ok_or("its schema lacks a name")?, namespace);
                let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
                let named = match kind {
                    "enum" => Named::Enum(texts(fields.get("symbols"))),
                    "fixed" => Named::Fixed(fixed_size(fields)?, logical),
                    _ => self.record(fields, namespace, depth)?,
                };
                self.named.insert(name.clone(), Arc::new(named));
                Ok(Type::Named(name))
            }
            other => Ok(primitive(other, logical).unwrap_or_else(|| Type::Named(full(other, namespace)))),
        }
    }

    fn record(&mut self, fields: &Map<String, Value>, namespace: &str, depth: usize) -> Result<Named, String> {
        let fields = fields.get("fields").and_then(Value::as_array).ok_or("its schema has a record without fields")?;
        let field = |field: &Value| {
            let name = field.get("name").and_then(Value::as_str).ok_or("its schema has a field without a name")?;
            let ty = field.get("type").ok_or("its schema has a field without a type")?;
            Ok((name.to_owned(), self.parse(ty, namespace, depth + 1)?))
        };
        fields.iter().map(field).collect::<Result<_, String>>().map(Named::Record)
    }
}

fn primitive(name: &str, logical: Logical) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes(logical),
        "string" => Type::Text,
        _ => return None,
    })
}

fn full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.map(|value| value.as_str().unwrap_or_default().to_owned()).collect()
}

fn fixed_size(fields: &Map<String, Value>) -> Result<usize, String> {
    let size = fields.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| "its schema has a fixed type without a size".to_owned())
}

fn size(cursor: &mut Cursor<'_>) -> Result<usize, String> {
    usize::try_from(cursor.zigzag()?).map_err(|_| "it has a negative length".to_owned())
}

/// Number of items in the next block of an array or a map; none at its end.
fn block(cursor: &mut Cursor<'_>) -> Result<Option<u64>, String> {
    let count = cursor.zigzag()?;
    if count < 0 {
        // The block's size in bytes follows, for who wants to skip it.
        cursor.zigzag()?;
    }
    Ok((count != 0).then_some(count.unsigned_abs()))
}

fn bytes(bytes: &[u8], logical: Logical) -> Value {
    match logical {
        Logical::Decimal(scale) if bytes.len() <= 16 => decimal(bytes, scale).into(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) if super::is_readable(text) => text.into(),
            _ => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
        },
    }
}

/// Two's complement, big-endian, `scale` digits after the point.
fn decimal(bytes: &[u8], scale: usize) -> String {
    let first = bytes.first().map_or(0, |&byte| i128::from(byte as i8));
    let number = bytes.iter().skip(1).fold(first, |number, &byte| (number << 8) | i128::from(byte));
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale.min(1000) + 1);
    let sign = if number < 0 { "-" } else { "" };
    match digits.split_at_checked(digits.len() - scale.min(1000)) {
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, rest)) => format!("{sign}{whole}.{rest}"),
        None => format!("{sign}{digits}"),
    }
}

fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}
