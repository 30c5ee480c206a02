//! What becomes of requests when a replica is asked to end (wire rule 11.23).

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorOptions, admin_get};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::raw::Raw;
use crate::setup::{EXAMPLE_API, claim, clusters, json as get_json};
use crate::stand_in::{Fault, StandIn};

const ALL: &str = "/apis/k8s.starter.org/v1alpha1/namespaces/default/kubernetesclusters";
const DELAY: u64 = 3;
const DRAIN: u64 = 2;

/// The app cluster may take long to answer: who asks for the end meanwhile has it.
#[tokio::test]
async fn a_start_can_be_ended() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        "clusters": [{ "name": "it", "cluster": { "server": format!("https://{}", silent.local_addr()?) } }],
        "users": [{ "name": "it", "user": {} }],
    });
    std::fs::write(&kubeconfig, config.to_string())?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    command.args(["serve", "--claim-namespace=claims", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    for option in ["--kubeconfig", "--control-plane-kubeconfig"] {
        command.arg(option).arg(&kubeconfig);
    }
    let mut connector = command.env_clear().stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let asked = tokio::time::timeout(Duration::from_secs(60), silent.accept()).await.context("it asks nothing")??;
    let id = connector.id().context("it runs")?.to_string();
    ensure!(Command::new("kill").arg(id).status().await?.success());
    // The library gives up after 30 s.
    let ended = tokio::time::timeout(Duration::from_secs(20), connector.wait()).await.context("it goes on")??;
    ensure!(ended.success(), "{ended}");
    drop(asked);
    Ok(())
}

/// It says at once that it is not ready, lets another one write, and answers on; then it waits for what is open, but not for ever.
#[tokio::test]
async fn an_end_takes_as_long_as_configured() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let stand_in = StandIn::before(&control_plane).await?;
    let extra_args = vec![format!("--shutdown-delay={DELAY}"), format!("--drain-timeout={DRAIN}")];
    let options = ConnectorOptions { extra_args, ..stand_in.options()? };
    let mut connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    let kubectl = app.kubectl();
    kubectl.apply(&claim("default", "db")).await?;
    let mut watch = kubectl.spawn(["get", "--raw", &format!("{ALL}?watch=true")])?;
    watch.line_where(|line| line.contains(r#""name":"db""#)).await?;
    stand_in.only(&["GET ", "/kubernetesclusters/"], Fault::Silence);
    let hanging = {
        let raw = Raw::admin_of(&app).await?;
        tokio::spawn(async move { raw.ask("GET", &format!("{ALL}/db"), &[], "").await })
    };
    let raw = Raw::admin_of(&app).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let (admin_port, begun) = (connector.admin_port(), Instant::now());
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (status, text) = admin_get(admin_port, "/readyz").await?;
        ensure!(status == 503 && text.contains("shutting down"), "{status} {text}");
        ensure!(admin_get(admin_port, "/livez").await?.0 == 200);
        ensure!(raw.ask("GET", ALL, &[], "").await?.status == 200, "it does not answer any more");
        for lease in ["connector-registrar", "connector-sync"] {
            let lease = get_json(&kubectl, &["get", "lease", lease, "-n", "kube-system"]).await?;
            ensure!(lease["spec"]["holderIdentity"].is_null(), "it is kept: {lease}");
        }
        ensure!(begun.elapsed() < Duration::from_secs(DELAY), "the machine is too slow for this test");
        anyhow::Ok(())
    };
    let (ended, looked) = tokio::join!(connector.terminate(), meanwhile);
    looked?;
    ensure!(ended?.success());
    let took = begun.elapsed();
    ensure!((DELAY + DRAIN..DELAY + DRAIN + 8).contains(&took.as_secs()), "{took:?}");
    let log = connector.log()?;
    ensure!(log.contains("requests were still open at the end of the drain deadline; they are cut off"), "{log}");
    let cut = hanging.await??;
    ensure!(cut.status == 503, "{} {}", cut.status, cut.text());
    while let Some(line) = watch.line().await? {
        serde_json::from_str::<Value>(&line).with_context(|| format!("half an event: {line}"))?;
    }
    Ok(())
}
