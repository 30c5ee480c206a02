//! The whole connector: its parts made, joined and ended.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use connector_core::origin::{ClusterId, Hashed};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, ResourceExt};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::admission::Namespaces;
use crate::catalog;
use crate::claims::Claims;
use crate::config::{AppCluster, Config};
use crate::credential::Renewal;
use crate::forward::Corridor;
use crate::identity::{Authorizer, TrustSource};
use crate::leader::{self, Candidate};
use crate::owner::Owner;
use crate::registrar::{self, Registrar};
use crate::serve::{self, CertificateError, CertificateSource, Source};
use crate::sync::{InputPolicy, Syncer};
use crate::telemetry::{Metrics, serve_admin};
use crate::upstream::{UnusableKubeconfig, Upstream};

/// How long a start waits for the control plane to tell what it offers before it is ready without: nobody is to be sent to a replica
/// that knows nothing while another one knows, and no outage is to keep all of them from being ready.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// How long the end waits until another replica may write.
const RELEASE: Duration = Duration::from_secs(2);
/// How often the claim namespace is looked for while it is not there.
const NAMESPACE_RETRY: Duration = Duration::from_secs(10);

/// How long the app cluster's API may be silent on a connection: longer than a watch lasts, which the server ends after 290 s. The
/// library waits for ever, and with it whoever asked, for a server that took a request and is gone.
const APP_CLUSTER_PATIENCE: Duration = Duration::from_secs(330);

