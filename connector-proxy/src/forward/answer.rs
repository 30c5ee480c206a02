//! The control plane's answers: which of them the client may see, and how.

use std::time::Duration;

use bytes::Bytes;
use connector_core::address::{Negotiated, Query, Remote, Verb, is_pretty};
use connector_core::answer::{self, AnswerError, Rewriter, Shape};
use connector_core::body::Live;
use connector_core::origin::Origin;
use connector_core::status::Status;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use tracing::Instrument;

use super::{AnswerBody, Corridor, Passage, full};
use crate::failure::Failure;
use crate::telemetry::trace::{self, AUDIT_ID};
use crate::telemetry::{Repeated, UpstreamError};
use crate::upstream::Body;

/// The most bytes of one object, with room above what etcd stores, as an object can be converted on the way.
pub(super) const MAX_OBJECT: usize = 32 << 20;
/// What is looked at of a failure.
pub(super) const MAX_STATUS: usize = 1 << 20;
/// How long the body of one object may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The body of a request to the control plane, and its format.
pub(super) struct Sent {
    pub(super) body: Vec<u8>,
    pub(super) content_type: &'static str,
}

/// What is in the place of an object.
pub(super) enum Stored {
    Absent,
    /// An object of another origin, which does not exist for the client (wire rule 8.7).
    Anothers,
    Ours(Box<Live>),
}

impl Passage<'_> {
    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn negotiated(&self) -> Result<Negotiated, Failure> {
        Negotiated::parse(self.header(header::ACCEPT)).map_err(|error| Failure::client(error.status()))
    }

    pub(super) fn not_found(&self) -> Failure {
        let name = self.request.name.as_deref().unwrap_or_default();
        Failure::client(Status::not_found(&self.request.group, &self.request.resource, name))
    }
}

impl Corridor {
    pub(super) fn remote(&self, passage: &Passage<'_>) -> Result<Remote, Failure> {
        let remote = passage.request.remote(&self.scheme, passage.offered.form);
        remote.map_err(|error| Failure::client(error.status()))
    }

    /// Sends a request. Only what is named here goes up: never the client's `Accept`, `Accept-Encoding`, cookies or identity
    /// (wire rule 7.21).
    pub(super) async fn send(
        &self,
        passage: &Passage<'_>,
        remote: &Remote,
        accept: &str,
        sent: Option<Sent>,
    ) -> Result<Response<Body>, Failure> {
        let mut request =
            Request::builder().method(remote.method).uri(&remote.path_and_query).header(header::ACCEPT, accept);
        // The control plane derives a missing field manager from the User-Agent (wire rule 8.13).
        for name in [header::USER_AGENT, AUDIT_ID] {
            if let Some(value) = passage.headers.get(&name) {
                request = request.header(name, value);
            }
        }
        // Indented JSON is for people; this is read by a program (wire rule 7.3).
        let user_agent = passage.header(header::USER_AGENT).unwrap_or_default();
        if is_pretty(&Query::default(), user_agent) {
            let separator = if remote.path_and_query.contains('?') { '&' } else { '?' };
            request = request.uri(format!("{}{separator}pretty=false", remote.path_and_query));
        }
        let body = match sent {
            Some(sent) => {
                request = request.header(header::CONTENT_TYPE, sent.content_type);
                Full::from(sent.body)
            }
            None => Full::default(),
        };
        let mut request = request.body(body).map_err(|error| {
            Failure::client(Status::bad_request(format!("the request cannot be passed to the control plane: {error}")))
        })?;
        let span = trace::client_span("control plane", request.method(), request.uri().path());
        trace::pass_on(&span, passage.headers, request.headers_mut());
        let _waiting = passage.waits.control_plane.begin();
        Ok(self.upstream.send(request).instrument(span).await?)
    }

    /// The object that is addressed, as it is stored now; `None` where there is none, or one of another origin (wire rule
    /// 8.7).
    pub(super) async fn live(&self, passage: &Passage<'_>) -> Result<Option<Live>, Failure> {
        Ok(match self.stored(passage).await? {
            Stored::Ours(live) => Some(*live),
            Stored::Anothers | Stored::Absent => None,
        })
    }

