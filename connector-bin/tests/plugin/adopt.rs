//! `kubectl connector adopt` on real clusters, with Crossplane's part in the control plane.

use anyhow::{Context, Result, ensure};
use connector_core::origin::{Form, Hashed};
use serde_json::{Value, json};
use testkit::{Cluster, Connector, ConnectorOptions, Crossplane, Kubectl, eventually, fixtures};

use crate::setup::{Told, plugin, tell};

const EXAMPLE: &str = "01-eks-kubernetescluster";
const API: &str = "k8s.starter.org/v1alpha1";
const CLUSTER: &str = "shop-cluster";
const KIND: &str = "kubernetesclusters.k8s.starter.org";

struct Stage {
    // In the order in which they are to go.
    crossplane: Crossplane,
    app: Cluster,
    control_plane: Cluster,
}

impl Stage {
    async fn start() -> Result<Self> {
        let (app, control_plane) = Cluster::start_two().await?;
        let crossplane = Crossplane::install(&control_plane).await?;
        crossplane.offer(&fixtures::xrd(EXAMPLE)?).await?;
        Ok(Self { crossplane, app, control_plane })
    }

    async fn connect(&self) -> Result<Connector> {
        let options = ConnectorOptions {
            claim_namespace: "claims".to_owned(),
            cluster_id: Some(CLUSTER.to_owned()),
            program: Some(env!("CARGO_BIN_EXE_connector").into()),
            ..ConnectorOptions::default()
        };
        let connector = Connector::start(&self.app, &self.control_plane, options).await?;
        connector.wait_available(&self.app, API).await?;
        Ok(connector)
    }

    /// `adopt claims --cluster …` and more.
    async fn adopt(&self, args: &[&str]) -> Result<Told> {
        let mut command = plugin();
        command.args(["adopt", "claims", "--cluster", CLUSTER, "--kubeconfig"]);
        command.arg(self.control_plane.kubeconfig_path()).args(args);
        tell(command, "").await
    }

    async fn adopted(&self, args: &[&str]) -> Result<Told> {
        let told = self.adopt(args).await?;
        ensure!(told.code == Some(0), "{args:?}: {told}");
        Ok(told)
    }
}

/// A claim as a platform team makes it in the control plane.
fn claim(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": API, "kind": "KubernetesCluster",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": { "team": "blue" }, "annotations": { "example.org/note": "kept" },
        },
        "spec": {
            "id": name, "parameters": { "nodes": { "count": 3, "size": "small" } },
            "writeConnectionSecretToRef": { "name": format!("{name}-conn") },
        },
    })
}

async fn get(kubectl: &Kubectl, args: &[&str]) -> Result<Value> {
    let printed = kubectl.ok(["get", "-o", "json"].iter().chain(args)).await?;
    Ok(serde_json::from_str(&printed)?)
}

async fn ready(kubectl: &Kubectl, namespace: &str, name: &str) -> Result<()> {
    let name = format!("{KIND}/{name}");
    kubectl.ok(["wait", "--for=condition=Ready", "-n", namespace, &name, "--timeout=60s"]).await?;
    kubectl.ok(["wait", "--for=condition=Synced", "-n", namespace, &name, "--timeout=60s"]).await?;
    Ok(())
}

fn remote(namespace: &str, name: &str) -> Result<String> {
    let scheme = Hashed { cluster: CLUSTER.parse()?, claim_namespace: "claims".to_owned() };
    Ok(scheme.remote_name(Form::Claim, namespace, name))
}

/// The composite of a claim, and what it is composed of.
async fn composite(kubectl: &Kubectl, namespace: &str, name: &str) -> Result<(Value, Vec<Value>)> {
    let claim = get(kubectl, &[KIND, name, "-n", namespace]).await?;
    let name = claim["spec"]["resourceRef"]["name"].as_str().context("a claim that is not bound")?.to_owned();
    let composite = get(kubectl, &["xkubernetesclusters.k8s.starter.org", &name]).await?;
    let label = format!("crossplane.io/composite={name}");
    let composed = get(kubectl, &["configmaps", "-A", "-l", &label]).await?;
    let composed = composed["items"].as_array().cloned().unwrap_or_default();
    Ok((composite, composed.into_iter().map(|of| of["metadata"]["uid"].clone()).collect()))
}

