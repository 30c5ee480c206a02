//! Ways to ask: as fast as answers come, at a fixed rate, or slowly.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::client::{Two, Windows, drain, send};
use crate::contender::Running;

/// Requests of the closed loop: connections, and streams on each.
const CONNECTIONS: usize = 4;
const STREAMS: usize = 8;

/// What a closed loop did.
pub(crate) struct Throughput {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    /// Processor time of the contender.
    pub(crate) cpu: Duration,
}

/// GETs of claims, each stream one after the other, over HTTP/2 or HTTP/1.1.
pub(crate) async fn closed_loop(running: &Arc<Running>, is_one: bool, length: Duration) -> Result<Throughput> {
    let (count, mut tasks) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    for lane in 0..CONNECTIONS {
        let two = if is_one { None } else { Some(running.dialer.two(Windows::FRONT).await?) };
        for stream in 0..STREAMS {
            let (running, two, count) = (running.clone(), two.clone(), count.clone());
            tasks.spawn(async move {
                let mut index = lane * STREAMS + stream;
                let mut one = if is_one { Some(running.dialer.one().await?) } else { None };
                loop {
                    match (two.clone(), &mut one) {
                        (Some(mut two), _) => get(&mut two, &running, index).await?,
                        (None, Some(one)) => get_one(one, &running, index).await?,
                        (None, None) => bail!("no connection"),
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    index += 1;
                }
            });
        }
    }
    let cpu = || running.process.as_ref().map_or(Ok(Duration::ZERO), |process| process.cpu());
    let work = async {
        tokio::time::sleep(length / 4).await;
        let (requests, before, started) = (count.load(Ordering::Relaxed), cpu()?, Instant::now());
        tokio::time::sleep(length).await;
        let requests = (count.load(Ordering::Relaxed) - requests) as f64;
        Ok(Throughput { requests, seconds: started.elapsed().as_secs_f64(), cpu: cpu()? - before })
    };
    tokio::select! {
        done = work => done,
        Some(failed) = tasks.join_next() => failed?,
    }
}

/// A GET of a claim, the answer read and checked.
pub(crate) async fn get(connection: &mut Two, running: &Running, index: usize) -> Result<()> {
    let (request, expected) = running.object(index);
    let length = drain(send(connection, request).await?.into_body()).await?;
    check(length, expected)
}

async fn get_one(
    connection: &mut hyper::client::conn::http1::SendRequest<http_body_util::Empty<Bytes>>,
    running: &Running,
    index: usize,
) -> Result<()> {
    let (mut request, expected) = running.object(index);
    let path = request.uri().path().parse()?;
    *request.uri_mut() = path;
    request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("localhost"));
    connection.ready().await?;
    let answer = connection.send_request(request).await?;
    ensure!(answer.status() == http::StatusCode::OK, "answered {}", answer.status());
    check(drain(answer.into_body()).await?, expected)
}

/// An error for an answer that is not as long as it has to be.
pub(crate) fn check(length: usize, expected: Option<usize>) -> Result<()> {
    ensure!(expected.is_none_or(|expected| length == expected), "{length} bytes and not {expected:?}");
    Ok(())
}

/// Latencies, each from the moment when the request was due: one that waits for those before it counts its waiting.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// In microseconds; `share` is 0.5 for the median.
    pub(crate) fn quantile(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let at = (share * self.0.len().saturating_sub(1) as f64).round() as usize;
        self.0.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// GETs of claims at a fixed rate over a few connections, however late the answers are. The first quarter does not count.
pub(crate) async fn open_loop(running: &Arc<Running>, rate: u32, length: Duration) -> Result<Latencies> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(running.dialer.two(Windows::FRONT).await?);
    }
    let period = Duration::from_secs(1) / rate;
    let (warm, all) = (length.div_duration_f64(period) / 4.0, length.div_duration_f64(period) * 1.25);
    let (warm, all) = (warm as u32, all as u32);
    let (latencies, mut tasks) = (Arc::new(Mutex::new(Latencies::default())), JoinSet::new());
    let (started, mut ticks) = (Instant::now(), clock(period));
    while let Some(due) = ticks.recv().await.filter(|due| *due <= all) {
        let at = started + period * due;
        let (running, latencies) = (running.clone(), latencies.clone());
        let mut connection = connections[due as usize % CONNECTIONS].clone();
        tasks.spawn(async move {
            get(&mut connection, &running, due as usize).await?;
            if due > warm {
                latencies.lock().unwrap_or_else(PoisonError::into_inner).0.push(at.elapsed());
            }
            anyhow::Ok(())
        });
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Says at each multiple of `period` how many it are. A thread's sleep is good to some 50 microseconds, the runtime's own to a
/// millisecond only.
fn clock(period: Duration) -> UnboundedReceiver<u32> {
    let (tick, ticks) = unbounded_channel();
    let started = Instant::now();
    std::thread::spawn(move || {
        // Nobody listens any more: it has ended.
        for count in 1.. {
            std::thread::sleep((started + period * count).saturating_duration_since(Instant::now()));
            if tick.send(count).is_err() {
                return;
            }
        }
    });
    ticks
}

/// Reads a body at `rate` bytes per second at most, and says how long it was.
pub(crate) async fn read_slowly(mut body: Incoming, rate: f64) -> Result<usize> {
    let (started, mut length) = (Instant::now(), 0);
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, Bytes::len);
        let due = started + Duration::from_secs_f64(length as f64 / rate);
        if due > Instant::now() + Duration::from_millis(1) {
            tokio::time::sleep_until(due.into()).await;
        }
    }
    Ok(length)
}
