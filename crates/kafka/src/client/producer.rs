//! The producer: in order, acknowledged by all in-sync replicas, bounded in memory, awaited in bulk.
//!
//! Records are copied into librdkafka's buffer, which its own threads send. Nothing is awaited per record: each call
//! of [`Producer::send`] gives one [`Delivery`] that resolves when all its records are acknowledged. After a record
//! that cannot be delivered, nothing more is taken: a later record of the same key must not overtake it. For the same
//! reason one request at a time is on its way to a broker.
//!
//! The partition is [`crate::partition`] of the key, as Java's producer chooses it; records without a key stick to a
//! partition for a while and then move on, as Java's do.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Partitioner, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::client::context::Context;
use crate::client::error::{Error, Result};
use crate::client::java::Role;
use crate::client::properties::{Properties, property_error};
use crate::record::Record;

/// Buffered bytes at most, as Java's `buffer.memory`.
const BUFFER_KBYTES: u64 = 32 * 1024;
/// Buffered records at most: each costs some 250 bytes beyond its own.
const BUFFER_RECORDS: u32 = 100_000;
/// Java's `max.request.size`.
const MAX_RECORD_BYTES: u64 = 1_048_576;
/// How long to fill a request: far below what anyone sees, and enough for requests of many records under load.
const LINGER_MS: u32 = 5;
/// How long to sleep at most before looking again whether the full buffer has room.
const FULL_RECHECK: Duration = Duration::from_millis(100);

pub(crate) type Inner = ThreadedProducer<Callbacks, ByKey>;

/// A producer for one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Producer {
    pub(crate) inner: Arc<Inner>,
    pub(crate) bootstrap: Arc<str>,
    /// Set for a transactional one.
    pub(crate) transactional_id: Option<Arc<str>>,
}

impl Producer {
    /// Starts one; no broker needs to be up yet.
    ///
    /// # Errors
    /// A property that cannot be used.
    pub fn new(properties: &Properties) -> Result<Self> {
        Self::start(properties, None)
    }

    pub(crate) fn start(properties: &Properties, transactional_id: Option<&str>) -> Result<Self> {
        let mut defaults = vec![
            ("acks", "all".to_owned()),
            ("linger.ms", LINGER_MS.to_string()),
            ("queue.buffering.max.messages", BUFFER_RECORDS.to_string()),
            ("queue.buffering.max.kbytes", buffer(properties).to_string()),
            ("message.max.bytes", MAX_RECORD_BYTES.to_string()),
            // As long as it takes: Connect gives up on nothing but what a broker refuses.
            ("message.timeout.ms", "0".to_owned()),
            ("topic.metadata.propagation.max.ms", "60000".to_owned()),
        ];
        if properties.get("enable.idempotence").map(str::trim) != Some("false") {
            defaults.push(("enable.idempotence", "true".to_owned()));
        }
        let mut config = properties.config(Role::Producer, &defaults)?;
        if let Some(id) = transactional_id {
            config.set("transactional.id", id).set("enable.idempotence", "true");
        } else {
            config.remove("transactional.id");
        }
        // One request at a time, as Connect's own producers, whatever is asked for. Of two on the way, a broker that is
        // about to lead a partition may refuse the first and take the second, since it knows nothing of this producer
        // yet; librdkafka infers from sequence numbers that the first one lies there too, and reports it delivered.
        config.set("max.in.flight.requests.per.connection", "1");
        let inner: Inner = config.create_with_context(Callbacks::default()).map_err(|error| property_error(&error))?;
        Ok(Self {
            inner: Arc::new(inner),
            bootstrap: properties.bootstrap().into(),
            transactional_id: transactional_id.map(Into::into),
        })
    }

    /// Takes these records, in order, waiting while the buffer is full. The delivery resolves when all of them are
    /// acknowledged; dropping it does not take them back.
    ///
    /// # Errors
    /// A record that is too large, or a former record that could not be delivered.
    pub async fn send(&self, records: &[Record]) -> Result<Delivery> {
        let batch = Arc::new(Batch::default());
        for record in records {
            self.enqueue(record, &batch).await?;
        }
        batch.close();
        Ok(Delivery(batch))
    }

