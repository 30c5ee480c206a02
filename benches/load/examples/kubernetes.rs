//! The connector between two real Kubernetes clusters, beside the control plane asked directly: what a user and a controller wait
//! for. `benches/README.md` says what the numbers mean.
//!
//!     cargo build --release -p connector-bin
//!     CONNECTOR_BIN=target/release/connector cargo run --release -p load --example kubernetes -- [CLAIMS [WATCHES]]

#![allow(clippy::print_stdout, reason = "a program that prints what it measures")]

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::process;
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::json;
use testkit::connector::{Connector, ConnectorOptions};
use testkit::crossplane::Crossplane;
use testkit::{Cluster, Kubectl, fixtures};
use tokio::sync::mpsc;

const API: &str = "k8s.starter.org/v1alpha1";
const CLAIM_NAMESPACE: &str = "claims";
const CREATES_AT_ONCE: usize = 16;
const ROUNDS: usize = 5;
/// Writes whose way to a watcher is timed, and the pause between them.
const EVENTS: usize = 500;
const PAUSE: Duration = Duration::from_millis(20);
/// Writes that go to all watchers of the fan-out.
const BROADCASTS: usize = 20;
/// How long an event may take until something is wrong.
const LONG: Duration = Duration::from_secs(60);
const MARK: &str = "example.org/mark";

/// One way to the same objects.
struct Way {
    name: &'static str,
    client: Client,
    kubectl: Kubectl,
    /// What makes kubectl list them all.
    place: [&'static str; 2],
    namespace: &'static str,
}

impl Way {
    fn claims(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace, &resource())
    }
}

fn resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("k8s.starter.org", "v1alpha1", "KubernetesCluster"),
        "kubernetesclusters",
    )
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let claims = arguments.next().transpose()?.unwrap_or(10_000);
    let watches = arguments.next().transpose()?.unwrap_or(500);

    let (app, control_plane) = Cluster::start_two().await?;
    // Its Crossplane reconciles nothing: that is not what is measured.
    let crossplane = Crossplane::install_idle(&control_plane).await?;
    crossplane.offer(&fixtures::xrd("01-eks-kubernetescluster")?).await?;
    let options = ConnectorOptions { claim_namespace: CLAIM_NAMESPACE.to_owned(), ..ConnectorOptions::default() };
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, API).await?;
    let native = Way {
        name: "native",
        client: control_plane.client().await?,
        kubectl: control_plane.kubectl(),
        place: ["-n", CLAIM_NAMESPACE],
        namespace: CLAIM_NAMESPACE,
    };
    let through = Way {
        name: "connector",
        client: app.client().await?,
        kubectl: app.kubectl(),
        place: ["-n", "default"],
        namespace: "default",
    };

    create(&through, claims).await?;
    println!("| what | native | connector | ratio | connector's CPU |\n|---|---|---|---|---|");
    for output in ["wide", "json"] {
        get(output, claims, [&native, &through], connector.id()).await?;
    }
    latency([&native, &through]).await?;
    for way in [&native, &through] {
        fan_out(way, &native, watches, connector.id()).await?;
    }
    println!("\nThe connector's memory at its peak: {:.1} MB", process::peak_memory(connector.id())? as f64 / 1e6);
    Ok(())
}

