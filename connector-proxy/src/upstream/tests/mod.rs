//! The pool against servers that behave, and against one that does not. Nothing here leaves the process, but for the tests of
//! kubeconfigs, which use loopback.

mod connections;
mod flow;
mod gzip;
mod peer;
mod route;
mod streams;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::timeout;

use super::BoxError;
use super::body::Body;
use super::dial::Connector;
use super::lane::NoStream;
use super::pool::Pool;
use super::tuning::Tuning;
use crate::telemetry::Metrics;
use peer::{Connect, Do, Peer};

/// How long anything may take before the test fails: nothing here takes a tenth of it.
const LONG: Duration = Duration::from_secs(20);
const ONE: &str = "http://server/one";
const WATCH: &str = "http://server/all?watch=true";

fn pool(connector: &Connector, tuning: Tuning) -> Pool {
    Pool::new(connector, &"http://server".parse().unwrap(), tuning, &Metrics::new())
}

/// The same, and how many requests are under way in a lane of it.
fn watched_pool(connector: &Connector, tuning: Tuning, lane: &'static str) -> (Pool, impl Fn() -> i64 + use<>) {
    let metrics = Metrics::new();
    let pool = Pool::new(connector, &"http://server".parse().unwrap(), tuning, &metrics);
    (pool, move || metrics.upstream.lane(lane).streams.get())
}

async fn send(pool: &Pool, method: Method, uri: &str, body: &'static str) -> Result<Response<Body>, BoxError> {
    let request = Request::builder().method(method).uri(uri).body(Full::from(body)).unwrap();
    timeout(LONG, pool.send(request)).await.expect("an outcome in time")
}

async fn get(pool: &Pool, uri: &str) -> Result<Response<Body>, BoxError> {
    send(pool, Method::GET, uri, "").await
}

/// A watch, of which the first byte has come.
async fn watch(pool: &Pool) -> Body {
    let mut body = get(pool, WATCH).await.expect("a watch").into_body();
    assert_eq!(next(&mut body).await.expect("the first byte"), "x");
    body
}

/// The next bytes; `None` where it ends or breaks.
async fn next(body: &mut Body) -> Option<Bytes> {
    let frame = timeout(LONG, body.frame()).await.expect("a frame in time")?;
    frame.ok()?.into_data().ok()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, wait).await.unwrap_or_else(|_| panic!("{what} never held"));
}
