//! Sets of fields of an object.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A set of fields, as `FieldsV1` writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) own: bool,
    children: BTreeMap<String, Self>,
}

impl Fields {
    pub(super) fn of_json(value: &Value) -> Self {
        let members = value.as_object();
        let mut fields = Self { own: members.is_none_or(Map::is_empty), children: BTreeMap::new() };
        for (name, member) in members.into_iter().flatten() {
            if name == "." {
                fields.own = true;
            } else {
                fields.children.insert(name.clone(), Self::of_json(member));
            }
        }
        fields
    }

    pub(super) fn json(&self) -> Value {
        let mut members = Map::new();
        if self.own && !self.children.is_empty() {
            members.insert(".".into(), json!({}));
        }
        members.extend(self.children.iter().map(|(name, child)| (name.clone(), child.json())));
        members.into()
    }

    /// The fields of a value: its leaves, and with `maps` the maps that hold them.
    pub(super) fn of_value(value: &Value, maps: bool) -> Self {
        match value {
            Value::Object(members) if !members.is_empty() => {
                let children = members.iter().map(|(name, member)| (format!("f:{name}"), Self::of_value(member, maps)));
                Self { own: maps, children: children.collect() }
            }
            _ => Self { own: true, children: BTreeMap::new() },
        }
    }

    /// The fields of an object that managers can own.
    pub(super) fn of_object(object: &Value, maps: bool) -> Self {
        let mut fields = Self::of_value(&content(object), maps);
        fields.own = false;
        if let Some(metadata) = fields.children.get_mut("f:metadata") {
            metadata.own = false;
        }
        fields.trim();
        fields
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.own && self.children.is_empty()
    }

    pub(super) fn trim(&mut self) {
        self.children.values_mut().for_each(Self::trim);
        self.children.retain(|_, child| !child.is_empty());
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.own |= other.own;
        for (name, child) in &other.children {
            self.children.entry(name.clone()).or_default().add(child);
        }
    }

    /// Takes away what the other set holds; a leaf there takes all below it.
    pub(super) fn subtract(&mut self, other: &Self) {
        if other.own {
            self.own = false;
            if other.children.is_empty() {
                self.children.clear();
            }
        }
        for (name, child) in &other.children {
            if let Some(mine) = self.children.get_mut(name) {
                mine.subtract(child);
            }
        }
        self.children.retain(|_, child| !child.is_empty());
    }

    /// Takes away the very fields that the other set holds, and not what is below them.
    pub(super) fn subtract_only(&mut self, other: &Self) {
        self.own &= !other.own;
        for (name, child) in &other.children {
            if let Some(mine) = self.children.get_mut(name) {
                mine.subtract_only(child);
            }
        }
        self.children.retain(|_, child| !child.is_empty());
    }

    /// Finds the paths of the leaves that both sets hold.
    pub(super) fn common(&self, other: &Self, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        if self.own && other.own && (self.children.is_empty() || other.children.is_empty()) {
            found.push(path.clone());
        }
        for (name, child) in &self.children {
            if let Some(theirs) = other.children.get(name) {
                path.push(name.trim_start_matches("f:").to_owned());
                child.common(theirs, path, found);
                path.pop();
            }
        }
    }

    pub(super) fn leaves(&self, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        if self.children.is_empty() {
            found.push(path.clone());
        }
        for (name, child) in &self.children {
            path.push(name.trim_start_matches("f:").to_owned());
            child.leaves(path, found);
            path.pop();
        }
    }
}

/// What of an object managers can own: not what identifies it, nor what the server sets.
pub(super) fn content(object: &Value) -> Value {
    let mut members = object.as_object().cloned().unwrap_or_default();
    members.remove("apiVersion");
    members.remove("kind");
    if let Some(metadata) = members.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| {
            matches!(name.as_str(), "labels" | "annotations" | "finalizers" | "ownerReferences" | "generateName")
        });
    }
    members.into()
}

/// The fields that are new or differ, and those that are gone.
pub(super) fn difference(old: &Value, new: &Value) -> (Fields, Fields) {
    let (mut changed, mut removed) = (Fields::default(), Fields::default());
    differ(old, new, &mut changed, &mut removed);
    for fields in [&mut changed, &mut removed] {
        fields.own = false;
        if let Some(metadata) = fields.children.get_mut("f:metadata") {
            metadata.own = false;
        }
        fields.trim();
    }
    (changed, removed)
}

fn differ(old: &Value, new: &Value, changed: &mut Fields, removed: &mut Fields) {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        if old != new {
            *changed = Fields::of_value(new, true);
        }
        return;
    };
    for (name, value) in new {
        let key = format!("f:{name}");
        match old.get(name) {
            None => {
                changed.children.insert(key, Fields::of_value(value, true));
            }
            Some(before) => {
                let (mut c, mut r) = (Fields::default(), Fields::default());
                differ(before, value, &mut c, &mut r);
                changed.children.insert(key.clone(), c);
                removed.children.insert(key, r);
            }
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        removed.children.insert(format!("f:{name}"), Fields { own: true, children: BTreeMap::new() });
    }
}

/// The set of one field.
pub(super) fn of_path(path: &[String]) -> Fields {
    let leaf = Fields { own: true, children: BTreeMap::new() };
    path.iter().rev().fold(leaf, |child, name| Fields { own: false, children: [(format!("f:{name}"), child)].into() })
}
