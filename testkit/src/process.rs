//! Processes that cannot outlive the test, and ports and addresses that nobody else takes.
//!
//! A parent-death signal is bound to the *thread* that spawned, and asks for unsafe code. A [`Group`] does without: its leader
//! is a shell that reads a pipe which only this process holds open. When the pipe closes, by a drop or because the test process
//! was killed, the shell kills its whole process group.

use std::ffi::OsStr;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How much of a log an error shows.
const TAIL: usize = 4000;

/// A process group that ends with this value, or with the process that holds it.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Child,
    // Held open for as long as the group shall live; never written.
    _lifeline: ChildStdin,
}

impl Group {
    /// Starts the leader. `scratch` is removed when the test process dies without having dropped this value.
    pub(crate) fn new(scratch: &Path) -> Result<Self> {
        let mut leader = Command::new("/bin/sh")
            .args(["-c", "read -r _; rm -rf -- \"$0\"; kill -9 0"])
            .arg(scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start /bin/sh, which ends the other processes")?;
        let lifeline = leader.stdin.take().context("the leader of the process group has no pipe")?;
        Ok(Self { leader, _lifeline: lifeline })
    }

    /// The id of the group, for a process that is to end with it.
    pub(crate) fn id(&self) -> i32 {
        self.leader.id().cast_signed()
    }

    /// Starts `program` in the group, with stdout and stderr in the file `log`.
    pub(crate) fn spawn(
        &self,
        program: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        log: &Path,
    ) -> Result<Process> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(self.id())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Process { child, name, log: log.to_owned() })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A child that was not waited for keeps its id, so the group cannot be anybody else's by now.
        if let Some(group) = Pid::from_raw(self.id()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.leader.wait();
    }
}

/// One process of a [`Group`], killed and waited for on drop.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of the log when the process is no longer running.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}); the end of its log:\n{}", self.name, tail(&self.log)),
        }
    }

    /// How it ended, if it did.
    pub(crate) fn exit(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).context("a process without an id")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits for the end of the process, polling: a test's runtime must not hang on it for ever.
    pub(crate) async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > end {
                bail!("{} still runs after {deadline:?}; the end of its log:\n{}", self.name, tail(&self.log));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills at once, as a node failure does.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus> {
        match self.child.try_wait()? {
            Some(status) => Ok(status),
            None => {
                self.child.kill()?;
                Ok(self.child.wait()?)
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(status) = self.kill()
            && std::thread::panicking()
            && status.signal() != Some(Signal::KILL.as_raw())
        {
            show(&format!("{} had ended ({status}); the end of its log:\n{}", self.name, tail(&self.log)));
        }
    }
}

/// The end of a log file, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(TAIL);
    String::from_utf8_lossy(&text[from..]).into_owned()
}

/// Whether logs are to stay: a test panicked, or whoever runs it wants them.
pub(crate) fn keeps_logs() -> bool {
    std::thread::panicking() || std::env::var_os("TESTKIT_KEEP").is_some_and(|keep| !keep.is_empty())
}

/// Says something on the process's own stderr, which the test harness does not capture.
pub(crate) fn show(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "testkit: {line}");
}

/// A port of 127.0.0.1 that is free, and that no other test takes while this value lives.
///
/// Ports lie below the range that the kernel gives to outgoing connections: a port of that range can be taken between a process's
/// end and its new start on the same port, even by a client's own attempt to connect to it.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    // Locked; the lock goes with the file, also when the process is killed.
    _lock: File,
}

impl Port {
    pub(crate) fn free() -> Result<Self> {
        const FIRST: u16 = 20_000;
        const COUNT: u16 = 12_000;
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let folder = std::env::temp_dir().join("control-plane-connector-ports");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // Processes start at different places, so that they seldom try the same port.
        let start = (std::process::id() % u32::from(COUNT)) as u16;
        for _ in 0..COUNT {
            let number =
                FIRST + (start.wrapping_mul(37) % COUNT + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
            let lock = File::options().create(true).append(true).open(folder.join(number.to_string()))?;
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free port between {FIRST} and {} on 127.0.0.1", FIRST + COUNT)
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

/// The addresses 127.N.0.0/16, which no other test uses while this value lives.
#[derive(Debug)]
pub(crate) struct Network {
    octet: u8,
    // Locked; the lock goes with the file, also when the process is killed.
    _lock: File,
}

impl Network {
    pub(crate) fn free() -> Result<Self> {
        let folder = std::env::temp_dir().join("control-plane-connector-networks");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for octet in 1..255 {
            let lock = File::options().create(true).append(true).open(folder.join(octet.to_string()))?;
            if lock.try_lock().is_ok() {
                return Ok(Self { octet, _lock: lock });
            }
        }
        bail!("all networks from 127.1.0.0/16 to 127.254.0.0/16 are in use")
    }

    /// N of 127.N.0.0/16.
    pub(crate) fn octet(&self) -> u8 {
        self.octet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_handed_out_once() {
        let (one, other) = (Network::free().expect("a network"), Network::free().expect("a network"));
        assert_ne!(one.octet(), other.octet());
    }

    #[test]
    fn ports_are_handed_out_once() {
        let ports: Vec<_> = (0..20).map(|_| Port::free().expect("a free port")).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
    }

    #[test]
    fn a_group_ends_with_its_value() {
        let folder = tempfile::tempdir().expect("a folder");
        let group = Group::new(folder.path()).expect("a group");
        let mut process =
            group.spawn(Path::new("/bin/sleep"), ["1000"], &folder.path().join("log")).expect("sleep starts");
        process.check_running().expect("sleep runs");
        drop(group);
        let status = process.child.wait().expect("sleep ended");
        assert_eq!(status.signal(), Some(9));
    }

    /// What happens when the test process is killed: nothing is dropped, but the kernel closes its end of the pipe.
    #[test]
    fn a_group_ends_with_its_lifeline() {
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = folder.path().join("scratch");
        std::fs::create_dir(&scratch).expect("a folder");
        let mut leader = Group::new(&scratch).expect("a group");
        let mut process =
            leader.spawn(Path::new("/bin/sleep"), ["1000"], &folder.path().join("log")).expect("sleep starts");
        // Replaced by another pipe's end, so that the first one closes.
        let mut other = Command::new("/bin/true").stdin(Stdio::piped()).spawn().expect("true starts");
        leader._lifeline = other.stdin.take().expect("a pipe");
        let status = process.child.wait().expect("sleep ended");
        assert_eq!(status.signal(), Some(9));
        assert!(!scratch.exists());
        other.wait().expect("true ended");
    }
}
