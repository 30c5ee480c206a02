//! `create`, `update` and `patch`.

mod modify;

use connector_core::status::{Cause, Details, Status};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::Value;

use super::admit;
use super::api::Api;
use super::fields::{self, Writer};
use super::kinds::Kind;
use super::media::{self, Answer, Form};
use super::read::respond;
use super::render::Renderer;
use super::request::{Params, Target, manager};
use super::store::{Decision, Key, Object, Outcome, Shared};
use super::{object, protobuf, scale};

/// How often a name is generated anew before giving up (wire rule 8.5).
const NAMES: usize = 8;

/// One request that writes.
pub(super) struct Write<'a> {
    pub(super) api: &'a Api,
    pub(super) kind: &'a Kind,
    pub(super) target: &'a Target,
    pub(super) params: &'a Params,
    pub(super) parts: &'a Parts,
}

/// How unknown fields are told: the code of the failure differs between writes and patches (wire rule 8.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Object,
    Patch,
}

/// The object of a body that is JSON, YAML, or for some built-in kinds protobuf.
pub(super) fn parse(parts: &Parts, body: &[u8]) -> Result<Value, Status> {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let value: Value = match content_type.split(';').next().unwrap_or_default().trim() {
        "" | "application/json" => serde_json::from_slice(body).map_err(|error| {
            Status::bad_request(format!("the object provided is unrecognized (must be of type json): {error}"))
        })?,
        "application/yaml" => {
            let text = std::str::from_utf8(body).map_err(|_| Status::bad_request("the body is not UTF-8"))?;
            serde_saphyr::from_str(text)
                .map_err(|error| Status::bad_request(format!("the object provided is unrecognized: {error}")))?
        }
        "application/vnd.kubernetes.protobuf" => protobuf::decode(body)
            .ok_or_else(|| Status::unsupported_media_type("application/json, application/yaml"))?,
        _ => return Err(Status::unsupported_media_type("application/json, application/yaml")),
    };
    if value.is_object() { Ok(value) } else { Err(Status::bad_request("the object provided is not an object")) }
}

