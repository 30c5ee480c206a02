//! JSON patches (RFC 6902; wire rule 8.10).
//!
//! A patch that touches nothing hidden passes as it is, with a test of the UID behind it, so that it applies to the object
//! that was checked. Any other is done here, on the object as the user sees it, as kube-apiserver itself does: the patch for
//! the control plane then has one operation, which puts the outcome, translated, in the place of the whole object. The object
//! carries UID and resource version, so that one that changed in between is a conflict; the caller reads it again then.

use serde_json::value::RawValue;

use super::document::{Document, Edit, segments};
use super::error::{BODY_MAX, BodyError};
use super::members::{Members, decoding_fault, quote, unquote};
use super::object::{metadata_of, replace_metadata};
use super::owners::Written;
use super::references::Found;
use super::secret::{REF, Secrets};
use super::{Findings, Live, Target, Translated};
use crate::address::PatchType;
use crate::origin::RESERVED_PREFIX;

/// The most operations of a JSON patch (`handlers/patch.go`).
pub(super) const OPERATIONS_MAX: usize = 10_000;
/// The most bytes that one patch may copy (`JSONPatchMaxCopyBytes` of `server/config.go`).
const COPIED_MAX: usize = 3 * 1024 * 1024;

/// The most bytes that the moves of one patch may write again: many objects of the largest size, and a bound on the time.
const MOVED_MAX: usize = 64 * 1024 * 1024;

