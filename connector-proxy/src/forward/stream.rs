//! The body of an answer that is rewritten while it streams.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use connector_core::answer::Rewriter;
use http_body::{Body, Frame};
use tokio::sync::watch;
use tracing::Span;

use super::BoxError;
use crate::telemetry::{Metrics, OpenWatch, Repeated, Rewriting, UpstreamError};

/// Bytes that are rewritten in one turn of a task, as long as more is there: short requests must not wait for long lists.
const TURN: usize = 128 << 10;

/// Pulls chunks from the control plane as the client takes them, and hands each on as soon as it is rewritten: nothing is
/// gathered, no timer runs, and a slow client slows its own stream only.
///
/// # Cancel safety
/// Dropping the body ends the request at the control plane.
pub(super) struct RewrittenBody {
    upstream: crate::upstream::Body,
    rewriter: Rewriter,
    ready: VecDeque<Bytes>,
    scratch: Vec<Bytes>,
    /// `Some` in a watch.
    watch: Option<Watch>,
    ended: bool,
    /// What was rewritten since others had their turn.
    turn: usize,
    rewriting: Rewriting,
    metrics: Arc<Metrics>,
    /// The request's.
    span: Span,
}

/// What a watch has that other answers do not.
pub(super) struct Watch {
    drained: Pin<Box<dyn Future<Output = ()> + Send>>,
    _open: OpenWatch,
}

impl Watch {
    /// A watch that ends at the next frame boundary after `drain` became true, counted by `open` until then.
    pub(super) fn new(mut drain: watch::Receiver<bool>, open: OpenWatch) -> Self {
        let drained = Box::pin(async move {
            // The sender is dropped only when everything ends.
            let _ = drain.wait_for(|drain| *drain).await;
        });
        Self { drained, _open: open }
    }
}

impl RewrittenBody {
    /// To be made while the request's span is entered.
    pub(super) fn new(
        upstream: crate::upstream::Body,
        rewriter: Rewriter,
        watch: Option<Watch>,
        rewriting: Rewriting,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (ready, scratch, span) = (VecDeque::new(), Vec::new(), Span::current());
        Self { upstream, rewriter, ready, scratch, watch, ended: false, turn: 0, rewriting, metrics, span }
    }

    fn broke_off(&self, error: &BoxError, why: UpstreamError) {
        static TOLD: Repeated = Repeated::new();
        self.metrics.upstream.failed(why);
        self.span.in_scope(|| {
            if let Some(suppressed) = TOLD.pass("") {
                tracing::warn!(error, suppressed, "an answer of the control plane was broken off");
            }
        });
    }

    /// A watch may be closed here without leaving half a frame (wire rule 1.20).
    fn may_close(&self) -> bool {
        self.watch.is_some() && self.rewriter.at_boundary()
    }
}

impl Body for RewrittenBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(chunk) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            if this.may_close()
                && let Some(watch) = &mut this.watch
                && watch.drained.as_mut().poll(cx).is_ready()
            {
                this.ended = true;
                continue;
            }
            if this.turn >= TURN {
                this.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Poll::Ready(frame) = Pin::new(&mut this.upstream).poll_frame(cx) else {
                this.turn = 0;
                this.rewriting.tell();
                return Poll::Pending;
            };
            let rewritten = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => {
                        this.turn += chunk.len();
                        this.rewriting.measure(|| this.rewriter.push(chunk, &mut this.scratch))
                    }
                    Err(_trailers) => Ok(()),
                },
                // A client takes the end of a watch for what it is and resumes; half an answer of another kind must be seen
                // to be broken.
                Some(Err(_)) if this.may_close() => {
                    this.ended = true;
                    continue;
                }
                Some(Err(error)) => {
                    this.ended = true;
                    this.broke_off(&error, UpstreamError::BrokenOff);
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.ended = true;
                    this.rewriter.finish()
                }
            };
            this.ready.extend(this.scratch.drain(..).filter(|chunk| !chunk.is_empty()));
            if let Err(error) = rewritten {
                let error = BoxError::from(error);
                this.broke_off(&error, UpstreamError::Nonsense);
                this.ended = true;
                this.ready.clear();
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}
