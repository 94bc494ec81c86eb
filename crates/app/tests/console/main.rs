//! The console in a real browser: every page against living houses, in every state, a click through each action.
//!
//! Chromium comes from Debian, its driver (playwright-core) and the accessibility checks (axe-core) from npm; what
//! they do stands in `crates/server/page/tests`. Pictures of each look are kept in `target/tmp/console`.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere; clippy knows only test functions")]

mod browser;
mod crowd;
mod home;
mod kafka;
mod live;
mod registry;
mod states;
mod worker;
