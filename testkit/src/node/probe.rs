//! Readiness.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Until the first good answer: nobody waits for a Pod longer than needed.
const FIRST: Duration = Duration::from_millis(500);

/// One container's readiness since its process started.
pub(super) struct Readiness {
    probe: Option<Probe>,
    // The port's number.
    port: u16,
    address: Ipv4Addr,
    next: Instant,
    was_ready: bool,
    successes: i32,
    failures: i32,
    ready: bool,
}

impl Readiness {
    pub(super) fn new(container: &Container, address: Ipv4Addr) -> Result<Self> {
        let probe = container.readiness_probe.clone();
        let http = probe.as_ref().and_then(|probe| probe.http_get.as_ref());
        let wanted = http.map(|http| &http.port);
        let wanted = wanted.or(probe.as_ref().and_then(|probe| Some(&probe.tcp_socket.as_ref()?.port)));
        let port = match wanted {
            Some(IntOrString::Int(port)) => u16::try_from(*port)?,
            Some(IntOrString::String(name)) => {
                let mut ports = container.ports.iter().flatten();
                let found = ports.find(|port| port.name.as_ref() == Some(name));
                u16::try_from(found.with_context(|| format!("no port is named {name}"))?.container_port)?
            }
            None if probe.is_some() => bail!("only httpGet and tcpSocket are played as readinessProbe"),
            None => 0,
        };
        if http.and_then(|http| http.scheme.as_deref()).is_some_and(|scheme| scheme != "HTTP") {
            bail!("an httpGet by HTTPS is not played");
        }
        let delay = probe.as_ref().and_then(|probe| probe.initial_delay_seconds).unwrap_or_default();
        let next = Instant::now() + Duration::from_secs(delay.unsigned_abs().into());
        let ready = probe.is_none();
        Ok(Self { probe, port, address, next, was_ready: ready, successes: 0, failures: 0, ready })
    }

    /// Asks if it is time, and answers whether the container is ready.
    pub(super) async fn ask(&mut self) -> bool {
        let Some(probe) = self.probe.clone().filter(|_| Instant::now() >= self.next) else { return self.ready };
        let seconds = |given: Option<i32>, default: u64| {
            Duration::from_secs(given.map_or(default, |given| given.unsigned_abs().into()))
        };
        let answer = tokio::time::timeout(seconds(probe.timeout_seconds, 1), self.answer(&probe)).await;
        if matches!(answer, Ok(Ok(()))) {
            (self.successes, self.failures) = (self.successes + 1, 0);
        } else {
            (self.successes, self.failures) = (0, self.failures + 1);
        }
        if self.successes >= probe.success_threshold.unwrap_or(1) {
            (self.ready, self.was_ready) = (true, true);
        } else if self.failures >= probe.failure_threshold.unwrap_or(3) {
            self.ready = false;
        }
        let period = seconds(probe.period_seconds, 10);
        self.next = Instant::now() + if self.was_ready { period } else { period.min(FIRST) };
        self.ready
    }

    async fn answer(&self, probe: &Probe) -> Result<()> {
        let mut stream = TcpStream::connect((self.address, self.port)).await?;
        let Some(http) = &probe.http_get else { return Ok(()) };
        let path = http.path.as_deref().unwrap_or("/");
        let headers = http.http_headers.iter().flatten().map(|header| format!("{}: {}\r\n", header.name, header.value));
        let headers: String = headers.collect();
        let host = self.address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let status = String::from_utf8_lossy(&answer);
        let status = status.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).context("no HTTP")?;
        if !(200..400).contains(&status) {
            bail!("it answered {status}");
        }
        Ok(())
    }
}
