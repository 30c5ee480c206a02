//! `kubectl connector doctor`, before an install and after, of clusters that are well and of ones that are not. What it says
//! mends something is run, and must.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use connector_core::origin::{Form, Hashed};
use serde_json::{Value, json};
use testkit::{Cluster, ClusterOptions, eventually};
use tokio::process::Command;

use crate::pair::{Pair, recorded};
use crate::setup::{Told, plugin, tell};
use crate::stage::{CLAIM_NAMESPACE, CLUSTER_ID};

impl Pair {
    async fn doctor(&self, args: &[&str]) -> Result<Told> {
        self.run(&[&["doctor"], args].concat()).await
    }

    /// As an administrator of both.
    async fn doctor_of_both(&self) -> Result<Told> {
        let control_plane = self.stage.control_plane.kubeconfig_path();
        let control_plane = control_plane.to_str().context("a path that is no text")?;
        self.doctor(&["--control-plane-kubeconfig", control_plane, "--claim-namespace=my-app-ns-1"]).await
    }

    /// Runs the commands that are said to mend what is wrong.
    async fn mend(&self, told: &Told) -> Result<()> {
        let kubectl = testkit::binaries::Binaries::locate_or_build()?.path("kubectl");
        let folder = kubectl.parent().context("a program without a folder")?;
        let commands: Vec<&str> =
            told.stdout.lines().filter_map(|line| line.split_once("mend it: ")).map(|it| it.1).collect();
        ensure!(!commands.is_empty(), "nothing mends it: {told}");
        for command in commands {
            let mut shell = Command::new("/bin/sh");
            let path = format!("{}:{}", folder.display(), std::env::var("PATH")?);
            shell
                .args(["-ec", command])
                .env("PATH", path)
                .env("KUBECACHEDIR", self.stage.app.folder())
                .env("KUBERC", "off");
            let mended = tell(shell, "").await?;
            ensure!(mended.code == Some(0), "{command}\n{mended}");
        }
        Ok(())
    }
}

async fn until(what: &str, pair: &Pair, wanted: impl Fn(&Told) -> bool) -> Result<Told> {
    eventually(what, || async {
        let told = pair.doctor_of_both().await?;
        Ok(if wanted(&told) { Ok(told) } else { Err(told.to_string()) })
    })
    .await
}

fn is_well(told: &Told) -> bool {
    told.code == Some(0) && told.stdout.ends_with("no errors, no warnings\n")
}

#[tokio::test]
async fn what_is_in_the_way_is_found_and_mended() -> Result<()> {
    let mut pair = Pair::start().await?;
    let (here, there) = (pair.stage.app.kubectl(), pair.stage.control_plane.kubectl());
    recorded!("doctor_before", pair.doctor_of_both().await?);
    recorded!("doctor_before_of_one", pair.doctor(&[]).await?);

    pair.install().await?;
    recorded!("doctor_healthy", until("an install that is well", &pair, is_well).await?);
    let json: Value = serde_json::from_str(&pair.doctor(&["-o", "json"]).await?.stdout)?;
    ensure!(json["healthy"] == true && json["installed"] == true, "{json:#}");
    let finding = &json["findings"][0];
    ensure!(finding["level"] == "ok" && finding["check"] == "app-cluster" && finding["mend"].is_null(), "{finding}");

    // Rights, on both sides.
    here.ok(["delete", "rolebinding", "-n", "kube-system", "connector"]).await?;
    let bindings = ["connector-cluster-dev", "connector-cluster-dev-claims"];
    there.ok(["delete", "rolebinding", "-n", CLAIM_NAMESPACE].into_iter().chain(bindings)).await?;
    let missing = until("rights to be missed", &pair, |told| told.stdout.contains("so that its claims")).await?;
    recorded!("doctor_rights", &missing);
    pair.mend(&missing).await?;
    until("the rights to be there", &pair, is_well).await?;

    conflicts_and_others(&pair).await?;
    other_cluster(&pair).await?;

    // No Pod is ready.
    here.ok(["scale", "deployment/connector", "-n", "kube-system", "--replicas=0"]).await?;
    let none = until("no Pod to be there", &pair, |told| told.stdout.contains("no Pod behind Service")).await?;
    ensure!(none.code == Some(1) && none.stdout.contains("the Deployment is scaled to 0 replicas"), "{none}");
    here.ok(["scale", "deployment/connector", "-n", "kube-system", "--replicas=1"]).await?;
    until("a Pod to be there again", &pair, is_well).await?;

    pair.stage.control_plane.stop_apiserver()?;
    let away = until("the control plane to be missed", &pair, |told| told.stdout.contains("is not reached")).await?;
    recorded!("doctor_control_plane_away", away);
    pair.stage.control_plane.start_apiserver().await?;

    let expired = json!({"sub": "system:serviceaccount:my-app-ns-1:connector-cluster-dev", "exp": 1_700_000_000});
    pair.credential(&format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(expired.to_string()))).await?;
    recorded!("doctor_expired", pair.doctor_of_both().await?);
    here.ok(["delete", "secret", "-n", "kube-system", "connector-control-plane"]).await?;
    here.ok([
        "create",
        "secret",
        "generic",
        "connector-control-plane",
        "-n",
        "kube-system",
        "--from-literal=context.yaml=x",
    ])
    .await?;
    let key = pair.doctor(&[]).await?;
    ensure!(key.code == Some(1) && key.stdout.contains("has no key \"kubeconfig\", but context.yaml"), "{key}");
    pair.stage.app.stop_apiserver()?;
    let gone = pair.doctor(&[]).await?;
    ensure!(gone.code == Some(1) && gone.stdout.starts_with("error     the app cluster is not reached"), "{gone}");
    Ok(())
}