macro_rules! recorded {
    ($name:expr, $told:expr) => {{
        let told = $told;
        insta::with_settings!({filters => vec![
            (r"\b(db|cache|web)-[a-z0-9]{5}\b(-[0-9a-f]{12})?", "$1-[random]"),
            (r"https://127\.0\.0\.1:\d+", "https://[server]"),
        ]}, { insta::assert_snapshot!($name, told) })
    }};
}

#[tokio::test]
async fn a_claim_is_adopted_and_given_back() -> Result<()> {
    let stage = Stage::start().await?;
    let remotely = stage.control_plane.kubectl();
    remotely.ok(["create", "namespace", "team-a"]).await?;
    // By server-side apply, so that its manager is somebody.
    let apply = ["apply", "--server-side", "--field-manager=platform", "-f", "-"];
    remotely.ok_with_stdin(apply, &claim("team-a", "db").to_string()).await?;
    ready(&remotely, "team-a", "db").await?;
    let (before, composed_before) = composite(&remotely, "team-a", "db").await?;
    ensure!(!composed_before.is_empty(), "nothing is composed");

    recorded!("adopt_plan", stage.adopted(&["--from-namespace=team-a", "--dry-run"]).await?);
    recorded!("adopt_nobody_to_ask", stage.adopt(&["--from-namespace=team-a"]).await?);
    get(&remotely, &[KIND, "db", "-n", "team-a"]).await?;
    recorded!("adopt_done", stage.adopted(&["--from-namespace=team-a", "--yes"]).await?);

    let new = remote("team-a", "db")?;
    ensure!(remotely.ok(["get", KIND, "-n", "team-a", "-o", "name"]).await?.is_empty());
    ready(&remotely, "claims", &new).await?;
    let (after, composed_after) = composite(&remotely, "claims", &new).await?;
    ensure!(before["metadata"]["uid"] == after["metadata"]["uid"], "{before} {after}");
    ensure!(composed_before == composed_after, "{composed_before:?} {composed_after:?}");
    ensure!(after["spec"]["claimRef"]["name"] == *new && after["spec"]["claimRef"]["namespace"] == "claims", "{after}");
    ensure!(after["metadata"]["labels"]["crossplane.io/claim-name"] == *new, "{after}");
    ensure!(after["metadata"]["annotations"].get("crossplane.io/paused").is_none(), "{after}");
    let stored = get(&remotely, &[KIND, &new, "-n", "claims", "--show-managed-fields"]).await?;
    let managers = stored["metadata"]["managedFields"].as_array().into_iter().flatten();
    let mut managers = managers.filter(|entry| entry["manager"] == "platform" && entry["operation"] == "Apply");
    ensure!(managers.next().is_some(), "{stored}");
    ensure!(stored["metadata"]["finalizers"] == json!(["finalizer.apiextensions.crossplane.io"]), "{stored}");

    // The app cluster sees it under its own name, its Secret, too, and changes it.
    let connector = stage.connect().await?;
    let app = stage.app.kubectl();
    app.ok(["create", "namespace", "team-a"]).await?;
    let local = get(&app, &[KIND, "db", "-n", "team-a"]).await?;
    ensure!(local["metadata"]["labels"] == json!({ "team": "blue" }), "{local}");
    ensure!(local["metadata"]["annotations"]["example.org/note"] == "kept", "{local}");
    ensure!(local["spec"]["writeConnectionSecretToRef"]["name"] == "db-conn", "{local}");
    eventually("the connection Secret", || async {
        let got = app.run(["get", "secret", "db-conn", "-n", "team-a"]).await?;
        Ok(if got.status.success() { Ok(()) } else { Err(got.stderr) })
    })
    .await?;
    let edit = r#"{"spec":{"parameters":{"nodes":{"count":5}}}}"#;
    app.ok(["patch", KIND, "db", "-n", "team-a", "--type=merge", "-p", edit]).await?;
    recorded!("adopt_again", stage.adopted(&["--from-namespace=team-a", "--yes"]).await?);

    // And back, as it is by now.
    recorded!("adopt_undo", stage.adopted(&["--undo", "--yes", "kubernetescluster/db"]).await?);
    ready(&remotely, "team-a", "db").await?;
    let (back, composed_back) = composite(&remotely, "team-a", "db").await?;
    ensure!(before["metadata"]["uid"] == back["metadata"]["uid"] && composed_before == composed_back, "{back}");
    ensure!(back["spec"]["parameters"]["nodes"]["count"] == 5, "{back}");
    let back = get(&remotely, &[KIND, "db", "-n", "team-a"]).await?;
    let wanted = claim("team-a", "db");
    for part in ["labels", "annotations"] {
        ensure!(back["metadata"][part] == wanted["metadata"][part], "{part}: {back}");
    }
    ensure!(back["spec"]["writeConnectionSecretToRef"]["name"] == "db-conn", "{back}");
    remotely.ok(["get", "secret", "db-conn", "-n", "team-a"]).await?;
    ensure!(remotely.ok(["get", KIND, "-n", "claims", "-o", "name"]).await?.is_empty());
    ensure!(app.ok(["get", KIND, "-A", "-o", "name"]).await?.is_empty());
    let records = ["get", "configmap", "-n", "claims", "-l", "app.kubernetes.io/component=adoption", "-o", "name"];
    ensure!(remotely.ok(records).await?.is_empty());
    drop(connector);
    Ok(())
}

