//! JSON patches (RFC 6902; wire rule 8.10).
//!
//! Operations are translated one by one, in order. Those that touch nothing hidden pass as they are. For the others the
//! module keeps a picture of what the user sees of the object at that point of the patch: the maps of labels and annotations,
//! the owner references, and the connection secret. Tests of hidden members are answered from the picture; writes are turned
//! into operations that keep everything of ours, and the annotations in step.
//!
//! What cannot be translated so is refused: operations on all metadata or the root other than writing them, copies of members
//! that are not in the picture to members that are, and maps that are something else until a later operation mends them.
//!
//! The patch begins with a test of the UID, so that it applies to the object that the picture is of.

mod pointer;
mod transfer;
mod view;

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use self::pointer::{Pointer, edit, lookup};
use self::view::{Map, View, Which};
use super::error::{BODY_MAX, BodyError};
use super::members::{Members, decoding_fault, quote, unquote};
use super::object::{check_name, replace_metadata, user_map};
use super::secret::{self, Change, REF};
use super::{Live, Target, Translated, owners};
use crate::address::PatchType;
use crate::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_OWNERS, RESERVED_PREFIX};

/// The most operations of a JSON patch (`handlers/patch.go`).
pub(super) const OPERATIONS_MAX: usize = 10_000;
/// The most bytes that one patch may copy (`JSONPatchMaxCopyBytes` of `server/config.go`).
const COPIED_MAX: usize = 3 * 1024 * 1024;

/// The body of a JSON patch to the object `live`, or to its status or scale.
pub fn json_patch(target: &Target<'_>, live: &Live, body: &[u8]) -> Result<Translated, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| BodyError::Patch(error.to_string()))?;
    let fault = |error| BodyError::Patch(decoding_fault(text, &error, "[]handlers.jsonPatchOp"));
    // `null` is no operations.
    let operations: Option<Vec<&RawValue>> = serde_json::from_str(text).map_err(fault)?;
    let operations = operations.unwrap_or_default();
    if operations.len() > OPERATIONS_MAX {
        return Err(BodyError::TooManyOperations { found: operations.len() });
    }
    let out = String::with_capacity(body.len() + 256);
    let mut patch = Patch { target, live, view: View::of(target, live), owners_changed: false, copied: 0, out };
    patch.emit("test", &["metadata", "uid"], Some(&quote(&live.uid)));
    for raw in operations {
        patch.operation(raw.get()).map_err(|error| error.of_patch(text))?;
        // What is small to write can be large to do.
        if patch.out.len() > BODY_MAX {
            return Err(BodyError::TooLarge);
        }
    }
    patch.keep_owners().map_err(|error| error.of_patch(text))?;
    patch.out.push(']');
    let name = target.name.unwrap_or_default().to_owned();
    Ok(Translated { body: patch.out.into_bytes(), content_type: PatchType::Json.content_type(), name })
}

fn untranslatable(path: &Pointer) -> BodyError {
    BodyError::Untranslatable(format!(
        "this operation on {path:?} is not supported for this resource: patch the members below it one by one",
        path = path.to_string()
    ))
}

/// The operations of RFC 6902 that have one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Replace,
    Remove,
    Test,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Test => "test",
        }
    }
}

struct Patch<'t> {
    target: &'t Target<'t>,
    live: &'t Live,
    view: View,
    /// The owner references are not those of the annotation any more.
    owners_changed: bool,
    /// Bytes that were copied from one member to another.
    copied: usize,
    /// The operations for the control plane, as JSON without the last bracket.
    out: String,
}

