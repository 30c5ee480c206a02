//! Python with the official client of Kubernetes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::lock;
use super::others::{digest, folder};
use crate::process::show;

const HINT: &str =
    "install Python 3.11 or newer with its venv module (on Debian: apt-get install python3 python3-venv)";

/// The Python of a virtual environment in the cache that holds what `python/requirements.txt` pins, made first where it is
/// missing. Blocks while it is made.
///
/// # Errors
///
/// The environment's: no python3, too old a one, or one without venv; no package index. The message says what to install.
pub fn python() -> Result<PathBuf> {
    python_of("python3", &Path::new(env!("CARGO_MANIFEST_DIR")).join("python/requirements.txt"))
}

fn python_of(base: &str, requirements: &Path) -> Result<PathBuf> {
    let version = run(base.as_ref(), &["-c", "import sys; print(sys.version); sys.exit(sys.version_info < (3, 11))"]);
    let version = version.with_context(|| format!("{base} is missing or too old: {HINT}"))?;
    let mut content = std::fs::read(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    // An environment belongs to the Python that made it.
    content.extend_from_slice(version.as_bytes());
    let folder = folder(&format!("python-{}", digest(&content)))?;
    let environment = folder.join("environment");
    let (python, whole) = (environment.join("bin/python"), folder.join("whole"));
    let _lock = lock(&folder)?;
    if !whole.is_file() {
        show(&format!("installing Python's client of Kubernetes in {} (once for each version)", folder.display()));
        let path = environment.to_str().context("the cache folder's name is not UTF-8")?;
        let requirements = requirements.to_str().context("the repository's path is not UTF-8")?;
        run(base.as_ref(), &["-m", "venv", "--clear", path]).context(HINT)?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"];
        let install: Vec<_> = install.into_iter().chain([requirements]).collect();
        run(&python, &install).context("cannot install Python's client of Kubernetes")?;
        std::fs::write(&whole, "")?;
    }
    Ok(python)
}

fn run(program: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!("there is no {}", program.display()),
        output => output.with_context(|| format!("cannot run {}", program.display()))?,
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    ensure!(
        output.status.success(),
        "{} {} failed ({}): {stdout}{stderr}",
        program.display(),
        args.join(" "),
        output.status
    );
    Ok(stdout)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_python_is_told_with_what_to_install() {
        let error = python_of("no-such-python", Path::new("requirements.txt")).expect_err("there is none");
        let error = format!("{error:#}");
        assert!(error.contains("apt-get install python3 python3-venv"), "{error}");
        assert!(error.ends_with("there is no no-such-python"), "{error}");
    }

    #[test]
    fn an_old_python_is_told_with_its_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = folder.path().join("python");
        std::fs::write(&old, "#!/bin/sh\necho 3.9.2\nexit 1\n").expect("a file");
        std::fs::set_permissions(&old, PermissionsExt::from_mode(0o755)).expect("executable");
        let error = python_of(old.to_str().expect("UTF-8"), Path::new("requirements.txt")).expect_err("it is old");
        let error = format!("{error:#}");
        assert!(error.contains("Python 3.11") && error.contains("3.9.2"), "{error}");
    }
}
