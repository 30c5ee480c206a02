//! Input secrets: references to Secrets of the app cluster, at a configured field, and who may write them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::crossplane::Crossplane;
use testkit::{Cluster, Kubectl, fixtures};

use crate::setup::{CLAIM_NAMESPACE, json as read, options, traces};

/// A claim, and a namespaced composite of the same kind.
const CLAIM: &str = "04-aws-sqlinstance-v1";
const COMPOSITE: &str = "05-aws-sqlinstance-v2-namespaced";
const API: &str = "aws.platform.upbound.io/v1alpha1";

const CONFIG: &str = "
apis:
- group: aws.platform.upbound.io
  kind: SQLInstance
  connection-secret-names: [spec.parameters.networkRef.id]
  input-secrets: [spec.parameters.passwordSecretRef]
input-secrets-from: [shared]
";

struct Stage {
    // In the order in which they are to go.
    _connector: Connector,
    _crossplane: Crossplane,
    app: Cluster,
    control_plane: Cluster,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn start(set: &str) -> Result<Self> {
        let (app, control_plane) = Cluster::start_two().await?;
        let crossplane = Crossplane::install(&control_plane).await?;
        crossplane.offer(&fixtures::xrd(set)?).await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, CONFIG)?;
        let extra_args = vec![format!("--config={}", file.display())];
        let connector = Connector::start(&app, &control_plane, ConnectorOptions { extra_args, ..options() }).await?;
        connector.wait_available(&app, API).await?;
        Ok(Self { _connector: connector, _crossplane: crossplane, app, control_plane, _folder: folder })
    }

    /// The one object as the control plane stores it.
    async fn stored(&self) -> Result<Value> {
        let all = read(&self.control_plane.kubectl(), &["get", "sqlinstances", "-n", CLAIM_NAMESPACE]).await?;
        ensure!(all["items"].as_array().map(Vec::len) == Some(1), "{all}");
        Ok(all["items"][0].clone())
    }

    /// The same, as the app cluster sees it.
    async fn seen(&self) -> Result<Value> {
        let all = read(&self.app.kubectl(), &["get", "sqlinstances", "--show-managed-fields"]).await?;
        ensure!(all["items"].as_array().map(Vec::len) == Some(1), "{all}");
        let seen = all["items"][0].clone();
        ensure!(traces(&seen["spec"].to_string()).is_empty() && !seen.to_string().contains("input-"), "{seen}");
        let mut metadata = seen["metadata"].clone();
        // What Crossplane labels with the name that it knows is its own to tell.
        metadata["labels"].take();
        ensure!(traces(&metadata.to_string()).is_empty(), "{metadata}");
        Ok(seen)
    }
}

fn reference(object: &Value) -> &Value {
    &object["spec"]["parameters"]["passwordSecretRef"]
}

/// What our annotations say of the Secrets that an object consumes.
fn inputs(stored: &Value) -> Vec<(String, String)> {
    let annotations = stored["metadata"]["annotations"].as_object().into_iter().flatten();
    annotations
        .filter_map(|(key, value)| {
            let name = key.strip_prefix("mcp-connector.upbound.io/")?;
            name.starts_with("input-").then(|| (name.to_owned(), value.as_str().unwrap_or_default().to_owned()))
        })
        .collect()
}

