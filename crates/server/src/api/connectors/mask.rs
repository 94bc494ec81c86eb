//! Secrets of a connector's configuration.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What is shown for a secret.
pub(super) const MASK: &str = "********";

/// Parts of names whose values are secrets.
const SECRET: [&str; 8] =
    ["password", "secret", "token", "credential", "passphrase", "sasl.jaas.config", "api.key", "private.key"];

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET.iter().any(|part| key.contains(part))
        || key.ends_with("keystore.key")
        || key.ends_with("basic.auth.user.info")
}

/// With its secrets masked. A reference to a file or an environment variable is no secret.
pub(super) fn masked(mut config: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for (key, value) in &mut config {
        if is_secret(key) && !value.is_empty() && !is_reference(value) {
            MASK.clone_into(value);
        }
    }
    config
}

fn is_reference(value: &str) -> bool {
    value.starts_with("${") && value.ends_with('}')
}

/// With each mask replaced by what is set now.
pub(super) fn unmasked(
    mut config: BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (key, value) in &mut config {
        if value == MASK
            && let Some(secret) = now.get(key)
        {
            value.clone_from(secret);
        }
    }
    config
}

/// Masks the values in a worker's answer to a validation: `{configs: [{value: {name, value}}]}`.
pub(super) fn mask_validation(answer: &mut Value) {
    for config in answer.get_mut("configs").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(field) = config.get_mut("value").and_then(Value::as_object_mut) else { continue };
        let secret = field.get("name").and_then(Value::as_str).is_some_and(is_secret);
        if let Some(value) = field.get_mut("value").filter(|value| secret && !value.is_null()) {
            *value = json!(MASK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn secrets_are_masked_and_come_back() {
        let real = config(&[
            ("database.password", "hunter2"),
            ("database.user", "app"),
            ("producer.override.sasl.jaas.config", "x required password=y;"),
            ("schema.registry.basic.auth.user.info", "a:b"),
            ("ssl.keystore.password", "${file:/run/secrets:keystore}"),
            ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("sasl.oauthbearer.client.secret", ""),
        ]);
        let shown = masked(real.clone());
        let hidden: Vec<_> = shown.iter().filter(|(_, value)| *value == MASK).map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            hidden,
            ["database.password", "producer.override.sasl.jaas.config", "schema.registry.basic.auth.user.info"]
        );
        assert_eq!(unmasked(shown, &real), real);
    }

    #[test]
    fn a_validation_shows_no_secret() {
        let mut answer = json!({ "configs": [
            { "value": { "name": "database.password", "value": "hunter2" } },
            { "value": { "name": "database.user", "value": "app" } },
        ] });
        mask_validation(&mut answer);
        assert!(!answer.to_string().contains("hunter2") && answer.to_string().contains("app"));
    }
}
