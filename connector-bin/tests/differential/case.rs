//! A case: named requests, sent one after the other to both sides.

use crate::exchange::{APPLY_PATCH, Answer, JSON, JSON_PATCH, MERGE_PATCH, Request};
use crate::normal;
use crate::side::{Clients, Content, Normal, Side};
use crate::tree;

/// Requests that belong together, in two namespaces of their own.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) requests: Vec<Request>,
}

/// An API that both sides offer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// What it is called in the names of cases.
    pub(crate) label: &'static str,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    /// A valid `spec`.
    pub(crate) spec: &'static str,
    /// A string in `spec`, as a path of JSON pointers: its parent and its name.
    pub(crate) text: (&'static str, &'static str),
    /// A number in `spec`, the same.
    pub(crate) number: (&'static str, &'static str),
}

/// The documented example.
pub(crate) const CLAIM: Kind = Kind {
    label: "claim",
    group: "k8s.starter.org",
    version: "v1alpha1",
    kind: "KubernetesCluster",
    plural: "kubernetesclusters",
    spec: r#"{"id":"one","parameters":{"nodes":{"count":3,"size":"small"}}}"#,
    text: ("/spec", "id"),
    number: ("/spec/parameters/nodes", "count"),
};

/// A namespaced composite.
pub(crate) const XR: Kind = Kind {
    label: "xr",
    group: "aws.platform.upbound.io",
    version: "v1alpha1",
    kind: "SQLInstance",
    plural: "sqlinstances",
    spec: r#"{"parameters":{"region":"r1","engine":"postgres","engineVersion":"13","storageGB":5,"passwordSecretRef":{"name":"s","key":"k"},"networkRef":{"id":"n"}}}"#,
    text: ("/spec/parameters", "region"),
    number: ("/spec/parameters", "storageGB"),
};

/// Of the suite's own XRD: two versions, a free part, lists and printer columns.
pub(crate) const WIDGET: Kind = Kind {
    label: "widget",
    group: "differential.example.org",
    version: "v1",
    kind: "Widget",
    plural: "widgets",
    spec: r#"{"text":"one","number":1}"#,
    text: ("/spec", "text"),
    number: ("/spec", "number"),
};

/// Has a part without a schema.
pub(crate) const APP: Kind = Kind {
    label: "app",
    group: "platform.upbound.io",
    version: "v1alpha1",
    kind: "App",
    plural: "apps",
    spec: "{}",
    text: ("/spec/parameters", "providerConfigName"),
    number: ("/spec/parameters/helm/values", "number"),
};

impl Kind {
    pub(crate) fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// The path of the collection in the case's namespace.
    pub(crate) fn all(&self) -> String {
        self.all_in("$ns")
    }

    pub(crate) fn all_in(&self, namespace: &str) -> String {
        format!("/apis/{}/{}/namespaces/{namespace}/{}", self.group, self.version, self.plural)
    }

    /// The path of the collection across namespaces.
    pub(crate) fn everywhere(&self) -> String {
        format!("/apis/{}/{}/{}", self.group, self.version, self.plural)
    }

    pub(crate) fn one(&self, name: &str) -> String {
        format!("{}/{name}", self.all())
    }

    /// An object with this `metadata` (JSON).
    pub(crate) fn with_metadata(&self, metadata: &str) -> String {
        self.with(metadata, self.spec)
    }

