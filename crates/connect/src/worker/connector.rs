//! One connector: its commands in order, its task, its statuses.
//!
//! What is meant to be lies in the topic of configurations. Each command changes that and then brings about what it
//! says, in the steps and with the records of Connect 3.5.1.

use tokio::sync::{mpsc, oneshot};

use crate::map::ConfigMap;
use crate::store::{Connector, State, Status, TargetState};
use crate::worker::output::Reported;
use crate::worker::task::{Event, Surroundings, Task};

/// The task's class, which Connect stores with the task's configuration.
const TASK_CLASS: &str = "io.debezium.connector.postgresql.PostgresConnectorTask";

pub(crate) type Reply<T> = oneshot::Sender<crate::error::Result<T>>;

/// What a connector is asked for.
pub(crate) enum Command {
    /// Store this configuration.
    Put(ConfigMap, Reply<()>),
    /// Store what it is meant to do.
    Target(TargetState, Reply<()>),
    /// Restart the connector and, when asked, its task.
    Restart { include_tasks: bool, only_failed: bool, reply: Reply<()> },
    /// Restart its task.
    RestartTask(Reply<()>),
    /// Forget which topics it wrote to.
    ResetTopics(Reply<()>),
    /// Remove it.
    Delete(Reply<()>),
    /// Look at the stored configuration again.
    Sync,
    /// End the task and say that nobody runs it.
    Shutdown(oneshot::Sender<()>),
}

/// A connector of this worker.
pub(crate) struct Actor {
    name: String,
    around: Surroundings,
    worker_id: String,
    generation: i32,
    task: Option<Task>,
    /// Whether the connector itself was started, and the configuration it was started with.
    running: Option<ConfigMap>,
    /// The configuration with which the task ended by itself: it stays ended until it is restarted or changed.
    ended_with: Option<ConfigMap>,
    reported: Reported,
}

