//! `connector dev`: the connector between two embedded clusters, for trying it without Kubernetes.

mod definitions;
mod demo;
mod stage;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use connector_proxy::embedded::example;
use tokio::signal::unix::{SignalKind, signal};

use stage::Stage;

/// Nothing is left behind when it ends but the folder of kubeconfigs.
#[derive(Args, Clone, Debug)]
pub(crate) struct DevArgs {
    /// Play an example through both APIs, each step checked, and end
    #[arg(long)]
    demo: bool,

    /// Folder for the two kubeconfigs [default: a new one in the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// File with CompositeResourceDefinitions to offer, instead of the example's; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    xrd: Vec<PathBuf>,

    /// File with CustomResourceDefinitions of claims to offer, where the XRD is not at hand; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    crd: Vec<PathBuf>,

    /// Namespace of the control plane that holds the claims
    #[arg(long, value_name = "NAME", default_value = "app-cluster-1")]
    claim_namespace: String,
}

/// Runs until Ctrl-C or SIGTERM, or until the demo has been played.
pub(crate) async fn run(args: DevArgs) -> anyhow::Result<()> {
    let with_example = args.xrd.is_empty() && args.crd.is_empty();
    let definitions = match (args.xrd.as_slice(), args.crd.as_slice()) {
        ([], []) => vec![example::DEFINITION.to_owned()],
        (xrds, crds) => definitions::read(xrds, crds)?,
    };
    let stage = Stage::set(args.dir, args.claim_namespace, definitions).await?;
    let played = if args.demo { demo::play(&stage).await } else { wait(&stage, with_example).await };
    let ended = stage.clear().await;
    // What went wrong in the play matters more than what went wrong in clearing up.
    played.and(ended)
}

async fn wait(stage: &Stage, with_example: bool) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    say(&stage.welcome(with_example)?);
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        error = stage.failed() => Err(error),
    }
}

/// Prints for the person who runs this.
#[expect(clippy::print_stdout, reason = "what this command is for")]
fn say(text: &str) {
    println!("{text}");
}
