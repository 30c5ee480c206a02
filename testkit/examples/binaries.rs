//! Builds programs into the cache, so that no test waits for them: `cargo run -p testkit --example binaries` all that the tests
//! start; with versions, `-- v1.33.13 v1.37.2`, all programs of those Kubernetes. Prints the folder of each, one a line.

use std::io::Write;
use std::path::PathBuf;

use testkit::binaries::{self, Binaries, HELMS, OLDEST_AND_NEWEST, Version};

fn main() -> anyhow::Result<()> {
    let versions: Vec<Version> =
        std::env::args().skip(1).map(|version| Version::kubernetes(&version)).collect::<Result<_, _>>()?;
    for version in &versions {
        show(Binaries::of_version(version)?.path("etcd"))?;
    }
    if versions.is_empty() {
        show(Binaries::locate_or_build()?.path("etcd"))?;
        for version in OLDEST_AND_NEWEST {
            show(Binaries::kubectl(&Version::kubernetes(version)?)?)?;
        }
        show(binaries::clients()?)?;
        show(binaries::alerts()?)?;
        show(binaries::flux()?.kustomize_controller)?;
        for version in HELMS {
            show(binaries::helm(version)?)?;
        }
        show(binaries::python()?)?;
    }
    Ok(())
}

/// The folder of a program.
fn show(mut program: PathBuf) -> std::io::Result<()> {
    program.pop();
    writeln!(std::io::stdout(), "{}", program.display())
}
