//! Connection Secrets, where Pods read them.

mod conflicts;
mod faults;
mod replicas;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::{Cluster, ClusterOptions, Kubectl, eventually};

use crate::setup::{CLAIM_NAMESPACE, Corridor, EXAMPLE_API, claim, json, options, traces};

/// A claim that asks for a connection Secret of a name.
fn asking(namespace: &str, name: &str, secret: &str) -> String {
    claim(namespace, name).replace(&format!("{name}-kubeconfig"), secret)
}

/// The Secret, as soon as there is one.
async fn secret(kubectl: &Kubectl, namespace: &str, name: &str) -> Result<Value> {
    eventually(&format!("Secret {name} in {namespace}"), || async {
        let get = kubectl.run(["get", "secret", name, "-n", namespace, "-o", "json"]).await?;
        Ok(if get.status.success() { Ok(serde_json::from_str(&get.stdout)?) } else { Err(get.stderr) })
    })
    .await
}

/// The same, once it has a value.
async fn secret_with(kubectl: &Kubectl, namespace: &str, name: &str, key: &str, value: &str) -> Result<Value> {
    let wanted = json!(STANDARD.encode(value));
    eventually(&format!("Secret {name} in {namespace} with {key}={value}"), || async {
        let secret = secret(kubectl, namespace, name).await?;
        Ok(if secret["data"][key] == wanted { Ok(secret) } else { Err(secret["data"].to_string()) })
    })
    .await
}

async fn is_absent(kubectl: &Kubectl, namespace: &str, name: &str) -> Result<()> {
    eventually(&format!("Secret {name} in {namespace} to go"), || async {
        let get = kubectl.run(["get", "secret", name, "-n", namespace]).await?;
        Ok(if get.stderr.contains("NotFound") { Ok(()) } else { Err(format!("{get:?}")) })
    })
    .await
}

