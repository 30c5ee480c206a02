//! etcd and Kubernetes' own programs.
//!
//! envtest's convention comes first: a folder that `KUBEBUILDER_ASSETS` names. Without it they are built from the Go module proxy,
//! once for each version, into a cache folder outside the repository. That takes some minutes of two cores.

mod others;
mod python;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::show;
pub use others::{Flux, HELMS, alerts, clients, flux, helm};
pub use python::python;

/// Which Kubernetes, and which etcd under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    kubernetes: String,
}

/// The etcd under every Kubernetes here; `go/etcd/go.mod` pins it.
const ETCD: &str = "v3.6.16";
/// The Kubernetes that `go/kubernetes/go.mod` pins.
const PINNED: &str = "v1.36.3";

/// The supported Kubernetes beside the pinned one: the oldest minor and the newest.
pub const OLDEST_AND_NEWEST: [&str; 2] = ["v1.33.13", "v1.37.2"];

impl Default for Version {
    /// The pinned one, whose every dependency `go.sum` fixes.
    fn default() -> Self {
        Self { kubernetes: PINNED.to_owned() }
    }
}

impl Version {
    /// Another Kubernetes, as `v1.33.13`. Its Go module is written when it is first built, so its dependencies are what the
    /// module proxy says then.
    ///
    /// # Errors
    ///
    /// The caller's: not of the form `v1.MINOR.PATCH`.
    pub fn kubernetes(version: &str) -> Result<Self> {
        let version = Self { kubernetes: version.to_owned() };
        version.minor_and_patch()?;
        Ok(version)
    }

    /// `("36", "3")` of `v1.36.3`.
    fn minor_and_patch(&self) -> Result<(&str, &str)> {
        let parts = self.kubernetes.strip_prefix("v1.").and_then(|rest| rest.split_once('.'));
        match parts {
            Some((minor, patch)) if minor.parse::<u16>().is_ok() && patch.parse::<u16>().is_ok() => Ok((minor, patch)),
            _ => bail!("{} is not a version of Kubernetes: write v1.MINOR.PATCH", self.kubernetes),
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
}

const PROGRAMS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];

impl Binaries {
    /// The programs of `KUBEBUILDER_ASSETS`, else those of the cache, built first where they are missing.
    ///
    /// Blocks while it builds, or while another process does.
    ///
    /// # Errors
    ///
    /// The environment's: `KUBEBUILDER_ASSETS` names a folder without one of the programs; no Go, or too old a Go; no module
    /// proxy. The message says what to install or to set.
    pub fn locate_or_build() -> Result<Self> {
        match std::env::var_os("KUBEBUILDER_ASSETS") {
            Some(folder) if !folder.is_empty() => Self::of_folder(folder.into()),
            _ => Self::of_version(&Version::default()).context(
                "without Go, set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, kube-controller-manager and kubectl",
            ),
        }
    }

    fn of_folder(folder: PathBuf) -> Result<Self> {
        let missing: Vec<_> = PROGRAMS.into_iter().filter(|program| !folder.join(program).is_file()).collect();
        if !missing.is_empty() {
            bail!("KUBEBUILDER_ASSETS={} holds no {}", folder.display(), missing.join(", no "));
        }
        Ok(Self { folder })
    }

    /// The programs of one version, from the cache, built first where they are missing. `KUBEBUILDER_ASSETS` has no say.
    ///
    /// # Errors
    ///
    /// The environment's: no Go, or too old a Go; no module proxy.
    pub fn of_version(version: &Version) -> Result<Self> {
        let folder = Self::with(&PROGRAMS, version)?;
        Ok(Self { folder })
    }

    /// kubectl alone of one version, from the cache, built first where it is missing. `KUBEBUILDER_ASSETS` has no say.
    ///
    /// # Errors
    ///
    /// The environment's: no Go, or too old a Go; no module proxy.
    pub fn kubectl(version: &Version) -> Result<PathBuf> {
        Ok(Self::with(&["kubectl"], version)?.join("kubectl"))
    }

