//! `update` and `patch`: a new state is made of the live one, at once with the checks of it.

use std::cell::Cell;

use connector_core::status::{Cause, Status};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::super::media::Answer;
use super::super::patch::{self, Format};
use super::super::render::convert;
use super::super::request::manager;
use super::super::store::{Decision, Key, Object, Outcome};
use super::super::{admit, fields, object, scale};
use super::{Strictness, Write, has_generation, parse};

impl Write<'_> {
    /// PUT of an object or a subresource.
    pub(in super::super) fn update(&self, body: &[u8]) -> Answer {
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
    pub(in super::super) fn patch(&self, body: &[u8]) -> Answer {
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
