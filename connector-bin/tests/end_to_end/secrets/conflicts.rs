//! What is in the way of a connection Secret stays, and the claim says so.

use anyhow::{Result, ensure};
use testkit::{Kubectl, eventually};

use super::{asking, secret, secret_with};
use crate::setup::{Corridor, json};

/// What `kubectl describe` shows of a claim, once it says something.
async fn described(kubectl: &Kubectl, claim: &str, wanted: &str) -> Result<String> {
    eventually(&format!("{claim} to say {wanted:?}"), || async {
        let described = kubectl.ok(["describe", "kubernetescluster", claim]).await?;
        Ok(if described.contains(wanted) { Ok(described) } else { Err(described) })
    })
    .await
}

async fn conflicts(corridor: &Corridor) -> Result<String> {
    let (_, metrics) = corridor.connector.admin_get("/metrics").await?;
    let line = metrics.lines().find(|line| line.starts_with("connector_connection_secret_conflicts "));
    Ok(line.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_secret_of_the_user_is_left_alone() -> Result<()> {
    let corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    app.ok(["create", "secret", "generic", "db-conn", "--from-literal=mine=1"]).await?;
    let before = json(&app, &["get", "secret", "db-conn"]).await?;
    app.apply(&asking("default", "db", "db-conn")).await?;
    let told = described(&app, "db", "ConnectionSecretConflict").await?;
    ensure!(told.contains("a Secret \"db-conn\" exists that was not made for this claim"), "{told}");
    ensure!(conflicts(&corridor).await?.ends_with(" 1"), "{}", conflicts(&corridor).await?);
    ensure!(json(&app, &["get", "secret", "db-conn"]).await? == before);

    // What the message says helps.
    app.ok(["delete", "secret", "db-conn"]).await?;
    secret_with(&app, "default", "db-conn", "kubeconfig", "https://cluster.example.test").await?;
    ensure!(conflicts(&corridor).await?.ends_with(" 0"), "{}", conflicts(&corridor).await?);
    Ok(())
}

#[tokio::test]
async fn of_two_claims_the_first_has_the_name() -> Result<()> {
    let corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    app.apply(&asking("default", "first", "db-conn")).await?;
    let first = secret(&app, "default", "db-conn").await?;
    app.apply(&asking("default", "second", "db-conn")).await?;
    let told = described(&app, "second", "ConnectionSecretConflict").await?;
    ensure!(told.contains("Secret \"db-conn\" is the connection secret of KubernetesCluster \"first\""), "{told}");
    ensure!(secret(&app, "default", "db-conn").await?["metadata"]["uid"] == first["metadata"]["uid"]);

    // Another name, as the message says; and the first one's is free when its claim is gone.
    let other = r#"{"spec":{"writeConnectionSecretToRef":{"name":"second-conn"}}}"#;
    app.ok(["patch", "kubernetescluster", "second", "--type=merge", "-p", other]).await?;
    secret(&app, "default", "second-conn").await?;
    ensure!(conflicts(&corridor).await?.ends_with(" 0"), "{}", conflicts(&corridor).await?);
    Ok(())
}