impl Actor {
    /// Starts the actor of a connector; it ends when the sender is dropped, or after `Shutdown`. A connector that was
    /// removed keeps it: another of the same name is made by it, after the former one is gone.
    pub(crate) fn spawn(
        name: String,
        around: Surroundings,
        worker_id: String,
        generation: i32,
    ) -> mpsc::Sender<Command> {
        let (sender, commands) = mpsc::channel(16);
        let actor = Self {
            name,
            around,
            worker_id,
            generation,
            task: None,
            running: None,
            ended_with: None,
            reported: Reported::default(),
        };
        tokio::spawn(actor.run(commands));
        sender
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                // Commands first: one that ends the task must not wait for its troubles.
                biased;
                command = commands.recv() => match command {
                    Some(command) => if !self.handle(command).await { break },
                    None => break,
                },
                event = next_event(&mut self.task) => self.watch(event).await,
            }
        }
        self.stop_task().await;
    }

    /// False when it was the last one.
    async fn handle(&mut self, command: Command) -> bool {
        let configs = self.around.stores.configs.clone();
        match command {
            Command::Put(config, reply) => {
                let stored = configs.put_connector(&self.name, &config).await;
                let _ = reply.send(stored);
                self.sync().await;
            }
            Command::Target(target, reply) => {
                let _ = reply.send(self.store_target(target).await);
                self.sync().await;
            }
            Command::Restart { include_tasks, only_failed, reply } => {
                self.restart(include_tasks, only_failed, reply).await;
            }
            Command::RestartTask(reply) => {
                self.stop_task().await;
                self.sync().await;
                let _ = reply.send(Ok(()));
            }
            Command::ResetTopics(reply) => {
                self.reported.reset();
                let _ = reply.send(self.around.stores.statuses.reset_topics(&self.name).await);
            }
            Command::Delete(reply) => {
                let _ = reply.send(configs.remove_connector(&self.name).await);
                self.forget().await;
            }
            Command::Sync => {
                if configs.connector(&self.name).is_some() {
                    self.sync().await
                } else {
                    self.forget().await
                }
            }
            Command::Shutdown(done) => {
                self.stop_task().await;
                if self.running.is_some() {
                    self.connector_status(State::Unassigned, None).await;
                }
                let _ = done.send(());
                return false;
            }
        }
        true
    }

    /// Brings about what the stored configuration says.
    async fn sync(&mut self) {
        let Some(stored) = self.around.stores.configs.connector(&self.name) else { return };
        if stored.target == TargetState::Stopped {
            self.stop_task().await;
            for number in self.around.stores.statuses.tasks(&self.name).into_keys() {
                self.put_task_status(number, None).await;
            }
            if self.running.take().is_some() || self.connector_state() != Some(State::Stopped) {
                self.connector_status(State::Stopped, None).await;
            }
            return;
        }
        self.run_connector(&stored).await;
        self.run_task(&stored).await;
    }

    async fn run_connector(&mut self, stored: &Connector) {
        let paused = stored.target == TargetState::Paused;
        let wanted = if paused { State::Paused } else { State::Running };
        let changed = self.running.as_ref().is_some_and(|running| *running != stored.config);
        if changed {
            self.connector_status(State::Unassigned, None).await;
        }
        let first = self.running.is_none();
        if first || changed || self.connector_state() != Some(wanted) {
            self.connector_status(wanted, None).await;
        }
        self.running = Some(stored.config.clone());
    }

    async fn run_task(&mut self, stored: &Connector) {
        let mut wanted = stored.config.clone();
        wanted.set("task.class", Some(TASK_CLASS.to_owned()));
        let wanted = wanted.in_hash_order();
        let committed = match stored.tasks.as_slice() {
            [task] => task.values() == wanted.values(),
            _ => false,
        };
        if !committed && let Err(error) = self.commit_task(&wanted).await {
            tracing::error!(connector = self.name, %error, "storing a task's configuration");
            return;
        }
        let paused = stored.target == TargetState::Paused;
        if self.ended_with.as_ref().is_some_and(|config| config.values() == wanted.values()) {
            return;
        }
        if self.task.as_ref().is_some_and(|task| task.config.values() == wanted.values()) {
            if let Some(task) = &self.task {
                task.pause(paused);
            }
            // One that is on its way says so itself when it has started, unless it is held before.
            let (wanted, due) = match (paused, self.task_state()) {
                (true, state) => (State::Paused, !matches!(state, Some(State::Paused | State::Failed))),
                (false, state) => (State::Running, state == Some(State::Paused)),
            };
            if due {
                self.task_status(wanted, None).await;
            }
            return;
        }
        self.stop_task().await;
        let task = Task::start(self.around.clone(), &self.name, wanted, self.reported.clone(), paused);
        if paused {
            self.task_status(State::Paused, None).await;
        }
        self.task = Some(task);
    }

    async fn commit_task(&self, wanted: &ConfigMap) -> crate::error::Result<()> {
        let configs = &self.around.stores.configs;
        if self.around.settings.exactly_once {
            // Starting the task fences its predecessor; a real worker that takes over reads how many there are.
            configs.put_fencing(&self.name, 1).await?;
        }
        configs.put_tasks(&self.name, std::slice::from_ref(wanted)).await
    }

    async fn store_target(&self, target: TargetState) -> crate::error::Result<()> {
        let configs = &self.around.stores.configs;
        if target == TargetState::Stopped {
            configs.put_tasks(&self.name, &[]).await?;
        }
        configs.put_target(&self.name, target).await
    }

    async fn restart(&mut self, include_tasks: bool, only_failed: bool, reply: Reply<()>) {
        let plan = include_tasks || only_failed;
        let failed = |state: Option<State>| !only_failed || state == Some(State::Failed);
        let connector = failed(self.connector_state());
        let task = include_tasks && failed(self.task_state());
        if plan {
            let configs = &self.around.stores.configs;
            let stored = configs.put_restart(&self.name, include_tasks, only_failed).await;
            if stored.is_err() {
                let _ = reply.send(stored);
                return;
            }
        }
        if task {
            self.stop_task().await;
        }
        if connector && self.running.take().is_some() {
            self.connector_status(State::Unassigned, None).await;
            if plan {
                self.connector_status(State::Restarting, None).await;
            }
        }
        if task {
            self.task_status(State::Restarting, None).await;
            self.ended_with = None;
        }
        self.sync().await;
        let _ = reply.send(Ok(()));
    }

    /// Ends the task and says so.
    async fn stop_task(&mut self) {
        self.ended_with = None;
        if let Some(task) = self.task.take() {
            task.stop(self.around.settings.grace).await;
            self.task_status(State::Unassigned, None).await;
        }
    }

    /// Ends everything and removes what is stored about it; offsets stay.
    async fn forget(&mut self) {
        self.stop_task().await;
        if self.running.take().is_some() {
            self.connector_status(State::Unassigned, None).await;
        }
        let statuses = &self.around.stores.statuses;
        if statuses.connector(&self.name).is_none() && statuses.tasks(&self.name).is_empty() {
            return;
        }
        for number in statuses.tasks(&self.name).into_keys() {
            self.put_task_status(number, None).await;
        }
        let removed = statuses.put_connector(&self.name, None).await.and(statuses.reset_topics(&self.name).await);
        if let Err(error) = removed {
            tracing::warn!(connector = self.name, %error, "removing a connector's statuses");
        }
    }

    async fn watch(&mut self, event: Event) {
        match event {
            Event::Started => {
                // What it is meant to do counts, not what was last said: a pause may have come while it started.
                let stored = self.around.stores.configs.connector(&self.name);
                let paused = stored.is_some_and(|stored| stored.target == TargetState::Paused);
                let wanted = if paused { State::Paused } else { State::Running };
                if !paused || self.task_state() != Some(wanted) {
                    self.task_status(wanted, None).await;
                }
                tracing::info!(connector = self.name, "task started");
            }
            Event::Ended(Ok(())) => {
                // Nothing more to do, as after a snapshot that nothing follows: it goes on showing as running.
                tracing::info!(connector = self.name, "task ended");
                self.ended_with = self.task.take().map(|task| task.config);
            }
            Event::Ended(Err(failure)) => {
                let cause = failure.trace.lines().next().unwrap_or_default();
                tracing::error!(connector = self.name, cause, "task failed");
                self.ended_with = self.task.take().map(|task| task.config);
                self.task_status(State::Failed, Some(failure.trace)).await;
            }
        }
    }

    fn connector_state(&self) -> Option<State> {
        self.around.stores.statuses.connector(&self.name).map(|status| status.state)
    }

    fn task_state(&self) -> Option<State> {
        self.around.stores.statuses.task(&self.name, 0).map(|status| status.state)
    }

    async fn connector_status(&self, state: State, trace: Option<String>) {
        let status = self.status(state, trace);
        if let Err(error) = self.around.stores.statuses.put_connector(&self.name, Some(&status)).await {
            tracing::warn!(connector = self.name, %error, "storing a connector's status");
        }
    }

    async fn task_status(&self, state: State, trace: Option<String>) {
        let status = self.status(state, trace);
        self.put_task_status(0, Some(status)).await;
    }

    async fn put_task_status(&self, number: u32, status: Option<Status>) {
        if let Err(error) = self.around.stores.statuses.put_task(&self.name, number, status.as_ref()).await {
            tracing::warn!(connector = self.name, %error, "storing a task's status");
        }
    }

    fn status(&self, state: State, trace: Option<String>) -> Status {
        Status { state, trace, worker_id: self.worker_id.clone(), generation: self.generation }
    }
}

async fn next_event(task: &mut Option<Task>) -> Event {
    match task {
        Some(task) => task.next().await,
        None => std::future::pending().await,
    }
}