impl Write<'_> {
    fn writer<'a>(&'a self, manager: &'a str, api_version: &'a str) -> Writer<'a> {
        Writer { manager, api_version, subresource: self.target.subresource.as_deref() }
    }

    /// Wire rules 8.1, 8.3: the body must be of the kind and namespace that the URL names.
    fn check_head(&self, object: &mut Value) -> Result<(), Status> {
        let wanted = self.kind.api_version();
        let given = object["apiVersion"].as_str().unwrap_or_default().to_owned();
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        // Typed clients leave the head out for built-in kinds.
        if (!given.is_empty() || self.kind.custom) && given != wanted {
            return Err(Status::bad_request(format!(
                "the API version in the data ({given}) does not match the expected API version ({wanted})"
            )));
        }
        if (!kind.is_empty() || self.kind.custom) && kind != self.kind.kind {
            return Err(Status::bad_request(format!(
                "{kind} in version {:?} cannot be handled as a {}: no kind {kind:?} is registered",
                self.kind.version, self.kind.kind
            )));
        }
        object["apiVersion"] = wanted.into();
        object["kind"] = self.kind.kind.clone().into();
        let namespace = object::namespace(object).to_owned();
        if !self.kind.namespaced {
            object::metadata_mut(object).remove("namespace");
        } else if namespace.is_empty() {
            object::metadata_mut(object).insert("namespace".into(), self.target.namespace.clone().into());
        } else if namespace != self.target.namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        Ok(())
    }

    /// Tells unknown fields as `fieldValidation` asks for: a failure, warnings, or nothing.
    fn tell_unknown(&self, unknown: &[String], strictness: Strictness) -> Result<Vec<String>, Status> {
        let told: Vec<String> = unknown.iter().map(|field| format!("unknown field {field:?}")).collect();
        match self.params.get("fieldValidation") {
            "Strict" if !told.is_empty() => {
                let message = format!("strict decoding error: {}", told.join(", "));
                let Kind { group, version, kind, .. } = self.kind;
                Err(match strictness {
                    Strictness::Object => Status::bad_request(format!(
                        "{kind} in version {version:?} cannot be handled as a {kind}: {message}"
                    )),
                    Strictness::Patch => {
                        let name = self.target.name.as_deref().unwrap_or_default();
                        let message = format!("Invalid value: {message}");
                        let cause = Cause { reason: "FieldValueInvalid".into(), message, field: "patch".into() };
                        Status::invalid(group, kind, name, vec![cause])
                    }
                })
            }
            "Ignore" => Ok(Vec::new()),
            _ => Ok(told),
        }
    }

    fn answer(&self, code: StatusCode, object: &Shared, warnings: &[String]) -> Answer {
        if self.target.subresource.as_deref() == Some("scale") {
            let scale = scale::of(self.kind, object.value())?;
            return Ok(respond(code, object::to_json(&scale), self.params, self.parts));
        }
        let form = Form::negotiate(&self.parts.headers, false)?;
        let json = Renderer::new(self.kind, form, self.params.get("includeObject"))?.one(object);
        let mut response = respond(code, json, self.params, self.parts);
        warnings.iter().for_each(|warning| media::warn(&mut response, warning));
        Ok(response)
    }

    /// POST of an object.
    pub(super) fn create(&self, body: &[u8]) -> Answer {
        let mut object = parse(self.parts, body)?;
        self.check_head(&mut object)?;
        if !object::revision(&object).is_empty() {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        object::metadata_mut(&mut object).remove("managedFields");
        self.clean_new(&mut object);
        self.store_new(object, false)
    }

    /// Takes away what a creator cannot say (wire rule 8.4).
    fn clean_new(&self, object: &mut Value) {
        let metadata = object::metadata_mut(object);
        for name in
            ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"]
        {
            metadata.remove(name);
        }
        if self.kind.status
            && let Some(members) = object.as_object_mut()
        {
            members.remove("status");
        }
    }

    /// Stores an object that is new; `recorded` says whether its writer is in `managedFields` already.
    fn store_new(&self, object: Value, recorded: bool) -> Answer {
        let prefix = match (object::name(&object), object::meta_text(&object, "generateName")) {
            ("", "") => {
                let message = "Required value: name or generateName is required".to_owned();
                let cause = Cause { reason: "FieldValueRequired".into(), message, field: "metadata.name".into() };
                return Err(Status::invalid(&self.kind.group, &self.kind.kind, "", vec![cause]));
            }
            ("", prefix) => Some(prefix.to_owned()),
            _ => None,
        };
        for _ in 1..NAMES {
            match self.store_once(object.clone(), prefix.as_deref(), recorded) {
                Err(status) if prefix.is_some() && status.reason == "AlreadyExists" => {}
                other => return other,
            }
        }
        self.store_once(object, prefix.as_deref(), recorded).map_err(|mut status| {
            if status.reason == "AlreadyExists" && prefix.is_some() {
                status.message += ", the server was not able to generate a unique name for the object";
                status.details = Some(Details { retry_after_seconds: 1, ..status.details.unwrap_or_default() });
            }
            status
        })
    }

    fn store_once(&self, mut object: Value, prefix: Option<&str>, recorded: bool) -> Answer {
        if let Some(prefix) = prefix {
            object::metadata_mut(&mut object).insert("name".into(), object::generate_name(prefix).into());
        }
        if self.kind.namespaced {
            let namespace = self.api.namespace(&self.target.namespace);
            admit::check_namespace(self.kind, &object, namespace.as_ref().map(|namespace| namespace.value()))?;
        }
        let warnings = self.tell_unknown(&admit::shape(self.kind, &mut object), Strictness::Object)?;
        if !recorded {
            let manager = manager(self.params, self.parts);
            fields::record(None, &mut object, &self.writer(&manager, &self.kind.api_version()));
        }
        admit::check(self.kind, &mut object, true)?;
        let metadata = object::metadata_mut(&mut object);
        metadata.insert("uid".into(), object::new_uid().into());
        metadata.insert("creationTimestamp".into(), object::now().into());
        if has_generation(self.kind) {
            metadata.insert("generation".into(), 1.into());
        }
        let key = Key::new(object::namespace(&object), object::name(&object));
        let made = Object::new(object.clone());
        let dry_run = self.params.dry_run();
        let outcome = self.api.store.change(&self.kind.resource, &key, |present| match present {
            Some(present) => Err(self.exists(&key.name, present.value())),
            None if dry_run => Ok(Decision::Keep),
            None => Ok(Decision::Put(object)),
        })?;
        match outcome {
            Outcome::Stored(stored) => {
                self.api.stored(&self.kind.resource);
                self.answer(StatusCode::CREATED, &stored, &warnings)
            }
            Outcome::Absent | Outcome::Removed(_) => self.answer(StatusCode::CREATED, &made, &warnings),
        }
    }

    fn exists(&self, name: &str, present: &Value) -> Status {
        let mut status = Status::already_exists(&self.kind.group, &self.kind.plural, name);
        if object::is_terminating(present) {
            // Wire rule 11.22.
            status.message = format!("object is being deleted: {}", status.message);
        }
        status
    }
}

fn has_generation(kind: &Kind) -> bool {
    kind.custom || kind.plural == "customresourcedefinitions"
}