/// The name of the claim's Secret in the control plane.
async fn remote_name(corridor: &Corridor, namespace: &str, name: &str) -> Result<String> {
    let labels =
        format!("mcp-connector.upbound.io/app-namespace={namespace},mcp-connector.upbound.io/app-resource-name={name}");
    let path = "jsonpath={.items[0].metadata.name}";
    let kubectl = corridor.control_plane.kubectl();
    kubectl.ok(["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE, "-l", &labels, "-o", path]).await
}

/// Gives a claim other connection details.
async fn rotate(corridor: &Corridor, namespace: &str, name: &str, value: &str) -> Result<()> {
    let remote = remote_name(corridor, namespace, name).await?;
    corridor.crossplane.rotate(CLAIM_NAMESPACE, &remote, &[("kubeconfig", value)]);
    Ok(())
}

/// What a kubelet would give the first container of a Pod: it waits until each Secret that the Pod names is there.
async fn environment(kubectl: &Kubectl, namespace: &str, pod: &str) -> Result<BTreeMap<String, String>> {
    let pod = json(kubectl, &["get", "pod", pod, "-n", namespace]).await?;
    let mut environment = BTreeMap::new();
    for variable in pod["spec"]["containers"][0]["env"].as_array().context("a Pod without variables")? {
        let reference = &variable["valueFrom"]["secretKeyRef"];
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
        let secret = secret(kubectl, namespace, &text(&reference["name"])?).await?;
        let value = STANDARD.decode(text(&secret["data"][text(&reference["key"])?])?)?;
        environment.insert(text(&variable["name"])?, String::from_utf8(value)?);
    }
    Ok(environment)
}

/// It is what the control plane wrote: type, data, owner; the name is the user's, and a local edit or deletion is put right.
#[tokio::test]
async fn a_connection_secret_comes_back() -> Result<()> {
    let corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    // As a chart ships them: the Pod waits for the Secret.
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "consumer", "namespace": "default" },
        "spec": { "containers": [{ "name": "app", "image": "app", "env": [
            { "name": "KUBECONFIG", "valueFrom": { "secretKeyRef": { "name": "db-conn", "key": "kubeconfig" } } },
        ] }] },
    });
    app.apply(&pod.to_string()).await?;
    app.apply(&asking("default", "db", "db-conn")).await?;
    let given = environment(&app, "default", "consumer").await?;
    ensure!(given["KUBECONFIG"] == "https://cluster.example.test", "{given:?}");

    let claim = json(&app, &["get", "kubernetescluster", "db"]).await?;
    ensure!(claim["spec"]["writeConnectionSecretToRef"]["name"] == "db-conn", "{claim}");
    let local = secret(&app, "default", "db-conn").await?;
    let remote = json(&corridor.control_plane.kubectl(), &["get", "secrets", "-n", CLAIM_NAMESPACE]).await?;
    let remote = &remote["items"][0];
    for equal in ["type", "data", "immutable"] {
        ensure!(local[equal] == remote[equal], "{equal}: {local} {remote}");
    }
    ensure!(local["type"] == "connection.crossplane.io/v1alpha1", "{local}");
    ensure!(remote["metadata"]["name"] != "db-conn", "{remote}");
    let owner = json!([{
        "apiVersion": EXAMPLE_API, "kind": "KubernetesCluster", "name": "db", "uid": claim["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }]);
    ensure!(local["metadata"]["ownerReferences"] == owner, "{local}");
    let labels = json!({ "mcp-connector.upbound.io/service": "kube-system.connector" });
    ensure!(local["metadata"]["labels"] == labels && local["metadata"]["annotations"].is_null(), "{local}");

    // Edits and deletions are put right; what others note on it stays.
    let edit = r#"{"data":{"kubeconfig":"eA==","more":"eA=="},"metadata":{"ownerReferences":null,"annotations":{"note":"x"}}}"#;
    app.ok(["patch", "secret", "db-conn", "--type=merge", "-p", edit]).await?;
    let mended = eventually("the edit to be put right", || async {
        let now = secret(&app, "default", "db-conn").await?;
        let right = now["data"] == remote["data"] && now["metadata"]["ownerReferences"] == owner;
        Ok(if right { Ok(now) } else { Err(now.to_string()) })
    })
    .await?;
    ensure!(mended["metadata"]["annotations"]["note"] == "x", "{mended}");
    app.ok(["patch", "secret", "db-conn", "--type=merge", "-p", r#"{"immutable":true}"#]).await?;
    eventually("what was made immutable to be put right", || async {
        let now = secret(&app, "default", "db-conn").await?;
        Ok(if now["immutable"].is_null() { Ok(()) } else { Err(now.to_string()) })
    })
    .await?;
    app.ok(["delete", "secret", "db-conn"]).await?;
    let again = secret(&app, "default", "db-conn").await?;
    ensure!(again["metadata"]["uid"] != local["metadata"]["uid"] && again["data"] == remote["data"], "{again}");

    rotate(&corridor, "default", "db", "https://rotated.example.test").await?;
    secret_with(&app, "default", "db-conn", "kubeconfig", "https://rotated.example.test").await?;

    // The app cluster's collector takes it, when the claim is gone.
    app.ok(["delete", "kubernetescluster", "db", "--timeout=60s"]).await?;
    is_absent(&app, "default", "db-conn").await?;
    let log = corridor.connector.log()?;
    ensure!(!log.contains("example.test") && !log.contains(&STANDARD.encode("https://rotated")), "{log}");
    Ok(())
}

/// A composed Secret is called after the claim, as the composition calls it after the composite; of any type.
#[tokio::test]
async fn a_composed_secret_comes_back() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (xrd, xr) = ("17-docs-useraccesskey-v2-secret", "17-docs-useraccesskey-v2-secret");
    corridor.crossplane.offer(&testkit::fixtures::xrd(xrd)?).await?;
    corridor.connector.wait_available(&corridor.app, "example.org/v1alpha1").await?;
    let app = corridor.app.kubectl();
    app.apply(&testkit::fixtures::xr(xr)?).await?;
    let names = eventually("a composed Secret", || async {
        let ours = ["get", "secrets", "-A", "-l", "mcp-connector.upbound.io/service", "-o", "json"];
        let secrets: Value = serde_json::from_str(&app.ok(ours).await?)?;
        let items = secrets["items"].as_array().cloned().unwrap_or_default();
        Ok(if items.is_empty() { Err(secrets.to_string()) } else { Ok(items) })
    })
    .await?;
    let [local] = names.as_slice() else { anyhow::bail!("{names:?}") };
    let owner = &local["metadata"]["ownerReferences"][0];
    let of = ["get", "useraccesskeys", "-n", local["metadata"]["namespace"].as_str().unwrap_or_default()];
    let composite = json(&app, &[&of[..], &[owner["name"].as_str().unwrap_or_default()]].concat()).await?;
    ensure!(composite["metadata"]["uid"] == owner["uid"], "{composite} {owner}");
    ensure!(traces(&local.to_string()) == ["mcp-connector.upbound.io"], "but for the label: {local}");
    ensure!(local["data"].as_object().is_some_and(|data| !data.is_empty()), "{local}");
    app.ok(["delete", "useraccesskeys", "--all", "-A", "--timeout=60s"]).await?;
    let (namespace, name) = (local["metadata"]["namespace"].as_str(), local["metadata"]["name"].as_str());
    is_absent(&app, namespace.context("a namespace")?, name.context("a name")?).await
}

/// Two namespaces, and two clusters in one claim namespace, ask for one name: each gets its own.
#[tokio::test]
async fn each_namespace_and_cluster_gets_its_own() -> Result<()> {
    let corridor = Corridor::start().await?;
    let second = Cluster::start(ClusterOptions::named("second-app")).await?;
    let connector = Connector::start(&second, &corridor.control_plane, options()).await?;
    connector.wait_available(&second, EXAMPLE_API).await?;
    let (one, other) = (corridor.app.kubectl(), second.kubectl());
    one.ok(["create", "namespace", "team"]).await?;
    one.apply(&asking("default", "db", "db-conn")).await?;
    one.apply(&asking("team", "db", "db-conn")).await?;
    other.apply(&asking("default", "db", "db-conn")).await?;
    let clusters = [(&one, "default"), (&one, "team"), (&other, "default")];
    let mut uids = Vec::new();
    for (kubectl, namespace) in clusters {
        let secret = secret(kubectl, namespace, "db-conn").await?;
        let claim = json(kubectl, &["get", "kubernetescluster", "db", "-n", namespace]).await?;
        ensure!(secret["metadata"]["ownerReferences"][0]["uid"] == claim["metadata"]["uid"], "{secret} {claim}");
        uids.push(claim["metadata"]["uid"].clone());
    }
    ensure!(uids[0] != uids[1] && uids[1] != uids[2] && uids[0] != uids[2], "{uids:?}");

    rotate(&corridor, "team", "db", "https://team.example.test").await?;
    secret_with(&one, "team", "db-conn", "kubeconfig", "https://team.example.test").await?;
    for (kubectl, namespace) in [(&one, "default"), (&other, "default")] {
        let secret = secret(kubectl, namespace, "db-conn").await?;
        ensure!(secret["data"]["kubeconfig"] == STANDARD.encode("https://cluster.example.test"), "{secret}");
    }
    other.ok(["delete", "kubernetescluster", "db", "--timeout=60s"]).await?;
    is_absent(&other, "default", "db-conn").await?;
    for namespace in ["default", "team"] {
        secret(&one, namespace, "db-conn").await?;
    }
    Ok(())
}

/// What the configuration says, and nothing of the remote one (reflectors and external-secrets read it).
#[tokio::test]
async fn configured_marks_are_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("connector.yaml");
    std::fs::write(
        &file,
        "connection-secret-labels: {team: platform}\n\
         connection-secret-annotations: {reflector.v1.k8s.emberstack.com/reflection-allowed: \"true\"}\n",
    )?;
    let (app, control_plane, _crossplane) = crate::setup::clusters().await?;
    let options = ConnectorOptions { extra_args: vec![format!("--config={}", file.display())], ..options() };
    let mut connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    let kubectl = app.kubectl();
    kubectl.apply(&asking("default", "db", "db-conn")).await?;
    let local = secret(&kubectl, "default", "db-conn").await?;
    ensure!(local["metadata"]["labels"]["team"] == "platform", "{local}");
    let annotations = json!({ "reflector.v1.k8s.emberstack.com/reflection-allowed": "true" });
    ensure!(local["metadata"]["annotations"] == annotations, "{local}");

    // What is right already is not written again; another configuration is.
    let version = &local["metadata"]["resourceVersion"];
    connector.restart().await?;
    std::fs::write(&file, "connection-secret-labels: {team: other}\n")?;
    eventually("the restarted connector to lead", || async { leads(&connector).await }).await?;
    ensure!(secret(&kubectl, "default", "db-conn").await?["metadata"]["resourceVersion"] == *version);
    connector.restart().await?;
    eventually("the other label", || async {
        let now = secret(&kubectl, "default", "db-conn").await?;
        Ok(if now["metadata"]["labels"]["team"] == "other" { Ok(()) } else { Err(now.to_string()) })
    })
    .await
}

/// Whether a replica is the one that writes.
async fn leads(connector: &Connector) -> Result<Result<(), String>> {
    let (_, metrics) = connector.admin_get("/metrics").await?;
    let leads = metrics.lines().any(|line| line == r#"connector_leader{lease="sync"} 1"#);
    Ok(if leads { Ok(()) } else { Err("it does not lead".into()) })
}
