//! What is there for all measurements of a run: keys, two embedded clusters, the stand-in, and what the answers have to be.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use anyhow::{Context, Result, anyhow};
use connector_core::answer::Shape;
use connector_proxy::embedded::{Cluster, Options};
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::contender::{Programs, local_length};
use crate::pki::{FRONT, Pki};
use crate::stand_in::StandIn;

/// How many lengths of events are known; the stand-in repeats as many.
const EVENTS: usize = 1000;
const DEFINITION: &str = "
apiVersion: apiextensions.crossplane.io/v1
kind: CompositeResourceDefinition
metadata:
  name: xpostgresqlinstances.platform.example.org
spec:
  group: platform.example.org
  names: {kind: XPostgreSQLInstance, plural: xpostgresqlinstances}
  claimNames: {kind: PostgreSQLInstance, plural: postgresqlinstances}
  connectionSecretKeys: [password]
  versions:
  - name: v1alpha1
    served: true
    referenceable: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              parameters: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

/// Everything that stays the same.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) pki: Pki,
    pub(crate) programs: Programs,
    /// The processor that a contender has for itself; `None` for any.
    pub(crate) cpu: Option<usize>,
    pub(crate) stand_in: Arc<StandIn>,
    /// Where the stand-in listens.
    pub(crate) upstream: SocketAddr,
    pub(crate) app_kubeconfig: PathBuf,
    pub(crate) control_plane_kubeconfig: PathBuf,
    pub(crate) two: Arc<ClientConfig>,
    pub(crate) one: Arc<ClientConfig>,
    /// Bytes of the list as the connector has to answer it.
    pub(crate) local_list: usize,
    /// Bytes of each event, as the connector has to answer it and as the stand-in sends it.
    pub(crate) local_events: Vec<usize>,
    pub(crate) remote_events: Vec<usize>,
}

/// What the thread of the stand-in tells when it serves.
struct Told {
    stand_in: Arc<StandIn>,
    upstream: SocketAddr,
    app_kubeconfig: String,
}

impl Stage {
    /// Starts it all, with `items` claims in the list; contenders run on processor `cpu`.
    pub(crate) fn set(programs: Programs, cpu: Option<usize>, items: usize) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("load-").tempdir()?;
        let pki = Pki::new(folder.path())?;
        let authority = std::fs::read_to_string(&pki.ca)?;
        let tls = TlsAcceptor::from(pki.server(true)?);
        let (tell, told) = channel();
        // A thread of its own, as it would be a machine of its own.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve(items, &authority, tls, &tell))
        });
        let Ok(told) = told.recv() else {
            let error = thread.join().ok().and_then(Result::err);
            return Err(error.unwrap_or_else(|| anyhow!("the stand-in has ended")));
        };
        let write = |name: &str, text: &str| -> Result<PathBuf> {
            let path = folder.path().join(name);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        let ca = pki.ca.display();
        let control_plane = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: x\n\
             clusters: [{{name: x, cluster: {{server: 'https://{}', certificate-authority: '{ca}'}}}}]\n\
             users: [{{name: x, user: {{token: none}}}}]\ncontexts: [{{name: x, context: {{cluster: x, user: x}}}}]\n",
            told.upstream
        );
        let events: Vec<_> = told.stand_in.events(EVENTS).cloned().collect();
        let local = events.iter().map(|event| local_length(Shape::Watch, event));
        Ok(Self {
            app_kubeconfig: write("app.kubeconfig", &told.app_kubeconfig)?,
            control_plane_kubeconfig: write("control-plane.kubeconfig", &control_plane)?,
            two: pki.client(false)?,
            one: pki.client(true)?,
            local_list: local_length(Shape::List, told.stand_in.list())?,
            local_events: local.collect::<Result<_>>()?,
            remote_events: events.iter().map(|event| event.len()).collect(),
            stand_in: told.stand_in,
            upstream: told.upstream,
            cpu,
            folder,
            pki,
            programs,
        })
    }
}

/// Runs the embedded clusters and the stand-in.
async fn serve(items: usize, authority: &str, tls: TlsAcceptor, tell: &Sender<Told>) -> Result<()> {
    let app = Options { name: "app-cluster".into(), aggregation: true, ..Options::default() };
    let app = Cluster::start(app).await.context("the app cluster cannot start")?;
    trust_front(&app, authority).await.context("the front cannot be trusted")?;
    let rest = Options {
        name: "control-plane".into(),
        crossplane: true,
        manifests: vec![DEFINITION.to_owned()],
        ..Options::default()
    };
    let rest = Cluster::start(rest).await.context("the control plane cannot start")?;
    let stand_in = Arc::new(StandIn::new(items, client(&rest).await?));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let upstream = listener.local_addr()?;
    tell.send(Told { stand_in: stand_in.clone(), upstream, app_kubeconfig: app.kubeconfig() })?;
    stand_in.run(listener, tls).await;
    Ok(())
}

/// Lets the load be the front, beside the cluster's own aggregation layer (wire rule 9.1).
async fn trust_front(app: &Cluster, authority: &str) -> Result<()> {
    let path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    let mut config: Value = client(app).await?.request(http::Request::get(path).body(Vec::new())?).await?;
    let data = &mut config["data"];
    let authorities = data["requestheader-client-ca-file"].as_str().unwrap_or_default();
    data["requestheader-client-ca-file"] = format!("{authorities}{authority}").into();
    data["requestheader-allowed-names"] = json!(["front-proxy-client", FRONT]).to_string().into();
    let changed = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {"name": config["metadata"]["name"], "namespace": config["metadata"]["namespace"]},
    });
    Ok(app.load(&changed.to_string())?)
}

async fn client(cluster: &Cluster) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::from_yaml(&cluster.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}
