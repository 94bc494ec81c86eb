//! Signals: what somebody asks of a running connector, by a row of the signal table or a record of the signal topic.

use serde_json::Value as Json;

/// A signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Send tables anew.
    Execute {
        blocking: bool,
        request: Request,
    },
    /// Give up sending tables; all where none is named.
    Stop {
        collections: Vec<String>,
    },
    Pause,
    Resume,
    /// Write a line to the log.
    Log {
        message: String,
    },
    /// The marks around a chunk of an incremental snapshot.
    WindowOpen,
    WindowClose,
}

/// Which tables, and which of their rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// Names or patterns of names.
    pub(super) collections: Vec<String>,
    /// Conditions by patterns of names.
    pub(super) conditions: Vec<(String, String)>,
    /// The column that stands for the key.
    pub(super) surrogate_key: Option<String>,
}

/// Why a signal is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotASignal {
    #[error("its type is not known")]
    Type,
    #[error("its data cannot be parsed")]
    Data,
    #[error("its data names no data-collections")]
    NoCollections,
    #[error("its snapshot type is not known")]
    SnapshotType,
    #[error("its data has no message")]
    NoMessage,
}

impl Signal {
    /// Reads a signal of this type with this data.
    pub(super) fn parse(kind: &str, data: Option<&str>) -> Result<Self, NotASignal> {
        let known = [
            "execute-snapshot",
            "stop-snapshot",
            "pause-snapshot",
            "resume-snapshot",
            "log",
            "snapshot-window-open",
            "snapshot-window-close",
        ];
        if !known.contains(&kind) {
            return Err(NotASignal::Type);
        }
        let data: Json = match data.filter(|data| !data.trim().is_empty()) {
            Some(text) => serde_json::from_str(text).map_err(|_| NotASignal::Data)?,
            None => Json::Object(serde_json::Map::new()),
        };
        let collections = texts(&data["data-collections"]);
        Ok(match kind {
            "execute-snapshot" => {
                let blocking = blocking(&data)?;
                if collections.is_empty() && !blocking {
                    return Err(NotASignal::NoCollections);
                }
                Self::Execute { blocking, request: request(&data, collections, blocking) }
            }
            "stop-snapshot" => {
                blocking(&data)?;
                Self::Stop { collections }
            }
            "pause-snapshot" => Self::Pause,
            "resume-snapshot" => Self::Resume,
            "snapshot-window-open" => Self::WindowOpen,
            "snapshot-window-close" => Self::WindowClose,
            _ => {
                let message = data["message"].as_str().filter(|message| !message.is_empty());
                Self::Log { message: message.ok_or(NotASignal::NoMessage)?.to_owned() }
            }
        })
    }

    /// Reads a record of a signal topic, whose key is the connector's `topic.prefix`: id and signal, or none where
    /// it is for somebody else.
    pub(super) fn of_record(
        prefix: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Option<(String, Result<Self, NotASignal>)> {
        if key != Some(prefix.as_bytes()) {
            return None;
        }
        let value: Json = match serde_json::from_slice(value?) {
            Ok(value) => value,
            Err(_) => return Some((String::new(), Err(NotASignal::Data))),
        };
        let id = value["id"].as_str().unwrap_or_default().to_owned();
        let data = value.get("data").map(|data| data.as_str().map_or_else(|| data.to_string(), str::to_owned));
        Some((id, Self::parse(value["type"].as_str().unwrap_or_default(), data.as_deref())))
    }
}

fn texts(list: &Json) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Json::as_str).map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

fn blocking(data: &Json) -> Result<bool, NotASignal> {
    match data["type"].as_str().map(str::to_ascii_lowercase).as_deref() {
        None | Some("incremental") => Ok(false),
        Some("blocking") => Ok(true),
        Some(_) => Err(NotASignal::SnapshotType),
    }
}

fn request(data: &Json, collections: Vec<String>, blocking: bool) -> Request {
    let text = |value: &Json| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let list = data["additional-conditions"].as_array().into_iter().flatten();
    let condition = |entry: &Json| Some((text(&entry["data-collection"])?, text(&entry["filter"])?));
    let old = text(&data["additional-condition"]).filter(|_| !blocking);
    let conditions = match old {
        Some(condition) => vec![(".*".to_owned(), condition)],
        None => list.filter_map(condition).collect(),
    };
    Request { collections, conditions, surrogate_key: text(&data["surrogate-key"]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execute(data: &str) -> Result<Signal, NotASignal> {
        Signal::parse("execute-snapshot", Some(data))
    }

    #[test]
    fn reads_what_debezium_reads() {
        let request = Request { collections: vec!["public.big".into()], ..Request::default() };
        let signal = execute(r#"{"data-collections": ["public.big"], "type": "INCREMENTAL"}"#);
        assert_eq!(signal, Ok(Signal::Execute { blocking: false, request: request.clone() }));
        let old = execute(r#"{"data-collections": ["public.big"], "additional-condition": "id > 20"}"#);
        let conditions = vec![(".*".into(), "id > 20".into())];
        assert_eq!(old, Ok(Signal::Execute { blocking: false, request: Request { conditions, ..request.clone() } }));
        let new = execute(
            r#"{"data-collections": ["public.big"], "type": "blocking", "surrogate-key": "k",
                "additional-conditions": [{"data-collection": "public.big", "filter": "a"}]}"#,
        );
        let conditions = vec![("public.big".into(), "a".into())];
        let request = Request { conditions, surrogate_key: Some("k".into()), ..request };
        assert_eq!(new, Ok(Signal::Execute { blocking: true, request }));
        assert_eq!(Signal::parse("pause-snapshot", None), Ok(Signal::Pause));
        assert_eq!(
            Signal::parse("stop-snapshot", Some(r#"{"type":"incremental"}"#)),
            Ok(Signal::Stop { collections: Vec::new() })
        );
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(Signal::parse("no-such-signal", Some("{}")), Err(NotASignal::Type));
        assert_eq!(execute("not json"), Err(NotASignal::Data));
        assert_eq!(execute("{}"), Err(NotASignal::NoCollections));
        assert_eq!(execute(r#"{"data-collections": ["a"], "type": "x"}"#), Err(NotASignal::SnapshotType));
        assert_eq!(Signal::parse("log", Some("{}")), Err(NotASignal::NoMessage));
    }

    #[test]
    fn a_record_is_for_the_connector_that_its_key_names() {
        let value = br#"{"id":"1","type":"log","data":{"message":"m"}}"#;
        let log = Signal::Log { message: "m".into() };
        assert_eq!(Signal::of_record("p", Some(b"p"), Some(value)), Some(("1".into(), Ok(log))));
        assert_eq!(Signal::of_record("p", Some(b"q"), Some(value)), None);
        assert_eq!(Signal::of_record("p", Some(b"p"), None), None);
    }
}
