//! Traces: spans of the connector are parts of the front's trace, and all are sent.

use std::convert::Infallible;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
const FRONT: [u8; 8] = [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What came to `/v1/traces`.
type Received = Arc<Mutex<Vec<Bytes>>>;

async fn collector(listener: TcpListener, received: Received) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = received.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let received = received.clone();
                async move {
                    let is_traces = request.uri().path() == "/v1/traces";
                    if let (true, Ok(body)) = (is_traces, request.into_body().collect().await) {
                        received.lock().unwrap().push(body.to_bytes());
                    }
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            });
            // The connector ends when it likes.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The fields of a protobuf message that have a length.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn number(bytes: &mut &[u8]) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
    let mut found = Vec::new();
    while let Some(key) = number(&mut message) {
        let length = match key & 7 {
            0 => {
                number(&mut message);
                continue;
            }
            1 => 8,
            5 => 4,
            _ => usize::try_from(number(&mut message).unwrap_or_default()).unwrap_or(usize::MAX),
        };
        let Some((field, rest)) = message.split_at_checked(length) else { break };
        message = rest;
        if key & 7 == 2 {
            found.push((key >> 3, field));
        }
    }
    found
}

#[derive(Debug)]
struct Span {
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
}

/// Those of the trace.
fn spans(request: &[u8]) -> Vec<Span> {
    let inside = |messages: Vec<(u64, Vec<u8>)>, number: u64| -> Vec<Vec<u8>> {
        messages.into_iter().filter(|(field, _)| *field == number).map(|(_, message)| message).collect()
    };
    let open = |message: &[u8]| fields(message).into_iter().map(|(field, bytes)| (field, bytes.to_vec())).collect();
    // ExportTraceServiceRequest > ResourceSpans > ScopeSpans > Span
    let resources = inside(open(request), 1);
    let scopes = resources.iter().flat_map(|resource| inside(open(resource), 2));
    let spans = scopes.flat_map(|scope| inside(open(&scope), 2));
    let field = |span: &[u8], number: u64| {
        fields(span)
            .into_iter()
            .find(|(field, _)| *field == number)
            .map(|(_, bytes)| bytes.to_vec())
            .unwrap_or_default()
    };
    spans
        .filter(|span| field(span, 1) == TRACE)
        .map(|span| Span {
            id: field(&span, 2),
            parent: field(&span, 4),
            name: String::from_utf8_lossy(&field(&span, 5)).into_owned(),
        })
        .collect()
}

#[tokio::test]
async fn spans_are_parts_of_the_fronts_trace() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let received = Received::default();
    tokio::spawn(collector(listener, received.clone()));
    let folder = tempfile::tempdir()?;
    let mut connector = Command::new(env!("CARGO_BIN_EXE_connector"))
        .args(["dev", "--dir"])
        .arg(folder.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        // Nothing is sent before the end.
        .env("OTEL_BSP_SCHEDULE_DELAY", "600000")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(connector.stdout.take().context("it is piped")?).lines();
    while !lines.next_line().await?.context("it ended")?.contains("Ctrl-C") {}

    let kubeconfig = Kubeconfig::read_from(folder.path().join("app-cluster.kubeconfig"))?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let path = "/apis/k8s.starter.org/v1alpha1/namespaces/default/kubernetesclusters";
    let request = Request::get(path).header("traceparent", TRACEPARENT).body(Body::empty())?;
    let answer = client.send(request).await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    answer.into_body().collect().await?;

    let pid = connector.id().context("it runs")?.to_string();
    ensure!(Command::new("kill").args(["-TERM", &pid]).status().await?.success());
    let status = tokio::time::timeout(Duration::from_secs(20), connector.wait()).await??;
    ensure!(status.success(), "{status}");

    let received = received.lock().unwrap().clone();
    let service = b"control-plane-connector";
    ensure!(received.iter().any(|batch| batch.windows(service.len()).any(|part| part == service)), "no service's name");
    let spans: Vec<Span> = received.iter().flat_map(|batch| spans(batch)).collect();
    let request =
        spans.iter().find(|span| span.parent == FRONT).with_context(|| format!("none of the front: {spans:?}"))?;
    ensure!(request.name == "list kubernetesclusters", "{request:?}");
    let asked = spans.iter().find(|span| span.parent == request.id).with_context(|| format!("no part: {spans:?}"))?;
    ensure!(asked.name == "control plane" || asked.name == "app cluster", "{asked:?}");
    Ok(())
}
