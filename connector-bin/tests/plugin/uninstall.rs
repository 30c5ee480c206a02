//! `uninstall`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::{Cluster, ClusterOptions, eventually};

use crate::setup::{Told, run, tell};
use crate::stage::{CLAIM_NAMESPACE, CLUSTER_ID, EXAMPLE_API, Stage};

fn claim(namespace: &str, name: &str, labels: &Value) -> String {
    json!({
        "apiVersion": EXAMPLE_API, "kind": "KubernetesCluster",
        "metadata": { "name": name, "namespace": namespace, "labels": labels },
        "spec": { "id": name, "parameters": { "nodes": { "count": 3, "size": "small" } } },
    })
    .to_string()
}

/// Everything with our labels, on both sides.
async fn left(stage: &Stage) -> Result<Vec<String>> {
    let selector = "app.kubernetes.io/name=control-plane-connector";
    let kinds = "deployments,services,secrets,configmaps,serviceaccounts,poddisruptionbudgets,networkpolicies,roles,\
                 rolebindings,clusterroles,clusterrolebindings";
    let mut left = Vec::new();
    for cluster in [&stage.app, &stage.control_plane] {
        let printed = cluster.kubectl().ok(["get", kinds, "-A", "-l", selector, "-o", "name"]).await?;
        left.extend(printed.lines().map(str::to_owned));
    }
    let api_services =
        stage.app.kubectl().ok(["get", "apiservices", "-l", "mcp-connector.upbound.io/service", "-o", "name"]).await?;
    left.extend(api_services.lines().map(str::to_owned));
    Ok(left)
}

/// Claims stay, and come back with the next install; they go only if that is asked, and only this cluster's.
#[tokio::test(flavor = "multi_thread")]
async fn claims_stay_unless_they_are_asked_to_go() -> Result<()> {
    let mut stage = Stage::start().await?;
    insta::assert_snapshot!("uninstall_nothing", stage.normal(&stage.uninstall(&[]).await?)?);
    insta::assert_snapshot!(
        "uninstall_nothing_ignored",
        stage.normal(&stage.uninstall(&["--ignore-not-found"]).await?)?
    );

    stage.run_pods().await?;
    let installed = stage.install(&["--timeout=3m"]).await?;
    ensure!(installed.code == Some(0), "{installed}");
    let kubectl = stage.app.kubectl();
    kubectl.apply(&claim("default", "one", &json!({}))).await?;
    kubectl.apply(&claim("default", "other", &json!({}))).await?;
    let foreign = json!({ "mcp-connector.upbound.io/app-cluster": "another" });
    stage.control_plane.kubectl().apply(&claim(CLAIM_NAMESPACE, "of-another", &foreign)).await?;

    insta::assert_snapshot!("uninstall_unasked", stage.normal(&stage.uninstall(&["--delete-claims"]).await?)?);
    insta::assert_snapshot!("uninstall_other_namespace", stage.normal(&stage.uninstall(&["elsewhere"]).await?)?);
    ensure!(kubectl.ok(["get", "claim", "-A", "-o", "name"]).await?.lines().count() == 2);

    insta::assert_snapshot!("uninstall", stage.normal(&stage.uninstall(&[]).await?)?);
    let left = left(&stage).await?;
    ensure!(left.is_empty(), "{left:?}");
    // What the connector makes by itself is owned by what was deleted.
    eventually("what the connector made to go", || {
        let kubectl = stage.app.kubectl();
        async move {
            let made = kubectl.ok(["get", "secrets,leases", "-n", "kube-system", "-o", "name"]).await?;
            let made: Vec<_> = made.lines().filter(|name| name.contains("/connector")).map(str::to_owned).collect();
            Ok(if made.is_empty() { Ok(()) } else { Err(made.join(" ")) })
        }
    })
    .await?;
    let remote = stage.control_plane.kubectl();
    let stored = async || remote.ok(["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE, "-o", "name"]).await;
    ensure!(stored().await?.lines().count() == 3);

    // The claims are there again with the next one; then they go.
    let installed = stage.install(&["--timeout=3m"]).await?;
    ensure!(installed.code == Some(0), "{installed}");
    ensure!(stage.app.kubectl().ok(["get", "claim", "-A", "-o", "name"]).await?.lines().count() == 2);
    let told = stage.uninstall(&["--delete-claims", "--yes"]).await?;
    insta::assert_snapshot!("uninstall_with_claims", stage.normal(&told)?);
    ensure!(stored().await?.trim() == "kubernetescluster.k8s.starter.org/of-another");
    Ok(())
}

/// As kubectl calls its plugins, and asks them what could be meant.
#[tokio::test]
async fn kubectl_finds_the_plugin() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::named("app-cluster")).await?;
    let folder = tempfile::tempdir()?;
    let helper = folder.path().join("kubectl_complete-connector");
    std::fs::write(&helper, run(&["completion", "kubectl"]).await?.stdout)?;
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755))?;
    let program = Path::new(env!("CARGO_BIN_EXE_kubectl-connector")).parent().context("a program without a folder")?;
    let path = format!("{}:{}:{}", folder.path().display(), program.display(), std::env::var("PATH")?);
    let kubectl = cluster.kubectl().env("PATH", path);
    let told = kubectl.run(["connector", "uninstall", "--ignore-not-found"]).await?;
    ensure!(told.status.success() && told.stderr.contains("no connector is installed"), "{told:?}");
    let completed = kubectl.ok(["__complete", "connector", "unin"]).await?;
    ensure!(completed.starts_with("uninstall\n:4"), "{completed}");
    let completed = kubectl.ok(["__complete", "connector", "uninstall", "--delete"]).await?;
    ensure!(completed.starts_with("--delete-claims\n:4"), "{completed}");
    Ok(())
}

