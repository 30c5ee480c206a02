//! A lane: connections that are used alike, the streams on them, and who waits for one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::client::conn::http1;
use prometheus_client::metrics::gauge::Gauge;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::body::Body;
use super::connection::{Connection, DialError, Dialer, Driver, Turn, for_one};
use crate::chain::Chain;
use crate::telemetry::LaneMetrics;

/// No stream for a request, which was not sent.
#[derive(Debug, Error)]
pub(crate) enum NoStream {
    #[error("the control plane cannot be connected to")]
    Dial(#[source] Arc<DialError>),
    #[error("{0} requests wait for the control plane already")]
    Full(usize),
    #[error("no stream to the control plane became free within {} s", .0.as_secs_f32())]
    Late(Duration),
}

/// A request that got a stream and no answer.
#[derive(Debug, Error)]
#[error("the connection to the control plane ended before the answer")]
pub(crate) struct Unanswered {
    #[source]
    pub(super) error: Option<hyper::Error>,
    /// Whether the control plane may have seen it.
    pub(super) was_sent: bool,
}

/// What a request that waits is given.
type Given = Result<Slot, Arc<DialError>>;

/// The lock is held for a look at the connections and never across an await.
pub(super) struct Lane {
    dialer: Dialer,
    state: Mutex<State>,
    /// Requests that wait, without those that gave up.
    waiting: AtomicUsize,
    pub(super) metrics: LaneMetrics,
}

#[derive(Default)]
struct State {
    open: Vec<Arc<Connection>>,
    /// First come, first served. Some may have given up.
    waiters: VecDeque<oneshot::Sender<Given>>,
    /// Connections that are being made.
    dialing: usize,
    /// Streams that the next connection is likely to have: as many as the last one. `None` before the first.
    expected: Option<usize>,
    /// No connection is made in advance before.
    no_spare_before: Option<Instant>,
    /// Another pool is in force: this one ends with what is under way.
    is_closed: bool,
}

impl Lane {
    pub(super) fn new(dialer: Dialer, metrics: LaneMetrics) -> Arc<Self> {
        Arc::new(Self { dialer, state: Mutex::default(), waiting: 0.into(), metrics })
    }

    /// A stream on the connection with the fewest; where none has room, as soon as there is.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub(super) async fn slot(self: &Arc<Self>) -> Result<Slot, NoStream> {
        let tuning = &self.dialer.tuning;
        let (given, _place) = {
            let mut state = self.lock();
            if let Some(connection) = least_loaded(&state) {
                let slot = Slot::new(self, connection);
                self.dial_as_needed(&mut state);
                return Ok(slot);
            }
            if self.waiting.load(Ordering::Relaxed) >= tuning.queue {
                return Err(NoStream::Full(tuning.queue));
            }
            if state.waiters.len() >= 2 * tuning.queue {
                state.waiters.retain(|waiter| !waiter.is_closed());
            }
            let (give, given) = oneshot::channel();
            state.waiters.push_back(give);
            let place = Place::new(self);
            self.dial_as_needed(&mut state);
            (given, place)
        };
        match timeout(tuning.patience, given).await {
            Ok(Ok(given)) => given.map_err(NoStream::Dial),
            Ok(Err(_)) | Err(_) => Err(NoStream::Late(tuning.patience)),
        }
    }

    /// Takes no more streams on this connection; those that are open go on. Another one takes its place.
    pub(super) fn retire(self: &Arc<Self>, connection: &Arc<Connection>) {
        let mut state = self.lock();
        state.retire(connection);
        self.dial_as_needed(&mut state);
    }

    /// The same for one that was not used for long, unless it is the last and known to live.
    pub(super) fn retire_if_idle(&self, connection: &Arc<Connection>) {
        let mut state = self.lock();
        let is_idle = connection.in_flight.load(Ordering::Relaxed) == 0;
        if is_idle && (state.open.len() > 1 || !connection.is_two()) {
            state.retire(connection);
        }
    }

    /// Another limit is in force on a connection.
    pub(super) fn limit_changed(self: &Arc<Self>, limit: usize) {
        let mut state = self.lock();
        state.expected = Some(limit.max(1));
        self.hand_out(&mut state);
        self.dial_as_needed(&mut state);
    }

    /// Keeps nothing that is not needed for what is under way.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.drop_idle();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what is free to those who wait.
    fn hand_out(self: &Arc<Self>, state: &mut State) {
        while !state.waiters.is_empty() {
            let Some(connection) = least_loaded(state) else { return };
            let Some(waiter) = state.waiters.pop_front() else { return };
            if let Err(Ok(slot)) = waiter.send(Ok(Slot::new(self, connection))) {
                slot.forget();
            }
        }
    }

