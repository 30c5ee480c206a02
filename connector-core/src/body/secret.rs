//! The connection secret that an object names: `spec.writeConnectionSecretToRef.name`.

use super::members::{Members, quote, unquote};
use super::{Live, Target};

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

/// Renames the secret in an object, or in a patch of one.
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
