//! Which form of an object a client asks for, and answers as HTTP.

use bytes::Bytes;
use connector_core::status::Status;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT, WARNING};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::object;

/// What may go wrong while a body streams.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// The body of any answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;
/// The answer, or the failure that becomes one.
pub(crate) type Answer = Result<Response<Body>, Status>;

/// The form of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Full,
    /// A Table of the given version of `meta.k8s.io`.
    Table(String),
    /// `PartialObjectMetadata` of the given version of `meta.k8s.io`.
    Partial(String),
}

/// One clause of an `Accept` header.
pub(crate) struct Clause<'a> {
    media: &'a str,
    params: Vec<(&'a str, &'a str)>,
}

impl Clause<'_> {
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// JSON satisfies this clause.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.media, "application/json" | "application/*" | "*/*")
    }

    pub(crate) fn media(&self) -> &str {
        self.media
    }
}

/// The clauses of `Accept`, in order; none where the header is absent or empty.
pub(crate) fn clauses(headers: &HeaderMap) -> Vec<Clause<'_>> {
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let clauses = accept.flat_map(|value| value.split(',')).map(str::trim).filter(|clause| !clause.is_empty());
    clauses
        .map(|clause| {
            let mut parts = clause.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            Clause { media, params: parts.filter_map(|param| param.split_once('=')).collect() }
        })
        .collect()
}

impl Form {
    /// The first clause that can be served; `list` says which of the two metadata forms may be asked for (wire rule 7.20).
    pub(crate) fn negotiate(headers: &HeaderMap, list: bool) -> Result<Self, Status> {
        let clauses = clauses(headers);
        if clauses.is_empty() {
            return Ok(Self::Full);
        }
        let served = clauses.iter().filter(|clause| clause.is_json()).find_map(|clause| {
            let version = || clause.param("v").to_owned();
            match (clause.param("as"), clause.param("g")) {
                ("", _) => Some(Self::Full),
                ("Table", "meta.k8s.io") => Some(Self::Table(version())),
                ("PartialObjectMetadataList", "meta.k8s.io") if list => Some(Self::Partial(version())),
                ("PartialObjectMetadata", "meta.k8s.io") if !list => Some(Self::Partial(version())),
                _ => None,
            }
        });
        served.ok_or_else(|| Status::not_acceptable("application/json"))
    }
}

/// A whole body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer of JSON text.
pub(crate) fn json(code: StatusCode, bytes: impl Into<Bytes>) -> Response<Body> {
    typed(code, "application/json", bytes)
}

/// An answer of any content type.
pub(crate) fn typed(code: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(bytes));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer of one JSON document with the newline that the reference server ends it with (wire rule 7.4).
pub(crate) fn document(code: StatusCode, value: &Value) -> Response<Body> {
    let mut bytes = object::to_json(value);
    bytes.push(b'\n');
    json(code, bytes)
}

/// The answer that tells a failure.
pub(crate) fn failure(status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(code, status.to_json());
    if let Some(seconds) = status.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Adds a warning for the user to an answer.
pub(crate) fn warn(response: &mut Response<Body>, text: &str) {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
        response.headers_mut().append(WARNING, value);
    }
}

/// Whether people read the answer: asked for, or a browser or curl (wire rule 7.3).
pub(crate) fn is_pretty(pretty: &str, headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let by_person = ["curl", "Wget", "Mozilla/5.0"].iter().any(|prefix| agent.starts_with(prefix));
    match pretty {
        "true" | "1" => true,
        "" => by_person,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_clause_that_can_be_served_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let partial = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
        for (accept, list, form) in [
            ("", true, Some(Form::Full)),
            ("*/*", true, Some(Form::Full)),
            (table, true, Some(Form::Table("v1".into()))),
            (partial, false, Some(Form::Partial("v1".into()))),
            (partial, true, Some(Form::Full)),
            ("application/vnd.kubernetes.protobuf", true, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Form::negotiate(&headers, list).ok(), form, "{accept}");
        }
    }
}
