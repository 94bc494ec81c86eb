//! Accepts connections until told to stop.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::flush::{Probe, Probed};
use super::handler::handle;
use crate::execute::Server;

/// Waited after a failed accept, which is usually a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A client that does not finish its headers in this time is let go.
const HEADER_TIME: Duration = Duration::from_secs(60);

/// Serves until `stop` completes; requests that run then go on.
pub(crate) async fn run(listener: TcpListener, server: Arc<Server>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        // stopping first, or a busy listener would keep it waiting
        let accepted = tokio::select! {
            biased;
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                // small answers must not wait for the next one
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!(error = %error, "a socket option was refused");
                }
                serve_connection(socket, Arc::clone(&server));
            }
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn serve_connection(socket: tokio::net::TcpStream, server: Arc<Server>) {
    let probe = Arc::new(Probe::default());
    let io = Probed::new(TokioIo::new(socket), Arc::clone(&probe));
    let service = service_fn(move |request| handle(Arc::clone(&server), Arc::clone(&probe), request));
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