    /// Sends one record and waits until it is acknowledged.
    ///
    /// # Errors
    /// As [`Producer::send`], or what the cluster refused.
    pub async fn put(&self, record: &Record) -> Result<Placed> {
        let delivery = self.send(std::slice::from_ref(record)).await?;
        let batch = Arc::clone(&delivery.0);
        delivery.await?;
        let placed = *lock(&batch.last);
        placed.ok_or_else(|| Error::Closed { attempt: format!("sending to {}", record.topic) })
    }

    /// Records that are not acknowledged yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.context().pending.load(Ordering::Acquire)
    }

    /// Resolves when nothing is pending.
    pub(crate) async fn idle(&self) {
        let context = self.context();
        while self.pending() > 0 {
            let room = context.room.notified();
            if self.pending() > 0 {
                // Woken by each delivery; the recheck covers one between the look and the wait.
                let _ = timeout(FULL_RECHECK, room).await;
            }
        }
    }

    /// Takes records again after a failed delivery, where none that follows depends on the one that failed: after an
    /// aborted transaction, all of which is sent anew, or for records that each answer to a caller of their own.
    pub fn forgive(&self) {
        *lock(&self.context().failed) = None;
    }

    fn context(&self) -> &Callbacks {
        self.inner.client().context()
    }

    async fn enqueue(&self, record: &Record, batch: &Arc<Batch>) -> Result<()> {
        let context = self.context();
        if let Some(failed) = lock(&context.failed).as_ref() {
            return Err(Error::Failed { cause: failed.to_string() });
        }
        let counted = Counted::new(context, batch);
        let mut handover = Handover { headers: headers(record), batch: Arc::clone(batch) };
        loop {
            match self.try_send(record, handover) {
                Ok(()) => {
                    counted.taken();
                    return Ok(());
                }
                Err((RDKafkaErrorCode::QueueFull, given_back)) => {
                    handover = given_back;
                    let _ = timeout(FULL_RECHECK, context.room.notified()).await;
                }
                Err((code, _)) => return Err(self.refused(record, code)),
            }
        }
    }

    fn try_send(&self, record: &Record, handover: Handover) -> std::result::Result<(), (RDKafkaErrorCode, Handover)> {
        let mut sent: BaseRecord<'_, [u8], [u8], Arc<Batch>> =
            BaseRecord::with_opaque_to(&record.topic, handover.batch);
        sent.key = record.key.as_deref();
        sent.payload = record.value.as_deref();
        sent.partition = record.partition.and_then(|partition| i32::try_from(partition).ok());
        sent.headers = handover.headers;
        self.inner.send(sent).map_err(|(error, record)| {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            (code, Handover { headers: record.headers, batch: record.delivery_opaque })
        })
    }

    fn refused(&self, record: &Record, code: RDKafkaErrorCode) -> Error {
        failure(&self.bootstrap, &record.topic, size(record), code)
    }
}

/// A record that is counted as pending: by librdkafka's call-back from when it is taken, and until then by this, so that
/// one which is given up while the buffer is full does not stay pending.
struct Counted<'a> {
    context: &'a Callbacks,
    batch: &'a Batch,
}

impl<'a> Counted<'a> {
    fn new(context: &'a Callbacks, batch: &'a Batch) -> Self {
        batch.pending.fetch_add(1, Ordering::AcqRel);
        context.pending.fetch_add(1, Ordering::AcqRel);
        Self { context, batch }
    }

    fn taken(self) {
        std::mem::forget(self);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.context.settled();
        self.batch.close();
    }
}

