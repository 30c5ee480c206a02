//! The copies of input secrets: what the control plane reads of them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::crossplane::Crossplane;
use testkit::{Cluster, Kubectl, eventually, fixtures};

use crate::setup::{CLAIM_NAMESPACE, json as read, options};

const SET: &str = "04-aws-sqlinstance-v1";
const CONFIG: &str = "
apis:
- {group: aws.platform.upbound.io, kind: SQLInstance, input-secrets: [spec.parameters.passwordSecretRef]}
";

/// The fixture's claim under another name, with another Secret.
fn claim(name: &str, secret: &str) -> Result<String> {
    let mut claim = fixtures::object(&fixtures::claim(SET)?)?;
    claim["metadata"]["name"] = name.into();
    claim["spec"]["parameters"]["passwordSecretRef"] =
        json!({ "namespace": "default", "name": secret, "key": "password" });
    claim["spec"]["writeConnectionSecretToRef"]["name"] = format!("{name}-conn").into();
    Ok(claim.to_string())
}

/// What the control plane finds where the claim's stored form says that its password is.
async fn password(remote: &Kubectl, claim: &str) -> Result<Option<Value>> {
    let label = format!("mcp-connector.upbound.io/app-resource-name={claim}");
    let stored = read(remote, &["get", "sqlinstances", "-n", CLAIM_NAMESPACE, "-l", &label]).await?;
    let reference = &stored["items"][0]["spec"]["parameters"]["passwordSecretRef"];
    let text = |key: &str| reference[key].as_str().context("no reference");
    let get = remote.run(["get", "secret", text("name")?, "-n", text("namespace")?, "-o", "json"]).await?;
    if get.stderr.contains("NotFound") {
        return Ok(None);
    }
    ensure!(get.status.success(), "{get:?}");
    Ok(Some(serde_json::from_str(&get.stdout)?))
}

/// Waits until that is so; `None` for no copy.
async fn is(remote: &Kubectl, claim: &str, wanted: Option<&str>) -> Result<()> {
    eventually(&format!("the password of {claim} to be {wanted:?}"), || async {
        let now = password(remote, claim).await?;
        let now = now.as_ref().map(|copy| copy["data"]["password"].as_str().unwrap_or_default());
        Ok(if now == wanted { Ok(()) } else { Err(format!("{now:?}")) })
    })
    .await
}

