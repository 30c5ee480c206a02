//! Many clusters share one control plane, and nobody sees or touches what is another's.

use anyhow::{Result, ensure};
use testkit::connector::Connector;
use testkit::{Cluster, ClusterOptions};

use crate::setup::{CLAIM_NAMESPACE, Corridor, EXAMPLE_API, claim, json, options};

/// Even in one claim namespace, as when a platform team gave two clusters the same, as long as their IDs differ (wire rule 11.18).
#[tokio::test]
async fn two_app_clusters_never_meet() -> Result<()> {
    let corridor = Corridor::start().await?;
    let second = Cluster::start(ClusterOptions::named("second-app")).await?;
    let connector = Connector::start(&second, &corridor.control_plane, options()).await?;
    connector.wait_available(&second, EXAMPLE_API).await?;
    let (one, other) = (corridor.app.kubectl(), second.kubectl());
    let remote = corridor.control_plane.kubectl();

    // The same namespace and name in both.
    one.apply(&claim("default", "db")).await?;
    other.apply(&claim("default", "db").replace("count: 3", "count: 7")).await?;
    one.apply(&claim("default", "only-one")).await?;
    let count = |object: &serde_json::Value| object["spec"]["parameters"]["nodes"]["count"].clone();
    ensure!(count(&json(&one, &["get", "kubernetescluster", "db"]).await?) == 3);
    ensure!(count(&json(&other, &["get", "kubernetescluster", "db"]).await?) == 7);
    ensure!(other.ok(["get", "claim", "-A", "-o", "name"]).await?.lines().count() == 1);
    ensure!(!other.run(["get", "kubernetescluster", "only-one"]).await?.status.success());

    // One cluster's clean-up is its own.
    other.ok(["delete", "kubernetesclusters", "--all", "-A", "--timeout=60s"]).await?;
    ensure!(one.ok(["get", "claim", "-A", "-o", "name"]).await?.lines().count() == 2);
    let stored = json(&remote, &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    ensure!(stored["items"].as_array().map(Vec::len) == Some(2), "{stored}");

    // What is not labelled as a cluster's does not exist for it.
    remote.apply(&claim(CLAIM_NAMESPACE, "nobodys")).await?;
    ensure!(one.ok(["get", "claim", "-A", "-o", "name"]).await?.lines().count() == 2);
    Ok(())
}

/// Wire rule 8.7: `a-x-b` in `c` and `a` in `b-x-c` have one remote name.
#[tokio::test]
async fn a_colliding_pair_never_meets() -> Result<()> {
    let corridor = Corridor::start().await?;
    let kubectl = corridor.app.kubectl();
    for namespace in ["c", "b-x-c"] {
        kubectl.ok(["create", "namespace", namespace]).await?;
    }
    kubectl.apply(&claim("c", "a-x-b")).await?;
    // The place is taken, and what takes it is not to be seen.
    let read = kubectl.run(["get", "kubernetescluster", "-n", "b-x-c", "a"]).await?;
    ensure!(read.stderr.contains(r#"kubernetesclusters.k8s.starter.org "a" not found"#), "{}", read.stderr);
    ensure!(kubectl.ok(["get", "claim", "-n", "b-x-c", "-o", "name"]).await?.is_empty());
    let created = kubectl.with_stdin(["create", "-f", "-"], &claim("b-x-c", "a")).await?;
    ensure!(created.stderr.contains(r#""a" already exists"#), "{}", created.stderr);
    for touch in [
        &["delete", "kubernetescluster", "-n", "b-x-c", "a"][..],
        &["patch", "kubernetescluster", "-n", "b-x-c", "a", "--type=merge", "-p", r#"{"spec":{"id":"taken"}}"#],
        &["label", "kubernetescluster", "-n", "b-x-c", "a", "x=y"],
    ] {
        let touched = kubectl.run(touch).await?;
        ensure!(touched.stderr.contains("not found"), "{touch:?}: {}", touched.stderr);
    }
    let applied = kubectl.with_stdin(["apply", "--server-side", "-f", "-"], &claim("b-x-c", "a")).await?;
    ensure!(!applied.status.success(), "{}", applied.stdout);
    let kept = json(&kubectl, &["get", "kubernetescluster", "-n", "c", "a-x-b"]).await?;
    ensure!(kept["spec"]["id"] == "a-x-b" && kept["metadata"]["labels"].is_null(), "{kept}");
    Ok(())
}

/// Wire rule 11.17: with our labels in hand, a user could move objects between namespaces and clusters.
#[tokio::test]
async fn origin_labels_are_not_the_users() -> Result<()> {
    let corridor = Corridor::start().await?;
    let kubectl = corridor.app.kubectl();
    kubectl.apply(&claim("default", "db")).await?;
    let label = "mcp-connector.upbound.io/app-namespace";
    for attempt in [
        &["label", "kubernetescluster", "db", &format!("{label}=kube-system")][..],
        &["annotate", "kubernetescluster", "db", "mcp-connector.upbound.io/owner-references=[]"],
    ] {
        let refused = kubectl.run(attempt).await?;
        ensure!(!refused.status.success() && refused.stderr.contains("mcp-connector.upbound.io"), "{}", refused.stderr);
    }
    ensure!(kubectl.ok(["get", "claim", "-A", "-l", &format!("{label}=default"), "-o", "name"]).await?.is_empty());
    Ok(())
}
