//! Writing the documents, members in the order of the reference encoder.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Document, GroupVersionKind, Resource, RootForm, Selected};
use crate::offer::{GroupVersion, sort_versions};

/// Every discovery document, ready to be served.
///
/// The document at `/apis` must be served only when it has all that is registered: a version that is missing from it
/// counts as gone, and namespaces are finalized while its objects live on (wire rule 3.5). See [`Documents::has`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    aggregated_v2: Document,
    aggregated_v2beta1: Document,
    groups: Document,
    by_group: BTreeMap<String, GroupDocuments>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct GroupDocuments {
    group: Document,
    versions: BTreeMap<String, VersionDocuments>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct VersionDocuments {
    native: Document,
    for_front: Document,
}

impl Documents {
    /// Writes the documents of all selections; their order does not matter.
    pub fn new<'a>(selections: impl IntoIterator<Item = &'a Selected>) -> Self {
        let mut by_group: BTreeMap<&str, BTreeMap<&str, &Selected>> = BTreeMap::new();
        for selected in selections {
            let GroupVersion { group, version } = &selected.group_version;
            by_group.entry(group).or_default().insert(version, selected);
        }
        // In each group the preferred version first, as the reference server sorts versions of equal priority.
        let groups: Vec<(&str, Vec<&Selected>)> = by_group
            .into_iter()
            .map(|(group, versions)| {
                let mut names: Vec<&str> = versions.keys().copied().collect();
                sort_versions(&mut names);
                (group, names.iter().map(|name| versions[name]).collect())
            })
            .collect();
        let legacy: Vec<ApiGroup<'_>> = groups.iter().map(|(group, versions)| ApiGroup::new(group, versions)).collect();
        let by_group = groups.iter().zip(&legacy).map(|((group, versions), legacy)| {
            let versions = versions.iter().map(|selected| {
                let write = |for_front| typed("APIResourceList", "v1", ApiResourceList::new(selected, for_front));
                let documents = VersionDocuments { native: write(false), for_front: write(true) };
                (selected.group_version.version.clone(), documents)
            });
            let documents = GroupDocuments { group: typed("APIGroup", "v1", legacy), versions: versions.collect() };
            ((*group).to_owned(), documents)
        });
        let by_group = by_group.collect();
        let aggregated = AggregatedList::new(&groups);
        let typed_aggregated = |version| typed("APIGroupDiscoveryList", version, &aggregated);
        Self {
            aggregated_v2: typed_aggregated("apidiscovery.k8s.io/v2"),
            aggregated_v2beta1: typed_aggregated("apidiscovery.k8s.io/v2beta1"),
            groups: typed("APIGroupList", "v1", ApiGroupList { groups: legacy }),
            by_group,
        }
    }

    /// The document at `/apis`.
    pub fn root(&self, form: RootForm) -> &Document {
        match form {
            RootForm::AggregatedV2 => &self.aggregated_v2,
            RootForm::AggregatedV2Beta1 => &self.aggregated_v2beta1,
            RootForm::Groups => &self.groups,
        }
    }

    /// The document at `/apis/<group>`: an `APIGroup`.
    pub fn group(&self, group: &str) -> Option<&Document> {
        Some(&self.by_group.get(group)?.group)
    }

    /// The document at `/apis/<group>/<version>`: an `APIResourceList`. Never answer 304 here, as the front repeats the
    /// validator of another document (wire rule 3.4).
    pub fn version(&self, group: &str, version: &str) -> Option<&Document> {
        Some(&self.by_group.get(group)?.versions.get(version)?.native)
    }

    /// The same for the front, which copies the group and version of each resource literally where it cannot have the aggregated
    /// form; kube-apiserver leaves them out where they are those of the list (wire rule 3.8).
    pub fn version_for_front(&self, group: &str, version: &str) -> Option<&Document> {
        Some(&self.by_group.get(group)?.versions.get(version)?.for_front)
    }

    /// Whether a group and version is in the documents.
    pub fn has(&self, group_version: &GroupVersion) -> bool {
        self.version(&group_version.group, &group_version.version).is_some()
    }
}

/// Encodes as the reference serializer does: kind and version first, a newline last.
fn typed<T: Serialize>(kind: &str, api_version: &str, body: T) -> Document {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed<'a, T> {
        kind: &'a str,
        api_version: &'a str,
        #[serde(flatten)]
        body: T,
    }
    let mut json =
        serde_json::to_vec(&Typed { kind, api_version, body }).expect("text and lists can be written as JSON");
    json.push(b'\n');
    Document::new(json)
}