/// Nobody may bind a composite to another claim; `composite` is one to try it with.
async fn bind_for_ever(kubectl: &Kubectl, composite: &str) -> Result<()> {
    let deny = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "deny"},
         "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["k8s.starter.org"], "apiVersions": ["*"],
                "resources": ["xkubernetesclusters"], "operations": ["UPDATE"]}]},
            "validations": [{"expression": "object.spec.claimRef.namespace == oldObject.spec.claimRef.namespace", "message": "bound for ever"}],
         }},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "deny"},
         "spec": {"policyName": "deny", "validationActions": ["Deny"]}},
    ]});
    kubectl.apply(&deny.to_string()).await?;
    eventually("the policy", || async {
        let tried = kubectl.run(probe(composite)).await?;
        Ok(if tried.stderr.contains("bound for ever") { Ok(()) } else { Err(format!("{tried:?}")) })
    })
    .await
}

/// Takes it back.
async fn bind_again(kubectl: &Kubectl, composite: &str) -> Result<()> {
    kubectl.ok(["delete", "validatingadmissionpolicybinding", "deny"]).await?;
    eventually("the policy to be gone", || async {
        let tried = kubectl.run(probe(composite)).await?;
        Ok(if tried.status.success() { Ok(()) } else { Err(tried.stderr) })
    })
    .await
}

fn probe(composite: &str) -> [&str; 7] {
    let patch = r#"{"spec":{"claimRef":{"namespace":"x"}}}"#;
    ["patch", "xkubernetesclusters.k8s.starter.org", composite, "--dry-run=server", "--type=merge", "-p", patch]
}

