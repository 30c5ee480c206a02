//! The control plane goes away and comes back; the app cluster goes on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::connector::Connector;
use testkit::eventually;

use crate::raw::Raw;
use crate::setup::{Corridor, EXAMPLE_API, claim, clusters, json, options};

/// The APIServices stay available and discovery stays whole (wire rules 2.4, 2.6), so that namespaces go that hold no claims (wire
/// rule 2.7); the collector takes 503 for no answer (wire rules 6.4, 6.5).
#[tokio::test]
async fn the_app_cluster_outlives_its_control_plane() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    for namespace in ["unrelated", "holding"] {
        app.ok(["create", "namespace", namespace]).await?;
    }
    app.apply(&claim("default", "db")).await?;
    app.apply(&claim("holding", "db")).await?;
    app.ok(["wait", "--for=condition=Ready", "kubernetescluster/db", "--timeout=60s"]).await?;
    // A dependent of the claim: the collector must not take an outage for the end of its owner (wire rule 6.5).
    let uid = app.ok(["get", "kubernetescluster", "db", "-o", "jsonpath={.metadata.uid}"]).await?;
    app.apply(&format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: dependent
  namespace: default
  ownerReferences: [{{apiVersion: {EXAMPLE_API}, kind: KubernetesCluster, name: db, uid: {uid}}}]
"
    ))
    .await?;

    corridor.control_plane.stop_apiserver()?;

    // Discovery, and everything that is not about claims.
    let fresh = corridor.app.kubectl();
    let resources = fresh.run(["api-resources", "--categories=claim", "-o", "name"]).await?;
    ensure!(
        resources.status.success() && resources.stdout.trim() == "kubernetesclusters.k8s.starter.org",
        "{resources:?}"
    );
    ensure!(fresh.run(["get", "pods", "-A"]).await?.status.success());
    let get = fresh.run(["get", "kubernetescluster", "db"]).await?;
    ensure!(
        get.stderr.contains("ServiceUnavailable") || get.stderr.contains("unable to handle the request"),
        "{}",
        get.stderr
    );
    let (status, retry_after) =
        raw_status(&corridor, "/apis/k8s.starter.org/v1alpha1/namespaces/default/kubernetesclusters").await?;
    ensure!(status.contains(r#""code":503"#) && status.contains("the control plane cannot be reached"), "{status}");
    ensure!(retry_after, "{status}");
    let list = fresh.run(["get", "claim", "-A"]).await?;
    ensure!(!list.status.success() && !list.stderr.contains("NotFound"), "{}", list.stderr);
    // Namespaces go, made before or now, unless they hold claims: those wait for what becomes of their claims.
    app.ok(["create", "namespace", "fresh"]).await?;
    app.ok(["delete", "namespace", "holding", "--wait=false"]).await?;
    app.ok(["delete", "namespace", "unrelated", "fresh", "--timeout=80s"]).await?;
    ensure!(app.run(["get", "namespace", "holding"]).await?.status.success());
    // The collector has looked by now, too.
    ensure!(app.run(["get", "configmap", "dependent"]).await?.status.success());

    corridor.control_plane.start_apiserver().await?;
    eventually("the claim to be there again", || async {
        let get = app.run(["get", "kubernetescluster", "db"]).await?;
        Ok(if get.status.success() { Ok(()) } else { Err(get.stderr) })
    })
    .await?;
    app.ok(["wait", "--for=delete", "namespace/holding", "--timeout=100s"]).await?;
    let stored = json(&corridor.control_plane.kubectl(), &["get", "kubernetesclusters", "-A"]).await?;
    ensure!(stored["items"].as_array().map(Vec::len) == Some(1), "{stored}");
    ensure!(app.run(["get", "configmap", "dependent"]).await?.status.success());
    let again = "the control plane is reachable again";
    eventually("the log to say so", || async {
        let log = corridor.connector.log()?;
        Ok(if log.contains(again) { Ok(()) } else { Err(log) })
    })
    .await
}

/// A control plane whose connections are open and that says nothing is away, too: watches end, so that clients know, and requests
/// are answered in time.
#[tokio::test]
async fn a_control_plane_that_hangs_is_away() -> Result<()> {
    let corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    app.apply(&claim("default", "db")).await?;
    let path = "/apis/k8s.starter.org/v1alpha1/kubernetesclusters";
    let mut watch = app.spawn(["get", "--raw", &format!("{path}?watch=true")])?;
    watch.line_where(|line| line.contains(r#""name":"db""#)).await?;
    corridor.control_plane.freeze_apiserver()?;
    let frozen = Instant::now();
    // PING is sent after 15 s of silence and waited for 10 s.
    let ended = async {
        while watch.line().await?.is_some() {}
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(45), ended).await.context("the watch goes on")??;
    ensure!(frozen.elapsed() > Duration::from_secs(5), "it did not end for this");
    let answer = Raw::admin_of(&corridor.app).await?.ask("GET", path, &[], "").await?;
    ensure!(answer.status == 503 && answer.header("retry-after").is_some(), "{} {}", answer.status, answer.text());
    ensure!(corridor.connector.log()?.contains("the control plane cannot be reached"));
    corridor.control_plane.thaw_apiserver()?;
    eventually("the claim to be there again", || async {
        let get = app.run(["get", "kubernetescluster", "db"]).await?;
        Ok(if get.status.success() { Ok(()) } else { Err(get.stderr) })
    })
    .await?;
    Ok(())
}

/// What kube-apiserver passes on of the connector's answer, and whether it asks for a retry.
async fn raw_status(corridor: &Corridor, path: &str) -> Result<(String, bool)> {
    let verbose = corridor.app.kubectl().run(["get", "--raw", path, "-v=8"]).await?;
    let all = format!("{}{}", verbose.stdout, verbose.stderr);
    let retry_after = all.contains("Retry-After") || all.contains("retryAfterSeconds");
    Ok((all.replace("\\\"", "\""), retry_after))
}

/// The connector starts although the control plane is away, and does its work when it comes. Until then it
/// answers 503: a 404 for its documents would be kept for ever (wire rule 4.7).
#[tokio::test]
async fn the_connector_starts_without_its_control_plane() -> Result<()> {
    let (app, mut control_plane, _crossplane) = clusters().await?;
    let mut options = options();
    options.claim_namespace = "made-later".to_owned();
    // The test kit makes the claim namespace before the start; here the connector has to.
    let mut connector = Connector::start(&app, &control_plane, options).await?;
    connector.terminate().await?;
    control_plane.kubectl().ok(["delete", "namespace", "made-later", "--timeout=60s"]).await?;
    control_plane.stop_apiserver()?;
    // Ready all the same (wire rule 2.4), and alive.
    connector.restart().await?;
    ensure!(connector.admin_get("/livez").await?.0 == 200);
    ensure!(connector.log()?.contains("serving without, so requests for claims answer 503"));
    control_plane.start_apiserver().await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    eventually("the claim namespace to be made", || async {
        let applied = app.kubectl().with_stdin(["apply", "-f", "-"], &claim("default", "db")).await?;
        Ok(if applied.status.success() { Ok(()) } else { Err(applied.stderr) })
    })
    .await?;

    // Nor has a start to wait for one that takes connections and says nothing.
    control_plane.freeze_apiserver()?;
    let started = Instant::now();
    connector.restart().await?;
    ensure!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    ensure!(connector.admin_get("/livez").await?.0 == 200);
    control_plane.thaw_apiserver()?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    Ok(())
}
