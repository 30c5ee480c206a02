//! Builds the programs of versions of Kubernetes into the cache: `cargo run -p testkit --example binaries -- v1.33.13 v1.37.2`; the
//! pinned version where none is named. Prints the folder of each, one a line.

use std::io::Write;

use testkit::binaries::{Binaries, Version};

fn main() -> anyhow::Result<()> {
    let mut versions: Vec<Version> =
        std::env::args().skip(1).map(|version| Version::kubernetes(&version)).collect::<Result<_, _>>()?;
    if versions.is_empty() {
        versions.push(Version::default());
    }
    for version in versions {
        let etcd = Binaries::of_version(&version)?.path("etcd");
        let folder = etcd.parent().unwrap_or(&etcd);
        writeln!(std::io::stdout(), "{}", folder.display())?;
    }
    Ok(())
}
