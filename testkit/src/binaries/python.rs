//! Python with the official client of Kubernetes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::lock;
use super::others::{digest, folder};
use crate::process::show;

const HINT: &str =
    "install Python 3.11 or newer with its venv module (on Debian: apt-get install python3 python3-venv)";
const NO_INDEX: &str = "cannot install Python's client of Kubernetes: at the first run pip must reach a package index (its own settings, \
    as PIP_INDEX_URL, say which) with wheels for this Python and machine";

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
    let _lock = lock(&folder)?;
    environment(base, requirements, &folder)
}

/// The Python of the virtual environment in `folder`, made first where it is not whole.
fn environment(base: &str, requirements: &Path, folder: &Path) -> Result<PathBuf> {
    let environment = folder.join("environment");
    let (python, whole) = (environment.join("bin/python"), folder.join("whole"));
    if !whole.is_file() {
        show(&format!("installing Python's client of Kubernetes in {} (once for each version)", folder.display()));
        let path = environment.to_str().context("the cache folder's name is not UTF-8")?;
        let requirements = requirements.to_str().context("the repository's path is not UTF-8")?;
        run(base.as_ref(), &["-m", "venv", "--clear", path]).context(HINT)?;
        // No build of what has no wheel here, which would run what no hash pins.
        let install = "-m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r";
        let install: Vec<_> = install.split(' ').chain([requirements]).collect();
        run(&python, &install).context(NO_INDEX)?;
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
    use super::*;

    #[test]
    fn a_missing_python_is_told_with_what_to_install() {
        let error = python_of("no-such-python", Path::new("requirements.txt")).expect_err("there is none");
        let error = format!("{error:#}");
        assert!(error.contains("apt-get install python3 python3-venv"), "{error}");
        assert!(error.ends_with("there is no no-such-python"), "{error}");
    }

    #[test]
    fn a_missing_index_is_told_and_no_half_environment_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        // Makes an environment whose pip has nobody to ask.
        let base = program(
            folder.path(),
            "#!/bin/sh\nmkdir -p $4/bin\nprintf '#!/bin/sh\\necho no index >&2\\nexit 1' > $4/bin/python\nchmod +x $4/bin/python\n",
        );
        for _ in 0..2 {
            let error =
                environment(&base, Path::new("requirements.txt"), folder.path()).expect_err("there is no index");
            let error = format!("{error:#}");
            assert!(error.contains("pip must reach a package index") && error.contains("no index"), "{error}");
        }
    }

    #[test]
    fn an_old_python_is_told_with_its_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = program(folder.path(), "#!/bin/sh\necho 3.9.2\nexit 1\n");
        let error = python_of(&old, Path::new("requirements.txt")).expect_err("it is old");
        let error = format!("{error:#}");
        assert!(error.contains("Python 3.11") && error.contains("3.9.2"), "{error}");
    }

    /// An executable file.
    fn program(folder: &Path, content: &str) -> String {
        let (text, path) = (folder.join("text"), folder.join("python"));
        std::fs::write(&text, content).expect("a file");
        // A process that is started meanwhile must not hold it open for writing, since then it could not be run.
        run("install".as_ref(), &["-m", "755", text.to_str().expect("UTF-8"), path.to_str().expect("UTF-8")])
            .expect("a copy");
        path.to_str().expect("UTF-8").to_owned()
    }
}
