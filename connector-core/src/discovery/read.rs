//! Reading the control plane's discovery, either form.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{GroupVersionKind, Resource, Selected, Subresource};
use crate::offer::{GroupVersion, Offered, Offers};

/// A document of the control plane is not what it should be; the text says why. The control plane, or something between,
/// is at fault: keep the last good document and ask again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the control plane's {document} cannot be read: {reason}")]
pub struct InvalidDocument {
    /// Which kind of document.
    pub document: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl InvalidDocument {
    pub(crate) fn new(document: &'static str, reason: impl ToString) -> Self {
        Self { document, reason: reason.to_string() }
    }
}

/// The offered resources of a group and version cannot be told. The control plane is at fault, or it has not caught up with
/// its definitions yet: keep the last good selection of this group and version, and ask again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectError {
    /// No document about the group and version was given, or the aggregated one does not have it.
    #[error("the control plane's discovery does not have the group and version")]
    Absent,
    /// The aggregated document marks the group and version as stale: its resources may be missing.
    #[error("the control plane's discovery of the group and version is stale")]
    Stale,
    /// An offered API is not there, of another kind or not namespaced. To leave it out would tell controllers that its
    /// objects do not exist (wire rule 3.5).
    #[error("the control plane's discovery has no namespaced resource {plural} of kind {kind}")]
    Missing {
        /// The plural resource name that is offered.
        plural: String,
        /// The kind that is offered.
        kind: String,
    },
    /// The document cannot be read.
    #[error(transparent)]
    Invalid(#[from] InvalidDocument),
}

const AGGREGATED: &str = "APIGroupDiscoveryList";
const LEGACY: &str = "APIResourceList";

/// The control plane's aggregated discovery, taken apart only as far as its group versions.
#[derive(Clone, Debug)]
pub struct Aggregated<'a> {
    versions: BTreeMap<GroupVersion, Version<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Version<'a> {
    version: String,
    #[serde(borrow)]
    resources: Option<&'a RawValue>,
    #[serde(default)]
    freshness: String,
}

impl<'a> Aggregated<'a> {
    /// Reads the answer to `GET /apis` in either aggregated form. Groups that cannot be read are left out.
    pub fn parse(raw: &'a [u8]) -> Result<Self, InvalidDocument> {
        #[derive(Deserialize)]
        struct List<'a> {
            kind: String,
            #[serde(rename = "apiVersion")]
            api_version: String,
            #[serde(borrow)]
            items: Vec<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Group<'a> {
            metadata: Metadata,
            #[serde(borrow, default, deserialize_with = "or_null")]
            versions: Vec<Version<'a>>,
        }
        #[derive(Deserialize)]
        struct Metadata {
            #[serde(default)]
            name: String,
        }

        let list: List<'a> = serde_json::from_slice(raw).map_err(|error| InvalidDocument::new(AGGREGATED, error))?;
        if list.kind != AGGREGATED || !list.api_version.starts_with("apidiscovery.k8s.io/") {
            let reason = format!("it is a {} of {}", list.kind, list.api_version);
            return Err(InvalidDocument::new(AGGREGATED, reason));
        }
        let groups = list.items.into_iter().filter_map(|item| serde_json::from_str::<Group<'a>>(item.get()).ok());
        let versions = groups
            .flat_map(|Group { metadata, versions }| {
                let named = move |version: Version<'a>| (GroupVersion::new(&metadata.name, &version.version), version);
                versions.into_iter().map(named)
            })
            .collect();
        Ok(Self { versions })
    }

