//! Random patches.

use serde_json::{Value, json};

use super::Writer;
use super::kinds::set;
use super::object::NAMES;
use super::random::{json, raw, yaml};
use crate::exchange::{APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Request};

impl Writer {
    pub(super) fn merge(&mut self) -> Request {
        let name = self.name();
        let status = self.status(6);
        let path = self.one(name) + status + &self.options(&["dryRun=All", "force=true"]);
        let patch = self.merge_patch(name);
        let text = self.doubled(json(&patch), 12);
        self.by_manager(Request::new("PATCH", path).body(MERGE_PATCH, text))
    }

    fn merge_patch(&mut self, name: &str) -> Value {
        let mut patch = json!({});
        for map in ["labels", "annotations"] {
            match self.random.below(9) {
                0 => set(&mut patch, &format!("/metadata/{map}"), Value::Null),
                1 => set(&mut patch, &format!("/metadata/{map}"), json!({"l": null, "m": "3"})),
                2 => set(&mut patch, &format!("/metadata/{map}"), json!({})),
                3 => patch["metadata"][map] = if map == "labels" { self.labels() } else { self.annotations() },
                _ => {}
            }
        }
        if self.random.one_in(6) && self.owned_by_updates {
            let owners = if self.random.one_in(4) { Value::Null } else { self.owners() };
            set(&mut patch, "/metadata/ownerReferences", owners);
        }
        if self.random.one_in(8) {
            let finalizers = if self.random.one_in(2) { Value::Null } else { self.finalizers() };
            set(&mut patch, "/metadata/finalizers", finalizers);
        }
        if self.random.one_in(8) {
            let (uid, version) = (self.of_object("uid", name), self.of_object("rv", name));
            let (path, value) = self.random.of(&[
                ("/metadata/name", json!(name)),
                ("/metadata/name", json!("other")),
                ("/metadata/name", Value::Null),
                ("/metadata/namespace", json!(self.namespace)),
                ("/metadata/namespace", json!("elsewhere")),
                ("/metadata/namespace", Value::Null),
                ("/metadata/uid", json!(uid)),
                ("/metadata/uid", json!("00000000-0000-0000-0000-000000000000")),
                ("/metadata/uid", Value::Null),
                ("/metadata/resourceVersion", json!(version)),
                ("/metadata/resourceVersion", json!("1")),
                ("/metadata/resourceVersion", Value::Null),
                ("/metadata/creationTimestamp", Value::Null),
                ("/metadata/generation", json!(5)),
                ("/metadata/generateName", json!("x-")),
                ("/metadata/managedFields", Value::Null),
                ("/metadata/managedFields", json!([])),
                ("/kind", json!("Other")),
            ]);
            set(&mut patch, path, value);
        }
        for _ in 0..self.random.below(3) {
            let (path, value) = self.subject.member(&mut self.random);
            let (path, value) = match self.random.below(8) {
                // Any level of it.
                0 => (self.level(path), Value::Null),
                1 => (self.level(path), raw("{}")),
                2 => (format!("{path}/unknown"), json!(1)),
                _ => (path.to_owned(), value),
            };
            set(&mut patch, &path, value);
        }
        patch
    }

    /// A path, or one above it.
    fn level(&mut self, path: &str) -> String {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let depth = self.random.below(segments.len()) + 1;
        segments[..depth].iter().map(|segment| format!("/{segment}")).collect()
    }

    pub(super) fn operations(&mut self) -> Request {
        let name = self.name();
        let status = self.status(8);
        let path = self.one(name) + status + &self.options(&["dryRun=All"]);
        let operations: Vec<Value> = (0..=self.random.below(3)).map(|_| self.operation(name)).collect();
        self.by_manager(Request::new("PATCH", path).body(JSON_PATCH, json(&json!(operations))))
    }

