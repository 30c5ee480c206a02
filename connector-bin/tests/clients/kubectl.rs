//! kubectl, pinned and of the oldest and newest supported minor: the commands of `kubectl/commands` in a native cluster and through
//! the connector, with the same output.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::binaries::{Binaries, OLDEST_AND_NEWEST, Version};
use testkit::{Cluster, eventually};

use crate::twins::{CLUSTERS, DATABASES, Transcript, Twins};

#[tokio::test]
async fn every_kubectl_prints_the_same() -> Result<()> {
    let programs = tokio::task::spawn_blocking(programs).await??;
    let twins = Twins::start(&[CLUSTERS, DATABASES]).await?;
    for cluster in [&twins.native, &twins.app] {
        documented(cluster).await?;
    }
    let same_version = twins.native.minor_version().await? == twins.app.minor_version().await?;
    for program in programs {
        // Both at once: they share nothing.
        let native = transcript(&twins.native, &program, same_version);
        let through = transcript(&twins.app, &program, same_version);
        let (native, through) = futures::future::try_join(native, through).await?;
        through.check_against(&native).with_context(|| program.display().to_string())?;
    }
    Ok(())
}

/// The pinned kubectl, and those of the oldest and the newest supported minor.
fn programs() -> Result<Vec<PathBuf>> {
    let pinned = Binaries::locate_or_build()?.path("kubectl");
    let others = OLDEST_AND_NEWEST.into_iter().map(|version| Binaries::kubectl(&Version::kubernetes(version)?));
    std::iter::once(Ok(pinned)).chain(others).collect()
}

/// Waits for the documentation, which kube-apiserver fetches some moments after it offers an API.
async fn documented(cluster: &Cluster) -> Result<()> {
    for kind in ["kubernetescluster", "sqlinstance"] {
        for output in ["plaintext", "plaintext-openapiv2"] {
            eventually("the documentation", || async {
                let explained = cluster.kubectl().run(["explain", kind, "--output", output]).await?;
                Ok(if explained.status.success() { Ok(()) } else { Err(explained.stderr) })
            })
            .await?;
        }
    }
    Ok(())
}

/// Runs all commands, and tells what each came to.
async fn transcript(cluster: &Cluster, program: &Path, same_version: bool) -> Result<Transcript> {
    let commands = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/kubectl");
    let folder = tempfile::tempdir()?;
    let mut path = OsString::from(program.parent().context("kubectl is in no folder")?);
    path.push(":/usr/bin:/bin");
    let shell = cluster
        .kubectl()
        .program(Path::new("/bin/sh"))
        .env("PATH", path)
        .env("KUBECACHEDIR", folder.path())
        .env("OUT", folder.path().join("out"))
        .timeout(Duration::from_secs(100));
    let mut transcript = Transcript::default();
    for line in include_str!("kubectl/commands").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (of_one_version, line) = mark(line, "@ ");
        if of_one_version && !same_version {
            continue;
        }
        let (fails, line) = mark(line, "! ");
        let (in_any_order, command) = mark(line, "% ");
        let output = shell.run(["-c", &format!("cd '{}'; {command}", commands.display())]).await?;
        // Where every command fails there would be no difference.
        ensure!(
            output.status.success() != fails || cluster.name() != "native",
            "{command} ({}): {}{}",
            output.status,
            output.stdout,
            output.stderr
        );
        if output.stdout.contains("managedFields")
            && let Ok(object) = serde_json::from_str(&output.stdout)
        {
            transcript.tell_json(command, object);
            continue;
        }
        let mut lines: Vec<_> = output.stdout.lines().collect();
        if in_any_order {
            lines.sort_unstable();
        }
        let told = format!("{}\n{}\n{}", output.status, lines.join("\n"), output.stderr);
        transcript.tell(command, &told);
    }
    Ok(transcript)
}

fn mark<'a>(line: &'a str, mark: &str) -> (bool, &'a str) {
    line.strip_prefix(mark).map_or((false, line), |rest| (true, rest))
}
