//! Kubelet's and kube-proxy's part: Pods of one namespace run as local processes, Services lead to them.
//!
//! What is as in a real cluster, and what is not:
//!
//! | as there | not |
//! |---|---|
//! | Pods are what the controllers make of a Deployment; they have status, conditions, restarts with growing pauses, a grace period with SIGTERM and SIGKILL, `preStop.sleep` | only the first container runs, and always the given program, whatever `image` and `command` say; no init containers, resources, security context, liveness probe |
//! | `args` and `env` with `$(VAR)`, `fieldRef`, `secretKeyRef`, `configMapKeyRef`, `envFrom` | the environment has nothing else but `PATH` |
//! | volumes of Secrets, ConfigMaps, projected sources, `emptyDir`; they follow changes within a second or so by one atomic rename, files of a `subPath` never | volumes are in a temporary folder; where a path of theirs is in an argument, a variable or a ConfigMap, the folder is put there |
//! | the ServiceAccount's token, renewed in its file | the way to the API is a kubeconfig in `CONNECTOR_KUBECONFIG` |
//! | `kubectl logs`, with `--tail` | of a Pod's earlier runs, too; not `--follow` |
//! | readiness by `httpGet` or `tcpSocket`, and with it endpoints | until a Pod was ready once, it is asked each half second |
//! | Services have a cluster address; connections go to the ready endpoints in turn, and are refused where there is none | only TCP; of a process that is gone the connection breaks instead of being refused |
//!
//! A Pod's address is 10.N.x.y for Kubernetes, which takes no loopback address in an endpoint, and 127.N.x.y in truth.
//! `0.0.0.0` in arguments, variables and ConfigMaps becomes that address, and it is what `CONNECTOR_LISTEN` and
//! `CONNECTOR_ADMIN_LISTEN` say where the Pod says nothing.

mod environment;
mod file;
mod logs;
mod pod;
mod probe;
mod services;
mod status;
mod volumes;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource};
use rustix::process::Signal;
use serde::de::DeserializeOwned;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::cluster::{Cluster, client_of};
use crate::process::{Group, Process, keeps_logs, show, tail};

/// How often Pods are looked at: processes that ended, what was deleted, probes.
const TICK: Duration = Duration::from_millis(100);

/// The node of one namespace. Processes, forwarders and logs end with it; the objects stay. Logs stay, too, where the test
/// panicked or the variable `TESTKIT_KEEP` is set.
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    folder: Option<TempDir>,
}

/// A Pod whose process was started.
#[derive(Clone, Debug)]
pub struct RunningPod {
    /// The Pod's name.
    pub name: String,
    /// The process's id; `None` between its end and its next start.
    pub process: Option<u32>,
    /// The address where it listens.
    pub address: Ipv4Addr,
    /// Its output since its first start.
    pub log: PathBuf,
}

/// What the tasks of all Pods share.
#[derive(Debug)]
struct Shared {
    namespace: String,
    name: String,
    program: PathBuf,
    server: String,
    // N of 127.N.0.0/16.
    network: u8,
    folder: PathBuf,
    group: Group,
    running: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    process: Option<Process>,
    address: Ipv4Addr,
    log: PathBuf,
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Node {
    /// Runs the Pods of `namespace`, present and to come, each as a process of `program`. The cluster must have been started with
    /// [`ClusterOptions::pods`](crate::ClusterOptions::pods).
    ///
    /// # Errors
    ///
    /// The cluster was started without, or does not answer.
    pub async fn start(cluster: &Cluster, namespace: &str, program: impl Into<PathBuf>) -> Result<Self> {
        let network =
            cluster.network().context("the cluster runs no Pods: start it with ClusterOptions { pods: true, .. }")?;
        let folder = tempfile::Builder::new().prefix("node-").tempdir()?;
        let shared = Arc::new(Shared {
            namespace: namespace.to_owned(),
            name: format!("node-{namespace}"),
            program: program.into(),
            server: cluster.server_url(),
            network,
            folder: folder.path().to_owned(),
            group: Group::new(folder.path())?,
            running: Mutex::default(),
        });
        let kubeconfig = cluster.kubeconfig_path();
        let (started, starting) = oneshot::channel::<Result<()>>();
        let (stop, stopping) = oneshot::channel::<()>();
        // A thread of its own: a test that blocks must not stop probes and connections.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new().name("node".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let client = match prepare(&kubeconfig, &of_thread).await {
                    Ok(client) => client,
                    Err(error) => return drop(started.send(Err(error))),
                };
                let _ = started.send(Ok(()));
                tokio::select! {
                    () = run(client, of_thread) => {}
                    _ = stopping => {}
                }
            });
        })?;
        starting.await.context("the node ended before it began")?.context("cannot start the node")?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread), folder: Some(folder) })
    }

    /// The Pods whose processes were started and that are not gone, by name.
    pub fn pods(&self) -> Vec<RunningPod> {
        let running = self.shared.running();
        let pods = running.iter().map(|(name, entry)| RunningPod {
            name: name.clone(),
            process: entry.process.as_ref().map(Process::id),
            address: entry.address,
            log: entry.log.clone(),
        });
        pods.collect()
    }

    /// Kills the process of a Pod (SIGKILL), which is then started again, as the kubelet does.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn kill(&self, pod: &str) -> Result<()> {
        let mut running = self.shared.running();
        let entry = running.get_mut(pod).with_context(|| format!("no Pod {pod} was started"))?;
        let process = entry.process.as_mut().with_context(|| format!("the process of {pod} does not run"))?;
        process.check_running()?;
        process.signal(Signal::KILL)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if keeps_logs()
            && let Some(folder) = self.folder.take()
        {
            show(&format!("the logs of the Pods stay in {}", folder.keep().display()));
            for (name, entry) in self.shared.running().iter() {
                show(&format!("the end of the log of {name}:\n{}", tail(&entry.log)));
            }
        }
        // The group goes with the last task; processes must not outlive this call.
        self.shared.running().clear();
    }
}

