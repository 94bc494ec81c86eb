//! What is looked up now and then, beside the status board.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::{interval, timeout};
use walhouse_change::TableName;

use super::Feed;
use crate::ports::{Ports, TableSize, WalFacts};

/// Often enough for a forecast in minutes; each look is a session of its own at the source.
const WAL_REFRESH: Duration = Duration::from_secs(10);
/// Rows and bytes of all tables, by one query.
const REFRESH: Duration = Duration::from_secs(5);
/// Sizes of tables are wanted only while somebody follows; else this many rounds apart.
const SIZES_SELDOM: u32 = 12;
/// Longer than any healthy answer takes; then the facts stay as they were.
const PATIENCE: Duration = Duration::from_secs(20);

/// The newest that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) wal: Option<WalFacts>,
    pub(crate) sizes: Arc<BTreeMap<TableName, TableSize>>,
}

/// Looks them up for ever.
pub(super) async fn refresh(facts: &Mutex<Facts>, ports: &Ports, feed: &broadcast::Sender<Arc<Feed>>) {
    tokio::join!(refresh_wal(facts, ports), refresh_sizes(facts, ports, feed));
}

async fn refresh_wal(facts: &Mutex<Facts>, ports: &Ports) {
    let Some(source) = &ports.source else { return };
    let mut tick = interval(WAL_REFRESH);
    loop {
        tick.tick().await;
        match timeout(PATIENCE, source.wal()).await {
            Ok(Ok(wal)) => facts.lock().unwrap_or_else(PoisonError::into_inner).wal = Some(wal),
            // That the source is gone is told by the pipeline; here it only means no news.
            Ok(Err(failure)) => tracing::debug!(error = %failure, "could not look at the source's log"),
            Err(_) => tracing::debug!("the look at the source's log takes too long"),
        }
    }
}

async fn refresh_sizes(facts: &Mutex<Facts>, ports: &Ports, feed: &broadcast::Sender<Arc<Feed>>) {
    let Some(catalog) = &ports.catalog else { return };
    let mut tick = interval(REFRESH);
    let mut rest = 0;
    loop {
        tick.tick().await;
        if feed.receiver_count() == 0 && rest > 0 {
            rest -= 1;
            continue;
        }
        match timeout(PATIENCE, catalog.sizes()).await {
            Ok(Ok(sizes)) => {
                rest = SIZES_SELDOM;
                let sizes = sizes.into_iter().map(|size| (size.name.clone(), size)).collect();
                facts.lock().unwrap_or_else(PoisonError::into_inner).sizes = Arc::new(sizes);
            }
            Ok(Err(failure)) => tracing::debug!(error = %failure, "could not look at the sizes of the tables"),
            Err(_) => tracing::debug!("the look at the sizes of the tables takes too long"),
        }
    }
}
