//! APIServices come and go with what the control plane offers, and never take anything over.

use anyhow::{Result, ensure};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::{eventually, fixtures};

use crate::setup::{Corridor, EXAMPLE, EXAMPLE_API, clusters, json, options};

#[tokio::test]
async fn an_api_comes_and_goes_with_its_xrd() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (app, remote) = (corridor.app.kubectl(), corridor.control_plane.kubectl());

    // A namespaced composite resource of Crossplane v2.
    let composite = "17-docs-useraccesskey-v2-secret";
    corridor.crossplane.offer(&fixtures::xrd(composite)?).await?;
    corridor.connector.wait_available(&corridor.app, "example.org/v1alpha1").await?;
    app.apply(&fixtures::xr(composite)?).await?;
    let names = remote.ok(["get", "useraccesskeys", "-A", "-o", "name"]).await?;
    ensure!(names.trim().starts_with("useraccesskey.example.org/nxr-"), "{names}");
    app.ok(["delete", "useraccesskeys", "--all", "-A", "--timeout=60s"]).await?;

    remote.ok(["delete", "xrd", "useraccesskeys.example.org", "--timeout=60s"]).await?;
    eventually("the API to go with its XRD", || async {
        let get = app.run(["get", "apiservice", "v1alpha1.example.org"]).await?;
        Ok(if get.stderr.contains("NotFound") { Ok(()) } else { Err(format!("{}{}", get.stdout, get.stderr)) })
    })
    .await?;
    ensure!(app.run(["get", "apiservice", "v1alpha1.k8s.starter.org"]).await?.status.success());

    // Cluster-scoped composites without claims are offered to nobody.
    corridor.crossplane.offer(&fixtures::file(EXAMPLE, "xrd-no-claim-xnetwork.yaml")?).await?;
    let services = app.ok(["get", "apiservices", "-l", "mcp-connector.upbound.io/service", "-o", "name"]).await?;
    ensure!(services.trim() == "apiservice.apiregistration.k8s.io/v1alpha1.k8s.starter.org", "{services}");
    Ok(())
}

/// An account that may not read XRDs reads the CRDs that Crossplane made of them.
#[tokio::test]
async fn offers_are_read_from_crds_where_xrds_may_not_be() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let rights = format!("{}/../deploy/rbac/control-plane.yaml", env!("CARGO_MANIFEST_DIR"));
    let rights = std::fs::read_to_string(rights)?
        .replace("[apiextensions.crossplane.io]", "[apiextensions.k8s.io]")
        .replace("[compositeresourcedefinitions]", "[customresourcedefinitions]");
    control_plane.kubectl().apply(&rights).await?;
    let account =
        control_plane.kubeconfig_for("system:serviceaccount:claims:connector", &["system:serviceaccounts"])?;
    let options = ConnectorOptions { control_plane_kubeconfig: Some(account), ..options() };
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    ensure!(connector.log()?.contains("reading CustomResourceDefinitions instead"));
    // The cluster-scoped composite, which has a CRD too, is hidden all the same.
    let resources = app.kubectl().ok(["api-resources", "--api-group=k8s.starter.org", "-o", "name"]).await?;
    ensure!(resources.trim() == "kubernetesclusters.k8s.starter.org", "{resources}");
    Ok(())
}

/// What is registered is not written again: each write makes kube-apiserver fetch every document anew.
#[tokio::test]
async fn a_restart_writes_nothing_and_a_foreign_change_is_mended() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    let get = ["get", "apiservice", "v1alpha1.k8s.starter.org"];
    let before = json(&app, &get).await?;
    corridor.connector.restart().await?;
    corridor.connector.wait_available(&corridor.app, EXAMPLE_API).await?;
    let after = json(&app, &get).await?;
    ensure!(after["spec"] == before["spec"], "{after}");
    let (_, metrics) = corridor.connector.admin_get("/metrics").await?;
    ensure!(metrics.contains("connector_apiservice_writes_total 0"), "{metrics}");

    // As those of CRDs (wire rule 2.10).
    let spec = &before["spec"];
    ensure!(spec["groupPriorityMinimum"] == 1000 && spec["versionPriority"] == 100, "{spec}");

    let foreign = r#"{"spec":{"versionPriority":7}}"#;
    app.ok(["patch", "apiservice", "v1alpha1.k8s.starter.org", "--type=merge", "-p", foreign]).await?;
    eventually("the APIService to be mended", || async {
        let now = json(&app, &get).await?;
        Ok(if now["spec"] == before["spec"] { Ok(()) } else { Err(now["spec"].to_string()) })
    })
    .await?;
    Ok(())
}

/// Wire rule 2.11: the app cluster's own CRDs would become unreachable.
#[tokio::test]
async fn what_the_app_cluster_has_itself_is_not_taken_over() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let kubectl = app.kubectl();
    let mut crd = fixtures::object(&fixtures::file(EXAMPLE, "crd-claim.generated.yaml")?)?;
    crd["metadata"]["ownerReferences"].take();
    kubectl.apply(&crd.to_string()).await?;
    kubectl.ok(["wait", "--for=condition=Available", "apiservice/v1alpha1.k8s.starter.org", "--timeout=60s"]).await?;

    let connector = Connector::start(&app, &control_plane, options()).await?;
    let conflict = "API not registered: the app cluster has CustomResourceDefinition kubernetesclusters.k8s.starter.org of its own";
    eventually("the conflict to be told", || async {
        let log = connector.log()?;
        Ok(if log.contains(conflict) { Ok(()) } else { Err(log) })
    })
    .await?;
    let service = json(&kubectl, &["get", "apiservice", "v1alpha1.k8s.starter.org"]).await?;
    ensure!(service["spec"]["service"].is_null(), "{service}");
    let (_, metrics) = connector.admin_get("/metrics").await?;
    ensure!(metrics.contains(r#"connector_api_conflicts{group="k8s.starter.org",version="v1alpha1"} 1"#), "{metrics}");

    // With the CRD out of the way the control plane's API takes its place, without a restart.
    kubectl.ok(["delete", "crd", "kubernetesclusters.k8s.starter.org", "--timeout=60s"]).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    Ok(())
}
