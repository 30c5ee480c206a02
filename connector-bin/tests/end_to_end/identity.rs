//! Who may do what: the app cluster's RBAC, and nobody without the front's certificate.

use anyhow::{Result, ensure};
use serde_json::Value;
use testkit::connector::{Connector, ConnectorOptions};
use testkit::eventually;
use tokio::process::Command;

use crate::setup::{Corridor, EXAMPLE_API, claim, clusters, options};

/// Wire rules 9.4, 9.11: the headers are worth nothing without the front-proxy certificate.
#[tokio::test]
async fn without_the_front_proxy_certificate_nobody_is_anyone() -> Result<()> {
    let corridor = Corridor::start().await?;
    let url = format!(
        "https://127.0.0.1:{}/apis/k8s.starter.org/v1alpha1/namespaces/default/kubernetesclusters",
        corridor.connector.port()
    );
    let forged = ["-H", "X-Remote-User: admin", "-H", "X-Remote-Group: system:masters"];
    let answer = Command::new("curl").args(["-sk", "-m", "20"]).args(forged).arg(&url).output().await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout)?;
    ensure!(answer["reason"] == "Unauthorized" && answer["code"] == 401, "{answer}");
    Ok(())
}

/// Wire rule 9.10: the front authorizes an apply as a patch, and does not know that it creates.
#[tokio::test]
async fn the_right_to_patch_is_not_the_right_to_create() -> Result<()> {
    let corridor = Corridor::start().await?;
    let admin = corridor.app.kubectl();
    admin
        .apply(
            "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: patcher, namespace: default}
rules:
- {apiGroups: [k8s.starter.org], resources: [kubernetesclusters], verbs: [get, list, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: patcher, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: patcher}
subjects: [{kind: User, name: jane, apiGroup: rbac.authorization.k8s.io}]
",
        )
        .await?;
    let jane = corridor.app.kubectl_for("jane", &["dev"])?;
    let apply = ["apply", "--server-side", "-f", "-"];
    let refused = jane.with_stdin(apply, &claim("default", "db")).await?;
    let told = r#"kubernetesclusters.k8s.starter.org "db" is forbidden: User "jane" cannot create resource "kubernetesclusters" in API group "k8s.starter.org" in the namespace "default""#;
    ensure!(refused.stderr.contains(told), "{}", refused.stderr);

    admin.apply(&claim("default", "db")).await?;
    let changed = claim("default", "db").replace("count: 3", "count: 4");
    jane.ok_with_stdin(["apply", "--server-side", "--force-conflicts", "-f", "-"], &changed).await?;
    let elsewhere = jane.run(["get", "claim", "-n", "kube-system"]).await?;
    ensure!(elsewhere.stderr.contains("Forbidden"), "{}", elsewhere.stderr);
    Ok(())
}

/// The connector itself needs no more than `deploy/rbac` gives (wire rule 9.9).
#[tokio::test]
async fn the_documented_rights_are_enough() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let rights = |file: &str| std::fs::read_to_string(format!("{}/../deploy/rbac/{file}", env!("CARGO_MANIFEST_DIR")));
    app.kubectl().apply(&rights("app-cluster.yaml")?).await?;
    control_plane.kubectl().apply(&rights("control-plane.yaml")?).await?;
    let groups = ["system:serviceaccounts"];
    let options = ConnectorOptions {
        kubeconfig: Some(app.kubeconfig_for("system:serviceaccount:kube-system:connector", &groups)?),
        control_plane_kubeconfig: Some(
            control_plane.kubeconfig_for("system:serviceaccount:claims:connector", &groups)?,
        ),
        ..options()
    };
    let mut connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    let kubectl = app.kubectl();
    kubectl.apply(&claim("default", "db")).await?;
    kubectl.ok(["wait", "--for=condition=Ready", "kubernetescluster/db", "--timeout=60s"]).await?;
    eventually("an event to be copied", || async {
        let shown = kubectl.ok(["events", "--for=kubernetescluster/db"]).await?;
        Ok(if shown.contains("PropagateConnectionSecret") { Ok(()) } else { Err(shown) })
    })
    .await?;
    kubectl.ok(["label", "kubernetescluster", "db", "a=b"]).await?;
    // What comes back takes every right on Secrets and events: one that is made immutable is deleted and written anew.
    let get = ["get", "secret", "db-kubeconfig", "-o", "json"];
    let written = eventually("the connection Secret", || async {
        let get = kubectl.run(get).await?;
        Ok(if get.status.success() { Ok(serde_json::from_str::<Value>(&get.stdout)?) } else { Err(get.stderr) })
    })
    .await?;
    for edit in [r#"{"data":{"more":"eA=="}}"#, r#"{"immutable":true}"#] {
        kubectl.ok(["patch", "secret", "db-kubeconfig", "--type=merge", "-p", edit]).await?;
        eventually("the edit to be put right", || async {
            let now = kubectl.run(get).await?;
            let now: Value = serde_json::from_str(&now.stdout).unwrap_or_default();
            let right = now["data"] == written["data"] && now["immutable"].is_null();
            Ok(if right { Ok(()) } else { Err(now.to_string()) })
        })
        .await?;
    }
    eventually("an event of the control plane", || async {
        let described = kubectl.ok(["describe", "kubernetescluster", "db"]).await?;
        Ok(if described.contains("BindCompositeResource") { Ok(()) } else { Err(described) })
    })
    .await?;
    kubectl.ok(["delete", "kubernetesclusters", "--all", "--timeout=60s"]).await?;
    // The serving CA outlives a restart.
    connector.restart().await?;
    let log = connector.log()?;
    ensure!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    Ok(())
}
