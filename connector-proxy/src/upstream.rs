//! The way to the control plane: a kubeconfig kept fresh, and requests sent through it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::chain::Chain;
use crate::telemetry::Metrics;

/// How often the kubeconfig's content is looked at. Secret volumes swap a symlink, which file events miss.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// How long a connection to the control plane may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A kubeconfig cannot be used. The configuration is at fault.
#[derive(Debug, Error)]
#[error("the control plane's kubeconfig {path} cannot be used")]
pub struct UnusableKubeconfig {
    path: String,
    #[source]
    source: UnusableKubeconfigCause,
}

/// What is wrong with a kubeconfig.
#[derive(Debug, Error)]
pub(crate) enum UnusableKubeconfigCause {
    #[error(transparent)]
    Read(#[from] KubeconfigError),
    #[error(transparent)]
    Client(#[from] kube::Error),
}

/// The control plane did not take a request: nothing is known to have happened there.
#[derive(Debug, Error)]
#[error("the control plane cannot be reached")]
pub(crate) struct Unreachable(#[source] pub(crate) kube::Error);

/// The control plane's API.
///
/// Each watch has a connection of its own and short requests share a pool (HTTP/1.1), so open watches never keep a short
/// request waiting (wire rule 11.1). Dropping an answer's body ends the request at the control plane.
pub(crate) struct Upstream {
    path: PathBuf,
    client: ArcSwap<kube::Client>,
    /// Counts the kubeconfigs used; those who hold a client of their own take a new one when it moves.
    generation: watch::Sender<u64>,
    reachable: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Upstream {
    /// Reads the kubeconfig; does not yet connect.
    pub(crate) async fn open(path: &Path, metrics: Arc<Metrics>) -> Result<Self, UnusableKubeconfig> {
        let client = load(path).await?;
        Ok(Self {
            path: path.to_owned(),
            client: ArcSwap::from_pointee(client),
            generation: watch::Sender::new(0),
            reachable: AtomicBool::new(true),
            metrics,
        })
    }

    /// The client in force, for the connector's own few requests.
    pub(crate) fn client(&self) -> kube::Client {
        self.client.load().as_ref().clone()
    }

    /// Moves whenever another kubeconfig is in force.
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Sends one request; the answer's body streams.
    ///
    /// # Cancel safety
    /// Dropping the future, or later the answer's body, closes the connection that the request used, which the control
    /// plane sees as the client going away. Whether a write took effect is unknown then.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Unreachable> {
        match self.client().send(request).await {
            Ok(answer) => {
                self.observe(None);
                Ok(answer)
            }
            Err(error) => {
                self.observe(Some(&error));
                Err(Unreachable(error))
            }
        }
    }

    /// Takes note of how a request went; says so once when it changes.
    pub(crate) fn observe(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        let now = error.is_none();
        self.metrics.control_plane_reachable.set(now.into());
        if self.reachable.swap(now, Ordering::Relaxed) != now {
            match error {
                Some(error) => warn!(
                    error = %Chain(error),
                    "the control plane cannot be reached: requests for claims answer 503 until it can"
                ),
                None => info!("the control plane is reachable again"),
            }
        }
    }

    /// Takes the kubeconfig into force whenever its content, or that of a file that it names, changes. One that cannot be
    /// used is reported, and the former stays in force. Never returns.
    pub(crate) async fn follow_file(&self) {
        let mut seen = fingerprint(&self.path);
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let now = fingerprint(&self.path);
            if now == seen {
                continue;
            }
            seen = now;
            match load(&self.path).await {
                Ok(client) => {
                    self.client.store(Arc::new(client));
                    self.generation.send_modify(|generation| *generation += 1);
                    info!(path = %self.path.display(), "the control plane's kubeconfig was read again");
                }
                Err(error) => warn!(error = %Chain(&error), "the former kubeconfig stays in force"),
            }
        }
    }
}

async fn load(path: &Path) -> Result<kube::Client, UnusableKubeconfig> {
    let unusable = |source: UnusableKubeconfigCause| UnusableKubeconfig { path: path.display().to_string(), source };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(error.into()))?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| unusable(error.into()))?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // The client decides about retries: it sees the control plane's `Retry-After` (wire rule 11.7).
    config.default_retry = false;
    if config.accept_invalid_certs {
        warn!(
            "insecure-skip-tls-verify is set in the control plane's kubeconfig: anybody on the way can read and change \
             claims and their secrets; set certificate-authority-data instead"
        );
    }
    kube::Client::try_from(config).map_err(|error| unusable(error.into()))
}

/// A hash over the kubeconfig and the certificate files that it names. Token files are not part of it: the client reads
/// those again by itself.
fn fingerprint(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::fs::read(path).ok().hash(&mut hasher);
    if let Ok(kubeconfig) = Kubeconfig::read_from(path) {
        let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
        let users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
        let files = clusters
            .map(|cluster| &cluster.certificate_authority)
            .chain(users.flat_map(|user| [&user.client_certificate, &user.client_key]));
        for file in files.flatten() {
            std::fs::read(file).ok().hash(&mut hasher);
        }
    }
    hasher.finish()
}
