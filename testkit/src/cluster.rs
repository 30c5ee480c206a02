//! A cluster of one's own on loopback.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result};
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binaries::Binaries;
use crate::eventually::{DEADLINE, eventually_within};
use crate::kubectl::Kubectl;
use crate::pki::{Authority, Pair};
use crate::process::{Group, Port, Process, show, tail};

/// How a cluster is started.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// What logs and messages call it. Default `cluster`.
    pub name: String,
    /// Whether the controllers run that tests need: namespaces, garbage collection, quota, service accounts. Without them
    /// nothing makes the ServiceAccount `default`, nothing empties a namespace that is deleted, and nothing deletes what an
    /// owner leaves behind. Default true.
    pub controller_manager: bool,
    /// Further flags of kube-apiserver; a flag given here wins over the same one of the kit's. Default none.
    pub apiserver_args: Vec<String>,
    /// The programs to run. Default none: [`Binaries::locate_or_build`].
    pub binaries: Option<Binaries>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { name: "cluster".to_owned(), controller_manager: true, apiserver_args: Vec::new(), binaries: None }
    }
}

impl ClusterOptions {
    /// The default under a name.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// A running cluster: etcd, kube-apiserver with RBAC and the aggregation layer, and a few controllers.
///
/// Everything ends with this value. Its logs and data go with it, unless a test fails: then the folder stays and is named on stderr.
#[derive(Debug)]
pub struct Cluster {
    // In the order in which they are to go: processes, their group, ports, data.
    _controller_manager: Option<Process>,
    apiserver: Option<Process>,
    _etcd: Process,
    group: Group,
    port: Port,
    _etcd_ports: [Port; 2],
    authority: AuthorityDebug,
    apiserver_args: Vec<String>,
    kubectl: Kubectl,
    binaries: Binaries,
    name: String,
    folder: Option<TempDir>,
    path: PathBuf,
}

/// rcgen's authority has no `Debug`, and its key should not be shown.
struct AuthorityDebug(Authority);

impl std::fmt::Debug for AuthorityDebug {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authority")
    }
}