/// What is deleted while it is on its way is not made anew out of the record, and what has its name by then is not touched.
#[tokio::test]
async fn what_is_deleted_meanwhile_stays_deleted() -> Result<()> {
    let stage = Stage::start().await?;
    let remotely = stage.control_plane.kubectl();
    remotely.apply(&claim("default", "db").to_string()).await?;
    ready(&remotely, "default", "db").await?;
    let (composite, _) = composite(&remotely, "default", "db").await?;
    let name = composite["metadata"]["name"].as_str().context("a name")?;
    let new = remote("default", "db")?;
    let gone = async |namespace: &str, name: &str| -> Result<()> {
        let claim = [KIND, name, "-n", namespace];
        let unhand = ["--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#];
        remotely.ok([&["patch"], &claim[..], &unhand].concat()).await?;
        remotely.ok([&["delete"], &claim[..]].concat()).await?;
        Ok(())
    };
    let stopped = async || -> Result<()> {
        bind_for_ever(&remotely, name).await?;
        let told = stage.adopt(&["--from-namespace=default", "--yes"]).await?;
        ensure!(told.code == Some(1) && told.stderr.contains("bound for ever"), "{told}");
        bind_again(&remotely, name).await
    };
    stopped().await?;

    // The old one was deleted and made anew by somebody: it is theirs, and the adoption goes on without it.
    gone("default", "db").await?;
    let other = json!({ "apiVersion": API, "kind": "KubernetesCluster", "spec": { "id": "other",
        "parameters": { "nodes": { "count": 1, "size": "small" } } },
        "metadata": { "name": "db", "namespace": "default", "annotations": { "crossplane.io/paused": "true" } } });
    remotely.apply(&other.to_string()).await?;
    stage.adopted(&["--yes"]).await?;
    let there = get(&remotely, &[KIND, "db"]).await?;
    ensure!(there["spec"]["id"] == "other" && there["metadata"]["annotations"]["crossplane.io/paused"] == "true");
    get(&remotely, &[KIND, &new, "-n", "claims"]).await?;
    recorded!("adopt_undo_another", stage.adopt(&["--undo", "--yes"]).await?);

    // Both are deleted: nothing is made.
    gone("default", "db").await?;
    stage.adopted(&["--undo", "--yes"]).await?;
    stopped().await?;
    gone("default", "db").await?;
    gone("claims", &new).await?;
    recorded!("adopt_gone", stage.adopt(&["--yes"]).await?);
    ensure!(remotely.ok(["get", KIND, "-A", "-o", "name"]).await?.is_empty());
    let composite = get(&remotely, &["xkubernetesclusters.k8s.starter.org", name]).await?;
    ensure!(composite["metadata"]["annotations"].get("crossplane.io/paused").is_none(), "{composite}");
    recorded!("adopt_gone_again", stage.adopted(&["--yes"]).await?);

    // It is the app cluster's context that was given.
    let mut command = plugin();
    command.args(["adopt", "claims", "--cluster", CLUSTER, "--from-namespace=default", "--kubeconfig"]);
    command.arg(stage.app.kubeconfig_path());
    recorded!("adopt_no_control_plane", tell(command, "").await?);
    Ok(())
}

#[tokio::test]
async fn what_is_interrupted_goes_on_and_what_conflicts_is_refused() -> Result<()> {
    let stage = Stage::start().await?;
    let remotely = stage.control_plane.kubectl();
    for name in ["db", "cache"] {
        remotely.apply(&claim("default", name).to_string()).await?;
        ready(&remotely, "default", name).await?;
    }
    let (before, composed) = composite(&remotely, "default", "db").await?;

    // Each reason alone holds up everything.
    let owned = r#"{"metadata":{"finalizers":["example.org/mine","finalizer.apiextensions.crossplane.io"]}}"#;
    remotely.ok(["patch", KIND, "cache", "--type=merge", "-p", owned]).await?;
    recorded!("adopt_refused", stage.adopt(&["--from-namespace=default", "--yes"]).await?);
    stage.crossplane.offer(&fixtures::xrd("17-docs-useraccesskey-v2-secret")?).await?;
    let key = json!({ "apiVersion": "example.org/v1alpha1", "kind": "UserAccessKey",
        "metadata": { "name": "key", "namespace": "keys" }, "spec": {} });
    remotely.ok(["create", "namespace", "keys"]).await?;
    remotely.apply(&key.to_string()).await?;
    recorded!("adopt_namespaced", stage.adopt(&["--from-namespace=keys", "useraccesskey/key"]).await?);
    recorded!("adopt_namespaced_left_out", stage.adopted(&["--from-namespace=keys"]).await?);
    recorded!("adopt_not_found", stage.adopt(&["--from-namespace=default", "kubernetescluster/web"]).await?);
    get(&remotely, &[KIND, "db"]).await?;

    let name = before["metadata"]["name"].as_str().context("a name")?;
    // In the middle: the composite cannot be written any more.
    bind_for_ever(&remotely, name).await?;
    let args = ["--from-namespace=default", "--yes", "kubernetescluster/db"];
    recorded!("adopt_stopped", stage.adopt(&args).await?);
    let (stopped, _) = composite(&remotely, "default", "db").await?;
    ensure!(stopped["metadata"]["annotations"]["crossplane.io/paused"] == "true", "{stopped}");

    // From there it can be undone as well as done.
    recorded!("adopt_undo_stopped", stage.adopted(&["--undo", "--yes"]).await?);
    ready(&remotely, "default", "db").await?;
    let (undone, _) = composite(&remotely, "default", "db").await?;
    ensure!(undone["metadata"]["annotations"].get("crossplane.io/paused").is_none(), "{undone}");
    ensure!(remotely.ok(["get", KIND, "-n", "claims", "-o", "name"]).await?.is_empty());
    ensure!(stage.adopt(&args).await?.code == Some(1));

    bind_again(&remotely, name).await?;
    // As if it had been killed right after the new one was made.
    let new = remote("default", "db")?;
    let bare = ["--type=merge", "-p", r#"{"metadata":{"managedFields":[{}]}}"#];
    remotely.ok([&["patch", KIND, &new, "-n", "claims"][..], &bare].concat()).await?;
    recorded!("adopt_goes_on", stage.adopted(&["--yes"]).await?);
    let stored = get(&remotely, &[KIND, &new, "-n", "claims", "--show-managed-fields"]).await?;
    ensure!(stored["metadata"]["managedFields"].to_string().contains("kubectl-client-side-apply"), "{stored}");
    ready(&remotely, "claims", &new).await?;
    let (after, composed_after) = composite(&remotely, "claims", &new).await?;
    ensure!(after["metadata"]["uid"] == before["metadata"]["uid"] && composed == composed_after, "{after}");
    ensure!(!remotely.run(["get", KIND, "db"]).await?.status.success());
    Ok(())
}

#[tokio::test]
async fn claims_come_out_of_documents() -> Result<()> {
    let stage = Stage::start().await?;
    // The app cluster has a Crossplane of its own.
    let local = Crossplane::install(&stage.app).await?;
    local.offer(&fixtures::xrd(EXAMPLE)?).await?;
    let app = stage.app.kubectl();
    app.apply(&claim("default", "db").to_string()).await?;
    ready(&app, "default", "db").await?;
    let folder = tempfile::tempdir()?;
    let export = |name: &str, kind: &'static str| {
        let (file, app) = (folder.path().join(name), app.clone());
        async move {
            std::fs::write(&file, app.ok(["get", kind, "-A", "-o", "yaml"]).await?)?;
            anyhow::Ok(file.display().to_string())
        }
    };
    let claims = export("claims.yaml", KIND).await?;
    let composites = export("composites.yaml", "xkubernetesclusters.k8s.starter.org").await?;
    let composed = export("composed.yaml", "configmaps").await?;
    let files = ["-f", &claims, "-f", &composites];

    // What it is composed of is not there: it would be composed anew.
    let unpaused = stage.adopt(&[&files[..], &["--unpause", "--yes"]].concat()).await?;
    recorded!("adopt_documents_not_composed", unpaused);
    let exported: Value = serde_saphyr::from_str(&std::fs::read_to_string(&composed)?)?;
    let remotely = stage.control_plane.kubectl();
    for mut object in exported["items"].as_array().cloned().unwrap_or_default() {
        if object["metadata"]["labels"]["crossplane.io/composite"].is_string() {
            let metadata = json!({ "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
                "labels": object["metadata"]["labels"], "annotations": object["metadata"]["annotations"] });
            object["metadata"] = metadata;
            remotely.apply(&object.to_string()).await?;
        }
    }
    recorded!("adopt_documents", stage.adopted(&[&files[..], &["--yes"]].concat()).await?);
    let new = remote("default", "db")?;
    let (created, _) = composite(&remotely, "claims", &new).await?;
    ensure!(created["metadata"]["annotations"]["crossplane.io/paused"] == "true", "{created}");
    recorded!("adopt_documents_again", stage.adopted(&[&files[..], &["--yes"]].concat()).await?);

    let label = format!("crossplane.io/composite={}", created["metadata"]["name"].as_str().unwrap_or_default());
    let before = get(&remotely, &["configmaps", "-A", "-l", &label]).await?;
    recorded!("adopt_documents_unpaused", stage.adopted(&["--unpause", "--yes"]).await?);
    ready(&remotely, "claims", &new).await?;
    let (after, _) = composite(&remotely, "claims", &new).await?;
    ensure!(after["metadata"]["uid"] == created["metadata"]["uid"], "{after}");
    let composed = get(&remotely, &["configmaps", "-A", "-l", &label]).await?;
    let uids = |of: &Value| -> Vec<Value> {
        of["items"].as_array().into_iter().flatten().map(|of| of["metadata"]["uid"].clone()).collect()
    };
    ensure!(!uids(&before).is_empty() && uids(&before) == uids(&composed), "{before} {composed}");
    let owner = &composed["items"][0]["metadata"]["ownerReferences"][0];
    ensure!(owner["uid"] == after["metadata"]["uid"], "{owner} {after}");
    Ok(())
}
