//! The discovery documents of what is offered, selected out of the control plane's.
//!
//! [`select`] picks the offered resources of one group and version out of what the control plane tells, so that a failure
//! touches this group and version only; whoever keeps the selections gives all of them to [`Documents`], which writes every
//! form that clients ask for. [`negotiate()`] says which form answers `GET /apis`.
//!
//! Only offered resources and their subresources are shown. Crossplane serves cluster-scoped composites in the same group
//! and version as their claims (wire rule 3.10); they are hidden, and nothing else is changed.

mod document;
mod negotiate;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use document::Document;
pub use negotiate::{RootForm, accepts_json, negotiate};
pub use read::{Aggregated, InvalidDocument, SelectError, select};
pub use write::Documents;

use crate::offer::GroupVersion;

/// The offered resources of one group and version, as the control plane serves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    group_version: GroupVersion,
    /// By plural.
    resources: Vec<Resource>,
}

impl Selected {
    /// The group and version that this is about.
    pub fn group_version(&self) -> &GroupVersion {
        &self.group_version
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Resource {
    plural: String,
    singular: String,
    kind: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
    /// Told by the legacy form only (wire rule 3.8).
    storage_version_hash: Option<String>,
    subresources: Vec<Subresource>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Subresource {
    name: String,
    response_kind: GroupVersionKind,
    verbs: Vec<String>,
}

/// In the member order of the reference encoder.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct GroupVersionKind {
    group: String,
    version: String,
    kind: String,
}
