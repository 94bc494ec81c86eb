//! Accepts connections until told to stop.

use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, UnixListener};

use super::flush::{Probe, Probed};
use super::handler::handle;
use crate::execute::Server;
use crate::operator::Peer;

/// Waited after a failed accept, which is usually a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A client that does not finish its headers in this time is let go.
const HEADER_TIME: Duration = Duration::from_secs(60);

/// Serves until `stop` completes; requests that run then go on.
pub(crate) async fn run(
    listener: TcpListener,
    operator: Option<UnixListener>,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    loop {
        // stopping first, or a busy listener would keep it waiting
        let accepted = tokio::select! {
            biased;
            () = &mut stop => return,
            accepted = accept(operator.as_ref()) => accepted.map(|socket| {
                serve_connection(TokioIo::new(socket), Peer::Operator, Arc::clone(&server));
            }),
            accepted = listener.accept() => accepted.map(|(socket, _)| {
                // small answers must not wait for the next one
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!(error = %error, "a socket option was refused");
                }
                serve_connection(TokioIo::new(socket), Peer::Client, Arc::clone(&server));
            }),
        };
        match accepted {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Waits for ever where there is no such socket.
async fn accept(listener: Option<&UnixListener>) -> std::io::Result<tokio::net::UnixStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(socket, _)| socket),
        None => std::future::pending().await,
    }
}

fn serve_connection(socket: impl Read + Write + Unpin + Send + 'static, peer: Peer, server: Arc<Server>) {
    let probe = Arc::new(Probe::default());
    let io = Probed::new(socket, Arc::clone(&probe));
    let service = service_fn(move |request| handle(Arc::clone(&server), Arc::clone(&probe), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(io, service);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %error, "a connection ended");
        }
    });
}

/// URL and headers together: ClickHouse takes a megabyte of URL.
const MAX_HEADERS: usize = 1 << 20;