    /// Makes connections for all who wait, and one more before the last stream is taken.
    fn dial_as_needed(self: &Arc<Self>, state: &mut State) {
        let tuning = &self.dialer.tuning;
        let may_spare = !state.is_closed && state.no_spare_before.is_none_or(|before| Instant::now() >= before);
        let spare = match state.expected {
            Some(expected) if expected > 1 && may_spare => (expected / 10).max(1),
            _ => 0,
        };
        let wanted = self.waiting.load(Ordering::Relaxed) + spare;
        let free: usize = state.open.iter().map(|connection| connection.room()).sum();
        loop {
            // Of the first one nobody knows how many streams it will have: wait for it.
            let coming = state.dialing.saturating_mul(state.expected.unwrap_or(usize::MAX));
            let enough = free.saturating_add(coming) >= wanted;
            if enough || state.dialing >= tuning.dials || state.open.len() + state.dialing >= tuning.connections {
                return;
            }
            // Only while the runtime ends there is none.
            let Ok(runtime) = Handle::try_current() else { return };
            state.dialing += 1;
            let lane = self.clone();
            runtime.spawn(async move {
                let outcome = lane.dialer.dial().await;
                lane.dialed(outcome);
            });
        }
    }

    fn dialed(self: &Arc<Self>, outcome: Result<(Connection, Driver), DialError>) {
        let mut state = self.lock();
        state.dialing -= 1;
        match outcome {
            Ok((connection, driver)) => {
                self.metrics.dials.inc();
                let connection = Arc::new(connection);
                let run = driver.run(Arc::downgrade(self), Arc::downgrade(&connection), self.dialer.tuning);
                tokio::spawn(run);
                state.expected = Some(connection.limit());
                state.open.push(connection);
                self.hand_out(&mut state);
                self.dial_as_needed(&mut state);
                if state.is_closed {
                    state.drop_idle();
                }
            }
            Err(error) => {
                self.metrics.failed_dials.inc();
                debug!(error = %Chain(&error), "no connection to the control plane");
                state.no_spare_before = Some(Instant::now() + self.dialer.tuning.spare_pause);
                if state.dialing == 0 {
                    let error = Arc::new(error);
                    for waiter in state.waiters.drain(..) {
                        // Who gave up does not have to know.
                        let _ = waiter.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    fn release(self: &Arc<Self>, connection: &Arc<Connection>) {
        let mut state = self.lock();
        connection.in_flight.fetch_sub(1, Ordering::Relaxed);
        if connection.is_closed() {
            state.retire(connection);
        }
        self.hand_out(&mut state);
        if state.is_closed {
            state.drop_idle();
        }
        if !state.waiters.is_empty() {
            self.dial_as_needed(&mut state);
        }
    }
}

impl State {
    fn retire(&mut self, connection: &Arc<Connection>) {
        connection.retired.store(true, Ordering::Relaxed);
        self.open.retain(|open| !Arc::ptr_eq(open, connection));
    }

    fn drop_idle(&mut self) {
        if self.waiters.is_empty() {
            self.open.retain(|connection| connection.in_flight.load(Ordering::Relaxed) > 0);
        }
    }
}

fn least_loaded(state: &State) -> Option<Arc<Connection>> {
    let with_room = state.open.iter().filter(|connection| connection.room() > 0);
    with_room.min_by_key(|connection| connection.in_flight.load(Ordering::Relaxed)).cloned()
}

/// A place in the queue.
struct Place<'a>(&'a Lane);

impl<'a> Place<'a> {
    fn new(lane: &'a Lane) -> Self {
        lane.waiting.fetch_add(1, Ordering::Relaxed);
        lane.metrics.waiting.inc();
        Self(lane)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.waiting.dec();
    }
}

/// One stream of a connection, from before its request is sent until the last byte of its answer is read.
pub(super) struct Slot {
    lane: Arc<Lane>,
    /// `None` once it was given back.
    connection: Option<Arc<Connection>>,
    /// What must be given back on HTTP/1.1 for the connection to be used again.
    turn: Option<http1::SendRequest<Full<Bytes>>>,
    counted: Counted,
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
    fn new(lane: &Arc<Lane>, connection: Arc<Connection>) -> Self {
        connection.in_flight.fetch_add(1, Ordering::Relaxed);
        connection.used.fetch_add(1, Ordering::Relaxed);
        lane.metrics.streams.inc();
        let counted = Counted(lane.metrics.streams.clone());
        Self { lane: lane.clone(), connection: Some(connection), turn: None, counted }
    }

    /// Gives back what nobody took, under the lane's lock.
    fn forget(mut self) {
        if let Some(connection) = self.connection.take() {
            connection.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sends the request of this stream.
    ///
    /// # Cancel safety
    /// Dropping the future resets the stream.
    pub(super) async fn send(mut self, request: Request<Full<Bytes>>) -> Result<Response<Body>, Unanswered> {
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
