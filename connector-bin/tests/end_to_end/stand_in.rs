//! Something before the control plane that does on demand what a real one cannot be made to do: it passes every request on, and
//! answers chosen ones itself.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use futures::StreamExt;
use futures::stream;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tempfile::TempDir;
use testkit::Cluster;
use testkit::connector::ConnectorOptions;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::setup::options;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This is answered: a status, headers and a body.
    Answer(u16, Vec<(&'static str, &'static str)>, String),
    /// Nothing is answered.
    Silence,
    /// The control plane's own answer, which breaks off after so many bytes.
    Half(usize),
    /// This text in the control plane's answer becomes that.
    Replace(&'static str, &'static str),
}

impl Fault {
    /// An answer in JSON.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Answer(status, vec![("content-type", "application/json")], body.to_string())
    }
}

/// Which requests a fault is for: words that the line of the request (`GET /path?query `) or its `User-Agent` hold.
type Rule = (Vec<&'static str>, Fault);

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    seen: Vec<Parts>,
}

/// The stand-in. It ends with this value.
pub(crate) struct StandIn {
    script: Arc<Mutex<Script>>,
    server: JoinHandle<()>,
    address: String,
    folder: TempDir,
}

impl StandIn {
    /// Stands before a cluster, as an admin of it.
    pub(crate) async fn before(cluster: &Cluster) -> Result<Self> {
        let client = cluster.plain_client_for("connector", &["system:masters"]).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let script = Arc::new(Mutex::new(Script::default()));
        let server = tokio::spawn(serve(listener, client, script.clone()));
        Ok(Self { script, server, address, folder: tempfile::tempdir()? })
    }

    /// A connector that takes it for the control plane.
    pub(crate) fn options(&self) -> Result<ConnectorOptions> {
        let kubeconfig = self.folder.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
            "clusters": [{ "name": "it", "cluster": { "server": self.address } }],
            "users": [{ "name": "it", "user": { "token": "the-connectors-own" } }],
        });
        std::fs::write(&kubeconfig, config.to_string())?;
        Ok(ConnectorOptions { control_plane_kubeconfig: Some(kubeconfig), ..options() })
    }

    /// From now on this becomes of requests that hold all these words, and of no others.
    pub(crate) fn only(&self, words: &[&'static str], fault: Fault) {
        self.with(|script| script.rules = vec![(words.to_vec(), fault)]);
    }

    /// This too.
    pub(crate) fn also(&self, words: &[&'static str], fault: Fault) {
        self.with(|script| script.rules.push((words.to_vec(), fault)));
    }

    /// Everything passes again, and what was seen is forgotten.
    pub(crate) fn clear(&self) {
        self.with(|script| *script = Script::default());
    }

    /// The requests whose line or `User-Agent` holds all these words.
    pub(crate) fn seen(&self, words: &[&str]) -> Vec<Parts> {
        self.with(|script| script.seen.iter().filter(|parts| holds(parts, words)).cloned().collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn holds(parts: &Parts, words: &[&str]) -> bool {
    let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let line = format!("{} {} ", parts.method, parts.uri);
    words.iter().all(|word| line.contains(word) || agent.contains(word))
}

async fn serve(listener: TcpListener, client: Client, script: Arc<Mutex<Script>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (client, script) = (client.clone(), script.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (client, script) = (client.clone(), script.clone());
                async move { Ok::<_, Infallible>(answer(request, client, &script).await) }
            });
            // A connection that was broken on purpose is no error of the test.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, client: Client, script: &Mutex<Script>) -> Response<AnswerBody> {
    let (mut parts, body) = request.into_parts();
    let fault = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script.seen.push(parts.clone());
        script.rules.iter().find(|(words, _)| holds(&parts, words)).map(|(_, fault)| fault.clone())
    };
    match &fault {
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Answer(status, headers, body)) => {
            let mut answer = Response::new(full(body.clone()));
            *answer.status_mut() = StatusCode::from_u16(*status).expect("the test's own status");
            for (name, value) in headers {
                answer.headers_mut().append(*name, value.parse().expect("the test's own header"));
            }
            return answer;
        }
        _ => {}
    }
    // The token means nothing to the real one.
    parts.headers.remove(http::header::AUTHORIZATION);
    let body = body.collect().await.map(|body| Body::from(body.to_bytes().to_vec())).unwrap_or_else(|_| Body::empty());
    let Ok(answer) = client.send(Request::from_parts(parts, body)).await else {
        let mut answer = Response::new(full("the control plane is away"));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        return answer;
    };
    match fault {
        Some(Fault::Half(bytes)) => answer.map(|body| half(body, bytes)),
        Some(Fault::Replace(from, to)) => {
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let body = String::from_utf8_lossy(&body).replace(from, to);
            let mut answer = Response::new(full(body));
            *answer.status_mut() = parts.status;
            answer.headers_mut().extend(parts.headers.get(CONTENT_TYPE).map(|value| (CONTENT_TYPE, value.clone())));
            answer
        }
        _ => answer.map(|body| body.map_err(Into::into).boxed_unsync()),
    }
}

/// The first bytes of a body, and then nothing but a broken connection.
fn half(body: Body, mut left: usize) -> AnswerBody {
    let chunks = body.into_data_stream().map(move |chunk| -> Result<_, BoxError> {
        let chunk = chunk?;
        if left == 0 {
            return Err("broken off".into());
        }
        let taken = chunk.slice(..left.min(chunk.len()));
        left -= taken.len();
        Ok(Frame::data(taken))
    });
    StreamBody::new(chunks.chain(stream::once(async { Err("broken off".into()) }))).boxed_unsync()
}

fn full(body: impl Into<Bytes>) -> AnswerBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}
