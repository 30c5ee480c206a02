//! Programs of clients: our own around client-go, Flux's, and helm; and Prometheus'.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::{build_package, cache, go, lock};

/// The kustomize-controller that `go/flux/go.mod` pins.
const FLUX: &str = "v1.9.5";

/// The helms that `go/helm/go.mod` pins, one of each major version.
pub const HELMS: [&str; 2] = ["v3.22.0", "v4.3.1"];

/// Flux's kustomize-controller.
#[derive(Clone, Debug)]
pub struct Flux {
    /// The program.
    pub kustomize_controller: PathBuf,
    /// The manifest of its own CRD.
    pub crd: PathBuf,
}

/// Flux's kustomize-controller from the cache, built first where it is missing. Blocks while it builds.
///
/// # Errors
///
/// The environment's: no Go, or too old a Go; no module proxy.
pub fn flux() -> Result<Flux> {
    const MODULE: &str = "github.com/fluxcd/kustomize-controller";
    let folder = folder(&format!("flux-{FLUX}"))?;
    let built =
        Flux { kustomize_controller: folder.join("kustomize-controller"), crd: folder.join("kustomizations.yaml") };
    let _lock = lock(&folder)?;
    if !built.crd.is_file() {
        go(&module("flux"), &["mod", "download", MODULE])?;
        let source = go(&module("flux"), &["list", "-m", "-f", "{{.Dir}}", MODULE])?;
        let crd = Path::new(source.trim()).join("config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml");
        // Read and written, since a copy would be read-only as a module's files are.
        let crd = std::fs::read(&crd).with_context(|| format!("cannot read {}", crd.display()))?;
        std::fs::write(&built.crd, crd)?;
    }
    if !built.kustomize_controller.is_file() {
        build_package("kustomize-controller", &module("flux"), MODULE, "-s -w", &folder)?;
    }
    Ok(built)
}

/// Our program around client-go and controller-runtime from the cache, built first where this version of it is missing. Blocks
/// while it builds.
///
/// # Errors
///
/// As [`flux`].
pub fn clients() -> Result<PathBuf> {
    own("clients")
}

/// Our program around Prometheus' rule manager, which judges alert rules, in the same way.
///
/// # Errors
///
/// As [`flux`].
pub fn alerts() -> Result<PathBuf> {
    own("alerts")
}

/// A program whose source is in the folder of that name.
fn own(name: &str) -> Result<PathBuf> {
    let module = module(name);
    let mut content = Vec::new();
    for file in ["go.mod", "go.sum", "main.go"] {
        content.extend(std::fs::read(module.join(file)).with_context(|| format!("cannot read {file} of {name}"))?);
    }
    let folder = folder(&format!("{name}-{}", digest(&content)))?;
    let program = folder.join(name);
    let _lock = lock(&folder)?;
    if !program.is_file() {
        build_package(name, &module, ".", "-s -w", &folder)?;
    }
    Ok(program)
}

/// One of [`HELMS`] from the cache, built first where it is missing. Blocks while it builds.
///
/// # Errors
///
/// As [`flux`]; or the caller's: another version.
pub fn helm(version: &str) -> Result<PathBuf> {
    ensure!(HELMS.contains(&version), "helm {version} is not one of {}", HELMS.join(", "));
    let folder = folder(&format!("helm-{version}"))?;
    let program = folder.join("helm");
    let _lock = lock(&folder)?;
    if !program.is_file() {
        let module_path = helm_module(version);
        let flags = format!("-s -w -X {module_path}/internal/version.version={version}");
        build_package("helm", &module("helm"), &format!("{module_path}/cmd/helm"), &flags, &folder)?;
    }
    Ok(program)
}

/// `helm.sh/helm/v3` of `v3.22.0`.
fn helm_module(version: &str) -> String {
    format!("helm.sh/helm/{}", version.split('.').next().unwrap_or(version))
}

fn module(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(name)
}

/// Enough of a hash to tell versions of our own from each other.
pub(super) fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().take(6).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A folder of the cache.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    let folder = cache()?.join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_flux_is_the_version_named_here() {
        let go_mod = std::fs::read_to_string(module("flux").join("go.mod")).expect("a go.mod");
        assert!(go_mod.contains(&format!("github.com/fluxcd/kustomize-controller {FLUX}")));
    }

    #[test]
    fn the_pinned_helms_are_the_versions_named_here() {
        let go_mod = std::fs::read_to_string(module("helm").join("go.mod")).expect("a go.mod");
        for version in HELMS {
            assert!(go_mod.contains(&format!("{} {version}", helm_module(version))), "{version}");
        }
        assert!(helm("v2.17.0").is_err());
    }
}
