//! `kubectl connector status` of an install that is well, and of ones that are not.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::{eventually, fixtures};

use crate::pair::{Pair, recorded};
use crate::setup::Told;
use crate::stage::{EXAMPLE, EXAMPLE_API};

/// A line of the log comes whenever it comes: the first that matters is waited for, and the section is compared apart.
fn without_log(told: Told) -> Told {
    let stdout = match told.stdout.split_once("\nLast errors:\n") {
        Some((before, rest)) => {
            let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
            format!("{before}{}{after}", if after.is_empty() { "" } else { "\n" })
        }
        None => told.stdout,
    };
    Told { stdout, ..told }
}

async fn status(pair: &Pair, what: &str, until: impl Fn(&Told) -> bool) -> Result<Told> {
    eventually(what, || async {
        let told = pair.run(&["status"]).await?;
        Ok(if until(&told) { Ok(told) } else { Err(told.to_string()) })
    })
    .await
}

#[tokio::test]
async fn what_is_wrong_is_told() -> Result<()> {
    let mut pair = Pair::start().await?;
    let kubectl = pair.stage.app.kubectl();
    recorded!("status_not_installed", pair.run(&["status"]).await?);
    pair.install().await?;
    recorded!("status_other_release", pair.run(&["status", "--release", "other"]).await?);

    kubectl.apply(&fixtures::claim(EXAMPLE)?).await?;
    let healthy =
        status(&pair, "an install that is well", |told| told.code == Some(0) && told.stdout.contains("Lease")).await?;
    recorded!("status_healthy", without_log(healthy));
    let json: Value = serde_json::from_str(&pair.run(&["status", "-o", "json"]).await?.stdout)?;
    ensure!(json["healthy"] == true && json["apis"][0]["objects"] == 1, "{json:#}");
    ensure!(json["controlPlane"]["throughTheConnector"]["state"] == "Reachable", "{json:#}");
    ensure!(json["unread"] == json!([]), "{json:#}");
    let members: Vec<&String> = json.as_object().context("no object")?.keys().collect();
    insta::assert_debug_snapshot!("status_members", members);
    let yaml: Value = serde_saphyr::from_str(&pair.run(&["status", "-o", "yaml"]).await?.stdout)?;
    ensure!(yaml["release"] == json["release"], "{yaml:#}");

    // A Secret is in the way of a claim's: the claim's trouble, not the connector's.
    kubectl.ok(["create", "secret", "generic", "db-conn"]).await?;
    let claim = json!({"apiVersion": EXAMPLE_API, "kind": "KubernetesCluster", "metadata": {"name": "db", "namespace": "default"},
        "spec": {"id": "db", "parameters": {"nodes": {"count": 3, "size": "small"}}, "writeConnectionSecretToRef": {"name": "db-conn"}}});
    kubectl.apply(&claim.to_string()).await?;
    let told = status(&pair, "the Secret to be told of", |told| told.stdout.contains("KubernetesCluster default/db: "))
        .await?;
    ensure!(told.code == Some(0) && told.stdout.contains("a Secret \"db-conn\" exists"), "{told}");
    kubectl.ok(["delete", "kubernetescluster", "db"]).await?;
    kubectl.ok(["delete", "events", "-n", "default", "--all"]).await?;

    // Who may only look at some of it sees that, and is told what is missing.
    let role =
        ["create", "role", "viewers", "-n", "kube-system", "--verb=get,list", "--resource=deployments.apps,pods"];
    kubectl.ok(role).await?;
    kubectl.ok(["create", "rolebinding", "viewers", "-n", "kube-system", "--role=viewers", "--user=viewer"]).await?;
    let mut viewer = crate::setup::plugin();
    viewer.arg("status").arg("--kubeconfig").arg(pair.stage.app.kubeconfig_for("viewer", &[])?);
    recorded!("status_of_a_viewer", without_log(crate::setup::tell(viewer, "").await?));

    // The app cluster has an API of its own that the control plane comes to offer.
    let crd = std::fs::read_to_string(format!(
        "{}/../testkit/fixtures/xrds/17-docs-useraccesskey-v2-secret/crd-composite.generated.yaml",
        env!("CARGO_MANIFEST_DIR")
    ));
    let mut crd = fixtures::object(&crd?)?;
    crd["metadata"] = json!({"name": crd["metadata"]["name"]});
    kubectl.apply(&crd.to_string()).await?;
    pair.stage.crossplane.offer(&fixtures::xrd("17-docs-useraccesskey-v2-secret")?).await?;
    let conflict = status(&pair, "the conflict", |told| told.stdout.contains("of its own")).await?;
    recorded!("status_conflict", without_log(conflict));
    let logged =
        status(&pair, "the conflict in the log", |told| told.stdout.contains("ERROR API not registered")).await?;
    ensure!(logged.stdout.contains("\nLast errors:\n"), "{logged}");
    kubectl.ok(["delete", "crd", crd["metadata"]["name"].as_str().context("no name")?]).await?;
    // Now it is registered, and the connector may not use it in the control plane: it was made after the install.
    let refused =
        status(&pair, "a refusal", |told| told.stdout.contains("useraccesskeys.example.org cannot be listed")).await?;
    ensure!(refused.code == Some(1) && refused.stdout.contains("as the connector sees it:    reachable"), "{refused}");
    let xrd = crd["metadata"]["name"].as_str().context("no name")?;
    pair.stage.control_plane.kubectl().ok(["delete", "xrd", xrd]).await?;
    kubectl.ok(["wait", "--for=delete", "apiservice/v1alpha1.example.org", "--timeout=60s"]).await?;
    status(&pair, "the conflict to be gone", |told| told.code == Some(0)).await?;

    pair.stage.control_plane.stop_apiserver()?;
    let away = status(&pair, "the control plane to be missed", |told| told.stdout.contains("  not reachable")).await?;
    recorded!("status_control_plane_away", without_log(away));
    pair.stage.control_plane.start_apiserver().await?;

    let expired = json!({"sub": "system:serviceaccount:my-app-ns-1:connector-cluster-dev", "exp": 1_700_000_000});
    let expired = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(expired.to_string()));
    pair.credential(&expired).await?;
    let told = status(&pair, "the token to be refused", |told| told.stdout.contains("not accepted")).await?;
    ensure!(told.code == Some(1) && told.stdout.contains("the token for the control plane expired at"), "{told}");

    kubectl.ok(["scale", "deployment/connector", "-n", "kube-system", "--replicas=0"]).await?;
    let none = status(&pair, "no Pod to be there", |told| told.stdout.contains("MissingEndpoints")).await?;
    ensure!(none.code == Some(1) && none.stdout.contains("the Deployment is scaled to 0 replicas"), "{none}");
    ensure!(pair.node.pods().len() <= 2);
    Ok(())
}
