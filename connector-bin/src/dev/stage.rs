//! Two embedded clusters and the connector between them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use connector_proxy::embedded::{Cluster, Options};
use connector_proxy::{AppCluster, Config, ServiceReference, SyncOptions};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

/// How long the claim APIs may take to appear in the app cluster.
const READY: Duration = Duration::from_secs(30);
/// How long open requests may take when it ends: nobody's work depends on them.
const DRAIN: Duration = Duration::from_secs(2);
const SERVICE_NAMESPACE: &str = "kube-system";
const SERVICE_NAME: &str = "connector";

/// Everything that runs.
pub(super) struct Stage {
    pub(super) app: Cluster,
    pub(super) control_plane: Cluster,
    pub(super) claim_namespace: String,
    folder: PathBuf,
    stop: oneshot::Sender<()>,
    connector: Mutex<JoinHandle<anyhow::Result<()>>>,
}

impl Stage {
    /// Starts the clusters and the connector, and waits until the claim APIs are served in the app cluster.
    pub(super) async fn set(
        folder: Option<PathBuf>,
        claim_namespace: String,
        definitions: Vec<String>,
    ) -> anyhow::Result<Self> {
        let folder =
            folder.unwrap_or_else(|| std::env::temp_dir().join(format!("connector-dev-{}", std::process::id())));
        let listen = free_address()?;
        let control_plane =
            Options { name: "control-plane".into(), crossplane: true, manifests: definitions, ..Options::default() };
        let app = Options {
            name: "app-cluster".into(),
            aggregation: true,
            manifests: vec![service(listen)],
            ..Options::default()
        };
        let control_plane = Cluster::start(control_plane).await.context("the control plane cannot start")?;
        let app = Cluster::start(app).await.context("the app cluster cannot start")?;
        let app_kubeconfig = write(&folder, "app-cluster.kubeconfig", &app.kubeconfig())?;
        let control_plane_kubeconfig = write(&folder, "control-plane.kubeconfig", &control_plane.kubeconfig())?;

        let (stop, stopped) = oneshot::channel();
        let config = Config {
            app_cluster: AppCluster::Kubeconfig(app_kubeconfig),
            control_plane_kubeconfig,
            control_plane_gzip: false,
            claim_namespace: claim_namespace.clone(),
            cluster_id: None,
            listen,
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            service: ServiceReference {
                namespace: SERVICE_NAMESPACE.into(),
                name: SERVICE_NAME.into(),
                port: listen.port(),
            },
            tls: None,
            sync: SyncOptions::default(),
            apis: Vec::new(),
            input_secrets_from: Vec::new(),
            owner: None,
            credential_secret: None,
            shutdown_delay: Duration::ZERO,
            drain: DRAIN,
        };
        let connector = tokio::spawn(async move {
            let stopped = async {
                // A stage that is dropped stops it as well.
                let _ = stopped.await;
            };
            connector_proxy::serve(config, stopped).await.context("the connector has failed")
        });
        let stage = Self { app, control_plane, claim_namespace, folder, stop, connector: Mutex::new(connector) };
        tokio::select! {
            ready = stage.ready() => ready?,
            error = stage.failed() => return Err(error),
        }
        Ok(stage)
    }

