//! Many connectors and one control plane: what the control plane sees of them when they start, at rest, when an API is added, and
//! when it comes back after it was away. `benches/README.md` says what the numbers mean.
//!
//!     cargo run --release -p load --example fleet -- [CONNECTORS [APIS]]

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it measures")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Free};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use connector_proxy::embedded::{Cluster, Options};
use connector_proxy::{AppCluster, Config, ServiceReference, SyncOptions};
use futures::{StreamExt, TryStreamExt, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Streams on one connection, as kube-apiserver allows them (wire rule 11.1).
const STREAMS: u32 = 100;
/// How long it is looked at when nothing happens, and after something happened.
const LOOK: Duration = Duration::from_secs(120);
/// How long the control plane is away.
const AWAY: Duration = Duration::from_secs(30);
/// What requests that come at once are counted in.
const SLICE: Duration = Duration::from_millis(100);
/// Connectors that are started at once: a rollout of a fleet is spread by its own nature.
const STARTS_AT_ONCE: usize = 8;

/// The way to the control plane: it counts, and can be cut.
struct Gate {
    control_plane: Client,
    seen: Mutex<Seen>,
    connections: AtomicUsize,
    watches: Arc<AtomicUsize>,
    is_open: AtomicBool,
    /// Changes when all connections are cut.
    cut: watch::Sender<u32>,
}

/// What came since it was last looked at.
#[derive(Default)]
struct Seen {
    requests: BTreeMap<String, usize>,
    /// When each request came; those that found nobody as well.
    at: Vec<Instant>,
    handshakes: usize,
    knocks: usize,
    bytes: usize,
}

impl Gate {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>, listener: TcpListener, tls: TlsAcceptor) -> Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            if !self.is_open.load(Ordering::Relaxed) {
                self.seen().knocks += 1;
                continue;
            }
            let (gate, tls, mut cut) = (self.clone(), tls.clone(), self.cut.subscribe());
            tokio::spawn(async move {
                gate.connections.fetch_add(1, Ordering::Relaxed);
                tokio::select! {
                    () = gate.clone().serve(stream, tls) => {}
                    _ = cut.changed() => {}
                }
                gate.connections.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, tls: TlsAcceptor) {
        let Ok(stream) = tls.accept(stream).await else { return };
        self.seen().handshakes += 1;
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
        let service = service_fn(move |request| {
            let gate = self.clone();
            async move { Ok::<_, Infallible>(gate.answer(request).await) }
        });
        // How it ends is the connector's affair.
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.pass(request).await.unwrap_or_else(|error| {
            let body = Full::from(format!("{error:#}")).map_err(|never| match never {}).boxed_unsync();
            let mut answer = Response::new(body);
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        })
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        let kind = kind(&request);
        let is_watch = kind.starts_with("watch");
        {
            let mut seen = self.seen();
            seen.at.push(Instant::now());
            *seen.requests.entry(kind).or_default() += 1;
        }
        let (mut parts, body) = request.into_parts();
        parts.uri = parts.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        parts.version = http::Version::default();
        parts.headers.remove(header::HOST);
        parts.headers.remove(header::AUTHORIZATION);
        let body = kube::client::Body::from(body.collect().await?.to_bytes().to_vec());
        let (mut parts, body) = self.control_plane.send(Request::from_parts(parts, body)).await?.into_parts();
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.headers.remove(header::CONNECTION);
        if is_watch {
            let open = Open::new(self.watches.clone());
            let body = body.map_err(move |error| {
                let _ = &open;
                error.into()
            });
            return Ok(Response::from_parts(parts, body.boxed_unsync()));
        }
        let bytes = body.collect().await?.to_bytes();
        self.seen().bytes += bytes.len();
        let body = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
        Ok(Response::from_parts(parts, body))
    }

    /// Prints what came since, for each connector.
    fn tell(&self, what: &str, connectors: usize, since: Instant, lasted: Duration) {
        let seen = std::mem::take(&mut *self.seen());
        let each = |count: usize| count as f64 / connectors as f64;
        let mut slices = BTreeMap::<u128, usize>::new();
        for at in &seen.at {
            *slices.entry(at.duration_since(since).as_millis() / SLICE.as_millis()).or_default() += 1;
        }
        let busiest = slices.values().max().copied().unwrap_or_default();
        println!(
            "| {what} | {:.0} s | {:.2} | {:.1} kB | {:.2} | {:.2} | {:.1} % | {:.2} | {:.2} |",
            lasted.as_secs_f64(),
            each(seen.at.len()),
            each(seen.bytes) / 1e3,
            each(seen.handshakes),
            each(seen.knocks),
            100.0 * busiest as f64 / seen.at.len().max(1) as f64,
            each(self.connections.load(Ordering::Relaxed)),
            each(self.watches.load(Ordering::Relaxed)),
        );
        let kinds: Vec<String> =
            seen.requests.iter().map(|(kind, count)| format!("{kind} {:.2}", each(*count))).collect();
        eprintln!("{what}: {}", kinds.join(", "));
    }
}

/// Counts a watch as long as its body is there.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn kind(request: &Request<Incoming>) -> String {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let what = match path.split('/').collect::<Vec<_>>()[1..] {
        ["apis"] => "discovery",
        ["openapi", "v3"] => "openapi root",
        ["openapi", ..] => "openapi",
        ["apis", _, _] => "legacy discovery",
        ["apis", "apiextensions.crossplane.io", ..] => "xrds",
        ["apis", ..] => "claims",
        _ => "other",
    };
    let verb = if query.contains("watch=") { "watch" } else { request.method().as_str() };
    format!("{verb} {what}")
}

