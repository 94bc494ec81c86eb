//! Private Postgres servers for the demo and for tests.
//!
//! A server lives in one folder: `data/` (Postgres' own data directory) and `server.log`. It listens on a free port
//! of 127.0.0.1, has no Unix socket, and is ready for logical replication. Postgres refuses to run as root, so when
//! we are root it runs as `nobody`.
//!
//! A server never outlives us: dropping it stops it at once, and a small watchdog process, which holds the read end
//! of a pipe from us, stops it when we are killed.
//!
//! ```no_run
//! # async fn example() -> walhouse_lab::Result<()> {
//! use walhouse_lab::postgres::{Server, Version};
//!
//! let mut server = Server::builder().version(Version::for_tests()?).setting("wal_sender_timeout", "2s").start().await?;
//! let client = server.connect().await?;
//! client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.ok();
//! server.kill9().await?;
//! server.start().await?;
//! # Ok(()) }
//! ```

mod account;
mod builder;
mod folder;
mod maven;
mod server;
mod version;

pub use builder::Builder;
pub use server::{Server, connect};
pub use version::Version;
