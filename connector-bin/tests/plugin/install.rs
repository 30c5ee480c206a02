//! `install`, and `connect`.

use anyhow::{Result, ensure};
use testkit::fixtures;

use crate::stage::{CLAIM_NAMESPACE, EXAMPLE_API, Stage};

/// The whole way: installed by one command, with no more rights than the command gave, claims are there; again, nothing changes;
/// with other values, only what they change.
#[tokio::test(flavor = "multi_thread")]
async fn one_command_connects_a_cluster() -> Result<()> {
    let mut stage = Stage::start().await?;
    stage.run_pods().await?;
    let told = stage.install(&["--timeout=3m"]).await?;
    insta::assert_snapshot!("install", stage.normal(&told)?);

    // By exactly the credential that was made.
    let kubectl = stage.app.kubectl();
    kubectl.apply(&fixtures::claim(crate::stage::EXAMPLE)?).await?;
    let claims = Stage::object(&stage.control_plane, &["kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    ensure!(claims["items"].as_array().map(Vec::len) == Some(1), "{claims}");
    kubectl.ok(["get", "claim", "-A"]).await?;

    let again = stage.install(&[]).await?;
    insta::assert_snapshot!("install_again", stage.normal(&again)?);

    let other = stage.install(&["--replicas=1", "--set", "podDisruptionBudget.enabled=false"]).await?;
    insta::assert_snapshot!("install_with_other_values", stage.normal(&other)?);
    stage.app.wait_for_api(EXAMPLE_API).await
}
