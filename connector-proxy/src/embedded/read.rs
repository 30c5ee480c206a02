//! `get` and `list`.

use connector_core::status::{Cause, Details, Status};
use http::StatusCode;
use http::request::Parts;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::api::Api;
use super::kinds::Kind;
use super::media::{self, Answer, Form};
use super::object;
use super::render::{ListMeta, Renderer};
use super::request::{Params, Target};
use super::selector::Selector;
use super::store::{Key, Snapshot};

/// Writes one JSON text as the answer, indented where people read it.
pub(super) fn respond(
    code: StatusCode,
    mut json: Vec<u8>,
    params: &Params,
    parts: &Parts,
) -> http::Response<media::Body> {
    if media::is_pretty(params.get("pretty"), &parts.headers)
        && let Ok(value) = serde_json::from_slice::<Value>(&json)
        && let Ok(indented) = serde_json::to_vec_pretty(&value)
    {
        json = indented;
    }
    json.push(b'\n');
    media::json(code, json)
}

/// One object.
pub(super) fn get(api: &Api, kind: &Kind, target: &Target, params: &Params, parts: &Parts) -> Answer {
    let name = target.name.as_deref().unwrap_or_default();
    let stored = api.store.get(&kind.resource, &Key::new(&target.namespace, name));
    let stored = stored.ok_or_else(|| Status::not_found(&kind.group, &kind.plural, name))?;
    if target.subresource.as_deref() == Some("scale") {
        let scale = super::scale::of(kind, stored.value())?;
        return Ok(respond(StatusCode::OK, object::to_json(&scale), params, parts));
    }
    let form = Form::negotiate(&parts.headers, false)?;
    let json = Renderer::new(kind, form, params.get("includeObject"))?.one(&stored);
    Ok(respond(StatusCode::OK, json, params, parts))
}

/// A resource's objects, in all namespaces or one, a page at a time where asked for.
pub(super) fn list(api: &Api, kind: &Kind, target: &Target, params: &Params, parts: &Parts) -> Answer {
    let selector = Selector::parse(kind, params.get("labelSelector"), params.get("fieldSelector"));
    let selector = selector.map_err(Status::bad_request)?;
    let mut renderer = Renderer::new(kind, Form::negotiate(&parts.headers, true)?, params.get("includeObject"))?;
    let token = match params.get("continue") {
        "" => None,
        token => Some(Token::decode(token).ok_or_else(|| Status::bad_request("continue key is not valid"))?),
    };
    let at = match &token {
        Some(token) => Some(token.revision),
        None => requested_revision(params, api.store.revision())?,
    };
    let snapshot = api.store.list(&kind.resource, &target.namespace, at);
    let Snapshot { revision, mut objects } = snapshot.map_err(|_| expired(token.is_some()))?;
    if !selector.is_everything() {
        objects.retain(|object| selector.matches(renderer.view(object).value()));
    }
    if let Some(token) = &token {
        let start = objects.partition_point(|object| object.key() <= token.after);
        objects.drain(..start);
    }
    let limit = params.number("limit").and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let mut meta = ListMeta { revision: revision.to_string(), ..ListMeta::default() };
    if let Some(limit) = limit
        && objects.len() > limit
    {
        meta.remaining = selector.is_everything().then_some(objects.len() - limit);
        objects.truncate(limit);
        if let Some(last) = objects.last() {
            meta.go_on = Token { revision, after: last.key() }.encode();
        }
    }
    Ok(respond(StatusCode::OK, renderer.list(&objects, &meta), params, parts))
}

/// The revision that a list must show exactly, `None` for the present one.
fn requested_revision(params: &Params, current: u64) -> Result<Option<u64>, Status> {
    let (revision, matching) = (params.get("resourceVersion"), params.get("resourceVersionMatch"));
    if revision.is_empty() {
        return match matching {
            "" => Ok(None),
            _ => Err(Status::bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided")),
        };
    }
    let asked = parse_revision(revision)?;
    if asked > current {
        return Err(too_large(asked, current));
    }
    Ok((matching == "Exact").then_some(asked))
}

/// A `resourceVersion` as a number.
pub(super) fn parse_revision(revision: &str) -> Result<u64, Status> {
    revision.parse().map_err(|_| {
        let message = format!("Invalid value: {revision:?}: strconv.ParseUint: parsing {revision:?}: invalid syntax");
        let cause = Cause { reason: "FieldValueInvalid".into(), message, field: "resourceVersion".into() };
        Status::invalid("meta.k8s.io", "ListOptions", "", vec![cause])
    })
}

fn too_large(asked: u64, current: u64) -> Status {
    let message = format!("Too large resource version: {asked}, current: {current}");
    let cause = Cause {
        reason: "ResourceVersionTooLarge".into(),
        message: "Too large resource version".into(),
        ..Cause::default()
    };
    Status::timeout(&message).about(Details { causes: vec![cause], retry_after_seconds: 1, ..Details::default() })
}

/// 410: the history does not reach back (wire rule 11.10).
pub(super) fn expired(paging: bool) -> Status {
    let message = if paging {
        "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter."
    } else {
        "The resourceVersion for the provided list is too old."
    };
    Status::failure(410, "Expired", message)
}

/// Where a paged list goes on (wire rule 11.11): base64url of JSON.
struct Token {
    revision: u64,
    after: Key,
}

impl Token {
    fn encode(&self) -> String {
        let start = format!("{}/{}", self.after.namespace, self.after.name);
        let token = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": start});
        let encoded = json!(ByteString(object::to_json(&token)));
        encoded.as_str().unwrap_or_default().trim_end_matches('=').replace('+', "-").replace('/', "_")
    }

    fn decode(token: &str) -> Option<Self> {
        let mut padded = token.replace('-', "+").replace('_', "/");
        while !padded.len().is_multiple_of(4) {
            padded.push('=');
        }
        let bytes: ByteString = serde_json::from_value(padded.into()).ok()?;
        let token: Value = serde_json::from_slice(&bytes.0).ok()?;
        let (namespace, name) = token["start"].as_str()?.split_once('/')?;
        Some(Self { revision: token["rv"].as_u64()?, after: Key::new(namespace, name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continue_token_reads_back() {
        let token = Token { revision: 42, after: Key::new("ns", "nämé") };
        let read = Token::decode(&token.encode()).unwrap();
        assert_eq!((read.revision, read.after), (42, Key::new("ns", "nämé")));
        assert!(!token.encode().contains(['+', '/', '=']));
        assert!(Token::decode("%%").is_none());
    }
}
