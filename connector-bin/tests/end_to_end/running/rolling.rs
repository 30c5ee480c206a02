//! Replicas end, well or not, while requests go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use http::Request;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use testkit::connector::{Connector, ConnectorOptions};
use testkit::{Cluster, eventually};
use tokio::task::JoinHandle;

use super::balancer::Balancer;
use crate::raw::Raw;
use crate::setup::{CLAIM_NAMESPACE, EXAMPLE_API, claim, clusters, options};

const API: &str = "/apis/k8s.starter.org/v1alpha1";
const WRITERS: usize = 6;
/// How long after a kill the front may still send to who is gone.
const NOTICED: Duration = Duration::from_millis(500);

/// Wire rule 11.23. Whoever ends is not asked any more before it stops to answer, so nothing fails at all; of one that is killed only
/// what was under way there. A watch goes on where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_while_replicas_are_replaced() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let balancer = Balancer::start().await?;
    let options = ConnectorOptions {
        service_port: Some(balancer.port()),
        extra_args: vec!["--shutdown-delay=2".to_owned()],
        ..options()
    };
    let mut first = Connector::start(&app, &control_plane, options.clone()).await?;
    balancer.lead_to([first.port()]);
    first.wait_available(&app, EXAMPLE_API).await?;
    let mut second = Connector::start(&app, &control_plane, options).await?;
    let endpoints = follow_readiness(balancer, [&first, &second]);

    let local = Watcher::start(&app, "default").await?;
    let remote = Watcher::start(&control_plane, CLAIM_NAMESPACE).await?;
    let load = Load::start(&app).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;

    for replica in [&mut first, &mut second] {
        ensure!(replica.terminate().await?.success());
        replica.restart().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    load.check("in a rolling restart", |_| false)?;
    ensure!(local.interruptions() >= 1, "the watch never met a replica that ended");

    let (holder, other) = if is_asked(&first).await? { (&mut first, &second) } else { (&mut second, &first) };
    ensure!(!is_asked(other).await?, "the front has one connection");
    let killed = Instant::now();
    holder.kill()?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    load.check("after a kill", |failure| failure.began < killed + NOTICED && failure.ended > killed)?;
    holder.restart().await?;

    load.stop().await;
    eventually("the watch to have seen everything", || async {
        let (local, remote) = (local.events(), remote.events());
        Ok(if local == remote { Ok(()) } else { Err(differences(&local, &remote)) })
    })
    .await?;
    ensure!(local.events().len() > 100, "{} events", local.events().len());
    ensure!(local.interruptions() >= 2, "the watch was not interrupted by the kill");
    endpoints.abort();
    Ok(())
}

