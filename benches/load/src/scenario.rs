//! What is measured, one contender at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use futures::future::try_join_all;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinSet;

use crate::client::{Windows, drain, send};
use crate::contender::{Contender, Running};
use crate::load::{check, closed_loop, get, open_loop, read_slowly};
use crate::process::Process;
use crate::stage::Stage;

const KIB: f64 = 1024.0;

/// What one contender was measured at: names with their unit, and values.
pub(crate) type Values = Vec<(&'static str, f64)>;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Small GETs as fast as they are answered
    Get,
    /// The same over HTTP/1.1 with TLS
    GetOne,
    /// Small GETs, 5,000 in a second
    Latency,
    /// Lists of 36 MB, one after the other
    List,
    /// 100,000 watch events back to back
    Watch,
    /// 10,000 silent watches, a hundred to a connection
    Idle,
    /// 1,000 silent watches, a hundred to a connection
    IdleFew,
    /// 10,000 silent watches, ten to a connection
    IdleSparse,
    /// 9,000 silent watches over HTTP/1.1 with TLS
    IdleOne,
    /// Small GETs beside 20 readers of lists who read slowly
    Slow,
    /// Small GETs beside two readers of lists at 150 MB/s
    Interference,
    /// Nothing
    Rest,
}

/// How much of it.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    /// How long one measurement takes.
    pub(crate) length: Duration,
    /// How long memory may settle before it is read, and for how long idle time is looked at.
    pub(crate) settle: Duration,
    /// Events of a watch.
    pub(crate) events: usize,
    /// What the numbers of idle watches are divided by.
    pub(crate) fewer: usize,
}

impl Scenario {
    /// As it is written in tables and files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetOne => "get-one",
            Self::Latency => "latency",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Idle => "idle",
            Self::IdleFew => "idle-few",
            Self::IdleSparse => "idle-sparse",
            Self::IdleOne => "idle-one",
            Self::Slow => "slow",
            Self::Interference => "interference",
            Self::Rest => "rest",
        }
    }

    /// Who can be compared.
    pub(crate) fn contenders(self) -> &'static [Contender] {
        use Contender::{Connector, Direct, Go, GoPool, GoRewrite, Haproxy, Nginx, Pass, Shovel};
        match self {
            Self::Get => &[Connector, Pass, Nginx, Haproxy, Go, GoPool, GoRewrite, Direct],
            Self::GetOne => &[Connector, Nginx, Haproxy, Go, Direct],
            Self::Latency => &[Connector, Direct, Pass, Nginx, Haproxy, Go],
            Self::List => &[Connector, Pass, Shovel, Nginx, Haproxy, Go, GoPool, GoRewrite, Direct],
            Self::Watch => &[Connector, Pass, Nginx, Haproxy, Go],
            Self::Idle | Self::IdleFew | Self::IdleSparse | Self::IdleOne => &[Connector, Nginx, Haproxy, Go],
            Self::Slow => &[Connector, Nginx, Haproxy, Go],
            Self::Interference => &[Connector, Nginx, Haproxy, Go, Direct],
            Self::Rest => &[Connector, Nginx, Haproxy, Go],
        }
    }

    /// Measures a contender that has just been started.
    pub(crate) async fn measure(self, running: &Arc<Running>, stage: &Stage, amount: Amount) -> Result<Values> {
        match self {
            Self::Get => requests(running, false, amount.length).await,
            Self::GetOne => requests(running, true, amount.length).await,
            Self::Latency => latency(running, amount.length).await,
            Self::List => lists(running, stage, amount.length).await,
            Self::Watch => events(running, stage, amount.events).await,
            Self::Idle => idle(running, stage, amount, 10_000, Some(100)).await,
            Self::IdleFew => idle(running, stage, amount, 1_000, Some(100)).await,
            Self::IdleSparse => idle(running, stage, amount, 10_000, Some(10)).await,
            Self::IdleOne => idle(running, stage, amount, 9_000, None).await,
            Self::Slow => slow(running, stage, amount.length).await,
            Self::Interference => interference(running, stage, amount.length).await,
            Self::Rest => rest(running, stage, amount.settle).await,
        }
    }
}

