//! Random objects.

use serde_json::{Value, json};

use super::Writer;
use super::kinds::set;
use super::random::{json, raw, yaml};
use crate::exchange::{JSON, Request, YAML};

/// Objects that a sequence is about.
pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "x0.y-z"];
const VALID: [&str; 3] = ["0", "a.b-c.d", "n23456789012345678901234567890123456789012345678901234567890123"];
/// None is longer than 63 ("Names of more than 63 characters").
const INVALID: [&str; 7] = ["A", "-a", "a_b", "a..b", "a-", "ä", "a b"];
const BASES: [&str; 4] = ["gen-", "a", "n2345678901234567890123456789012345678901234567890123456789-", "a.b-"];
const KEYS: [&str; 5] = ["l", "m", "example.org/k", "Upper_case.dots", "kubernetes.io/x"];
const VALUES: [&str; 5] = ["1", "2", "", "claim", "a.B_c-d"];

impl Writer {
    pub(super) fn name(&mut self) -> &'static str {
        self.random.of(&NAMES)
    }

    pub(super) fn labels(&mut self) -> Value {
        let mut map = json!({});
        for key in KEYS {
            if self.random.one_in(3) {
                map[key] = json!(self.random.of(&VALUES));
            }
        }
        if self.random.one_in(30) {
            map[self.random.of(&["a b", "/x", "x/", "a/b/c"])] = json!("1");
        }
        if self.random.one_in(30) {
            map["l"] = json!(self.random.of(&[
                "a b",
                "-",
                "n2345678901234567890123456789012345678901234567890123456789012345"
            ]));
        }
        map
    }

    pub(super) fn annotations(&mut self) -> Value {
        let mut map = json!({});
        for key in KEYS {
            if self.random.one_in(3) {
                map[key] = json!(self.random.of(&["1", "2", "", "claim", "{\"a\":1}", "ä\n\"😀\" <&>"]));
            }
        }
        if self.random.one_in(30) {
            map["a b"] = json!("1");
        }
        map
    }

    /// Mostly valid ones.
    pub(super) fn owners(&mut self) -> Value {
        let mut all = Vec::new();
        for uid in 0..self.random.below(3) {
            let mut owner =
                json!({"apiVersion": "owners.example.org/v1", "kind": "Owner", "name": "o", "uid": format!("u-{uid}")});
            if self.random.one_in(3) {
                owner["blockOwnerDeletion"] = json!(self.random.one_in(2));
            }
            if uid == 0 && self.random.one_in(3) {
                owner["controller"] = json!(true);
            }
            if self.random.one_in(12) {
                let fault = self.random.of(&["apiVersion", "kind", "name", "uid"]);
                owner[fault] = json!(self.random.of(&["", "v1/a/b"]));
            }
            if self.random.one_in(12) {
                all.push(owner.clone());
            }
            all.push(owner);
        }
        if self.random.one_in(2) {
            all.reverse();
        }
        json!(all)
    }

    pub(super) fn finalizers(&mut self) -> Value {
        let all =
            [json!(["example.org/f"]), json!(["example.org/f", "example.org/g"]), json!([]), json!(["unqualified"])];
        all[self.random.below(8) % 5 % 4].clone()
    }

    /// The metadata of an object to create or to put.
    pub(super) fn metadata(&mut self, name: &str) -> Value {
        let mut metadata = json!({"name": name});
        if self.random.one_in(2) {
            metadata["labels"] = self.labels();
        }
        if self.random.one_in(3) {
            metadata["annotations"] = self.annotations();
        }
        if self.random.one_in(6) {
            metadata["namespace"] = json!(self.namespace);
        }
        if self.random.one_in(6) && self.owned_by_updates {
            metadata["ownerReferences"] = self.owners();
        }
        if self.random.one_in(8) {
            metadata["finalizers"] = self.finalizers();
        }
        if self.random.one_in(20) {
            let (member, value) = self.random.of(&[
                ("generation", "7"),
                ("creationTimestamp", "\"2000-01-01T00:00:00Z\""),
                ("creationTimestamp", "null"),
                ("deletionTimestamp", "\"2000-01-01T00:00:00Z\""),
                ("deletionGracePeriodSeconds", "3"),
                ("selfLink", "\"/x\""),
                ("managedFields", "[]"),
                ("managedFields", "null"),
                ("generateName", "\"gen-\""),
                ("uid", "\"\""),
                ("labels", "null"),
                ("annotations", "null"),
                ("finalizers", "null"),
            ]);
            metadata[member] = raw(value);
        }
        metadata
    }

    pub(super) fn object(&mut self, metadata: Value) -> Value {
        let mut object = self.subject.content(&mut self.random);
        object["apiVersion"] = json!(self.subject.kind.api_version());
        object["kind"] = json!(self.subject.kind.kind);
        object["metadata"] = metadata;
        object
    }

    /// Takes a body, written as JSON or YAML and perhaps with members that nobody knows, or twice.
    pub(super) fn written(&mut self, request: Request, mut object: Value) -> Request {
        if self.random.one_in(8) {
            let path = self.random.of(&["/unknown", "/spec/unknown", "/metadata/unknown", "/spec/parameters/unknown"]);
            set(&mut object, path, json!({"a": 1}));
        }
        let text = self.doubled(json(&object), 12);
        if self.random.one_in(8) && !text.contains("\\u") && !self.has_doubled(&text) {
            return request.body(YAML, yaml(&object));
        }
        request.body(JSON, text)
    }

    /// Once in `many` times, the same with a member twice.
    pub(super) fn doubled(&mut self, text: String, many: usize) -> String {
        if !self.random.one_in(many) {
            return text;
        }
        let (member, twice) = self.random.of(&[
            (r#""spec":{"#, r#""spec":{"twice":1},"spec":{"#),
            (r#""labels":{"#, r#""labels":{"l":"first","l":"second","#),
            (r#""labels":{"#, r#""labels":{"first":"1"},"labels":{"#),
            (r#""name":"#, r#""name":"first","name":"#),
            (r#""kind":"#, r#""kind":"First","kind":"#),
            (r#""parameters":{"#, r#""parameters":{"x":1,"x":2,"#),
        ]);
        text.replacen(member, twice, 1).replace(",}", "}")
    }

    fn has_doubled(&self, text: &str) -> bool {
        ["first", "twice", "First", r#""x":1,"x""#].iter().any(|mark| text.contains(mark))
    }

    /// The body of a POST.
    pub(super) fn created(&mut self) -> Value {
        let name = match self.random.below(15) {
            0 => self.random.of(&INVALID),
            1 => self.random.of(&VALID),
            _ => self.name(),
        };
        let mut metadata = self.metadata(name);
        if self.random.one_in(6) {
            metadata["generateName"] = json!(self.random.of(&BASES));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.remove("name");
            }
        }
        self.object(metadata)
    }
}