#[derive(Serialize)]
struct AggregatedList<'a> {
    metadata: NoMetadata,
    items: Vec<AggregatedGroup<'a>>,
}

#[derive(Serialize)]
struct NoMetadata {}

#[derive(Serialize)]
struct AggregatedGroup<'a> {
    metadata: GroupMetadata<'a>,
    versions: Vec<AggregatedVersion<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupMetadata<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct AggregatedVersion<'a> {
    version: &'a str,
    resources: Vec<AggregatedResource<'a>>,
    freshness: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedResource<'a> {
    resource: &'a str,
    response_kind: GroupVersionKind,
    scope: &'static str,
    singular_resource: &'a str,
    verbs: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subresources: Vec<AggregatedSubresource<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedSubresource<'a> {
    subresource: &'a str,
    response_kind: &'a GroupVersionKind,
    verbs: &'a [String],
}

impl<'a> AggregatedList<'a> {
    fn new(groups: &[(&'a str, Vec<&'a Selected>)]) -> Self {
        let version = |selected: &&'a Selected| AggregatedVersion {
            version: &selected.group_version.version,
            resources: selected.resources.iter().map(|r| AggregatedResource::new(r, &selected.group_version)).collect(),
            freshness: "Current",
        };
        let group = |(name, versions): &(&'a str, Vec<&'a Selected>)| AggregatedGroup {
            metadata: GroupMetadata { name },
            versions: versions.iter().map(version).collect(),
        };
        Self { metadata: NoMetadata {}, items: groups.iter().map(group).collect() }
    }
}

impl<'a> AggregatedResource<'a> {
    fn new(resource: &'a Resource, group_version: &GroupVersion) -> Self {
        let subresources = resource.subresources.iter().map(|subresource| AggregatedSubresource {
            subresource: &subresource.name,
            response_kind: &subresource.response_kind,
            verbs: &subresource.verbs,
        });
        Self {
            resource: &resource.plural,
            response_kind: GroupVersionKind {
                group: group_version.group.clone(),
                version: group_version.version.clone(),
                kind: resource.kind.clone(),
            },
            scope: "Namespaced",
            singular_resource: &resource.singular,
            verbs: &resource.verbs,
            short_names: &resource.short_names,
            categories: &resource.categories,
            subresources: subresources.collect(),
        }
    }
}

#[derive(Serialize)]
struct ApiGroupList<'a> {
    groups: Vec<ApiGroup<'a>>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroup<'a> {
    name: &'a str,
    versions: Vec<ApiGroupVersion<'a>>,
    preferred_version: Option<ApiGroupVersion<'a>>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroupVersion<'a> {
    group_version: String,
    version: &'a str,
}

impl<'a> ApiGroup<'a> {
    fn new(name: &'a str, versions: &[&'a Selected]) -> Self {
        let versions: Vec<ApiGroupVersion<'a>> = versions
            .iter()
            .map(|Selected { group_version, .. }| ApiGroupVersion {
                group_version: group_version.to_string(),
                version: &group_version.version,
            })
            .collect();
        Self { name, preferred_version: versions.first().cloned(), versions }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResourceList<'a> {
    group_version: String,
    resources: Vec<ApiResource<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResource<'a> {
    name: String,
    singular_name: &'a str,
    namespaced: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    kind: &'a str,
    verbs: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_version_hash: Option<&'a str>,
}

impl<'a> ApiResourceList<'a> {
    fn new(selected: &'a Selected, for_front: bool) -> Self {
        let GroupVersion { group, version } = &selected.group_version;
        let told = |of: (&'a str, &'a str)| if for_front || of != (group, version) { of } else { ("", "") };
        let mut resources = Vec::new();
        for resource in &selected.resources {
            let (group, version) = told((group, version));
            resources.push(ApiResource {
                name: resource.plural.clone(),
                singular_name: &resource.singular,
                namespaced: true,
                group,
                version,
                kind: &resource.kind,
                verbs: &resource.verbs,
                short_names: &resource.short_names,
                categories: &resource.categories,
                storage_version_hash: resource.storage_version_hash.as_deref(),
            });
            resources.extend(resource.subresources.iter().map(|subresource| {
                let kind = &subresource.response_kind;
                let (group, version) = told((&kind.group, &kind.version));
                ApiResource {
                    name: format!("{}/{}", resource.plural, subresource.name),
                    singular_name: "",
                    namespaced: true,
                    group,
                    version,
                    kind: &kind.kind,
                    verbs: &subresource.verbs,
                    short_names: &[],
                    categories: &[],
                    storage_version_hash: None,
                }
            }));
        }
        Self { group_version: selected.group_version.to_string(), resources }
    }
}