async fn requests(running: &Arc<Running>, is_one: bool, length: Duration) -> Result<Values> {
    let done = closed_loop(running, is_one, length).await?;
    let mut values = vec![("requests/s", done.requests / done.seconds)];
    if running.process.is_some() {
        values.push(("CPU us/request", done.cpu.as_secs_f64() * 1e6 / done.requests));
        values.push(("CPU %", done.cpu.as_secs_f64() * 100.0 / done.seconds));
    }
    Ok(values)
}

async fn latency(running: &Arc<Running>, length: Duration) -> Result<Values> {
    let mut latencies = open_loop(running, 5_000, length).await?;
    Ok(vec![("p50 us", latencies.quantile(0.5)), ("p99 us", latencies.quantile(0.99))])
}

/// Megabytes are those that the stand-in sent, 1,000,000 bytes each.
async fn lists(running: &Running, stage: &Stage, length: Duration) -> Result<Values> {
    let mut connection = running.dialer.two(Windows::FRONT).await?;
    let mut one = async || {
        let (request, expected) = running.list(stage)?;
        check(drain(send(&mut connection, request).await?.into_body()).await?, expected)
    };
    one().await?;
    if let Some(process) = &running.process {
        process.forget_peak()?;
    }
    let (before, started, mut count) = (cpu(running)?, Instant::now(), 0.0);
    while started.elapsed() < length {
        one().await?;
        count += 1.0;
    }
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu(running)? - before);
    let megabytes = count * stage.stand_in.list().len() as f64 / 1e6;
    let mut values = vec![("MB/s", megabytes / seconds)];
    if let Some(process) = &running.process {
        values.push(("CPU ms/MB", cpu.as_secs_f64() * 1e3 / megabytes));
        values.push(("peak MiB", process.peak()? / KIB));
    }
    Ok(values)
}

async fn events(running: &Running, stage: &Stage, count: usize) -> Result<Values> {
    let mut connection = running.dialer.two(Windows::FRONT).await?;
    let mut all = async |count: usize| {
        let (request, expected) = running.watch(stage, count, false)?;
        check(drain(send(&mut connection, request).await?.into_body()).await?, Some(expected))
    };
    all(count / 10).await?;
    let (before, started) = (cpu(running)?, Instant::now());
    all(count).await?;
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu(running)? - before);
    Ok(vec![("events/s", count as f64 / seconds), ("CPU us/event", cpu.as_secs_f64() * 1e6 / count as f64)])
}

/// Watches that get one event and then nothing: what each costs, what all cost in time, and whether a GET still gets through.
async fn idle(
    running: &Running,
    stage: &Stage,
    amount: Amount,
    count: usize,
    on_each: Option<usize>,
) -> Result<Values> {
    let count = count / amount.fewer;
    let process = running.process.as_ref().context("nobody to be measured")?;
    tokio::time::sleep(amount.settle).await;
    let before = process.memory()?;
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        open.extend(match on_each {
            Some(on_each) => some_watches(running, stage, on_each.min(count - open.len())).await?,
            None => vec![watch_by_one(running, stage).await?],
        });
    }
    tokio::time::sleep(amount.settle).await;
    let share = share(process, amount.settle).await?;
    let memory = (process.memory()? - before) / count as f64;
    let connections = stage.stand_in.connections() as f64;

    let started = Instant::now();
    let mut connection = running.dialer.two(Windows::FRONT).await?;
    let answered = tokio::time::timeout(Duration::from_secs(10), get(&mut connection, running, 1)).await;
    answered.context("a GET beside the watches was not answered within 10 s")??;
    let milliseconds = started.elapsed().as_secs_f64() * 1e3;
    drop(open);
    Ok(vec![
        ("KiB/watch", memory),
        ("CPU %", share),
        ("upstream connections", connections),
        ("GET ms, new connection", milliseconds),
    ])
}

/// Watches on one new connection, each after its first event.
async fn some_watches(running: &Running, stage: &Stage, count: usize) -> Result<Vec<Incoming>> {
    let connection = running.dialer.two(Windows::FRONT).await?;
    try_join_all((0..count).map(async |_| {
        let (request, length) = running.watch(stage, 1, true)?;
        first(send(&mut connection.clone(), request).await?.into_body(), length).await
    }))
    .await
}

