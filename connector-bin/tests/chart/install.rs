//! The life of a release in a cluster, with no more rights than the chart gives.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use testkit::binaries::HELMS;
use testkit::helm::helm;
use testkit::{Cluster, Crossplane, Kubectl, Node, eventually, fixtures};

use crate::helm::chart;
use crate::setup::{EXAMPLE, EXAMPLE_API, claim, json};

const RELEASE: [&str; 3] = ["connector", "--namespace", "kube-system"];

#[tokio::test]
async fn a_release_is_installed_upgraded_and_leaves_nothing_behind() -> Result<()> {
    let (app, control_plane) = Cluster::start_two_with_pods().await?;
    let crossplane = Crossplane::install(&control_plane).await?;
    crossplane.offer(&fixtures::xrd(EXAMPLE)?).await?;
    // What is in the image, or what cargo built for the tests.
    let program = std::env::var_os("CONNECTOR_PROGRAM").map_or(env!("CARGO_BIN_EXE_connector").into(), PathBuf::from);
    let _node = Node::start(&app, "kube-system", program).await?;
    let kubectl = app.kubectl();
    let secret = format!("--from-file=kubeconfig={}", control_plane.kubeconfig_path().display());
    kubectl.ok(["create", "secret", "generic", "control-plane", "-n", "kube-system", &secret]).await?;
    for version in HELMS {
        let life =
            Life { helm: helm(&app, version).await?, kubectl: kubectl.clone(), control_plane: control_plane.kubectl() };
        life.install(&app).await.with_context(|| format!("helm {version} install"))?;
        life.upgrade().await.with_context(|| format!("helm {version} upgrade"))?;
        life.uninstall().await.with_context(|| format!("helm {version} uninstall"))?;
    }
    Ok(())
}

struct Life {
    helm: Kubectl,
    kubectl: Kubectl,
    control_plane: Kubectl,
}

impl Life {
    async fn install(&self, app: &Cluster) -> Result<()> {
        let chart = chart();
        let chart = chart.to_str().context("the path is UTF-8")?;
        let values = "controlPlane.claimNamespace=claims,controlPlane.kubeconfigSecret.name=control-plane";
        let args = ["install"].into_iter().chain(RELEASE).chain([chart, "--set", values, "--wait", "--timeout=90s"]);
        let notes = self.helm.ok(args).await?;
        ensure!(notes.contains("from the key \"kubeconfig\" of the Secret \"control-plane\""), "{notes}");
        app.wait_for_api(EXAMPLE_API).await?;
        self.kubectl.ok(["create", "namespace", "shop"]).await?;
        self.kubectl.apply(&claim("shop", "db")).await?;
        let stored = json(&self.control_plane, &["get", "kubernetesclusters", "-n", "claims"]).await?;
        ensure!(stored["items"].as_array().is_some_and(|claims| claims.len() == 1), "{stored}");
        self.has("secret", "db-kubeconfig").await
    }

    /// Other Pods, and no request that fails.
    async fn upgrade(&self) -> Result<()> {
        let chart = chart();
        let chart = chart.to_str().context("the path is UTF-8")?;
        let values = "connectionSecrets.labels.example\\.org/team=platform";
        let args = ["upgrade"].into_iter().chain(RELEASE).chain([chart, "--reuse-values", "--set", values]);
        let upgraded = self.helm.ok(args.chain(["--wait", "--timeout=90s"]));
        let mut upgraded = std::pin::pin!(upgraded);
        loop {
            tokio::select! {
                upgraded = &mut upgraded => break drop(upgraded?),
                got = self.kubectl.ok(["get", "kubernetescluster", "db", "-n", "shop", "-o", "name"]) => drop(got?),
            }
        }
        eventually("the new label on the connection Secret", || async {
            let secret = json(&self.kubectl, &["get", "secret", "db-kubeconfig", "-n", "shop"]).await?;
            let there = secret["metadata"]["labels"]["example.org/team"] == "platform";
            Ok(if there { Ok(()) } else { Err(secret["metadata"].to_string()) })
        })
        .await
    }

    async fn uninstall(&self) -> Result<()> {
        self.helm.ok(["uninstall"].into_iter().chain(RELEASE).chain(["--wait", "--timeout=90s"])).await?;
        // What the connector made by itself goes with the ClusterRole that owns it.
        eventually("all that the release brought to be gone", || async {
            let left = self.kubectl.ok(["get", "apiservices,secrets,leases,configmaps", "-A", "-o", "name"]).await?;
            let ours = |line: &&str| line.contains("k8s.starter.org") || line.contains("/connector");
            let left: Vec<&str> = left.lines().filter(ours).collect();
            Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) })
        })
        .await?;
        self.kubectl.ok(["delete", "namespace", "shop", "--timeout=60s"]).await?;
        let stored = self.control_plane.ok(["get", "kubernetesclusters", "-n", "claims", "-o", "name"]).await?;
        ensure!(stored.lines().count() == 1, "the claim is gone from the control plane: {stored}");
        self.control_plane.ok(["delete", "kubernetesclusters", "--all", "-n", "claims", "--timeout=60s"]).await?;
        Ok(())
    }

    async fn has(&self, kind: &str, name: &str) -> Result<()> {
        eventually(&format!("{kind} {name}"), || async {
            let got = self.kubectl.run(["get", kind, name, "-n", "shop"]).await?;
            Ok(if got.status.success() { Ok(()) } else { Err(got.stderr) })
        })
        .await
    }
}
