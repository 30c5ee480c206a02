//! The kinds that are served: a table of built-in ones, and those that CustomResourceDefinitions declare.

mod builtin;
mod crd;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub(crate) use crd::prepare as prepare_crd;

use super::jsonpath::JsonPath;
use super::store::{Resource, Shared};

/// One kind of one version, as it is served.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Declared by a CustomResourceDefinition: objects are pruned, defaulted and checked by its schema.
    pub(crate) custom: bool,
    /// Only `create` is served, and nothing is stored.
    pub(crate) review: bool,
    /// There is a subresource `status`.
    pub(crate) status: bool,
    /// There is a subresource `scale`, which reads and writes here.
    pub(crate) scale: Option<Scale>,
    pub(crate) schema: Option<Arc<Value>>,
    pub(crate) columns: Vec<Column>,
    /// Paths, without the leading dot, that field selectors may name besides name and namespace.
    pub(crate) selectable: Vec<String>,
    /// Where objects are stored: under another group for kinds that are served by two.
    pub(crate) resource: Resource,
}

/// The paths of a subresource `scale`.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) label_selector: Option<String>,
}

/// A column of a Table after `Name`.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) cell: Cell,
}

/// What a column shows.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Path(JsonPath),
    /// The number of members or items there.
    Count(JsonPath),
    /// Nothing can be shown: the path is beyond what is understood.
    Nothing,
}

const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Kind {
    /// `group/version`, or the version alone in the core group.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    pub(crate) fn verbs(&self) -> &'static [&'static str] {
        if self.review { &["create"] } else { ALL_VERBS }
    }
}

/// `group/version`, or the version alone in the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The versions of one group with their kinds.
type Versions = Vec<(String, Vec<Arc<Kind>>)>;

/// All kinds, by group and version; versions of a group with the preferred one first.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    groups: BTreeMap<String, Versions>,
}

impl Kinds {
    /// The built-in kinds and those of stored CustomResourceDefinitions.
    pub(crate) fn of(crds: &[Shared], aggregation: bool) -> Self {
        let mut kinds = builtin::kinds(aggregation);
        kinds.extend(crds.iter().flat_map(|crd| crd::kinds(crd.value())));
        let mut groups: BTreeMap<String, Versions> = BTreeMap::new();
        for kind in kinds {
            let versions = groups.entry(kind.group.clone()).or_default();
            let at = versions.iter().position(|(version, _)| *version == kind.version).unwrap_or_else(|| {
                versions.push((kind.version.clone(), Vec::new()));
                versions.len() - 1
            });
            versions[at].1.push(Arc::new(kind));
        }
        for versions in groups.values_mut() {
            versions.sort_by_key(|(version, _)| std::cmp::Reverse(priority(version)));
        }
        Self { groups }
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        self.version(group, version)?.iter().find(|kind| kind.plural == plural).cloned()
    }

    /// The kind of an object, by its `apiVersion` and `kind`.
    pub(crate) fn of_object(&self, object: &Value) -> Option<Arc<Kind>> {
        let api_version = object.get("apiVersion")?.as_str()?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = object.get("kind")?.as_str()?;
        self.version(group, version)?.iter().find(|candidate| candidate.kind == kind).cloned()
    }

    /// The kind that serves a stored resource, in its preferred version.
    pub(crate) fn of_resource(&self, resource: &Resource) -> Option<Arc<Kind>> {
        let versions = self.groups.get(&resource.group)?;
        versions.iter().flat_map(|(_, kinds)| kinds).find(|kind| kind.resource == *resource).cloned()
    }

    pub(crate) fn version(&self, group: &str, version: &str) -> Option<&[Arc<Kind>]> {
        let versions = self.groups.get(group)?;
        versions.iter().find(|(name, _)| name == version).map(|(_, kinds)| kinds.as_slice())
    }

    /// Group names with their versions, preferred first; the core group is the empty name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, &Versions)> {
        self.groups.iter().map(|(group, versions)| (group.as_str(), versions))
    }

    /// Every resource that lies in namespaces, once.
    pub(crate) fn namespaced(&self) -> Vec<Arc<Kind>> {
        let mut seen: Vec<Arc<Kind>> = Vec::new();
        let all = self.groups.values().flatten().flat_map(|(_, kinds)| kinds);
        for kind in all.filter(|kind| kind.namespaced && !kind.review) {
            if !seen.iter().any(|other| other.resource == kind.resource) {
                seen.push(kind.clone());
            }
        }
        seen
    }
}

/// The order of versions in Kubernetes: `v2` before `v1`, released before beta before alpha, anything else last.
fn priority(version: &str) -> (u8, u64, u64) {
    let parse = || -> Option<(u8, u64, u64)> {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major = rest[..digits].parse().ok()?;
        match &rest[digits..] {
            "" => Some((3, major, 0)),
            stage => match (stage.strip_prefix("beta"), stage.strip_prefix("alpha")) {
                (Some(minor), _) => Some((2, major, minor.parse().ok()?)),
                (_, Some(minor)) => Some((1, major, minor.parse().ok()?)),
                _ => None,
            },
        }
    };
    parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_version_comes_first() {
        let mut versions = ["v1alpha1", "v1beta2", "v1", "v2", "v1beta1", "stable"];
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        assert_eq!(versions, ["v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "stable"]);
    }
}
