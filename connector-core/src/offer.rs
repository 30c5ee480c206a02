//! Which APIs a control plane offers to app clusters, read out of its XRDs, or of its CRDs where XRDs may not be read.
//!
//! Offered are claims and namespaced composite resources; never cluster-scoped composites, managed resources or operations.
//! Reading is a function of one document: whoever watches the control plane collects the results into [`Offers`] and
//! compares them with the former ones.

mod read;
#[cfg(test)]
mod tests;
mod version;

use std::collections::BTreeMap;
use std::fmt;

pub use read::{InvalidDefinition, from_crd, from_xrd};

use crate::origin::Form;

/// One API that is offered: a kind in its group, and the versions in which it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The API group, never empty.
    pub group: String,
    /// The plural resource name, as in paths.
    pub plural: String,
    /// The singular resource name; the kind in lower case unless the definition says otherwise.
    pub singular: String,
    /// The kind of one object.
    pub kind: String,
    /// The kind of a list; `kind` and `List` unless the definition says otherwise.
    pub list_kind: String,
    /// Claim or namespaced composite resource.
    pub form: Form,
    /// The versions that are served, at least one, the preferred first (Kubernetes version priority).
    pub versions: Vec<String>,
}

/// An API group and one of its versions: what one APIService stands for (wire rule 2.11).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupVersion {
    /// The API group.
    pub group: String,
    /// The version in the group.
    pub version: String,
}

impl GroupVersion {
    /// A group and version.
    pub fn new(group: impl Into<String>, version: impl Into<String>) -> Self {
        Self { group: group.into(), version: version.into() }
    }
}

impl fmt::Display for GroupVersion {
    /// `group/version`, as in `apiVersion`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.version)
    }
}

/// All that is offered, by group and plural.
///
/// Two sets are equal exactly if they offer the same, whatever the order in which they were collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    groups: BTreeMap<String, BTreeMap<String, Offered>>,
}

impl Offers {
    /// The API of `plural`, if it is served in this group and version.
    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Offered> {
        self.groups.get(group)?.get(plural).filter(|offered| offered.serves(version))
    }

    /// Every API that is served in this group and version, by plural.
    pub fn in_group_version<'a>(&'a self, group: &str, version: &'a str) -> impl Iterator<Item = &'a Offered> + 'a {
        self.groups.get(group).into_iter().flat_map(BTreeMap::values).filter(move |offered| offered.serves(version))
    }

    /// Every group and version in which something is served: groups by name, in each the preferred version first.
    pub fn group_versions(&self) -> Vec<GroupVersion> {
        let mut all = Vec::new();
        for (group, offered) in &self.groups {
            let mut versions: Vec<&str> =
                offered.values().flat_map(|offered| &offered.versions).map(String::as_str).collect();
            sort_versions(&mut versions);
            versions.dedup();
            all.extend(versions.into_iter().map(|version| GroupVersion::new(group, version)));
        }
        all
    }

    /// Every API, by group and plural.
    pub fn iter(&self) -> impl Iterator<Item = &Offered> {
        self.groups.values().flat_map(BTreeMap::values)
    }

    /// Whether nothing is offered.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl FromIterator<Offered> for Offers {
    /// Collects offers. Of two for one group and plural the first stays: a control plane can serve only one of them.
    fn from_iter<I: IntoIterator<Item = Offered>>(offers: I) -> Self {
        let mut groups: BTreeMap<String, BTreeMap<String, Offered>> = BTreeMap::new();
        for offered in offers.into_iter().filter(|offered| !offered.versions.is_empty()) {
            groups.entry(offered.group.clone()).or_default().entry(offered.plural.clone()).or_insert(offered);
        }
        Self { groups }
    }
}

impl Offered {
    /// Whether the API is served in a version.
    pub fn serves(&self, version: &str) -> bool {
        self.versions.iter().any(|served| served == version)
    }
}

/// Sorts versions as Kubernetes prefers them: general availability, then beta, then alpha, each the highest number first;
/// names of another form last, by alphabet (`apimachinery/pkg/version: CompareKubeAwareVersionStrings`).
pub(crate) fn sort_versions<V: AsRef<str>>(versions: &mut [V]) {
    versions.sort_by(|one, other| version::preference(one.as_ref()).cmp(&version::preference(other.as_ref())));
}
