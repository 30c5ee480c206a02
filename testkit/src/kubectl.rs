//! The real kubectl.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long one call lasts at most, if nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(120);

/// kubectl with a kubeconfig and a discovery cache of its own.
///
/// kubectl keeps what it discovered for each server address, so two tests that shared a cache folder would see each other's APIs.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    // Shared by clones; gone with the last of them.
    cache: Arc<TempDir>,
    // A process group that ends with the cluster, so that nothing is left of a killed test.
    group: i32,
    timeout: Duration,
    env: Vec<(String, OsString)>,
}

/// What a call ended with.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit status.
    pub status: ExitStatus,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl Kubectl {
    /// `folder` is where the cache goes: the cluster's, which goes with a killed test too.
    pub(crate) fn new(program: PathBuf, kubeconfig: PathBuf, group: i32, folder: &Path) -> Result<Self> {
        let cache = tempfile::Builder::new().prefix("kubectl-cache-").tempdir_in(folder)?;
        Ok(Self { program, kubeconfig, cache: Arc::new(cache), group, timeout: TIMEOUT, env: Vec::new() })
    }

    /// The same kubectl with another limit for each call; two minutes is the default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same kubectl in another version, or another program that takes the variable `KUBECONFIG`, as helm or a plugin.
    /// Kubeconfig and cache are shared.
    pub fn program(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// The same kubectl with a further variable in its environment.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Where it may keep files. The folder goes with the last clone.
    pub fn folder(&self) -> &Path {
        self.cache.path()
    }

    /// Runs kubectl and answers however it ended.
    ///
    /// # Errors
    ///
    /// It could not be started, or did not end within the limit.
    pub async fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output> {
        self.with_stdin(args, "").await
    }

    /// Runs kubectl, as `apply -f -`, with `input` on stdin, and answers however it ended.
    ///
    /// # Errors
    ///
    /// As [`Kubectl::run`].
    pub async fn with_stdin(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &str) -> Result<Output> {
        let mut command = self.command(args);
        let called = format!("{:?}", command.as_std());
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {called}"))?;
        let mut stdin = child.stdin.take().context("kubectl has no stdin")?;
        let input = input.as_bytes().to_vec();
        // Beside the reading, so that neither waits for the other when a pipe is full. kubectl may well end without reading.
        let writing = tokio::spawn(async move {
            let _ = stdin.write_all(&input).await;
        });
        let output = tokio::time::timeout(self.timeout, child.wait_with_output()).await;
        writing.abort();
        let output = output.with_context(|| format!("{called} still ran after {:?}", self.timeout))??;
        Ok(Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs kubectl and answers its stdout.
    ///
    /// # Errors
    ///
    /// It failed; the message holds its whole stderr.
    pub async fn ok(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
        self.ok_with_stdin(args, "").await
    }

    /// Runs kubectl with `input` on stdin and answers its stdout.
    ///
    /// # Errors
    ///
    /// As [`Kubectl::ok`].
    pub async fn ok_with_stdin(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        input: &str,
    ) -> Result<String> {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let output = self.with_stdin(&args, input).await?;
        if !output.status.success() {
            let called: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
            let program = self.program.file_name().unwrap_or_default().to_string_lossy();
            bail!("{program} {} ({}):\n{}{}", called.join(" "), output.status, output.stdout, output.stderr);
        }
        Ok(output.stdout)
    }

    /// `kubectl apply -f -` of a document.
    ///
    /// # Errors
    ///
    /// As [`Kubectl::ok`].
    pub async fn apply(&self, document: &str) -> Result<String> {
        self.ok_with_stdin(["apply", "-f", "-"], document).await
    }

    /// Starts kubectl and hands out what it prints line by line, as for `get --watch`. It is killed on drop.
    ///
    /// # Errors
    ///
    /// It could not be started.
    pub fn spawn(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Running> {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {:?}", command.as_std()))?;
        let stdout = child.stdout.take().context("kubectl has no stdout")?;
        Ok(Running { child, lines: BufReader::new(stdout).lines(), timeout: self.timeout })
    }

    fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.program);
        // The cache folder by its variable, since a plugin may not know the flag.
        command
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.cache.path())
            // The preferences of whoever runs the tests must not decide them.
            .env("KUBERC", "off")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .process_group(self.group)
            .kill_on_drop(true);
        command
    }
}

/// A kubectl that runs until it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    timeout: Duration,
}

impl Running {
    /// The next line of stdout; `None` when kubectl ended.
    ///
    /// # Errors
    ///
    /// None came within the limit of the [`Kubectl`].
    pub async fn line(&mut self) -> Result<Option<String>> {
        let line = tokio::time::timeout(self.timeout, self.lines.next_line()).await;
        Ok(line.with_context(|| format!("kubectl printed nothing for {:?}", self.timeout))??)
    }

    /// Reads on to a line that `wanted` likes, and answers it.
    ///
    /// # Errors
    ///
    /// None came within the limit, or kubectl ended; the message holds the lines read instead.
    pub async fn line_where(&mut self, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let mut read = Vec::new();
        let timeout = self.timeout;
        let reading = async {
            while let Some(line) = self.lines.next_line().await? {
                if wanted(&line) {
                    return Ok(line);
                }
                read.push(line);
            }
            let mut errors = String::new();
            if let Some(stderr) = &mut self.child.stderr {
                stderr.read_to_string(&mut errors).await?;
            }
            bail!("kubectl ended: {errors}")
        };
        match tokio::time::timeout(timeout, reading).await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(error)) => Err(error).with_context(|| format!("after the lines {read:#?}")),
            Err(_) => bail!("no such line within {timeout:?}, but {read:#?}"),
        }
    }
}