    /// What is stored now in the place of the object that is addressed.
    pub(super) async fn stored(&self, passage: &Passage<'_>) -> Result<Stored, Failure> {
        let mut plain = passage.request.clone();
        plain.verb = Verb::Get;
        plain.subresource = None;
        plain.query = Query::default();
        let object = Passage { request: &plain, ..*passage };
        let remote = self.remote(&object)?;
        let answer = self.send(&object, &remote, "application/json", None).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            let (_, raw) = self.collect(&object, answer, MAX_STATUS).await?;
            return match self.genuine_absence(&object, &remote, &raw) {
                true => Ok(Stored::Absent),
                false => Err(not_served(&raw)),
            };
        }
        if !answer.status().is_success() {
            return Err(self.failed(&object, Some(&remote), answer).await);
        }
        let (_, raw) = self.collect(&object, answer, MAX_OBJECT).await?;
        let live = Live::parse(&self.scheme, passage.offered.form, &raw).map_err(Failure::nonsense)?;
        let (namespace, name) = (plain.namespace.as_deref(), plain.name.as_deref());
        let ours = live
            .origin
            .as_ref()
            .is_some_and(|origin| namespace == Some(&*origin.namespace) && name == Some(&*origin.name));
        Ok(if ours { Stored::Ours(Box::new(live)) } else { Stored::Anothers })
    }

    /// The answer about one object, whole in memory: its size is bounded by what etcd stores.
    pub(super) async fn single(
        &self,
        passage: &Passage<'_>,
        remote: &Remote,
        answer: Response<Body>,
        shape: Shape,
    ) -> Result<Response<AnswerBody>, Failure> {
        if !answer.status().is_success() {
            return Err(self.failed(passage, Some(remote), answer).await);
        }
        check_json(&answer)?;
        let (parts, raw) = self.collect(passage, answer, MAX_OBJECT).await?;
        let asked = self.asked(passage);
        // A deletion answers either a Status or the object (wire rule 7.17).
        let body = if answer::is_status(&raw) {
            let status = answer::status(&asked, &raw);
            Bytes::from(status.ok_or_else(|| Failure::nonsense(AnswerError::Malformed { at: 0 }))?.to_json())
        } else if passage.request.subresource.as_deref() == Some("scale") {
            let show = super::read::row_object(remote);
            answer::scale(&asked, show, &raw).map_err(Failure::nonsense)?.into()
        } else {
            let mut rewriting = self.metrics.requests.of_verb(passage.request.verb.as_str()).rewriting();
            rewriting.measure(|| rewrite(Rewriter::new(asked, shape), raw)).map_err(|error| match error {
                AnswerError::Foreign => passage.not_found(),
                error => Failure::nonsense(error),
            })?
        };
        let mut answer = json(parts.status, full(body));
        pass_headers(&parts.headers, answer.headers_mut());
        Ok(answer)
    }

    pub(super) async fn collect(
        &self,
        passage: &Passage<'_>,
        answer: Response<Body>,
        limit: usize,
    ) -> Result<(http::response::Parts, Bytes), Failure> {
        let _waiting = passage.waits.control_plane.begin();
        let (parts, body) = answer.into_parts();
        let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await;
        match collected {
            Ok(Ok(body)) => Ok((parts, body.to_bytes())),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the control plane's answer broke off");
                Err(Failure::unavailable("the control plane's answer broke off").upstream(UpstreamError::BrokenOff))
            }
            Err(_) => Err(Failure::too_late()),
        }
    }

    /// What becomes of an answer of 300 and more (wire rules 1.17, 6.5, 7.15, 11.6, 11.7).
    pub(super) async fn failed(
        &self,
        passage: &Passage<'_>,
        remote: Option<&Remote>,
        answer: Response<Body>,
    ) -> Failure {
        let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let (parts, raw) = match self.collect(passage, answer, MAX_STATUS).await {
            Ok(collected) => collected,
            Err(failure) => return failure,
        };
        let asked = self.asked(passage);
        let status = answer::status(&asked, &raw);
        self.failure(passage, remote, &parts, &raw, status, retry_after).with_warnings(&parts.headers)
    }

    /// The same for a collection, where the failure can be about one object of it, told by its remote name.
    pub(super) async fn failed_of_one(
        &self,
        passage: &Passage<'_>,
        remote: &Remote,
        answer: Response<Body>,
    ) -> Failure {
        let (parts, raw) = match self.collect(passage, answer, MAX_STATUS).await {
            Ok(collected) => collected,
            Err(failure) => return failure,
        };
        let text = String::from_utf8_lossy(&raw);
        let collection = remote.path_and_query.split('?').next().unwrap_or_default();
        let mut request = passage.request.clone();
        let mut local = text.clone().into_owned();
        for name in self.scheme.remote_names(passage.offered.form, &text) {
            let one = Remote {
                method: Verb::Get.method(),
                path_and_query: format!("{collection}/{name}"),
                name: Some(name.to_owned()),
                strip_object: false,
            };
            if let Some(origin) = self.origin_of(passage, &one).await {
                local = local.replace(name, &origin.name);
                (request.namespace, request.name) = (Some(origin.namespace), Some(origin.name));
            }
        }
        let answer = Response::from_parts(parts, Body::from(Bytes::from(local)));
        self.failed(&Passage { request: &request, ..*passage }, None, answer).await
    }

    async fn origin_of(&self, passage: &Passage<'_>, remote: &Remote) -> Option<Origin> {
        let answer = self.send(passage, remote, "application/json", None).await.ok()?;
        let (_, raw) = self.collect(passage, answer, MAX_OBJECT).await.ok()?;
        Live::parse(&self.scheme, passage.offered.form, &raw).ok()?.origin
    }

    fn failure(
        &self,
        passage: &Passage<'_>,
        remote: Option<&Remote>,
        parts: &http::response::Parts,
        raw: &[u8],
        status: Option<Status>,
        retry_after: Option<u16>,
    ) -> Failure {
        let code = parts.status.as_u16();
        match (code, status) {
            (401, _) => {
                static TOLD: Repeated = Repeated::new();
                if let Some(suppressed) = TOLD.pass("") {
                    tracing::error!(
                        suppressed,
                        "the control plane does not accept the connector's credential (401): renew it in its kubeconfig"
                    );
                }
                Failure::unavailable("the control plane does not accept the connector's credential")
                    .upstream(UpstreamError::Unauthorized)
            }
            (403, Some(status)) if is_rbac(&status) => {
                static TOLD: Repeated = Repeated::new();
                let told = status.message;
                if let Some(suppressed) = TOLD.pass(&told) {
                    tracing::error!(told, suppressed, "the connector lacks a right in the control plane (403)");
                }
                Failure::unavailable("the control plane does not allow the connector to do this")
                    .upstream(UpstreamError::Forbidden)
            }
            (404, _) => match remote {
                Some(remote) if self.genuine_absence(passage, remote, raw) => passage.not_found(),
                // The object is there, so the control plane serves no such subresource.
                Some(_) if passage.request.subresource.is_some() => Failure::client(Status::no_such_path()),
                _ => not_served(raw),
            },
            (429, status) => {
                let mut status = status.unwrap_or_else(|| {
                    Status::failure(429, "TooManyRequests", "Too many requests, please try again later.")
                });
                status.code = 429;
                status.details.get_or_insert_default().retry_after_seconds = retry_after.unwrap_or(1);
                Failure::answered(status)
            }
            (400.., Some(mut status)) => {
                status.code = code;
                if let Some(seconds) = retry_after {
                    status.details.get_or_insert_default().retry_after_seconds = seconds;
                }
                Failure::answered(status)
            }
            (..400, _) | (500.., None) => {
                Failure::outage(format!("the control plane, or something before it, answered {code}"))
            }
            (413, None) => {
                let why = "Request entity too large for the control plane, or something before it";
                Failure::answered(Status::failure(413, "RequestEntityTooLarge", why))
            }
            (400 | 414 | 431, None) => Failure::answered(Status::failure(
                code,
                "BadRequest",
                format!("the control plane, or something before it, answered {code}"),
            )),
            // No kube-apiserver says so: it is about the connector, and what controllers read out of a 405 would be wrong
            // (wire rule 6.12).
            (_, None) => Failure::unavailable(format!("the control plane, or something before it, answered {code}"))
                .upstream(UpstreamError::Nonsense),
        }
    }

    /// Whether a 404 says that the object is absent, and not the API, the namespace or the path (wire rule 6.5).
    fn genuine_absence(&self, passage: &Passage<'_>, remote: &Remote, raw: &[u8]) -> bool {
        let Some(name) = &remote.name else { return false };
        let Ok(status) = serde_json::from_slice::<Status>(raw) else { return false };
        status.details.is_some_and(|details| details.name == *name && details.kind == passage.request.resource)
    }
}

