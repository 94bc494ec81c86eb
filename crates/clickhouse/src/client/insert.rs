//! One insert of one encoded block.
//!
//! The server must take it as one block, since one block is one part and one part is atomic: all
//! of the rows, or none. The settings below say so explicitly; defaults differ between versions.
//!
//! The official client has a trap: when the server answers early with an error, `send` fails, but
//! a following `end` succeeds. Here the whole insert is one call that ends at the first error, so
//! that `end` cannot be reached after one.

use bytes::Bytes;
use clickhouse::Compression;
use clickhouse::insert_formatted::{CompressedData, InsertFormatted};
use std::time::Duration;

use super::{ANSWER_TIMEOUT, Client};
use crate::error::{Error, Result};

/// A server that takes nothing from its socket for that long is taken for gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// More rows and bytes than any block of ours has: the server neither cuts nor waits for more.
const WHOLE_ROWS: &str = "16777216";
const WHOLE_BYTES: &str = "4294967296";

/// Largest piece that is compressed at once: one frame of ClickHouse's LZ4 protocol.
const FRAME: usize = 1 << 20;

/// What to insert, and under which names.
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    /// `INSERT INTO db.t (columns) FORMAT Native`.
    pub(crate) sql: String,
    /// Query id, and log comment: the embedded engine has only the latter.
    pub(crate) query_id: String,
    /// The same bytes must carry the same token, other bytes another one. Only a replicated table
    /// heeds it.
    pub(crate) token: String,
    /// No key comes twice in the block: the server need not look for older versions in it.
    pub(crate) unique: bool,
}

impl Client {
    /// Inserts a block. Ok means that the server has written it; after an error it may have,
    /// unless it is a refusal ([`Error::is_refusal`]). Dropping the future aborts the request.
    pub(crate) async fn insert(&self, action: &str, insert: &Insert, chunks: &[Bytes]) -> Result<()> {
        let request = self.request(insert).await?;
        self.send(request, chunks).await.map_err(|error| Error::from_client(action, self.address(), error))
    }

    async fn request(&self, insert: &Insert) -> Result<InsertFormatted> {
        let optional = self.optional_settings().await?;
        let mut request = self
            .http
            .insert_formatted_with(insert.sql.as_str())
            .with_timeouts(Some(SEND_TIMEOUT), Some(ANSWER_TIMEOUT))
            .with_setting("query_id", &insert.query_id)
            .with_setting("log_comment", &insert.query_id)
            // not gathered with others' rows, and answered when written
            .with_setting("async_insert", "0")
            .with_setting("wait_for_async_insert", "1")
            .with_setting("insert_deduplicate", "1")
            .with_setting("insert_deduplication_token", &insert.token)
            .with_setting("max_insert_threads", "1")
            .with_setting("optimize_on_insert", if insert.unique { "0" } else { "1" })
            .with_setting("max_insert_block_size", WHOLE_ROWS)
            .with_setting("min_insert_block_size_rows", WHOLE_ROWS)
            .with_setting("min_insert_block_size_bytes", WHOLE_BYTES);
        if optional.contains("deduplicate_insert") {
            request = request.with_setting("deduplicate_insert", "enable");
        }
        if optional.contains("input_format_native_allow_types_conversion") {
            // a table whose type was changed by somebody must not change values in silence
            request = request.with_setting("input_format_native_allow_types_conversion", "0");
        }
        Ok(request)
    }

    /// Consumes the request: the first error is the end of it.
    async fn send(&self, mut request: InsertFormatted, chunks: &[Bytes]) -> clickhouse::error::Result<()> {
        if matches!(self.compression, Compression::None) {
            for chunk in chunks {
                request.send(chunk.clone()).await?;
            }
        } else {
            for chunk in chunks {
                for start in (0..chunk.len()).step_by(FRAME) {
                    let frame = chunk.slice(start..chunk.len().min(start + FRAME));
                    request.send_compressed(compress(frame, self.compression).await?).await?;
                }
            }
        }
        request.end().await
    }
}

/// Compresses away from the tasks that answer sockets.
async fn compress(frame: Bytes, method: Compression) -> clickhouse::error::Result<CompressedData> {
    let compressed = tokio::task::spawn_blocking(move || CompressedData::new(&frame, method)).await;
    compressed.unwrap_or_else(|error| Err(clickhouse::error::Error::Other(error.into())))
}