impl Cluster {
    /// Starts a cluster, and comes back when it is ready: `/readyz` answers, the namespace `default` is there, and where the
    /// controllers run, its ServiceAccount.
    ///
    /// # Errors
    ///
    /// No programs ([`Binaries::locate_or_build`]), or one of them ended or did not get ready; then with the end of its log.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        let name = options.name.clone();
        Self::start_named(options).await.with_context(|| format!("cannot start {name}"))
    }

    /// Starts an app cluster and a control plane beside each other.
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub async fn start_two() -> Result<(Self, Self)> {
        let app = Self::start(ClusterOptions::named("app-cluster"));
        let control_plane = Self::start(ClusterOptions::named("control-plane"));
        futures::future::try_join(app, control_plane).await
    }

    async fn start_named(options: ClusterOptions) -> Result<Self> {
        install_tls_provider();
        let binaries = match options.binaries {
            Some(binaries) => binaries,
            None => tokio::task::spawn_blocking(Binaries::locate_or_build).await??,
        };
        let folder = tempfile::Builder::new().prefix(&format!("{}-", options.name)).tempdir()?;
        let path = folder.path().to_owned();
        let authority = write_pki(&path)?;
        let group = Group::new(&path)?;
        let port = Port::free()?;
        let etcd_ports = [Port::free()?, Port::free()?];
        let etcd = group.spawn(&binaries.path("etcd"), etcd_args(&path, &etcd_ports), &path.join("etcd.log"))?;

        let kubeconfig = path.join("admin.kubeconfig");
        write_kubeconfig(&kubeconfig, &path, port.number(), &authority.client("admin", &["system:masters"])?)?;
        let kubectl = Kubectl::new(binaries.path("kubectl"), kubeconfig, group.id())?;
        let mut apiserver_args = apiserver_args(&path, &port, &etcd_ports[0]);
        apiserver_args.extend(options.apiserver_args);
        let mut cluster = Self {
            _controller_manager: None,
            apiserver: None,
            _etcd: etcd,
            group,
            port,
            _etcd_ports: etcd_ports,
            authority: AuthorityDebug(authority),
            apiserver_args,
            kubectl,
            binaries,
            name: options.name,
            folder: Some(folder),
            path,
        };
        cluster.start_apiserver().await?;
        if options.controller_manager {
            cluster.start_controller_manager().await?;
        }
        Ok(cluster)
    }

    /// What [`ClusterOptions::name`] said.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `https://127.0.0.1:PORT`, the same for the whole life of the cluster.
    pub fn server_url(&self) -> String {
        server_url(self.port.number())
    }

    /// The kubeconfig of an admin in the group `system:masters`.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.path.join("admin.kubeconfig")
    }

    /// A kubeconfig for somebody else, by a client certificate of their own. RBAC gives them nothing yet.
    ///
    /// # Errors
    ///
    /// The caller's: more than two groups.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let pair = self.authority.0.client(user, groups)?;
        let safe: String = user.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let (_, kubeconfig) =
            tempfile::Builder::new().prefix(&safe).suffix(".kubeconfig").tempfile_in(&self.path)?.keep()?;
        write_kubeconfig(&kubeconfig, &self.path, self.port.number(), &pair)?;
        Ok(kubeconfig)
    }

    /// kubectl as the admin, with a discovery cache of its own.
    pub fn kubectl(&self) -> Kubectl {
        self.kubectl.clone()
    }

    /// kubectl as somebody else, with a discovery cache of its own.
    ///
    /// # Errors
    ///
    /// As [`Cluster::kubeconfig_for`].
    pub fn kubectl_for(&self, user: &str, groups: &[&str]) -> Result<Kubectl> {
        Kubectl::new(self.binaries.path("kubectl"), self.kubeconfig_for(user, groups)?, self.group.id())
    }

    /// A client as the admin. It belongs to the runtime that calls this.
    ///
    /// # Errors
    ///
    /// The kubeconfig cannot be read any more.
    pub async fn client(&self) -> Result<Client> {
        client_of(&self.kubeconfig_path()).await
    }

    /// The folder with everything of the cluster, logs included.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// Kills kube-apiserver at once; its connections break. The data stay.
    ///
    /// # Errors
    ///
    /// The system refused.
    pub fn stop_apiserver(&mut self) -> Result<()> {
        if let Some(mut apiserver) = self.apiserver.take() {
            apiserver.kill()?;
        }
        Ok(())
    }

    /// Starts kube-apiserver again on the same port with the same data, and comes back when it is ready.
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub async fn start_apiserver(&mut self) -> Result<()> {
        self.stop_apiserver()?;
        let log = self.path.join("kube-apiserver.log");
        self.apiserver = Some(self.group.spawn(&self.binaries.path("kube-apiserver"), &self.apiserver_args, &log)?);
        self.wait_until("kube-apiserver to be ready", "/readyz").await?;
        self.wait_until("the namespace default", "/api/v1/namespaces/default").await
    }

    /// Stops kube-apiserver from running without ending it: its connections stay open and nothing answers, as when packets are
    /// lost on the way.
    ///
    /// # Errors
    ///
    /// The system refused, or it is stopped already.
    pub fn freeze_apiserver(&self) -> Result<()> {
        self.apiserver.as_ref().context("kube-apiserver is stopped")?.signal(Signal::STOP)
    }

    /// Lets a frozen kube-apiserver run on.
    ///
    /// # Errors
    ///
    /// As [`Cluster::freeze_apiserver`].
    pub fn thaw_apiserver(&self) -> Result<()> {
        self.apiserver.as_ref().context("kube-apiserver is stopped")?.signal(Signal::CONT)
    }

    async fn start_controller_manager(&mut self) -> Result<()> {
        let log = self.path.join("kube-controller-manager.log");
        let args = controller_manager_args(&self.path, &self.kubeconfig_path());
        let mut process = self.group.spawn(&self.binaries.path("kube-controller-manager"), args, &log)?;
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        let ready = self.wait_until("the ServiceAccount default", account).await;
        ready.or_else(|error| process.check_running().and(Err(error)))?;
        self._controller_manager = Some(process);
        Ok(())
    }

    /// Waits until a GET of `path` answers 200.
    async fn wait_until(&mut self, what: &str, path: &str) -> Result<()> {
        let client = self.client().await?;
        let apiserver = self.apiserver.as_mut().context("kube-apiserver is stopped")?;
        let waited = eventually_within(DEADLINE, what, || {
            let running = apiserver.check_running();
            let client = client.clone();
            async move {
                running?;
                let request = Request::get(path).body(Vec::new())?;
                match tokio::time::timeout(Duration::from_secs(5), client.request_text(request)).await {
                    Ok(Ok(_)) => Ok(Ok(())),
                    Ok(Err(error)) => Ok(Err(error.to_string())),
                    Err(_) => Ok(Err("no answer within 5 s".to_owned())),
                }
            }
        });
        waited.await.or_else(|error| match apiserver.check_running() {
            // Why it ended is in the error already.
            Err(_) => Err(error),
            Ok(()) => {
                Err(error).with_context(|| format!("the end of kube-apiserver's log:\n{}", tail(apiserver.log())))
            }
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            show(&format!("the logs of {} stay in {}", self.name, folder.keep().display()));
            // etcd's data are large and tell nobody anything.
            let _ = std::fs::remove_dir_all(self.path.join("etcd"));
        }
    }
}

