//! The way to the control plane: a kubeconfig kept fresh, and requests sent through a pool of connections.
//!
//! ```text
//! request ─▶ server's URL ─▶ credential ─▶ pool ─▶ lane ─▶ connection
//! ```

mod body;
mod connection;
mod dial;
mod driver;
mod frames;
mod gzip;
mod kubeconfig;
mod lane;
mod own;
mod pool;
mod slot;
#[cfg(test)]
mod tests;
mod token_file;
mod tuning;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceExt;
use tracing::{info, warn};

pub(crate) use body::Body;
pub use kubeconfig::UnusableKubeconfig;

use crate::chain::Chain;
use crate::telemetry::{Metrics, UpstreamError};
use kubeconfig::{Route, fingerprint, has_expired, hint, tell_expiry};
use lane::NoStream;
use own::Patience;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How often the kubeconfig's content is looked at. Secret volumes swap a symlink, which file events miss.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is told at most that the control plane cannot be reached, or can again: with one of two servers gone, every other
/// request says so.
const TELL_INTERVAL: Duration = Duration::from_secs(10);
/// How often a kubeconfig is read again at most that could not be used, or whose plugin gives no credential that lasts.
const RENEW_INTERVAL: Duration = Duration::from_secs(60);

/// The control plane did not take or not answer a request: nothing is known to have happened there.
#[derive(Debug, Error)]
pub(crate) enum Unreachable {
    /// It is away, or something on the way to it.
    #[error("the control plane cannot be reached")]
    Away(UpstreamError, #[source] BoxError),
    /// It is there, and has no room.
    #[error("the control plane has no room for more requests")]
    Busy(#[source] BoxError),
}

/// The control plane's API.
///
/// Over HTTP/2 many requests share a connection, and open watches never keep a short request waiting, as they have connections of
/// their own (wire rule 11.1); over HTTP/1.1, where the server speaks no other, each request under way has its own. Dropping an
/// answer's body ends the request at the control plane.
pub(crate) struct Upstream {
    path: PathBuf,
    gzip: bool,
    route: Arc<ArcSwap<Route>>,
    /// Of the kubeconfig that was read first.
    first_seen: u64,
    client: kube::Client,
    /// Counts the kubeconfigs used; those who follow the control plane begin anew when it moves.
    generation: watch::Sender<u64>,
    reachable: AtomicBool,
    /// When that last changed.
    reached: Mutex<Instant>,
    told: Mutex<Told>,
    metrics: Arc<Metrics>,
}

/// What the log says of whether the control plane can be reached.
struct Told {
    reachable: bool,
    at: Option<Instant>,
    /// Why it could not, the last time.
    error: String,
}

impl Upstream {
    /// Reads the kubeconfig; does not yet connect. `gzip` asks for answers that are compressed on the way.
    pub(crate) async fn open(path: &Path, gzip: bool, metrics: Arc<Metrics>) -> Result<Self, UnusableKubeconfig> {
        // Before it is read: what is written meanwhile is another one.
        let first_seen = fingerprint(path);
        let route = Route::read(path, gzip, &metrics).await?;
        tell_expiry(path, &metrics);
        let namespace = route.default_namespace.clone();
        let route = Arc::new(ArcSwap::from_pointee(route));
        Ok(Self {
            path: path.to_owned(),
            gzip,
            client: own::client(route.clone(), namespace, Patience::default()),
            route,
            first_seen,
            generation: watch::Sender::new(0),
            reachable: AtomicBool::new(true),
            reached: Mutex::new(Instant::now()),
            told: Mutex::new(Told { reachable: true, at: None, error: String::new() }),
            metrics,
        })
    }

    /// A client for the connector's own few requests; they go the same way, by the kubeconfig in force.
    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Moves whenever another kubeconfig is in force.
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Sends one request; the answer's body streams.
    ///
    /// # Cancel safety
    /// Dropping the future, or later the answer's body, resets the request's stream (or closes its connection, over HTTP/1.1),
    /// which the control plane sees as the client going away. Whether a write took effect is unknown then.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, Unreachable> {
        let stack = self.route.load().stack.clone();
        match stack.oneshot(request).await {
            Ok(answer) => {
                self.observe(None);
                Ok(answer)
            }
            Err(error) if matches!(error.downcast_ref(), Some(NoStream::Full(_) | NoStream::Late(_))) => {
                Err(Unreachable::Busy(error))
            }
            Err(error) => {
                self.observe(Some(error.as_ref()));
                let kind = match error.downcast_ref() {
                    Some(NoStream::Dial(_)) => UpstreamError::Connect,
                    _ => UpstreamError::Broken,
                };
                Err(Unreachable::Away(kind, error))
            }
        }
    }

    /// Takes note of how a request went; says so when it changes.
    pub(crate) fn observe(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        let now = error.is_none();
        self.metrics.upstream.reachable.set(now.into());
        if self.reachable.swap(now, Ordering::Relaxed) != now {
            *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            if let Some(error) = error {
                self.told.lock().unwrap_or_else(PoisonError::into_inner).error = Chain(error).to_string();
            }
            self.tell();
        }
    }

    /// Says whether it can be reached, where that is not what was said last, and that is a while ago.
    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.reachable.load(Ordering::Relaxed);
        if now == told.reachable || told.at.is_some_and(|at| at.elapsed() < TELL_INTERVAL) {
            return;
        }
        (told.reachable, told.at) = (now, Some(Instant::now()));
        if now {
            info!("the control plane is reachable again");
            return;
        }
        let server = &self.route.load().server;
        let hint = hint(&told.error);
        warn!(
            error = told.error,
            server, "the control plane cannot be reached: requests for claims answer 503 until it can{hint}"
        );
    }

