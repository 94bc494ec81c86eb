//! A Superset of our own, for the demo and for tests.
//!
//! `install` fetches it from PyPI into a virtual environment in the user's cache, once; [`Server`] runs it from there
//! in a folder that holds all that this one Superset keeps.

mod install;
mod server;

pub use server::{ADMIN, Server};
