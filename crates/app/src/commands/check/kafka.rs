//! The brokers.

use anyhow::Result;
use walhouse_kafka::client::Admin;
use walhouse_postgres::Finding;

use super::{blocking, info, warning};
use crate::kafka::{Way, properties};

pub(super) async fn look(way: &Way) -> Result<Vec<Finding>> {
    let properties = properties(&way.kafka)?;
    let mut findings: Vec<Finding> = properties
        .without_effect()
        .into_iter()
        .map(|name| warning(format!("[kafka] client: {name} has no effect"), format!("leave {name} out")))
        .collect();
    let brokers = match Admin::new(&properties)?.brokers().await {
        Ok(brokers) => brokers.len(),
        Err(error) => {
            let remedy = "start the brokers, or set [kafka] bootstrap and client";
            findings.push(blocking(error.to_string(), Some(remedy.to_owned())));
            return Ok(findings);
        }
    };
    findings.push(info(format!("{} answers; brokers in the cluster: {brokers}", way.kafka.bootstrap)));
    Ok(findings)
}
