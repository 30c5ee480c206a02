//! Merge patches (RFC 7386; wire rule 8.9).

use super::document::Document;
use super::error::BodyError;
use super::members::{Members, decoding_fault, quote, type_of};
use super::object::{check_name, finish, spoil, string, tie};
use super::owners::{self, Written};
use super::secret::Change;
use super::{Findings, Live, Target, Translated, secret};
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
    translate(target, live, patch).map_err(|error| match error {
        error @ BodyError::WrongType { .. } => {
            let mut outcome = Document::of(&live.seen(target).unwrap_or_default());
            outcome.merge(text);
            error.of_patch(&outcome.to_string())
        }
        error => error,
    })
}

fn translate(target: &Target<'_>, live: &Live, mut patch: Members<'_>) -> Result<Translated, BodyError> {
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
        return Ok(Translated {
            body: patch.render().into_bytes(),
            content_type: PatchType::Merge.content_type(),
            name: name.to_owned(),
            findings: Findings::default(),
        });
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
    let mut own: Vec<(&str, Option<String>)> = Vec::new();
    let mut findings = Findings::default();
    if metadata.get("ownerReferences").is_some() {
        own.push((ANNOTATION_OWNERS, owners::take(target, &mut metadata, Written::Patched, &mut findings)?));
    }
    match secret::rename(target, Some(live), &mut patch) {
        Change::None => {}
        change => own.push((ANNOTATION_CONNECTION_SECRET, change.annotation().map(str::to_owned))),
    }
    // Only what is there is taken away, since `null` would leave an empty map behind.
    for (key, value) in own.into_iter().filter(|(key, value)| value.is_some() || live.annotations.contains_key(*key)) {
        let value = value.as_deref().map_or_else(|| "null".to_owned(), quote);
        annotations.get_or_insert_default().set(key, value);
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
    Ok(finish(patch, &metadata, PatchType::Merge.content_type(), name.to_owned(), findings))
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
