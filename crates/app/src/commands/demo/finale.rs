//! The end: is it all there? Counted and compared by an instrument that shares no code with the
//! pipeline.

use std::fmt;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use walhouse_lab::rembo;
use walhouse_lab::verify::{self, Report};

use super::source::Source;
use crate::exit;

/// The last changes arrive within moments; comparing half a million rows takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who presses Ctrl-C does not want to wait.
const PATIENCE_AFTER_SIGNAL: Duration = Duration::from_secs(6);

/// The demo's last line.
pub(super) enum Finale {
    /// Both sides were read.
    Compared(Report),
    /// They could not be, or not in time.
    Unknown(String),
}

impl Finale {
    pub(super) async fn compare(source: &Source, clickhouse: &clickhouse::Client, stop: &CancellationToken) -> Self {
        let compared = async {
            let mut postgres = rembo::connect(source.url()).await?;
            let tables = rembo::tables();
            match verify::until_equal(&mut postgres, clickhouse, &tables, PATIENCE).await {
                Ok(report) => Ok(report),
                // The report that says what differs.
                Err(_) => verify::verify(&mut postgres, clickhouse, &tables).await,
            }
        };
        let hurried = async {
            stop.cancelled().await;
            tokio::time::sleep(PATIENCE_AFTER_SIGNAL).await;
        };
        tokio::select! {
            compared = compared => match compared {
                Ok(report) => Self::Compared(report),
                Err(error) => Self::Unknown(exit::one_line(&anyhow::Error::new(error))),
            },
            () = hurried => Self::Unknown("not compared, as it was stopped by a signal".to_owned()),
        }
    }

    /// True when the sides were seen to differ.
    pub(super) fn is_different(&self) -> bool {
        matches!(self, Self::Compared(report) if !report.is_equal())
    }
}

impl fmt::Display for Finale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = match self {
            Self::Compared(report) => report,
            Self::Unknown(reason) => return write!(f, "final counts: unknown: {reason}"),
        };
        f.write_str("final counts, Postgres = ClickHouse: ")?;
        for (index, table) in report.tables.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let sign = if table.rows_source == table.rows_target { '=' } else { '!' };
            write!(f, "{comma}{} {} {sign} {}", table.table, table.rows_source, table.rows_target)?;
        }
        f.write_str(if report.is_equal() { "; every row equal" } else { "; rows DIFFER" })
    }
}

#[cfg(test)]
mod tests {
    use walhouse_lab::verify::TableReport;

    use super::*;

    #[test]
    fn the_last_line() {
        let table = |name: &str, rows_source, rows_target| TableReport {
            table: name.to_owned(),
            rows_source,
            rows_target,
            ..TableReport::default()
        };
        let equal = Finale::Compared(Report { tables: vec![table("public.a", 5, 5), table("public.b", 7, 7)] });
        assert_eq!(
            equal.to_string(),
            "final counts, Postgres = ClickHouse: public.a 5 = 5, public.b 7 = 7; every row equal"
        );
        assert!(!equal.is_different());
        let different = Finale::Compared(Report { tables: vec![table("public.a", 5, 4)] });
        assert_eq!(different.to_string(), "final counts, Postgres = ClickHouse: public.a 5 ! 4; rows DIFFER");
        assert!(different.is_different());
    }
}
