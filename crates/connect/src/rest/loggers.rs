//! `/admin/loggers`: levels of loggers, under the names that a worker of Connect has.
//!
//! Names and levels are kept as Connect would keep them; the levels of the root and of the packages of Connect and
//! Debezium are passed on to whoever logs here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Method;
use serde_json::{Map, Value as Json, json};

use super::reply::{Problem, Reply};
use super::route::Route;
use super::{Call, jackson};
use crate::plugins::CATALOG;

/// Told a logger's name and its new level, such as `root` and `DEBUG`.
pub type LevelSetter = Arc<dyn Fn(&str, &str) + Send + Sync>;

const LEVELS: [&str; 8] = ["OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"];
const ROOT: &str = "root";

/// Levels that were set; what has none is logged as its parent.
pub(super) struct Loggers {
    levels: Mutex<BTreeMap<String, String>>,
    setter: Option<LevelSetter>,
}

impl Loggers {
    pub(super) fn new(setter: Option<LevelSetter>) -> Self {
        // As Connect's own configuration sets them.
        let set = [
            ("org.apache.kafka.clients", "WARN"),
            ("org.apache.kafka.connect.runtime.AbstractWorkerSourceTask", "WARN"),
            ("org.reflections", "ERROR"),
            (ROOT, "INFO"),
        ];
        let levels = set.map(|(name, level)| (name.to_owned(), level.to_owned()));
        Self { levels: Mutex::new(levels.into()), setter }
    }

    fn all(&self) -> BTreeMap<String, String> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn get(&self, name: &str) -> Option<String> {
        let levels = self.all();
        let set = levels.get(name).cloned();
        // A logger that exists and has no level of its own has its parent's.
        let known = || CATALOG.loggers().iter().any(|logger| logger == name);
        set.or_else(|| known().then(|| levels.get(ROOT).cloned()).flatten())
    }

    /// Sets the level of a logger and of all below it; gives their names.
    fn set(&self, name: &str, level: &str) -> Vec<String> {
        let known = CATALOG.loggers().iter().filter(|logger| name == ROOT || logger.starts_with(name));
        let names: BTreeSet<String> = known.cloned().chain([name.to_owned()]).collect();
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        levels.extend(names.iter().map(|name| (name.clone(), level.to_owned())));
        drop(levels);
        if let Some(setter) = &self.setter {
            setter(name, level);
        }
        names.into_iter().collect()
    }
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loggers").finish_non_exhaustive()
    }
}

impl Call<'_> {
    pub(super) fn loggers(&self, route: &Route) -> Result<Reply, Problem> {
        let Route::Logger(name) = route else {
            let levels = self.api.loggers.all().into_iter();
            let levels = levels.map(|(name, level)| (name, json!({ "level": level })));
            return Ok(Reply::json(200, levels.collect::<Map<String, Json>>()));
        };
        if self.method != Method::PUT {
            let level = self.api.loggers.get(name);
            let level = level.ok_or_else(|| Problem::not_found(format!("Logger {name} not found.")))?;
            return Ok(Reply::json(200, json!({ "level": level })));
        }
        let body = jackson::text_map(self.body).map_err(|message| Problem::new(500, message))?;
        let null = "Cannot invoke \"java.util.Map.get(Object)\" because \"levelMap\" is null";
        let body = body.ok_or_else(|| Problem::new(500, null))?;
        let missing = || Problem::new(400, "Desired 'level' parameter was not specified in request.");
        let level = body.get("level").ok_or_else(missing)?.to_uppercase();
        if !LEVELS.contains(&level.as_str()) {
            let given = body.get("level").unwrap_or_default();
            return Err(Problem::not_found(format!("invalid log level '{given}'.")));
        }
        Ok(Reply::json(200, json!(self.api.loggers.set(name, &level))))
    }
}
