//! A `Status` of the control plane, told in local names (wire rules 7.15 to 7.18).

use std::collections::BTreeMap;

use super::object;
use super::{Asked, RowObject};
use crate::json::{Cursor, Kind, Plan};
use crate::origin::{ANNOTATION_OWNERS, RESERVED_PREFIX};
use crate::status::{Cause, Status};

/// Whether a whole answer is a `Status`. The answer to a deletion is either that or the object (wire rule 7.17).
pub fn is_status(raw: &[u8]) -> bool {
    let read = || {
        let mut cursor = Cursor::new(raw, 0);
        let mut walk = cursor.object()?;
        let mut is_status = false;
        while let Some(member) = cursor.member(&mut walk)? {
            if member.key.is("kind") && cursor.kind()? == Kind::String {
                is_status = cursor.string()?.1.is("Status");
            } else {
                cursor.skip()?;
            }
        }
        Ok::<_, crate::json::Error>(is_status)
    };
    read().unwrap_or(false)
}

/// Reads a `Status` and puts local names in the place of remote ones, in the texts too: the name of the object that was asked
/// for, and the namespace where the texts of kube-apiserver have one. With no name or namespace asked for they stay.
///
/// `None` when it is none.
pub fn status(asked: &Asked, raw: &[u8]) -> Option<Status> {
    let mut status: Status = serde_json::from_slice(raw).ok()?;
    if status.kind != "Status" {
        return None;
    }
    hide_conflicts(&mut status);
    localize_objects(asked, &mut status.message);
    for cause in status.details.iter_mut().flat_map(|details| &mut details.causes) {
        localize_objects(asked, &mut cause.message);
    }
    let names = Names::of(asked);
    names.localize(&mut status.message);
    if let Some(details) = &mut status.details {
        names.localize_subject(&details.kind, &mut details.name);
        for cause in &mut details.causes {
            names.localize(&mut cause.message);
        }
    }
    Some(status)
}

/// A patch whose outcome is invalid is told with the outcome: the whole object, quoted. Puts the object that the client sees in
/// its place, or none where it cannot be read.
fn localize_objects(asked: &Asked, text: &mut String) {
    localize_quoted_objects(asked, text);
    // One without a kind is told once more as it is.
    const PLAIN: &str = "'{";
    let Some(start) = text.find(PLAIN).map(|found| found + 1) else { return };
    let mut plain = serde_json::Deserializer::from_str(&text[start..]).into_iter::<&serde_json::value::RawValue>();
    let Some(Ok(object)) = plain.next() else { return };
    let object = object.get();
    if let Some(local) = of_reserved(asked, object) {
        text.replace_range(start..start + object.len(), &local);
    }
}

fn localize_quoted_objects(asked: &Asked, text: &mut String) {
    const QUOTED: &str = "\"{";
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|rest| rest.find(QUOTED)).map(|found| at + found) {
        let mut quoted = serde_json::Deserializer::from_str(&text[start..]).into_iter::<String>();
        let object = quoted.next().and_then(Result::ok);
        let end = start + quoted.byte_offset();
        let Some(object) = object else {
            at = start + QUOTED.len();
            continue;
        };
        at = end;
        if let Some(local) = of_reserved(asked, &object) {
            let local = serde_json::Value::from(local).to_string();
            text.replace_range(start..end, &local);
            at = start + local.len();
        }
    }
}

/// The object in local terms, where there is anything in it that is not; `{}` where it cannot be told.
fn of_reserved(asked: &Asked, object: &str) -> Option<String> {
    if object.contains(RESERVED_PREFIX) {
        return Some(local_object(asked, object).unwrap_or_else(|| "{}".to_owned()));
    }
    // It has no labels, and so none of ours.
    if !object.contains(r#""kind":"Scale""#) {
        return None;
    }
    String::from_utf8(super::scale(asked, RowObject::Show, object.as_bytes()).ok()?).ok()
}

fn local_object(asked: &Asked, object: &str) -> Option<String> {
    let source = object.as_bytes();
    let mut plan = Plan::default();
    object::rewrite(asked, &mut Cursor::new(source, 0), source, &mut plan).ok()??;
    let mut out = Vec::with_capacity(source.len());
    plan.apply(source, &mut out);
    String::from_utf8(out).ok().filter(|object| !object.contains(RESERVED_PREFIX))
}

