//! One Pod, from its binding to its end.

use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::environment::command;
use super::probe::Readiness;
use super::status::{Container, Status, now};
use super::volumes::Volumes;
use super::{Entry, Shared, TICK};
use crate::process::show;

/// How often the volumes are looked at.
const REFRESH: Duration = Duration::from_secs(1);

/// A container that ends again and again is started after 0, 1, 2, 4, 8, 10, 10 … seconds. The kubelet waits ten times as long.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

struct Task {
    client: Client,
    shared: Arc<Shared>,
    store: Store<Pod>,
    api: Api<Pod>,
    name: String,
    uid: Option<String>,
    container: ContainerSpec,
    address: Ipv4Addr,
    log: PathBuf,
    volumes: Volumes,
    status: Status,
    written: Option<Status>,
}

/// Runs the Pod until it is gone.
pub(super) async fn run(client: Client, shared: Arc<Shared>, store: Store<Pod>, pod: Arc<Pod>, address: Ipv4Addr) {
    let name = pod.name_any();
    let outcome = async {
        let container = pod.spec.as_ref().and_then(|spec| spec.containers.first()).context("no container")?.clone();
        let folder = shared.folder.join(&name);
        std::fs::create_dir_all(folder.join("volumes"))?;
        let log = folder.join(format!("{}.log", container.name));
        let volumes = Volumes::new(client.clone(), &pod, &container, folder.join("volumes"), address)?;
        let api = Api::namespaced(client.clone(), &shared.namespace);
        let (uid, status) = (pod.uid(), Status::new());
        let (shared, name) = (shared.clone(), name.clone());
        let mut task =
            Task { client, shared, store, api, name, uid, container, address, log, volumes, status, written: None };
        task.live().await
    };
    if let Err(error) = outcome.await {
        show(&format!("Pod {name} is not run any more: {error:#}"));
    }
    shared.running().remove(&name);
}

