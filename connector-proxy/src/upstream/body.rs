//! The body of an answer of the control plane.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::BoxError;
use super::gzip::Decoded;
use super::slot::Slot;

/// Comes as it is read, and not faster: who reads slowly slows only the own stream.
///
/// # Cancel safety
/// Dropping it ends the request at the control plane.
pub(crate) struct Body(Kind);

enum Kind {
    Here(Option<Bytes>),
    /// The stream is counted until the last byte is read.
    Coming(Incoming, Option<Slot>),
    /// Its own body may have come compressed.
    Decoded(Box<Decoded>),
}

impl Body {
    /// The answer that comes on the stream of `slot`.
    pub(super) fn new(incoming: Incoming, slot: Slot) -> Self {
        let mut body = Self(Kind::Coming(incoming, Some(slot)));
        body.give_back_at_the_end();
        body
    }

    /// What `body` holds.
    pub(super) fn decoded(body: Decoded) -> Self {
        Self(Kind::Decoded(Box::new(body)))
    }

    fn give_back_at_the_end(&mut self) {
        if let Kind::Coming(incoming, slot) = &mut self.0
            && http_body::Body::is_end_stream(incoming)
            && let Some(slot) = slot.take()
        {
            slot.finish();
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Here(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match &mut self.0 {
            Kind::Here(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Decoded(body) => return Pin::new(body.as_mut()).poll_frame(cx),
            Kind::Coming(incoming, slot) => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                if let (Some(Ok(frame)), Some(slot)) = (&frame, &slot) {
                    slot.received(frame.data_ref().map_or(0, Bytes::len));
                }
                if !matches!(frame, Some(Ok(_)))
                    && let Some(slot) = slot.take()
                {
                    match frame {
                        Some(Err(_)) => drop(slot),
                        _ => slot.finish(),
                    }
                }
                frame
            }
        };
        self.give_back_at_the_end();
        Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Here(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Coming(incoming, _) => incoming.size_hint(),
            Kind::Decoded(body) => body.size_hint(),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Here(bytes) => bytes.is_none(),
            Kind::Coming(incoming, _) => incoming.is_end_stream(),
            Kind::Decoded(body) => body.is_end_stream(),
        }
    }
}
