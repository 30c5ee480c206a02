//! The pool's numbers.

use std::time::Duration;

/// How many, how long. [`Tuning::default`] is what is used; tests are less patient.
#[derive(Clone, Copy)]
pub(super) struct Tuning {
    /// From the first packet to the end of the handshakes, SETTINGS included.
    pub(super) connect_timeout: Duration,
    /// Connections of one lane. A last resort against a peer that allows next to no streams: there are 10,000 watches over
    /// HTTP/1.1.
    pub(super) connections: usize,
    /// Connections that are made at once: many watches that come back together must not become a storm of handshakes.
    pub(super) dials: usize,
    /// Requests that wait for a stream in one lane.
    pub(super) queue: usize,
    /// How long a request waits for a stream: longer than a connection takes, shorter than any client.
    pub(super) patience: Duration,
    /// A connection without a frame for this long is asked whether it lives (HTTP/2).
    pub(super) ping_interval: Duration,
    /// How long the answer to that may take. Both together are how late a control plane that hangs is noticed.
    pub(super) ping_timeout: Duration,
    /// How long a connection is kept unused. The last one of a lane is kept for ever on HTTP/2, where PING says that it lives.
    pub(super) idle: Duration,
    /// How long a connection takes new streams, give or take a quarter: behind a balancer a new one may end elsewhere.
    pub(super) age: Duration,
    /// How long no connection is made in advance after one could not be made.
    pub(super) spare_pause: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            connections: 10_000,
            dials: 16,
            queue: 20_000,
            patience: Duration::from_secs(15),
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            age: Duration::from_secs(3600),
            spare_pause: Duration::from_secs(1),
        }
    }
}
