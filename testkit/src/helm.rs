//! helm.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::binaries;
use crate::cluster::Cluster;
use crate::kubectl::Kubectl;

/// helm in one of the versions of [`binaries::HELMS`] as the cluster's admin, with caches of its own, that of discovery included. It is run as kubectl is.
///
/// # Errors
///
/// It cannot be built ([`binaries::helm`]).
pub async fn helm(cluster: &Cluster, version: &'static str) -> Result<Kubectl> {
    let program = tokio::task::spawn_blocking(move || binaries::helm(version)).await??;
    let helm = cluster.kubectl().program(&program);
    let home = helm.folder().join(format!("helm-{version}"));
    let homes = ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "KUBECACHEDIR"];
    Ok(homes.into_iter().fold(helm, |helm, name| helm.env(name, &home)))
}

/// The folder of a chart of the kit, by its name.
pub fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts").join(name)
}