/// Something else has the APIService, and what others broke.
async fn conflicts_and_others(pair: &Pair) -> Result<()> {
    let here = pair.stage.app.kubectl();
    let services = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1alpha1.example.org"},
         "spec": {"group": "example.org", "version": "v1alpha1", "groupPriorityMinimum": 1000, "versionPriority": 100,
                  "insecureSkipTLSVerify": true, "service": {"name": "other", "namespace": "default"}}},
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.gone.example.org"},
         "spec": {"group": "gone.example.org", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100,
                  "insecureSkipTLSVerify": true, "service": {"name": "gone", "namespace": "default"}}},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "policy"},
         "webhooks": [{"name": "policy.example.org", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                       "clientConfig": {"service": {"name": "policy", "namespace": "default"}},
                       "rules": [{"apiGroups": ["none.example.org"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}]}]},
    ]});
    here.apply(&services.to_string()).await?;
    pair.stage.crossplane.offer(&testkit::fixtures::xrd("17-docs-useraccesskey-v2-secret")?).await?;
    let conflict = until("the conflict", pair, |told| {
        told.stdout.contains("leads to Service default/other") && told.stdout.contains("ServiceNotFound")
    })
    .await?;
    let right = "so that its claims are refused";
    ensure!(
        conflict.code == Some(1) && conflict.stdout.contains(right),
        "a kind that came later needs its right: {conflict}"
    );
    recorded!("doctor_conflicts", &conflict);
    pair.mend(&conflict).await?;
    let all = ["get", "apiservice", "v1alpha1.example.org"];
    pair.stage.app.wait_for_api("example.org/v1alpha1").await?;
    ensure!(here.ok(all).await?.contains("kube-system/connector"), "the connector has it now");
    until("nothing to be in the way", pair, is_well).await?;
    Ok(())
}

/// Claims under this cluster's id that cannot be its own.
async fn other_cluster(pair: &Pair) -> Result<()> {
    let scheme = Hashed { cluster: CLUSTER_ID.parse()?, claim_namespace: CLAIM_NAMESPACE.to_owned() };
    let labels: Value = scheme.labels("elsewhere", "db").iter().map(|(key, value)| (*key, value.as_ref())).collect();
    let name = scheme.remote_name(Form::Claim, "elsewhere", "db");
    let stored = json!({
        "apiVersion": "k8s.starter.org/v1alpha1", "kind": "KubernetesCluster",
        "metadata": {"name": name, "namespace": CLAIM_NAMESPACE, "labels": labels},
        "spec": {"id": "x", "parameters": {"nodes": {"count": 3, "size": "small"}}},
    });
    let there = pair.stage.control_plane.kubectl();
    there.apply(&stored.to_string()).await?;
    let told = pair.doctor_of_both().await?;
    let found = told.stdout.contains("namespaces that this cluster does not have: elsewhere (1)");
    ensure!(told.code == Some(0) && found, "{told}");
    // What it says to look with, looks.
    let look =
        told.stdout.lines().find_map(|line| line.split_once("mend it: kubectl connector ")).context("no command")?;
    let mut command = plugin();
    command.args(look.1.split(' '));
    let looked = tell(command, "").await?;
    ensure!(looked.stdout.contains("elsewhere") && looked.code == Some(0), "{look:?}\n{looked}");
    there.ok(["delete", "kubernetesclusters.k8s.starter.org", "-n", CLAIM_NAMESPACE, &name]).await?;
    Ok(())
}

/// Without request-header options kube-apiserver publishes nothing by which an aggregated API knows it.
#[tokio::test]
async fn a_cluster_without_aggregation_layer_is_told() -> Result<()> {
    let options = ClusterOptions {
        apiserver_args: vec!["--requestheader-client-ca-file=".to_owned()],
        controller_manager: false,
        ..ClusterOptions::named("app-cluster")
    };
    let app = Cluster::start(options).await?;
    let mut command = plugin();
    command.arg("doctor").arg("--kubeconfig").arg(app.kubeconfig_path());
    recorded!("doctor_no_aggregation", tell(command, "").await?);
    Ok(())
}