    /// The folder of a version, in which `programs` are.
    fn with(programs: &[&str], version: &Version) -> Result<PathBuf> {
        let folder = cache()?.join(format!("kubernetes-{}-etcd-{ETCD}", version.kubernetes));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let missing = || programs.iter().filter(|program| !folder.join(program).is_file());
        if missing().next().is_some() {
            let _lock = lock(&folder)?;
            for program in missing() {
                build(program, version, &folder)?;
            }
        }
        Ok(folder)
    }

    /// The path of `etcd`, `kube-apiserver`, `kube-controller-manager` or `kubectl`.
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

/// `$XDG_CACHE_HOME/control-plane-connector`.
fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => {
            let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
            PathBuf::from(home.context("neither XDG_CACHE_HOME nor HOME is set, so there is no cache folder")?)
                .join(".cache")
        }
    };
    Ok(base.join("control-plane-connector"))
}

/// Waits until nobody else builds in `folder`.
fn lock(folder: &Path) -> Result<File> {
    let lock = File::options().create(true).append(true).open(folder.join(".lock"))?;
    if lock.try_lock().is_err() {
        show(&format!("waiting for another process that builds in {}", folder.display()));
        lock.lock()?;
    }
    Ok(lock)
}

fn build(program: &str, version: &Version, folder: &Path) -> Result<()> {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let (module, package, flags) = if program == "etcd" {
        (pinned.join("etcd"), "go.etcd.io/etcd/server/v3".to_owned(), "-s -w".to_owned())
    } else {
        let module = if version.kubernetes == PINNED { pinned.join("kubernetes") } else { module_of(version, folder)? };
        // Without these kube-apiserver says v0.0.0 under /version, and kubectl warns of skew.
        let variables = "k8s.io/component-base/version";
        let (minor, _) = version.minor_and_patch()?;
        let flags = format!(
            "-s -w -X {variables}.gitVersion={} -X {variables}.gitMajor=1 -X {variables}.gitMinor={minor}",
            version.kubernetes
        );
        (module, format!("k8s.io/kubernetes/cmd/{program}"), flags)
    };
    build_package(program, &module, &package, &flags, folder)
}

/// Builds a main package of `module` into `folder`, where it is either whole or not at all.
fn build_package(program: &str, module: &Path, package: &str, flags: &str, folder: &Path) -> Result<()> {
    show(&format!("building {program} in {} (minutes; once for each version)", folder.display()));
    let unfinished = folder.join(format!(".{program}.unfinished"));
    let unfinished_name = unfinished.to_str().context("the cache folder's name is not UTF-8")?;
    go(module, &["build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", unfinished_name, package])?;
    std::fs::rename(&unfinished, folder.join(program))?;
    show(&format!("{program} is built"));
    Ok(())
}

/// Writes a module for a version that is not pinned: `k8s.io/kubernetes` with its staging modules by their published versions.
fn module_of(version: &Version, folder: &Path) -> Result<PathBuf> {
    let module = folder.join("module");
    std::fs::create_dir_all(&module)?;
    let (minor, patch) = version.minor_and_patch()?;
    let kubernetes = format!("k8s.io/kubernetes@{}", version.kubernetes);
    std::fs::write(module.join("go.mod"), "module testkit/kubernetes\n")?;
    let download = go(&module, &["mod", "download", "-json", &kubernetes])?;
    let download: serde_json::Value = serde_json::from_str(&download).context("go mod download -json")?;
    let go_mod = download["GoMod"].as_str().context("go mod download -json names no GoMod")?;
    let go_mod = std::fs::read_to_string(go_mod)?;
    std::fs::write(module.join("go.mod"), module_text(&go_mod, &version.kubernetes, minor, patch))?;
    go(&module, &["mod", "tidy"])?;
    Ok(module)
}

