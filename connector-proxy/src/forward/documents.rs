//! Answers about which APIs there are: discovery, OpenAPI and health, all from memory.

use std::time::{Duration, SystemTime};

use connector_core::address::{Negotiated, Query};
use connector_core::discovery::{Document, accepts_json, negotiate};
use connector_core::offer::GroupVersion;
use connector_core::status::Status;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::{AnswerBody, Corridor, full};
use crate::catalog::Snapshot;
use crate::failure::Failure;
use crate::identity::User;

/// How long a document that its URL's hash identifies may be kept (wire rule 4.9).
const IMMUTABLE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
const JSON: &str = "application/json";
/// As whom the front asks for itself (wire rule 3.8).
const AGGREGATOR: &str = "system:kube-aggregator";

impl Corridor {
    pub(super) fn document(
        &self,
        user: &User,
        method: &Method,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Response<AnswerBody>, Failure> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        // The reference server answers these whatever the method.
        let is_version = matches!(*segments, ["apis", _, _]);
        if !matches!(*method, Method::GET | Method::HEAD) && !is_version {
            return Err(Failure::client(Status::method_not_allowed()));
        }
        if matches!(path, "/healthz" | "/livez" | "/readyz") {
            return Ok(text("ok"));
        }
        let snapshot = self.snapshot()?;
        let absent = || Failure::client(Status::no_such_path());
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        match *segments {
            ["apis"] => {
                // A document without a version that is registered would tell the app cluster that its kinds are gone (wire
                // rule 3.5).
                if self.registered.any(snapshot.undescribed()) {
                    return Err(Failure::unavailable("the control plane does not describe every registered API yet"));
                }
                let form = negotiate(accept).ok_or_else(|| Failure::client(Status::not_acceptable(JSON)))?;
                Ok(conditional(snapshot.discovery.root(form), form.content_type(), headers))
            }
            ["apis", group] => Ok(whole(snapshot.discovery.group(group).ok_or_else(absent)?)),
            // Never 304: the front repeats the validator of another document here (wire rule 3.4).
            ["apis", group, version] => match version_document(&snapshot, user, group, version) {
                Some(document) => {
                    let accepted = Negotiated::parse_for_document(Some(accept));
                    accepted.map(|_| whole(document)).map_err(|error| Failure::client(error.status()))
                }
                None if snapshot.undescribed().any(|gv| gv.group == group && gv.version == version) => {
                    Err(Failure::unavailable("the control plane does not describe this API yet"))
                }
                None => Err(absent()),
            },
            ["openapi", "v2"] => {
                if !accepts_json(accept) {
                    return Ok(not_json());
                }
                Ok(conditional(&snapshot.openapi_v2, JSON, headers))
            }
            ["openapi", "v3"] => Ok(conditional(&snapshot.openapi_v3_root, JSON, headers)),
            ["openapi", "v3", "apis", group, version] => {
                if !accepts_json(accept) {
                    return Ok(not_json());
                }
                let document = snapshot.openapi_v3.get(&GroupVersion::new(group, version)).ok_or_else(absent)?;
                let mut answer = conditional(document, JSON, headers);
                // A stale hash gets the current document; a redirect would become an error (wire rules 1.17, 4.9).
                if query.get("hash") == Some(document.hash()) {
                    let expires = httpdate::fmt_http_date(SystemTime::now() + IMMUTABLE_LIFETIME);
                    let headers = answer.headers_mut();
                    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
                    headers.extend(HeaderValue::try_from(expires).ok().map(|expires| (header::EXPIRES, expires)));
                }
                Ok(answer)
            }
            _ => Err(absent()),
        }
    }
}

/// The resources of a group and version, in the words that whoever asks needs.
fn version_document<'a>(snapshot: &'a Snapshot, user: &User, group: &str, version: &str) -> Option<&'a Document> {
    match user.name == AGGREGATOR {
        true => snapshot.discovery.version_for_front(group, version),
        false => snapshot.discovery.version(group, version),
    }
}

/// Documents of OpenAPI are JSON only; a client that asks for protobuf alone reads 406 and asks for JSON next. Like the
/// reference server, which sends nothing but headers then.
fn not_json() -> Response<AnswerBody> {
    let mut answer = Response::new(full(""));
    *answer.status_mut() = StatusCode::NOT_ACCEPTABLE;
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    answer
}

fn whole(document: &Document) -> Response<AnswerBody> {
    let mut answer = Response::new(full(document.bytes().clone()));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    answer
}

/// The document, or 304 to a client that has it.
fn conditional(document: &Document, media: &'static str, headers: &HeaderMap) -> Response<AnswerBody> {
    let mut known = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let unchanged = known.any(|etags| document.is_known(etags));
    let mut answer = if unchanged {
        let mut answer = Response::new(full(""));
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        whole(document)
    };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.extend(HeaderValue::from_str(document.etag()).ok().map(|etag| (header::ETAG, etag)));
    answer
}

fn text(body: &'static str) -> Response<AnswerBody> {
    let mut answer = Response::new(full(body));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
