//! The user's owner references: checked as the reference server checks them, because the control plane never sees them
//! (wire rule 6.9).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::error::{BodyError, invalid_value};
use super::members::{Members, compact, type_of};
use super::{Findings, Target};
use crate::status::Cause;

const FIELD: &str = "metadata.ownerReferences";

/// How references come to be written, which decides what the reference server says of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Created,
    Updated,
    Patched,
    /// Applied, to an object that exists or anew.
    Applied {
        anew: bool,
    },
}

impl Written {
    /// How often every fault is told: validation of an update checks the metadata that often.
    fn repeats(self) -> usize {
        if matches!(self, Self::Created | Self::Applied { anew: true }) { 1 } else { 3 }
    }

    /// The warning of references that are there twice (`handlers/rest.go`); `uids` are theirs.
    fn warning(self, uids: &[&str]) -> String {
        let when = if self == Self::Patched { " after mutating admission happens" } else { "" };
        format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may \
             reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            uids.join(", ")
        )
    }
}

/// In the order in which the reference server shows the members of a custom resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct OwnerReference {
    api_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_owner_deletion: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<bool>,
    kind: String,
    name: String,
    uid: String,
}

/// Takes the references out of metadata; gives the text to keep.
pub(super) fn take(
    target: &Target<'_>,
    metadata: &mut Members<'_>,
    written: Written,
    findings: &mut Findings,
) -> Result<Option<String>, BodyError> {
    let kept = stash(metadata.get("ownerReferences").unwrap_or("null"), written, findings)?;
    metadata.remove("ownerReferences");
    // A write of a subresource changes no metadata, and is warned of all the same.
    if target.subresource.is_some() {
        findings.faults.clear();
    }
    Ok(kept)
}

/// The text to keep for a list of owner references given as JSON, without duplicates; `None` for an empty list or `null`.
pub(super) fn stash(json: &str, written: Written, findings: &mut Findings) -> Result<Option<String>, BodyError> {
    let wrong =
        BodyError::WrongType { field: "ownerReferences", found: type_of(json), expected: "[]v1.OwnerReference" };
    let given: Option<Vec<OwnerReference>> = serde_json::from_str(json).map_err(|_| wrong)?;
    let given = given.unwrap_or_default();
    let mut uids = HashSet::new();
    if let (Written::Applied { .. }, Some(twice)) = (written, given.iter().find(|one| !uids.insert(&one.uid))) {
        let fault = format!(".{FIELD}: duplicate entries for key [uid={:?}]", twice.uid);
        return Err(BodyError::NotApplicable(fault));
    }
    let mut seen = HashSet::new();
    let (list, duplicates): (Vec<&OwnerReference>, Vec<_>) = given.iter().partition(|one| seen.insert(*one));
    if !duplicates.is_empty() {
        let uids: Vec<&str> = duplicates.iter().map(|one| one.uid.as_str()).collect();
        findings.warnings.push(written.warning(&uids));
    }
    let mut causes: Vec<Cause> = Vec::new();
    let mut controller: Option<&OwnerReference> = None;
    for one in &list {
        // `group/` alone, or nothing, has no version; text with more slashes is read as no version either.
        let version = match one.api_version.split_once('/') {
            Some((_, version)) if !version.contains('/') => version,
            Some(_) => "",
            None => &one.api_version,
        };
        let empty = [
            (version.is_empty(), "apiVersion", &one.api_version, "version must not be empty"),
            (one.kind.is_empty(), "kind", &one.kind, "must not be empty"),
            (one.name.is_empty(), "name", &one.name, "must not be empty"),
            (one.uid.is_empty(), "uid", &one.uid, "must not be empty"),
        ];
        let faults = empty.into_iter().filter(|(faulty, ..)| *faulty);
        causes
            .extend(faults.map(|(_, member, value, fault)| invalid_value(&format!("{FIELD}.{member}"), value, fault)));
        if (one.api_version.as_str(), one.kind.as_str()) == ("v1", "Event") {
            causes.push(cause(&one.to_json(), "/v1, Kind=Event is disallowed from being an owner"));
        }
        if one.controller == Some(true) {
            if let Some(first) = controller {
                let fault = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {}/{} and {}/{}",
                    first.kind, first.name, one.kind, one.name
                );
                causes.push(cause(json, &fault));
            }
            controller = controller.or(Some(one));
        }
    }
    (0..written.repeats()).for_each(|_| findings.faults.extend_from_slice(&causes));
    let told: Vec<String> = list.iter().map(|one| one.to_json()).collect();
    Ok((!told.is_empty()).then(|| format!("[{}]", told.join(","))))
}

impl OwnerReference {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a reference holds nothing that cannot be written as JSON")
    }
}

fn cause(json: &str, fault: &str) -> Cause {
    let message = format!("Invalid value: {}: {fault}", compact(json));
    Cause { reason: "FieldValueInvalid".into(), message, field: FIELD.into() }
}
