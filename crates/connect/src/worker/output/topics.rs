//! Topics are made on their first record, when the connector says how: `topic.creation.default.partitions` and
//! `.replication.factor`, and groups with their own. Without that it is left to the broker's own creation.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use regex::Regex;
use walhouse_kafka::client::{Admin, NewTopic, Result};

use crate::worker::Settings;

const PREFIX: &str = "topic.creation.";
const PARTITIONS: &str = "partitions";
const REPLICATION: &str = "replication.factor";

/// Makes topics.
#[derive(Debug)]
pub(super) struct TopicMaker {
    admin: Admin,
    /// First match wins; the last one, the default, matches all. Empty when nothing is made.
    groups: Vec<Group>,
    known: HashSet<Arc<str>>,
}

#[derive(Debug)]
struct Group {
    include: Option<Regex>,
    exclude: Option<Regex>,
    partitions: i32,
    replication: i32,
    settings: BTreeMap<String, String>,
}

impl TopicMaker {
    pub(super) fn new(
        settings: &Settings,
        config: &BTreeMap<String, String>,
        admin: Admin,
    ) -> std::result::Result<Self, String> {
        let groups = if settings.topic_creation { groups(config)? } else { Vec::new() };
        Ok(Self { admin, groups, known: HashSet::new() })
    }

    /// Makes the topic if it is not there.
    pub(super) async fn ensure(&mut self, topic: &Arc<str>) -> Result<()> {
        if self.groups.is_empty() || self.known.contains(topic) {
            return Ok(());
        }
        if self.admin.topic(topic).await?.is_none()
            && let Some(group) = self.groups.iter().find(|group| group.matches(topic))
        {
            let new = NewTopic {
                name: topic.as_ref().to_owned(),
                partitions: group.partitions,
                replication: group.replication,
                settings: group.settings.clone(),
            };
            if self.admin.create(&new).await? {
                let (partitions, replication) = (group.partitions, group.replication);
                tracing::info!(topic = topic.as_ref(), partitions, replication, "made a topic");
            }
        }
        self.known.insert(Arc::clone(topic));
        Ok(())
    }
}

impl Group {
    fn matches(&self, topic: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(topic))
            && self.exclude.as_ref().is_none_or(|exclude| !exclude.is_match(topic))
    }
}

fn groups(config: &BTreeMap<String, String>) -> std::result::Result<Vec<Group>, String> {
    if !config.keys().any(|key| key.starts_with(PREFIX)) {
        return Ok(Vec::new());
    }
    let list = config.get("topic.creation.groups").map_or("", String::as_str);
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "default");
    let default = group(config, "default", None)?;
    let mut groups: Vec<Group> =
        names.map(|name| group(config, name, Some(&default))).collect::<std::result::Result<_, String>>()?;
    groups.push(default);
    Ok(groups)
}

/// A group; what it does not set is the default's.
fn group(config: &BTreeMap<String, String>, name: &str, default: Option<&Group>) -> std::result::Result<Group, String> {
    let key = |option: &str| format!("{PREFIX}{name}.{option}");
    let number = |option: &str, fallback: Option<i32>, least: i32| -> std::result::Result<i32, String> {
        let key = key(option);
        let Some(text) = config.get(&key) else {
            return fallback
                .ok_or_else(|| format!("Missing required configuration \"{key}\" which has no default value."));
        };
        let invalid = |problem: String| format!("Invalid value {text} for configuration {key}: {problem}");
        let value: i32 = text.trim().parse().map_err(|_| invalid("Not a number of type INT".to_owned()))?;
        if value == -1 || value >= least {
            Ok(value)
        } else {
            Err(invalid(format!("Value must be at least {least}, or -1 for the broker's default")))
        }
    };
    let patterns = |option: &str| -> std::result::Result<Option<Regex>, String> {
        let Some(list) = config.get(&key(option)).filter(|list| !list.trim().is_empty()) else { return Ok(None) };
        let parts: Vec<String> = list.split(',').map(|part| format!("(?:{})", part.trim())).collect();
        let regex = Regex::new(&format!("^(?:{})$", parts.join("|")));
        regex.map(Some).map_err(|_| format!("Invalid value {list} for configuration {}: Invalid regex", key(option)))
    };
    let own = [PARTITIONS, REPLICATION, "include", "exclude"];
    let prefix = key("");
    let settings = config.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
    let settings = settings.filter(|(option, _)| !own.contains(option));
    Ok(Group {
        include: if default.is_some() { patterns("include")? } else { None },
        exclude: if default.is_some() { patterns("exclude")? } else { None },
        partitions: number(PARTITIONS, default.map(|group| group.partitions), 1)?,
        replication: number(REPLICATION, default.map(|group| group.replication), 1)?,
        settings: settings.map(|(option, value)| (option.to_owned(), value.clone())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> std::result::Result<Vec<Group>, String> {
        groups(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_first_group_that_matches_decides() {
        let all = read(&[
            ("topic.creation.default.partitions", "4"),
            ("topic.creation.default.replication.factor", "1"),
            ("topic.creation.default.retention.ms", "5"),
            ("topic.creation.groups", "g, h"),
            ("topic.creation.g.include", "a.*,b"),
            ("topic.creation.g.exclude", "a-not"),
            ("topic.creation.g.partitions", "3"),
            ("topic.creation.g.cleanup.policy", "compact"),
            ("topic.creation.h.include", "h"),
        ])
        .unwrap();
        let of = |topic: &str| all.iter().find(|group| group.matches(topic)).unwrap();
        assert_eq!((of("a1").partitions, of("a1").replication), (3, 1));
        assert_eq!(of("a1").settings["cleanup.policy"], "compact");
        assert_eq!((of("a-not").partitions, of("other").settings["retention.ms"].as_str()), (4, "5"));
        assert!(read(&[]).unwrap().is_empty());
    }

    #[test]
    fn half_of_the_options_is_said_when_the_task_starts() {
        let error = read(&[("topic.creation.default.partitions", "2")]).unwrap_err();
        let missing =
            "Missing required configuration \"topic.creation.default.replication.factor\" which has no default value.";
        assert_eq!(error, missing);
        let bad = [("topic.creation.default.partitions", "0"), ("topic.creation.default.replication.factor", "1")];
        assert!(read(&bad).is_err());
    }
}
