//! Values that stand elsewhere: `${file:/etc/secrets.properties:password}`, `${env:PGPASSWORD}`,
//! `${directory:/run/secrets:password}`.
//!
//! The references are what is stored and shown; what they point to is put in when a task starts or a configuration is
//! checked, and goes nowhere else. A reference that leads nowhere stays as it is, as in Connect.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::map::ConfigMap;
use crate::worker::properties;

/// Where a reference looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Environment,
    Directory,
}

/// What `config.providers` names.
#[derive(Clone, Debug)]
pub(crate) struct Providers(BTreeMap<String, Provider>);

#[derive(Clone, Debug)]
struct Provider {
    kind: Kind,
    /// Folders and files that may be read; none for all.
    allowed: Option<Vec<PathBuf>>,
}

/// A file or folder that a reference names cannot be read; neither its content nor the value is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Could not read properties from file {path}")]
pub(crate) struct Unreadable {
    /// The path in the reference.
    pub(crate) path: String,
}

impl Providers {
    /// `file`, `env` and `directory` are there without being named; `config.providers` gives them other names, and
    /// `config.providers.NAME.param.allowed.paths` limits them.
    pub(crate) fn parse(worker: &BTreeMap<String, String>) -> Self {
        let mut named = BTreeMap::new();
        let all = [("file", Kind::File), ("env", Kind::Environment), ("directory", Kind::Directory)];
        for (name, kind) in all {
            named.insert(name.to_owned(), Provider { kind, allowed: None });
        }
        let list = worker.get("config.providers").map_or("", String::as_str);
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let option = |option: &str| worker.get(&format!("config.providers.{name}.{option}"));
            let class = option("class").map_or("", |class| class.trim());
            let kind = match class.rsplit('.').next().unwrap_or_default() {
                "FileConfigProvider" => Kind::File,
                "EnvVarConfigProvider" => Kind::Environment,
                "DirectoryConfigProvider" => Kind::Directory,
                _ => {
                    tracing::warn!(name, class, "config provider is not implemented: its references stay as they are");
                    named.remove(name);
                    continue;
                }
            };
            let paths = option("param.allowed.paths");
            let allowed = paths.map(|paths| paths.split(',').map(|path| PathBuf::from(path.trim())).collect());
            named.insert(name.to_owned(), Provider { kind, allowed });
        }
        Self(named)
    }

    /// The configuration with all references looked up.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn resolve(&self, config: &ConfigMap) -> Result<ConfigMap, Unreadable> {
        config
            .pairs()
            .map(|(key, value)| Ok((key.to_owned(), value.map(|value| self.value(value)).transpose()?)))
            .collect()
    }

    fn value(&self, text: &str) -> Result<String, Unreadable> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((reference, behind)) = after.split_once('}') else {
                out.push_str("${");
                rest = after;
                continue;
            };
            match self.look_up(reference)? {
                Some(value) => out.push_str(&value),
                None => {
                    out.push_str("${");
                    out.push_str(reference);
                    out.push('}');
                }
            }
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// `provider:key` or `provider:path:key`, where a path may hold colons.
    fn look_up(&self, reference: &str) -> Result<Option<String>, Unreadable> {
        let Some((name, rest)) = reference.split_once(':') else { return Ok(None) };
        let Some(provider) = self.0.get(name) else { return Ok(None) };
        let (path, key) = rest.rsplit_once(':').unwrap_or(("", rest));
        match provider.kind {
            Kind::Environment => Ok(std::env::var(key).ok()),
            Kind::File if path.is_empty() => Ok(None),
            Kind::File => Ok(properties::parse(&provider.read(Path::new(path), path)?).remove(key)),
            Kind::Directory => {
                let plain = Path::new(key).components().eq([Component::Normal(key.as_ref())]);
                let file = Path::new(path).join(key);
                if !plain || !file.is_file() { Ok(None) } else { provider.read(&file, path).map(Some) }
            }
        }
    }
}

impl Provider {
    fn read(&self, file: &Path, named: &str) -> Result<String, Unreadable> {
        let unreadable = || Unreadable { path: named.to_owned() };
        let real = file.canonicalize().map_err(|_| unreadable())?;
        let inside = |allowed: &PathBuf| allowed.canonicalize().is_ok_and(|allowed| real.starts_with(allowed));
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.iter().any(inside)) {
            return Err(unreadable());
        }
        std::fs::read_to_string(&real).map_err(|_| unreadable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(worker: &[(&str, &str)], value: &str) -> Result<String, Unreadable> {
        let worker = worker.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Providers::parse(&worker).value(value)
    }

    #[test]
    fn references_are_looked_up_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.properties");
        std::fs::write(&file, "user=alice\npassword=se:cret\n").unwrap();
        let path = file.display();
        assert_eq!(resolve(&[], &format!("${{file:{path}:user}}/${{file:{path}:password}}")).unwrap(), "alice/se:cret");
        assert_eq!(
            resolve(&[], &format!("${{directory:{}:s.properties}}", folder.path().display())).unwrap().len(),
            28
        );
        for kept in
            ["${vault:a:b}", "${file:x}", "a$b${", "${env:NO_SUCH_VARIABLE_HERE}", "${directory:/etc:../etc/passwd}"]
        {
            assert_eq!(resolve(&[], kept).unwrap(), kept);
        }
        assert_eq!(resolve(&[], &format!("${{file:{path}:none}}")).unwrap(), format!("${{file:{path}:none}}"));
        assert!(resolve(&[], "${file:/no/such/file:x}").is_err());
        assert_eq!(resolve(&[], "${env:PATH}").unwrap(), std::env::var("PATH").unwrap());
    }

    #[test]
    fn providers_are_named_and_limited() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.properties");
        std::fs::write(&file, "a=1\n").unwrap();
        let class = "org.apache.kafka.common.config.provider.FileConfigProvider";
        let mut worker = vec![("config.providers", "mine, v"), ("config.providers.mine.class", class)];
        worker.push(("config.providers.v.class", "com.example.Vault"));
        let reference = format!("${{mine:{}:a}}", file.display());
        assert_eq!(resolve(&worker, &reference).unwrap(), "1");
        assert_eq!(resolve(&worker, "${v:x:y}").unwrap(), "${v:x:y}");
        worker.push(("config.providers.mine.param.allowed.paths", "/usr/share"));
        assert!(resolve(&worker, &reference).is_err());
    }
}