/// The connector cannot start, or cannot go on.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The app cluster's kubeconfig cannot be used. The configuration is at fault.
    #[error("the app cluster's kubeconfig cannot be used")]
    AppClusterKubeconfig(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The control plane's kubeconfig cannot be used. The configuration is at fault.
    #[error(transparent)]
    ControlPlaneKubeconfig(#[from] UnusableKubeconfig),
    /// The app cluster's API cannot be reached.
    #[error(
        "the app cluster at {server} cannot be reached: check server and certificate-authority in its kubeconfig, and the way there"
    )]
    AppClusterAway {
        /// Its URL.
        server: String,
        /// Why.
        source: kube::Error,
    },
    /// The app cluster's id cannot be read. A right is missing.
    #[error(
        "cannot read namespace kube-system of the app cluster, whose UID is the cluster id: grant get on it, or give --cluster-id"
    )]
    ClusterId(#[source] kube::Error),
    /// The UID of the app cluster's `kube-system` is missing or no cluster id.
    #[error("namespace kube-system of the app cluster has no UID that can be a cluster id: give --cluster-id")]
    NoClusterId,
    /// There is no serving certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: choose another address with --{option}")]
    Listen {
        /// What configures it.
        option: &'static str,
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A part of the connector failed. The connector is at fault.
    #[error("a part of the connector failed")]
    Part(#[source] tokio::task::JoinError),
}

/// Serves the control plane's claim APIs in the app cluster until `shutdown` resolves, then drains.
///
/// It starts although the control plane is away, and needs the app cluster's API from the start. The process's default
/// [`rustls::crypto::CryptoProvider`] must be installed.
///
/// # Errors
/// See [`ServeError`]; each says what to do.
///
/// # Cancel safety
/// Dropping the future stops everything at once, open requests included. Nothing is lost but those.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let metrics = Arc::new(Metrics::new());
    let mut parts = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    // The app cluster may be away, and nobody should have to kill what waits for it.
    let Start { app_cluster, upstream, scheme, listener, owner, certificate } = tokio::select! {
        started = start(&config, &metrics, &mut parts) => started?,
        () = &mut shutdown => return Ok(()),
    };
    let serving = certificate.subscribe();
    parts.spawn(certificate.keep_fresh());

    let trust = Arc::new(TrustSource::new());
    {
        let (trust, app_cluster, metrics) = (trust.clone(), app_cluster.clone(), metrics.clone());
        parts.spawn(async move { trust.follow(app_cluster, &metrics).await });
    }
    {
        let upstream = upstream.clone();
        parts.spawn(async move { upstream.follow_file().await });
    }
    let (publish, snapshots) = watch::channel(None);
    parts.spawn(catalog::follow(upstream.clone(), publish, metrics.clone()));
    {
        let (mut snapshots, metrics) = (snapshots.clone(), metrics.clone());
        parts.spawn(async move {
            if tokio::time::timeout(START_PATIENCE, snapshots.wait_for(Option::is_some)).await.is_err() {
                warn!("the control plane has not told yet what it offers; serving without, so requests for claims answer 503");
            }
            metrics.set_informed();
            std::future::pending::<()>().await;
        });
    }

    let (registered, follow_registered) = registrar::follow(app_cluster.clone(), &config.service, metrics.clone());
    parts.spawn(follow_registered);
    let (namespaces, follow_namespaces) = Namespaces::follow(app_cluster.clone());
    parts.spawn(follow_namespaces);

    let claims = Arc::new(Claims::new(scheme.clone()));
    parts.spawn(claims.clone().follow(upstream.clone(), snapshots.clone()));

    let (end, ending) = watch::channel(false);
    let (drain, draining) = watch::channel(false);
    let inputs = Arc::new(InputPolicy::of(&config));
    let corridor = Arc::new(Corridor {
        scheme: scheme.clone(),
        trust,
        authorizer: Authorizer::new(app_cluster.clone()),
        namespaces,
        catalog: snapshots.clone(),
        registered: registered.clone(),
        claims: claims.clone(),
        upstream: upstream.clone(),
        metrics: metrics.clone(),
        apis: config.apis,
        input_secrets_from: config.input_secrets_from,
        drain: draining.clone(),
    });
    let candidate = Candidate {
        leases: Api::namespaced(app_cluster.clone(), &config.service.namespace),
        identity: leader::identity(),
        owner: owner.clone(),
    };
    let secret = config.credential_secret.clone();
    let renewal = secret.map(|secret| Renewal::new(app_cluster.clone(), secret, upstream.clone()));
    let registrar = Registrar {
        app_cluster: app_cluster.clone(),
        upstream: upstream.clone(),
        service: config.service.clone(),
        owner,
        metrics: metrics.clone(),
        catalog: snapshots.clone(),
        serving: serving.clone(),
    };
    let sync = Syncer {
        app_cluster,
        upstream,
        scheme,
        claims,
        catalog: snapshots,
        service: config.service,
        options: Arc::new(config.sync),
        inputs,
        metrics: metrics.clone(),
    };
    // Registration makes the front call at once, so the listener comes first.
    let mut server = tokio::spawn(serve::serve(listener, serving, corridor, draining, config.drain));
    let mut writers = JoinSet::new();
    writers.spawn(sync.run(candidate.clone(), ending.clone()));
    writers.spawn(registrar.run(candidate, registered, renewal, ending));

    let failed = tokio::select! {
        () = &mut shutdown => None,
        ended = parts.join_next() => ended.and_then(Result::err),
        ended = writers.join_next() => ended.and_then(Result::err),
        ended = &mut server => return ended.map_err(ServeError::Part),
    };
    metrics.set_ending();
    // The Leases go back at once: another replica may write while this one still serves.
    end.send_replace(true);
    if failed.is_none() {
        tokio::select! {
            () = tokio::time::sleep(config.shutdown_delay) => {}
            ended = &mut server => return ended.map_err(ServeError::Part),
        }
    }
    drain.send_replace(true);
    let drained = server.await;
    let _ = tokio::time::timeout(RELEASE, writers.join_all()).await;
    match failed {
        Some(part) => Err(ServeError::Part(part)),
        None => drained.map_err(ServeError::Part),
    }
}

/// What there has to be before anything can be served.
struct Start {
    app_cluster: kube::Client,
    upstream: Arc<Upstream>,
    scheme: Arc<Hashed>,
    listener: TcpListener,
    owner: Arc<Owner>,
    certificate: CertificateSource,
}

/// Makes that; health is told meanwhile.
async fn start(config: &Config, metrics: &Arc<Metrics>, parts: &mut JoinSet<()>) -> Result<Start, ServeError> {
    let (app_cluster, server) = app_cluster_client(&config.app_cluster).await?;
    let (kubeconfig, gzip) = (&config.control_plane_kubeconfig, config.control_plane_gzip);
    let upstream = Arc::new(Upstream::open(kubeconfig, gzip, metrics.clone()).await?);
    let cluster = match config.cluster_id.clone() {
        Some(id) => id,
        None => cluster_id(&app_cluster, server).await?,
    };
    let scheme = Arc::new(Hashed { cluster, claim_namespace: config.claim_namespace.clone() });

    let admin = listen("admin-listen", config.admin_listen).await?;
    let listener = listen("listen", config.listen).await?;
    info!(
        listen = %local(&listener),
        admin = %local(&admin),
        cluster_id = %scheme.cluster,
        claim_namespace = scheme.claim_namespace,
        "starting"
    );
    parts.spawn(serve_admin(admin, metrics.clone()));
    {
        let (upstream, namespace) = (upstream.clone(), config.claim_namespace.clone());
        parts.spawn(async move { await_claim_namespace(&upstream, &namespace).await });
    }
    let owner = Owner::new(app_cluster.clone(), config.owner.clone());
    // What is made at the start is to have it; what it says of a failure the other look says.
    let _ = owner.read().await;
    {
        let owner = owner.clone();
        parts.spawn(async move { owner.follow().await });
    }
    let source = match &config.tls {
        Some(files) => Source::Files(files.clone()),
        None => Source::Generated {
            secrets: Box::new(Api::namespaced(app_cluster.clone(), &config.service.namespace)),
            service: config.service.clone(),
            owner: owner.clone(),
        },
    };
    let certificate = CertificateSource::open(source, metrics.clone()).await?;
    Ok(Start { app_cluster, upstream, scheme, listener, owner, certificate })
}

/// A client of the app cluster, and its URL.
async fn app_cluster_client(source: &AppCluster) -> Result<(kube::Client, String), ServeError> {
    let unusable = |error: Box<dyn std::error::Error + Send + Sync>| ServeError::AppClusterKubeconfig(error);
    let mut config = match source {
        // The service account's files win over a kubeconfig that happens to lie around.
        AppCluster::Inferred => match kube::Config::incluster() {
            Ok(config) => config,
            Err(_) => kube::Config::infer().await.map_err(|error| unusable(error.into()))?,
        },
        AppCluster::Kubeconfig(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(error.into()))?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(error.into()))?
        }
    };
    config.read_timeout = Some(APP_CLUSTER_PATIENCE);
    config.write_timeout = Some(APP_CLUSTER_PATIENCE);
    // Else the time that a connection was not used would count.
    config.reset_reader_on_write = true;
    let server = config.cluster_url.to_string();
    Ok((kube::Client::try_from(config).map_err(|error| unusable(error.into()))?, server))
}

