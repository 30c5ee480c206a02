//! The kit's clusters are real ones, and end when they should.

use anyhow::{Context, Result, ensure};
use http::Request;
use testkit::{Cluster, ClusterOptions, eventually};

#[tokio::test]
async fn two_clusters_start_beside_each_other() -> Result<()> {
    let (app, control_plane) = Cluster::start_two().await?;
    ensure!(app.server_url() != control_plane.server_url());

    // By this ConfigMap an aggregated server knows the front.
    let config = app
        .kubectl()
        .ok(["get", "configmap", "-n", "kube-system", "extension-apiserver-authentication", "-o", "json"])
        .await?;
    let config: serde_json::Value = serde_json::from_str(&config)?;
    ensure!(
        config["data"]["requestheader-client-ca-file"].as_str().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE"))
    );
    ensure!(config["data"]["requestheader-allowed-names"] == "[\"front-proxy-client\"]", "{config}");

    let version = app.kubectl().ok(["version"]).await?;
    ensure!(version.contains("Server Version: v1."), "{version}");

    // What one holds the other does not.
    app.kubectl().ok(["create", "namespace", "only-here"]).await?;
    ensure!(!control_plane.kubectl().run(["get", "namespace", "only-here"]).await?.status.success());
    // Its controllers run: the namespace gets its ServiceAccount, and goes when it is deleted.
    eventually("the ServiceAccount of the namespace", || async {
        let get = app.kubectl().run(["get", "serviceaccount", "-n", "only-here", "default"]).await?;
        Ok(if get.status.success() { Ok(()) } else { Err(get.stderr) })
    })
    .await?;
    app.kubectl().ok(["delete", "namespace", "only-here", "--timeout=100s"]).await?;
    Ok(())
}

#[tokio::test]
async fn somebody_else_has_no_rights_but_those_given() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions { controller_manager: false, ..ClusterOptions::named("rbac") }).await?;
    let jane = cluster.kubectl_for("jane", &["team-a", "team-b"])?;
    let whoami = jane.ok(["auth", "whoami", "-o", "json"]).await?;
    let whoami: serde_json::Value = serde_json::from_str(&whoami)?;
    let info = &whoami["status"]["userInfo"];
    ensure!(info["username"] == "jane", "{whoami}");
    ensure!(info["groups"] == serde_json::json!(["team-a", "team-b", "system:authenticated"]), "{whoami}");

    let refused = jane.run(["get", "namespaces"]).await?;
    ensure!(refused.stderr.contains("Forbidden"), "{refused:?}");
    cluster
        .kubectl()
        .ok(["create", "clusterrolebinding", "b", "--clusterrole=cluster-admin", "--group=team-b"])
        .await?;
    eventually("the right", || async {
        let get = jane.run(["get", "namespaces"]).await?;
        Ok(if get.status.success() { Ok(()) } else { Err(get.stderr) })
    })
    .await?;
    ensure!(cluster.kubeconfig_for("joe", &["a", "b", "c"]).is_err());
    Ok(())
}

#[tokio::test]
async fn an_outage_keeps_the_port_and_the_data() -> Result<()> {
    let mut cluster =
        Cluster::start(ClusterOptions { controller_manager: false, ..ClusterOptions::named("outage") }).await?;
    let url = cluster.server_url();
    let client = cluster.client().await?;
    let ready = || Request::get("/readyz").body(Vec::new()).context("a request");
    client.request_text(ready()?).await?;
    cluster.kubectl().ok(["create", "configmap", "kept"]).await?;

    cluster.stop_apiserver()?;
    ensure!(client.request_text(ready()?).await.is_err());
    ensure!(cluster.kubectl().run(["get", "configmap", "kept"]).await?.stderr.contains("refused"));

    cluster.start_apiserver().await?;
    ensure!(cluster.server_url() == url);
    client.request_text(ready()?).await?;
    cluster.kubectl().ok(["get", "configmap", "kept"]).await?;

    cluster.freeze_apiserver()?;
    let frozen = tokio::time::timeout(std::time::Duration::from_millis(500), client.request_text(ready()?)).await;
    cluster.thaw_apiserver()?;
    ensure!(frozen.is_err(), "{frozen:?}");
    client.request_text(ready()?).await?;
    Ok(())
}

#[tokio::test]
async fn kubectl_watches_line_by_line() -> Result<()> {
    let cluster =
        Cluster::start(ClusterOptions { controller_manager: false, ..ClusterOptions::named("watch") }).await?;
    let kubectl = cluster.kubectl();
    kubectl.ok(["create", "configmap", "first"]).await?;
    let mut watch = kubectl.spawn(["get", "configmaps", "--watch", "-o", "name"])?;
    watch.line_where(|line| line == "configmap/first").await?;
    kubectl.ok(["create", "configmap", "second"]).await?;
    watch.line_where(|line| line == "configmap/second").await?;
    Ok(())
}

#[tokio::test]
async fn a_start_that_fails_shows_the_log() -> Result<()> {
    let options =
        ClusterOptions { apiserver_args: vec!["--no-such-flag".to_owned()], ..ClusterOptions::named("broken") };
    let error = format!("{:#}", Cluster::start(options).await.err().context("it started")?);
    ensure!(error.contains("cannot start broken") && error.contains("unknown flag: --no-such-flag"), "{error}");
    Ok(())
}