    /// Waits until every APIService of the connector is available, and there is one.
    async fn ready(&self) -> anyhow::Result<()> {
        let client = client(&self.app).await?;
        let deadline = Instant::now() + READY;
        loop {
            let list: Value = get(&client, "/apis/apiregistration.k8s.io/v1/apiservices", "application/json").await?;
            let foreign =
                list["items"].as_array().into_iter().flatten().filter(|item| item["spec"]["service"].is_object());
            let states: Vec<(&str, &str)> = foreign.map(available).collect();
            if !states.is_empty() && states.iter().all(|(status, _)| *status == "True") {
                return Ok(());
            }
            if Instant::now() > deadline {
                match states.iter().find(|(status, _)| *status != "True") {
                    Some((_, message)) => bail!("the claim APIs are not available after {READY:?}: {message}"),
                    None => bail!("the connector has registered no claim API within {READY:?}"),
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Resolves when the connector has ended by itself.
    pub(super) async fn failed(&self) -> anyhow::Error {
        let mut connector = self.connector.lock().await;
        match (&mut *connector).await {
            Ok(Ok(())) => anyhow!("the connector has ended"),
            Ok(Err(error)) => error,
            Err(error) => anyhow::Error::new(error).context("the connector has failed"),
        }
    }

    /// Ends the connector, then the clusters.
    pub(super) async fn clear(self) -> anyhow::Result<()> {
        // It has ended already if nobody listens.
        let _ = self.stop.send(());
        let mut connector = self.connector.into_inner();
        if !connector.is_finished() {
            let ended = tokio::time::timeout(DRAIN * 2, &mut connector).await;
            if ended.is_err() {
                connector.abort();
            }
        }
        self.app.stop().await;
        self.control_plane.stop().await;
        Ok(())
    }

    fn kubeconfig(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// What to try next; with the example's claim where its API is offered.
    pub(super) fn welcome(&self, with_example: bool) -> anyhow::Result<String> {
        let (app, control_plane) =
            (self.kubeconfig("app-cluster.kubeconfig"), self.kubeconfig("control-plane.kubeconfig"));
        let namespace = &self.claim_namespace;
        let mut lines = vec![
            "Two clusters run in this process, and the connector between them. Try in another terminal:".to_owned(),
            String::new(),
            format!("  alias app='kubectl --kubeconfig {app}'"),
            format!("  alias plane='kubectl --kubeconfig {control_plane}'"),
            String::new(),
            "  app get apiservices           # what the connector has registered".to_owned(),
            "  app api-resources             # the control plane's APIs, as if they were installed here".to_owned(),
        ];
        let claim = if with_example {
            write(&self.folder, "claim.yaml", connector_proxy::embedded::example::CLAIM)?.display().to_string()
        } else {
            "FILE".to_owned()
        };
        lines.push(format!("  app apply -f {claim}"));
        lines.push("  app get claim                 # what the control plane answers".to_owned());
        lines.push(format!("  plane get claim -n {namespace} --show-labels    # the same object, as it is stored"));
        if with_example {
            lines.push("  app explain kubernetescluster.spec.parameters".to_owned());
            lines.push("  app get kubernetesclusters -w # and change one in either cluster".to_owned());
        }
        lines.push(format!("  app delete -f {claim}"));
        lines.push(String::new());
        lines.push("Ctrl-C ends it all.".to_owned());
        Ok(lines.join("\n"))
    }
}

fn available(api_service: &Value) -> (&str, &str) {
    let condition = &api_service["status"]["conditions"][0];
    (
        condition["status"].as_str().unwrap_or("Unknown"),
        condition["message"].as_str().unwrap_or("it was not probed yet"),
    )
}

/// An address of loopback that was free a moment ago: the Service must name it before the connector takes it.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on loopback")?;
    listener.local_addr().context("cannot listen on loopback")
}

/// The Service that leads the app cluster to the connector.
fn service(listen: SocketAddr) -> String {
    format!(
        "apiVersion: v1\n\
         kind: Service\n\
         metadata:\n  \
           name: {SERVICE_NAME}\n  \
           namespace: {SERVICE_NAMESPACE}\n\
         spec:\n  \
           type: ExternalName\n  \
           externalName: localhost\n  \
           ports:\n  \
           - port: {}\n",
        listen.port()
    )
}

/// Writes a file that only its owner may read: kubeconfigs hold tokens.
fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

    let path = folder.join(name);
    let written = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
        // The mode above does not count for a file that was there.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())
    };
    written().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A client of one of the clusters.
pub(super) async fn client(cluster: &Cluster) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(&cluster.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// GET of a path in the form that `accept` asks for.
pub(super) async fn get(client: &Client, path: &str, accept: &str) -> anyhow::Result<Value> {
    let request = http::Request::get(path).header(http::header::ACCEPT, accept).body(Vec::new())?;
    client.request(request).await.with_context(|| format!("GET {path}"))
}