/// What librdkafka gives back with a record that it does not take.
struct Handover {
    headers: Option<OwnedHeaders>,
    batch: Arc<Batch>,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

/// Room for two of the largest records, or what is usual.
fn buffer(properties: &Properties) -> u64 {
    let largest = properties.get("max.request.size").or_else(|| properties.get("message.max.bytes"));
    let largest: u64 = largest.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(MAX_RECORD_BYTES);
    BUFFER_KBYTES.max(largest / 512)
}

fn headers(record: &Record) -> Option<OwnedHeaders> {
    if record.headers.is_empty() {
        return None;
    }
    let start = OwnedHeaders::new_with_capacity(record.headers.len());
    Some(
        record.headers.iter().fold(start, |headers, header| {
            headers.insert(Header { key: &header.name, value: header.value.as_deref() })
        }),
    )
}

fn size(record: &Record) -> usize {
    let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
    bytes(&record.key) + bytes(&record.value)
}

fn failure(bootstrap: &str, topic: &str, bytes: usize, code: RDKafkaErrorCode) -> Error {
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge => Error::TooLarge { topic: topic.to_owned(), bytes },
        _ => Error::from_code(bootstrap, format!("sending to {topic}"), code),
    }
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

/// Resolves when every record of one [`Producer::send`] is acknowledged, or with the first failure.
#[derive(Debug)]
#[must_use = "records are delivered anyway, but only this tells whether they were"]
pub struct Delivery(Arc<Batch>);

impl Delivery {
    /// Whether all are acknowledged, or one has failed: then awaiting does not wait.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.pending.load(Ordering::Acquire) == 0
    }
}

impl IntoFuture for Delivery {
    type Output = Result<()>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let batch = self.0;
            loop {
                let done = batch.done.notified();
                if batch.pending.load(Ordering::Acquire) == 0 {
                    break;
                }
                done.await;
            }
            lock(&batch.failed).clone().map_or(Ok(()), Err)
        })
    }
}

/// Records that are awaited together.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Not acknowledged yet, and one more while records are still being added.
    pending: AtomicUsize,
    failed: Mutex<Option<Error>>,
    last: Mutex<Option<Placed>>,
    done: Notify,
}

impl Default for Batch {
    fn default() -> Self {
        Self { pending: AtomicUsize::new(1), failed: Mutex::default(), last: Mutex::default(), done: Notify::new() }
    }
}

impl Batch {
    fn close(&self) {
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_waiters();
        }
    }
}

/// Called from librdkafka's threads.
#[derive(Debug, Default)]
pub(crate) struct Callbacks {
    common: Context,
    partitioner: ByKey,
    pending: AtomicUsize,
    room: Notify,
    failed: Mutex<Option<Error>>,
}

impl Callbacks {
    /// One record less is pending.
    fn settled(&self) {
        self.pending.fetch_sub(1, Ordering::AcqRel);
        self.room.notify_waiters();
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.common.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.common.error(error, reason);
    }
}

impl ProducerContext<ByKey> for Callbacks {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        match result {
            Ok(message) => {
                self.common.up();
                *lock(&batch.last) = Some(Placed { partition: message.partition(), offset: message.offset() });
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                let bytes = message.key_len() + message.payload_len();
                let error = failure("the cluster", message.topic(), bytes, code);
                lock(&batch.failed).get_or_insert_with(|| error.clone());
                lock(&self.failed).get_or_insert(error);
            }
        }
        // Before the batch: who is told that it is delivered must not find it pending.
        self.settled();
        batch.close();
    }

    fn get_custom_partitioner(&self) -> Option<&ByKey> {
        Some(&self.partitioner)
    }
}

/// As Java's default partitioner chooses for records with a key.
#[derive(Debug, Default)]
pub(crate) struct ByKey;

impl Partitioner for ByKey {
    fn partition(&self, _: &str, key: Option<&[u8]>, partitions: i32, _: impl Fn(i32) -> bool) -> i32 {
        let partitions = u32::try_from(partitions).unwrap_or(0);
        key.and_then(|key| i32::try_from(crate::partition(key, partitions)).ok()).unwrap_or(0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
