//! ClickHouse's HTTP interface: requests in, statements to [`crate::execute`], answers out.

mod answer;
mod auth;
mod body;
mod codec;
mod decode;
mod flush;
mod handler;
mod multipart;
mod request;
mod rows;
mod server;

pub(crate) use body::BodyReader;
pub(crate) use decode::decoder;
pub(crate) use multipart::{Part, parse_form};
pub(crate) use request::{Method, Request};
pub(crate) use server::run;
