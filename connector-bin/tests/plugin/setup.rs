//! What most tests start from.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How a command ended, and what it printed.
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The plugin, to be given options and run.
pub(crate) fn plugin() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-connector"));
    // What the one who runs the tests has must not show.
    for variable in ["KUBECONFIG", "CONNECTOR_TOKEN", "CONNECTOR_SPACES_HOST", "HTTPS_PROXY", "https_proxy"] {
        command.env_remove(variable);
    }
    command.env("HOME", "/nonexistent").kill_on_drop(true);
    command
}

/// Runs a command to its end, with `input` on its standard input.
pub(crate) async fn tell(mut command: Command, input: &str) -> Result<Told> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {:?}", command.as_std()))?;
    let mut stdin = child.stdin.take().context("a child without stdin")?;
    // It may well end without reading.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await?;
    Ok(Told {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// Runs the plugin with arguments and nothing on its standard input.
pub(crate) async fn run(args: &[&str]) -> Result<Told> {
    let mut command = plugin();
    command.args(args);
    tell(command, "").await
}

/// What is compared with the recorded: all that a user sees.
impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
        write!(f, "exit code: {code}\n----- stdout -----\n{}----- stderr -----\n{}", self.stdout, self.stderr)
    }
}
