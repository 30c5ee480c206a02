//! The documented example: a claim that is applied in an app cluster lives in the control plane.

use anyhow::{Result, ensure};
use testkit::fixtures;

use crate::setup::{CLAIM_NAMESPACE, Corridor, EXAMPLE, json, traces};

#[tokio::test]
async fn a_claim_lives_in_the_control_plane() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (app, remote) = (corridor.app.kubectl(), corridor.control_plane.kubectl());

    let applied = app.apply(&fixtures::claim(EXAMPLE)?).await?;
    ensure!(applied.contains("kubernetescluster.k8s.starter.org/my-cluster created"), "{applied}");
    app.ok(["wait", "--for=condition=Ready", "kubernetescluster/my-cluster", "--timeout=60s"]).await?;

    let table = app.ok(["get", "claim", "-A"]).await?;
    let row: Vec<&str> = table.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    ensure!(row[..5] == ["default", "my-cluster", "True", "True", "my-cluster-kubeconfig"], "{table}");

    // In the control plane: the hashed name of the stored-data contract, and the origin in labels.
    let uid = json(&app, &["get", "namespace", "kube-system"]).await?["metadata"]["uid"].clone();
    let stored = json(&remote, &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?["items"][0].clone();
    let name = stored["metadata"]["name"].as_str().unwrap_or_default();
    ensure!(name.len() == "claim-".len() + 16 && name.starts_with("claim-"), "{name}");
    let labels = &stored["metadata"]["labels"];
    ensure!(labels["mcp-connector.upbound.io/app-cluster"] == uid, "{labels}");
    ensure!(labels["mcp-connector.upbound.io/app-namespace"] == "default", "{labels}");
    ensure!(labels["mcp-connector.upbound.io/app-resource-name"] == "my-cluster", "{labels}");
    ensure!(stored["spec"]["writeConnectionSecretToRef"]["name"] != "my-cluster-kubeconfig", "{stored}");

    // In the app cluster: what the user wrote, and what the control plane made of it; same uid, no trace of the way.
    let seen = json(&app, &["get", "kubernetescluster", "my-cluster", "--show-managed-fields"]).await?;
    ensure!(seen["metadata"]["uid"] == stored["metadata"]["uid"], "{seen}");
    ensure!(seen["metadata"]["namespace"] == "default", "{seen}");
    ensure!(seen["spec"]["writeConnectionSecretToRef"]["name"] == "my-cluster-kubeconfig", "{seen}");
    let mut metadata = seen["metadata"].clone();
    metadata["annotations"].take();
    ensure!(traces(&metadata.to_string()).is_empty(), "{metadata}");

    // Changed here, it changes there.
    let larger = fixtures::claim(EXAMPLE)?.replace("size: small", "size: large");
    app.apply(&larger).await?;
    let stored = json(&remote, &["get", "kubernetescluster", name, "-n", CLAIM_NAMESPACE]).await?;
    ensure!(stored["spec"]["parameters"]["nodes"]["size"] == "large", "{stored}");

    // Watched, changed there, deleted.
    let mut watch = app.spawn(["get", "kubernetescluster", "my-cluster", "--watch", "-o", "name"])?;
    watch.line_where(|line| line.ends_with("/my-cluster")).await?;
    remote.ok(["annotate", "kubernetescluster", name, "-n", CLAIM_NAMESPACE, "seen=there"]).await?;
    watch.line_where(|line| line.ends_with("/my-cluster")).await?;
    let deleted = app.ok(["delete", "kubernetescluster", "my-cluster", "--timeout=60s"]).await?;
    ensure!(deleted.contains("\"my-cluster\" deleted"), "{deleted}");
    let left = json(&remote, &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    ensure!(left["items"] == serde_json::json!([]), "{left}");
    let gone = app.run(["get", "kubernetescluster", "my-cluster"]).await?;
    ensure!(gone.stderr.contains(r#"kubernetesclusters.k8s.starter.org "my-cluster" not found"#), "{}", gone.stderr);
    Ok(())
}
