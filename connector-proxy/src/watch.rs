//! The connector's own watches, of both clusters.

use std::time::Duration;

use backon::ExponentialBuilder;
use futures::Stream;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::{Error, Event, ExponentialBackoff, Result};

/// The longest pause between two tries of a watch that fails: how late the return of a cluster is noticed at the worst.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long it must go well for the pauses to begin anew. The mere announcement of another list counts as an event, so events
/// alone prove nothing.
const CALM: Duration = Duration::from_secs(30);

/// The same events; after an error the next try waits, longer each time up to [`LONGEST_PAUSE`].
pub(crate) fn with_backoff<K>(events: impl Stream<Item = Result<Event<K>>>) -> impl Stream<Item = Result<Event<K>>> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter();
    events.backoff(ResetTimerBackoff::new(ExponentialBackoff::from(pauses), CALM))
}

/// The code that the cluster answered a watch with; `None` where it did not answer.
pub(crate) fn code(error: &Error) -> Option<u16> {
    let (Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error)) = error else {
        return match error {
            Error::WatchError(status) => Some(status.code),
            _ => None,
        };
    };
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