/// A Secret `name` of `namespace` is what the stored object refers to, and says that it does.
fn refers_to(stored: &Value, namespace: &str, name: &str) -> Result<()> {
    let told = inputs(stored);
    let expected = format!(r#"{{"namespace":"{namespace}","name":"{name}"}}"#);
    ensure!(told.len() == 1 && told[0].1 == expected, "{told:?}");
    ensure!(reference(stored)["name"] == told[0].0.as_str() && told[0].0.len() == "input-".len() + 16, "{stored}");
    let namespace = &reference(stored)["namespace"];
    ensure!(*namespace == CLAIM_NAMESPACE || namespace.is_null(), "{stored}");
    Ok(())
}

/// The example of a set without the Secret that comes with it.
fn example(text: &str) -> Result<Value> {
    let mut object = fixtures::object(text)?;
    object["metadata"]["name"] = "db".into();
    Ok(object)
}

async fn patch(kubectl: &Kubectl, format: &str, patch: Value) -> Result<testkit::kubectl::Output> {
    kubectl.run(["patch", "sqlinstance", "db", &format!("--type={format}"), "-p", &patch.to_string()]).await
}

#[tokio::test]
async fn a_claim_refers_to_a_secret() -> Result<()> {
    let stage = Stage::start(CLAIM).await?;
    let kubectl = stage.app.kubectl();
    let claim = example(&fixtures::claim(CLAIM)?)?;

    kubectl.apply(&claim.to_string()).await?;
    let stored = stage.stored().await?;
    refers_to(&stored, "default", "psqlsecret")?;
    ensure!(reference(&stored)["key"] == "password", "{stored}");
    let network = stored["spec"]["parameters"]["networkRef"]["id"].as_str().context("no name")?;
    ensure!(
        stored["metadata"]["annotations"][format!("mcp-connector.upbound.io/{network}")]
            == "configuration-aws-database",
        "{stored}"
    );
    ensure!(network.starts_with("claim-"), "{stored}");
    let seen = stage.seen().await?;
    ensure!(seen["spec"]["parameters"]["networkRef"]["id"] == "configuration-aws-database", "{seen}");
    ensure!(*reference(&seen) == json!({"namespace": "default", "name": "psqlsecret", "key": "password"}), "{seen}");
    let yaml = kubectl.ok(["get", "sqlinstance", "db", "-o", "yaml"]).await?;
    ensure!(yaml.contains("      name: psqlsecret\n      namespace: default\n") && !yaml.contains("input-"), "{yaml}");
    let again = kubectl.apply(&claim.to_string()).await?;
    ensure!(again.contains("db unchanged"), "{again}");

    // What Crossplane writes changes nothing of it.
    kubectl.ok(["wait", "--for=condition=Ready", "sqlinstance/db", "--timeout=60s"]).await?;
    refers_to(&stage.stored().await?, "default", "psqlsecret")?;

    let mut watch = kubectl.spawn([
        "get",
        "sqlinstances",
        "--watch",
        "-o",
        "jsonpath={.spec.parameters.passwordSecretRef.name}{'\\n'}",
    ])?;
    watch.line_where(|line| line == "psqlsecret").await?;
    let name = |name: &str| json!({"spec": {"parameters": {"passwordSecretRef": {"name": name}}}});
    let merged = patch(&kubectl, "merge", name("merged")).await?;
    ensure!(merged.status.success(), "{}", merged.stderr);
    watch.line_where(|line| line == "merged").await?;
    refers_to(&stage.stored().await?, "default", "merged")?;

    let path = "/spec/parameters/passwordSecretRef/name";
    let test = json!({"op": "test", "path": path, "value": "merged"});
    let replace = json!({"op": "replace", "path": path, "value": "replaced"});
    let failed = patch(&kubectl, "json", json!([{"op": "test", "path": path, "value": "psqlsecret"}, replace])).await?;
    ensure!(!failed.status.success(), "the test is of what the user sees: {}", failed.stdout);
    let replaced = patch(&kubectl, "json", json!([test, replace])).await?;
    ensure!(replaced.status.success(), "{}", replaced.stderr);
    refers_to(&stage.stored().await?, "default", "replaced")?;

    // Applied on the server's side, by another manager.
    let apply = ["apply", "--server-side", "--field-manager=other", "-f", "-"];
    let conflict = kubectl.with_stdin(apply, &claim.to_string()).await?;
    ensure!(conflict.stderr.contains(".spec.parameters.passwordSecretRef.name"), "{}", conflict.stderr);
    ensure!(!conflict.stderr.contains("mcp-connector"), "{}", conflict.stderr);
    let force = ["apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"];
    kubectl.ok_with_stdin(force, &claim.to_string()).await?;
    ensure!(reference(&stage.seen().await?)["name"] == "psqlsecret");
    let diff = ["diff", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"];
    let diff = kubectl.with_stdin(diff, &claim.to_string()).await?;
    ensure!(diff.status.success(), "{}{}", diff.stdout, diff.stderr);

    // Read and written again: what is no longer used is forgotten.
    let seen = read(&kubectl, &["get", "sqlinstance", "db"]).await?;
    kubectl.ok_with_stdin(["replace", "-f", "-"], &seen.to_string()).await?;
    refers_to(&stage.stored().await?, "default", "psqlsecret")?;
    Ok(())
}

#[tokio::test]
async fn a_namespaced_composite_refers_to_a_secret() -> Result<()> {
    let stage = Stage::start(COMPOSITE).await?;
    let kubectl = stage.app.kubectl();
    let composite = example(&fixtures::xr(COMPOSITE)?)?;
    kubectl.apply(&composite.to_string()).await?;
    let stored = stage.stored().await?;
    refers_to(&stored, "default", "psqlsecret")?;
    ensure!(stored["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("nxr-")), "{stored}");
    ensure!(*reference(&stage.seen().await?) == json!({"name": "psqlsecret", "key": "password"}));
    let again = kubectl.apply(&composite.to_string()).await?;
    ensure!(again.contains("db unchanged"), "{again}");
    let other = composite.to_string().replace("psqlsecret", "other");
    kubectl.apply(&other).await?;
    refers_to(&stage.stored().await?, "default", "other")?;
    Ok(())
}

/// Jane may do anything with instances, and read one Secret of each of two namespaces.
const RIGHTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shared}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: instances}
rules:
- {apiGroups: [aws.platform.upbound.io], resources: [sqlinstances], verbs: ['*']}
- {apiGroups: [''], resources: [secrets], resourceNames: [open], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: jane, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: instances}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: jane, namespace: shared}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: instances}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}]
";

