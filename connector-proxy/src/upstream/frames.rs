//! What an HTTP/2 peer says about a connection as a whole, heard while its bytes are read.
//!
//! hyper applies SETTINGS and GOAWAY but tells nobody: a limit that is lowered, or a connection that goes away, would be seen at
//! the next request at the earliest. Only the frames' heads are looked at.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Bytes of a frame's head (RFC 9113, section 4.1).
const HEAD: usize = 9;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const ACK: u8 = 0x1;

/// What was heard.
#[derive(Default)]
pub(super) struct Signals {
    changed: Notify,
    going_away: AtomicBool,
}

impl Signals {
    /// Waits until SETTINGS or GOAWAY came that were not waited for yet; they are in force then.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether the peer takes no more streams.
    pub(super) fn is_going_away(&self) -> bool {
        self.going_away.load(Ordering::Acquire)
    }
}

/// A transport that hears.
pub(super) struct Heard<T> {
    inner: T,
    frames: Frames,
    signals: Arc<Signals>,
    /// Something was read that has to be told. The reader has dealt with all that it got when it reads on.
    due: bool,
}

impl<T> Heard<T> {
    pub(super) fn new(inner: T) -> (Self, Arc<Signals>) {
        let signals = Arc::new(Signals::default());
        (Self { inner, frames: Frames::default(), signals: signals.clone(), due: false }, signals)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if std::mem::take(&mut this.due) {
            this.signals.changed.notify_one();
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        this.frames.push(&buf.filled()[before..], |kind, flags| match kind {
            SETTINGS if flags & ACK == 0 => this.due = true,
            GOAWAY => {
                this.due = true;
                this.signals.going_away.store(true, Ordering::Release);
            }
            _ => {}
        });
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Where in the frames the bytes are.
#[derive(Default)]
struct Frames {
    head: [u8; HEAD],
    /// Bytes of the head that are there.
    have: usize,
    /// Bytes of the payload that are to come, once the head is whole.
    left: usize,
}

impl Frames {
    /// Calls `ended` with the type and flags of each frame that is whole with these bytes.
    fn push(&mut self, mut bytes: &[u8], mut ended: impl FnMut(u8, u8)) {
        while !bytes.is_empty() {
            if self.have < HEAD {
                let taken = bytes.len().min(HEAD - self.have);
                self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
                self.have += taken;
                bytes = &bytes[taken..];
                if self.have < HEAD {
                    return;
                }
                self.left = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]) as usize;
            }
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            bytes = &bytes[taken..];
            if self.left == 0 {
                self.have = 0;
                ended(self.head[3], self.head[4]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let frames = [
            frame(SETTINGS, 0, &[0, 3, 0, 0, 0, 100]),
            frame(SETTINGS, ACK, &[]),
            // Data that looks like frames.
            frame(0, 1, &frame(GOAWAY, 0, &[7; 300])),
            frame(GOAWAY, 0, &[0; 8]),
        ];
        let all = frames.concat();
        for size in 1..=all.len() {
            let (mut seen, mut reader) = (Vec::new(), Frames::default());
            for chunk in all.chunks(size) {
                reader.push(chunk, |kind, flags| seen.push((kind, flags)));
            }
            assert_eq!(seen, [(SETTINGS, 0), (SETTINGS, ACK), (0, 1), (GOAWAY, 0)], "cut at {size}");
        }
    }
}
