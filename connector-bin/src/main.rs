//! The `connector` command.

#[cfg(feature = "embedded")]
mod dev;
#[cfg(test)]
mod reference;
mod serve;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use connector_proxy::Chain;
use tracing_subscriber::EnvFilter;

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
    let cli = Cli::parse();
    init_logging(match &cli.command {
        Command::Serve(_) => "info",
        #[cfg(feature = "embedded")]
        Command::Dev(_) => "warn",
    });
    let result = match cli.command {
        Command::Serve(args) => serve::run(*args).await,
        #[cfg(feature = "embedded")]
        Command::Dev(args) => dev::run(args).await,
    };
    match result {
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

/// Logs go to standard error; `CONNECTOR_LOG` filters them, as in `debug` or `connector_proxy=debug`.
fn init_logging(default: &str) {
    // The client library reports each answer of 500 and more as an error; the connector says it once, in its own words.
    let default = format!("{default},kube_client=off,tower=off");
    let filter = EnvFilter::try_from_env("CONNECTOR_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
