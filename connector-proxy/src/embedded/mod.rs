//! A small Kubernetes API server in memory.
//!
//! It is true enough that unmodified `kubectl`, client libraries and the connector itself work against it, starts in
//! milliseconds and needs nothing but a loopback port. It is behind `connector dev`, the examples, fast tests and benchmarks.
//! It is not for production: one user, no RBAC, nothing survives the process.
//!
//! # What it does
//!
//! - Namespaces with their deletion, ConfigMaps, Secrets, ServiceAccounts, Services, Events, Leases, access reviews,
//!   CustomResourceDefinitions and what they declare, APIServices.
//! - All verbs: pages, selectors, watches with bookmarks and initial events, JSON, merge and strategic patches, a simplified
//!   server-side apply, dry run, field validation, finalizers, preconditions, deletion of dependents, `status` and `scale`.
//! - Tables, metadata-only forms, both forms of discovery, OpenAPI v3.
//! - With [`Options::aggregation`], the aggregation layer: requests for the versions of an APIService go to its Service.
//! - With [`Options::crossplane`], the part of Crossplane that users of claims see.
//!
//! # What it does not
//!
//! JSON only (request bodies also in YAML, and in protobuf for a few built-in kinds); no admission; of schemas neither patterns, formats, nor CEL; lists are one field to
//! server-side apply; foreground deletion is as background; a Service is only found by `type: ExternalName`; no websockets.

mod admit;
mod aggregator;
mod api;
mod collector;
mod crossplane;
mod delete;
mod discovery;
mod fields;
mod identity;
mod internal;
mod jsonpath;
mod kinds;
mod media;
mod namespaces;
mod object;
mod openapi;
mod patch;
mod pki;
mod protobuf;
mod read;
mod render;
mod request;
mod review;
mod scale;
mod schema;
mod selector;
mod server;
mod store;
mod watch;
mod write;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::ByteString;
use rustls::ServerConfig;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use aggregator::Aggregator;
use api::Api;
use pki::Authority;
use server::Server;

pub use crossplane::example;

/// The version that the server says it is.
const VERSION: &str = "v1.34.0";
/// As whom the cluster writes what it is started with.
const LOADER: &str = "embedded";

/// How a [`Cluster`] is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of cluster, user and context in the kubeconfig. Default: `embedded`.
    pub name: String,
    /// The port on 127.0.0.1; 0, the default, for any that is free.
    pub port: u16,
    /// Serve APIServices, and pass requests for their versions on. Default: false.
    pub aggregation: bool,
    /// Play the part of Crossplane: CompositeResourceDefinitions become CustomResourceDefinitions, and claims become ready.
    /// Default: false.
    pub crossplane: bool,
    /// YAML texts of objects that are there from the start, several in one text divided by `---`. Default: none.
    pub manifests: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { name: "embedded".into(), port: 0, aggregation: false, crossplane: false, manifests: Vec::new() }
    }
}

/// A cluster could not be started, or a manifest could not be loaded.
#[derive(Debug, Error)]
pub enum Error {
    /// The port is taken, or loopback cannot be used. Choose another port.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where the server was to listen.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A key or certificate could not be made: a fault of this process.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refuses what was made: a fault of this process.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// A manifest is not YAML. Mend the manifest.
    #[error("a manifest is not YAML: {0}")]
    Yaml(String),
    /// A manifest holds an object that the server refuses. Mend the manifest.
    #[error("{object} is refused: {message}")]
    Refused {
        /// Kind and name of the object.
        object: String,
        /// What the server says.
        message: String,
    },
}

/// A running cluster; it ends when this is dropped.
pub struct Cluster {
    name: String,
    address: SocketAddr,
    authority_pem: String,
    token: String,
    api: Arc<Api>,
    server: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Starts a cluster on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// The port is taken, or a manifest is at fault.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listen = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let authority = Authority::new(&format!("{}-ca", options.name))?;
        let front = Authority::new(&format!("{}-front-proxy-ca", options.name))?;
        let names = ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let serving = authority.serving(&names)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(serving.chain, serving.key)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