    /// What is told of a group and version, as it came: good for seeing that it changed. `None` where nothing is told.
    pub fn told(&self, group_version: &GroupVersion) -> Option<&'a str> {
        self.versions.get(group_version)?.resources.map(RawValue::get)
    }

    fn select(&self, group_version: &GroupVersion, offers: &Offers) -> Result<Vec<Resource>, SelectError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            response_kind: Option<GroupVersionKind>,
            scope: String,
            #[serde(default)]
            singular_resource: String,
            #[serde(default, deserialize_with = "or_null")]
            verbs: Vec<String>,
            #[serde(default, deserialize_with = "or_null")]
            short_names: Vec<String>,
            #[serde(default, deserialize_with = "or_null")]
            categories: Vec<String>,
            #[serde(default, deserialize_with = "or_null")]
            subresources: Vec<ToldSubresource>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ToldSubresource {
            subresource: String,
            response_kind: Option<GroupVersionKind>,
            #[serde(default, deserialize_with = "or_null")]
            verbs: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Name {
            resource: String,
        }

        let version = self.versions.get(group_version).ok_or(SelectError::Absent)?;
        if version.freshness == "Stale" {
            return Err(SelectError::Stale);
        }
        let told: Vec<&RawValue> = version.resources.map_or(Ok(vec![]), |raw| parse(AGGREGATED, raw))?;
        let mut found = BTreeMap::new();
        for raw in told {
            let Ok(Name { resource }) = serde_json::from_str(raw.get()) else { continue };
            let Some(offered) = offers.get(&group_version.group, &group_version.version, &resource) else { continue };
            let told: Told = parse(AGGREGATED, raw)?;
            let kind = told.response_kind.map_or_else(|| offered.kind.clone(), |gvk| gvk.kind);
            if told.scope != "Namespaced" || kind != offered.kind {
                continue;
            }
            let subresources = told.subresources.into_iter().map(|sub| {
                let response_kind = response_kind(group_version, offered, &sub.subresource, sub.response_kind);
                Subresource { name: sub.subresource, response_kind, verbs: sub.verbs }
            });
            let told = Resource {
                plural: resource,
                singular: or_offered(told.singular_resource, &offered.singular),
                kind,
                verbs: told.verbs,
                short_names: told.short_names,
                categories: told.categories,
                storage_version_hash: None,
                subresources: subresources.collect(),
            };
            found.insert(told.plural.clone(), told);
        }
        complete(found, group_version, offers)
    }
}

/// Selects the offered resources of a group and version out of the control plane's documents about it: its aggregated
/// discovery, the legacy `APIResourceList` of `GET /apis/<group>/<version>`, or better both, as each knows something that
/// the other does not (wire rules 3.7, 3.8). One that cannot be used is made up for by the other.
pub fn select(
    group_version: &GroupVersion,
    offers: &Offers,
    aggregated: Option<&Aggregated<'_>>,
    legacy: Option<&[u8]>,
) -> Result<Selected, SelectError> {
    let legacy = legacy.map(|raw| select_legacy(raw, group_version, offers));
    let resources = match (aggregated.map(|aggregated| aggregated.select(group_version, offers)), legacy) {
        (Some(Ok(mut resources)), Some(Ok(legacy))) => {
            // Both hold exactly the offered resources, by plural.
            for (resource, legacy) in resources.iter_mut().zip(legacy) {
                resource.storage_version_hash = legacy.storage_version_hash;
            }
            resources
        }
        (Some(Ok(resources)), _) | (_, Some(Ok(resources))) => resources,
        (Some(Err(error)), _) | (None, Some(Err(error))) => return Err(error),
        (None, None) => return Err(SelectError::Absent),
    };
    Ok(Selected { group_version: group_version.clone(), resources })
}

