//! The `connector` command.

#[cfg(feature = "embedded")]
mod dev;
mod logging;
#[cfg(test)]
mod reference;
mod serve;
#[cfg(feature = "otlp")]
mod traces;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use connector_proxy::Chain;

#[cfg(feature = "embedded")]
use crate::logging::LogFormat;

/// Makes the claim APIs of a remote Crossplane control plane appear in this Kubernetes cluster.
#[derive(Parser)]
#[command(name = "connector", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a control plane's claim APIs in an app cluster.
    Serve(Box<serve::ServeArgs>),
    /// Try the connector without Kubernetes: an embedded app cluster, an embedded control plane, and it between them.
    #[cfg(feature = "embedded")]
    Dev(dev::DevArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    // Two crypto providers could be linked in one day; name the one that is meant before anything uses TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last word of a command that failed, whatever the log level")]
            {
                eprintln!("error: {}", Chain(error.as_ref()));
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => {
            let args = args.with_file()?;
            let log = logging::init("info", args.log_format())?;
            let ended = serve::run(args).await;
            log.end().await;
            ended
        }
        #[cfg(feature = "embedded")]
        Command::Dev(args) => {
            let log = logging::init("warn", LogFormat::Text)?;
            let ended = dev::run(args).await;
            log.end().await;
            ended
        }
    }
}
