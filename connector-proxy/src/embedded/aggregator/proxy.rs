//! Requests on their way to an aggregated server, changed as a real front changes them (wire section 1).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connector_core::status::Status;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::super::identity::Identity;
use super::super::media::{self, Answer, BodyError};
use super::super::object;
use super::backend::{Backend, whole};

/// How long a request that is no watch may wait for its answer's head (wire rule 1.22).
const DEADLINE: Duration = Duration::from_secs(60);
/// The same for discovery (wire rule 1.23).
const DISCOVERY: Duration = Duration::from_secs(5);

/// The way to an aggregated server; there is none while it is not available.
pub(crate) struct Route(Option<Arc<Backend>>);

impl Route {
    pub(super) fn new(backend: Option<Arc<Backend>>) -> Self {
        Self(backend)
    }

    /// Passes a user's request on, and its answer back as it comes.
    pub(crate) async fn proxy(&self, request: Request<Incoming>, identity: &Identity) -> Answer {
        // Wire rule 1.2: plain text, no Status.
        let text = |code, message: String| Ok(media::typed(code, "text/plain; charset=utf-8", message));
        let Some(backend) = &self.0 else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "service unavailable\n".into());
        };
        if request.headers().contains_key(UPGRADE) {
            return Err(Status::bad_request("the embedded cluster does not pass upgrades on"));
        }
        let deadline = deadline(request.uri());
        let (mut parts, body) = request.into_parts();
        parts.uri = encode(&parts.uri)?;
        add_forwarded(&mut parts.headers, &parts.uri);
        strip(&mut parts.headers);
        identify(&mut parts.headers, identity);
        let request = Request::from_parts(parts, body.map_err(BodyError::from).boxed_unsync());
        let sent = backend.send(request);
        let answer = match deadline {
            None => sent.await,
            Some(deadline) => match tokio::time::timeout(deadline, sent).await {
                Ok(answer) => answer,
                Err(_) => return Err(Status::timeout("request did not complete within the allotted timeout")),
            },
        };
        match answer {
            // Wire rule 1.17.
            Ok(answer) if answer.status().is_redirection() && answer.headers().contains_key(LOCATION) => text(
                StatusCode::BAD_GATEWAY,
                "the backend attempted to redirect this request, which is not permitted\n".into(),
            ),
            Ok(answer) => {
                let (mut parts, body) = answer.into_parts();
                hop_by_hop(&mut parts.headers);
                parts.version = http::Version::default();
                Ok(Response::from_parts(parts, body))
            }
            Err(message) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{message}\n")),
        }
    }

    /// A request of the cluster's own, with its whole answer; the error says why there is none.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        identity: &Identity,
    ) -> Result<(StatusCode, Bytes), String> {
        self.fetch(method, path, "application/json", body, identity).await
    }

    pub(super) async fn fetch(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: Option<&Value>,
        identity: &Identity,
    ) -> Result<(StatusCode, Bytes), String> {
        let backend = self.0.as_ref().ok_or("service unavailable")?;
        let bytes = body.map(object::to_json).unwrap_or_default();
        let mut request = Request::new(media::full(bytes));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
        if !accept.is_empty() {
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        }
        if body.is_some() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        identify(request.headers_mut(), identity);
        let sent = async {
            let answer = backend.send(request).await?;
            Ok((answer.status(), whole(answer.into_body()).await?))
        };
        tokio::time::timeout(DEADLINE, sent).await.unwrap_or_else(|_| Err("timed out".into()))
    }
}

/// Wire rules 1.22 to 1.24.
fn deadline(uri: &Uri) -> Option<Duration> {
    let query = uri.query().unwrap_or_default();
    let watch = form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name == "watch" && (value == "true" || value == "1"));
    let segments = uri.path().split('/').filter(|segment| !segment.is_empty()).count();
    match (watch, segments) {
        (true, _) => None,
        (false, 3) => Some(DISCOVERY),
        (false, _) => Some(DEADLINE),
    }
}

/// Wire rule 1.4: the query is parsed and written anew, its keys sorted.
fn encode(uri: &Uri) -> Result<Uri, Status> {
    let Some(query) = uri.query() else { return Ok(path_only(uri.path())) };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.contains(';'))
        .flat_map(|pair| form_urlencoded::parse(pair.as_bytes()).into_owned())
        .collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if query.is_empty() {
        return Ok(path_only(uri.path()));
    }
    format!("{}?{query}", uri.path()).parse().map_err(|_| Status::bad_request("the query cannot be encoded"))
}

fn path_only(path: &str) -> Uri {
    path.parse().unwrap_or_default()
}

fn is_identity(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "x-remote-user" | "x-remote-uid" | "x-remote-group") || name.starts_with("x-remote-extra-")
}

/// Wire rules 1.6, 1.7: nothing that the client says of itself arrives.
fn strip(headers: &mut HeaderMap) {
    hop_by_hop(headers);
    headers.remove(AUTHORIZATION);
    headers.remove(HOST);
    let said: Vec<HeaderName> = headers.keys().filter(|name| is_identity(name)).cloned().collect();
    said.iter().for_each(|name| while headers.remove(name).is_some() {});
}

fn hop_by_hop(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> =
        named.flat_map(|names| names.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    let fixed = [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE];
    for name in named.into_iter().chain(fixed) {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "trailer"] {
        headers.remove(name);
    }
}

fn identify(headers: &mut HeaderMap, identity: &Identity) {
    if let Ok(user) = HeaderValue::from_str(&identity.user) {
        headers.insert("x-remote-user", user);
    }
    for group in identity.groups.iter().filter_map(|group| HeaderValue::from_str(group).ok()) {
        headers.append("x-remote-group", group);
    }
}

/// Wire rule 1.8.
fn add_forwarded(headers: &mut HeaderMap, uri: &Uri) {
    headers.append("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    if let Ok(path) = HeaderValue::from_str(uri.path()) {
        headers.insert("x-forwarded-uri", path);
    }
    if let Ok(id) = HeaderValue::from_str(&object::new_uid()) {
        headers.insert("audit-id", id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_written_anew_with_its_keys_sorted() {
        for (uri, encoded) in [
            ("/apis/a/v1/x?watch=true&labelSelector=a%3Db", "/apis/a/v1/x?labelSelector=a%3Db&watch=true"),
            ("/apis/a/v1/x?a=1;b=2&c=3", "/apis/a/v1/x?c=3"),
            ("/apis/a/v1/x?", "/apis/a/v1/x"),
            ("/apis/a/v1/x%20y", "/apis/a/v1/x%20y"),
        ] {
            assert_eq!(encode(&uri.parse().unwrap()).unwrap().to_string(), encoded);
        }
    }

    #[test]
    fn only_watches_have_no_deadline() {
        assert_eq!(deadline(&"/apis/a/v1/x?watch=1".parse().unwrap()), None);
        assert_eq!(deadline(&"/apis/a/v1".parse().unwrap()), Some(DISCOVERY));
        assert_eq!(deadline(&"/apis/a/v1/x".parse().unwrap()), Some(DEADLINE));
    }

    #[test]
    fn what_a_client_says_of_itself_does_not_arrive() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "x-remote-user", "x-remote-extra-scopes", "connection", "x-hop"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("x-hop"));
        }
        headers.insert("cookie", HeaderValue::from_static("kept"));
        strip(&mut headers);
        identify(&mut headers, &Identity::aggregator());
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["cookie", "x-remote-group", "x-remote-user"]);
    }
}