fn select_legacy(raw: &[u8], group_version: &GroupVersion, offers: &Offers) -> Result<Vec<Resource>, SelectError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'a> {
        kind: String,
        group_version: String,
        #[serde(borrow, default, deserialize_with = "or_null")]
        resources: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        #[serde(default)]
        singular_name: String,
        namespaced: bool,
        #[serde(flatten)]
        gvk: GroupVersionKind,
        #[serde(default, deserialize_with = "or_null")]
        verbs: Vec<String>,
        #[serde(default, deserialize_with = "or_null")]
        short_names: Vec<String>,
        #[serde(default, deserialize_with = "or_null")]
        categories: Vec<String>,
        storage_version_hash: Option<String>,
    }
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }

    let list: List<'_> = serde_json::from_slice(raw).map_err(|error| InvalidDocument::new(LEGACY, error))?;
    if list.kind != LEGACY || list.group_version != group_version.to_string() {
        let reason = format!("it is a {} of {}", list.kind, list.group_version);
        return Err(InvalidDocument::new(LEGACY, reason).into());
    }
    let (mut found, mut subresources) = (BTreeMap::new(), BTreeMap::<String, Vec<Subresource>>::new());
    for raw in list.resources {
        let Ok(Name { name }) = serde_json::from_str(raw.get()) else { continue };
        let (plural, subresource) = name.split_once('/').map_or((&*name, None), |(plural, sub)| (plural, Some(sub)));
        let Some(offered) = offers.get(&group_version.group, &group_version.version, plural) else { continue };
        let told: Told = parse(LEGACY, raw)?;
        if !told.namespaced {
            continue;
        }
        if let Some(subresource) = subresource {
            let response_kind = response_kind(group_version, offered, subresource, Some(told.gvk));
            let subresource = Subresource { name: subresource.to_owned(), response_kind, verbs: told.verbs };
            subresources.entry(plural.to_owned()).or_default().push(subresource);
        } else if told.gvk.kind == offered.kind {
            let told = Resource {
                plural: plural.to_owned(),
                singular: or_offered(told.singular_name, &offered.singular),
                kind: told.gvk.kind,
                verbs: told.verbs,
                short_names: told.short_names,
                categories: told.categories,
                storage_version_hash: told.storage_version_hash.filter(|hash| !hash.is_empty()),
                subresources: Vec::new(),
            };
            found.insert(told.plural.clone(), told);
        }
    }
    for (plural, subresources) in subresources {
        if let Some(resource) = found.get_mut(&plural) {
            resource.subresources = subresources;
        }
    }
    complete(found, group_version, offers)
}

/// The kind that a subresource answers with. Legacy lists leave group and version out where they are the list's own (wire
/// rule 3.8), and clients drop what has no kind (wire rule 3.7).
fn response_kind(
    group_version: &GroupVersion,
    offered: &Offered,
    subresource: &str,
    told: Option<GroupVersionKind>,
) -> GroupVersionKind {
    match told {
        Some(gvk) if !gvk.kind.is_empty() && !gvk.version.is_empty() => gvk,
        _ if subresource == "scale" => {
            GroupVersionKind { group: "autoscaling".into(), version: "v1".into(), kind: "Scale".into() }
        }
        _ => GroupVersionKind {
            group: group_version.group.clone(),
            version: group_version.version.clone(),
            kind: offered.kind.clone(),
        },
    }
}

fn complete(
    found: BTreeMap<String, Resource>,
    group_version: &GroupVersion,
    offers: &Offers,
) -> Result<Vec<Resource>, SelectError> {
    let mut expected = offers.in_group_version(&group_version.group, &group_version.version).peekable();
    if expected.peek().is_none() {
        return Err(SelectError::Absent);
    }
    match expected.find(|offered| !found.contains_key(&offered.plural)) {
        Some(Offered { plural, kind, .. }) => Err(SelectError::Missing { plural: plural.clone(), kind: kind.clone() }),
        None => Ok(found.into_values().collect()),
    }
}

fn or_offered(told: String, offered: &str) -> String {
    if told.is_empty() { offered.to_owned() } else { told }
}

fn parse<'a, T: Deserialize<'a>>(document: &'static str, raw: &'a RawValue) -> Result<T, InvalidDocument> {
    serde_json::from_str(raw.get()).map_err(|error| InvalidDocument::new(document, error))
}

/// Go writes an empty list as `null` where it is not left out.
fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
