//! What runs beside a connection for as long as it lives.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::debug;

use super::connection::{Connection, MAX_STREAMS, Sent};
use super::dial::Io;
use super::frames::{Heard, Signals};
use super::lane::Lane;
use super::tuning::Tuning;
use crate::jitter;
use crate::transport::GatheringExecutor;

type Two = http2::Connection<TokioIo<Heard<TokioIo<Box<dyn Io>>>>, Sent, GatheringExecutor>;
type One = http1::Connection<Box<dyn Io>, Sent>;

/// Moves the bytes of a connection, and retires it in time.
pub(super) enum Driver {
    Two(Box<Two>, Arc<Signals>),
    One(Box<One>),
}

impl Driver {
    /// Runs until the connection has ended or is not used any more. Only weak references are held: a connection that nobody
    /// uses closes.
    pub(super) async fn run(self, lane: Weak<Lane>, connection: Weak<Connection>, tuning: Tuning) {
        let mut watcher = Watcher::new(lane, connection, tuning);
        let ended = match self {
            Self::Two(mut connection, signals) => loop {
                tokio::select! {
                    ended = &mut connection => {
                        if signals.is_going_away() {
                            watcher.going_away();
                        }
                        break ended;
                    }
                    () = signals.changed() => {
                        if signals.is_going_away() {
                            watcher.going_away();
                        } else {
                            watcher.limited(connection.current_max_send_streams().min(MAX_STREAMS));
                        }
                    }
                    () = watcher.time_to_look() => {}
                }
            },
            Self::One(mut connection) => loop {
                tokio::select! {
                    ended = &mut connection => break ended,
                    () = watcher.time_to_look() => {}
                }
            },
        };
        watcher.ended(ended);
    }
}

/// Tells the lane what becomes of a connection.
struct Watcher {
    lane: Weak<Lane>,
    connection: Weak<Connection>,
    look: Interval,
    retire_at: Instant,
    /// Streams that had ever been open at the last look.
    used: usize,
    is_going_away: bool,
}

impl Watcher {
    fn new(lane: Weak<Lane>, connection: Weak<Connection>, tuning: Tuning) -> Self {
        let now = Instant::now();
        let mut look = interval_at(now + tuning.idle, tuning.idle);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { lane, connection, look, retire_at: now + jitter::around(tuning.age), used: 0, is_going_away: false }
    }

    fn both(&self) -> Option<(Arc<Lane>, Arc<Connection>)> {
        Some((self.lane.upgrade()?, self.connection.upgrade()?))
    }

    /// Looks now and then whether the connection is old or unused. Never returns early; does its work when it does.
    async fn time_to_look(&mut self) {
        self.look.tick().await;
        let Some((lane, connection)) = self.both() else { return };
        let used = connection.used.load(Ordering::Relaxed);
        if Instant::now() >= self.retire_at {
            lane.retire(&connection);
        } else if used == self.used {
            lane.retire_if_idle(&connection);
        }
        self.used = used;
    }

    fn limited(&self, limit: usize) {
        if let Some((lane, connection)) = self.both() {
            connection.set_limit(limit);
            lane.limit_changed(limit);
        }
    }

    fn going_away(&mut self) {
        if std::mem::replace(&mut self.is_going_away, true) {
            return;
        }
        if let Some(lane) = self.lane.upgrade() {
            lane.metrics.goaways.inc();
        }
        if let Some((lane, connection)) = self.both() {
            lane.retire(&connection);
        }
    }

    fn ended(&self, ended: hyper::Result<()>) {
        if let Err(error) = &ended {
            debug!(error = %crate::chain::Chain(error), "a connection to the control plane broke");
            if let Some(lane) = self.lane.upgrade() {
                lane.metrics.lost.inc();
            }
        }
        if let Some((lane, connection)) = self.both() {
            lane.retire(&connection);
        }
    }
}
