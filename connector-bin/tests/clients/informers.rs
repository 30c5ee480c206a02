//! client-go's informers (watch-list, metadata only) and a controller-runtime manager with a cached client that owns objects.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::clients::{Clients, Mark};
use testkit::eventually;

use crate::setup::{CLAIM_NAMESPACE, Corridor, EXAMPLE_API, claim, json, traces};

const INFORMERS: [&str; 2] = ["dynamic", "metadata"];

async fn start(corridor: &Corridor) -> Result<Clients> {
    let mut clients = Clients::start(&corridor.app, EXAMPLE_API, "kubernetesclusters", "KubernetesCluster").await?;
    for client in ["dynamic", "metadata", "manager"] {
        clients.wait_for(Mark::default(), client, "synced", |_| true).await?;
    }
    Ok(clients)
}

fn named(line: &Value, name: &str) -> bool {
    line["object"]["metadata"]["name"] == name && line["object"]["metadata"]["namespace"] == "default"
}

fn step(line: &Value, name: &str, step: &str) -> bool {
    named(line, name) && line["object"]["metadata"]["labels"]["step"] == step
}

/// Waits until all clients have seen that `name` is there.
async fn seen(clients: &mut Clients, mark: Mark, name: &str) -> Result<()> {
    for informer in INFORMERS {
        clients.wait_for(mark, informer, "add", |line| named(line, name)).await?;
    }
    clients.wait_for(mark, "manager", "reconcile", |line| named(line, name)).await?;
    Ok(())
}

/// Waits until all clients have seen the label `step`.
async fn changed(clients: &mut Clients, mark: Mark, name: &str, to: &str) -> Result<()> {
    for informer in INFORMERS {
        clients.wait_for(mark, informer, "update", |line| step(line, name, to)).await?;
    }
    clients.wait_for(mark, "manager", "reconcile", |line| step(line, name, to)).await?;
    Ok(())
}

/// Waits until all clients have seen that `name` is gone.
async fn gone(clients: &mut Clients, mark: Mark, name: &str) -> Result<()> {
    for informer in INFORMERS {
        clients.wait_for(mark, informer, "delete", |line| named(line, name)).await?;
    }
    let full = format!("default/{name}");
    clients.wait_for(mark, "manager", "gone", |line| line["name"] == full.as_str()).await?;
    Ok(())
}

/// What the clients asked of the claims' API, with the status of each answer.
fn requests(lines: &[Value]) -> Vec<(String, u64)> {
    let requests = lines.iter().filter(|line| line["event"] == "request");
    let of_claims = requests.filter_map(|line| {
        let url = line["url"].as_str().filter(|url| url.contains("/kubernetesclusters"))?;
        let status = line["status"].as_u64().unwrap_or(0);
        Some((format!("{} {url}", line["client"].as_str().unwrap_or_default()), status))
    });
    of_claims.collect()
}

/// Wire rules 5.4, 11.12: all start with a watch-list, and fall back to a list only where the control plane refuses it; 6.3: metadata
/// tell the local object.
#[tokio::test]
async fn informers_sync_and_follow() -> Result<()> {
    let corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    app.apply(&claim("default", "early")).await?;
    let mut clients = start(&corridor).await?;
    seen(&mut clients, Mark::default(), "early").await?;
    let asked = requests(&clients.since(Mark::default())?);
    let watch_lists = corridor.control_plane.answers_watch_lists().await?;
    for client in ["dynamic", "metadata", "manager"] {
        let of_client: Vec<_> = asked.iter().filter(|(url, _)| url.starts_with(client)).collect();
        let (first, others) = of_client.split_first().with_context(|| format!("{client} asked nothing"))?;
        ensure!(first.0.contains("sendInitialEvents=true"), "{first:?}");
        match watch_lists {
            true => ensure!(first.1 == 200 && others.is_empty(), "more than a watch-list: {of_client:#?}"),
            false => ensure!(
                first.1 == 422 && (1..=2).contains(&others.len()) && others.iter().all(|(_, status)| *status == 200),
                "no list and watch instead of the watch-list: {of_client:#?}"
            ),
        }
    }

    let mark = clients.mark()?;
    app.apply(&claim("default", "late")).await?;
    seen(&mut clients, mark, "late").await?;
    app.ok(["label", "kubernetescluster", "late", "step=2"]).await?;
    changed(&mut clients, mark, "late", "2").await?;
    // Crossplane's part arrives as well: whole objects only hold it.
    clients
        .wait_for(mark, "dynamic", "update", |line| {
            let conditions = line["object"]["status"]["conditions"].as_array().into_iter().flatten();
            named(line, "late") && conditions.clone().any(|of| of["type"] == "Ready" && of["status"] == "True")
        })
        .await?;

    // The manager watches what it owns, and the collector cleans up behind a claim.
    let uid =
        async || app.ok(["get", "configmap", "of-late", "--ignore-not-found", "-o", "jsonpath={.metadata.uid}"]).await;
    let first = eventually("the owned ConfigMap", || async {
        let uid = uid().await?;
        Ok(if uid.is_empty() { Err("none".to_owned()) } else { Ok(uid) })
    })
    .await?;
    app.ok(["delete", "configmap", "of-late"]).await?;
    eventually("the owned ConfigMap to be made again", || async {
        let uid = uid().await?;
        Ok(if uid.is_empty() || uid == first { Err(uid) } else { Ok(()) })
    })
    .await?;
    let owned = json(&app, &["get", "configmap", "of-late"]).await?;
    let late = json(&app, &["get", "kubernetescluster", "late"]).await?;
    ensure!(owned["metadata"]["ownerReferences"][0]["uid"] == late["metadata"]["uid"], "{owned}");
    app.ok(["delete", "kubernetescluster", "late", "--timeout=60s"]).await?;
    gone(&mut clients, mark, "late").await?;
    app.ok(["wait", "--for=delete", "configmap/of-late", "--timeout=90s"]).await?;
    ensure!(app.run(["get", "configmap", "of-early"]).await?.status.success());

    for line in clients.since(Mark::default())? {
        ensure!(traces(&line.to_string()).is_empty(), "{:?} in {line}", traces(&line.to_string()));
        ensure!(line["event"] != "error", "{line}");
    }
    Ok(())
}

