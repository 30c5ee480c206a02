//! A process that is measured: alone on its processor, seen through `/proc`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use benches::process;
use rustix::process::{Pid, Signal, kill_process};

/// A running process with its children; all of them are ended on drop.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a command on processor `cpu`, or on any where there is but one; what it says goes to the file `log`.
    pub(crate) fn start(cpu: Option<usize>, command: &[String], log: &Path) -> Result<Self> {
        let pinned = cpu.map(|cpu| ["taskset".to_owned(), "-c".to_owned(), cpu.to_string()]);
        let words: Vec<&String> = pinned.iter().flatten().chain(command).collect();
        let (program, arguments) = words.split_first().context("an empty command")?;
        let out = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        Ok(Self(command.spawn().with_context(|| format!("cannot start {program}"))?))
    }

    /// An error if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            Some(status) => bail!("it has ended: {status}"),
            None => Ok(()),
        }
    }

    /// Processor time of all threads so far, as the scheduler counts it; children count with the parent.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.family()?.into_iter().map(|id| Ok(process::cpu(id)?)).sum()
    }

    /// Resident memory now, in KiB; children count with the parent.
    pub(crate) fn memory(&self) -> Result<f64> {
        self.kibibytes(process::memory)
    }

    /// The most resident memory since [`Process::forget_peak`], in KiB.
    pub(crate) fn peak(&self) -> Result<f64> {
        self.kibibytes(process::peak_memory)
    }

    /// Begins to look for the most memory anew.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        for process in self.family()? {
            fs::write(format!("/proc/{process}/clear_refs"), "5")?;
        }
        Ok(())
    }

    fn kibibytes(&self, bytes: impl Fn(u32) -> std::io::Result<u64>) -> Result<f64> {
        self.family()?.into_iter().map(|id| Ok(bytes(id)? as f64 / 1024.0)).sum()
    }

    /// The process and its children; none of the peers goes deeper.
    fn family(&self) -> Result<Vec<u32>> {
        let parent = self.0.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        let children = children.split_ascii_whitespace().filter_map(|id| id.parse().ok());
        Ok([parent].into_iter().chain(children).collect())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A parent that is killed leaves its workers behind. Nobody has anything to tidy up.
        let family = self.family().unwrap_or_default();
        for process in family.iter().rev() {
            // It may have ended by itself.
            let _ = Pid::from_raw(process.cast_signed()).map(|id| kill_process(id, Signal::KILL));
        }
        let _ = self.0.wait();
    }
}
