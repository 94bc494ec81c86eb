//! Paths and what may be done at them.

use axum::http::Method;

use super::reply::Problem;

/// A path of the API.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    Root,
    Connectors,
    Connector(String, At),
    Plugins,
    PluginConfig(String),
    Validate(String),
    Loggers,
    Logger(String),
}

/// What of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Info,
    Config,
    Status,
    Tasks,
    TasksConfig,
    TaskStatus(i32),
    TaskRestart(i32),
    Restart,
    Pause,
    Resume,
    Stop,
    Topics,
    TopicsReset,
    Offsets,
    Fence,
}

impl Route {
    /// The route of a path; none for one that is not of the API. A slash at the end changes nothing.
    pub(super) fn parse(path: &str) -> Result<Option<Self>, Problem> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut parts = Vec::new();
        for part in path.split('/') {
            parts.push(decode(part).ok_or_else(|| Problem::html(400))?);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(match parts.as_slice() {
            [""] => Some(Self::Root),
            ["connectors"] => Some(Self::Connectors),
            ["connectors", name, rest @ ..] if !name.is_empty() => {
                At::parse(rest)?.map(|at| Self::Connector((*name).to_owned(), at))
            }
            ["connector-plugins"] => Some(Self::Plugins),
            ["connector-plugins", name, "config"] => Some(Self::PluginConfig((*name).to_owned())),
            ["connector-plugins", name, "config", "validate"] => Some(Self::Validate((*name).to_owned())),
            ["admin", "loggers"] => Some(Self::Loggers),
            ["admin", "loggers", name] => Some(Self::Logger((*name).to_owned())),
            _ => None,
        })
    }

    /// Methods, in the order in which `Allow` names them.
    pub(super) fn allowed(&self) -> &'static str {
        match self {
            Self::Connectors => "HEAD,POST,GET,OPTIONS",
            Self::Connector(_, at) => at.allowed(),
            Self::Validate(_) => "OPTIONS,PUT",
            Self::Logger(_) => "HEAD,GET,OPTIONS,PUT",
            Self::Root | Self::Plugins | Self::PluginConfig(_) | Self::Loggers => "HEAD,GET,OPTIONS",
        }
    }

    pub(super) fn allows(&self, method: &Method) -> bool {
        self.allowed().split(',').any(|allowed| allowed == method.as_str())
    }

    /// Whether a body is read with this method.
    pub(super) fn reads_body(&self, method: &Method) -> bool {
        match self {
            Self::Connectors => method == Method::POST,
            Self::Connector(_, At::Config) | Self::Validate(_) | Self::Logger(_) => method == Method::PUT,
            _ => false,
        }
    }
}

impl At {
    fn parse(rest: &[&str]) -> Result<Option<Self>, Problem> {
        // A task's number that is none makes the path unknown, to a resource that exists.
        let number = |text: &str| text.parse::<i32>().map_err(|_| Problem::new(404, "HTTP 404 Not Found"));
        Ok(Some(match rest {
            [] => Self::Info,
            ["config"] => Self::Config,
            ["status"] => Self::Status,
            ["tasks"] => Self::Tasks,
            ["tasks-config"] => Self::TasksConfig,
            ["tasks", task, "status"] => Self::TaskStatus(number(task)?),
            ["tasks", task, "restart"] => Self::TaskRestart(number(task)?),
            ["restart"] => Self::Restart,
            ["pause"] => Self::Pause,
            ["resume"] => Self::Resume,
            ["stop"] => Self::Stop,
            ["topics"] => Self::Topics,
            ["topics", "reset"] => Self::TopicsReset,
            ["offsets"] => Self::Offsets,
            ["fence"] => Self::Fence,
            _ => return Ok(None),
        }))
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Info => "HEAD,DELETE,GET,OPTIONS",
            Self::Config => "HEAD,GET,OPTIONS,PUT",
            Self::Tasks => "HEAD,POST,GET,OPTIONS",
            Self::Status | Self::TasksConfig | Self::TaskStatus(_) | Self::Topics | Self::Offsets => "HEAD,GET,OPTIONS",
            Self::TaskRestart(_) | Self::Restart => "POST,OPTIONS",
            Self::Pause | Self::Resume | Self::Stop | Self::TopicsReset | Self::Fence => "OPTIONS,PUT",
        }
    }
}

/// Decodes `%XX`; none when that is broken.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if *first == b'%' {
            let (digits, behind) = behind.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = behind;
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A name as it stands in a path.
pub(super) fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_connect_reads_them() {
        let parse = |path: &str| Route::parse(path).ok().flatten();
        assert_eq!(parse("/"), Some(Route::Root));
        assert_eq!(parse("/connectors/"), Some(Route::Connectors));
        assert_eq!(parse("/connectors/a%2Fb"), Some(Route::Connector("a/b".to_owned(), At::Info)));
        assert_eq!(
            parse("/connectors/Inv%201/topics/reset/"),
            Some(Route::Connector("Inv 1".to_owned(), At::TopicsReset))
        );
        assert_eq!(parse("/connectors/a/tasks/-1/status"), Some(Route::Connector("a".to_owned(), At::TaskStatus(-1))));
        for unknown in ["/nothing", "//connectors", "/connectors/a/b/c", "/admin", "/health", "/connectors/a/tasks/0"] {
            assert_eq!(parse(unknown), None, "{unknown}");
        }
        assert!(Route::parse("/connectors/%zz").is_err());
        assert!(Route::parse("/connectors/a/tasks/x/status").is_err());
        assert_eq!(encode("Inv 1/é"), "Inv%201%2F%C3%A9");
    }
}
