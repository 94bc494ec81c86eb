//! The worker: what it is told ([`Settings`]), which connectors it runs, and what a REST client can ask of it.
//!
//! Each connector has an actor of its own ([`connector`]) that does what it is asked in order; what is meant to be lies
//! in the topic of configurations, so that a worker which dies loses nothing and another can take over. Of the workers
//! of one group one is in charge; the others wait, and answer questions meanwhile.

mod connector;
mod output;
mod probe;
mod properties;
mod providers;
mod runner;
mod settings;
mod task;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use walhouse_kafka::client::{Admin, Membership, Seat};

use crate::error::{Error, Result};
use crate::map::ConfigMap;
use crate::store::{Stores, TargetState};

pub use properties::parse as read_properties;
pub(crate) use providers::Providers;
pub use runner::{Fault, PostgresRunner, Runner};
pub use settings::{DEFAULT_GROUP, DEFAULT_LISTEN, InternalTopic, Settings};

use connector::{Actor, Command, Reply};
use task::Surroundings;

/// Between two looks whether a worker of Kafka Connect still is in the group.
const GROUP_PAUSE: Duration = Duration::from_secs(2);
/// How long a request waits until the group has said who is in charge: as long as Connect lets one wait.
const DECISION: Duration = Duration::from_secs(90);

/// A worker. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    around: Surroundings,
    worker_id: String,
    cluster_id: String,
    admin: Admin,
    actors: Mutex<HashMap<String, mpsc::Sender<Command>>>,
    seat: watch::Sender<Seat>,
    membership: Mutex<Option<Membership>>,
    generation: std::sync::atomic::AtomicI32,
}

impl Worker {
    /// Opens the internal topics, joins the group, and runs the connectors that are stored as soon as it is in charge.
    /// `worker_id` is how it names itself in statuses.
    ///
    /// # Errors
    /// No broker, a missing right, an internal topic that cannot be used.
    pub async fn start(settings: Settings, worker_id: String, runner: Arc<dyn Runner>) -> Result<Self> {
        let client = settings.internal_client();
        let admin = Admin::new(&client)?;
        let cluster_id = admin.cluster_id().await?;
        let stores = Stores::open(&settings).await?;
        let providers = Arc::new(Providers::parse(settings.properties()));
        let around = Surroundings { settings: Arc::new(settings), stores, providers, runner };
        let shared = Shared {
            around,
            worker_id,
            cluster_id,
            admin,
            actors: Mutex::default(),
            seat: watch::Sender::new(Seat::Undecided),
            membership: Mutex::default(),
            generation: std::sync::atomic::AtomicI32::new(0),
        };
        let worker = Self { shared: Arc::new(shared) };
        tokio::spawn(worker.clone().lead());
        Ok(worker)
    }

