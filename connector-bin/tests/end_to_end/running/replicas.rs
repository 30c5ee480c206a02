//! Several replicas: one registers, each serves.

use anyhow::{Context, Result, ensure};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::{eventually, fixtures};

use super::balancer::Balancer;
use super::{registers, writes};
use crate::setup::{EXAMPLE_API, claim, clusters, json, options};

/// Another replica takes over, and writes nothing but what is new.
#[tokio::test]
async fn one_of_two_replicas_registers() -> Result<()> {
    let (app, control_plane, crossplane) = clusters().await?;
    let balancer = Balancer::start().await?;
    let options = ConnectorOptions { service_port: Some(balancer.port()), ..options() };
    let mut first = Connector::start(&app, &control_plane, options.clone()).await?;
    balancer.lead_to([first.port()]);
    first.wait_available(&app, EXAMPLE_API).await?;
    ensure!(registers(&first).await?.is_ok());
    let mut second = Connector::start(&app, &control_plane, options).await?;

    // Each serves, whoever registers.
    balancer.lead_to([second.port()]);
    balancer.cut().await;
    let kubectl = app.kubectl();
    eventually("the second to serve", || async {
        let applied = kubectl.with_stdin(["apply", "-f", "-"], &claim("default", "db")).await?;
        Ok(if applied.status.success() { Ok(()) } else { Err(applied.stderr) })
    })
    .await?;
    let resources = kubectl.ok(["api-resources", "--categories=claim", "-o", "name"]).await?;
    ensure!(resources.trim() == "kubernetesclusters.k8s.starter.org", "{resources}");
    ensure!(registers(&second).await?.is_err(), "two register");

    let get = ["get", "apiservice", "v1alpha1.k8s.starter.org"];
    let before = json(&kubectl, &get).await?;
    first.kill()?;
    eventually("the second to register", || async { registers(&second).await }).await?;
    ensure!(writes(&second).await? == "0");
    crossplane.offer(&fixtures::xrd("17-docs-useraccesskey-v2-secret")?).await?;
    second.wait_available(&app, "example.org/v1alpha1").await?;
    ensure!(writes(&second).await? == "1", "{}", writes(&second).await?);

    first.restart().await?;
    balancer.lead_to([first.port()]);
    let asked = std::time::Instant::now();
    ensure!(second.terminate().await?.success());
    eventually("the first to register again", || async { registers(&first).await }).await?;
    ensure!(asked.elapsed().as_secs() < 14, "the Lease was not given back: {:?}", asked.elapsed());
    first.wait_available(&app, "example.org/v1alpha1").await?;
    ensure!(writes(&first).await? == "0");
    let after = json(&kubectl, &get).await?;
    ensure!(
        before["spec"] == after["spec"] && before["metadata"]["uid"] == after["metadata"]["uid"],
        "{before} {after}"
    );
    let log = first.log()?;
    log.contains("this replica writes what is registered").then_some(()).context(log)
}