const NOT_SERVED: &str = "the control plane does not serve this API, or not in the claim namespace; see the connector's log or try again later";

/// A 404 that is not about the object that was asked for.
fn not_served(raw: &[u8]) -> Failure {
    static TOLD: Repeated = Repeated::new();
    let told = serde_json::from_slice::<Status>(raw).map(|status| status.message).unwrap_or_default();
    if let Some(suppressed) = TOLD.pass(&told) {
        tracing::warn!(
            told,
            suppressed,
            "the control plane answers 404 where it should serve claims: is Crossplane there, and the claim namespace?"
        );
    }
    Failure::unavailable(NOT_SERVED).upstream(UpstreamError::NotServed)
}

/// RBAC's own refusals name the user; admission's do not (wire rule 11.6).
fn is_rbac(status: &Status) -> bool {
    status.message.contains("User \"") && status.message.contains("\" cannot ")
}

fn rewrite(mut rewriter: Rewriter, raw: Bytes) -> Result<Bytes, AnswerError> {
    let mut out = Vec::with_capacity(raw.len());
    rewriter.push_copied(&raw, &mut out)?;
    rewriter.finish()?;
    Ok(out.into())
}

/// A page of a gateway must not begin an answer that can only break off.
pub(super) fn check_json(answer: &Response<Body>) -> Result<(), Failure> {
    let media = answer.headers().get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    if media.split(';').next().is_some_and(|media| media.trim() == "application/json") {
        return Ok(());
    }
    Err(Failure::unavailable(format!("something before the control plane answered {media:?} and not JSON"))
        .upstream(UpstreamError::Nonsense))
}

pub(super) fn json(status: StatusCode, body: AnswerBody) -> Response<AnswerBody> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answer
}

/// The few headers of the control plane that are the client's (wire rules 1.19, 7.26).
pub(super) fn pass_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [header::WARNING, header::RETRY_AFTER] {
        for value in from.get_all(&name) {
            to.append(name.clone(), value.clone());
        }
    }
}
