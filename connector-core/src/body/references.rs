//! The configured fields that name Secrets: their names in remote terms, and what goes with that.
//!
//! A body that is a whole object tells all of its Secrets. A merge patch and an apply tell some, perhaps a part of a reference
//! only: the other part is what the object has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::members::{Members, quote, unquote};
use super::{InputReference, Live, SecretName, Target};
use crate::origin::{InputSecret, annotated_secret, secret_annotation};
use crate::references::{Leaf, Node, Place, Sort, Step};

/// What is found at the configured fields of a body.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The annotations that say what the user calls the Secrets.
    pub(super) annotations: BTreeMap<String, String>,
    /// The input secrets that the object did not consume before.
    pub(super) inputs: Vec<InputReference>,
    pub(super) names: Vec<SecretName>,
}

/// Renames the Secrets in an object that is written whole, or applied. Of an apply `seen` is the object as the user sees it,
/// where it exists.
pub(super) fn rename(target: &Target<'_>, live: Option<&Live>, object: &mut Members<'_>, seen: Option<&str>) -> Found {
    let Some(spec) = object.get("spec").filter(|_| target.references().is_some()) else { return Found::default() };
    let seen = seen.and_then(spec_of);
    let (renamed, found) = rename_in_spec(target, live, spec, seen.as_deref());
    if let Some(renamed) = renamed {
        object.set("spec", renamed);
    }
    found
}

/// Whether a merge patch says anything of these fields, or takes away what holds them.
pub(super) fn are_patched(target: &Target<'_>, patch: &Members<'_>) -> bool {
    let (Some(references), Some(spec)) = (target.references(), patch.get("spec")) else { return false };
    match Members::parse(spec) {
        Ok(spec) => references.in_spec().iter().any(|(key, _)| spec.get(key).is_some()),
        // The whole is replaced.
        Err(_) => true,
    }
}

/// Renames the Secrets in a merge patch of the object that the user sees as `seen`; `outcome` is what that becomes by the
/// patch, and tells what is found.
pub(super) fn rename_patch(
    target: &Target<'_>,
    live: &Live,
    patch: &mut Members<'_>,
    seen: &str,
    outcome: &str,
) -> Found {
    if let Some(spec) = patch.get("spec")
        && let (Some(renamed), _) = rename_in_spec(target, Some(live), spec, Some(&spec_of(seen).unwrap_or_default()))
    {
        patch.set("spec", renamed);
    }
    spec_of(outcome).map(|spec| rename_in_spec(target, Some(live), &spec, None).1).unwrap_or_default()
}

/// The annotations of `live` that say what the user calls a Secret at a configured field.
pub(super) fn annotations(live: &Live) -> impl Iterator<Item = &str> {
    live.annotations.keys().map(String::as_str).filter(|key| annotated_secret(key).is_some())
}

fn spec_of(object: &str) -> Option<String> {
    Members::parse(object).ok()?.get_some("spec").map(str::to_owned)
}

/// The new value of `spec` where there is one, and what is found. `base` is what the object has already, in local terms: of what
/// is partial.
fn rename_in_spec(target: &Target<'_>, live: Option<&Live>, spec: &str, base: Option<&str>) -> (Option<String>, Found) {
    let Some(references) = target.references() else { return (None, Found::default()) };
    let has = live.map(|live| Has::of(target, live)).unwrap_or_default();
    let mut renaming = Renaming { target, has, found: Found::default(), told: BTreeSet::new() };
    let renamed = renaming.members(references.in_spec(), spec, base, None);
    (renamed, renaming.found)
}

/// The Secrets that a stored object names.
#[derive(Debug, Default)]
struct Has {
    inputs: BTreeSet<InputSecret>,
    /// What no annotation vouches for: the object was imported with it. The number of the field, and the name and namespace.
    imported: BTreeSet<(usize, String, Option<String>)>,
}

impl Has {
    fn of(target: &Target<'_>, live: &Live) -> Self {
        let mut has = Self::default();
        let spec = live.stored().and_then(spec_of);
        if let (Some(references), Some(spec)) = (target.references(), spec) {
            has.members(target, live, references.in_spec(), &spec);
        }
        has
    }

    fn members(&mut self, target: &Target<'_>, live: &Live, nodes: &[(String, Node)], json: &str) {
        let members = Members::parse(json).unwrap_or_default();
        for (key, node) in nodes {
            if let Some(value) = members.get(key) {
                self.value(target, live, node, value);
            }
        }
    }

    fn value(&mut self, target: &Target<'_>, live: &Live, node: &Node, json: &str) {
        match node {
            Node::Members(nodes) => self.members(target, live, nodes, json),
            Node::Each(node) => elements(json).iter().for_each(|one| self.value(target, live, node, one.get())),
            Node::Leaf(Leaf { sort: Sort::ConnectionSecret, number }) => {
                let Some(stored) = unquote(json) else { return };
                let annotation = live.annotations.get(&secret_annotation(&stored));
                if annotation.is_none_or(|local| target.remote_name(local) != stored) {
                    self.imported.insert((*number, stored, None));
                }
            }
            Node::Leaf(Leaf { sort: Sort::InputSecret, number }) => {
                let reference = Reference::of(&Members::parse(json).unwrap_or_default());
                let Some(stored) = reference.name else { return };
                let annotation = live.annotations.get(&secret_annotation(&stored));
                match annotation.and_then(|value| target.scheme.input(&stored, value)) {
                    Some(secret) => drop(self.inputs.insert(secret)),
                    None => drop(self.imported.insert((*number, stored, reference.namespace))),
                }
            }
        }
    }
}