/// A connector that dies and comes back: what happened meanwhile in the control plane arrives, and nothing that did not.
#[tokio::test]
async fn informers_survive_the_connector() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    let (app, remote) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    for name in ["kept", "lost"] {
        app.apply(&claim("default", name)).await?;
        app.ok(["wait", "--for=condition=Ready", &format!("kubernetescluster/{name}"), "--timeout=60s"]).await?;
    }
    let mut clients = start(&corridor).await?;
    for name in ["kept", "lost"] {
        seen(&mut clients, Mark::default(), name).await?;
    }
    let mark = clients.mark()?;
    corridor.connector.kill()?;
    for (name, change) in [("kept", vec!["label", "step=2"]), ("lost", vec!["delete", "--timeout=60s"])] {
        let stored = stored_name(&corridor, name).await?;
        let object = ["-n", CLAIM_NAMESPACE, "kubernetesclusters", &stored];
        remote.ok(change[..1].iter().copied().chain(object).chain(change[1..].iter().copied())).await?;
    }
    corridor.connector.restart().await?;
    changed(&mut clients, mark, "kept", "2").await?;
    gone(&mut clients, mark, "lost").await?;
    corridor.connector.wait_available(&corridor.app, EXAMPLE_API).await?;
    app.apply(&claim("default", "new")).await?;
    seen(&mut clients, mark, "new").await?;
    only(&clients.since(mark)?, "add", "new")?;
    only(&clients.since(mark)?, "delete", "lost")?;

    // Clients that start against the new connector.
    let mut fresh = start(&corridor).await?;
    for name in ["kept", "new"] {
        seen(&mut fresh, Mark::default(), name).await?;
    }
    Ok(())
}

/// An outage of the control plane is no change of any claim (wire rules 6.5, 11.8).
#[tokio::test]
async fn informers_survive_the_control_plane() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    app.apply(&claim("default", "kept")).await?;
    app.ok(["wait", "--for=condition=Ready", "kubernetescluster/kept", "--timeout=60s"]).await?;
    let mut clients = start(&corridor).await?;
    seen(&mut clients, Mark::default(), "kept").await?;
    let mark = clients.mark()?;
    corridor.control_plane.stop_apiserver()?;
    // All of them notice.
    for client in ["dynamic", "metadata", "manager"] {
        clients
            .wait_for(mark, client, "request", |line| {
                line["status"] == 503 && line["url"].as_str().is_some_and(|url| url.contains("/kubernetesclusters"))
            })
            .await?;
    }
    corridor.control_plane.start_apiserver().await?;
    eventually("the control plane to be reached again", || async {
        let label = app.run(["label", "kubernetescluster", "kept", "step=2", "--overwrite"]).await?;
        Ok(if label.status.success() { Ok(()) } else { Err(label.stderr) })
    })
    .await?;
    changed(&mut clients, mark, "kept", "2").await?;
    app.apply(&claim("default", "new")).await?;
    seen(&mut clients, mark, "new").await?;
    app.ok(["delete", "kubernetescluster", "new", "--timeout=60s"]).await?;
    gone(&mut clients, mark, "new").await?;
    only(&clients.since(mark)?, "add", "new")?;
    only(&clients.since(mark)?, "delete", "new")?;
    // The owned object outlived the outage with its owner.
    ensure!(app.run(["get", "configmap", "of-kept"]).await?.status.success());
    Ok(())
}

/// No event of this kind is about another claim.
fn only(lines: &[Value], event: &str, name: &str) -> Result<()> {
    let others: Vec<_> = lines.iter().filter(|line| line["event"] == event && !named(line, name)).collect();
    ensure!(others.is_empty(), "{others:#?}");
    Ok(())
}

/// The name in the control plane of a claim of the namespace `default`.
async fn stored_name(corridor: &Corridor, name: &str) -> Result<String> {
    let remote = corridor.control_plane.kubectl();
    let stored = json(&remote, &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    let found = stored["items"].as_array().into_iter().flatten().find(|of| {
        let labels = of["metadata"]["labels"].as_object().into_iter().flatten();
        of["spec"]["id"] == name && labels.clone().any(|(_, value)| value == name)
    });
    Ok(found.and_then(|of| of["metadata"]["name"].as_str()).with_context(|| stored.to_string())?.to_owned())
}
