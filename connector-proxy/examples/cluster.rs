//! An embedded control plane for trying things with `kubectl`:
//!
//! ```sh
//! cargo run -p connector-proxy --features embedded --example cluster > /tmp/kubeconfig &
//! kubectl --kubeconfig /tmp/kubeconfig get xrd
//! ```
use connector_proxy::embedded::{Cluster, Options, example};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manifests = vec![example::DEFINITION.to_owned()];
    let options = Options { crossplane: true, manifests, ..Options::default() };
    let cluster = Cluster::start(options).await?;
    #[expect(clippy::print_stdout, reason = "the kubeconfig is what this prints")]
    {
        println!("{}", cluster.kubeconfig());
    }
    std::future::pending::<()>().await;
    Ok(())
}
