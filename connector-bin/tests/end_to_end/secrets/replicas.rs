//! Several replicas, and the rights that they need.

use anyhow::{Context, Result, ensure};
use testkit::connector::Connector;
use testkit::eventually;

use super::{asking, leads, rotate, secret, secret_with};
use crate::setup::{Corridor, options};

/// One writes; when it is killed the other one does, when it ends well at once.
#[tokio::test]
async fn one_of_two_replicas_writes() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    eventually("the first to lead", || async { leads(&corridor.connector).await }).await?;
    let mut second = Connector::start(&corridor.app, &corridor.control_plane, options()).await?;
    let app = corridor.app.kubectl();
    app.apply(&asking("default", "db", "db-conn")).await?;
    secret(&app, "default", "db-conn").await?;
    ensure!(leads(&second).await?.is_err(), "two lead");

    corridor.connector.kill()?;
    rotate(&corridor, "default", "db", "https://second.example.test").await?;
    secret_with(&app, "default", "db-conn", "kubeconfig", "https://second.example.test").await?;
    ensure!(leads(&second).await?.is_ok());

    corridor.connector.restart().await?;
    let started = std::time::Instant::now();
    ensure!(second.terminate().await?.success());
    eventually("the first to lead again", || async { leads(&corridor.connector).await }).await?;
    ensure!(started.elapsed().as_secs() < 14, "the Lease was not given back: {:?}", started.elapsed());
    rotate(&corridor, "default", "db", "https://first.example.test").await?;
    secret_with(&app, "default", "db-conn", "kubeconfig", "https://first.example.test").await?;
    let log = corridor.connector.log()?;
    log.contains("connection Secret").then_some(()).context(log)
}
