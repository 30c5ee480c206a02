//! Python's official client: the same script in a native cluster and through the connector prints the same.

use anyhow::{Context, Result, ensure};
use testkit::{Cluster, fixtures, python};

use crate::twins::{CLUSTERS, Transcript, Twins};

#[tokio::test]
async fn the_python_client_sees_no_difference() -> Result<()> {
    let twins = Twins::start(&[CLUSTERS]).await?;
    // Both at once: they share nothing.
    let (native, through) = futures::future::try_join(transcript(&twins.native), transcript(&twins.app)).await?;
    through.check_against(&native)
}

async fn transcript(cluster: &Cluster) -> Result<Transcript> {
    cluster.kubectl().ok(["create", "namespace", "snakes"]).await?;
    let (set, api) = CLUSTERS;
    let object = fixtures::object(&fixtures::claim(set)?)?;
    let steps = python::run(cluster, api, "kubernetesclusters", "KubernetesCluster", "snakes", &object);
    let mut transcript = Transcript::default();
    for step in steps.await.with_context(|| format!("in {}", cluster.name()))? {
        let what = step["step"].as_str().context("a step without a name")?.to_owned();
        // Where every step fails there would be no difference.
        ensure!(step["unexpected"].is_null() || cluster.name() != "native", "{step:#}");
        transcript.tell_json(&what, step);
    }
    Ok(transcript)
}
