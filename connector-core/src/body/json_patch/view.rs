//! What the user sees of an object at some point of a patch, and what of ours goes with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::members::{Members, quote};
use super::super::object::full_name;
use super::super::{Live, Target};
use crate::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_NAME, RESERVED_PREFIX};

/// One of the two maps that hold something of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Labels,
    Annotations,
}

impl Which {
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Labels => "metadata.labels",
            Self::Annotations => "metadata.annotations",
        }
    }
}

/// A map as the user sees it. The reference server keeps no empty map, so none that is seen is none that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Map {
    Absent,
    /// A patch has set it to `null`.
    Null,
    Present(BTreeMap<String, String>),
    /// It has values that are no text; the control plane will refuse the outcome.
    Unknown,
}

impl Map {
    fn visible(map: &BTreeMap<String, String>) -> Self {
        let mut map = map.clone();
        map.retain(|key, _| !key.starts_with(RESERVED_PREFIX));
        if map.is_empty() { Self::Absent } else { Self::Present(map) }
    }

    /// The map that a patch sets; `json` is its text.
    pub(super) fn read(members: &Members<'_>, json: &str) -> Self {
        if json == "null" {
            return Self::Null;
        }
        let entries = members.iter().map(|(key, value)| Some((key.to_owned(), super::unquote(value)?)));
        entries.collect::<Option<_>>().map_or(Self::Unknown, Self::Present)
    }
}

/// See the module.
pub(super) struct View {
    labels: Map,
    annotations: Map,
    own_labels: BTreeMap<String, String>,
    own_annotations: BTreeMap<String, String>,
    /// The owner references, at their place in an otherwise empty object.
    pub(super) owners: Value,
    /// Local and stored name of the connection secret.
    secret: Option<(String, String)>,
}

impl View {
    pub(super) fn of(target: &Target<'_>, live: &Live) -> Self {
        let own = |map: &BTreeMap<String, String>| {
            let mut map = map.clone();
            map.retain(|key, _| key.starts_with(RESERVED_PREFIX));
            map
        };
        let name = target.name.unwrap_or_default();
        let (mut own_labels, mut own_annotations) = (own(&live.labels), own(&live.annotations));
        for (key, value) in target.scheme.labels(target.namespace, name) {
            own_labels.insert(key.to_owned(), value.into_owned());
        }
        if let Some(name) = full_name(name) {
            own_annotations.insert(ANNOTATION_NAME.to_owned(), name.to_owned());
        }
        let mut owners = json!({"metadata": {}});
        if let Some(list) = live.owner_references().and_then(|list| serde_json::from_str::<Value>(list).ok()) {
            owners["metadata"]["ownerReferences"] = list;
        }
        Self {
            labels: Map::visible(&live.labels),
            annotations: Map::visible(&live.annotations),
            own_labels,
            own_annotations,
            owners,
            secret: live.secret.as_ref().map(|secret| (secret.local.clone(), secret.stored.clone())),
        }
    }

    pub(super) fn map(&self, which: Which) -> &Map {
        match which {
            Which::Labels => &self.labels,
            Which::Annotations => &self.annotations,
        }
    }

    fn map_mut(&mut self, which: Which) -> &mut Map {
        match which {
            Which::Labels => &mut self.labels,
            Which::Annotations => &mut self.annotations,
        }
    }

    pub(super) fn set_map(&mut self, which: Which, map: Map) {
        *self.map_mut(which) = map;
    }

    /// What of ours is in a map.
    pub(super) fn own(&self, which: Which) -> &BTreeMap<String, String> {
        match which {
            Which::Labels => &self.own_labels,
            Which::Annotations => &self.own_annotations,
        }
    }

    pub(super) fn set_entry(&mut self, which: Which, key: &str, value: Option<String>) {
        match (self.map_mut(which), value) {
            (Map::Present(map), Some(value)) => drop(map.insert(key.to_owned(), value)),
            (map, _) => *map = Map::Unknown,
        }
    }

    pub(super) fn remove_entry(&mut self, which: Which, key: &str) {
        if let Map::Present(map) = self.map_mut(which) {
            map.remove(key);
        }
    }

    /// The whole map as the control plane stores it: what the user sees and what is ours.
    pub(super) fn render(&self, which: Which) -> String {
        let mut members = match self.map(which) {
            Map::Present(map) => Members::of_texts(map),
            Map::Absent | Map::Null | Map::Unknown => Members::default(),
        };
        self.own(which).iter().for_each(|(key, value)| members.set(key, quote(value)));
        members.render()
    }

    /// Whether the stored object has annotations at all.
    pub(super) fn has_annotations(&self) -> bool {
        !matches!(self.annotations, Map::Absent | Map::Null) || !self.own_annotations.is_empty()
    }

    /// Sets or removes an annotation of ours; gives what it was.
    pub(super) fn annotate(&mut self, key: &str, value: Option<String>) -> Option<String> {
        match value {
            Some(value) => self.own_annotations.insert(key.to_owned(), value),
            None => self.own_annotations.remove(key),
        }
    }

    /// All metadata is replaced: `given` by the user, `translated` for the control plane.
    pub(super) fn replace_metadata(&mut self, given: &Members<'_>, translated: &Members<'_>) {
        let read = |key: &str| {
            given.get(key).map_or(Map::Absent, |json| match Members::parse(json) {
                Ok(members) => Map::read(&members, json),
                Err(_) => Map::Absent,
            })
        };
        (self.labels, self.annotations) = (read("labels"), read("annotations"));
        let annotations = translated.get("annotations").and_then(|json| serde_json::from_str(json).ok());
        self.own_annotations = annotations.unwrap_or_default();
        self.own_annotations.retain(|key, _| key.starts_with(RESERVED_PREFIX));
        let owners = given.get_some("ownerReferences").and_then(|json| serde_json::from_str::<Value>(json).ok());
        self.owners = json!({"metadata": {}});
        if let Some(owners) = owners {
            self.owners["metadata"]["ownerReferences"] = owners;
        }
    }

    /// The name of the connection secret that the user sees.
    pub(super) fn local_secret(&self) -> Option<&str> {
        self.secret.as_ref().map(|(local, _)| local.as_str())
    }

    /// Its name in the control plane.
    pub(super) fn stored_secret(&self) -> Option<&str> {
        self.secret.as_ref().map(|(_, stored)| stored.as_str())
    }

    pub(super) fn set_secret(&mut self, secret: Option<(String, String)>) {
        self.secret = secret;
    }

    /// The annotation that goes with the secret, where it was renamed.
    pub(super) fn secret_annotation(&self) -> Option<String> {
        self.own_annotations.get(ANNOTATION_CONNECTION_SECRET).cloned()
    }
}
