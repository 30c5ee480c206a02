//! Requests as they are written, and answers as they come, where kubectl would be in the way.

use anyhow::{Context, Result};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use testkit::Cluster;

/// A client that shows everything.
pub(crate) struct Raw {
    client: Client,
}

/// An answer, with what became of its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Result<String, kube::Error>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        self.body.as_deref().unwrap_or("a broken body")
    }

    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(self.text()).with_context(|| format!("{} and no JSON: {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Raw {
    /// A cluster's admin.
    pub(crate) async fn admin_of(cluster: &Cluster) -> Result<Self> {
        Ok(Self { client: cluster.plain_client_for("admin", &["system:masters"]).await? })
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_empty() { Body::empty() } else { Body::from(body.as_bytes().to_vec()) };
        let answer = self.client.send(request.body(body)?).await?;
        let (parts, body) = answer.into_parts();
        let body = match body.collect().await {
            Ok(body) => Ok(String::from_utf8(body.to_bytes().to_vec())?),
            Err(error) => Err(kube::Error::Service(Box::new(error))),
        };
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}
