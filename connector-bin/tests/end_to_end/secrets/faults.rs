//! Connectors that die, and control planes that are away.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::eventually;

use super::{asking, is_absent, leads, rotate, secret, secret_with};
use crate::setup::{Corridor, json};

/// Killed before the Secret is written, before a rotation, a conflict and a deletion: what is left to do is done by the next one,
/// and nothing else.
#[tokio::test]
async fn a_killed_connector_leaves_nothing_undone() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    app.ok(["create", "secret", "generic", "taken-conn", "--from-literal=mine=1"]).await?;
    app.apply(&asking("default", "still", "still-conn")).await?;
    let still = secret(&app, "default", "still-conn").await?;
    app.apply(&asking("default", "db", "db-conn")).await?;
    corridor.connector.kill()?;
    corridor.connector.restart().await?;
    secret(&app, "default", "db-conn").await?;

    rotate(&corridor, "default", "db", "https://rotated.example.test").await?;
    corridor.connector.kill()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    corridor.connector.restart().await?;
    secret_with(&app, "default", "db-conn", "kubeconfig", "https://rotated.example.test").await?;

    app.apply(&asking("default", "taken", "taken-conn")).await?;
    corridor.connector.kill()?;
    corridor.connector.restart().await?;
    eventually("the conflict to be told", || async {
        let told = app.run(["describe", "kubernetescluster", "taken"]).await?;
        Ok(if told.stdout.contains("ConnectionSecretConflict") { Ok(()) } else { Err(format!("{told:?}")) })
    })
    .await?;
    ensure!(json(&app, &["get", "secret", "taken-conn"]).await?["data"]["mine"] == "MQ==");

    app.ok(["delete", "kubernetescluster", "db", "--wait=false"]).await?;
    corridor.connector.kill()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    corridor.connector.restart().await?;
    is_absent(&app, "default", "db-conn").await?;
    // Nothing was written that was right already.
    eventually("the restarted connector to lead", || async { leads(&corridor.connector).await }).await?;
    let now = secret(&app, "default", "still-conn").await?;
    ensure!(now["metadata"]["resourceVersion"] == still["metadata"]["resourceVersion"], "{now}");
    Ok(())
}

/// The app cluster's collector runs all the time, and asks for the owner of each Secret: 503 is no answer, so the Secrets stay
/// (wire rules 6.4, 6.5).
#[tokio::test]
async fn secrets_outlive_the_control_plane_being_away() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    app.apply(&asking("default", "db", "db-conn")).await?;
    app.apply(&asking("default", "gone", "gone-conn")).await?;
    let before = secret(&app, "default", "db-conn").await?;
    secret(&app, "default", "gone-conn").await?;
    // Its deletion is asked for, and nobody knows how it ends.
    let uid = json(&app, &["get", "kubernetescluster", "gone"]).await?["metadata"]["uid"].clone();
    corridor.control_plane.stop_apiserver()?;
    tokio::time::sleep(Duration::from_secs(60)).await;
    // A collector that has only just begun knows no owner, and asks.
    corridor.connector.restart().await?;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let during = secret(&app, "default", "db-conn").await?;
    ensure!(during["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "{during}");
    ensure!(secret(&app, "default", "gone-conn").await?["metadata"]["ownerReferences"][0]["uid"] == uid);

    corridor.control_plane.start_apiserver().await?;
    rotate_when_back(&corridor).await?;
    let after = secret_with(&app, "default", "db-conn", "kubeconfig", "https://back.example.test").await?;
    ensure!(after["metadata"]["uid"] == before["metadata"]["uid"], "{after}");
    eventually("the claim to be deleted", || async {
        let deleted = app.run(["delete", "kubernetescluster", "gone", "--timeout=30s"]).await?;
        Ok(if deleted.status.success() { Ok(()) } else { Err(deleted.stderr) })
    })
    .await?;
    is_absent(&app, "default", "gone-conn").await
}

async fn rotate_when_back(corridor: &Corridor) -> Result<()> {
    eventually("the control plane to be back", || async {
        let rotated = rotate(corridor, "default", "db", "https://back.example.test").await;
        Ok(rotated.map_err(|error| format!("{error:#}")))
    })
    .await
}
