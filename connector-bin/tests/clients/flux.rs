//! Flux's real kustomize-controller applies a folder that holds claims.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testkit::flux::{Flux, NAMESPACE};
use testkit::{Kubectl, eventually};

use crate::setup::{CLAIM_NAMESPACE, Corridor, claim, json as get, traces};

const TEAM: &str = "apiVersion: v1
kind: Namespace
metadata: {name: team}
";

/// The ids of the inventory, sorted.
fn inventory(of: &Value) -> Vec<&str> {
    let entries = of["status"]["inventory"]["entries"].as_array().into_iter().flatten();
    let mut ids: Vec<_> = entries.filter_map(|entry| entry["id"].as_str()).collect();
    ids.sort_unstable();
    ids
}

/// The managers of an object, with what each did.
async fn managers(app: &Kubectl, name: &str) -> Result<Vec<String>> {
    let of = get(app, &["get", "kubernetescluster", "-n", "team", name, "--show-managed-fields"]).await?;
    ensure!(traces(&of.to_string()).is_empty(), "{of}");
    let entries = of["metadata"]["managedFields"].as_array().into_iter().flatten();
    Ok(entries
        .map(|entry| {
            let part = |key: &str| entry[key].as_str().unwrap_or_default();
            format!("{} {} {}", part("manager"), part("operation"), part("subresource"))
        })
        .collect())
}

#[tokio::test]
async fn a_folder_of_claims_lives_its_life() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (app, remote) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    let mut flux = Flux::start(&corridor.app).await?;

    // Applied, namespace and claims at once, and ready when the claims are.
    let (one, two) = (claim("team", "one"), claim("team", "two"));
    let revision = flux.publish(&[("team.yaml", TEAM), ("one.yaml", &one), ("two.yaml", &two)]).await?;
    flux.kustomization(
        "folder",
        json!({ "prune": true, "wait": true, "force": false, "timeout": "60s", "retryInterval": "5s" }),
    )
    .await?;
    let applied = flux.wait_ready("folder", &revision).await?;
    let both = [
        "_team__Namespace",
        "team_one_k8s.starter.org_KubernetesCluster",
        "team_two_k8s.starter.org_KubernetesCluster",
    ];
    ensure!(inventory(&applied) == both, "{applied}");
    ensure!(traces(&applied.to_string()).is_empty(), "{applied}");
    for name in ["one", "two"] {
        // Ready says: not before Crossplane was done.
        app.ok(["wait", "--for=condition=Ready", "-n", "team", &format!("kubernetescluster/{name}"), "--timeout=1s"])
            .await?;
        let managers = managers(&app, name).await?;
        ensure!(managers.iter().any(|of| of == "kustomize-controller Apply "), "{managers:?}");
        ensure!(!managers.iter().any(|of| of.contains("connector")), "{managers:?}");
    }

    // The same again changes nothing.
    let version = async || {
        app.ok(["get", "kubernetescluster", "-n", "team", "one", "-o", "jsonpath={.metadata.resourceVersion}"]).await
    };
    let before = version().await?;
    flux.reconcile("folder", "unchanged").await?;
    ensure!(version().await? == before);

    // Changed.
    let one = one.replace("count: 3", "count: 5");
    let revision = flux.publish(&[("team.yaml", TEAM), ("one.yaml", &one), ("two.yaml", &two)]).await?;
    flux.wait_ready("folder", &revision).await?;
    let count = async || {
        app.ok(["get", "kubernetescluster", "-n", "team", "one", "-o", "jsonpath={.spec.parameters.nodes.count}"]).await
    };
    ensure!(count().await? == "5");

    // Drifted, and corrected: changed by hand, and gone.
    let drift = r#"{"spec":{"parameters":{"nodes":{"count":7}}}}"#;
    app.ok(["patch", "kubernetescluster", "-n", "team", "one", "--type=merge", "-p", drift]).await?;
    app.ok(["delete", "kubernetescluster", "-n", "team", "two", "--timeout=60s"]).await?;
    flux.reconcile("folder", "drifted").await?;
    flux.wait_ready("folder", &revision).await?;
    ensure!(count().await? == "5");
    ensure!(app.run(["get", "kubernetescluster", "-n", "team", "two"]).await?.status.success());
    let of_one = managers(&app, "one").await?;
    ensure!(!of_one.iter().any(|of| of.starts_with("kubectl")), "{of_one:?}");

    // An invalid claim: the message is about what the user wrote.
    let bad = claim("team", "bad").replace("small", "enormous");
    let files = [("team.yaml", TEAM), ("one.yaml", &one), ("two.yaml", &two), ("bad.yaml", &bad)];
    let revision = flux.publish(&files).await?;
    let message = flux.wait_failed("folder", &revision).await?;
    ensure!(
        message.contains(r#"KubernetesCluster/team/bad dry-run failed (Invalid): KubernetesCluster.k8s.starter.org "bad" is invalid: spec.parameters.nodes.size: Unsupported value: "enormous""#),
        "{message}"
    );
    ensure!(traces(&message).is_empty(), "{message}");

    // Pruned.
    let revision = flux.publish(&[("team.yaml", TEAM), ("one.yaml", &one)]).await?;
    let pruned = flux.wait_ready("folder", &revision).await?;
    ensure!(inventory(&pruned) == both[..2], "{pruned}");
    app.ok(["wait", "--for=delete", "-n", "team", "kubernetescluster/two", "--timeout=60s"]).await?;
    ensure!(count().await? == "5");

    // Deleted.
    app.ok(["delete", "kustomization", "-n", NAMESPACE, "folder", "--timeout=90s"]).await?;
    app.ok(["wait", "--for=delete", "namespace/team", "--timeout=90s"]).await?;
    eventually("the control plane to be empty", || async {
        let stored = get(&remote, &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
        Ok(if stored["items"].as_array().is_some_and(Vec::is_empty) { Ok(()) } else { Err(stored.to_string()) })
    })
    .await
}