    fn operation(&mut self, name: &str) -> Value {
        let op = self.random.of(&["add", "add", "add", "replace", "replace", "remove", "test"]);
        let with = |path: &str, value: Value| match op {
            "remove" => json!({"op": op, "path": path}),
            _ => json!({"op": op, "path": path, "value": value}),
        };
        let (path, value) = match self.random.below(20) {
            0 | 1 => ("/metadata/labels".to_owned(), self.labels()),
            2 => ("/metadata/annotations".to_owned(), self.annotations()),
            3..7 => {
                let map = self.random.of(&["labels", "labels", "annotations"]);
                let key = self.random.of(&["l", "m", "example.org~1k", "none", "kubernetes.io~1x"]);
                (format!("/metadata/{map}/{key}"), json!(self.random.of(&["1", "2", "3"])))
            }
            7 if self.owned_by_updates => ("/metadata/ownerReferences".to_owned(), self.owners()),
            8 if self.owned_by_updates => {
                // Several owners could have the same UID then, whose order is the server's own.
                let place = self.random.of(&["/metadata/ownerReferences/0/name", "/metadata/ownerReferences/0/kind"]);
                (place.to_owned(), json!("changed"))
            }
            9 => ("/metadata/finalizers".to_owned(), self.finalizers()),
            10 => ("/metadata/finalizers/0".to_owned(), json!("example.org/h")),
            11 => {
                let member = self.random.of(&["name", "namespace", "uid", "resourceVersion", "generateName"]);
                let value = match member {
                    "name" => json!(self.random.of(&NAMES)),
                    "namespace" => json!(self.random.of(&["$ns", "$other"])),
                    "uid" => json!(self.of_object("uid", name)),
                    "resourceVersion" => json!(self.of_object("rv", name)),
                    _ => Value::Null,
                };
                return match self.random.below(4) {
                    0 => with(&format!("/metadata/{member}"), value),
                    _ => json!({"op": "test", "path": format!("/metadata/{member}"), "value": value}),
                };
            }
            12 | 13 => return self.transfer(),
            14 => {
                let path = self.random.of(&["/spec/none", "/spec/none/none", "/status", "/other"]);
                (path.to_owned(), Value::Null)
            }
            _ => {
                let (path, value) = self.subject.member(&mut self.random);
                let path = if self.random.one_in(6) { self.level(path) } else { path.to_owned() };
                (path, value)
            }
        };
        with(&path, value)
    }

    fn transfer(&mut self) -> Value {
        let op = self.random.of(&["copy", "move"]);
        let (from, to) = (self.place(), self.place());
        json!({"op": op, "from": from, "path": to})
    }

    /// A place that can be copied from or to.
    fn place(&mut self) -> String {
        const HIDDEN: [&str; 8] = [
            "/metadata/labels",
            "/metadata/labels/l",
            "/metadata/annotations",
            "/metadata/annotations/m",
            "/metadata/name",
            "/metadata/ownerReferences",
            "/metadata",
            "",
        ];
        if self.random.one_in(4) {
            return self.random.of(&HIDDEN).to_owned();
        }
        let (path, _) = self.subject.member(&mut self.random);
        if self.random.one_in(4) { self.level(path) } else { path.to_owned() }
    }

    pub(super) fn apply(&mut self) -> Request {
        let name = self.name();
        let manager = self.manager();
        let status = self.status(8);
        let mut query = format!("?fieldManager={manager}");
        if self.random.one_in(2) {
            query += "&force=true";
        }
        query += self.random.of(&["", "", "", "", "&dryRun=All", "&fieldValidation=Strict", "&fieldValidation=Ignore"]);
        // Of several faults, kube-apiserver tells those that it finds before one that ends its search, in random order.
        let body = if self.random.one_in(8) {
            let mut object: Value = serde_json::from_str(&self.subject.kind.named(name)).unwrap_or_default();
            if self.random.one_in(2) {
                set(&mut object, self.random.of(&["/spec/unknown", "/unknown", "/metadata/unknown"]), json!(1));
                json(&object)
            } else {
                self.doubled(json(&object), 1)
            }
        } else {
            let object = self.applied(name, manager);
            let text = json(&object);
            if self.random.one_in(4) && !text.contains("\\u") { yaml(&object) } else { text }
        };
        Request::new("PATCH", self.one(name) + status + &query).body(APPLY_PATCH, body)
    }

    fn applied(&mut self, name: &str, manager: &str) -> Value {
        let mut metadata = json!({"name": name});
        // An empty map is owned for itself ("Who owns a map").
        let labels = self.labels();
        if self.random.one_in(2) && labels != json!({}) {
            metadata["labels"] = labels;
        }
        let annotations = self.annotations();
        if self.random.one_in(3) && annotations != json!({}) {
            metadata["annotations"] = annotations;
        }
        if self.random.one_in(8) {
            metadata["finalizers"] = self.finalizers();
        }
        if self.random.one_in(10) {
            metadata["namespace"] = json!(self.namespace);
        }
        // Different ones conflict ("Who owns a map"), so one manager applies them.
        if !self.owned_by_updates && manager == "first" && self.random.one_in(2) {
            let owners = self.owners();
            if owners != json!([]) {
                metadata["ownerReferences"] = owners;
            }
        }
        // To apply nothing is a known difference, too ("Who owns a map").
        let bare = !metadata["labels"].is_null() && self.random.one_in(3);
        let mut object = json!({
            "apiVersion": self.subject.kind.api_version(),
            "kind": self.subject.kind.kind,
        });
        if !bare {
            object = self.object(Value::Null);
        }
        // Looking for the labels has made a member of them.
        metadata.as_object_mut().into_iter().for_each(|metadata| metadata.retain(|_, value| !value.is_null()));
        object["metadata"] = metadata;
        object
    }
}