/// The Node object, without which no Pod becomes an endpoint.
async fn prepare(kubeconfig: &Path, shared: &Arc<Shared>) -> Result<Client> {
    let (name, logs) = (&shared.name, logs::serve(shared.clone()).await?);
    let client = client_of(kubeconfig).await?;
    let nodes = Api::<k8s_openapi::api::core::v1::Node>::all(client.clone());
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" } },
    });
    let parameters = PatchParams::apply("testkit").force();
    nodes.patch(name, &parameters, &Patch::Apply(&node)).await?;
    let status = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "status": {
            "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady" }],
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": logs } },
        },
    });
    nodes.patch_status(name, &parameters, &Patch::Apply(&status)).await?;
    Ok(client)
}

/// Starts a task for each Pod, and keeps the Services.
async fn run(client: Client, shared: Arc<Shared>) {
    let (pods, mut pods_changed) = watched::<Pod>(&client, &shared.namespace);
    let (services, mut services_changed) = watched::<Service>(&client, &shared.namespace);
    let (slices, mut slices_changed) = watched::<EndpointSlice>(&client, &shared.namespace);
    let mut proxy = services::Proxy::new(shared.network);
    let mut tasks: HashMap<String, tokio::task::JoinHandle<()>> = HashMap::new();
    let mut addresses = 0_u16;
    loop {
        for pod in pods.state() {
            let Some(uid) = pod.metadata.uid.clone() else { continue };
            tasks.entry(uid).or_insert_with(|| {
                let address = address(shared.network, addresses);
                addresses += 1;
                tokio::spawn(pod::run(client.clone(), shared.clone(), pods.clone(), pod, address))
            });
        }
        // Of a Pod that is gone, the place; a task whose Pod is still in the store stays to be known.
        let there: Vec<String> = pods.state().iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
        tasks.retain(|uid, task| !task.is_finished() || there.contains(uid));
        proxy.follow(&services.state(), &slices.state());
        tokio::select! {
            _ = pods_changed.recv() => {}
            _ = services_changed.recv() => {}
            _ = slices_changed.recv() => {}
            // A port that was still in use may be free by now.
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// The Pod's true address: 127.N.1.1 and on.
fn address(network: u8, number: u16) -> Ipv4Addr {
    let (third, fourth) = (number / 250, number % 250);
    Ipv4Addr::new(127, network, 1 + third.min(253) as u8, 1 + fourth as u8)
}

/// A store that follows the cluster, and what tells that it changed.
fn watched<K>(client: &Client, namespace: &str) -> (Store<K>, tokio::sync::mpsc::Receiver<()>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (reader, writer) = reflector::store::<K>();
    let (changed, changes) = tokio::sync::mpsc::channel(1);
    let api = Api::<K>::namespaced(client.clone(), namespace);
    let events = watcher(api, watcher::Config::default()).default_backoff().reflect(writer);
    tokio::spawn(events.for_each(move |_| {
        // One that waits to be read says it all.
        let _ = changed.try_send(());
        std::future::ready(())
    }));
    (reader, changes)
}