async fn cluster_id(app_cluster: &kube::Client, server: String) -> Result<ClusterId, ServeError> {
    let namespaces = Api::<Namespace>::all(app_cluster.clone());
    let kube_system = namespaces.get("kube-system").await.map_err(|error| match error {
        error @ kube::Error::Api(_) => ServeError::ClusterId(error),
        source => ServeError::AppClusterAway { server, source },
    })?;
    kube_system.uid().and_then(|uid| uid.parse().ok()).ok_or(ServeError::NoClusterId)
}

async fn listen(option: &'static str, address: std::net::SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { option, address, source })
}

fn local(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}

/// Sees to it that the claim namespace exists, once the control plane can be reached; says once what is in the way. Never returns.
async fn await_claim_namespace(upstream: &Upstream, namespace: &str) {
    let mut complained = false;
    loop {
        match ensure_claim_namespace(upstream, namespace).await {
            Ok(()) => std::future::pending().await,
            Err(kube::Error::Api(status)) if complained => {
                debug!(code = status.code, message = status.message, "the claim namespace is not there yet");
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                complained = true;
                error!(
                    message = status.message,
                    "namespace {namespace:?} does not exist in the control plane and the connector may not create it: \
                     create it (kubectl create namespace {namespace}), or grant create on namespaces"
                );
            }
            Err(kube::Error::Api(status)) => {
                complained = true;
                warn!(
                    code = status.code,
                    message = status.message,
                    "the control plane does not say whether the claim namespace {namespace:?} exists"
                );
            }
            Err(error) => upstream.observe(Some(&error)),
        }
        tokio::time::sleep(NAMESPACE_RETRY).await;
    }
}

async fn ensure_claim_namespace(upstream: &Upstream, name: &str) -> Result<(), kube::Error> {
    let namespaces = Api::<Namespace>::all(upstream.client());
    match namespaces.get_metadata_opt(name).await {
        Ok(Some(_)) => return Ok(()),
        Ok(None) => {}
        // An account that may only work inside its namespace cannot tell whether it exists; requests will.
        Err(kube::Error::Api(status)) if status.code == 403 => return Ok(()),
        Err(error) => return Err(error),
    }
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    match namespaces.create(&PostParams::default(), &namespace).await {
        Ok(_) => {
            info!(namespace = name, "the claim namespace was created in the control plane");
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}
