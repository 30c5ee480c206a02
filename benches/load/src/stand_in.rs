//! The control plane of the benchmarks: the claims are bytes that lie ready, all else is an embedded cluster's.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use anyhow::Result;
use benches::{list, local_name, local_namespace, object, scheme, watch};
use bytes::Bytes;
use connector_core::origin::Form;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Streams of one connection, as kube-apiserver allows them (wire rule 11.1).
const STREAMS: u32 = 100;
/// How many claims can be had by name.
pub(crate) const OBJECTS: usize = 100;
/// How many different events a watch repeats.
const EVENTS: usize = 1000;

/// Where the claims are, in the control plane's terms.
pub(crate) fn claims() -> String {
    format!("/apis/platform.example.org/v1alpha1/namespaces/{}/postgresqlinstances", scheme().claim_namespace)
}

/// Where claim `index` is, in the control plane's terms.
pub(crate) fn claim(index: usize) -> String {
    let name = scheme().remote_name(Form::Claim, &local_namespace(index), &local_name(index));
    format!("{}/{name}", claims())
}

/// Serves what the load asks for.
///
/// | request | answer |
/// |---|---|
/// | GET of one of the [`OBJECTS`] claims | the claim |
/// | list of the claims | all of them at once |
/// | watch from resource version N | N events at once; then the end, or nothing more where `timeoutSeconds` is given |
pub(crate) struct StandIn {
    objects: HashMap<String, Bytes>,
    claims: String,
    list: Bytes,
    events: Arc<Vec<Bytes>>,
    rest: kube::Client,
    open: AtomicUsize,
}

impl StandIn {
    /// A list of `count` claims; `rest` is asked for all that the load does not ask for.
    pub(crate) fn new(count: usize, rest: kube::Client) -> Self {
        let all = watch(EVENTS);
        let mut events = Vec::with_capacity(EVENTS);
        let mut start = 0;
        for (at, _) in all.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            events.push(all.slice(start..=at));
            start = at + 1;
        }
        Self {
            objects: (0..OBJECTS).map(|index| (claim(index), object(index))).collect(),
            claims: claims(),
            list: list(count),
            events: Arc::new(events),
            rest,
            open: AtomicUsize::new(0),
        }
    }

    /// The list as it is served.
    pub(crate) fn list(&self) -> &Bytes {
        &self.list
    }

    /// The first `count` events of every watch.
    pub(crate) fn events(&self, count: usize) -> impl Iterator<Item = &Bytes> {
        self.events.iter().cycle().take(count)
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Serves until it is dropped.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, tls: TlsAcceptor) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (stand_in, tls) = (self.clone(), tls.clone());
                    tokio::spawn(async move {
                        stand_in.open.fetch_add(1, Ordering::Relaxed);
                        stand_in.clone().connection(stream, tls).await;
                        stand_in.open.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                // Out of file descriptors: let some be closed.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, tls: TlsAcceptor) {
        let _ = stream.set_nodelay(true);
        let Ok(stream) = tls.accept(stream).await else { return };
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new());
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
        let service = service_fn(|request| {
            let stand_in = self.clone();
            async move { Ok::<_, Infallible>(stand_in.answer(request).await) }
        });
        // Who broke it off knows why.
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        match self.claim_request(&request) {
            Some(body) => {
                let mut answer = Response::new(body);
                answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                answer
            }
            None => self.pass_on(request).await.unwrap_or_else(|error| {
                let mut answer = Response::new(full(error.to_string().into()));
                *answer.status_mut() = StatusCode::BAD_GATEWAY;
                answer
            }),
        }
    }

    /// `None` for what the embedded cluster answers.
    fn claim_request(&self, request: &Request<Incoming>) -> Option<UnsyncBoxBody<Bytes, BoxError>> {
        if request.method() != Method::GET {
            return None;
        }
        let path = request.uri().path();
        if let Some(object) = self.objects.get(path) {
            return Some(full(object.clone()));
        }
        let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        // The connector's own watch of metadata.
        if path != self.claims || accept.contains("as=PartialObjectMetadata") {
            return None;
        }
        let parameter = |name: &str| {
            let mut parameters = request.uri().query().unwrap_or_default().split('&');
            parameters.find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('='))
        };
        if parameter("watch").is_none() {
            return Some(full(self.list.clone()));
        }
        let left = parameter("resourceVersion")?.parse().ok()?;
        let events = Events { events: self.events.clone(), at: 0, left, stays: parameter("timeoutSeconds").is_some() };
        Some(events.boxed_unsync())
    }

    async fn pass_on(&self, request: Request<Incoming>) -> Result<Response<UnsyncBoxBody<Bytes, BoxError>>> {
        let (mut parts, body) = request.into_parts();
        parts.uri = parts.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        parts.version = http::Version::default();
        parts.headers.remove(header::AUTHORIZATION);
        parts.headers.remove(header::HOST);
        let body = kube::client::Body::from(body.collect().await?.to_bytes().to_vec());
        let answer = self.rest.send(Request::from_parts(parts, body)).await?;
        let (mut parts, body) = answer.into_parts();
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.headers.remove(header::CONNECTION);
        Ok(Response::from_parts(parts, body.map_err(Into::into).boxed_unsync()))
    }
}

fn full(bytes: Bytes) -> UnsyncBoxBody<Bytes, BoxError> {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// The body of a watch: one frame for each event, as kube-apiserver flushes each.
struct Events {
    events: Arc<Vec<Bytes>>,
    at: usize,
    left: usize,
    stays: bool,
}

impl Body for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left > 0 {
            let event = self.events[self.at % self.events.len()].clone();
            self.at += 1;
            self.left -= 1;
            return Poll::Ready(Some(Ok(Frame::data(event))));
        }
        // Nothing will ever come: nobody needs to be woken.
        if self.stays { Poll::Pending } else { Poll::Ready(None) }
    }
}
