//! The same APIs in a cluster without Crossplane.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// Installs the CRDs of everything that `from` offers to app clusters in `to`, which has no Crossplane, and answers their groups and
/// versions. Nobody acts on their objects there.
///
/// # Errors
///
/// One of the clusters refused.
pub async fn copy_apis(from: &Cluster, to: &Cluster) -> Result<Vec<String>> {
    let (from, to) = (from.kubectl(), to.kubectl());
    let crds: Value = serde_json::from_str(&from.ok(["get", "crds", "-o", "json"]).await?)?;
    let mut apis = Vec::new();
    for crd in crds["items"].as_array().context("no CRDs")? {
        let spec = &crd["spec"];
        let of_xrd = crd["metadata"]["ownerReferences"].is_array();
        if !of_xrd || spec["scope"] != "Namespaced" {
            continue;
        }
        let copy = json!({
            "apiVersion": crd["apiVersion"],
            "kind": crd["kind"],
            "metadata": { "name": crd["metadata"]["name"] },
            "spec": spec,
        });
        to.ok_with_stdin(["create", "-f", "-"], &copy.to_string()).await?;
        for version in spec["versions"].as_array().context("a CRD without versions")? {
            let (group, version) = (spec["group"].as_str(), version["name"].as_str());
            apis.extend(group.zip(version).map(|(group, version)| format!("{group}/{version}")));
        }
    }
    Ok(apis)
}
