//! How Superset reaches ClickHouse: as a user who may only read.

use std::fmt;

use serde_json::{Value, json};

/// What stands in a bundle in the place of a password.
const MASK: &str = "XXXXXXXXXX";

/// Superset's own way to ClickHouse.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// ClickHouse's address as Superset sees it: `http://host:port` or `https://host:port`.
    pub url: String,
    /// A user who may only read.
    pub user: String,
    /// That user's password; empty for none.
    pub password: String,
    /// The database.
    pub database: String,
    /// The session's time zone is to be set to UTC, because the server's is another: Superset writes a filter's times
    /// without a zone, and means UTC.
    pub set_utc: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.url)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// The importer's database: no password in it, and nothing but SELECT through it.
    pub(super) fn to_json(&self, name: &str, uuid: &str) -> Value {
        json!({
            "database_name": name,
            "sqlalchemy_uri": self.uri(),
            "cache_timeout": null,
            "expose_in_sqllab": true,
            "allow_run_async": false,
            "allow_ctas": false,
            "allow_cvas": false,
            "allow_dml": false,
            // true when it is left out
            "allow_file_upload": false,
            "extra": {
                "allows_virtual_table_explore": true, "engine_params": {}, "metadata_params": {},
                "metadata_cache_timeout": {}, "schemas_allowed_for_file_upload": [],
            },
            "uuid": uuid,
            "version": super::bundle::VERSION,
        })
    }

    /// `clickhousedb://user:XXXXXXXXXX@host:port/database`
    fn uri(&self) -> String {
        let (scheme, host) = self.url.trim_end_matches('/').split_once("://").unwrap_or(("http", &self.url));
        let secure = scheme == "https";
        let host = match host.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.to_owned(),
            _ => format!("{host}:{}", if secure { 443 } else { 80 }),
        };
        let password = if self.password.is_empty() { String::new() } else { format!(":{MASK}") };
        let options = [secure.then_some("secure=true"), self.set_utc.then_some("session_timezone=UTC")];
        let options = options.into_iter().flatten().collect::<Vec<_>>().join("&");
        let question = if options.is_empty() { "" } else { "?" };
        format!(
            "clickhousedb://{}{password}@{host}/{}{question}{options}",
            percent_encoded(&self.user),
            percent_encoded(&self.database)
        )
    }
}

/// Everything but unreserved characters of RFC 3986 as `%xx`.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let connection = |url: &str, password: &str, set_utc| Connection {
            url: url.to_owned(),
            user: "b@i".to_owned(),
            password: password.to_owned(),
            database: "my db".to_owned(),
            set_utc,
        };
        assert_eq!(connection("http://h:8123", "", false).uri(), "clickhousedb://b%40i@h:8123/my%20db");
        assert_eq!(
            connection("https://h/", "hush", true).uri(),
            "clickhousedb://b%40i:XXXXXXXXXX@h:443/my%20db?secure=true&session_timezone=UTC"
        );
        assert!(!format!("{:?}", connection("http://h:1", "hush", true)).contains("hush"));
    }
}