/// Without a context that leads to the control plane, what remains there is told. The connector itself was never ready.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_remains_and_is_told() -> Result<()> {
    let stage = Stage::start().await?;
    let installed = stage.install(&["--wait=false"]).await?;
    ensure!(installed.code == Some(0), "{installed}");

    // Another namespace has no connector, whatever this one has; and another cluster is not its control plane.
    let before = left(&stage).await?;
    insta::assert_snapshot!("uninstall_elsewhere", stage.normal(&stage.uninstall(&["-n", "default"]).await?)?);
    let other = stage.app.kubeconfig_path().display().to_string();
    let there = ["--control-plane-kubeconfig", &other, "--delete-claims", "--yes"];
    insta::assert_snapshot!("uninstall_other_control_plane", stage.normal(&stage.uninstall(&there).await?)?);
    ensure!(left(&stage).await? == before);

    let command = stage.plugin(&["uninstall"]);
    let told = tell(command, "").await?;
    insta::assert_snapshot!("uninstall_app_side_only", stage.normal(&told)?);
    ensure!(left(&stage).await?.iter().all(|left| !left.contains("deployment")));
    let account =
        Stage::object(&stage.control_plane, &["serviceaccounts", "-n", CLAIM_NAMESPACE, "connector-cluster-dev"]);
    ensure!(account.await?["metadata"]["annotations"]["mcp-connector.upbound.io/app-cluster"] == "cluster-dev");
    Ok(())
}

/// After a move the new cluster has the id, the claims and the account; what is left of the old one takes nothing of it away.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_cluster_took_over_stays() -> Result<()> {
    let stage = Stage::start().await?;
    let installed = stage.install(&["--wait=false"]).await?;
    ensure!(installed.code == Some(0), "{installed}");
    let remote = stage.control_plane.kubectl();
    let of_this = json!({ "mcp-connector.upbound.io/app-cluster": CLUSTER_ID });
    remote.apply(&claim(CLAIM_NAMESPACE, "moved", &of_this)).await?;
    let account = ["-n", CLAIM_NAMESPACE, "serviceaccount", "connector-cluster-dev"];
    let uid = "mcp-connector.upbound.io/app-cluster-uid=8b1c0b0e-6a3f-4c55-9d0e-0123456789ab";
    remote.ok([&["annotate"], &account[..], &["--overwrite", uid]].concat()).await?;

    let deleted = stage.uninstall(&["--delete-claims", "--yes"]).await?;
    insta::assert_snapshot!("uninstall_moved_with_claims", stage.normal(&deleted)?);
    let removed = stage.uninstall(&[]).await?;
    insta::assert_snapshot!("uninstall_moved", stage.normal(&Told { stderr: String::new(), ..removed })?);
    let left = left(&stage).await?;
    ensure!(left.iter().any(|name| name == "serviceaccount/connector-cluster-dev"), "{left:?}");
    ensure!(left.iter().all(|name| !name.contains("deployment")), "{left:?}");
    remote.ok(["get", "kubernetesclusters", "moved", "-n", CLAIM_NAMESPACE]).await?;
    Ok(())
}