async fn watch_by_one(running: &Running, stage: &Stage) -> Result<Incoming> {
    let mut connection = running.dialer.one().await?;
    let (mut request, length) = running.watch(stage, 1, true)?;
    let path = request.uri().path_and_query().context("a watch has a path")?.as_str().parse()?;
    *request.uri_mut() = path;
    request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("localhost"));
    let answer = connection.send_request(request).await?;
    ensure!(answer.status() == http::StatusCode::OK, "answered {}", answer.status());
    first(answer.into_body(), length).await
}

/// Reads the first `length` bytes of a body that does not end.
async fn first(mut body: Incoming, length: usize) -> Result<Incoming> {
    let mut read = 0;
    while read < length {
        let frame = tokio::time::timeout(Duration::from_secs(60), body.frame()).await;
        let frame = frame.context("a watch got no event within 60 s")?.context("a watch has ended")?;
        read += frame?.data_ref().map_or(0, Bytes::len);
    }
    check(read, Some(length))?;
    Ok(body)
}

/// 20 readers at 300 KB/s, all on one connection to the contender each, with windows of 64 KiB.
async fn slow(running: &Arc<Running>, stage: &Stage, length: Duration) -> Result<Values> {
    const READERS: usize = 20;
    let process = running.process.as_ref().context("nobody to be measured")?;
    let mut quiet = open_loop(running, 200, length).await?;
    let before = process.memory()?;
    let _readers = readers(running, stage, READERS, 300e3, Windows::SMALL).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut busy = open_loop(running, 200, length).await?;
    let memory = (process.memory()? - before) / READERS as f64 / KIB;
    Ok(vec![
        ("quiet p50 us", quiet.quantile(0.5)),
        ("p50 us", busy.quantile(0.5)),
        ("max us", busy.quantile(1.0)),
        ("MiB/list", memory),
    ])
}

async fn interference(running: &Arc<Running>, stage: &Stage, length: Duration) -> Result<Values> {
    let mut quiet = open_loop(running, 1_000, length).await?;
    let _readers = readers(running, stage, 2, 150e6, Windows::FRONT).await?;
    let mut busy = open_loop(running, 1_000, length).await?;
    Ok(vec![
        ("quiet p50 us", quiet.quantile(0.5)),
        ("quiet p99 us", quiet.quantile(0.99)),
        ("p50 us", busy.quantile(0.5)),
        ("p99 us", busy.quantile(0.99)),
    ])
}

/// Readers of one list after the other, each with a connection of its own, until they are dropped.
async fn readers(
    running: &Arc<Running>,
    stage: &Stage,
    count: usize,
    rate: f64,
    windows: Windows,
) -> Result<JoinSet<Result<()>>> {
    let mut readers = JoinSet::new();
    for _ in 0..count {
        let mut connection = running.dialer.two(windows).await?;
        let (request, expected) = running.list(stage)?;
        readers.spawn(async move {
            loop {
                let answer = send(&mut connection, request.clone()).await?;
                check(read_slowly(answer.into_body(), rate).await?, expected)?;
            }
        });
    }
    Ok(readers)
}

/// What it costs to be there, after one request.
async fn rest(running: &Running, stage: &Stage, settle: Duration) -> Result<Values> {
    let process = running.process.as_ref().context("nobody to be measured")?;
    tokio::time::sleep(settle).await;
    let share = share(process, settle).await?;
    Ok(vec![
        ("MiB", process.memory()? / KIB),
        ("peak MiB", process.peak()? / KIB),
        ("CPU %", share),
        ("upstream connections", stage.stand_in.connections() as f64),
    ])
}

/// Percent of one processor that is used for a while.
async fn share(process: &Process, length: Duration) -> Result<f64> {
    let (used, started) = (process.cpu()?, Instant::now());
    tokio::time::sleep(length).await;
    Ok((process.cpu()? - used).as_secs_f64() * 100.0 / started.elapsed().as_secs_f64())
}

fn cpu(running: &Running) -> Result<Duration> {
    running.process.as_ref().map_or(Ok(Duration::ZERO), |process| process.cpu())
}
