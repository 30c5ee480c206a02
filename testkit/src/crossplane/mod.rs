//! Crossplane's part in a cluster, played as a real one was recorded (`fixtures/crossplane`).
//!
//! Played: XRDs and the CRDs rendered from them; claims, their composites and connection Secrets; namespaced composites with a
//! composed Secret; conditions, finalizers, field managers, events, and their order; deletion by either policy and of an XRD.
//!
//! Not played: Compositions (there is one for everything, with the recorded content), packages, functions, managed resources,
//! and the RBAC manager's ClusterRoles.

mod claim;
mod composite;
mod copy;
mod definition;
mod events;
mod offer;
mod render;
mod stage;

use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DynamicObject, Patch};
use kube::runtime::wait::{await_condition, conditions};
use tokio::sync::oneshot;

use crate::cluster::{Cluster, client_of};
use crate::eventually::DEADLINE;
use crate::fixtures;
use crate::kubectl::Kubectl;
pub use copy::copy_apis;
use stage::{OWN_NAMESPACE, Stage};

/// A Crossplane that plays its part until it is dropped.
///
/// It runs on a thread of its own, so that a test that blocks does not stop it.
#[derive(Debug)]
pub struct Crossplane {
    stage: Arc<Stage>,
    kubectl: Kubectl,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Stage")
    }
}

impl Crossplane {
    /// Installs the CRD of XRDs and starts to play. What goes wrong is written to `crossplane.log` in the cluster's folder.
    ///
    /// # Errors
    ///
    /// The cluster refused.
    pub async fn install(cluster: &Cluster) -> Result<Self> {
        Self::start(cluster, true).await
    }

    /// The same of a Crossplane that offers APIs and does nothing to their objects: what a client wrote stays as it was written.
    ///
    /// # Errors
    ///
    /// As [`Crossplane::install`].
    pub async fn install_idle(cluster: &Cluster) -> Result<Self> {
        Self::start(cluster, false).await
    }

    async fn start(cluster: &Cluster, reconciles: bool) -> Result<Self> {
        let kubeconfig = cluster.kubeconfig_path();
        let log = File::create(cluster.folder().join("crossplane.log"))?;
        let (started, starting) = oneshot::channel::<Result<Arc<Stage>>>();
        let (stop, stopping) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("crossplane".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let prepared = async {
                    let stage = Arc::new(Stage::new(client_of(&kubeconfig).await?, log, reconciles));
                    prepare(&stage).await?;
                    Ok(stage)
                };
                match prepared.await {
                    Ok(stage) => {
                        let _ = started.send(Ok(stage.clone()));
                        tokio::select! {
                            () = definition::watch_definitions(stage) => {}
                            _ = stopping => {}
                        }
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                    }
                }
            });
        })?;
        let stage = starting.await.context("Crossplane's part ended before it began")?;
        let stage = stage.context("cannot install Crossplane's part")?;
        Ok(Self { stage, kubectl: cluster.kubectl(), stop: Some(stop), thread: Some(thread) })
    }

    /// Applies an XRD and waits until it is offered, or established where it has no claims.
    ///
    /// # Errors
    ///
    /// The cluster refused it, or it did not get so far.
    pub async fn offer(&self, xrd: &str) -> Result<()> {
        let object = fixtures::object(xrd)?;
        let name = object["metadata"]["name"].as_str().context("an XRD without a name")?;
        let condition = if object["spec"]["claimNames"].is_object() { "Offered" } else { "Established" };
        self.kubectl.apply(xrd).await?;
        let wait = [
            format!("--for=condition={condition}"),
            format!("xrd/{name}"),
            format!("--timeout={}s", DEADLINE.as_secs()),
        ];
        self.kubectl.ok(std::iter::once("wait".to_owned()).chain(wait)).await?;
        Ok(())
    }

    /// Makes composing fail for one claim or namespaced composite, with `message` in condition and event of the composite.
    ///
    /// As with a real Crossplane, a claim that was Ready stays so, and one that was not waits.
    pub fn fail(&self, namespace: &str, name: &str, message: &str) {
        self.stage.change_wish(namespace, name, |wish| wish.failing = Some(message.to_owned()));
    }

    /// Takes [`Crossplane::fail`] back.
    pub fn mend(&self, namespace: &str, name: &str) {
        self.stage.change_wish(namespace, name, |wish| wish.failing = None);
    }

    /// Gives one claim or namespaced composite other connection details; its Secrets follow.
    pub fn rotate(&self, namespace: &str, name: &str, details: &[(&str, &str)]) {
        let details = details.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.stage.change_wish(namespace, name, |wish| wish.details = Some(details));
    }
}

impl Drop for Crossplane {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Crossplane's namespace and the CRD of XRDs, established.
async fn prepare(stage: &Stage) -> Result<()> {
    let namespaces = Api::<Namespace>::all(stage.client.clone());
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(OWN_NAMESPACE.to_owned());
    if namespaces.get_opt(OWN_NAMESPACE).await?.is_none() {
        namespaces.create(&stage::parameters(), &namespace).await?;
    }
    let crd: DynamicObject = serde_json::from_value(fixtures::object(include_str!("xrd-crd.yaml"))?)?;
    let name = crd.metadata.name.clone().context("a CRD without a name")?;
    stage
        .api(&definition::crd_resource(), None)
        .patch(&name, &stage::apply(stage::MANAGER), &Patch::Apply(&crd))
        .await?;
    let established = await_condition(Api::all(stage.client.clone()), &name, conditions::is_crd_established());
    tokio::time::timeout(DEADLINE, established).await.context("the CRD of XRDs was not established")??;
    Ok(())
}
