//! A lane: connections that are used alike, the streams on them, and who waits for one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::connection::{Connection, DialError, Dialer};
use super::driver::Driver;
use super::slot::Slot;
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

/// What a request that waits is given.
type Given = Result<Slot, Arc<DialError>>;

/// The lock is held for a look at the connections and never across an await.
pub(super) struct Lane {
    dialer: Dialer,
    state: Mutex<State>,
    /// Requests that wait, without those that gave up.
    waiting: Arc<AtomicUsize>,
    pub(super) metrics: LaneMetrics,
}

#[derive(Default)]
struct State {
    open: Vec<Arc<Connection>>,
    /// First come, first served. Some may have given up.
    waiters: VecDeque<Waiter>,
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
        Arc::new(Self { dialer, state: Mutex::default(), waiting: Arc::default(), metrics })
    }

    /// A stream on the connection with the fewest; where none has room, as soon as there is.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub(super) async fn slot(self: &Arc<Self>) -> Result<Slot, NoStream> {
        let tuning = &self.dialer.tuning;
        let (given, _gives_up) = {
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
                state.waiters.retain(|waiter| !waiter.give.is_closed());
            }
            let (give, given) = oneshot::channel();
            let place = Place::new(self);
            state.waiters.push_back(Waiter { give, place: place.clone() });
            self.dial_as_needed(&mut state);
            (given, GivesUp(place))
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

    /// The same for one that was not used for long, unless it is the room that is kept in advance.
    pub(super) fn retire_if_idle(&self, connection: &Arc<Connection>) {
        let mut state = self.lock();
        let is_idle = connection.in_flight.load(Ordering::Relaxed) == 0;
        if is_idle && state.free().saturating_sub(connection.room()) >= state.spare() {
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
            waiter.place.leave();
            if let Err(Ok(slot)) = waiter.give.send(Ok(Slot::new(self, connection))) {
                slot.forget();
            }
        }
    }

    /// Makes connections for all who wait, and one more while there are streams left.
    fn dial_as_needed(self: &Arc<Self>, state: &mut State) {
        let tuning = &self.dialer.tuning;
        let may_spare = state.no_spare_before.is_none_or(|before| Instant::now() >= before);
        let spare = if may_spare { state.spare() } else { 0 };
        let wanted = self.waiting.load(Ordering::Relaxed) + spare;
        let free = state.free();
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
                        waiter.place.leave();
                        // Who gave up does not have to know.
                        let _ = waiter.give.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    pub(super) fn release(self: &Arc<Self>, connection: &Arc<Connection>) {
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
    /// Streams that can be opened now.
    fn free(&self) -> usize {
        self.open.iter().map(|connection| connection.room()).sum()
    }

    /// How many of them are kept in advance: a tenth of a connection's. None where a connection has but one stream, as on HTTP/1.1.
    fn spare(&self) -> usize {
        match self.expected {
            Some(expected) if expected > 1 && !self.is_closed => (expected / 10).max(2),
            _ => 0,
        }
    }

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

/// Somebody who waits.
struct Waiter {
    give: oneshot::Sender<Given>,
    place: Arc<Place>,
}

/// A place in the queue, counted until a stream is given or the request gives up, whichever comes first.
struct Place {
    waiting: Arc<AtomicUsize>,
    metric: Gauge,
    is_counted: AtomicBool,
}

impl Place {
    fn new(lane: &Lane) -> Arc<Self> {
        lane.waiting.fetch_add(1, Ordering::Relaxed);
        lane.metrics.waiting.inc();
        let (waiting, metric) = (lane.waiting.clone(), lane.metrics.waiting.clone());
        Arc::new(Self { waiting, metric, is_counted: true.into() })
    }

    fn leave(&self) {
        if self.is_counted.swap(false, Ordering::Relaxed) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.metric.dec();
        }
    }
}

/// Leaves the queue with the request.
struct GivesUp(Arc<Place>);

impl Drop for GivesUp {
    fn drop(&mut self) {
        self.0.leave();
    }
}
