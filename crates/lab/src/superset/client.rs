//! Superset's API, as far as provisioning needs it.

use serde_json::{Value, json};

use super::bundle::{Bundle, DATABASE_FILE};
use super::http::{Http, Part};
use crate::error::{Error, Result};

/// The most that Superset gives at once.
const PAGE: usize = 100;
/// Far more objects than any Superset has: ends a list that would go on for ever.
const MAX_PAGES: usize = 1_000;

/// A session of a user of Superset.
#[derive(Debug)]
pub struct Superset {
    http: Http,
    version: String,
}

/// Kinds of objects, by their names in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Database,
    Dataset,
    Chart,
    Dashboard,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Dataset => "dataset",
            Self::Chart => "chart",
            Self::Dashboard => "dashboard",
        }
    }

    fn name_column(self) -> &'static str {
        match self {
            Self::Database => "database_name",
            Self::Dataset => "table_name",
            Self::Chart => "slice_name",
            Self::Dashboard => "dashboard_title",
        }
    }
}

impl Superset {
    /// Signs in at the Superset at `url`, with the right to change things.
    ///
    /// # Errors
    /// Superset cannot be reached, or refuses the user.
    pub async fn sign_in(url: &str, user: &str, password: &str) -> Result<Self> {
        let mut http = Http::new(url)?;
        let login = json!({"username": user, "password": password, "provider": "db", "refresh": true});
        let (status, answer) = http.post("/api/v1/security/login", &login).await?;
        let Some(token) = answer.get("access_token").and_then(Value::as_str) else {
            let cause = match status.as_u16() {
                401 => format!("it does not know the user {user:?} with this password"),
                _ => refusal(status.as_u16(), &answer),
            };
            return Err(Error::Superset { attempt: "signing in".into(), cause });
        };
        http.sign_in(token)?;
        let mut superset = Self { http, version: String::new() };
        let answer = superset.get("asking for a token", "/api/v1/security/csrf_token/").await?;
        let token = answer.get("result").and_then(Value::as_str).unwrap_or_default().to_owned();
        superset.http.allow_changes(&token)?;
        superset.version = superset.read_version().await;
        Ok(superset)
    }

    /// Its version, or nothing where it is not told.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.http.base()
    }

    async fn read_version(&mut self) -> String {
        let found = self.http.get("/static/version_info.json").await;
        let version = found.ok().and_then(|(_, answer)| Some(answer.get("version")?.as_str()?.to_owned()));
        version.unwrap_or_default()
    }

    /// A `GET` of the API; `attempt` is what for, such as "reading a chart".
    ///
    /// # Errors
    /// Superset refuses, or went away.
    pub async fn get(&mut self, attempt: &str, path: &str) -> Result<Value> {
        let (status, answer) = self.http.get(path).await?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(Error::Superset { attempt: attempt.to_owned(), cause: refusal(status.as_u16(), &answer) })
    }

    /// Any other call of the API, such as a `POST` of `/api/v1/chart/data`; gives the answer of a success.
    ///
    /// # Errors
    /// Superset refuses, or went away.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.http.post(path, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(Error::Superset { attempt: format!("POST {path}"), cause: refusal(status.as_u16(), &answer) })
    }

    /// A `PUT` of the API, as [`Self::post`].
    ///
    /// # Errors
    /// Superset refuses, or went away.
    pub async fn put(&mut self, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.http.put(path, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(Error::Superset { attempt: format!("PUT {path}"), cause: refusal(status.as_u16(), &answer) })
    }

    /// Deletes an object.
    pub(super) async fn delete(&mut self, kind: Kind, id: i64) -> Result<()> {
        let (status, answer) = self.http.delete(&format!("/api/v1/{}/{id}", kind.name())).await?;
        if status.is_success() {
            return Ok(());
        }
        let attempt = format!("deleting a {}", kind.name());
        Err(Error::Superset { attempt, cause: refusal(status.as_u16(), &answer) })
    }

    /// All objects of a kind that pass the filter `column operator value`.
    pub(super) async fn list(&mut self, kind: Kind, filter: Option<(&str, &str, Value)>) -> Result<Vec<Value>> {
        let filter = filter.map(|(column, operator, value)| {
            format!("filters:!((col:{column},opr:{operator},value:{})),", rison(&value))
        });
        let filter = filter.unwrap_or_default();
        let mut found = Vec::new();
        for page in 0..MAX_PAGES {
            // in the order of names, which an import does not change under our feet
            let order = kind.name_column();
            let query = format!("({filter}order_column:{order},order_direction:asc,page:{page},page_size:{PAGE})");
            let path = format!("/api/v1/{}/?q={}", kind.name(), super::connection::percent_encoded(&query));
            let attempt = format!("listing the {}s", kind.name());
            let mut answer = self.get(&attempt, &path).await?;
            let Some(Value::Array(rows)) = answer.get_mut("result").map(Value::take) else { break };
            let count = rows.len();
            found.extend(rows);
            if count < PAGE {
                break;
            }
        }
        Ok(found)
    }

    /// One object with all that there is to know of it.
    pub(super) async fn read(&mut self, kind: Kind, id: i64) -> Result<Value> {
        let attempt = format!("reading a {}", kind.name());
        let mut answer = self.get(&attempt, &format!("/api/v1/{}/{id}", kind.name())).await?;
        Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
    }

    /// Imports a bundle: all of it or nothing.
    pub(super) async fn import(&mut self, bundle: &Bundle, password: &str) -> Result<()> {
        const ATTEMPT: &str = "importing";
        let zip = bundle.zip()?;
        let passwords = json!({DATABASE_FILE: password}).to_string();
        let file = Part { name: "bundle", file: Some(("walhouse.zip", "application/zip")), content: &zip };
        let secrets = Part { name: "passwords", file: None, content: passwords.as_bytes() };
        let parts = if password.is_empty() { vec![file] } else { vec![file, secrets] };
        let (status, answer) = self.http.post_form("/api/v1/assets/import/", &parts).await?;
        if status.is_success() {
            return Ok(());
        }
        let hint = if status.as_u16() == 500 { "; Superset tells the reason in its own log only" } else { "" };
        let cause = format!("{}{hint}", refusal(status.as_u16(), &answer));
        Err(Error::Superset { attempt: ATTEMPT.into(), cause })
    }
}

/// What a refusal says, wherever it says it.
fn refusal(status: u16, answer: &Value) -> String {
    const SHOWN: usize = 500;
    let text = match answer.pointer("/errors/0/message").or_else(|| answer.get("message")).or_else(|| answer.get("msg"))
    {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => answer.to_string(),
    };
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    format!("{status} {text}")
}

/// A value in the notation of Superset's lists.
fn rison(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('!', "!!").replace('\'', "!'")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_in_one_line() {
        assert_eq!(refusal(422, &json!({"errors": [{"message": "no\n such"}]})), "422 no such");
        assert_eq!(refusal(401, &json!({"message": "Not authorized"})), "401 Not authorized");
        assert_eq!(refusal(500, &Value::String("<html>".into())), "500 \"<html>\"");
    }

    #[test]
    fn quotes_in_lists() {
        assert_eq!(rison(&json!("it's!")), "'it!'s!!'");
        assert_eq!(rison(&json!(7)), "7");
    }
}
