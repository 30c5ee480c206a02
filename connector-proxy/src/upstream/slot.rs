//! A stream of a connection, counted for as long as it is used.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::client::conn::http1;
use prometheus_client::metrics::gauge::Gauge;
use thiserror::Error;
use tokio::runtime::Handle;

use super::body::Body;
use super::connection::{Connection, Turn, for_one};
use super::lane::Lane;

/// A request that got a stream and no answer.
#[derive(Debug, Error)]
#[error("the control plane did not answer a request")]
pub(crate) struct Unanswered {
    #[source]
    pub(super) error: Option<hyper::Error>,
    /// Whether the control plane may have seen it.
    pub(super) was_sent: bool,
}

/// One stream of a connection, from before its request is sent until the last byte of its answer is read.
pub(super) struct Slot {
    lane: Arc<Lane>,
    /// `None` once it was given back.
    connection: Option<Arc<Connection>>,
    /// What must be given back on HTTP/1.1 for the connection to be used again.
    turn: Option<http1::SendRequest<Full<Bytes>>>,
    _counted: Counted,
}

/// Counted among the open streams while it lives.
struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Slot {
    /// Under the lane's lock.
    pub(super) fn new(lane: &Arc<Lane>, connection: Arc<Connection>) -> Self {
        connection.in_flight.fetch_add(1, Ordering::Relaxed);
        connection.used.fetch_add(1, Ordering::Relaxed);
        lane.metrics.streams.inc();
        let _counted = Counted(lane.metrics.streams.clone());
        Self { lane: lane.clone(), connection: Some(connection), turn: None, _counted }
    }

    /// Gives back what nobody took, under the lane's lock.
    pub(super) fn forget(mut self) {
        if let Some(connection) = self.connection.take() {
            connection.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sends the request of this stream.
    ///
    /// # Cancel safety
    /// Dropping the future resets the stream.
    pub(super) async fn send(mut self, request: Request<Full<Bytes>>) -> Result<Response<Body>, Unanswered> {
        self.lane.metrics.sent.inc_by(request.body().size_hint().lower());
        let turn = self.connection.as_ref().and_then(|connection| connection.turn());
        let answer = match turn {
            Some(Turn::Two(mut sender)) => sender.try_send_request(request).await,
            Some(Turn::One(sender)) => self.turn.insert(sender).try_send_request(for_one(request)).await,
            None => return Err(Unanswered { error: None, was_sent: false }),
        };
        match answer {
            Ok(answer) => Ok(answer.map(|incoming| Body::new(incoming, self))),
            Err(error) => {
                let was_sent = error.message().is_none();
                Err(Unanswered { error: Some(error.into_error()), was_sent })
            }
        }
    }

    /// So many bytes of the answer have come.
    pub(super) fn received(&self, bytes: usize) {
        self.lane.metrics.received.inc_by(bytes as u64);
    }

    /// The answer was read to its end, so the connection can be used again.
    pub(super) fn finish(mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        // On HTTP/1.1 the connection is a moment behind the answer's end.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if turn.ready().await.is_ok()
                && let Some(connection) = &self.connection
            {
                connection.put_back(turn);
            }
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.lane.release(&connection);
        }
    }
}
