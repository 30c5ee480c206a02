//! `delete` and `deletecollection`.

use connector_core::status::{Details, Status};
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use super::api::Api;
use super::kinds::Kind;
use super::media::{Answer, Form};
use super::object;
use super::read::respond;
use super::render::{ListMeta, Renderer};
use super::request::{Params, Target};
use super::selector::Selector;
use super::store::{Decision, Key, Outcome, Shared};
use super::write;

/// The options of a deletion: from the body where there is one, else from the query (wire rule 8.14).
#[derive(Clone, Debug, Default)]
pub(super) struct DeleteOptions {
    uid: String,
    revision: String,
    dry_run: bool,
    orphan: bool,
}

impl DeleteOptions {
    pub(super) fn read(params: &Params, parts: &Parts, body: &[u8]) -> Result<Self, Status> {
        if body.iter().all(u8::is_ascii_whitespace) {
            let orphan = params.get("propagationPolicy") == "Orphan" || params.is_true("orphanDependents");
            return Ok(Self { dry_run: params.dry_run(), orphan, ..Self::default() });
        }
        let body = write::parse(parts, body)?;
        let text = |pointer: &str| object::text_at(&body, pointer).to_owned();
        Ok(Self {
            uid: text("/preconditions/uid"),
            revision: text("/preconditions/resourceVersion"),
            dry_run: body["dryRun"] == json!(["All"]) || params.dry_run(),
            orphan: body["propagationPolicy"] == "Orphan" || body["orphanDependents"] == true,
        })
    }
}

/// What a deletion came to.
pub(super) enum Deleted {
    /// The object is gone; its last state.
    Gone(Shared),
    /// The object waits for its finalizers.
    Waits(Shared),
}

impl Api {
    /// Deletes one object, or marks it for its finalizers.
    pub(super) fn delete_one(&self, kind: &Kind, key: &Key, options: &DeleteOptions) -> Result<Deleted, Status> {
        let conflict = |what: &str, wanted: &str, is: &str| {
            let message = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {is}");
            Status::conflict(&kind.group, &kind.plural, &key.name, &message)
        };
        let mut last = None;
        let outcome = self.store.change(&kind.resource, key, |stored| {
            let stored = stored.ok_or_else(|| Status::not_found(&kind.group, &kind.plural, &key.name))?;
            let live = stored.value();
            if !options.uid.is_empty() && options.uid != object::uid(live) {
                return Err(conflict("UID", &options.uid, object::uid(live)));
            }
            if !options.revision.is_empty() && options.revision != object::revision(live) {
                return Err(conflict("ResourceVersion", &options.revision, object::revision(live)));
            }
            last = Some(stored.clone());
            let is_namespace = kind.plural == "namespaces" && kind.group.is_empty();
            let waits = object::has_finalizers(live) || is_namespace;
            if options.dry_run || (waits && object::is_terminating(live)) {
                return Ok(Decision::Keep);
            }
            if !waits {
                return Ok(Decision::Remove);
            }
            let mut object = live.clone();
            let metadata = object::metadata_mut(&mut object);
            metadata.insert("deletionTimestamp".into(), object::now().into());
            metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
            if let Some(generation) = metadata.get("generation").and_then(Value::as_u64) {
                metadata.insert("generation".into(), (generation + 1).into());
            }
            if is_namespace {
                object["status"] = json!({"phase": "Terminating"});
            }
            Ok(Decision::Put(object))
        })?;
        match outcome {
            Outcome::Removed(gone) => {
                if options.orphan {
                    self.orphan(object::uid(gone.value()));
                }
                self.removed(&kind.resource, gone.value());
                Ok(Deleted::Gone(gone))
            }
            Outcome::Stored(waiting) if object::is_terminating(waiting.value()) => {
                self.stored(&kind.resource);
                Ok(Deleted::Waits(waiting))
            }
            // A dry run: what would have gone.
            Outcome::Stored(kept) => Ok(Deleted::Gone(kept)),
            Outcome::Absent => Err(Status::not_found(&kind.group, &kind.plural, &key.name)),
        }
    }
}

/// DELETE of one object (wire rule 7.17).
pub(super) fn delete(api: &Api, kind: &Kind, target: &Target, params: &Params, parts: &Parts, body: &[u8]) -> Answer {
    let name = target.name.as_deref().unwrap_or_default();
    let options = DeleteOptions::read(params, parts, body)?;
    if kind.plural == "namespaces" && matches!(name, "default" | "kube-system" | "kube-public" | "kube-node-lease") {
        return Err(Status::forbidden("", "namespaces", name, "this namespace may not be deleted"));
    }
    match api.delete_one(kind, &Key::new(&target.namespace, name), &options)? {
        Deleted::Gone(gone) => {
            let details =
                Details { uid: object::uid(gone.value()).into(), ..Details::of(&kind.group, &kind.plural, name) };
            let success = Status { status: "Success".into(), ..Status::failure(0, "", "") }.about(details);
            let mut json = success.to_json();
            json.pop();
            Ok(respond(StatusCode::OK, json, params, parts))
        }
        Deleted::Waits(waiting) => {
            let form = Form::negotiate(&parts.headers, false)?;
            let json = Renderer::new(kind, form, params.get("includeObject"))?.one(&waiting);
            Ok(respond(StatusCode::OK, json, params, parts))
        }
    }
}

/// DELETE of all objects that the selectors match; the answer is the list of them (wire rule 7.17).
pub(super) fn collection(
    api: &Api,
    kind: &Kind,
    target: &Target,
    params: &Params,
    parts: &Parts,
    body: &[u8],
) -> Answer {
    let selector = Selector::parse(kind, params.get("labelSelector"), params.get("fieldSelector"));
    let selector = selector.map_err(Status::bad_request)?;
    let mut renderer = Renderer::new(kind, Form::negotiate(&parts.headers, true)?, params.get("includeObject"))?;
    let options = DeleteOptions::read(params, parts, body)?;
    let Ok(snapshot) = api.store.list(&kind.resource, &target.namespace, None) else {
        return Err(Status::internal("the present state cannot be expired"));
    };
    let mut deleted = Vec::new();
    for object in snapshot.objects {
        if !selector.matches(renderer.view(&object).value()) {
            continue;
        }
        match api.delete_one(kind, &object.key(), &options) {
            Ok(Deleted::Gone(object) | Deleted::Waits(object)) => deleted.push(object),
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    let meta = ListMeta { revision: api.store.revision().to_string(), ..ListMeta::default() };
    Ok(respond(StatusCode::OK, renderer.list(&deleted, &meta), params, parts))
}