    /// For how long the control plane has been reached without fail; zero while it is not.
    pub(crate) fn reached_for(&self) -> Duration {
        match self.reachable.load(Ordering::Relaxed) {
            true => self.reached.lock().unwrap_or_else(PoisonError::into_inner).elapsed(),
            false => Duration::ZERO,
        }
    }

    /// Whether the token or the client certificate in the kubeconfig is known to have ended.
    pub(crate) fn has_expired(&self) -> bool {
        has_expired(&self.path)
    }

    /// Takes the kubeconfig into force whenever its content, or that of a file that it names, changes, and reads it again when
    /// the credential that its plugin gave ends. One that cannot be used is reported and tried again, as what it names may come
    /// later; the former stays in force. What is under way goes on as it began. Never returns.
    pub(crate) async fn follow_file(&self) {
        let mut seen = self.first_seen;
        let mut tried = (seen, Instant::now());
        let (mut told, mut told_of_token) = (String::new(), String::new());
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            self.tell();
            tell_expiry(&self.path, &self.metrics);
            let token = self.route.load().refresh();
            tell_once(&mut told_of_token, token.as_ref().err(), "the former token of the control plane stays in force");
            let now = fingerprint(&self.path);
            let has_changed = now != seen;
            let is_new = now != tried.0;
            let may_repeat = tried.1.elapsed() >= RENEW_INTERVAL;
            let is_due = has_changed || self.route.load().is_ending();
            if !(is_due && (is_new || may_repeat)) {
                continue;
            }
            tried = (now, Instant::now());
            let read = Route::read(&self.path, self.gzip, &self.metrics).await;
            tell_once(&mut told, read.as_ref().err(), "the former kubeconfig stays in force");
            let Ok(route) = read else { continue };
            self.route.store(Arc::new(route));
            seen = now;
            if has_changed {
                self.generation.send_modify(|generation| *generation += 1);
            }
            info!(path = %self.path.display(), "the control plane's kubeconfig was read again");
        }
    }
}

/// Warns of an error, unless it is the one that was `told` last.
fn tell_once<E: std::error::Error + 'static>(told: &mut String, error: Option<&E>, what: &str) {
    let text = error.map(|error| Chain(error).to_string()).unwrap_or_default();
    if !text.is_empty() && text != *told {
        warn!(error = %text, "{what}");
    }
    *told = text;
}
