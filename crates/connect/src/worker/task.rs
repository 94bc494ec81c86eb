//! One running task: started, held, stopped, watched.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::map::ConfigMap;
use crate::store::Stores;
use crate::task::{TaskContext, TaskEvent, TaskFailure};
use crate::worker::output::{self, Owner, Reported};
use crate::worker::runner::Runner;
use crate::worker::{Providers, Settings};

/// Connect's `retriable.restart.connector.wait.ms`.
const RETRY_WAIT: Duration = Duration::from_secs(10);

/// What a task needs of its worker.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) settings: Arc<Settings>,
    pub(crate) stores: Stores,
    pub(crate) providers: Arc<Providers>,
    pub(crate) runner: Arc<dyn Runner>,
}

/// A task that runs, or waits to run again.
pub(crate) struct Task {
    stop: CancellationToken,
    paused: watch::Sender<bool>,
    started: Arc<Notify>,
    handle: JoinHandle<Result<(), TaskFailure>>,
    /// The task's configuration as stored: it is started anew when this changes.
    pub(crate) config: ConfigMap,
}

impl Task {
    /// Starts a task; a paused one waits with everything until it may go on.
    pub(crate) fn start(
        around: Surroundings,
        connector: &str,
        config: ConfigMap,
        reported: Reported,
        paused: bool,
    ) -> Self {
        let stop = CancellationToken::new();
        let (paused, pause) = watch::channel(paused);
        let started = Arc::new(Notify::new());
        let attempt = Attempt {
            around,
            connector: connector.to_owned(),
            config: config.clone(),
            reported,
            stop: stop.clone(),
            pause,
            started: Arc::clone(&started),
        };
        let handle = tokio::spawn(attempt.run());
        Self { stop, paused, started, handle, config }
    }

    /// Holds it, or lets it go on.
    pub(crate) fn pause(&self, paused: bool) {
        self.paused.send_if_modified(|held| std::mem::replace(held, paused) != paused);
    }

    /// What happens next to it: its start, or its end.
    pub(crate) async fn next(&mut self) -> Event {
        tokio::select! {
            biased;
            () = self.started.notified() => Event::Started,
            ended = &mut self.handle => Event::Ended(match ended {
                Ok(result) => result,
                Err(error) if error.is_panic() => Err(failure("the task met a fault of the program", false)),
                Err(_) => Ok(()),
            }),
        }
    }

    /// Ends it, within `grace`.
    pub(crate) async fn stop(mut self, grace: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(grace, &mut self.handle).await.is_err() {
            tracing::warn!("a task did not end in time and is cut off");
            self.handle.abort();
            let _ = self.handle.await;
        }
    }
}

/// What can happen to a task.
pub(crate) enum Event {
    Started,
    Ended(Result<(), TaskFailure>),
}

/// Runs a task, again and again while its failures may pass.
struct Attempt {
    around: Surroundings,
    connector: String,
    config: ConfigMap,
    reported: Reported,
    stop: CancellationToken,
    pause: watch::Receiver<bool>,
    started: Arc<Notify>,
}

impl Attempt {
    async fn run(self) -> Result<(), TaskFailure> {
        let mut left = self.retries();
        loop {
            let Err(failure) = self.once().await else { return Ok(()) };
            if !failure.retriable || left == Some(0) || self.stop.is_cancelled() {
                return Err(failure);
            }
            left = left.map(|left| left - 1);
            let wait = self.wait();
            let cause = failure.trace.lines().next().unwrap_or_default();
            tracing::warn!(connector = self.connector, cause, wait_ms = wait.as_millis(), "a task is started again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn once(&self) -> Result<(), TaskFailure> {
        // A task that is held from the start does not even connect, as in Connect.
        let mut pause = self.pause.clone();
        tokio::select! {
            _ = pause.wait_for(|paused| !paused) => {}
            () = self.stop.cancelled() => return Ok(()),
        }
        let resolved = self.around.providers.resolve(&self.config);
        let config = resolved.map_err(|error| failure(&error.to_string(), false))?.values();
        let owner = Owner { connector: self.connector.clone(), task: 0 };
        let Surroundings { settings, stores, runner, .. } = &self.around;
        let opened = output::open(settings, stores, &config, owner, self.reported.clone()).await;
        let ports = opened.map_err(|error| failure(&error.message, error.retriable))?;
        let started = Arc::clone(&self.started);
        let context = TaskContext {
            connector: self.connector.clone(),
            config,
            worker: settings.properties().clone(),
            output: ports.output,
            offsets: ports.offsets,
            signals: Some(ports.signals),
            stop: self.stop.clone(),
            paused: self.pause.clone(),
            observer: Arc::new(move |event| {
                if event == TaskEvent::Running {
                    started.notify_one();
                }
            }),
        };
        runner.run(context).await
    }

    /// `errors.max.retries`: none for ever.
    fn retries(&self) -> Option<u64> {
        let number: i64 = self.config.get("errors.max.retries")?.trim().parse().ok()?;
        u64::try_from(number).ok()
    }

    fn wait(&self) -> Duration {
        let millis = self.config.get("retriable.restart.connector.wait.ms").and_then(|text| text.trim().parse().ok());
        millis.map_or(RETRY_WAIT, Duration::from_millis)
    }
}

/// A failure of the worker's own.
fn failure(message: &str, retriable: bool) -> TaskFailure {
    TaskFailure { trace: format!("org.apache.kafka.connect.errors.ConnectException: {message}\n"), retriable }
}
