//! Merge patches (RFC 7386; wire rule 8.9).

use std::borrow::Cow;

use super::document::Document;
use super::error::BodyError;
use super::members::{Members, decoding_fault, quote, type_of};
use super::object::{check_name, finish, spoil, string, tie};
use super::owners::{self, Written};
use super::secret::Change;
use super::{Findings, Live, Target, Translated, references, secret};
use crate::address::PatchType;
use crate::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_OWNERS, RESERVED_PREFIX};

/// The body of a merge patch to the object `live`, or to its status or scale.
pub fn merge_patch(target: &Target<'_>, live: &Live, body: &[u8]) -> Result<Translated, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| BodyError::Patch(error.to_string()))?;
    if text.trim() == "null" {
        return Err(BodyError::NoPatch);
    }
    let fault = |error| BodyError::Patch(decoding_fault(text, &error, "map[string]interface {}"));
    let patch = Members::parse(text).map_err(fault)?;
    translate(target, live, text, patch).map_err(|error| match error {
        error @ BodyError::WrongType { .. } => error.of_patch(&outcome(&live.seen(target).unwrap_or_default(), text)),
        error => error,
    })
}

/// What a patch makes of the object that the user sees.
fn outcome(seen: &str, patch: &str) -> String {
    let mut outcome = Document::of(seen);
    outcome.merge(patch);
    outcome.to_string()
}

fn translate(target: &Target<'_>, live: &Live, text: &str, mut patch: Members<'_>) -> Result<Translated, BodyError> {
    let name = target.name.unwrap_or_default();
    let mut metadata = match patch.get("metadata") {
        None => Members::default(),
        // The object would lose its name.
        Some("null") => return Err(BodyError::NameUndeterminable(name.to_owned())),
        Some(_) => super::object::metadata_of(&patch)?,
    };

    match string(&metadata, "namespace")? {
        found if found == target.namespace => metadata.set("namespace", quote(target.remote_namespace())),
        // The reference server fills it in again.
        found if found.is_empty() => metadata.remove("namespace"),
        _ => return Err(BodyError::NamespaceMismatch),
    }
    if metadata.get("name").is_some() {
        check_name(target, &string(&metadata, "name")?)?;
        metadata.set("name", quote(&target.remote_name(name)));
    }
    if target.is_scale() {
        if patch.get("metadata").is_some() {
            patch.set("metadata", metadata.render());
        }
        let (content_type, name) = (PatchType::Merge.content_type(), name.to_owned());
        return Ok(Translated::new(patch.render(), content_type, name, Findings::default()));
    }

    if let Some(labels) = metadata.get("labels").map(str::to_owned) {
        match user_changes(name, "metadata.labels", &labels, live.visible_labels())? {
            Some(labels) => metadata.set("labels", labels.render()),
            None => metadata.remove("labels"),
        }
    }
    let given = metadata.get("annotations").map(str::to_owned);
    let mut annotations = match &given {
        Some(given) => user_changes(name, "metadata.annotations", given, live.visible_annotations())?,
        None => None,
    };
    let mut own: Vec<(Cow<'_, str>, Option<String>)> = Vec::new();
    let mut findings = Findings::default();
    if metadata.get("ownerReferences").is_some() {
        own.push((ANNOTATION_OWNERS.into(), owners::take(target, &mut metadata, Written::Patched, &mut findings)?));
    }
    match secret::rename(target, Some(live), &mut patch) {
        Change::None => {}
        change => own.push((ANNOTATION_CONNECTION_SECRET.into(), change.annotation().map(str::to_owned))),
    }
    let mut found = references::Found::default();
    if references::are_patched(target, &patch) {
        let seen = live.seen(target).unwrap_or_default();
        found = references::rename_patch(target, live, &mut patch, &seen, &outcome(&seen, text));
        let unused = references::annotations(live).filter(|key| !found.annotations.contains_key(*key));
        own.extend(unused.map(|key| (key.into(), None)));
        let used = found.annotations.iter();
        own.extend(used.map(|(key, local)| (key.clone().into(), Some(local.clone()))));
        // What the rest of the object holds counts.
        if metadata.get_some("resourceVersion").is_none_or(|version| version == "\"\"") {
            metadata.set("resourceVersion", quote(&live.resource_version));
        }
    }
    // Only what is there is taken away, since `null` would leave an empty map behind.
    for (key, value) in own.into_iter().filter(|(key, value)| value.is_some() || live.annotations.contains_key(&**key))
    {
        let value = value.as_deref().map_or_else(|| "null".to_owned(), quote);
        annotations.get_or_insert_default().set(&key, value);
    }
    let own = live.annotations.keys().any(|key| key.starts_with(RESERVED_PREFIX));
    match annotations {
        // Only the user's go: the whole map, which leaves no empty one behind.
        Some(annotations)
            if given.as_deref() == Some("null") && !own && annotations.iter().all(|(_, value)| value == "null") =>
        {
            metadata.set("annotations", "null");
        }
        Some(annotations) => metadata.set("annotations", annotations.render()),
        None => metadata.remove("annotations"),
    }
    if findings.forbid() {
        spoil(&mut metadata);
    }
    tie(&mut metadata, live);
    let patch = finish(patch, &metadata, PatchType::Merge.content_type(), name.to_owned(), findings);
    Ok(patch.naming(target, found))
}

/// What a patch does to the user's labels or annotations. `null` wipes all that the user sees, and nothing else. A key of
/// ours may be neither set nor taken away (wire rule 11.17).
fn user_changes<'a>(
    name: &str,
    field: &'static str,
    json: &'a str,
    visible: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<Option<Members<'a>>, BodyError> {
    let mut members = Members::default();
    if json == "null" {
        visible.for_each(|(key, _)| members.set(key, "null"));
        return Ok((!members.is_empty()).then_some(members));
    }
    let member = field.trim_start_matches("metadata.");
    let wrong = BodyError::WrongType { field: member, found: type_of(json), expected: "map[string]string" };
    members = Members::parse(json).map_err(|_| wrong)?;
    let reserved = members.iter().find(|(key, _)| key.starts_with(RESERVED_PREFIX)).map(|(key, _)| key.to_owned());
    match reserved {
        Some(key) => Err(BodyError::Reserved { name: name.to_owned(), field, key }),
        None => Ok(Some(members)),
    }
}
