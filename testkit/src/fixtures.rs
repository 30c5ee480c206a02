//! Real XRDs and claims, and the recording of a real Crossplane. Where they come from: `fixtures/*/README.md`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// One recorded watch event.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Seconds since the start of the recording.
    pub at: f64,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub event: String,
    /// The object, untouched.
    pub object: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn text(path: &str) -> Result<String> {
    let path = folder().join(path);
    std::fs::read_to_string(&path).with_context(|| format!("no fixture {}", path.display()))
}

/// The XRD of a set, as YAML: `xrd("01-eks-kubernetescluster")`.
///
/// # Errors
///
/// The caller's: there is no such set.
pub fn xrd(set: &str) -> Result<String> {
    text(&format!("xrds/{set}/xrd.yaml"))
}

/// The example claim of a set, as YAML.
///
/// # Errors
///
/// The caller's: there is no such set, or it has no claims.
pub fn claim(set: &str) -> Result<String> {
    text(&format!("xrds/{set}/claim.yaml"))
}

/// The example namespaced composite of a set, as YAML.
///
/// # Errors
///
/// The caller's: there is no such set, or its composites are not namespaced.
pub fn xr(set: &str) -> Result<String> {
    text(&format!("xrds/{set}/xr.yaml"))
}

/// Another file of a set: `file("01-eks-kubernetescluster", "xrd-no-claim-xnetwork.yaml")`.
///
/// # Errors
///
/// The caller's: there is no such file.
pub fn file(set: &str, name: &str) -> Result<String> {
    text(&format!("xrds/{set}/{name}"))
}

/// A recording: `claims`, `composites`, `namespaced-composites`, `secrets`, `events` or `xrds`.
///
/// # Errors
///
/// The caller's: there is no such recording.
pub fn recording(name: &str) -> Result<Vec<Recorded>> {
    let text = text(&format!("crossplane/{name}.jsonl"))?;
    text.lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line)?;
            let at = line["at"].as_f64().context("a recorded event without a time")?;
            let event = line["type"].as_str().context("a recorded event without a type")?.to_owned();
            Ok(Recorded { at, event, object: line["object"].take() })
        })
        .collect()
}

/// Reads the documents of a YAML file; some fixtures hold a Secret behind their composite.
///
/// # Errors
///
/// The caller's: not YAML.
pub fn yaml(text: &str) -> Result<Vec<Value>> {
    serde_saphyr::from_multiple(text).context("not YAML")
}

/// Reads the first document of a YAML file.
///
/// # Errors
///
/// The caller's: not YAML, or empty.
pub fn object(text: &str) -> Result<Value> {
    yaml(text)?.into_iter().next().context("no document in the YAML")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_yaml_of_the_sets_is_read() {
        let mut read = 0;
        for set in std::fs::read_dir(folder().join("xrds")).expect("the sets") {
            let set = set.expect("a set").path();
            for file in set.is_dir().then(|| std::fs::read_dir(set).expect("a set")).into_iter().flatten() {
                let path = file.expect("a file").path();
                let objects = yaml(&std::fs::read_to_string(&path).expect("a file"));
                for object in objects.unwrap_or_else(|error| panic!("{}: {error:#}", path.display())) {
                    assert!(object["apiVersion"].is_string() && object["kind"].is_string(), "{}", path.display());
                    read += 1;
                }
            }
        }
        assert!(read > 25, "{read}");
    }

    #[test]
    fn recordings_are_read() {
        for name in ["claims", "composites", "namespaced-composites", "secrets", "events", "xrds"] {
            assert!(!recording(name).expect("a recording").is_empty());
        }
    }
}
