//! The Prometheus recorder behind `/metrics`.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::{Duration, interval};

use crate::Error;

/// Buckets of every histogram, in seconds: from a quiet pipe's milliseconds to a backlog's minutes.
/// They are explicit because without them the exporter makes summaries, which cannot be added up.
const SECONDS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Histograms collect raw samples until somebody reads; without a reader they are folded this often.
const UPKEEP: Duration = Duration::from_secs(5);

/// The process' metrics recorder. There is one per process.
#[derive(Clone)]
pub struct Recorder(PrometheusHandle);

impl Recorder {
    /// Installs it for the whole process; from now on every metric is kept.
    ///
    /// # Errors
    /// A recorder is installed already.
    pub fn install() -> Result<Self, Error> {
        let handle = builder()?.install_recorder().map_err(|error| Error::Recorder(error.to_string()))?;
        Ok(Self(handle))
    }

    /// A recorder for this value alone, for tests; nothing reaches it.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub fn detached() -> Result<Self, Error> {
        Ok(Self(builder()?.build_recorder().handle()))
    }

    /// The metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds samples from time to time; never ends.
    pub async fn keep_up(self) {
        let mut tick = interval(UPKEEP);
        loop {
            tick.tick().await;
            self.0.run_upkeep();
        }
    }
}

fn builder() -> Result<PrometheusBuilder, Error> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(|error| Error::Recorder(error.to_string()))
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_buckets() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("walhouse_test_seconds").record(0.02);
            metrics::gauge!("walhouse_lag_seconds").set(1.5);
        });
        let text = recorder.handle().render();
        assert!(text.contains("walhouse_test_seconds_bucket{le=\"0.025\"} 1"), "{text}");
        assert!(text.contains("walhouse_test_seconds_count 1") && text.contains("walhouse_lag_seconds 1.5"), "{text}");
    }
}
