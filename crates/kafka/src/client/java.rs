//! Java clients' properties under librdkafka's names.
//!
//! Most are the same. The rest is translated, among it JAAS lines and key stores, or has no counterpart: those of the
//! first list are left out in silence when they ask for what happens anyway, and named by
//! [`crate::client::Properties::without_effect`].

use std::collections::BTreeMap;

use crate::client::error::Result;
use crate::client::properties::property;

/// What a client is for. A property of another role is left out, as Java clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
    Admin,
}

/// Known to Java clients, without a counterpart in librdkafka.
const WITHOUT_EFFECT: [&str; 35] = [
    "auto.include.jmx.reporter",
    "client.dns.lookup",
    "default.api.timeout.ms",
    "delivery.timeout.ms",
    "exclude.internal.topics",
    "fetch.max.wait.ms",
    "interceptor.classes",
    "key.deserializer",
    "key.serializer",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.poll.records",
    "metadata.max.idle.ms",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "partitioner.class",
    "partitioner.ignore.keys",
    "sasl.client.callback.handler.class",
    "sasl.kerberos.ticket.renew.jitter",
    "sasl.kerberos.ticket.renew.window.factor",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "security.providers",
    "socket.connection.setup.timeout.max.ms",
    "ssl.enabled.protocols",
    "ssl.keymanager.algorithm",
    "ssl.protocol",
    "ssl.provider",
    "ssl.secure.random.implementation",
    "ssl.trustmanager.algorithm",
    "value.serializer",
];