    pub(crate) fn with(&self, metadata: &str, spec: &str) -> String {
        let (api_version, kind) = (self.api_version(), self.kind);
        format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{metadata},"spec":{spec}}}"#)
    }

    pub(crate) fn named(&self, name: &str) -> String {
        self.with_metadata(&format!(r#"{{"name":"{name}"}}"#))
    }

    pub(crate) fn create(&self, name: &str) -> Request {
        self.post(self.named(name))
    }

    /// The same with labels (JSON).
    pub(crate) fn create_labelled(&self, name: &str, labels: &str) -> Request {
        self.post(self.with_metadata(&format!(r#"{{"name":"{name}","labels":{labels}}}"#)))
    }

    pub(crate) fn post(&self, body: impl ToString) -> Request {
        self.post_with("", body)
    }

    /// `query` begins with `?`, or is empty.
    pub(crate) fn post_with(&self, query: &str, body: impl ToString) -> Request {
        Request::new("POST", format!("{}{query}", self.all())).body(JSON, body)
    }

    pub(crate) fn get(&self, name: &str) -> Request {
        Request::new("GET", self.one(name))
    }

    pub(crate) fn list(&self, query: &str) -> Request {
        Request::new("GET", format!("{}{query}", self.all()))
    }

    pub(crate) fn put(&self, name: &str, body: impl ToString) -> Request {
        Request::new("PUT", self.one(name)).body(JSON, body)
    }

    pub(crate) fn delete(&self, name: &str) -> Request {
        Request::new("DELETE", self.one(name))
    }

    pub(crate) fn merge(&self, name: &str, body: impl ToString) -> Request {
        Request::new("PATCH", self.one(name)).body(MERGE_PATCH, body)
    }

    pub(crate) fn json_patch(&self, name: &str, body: impl ToString) -> Request {
        Request::new("PATCH", self.one(name)).body(JSON_PATCH, body)
    }

    /// `query` without `?`.
    pub(crate) fn apply(&self, name: &str, query: &str, body: impl ToString) -> Request {
        Request::new("PATCH", format!("{}?{query}", self.one(name))).body(APPLY_PATCH, body)
    }
}

pub(crate) fn case(name: impl Into<String>, requests: impl Into<Vec<Request>>) -> Case {
    Case { name: name.into(), requests: requests.into() }
}

/// Something that is not the same.
pub(crate) struct Difference {
    /// The case, and which of its requests.
    pub(crate) place: String,
    pub(crate) request: String,
    pub(crate) told: Vec<String>,
}

impl Difference {
    /// Whether only resource versions differ: one side has stored what the other has left as it was.
    pub(crate) fn is_of_versions(&self) -> bool {
        self.told.iter().all(|told| told.lines().next().is_some_and(|line| line.ends_with(".resourceVersion:")))
    }
}

/// Both sides, within one case.
pub(crate) struct Both {
    pub(crate) native: Side,
    pub(crate) through: Side,
    /// What is asked comes from chance: known differences that nobody can leave out are passed over. A refusal may lack the
    /// warnings that the native one has ("Warnings beside a refusal").
    pub(crate) random: bool,
}

impl Both {
    pub(crate) fn new(native: &Clients, through: &Clients, namespace: &str) -> Self {
        let (native, through) = (Side::new(native.clone(), namespace), Side::new(through.clone(), namespace));
        Self { native, through, random: false }
    }

    /// Sends one request to both, and says how the answers differ.
    pub(crate) async fn ask(&mut self, place: String, request: &Request) -> Option<Difference> {
        let asked = futures::future::join(self.native.ask(request), self.through.ask(request)).await;
        let ((first, native), (second, through)) = asked;
        self.compare(place, request, (&first, native), (&second, through))
    }

    /// Says how the events of watches differ.
    pub(crate) fn compare_watches(
        &mut self,
        place: String,
        request: &Request,
        native: Answer,
        through: Answer,
    ) -> Option<Difference> {
        let normal = (self.native.normal(request, &native), self.through.normal(request, &through));
        let events = [("native ", events(&normal.0)), ("through", events(&normal.1))];
        let mut difference = self.compare(place, request, (&native, normal.0), (&through, normal.1))?;
        difference.told.extend(events.map(|(side, events)| format!("{side} saw {events:?}")));
        Some(difference)
    }

    fn compare(
        &self,
        place: String,
        request: &Request,
        (first, mut native): (&Answer, Normal),
        (second, mut through): (&Answer, Normal),
    ) -> Option<Difference> {
        let warned = |normal: &Normal| normal.headers.iter().any(|(name, _)| name == "warning");
        if self.random {
            // Indented or not; who owns a map has lines, too ("Who owns a map").
            (native.lines, through.lines) = (native.lines.min(2), through.lines.min(2));
        }
        if self.random && !warned(&through) {
            // Of what is refused as invalid, only the warning of the version.
            native.headers.retain(|(name, value)| match through.status {
                400 | 404 => name != "warning",
                422 => name != "warning" || !value.contains("use v1 of widgets"),
                _ => true,
            });
        }
        let mut told = Vec::new();
        let trace = traces(&second.body);
        if !trace.is_empty() {
            told.push(format!("the connector's answer betrays the control plane: {trace:?} in {}", second.body));
        }
        if native != through {
            told.extend(differences(&native, &through));
            if native.lines != through.lines {
                told.extend(first_line(&first.body, &second.body));
            }
            if native.status != through.status || told.is_empty() {
                told.push(format!("native  answered {} {:?} {}", first.status, first.headers, short(&first.body)));
                told.push(format!("through answered {} {:?} {}", second.status, second.headers, short(&second.body)));
            }
        }
        (!told.is_empty()).then(|| Difference { place, request: self.through.expand(&request.told()), told })
    }
}

/// The events of a watch in short.
fn events(of: &Normal) -> Vec<String> {
    let Content::Json(tree::Tree::Array(events)) = &of.body else { return Vec::new() };
    events.iter().map(|event| format!("{} {}", event.text(&["type"]), normal::subject(event).join("/"))).collect()
}

fn differences(native: &Normal, through: &Normal) -> Vec<String> {
    let mut told = Vec::new();
    if native.status != through.status {
        told.push(format!("status: native {}, through {}", native.status, through.status));
    }
    if native.headers != through.headers {
        told.push(format!("headers:\n      native  {:?}\n      through {:?}", native.headers, through.headers));
    }
    match (&native.body, &through.body) {
        (Content::Json(native), Content::Json(through)) => told.extend(tree::differences(native, through)),
        (Content::Text(native), Content::Text(through)) if native.contains('\n') => {
            let lines = native
                .lines()
                .map(Some)
                .chain(std::iter::repeat(None))
                .zip(through.lines().map(Some).chain(std::iter::repeat(None)));
            let lines = lines.take_while(|lines| *lines != (None, None)).filter(|(native, through)| native != through);
            told.extend(
                lines
                    .take(6)
                    .map(|(native, through)| format!("line:\n      native  {native:?}\n      through {through:?}")),
            );
        }
        (native, through) if native != through => {
            told.push(format!("body:\n      native  {native:?}\n      through {through:?}"));
        }
        _ => {}
    }
    if told.is_empty() && native.lines != through.lines {
        told.push(format!("lines of the body: native {}, through {}", native.lines, through.lines));
    }
    told
}

/// The first line that is indented differently.
fn first_line(native: &str, through: &str) -> Option<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let both = || native.lines().zip(through.lines());
    let (native, through) = both().find(|(native, through)| indent(native) != indent(through))?;
    Some(format!("first by its indent:\n      native  {native}\n      through {through}"))
}

/// What would betray the control plane in an answer.
fn traces(body: &str) -> Vec<&'static str> {
    let marks = ["mcp-connector.upbound.io", crate::world::CLAIM_NAMESPACE, "claim-", "nxr-"];
    marks.into_iter().filter(|mark| body.contains(mark)).collect()
}

fn short(text: &str) -> String {
    text.chars().take(1500).collect()
}
