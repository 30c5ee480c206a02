//! The corridor: what happens to a request between the front and the control plane.
//!
//! ```text
//! authenticate ─▶ address ─▶ authorize ─▶ admit ─▶ translate ─▶ control plane ─▶ rewrite, chunk by chunk
//! ```
//!
//! One direction, each step takes what the former gives; a failure at any step becomes one `Status` in one place
//! ([`crate::failure`]).

mod answer;
mod create;
mod documents;
mod outage;
mod read;
mod refused;
mod render;
mod secrets;
mod stream;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use connector_core::address::{Address, AddressError, LocalRequest, Verb};
use connector_core::answer::Asked;
use connector_core::offer::Offered;
use connector_core::origin::Hashed;
use connector_core::references::References;
use connector_core::status::Status;
use http::{HeaderMap, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::watch;

use crate::admission::{Named, Namespaces};
use crate::catalog::{Snapshot, Snapshots};
use crate::claims::Claims;
use crate::config::ApiConfig;
use crate::failure::{Failure, Side};
use crate::identity::{Attributes, Authorizer, Decision, PeerCertificate, TrustSource, User};
use crate::registrar::Registered;
use crate::serve::Handler;
use crate::telemetry::{Metrics, RequestLabels, Waits, trace};
use crate::upstream::Upstream;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every answer to the front.
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// The time from a request's arrival to its answer's headers. Below the front's own 60 s (wire rules 1.22, 11.5), so that
/// the client reads whose fault it is.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(55);

/// In the place of an answer's code where the client went away before there was one, as proxies have it.
const CLIENT_GONE: u16 = 499;

/// A body that is in memory.
pub(crate) fn full(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Answers the front's requests.
pub(crate) struct Corridor {
    pub(crate) scheme: Arc<Hashed>,
    pub(crate) trust: Arc<TrustSource>,
    pub(crate) authorizer: Authorizer,
    pub(crate) namespaces: Namespaces,
    pub(crate) catalog: Snapshots,
    pub(crate) registered: Registered,
    pub(crate) claims: Arc<Claims>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) apis: Vec<ApiConfig>,
    /// Whose Secrets objects of other namespaces may refer to.
    pub(crate) input_secrets_from: Vec<String>,
    /// Becomes true when watches have to end.
    pub(crate) drain: watch::Receiver<bool>,
}

/// A request for an offered API, authorized, on its way to the control plane.
struct Passage<'a> {
    request: &'a LocalRequest,
    offered: &'a Offered,
    user: &'a User,
    headers: &'a HeaderMap,
    waits: &'a Waits,
}

/// What is told of a request when it is answered.
#[derive(Default)]
struct Seen {
    verb: &'static str,
    group: String,
    resource: String,
    /// Only where the log shows it.
    details: Option<Box<Details>>,
    waits: Waits,
}

#[derive(Default)]
struct Details {
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
    user: String,
}

impl Handler for Corridor {
    type Body = AnswerBody;

    async fn handle(self: Arc<Self>, peer: Arc<PeerCertificate>, request: Request<Incoming>) -> Response<AnswerBody> {
        let wish = render::Wish::of(&request);
        let mut under_way = UnderWay::new(&self, &request);
        let work = under_way.span.around(self.answer(&peer, request, &mut under_way.seen));
        let answered = match tokio::time::timeout(REQUEST_TIMEOUT, work).await {
            Ok(answered) => answered,
            Err(_) => Err(Failure::too_late()),
        };
        let log = under_way.span.log.clone();
        log.in_scope(|| {
            let (answer, fault) = match answered {
                Ok(answer) => (answer, "none"),
                Err(failure) => {
                    if let Some(error) = failure.upstream_error() {
                        self.metrics.upstream.failed(error);
                    }
                    let side = failure.side().as_str();
                    (failure.into_response(), side)
                }
            };
            under_way.tell(answer.status().as_u16(), fault);
            wish.fulfil(answer, under_way.seen.verb == Verb::Watch.as_str())
        })
    }
}

