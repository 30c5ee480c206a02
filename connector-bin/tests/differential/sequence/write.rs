//! Random creates, updates and deletes.

use serde_json::{Value, json};

use super::Writer;
use super::object::NAMES;
use super::random::json;
use crate::exchange::{JSON, JSON_PATCH, MERGE_PATCH, Request};

impl Writer {
    pub(super) fn create(&mut self) -> Request {
        let object = self.created();
        let request = Request::new("POST", self.all() + &self.options(&["dryRun=All"]));
        let request = self.written(request, object);
        self.by_manager(request)
    }

    /// A PUT: of an object written anew, or as controllers do, of what was read with a change.
    pub(super) fn update(&mut self) -> Request {
        let name = self.name();
        let query = self.options(&["dryRun=All"]);
        if self.random.one_in(2) {
            let request = Request::new("PUT", self.one(name) + &query);
            let change = self.change();
            let request =
                request.body(JSON, self.subject.kind.named(name)).changing_last(self.key(name), json(&change));
            return self.by_manager(request);
        }
        if self.random.one_in(12) {
            return self.mismatched(name);
        }
        let mut metadata = self.metadata(name);
        match self.random.below(10) {
            0 => {}
            1 => metadata["resourceVersion"] = json!(self.random.of(&["1", "x", "", "0"])),
            2 => {
                let other = self.random.of(&NAMES);
                metadata["resourceVersion"] = json!(self.of_object("rv", other));
            }
            _ => metadata["resourceVersion"] = json!(self.of_object("rv", name)),
        }
        match self.random.below(12) {
            0 => metadata["uid"] = json!(self.of_object("uid", name)),
            1 => metadata["uid"] = json!("00000000-0000-0000-0000-000000000000"),
            _ => {}
        }
        let object = self.object(metadata);
        let request = self.written(Request::new("PUT", self.one(name) + &query), object);
        self.by_manager(request)
    }

    /// What the connector refuses itself comes without warnings ("Warnings beside a refusal"), so there is nothing else to warn
    /// of.
    fn mismatched(&mut self, name: &str) -> Request {
        let mut object: Value = serde_json::from_str(&self.subject.kind.named(name)).unwrap_or_default();
        object["metadata"]["resourceVersion"] = json!(self.of_object("rv", name));
        match self.random.below(4) {
            0 => object["metadata"]["name"] = json!("other"),
            1 => object["metadata"]["namespace"] = json!("elsewhere"),
            2 => object["metadata"]["name"] = json!(""),
            _ => object["kind"] = json!("Other"),
        }
        Request::new("PUT", self.one(name)).body(JSON, json(&object))
    }

    /// A merge patch that a client makes on its own copy of the object.
    fn change(&mut self) -> Value {
        let mut change = json!({"metadata": {}});
        let metadata = &mut change["metadata"];
        match self.random.below(10) {
            0 => metadata["labels"] = Value::Null,
            1 | 2 => metadata["labels"] = self.labels(),
            3 => metadata["annotations"] = self.annotations(),
            4 if self.owned_by_updates => metadata["ownerReferences"] = self.owners(),
            5 => metadata["finalizers"] = self.finalizers(),
            6 => metadata["managedFields"] = self.random.of(&[json!([]), Value::Null, json!([{}])]),
            7 => metadata["resourceVersion"] = Value::Null,
            _ => {}
        }
        for _ in 0..self.random.below(3) {
            let (path, value) = self.subject.member(&mut self.random);
            super::kinds::set(&mut change, path, value);
        }
        change
    }

    pub(super) fn delete(&mut self) -> Request {
        let name = self.name();
        let request = Request::new("DELETE", self.one(name));
        if self.random.one_in(3) {
            let query = self.random.of(&[
                "propagationPolicy=Background",
                "propagationPolicy=Foreground",
                "propagationPolicy=Orphan",
                "propagationPolicy=Sideways",
                "gracePeriodSeconds=0",
                "gracePeriodSeconds=30",
                "gracePeriodSeconds=x",
                "orphanDependents=true",
                "orphanDependents=false",
                "dryRun=All",
                "dryRun=Some",
                "dryRun=All&propagationPolicy=Foreground",
            ]);
            return Request { path: format!("{}?{query}", request.path), ..request };
        }
        if self.random.one_in(2) {
            return request;
        }
        let options = self.delete_options(name);
        request.body(JSON, json(&options))
    }

    fn delete_options(&mut self, name: &str) -> Value {
        let mut options = json!({});
        if self.random.one_in(2) {
            options = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        }
        match self.random.below(8) {
            0 | 1 => options["propagationPolicy"] = json!("Background"),
            2 => options["propagationPolicy"] = json!("Foreground"),
            3 => options["propagationPolicy"] = json!("Orphan"),
            4 => options["orphanDependents"] = json!(self.random.one_in(2)),
            5 => options["gracePeriodSeconds"] = json!(self.random.of(&[0, 30, -1])),
            _ => {}
        }
        match self.random.below(8) {
            0 => options["preconditions"] = json!({"uid": self.of_object("uid", name)}),
            1 => options["preconditions"] = json!({"resourceVersion": self.of_object("rv", name)}),
            2 => options["preconditions"] = json!({"uid": "00000000-0000-0000-0000-000000000000"}),
            3 => {
                options["preconditions"] = json!({"uid": self.of_object("uid", name), "resourceVersion": "1"});
            }
            4 => {
                let other = self.random.of(&NAMES);
                options["preconditions"] = json!({"uid": self.of_object("uid", other)});
            }
            _ => {}
        }
        if self.random.one_in(6) {
            options["dryRun"] = json!(["All"]);
        }
        options
    }

    /// Of the kinds that have no such subresource, too.
    pub(super) fn scale(&mut self) -> Request {
        let name = self.name();
        let path = self.one(name) + "/scale";
        let replicas = self.random.of(&["0", "1", "3", "-1", "\"x\""]);
        let change = format!(r#"{{"spec":{{"replicas":{replicas}}}}}"#);
        let request = match self.random.below(4) {
            0 => {
                let version = self.of_object("rv", name);
                let body = format!(
                    r#"{{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{{"name":"{name}","namespace":"{}","resourceVersion":"{version}"}},"spec":{{"replicas":{replicas}}}}}"#,
                    self.namespace
                );
                Request::new("PUT", path).body(JSON, body)
            }
            // A Scale that operations make invalid is told in another order ("Words about bodies that are no objects").
            1 if replicas != "\"x\"" => Request::new("PATCH", path)
                .body(JSON_PATCH, format!(r#"[{{"op":"replace","path":"/spec/replicas","value":{replicas}}}]"#)),
            _ => Request::new("PATCH", path).body(MERGE_PATCH, change),
        };
        self.by_manager(request)
    }

    /// Without a `limit`: what it hits follows from the order ("The order of lists").
    pub(super) fn delete_collection(&mut self) -> Request {
        let selectors = self.selectors(false);
        let request = Request::new("DELETE", format!("{}?{selectors}", self.all()));
        match self.random.below(4) {
            0 => request.body(JSON, r#"{"propagationPolicy":"Background"}"#),
            1 => request.body(JSON, r#"{"dryRun":["All"]}"#),
            2 => Request { path: format!("{}&propagationPolicy=Foreground", request.path), ..request },
            _ => request,
        }
    }
}
