//! The user's owner references, which the control plane never stores (wire rule 6.9). Where something may be wrong with them it is
//! asked what.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::error::BodyError;
use super::members::{Members, type_of};
use super::{Findings, Target};

/// How references come to be written, which decides what the reference server says of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Created,
    Updated,
    Patched,
    Applied,
}

impl Written {
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

/// Takes the references out of metadata; gives the text to keep. Those that may be invalid stay there, for the control plane to
/// say what is wrong with them.
pub(super) fn take(
    target: &Target<'_>,
    metadata: &mut Members<'_>,
    written: Written,
    findings: &mut Findings,
) -> Result<Option<String>, BodyError> {
    let kept = stash(metadata.get("ownerReferences").unwrap_or("null"), written, findings)?;
    // A write of a subresource changes no metadata, and is warned of all the same.
    findings.doubted &= target.subresource.is_none();
    if !findings.doubted {
        metadata.remove("ownerReferences");
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
    if let (Written::Applied, Some(twice)) = (written, given.iter().find(|one| !uids.insert(&one.uid))) {
        let fault = format!(".metadata.ownerReferences: duplicate entries for key [uid={:?}]", twice.uid);
        return Err(BodyError::NotApplicable(fault));
    }
    let mut seen = HashSet::new();
    let (list, duplicates): (Vec<&OwnerReference>, Vec<_>) = given.iter().partition(|one| seen.insert(*one));
    let controllers = list.iter().filter(|one| one.controller == Some(true)).count();
    findings.doubted = controllers > 1 || list.iter().any(|one| one.is_doubtful());
    if !duplicates.is_empty() {
        let uids: Vec<&str> = duplicates.iter().map(|one| one.uid.as_str()).collect();
        findings.warnings.push(written.warning(&uids));
    }
    let told: Vec<String> = list.iter().map(|one| one.to_json()).collect();
    Ok((!told.is_empty()).then(|| format!("[{}]", told.join(","))))
}

impl OwnerReference {
    /// Whether the reference server may refuse it (`validation/objectmeta.go`).
    fn is_doubtful(&self) -> bool {
        // `group/` alone has no version, and text with more slashes is none either.
        let version = match self.api_version.split_once('/') {
            Some((_, version)) if !version.contains('/') => version,
            Some(_) => "",
            None => &self.api_version,
        };
        [version, &self.kind, &self.name, &self.uid].contains(&"")
            || (self.api_version.as_str(), self.kind.as_str()) == ("v1", "Event")
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a reference holds nothing that cannot be written as JSON")
    }
}
