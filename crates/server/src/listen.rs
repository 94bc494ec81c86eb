//! Taking the port, and serving on it until told to stop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::gate::{Gate, Peer};
use crate::router::{self, Shared};
use crate::{Console, Error, security};

/// How long a port may stay in use at start: a process that is dying may still hold it.
pub const PORT_PATIENCE: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_millis(100);
/// Requests under way when the server is told to stop may take this long; they read memory only.
const FAREWELL: Duration = Duration::from_secs(1);

/// A bound port.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes `address`, waiting for up to `patience` while another process holds it.
    ///
    /// # Errors
    /// [`Error::Listen`], one line that says what to do.
    pub async fn bind(address: SocketAddr, patience: Duration) -> Result<Self, Error> {
        let deadline = Instant::now() + patience;
        let mut told = false;
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let address = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
                    return Ok(Self { listener, address });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                    if !told {
                        tracing::info!(%address, "the console's port is in use, waiting for it");
                        told = true;
                    }
                    sleep(RETRY).await;
                }
                Err(source) => return Err(Error::Listen { address, source }),
            }
        }
    }

    /// The address that was bound, with its real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes everything ready to serve.
    ///
    /// # Errors
    /// [`Error::Exposed`] for an address that others reach without the access that it needs;
    /// [`Error::Tls`] and [`Error::AuditFile`] for files that cannot be used.
    pub fn open(self, console: Console) -> Result<Server, Error> {
        console.access.check(self.address)?;
        let tls = console.access.tls.as_ref().map(security::acceptor).transpose()?;
        Ok(Server { shared: Shared::new(console, self.address)?, gate: Gate::new(self.listener, tls) })
    }

    /// Opens and serves.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Server::serve`].
    pub async fn serve(self, console: Console, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        self.open(console)?.serve(stop).await
    }
}

/// A console that is ready to be served.
#[derive(Debug)]
pub struct Server {
    shared: Shared,
    gate: Gate,
}

impl Server {
    /// Serves until `stop` resolves, then finishes the requests under way.
    ///
    /// # Errors
    /// [`Error::Serve`] when the system takes the port away.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let (told, mut stopping) = tokio::sync::watch::channel(false);
        let live = Arc::clone(&self.shared.live);
        let frames = Arc::clone(&live).run(Arc::clone(&self.shared.console));
        let (console, topics) = (Arc::clone(&self.shared.console), Arc::clone(&self.shared.topics));
        let lags = async move {
            match &console.ports.topics {
                Some(port) => topics.lags.follow(&**port).await,
                None => std::future::pending().await,
            }
        };
        let service = router::routes(self.shared).into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(self.gate, service).with_graceful_shutdown(async move {
            stop.await;
            // Streams of events have no end of their own.
            live.closing().cancel();
            told.send_replace(true);
        });
        tokio::select! {
            served = serving => served.map_err(Error::Serve),
            () = frames => Ok(()),
            () = lags => Ok(()),
            // A client that keeps its connection open must not keep the process.
            () = async {
                let _ = stopping.wait_for(|stopping| *stopping).await;
                sleep(FAREWELL).await;
            } => Ok(()),
        }
    }
}
