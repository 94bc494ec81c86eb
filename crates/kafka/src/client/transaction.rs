//! Transactions: what is produced between `begin` and `commit` is seen by read-committed consumers all at once.
//!
//! A producer that starts with the id of another ends that one's open transaction and fences it: from then on it can
//! neither commit nor send.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::client::error::{Error, Result, lower};
use crate::client::producer::Producer;
use crate::client::properties::Properties;

/// One attempt of a call to the coordinator; after it the call is made again, as librdkafka asks for.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long a start looks for the transaction coordinator before it says that it cannot.
const START_ATTEMPTS: usize = 6;
/// Between attempts that failed at once.
const PAUSE: Duration = Duration::from_millis(200);

impl Producer {
    /// Starts one with a transactional id, and fences every other with the same id.
    ///
    /// # Errors
    /// A property that cannot be used, a coordinator that is not found within a minute, a missing right.
    pub async fn transactional(properties: &Properties, id: &str) -> Result<Self> {
        let producer = Self::start(properties, Some(id))?;
        for attempt in 1.. {
            let result = producer.blocking(|inner| inner.init_transactions(ATTEMPT)).await?;
            match result {
                Ok(()) => break,
                Err(error) if is_retriable(&error) && attempt < START_ATTEMPTS => sleep(PAUSE).await,
                Err(error) => return Err(producer.transaction_error("starting transactions", &error)),
            }
        }
        Ok(producer)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// Without a transactional id, or when another has fenced this one.
    pub fn begin(&self) -> Result<()> {
        self.inner.begin_transaction().map_err(|error| self.transaction_error("beginning a transaction", &error))
    }

    /// Waits until all is delivered and commits. When that fails, the transaction is aborted: all of it has to be sent
    /// anew, or nothing of it will be seen.
    ///
    /// # Errors
    /// [`Error::Aborted`], or [`Error::Fenced`] when another took over.
    pub async fn commit(&self) -> Result<()> {
        // First, so that the library's own flush has nothing to wait for: it looks only every 100 ms.
        self.idle().await;
        loop {
            let Err(error) = self.blocking(|inner| inner.commit_transaction(ATTEMPT)).await? else { return Ok(()) };
            if is_retriable(&error) {
                sleep(PAUSE).await;
                continue;
            }
            let error = self.transaction_error("committing a transaction", &error);
            if let Error::Fenced { .. } = error {
                return Err(error);
            }
            self.abort().await?;
            return Err(Error::Aborted { transactional_id: self.id(), cause: error.to_string() });
        }
    }

    /// Takes back what was sent since `begin`.
    ///
    /// # Errors
    /// When another took over, or the coordinator refuses.
    pub async fn abort(&self) -> Result<()> {
        loop {
            match self.blocking(|inner| inner.abort_transaction(ATTEMPT)).await? {
                Ok(()) => break,
                Err(error) if is_retriable(&error) => sleep(PAUSE).await,
                Err(error) => return Err(self.transaction_error("aborting a transaction", &error)),
            }
        }
        self.idle().await;
        self.forgive();
        Ok(())
    }

    fn id(&self) -> String {
        self.transactional_id.as_deref().unwrap_or_default().to_owned()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&crate::client::producer::Inner) -> T + Send + 'static,
    ) -> Result<T> {
        let inner = std::sync::Arc::clone(&self.inner);
        let closed = |_| Error::Closed { attempt: "waiting for a transaction".to_owned() };
        spawn_blocking(move || call(&inner)).await.map_err(closed)
    }

    fn transaction_error(&self, attempt: &str, error: &KafkaError) -> Error {
        use RDKafkaErrorCode as Code;
        let fatal = self.inner.client().fatal_error().map(|(code, _)| code);
        let codes = [error.rdkafka_error_code(), fatal];
        let fenced = [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch];
        if codes.iter().flatten().any(|code| fenced.contains(code)) {
            return Error::Fenced { transactional_id: self.id() };
        }
        match error {
            KafkaError::Transaction(inner) if inner.code() == Code::InvalidTransactionalState => {
                let cause = lower(&inner.string());
                Error::Refused { attempt: attempt.to_owned(), cause, remedy: String::new() }
            }
            KafkaError::Transaction(inner) => Error::from_code(&self.bootstrap, attempt, inner.code()),
            other => Error::from_kafka(&self.bootstrap, attempt, other),
        }
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable() && !error.is_fatal() && !error.txn_requires_abort(),
        // Records that are still under way: the commit waits for them.
        KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}
