//! The connector's own requests: few, but of many connectors.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Request;
use http_body_util::Full;
use tokio::time::{Instant, timeout};
use tower::{ServiceExt, service_fn};
use tower_http::timeout::TimeoutBody;

use super::BoxError;
use super::kubeconfig::Route;
use super::pool::is_watch;
use crate::jitter;

/// How long, about, nothing is tried again after the control plane could not be reached. There is a watch for each API: a fleet
/// of connectors must not knock with all of them.
const PAUSE: Duration = Duration::from_secs(2);

/// How long an answer may take to begin, and be silent after that. The library waits for ever, and with it whoever asked, for a
/// control plane that took a request and forgot it.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// With an answer that ends by itself. kube-apiserver gives up after a minute (wire rule 11.4).
    pub(super) answer: Duration,
    /// With the events of a watch, which the server ends after 290 s.
    pub(super) events: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer: Duration::from_secs(65), events: Duration::from_secs(330) }
    }
}

/// A client of the Kubernetes library that sends by the route in force, and for a while not at all after that failed.
pub(super) fn client(route: Arc<ArcSwap<Route>>, namespace: String, patience: Patience) -> kube::Client {
    let service = service_fn(move |request: Request<kube::client::Body>| {
        let route = route.load_full();
        async move {
            if route.pause.lasts() {
                return Err(BoxError::from("the control plane could not be reached a moment ago"));
            }
            let (parts, body) = request.into_parts();
            let silence = if is_watch(&parts.uri) { patience.events } else { patience.answer };
            let body = body.collect_bytes().await?;
            let work = route.stack.clone().oneshot(Request::from_parts(parts, Full::new(body)));
            let answer = timeout(patience.answer, work).await;
            let answer = answer.unwrap_or_else(|_| Err(BoxError::from("the control plane does not answer")));
            if answer.is_err() {
                route.pause.begin();
            }
            Ok(answer?.map(|body| TimeoutBody::new(silence, body)))
        }
    });
    kube::Client::new(service, namespace)
}

/// Until when nothing is tried.
#[derive(Default)]
pub(super) struct Pause(Mutex<Option<Instant>>);

impl Pause {
    fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + jitter::around(PAUSE));
    }

    fn lasts(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}
