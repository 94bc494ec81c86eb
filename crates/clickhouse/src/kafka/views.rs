//! The views that people read: those of the direct way, over versions of another kind.

use super::feed::Feed;
use crate::ddl;

/// Names and statements.
pub(super) fn views(feed: &Feed) -> Vec<(String, String)> {
    let plan = &feed.plan;
    let names = [Some(plan.view.clone()), plan.at_view()].into_iter().flatten();
    names.zip(ddl::views_by(plan, POSITION)).collect()
}

/// What a TRUNCATE's marker is compared with: the epoch, and the row's position in the source's log.
/// Where that is not known it is negative, which makes the number greater than any marker.
const POSITION: &str =
    "bitOr(bitShiftLeft(bitShiftRight(`_version`, 112), 112), bitShiftLeft(toUInt128(`record_version`), 48))";