impl Patch<'_> {
    fn operation(&mut self, raw: &str) -> Result<(), BodyError> {
        if raw == "null" {
            return Err(BodyError::Inapplicable);
        }
        let members = Members::parse(raw)
            .map_err(|error| BodyError::Patch(decoding_fault(raw, &error, "handlers.jsonPatchOp")))?;
        let text = |key| members.get(key).and_then(unquote);
        let (Some(op), Some(path)) = (text("op"), text("path")) else { return Err(BodyError::Inapplicable) };
        let path = Pointer::parse(&path).ok_or(BodyError::Inapplicable)?;
        let kind = match op.as_str() {
            "add" => Kind::Add,
            "replace" => Kind::Replace,
            "remove" => Kind::Remove,
            "test" => Kind::Test,
            "copy" | "move" => {
                let from = text("from").and_then(|from| Pointer::parse(&from)).ok_or(BodyError::Inapplicable)?;
                return self.transfer(op == "move", &from, &path, raw);
            }
            _ => return Err(BodyError::Inapplicable),
        };
        self.single(kind, &path, members.get("value").unwrap_or("null"), Some(raw))
    }

    /// An operation with one path. `raw` is its text, where it came as it is.
    fn single(&mut self, kind: Kind, path: &Pointer, value: &str, raw: Option<&str>) -> Result<(), BodyError> {
        let segments: Vec<&str> = path.segments().collect();
        let scale = self.target.is_scale();
        match segments.as_slice() {
            [] => Err(untranslatable(path)),
            ["metadata"] => self.metadata(kind, path, value),
            ["metadata", "name"] => self.name(kind, path, value),
            ["metadata", "namespace"] => self.namespace(kind, path, value),
            ["metadata", "labels"] if !scale => self.map(Which::Labels, kind, path, value),
            ["metadata", "annotations"] if !scale => self.map(Which::Annotations, kind, path, value),
            ["metadata", map @ ("labels" | "annotations"), key, below @ ..] if !scale => {
                let which = if *map == "labels" { Which::Labels } else { Which::Annotations };
                if below.is_empty() {
                    self.entry(which, kind, key, value)?;
                } else if key.starts_with(RESERVED_PREFIX) {
                    return Err(BodyError::Inapplicable);
                }
                self.pass(kind, path, value, raw);
                Ok(())
            }
            ["metadata", "ownerReferences", ..] if !scale => self.owners(kind, path, value),
            ["spec"] | ["spec", REF] | ["spec", REF, "name"] if !scale => self.secret(kind, path, value, raw),
            _ => {
                self.pass(kind, path, value, raw);
                Ok(())
            }
        }
    }

    /// Passes an operation on, as it came where it came from the user.
    fn pass(&mut self, kind: Kind, path: &Pointer, value: &str, raw: Option<&str>) {
        match raw {
            Some(raw) => self.push(raw),
            None => self.emit_at(kind, path, value),
        }
    }

    fn push(&mut self, operation: &str) {
        self.out.push(if self.out.is_empty() { '[' } else { ',' });
        self.out.push_str(operation);
    }

    fn emit_at(&mut self, kind: Kind, path: &Pointer, value: &str) {
        let segments: Vec<&str> = path.segments().collect();
        self.emit(kind.as_str(), &segments, (kind != Kind::Remove).then_some(value));
    }

    fn emit(&mut self, op: &str, path: &[&str], value: Option<&str>) {
        let path = quote(&Pointer::of(path).to_string());
        let value = value.map(|value| format!(",\"value\":{value}")).unwrap_or_default();
        self.push(&format!("{{\"op\":\"{op}\",\"path\":{path}{value}}}"));
    }

    fn metadata(&mut self, kind: Kind, path: &Pointer, value: &str) -> Result<(), BodyError> {
        match kind {
            Kind::Remove => Err(BodyError::NameUndeterminable(self.target.name.unwrap_or_default().to_owned())),
            Kind::Test => Err(untranslatable(path)),
            Kind::Add | Kind::Replace => {
                let Ok(given) = Members::parse(value) else { return Err(BodyError::Inapplicable) };
                let mut metadata = given.clone();
                // The spec stays, and with it the name that the user gave to the secret.
                let secret = self.view.secret_annotation().map_or(Change::None, Change::Renamed);
                replace_metadata(self.target, self.live, &mut metadata, |_| secret)?;
                if !self.target.is_scale() {
                    self.view.replace_metadata(&given, &metadata);
                    self.owners_changed = false;
                }
                self.emit_at(kind, path, &metadata.render());
                Ok(())
            }
        }
    }

    /// Wire rule 8.2.
    fn name(&mut self, kind: Kind, path: &Pointer, value: &str) -> Result<(), BodyError> {
        let local = self.target.name.unwrap_or_default();
        let found = unquote(value);
        match kind {
            Kind::Remove => return Err(BodyError::NameUndeterminable(local.to_owned())),
            Kind::Test if found.as_deref() != Some(local) => return Err(BodyError::Inapplicable),
            Kind::Test => {}
            Kind::Add | Kind::Replace => check_name(self.target, &found.unwrap_or_default())?,
        }
        self.emit_at(kind, path, &quote(&self.target.remote_name(local)));
        Ok(())
    }

    /// Wire rule 8.1.
    fn namespace(&mut self, kind: Kind, path: &Pointer, value: &str) -> Result<(), BodyError> {
        let found = unquote(value).unwrap_or_default();
        match kind {
            // The reference server fills it in again.
            Kind::Remove => return Ok(()),
            _ if found == self.target.namespace => {}
            Kind::Test => return Err(BodyError::Inapplicable),
            Kind::Add | Kind::Replace if found.is_empty() => {}
            Kind::Add | Kind::Replace => return Err(BodyError::NamespaceMismatch),
        }
        self.emit_at(kind, path, &quote(self.target.remote_namespace()));
        Ok(())
    }

    /// All labels or all annotations: ours stay.
    fn map(&mut self, which: Which, kind: Kind, path: &Pointer, value: &str) -> Result<(), BodyError> {
        if which == Which::Annotations {
            self.keep_owners()?;
        }
        match (kind, self.view.map(which)) {
            (Kind::Test, Map::Unknown) => return Err(untranslatable(path)),
            (Kind::Test, Map::Absent | Map::Null) if value == "null" => return Ok(()),
            (Kind::Test, Map::Present(visible)) => {
                let equal = serde_json::from_str(value).is_ok_and(|given: BTreeMap<_, _>| given == *visible);
                if !equal {
                    return Err(BodyError::Inapplicable);
                }
                let stored = self.view.render(which);
                self.emit_at(kind, path, &stored);
                return Ok(());
            }
            (Kind::Test, Map::Absent | Map::Null) | (Kind::Remove, Map::Absent) => return Err(BodyError::Inapplicable),
            _ => {}
        }
        let name = self.target.name.unwrap_or_default();
        if kind == Kind::Remove {
            self.view.set_map(which, Map::Absent);
        } else {
            self.view.set_map(which, Map::read(&user_map(which.field(), value, name)?, value));
        }
        let kept = self.view.own(which);
        if kept.is_empty() {
            self.emit_at(kind, path, value);
        } else {
            let mut members =
                if kind == Kind::Remove { Members::default() } else { user_map(which.field(), value, name)? };
            kept.iter().for_each(|(key, value)| members.set(key, quote(value)));
            self.emit_at(Kind::Add, path, &members.render());
        }
        Ok(())
    }

    /// One label or annotation. To the user, those of ours are not there, and cannot be touched (wire rule 11.17).
    fn entry(&mut self, which: Which, kind: Kind, key: &str, value: &str) -> Result<(), BodyError> {
        if key.starts_with(RESERVED_PREFIX) {
            return match kind {
                Kind::Add | Kind::Replace | Kind::Remove => Err(BodyError::Reserved {
                    name: self.target.name.unwrap_or_default().to_owned(),
                    field: which.field(),
                    key: key.to_owned(),
                }),
                Kind::Test => Err(BodyError::Inapplicable),
            };
        }
        if matches!(self.view.map(which), Map::Absent | Map::Null) {
            return Err(BodyError::Inapplicable);
        }
        match kind {
            Kind::Test => {}
            Kind::Remove => self.view.remove_entry(which, key),
            Kind::Add | Kind::Replace => self.view.set_entry(which, key, unquote(value)),
        }
        Ok(())
    }

    /// Owner references live in an annotation, so the operation is done here (wire rule 6.9).
    fn owners(&mut self, kind: Kind, path: &Pointer, value: &str) -> Result<(), BodyError> {
        let value = serde_json::from_str(value).map_err(|_| BodyError::Inapplicable)?;
        edit(&mut self.view.owners, kind, path, value).ok_or(BodyError::Inapplicable)?;
        self.owners_changed |= kind != Kind::Test;
        Ok(())
    }

    /// Writes the owner references into their annotation.
    fn keep_owners(&mut self) -> Result<(), BodyError> {
        if std::mem::take(&mut self.owners_changed) {
            let list = lookup(&self.view.owners, &Pointer::of(&["metadata", "ownerReferences"])).map(Value::to_string);
            let kept = owners::stash(list.as_deref().unwrap_or("null"), self.target.name.unwrap_or_default())?;
            self.annotate(ANNOTATION_OWNERS, kept);
        }
        Ok(())
    }

    /// The connection secret's name, alone or within what holds it.
    fn secret(&mut self, kind: Kind, path: &Pointer, value: &str, raw: Option<&str>) -> Result<(), BodyError> {
        let (target, depth) = (self.target, path.segments().count());
        let rename = |live: Option<&Live>| match depth {
            1 => secret::rename_in_spec(target, live, value),
            2 => secret::rename_in_ref(target, live, value),
            _ => secret::rename_name(target, live, value),
        };
        match kind {
            Kind::Test => {
                // The test names what the user sees; the control plane compares with what it stores.
                let (asked, renamed) = rename(None);
                let stored = self.view.stored_secret();
                match (asked, renamed) {
                    (Change::Renamed(asked), _) if self.view.local_secret() != Some(asked.as_str()) => {
                        return Err(BodyError::Inapplicable);
                    }
                    (Change::Renamed(asked), Some(renamed)) if stored != Some(asked.as_str()) => {
                        self.emit_at(kind, path, &renamed);
                    }
                    _ => self.pass(kind, path, value, raw),
                }
            }
            Kind::Remove => {
                self.pass(kind, path, value, raw);
                self.view.set_secret(None);
                self.annotate(ANNOTATION_CONNECTION_SECRET, None);
            }
            Kind::Add | Kind::Replace => {
                let (change, renamed) = rename(Some(self.live));
                // A name that is no text.
                if change == Change::None && depth == 3 {
                    return Err(untranslatable(path));
                }
                match renamed {
                    Some(renamed) => self.emit_at(kind, path, &renamed),
                    None => self.pass(kind, path, value, raw),
                }
                self.annotate(ANNOTATION_CONNECTION_SECRET, change.annotation().map(str::to_owned));
                self.view.set_secret(match change {
                    Change::None | Change::Removed => None,
                    Change::Kept(name) => Some((name.clone(), name)),
                    Change::Renamed(name) => Some((name.clone(), target.remote_name(&name))),
                });
            }
        }
        Ok(())
    }

    /// Sets or removes an annotation of ours, and creates the map where the object has none.
    fn annotate(&mut self, key: &'static str, value: Option<String>) {
        let had_map = self.view.has_annotations();
        let had = self.view.annotate(key, value.clone());
        match value {
            Some(value) if had.as_ref() == Some(&value) => {}
            Some(value) if had_map => self.emit("add", &["metadata", "annotations", key], Some(&quote(&value))),
            Some(value) => {
                let map = format!("{{{}:{}}}", quote(key), quote(&value));
                self.emit("add", &["metadata", "annotations"], Some(&map));
            }
            None if had.is_some() => self.emit("remove", &["metadata", "annotations", key], None),
            None => {}
        }
    }
}
