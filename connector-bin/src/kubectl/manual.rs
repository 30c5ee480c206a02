//! Man pages, for packages.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};

use crate::{Cli, Outcome};

/// Write a man page of each command
#[derive(Args)]
pub(crate) struct ManArgs {
    /// Folder for the pages; created if it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(args: &ManArgs) -> Outcome {
    let unwritable = || format!("cannot write man pages to {}", args.folder.display());
    std::fs::create_dir_all(&args.folder).with_context(unwritable)?;
    clap_mangen::generate_to(Cli::command(), &args.folder).with_context(unwritable)?;
    Ok(ExitCode::SUCCESS)
}
