//! `create`, `update` and `patch`.

use std::cell::Cell;

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
use super::patch::{self, Format};
use super::read::respond;
use super::render::{Renderer, convert};
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

    /// PUT of an object or a subresource.
    pub(super) fn update(&self, body: &[u8]) -> Answer {
        let mut given = parse(self.parts, body)?;
        let is_scale = self.target.subresource.as_deref() == Some("scale");
        if !is_scale {
            self.check_head(&mut given)?;
            if object::revision(&given).is_empty() && self.kind.custom {
                let message = "Invalid value: 0: must be specified for an update".to_owned();
                let field = "metadata.resourceVersion".into();
                let cause = Cause { reason: "FieldValueInvalid".into(), message, field };
                let name = self.target.name.as_deref().unwrap_or_default();
                return Err(Status::invalid(&self.kind.group, &self.kind.kind, name, vec![cause]));
            }
        }
        self.modify(Strictness::Object, |live| {
            if !is_scale {
                return Ok((given.clone(), false));
            }
            let mut object = live.clone();
            let revision = object::revision(&given);
            if !revision.is_empty() {
                object::metadata_mut(&mut object).insert("resourceVersion".into(), revision.into());
            }
            scale::write(self.kind, &mut object, &given)?;
            Ok((object, false))
        })
    }

    /// PATCH of an object or a subresource, in any of the formats.
    pub(super) fn patch(&self, body: &[u8]) -> Answer {
        let content_type = self.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let format = Format::of(content_type.unwrap_or_default(), self.kind)?;
        let force = self.params.is_true("force");
        patch::check_options(format, !self.params.get("fieldManager").is_empty(), force)?;
        let is_scale = self.target.subresource.as_deref() == Some("scale");
        if format == Format::Apply && !is_scale {
            return self.apply(body, force);
        }
        self.modify(Strictness::Patch, |live| {
            if !is_scale {
                let mut object = patch::apply(format, live, body)?;
                if self.kind.namespaced && object::namespace(&object).is_empty() {
                    object::metadata_mut(&mut object).insert("namespace".into(), self.target.namespace.clone().into());
                }
                return Ok((object, false));
            }
            let mut object = live.clone();
            scale::write(self.kind, &mut object, &patch::apply(format, &scale::of(self.kind, live)?, body)?)?;
            Ok((object, false))
        })
    }

    fn apply(&self, body: &[u8], force: bool) -> Answer {
        let mut config = patch::configuration(body)?;
        self.check_head(&mut config)?;
        let name = self.target.name.clone().unwrap_or_default();
        if object::name(&config).is_empty() {
            object::metadata_mut(&mut config).insert("name".into(), name.clone().into());
        }
        self.check_name(&config)?;
        let manager = manager(self.params, self.parts);
        let api_version = self.kind.api_version();
        let writer = self.writer(&manager, &api_version);
        let key = Key::new(&self.target.namespace, &name);
        if self.api.store.get(&self.kind.resource, &key).is_none() && self.target.subresource.is_none() {
            self.clean_new(&mut config);
            let object = fields::apply(None, &config, &writer, force)?;
            return self.store_new(object, true);
        }
        self.modify(Strictness::Object, |live| Ok((fields::apply(Some(live), &config, &writer, force)?, true)))
    }

    fn check_name(&self, object: &Value) -> Result<(), Status> {
        let (name, wanted) = (object::name(object), self.target.name.as_deref().unwrap_or_default());
        if name != wanted {
            return Err(Status::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({wanted})"
            )));
        }
        let namespace = object::namespace(object);
        if self.kind.namespaced && namespace != self.target.namespace {
            return Err(Status::bad_request(format!(
                "the namespace of the object ({namespace}) does not match the namespace on the request ({})",
                self.target.namespace
            )));
        }
        Ok(())
    }

    /// Makes a new state of an object out of the live one, and stores it; `make` says whether it has recorded the writer.
    fn modify(&self, strictness: Strictness, make: impl FnOnce(&Value) -> Result<(Value, bool), Status>) -> Answer {
        let name = self.target.name.as_deref().unwrap_or_default();
        let key = Key::new(&self.target.namespace, name);
        let (warnings, tried) = (Cell::new(Vec::new()), Cell::new(None));
        let dry_run = self.params.dry_run();
        let outcome = self.api.store.change(&self.kind.resource, &key, |stored| {
            let stored = stored.ok_or_else(|| Status::not_found(&self.kind.group, &self.kind.plural, name))?;
            let live = convert(self.kind, stored.value());
            let (mut object, recorded) = make(&live)?;
            self.check_name(&object)?;
            self.keep_system_fields(&live, &mut object)?;
            warnings.set(self.tell_unknown(&admit::shape(self.kind, &mut object), strictness)?);
            admit::check(self.kind, &mut object, false)?;
            self.count_generation(&live, &mut object);
            if !recorded {
                let manager = manager(self.params, self.parts);
                fields::record(Some(&live), &mut object, &self.writer(&manager, &self.kind.api_version()));
            }
            if is_same(&live, &object) {
                return Ok(Decision::Keep);
            }
            if dry_run {
                tried.set(Some(Object::new(object)));
                return Ok(Decision::Keep);
            }
            let goes = object::is_terminating(&object) && !object::has_finalizers(&object);
            Ok::<_, Status>(if goes && self.kind.plural != "namespaces" {
                Decision::Remove
            } else {
                Decision::Put(object)
            })
        })?;
        match (tried.into_inner(), outcome) {
            (Some(tried), _) => self.answer(StatusCode::OK, &tried, &warnings.into_inner()),
            (None, Outcome::Stored(stored)) => {
                self.api.stored(&self.kind.resource);
                self.answer(StatusCode::OK, &stored, &warnings.into_inner())
            }
            (None, Outcome::Removed(last)) => {
                self.api.removed(&self.kind.resource, last.value());
                self.answer(StatusCode::OK, &last, &warnings.into_inner())
            }
            (None, Outcome::Absent) => Err(Status::not_found(&self.kind.group, &self.kind.plural, name)),
        }
    }

    /// Carries over what a writer cannot change, after the checks of uid and resourceVersion.
    fn keep_system_fields(&self, live: &Value, object: &mut Value) -> Result<(), Status> {
        let name = object::name(live);
        let (uid, revision) = (object::uid(object), object::revision(object));
        if !uid.is_empty() && uid != object::uid(live) {
            let message =
                format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", object::uid(live));
            return Err(Status::conflict(&self.kind.group, &self.kind.plural, name, &message));
        }
        if !revision.is_empty() && revision != "0" && revision != object::revision(live) {
            let message = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(Status::conflict(&self.kind.group, &self.kind.plural, name, message));
        }
        if self.target.subresource.as_deref() == Some("status") {
            let mut kept = live.clone();
            let managed = object::metadata(object).get("managedFields").cloned();
            match (kept.as_object_mut(), object.get("status")) {
                (Some(members), Some(status)) => {
                    members.insert("status".into(), status.clone());
                }
                (Some(members), None) => {
                    members.remove("status");
                }
                (None, _) => {}
            }
            if let Some(managed) = managed {
                object::metadata_mut(&mut kept).insert("managedFields".into(), managed);
            }
            *object = kept;
        } else if self.kind.status
            && let Some(members) = object.as_object_mut()
        {
            match live.get("status") {
                Some(status) => members.insert("status".into(), status.clone()),
                None => members.remove("status"),
            };
        }
        object["apiVersion"] = self.kind.api_version().into();
        object["kind"] = self.kind.kind.clone().into();
        let metadata = object::metadata_mut(object);
        for name in [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "resourceVersion",
            "generateName",
        ] {
            match object::metadata(live).get(name) {
                Some(value) => metadata.insert(name.to_owned(), value.clone()),
                None => metadata.remove(name),
            };
        }
        Ok(())
    }

    fn count_generation(&self, live: &Value, object: &mut Value) {
        if !has_generation(self.kind) {
            return;
        }
        let counted = |object: &Value| {
            let mut members = object.as_object().cloned().unwrap_or_default();
            members.remove("metadata");
            if self.kind.status {
                members.remove("status");
            }
            members
        };
        if counted(live) != counted(object) {
            let generation = object::metadata(live).get("generation").and_then(Value::as_u64).unwrap_or_default();
            object::metadata_mut(object).insert("generation".into(), (generation + 1).into());
        }
    }
}

fn has_generation(kind: &Kind) -> bool {
    kind.custom || kind.plural == "customresourcedefinitions"
}

/// Nothing differs but times in `managedFields`: such a write is not stored.
fn is_same(live: &Value, object: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        let managed = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in managed.into_iter().flatten().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
        object
    };
    live == object || timeless(live) == timeless(object)
}