/// The body of a JSON patch to the object `live`, or to its status or scale.
///
/// What the control plane answers with 409 may be a conflict that the user knows nothing of: while the object's resource
/// version is another than that of `live`, the patch is to be translated again for the object as it is then.
pub fn json_patch(target: &Target<'_>, live: &Live, body: &[u8]) -> Result<Translated, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| BodyError::Patch(error.to_string()))?;
    let fault = |error| BodyError::Patch(decoding_fault(text, &error, "[]handlers.jsonPatchOp"));
    // `null` is no operations.
    let raw: Option<Vec<&RawValue>> = serde_json::from_str(text).map_err(fault)?;
    let raw = raw.unwrap_or_default();
    if raw.len() > OPERATIONS_MAX {
        return Err(BodyError::TooManyOperations { found: raw.len() });
    }
    let mut operations = Vec::with_capacity(raw.len());
    for raw in &raw {
        operations.push(Operation::parse(raw.get())?);
    }
    let mut findings = Findings::default();
    let mut found = Found::default();
    let body = if raw.len() < OPERATIONS_MAX && operations.iter().all(|one| one.passes(target)) {
        let mut out = String::with_capacity(text.len() + 80);
        raw.iter().for_each(|raw| push(&mut out, raw.get()));
        let uid = quote(&live.uid);
        push(&mut out, &format!(r#"{{"op":"test","path":"/metadata/uid","value":{uid}}}"#));
        out
    } else {
        let (body, named) = whole(target, live, &operations, &mut findings)?;
        found = named;
        body
    };
    // What is small to write can be large to do.
    if body.len() >= BODY_MAX {
        return Err(BodyError::TooLarge);
    }
    let name = target.name.unwrap_or_default().to_owned();
    Ok(Translated::new(body + "]", PatchType::Json.content_type(), name, findings).naming(target, found))
}

fn push(out: &mut String, operation: &str) {
    out.push(if out.is_empty() { '[' } else { ',' });
    out.push_str(operation);
}

/// The patch that makes the whole object what `operations` make of it, without the last bracket; and what is found at its
/// configured fields.
fn whole(
    target: &Target<'_>,
    live: &Live,
    operations: &[Operation<'_>],
    findings: &mut Findings,
) -> Result<(String, Found), BodyError> {
    let seen = live.seen(target).ok_or(BodyError::Inapplicable)?;
    let mut document = Document::of(&seen);
    let mut spent = Spent::default();
    for one in operations {
        one.check_reserved(target)?;
        one.apply(&mut document, &mut spent).ok_or(BodyError::Inapplicable)?;
    }
    let outcome = document.to_string();
    let (object, found) = translate(target, live, &outcome, findings).map_err(|error| error.of_patch(&outcome))?;
    let mut out = String::with_capacity(object.len() + 80);
    // The control plane speaks of members of operations that it does not know, by the number of the operation.
    if operations.iter().any(|one| one.is_strange) {
        for one in operations {
            let mut members = one.members.clone();
            members.set("op", "\"replace\"");
            members.set("path", "\"\"");
            members.set("value", "{}");
            push(&mut out, &members.render());
        }
    }
    push(&mut out, &format!(r#"{{"op":"replace","path":"","value":{object}}}"#));
    Ok((out, found))
}

/// The outcome of a patch as the control plane is to store it.
fn translate(
    target: &Target<'_>,
    live: &Live,
    outcome: &str,
    findings: &mut Findings,
) -> Result<(String, Found), BodyError> {
    // What is no object at all the control plane refuses in its own words.
    let Some(mut object) = Members::parse(outcome).ok().filter(|object| object.get_some("kind").is_some()) else {
        return Ok((outcome.to_owned(), Found::default()));
    };
    let mut metadata = metadata_of(&object)?;
    let rename = || Secrets::rename(target, Some(live), &mut object, None);
    let (_, found) = replace_metadata(target, live, &mut metadata, rename, Written::Patched, findings)?;
    object.set("metadata", metadata.render());
    Ok((object.render(), found))
}

/// The bytes that operations have copied and moved so far.
#[derive(Default)]
struct Spent {
    copied: usize,
    moved: usize,
}

/// One operation.
struct Operation<'a> {
    members: Members<'a>,
    op: String,
    /// Unset where the operation has none, or one that is no text, so that it applies to nothing.
    path: Option<String>,
    from: Option<String>,
    /// It has members that an operation does not have, or one twice.
    is_strange: bool,
}

impl<'a> Operation<'a> {
    fn parse(raw: &'a str) -> Result<Self, BodyError> {
        let members = match raw {
            "null" => Members::default(),
            raw => Members::parse(raw)
                .map_err(|error| BodyError::Patch(decoding_fault(raw, &error, "handlers.jsonPatchOp")))?,
        };
        // Go reads text that is no Unicode, and could find a path in it.
        let unreadable = |key| members.get(key).is_some_and(|json| json.starts_with('"') && unquote(json).is_none());
        if ["op", "path", "from"].into_iter().any(unreadable) {
            return Err(BodyError::Inapplicable);
        }
        let text = |key| members.get(key).and_then(unquote);
        let known = ["op", "path", "from", "value"].iter().filter(|key| members.get(key).is_some()).count();
        let (op, path, from) = (text("op").unwrap_or_default(), text("path"), text("from"));
        let is_strange = members.iter().count() > known;
        Ok(Self { members, op, path, from, is_strange })
    }

    /// Whether the control plane can do it as it is: it touches nothing hidden, or cannot be done at all, and then nothing of
    /// the patch is.
    fn passes(&self, target: &Target<'_>) -> bool {
        let known = ["add", "remove", "replace", "move", "copy", "test"].contains(&self.op.as_str());
        let from = if ["move", "copy"].contains(&self.op.as_str()) { Some(&self.from) } else { None };
        let free = |path: &Option<String>| path.as_ref().is_none_or(|path| !touches_hidden(path, target));
        !known || (free(&self.path) && from.is_none_or(free))
    }

    /// Labels and annotations of ours are not there for the user, but who would write one, or take it away, is to hear why that is
    /// refused (wire rule 11.17). Those that come with a whole map are found in the outcome.
    fn check_reserved(&self, target: &Target<'_>) -> Result<(), BodyError> {
        let changed: &[&Option<String>] = match self.op.as_str() {
            "add" | "replace" | "remove" | "copy" => &[&self.path],
            "move" => &[&self.from, &self.path],
            _ => &[],
        };
        for path in changed.iter().filter(|_| !target.is_scale()).filter_map(|path| path.as_deref()) {
            let segments = segments(path).unwrap_or_default();
            let (field, key) = match segments.as_slice() {
                [metadata, map, key, ..] if metadata == "metadata" && map == "labels" => ("metadata.labels", key),
                [metadata, map, key, ..] if metadata == "metadata" && map == "annotations" => {
                    ("metadata.annotations", key)
                }
                _ => continue,
            };
            if key.starts_with(RESERVED_PREFIX) {
                let name = target.name.unwrap_or_default().to_owned();
                return Err(BodyError::Reserved { name, field, key: key.clone() });
            }
        }
        Ok(())
    }

    /// `None` where it does not apply.
    fn apply(&self, document: &mut Document, spent: &mut Spent) -> Option<()> {
        let path = self.path.as_deref()?;
        let value = self.members.get("value");
        match self.op.as_str() {
            "add" => document.edit(path, Edit::Add(value.unwrap_or("null"))),
            "replace" => document.edit(path, Edit::Replace(value.unwrap_or("null"))),
            "remove" => document.edit(path, Edit::Remove),
            "test" => document.edit(path, Edit::Test(value?)),
            "copy" => {
                let value = document.get(self.from.as_deref()?)?.to_string();
                spent.copied += value.len();
                (spent.copied <= COPIED_MAX).then_some(())?;
                document.edit(path, Edit::Add(&value))
            }
            "move" => {
                let (value, written) = document.remove(self.from.as_deref()?)?.flat();
                spent.moved += written;
                (spent.moved <= MOVED_MAX).then_some(())?;
                document.add(path, value)
            }
            _ => None,
        }
    }
}

/// Whether an operation at a path is not the same for the user and the control plane.
fn touches_hidden(path: &str, target: &Target<'_>) -> bool {
    let scale = target.is_scale();
    let segments = segments(path).unwrap_or_default();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        // The UID is not hidden; what is passed on is tied to it.
        [] | ["metadata"] | ["metadata", "name" | "namespace" | "uid", ..] => true,
        ["metadata", "labels" | "annotations" | "ownerReferences" | "managedFields", ..] => !scale,
        ["spec"] | ["spec", REF, ..] => !scale,
        pointer => !scale && target.references().is_some_and(|references| references.touched_by(pointer)),
    }
}
