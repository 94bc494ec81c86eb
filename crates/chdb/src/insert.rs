//! INSERT with data: always through the stream interface, so that data is data, whatever bytes it holds.

use std::io::Read;

use crate::connection::{Connection, Params, Stats};
use crate::execute::body_failure;
use crate::failure::Failure;

/// Handed to the engine at a time: large enough that a call's cost vanishes, small enough to stay in the cache.
const STEP: usize = 256 << 10;

/// Streams `start` and then the body into the engine. A body that ends early cancels: nothing is committed.
pub(crate) fn run(
    connection: &mut Connection,
    head: &[u8],
    format: &str,
    params: &Params,
    start: &[u8],
    body: &mut dyn Read,
) -> Result<Stats, Failure> {
    let mut stream = connection.insert(head, format, params)?;
    if !start.is_empty() {
        stream.append(start)?;
    }
    let mut buffer = vec![0_u8; STEP];
    loop {
        // dropping the stream on an error cancels it
        let count = body.read(&mut buffer).map_err(|error| body_failure(&error))?;
        match buffer.get(..count) {
            Some(piece) if !piece.is_empty() => stream.append(piece)?,
            _ => break,
        }
    }
    stream.done()
}
