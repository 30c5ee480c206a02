//! The control plane's kubeconfig: read, watched for changes, and made into a way to send requests.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;
use tower::Layer;
use tower::util::{BoxCloneSyncService, MapRequestLayer};
use tracing::warn;

use super::BoxError;
use super::body::Body;
use super::dial;
use super::gzip::Gzip;
use super::own::Pause;
use super::pool::Pool;
use super::token_file::{TokenFile, TokenFileError};
use super::tuning::Tuning;
use crate::credential::Expiry;
use crate::telemetry::Metrics;

/// How long before a client certificate of an exec plugin ends another one is asked for.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// A kubeconfig cannot be used. The configuration is at fault.
#[derive(Debug, Error)]
#[error("the control plane's kubeconfig {path} cannot be used{hint}")]
pub struct UnusableKubeconfig {
    path: String,
    /// What is there in its place, where it is not there.
    hint: String,
    #[source]
    source: UnusableKubeconfigCause,
}

/// What is wrong with a kubeconfig.
#[derive(Debug, Error)]
pub(crate) enum UnusableKubeconfigCause {
    #[error(transparent)]
    Read(#[from] KubeconfigError),
    #[error(transparent)]
    TokenFile(#[from] TokenFileError),
    #[error(transparent)]
    Client(#[from] kube::Error),
}

/// What a request passes on its way: the server's URL, the credential, headers, the pool.
pub(super) type Stack = BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, BoxError>;

/// The way to the control plane that one reading of a kubeconfig gives.
pub(super) struct Route {
    pub(super) stack: Stack,
    pub(super) default_namespace: String,
    /// The control plane's URL.
    pub(super) server: String,
    /// For the connector's own requests, where this route led nowhere.
    pub(super) pause: Pause,
    /// Where the token comes from that requests carry, if that is a file of its own.
    token_file: Option<TokenFile>,
    /// When the client certificate that an exec plugin gave ends, in seconds since 1970. Tokens renew themselves.
    ends: Option<i64>,
}

impl Route {
    /// Reads the kubeconfig; does not yet connect.
    pub(super) async fn read(path: &Path, gzip: bool, metrics: &Metrics) -> Result<Self, UnusableKubeconfig> {
        let unusable = |source: UnusableKubeconfigCause| UnusableKubeconfig {
            path: path.display().to_string(),
            hint: neighbours(path),
            source,
        };
        let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(error.into()))?;
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|error| unusable(error.into()))?;
        if config.accept_invalid_certs {
            warn!(
                "insecure-skip-tls-verify is set in the control plane's kubeconfig: anybody on the way can read and change \
                 claims and their secrets; set certificate-authority-data instead"
            );
        }
        // A token in the kubeconfig itself counts before one in a file.
        let token_file = config.auth_info.token_file.take().filter(|_| config.auth_info.token.is_none());
        let token_file = token_file.map(|file| TokenFile::open(Path::new(&file))).transpose();
        let token_file = token_file.map_err(|error| unusable(error.into()))?;
        Self::new(&config, token_file, gzip, metrics).map_err(|error| unusable(error.into()))
    }

    fn new(
        config: &kube::Config,
        token_file: Option<TokenFile>,
        gzip: bool,
        metrics: &Metrics,
    ) -> Result<Self, kube::Error> {
        let pool = Pool::new(&dial::connector(config)?, &config.cluster_url, Tuning::default(), metrics);
        let pool = if gzip { Stack::new(Gzip::new(pool)) } else { Stack::new(pool) };
        let inner = config.extra_headers_layer()?.layer(pool);
        let auth = config.auth_layer()?;
        let ends = match (&config.auth_info.exec, &auth) {
            // Only the library's own client tells it.
            (Some(_), None) => {
                kube::Client::try_from(config.clone())?.valid_until().as_ref().map(|end| end.as_second())
            }
            _ => None,
        };
        let server = config.base_uri_layer();
        let stack = match (auth, token_file.clone()) {
            (Some(auth), _) => Stack::new(server.layer(auth.layer(inner))),
            (None, Some(file)) => {
                let auth = MapRequestLayer::new(move |mut request: Request<_>| {
                    request.headers_mut().insert(header::AUTHORIZATION, file.header());
                    request
                });
                Stack::new(server.layer(auth.layer(inner)))
            }
            (None, None) => Stack::new(server.layer(inner)),
        };
        let default_namespace = config.default_namespace.clone();
        let (server, pause) = (config.cluster_url.to_string(), Pause::default());
        Ok(Self { stack, default_namespace, server, pause, token_file, ends })
    }

    /// Takes the token that its file holds now, where it has one.
    pub(super) fn refresh(&self) -> Result<(), TokenFileError> {
        self.token_file.as_ref().map_or(Ok(()), TokenFile::refresh)
    }

    /// Whether the credential ends soon, and another one has to be asked for.
    pub(super) fn is_ending(&self) -> bool {
        let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + RENEW_BEFORE;
        self.ends.is_some_and(|ends| i64::try_from(soon.as_secs()).is_ok_and(|soon| soon >= ends))
    }
}

/// Tells when the credential ends. A kubeconfig that cannot be read tells nothing new.
pub(super) fn tell_expiry(path: &Path, metrics: &Metrics) {
    if let Ok(kubeconfig) = Kubeconfig::read_from(path) {
        let expiry = Expiry::of(&kubeconfig);
        metrics.credential_lasts(expiry.issued, expiry.token);
        metrics.certificate_ends("control-plane-client", expiry.certificate);
    }
}

/// Whether the credential is known to have ended.
pub(super) fn has_expired(path: &Path) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expiry = Kubeconfig::read_from(path).map(|kubeconfig| Expiry::of(&kubeconfig)).unwrap_or_default();
    let ends = expiry.token.into_iter().chain(expiry.certificate).min();
    ends.is_some_and(|ends| u64::try_from(ends).is_ok_and(|ends| ends <= now))
}

/// The mounted Secret may have it under another key.
fn neighbours(path: &Path) -> String {
    let (false, Some(folder)) = (path.exists(), path.parent()) else { return String::new() };
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort_unstable();
    names.truncate(5);
    if names.is_empty() {
        return String::new();
    }
    format!(" (beside it there is {}: if that is meant, name it with --control-plane-kubeconfig)", names.join(", "))
}

/// What to do about a control plane that cannot be reached, beside to wait.
pub(super) fn hint(error: &str) -> &'static str {
    match error {
        error if error.contains("certificate") => {
            ". If its certificate is right, name the CA that issued it in certificate-authority of the control plane's kubeconfig"
        }
        error if error.contains("dns error") || error.contains("lookup") => {
            ". Is the server's name in the control plane's kubeconfig right, and known here?"
        }
        _ => "",
    }
}

/// A hash over the kubeconfig and the certificate files that it names. Token files are not part of it: another token needs no other
/// connections ([`Route::refresh`]).
pub(super) fn fingerprint(path: &Path) -> u64 {
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
