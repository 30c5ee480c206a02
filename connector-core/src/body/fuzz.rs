//! The fuzz target of this module, and what must hold for every body.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::members::{Members, unquote};
use super::{Live, Target, Translated, apply_patch, create, delete_options, json_patch, merge_patch, update};
use crate::address::{BodyType, Query};
use crate::origin::{Form, Hashed, InputSecret, LABEL_NAME};
use crate::references::References;

const STORED: &[u8] = br#"{"metadata":{"name":"r","uid":"u1","resourceVersion":"7","labels":{"a":"1",
    "mcp-connector.upbound.io/app-cluster":"c1","mcp-connector.upbound.io/app-namespace":"team",
    "mcp-connector.upbound.io/app-resource-name":"db"},"annotations":{"b":"2","mcp-connector.upbound.io/owner-references":
    "[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"o\",\"uid\":\"x\"}]"}},
    "spec":{"writeConnectionSecretToRef":{"name":"imported"},"a":"imported","n":["imported"],"r":{"name":"imported"}}}"#;

/// Whatever comes in, nothing panics, and what goes out is JSON that names only remote things.
pub(super) fn run(data: &[u8]) {
    let scheme = Hashed { cluster: "c1".parse().expect("a valid id"), claim_namespace: "claims".into() };
    let form = Form::Claim;
    let (group, version, resource, kind, namespace) = ("g", "v", "foos", "Foo", "team");
    let (name, subresource) = (Some("db"), None);
    let configured = References::new(["spec.a", "spec.n[*]"], ["spec.r", "spec.u[*].r"]).expect("they are paths");
    let configured = Arc::new(configured);
    for references in [None, Some(&configured)] {
        let target =
            Target { scheme: &scheme, form, references, group, version, resource, kind, namespace, name, subresource };
        let live = Live::parse(&scheme, form, STORED).expect("it is well formed");
        bodies(&target, &live, data);
    }
}

fn bodies(target: &Target<'_>, live: &Live, data: &[u8]) {
    for body_type in [BodyType::Json, BodyType::Yaml] {
        let done = create(&Target { name: None, ..*target }, data, body_type, "abcde");
        let others = update(target, live, data, body_type);
        for done in [done, others].into_iter().flatten() {
            check(target.scheme, &done);
        }
        for live in [None, Some(live)] {
            if let Ok(done) = delete_options(target, live, data, body_type, &Query::default()) {
                assert!(done.body.is_empty() || read(&done.body).get("preconditions").is_some() || live.is_none());
            }
        }
    }
    for live in [None, Some(live)] {
        if let Ok(done) = apply_patch(target, live, data) {
            check(target.scheme, &done);
        }
    }
    for done in [merge_patch(target, live, data), json_patch(target, live, data)] {
        match done {
            Ok(done) => drop(serde_json::from_slice::<&RawValue>(&done.body).expect("what is rendered is JSON")),
            Err(error) => assert!(error.status(target).code >= 400),
        }
    }
}

fn read(body: &[u8]) -> Members<'_> {
    Members::parse(std::str::from_utf8(body).expect("it is text")).expect("what is rendered is an object")
}

/// A whole object has the remote name and namespace, the origin labels, no owner references, and says which input secrets it
/// consumes.
fn check(scheme: &Hashed, done: &Translated) {
    let (object, name) = (read(&done.body), done.name.as_str());
    let metadata = Members::parse(object.get("metadata").expect("there is metadata")).expect("it is an object");
    let text = |key| metadata.get(key).and_then(unquote);
    assert!(text("name").is_none_or(|found| found == scheme.remote_name(Form::Claim, "team", name)));
    // An apply may leave it to the control plane.
    assert!(text("namespace").is_none_or(|found| found == "claims"));
    assert!(metadata.get("ownerReferences").is_none() || done.findings.doubted);
    let labels = Members::parse(metadata.get("labels").expect("there are labels")).expect("they are an object");
    let annotations = Members::parse(metadata.get("annotations").unwrap_or("{}")).unwrap_or_default();
    let annotations: Vec<_> =
        annotations.iter().filter_map(|(key, json)| Some((key.to_owned(), unquote(json)?))).collect();
    let told = scheme.inputs(annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let told: Vec<InputSecret> = told.map(|(_, secret)| secret).collect();
    assert!(done.inputs.iter().all(|input| told.contains(&input.secret)));
    // What is only asked about has another label.
    let spoilt = done.findings.forbid();
    for (key, value) in scheme.labels("team", name) {
        let found = labels.get(key).and_then(unquote);
        assert!(found.as_deref() == Some(&*value) || (key == LABEL_NAME && spoilt));
    }
}
