//! Documents about APIs, as the control plane should not answer them.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use testkit::connector::Connector;
use testkit::{eventually, fixtures};

use crate::setup::{EXAMPLE_API, claim, clusters};
use crate::stand_in::{Fault, StandIn};

/// One bad document of the control plane spoils nothing: neither the app cluster's own documents (wire rules 4.4, 4.13) nor
/// what is known of the APIs already (wire rules 3.5, 3.7), and the other APIs come and go as before.
#[tokio::test]
async fn one_bad_document_spoils_nothing() -> Result<()> {
    let (app, control_plane, crossplane) = clusters().await?;
    let stand_in = StandIn::before(&control_plane).await?;
    let document = "/openapi/v3/apis/k8s.starter.org/v1alpha1";
    // From the start: an extension of the wrong shape, by which the front would merge nothing of the whole cluster.
    stand_in.only(
        &[document],
        Fault::Replace(r#""x-kubernetes-group-version-kind":["#, r#""x-kubernetes-group-version-kind":"no","x":["#),
    );
    let connector = Connector::start(&app, &control_plane, stand_in.options()?).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    let kubectl = app.kubectl();
    // The front has no OpenAPI v2 for a moment after its start.
    eventually("a claim to be applied", || async {
        let applied = kubectl.with_stdin(["apply", "-f", "-"], &claim("default", "db")).await?;
        Ok(if applied.status.success() { Ok(()) } else { Err(applied.stderr) })
    })
    .await?;
    let own = |of: &str| format!(r#"io.k8s.api.{of}"#);
    let merged = async || -> Result<String> { kubectl.ok(["get", "--raw", "/openapi/v2"]).await };
    ensure!(merged().await?.contains(&own("core.v1.Pod")), "the app cluster's own API is gone");

    for fault in [
        Fault::Replace("{", "["),
        Fault::Replace(r#""openapi""#, r#""nothing""#),
        Fault::Replace(
            r#""schemas":{"#,
            r#""schemas":{"io.k8s.api.core.v1.Pod":{"type":"object","x-kubernetes-group-version-kind":{"a":1}},"#,
        ),
        Fault::json(200, &json!({ "openapi": "3.0.0", "paths": 5, "components": [] })),
        Fault::json(500, &json!({})),
        Fault::Half(500),
    ] {
        stand_in.only(&[document], fault.clone());
        // A change of what is offered makes everything be read again.
        let other = "17-docs-useraccesskey-v2-secret";
        crossplane.offer(&fixtures::xrd(other)?).await?;
        connector.wait_available(&app, "example.org/v1alpha1").await?;
        ensure!(merged().await?.contains(&own("core.v1.Pod")), "{fault:?}: the app cluster's own API is gone");
        ensure!(!merged().await?.contains(&own("core.v1.Pod_v2")), "{fault:?}: a built-in definition has a double");
        kubectl.ok(["get", "kubernetescluster", "db"]).await?;
        kubectl.ok(["explain", "pod.spec"]).await?;
        control_plane.kubectl().ok(["delete", "xrd", "useraccesskeys.example.org", "--timeout=60s"]).await?;
        eventually("the other API to go", || async {
            let get = kubectl.run(["get", "apiservice", "v1alpha1.example.org"]).await?;
            Ok(if get.stderr.contains("NotFound") { Ok(()) } else { Err(get.stdout) })
        })
        .await?;
    }

    // Discovery that is broken leaves what was known.
    for fault in [
        Fault::Replace("responseKind", "x"),
        Fault::Replace(r#""resource":"kubernetesclusters""#, r#""resource":"others""#),
        Fault::json(
            200,
            &json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": 5 }),
        ),
        Fault::json(404, &json!({})),
        Fault::json(503, &json!({})),
        Fault::Answer(200, vec![("content-type", "text/html")], "<html>".to_owned()),
    ] {
        // Both forms: `/apis` of everything, and the list of one version.
        stand_in.only(&["GET /apis "], fault.clone());
        stand_in.also(&["GET /apis/k8s.starter.org/v1alpha1 "], fault.clone());
        crossplane.offer(&fixtures::xrd("05-aws-sqlinstance-v2-namespaced")?).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let resources = kubectl.run(["api-resources", "--api-group=k8s.starter.org", "-o", "name"]).await?;
        ensure!(resources.stdout.trim() == "kubernetesclusters.k8s.starter.org", "{fault:?}: {resources:?}");
        kubectl.ok(["get", "kubernetescluster", "db"]).await?;
        control_plane.kubectl().ok(["delete", "xrd", "sqlinstances.aws.platform.upbound.io", "--timeout=60s"]).await?;
    }
    stand_in.clear();
    kubectl.ok(["explain", "kubernetescluster.spec"]).await?;
    Ok(())
}
