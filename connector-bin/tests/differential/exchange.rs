//! Requests as they are written, and answers as they come.

use std::io::Read;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;

/// One HTTP request, the same for both clusters but for what `$…` stands for (see [`crate::side::Side::expand`]).
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// As jane, whose rights are few, instead of the admin.
    pub(crate) by_jane: bool,
    /// Follow `continue` to the end, and compare all pages together.
    pub(crate) all_pages: bool,
    /// Instead of the body, the object that was seen last under a key (see [`crate::side::Side::expand`]) is sent, with a change
    /// as of a merge patch. The body is for where there is none.
    pub(crate) from_last: Option<(String, String)>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// 0 where there was none; then the body says why.
    pub(crate) status: u16,
    /// Those that are compared, sorted.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What of the headers a client can act on. `Content-Length` and the like follow from the body.
const COMPARED: &[&str] = &["content-type", "warning", "retry-after", "location", "allow", "vary", "cache-control"];

/// How long an answer may take; watches end by themselves.
const LIMIT: Duration = Duration::from_secs(60);

/// What compressed bodies begin with.
const GZIP: &[u8] = &[0x1f, 0x8b];

pub(crate) const JSON: &str = "application/json";
pub(crate) const YAML: &str = "application/yaml";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(crate) const APPLY_PATCH: &str = "application/apply-patch+yaml";
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
pub(crate) const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";
pub(crate) const PARTIAL_LIST: &str =
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

impl Request {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: vec![("accept", JSON.to_owned()), ("user-agent", "differential/1.0".to_owned())],
            body: String::new(),
            by_jane: false,
            all_pages: false,
            from_last: None,
        }
    }

    /// Puts one value in the place of those that a header has; an empty one is not sent.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self.headers.retain(|(_, value)| !value.is_empty());
        self
    }

    pub(crate) fn accept(self, accept: &str) -> Self {
        self.header("accept", accept)
    }

    pub(crate) fn body(self, content_type: &str, body: impl ToString) -> Self {
        let mut request = self.header("content-type", content_type);
        request.body = body.to_string();
        request
    }

    pub(crate) fn by_jane(mut self) -> Self {
        self.by_jane = true;
        self
    }

    pub(crate) fn all_pages(mut self) -> Self {
        self.all_pages = true;
        self
    }

    pub(crate) fn changing_last(mut self, key: String, change: String) -> Self {
        self.from_last = Some((key, change));
        self
    }

    /// Whether objects of every namespace are asked for.
    pub(crate) fn is_everywhere(&self) -> bool {
        self.path.starts_with("/apis/") && !self.path.contains("/namespaces/")
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.path.contains("watch=") || self.path.contains("/watch/")
    }

    /// The request in one line.
    pub(crate) fn told(&self) -> String {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let body: String = self.body.chars().take(600).collect();
        let from = self.from_last.as_ref().map(|(key, change)| format!(" {key} with {change}, or")).unwrap_or_default();
        format!("{} {} [{}]{from} {body}", self.method, self.path, headers.join(", "))
    }

    /// Sends it, everything in it expanded already.
    pub(crate) async fn send(&self, client: &Client) -> Answer {
        match tokio::time::timeout(LIMIT, self.exchange(client)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer { status: 0, headers: Vec::new(), body: format!("{error:?}") },
            Err(_) => Answer { status: 0, headers: Vec::new(), body: format!("no answer within {LIMIT:?}") },
        }
    }

    async fn exchange(&self, client: &Client) -> anyhow::Result<Answer> {
        let (mut answer, body) = self.open(client).await?;
        let body = body.collect().await?.to_bytes();
        if !body.starts_with(GZIP) {
            answer.body = String::from_utf8_lossy(&body).into_owned();
            return Ok(answer);
        }
        // Only one side compresses ("Answers as they are" in docs/differences.md); what is told is the same.
        answer.headers.retain(|(name, value)| !(name == "vary" && value == "Accept-Encoding"));
        flate2::read::GzDecoder::new(&*body).read_to_string(&mut answer.body)?;
        Ok(answer)
    }

    /// The answer as far as its headers, and what is to come.
    pub(crate) async fn open(&self, client: &Client) -> anyhow::Result<(Answer, Body)> {
        let mut request = http::Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let body = if self.body.is_empty() { Body::empty() } else { Body::from(self.body.clone().into_bytes()) };
        let answer = client.send(request.body(body)?).await?;
        let status = answer.status().as_u16();
        let headers = answer.headers().iter().filter(|(name, _)| COMPARED.contains(&name.as_str()));
        let mut headers: Vec<_> = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        headers.sort();
        Ok((Answer { status, headers, body: String::new() }, answer.into_body()))
    }
}
