//! A cluster of one's own on loopback.

mod setup;

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result};
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::binaries::{Binaries, Version};
use crate::eventually::{DEADLINE, eventually_within};
use crate::kubectl::Kubectl;
use crate::pki::Authority;
use crate::process::{Group, Network, Port, Process, keeps_logs, show, tail};
use setup::{
    apiserver_args, controller_manager_args, etcd_args, server_url, services_arg, write_kubeconfig, write_pki,
};

const CONTROL_PLANE_VERSION: &str = "TESTKIT_CONTROL_PLANE_VERSION";

/// How a cluster is started.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// What logs and messages call it. Default `cluster`.
    pub name: String,
    /// Whether the controllers run that tests need: namespaces, garbage collection, quota, service accounts. Without them
    /// nothing makes the ServiceAccount `default`, nothing empties a namespace that is deleted, and nothing deletes what an
    /// owner leaves behind. Default true.
    pub controller_manager: bool,
    /// Whether a [`Node`](crate::Node) can run Pods here: Services have addresses on loopback, and the controllers of Deployments,
    /// endpoints and PodDisruptionBudgets run beside the others. Default false.
    pub pods: bool,
    /// Further flags of kube-apiserver; a flag given here wins over the same one of the kit's. Default none.
    pub apiserver_args: Vec<String>,
    /// The programs to run. Default none: [`Binaries::locate_or_build`].
    pub binaries: Option<Binaries>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            name: "cluster".to_owned(),
            controller_manager: true,
            pods: false,
            apiserver_args: Vec::new(),
            binaries: None,
        }
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
/// Everything ends with this value. Its logs and data go with it, unless the test panicked or the variable `TESTKIT_KEEP` is set:
/// then the logs stay, and stderr says where.
#[derive(Debug)]
pub struct Cluster {
    // In the order in which they are to go: processes, their group, ports, data.
    controller_manager: Option<Process>,
    apiserver: Option<Process>,
    _etcd: Process,
    group: Group,
    port: Port,
    _etcd_ports: [Port; 2],
    network: Option<Network>,
    authority: Authority,
    apiserver_args: Vec<String>,
    kubectl: Kubectl,
    binaries: Binaries,
    name: String,
    folder: Option<TempDir>,
    path: PathBuf,
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

    /// Starts an app cluster and a control plane beside each other, of the versions that `TESTKIT_APP_VERSION` and
    /// `TESTKIT_CONTROL_PLANE_VERSION` name (as `v1.33.13`); by default both are of the pinned one.
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub async fn start_two() -> Result<(Self, Self)> {
        Self::start_app_and_control_plane(false).await
    }

    /// [`Cluster::start_two`], where the app cluster can run Pods ([`ClusterOptions::pods`]).
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub async fn start_two_with_pods() -> Result<(Self, Self)> {
        Self::start_app_and_control_plane(true).await
    }

    async fn start_app_and_control_plane(pods: bool) -> Result<(Self, Self)> {
        let app =
            Self::start_of(ClusterOptions { pods, ..ClusterOptions::named("app-cluster") }, "TESTKIT_APP_VERSION");
        let control_plane = Self::start_of(ClusterOptions::named("control-plane"), CONTROL_PLANE_VERSION);
        futures::future::try_join(app, control_plane).await
    }

    /// Starts a cluster to hold the APIs itself, for comparison. It is of the control plane's version ([`Cluster::start_two`]), since
    /// that is what serves the objects.
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub async fn start_native() -> Result<Self> {
        Self::start_of(ClusterOptions::named("native"), CONTROL_PLANE_VERSION).await
    }

    async fn start_of(options: ClusterOptions, version: &str) -> Result<Self> {
        let binaries = match std::env::var(version) {
            Ok(version) if !version.is_empty() => {
                let version = Version::kubernetes(&version)?;
                Some(tokio::task::spawn_blocking(move || Binaries::of_version(&version)).await??)
            }
            _ => None,
        };
        Self::start(ClusterOptions { binaries, ..options }).await
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
        let network = options.pods.then(Network::free).transpose()?;
        let etcd = group.spawn(&binaries.path("etcd"), etcd_args(&path, &etcd_ports), &path.join("etcd.log"))?;

        let kubeconfig = path.join("admin.kubeconfig");
        write_kubeconfig(&kubeconfig, &path, port.number(), &authority.client("admin", &["system:masters"])?)?;
        let kubectl = Kubectl::new(binaries.path("kubectl"), kubeconfig, group.id(), &path)?;
        let mut apiserver_args = apiserver_args(&path, &port, &etcd_ports[0]);
        apiserver_args.extend(network.as_ref().map(|network| services_arg(network.octet())));
        apiserver_args.extend(options.apiserver_args);
        let mut cluster = Self {
            controller_manager: None,
            apiserver: None,
            _etcd: etcd,
            group,
            port,
            _etcd_ports: etcd_ports,
            network,
            authority,
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

    /// The minor version that kube-apiserver says it has: 36 of v1.36.3.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn minor_version(&self) -> Result<u16> {
        let version = self.client().await?.apiserver_version().await?;
        version.minor.trim_end_matches('+').parse().with_context(|| format!("{} is no minor version", version.minor))
    }

    /// Whether it answers watch-lists by default, as Kubernetes does since 1.34 (wire rule 11.12).
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn answers_watch_lists(&self) -> Result<bool> {
        Ok(self.minor_version().await? >= 34)
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
        let pair = self.authority.client(user, groups)?;
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
        Kubectl::new(self.binaries.path("kubectl"), self.kubeconfig_for(user, groups)?, self.group.id(), &self.path)
    }

    /// A client as the admin. It belongs to the runtime that calls this.
    ///
    /// # Errors
    ///
    /// The kubeconfig cannot be read any more.
    pub async fn client(&self) -> Result<Client> {
        client_of(&self.kubeconfig_path()).await
    }

    /// A client as somebody else, by a client certificate of their own. It shows every answer as it came: nothing is tried again.
    ///
    /// # Errors
    ///
    /// As [`Cluster::kubeconfig_for`].
    pub async fn plain_client_for(&self, user: &str, groups: &[&str]) -> Result<Client> {
        let mut config = config_of(&self.kubeconfig_for(user, groups)?).await?;
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }

    /// N of 127.N.0.0/16, where its Services and Pods are; `None` without [`ClusterOptions::pods`].
    pub(crate) fn network(&self) -> Option<u8> {
        self.network.as_ref().map(Network::octet)
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

    /// Starts the controllers anew. The garbage collector looks for new kinds every 30 s only, and at its start: a test that adds
    /// CRDs and wants owned or foreground-deleted objects to go soon need not wait for it.
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub async fn restart_controller_manager(&mut self) -> Result<()> {
        self.controller_manager = None;
        self.start_controller_manager().await
    }

    async fn start_controller_manager(&mut self) -> Result<()> {
        let log = self.path.join("kube-controller-manager.log");
        let args = controller_manager_args(&self.path, &self.kubeconfig_path(), self.network.is_some());
        let mut process = self.group.spawn(&self.binaries.path("kube-controller-manager"), args, &log)?;
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        let ready = self.wait_until("the ServiceAccount default", account).await;
        ready.or_else(|error| process.check_running().and(Err(error)))?;
        self.controller_manager = Some(process);
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
        if keeps_logs()
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
    Ok(Client::try_from(config_of(kubeconfig).await?)?)
}

async fn config_of(kubeconfig: &Path) -> Result<Config> {
    install_tls_provider();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// rustls takes the provider that a program installed; a second one would be refused, and is not needed.
fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}
