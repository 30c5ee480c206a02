//! A process that is measured: alone on its processor, seen through `/proc`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
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

    /// Processor time of all threads so far, as the scheduler counts it.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for process in self.family()? {
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                // It may end while we look.
                let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
                nanoseconds += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default();
            }
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Resident memory now, in KiB; children count with the parent.
    pub(crate) fn memory(&self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most resident memory since [`Process::forget_peak`], in KiB.
    pub(crate) fn peak(&self) -> Result<f64> {
        self.status("VmHWM:")
    }

    /// Begins to look for the most memory anew.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        for process in self.family()? {
            fs::write(format!("/proc/{process}/clear_refs"), "5")?;
        }
        Ok(())
    }

    fn status(&self, field: &str) -> Result<f64> {
        let mut sum = 0.0;
        for process in self.family()? {
            let status = fs::read_to_string(format!("/proc/{process}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
            sum += line.trim().trim_end_matches(" kB").parse::<f64>()?;
        }
        Ok(sum)
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