/// Properties of producers; other clients leave them out.
const PRODUCER_ONLY: [&str; 22] = [
    "acks",
    "batch.num.messages",
    "batch.size",
    "buffer.memory",
    "compression.codec",
    "compression.level",
    "compression.type",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "linger.ms",
    "max.request.size",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.linger.ms",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Properties of consumers; other clients leave them out.
const CONSUMER_ONLY: [&str; 17] = [
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "check.crcs",
    "enable.auto.commit",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "session.timeout.ms",
    "value.deserializer",
];

pub(crate) fn is_without_effect(key: &str) -> bool {
    WITHOUT_EFFECT.contains(&key)
}

/// Java's names that are translated, or known to have no effect.
pub(crate) fn is_known(key: &str) -> bool {
    const TRANSLATED: [&str; 13] = [
        "buffer.memory",
        "max.request.size",
        "receive.buffer.bytes",
        "sasl.jaas.config",
        "sasl.kerberos.service.name",
        "send.buffer.bytes",
        "ssl.keystore.certificate.chain",
        "ssl.keystore.key",
        "ssl.keystore.type",
        "ssl.truststore.certificates",
        "ssl.truststore.location",
        "ssl.truststore.password",
        "ssl.truststore.type",
    ];
    is_without_effect(key) || TRANSLATED.contains(&key)
}

/// Whether a property's value must not be shown.
pub(crate) fn is_secret(key: &str) -> bool {
    ["password", "jaas", "secret", ".pem", "keystore.key", "oauthbearer"].iter().any(|part| key.contains(part))
}

/// The properties under librdkafka's names, of those that concern this role.
pub(crate) fn translate(properties: &BTreeMap<String, String>, role: Role) -> Result<Vec<(String, String)>> {
    let mut translated = Vec::with_capacity(properties.len());
    for (key, value) in properties {
        let foreign = (role != Role::Producer && PRODUCER_ONLY.contains(&key.as_str()))
            || (role != Role::Consumer && CONSUMER_ONLY.contains(&key.as_str()));
        if !foreign && !is_without_effect(key) {
            one(properties, key, value.trim(), &mut translated)?;
        }
    }
    Ok(translated)
}

fn one(all: &BTreeMap<String, String>, key: &str, value: &str, into: &mut Vec<(String, String)>) -> Result<()> {
    let mut set = |key: &str, value: &str| into.push((key.to_owned(), value.to_owned()));
    match key {
        "buffer.memory" => {
            let bytes: u64 = value.parse().map_err(|_| property(key, "a number of bytes is expected"))?;
            // librdkafka's range begins at 1.
            set("queue.buffering.max.kbytes", &(bytes / 1024).max(1).to_string());
        }
        "max.request.size" => set("message.max.bytes", value),
        "receive.buffer.bytes" => set("socket.receive.buffer.bytes", &unless_default(value)),
        "send.buffer.bytes" => set("socket.send.buffer.bytes", &unless_default(value)),
        "socket.connection.setup.timeout.ms" | "client.rack" => set(key, value),
        "sasl.jaas.config" => {
            let login = jaas(value)?;
            set("sasl.username", &login.0);
            set("sasl.password", &login.1);
        }
        "sasl.kerberos.service.name" => {
            return Err(property(key, "Kerberos is not supported; use sasl.mechanism PLAIN or SCRAM-SHA-512, or TLS"));
        }
        "ssl.endpoint.identification.algorithm" => set(key, if value.is_empty() { "none" } else { value }),
        "ssl.truststore.location" => match store_type(all, "ssl.truststore.type", value) {
            Store::Pem => set("ssl.ca.location", value),
            Store::Pkcs12 | Store::Jks => {
                let hint = "export it as PEM (keytool -exportcert -rfc), and set ssl.truststore.type=PEM";
                return Err(property(key, format!("a JKS or PKCS12 trust store cannot be read: {hint}")));
            }
        },
        "ssl.truststore.certificates" => set("ssl.ca.pem", value),
        "ssl.keystore.location" => match store_type(all, "ssl.keystore.type", value) {
            Store::Pem => {
                set("ssl.certificate.location", value);
                set("ssl.key.location", value);
            }
            Store::Pkcs12 => set(key, value),
            Store::Jks => {
                let hint = "keytool -importkeystore -deststoretype PKCS12, and set ssl.keystore.type=PKCS12";
                return Err(property(key, format!("a JKS key store cannot be read: convert it with {hint}")));
            }
        },
        "ssl.keystore.certificate.chain" => set("ssl.certificate.pem", value),
        "ssl.keystore.key" => set("ssl.key.pem", value),
        "ssl.keystore.type" | "ssl.truststore.type" | "ssl.truststore.password" => {}
        "ssl.cipher.suites" if value.is_empty() => {}
        "isolation.level" | "compression.type" | "security.protocol" => set(key, &value.to_ascii_lowercase()),
        _ => set(key, value),
    }
    Ok(())
}

/// Java writes -1 for the system's default, librdkafka 0.
fn unless_default(value: &str) -> String {
    if value == "-1" { "0".to_owned() } else { value.to_owned() }
}

enum Store {
    Pem,
    Pkcs12,
    Jks,
}

/// A store's type as set, or else as its name says; Java's default is JKS.
fn store_type(all: &BTreeMap<String, String>, key: &str, location: &str) -> Store {
    let set = all.get(key).map(|value| value.trim().to_ascii_uppercase());
    let ends = |ending: &str| location.to_ascii_lowercase().ends_with(ending);
    match set.as_deref() {
        Some("PEM") => Store::Pem,
        Some("PKCS12") => Store::Pkcs12,
        Some(_) => Store::Jks,
        None if ends(".pem") || ends(".crt") => Store::Pem,
        None if ends(".p12") || ends(".pfx") => Store::Pkcs12,
        None => Store::Jks,
    }
}

/// User and password of a JAAS line for PLAIN or SCRAM.
fn jaas(line: &str) -> Result<(String, String)> {
    const KEY: &str = "sasl.jaas.config";
    if !line.contains("PlainLoginModule") && !line.contains("ScramLoginModule") {
        return Err(property(KEY, "only PlainLoginModule and ScramLoginModule are supported"));
    }
    let option = |name: &str| {
        let (_, rest) = line.split_once(&format!("{name}="))?;
        let quoted = rest.strip_prefix('"')?;
        let mut text = String::new();
        let mut letters = quoted.chars();
        loop {
            match letters.next()? {
                '"' => return Some(text),
                '\\' => text.push(letters.next()?),
                letter => text.push(letter),
            }
        }
    };
    match (option("username"), option("password")) {
        (Some(user), Some(password)) => Ok((user, password)),
        _ => Err(property(KEY, "username=\"...\" and password=\"...\" are expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(role: Role, pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
        translate(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(), role)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn java_names_become_librdkafkas() {
        let java = [
            ("buffer.memory", "33554432"),
            ("linger.ms", "20"),
            ("max.block.ms", "1000"),
            ("max.poll.records", "5"),
            ("max.request.size", "5000000"),
            ("receive.buffer.bytes", "-1"),
        ];
        let expected = pairs(&[
            ("queue.buffering.max.kbytes", "32768"),
            ("linger.ms", "20"),
            ("message.max.bytes", "5000000"),
            ("socket.receive.buffer.bytes", "0"),
        ]);
        assert_eq!(translated(Role::Producer, &java).unwrap(), expected);
        assert_eq!(translated(Role::Consumer, &java).unwrap(), pairs(&[("socket.receive.buffer.bytes", "0")]));
    }

    #[test]
    fn a_jaas_line_gives_user_and_password() {
        let line =
            r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="al\"ice" password="s;=e";"#;
        let expected = pairs(&[("sasl.username", "al\"ice"), ("sasl.password", "s;=e")]);
        assert_eq!(translated(Role::Admin, &[("sasl.jaas.config", line)]).unwrap(), expected);
        for broken in
            ["com.sun.security.auth.module.Krb5LoginModule required;", "PlainLoginModule required username=a;"]
        {
            assert!(translated(Role::Admin, &[("sasl.jaas.config", broken)]).is_err(), "{broken}");
        }
    }

    #[test]
    fn stores_are_translated_or_refused_with_the_way_out() {
        let pem = [("ssl.truststore.location", "/etc/ca.pem"), ("ssl.endpoint.identification.algorithm", "")];
        let expected = pairs(&[("ssl.endpoint.identification.algorithm", "none"), ("ssl.ca.location", "/etc/ca.pem")]);
        assert_eq!(translated(Role::Producer, &pem).unwrap(), expected);
        let jks = translated(Role::Producer, &[("ssl.truststore.location", "/etc/kafka.jks")]).unwrap_err();
        assert!(jks.to_string().contains("keytool"), "{jks}");
        let key = [("ssl.keystore.location", "/etc/me.p12"), ("ssl.keystore.password", "x")];
        assert_eq!(translated(Role::Producer, &key).unwrap(), pairs(&key));
    }
}
