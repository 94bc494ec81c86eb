//! Private Apache Kafka brokers, and Connect workers (real ones with Debezium, or walhouse), for the demo and for tests.
//!
//! Both come from Maven Central into the cache folder, once, and run on the machine's Java. A [`Broker`] is one node
//! (KRaft, so no ZooKeeper) on free ports of 127.0.0.1 in one folder: `logs/` and `server.log`. Like a private
//! Postgres it never outlives us, and it can be killed and started again on the same ports and folder.
//!
//! ```no_run
//! # async fn example() -> walhouse_lab::Result<()> {
//! use walhouse_lab::kafka::Broker;
//!
//! let mut broker = Broker::builder().partitions(4).start().await?;
//! let bootstrap = broker.bootstrap();
//! broker.kill9()?;
//! broker.start().await?;
//! assert_eq!(broker.bootstrap(), bootstrap);
//! # Ok(()) }
//! ```

mod broker;
mod builder;
mod connect;
mod home;
mod http;
mod jars;
mod jvm;
mod ready;
mod records;

pub use broker::Broker;
pub use builder::Builder;
pub use connect::{Connect, ConnectBuilder, Software};
pub use http::Reply;
pub use jvm::Tuning;
pub use records::{Ends, Reader, Record, create_topic, delete_topics};