/// A reference to an input secret, or a part of one. What is empty is not there.
struct Reference {
    name: Option<String>,
    namespace: Option<String>,
}

impl Reference {
    fn of(members: &Members<'_>) -> Self {
        let text = |key| members.get(key).and_then(unquote).filter(|text| !text.is_empty());
        Self { name: text("name"), namespace: text("namespace") }
    }
}

/// A walk over a `spec` in local terms, which gives the values in remote terms where they differ.
struct Renaming<'t> {
    target: &'t Target<'t>,
    has: Has,
    found: Found,
    /// The input secrets that were found to be new.
    told: BTreeSet<InputSecret>,
}

impl Renaming<'_> {
    fn members(
        &mut self,
        nodes: &[(String, Node)],
        json: &str,
        base: Option<&str>,
        holder: Option<&Place<'_>>,
    ) -> Option<String> {
        let mut members = Members::parse(json).ok()?;
        let base = base.map(|base| Members::parse(base).unwrap_or_default());
        let mut is_changed = false;
        for (key, node) in nodes {
            let Some(value) = members.get(key) else { continue };
            let base = base.as_ref().map(|base| base.get(key).unwrap_or("null"));
            let place = Place { holder, step: Step::Key(key) };
            if let Some(renamed) = self.value(node, value, base, &place) {
                members.set(key, renamed);
                is_changed = true;
            }
        }
        is_changed.then(|| members.render())
    }

    fn value(&mut self, node: &Node, json: &str, base: Option<&str>, place: &Place<'_>) -> Option<String> {
        match node {
            Node::Members(nodes) => self.members(nodes, json, base, Some(place)),
            // Which element of the object is meant only the control plane knows, so each must be whole.
            Node::Each(node) => self.each(node, json, place),
            Node::Leaf(Leaf { sort: Sort::ConnectionSecret, number }) => self.connection_secret(*number, json),
            Node::Leaf(Leaf { sort: Sort::InputSecret, number }) => self.input(*number, json, base, place),
        }
    }

    fn each(&mut self, node: &Node, json: &str, holder: &Place<'_>) -> Option<String> {
        let (mut out, mut is_changed) = (String::from("["), false);
        for (at, element) in elements(json).into_iter().enumerate() {
            let place = Place { holder: Some(holder), step: Step::Element(at) };
            let renamed = self.value(node, element.get(), None, &place);
            is_changed |= renamed.is_some();
            out.push_str(if at == 0 { "" } else { "," });
            out.push_str(renamed.as_deref().unwrap_or(element.get()));
        }
        out.push(']');
        is_changed.then_some(out)
    }

    fn connection_secret(&mut self, number: usize, json: &str) -> Option<String> {
        let local = unquote(json).filter(|name| !name.is_empty())?;
        let imported = (number, local, None);
        if self.has.imported.contains(&imported) {
            return None;
        }
        let (_, local, _) = imported;
        let remote = self.target.remote_name(&local);
        let renamed = quote(&remote);
        self.found.annotations.insert(secret_annotation(&remote), local.clone());
        self.found.names.push(SecretName { local, remote });
        Some(renamed)
    }

    fn input(&mut self, number: usize, json: &str, base: Option<&str>, place: &Place<'_>) -> Option<String> {
        let mut members = Members::parse(json).ok()?;
        let given = Reference::of(&members);
        let base = base.map(|base| Reference::of(&Members::parse(base).unwrap_or_default()));
        let is_given = |key| members.get(key).is_some();
        // What is not given is what the object has.
        let mut meant = Reference { name: given.name.clone(), namespace: given.namespace.clone() };
        if let Some(base) = &base {
            if !is_given("name") && !is_given("namespace") {
                return None;
            }
            if !is_given("name") {
                meant.name = base.name.clone();
            }
            if !is_given("namespace") {
                meant.namespace = base.namespace.clone();
            }
        }
        let is_imported = |reference: &Reference| {
            let imported = |name: &String| (number, name.clone(), reference.namespace.clone());
            reference.name.as_ref().is_some_and(|name| self.has.imported.contains(&imported(name)))
        };
        if is_imported(&meant) {
            return None;
        }
        let mut is_changed = false;
        if given.namespace.is_some() {
            // Without a name, too: one that the control plane puts there must not be looked for in another namespace.
            members.set("namespace", quote(self.target.remote_namespace()));
            is_changed = true;
        }
        if let Some(secret) = self.secret(meant) {
            let remote = self.target.scheme.input_name(&secret.namespace, &secret.name);
            // A name that is not given may be another manager's, and stays theirs where it stays what it is.
            let had = base.filter(|base| given.name.is_none() && !is_imported(base)).and_then(|base| self.secret(base));
            if had.as_ref() != Some(&secret) {
                members.set("name", quote(&remote));
                is_changed = true;
            }
            self.found.annotations.insert(secret_annotation(&remote), secret.to_json());
            self.found.names.push(SecretName { local: secret.name.clone(), remote });
            self.tell(secret, place);
        }
        is_changed.then(|| members.render())
    }

    /// What is referred to.
    fn secret(&self, reference: Reference) -> Option<InputSecret> {
        let namespace = reference.namespace.unwrap_or_else(|| self.target.namespace.to_owned());
        Some(InputSecret { namespace, name: reference.name? })
    }

    /// Tells of an input secret, once, where the object does not consume it already.
    fn tell(&mut self, secret: InputSecret, place: &Place<'_>) {
        if !self.has.inputs.contains(&secret) && self.told.insert(secret.clone()) {
            self.found.inputs.push(InputReference { secret, field: place.to_string() });
        }
    }
}

/// The elements of an array; none of anything else.
fn elements(json: &str) -> Vec<&RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}
