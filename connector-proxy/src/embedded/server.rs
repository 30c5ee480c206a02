//! The listener, and the way from a request to what answers it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connector_core::status::Status;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::api::Api;
use super::identity::Identity;
use super::kinds::Kind;
use super::media::{self, Answer, Body};
use super::request::{Params, Target, segments};
use super::write::Write;
use super::{delete, discovery, openapi, read, review, watch};

/// The most that a request body may hold, as on real servers (wire rule 1.26).
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Streams of one connection; real servers allow 100 (wire rule 11.1).
const STREAMS: u32 = 100;

pub(super) struct Server {
    pub(super) api: Arc<Api>,
    pub(super) token: String,
    pub(super) tls: TlsAcceptor,
}

impl Server {
    /// Serves until it is aborted; then every connection and background task ends.
    pub(super) async fn run(self, listener: TcpListener, mut background: JoinSet<()>) {
        let server = Arc::new(self);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let server = server.clone();
                        background.spawn(async move { server.connection(stream).await });
                    }
                    // Out of file descriptors, most likely: let some be closed.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(_) = background.join_next() => {}
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        // Small answers and watch events must leave at once.
        let _ = stream.set_nodelay(true);
        let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, self.tls.accept(stream)).await else { return };
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new());
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
        let service = service_fn(|request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.handle(request).await) }
        });
        // The client sees what broke, and there is nobody else to tell.
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        self.route(request).await.unwrap_or_else(|status| media::failure(&status))
    }

    async fn route(&self, request: Request<Incoming>) -> Answer {
        let identity = Identity::of(request.headers(), &self.token)?;
        if request.headers().keys().any(|name| name.as_str().starts_with("impersonate-")) {
            return Err(Status::forbidden("", "", "", "impersonation is not supported by the embedded cluster"));
        }
        let segments = segments(request.uri().path());
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let Some(aggregator) = &self.api.aggregator {
            let version = match path.as_slice() {
                ["apis", group, version, ..] | ["openapi", "v3", "apis", group, version] => Some((*group, *version)),
                _ => None,
            };
            if let Some(route) = version.and_then(|(group, version)| aggregator.route(group, version)) {
                return route.proxy(request, &identity).await;
            }
        }
        match path.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => {
                Ok(media::typed(StatusCode::OK, "text/plain; charset=utf-8", &b"ok"[..]))
            }
            ["version"] => Ok(media::document(StatusCode::OK, &version())),
            ["api"] => discovery::root(&self.api, true, &request.into_parts().0),
            ["apis"] => discovery::root(&self.api, false, &request.into_parts().0),
            ["api", version] => discovery::version(&self.api, "", version),
            ["apis", group] => discovery::group(&self.api, group),
            ["apis", group, version] => discovery::version(&self.api, group, version),
            ["openapi", "v2"] => openapi::v2(&request.into_parts().0),
            ["openapi", "v3"] => openapi::root(&self.api),
            ["openapi", "v3", "api", version] => openapi::version(&self.api, "", version, &request.into_parts().0),
            ["openapi", "v3", "apis", group, version] => {
                openapi::version(&self.api, group, version, &request.into_parts().0)
            }
            _ => {
                let target = Target::parse(&segments).ok_or_else(Status::no_such_path)?;
                self.resource(&target, &identity, request).await
            }
        }
    }

    async fn resource(&self, target: &Target, identity: &Identity, request: Request<Incoming>) -> Answer {
        let kind = self.api.kinds().find(&target.group, &target.version, &target.plural);
        let kind = kind.ok_or_else(Status::no_such_path)?;
        let (parts, body) = request.into_parts();
        let params = Params::of(&parts);
        check_shape(&kind, target, &parts.method)?;
        let body = read_body(body).await?;
        let write = Write { api: &self.api, kind: &kind, target, params: &params, parts: &parts };
        if kind.review {
            return if parts.method == Method::POST {
                review::create(&kind, &parts, &body, identity)
            } else {
                Err(Status::method_not_allowed())
            };
        }
        match (parts.method.clone(), &target.name) {
            (Method::GET, Some(_)) => read::get(&self.api, &kind, target, &params, &parts),
            (Method::GET, None) if params.is_true("watch") => watch::watch(&self.api, &kind, target, &params, &parts),
            (Method::GET, None) => read::list(&self.api, &kind, target, &params, &parts),
            (Method::POST, None) => write.create(&body),
            (Method::PUT, Some(_)) => write.update(&body),
            (Method::PATCH, Some(_)) => write.patch(&body),
            (Method::DELETE, Some(_)) if target.subresource.is_none() => {
                delete::delete(&self.api, &kind, target, &params, &parts, &body)
            }
            (Method::DELETE, None) => delete::collection(&self.api, &kind, target, &params, &parts, &body),
            _ => Err(Status::method_not_allowed()),
        }
    }
}

/// 404 for paths that no API serves: unknown subresources, and namespaces where they do not belong (wire rule 7.25).
fn check_shape(kind: &Kind, target: &Target, method: &Method) -> Result<(), Status> {
    let known = match target.subresource.as_deref() {
        None => true,
        Some("status") => kind.status,
        Some("scale") => kind.scale.is_some(),
        Some(_) => false,
    };
    let everywhere = target.name.is_none() && method == Method::GET;
    let placed = match (kind.namespaced, target.namespace.is_empty()) {
        (true, true) => everywhere,
        (false, false) => false,
        _ => true,
    };
    if known && placed { Ok(()) } else { Err(Status::no_such_path()) }
}

async fn read_body(body: Incoming) -> Result<Bytes, Status> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Status::too_large(BODY_LIMIT)),
        Err(error) => Err(Status::bad_request(format!("the body could not be read: {error}"))),
    }
}

fn version() -> serde_json::Value {
    json!({
        "major": "1", "minor": "34", "gitVersion": super::VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)
    })
}