/// As controllers create: many at once, through the front.
async fn create(way: &Way, claims: usize) -> Result<()> {
    let started = Instant::now();
    let api = way.claims();
    let created = stream::iter(0..claims).map(|number| {
        let api = &api;
        async move {
            let name = format!("cluster-{number:05}");
            let claim: DynamicObject = serde_json::from_value(json!({
                "apiVersion": API,
                "kind": "KubernetesCluster",
                "metadata": { "name": name, "labels": { "team": format!("team-{}", number % 50) } },
                "spec": {
                    "id": name,
                    "parameters": { "nodes": { "count": 3, "size": "small" } },
                    "writeConnectionSecretToRef": { "name": format!("{name}-kubeconfig") },
                },
            }))?;
            api.create(&Default::default(), &claim).await.with_context(|| format!("cannot create {name}"))
        }
    });
    created.buffer_unordered(CREATES_AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
    println!("{claims} claims created, {CREATES_AT_ONCE} at once, in {:.1} s\n", started.elapsed().as_secs_f64());
    Ok(())
}

/// `kubectl get` of everything, in turn.
async fn get(output: &str, claims: usize, ways: [&Way; 2], connector: u32) -> Result<()> {
    let mut times = [const { Vec::new() }; 2];
    let mut cpu = Vec::new();
    for _ in 0..ROUNDS {
        for (way, times) in ways.iter().zip(&mut times) {
            let (started, before) = (Instant::now(), process::cpu(connector)?);
            let printed = way.kubectl.ok(["get", "kubernetesclusters", "-o", output].iter().chain(&way.place)).await?;
            times.push(started.elapsed());
            if way.name == "connector" {
                cpu.push(process::cpu(connector)? - before);
            }
            let expected = if output == "json" { "\"kind\": \"KubernetesCluster\"" } else { "cluster-" };
            // The name of the object is in no other column.
            let found = if way.name == "native" && output == "wide" { "claim-" } else { expected };
            let count = printed.matches(found).count();
            ensure!(count >= claims, "{} objects of {claims} in {}", count, way.name);
        }
    }
    let [native, through] = times.map(median);
    row(&format!("`kubectl get -o {output}` of {claims}"), native, through, Some(median(cpu)));
    Ok(())
}

/// From the beginning of a write at the control plane to its event, for one watcher on each way.
async fn latency(ways: [&Way; 2]) -> Result<()> {
    let (heard, mut hears) = mpsc::unbounded_channel();
    let mut watchers = Vec::new();
    for (index, way) in ways.iter().enumerate() {
        let heard = heard.clone();
        watchers.push(watch(way, move |mark| heard.send((index, mark.to_owned(), Instant::now())).is_ok()).await?);
    }
    let (api, name) = any(ways[0]).await?;
    let mut took = [const { Vec::new() }; 2];
    for number in 0..EVENTS {
        let mark = format!("latency-{number}");
        let written = Instant::now();
        write(&api, &name, &mark).await?;
        for _ in &ways {
            let (index, seen, at) = tokio::time::timeout(LONG, hears.recv()).await?.context("watchers go on")?;
            ensure!(seen == mark, "{seen} came and not {mark}");
            took[index].push(at - written);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut added: Vec<Duration> =
        took[1].iter().zip(&took[0]).map(|(through, native)| through.saturating_sub(*native)).collect();
    added.sort_unstable();
    let [native, through] = took.map(|mut took| {
        took.sort_unstable();
        took
    });
    for (what, percent) in [("p50", 50), ("p99", 99)] {
        let at = |all: &[Duration]| all[all.len() * percent / 100];
        row(&format!("event after a write, {what}"), at(&native), at(&through), None);
        println!("| – of that added, {what} | | {:.2} ms | | |", at(&added).as_secs_f64() * 1e3);
    }
    watchers.into_iter().for_each(|watcher| watcher.abort());
    Ok(())
}

/// From the beginning of a write to the last of many watchers' events.
async fn fan_out(way: &Way, writer: &Way, watches: usize, connector: u32) -> Result<()> {
    let (heard, mut hears) = mpsc::unbounded_channel();
    let mut watchers = Vec::new();
    for _ in 0..watches {
        let heard = heard.clone();
        watchers.push(watch(way, move |mark| heard.send(mark.to_owned()).is_ok()).await?);
    }
    let (api, name) = any(writer).await?;
    let before = process::cpu(connector)?;
    let mut took = Vec::new();
    for number in 0..BROADCASTS {
        let mark = format!("{}-{number}", way.name);
        let written = Instant::now();
        write(&api, &name, &mark).await?;
        for _ in 0..watches {
            let seen = tokio::time::timeout(LONG, hears.recv()).await?.context("watchers go on")?;
            ensure!(seen == mark, "{seen} came and not {mark}");
        }
        took.push(written.elapsed());
    }
    let cpu = (process::cpu(connector)? - before) / u32::try_from(BROADCASTS * watches)?;
    println!(
        "| the last of {watches} watches after a write, {} | {:.1} ms | | | {:.0} µs for an event |",
        way.name,
        median(took).as_secs_f64() * 1e3,
        cpu.as_secs_f64() * 1e6
    );
    watchers.into_iter().for_each(|watcher| watcher.abort());
    Ok(())
}

/// Some object, and the API to write it.
async fn any(way: &Way) -> Result<(Api<DynamicObject>, String)> {
    let api = way.claims();
    let first = api.list(&kube::api::ListParams::default().limit(1)).await?.items.into_iter().next();
    let name = first.and_then(|object| object.metadata.name).context("there is an object")?;
    Ok((api, name))
}

async fn write(api: &Api<DynamicObject>, name: &str, mark: &str) -> Result<()> {
    let patch = json!({ "metadata": { "annotations": { MARK: mark } } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Watches from now on and tells the mark of each event, as long as it is listened to.
async fn watch(way: &Way, mut told: impl FnMut(&str) -> bool + Send + 'static) -> Result<tokio::task::JoinHandle<()>> {
    let api = way.claims();
    let list = api.list_metadata(&kube::api::ListParams::default().limit(1)).await?;
    let version = list.metadata.resource_version.context("a list has a version")?;
    let parameters = WatchParams::default().timeout(290);
    let events = api.watch(&parameters, &version).await?.boxed();
    Ok(tokio::spawn(async move {
        let mut events = pin!(events);
        while let Some(Ok(event)) = events.next().await {
            if let WatchEvent::Modified(object) = event
                && let Some(mark) = object.metadata.annotations.as_ref().and_then(|annotations| annotations.get(MARK))
                && !told(mark)
            {
                return;
            }
        }
    }))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn row(what: &str, native: Duration, through: Duration, cpu: Option<Duration>) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let cpu = cpu.map_or_else(String::new, |cpu| format!("{:.0} ms", milliseconds(cpu)));
    println!(
        "| {what} | {:.1} ms | {:.1} ms | {:.2} | {cpu} |",
        milliseconds(native),
        milliseconds(through),
        through.as_secs_f64() / native.as_secs_f64()
    );
}