/// `k8s.io/kubernetes` replaces its staging modules by folders that only its own repository has; 1.X.Y of it is 0.X.Y of them.
fn module_text(go_mod: &str, version: &str, minor: &str, patch: &str) -> String {
    let mut text = "module testkit/kubernetes\n\n".to_owned();
    for line in go_mod.lines().filter(|line| line.starts_with("go ") || line.starts_with("godebug ")) {
        text += &format!("{line}\n");
    }
    text += &format!("require k8s.io/kubernetes {version}\n");
    for program in &PROGRAMS[1..] {
        text += &format!("tool k8s.io/kubernetes/cmd/{program}\n");
    }
    for line in go_mod.lines() {
        if let Some((name, _)) = line.split_once("=> ./staging/") {
            let name = name.trim().trim_start_matches("replace ").trim();
            text += &format!("replace {name} => {name} v0.{minor}.{patch}\n");
        }
    }
    text
}

/// Runs Go in `module`, kindly to whatever else runs, and answers its stdout.
fn go(module: &Path, args: &[&str]) -> Result<String> {
    const HINT: &str = "install Go 1.26 or newer (https://go.dev/dl)";
    let output = Command::new("nice")
        .args(["-n", "5", "go"])
        .args(args)
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .stdin(Stdio::null())
        .output()
        .context("cannot run nice")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Some(127) => bail!("there is no Go to build with: {HINT}"),
        _ if errors.contains("requires go >=") => bail!("Go is too old: {HINT}\n{errors}"),
        _ => bail!("go {} failed ({}): {errors}", args.join(" "), output.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_lacks_programs_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("etcd"), "").expect("a file");
        let error = Binaries::of_folder(folder.path().to_owned()).expect_err("incomplete").to_string();
        assert!(error.ends_with("holds no kube-apiserver, no kube-controller-manager, no kubectl"), "{error}");
    }

    #[test]
    fn versions_are_checked() {
        assert!(Version::kubernetes("v1.33.13").is_ok());
        for wrong in ["1.33.13", "v1.33", "v1.x.y", "v2.0.0", ""] {
            assert!(Version::kubernetes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_pinned_modules_are_the_versions_named_here() {
        let go = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
        let read = |path: &str| std::fs::read_to_string(go.join(path)).expect("a go.mod");
        assert!(read("kubernetes/go.mod").contains(&format!("k8s.io/kubernetes {PINNED}")));
        assert!(read("etcd/go.mod").contains(&format!("go.etcd.io/etcd/server/v3 {ETCD}")));
    }

    #[test]
    fn staging_modules_are_replaced_by_their_published_versions() {
        let upstream = "module k8s.io/kubernetes\n\ngo 1.24.0\n\ngodebug default=go1.24\n\nrequire (\n\tk8s.io/api v0.0.0\n)\n\n\
                        replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n";
        let text = module_text(upstream, "v1.33.13", "33", "13");
        assert!(text.contains("\ngo 1.24.0\ngodebug default=go1.24\nrequire k8s.io/kubernetes v1.33.13\n"), "{text}");
        assert!(text.contains("\nreplace k8s.io/api => k8s.io/api v0.33.13\n"), "{text}");
        assert!(text.contains("\ntool k8s.io/kubernetes/cmd/kubectl\n"), "{text}");
    }

    #[test]
    #[ignore = "asks the Go module proxy for another version of Kubernetes"]
    fn another_version_has_a_module_that_go_accepts() {
        let folder = tempfile::tempdir().expect("a folder");
        let version = Version::kubernetes("v1.33.13").expect("a version");
        let module = module_of(&version, folder.path()).expect("a module");
        let listed = go(&module, &["list", "-f", "{{.Name}}", "k8s.io/kubernetes/cmd/kubectl"]).expect("it is listed");
        assert_eq!(listed.trim(), "main");
    }
}
