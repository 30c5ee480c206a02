//! Buffers between a socket and TLS, for fewer and larger calls of the kernel.
//!
//! rustls reads 4 KiB at a time, and an HTTP/2 connection flushes after every frame of data: a list would take four calls in and one
//! out for each 16 KiB, and those cost more than all else that is done with them. [`Buffered`] reads as much as there is, and
//! [`Gathering`] lets a connection write down all that it has to say before anything is sent, and what the tasks say that are ready
//! now: no timer runs, and where nobody else is ready it is sent at once. Nor does one connection read on while others wait. Idle
//! connections hold no buffer.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long a TCP connection may be silent before the kernel asks whether the peer's lives, how often it asks then, and how many
/// times in vain. Only HTTP/1.1 needs it: it has no PING.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(30);
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
pub(crate) const KEEPALIVE_TRIES: u32 = 3;

/// What one call reads or writes. More was not faster.
const BUFFER: usize = 64 << 10;
/// What a connection reads in one turn of its task, as long as there is more.
const TURN: usize = 2 * BUFFER;
/// Buffers that a thread keeps.
const SPARES: usize = 4;

thread_local! {
    /// Buffers that nobody uses now: whoever reads or writes needs one for a moment only, most of the time.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    /// Whether a [`Gathering`] task is being polled, and flushes wait for the end of that.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
    /// Whether a flush waits.
    static WAITS: Cell<bool> = const { Cell::new(false) };
    /// What was read in this turn of a [`Gathering`] task; `None` in others.
    static READ: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Has the kernel end the connection when its peer is gone without a word, as with a node that fails: nobody else would notice, and
/// over the years those would be many. And what is written leaves at once, as a watch's event is small.
pub(crate) fn tune(stream: &TcpStream) {
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_TRIES);
    // A socket that takes none of this has ended already, as its reader will see.
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    let _ = stream.set_nodelay(true);
}

fn take_buffer() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BUFFER])
}

fn give_back(buffer: Vec<u8>) {
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARES {
            spare.push(buffer);
        }
    });
}

/// A part of a buffer that is still to be used.
struct Rest {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// A socket with buffers.
pub(crate) struct Buffered<T> {
    inner: T,
    read: Option<Rest>,
    written: Option<Rest>,
}

impl<T> Buffered<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, read: None, written: None }
    }
}

impl<T: AsyncWrite + Unpin> Buffered<T> {
    /// Sends what was written.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = &mut self.written {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, &rest.buffer[rest.start..rest.end]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.start += sent;
            if rest.start == rest.end
                && let Some(rest) = self.written.take()
            {
                give_back(rest.buffer);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Where to write to, while flushes wait; `None` where they do not, and nothing is left from before.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<&mut Rest>>> {
        let is_full = self.written.as_ref().is_some_and(|rest| rest.end == BUFFER);
        if is_full || !HOLDS.get() {
            ready!(self.poll_send(cx))?;
        }
        let empty = || Rest { buffer: take_buffer(), start: 0, end: 0 };
        Poll::Ready(Ok(HOLDS.get().then(|| self.written.get_or_insert_with(empty))))
    }
}

impl Rest {
    fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(BUFFER - self.end);
        self.buffer[self.end..self.end + count].copy_from_slice(&bytes[..count]);
        self.end += count;
        count
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Buffered<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut rest = match this.read.take() {
            Some(rest) => rest,
            None if READ.get().is_some_and(|read| read >= TURN) => {
                // Others first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None if buf.remaining() >= BUFFER => return Pin::new(&mut this.inner).poll_read(cx, buf),
            None => {
                let mut buffer = take_buffer();
                let mut read = ReadBuf::new(&mut buffer);
                let outcome = Pin::new(&mut this.inner).poll_read(cx, &mut read);
                let end = read.filled().len();
                READ.set(READ.get().map(|read| read + end));
                if !matches!(outcome, Poll::Ready(Ok(()))) {
                    give_back(buffer);
                    return outcome;
                }
                Rest { buffer, start: 0, end }
            }
        };
        let count = buf.remaining().min(rest.end - rest.start);
        buf.put_slice(&rest.buffer[rest.start..rest.start + count]);
        rest.start += count;
        if rest.start == rest.end {
            give_back(rest.buffer);
        } else {
            this.read = Some(rest);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Buffered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(self.poll_room(cx))? {
            Some(rest) => Poll::Ready(Ok(rest.write(buf))),
            None => Pin::new(&mut self.inner).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_room(cx))? {
            Some(rest) => Poll::Ready(Ok(bufs.iter().map(|buf| rest.write(buf)).sum())),
            None => Pin::new(&mut self.inner).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.written.is_some() && HOLDS.get() {
            WAITS.set(true);
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<T: Connection> Connection for Buffered<T> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

/// A task that drives a connection over [`Buffered`]: what it flushes is sent after the tasks that are ready now had their turn, so
/// that their answers go together.
///
/// The task has to flush whenever it is polled, and shut down before it ends, as connections of HTTP/2 do: what is written is lost
/// otherwise.
pub(crate) struct Gathering<F> {
    task: Pin<Box<F>>,
    /// The others had their turn.
    is_due: bool,
}

impl<F> Gathering<F> {
    pub(crate) fn new(task: F) -> Self {
        Self { task: Box::pin(task), is_due: false }
    }
}

impl<F: Future> Future for Gathering<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _turn = Turn::begin();
        let polled = {
            let _hold = Hold::begin();
            self.task.as_mut().poll(cx)
        };
        if !WAITS.take() || polled.is_ready() {
            self.is_due = false;
            return polled;
        }
        self.is_due = !self.is_due;
        if self.is_due {
            // A task that wakes itself goes behind all that are ready.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Now flushes are what they say.
        self.task.as_mut().poll(cx)
    }
}

/// Counts what is read, in both polls of a turn; ends with it, even if one panics.
struct Turn;

impl Turn {
    fn begin() -> Self {
        READ.set(Some(0));
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        READ.set(None);
    }
}

/// Ends with the poll, even if that panics.
struct Hold;

impl Hold {
    fn begin() -> Self {
        WAITS.set(false);
        HOLDS.set(true);
        Self
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        HOLDS.set(false);
    }
}

/// Spawns tasks as [`Gathering`]; hyper drives its HTTP/2 connections in such a task.
#[derive(Clone)]
pub(crate) struct GatheringExecutor;

impl<F> hyper::rt::Executor<F> for GatheringExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        tokio::spawn(Gathering::new(task));
    }
}

#[cfg(test)]
mod tests;