/// Kept up to date and removed with the last claim, by a connector that has no more rights than are told.
#[tokio::test]
async fn a_copy_follows_its_secret() -> Result<()> {
    let (app, control_plane) = Cluster::start_two().await?;
    let crossplane = Crossplane::install(&control_plane).await?;
    crossplane.offer(&fixtures::xrd(SET)?).await?;
    let rights = |file: &str| std::fs::read_to_string(format!("{}/../deploy/rbac/{file}", env!("CARGO_MANIFEST_DIR")));
    for file in ["app-cluster.yaml", "app-cluster-input-secrets.yaml"] {
        app.kubectl().apply(&rights(file)?).await?;
    }
    for file in ["control-plane.yaml", "control-plane-input-secrets.yaml"] {
        let rights = rights(file)?.replace("[k8s.starter.org]", "[aws.platform.upbound.io]");
        control_plane.kubectl().apply(&rights).await?;
    }
    let groups = ["system:serviceaccounts"];
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, CONFIG)?;
    let options = ConnectorOptions {
        kubeconfig: Some(app.kubeconfig_for("system:serviceaccount:kube-system:connector", &groups)?),
        control_plane_kubeconfig: Some(
            control_plane.kubeconfig_for("system:serviceaccount:claims:connector", &groups)?,
        ),
        extra_args: vec![format!("--config={}", config.display())],
        ..options()
    };
    let mut connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, "aws.platform.upbound.io/v1alpha1").await?;
    let (kubectl, remote) = (app.kubectl(), control_plane.kubectl());

    // The claim may come before its Secret, as in one `kubectl apply` of a folder.
    kubectl.apply(&claim("one", "db-password")?).await?;
    kubectl.apply(&claim("other", "db-password")?).await?;
    is(&remote, "one", None).await?;
    kubectl.ok(["create", "secret", "generic", "db-password", "--from-literal=password=first"]).await?;
    is(&remote, "one", Some("Zmlyc3Q=")).await?;
    let copy = password(&remote, "one").await?.context("a copy")?;
    ensure!(copy["type"] == "Opaque", "{copy}");
    let labels = &copy["metadata"]["labels"];
    ensure!(labels["mcp-connector.upbound.io/app-namespace"] == "default", "{labels}");
    ensure!(labels["mcp-connector.upbound.io/app-resource-name"] == "db-password", "{labels}");
    ensure!(copy["metadata"]["annotations"].is_null(), "nothing is copied blindly: {copy}");

    // Changes arrive, made while the connector is there or not; what somebody did to the copy is put right.
    kubectl.ok(["patch", "secret", "db-password", "-p", r#"{"data":{"password":"c2Vjb25k","more":"eA=="}}"#]).await?;
    is(&remote, "other", Some("c2Vjb25k")).await?;
    let name = copy["metadata"]["name"].as_str().context("no name")?;
    remote.ok(["patch", "secret", name, "-n", CLAIM_NAMESPACE, "-p", r#"{"data":{"password":"eA=="}}"#]).await?;
    is(&remote, "one", Some("c2Vjb25k")).await?;
    connector.kill()?;
    kubectl.ok(["patch", "secret", "db-password", "-p", r#"{"data":{"password":"dGhpcmQ=","more":null}}"#]).await?;
    connector.restart().await?;
    is(&remote, "one", Some("dGhpcmQ=")).await?;
    ensure!(password(&remote, "one").await?.context("a copy")?["data"]["more"].is_null());

    // What the control plane writes on a claim makes nobody copy what the configuration does not allow.
    kubectl.ok(["create", "secret", "generic", "foreign", "-n", "kube-system", "--from-literal=password=x"]).await?;
    let cluster = kubectl.ok(["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]).await?;
    let scheme = connector_core::origin::Hashed { cluster: cluster.parse()?, claim_namespace: CLAIM_NAMESPACE.into() };
    let stolen = scheme.input_name("kube-system", "foreign");
    let annotation = format!(r#"mcp-connector.upbound.io/{stolen}={{"namespace":"kube-system","name":"foreign"}}"#);
    remote.ok(["annotate", "sqlinstances", "--all", "-n", CLAIM_NAMESPACE, &annotation]).await?;

    kubectl.ok(["delete", "sqlinstance", "one", "--timeout=60s"]).await?;
    kubectl.ok(["patch", "secret", "db-password", "-p", r#"{"data":{"password":"Zm91cnRo"}}"#]).await?;
    is(&remote, "other", Some("Zm91cnRo")).await?;
    ensure!(!remote.run(["get", "secret", &stolen, "-n", CLAIM_NAMESPACE]).await?.status.success());
    kubectl.ok(["delete", "secret", "db-password"]).await?;
    is(&remote, "other", None).await?;
    kubectl.ok(["create", "secret", "generic", "db-password", "--from-literal=password=first"]).await?;
    is(&remote, "other", Some("Zmlyc3Q=")).await?;
    kubectl.ok(["delete", "sqlinstance", "other", "--timeout=60s"]).await?;
    eventually("the copy to go with its last claim", || async {
        let get = remote.run(["get", "secret", name, "-n", CLAIM_NAMESPACE]).await?;
        Ok(if get.stderr.contains("NotFound") { Ok(()) } else { Err(format!("{get:?}")) })
    })
    .await?;
    let log = connector.log()?;
    ensure!(!log.contains("WARN") && !log.contains("ERROR") && !log.contains("Zmlyc3Q="), "{log}");
    Ok(())
}
