//! Tasks, each born with its death written down: what a cancel does to it, and what its error
//! does to the rest.

use std::fmt;
use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What happens to a task when the program is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// It sees the token itself, puts its things in order and is waited for.
    Wait,
    /// It is dropped where it stands.
    Abort,
}

/// What a task's error means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// One log line; the others go on.
    Log,
    /// The program stops.
    Stop,
}

/// A kind of task.
#[derive(Clone, Copy, Debug)]
pub struct TaskKind {
    /// Name for logs.
    pub name: &'static str,
    /// On cancel.
    pub on_cancel: OnCancel,
    /// On error.
    pub on_error: OnError,
}

/// The tasks of one program, ended together by one token.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Tasks {
    /// Tasks that end with `cancel`.
    #[must_use]
    pub fn new(cancel: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), cancel }
    }

    /// The token that ends them all.
    #[must_use]
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Starts `task`.
    pub fn spawn<E>(&self, kind: TaskKind, task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: fmt::Display + Send + 'static,
    {
        let cancel = self.cancel.clone();
        self.tracker.spawn(async move {
            let result = match kind.on_cancel {
                OnCancel::Wait => task.await,
                OnCancel::Abort => tokio::select! {
                    biased;
                    () = cancel.cancelled() => return,
                    result = task => result,
                },
            };
            if let Err(error) = result {
                tracing::error!(task = kind.name, error = %error, "task failed");
                if kind.on_error == OnError::Stop {
                    cancel.cancel();
                }
            }
        });
    }

    /// Waits until every task has ended. Cancel first.
    pub async fn join(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &self.tracker.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn die_as_written_down() {
        let kind = |on_cancel, on_error| TaskKind { name: "test", on_cancel, on_error };
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn(kind(OnCancel::Abort, OnError::Log), std::future::pending::<Result<(), &str>>());
        let token = tasks.cancel().clone();
        let (ended, end) = tokio::sync::oneshot::channel();
        tasks.spawn::<&str>(kind(OnCancel::Wait, OnError::Log), async move {
            token.cancelled().await;
            ended.send(()).map_err(|()| "nobody waits")
        });
        tasks.spawn(kind(OnCancel::Wait, OnError::Log), async { Err("harmless") });
        tokio::task::yield_now().await;
        assert!(!tasks.cancel().is_cancelled());
        tasks.spawn(kind(OnCancel::Wait, OnError::Stop), async { Err("fatal") });
        tasks.join().await;
        end.await.unwrap();
    }
}