/// A conflict of an apply (wire rule 7.18) about a member of ours is one about the user's own member that it stands for.
fn hide_conflicts(status: &mut Status) {
    let Some(details) = &mut status.details else { return };
    if !details.causes.iter().any(|cause| cause.field.contains(RESERVED_PREFIX)) {
        return;
    }
    let owners = format!(".metadata.annotations.{ANNOTATION_OWNERS}");
    let (hidden, mut told): (Vec<Cause>, Vec<Cause>) =
        details.causes.drain(..).partition(|cause| cause.field.contains(RESERVED_PREFIX));
    for cause in hidden {
        let field = if cause.field == owners { ".metadata.ownerReferences" } else { SECRET_NAME };
        let cause = Cause { field: field.to_owned(), ..cause };
        if told.contains(&cause) {
            continue;
        }
        // Those with one manager stand together, in the order of their fields.
        let same = |other: &Cause| other.message == cause.message;
        let at = told.iter().position(|other| same(other) && other.field > cause.field);
        let at = at.or_else(|| told.iter().rposition(same).map(|last| last + 1)).unwrap_or(told.len());
        told.insert(at, cause);
    }
    details.causes = told;
    status.message = conflict_message(&details.causes);
}

const SECRET_NAME: &str = ".spec.writeConnectionSecretToRef.name";

/// The text of an apply's conflicts (`managedfields/internal/conflict.go`).
fn conflict_message(causes: &[Cause]) -> String {
    if let [one] = causes {
        return format!("Apply failed with 1 conflict: {}: {}", one.message, one.field);
    }
    let mut by_manager = BTreeMap::<&str, Vec<&str>>::new();
    for cause in causes {
        let manager = cause.message.strip_prefix("conflict with ").unwrap_or(&cause.message);
        by_manager.entry(manager).or_default().push(&cause.field);
    }
    let mut told = Vec::new();
    for (manager, fields) in by_manager {
        told.push(format!("conflicts with {manager}:"));
        told.extend(fields.iter().map(|field| format!("- {field}")));
    }
    format!("Apply failed with {} conflicts: {}", causes.len(), told.join("\n"))
}

/// The remote names that can be told, each with the local one.
struct Names<'a> {
    object: Option<(String, &'a str)>,
    namespace: Option<(&'a str, &'a str)>,
}

impl<'a> Names<'a> {
    fn of(asked: &'a Asked) -> Self {
        Self {
            object: asked.remote_name().zip(asked.name.as_deref()),
            namespace: asked.namespace.as_deref().map(|local| (asked.scheme.remote_namespace(local), local)),
        }
    }

    fn localize_subject(&self, kind: &str, name: &mut String) {
        match (&self.object, self.namespace) {
            (Some((remote, local)), _) if name == remote => *name = (*local).to_owned(),
            (_, Some((remote, local))) if kind == "namespaces" && name == remote => *name = local.to_owned(),
            _ => {}
        }
    }

    fn localize(&self, text: &mut String) {
        // The namespace first: it is told by the object's name behind it, too.
        if let Some((remote, local)) = self.namespace {
            let object = self.object.as_ref().map(|(remote, _)| remote.as_str());
            replace_words(text, remote, local, |before, behind| tells_namespace(before, behind, object));
        }
        if let Some((remote, local)) = &self.object {
            replace_words(text, remote, local, |_, _| true);
        }
    }
}

/// Whether the word between two texts is a namespace: a namespace may be called like anything, so `default` alone is none.
///
/// In quotes it is, unless a value of the object is quoted (`Invalid value: "default"`); else behind the words that
/// kube-apiserver puts before a namespace, and before `/` and the object's name.
fn tells_namespace(before: &str, behind: &str, object: Option<&str>) -> bool {
    if let (Some(before), true) = (before.strip_suffix('"'), behind.starts_with('"')) {
        return !before.ends_with("value: ");
    }
    let before = before.trim_end_matches(['(', ' ']);
    let told = ["namespace", "namespace:", "namespace of the object", "namespace of the provided object"];
    told.iter().chain(&["namespace on the request"]).any(|told| before.ends_with(told))
        || object.is_some_and(|object| behind.strip_prefix('/').is_some_and(|behind| behind.starts_with(object)))
}

/// Puts `to` in the place of every whole word `from` for which `here(text before, text behind)` says so.
fn replace_words(text: &mut String, from: &str, to: &str, here: impl Fn(&str, &str) -> bool) {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if from.is_empty() {
        return;
    }
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(from)) {
        let (start, end) = (at + found, at + found + from.len());
        let (before, behind) = (&text[..start], &text[end..]);
        at = end;
        if !before.ends_with(part_of_word) && !behind.starts_with(part_of_word) && here(before, behind) {
            text.replace_range(start..end, to);
            at = start + to.len();
        }
    }
}