impl Task {
    /// The scheduler's part.
    async fn bind(&self) -> Result<()> {
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": { "name": self.name },
            "target": { "apiVersion": "v1", "kind": "Node", "name": self.shared.name },
        });
        let parameters = PostParams::default();
        let bound: kube::Result<Value> =
            self.api.create_subresource("binding", &self.name, &parameters, &binding).await;
        match bound {
            // Bound already, or gone.
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// The Pod as it is; `None` when it is gone.
    fn current(&self) -> Option<Arc<Pod>> {
        let pod = self.store.get(&ObjectRef::new(&self.name).within(&self.shared.namespace))?;
        (pod.uid() == self.uid).then_some(pod)
    }

    async fn live(&mut self) -> Result<()> {
        loop {
            let Some(pod) = self.current() else { return Ok(()) };
            if pod.metadata.deletion_timestamp.is_some() {
                return self.end(&pod).await;
            }
            match self.start(&pod).await {
                Ok(readiness) => {
                    let started = Instant::now();
                    let Some(code) = self.watch_over(readiness).await? else { continue };
                    self.ended(code);
                    self.pause(started.elapsed()).await;
                }
                Err(error) => {
                    let message = format!("{error:#}");
                    self.status.container = Container::Waiting { reason: "CreateContainerConfigError", message };
                    self.write().await;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    async fn start(&mut self, pod: &Pod) -> Result<Readiness> {
        if pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_none()) {
            self.bind().await?;
        }
        self.volumes.refresh(pod).await?;
        let args = command(&self.client, &self.shared, pod, &self.container, &self.volumes, self.address).await?;
        let readiness = Readiness::new(&self.container, self.address)?;
        let process = self.shared.group.spawn(Path::new("/usr/bin/env"), &args, &self.log)?;
        let entry = Entry { process: Some(process), address: self.address, log: self.log.clone() };
        self.shared.running().insert(self.name.clone(), entry);
        self.status.container = Container::Running { since: now() };
        self.write().await;
        Ok(readiness)
    }

    /// Until the process ends, or the Pod is to: `None`.
    async fn watch_over(&mut self, mut readiness: Readiness) -> Result<Option<ExitStatus>> {
        let mut refreshed = Instant::now();
        loop {
            if let Some(status) = self.exit()? {
                return Ok(Some(status));
            }
            let Some(pod) = self.current() else {
                self.signal(Signal::KILL)?;
                return Ok(None);
            };
            if pod.metadata.deletion_timestamp.is_some() {
                return self.terminate(&pod, readiness).await;
            }
            let ready = readiness.ask().await;
            self.status.set_ready(ready);
            self.write().await;
            if refreshed.elapsed() > REFRESH {
                // What is missing now stays as it was, as with the kubelet.
                let _ = self.volumes.refresh(&pod).await;
                refreshed = Instant::now();
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// preStop, SIGTERM, and after the grace period SIGKILL. It is asked for its readiness to the end.
    async fn terminate(&mut self, pod: &Pod, mut readiness: Readiness) -> Result<Option<ExitStatus>> {
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30).unsigned_abs();
        let end = Instant::now() + Duration::from_secs(grace);
        let sleep = self.container.lifecycle.as_ref().and_then(|of| of.pre_stop.as_ref()?.sleep.as_ref());
        let term = Instant::now() + Duration::from_secs(sleep.map_or(0, |sleep| sleep.seconds.unsigned_abs()));
        let (mut asked, mut killed) = (false, false);
        loop {
            if let Some(status) = self.exit()? {
                return Ok(Some(status));
            }
            if !asked && Instant::now() >= term {
                self.signal(Signal::TERM)?;
                asked = true;
            }
            if !killed && (Instant::now() >= end || self.current().is_none()) {
                self.signal(Signal::KILL)?;
                killed = true;
            }
            let ready = readiness.ask().await;
            self.status.set_ready(ready);
            self.write().await;
            tokio::time::sleep(TICK).await;
        }
    }

    fn exit(&self) -> Result<Option<ExitStatus>> {
        let mut running = self.shared.running();
        let Some(process) = running.get_mut(&self.name).and_then(|entry| entry.process.as_mut()) else {
            return Ok(None);
        };
        process.exit()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let running = self.shared.running();
        match running.get(&self.name).and_then(|entry| entry.process.as_ref()) {
            Some(process) => process.signal(signal),
            None => Ok(()),
        }
    }

    fn ended(&mut self, status: ExitStatus) {
        if let Some(entry) = self.shared.running().get_mut(&self.name) {
            entry.process = None;
        }
        let Container::Running { since } = self.status.container.clone() else { return };
        // As a shell says it.
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255);
        self.status.container = Container::Terminated { code, since, at: now() };
        self.status.set_ready(false);
    }

    /// Between an end and the next start.
    async fn pause(&mut self, ran: Duration) {
        let deleted = |task: &Self| task.current().is_none_or(|pod| pod.metadata.deletion_timestamp.is_some());
        if deleted(self) {
            return;
        }
        self.write().await;
        let pause = match self.status.restarts {
            0 => Duration::ZERO,
            _ if ran > 6 * LONGEST_PAUSE => Duration::ZERO,
            restarts => Duration::from_secs(1 << (restarts - 1).min(4)).min(LONGEST_PAUSE),
        };
        let message = format!("back-off {pause:?} restarting failed container");
        let waiting = Container::Waiting { reason: "CrashLoopBackOff", message };
        self.status.last = Some(std::mem::replace(&mut self.status.container, waiting));
        self.status.restarts += 1;
        let end = Instant::now() + pause;
        while Instant::now() < end && !deleted(self) {
            self.write().await;
            tokio::time::sleep(TICK).await;
        }
    }

    /// The last word, and the object's end.
    async fn end(&mut self, pod: &Pod) -> Result<()> {
        self.status.over = true;
        self.status.set_ready(false);
        self.write().await;
        let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }.grace_period(0);
        loop {
            match self.api.delete(&self.name, &parameters).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => return Ok(()),
                // kube-apiserver may be away for a while.
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// Writes the status if it is another one. What fails is tried again with the next look.
    async fn write(&mut self) {
        if self.written.as_ref() == Some(&self.status) {
            return;
        }
        let image = self.container.image.clone().unwrap_or_default();
        let patch = self.status.patch(&self.container.name, &image, self.address);
        let written = self.api.patch_status(&self.name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        match written {
            Ok(_) => self.written = Some(self.status.clone()),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => show(&format!("the status of {} cannot be written: {error}", self.name)),
        }
    }
}
