//! The kinds of a control plane: claims, and the composites behind them.

use connector_core::offer::from_xrd;
use connector_core::origin::Form;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AdoptError;
use crate::ask::ask;

/// One resource, enough to ask for its objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
}

impl Resource {
    pub(crate) fn api(&self, client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(&self.group, &self.version, &self.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &self.plural);
        match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        }
    }

    /// Whether an object is of this kind, in whatever version.
    pub(crate) fn is_of(&self, object: &DynamicObject) -> bool {
        object.types.as_ref().is_some_and(|types| {
            types.kind == self.kind && types.api_version.split_once('/').map(|(group, _)| group) == Some(&self.group)
        })
    }

    /// Whether a user's word means this kind, as kubectl reads it.
    pub(crate) fn is_called(&self, word: &str) -> bool {
        let word = word.to_ascii_lowercase();
        let name = word.strip_suffix(&self.group).and_then(|name| name.strip_suffix('.')).unwrap_or(&word);
        name == self.plural || name == self.kind.to_ascii_lowercase()
    }
}

/// A kind of claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimKind {
    pub(crate) claim: Resource,
    pub(crate) composite: Resource,
}

/// What the control plane has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kinds {
    pub(crate) claims: Vec<ClaimKind>,
    /// Namespaced composites, which are not adopted.
    pub(crate) namespaced: Vec<Resource>,
}

/// Reads the XRDs.
///
/// # Errors
/// [`AdoptError::Unread`].
pub(crate) async fn read(client: &Client) -> Result<Kinds, AdoptError> {
    let gvk = GroupVersionKind::gvk("apiextensions.crossplane.io", "v1", "CompositeResourceDefinition");
    let api = Api::<DynamicObject>::all_with(client.clone(), &ApiResource::from_gvk(&gvk));
    let mut kinds = Kinds::default();
    let mut page = ListParams::default().limit(100);
    loop {
        let list = ask(api.list(&page)).await.map_err(|source| match source.code() {
            Some(404) => AdoptError::NoCrossplane,
            _ => AdoptError::Unread { what: "the CompositeResourceDefinitions".to_owned(), source },
        })?;
        for xrd in &list.items {
            kinds.add(xrd);
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(kinds),
        }
    }
}

impl Kinds {
    pub(crate) fn add(&mut self, xrd: &DynamicObject) {
        let Ok(value) = serde_json::to_value(xrd) else { return };
        for offered in from_xrd(&value).unwrap_or_default() {
            let Some(version) = referenceable(&value, &offered.versions) else { continue };
            let resource = |kind: &str, plural: &str| Resource {
                group: offered.group.clone(),
                version: version.to_owned(),
                kind: kind.to_owned(),
                plural: plural.to_owned(),
            };
            let of_object = resource(&offered.kind, &offered.plural);
            match offered.form {
                Form::NamespacedComposite => self.namespaced.push(of_object),
                Form::Claim => {
                    let kind = value.pointer("/spec/names/kind").and_then(Value::as_str).unwrap_or_default();
                    // An XRD is named after the resource that it defines.
                    let name = xrd.name_any();
                    let plural = name.split('.').next().unwrap_or_default();
                    self.claims.push(ClaimKind { claim: of_object, composite: resource(kind, plural) });
                }
            }
        }
    }
}

/// The version by which Crossplane itself refers to objects.
fn referenceable<'a>(xrd: &'a Value, served: &'a [String]) -> Option<&'a str> {
    let versions = xrd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let mut found =
        versions.filter(|version| version["referenceable"] == true).filter_map(|version| version["name"].as_str());
    found.find(|name| served.iter().any(|of| of == name)).or(served.first().map(String::as_str))
}
