//! helm without a cluster.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::binaries;

/// The chart's folder.
pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart")
}

/// The files of values that are tried, by their names.
pub(crate) fn values() -> Result<Vec<(String, String)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/values");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(OsStr::to_str).context("a name is UTF-8")?;
        files.push((name.to_owned(), std::fs::read_to_string(&path)?));
    }
    files.sort();
    Ok(files)
}

/// What helm in this version prints, or what it complains of.
pub(crate) fn helm(version: &str, args: &[&str]) -> Result<Result<String, String>> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(binaries::helm(version)?);
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, home.path());
    }
    let output = command.args(args).output()?;
    let text = |bytes| String::from_utf8(bytes).context("helm writes UTF-8");
    let (told, complaint) = (text(output.stdout)?, text(output.stderr)?);
    Ok(if output.status.success() { Ok(told) } else { Err(complaint) })
}

/// `helm template` of the chart with these values.
pub(crate) fn template(version: &str, values: &str) -> Result<Result<String, String>> {
    let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
    std::fs::write(file.path(), values)?;
    let (chart, values) = (chart(), file.path().to_str().context("the path is UTF-8")?.to_owned());
    let chart = chart.to_str().context("the path is UTF-8")?;
    helm(version, &["template", "connector", chart, "--namespace", "kube-system", "--values", &values])
}

/// The objects of what `helm template` prints.
pub(crate) fn objects(printed: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(printed).context("helm prints YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}