fn xrd(number: usize) -> String {
    format!(
        "
apiVersion: apiextensions.crossplane.io/v1
kind: CompositeResourceDefinition
metadata:
  name: xthings.g{number}.example.org
spec:
  group: g{number}.example.org
  names: {{kind: XThing, plural: xthings}}
  claimNames: {{kind: Thing, plural: things}}
  versions:
  - name: v1
    served: true
    referenceable: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {{type: string}}
"
    )
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let connectors = arguments.next().transpose()?.unwrap_or(100);
    let apis = arguments.next().transpose()?.unwrap_or(10);
    // The process has one provider; nobody else installs one here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let options = Options {
        name: "control-plane".into(),
        crossplane: true,
        manifests: (0..apis).map(xrd).collect(),
        ..Options::default()
    };
    let control_plane = Cluster::start(options).await.context("the control plane cannot start")?;
    let folder = tempfile::tempdir()?;
    let (gate, kubeconfig) = gate(&control_plane, folder.path()).await?;

    println!("{connectors} connectors, {apis} APIs; all numbers but the busiest slice are for each connector\n");
    println!(
        "| what | lasted | requests | answers | handshakes | found nobody | in the busiest {} ms | connections then | watches then |",
        SLICE.as_millis()
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let started = Instant::now();
    let running: Vec<_> = stream::iter(0..connectors)
        .map(|number| connector(number, apis, &kubeconfig, folder.path()))
        .buffer_unordered(STARTS_AT_ONCE)
        .try_collect()
        .await?;
    // What follows a change comes within ten seconds.
    sleep(Duration::from_secs(15)).await;
    gate.tell("start", connectors, started, started.elapsed());

    let started = Instant::now();
    sleep(LOOK).await;
    gate.tell("at rest", connectors, started, LOOK);

    let started = Instant::now();
    control_plane.load(&xrd(apis))?;
    sleep(Duration::from_secs(15)).await;
    gate.tell("one more API", connectors, started, started.elapsed());

    gate.is_open.store(false, Ordering::Relaxed);
    gate.cut.send_modify(|times| *times += 1);
    let started = Instant::now();
    sleep(AWAY).await;
    gate.tell("away", connectors, started, AWAY);
    gate.is_open.store(true, Ordering::Relaxed);
    let started = Instant::now();
    sleep(Duration::from_secs(15)).await;
    gate.tell("back", connectors, started, started.elapsed());
    drop(running);
    Ok(())
}

/// The gate, and a kubeconfig that leads through it.
async fn gate(control_plane: &Cluster, folder: &Path) -> Result<(Arc<Gate>, PathBuf)> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut tls =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], secret)?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let kubeconfig = folder.join("control-plane.kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{{name: x, cluster: {{server: 'https://localhost:{}', \
         certificate-authority-data: {}}}}}]\nusers: [{{name: x, user: {{token: none}}}}]\ncontexts: [{{name: x, context: \
         {{cluster: x, user: x}}}}]\n",
        listener.local_addr()?.port(),
        STANDARD.encode(certificate.pem()),
    );
    std::fs::write(&kubeconfig, text)?;
    let config = Kubeconfig::from_yaml(&control_plane.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    let gate = Arc::new(Gate {
        control_plane: Client::try_from(config)?,
        seen: Mutex::default(),
        connections: AtomicUsize::new(0),
        watches: Arc::default(),
        is_open: AtomicBool::new(true),
        cut: watch::Sender::new(0),
    });
    tokio::spawn(gate.clone().run(listener, TlsAcceptor::from(Arc::new(tls))));
    Ok((gate, kubeconfig))
}

/// An app cluster and its connector; comes back when all APIs are registered there.
async fn connector(number: usize, apis: usize, control_plane: &Path, folder: &Path) -> Result<Cluster> {
    let options = Options { name: format!("app-{number}"), ..Options::default() };
    let app = Cluster::start(options).await.context("an app cluster cannot start")?;
    let kubeconfig = folder.join(format!("app-{number}.kubeconfig"));
    std::fs::write(&kubeconfig, app.kubeconfig())?;
    let config = Config {
        app_cluster: AppCluster::Kubeconfig(kubeconfig),
        control_plane_kubeconfig: control_plane.to_owned(),
        control_plane_gzip: false,
        claim_namespace: format!("app-{number}"),
        cluster_id: Some(format!("app-{number}").parse()?),
        listen: free()?,
        admin_listen: free()?,
        service: ServiceReference { namespace: "kube-system".into(), name: "connector".into(), port: 443 },
        tls: None,
        sync: SyncOptions::default(),
        apis: Vec::new(),
        input_secrets_from: Vec::new(),
        owner: None,
        credential_secret: None,
        shutdown_delay: Duration::ZERO,
        drain: Duration::ZERO,
    };
    let admin = config.admin_listen;
    tokio::spawn(async move {
        if let Err(error) = connector_proxy::serve(config, std::future::pending()).await {
            eprintln!("connector {number} has ended: {error}");
        }
    });
    while offered(admin).await.unwrap_or_default() < apis {
        sleep(Duration::from_millis(100)).await;
    }
    Ok(app)
}

/// How many APIs a connector offers, by its own count.
async fn offered(admin: SocketAddr) -> Result<usize> {
    let stream = TcpStream::connect(admin).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/metrics").header(header::HOST, "localhost").body(Full::<Bytes>::default())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    connection.abort();
    let text = String::from_utf8_lossy(&body);
    let count = text.lines().find_map(|line| line.strip_prefix("connector_offered_apis ")).context("the metric")?;
    Ok(count.parse()?)
}

fn free() -> Result<SocketAddr> {
    Ok(Free::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
