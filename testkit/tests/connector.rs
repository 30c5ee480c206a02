//! The helper that runs the connector between two clusters, without the connector.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use testkit::{Cluster, ClusterOptions, Connector, ConnectorOptions, Crossplane, fixtures};

#[tokio::test]
async fn a_connector_that_ends_shows_its_log() -> Result<()> {
    let options = |name| ClusterOptions { controller_manager: false, ..ClusterOptions::named(name) };
    let (app, control_plane) =
        futures::future::try_join(Cluster::start(options("app")), Cluster::start(options("control"))).await?;
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("connector");
    std::fs::write(&program, "#!/bin/sh\necho \"called with $@ and $EXTRA\"\nexit 3\n")?;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    let options = ConnectorOptions {
        program: Some(program),
        cluster_id: Some("it".to_owned()),
        extra_args: vec!["--more".to_owned()],
        env: vec![("EXTRA".to_owned(), "a variable".to_owned())],
        ..ConnectorOptions::default()
    };
    let error = Connector::start(&app, &control_plane, options).await.err().context("it is ready")?.to_string();
    ensure!(error.contains("exit status: 3") && error.contains("called with serve --kubeconfig=/"), "{error}");
    ensure!(error.contains("--service=kube-system/connector:"), "{error}");
    ensure!(error.contains("--cluster-id=it --more and a variable"), "{error}");

    // What it would have needed is there.
    let service = app.kubectl().ok(["get", "service", "-n", "kube-system", "connector", "-o", "json"]).await?;
    let service: serde_json::Value = serde_json::from_str(&service)?;
    ensure!(service["spec"]["externalName"] == "localhost", "{service}");
    control_plane.kubectl().ok(["get", "namespace", "claims"]).await?;
    Ok(())
}

#[tokio::test]
async fn an_api_is_offered_when_discovery_holds_it() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions { controller_manager: false, ..ClusterOptions::named("api") }).await?;
    cluster.wait_for_api("apps/v1").await?;
    let crossplane = Crossplane::install(&cluster).await?;
    crossplane.offer(&fixtures::xrd("02-platform-ref-aws-v1")?).await?;
    cluster.wait_for_api("aws.platformref.upbound.io/v1alpha1").await?;
    // kubectl discovers it too.
    cluster.kubectl().ok(["get", "clusters.aws.platformref.upbound.io"]).await?;
    Ok(())
}
