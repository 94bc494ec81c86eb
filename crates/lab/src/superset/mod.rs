//! Superset: dashboards on what walhouse carries.
//!
//! Reading order: [`Assets`] plans what Superset is to have for a warehouse (`plan`, pure; made of `dataset`, `chart`
//! and `dashboard`); `bundle` packs it into what Superset imports; [`Superset`] is a session with one; [`provision`]
//! and [`sync`] bring it up to date; [`ask_every_chart`] proves that it works. [`Server`] is a Superset of our own, for
//! the demo and for tests: installed once from PyPI into the user's cache.
//!
//! Invariant: identifiers depend on names alone, so that a second run updates and never doubles; nothing is deleted
//! that walhouse did not make. `provisioning_twice_changes_nothing` in `crates/app/tests/it/superset` holds it.

mod answers;
mod bundle;
mod chart;
mod client;
mod connection;
mod dashboard;
mod dataset;
mod http;
mod inventory;
mod own;
mod plan;
mod provision;
mod reader;
mod uuid;
mod words;

pub use answers::{Answer, Answers, ask_every_chart};
pub use client::Superset;
pub use connection::Connection;
pub use own::{ADMIN, Server};
pub use plan::{Assets, Deployment};
pub use provision::{Provisioned, Stale, provision, sync};
pub use reader::try_reader;

/// Who certifies our objects: the badge by which we know them again.
const OURS: &str = "walhouse";
