//! How connection Secrets come back, with thousands of claims between two real Kubernetes clusters: how soon, at what price in requests
//! and memory. `benches/README.md` says what the numbers mean.
//!
//!     cargo build --release -p connector-bin
//!     CONNECTOR_BIN=target/release/connector cargo run --release -p load --example secrets -- [--claims 5000] [--smoke]

#![allow(clippy::print_stdout, reason = "a program that prints what it measures")]

mod listen;
mod requests;
mod stage;
mod times;

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use benches::process;
use clap::Parser;
use testkit::eventually;

use self::listen::listen;
use self::requests::{Requests, print};
use self::stage::Stage;
use self::times::Times;

/// Writes that the driver has on the way at a time: as many as the connector.
const AT_ONCE: usize = 16;
/// Between two changes that are timed one by one.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, Parser)]
struct Options {
    /// Claims, each with a connection Secret
    #[arg(long, default_value_t = 5_000)]
    claims: usize,
    /// Namespaces that the claims are spread over
    #[arg(long, default_value_t = 50)]
    namespaces: usize,
    /// Secrets that are changed one at a time
    #[arg(long, default_value_t = 300)]
    changes: usize,
    /// Secrets that are changed as fast as possible
    #[arg(long, default_value_t = 1_000)]
    burst: usize,
    /// Seconds of rest in which requests are counted
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// Seconds after which what happened is taken to have settled
    #[arg(long, default_value_t = 10)]
    settle: u64,
    /// Whether everything works, with few objects: no numbers worth reading
    #[arg(long)]
    smoke: bool,
}

impl Options {
    fn read() -> Self {
        let options = Self::parse();
        match options.smoke {
            true => Self { claims: 60, namespaces: 3, changes: 5, burst: 20, rest: 2, settle: 1, ..options },
            false => options,
        }
    }