/// A request that is not answered yet. It is told of once: with its answer, or when this is dropped before, as the client did not
/// wait for one.
struct UnderWay<'a> {
    corridor: &'a Corridor,
    span: trace::RequestSpan,
    started: Instant,
    /// Only where the log shows it.
    path: Option<String>,
    seen: Seen,
    is_told: bool,
}

impl<'a> UnderWay<'a> {
    fn new<B>(corridor: &'a Corridor, request: &Request<B>) -> Self {
        let path = tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
        let seen = Seen { verb: "other", details: path.is_some().then(Box::default), ..Seen::default() };
        let span = trace::RequestSpan::of(request);
        Self { corridor, span, started: Instant::now(), path, seen, is_told: false }
    }

    fn tell(&mut self, code: u16, fault: &'static str) {
        self.is_told = true;
        let duration = self.started.elapsed();
        self.seen.log(self.path.as_deref(), code, fault, duration);
        let Seen { verb, group, resource, waits, .. } = &mut self.seen;
        self.span.answered(verb, resource, code);
        let (group, resource) = (std::mem::take(group), std::mem::take(resource));
        self.corridor.metrics.requests.answered(&RequestLabels { verb, group, resource, code, fault }, duration, waits);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            let log = self.span.log.clone();
            log.in_scope(|| self.tell(CLIENT_GONE, Side::Client.as_str()));
        }
    }
}

impl Seen {
    /// One line for each request.
    fn log(&self, path: Option<&str>, code: u16, fault: &'static str, duration: Duration) {
        let Some(details) = &self.details else { return };
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let (control_plane, app_cluster) = (self.waits.control_plane.get(), self.waits.app_cluster.get());
        tracing::debug!(
            verb = self.verb,
            group = self.group,
            resource = self.resource,
            subresource = details.subresource,
            namespace = details.namespace,
            name = details.name,
            user = details.user,
            path,
            code,
            fault,
            ms = milliseconds(duration),
            connector_ms = milliseconds(duration.saturating_sub(control_plane + app_cluster)),
            control_plane_ms = milliseconds(control_plane),
            app_cluster_ms = milliseconds(app_cluster),
            "answered"
        );
    }
}

impl Corridor {
    async fn answer(
        &self,
        peer: &PeerCertificate,
        request: Request<Incoming>,
        seen: &mut Seen,
    ) -> Result<Response<AnswerBody>, Failure> {
        let (parts, body) = request.into_parts();
        let user = self.authenticate(peer, &parts.headers)?;
        if let Some(details) = &mut seen.details {
            details.user.clone_from(&user.name);
        }
        if parts.headers.contains_key(header::UPGRADE) {
            // Wire rule 1.16: whatever is not supported must be answered 400 or above.
            let text = "upgrades such as websocket are not supported here; watch without one";
            return Err(Failure::client(Status::bad_request(text)));
        }
        let address =
            Address::parse(parts.method.as_str(), parts.uri.path(), parts.uri.query()).map_err(unaddressed)?;
        let request = match address {
            Address::Resource(request) => request,
            Address::Other { verb, path, query } => {
                seen.verb = if matches!(verb.as_str(), "get" | "head") { "get" } else { "other" };
                self.authorize(&user, &Attributes::Path { verb, path: path.clone() }, &seen.waits).await?;
                return self.document(&user, &parts.method, &path, &query, &parts.headers);
            }
        };
        seen.verb = request.verb.as_str();
        if let Some(details) = &mut seen.details {
            details.namespace.clone_from(&request.namespace);
            details.name.clone_from(&request.name);
            details.subresource.clone_from(&request.subresource);
        }
        let snapshot = self.snapshot()?;
        let Some(offered) = snapshot.offered(&request.group, &request.version, &request.resource) else {
            return Err(self.not_offered(&snapshot, &request));
        };
        seen.group.clone_from(&request.group);
        seen.resource.clone_from(&request.resource);
        self.authorize(&user, &attributes(&request, request.verb.as_str()), &seen.waits).await?;
        let (headers, waits) = (&parts.headers, &seen.waits);
        let passage = Passage { request: &request, offered, user: &user, headers, waits };
        // The large ones are boxed: a future is as large as the largest that it awaits, and a get is the most frequent.
        match request.verb {
            Verb::Get => self.get(&passage).await,
            Verb::List => Box::pin(self.list(&passage)).await,
            Verb::Watch => self.watch(&passage).await,
            Verb::Create => Box::pin(self.create(&passage, body)).await,
            Verb::Update => Box::pin(self.update(&passage, body)).await,
            Verb::Patch => Box::pin(self.patch(&passage, body)).await,
            Verb::Delete => Box::pin(self.delete(&passage, body)).await,
            Verb::DeleteCollection => Box::pin(self.delete_collection(&passage, body)).await,
        }
    }

