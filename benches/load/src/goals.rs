//! What is to be reached, as ratios within one round.

use crate::report::Round;

/// One bound.
pub(crate) struct Goal {
    pub(crate) id: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) text: &'static str,
    /// Of the connector.
    value: &'static str,
    to: To,
    pub(crate) bound: Bound,
}

/// What a value is held against.
enum To {
    /// Nothing: the bound is in the value's own unit.
    Nothing,
    /// The same value of another contender.
    Peer(&'static str),
    /// Another value of the connector.
    Own(&'static str),
    /// What another contender adds to the direct way, compared with what the connector adds.
    Added(&'static str),
    /// A contender's value of the same name in another scenario of the same round.
    Scenario(&'static str),
}

/// On which side of a number it has to be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    /// By which factor it is missed.
    pub(crate) fn missed_by(self, value: f64) -> f64 {
        match self {
            Self::AtMost(bound) => value / bound,
            Self::AtLeast(bound) => bound / value,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
        }
    }
}

impl Goal {
    /// The number that the bound is for, in one round; `None` where something was not measured.
    pub(crate) fn number(&self, round: &Round<'_>) -> Option<f64> {
        let own = round.value(self.scenario, "connector", self.value)?;
        Some(match self.to {
            To::Nothing => own,
            To::Peer(peer) => own / round.value(self.scenario, peer, self.value)?,
            To::Own(value) => own / round.value(self.scenario, "connector", value)?,
            To::Added(peer) => {
                let direct = round.value(self.scenario, "direct", self.value)?;
                (own - direct) / (round.value(self.scenario, peer, self.value)? - direct)
            }
            To::Scenario(scenario) => own / round.value(scenario, "connector", self.value)?,
        })
    }
}

const fn goal(
    id: &'static str,
    scenario: &'static str,
    text: &'static str,
    value: &'static str,
    to: To,
    bound: Bound,
) -> Goal {
    Goal { id, scenario, text, value, to, bound }
}

use Bound::{AtLeast, AtMost};
use To::{Added, Nothing, Own, Peer, Scenario};

const REQUEST: &str = "CPU us/request";
const MEGABYTE: &str = "CPU ms/MB";

/// All of them.
pub(crate) const GOALS: [Goal; 44] = [
    goal("P1", "get", "CPU for a small GET, of Go's", REQUEST, Peer("go"), AtMost(0.30)),
    goal("P1", "get", "of Go's with a BufferPool", REQUEST, Peer("go-pool"), AtMost(0.40)),
    goal("P1", "get", "of nginx's", REQUEST, Peer("nginx"), AtMost(0.75)),
    goal("P1", "get", "of haproxy's", REQUEST, Peer("haproxy"), AtMost(1.5)),
    goal("P1", "get", "requests per second, of Go's", "requests/s", Peer("go"), AtLeast(3.3)),
    goal(
        "P2",
        "get-one",
        "CPU for a small GET over HTTP/1.1 (here with TLS), of Go's",
        REQUEST,
        Peer("go"),
        AtMost(0.40),
    ),
    goal("P2", "get-one", "of nginx's", REQUEST, Peer("nginx"), AtMost(1.4)),
    goal("P2", "get-one", "of haproxy's", REQUEST, Peer("haproxy"), AtMost(1.4)),
    goal("P3", "latency", "added p50 at 5,000/s, of nginx's", "p50 us", Added("nginx"), AtMost(1.25)),
    goal("P3", "latency", "of haproxy's", "p50 us", Added("haproxy"), AtMost(1.0)),
    goal("P3", "latency", "added p99, of Go's", "p99 us", Added("go"), AtMost(0.25)),
    goal("P3", "latency", "of haproxy's", "p99 us", Added("haproxy"), AtMost(1.0)),
    goal("P4", "list", "CPU for a list, of Go's pass-through", MEGABYTE, Peer("go"), AtMost(0.70)),
    goal("P4", "list", "of haproxy's", MEGABYTE, Peer("haproxy"), AtMost(0.55)),
    goal("P4", "list", "of nginx's", MEGABYTE, Peer("nginx"), AtMost(0.45)),
    goal("P4", "list", "of Go's rewriting", MEGABYTE, Peer("go-rewrite"), AtMost(0.04)),
    goal("P5", "list", "CPU for a list, of our own pass-through", MEGABYTE, Peer("pass"), AtMost(1.35)),
    goal("P5", "list", "MB/s, of our own pass-through", "MB/s", Peer("pass"), AtLeast(0.9)),
    goal("P5", "list", "CPU, of TLS without HTTP", MEGABYTE, Peer("shovel"), AtMost(1.5)),
    goal("P6", "watch", "CPU for an event, of Go's", "CPU us/event", Peer("go"), AtMost(0.60)),
    goal("P6", "watch", "of haproxy's", "CPU us/event", Peer("haproxy"), AtMost(0.55)),
    goal("P6", "watch", "events per second, of Go's", "events/s", Peer("go"), AtLeast(1.3)),
    goal("P7", "list", "peak MiB while lists are rewritten", "peak MiB", Nothing, AtMost(22.9)),
    goal("P7", "list", "of Go's rewriting", "peak MiB", Peer("go-rewrite"), AtMost(0.05)),
    goal("P7", "slow", "MiB for a list that is read slowly", "MiB/list", Nothing, AtMost(1.9)),
    goal("P8", "interference", "p50 beside two lists, of the quiet one", "p50 us", Own("quiet p50 us"), AtMost(2.0)),
    goal("P8", "interference", "p99, of nginx's", "p99 us", Peer("nginx"), AtMost(1.0)),
    goal("P8", "interference", "p99, of haproxy's", "p99 us", Peer("haproxy"), AtMost(1.0)),
    goal("H1", "idle", "upstream connections for 10,000 watches", "upstream connections", Nothing, AtMost(102.0)),
    goal(
        "H1",
        "idle",
        "ms for a GET beside them, handshake included",
        "GET ms, new connection",
        Nothing,
        AtMost(100.0),
    ),
    goal("H2", "slow", "p50 beside 20 slow readers, of the quiet one", "p50 us", Own("quiet p50 us"), AtMost(2.0)),
    goal("H2", "slow", "slowest in microseconds", "max us", Nothing, AtMost(100_000.0)),
    goal("W1", "idle", "KiB for an idle watch", "KiB/watch", Nothing, AtMost(5.86)),
    goal("W1", "idle", "of Go's", "KiB/watch", Peer("go"), AtMost(0.143)),
    goal("W1", "idle-sparse", "KiB at ten to a connection", "KiB/watch", Nothing, AtMost(8.79)),
    goal("W2", "idle-one", "KiB for an idle watch over HTTP/1.1 with TLS", "KiB/watch", Nothing, AtMost(53.7)),
    goal("W2", "idle-one", "of Go's", "KiB/watch", Peer("go"), AtMost(0.65)),
    goal("W3", "idle", "KiB for a watch of 10,000, of that of 1,000", "KiB/watch", Scenario("idle-few"), AtMost(1.0)),
    goal("W3", "idle", "CPU % of 10,000 idle watches", "CPU %", Nothing, AtMost(1.0)),
    goal("C1", "rest", "MiB for one more cluster: a process", "MiB", Nothing, AtMost(19.1)),
    goal("C1", "rest", "of Go's process", "MiB", Peer("go"), AtMost(1.0)),
    goal("C1", "rest", "upstream connections at rest", "upstream connections", Nothing, AtMost(2.0)),
    goal("C1", "rest", "CPU % at rest", "CPU %", Nothing, AtMost(0.1)),
    goal("G", "rest", "MiB at rest", "MiB", Nothing, AtMost(19.1)),
];
