//! The Secrets that an object names: the connection secret of `spec.writeConnectionSecretToRef.name`, and what is configured.

use super::members::{Members, quote, unquote};
use super::references::{self, Found};
use super::{Live, Target};
use crate::origin::ANNOTATION_CONNECTION_SECRET;

pub(super) const REF: &str = "writeConnectionSecretToRef";

/// What a body does to the connection secret's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It says nothing of it.
    None,
    /// It takes the name away.
    Removed,
    /// It gives the name that an object was imported with, which stays as it is.
    Kept(String),
    /// It gives a name, which was replaced by the remote one.
    Renamed(String),
}

impl Change {
    /// The annotation that goes with it.
    pub(super) fn annotation(&self) -> Option<&str> {
        match self {
            Self::Renamed(local) => Some(local),
            Self::None | Self::Removed | Self::Kept(_) => None,
        }
    }
}

/// What a body does to the names of Secrets.
pub(super) struct Secrets {
    conventional: Change,
    pub(super) configured: Found,
}

impl Secrets {
    /// Renames all Secrets in an object that is written whole, or applied to what the user sees as `seen`.
    pub(super) fn rename(
        target: &Target<'_>,
        live: Option<&Live>,
        object: &mut Members<'_>,
        seen: Option<&str>,
    ) -> Self {
        let conventional = rename(target, live, object);
        Self { conventional, configured: references::rename(target, live, object, seen) }
    }

    /// The annotations that go with it.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        let conventional = self.conventional.annotation().map(|local| (ANNOTATION_CONNECTION_SECRET, local));
        let configured = self.configured.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        conventional.into_iter().chain(configured)
    }
}

/// Renames the connection secret in an object, or in a patch of one.
pub(super) fn rename(target: &Target<'_>, live: Option<&Live>, object: &mut Members<'_>) -> Change {
    let Some(spec) = object.get("spec").map(str::to_owned) else { return Change::None };
    let (change, renamed) = rename_in_spec(target, live, &spec);
    if let Some(renamed) = renamed {
        object.set("spec", renamed);
    }
    change
}

/// The same for the value of `spec`; gives the new value where there is one.
pub(super) fn rename_in_spec(target: &Target<'_>, live: Option<&Live>, spec: &str) -> (Change, Option<String>) {
    if spec == "null" {
        return (Change::Removed, None);
    }
    // What is no object is refused by the control plane.
    let Ok(mut members) = Members::parse(spec) else { return (Change::None, None) };
    let Some(reference) = members.get(REF) else { return (Change::None, None) };
    let (change, renamed) = rename_in_ref(target, live, reference);
    let renamed = renamed.map(|renamed| {
        members.set(REF, renamed);
        members.render()
    });
    (change, renamed)
}

/// The same for the value of `writeConnectionSecretToRef`.
pub(super) fn rename_in_ref(target: &Target<'_>, live: Option<&Live>, reference: &str) -> (Change, Option<String>) {
    if reference == "null" {
        return (Change::Removed, None);
    }
    let Ok(mut members) = Members::parse(reference) else { return (Change::None, None) };
    let Some(name) = members.get("name") else { return (Change::None, None) };
    let (change, renamed) = rename_name(target, live, name);
    let renamed = renamed.map(|renamed| {
        members.set("name", renamed);
        members.render()
    });
    (change, renamed)
}

/// The same for the value of the name.
pub(super) fn rename_name(target: &Target<'_>, live: Option<&Live>, name: &str) -> (Change, Option<String>) {
    match unquote(name) {
        None if name == "null" => (Change::Removed, None),
        None => (Change::None, None),
        Some(name) if name.is_empty() => (Change::Removed, None),
        Some(name) if live.is_some_and(|live| live.imported_secret(&name)) => (Change::Kept(name), None),
        Some(name) => {
            let renamed = quote(&target.remote_name(&name));
            (Change::Renamed(name), Some(renamed))
        }
    }
}