    fn authenticate(&self, peer: &PeerCertificate, headers: &HeaderMap) -> Result<User, Failure> {
        let Some(trust) = self.trust.current() else {
            let status = Status::unavailable("the connector is starting: it does not know the front-proxy CA yet", 1);
            return Err(Failure::connector(status));
        };
        let user = if peer.is_front(&trust) { User::from_headers(headers, &trust) } else { None };
        user.ok_or_else(|| Failure::client(Status::unauthorized()))
    }

    async fn authorize(&self, user: &User, attributes: &Attributes, waits: &Waits) -> Result<(), Failure> {
        match self.authorizer.decide(user, attributes, &waits.app_cluster).await {
            Ok(Decision::Allowed) => Ok(()),
            Ok(Decision::Denied(reason)) => {
                let message = attributes.refusal(user, &reason);
                let (group, resource, name) = match attributes {
                    Attributes::Resource { group, resource, name, .. } => {
                        (group.as_str(), resource.as_str(), name.as_str())
                    }
                    Attributes::Path { .. } => ("", "", ""),
                };
                Err(Failure::client(Status::forbidden(group, resource, name, &message)))
            }
            Err(error) => Err(Failure::app_cluster("the app cluster did not say whether this is allowed", error)),
        }
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, Failure> {
        let snapshot = self.catalog.borrow().clone();
        snapshot
            .ok_or_else(|| Failure::unavailable("it is not known yet what the control plane offers; try again later"))
    }

    /// 404 only where it is true (wire rules 6.5, 6.12): what is offered but not described yet is not absent.
    fn not_offered(&self, snapshot: &Snapshot, request: &LocalRequest) -> Failure {
        if snapshot.is_undescribed(&request.group, &request.version, &request.resource) {
            return Failure::unavailable("the control plane does not describe this API yet; try again later");
        }
        Failure::no_such_path()
    }

    /// Whether a namespace takes an object, or a change of one.
    async fn admit(&self, passage: &Passage<'_>, namespace: &str, creates: Option<Named<'_>>) -> Result<(), Failure> {
        let admitted = self.namespaces.admit(namespace, creates, &passage.waits.app_cluster).await;
        admitted.map_err(Failure::not_admitted)
    }

    fn asked(&self, passage: &Passage<'_>) -> Asked {
        let request = passage.request;
        Asked {
            scheme: self.scheme.clone(),
            form: passage.offered.form,
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            references: self.references(passage).cloned(),
        }
    }

    /// Which fields of the kind name Secrets, where that is configured.
    fn references(&self, passage: &Passage<'_>) -> Option<&Arc<References>> {
        let (group, kind) = (&passage.request.group, &passage.offered.kind);
        self.apis.iter().find(|api| api.group == *group && api.kind == *kind).map(|api| &api.references)
    }
}

fn unaddressed(error: AddressError) -> Failure {
    match error {
        AddressError::NoSuchPath => Failure::no_such_path(),
        error => Failure::client(error.status()),
    }
}

/// What authorization sees of a request, in local terms (wire rules 9.7, 9.8).
fn attributes(request: &LocalRequest, verb: &'static str) -> Attributes {
    let (fields, labels) = request.authorized_selectors();
    Attributes::Resource {
        verb,
        group: request.group.clone(),
        version: request.version.clone(),
        resource: request.resource.clone(),
        subresource: request.subresource.clone().unwrap_or_default(),
        namespace: request.namespace.clone().unwrap_or_default(),
        name: request.authorized_name().unwrap_or_default(),
        fields,
        labels,
    }
}