    fn settle(&self) -> Duration {
        Duration::from_secs(self.settle)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::read();
    ensure!(options.burst <= options.claims && options.changes <= options.claims, "more changes than claims");
    let mut stage = Stage::start(&options).await?;
    let mut memory = vec![at_rest("without claims", &stage, &options).await?];

    println!("| what | measured | beside it |\n|---|---|---|");
    let posts = stage.create_bystanders().await?;
    let owners = stage.create_claims().await?;
    memory.push(at_rest("with claims, without Secrets", &stage, &options).await?);
    stage.connector.terminate().await?;
    let remote = stage.create_secrets(&owners).await?;
    let first = first_sync(&mut stage, &options, posts, remote).await?;
    memory.push(at_rest("after the first sync", &stage, &options).await?);

    stage.connector.terminate().await?;
    let restart = restart(&mut stage, &options).await?;
    memory.push(at_rest("after a restart", &stage, &options).await?);

    let mark = stage.requests.mark()?;
    one_at_a_time(&stage, &options).await?;
    let changes = stage.requests.since(mark)?;

    let mark = stage.requests.mark()?;
    burst(&stage, &options).await?;
    let bursts = stage.requests.since(mark)?;
    memory.push(at_rest("after the burst", &stage, &options).await?);

    let mark = stage.requests.mark()?;
    let before = process::cpu(stage.connector.id())?;
    tokio::time::sleep(Duration::from_secs(options.rest)).await;
    let cpu = process::cpu(stage.connector.id())? - before;
    println!("| {} s at rest, the connector's processor time | {} | |", options.rest, times::show(cpu));
    let rest = stage.requests.since(mark)?;

    println!(
        "\n| the connector's memory | resident | at its peak since its start | more for each claim |\n|---|---|---|---|"
    );
    for (when, resident, peak) in &memory {
        let more = (*when != memory[0].0).then(|| {
            let more = resident.saturating_sub(memory[0].1) as f64 / options.claims as f64;
            format!("{:.2} kB", more / 1e3)
        });
        println!("| {when} | {:.1} MB | {:.1} MB | {} |", mb(*resident), mb(*peak), more.unwrap_or_default());
    }
    println!();
    print(&[
        ("first sync", &first),
        ("restart", &restart),
        ("changes, one at a time", &changes),
        ("burst", &bursts),
        (&format!("{} s at rest", options.rest), &rest),
    ]);
    Ok(())
}

/// Starts the connector where all remote Secrets are there and no local one.
async fn first_sync(stage: &mut Stage, options: &Options, posts: Duration, remote: Duration) -> Result<Requests> {
    let mut heard = listen(&stage.copies().await?).await?;
    let mark = stage.requests.mark()?;
    let started = Instant::now();
    stage.connector.restart().await?;
    let mut took = Times::default();
    while took.len() < options.claims {
        let secret = heard.next().await?;
        stage.check(&secret)?;
        took.push(secret.at - started);
    }
    let cpu = process::cpu(stage.connector.id())?;
    println!(
        "| first sync: all {} Secrets local after | {} | {} POSTs of them by the driver, {AT_ONCE} at once: {}; to the control \
         plane: {} |",
        options.claims,
        times::show(took.longest()),
        options.claims,
        times::show(posts),
        times::show(remote),
    );
    println!("| – the first after; half of them after | {}; {} | |", times::show(took.at(0)), times::show(took.at(50)));
    println!("| – the connector's processor time | {} | |", times::show(cpu));
    // Its own watch tells it of all that it wrote.
    tokio::time::sleep(options.settle()).await;
    let requests = stage.requests.since(mark)?;
    ensure!(heard.is_silent(), "a Secret was written twice");
    Ok(requests)
}

/// Starts the connector where everything is right: it must write nothing.
async fn restart(stage: &mut Stage, options: &Options) -> Result<Requests> {
    let mut heard = listen(&stage.copies().await?).await?;
    let mark = stage.requests.mark()?;
    let (started, clock) = (Instant::now(), SystemTime::now());
    stage.connector.restart().await?;
    let ready = started.elapsed();
    eventually("the connector to lead", || async {
        Ok(if stage.leads().await? { Ok(()) } else { Err(String::new()) })
    })
    .await?;
    let leads = started.elapsed();
    tokio::time::sleep(options.settle()).await;
    let requests = stage.requests.since(mark)?;
    let writes = requests.writes("secrets");
    ensure!(writes == 0 && heard.is_silent(), "{writes} Secrets were written that were right");
    let quiet = requests.last_read("secrets").map(|last| last.duration_since(clock)).transpose()?.unwrap_or_default();
    println!(
        "| restart with everything right: ready; leads; has read all Secrets | {}; {}; {} | Secrets written: {writes} |",
        times::show(ready),
        times::show(leads),
        times::show(quiet),
    );
    Ok(requests)
}

/// From the answer to a change in the control plane until the app cluster's watch tells of it.
async fn one_at_a_time(stage: &Stage, options: &Options) -> Result<()> {
    let mut heard = listen(&stage.copies().await?).await?;
    let mut heard_there = listen(&stage.sources().await?).await?;
    let mut heard_beside = listen(&stage.bystanders().await?).await?;
    let [mut copied, mut there, mut patched, mut beside, mut whole] = [const { Times::new() }; 5];
    for number in 0..options.changes {
        let index = number * options.claims / options.changes;
        let mark = format!("one-{number}");
        stage.rotate(index, &mark).await?;
        let answered = Instant::now();
        copied.push(heard.next_marked(&mark).await?.at.saturating_duration_since(answered));
        there.push(heard_there.next_marked(&mark).await?.at.saturating_duration_since(answered));
        tokio::time::sleep(PAUSE).await;

        let begun = Instant::now();
        stage.touch(index, &mark).await?;
        let answered = Instant::now();
        patched.push(answered - begun);
        let at = heard_beside.next_marked(&mark).await?.at;
        beside.push(at.saturating_duration_since(answered));
        whole.push(at - begun);
        tokio::time::sleep(PAUSE).await;
    }
    println!(
        "| {} changes, one at a time: from the answer to it until the app cluster's watch tells of it | {copied} | the control plane's \
         own watch: {there} |",
        options.changes
    );
    println!("| – beside it, a PATCH of a Secret of the app cluster: until its answer | | {patched} |");
    println!("| – from that until its watch tells of it; both together | | {beside}; {whole} |");
    Ok(())
}

/// Many changes as fast as possible.
async fn burst(stage: &Stage, options: &Options) -> Result<()> {
    let begun = Instant::now();
    stage.each(options.burst, |index| async move { stage.touch(index, "burst").await }).await?;
    let beside = begun.elapsed();
    tokio::time::sleep(PAUSE).await;

    let mut heard = listen(&stage.copies().await?).await?;
    let cpu = process::cpu(stage.connector.id())?;
    let answered = std::sync::Mutex::new(std::collections::HashMap::new());
    let begun = Instant::now();
    let writes = stage.each(options.burst, |index| {
        let answered = &answered;
        async move {
            stage.rotate(index, "burst").await?;
            answered.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(stage.place(index), Instant::now());
            Ok(())
        }
    });
    let reads = async {
        let mut arrived = Vec::new();
        while arrived.len() < options.burst {
            let secret = heard.next_marked("burst").await?;
            arrived.push((secret.place, secret.at));
        }
        anyhow::Ok(arrived)
    };
    let writes = async {
        writes.await?;
        anyhow::Ok(begun.elapsed())
    };
    let (written, arrived) = tokio::try_join!(writes, reads)?;
    let cpu = process::cpu(stage.connector.id())? - cpu;
    let answered = answered.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut took = Times::default();
    let mut last = begun;
    for (place, at) in arrived {
        ensure!(answered.contains_key(&place), "{place:?} was changed, and not by us");
        took.push(at.saturating_duration_since(answered[&place]));
        last = last.max(at);
    }
    println!(
        "| burst of {}: the last one local after | {} | the driver's PATCHes of them, {AT_ONCE} at once: {}; as many of the app \
         cluster, alone: {} |",
        options.burst,
        times::show(last - begun),
        times::show(written),
        times::show(beside),
    );
    println!("| – each from its answer | {took} | |\n| – the connector's processor time | {} | |", times::show(cpu));
    Ok(())
}

/// Memory when all has settled: now and at the peak, in bytes.
async fn at_rest(when: &'static str, stage: &Stage, options: &Options) -> Result<(&'static str, u64, u64)> {
    tokio::time::sleep(options.settle()).await;
    let id = stage.connector.id();
    Ok((when, process::memory(id)?, process::peak_memory(id)?))
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
