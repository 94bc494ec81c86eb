//! Does every chart answer? Asked as a report would ask: with the query that is stored with the chart.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::client::Superset;
use super::inventory::Inventory;
use super::plan::Assets;
use crate::error::Result;

/// What one chart answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The chart's name.
    pub chart: String,
    /// Rows of each of its queries; as many as it has queries.
    pub rows: Vec<Vec<Value>>,
    /// Why it did not answer.
    pub error: Option<String>,
}

/// What all charts answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Answers {
    /// In the plan's order.
    pub charts: Vec<Answer>,
}

/// Asks every chart of `assets`.
///
/// # Errors
/// Superset cannot be reached. A chart that fails is in the answer.
pub async fn ask_every_chart(superset: &mut Superset, assets: &Assets) -> Result<Answers> {
    let inventory = Inventory::read(superset, assets).await?;
    let mut answers = Answers::default();
    for chart in &assets.charts {
        let answer = match inventory.charts.get(&chart.name) {
            Some(id) => ask(superset, &chart.name, *id).await,
            None => Answer { chart: chart.name.clone(), rows: Vec::new(), error: Some("it is not there".into()) },
        };
        answers.charts.push(answer);
    }
    Ok(answers)
}

async fn ask(superset: &mut Superset, name: &str, id: i64) -> Answer {
    let path = format!("/api/v1/chart/{id}/data/?force=true");
    match superset.get("asking a chart", &path).await {
        Err(error) => Answer { chart: name.to_owned(), rows: Vec::new(), error: Some(error.to_string()) },
        Ok(answer) => {
            let results = answer.get("result").and_then(Value::as_array).cloned().unwrap_or_default();
            let rows = |result: &Value| result.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            let error = results.iter().find_map(|result| result.get("error").and_then(Value::as_str));
            Answer { chart: name.to_owned(), rows: results.iter().map(rows).collect(), error: error.map(str::to_owned) }
        }
    }
}

impl Answer {
    /// Every query of it gave rows.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.error.is_none() && !self.rows.is_empty() && self.rows.iter().all(|rows| !rows.is_empty())
    }
}

impl Answers {
    /// Charts that gave an error or nothing.
    pub fn bad(&self) -> impl Iterator<Item = &Answer> {
        self.charts.iter().filter(|answer| !answer.is_good())
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bad = self.bad().count();
        write!(f, "{} of {} charts answer", self.charts.len() - bad, self.charts.len())?;
        for answer in self.bad() {
            write!(f, "\n  {}: {}", answer.chart, answer.error.as_deref().unwrap_or("no rows"))?;
        }
        Ok(())
    }
}