/// kubelet's and the endpoint controller's part: who is ready gets new connections.
fn follow_readiness(balancer: Balancer, replicas: [&Connector; 2]) -> JoinHandle<()> {
    let ports = replicas.map(|replica| (replica.port(), replica.admin_port()));
    tokio::spawn(async move {
        loop {
            let mut ready = Vec::new();
            for (port, admin_port) in ports {
                if matches!(testkit::connector::admin_get(admin_port, "/readyz").await, Ok((200, _))) {
                    ready.push(port);
                }
            }
            balancer.lead_to(ready);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
}

/// Whether the front's connection leads to this replica.
async fn is_asked(replica: &Connector) -> Result<bool> {
    let (_, metrics) = replica.admin_get("/metrics").await?;
    let mut open = metrics.lines().filter(|line| line.starts_with("connector_open_watches"));
    Ok(open.any(|line| !line.ends_with(" 0")))
}

/// A request that did not go well.
struct Failure {
    what: String,
    began: Instant,
    ended: Instant,
}

/// Clients that create, read, list, change and delete all the time, and try nothing again.
struct Load {
    failures: Arc<Mutex<Vec<Failure>>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    async fn start(app: &Cluster) -> Result<Self> {
        let (failures, stop) = (Arc::<Mutex<Vec<Failure>>>::default(), Arc::<AtomicBool>::default());
        let mut clients = Vec::new();
        for number in 0..WRITERS {
            let raw = Raw::admin_of(app).await?;
            let (failures, stop) = (failures.clone(), stop.clone());
            clients.push(tokio::spawn(async move {
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    round(&raw, &format!("db-{number}-{turn}"), &failures).await;
                }
            }));
        }
        Ok(Self { failures, stop, clients })
    }

    /// Only what `excuse` holds for has failed; forgets it.
    fn check(&self, when: &str, excuse: impl Fn(&Failure) -> bool) -> Result<()> {
        let failures = std::mem::take(&mut *self.failures.lock().unwrap());
        let bad: Vec<&str> = failures.iter().filter(|failure| !excuse(failure)).map(|failure| &*failure.what).collect();
        ensure!(bad.is_empty(), "{when}: {bad:#?}");
        Ok(())
    }

    async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let _ = client.await;
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}

/// The life of one claim.
async fn round(raw: &Raw, name: &str, failures: &Mutex<Vec<Failure>>) {
    let all = format!("{API}/namespaces/default/kubernetesclusters");
    let one = format!("{all}/{name}");
    let json = [("content-type", "application/yaml")];
    let patch = [("content-type", "application/merge-patch+json")];
    let created = claim("default", name);
    let label = r#"{"metadata":{"labels":{"changed":"yes"}}}"#;
    let requests = [
        ("POST", &all, &json[..], created.as_str()),
        ("GET", &one, &[], ""),
        ("PATCH", &one, &patch, label),
        ("GET", &all, &[], ""),
        ("DELETE", &one, &[], ""),
    ];
    for (method, path, headers, body) in requests {
        let began = Instant::now();
        let failed = match raw.ask(method, path, headers, body).await {
            Ok(answer) if (200..300).contains(&answer.status) && answer.body.is_ok() => None,
            Ok(answer) => Some(format!("{} {}", answer.status, answer.text())),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(failed) = failed {
            let what = format!("{method} {path}: {failed}");
            failures.lock().unwrap().push(Failure { what, began, ended: Instant::now() });
            // What comes next may depend on it.
            let _ = pause().await;
            return;
        }
    }
}

/// A watch from where it was interrupted, as an informer has it.
struct Watcher {
    seen: Arc<Mutex<Seen>>,
    work: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    events: Vec<(String, String)>,
    interruptions: usize,
}

impl Watcher {
    async fn start(cluster: &Cluster, namespace: &str) -> Result<Self> {
        let path = format!("{API}/namespaces/{namespace}/kubernetesclusters");
        let client = cluster.plain_client_for("admin", &["system:masters"]).await?;
        let list: Value = client.request(Request::get(&path).body(Vec::new())?).await?;
        ensure!(list["items"].as_array().is_some_and(Vec::is_empty), "{list}");
        let mut version = list["metadata"]["resourceVersion"].as_str().context("a version")?.to_owned();
        let seen = Arc::<Mutex<Seen>>::default();
        let work = {
            let seen = seen.clone();
            tokio::spawn(async move {
                loop {
                    let ended = watch(&client, &path, &mut version, &seen).await;
                    let mut seen = seen.lock().unwrap();
                    seen.interruptions += 1;
                    if let Err(error) = ended {
                        // Shown where the events are compared.
                        seen.events.push(("error".to_owned(), format!("{error:#}")));
                    }
                }
            })
        };
        Ok(Self { seen, work })
    }

    fn events(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().events.clone()
    }

    fn interruptions(&self) -> usize {
        self.seen.lock().unwrap().interruptions
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Follows until the watch ends; an error is what an informer could not resume after.
async fn watch(client: &Client, path: &str, version: &mut String, seen: &Mutex<Seen>) -> Result<()> {
    let request = Request::get(format!("{path}?watch=true&resourceVersion={version}")).body(Body::empty())?;
    let Ok(answer) = client.send(request).await else { return pause().await };
    if answer.status() != 200 {
        ensure!(answer.status() == 503, "{}", answer.status());
        return pause().await;
    }
    let mut body = answer.into_body();
    let mut rest = Vec::new();
    // How it breaks off is the same to an informer, as long as no half event is taken for a whole one.
    while let Some(Ok(frame)) = body.frame().await {
        rest.extend_from_slice(frame.data_ref().map(|data| &data[..]).unwrap_or_default());
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let event: Value = serde_json::from_slice(&line).context("half an event")?;
            let (kind, at) = (&event["type"], &event["object"]["metadata"]["resourceVersion"]);
            let (Some(kind), Some(at)) = (kind.as_str(), at.as_str()) else { bail!("{event}") };
            at.clone_into(version);
            seen.lock().unwrap().events.push((kind.to_owned(), at.to_owned()));
        }
    }
    Ok(())
}

async fn pause() -> Result<()> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(())
}

fn differences(local: &[(String, String)], remote: &[(String, String)]) -> String {
    let only = |these: &[(String, String)], those: &[(String, String)]| {
        these.iter().filter(|event| !those.contains(event)).take(5).cloned().collect::<Vec<_>>()
    };
    let (ours, theirs) = (only(local, remote), only(remote, local));
    format!("{} and {} events; only here {ours:?}, only there {theirs:?}", local.len(), remote.len())
}