        let (gone, collected) = mpsc::unbounded_channel();
        let aggregator = match options.aggregation {
            true => Some(Aggregator::new(front.client("front-proxy-client")?)),
            false => None,
        };
        let api = Arc::new(Api::new(gone, aggregator));
        let token = object::random_token();
        let mut cluster = Self {
            name: options.name,
            address,
            authority_pem: authority.pem().to_owned(),
            token: token.clone(),
            api: api.clone(),
            server: None,
        };
        cluster.seed(&authority, &front, options.aggregation)?;
        if options.crossplane {
            cluster.load(crossplane::DEFINITIONS)?;
        }
        for manifest in &options.manifests {
            cluster.load(manifest)?;
        }

        let mut background = JoinSet::new();
        background.spawn(collector::run(api.clone(), collected));
        background.spawn(namespaces::run(api.clone()));
        if options.aggregation {
            background.spawn(aggregator::run(api.clone()));
        }
        if options.crossplane {
            background.spawn(crossplane::run(api.clone()));
        }
        let server = Server { api, token, tls: TlsAcceptor::from(Arc::new(tls)) };
        cluster.server = Some(tokio::spawn(server.run(listener, background)));
        Ok(cluster)
    }

    /// Objects that every cluster has.
    fn seed(&self, authority: &Authority, front: &Authority, aggregation: bool) -> Result<(), Error> {
        let named = |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            self.install(&named("Namespace", name))?;
        }
        let mut kubernetes = named("Service", "kubernetes");
        kubernetes["metadata"]["namespace"] = "default".into();
        kubernetes["spec"] = json!({"type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": self.address.port()}]});
        self.install(&kubernetes)?;
        if aggregation {
            // Wire rule 9.1.
            self.install(&json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
                "data": {
                    "client-ca-file": authority.pem(),
                    "requestheader-client-ca-file": front.pem(),
                    "requestheader-allowed-names": "[\"front-proxy-client\"]",
                    "requestheader-username-headers": "[\"X-Remote-User\"]",
                    "requestheader-uid-headers": "[\"X-Remote-Uid\"]",
                    "requestheader-group-headers": "[\"X-Remote-Group\"]",
                    "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]"
                }
            }))?;
        }
        Ok(())
    }

    fn install(&self, object: &Value) -> Result<(), Error> {
        let refused = |status: connector_core::status::Status| Error::Refused {
            object: format!("{} {}", object["kind"].as_str().unwrap_or_default(), object::name(object)),
            message: status.message,
        };
        self.api.install(object, LOADER).map(drop).map_err(refused)
    }

    /// Creates the objects of a YAML text, or makes those that are there like them.
    ///
    /// # Errors
    ///
    /// The text is not YAML, or an object is refused; objects before it stay.
    pub fn load(&self, manifest: &str) -> Result<(), Error> {
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(manifest).map_err(|error| Error::Yaml(error.to_string()))?;
        objects.iter().filter(|object| object.is_object()).try_for_each(|object| self.install(object))
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate that the server's own is signed by, as PEM.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The bearer token of the one user, who may do everything.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A kubeconfig file for the one user, as YAML.
    pub fn kubeconfig(&self) -> String {
        let authority = json!(ByteString(self.authority_pem.clone().into_bytes()));
        let (name, url, token) = (&self.name, self.url(), &self.token);
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: {name}\n  \
               cluster:\n    \
                 server: {url}\n    \
                 certificate-authority-data: {authority}\n\
             users:\n\
             - name: {name}\n  \
               user:\n    \
                 token: {token}\n\
             contexts:\n\
             - name: {name}\n  \
               context:\n    \
                 cluster: {name}\n    \
                 user: {name}\n    \
                 namespace: default\n\
             current-context: {name}\n"
        )
    }

    /// Forgets the history of one resource, as a compaction of etcd does: watches and pages that began before it meet a 410
    /// (wire rule 11.10). For tests of that.
    pub fn compact(&self, group: &str, plural: &str) {
        self.api.store.compact(&store::Resource::new(group, plural));
    }

    /// Ends the server and every connection to it, and waits until the port is free.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // It was aborted or it panicked: it has ended either way.
            let _ = server.await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}