#[tokio::test]
async fn authors_refer_to_what_they_can_read() -> Result<()> {
    let stage = Stage::start(CLAIM).await?;
    let admin = stage.app.kubectl();
    admin.apply(RIGHTS).await?;
    let jane = stage.app.kubectl_for("jane", &[])?;
    let claim = |namespace: &str, name: &str| -> Result<Value> {
        let mut claim = example(&fixtures::claim(CLAIM)?)?;
        let reference = &mut claim["spec"]["parameters"]["passwordSecretRef"];
        (reference["namespace"], reference["name"]) = (namespace.into(), name.into());
        Ok(claim)
    };
    // The right to write instances is granted a moment later.
    testkit::eventually("jane to be authorized", || async {
        let asked = jane.run(["auth", "can-i", "create", "sqlinstances"]).await?;
        Ok(if asked.status.success() { Ok(()) } else { Err(asked.stdout) })
    })
    .await?;

    // What jane cannot read, in whatever way it is written.
    let closed = claim("default", "closed")?;
    let refusal = r#"sqlinstances.aws.platform.upbound.io "db" is forbidden: spec.parameters.passwordSecretRef: User "jane" cannot get Secret "closed" in the namespace "default""#;
    for args in [
        &["create", "-f", "-"][..],
        &["create", "--dry-run=server", "-f", "-"],
        &["apply", "-f", "-"],
        &["apply", "--server-side", "-f", "-"],
    ] {
        let refused = jane.with_stdin(args, &closed.to_string()).await?;
        ensure!(!refused.status.success() && refused.stderr.contains(refusal), "{args:?}: {}", refused.stderr);
    }
    let mut generated = closed.clone();
    generated["metadata"] = json!({"generateName": "db", "namespace": "default"});
    let refused = jane.with_stdin(["create", "-f", "-"], &generated.to_string()).await?;
    ensure!(refused.stderr.contains(refusal), "{}", refused.stderr);

    // What nobody may: a Secret of a namespace that is not configured. Of one that is, what the author can read.
    let elsewhere = admin.with_stdin(["create", "-f", "-"], &claim("kube-system", "open")?.to_string()).await?;
    let told = r#"is forbidden: spec.parameters.passwordSecretRef: Secret "open" of namespace "kube-system" cannot be used from namespace "default""#;
    ensure!(elsewhere.stderr.contains(told), "{}", elsewhere.stderr);
    let refused = jane.with_stdin(["create", "-f", "-"], &claim("shared", "closed")?.to_string()).await?;
    ensure!(refused.stderr.contains(r#"cannot get Secret "closed" in the namespace "shared""#), "{}", refused.stderr);
    jane.ok_with_stdin(["create", "-f", "-"], &claim("shared", "open")?.to_string()).await?;
    refers_to(&stage.stored().await?, "shared", "open")?;
    ensure!(reference(&stage.seen().await?)["namespace"] == "shared");
    let name =
        |name: &str| json!({"spec": {"parameters": {"passwordSecretRef": {"name": name, "namespace": "default"}}}});
    let open = patch(&jane, "merge", name("open")).await?;
    ensure!(open.status.success(), "{}", open.stderr);
    refers_to(&stage.stored().await?, "default", "open")?;
    for (format, body) in [
        ("merge", name("closed")),
        ("json", json!([{"op": "replace", "path": "/spec/parameters/passwordSecretRef/name", "value": "closed"}])),
    ] {
        let refused = patch(&jane, format, body).await?;
        ensure!(refused.stderr.contains(refusal), "{format}: {}", refused.stderr);
    }
    refers_to(&stage.stored().await?, "default", "open")?;

    // What the object has is not asked about again.
    let closed = patch(&admin, "merge", name("closed")).await?;
    ensure!(closed.status.success(), "{}", closed.stderr);
    jane.ok(["label", "sqlinstance", "db", "team=blue"]).await?;
    let seen = read(&jane, &["get", "sqlinstance", "db"]).await?;
    jane.ok_with_stdin(["replace", "-f", "-"], &seen.to_string()).await?;
    refers_to(&stage.stored().await?, "default", "closed")?;

    // The name of another's copy is hashed like any other.
    let copy = inputs(&stage.stored().await?)[0].0.clone();
    let forged = patch(&admin, "merge", name(&copy)).await?;
    ensure!(forged.status.success(), "{}", forged.stderr);
    let stored = stage.stored().await?;
    ensure!(reference(&stored)["name"] != copy.as_str(), "{stored}");
    refers_to(&stored, "default", &copy)?;
    Ok(())
}
