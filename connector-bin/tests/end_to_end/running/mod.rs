//! Running for years: several replicas, rotations, endings, and what is left behind.

mod balancer;
mod credential;
mod ending;
mod mistakes;
mod owner;
mod replicas;
mod rolling;
mod rotation;

use anyhow::Result;
use testkit::connector::Connector;

/// Whether a replica holds the Lease of the registrar.
async fn registers(connector: &Connector) -> Result<Result<(), String>> {
    let (_, metrics) = connector.admin_get("/metrics").await?;
    let leads = metrics.lines().any(|line| line == r#"connector_leader{lease="registrar"} 1"#);
    Ok(if leads { Ok(()) } else { Err("it does not lead".into()) })
}

/// How often a replica wrote an APIService.
async fn writes(connector: &Connector) -> Result<String> {
    let (_, metrics) = connector.admin_get("/metrics").await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix("connector_apiservice_writes_total "));
    Ok(line.unwrap_or("none").to_owned())
}
