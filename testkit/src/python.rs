//! Python's official client of Kubernetes at work on one kind of claim.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::binaries;
use crate::cluster::Cluster;

/// Runs `python/claims.py` as the cluster's admin on one kind: the group and version, the plural, the kind; in a namespace that is
/// there, with an object of the kind. Answers the steps that it tells, in their order; the script says what they are.
///
/// # Errors
///
/// There is no Python ([`binaries::python`]), or the script failed; with the last step and what it said.
pub async fn run(
    cluster: &Cluster,
    api_version: &str,
    plural: &str,
    kind: &str,
    namespace: &str,
    object: &Value,
) -> Result<Vec<Value>> {
    let python = tokio::task::spawn_blocking(binaries::python).await??;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/claims.py").display().to_string();
    // Whoever runs the tests may have a Python of their own.
    let program = cluster.kubectl().program(&python).env("PYTHONPATH", "").env("PYTHONHOME", "");
    let folder = program.folder().display().to_string();
    let object = object.to_string();
    let output = program.run([&script, api_version, plural, kind, namespace, &object, &folder]).await?;
    if !output.status.success() {
        let last = output.stdout.lines().last().unwrap_or("none");
        bail!("{script} ({}) after the step {}:\n{}", output.status, last, output.stderr);
    }
    output.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))).collect()
}
