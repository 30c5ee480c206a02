//! The macro benchmarks: the real connector between a load and a stand-in for the control plane, beside other proxies.
//!
//! `benches/macro` builds all that is needed and starts this; benches/README.md says what the numbers mean.

mod client;
mod contender;
mod goals;
mod load;
mod own;
mod pki;
mod process;
mod report;
mod scenario;
mod stage;
mod stand_in;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use contender::{Contender, Programs, Running};
use own::{Between, What};
use report::Report;
use scenario::{Amount, Scenario};
use stage::Stage;

/// A measurement that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long memory may settle before it is read.
const SETTLE: Duration = Duration::from_secs(3);
/// Enough to see that everything works.
const SMOKE: Amount =
    Amount { length: Duration::from_millis(200), settle: Duration::from_millis(200), events: 1_000, fewer: 100 };
/// One of each kind.
const SMOKES: [Scenario; 6] =
    [Scenario::Get, Scenario::Latency, Scenario::List, Scenario::Watch, Scenario::Idle, Scenario::Slow];

#[derive(Parser)]
#[command(name = "load")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure
    Run(RunArgs),
    /// Be a proxy that passes bytes on between two TLS connections
    Shovel(Between),
    /// Be a proxy that passes HTTP/2 requests on
    Pass(Between),
}

#[derive(Args)]
struct RunArgs {
    /// How often each contender is measured in each scenario, in turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// How many seconds one measurement takes
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,

    /// Once, short and small, with the connector and Go only: whether everything works
    #[arg(long)]
    smoke: bool,

    /// Contenders to measure [default: all that are there]
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contender>,

    /// Scenarios to measure [default: all]
    scenarios: Vec<Scenario>,

    /// The connector's program
    #[arg(long)]
    connector: PathBuf,

    /// The program of Go's peers
    #[arg(long)]
    go: Option<PathBuf>,

    /// The folder with the configurations of the peers
    #[arg(long)]
    peers: PathBuf,

    /// The processor that the contender has for itself
    #[arg(long)]
    cpu: Option<usize>,

    /// Every value, a JSON object to a line, is written behind what is in this file
    #[arg(long)]
    raw: PathBuf,
}

fn main() -> Result<()> {
    // Two crypto providers could be linked in one day; name the one that is meant.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Cli::parse().command {
        Command::Run(args) => runtime.block_on(async {
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            // What was started ends when the work is dropped.
            tokio::select! {
                done = run(args) => done,
                _ = terminate.recv() => bail!("ended by SIGTERM"),
                _ = interrupt.recv() => bail!("ended by Ctrl-C"),
            }
        }),
        Command::Shovel(between) => runtime.block_on(own::run(between, What::Bytes)),
        Command::Pass(between) => runtime.block_on(own::run(between, What::Requests)),
    }
}

async fn run(args: RunArgs) -> Result<()> {
    let programs = Programs { connector: args.connector, go: args.go, peers: args.peers };
    let (amount, items, rounds) = match args.smoke {
        true => (SMOKE, 300, 1),
        false => {
            let length = Duration::from_secs_f64(args.seconds);
            (Amount { length, settle: SETTLE, events: 100_000, fewer: 1 }, 10_000, args.rounds)
        }
    };
    let scenarios = match (args.scenarios.is_empty(), args.smoke) {
        (false, _) => args.scenarios,
        (true, true) => SMOKES.to_vec(),
        (true, false) => Scenario::value_variants().to_vec(),
    };
    let wanted = match (args.only.is_empty(), args.smoke) {
        (false, _) => args.only,
        (true, true) => vec![Contender::Connector, Contender::Go, Contender::GoRewrite],
        (true, false) => Contender::value_variants().to_vec(),
    };
    let wanted: Vec<Contender> = wanted
        .into_iter()
        .filter(|contender| {
            let missing = contender.missing(&programs);
            if let Some(missing) = missing {
                tell(&format!("NOT MEASURED: {missing}"));
            }
            missing.is_none()
        })
        .collect();
    let mut report = Report::new(&args.raw)?;
    let stage = Stage::set(programs, args.cpu, items).context("the stage cannot be set")?;
    for scenario in scenarios {
        let contenders: Vec<Contender> =
            scenario.contenders().iter().copied().filter(|contender| wanted.contains(contender)).collect();
        for round in 0..rounds {
            for at in 0..contenders.len() {
                let contender = contenders[(at + round) % contenders.len()];
                tell(&format!(
                    "{} {}/{rounds}: {}, load {}",
                    scenario.name(),
                    round + 1,
                    contender.name(),
                    report::load()
                ));
                let measured = tokio::time::timeout(PATIENCE, async {
                    let running = Arc::new(Running::start(contender, &stage).await?);
                    scenario.measure(&running, &stage, amount).await
                });
                let values = measured.await.context("it takes too long").flatten();
                let values = values.with_context(|| format!("{} of {}", scenario.name(), contender.name()))?;
                report.add(scenario.name(), contender.name(), round, values)?;
            }
        }
        show(&report.table(scenario.name()));
    }
    if !args.smoke {
        show(&report.goals());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what this command is for")]
fn show(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "how far it is")]
fn tell(text: &str) {
    eprintln!("{text}");
}
