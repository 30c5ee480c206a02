//! A client that shows answers as they came.

use std::time::Duration;

use bytes::Bytes;
use connector_proxy::embedded::{Cluster, Options};
use futures::{AsyncBufReadExt, StreamExt, stream::BoxStream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const THINGS: &str = "/apis/example.org/v1/namespaces/default/things";
pub(crate) const MERGE: &str = "application/merge-patch+json";

/// A cluster with a client of it.
pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
}

/// An answer, its body read as JSON where it is.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }

    pub(crate) fn reason(&self) -> &str {
        self.json["reason"].as_str().unwrap_or_default()
    }

    /// The names of a list's items.
    pub(crate) fn names(&self) -> Vec<&str> {
        let items = self.json["items"].as_array().into_iter().flatten();
        items.filter_map(|item| item["metadata"]["name"].as_str()).collect()
    }
}

/// A definition of things that are defaulted, checked and scaled.
pub(crate) fn definition() -> String {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "shortNames": ["th"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [
                    {"name": "SIZE", "type": "string", "jsonPath": ".spec.size"},
                    {"name": "READY", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].status"},
                    {"name": "AGE", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
                ],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
                        "replicas": {"type": "integer"}, "note": {"type": "string"}
                    }},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
                }}}
            }, {
                "name": "v1beta1", "served": true, "storage": false,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
            }]
        }
    })
    .to_string()
}

pub(crate) fn thing(name: &str) -> Value {
    json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": name}, "spec": {}})
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(Options { manifests: vec![definition()], ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let cluster = Cluster::start(options).await.unwrap();
        let kubeconfig = Kubeconfig::from_yaml(&cluster.kubeconfig()).unwrap();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        // Answers of 503 and 504 are looked at here, not tried again.
        config.default_retry = false;
        Self { client: Client::try_from(config).unwrap(), cluster }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let request = request.body(Body::from(bytes.to_vec())).unwrap();
        let work = async {
            let (parts, body) = self.client.send(request).await.unwrap().into_parts();
            (parts, body.collect().await.unwrap().to_bytes())
        };
        let (parts, body) = tokio::time::timeout(PATIENCE, work).await.expect("an answer in time");
        let text = String::from_utf8(body.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Answer { code: parts.status, headers: parts.headers, text, json }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], &Value::Null).await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.call("GET", path, &[("accept", accept)], &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[("content-type", "application/json")], body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path, &[("content-type", "application/json")], body).await
    }

    pub(crate) async fn patch(&self, path: &str, format: &str, body: &Value) -> Answer {
        self.call("PATCH", path, &[("content-type", format)], body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], &Value::Null).await
    }

    pub(crate) async fn make(&self, name: &str) -> Answer {
        let made = self.post(THINGS, &thing(name)).await;
        assert_eq!(made.code, 201, "{}", made.text);
        made
    }

    /// The events of a watch, one JSON document each, until the server ends it.
    pub(crate) async fn watch(&self, path: &str, accept: &str) -> Events {
        let request = Request::get(path).header("accept", accept).body(Vec::new()).unwrap();
        let lines = self.client.request_stream(request).await.unwrap().lines();
        Events(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).boxed())
    }

    /// GETs until the answer is as wished.
    pub(crate) async fn until(&self, path: &str, wished: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if wished(&answer) {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path}: {} {}", answer.code, answer.text);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A watch.
pub(crate) struct Events(BoxStream<'static, Value>);

impl Events {
    /// The next event, `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(PATIENCE, self.0.next()).await.expect("an event in time")
    }

    /// Type and name of the next event.
    pub(crate) async fn told(&mut self) -> String {
        let event = self.next().await.expect("an event");
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
        format!("{} {name}", event["type"].as_str().unwrap_or_default())
    }
}
