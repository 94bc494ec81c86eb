//! Connections as the server takes them: plain, or through a TLS handshake.
//!
//! Handshakes happen beside the accepting, bounded in number and time: a client that opens
//! connections and says nothing keeps nobody else out.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes under way; more wait in the system's queue.
const HANDSHAKES: usize = 64;
/// A browser needs a tenth of a second.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// After the system refused a connection (no file handles left): once more, but not at once.
const PAUSE: Duration = Duration::from_millis(100);

/// The listening socket.
#[derive(Debug)]
pub(crate) struct Gate {
    listener: TcpListener,
    tls: Option<Tls>,
}

struct Tls {
    acceptor: TlsAcceptor,
    under_way: JoinSet<Option<(Stream, SocketAddr)>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("under_way", &self.under_way.len()).finish_non_exhaustive()
    }
}

impl Gate {
    pub(crate) fn new(listener: TcpListener, acceptor: Option<TlsAcceptor>) -> Self {
        Self { listener, tls: acceptor.map(|acceptor| Tls { acceptor, under_way: JoinSet::new() }) }
    }
}

impl Listener for Gate {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            let Some(tls) = &mut self.tls else {
                match self.listener.accept().await {
                    Ok((stream, from)) => return (Stream::Plain(stream), from),
                    Err(error) => refused(&error).await,
                }
                continue;
            };
            tokio::select! {
                Some(ended) = tls.under_way.join_next(), if !tls.under_way.is_empty() => {
                    if let Ok(Some(accepted)) = ended {
                        return accepted;
                    }
                }
                accepted = self.listener.accept(), if tls.under_way.len() < HANDSHAKES => match accepted {
                    Ok((stream, from)) => {
                        let handshake = tls.acceptor.accept(stream);
                        tls.under_way.spawn(async move {
                            let stream = timeout(HANDSHAKE_PATIENCE, handshake).await.ok()?.ok()?;
                            Some((Stream::Tls(Box::new(stream)), from))
                        });
                    }
                    Err(error) => refused(&error).await,
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn refused(error: &io::Error) {
    tracing::debug!(error = %error, "could not take a connection");
    sleep(PAUSE).await;
}

/// The address of the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Connected<IncomingStream<'_, Gate>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
