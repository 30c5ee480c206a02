//! What all commands share: help, wrong usage, completion, man pages, and the manifest by which krew installs the plugin.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde_json::Value;
use tokio::process::Command;

use crate::setup::{plugin, run, tell};

#[tokio::test]
async fn wrong_usage_ends_with_2() -> Result<()> {
    insta::assert_snapshot!("unknown_command", run(&["instal"]).await?);
    Ok(())
}

#[tokio::test]
async fn shells_accept_the_scripts() -> Result<()> {
    for (shell, check) in [("bash", &["bash", "-n"][..]), ("zsh", &["zsh", "-n"]), ("fish", &["fish", "--no-execute"])]
    {
        let told = run(&["completion", shell]).await?;
        ensure!(told.code == Some(0) && told.stdout.contains("kubectl-connector"), "{told}");
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("script");
        std::fs::write(&file, &told.stdout)?;
        // Not every machine has every shell; bash is there, as the tests need it.
        let mut command = Command::new(check[0]);
        command.args(&check[1..]).arg(&file);
        match tell(command, "").await {
            Ok(checked) => ensure!(checked.code == Some(0), "{shell}: {checked}"),
            Err(error) => ensure!(shell != "bash", "{error:#}"),
        }
    }
    Ok(())
}

/// kubectl asks a program of this name in the search path, and expects cobra's form: words, then a directive.
#[tokio::test]
async fn kubectl_is_answered() -> Result<()> {
    let script = run(&["completion", "kubectl"]).await?;
    let folder = tempfile::tempdir()?;
    let helper = folder.path().join("kubectl_complete-connector");
    std::fs::write(&helper, &script.stdout)?;
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755))?;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_kubectl-connector"));
    let programs = program.parent().context("a program without a folder")?;
    let path = format!("{}:{}", programs.display(), std::env::var("PATH")?);
    let mut asked = Command::new(&helper);
    asked.arg("comp").env("PATH", path);
    let told = tell(asked, "").await?;
    ensure!(told.stdout == "completion\n:4\n" && told.code == Some(0), "{told}");
    Ok(())
}

#[tokio::test]
async fn every_command_has_a_man_page() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = plugin();
    command.arg("man").arg(folder.path().join("man1"));
    let told = tell(command, "").await?;
    ensure!(told.code == Some(0), "{told}");
    let help = run(&["--help"]).await?.stdout;
    let commands =
        help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).context("no commands")?;
    let names = commands.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let names: Vec<&str> = names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").collect();
    ensure!(!names.is_empty(), "{help}");
    for name in names {
        let page = folder.path().join(format!("man1/kubectl-connector-{name}.1"));
        let page = std::fs::read_to_string(&page).with_context(|| format!("{}", page.display()))?;
        ensure!(page.contains(".TH") && page.contains(".SH SYNOPSIS"), "{page}");
    }
    Ok(())
}

/// As after `| head`: that nobody reads on is no error, and breaks nothing off.
#[tokio::test]
async fn a_closed_pipe_is_no_error() -> Result<()> {
    let mut command = plugin();
    command.args(["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    drop((child.stdout.take(), child.stderr.take()));
    let ended = child.wait().await?;
    ensure!(ended.code() == Some(0), "{ended}");
    let mut command = plugin();
    command.args(["status", "--kubeconfig", "/nonexistent"]).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    drop(child.stderr.take());
    let ended = child.wait().await?;
    ensure!(ended.code() == Some(1), "{ended}");
    Ok(())
}

/// What krew requires of a manifest, once a release has put its tag and checksums in.
#[test]
fn krews_manifest_is_whole() -> Result<()> {
    let template = include_str!("../../../deploy/krew/connector.yaml");
    let archive = Regex::new(r#"\{\{addURIAndSha "(.*)" \.TagName \}\}"#)?;
    let rendered = archive.replace_all(template, format!("uri: $1\n    sha256: {}", "0f".repeat(32)));
    let rendered = rendered.replace("{{ .TagName }}", "v1.2.3");
    let manifest: Value = serde_saphyr::from_str(&rendered)?;
    ensure!(manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2" && manifest["kind"] == "Plugin");
    ensure!(manifest["metadata"]["name"] == "connector");
    let spec = &manifest["spec"];
    ensure!(spec["version"] == "v1.2.3");
    let short = spec["shortDescription"].as_str().context("no short description")?;
    ensure!(!short.is_empty() && short.len() <= 50 && !short.ends_with('.'), "{short}");
    ensure!(spec["homepage"] == env!("CARGO_PKG_REPOSITORY") && spec["description"].is_string());
    let mut platforms = Vec::new();
    for platform in spec["platforms"].as_array().context("no platforms")? {
        let labels = &platform["selector"]["matchLabels"];
        let (os, arch) = (labels["os"].as_str().context("no os")?, labels["arch"].as_str().context("no arch")?);
        let uri = platform["uri"].as_str().context("no uri")?;
        ensure!(uri.ends_with(&format!("/v1.2.3/kubectl-connector-{os}-{arch}.tar.gz")), "{uri}");
        ensure!(platform["sha256"].as_str().is_some_and(|sum| sum.len() == 64));
        ensure!(platform["bin"] == "kubectl-connector", "kubectl finds a plugin by its program's name");
        ensure!(
            platform["files"].as_array().is_some_and(|files| files.iter().any(|file| file["from"] == platform["bin"]))
        );
        platforms.push(format!("{os}/{arch}"));
    }
    ensure!(platforms == ["linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"], "{platforms:?}");
    Ok(())
}
