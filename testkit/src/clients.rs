//! client-go's informers and a controller-runtime manager, as a process that prints what they see.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::binaries;
use crate::cluster::Cluster;
use crate::eventually::eventually;
use crate::process::{Group, Process, keeps_logs, show};

/// The running clients; `go/clients/main.go` says what they do and print. Killed on drop, and with the test process.
#[derive(Debug)]
pub struct Clients {
    // In the order in which they are to go.
    process: Process,
    _group: Group,
    folder: Option<TempDir>,
    output: PathBuf,
}

/// A place in what the clients printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(usize);

impl Clients {
    /// Starts the clients as the cluster's admin on one kind: `GROUP/VERSION`, the plural, the kind.
    ///
    /// # Errors
    ///
    /// They cannot be built ([`binaries::clients`]) or started.
    pub async fn start(cluster: &Cluster, group_version: &str, resource: &str, kind: &str) -> Result<Self> {
        let (group, version) = group_version.split_once('/').context("not a group and version")?;
        let program = tokio::task::spawn_blocking(binaries::clients).await??;
        let folder = tempfile::Builder::new().prefix("clients-").tempdir()?;
        let group_of_processes = Group::new(folder.path())?;
        let output = folder.path().join("clients.log");
        let kubeconfig = format!("KUBECONFIG={}", cluster.kubeconfig_path().display());
        let program = program.display().to_string();
        let args = [&kubeconfig, &program, group, version, resource, kind];
        let process = group_of_processes.spawn("/usr/bin/env".as_ref(), args, &output)?;
        Ok(Self { process, _group: group_of_processes, folder: Some(folder), output })
    }

    /// Everything printed so far from `mark` on. A line that is no JSON is client-go's own log, and left out.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn since(&self, mark: Mark) -> Result<Vec<Value>> {
        let text = std::fs::read(&self.output)?;
        // What is not yet a whole line is for the next time.
        let text = String::from_utf8_lossy(&text);
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        Ok(whole.lines().filter_map(|line| serde_json::from_str(line).ok()).skip(mark.0).collect())
    }

    /// The end of what is printed so far.
    ///
    /// # Errors
    ///
    /// As [`Clients::since`].
    pub fn mark(&self) -> Result<Mark> {
        Ok(Mark(self.since(Mark::default())?.len()))
    }

    /// Waits for a line after `mark` of `client` with this `event` that `wanted` likes, and answers it.
    ///
    /// # Errors
    ///
    /// The clients ended, or the deadline passed; with what was seen instead, objects left out.
    pub async fn wait_for(
        &mut self,
        mark: Mark,
        client: &str,
        event: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.process.check_running()?;
        eventually(&format!("{event} of {client}"), || async {
            let lines = self.since(mark)?;
            let found = lines.iter().find(|line| line["client"] == client && line["event"] == event && wanted(line));
            Ok(found.cloned().ok_or_else(|| brief(&lines)))
        })
        .await
    }
}

/// Lines without their objects, but for the names.
fn brief(lines: &[Value]) -> String {
    let lines = lines.iter().map(|line| {
        let mut line = line.clone();
        if let Some(object) = line.get_mut("object") {
            *object = object["metadata"]["name"].take();
        }
        format!("\n{line}")
    });
    lines.collect()
}

impl Drop for Clients {
    fn drop(&mut self) {
        if keeps_logs()
            && let Some(folder) = self.folder.take()
        {
            show(&format!("what the clients printed stays in {}", folder.keep().display()));
        }
    }
}
