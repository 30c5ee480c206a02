//! What an XRD offers, as its controllers need it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use kube::api::ApiResource;
use serde_json::Value;

use super::render::Scope;

/// One XRD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// The XRD's name.
    pub(super) xrd: String,
    pub(super) claim: Option<ApiResource>,
    pub(super) composite: ApiResource,
    pub(super) scope: Scope,
    /// The one composition that there is for it.
    pub(super) composition: String,
    keys: Vec<String>,
}

impl Offer {
    pub(super) fn of(xrd: &Value) -> Result<Self> {
        let spec = &xrd["spec"];
        let versions = spec["versions"].as_array().context("an XRD without versions")?;
        let version = versions.iter().find(|version| version["referenceable"] == true).or(versions.first());
        let version =
            version.context("an XRD without versions")?["name"].as_str().context("a version without a name")?;
        let group = spec["group"].as_str().context("an XRD without a group")?;
        let resource = |names: &Value| -> Result<ApiResource> {
            Ok(ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version: format!("{group}/{version}"),
                kind: names["kind"].as_str().context("an XRD without a kind")?.to_owned(),
                plural: names["plural"].as_str().context("an XRD without a plural")?.to_owned(),
            })
        };
        let claim = spec.get("claimNames").map(resource).transpose()?;
        let composite = resource(&spec["names"])?;
        let named =
            ["enforcedCompositionRef", "defaultCompositionRef"].iter().find_map(|field| spec[field]["name"].as_str());
        let composition = named.map_or_else(|| claim.as_ref().unwrap_or(&composite).kind.to_lowercase(), str::to_owned);
        let keys = spec["connectionSecretKeys"].as_array().into_iter().flatten();
        Ok(Self {
            xrd: xrd["metadata"]["name"].as_str().context("an XRD without a name")?.to_owned(),
            claim,
            composite,
            scope: Scope::of(xrd)?,
            composition,
            keys: keys.filter_map(|key| key.as_str().map(str::to_owned)).collect(),
        })
    }

    /// The connection details while no test asks for others: those of the recording, under the keys that the XRD promises.
    pub(super) fn recorded_details(&self) -> BTreeMap<String, String> {
        if self.scope != Scope::LegacyCluster {
            return [("user", "admin"), ("password", "s3cr3t")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into();
        }
        let endpoint = "https://cluster.example.test".to_owned();
        match self.keys.as_slice() {
            [] => [("endpoint".to_owned(), endpoint)].into(),
            keys => keys.iter().map(|key| (key.clone(), endpoint.clone())).collect(),
        }
    }
}
