//! Knows when an answer has left for the kernel.
//!
//! An answer that fails midway ends with an exception block and then with a broken connection: no last chunk. hyper
//! throws away what it still buffers when a body fails, so the body fails only after its last bytes were flushed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use hyper::rt::{Read, ReadBufCursor, Write};

/// Shared by a connection's socket and its answers.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    armed: AtomicBool,
    flushed: AtomicBool,
    waker: AtomicWaker,
}

impl Probe {
    /// Ready once everything that was handed to the connection before the first call has been flushed.
    pub(crate) fn poll_flushed(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if !self.armed.swap(true, Ordering::AcqRel) {
            self.flushed.store(false, Ordering::Release);
        }
        if self.flushed.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn note_flush(&self) {
        if self.armed.load(Ordering::Acquire) {
            self.flushed.store(true, Ordering::Release);
            self.waker.wake();
        }
    }
}

/// A socket that tells its probe of each flush; hyper flushes it only when its own buffer is empty.
#[derive(Debug)]
pub(crate) struct Probed<S> {
    socket: S,
    probe: Arc<Probe>,
}

impl<S> Probed<S> {
    pub(crate) fn new(socket: S, probe: Arc<Probe>) -> Probed<S> {
        Probed { socket, probe }
    }
}

impl<S: Read + Unpin> Read for Probed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: Write + Unpin> Write for Probed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.probe.note_flush();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }
}
