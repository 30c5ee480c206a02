//! The connector's own requests: few, but of many connectors.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Request;
use http_body_util::Full;
use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

use super::BoxError;
use super::kubeconfig::Route;
use crate::jitter;

/// How long, about, nothing is tried again after the control plane could not be reached. There is a watch for each API: a fleet
/// of connectors must not knock with all of them.
const PAUSE: Duration = Duration::from_secs(2);

/// A client of the Kubernetes library that sends by the route in force, and for a while not at all after that failed.
pub(super) fn client(route: Arc<ArcSwap<Route>>, namespace: String) -> kube::Client {
    let service = service_fn(move |request: Request<kube::client::Body>| {
        let route = route.load_full();
        async move {
            if route.pause.lasts() {
                return Err(BoxError::from("the control plane could not be reached a moment ago"));
            }
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let answer = route.stack.clone().oneshot(Request::from_parts(parts, Full::new(body))).await;
            if answer.is_err() {
                route.pause.begin();
            }
            answer
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
