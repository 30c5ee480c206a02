//! The kubectl plugin: `kubectl connector`.

mod clusters;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Installs, observes and moves control plane connectors.
#[derive(Parser)]
#[command(name = "kubectl-connector", bin_name = "kubectl connector", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One variant for each command; what it does is in the module of its name.
#[derive(Subcommand)]
enum Command {}

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Cli::parse().command {}
}
