//! The user's owner references: checked as the reference server checks them, because the control plane never sees them
//! (wire rule 6.9).

use serde::{Deserialize, Serialize};

use super::error::{BodyError, invalid_value};
use super::members::{compact, type_of};
use crate::status::Cause;

const FIELD: &str = "metadata.ownerReferences";

/// In the order in which the reference server shows the members of a custom resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
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

/// The text to keep for a list of owner references given as JSON; `None` for an empty list or `null`. `name` is the local
/// name of the object.
pub(super) fn stash(json: &str, name: &str) -> Result<Option<String>, BodyError> {
    let wrong =
        BodyError::WrongType { field: "ownerReferences", found: type_of(json), expected: "[]v1.OwnerReference" };
    let list: Option<Vec<OwnerReference>> = serde_json::from_str(json).map_err(|_| wrong)?;
    let list = list.unwrap_or_default();
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
    if !causes.is_empty() {
        return Err(BodyError::Invalid { name: name.to_owned(), causes });
    }
    let told: Vec<String> = list.iter().map(OwnerReference::to_json).collect();
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
