//! Converters: from a schema and a value to the bytes of a record's key, value or header.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::json::{self, DecimalFormat, JsonOptions};
use crate::schema::Schema;
use crate::text;
use crate::value::Value;

/// A configured converter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Converter {
    Json(JsonOptions),
    Text { oddities: bool },
    SimpleHeader,
}

impl Converter {
    /// The converter that `key` names, with the options below it; the worker's where the
    /// connector names none.
    pub(crate) fn parse(
        key: &str,
        connector: &BTreeMap<String, String>,
        worker: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let header = key == "header.converter";
        let default = if header {
            "org.apache.kafka.connect.storage.SimpleHeaderConverter"
        } else {
            "org.apache.kafka.connect.json.JsonConverter"
        };
        let config = if connector.contains_key(key) { connector } else { worker };
        let class = config.get(key).map_or(default, |class| class.trim());
        let option = |name: &str| config.get(&format!("{key}.{name}")).map(|value| value.trim().to_ascii_lowercase());
        let flag = |name: &str| option(name).is_none_or(|value| value != "false");
        match class.rsplit('.').next().unwrap_or(class) {
            "JsonConverter" => {
                let numeric = option("decimal.format").as_deref() == Some("numeric");
                Ok(Self::Json(JsonOptions {
                    schemas: flag("schemas.enable"),
                    decimals: if numeric { DecimalFormat::Numeric } else { DecimalFormat::Base64 },
                    replace_nulls: flag("replace.null.with.default"),
                }))
            }
            "StringConverter" => {
                let oddities = connector.get("walhouse.oddities").is_some_and(|value| value.trim() == "true");
                Ok(Self::Text { oddities })
            }
            "SimpleHeaderConverter" => Ok(Self::SimpleHeader),
            "ByteArrayConverter" => Err(Error::Option {
                key: key.to_owned(),
                problem: "a table's records are structures, not bytes".to_owned(),
            }),
            _ => Err(Error::UnknownClass { key: key.to_owned(), class: class.to_owned() }),
        }
    }

    /// Serialises; none is Kafka's null.
    pub(crate) fn convert(&self, schema: Option<&Schema>, value: &Value) -> Option<Vec<u8>> {
        match self {
            Self::Json(options) => json::convert(schema, value, *options),
            Self::Text { oddities } => text::java(schema, value, *oddities).map(String::into_bytes),
            Self::SimpleHeader => text::header(schema, value).map(String::into_bytes),
        }
    }
}
