//! Starts real clusters on loopback and keeps them until Ctrl-C: `cargo run -p testkit --example clusters -- app control-plane`.
//!
//! Prints the kubeconfig of each, one a line, when all are ready.

use std::io::Write;

use testkit::{Cluster, ClusterOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut clusters = Vec::new();
    for name in std::env::args().skip(1) {
        clusters.push(Cluster::start(ClusterOptions::named(&name)).await?);
    }
    for cluster in &clusters {
        writeln!(std::io::stdout(), "{}: {}", cluster.name(), cluster.kubeconfig_path().display())?;
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}