    /// What it was told.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.around.settings
    }

    /// How it names itself in statuses.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.worker_id
    }

    /// The internal topics.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.shared.around.stores
    }

    /// The Kafka cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.shared.cluster_id
    }

    /// Who is in charge of the group's connectors, now and from now on: this one when it holds the seat.
    #[must_use]
    pub fn seat(&self) -> watch::Receiver<Seat> {
        self.shared.seat.subscribe()
    }

    /// The configuration with all references looked up.
    ///
    /// # Errors
    /// A file that a reference names and that cannot be read, in Connect's words.
    pub fn resolve(&self, config: &ConfigMap) -> std::result::Result<ConfigMap, String> {
        self.shared.around.providers.resolve(config).map_err(|error| error.to_string())
    }

    /// What it runs.
    #[must_use]
    pub fn runner(&self) -> &Arc<dyn Runner> {
        &self.shared.around.runner
    }

    /// Stores a connector's configuration and brings it about.
    ///
    /// # Errors
    /// Kafka refused, or the worker is not in charge.
    pub async fn put(&self, name: &str, config: ConfigMap) -> Result<()> {
        self.ask(name, true, |reply| Command::Put(config, reply)).await
    }

    /// Stores what a connector is meant to do and brings it about.
    ///
    /// # Errors
    /// As [`Worker::put`].
    pub async fn target(&self, name: &str, target: TargetState) -> Result<()> {
        self.ask(name, false, |reply| Command::Target(target, reply)).await
    }

    /// Restarts a connector; with `only_failed`, what has failed of it.
    ///
    /// # Errors
    /// As [`Worker::put`].
    pub async fn restart(&self, name: &str, include_tasks: bool, only_failed: bool) -> Result<()> {
        self.ask(name, false, |reply| Command::Restart { include_tasks, only_failed, reply }).await
    }

    /// Restarts a connector's task.
    ///
    /// # Errors
    /// As [`Worker::put`].
    pub async fn restart_task(&self, name: &str) -> Result<()> {
        self.ask(name, false, Command::RestartTask).await
    }

    /// Forgets which topics a connector wrote to.
    ///
    /// # Errors
    /// As [`Worker::put`].
    pub async fn reset_topics(&self, name: &str) -> Result<()> {
        self.ask(name, false, Command::ResetTopics).await
    }

    /// Removes a connector; its offsets stay.
    ///
    /// # Errors
    /// As [`Worker::put`].
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.ask(name, false, Command::Delete).await
    }

    /// Ends all tasks, says that nobody runs them, and leaves the group.
    pub async fn stop(&self) {
        self.shut_down().await;
        let membership = self.shared.membership.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(membership) = membership {
            membership.leave().await;
        }
    }

    async fn ask(&self, name: &str, create: bool, command: impl FnOnce(Reply<()>) -> Command) -> Result<()> {
        let mut seat = self.seat();
        let decided = timeout(DECISION, seat.wait_for(|seat| *seat != Seat::Undecided)).await;
        if !decided.is_ok_and(|seat| seat.is_ok_and(|seat| *seat == Seat::Held)) {
            return Err(Error::NotInCharge);
        }
        let (reply, answer) = oneshot::channel();
        let actor = self.actor(name, create).ok_or(Error::Ending)?;
        actor.send(command(reply)).await.map_err(|_| Error::Ending)?;
        answer.await.map_err(|_| Error::Ending)?
    }

    /// The actor of a connector that is stored, or is about to be.
    fn actor(&self, name: &str, create: bool) -> Option<mpsc::Sender<Command>> {
        let shared = &self.shared;
        let mut actors = shared.actors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(actor) = actors.get(name).filter(|actor| !actor.is_closed()) {
            return Some(actor.clone());
        }
        if !create && self.stores().configs.connector(name).is_none() {
            return None;
        }
        let generation = shared.generation.load(std::sync::atomic::Ordering::Relaxed);
        let actor = Actor::spawn(name.to_owned(), shared.around.clone(), shared.worker_id.clone(), generation);
        actors.insert(name.to_owned(), actor.clone());
        Some(actor)
    }

    /// Joins the group; runs connectors while in charge.
    async fn lead(self) {
        let settings = self.settings();
        let (client, group) = (settings.internal_client(), settings.group.clone());
        self.wait_for_group(&group).await;
        let joined = Membership::join(&client, &group, &settings.configs.name);
        let mut seat = match joined {
            Ok(membership) => {
                let seat = membership.seat();
                *self.shared.membership.lock().unwrap_or_else(PoisonError::into_inner) = Some(membership);
                seat
            }
            Err(error) => {
                tracing::error!(%error, "joining the group of workers");
                return;
            }
        };
        loop {
            let now = *seat.borrow_and_update();
            if now == Seat::Held {
                tracing::info!(group, "this worker is in charge of the group's connectors");
                self.shared.generation.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            self.shared.seat.send_replace(now);
            let changed = tokio::select! {
                () = self.follow(), if now == Seat::Held => Ok(()),
                changed = seat.changed() => changed,
            };
            if now == Seat::Held {
                self.shared.seat.send_replace(Seat::Undecided);
                self.shut_down().await;
                tracing::warn!(group, "this worker is no more in charge of the group's connectors");
            }
            if changed.is_err() {
                return;
            }
        }
    }

    /// Runs what is stored, and looks again after every change.
    async fn follow(&self) {
        let configs = self.stores().configs.clone();
        loop {
            let changed = configs.changed();
            for name in configs.names() {
                if let Some(actor) = self.actor(&name, false) {
                    let _ = actor.send(Command::Sync).await;
                }
            }
            changed.await;
        }
    }

    async fn shut_down(&self) {
        let actors = std::mem::take(&mut *self.shared.actors.lock().unwrap_or_else(PoisonError::into_inner));
        let mut ends = Vec::new();
        for actor in actors.into_values() {
            let (done, ended) = oneshot::channel();
            if actor.send(Command::Shutdown(done)).await.is_ok() {
                ends.push(ended);
            }
        }
        for ended in ends {
            let _ = ended.await;
        }
    }

    /// A worker of Kafka Connect in the same group runs the same connectors: wait until it is gone.
    async fn wait_for_group(&self, group: &str) {
        let mut said = false;
        loop {
            let groups = self.shared.admin.groups().await;
            let busy = groups.is_ok_and(|groups| {
                groups
                    .iter()
                    .any(|found| found.name == group && found.protocol_type == "connect" && !found.members.is_empty())
            });
            if !busy {
                self.shared.seat.send_replace(Seat::Undecided);
                return;
            }
            if !std::mem::replace(&mut said, true) {
                tracing::warn!(group, "a Kafka Connect worker is in this group: waiting until it is stopped");
                self.shared.seat.send_replace(Seat::Taken);
            }
            tokio::time::sleep(GROUP_PAUSE).await;
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("worker_id", &self.shared.worker_id).finish_non_exhaustive()
    }
}

pub(crate) fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
