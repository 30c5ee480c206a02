//! Two clusters to connect: one where Pods run, and one with a Crossplane.

use std::path::PathBuf;

use anyhow::{Context, Result};
use regex::Regex;
use serde_json::{Value, json};
use testkit::node::Node;
use testkit::{Cluster, Crossplane, fixtures};
use tokio::process::Command;

use crate::setup::{Told, plugin, tell};

/// Fixture 01: the XRD, and the claim of the documented example.
pub(crate) const EXAMPLE: &str = "01-eks-kubernetescluster";
/// What it offers.
pub(crate) const EXAMPLE_API: &str = "k8s.starter.org/v1alpha1";
pub(crate) const CLAIM_NAMESPACE: &str = "my-app-ns-1";
pub(crate) const CONTROL_PLANE: &str = "my-control-plane";
/// Of no real cluster, and the same in each run.
pub(crate) const CLUSTER_ID: &str = "cluster-dev";

pub(crate) struct Stage {
    // In the order in which they are to go.
    pub(crate) node: Option<Node>,
    pub(crate) crossplane: Crossplane,
    pub(crate) app: Cluster,
    pub(crate) control_plane: Cluster,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Clusters, and a Crossplane with the documented example and its RBAC manager.
    pub(crate) async fn start() -> Result<Self> {
        let stage = Self::start_bare().await?;
        stage.offer(&fixtures::xrd(EXAMPLE)?).await?;
        Ok(stage)
    }

    /// Clusters, and a Crossplane that offers nothing yet.
    pub(crate) async fn start_bare() -> Result<Self> {
        let (app, control_plane) = Cluster::start_two_with_pods().await?;
        let crossplane = Crossplane::install(&control_plane).await?;
        // What Crossplane's chart brings: it must not come to the connector.
        control_plane
            .kubectl()
            .apply(
                &json!({
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                    "metadata": {
                        "name": "crossplane:aggregate-to-edit",
                        "labels": { "rbac.crossplane.io/aggregate-to-edit": "true", "app": "crossplane" },
                    },
                    "rules": [{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["*"] }],
                })
                .to_string(),
            )
            .await?;
        let folder = tempfile::tempdir()?;
        let mut kubeconfig: Value = serde_json::from_slice(&std::fs::read(control_plane.kubeconfig_path())?)?;
        kubeconfig["contexts"][0]["name"] = json!(CONTROL_PLANE);
        kubeconfig["current-context"] = json!("");
        std::fs::write(folder.path().join("control-plane.kubeconfig"), kubeconfig.to_string())?;
        Ok(Self { node: None, crossplane, app, control_plane, folder })
    }

    /// Offers an XRD, with the ClusterRole that the RBAC manager renders for it.
    pub(crate) async fn offer(&self, xrd: &str) -> Result<()> {
        self.control_plane.kubectl().apply(&edit_role(&fixtures::object(xrd)?)?.to_string()).await?;
        self.crossplane.offer(xrd).await
    }

    /// Lets the app cluster run Pods, each as a connector.
    pub(crate) async fn run_pods(&mut self) -> Result<()> {
        let program = std::env::var_os("CONNECTOR_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_connector").into());
        self.node = Some(Node::start(&self.app, "kube-system", program).await?);
        Ok(())
    }

    /// The kubeconfig with the context [`CONTROL_PLANE`], and no current one.
    pub(crate) fn control_plane_kubeconfig(&self) -> PathBuf {
        self.folder.path().join("control-plane.kubeconfig")
    }

    /// A file for a test.
    pub(crate) fn file(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// The plugin with the app cluster's kubeconfig and arguments.
    pub(crate) fn plugin(&self, args: &[&str]) -> Command {
        let mut command = plugin();
        command.args(args).arg("--kubeconfig").arg(self.app.kubeconfig_path());
        command
    }

    /// `install` by the context, with further options.
    pub(crate) async fn install(&self, options: &[&str]) -> Result<Told> {
        let args = ["install", CONTROL_PLANE, CLAIM_NAMESPACE, "--cluster-id", CLUSTER_ID];
        let mut command = self.plugin(&[&args[..], options].concat());
        command.arg("--control-plane-kubeconfig").arg(self.control_plane_kubeconfig());
        tell(command, "").await
    }

    /// `uninstall`, with further options; the control plane's context is found by its URL.
    pub(crate) async fn uninstall(&self, options: &[&str]) -> Result<Told> {
        let mut command = self.plugin(&[&["uninstall"][..], options].concat());
        command.env("KUBECONFIG", self.control_plane_kubeconfig());
        tell(command, "").await
    }

    /// What is the same in each run: ports, folders, times, UIDs and versions are replaced, and what was waited for is left out.
    pub(crate) fn normal(&self, told: &Told) -> Result<String> {
        let mut text = told.to_string();
        let folders = [
            (self.folder.path(), "FOLDER"),
            (self.app.folder(), "APP-CLUSTER"),
            (self.control_plane.folder(), "CONTROL-PLANE"),
        ];
        for (folder, name) in folders {
            text = text.replace(&folder.display().to_string(), name);
        }
        let app = self.app.server_url();
        let control_plane = self.control_plane.server_url();
        text = text.replace(&app, "https://APP-CLUSTER").replace(&control_plane, "https://CONTROL-PLANE");
        for (pattern, name) in [
            (r"(?m)^waiting: .*\n", ""),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
            (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
            (r"v1\.\d\d\.\d+", "VERSION"),
            (r"certificate-authority-data: \S+", "certificate-authority-data: CA"),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        ] {
            text = Regex::new(pattern)?.replace_all(&text, name).into_owned();
        }
        Ok(text)
    }

    /// One object of the app cluster or the control plane.
    pub(crate) async fn object(cluster: &Cluster, args: &[&str]) -> Result<Value> {
        let printed = cluster.kubectl().ok([&["get"], args, &["-o", "json"]].concat()).await?;
        serde_json::from_str(&printed).with_context(|| format!("no JSON: {printed}"))
    }
}

/// What the RBAC manager renders for an XRD, of what matters here (`crossplane/internal/controller/rbac/definition`).
fn edit_role(xrd: &Value) -> Result<Value> {
    let name = xrd["metadata"]["name"].as_str().context("an XRD without a name")?;
    let group = &xrd["spec"]["group"];
    let rule = |plural: &Value| {
        let plural = plural.as_str().unwrap_or_default();
        json!({ "apiGroups": [group], "resources": [plural, format!("{plural}/status")], "verbs": ["*"] })
    };
    let mut rules = vec![rule(&xrd["spec"]["names"]["plural"])];
    if xrd["spec"]["claimNames"].is_object() {
        rules.push(rule(&xrd["spec"]["claimNames"]["plural"]));
    }
    Ok(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {
            "name": format!("crossplane:composite:{name}:aggregate-to-edit"),
            "labels": {
                "rbac.crossplane.io/aggregate-to-admin": "true", "rbac.crossplane.io/aggregate-to-ns-admin": "true",
                "rbac.crossplane.io/aggregate-to-edit": "true", "rbac.crossplane.io/aggregate-to-ns-edit": "true",
            },
        },
        "rules": rules,
    }))
}
