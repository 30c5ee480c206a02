//! The pool: two lanes, and requests that are sent again where that is safe.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, Uri};
use http_body::Body as _;
use http_body_util::Full;
use tower::Service;

use super::BoxError;
use super::body::Body;
use super::connection::Dialer;
use super::dial::Connector;
use super::lane::Lane;
use super::slot::Unanswered;
use super::tuning::Tuning;
use crate::telemetry::{LaneMetrics, Metrics};

/// How often a request is sent at most.
const TRIES: usize = 3;
/// Bytes that one short request may have unread. What was measured to be the fastest for long lists; and what one reader that
/// does not read costs.
const SHORT_WINDOW: u32 = 1 << 20;
/// The same for a watch, of which there are many: its events are small.
const WATCH_WINDOW: u32 = 256 << 10;

/// Connections to one server as one kubeconfig says. Watches have their own, so that they never keep a short request waiting
/// (wire rule 11.1).
#[derive(Clone)]
pub(super) struct Pool(Arc<Lanes>);

struct Lanes {
    watches: Arc<Lane>,
    short: Arc<Lane>,
}

impl Pool {
    /// Connects when the first request comes.
    pub(super) fn new(connector: &Connector, server: &Uri, tuning: Tuning, metrics: &Metrics) -> Self {
        let lane = |stream_window: u32, metrics: LaneMetrics| {
            let (connector, server, open) = (connector.clone(), server.clone(), metrics.connections.clone());
            Lane::new(Dialer { connector, server, stream_window, tuning, open }, metrics)
        };
        Self(Arc::new(Lanes {
            watches: lane(WATCH_WINDOW, metrics.upstream.lane("watches")),
            short: lane(SHORT_WINDOW, metrics.upstream.lane("short")),
        }))
    }

    /// Sends a request, again on another connection where the control plane cannot have acted on it, or only read.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Body>, BoxError> {
        let lane = if is_watch(request.uri()) { &self.0.watches } else { &self.0.short };
        for _ in 1..TRIES {
            let slot = lane.slot().await?;
            let again = request.clone();
            match slot.send(request).await {
                Err(failed) if may_be_repeated(&again, &failed) => {
                    lane.metrics.retries.inc();
                    request = again;
                }
                outcome => return Ok(outcome?),
            }
        }
        Ok(lane.slot().await?.send(request).await?)
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.watches.close();
        self.short.close();
    }
}

impl Service<Request<Full<Bytes>>> for Pool {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let pool = self.clone();
        Box::pin(async move { pool.send(request).await })
    }
}

/// Whether the answer ends only when it is ended, as kube-apiserver reads the parameter.
pub(super) fn is_watch(uri: &Uri) -> bool {
    let mut parameters = uri.query().unwrap_or_default().split('&');
    parameters.any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, "true"));
        name == "watch" && !matches!(value, "0" | "f" | "F" | "false" | "False" | "FALSE")
    })
}

/// What was not sent, what the peer says it did not look at (REFUSED_STREAM, or a stream above the last one that a GOAWAY names:
/// RFC 9113, sections 6.8 and 8.7; wire rule 11.3), and what only reads.
fn may_be_repeated(request: &Request<Full<Bytes>>, failed: &Unanswered) -> bool {
    if !failed.was_sent {
        return true;
    }
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_end_stream();
    let source = failed.error.as_ref().and_then(|error| error.source());
    let refused = source.and_then(|source| source.downcast_ref::<h2::Error>()).is_some_and(|error| {
        error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    });
    only_reads || refused
}

#[cfg(test)]
mod tests {
    use super::is_watch;

    #[test]
    fn watches_are_known_by_their_query() {
        let known = |uri: &str| is_watch(&uri.parse().unwrap());
        for watch in ["/a?watch=true", "/a?limit=1&watch=1", "https://h/a?watch", "/a?watch=T&x=y"] {
            assert!(known(watch), "{watch}");
        }
        for other in ["/a", "/watch/a", "/a?watch=false", "/a?watches=true", "/a?x=watch", "/a?watch=0"] {
            assert!(!known(other), "{other}");
        }
    }
}