/// A client for a kubeconfig file.
pub(crate) async fn client_of(kubeconfig: &Path) -> Result<Client> {
    install_tls_provider();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// rustls takes the provider that a program installed; a second one would be refused, and is not needed.
fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

fn server_url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

fn write_pki(folder: &Path) -> Result<Authority> {
    let authority = Authority::new("kubernetes-ca")?;
    std::fs::write(folder.join("ca.crt"), authority.pem())?;
    let names = ["localhost", "127.0.0.1", "10.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    authority.server(&names)?.write(folder, "apiserver")?;
    // A CA of its own, else every client of the cluster could pose as the aggregation layer.
    let front_proxy = Authority::new("front-proxy-ca")?;
    std::fs::write(folder.join("front-proxy-ca.crt"), front_proxy.pem())?;
    front_proxy.client("front-proxy-client", &[])?.write(folder, "front-proxy-client")?;
    authority.client("service-accounts", &[])?.write(folder, "service-accounts")?;
    Ok(authority)
}

/// JSON, which is YAML too.
fn write_kubeconfig(path: &Path, folder: &Path, port: u16, pair: &Pair) -> Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    pair.write(folder, &name)?;
    let kubeconfig: Value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "it", "cluster": {
            "server": server_url(port),
            "certificate-authority": folder.join("ca.crt"),
        } }],
        "users": [{ "name": "it", "user": {
            "client-certificate": folder.join(format!("{name}.crt")),
            "client-key": folder.join(format!("{name}.key")),
        } }],
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it", "namespace": "default" } }],
        "current-context": "it",
    });
    Ok(std::fs::write(path, serde_json::to_vec_pretty(&kubeconfig)?)?)
}

fn etcd_args(folder: &Path, ports: &[Port; 2]) -> Vec<String> {
    let [client, peer] = ports.each_ref().map(|port| format!("http://127.0.0.1:{}", port.number()));
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn apiserver_args(folder: &Path, port: &Port, etcd: &Port) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", etcd.number()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", port.number()),
        // Must not be loopback; nothing is sent there.
        "--advertise-address=10.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("service-accounts.crt")),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
        // Without these it does not publish the ConfigMap by which aggregated servers authenticate it.
        format!("--requestheader-client-ca-file={}", file("front-proxy-ca.crt")),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        format!("--proxy-client-cert-file={}", file("front-proxy-client.crt")),
        format!("--proxy-client-key-file={}", file("front-proxy-client.key")),
        "--profiling=false".to_owned(),
    ]
}

fn controller_manager_args(folder: &Path, kubeconfig: &Path) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--controllers=namespace-controller,garbage-collector-controller,resourcequota-controller,serviceaccount-controller,\
         root-ca-certificate-publisher-controller,serviceaccount-token-controller"
            .to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
        "--use-service-account-credentials=false".to_owned(),
        format!("--service-account-private-key-file={}", file("service-accounts.key")),
        format!("--root-ca-file={}", file("ca.crt")),
    ]
}
