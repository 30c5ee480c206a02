//! The kubectl plugin: `kubectl connector`.
//!
//! | module | what it holds |
//! |---|---|
//! | `clusters` | the options that say which clusters are meant |
//! | `completion` | completion in shells, directly and through kubectl |
//! | `manual` | man pages |
//! | `question` | what is asked before something is done that cannot be undone |
//! | `space` | the options that name a control plane in a Space |
//! | `table`, `told`, `duration` | text for people, and of people |
//!
//! Every other module is the command of its name: its options, and how its result is told. What it does is in `connector-ops`.

#![allow(rustdoc::broken_intra_doc_links, reason = "comments of options are text for a terminal")]

mod adopt;
mod claims;
mod clusters;
mod completion;
mod doctor;
mod duration;
mod install;
mod manual;
mod question;
mod space;
mod status;
mod table;
mod told;
mod uninstall;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use connector_proxy::Chain;

use crate::told::say;

/// Installs, observes and moves control plane connectors.
#[derive(Parser)]
#[command(name = "kubectl-connector", bin_name = "kubectl connector", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One variant for each command; what it does is in the module of its name.
#[derive(Subcommand)]
enum Command {
    Install(Box<install::InstallArgs>),
    Uninstall(Box<uninstall::UninstallArgs>),
    Status(status::StatusArgs),
    Doctor(doctor::DoctorArgs),
    Claims(claims::ClaimsArgs),
    Adopt(adopt::AdoptArgs),
    Completion(completion::CompletionArgs),
    #[command(name = "__complete", hide = true)]
    Complete(completion::CompleteArgs),
    #[command(hide = true)]
    Man(manual::ManArgs),
}

/// How every command ends: with its exit code (0 success or healthy, 1 unhealthy), or an error, which is printed and ends with 1.
/// Wrong usage ends with 2, by clap.
type Outcome = anyhow::Result<ExitCode>;

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = match Cli::parse().command {
        Command::Adopt(args) => adopt::run(args).await,
        Command::Claims(args) => claims::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Install(args) => install::run(*args).await,
        Command::Uninstall(args) => uninstall::run(*args).await,
        Command::Completion(args) => completion::run(&args),
        Command::Complete(args) => completion::complete(&args),
        Command::Man(args) => manual::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        // Of options that only the command itself can tell to be wrong.
        if let Some(usage) = error.downcast_ref::<clap::Error>() {
            say(usage);
            return ExitCode::from(2);
        }
        say(format_args!("error: {}", Chain(error.as_ref())));
        ExitCode::FAILURE
    })
}
