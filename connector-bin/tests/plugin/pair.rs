//! The connector installed between two clusters.

use anyhow::{Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use testkit::Node;

use crate::setup::{Told, tell};
use crate::stage::{EXAMPLE_API, Stage};

pub(crate) struct Pair {
    // In the order in which they are to go.
    pub(crate) node: Node,
    pub(crate) stage: Stage,
}

impl Pair {
    /// Starts both clusters; nothing is installed yet.
    pub(crate) async fn start() -> Result<Self> {
        let stage = Stage::start().await?;
        let node = Node::start(&stage.app, "kube-system", env!("CARGO_BIN_EXE_connector")).await?;
        Ok(Self { node, stage })
    }

    /// Installs the connector, and waits until the example's API is there.
    pub(crate) async fn install(&self) -> Result<()> {
        let installed = self.stage.install(&[]).await?;
        ensure!(installed.code == Some(0), "{installed}");
        self.stage.app.wait_for_api(EXAMPLE_API).await
    }

    /// Gives the connector another token.
    pub(crate) async fn credential(&self, token: &str) -> Result<()> {
        let kubectl = self.stage.app.kubectl();
        let of = ["get", "secret", "connector-control-plane", "-n", "kube-system", "-o", "jsonpath={.data.kubeconfig}"];
        let text = BASE64_STANDARD.decode(kubectl.ok(of).await?)?;
        let mut kubeconfig: Value = serde_saphyr::from_str(std::str::from_utf8(&text)?)?;
        kubeconfig["users"][0]["user"] = json!({"token": token});
        let patch = json!({"stringData": {"kubeconfig": kubeconfig.to_string()}}).to_string();
        kubectl.ok(["patch", "secret", "connector-control-plane", "-n", "kube-system", "-p", &patch]).await?;
        Ok(())
    }

    /// Runs a command of the plugin in the app cluster.
    pub(crate) async fn run(&self, args: &[&str]) -> Result<Told> {
        tell(self.stage.plugin(args), "").await
    }
}

/// Compares what was printed with the record, but for what differs from run to run.
macro_rules! recorded {
    ($name:expr, $told:expr) => {{
        let told = $told;
        insta::with_settings!({filters => vec![
            (r"connector-[0-9a-f]{7,10}-[a-z0-9]{5}\b", "[pod]"),
            (r"\[pod\] +", "[pod]   "),
            (r"POD +READY", "POD     READY"),
            (r"renewed \d+[smh](\d+s)? ago", "renewed [ago]"),
            (r"  \d+[smh](\d+s)? ago, ", "  [ago], "),
            (r"\b(Passed|FailedDiscoveryCheck|MissingEndpoints|EndpointsNotFound) +\d+[smh](\d+s)?\n", "$1   [since]\n"),
            (r"expires in (3\d\d|2\d|30)d|expires in (23|24)h", "expires in [time]"),
            (r"expires in 9y(\d+d)?", "expires in [10 years]"),
            (r"expired \d+[ydh](\d+d)? ago", "expired [ago]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
            (r"127(\.\d+){3}:\d+|10(\.\d+){3}:\d+", "[server]"),
            (r"TCP port \d+ of 127.0.0.1", "TCP port [port] of 127.0.0.1"),
            (r"Kubernetes v[0-9.]+", "Kubernetes [version]"),
            (r"\(v[0-9.]+\)", "([version])"),
            (r"--(control-plane-)?kubeconfig /\S+", "--${1}kubeconfig [file]"),
            (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[uid]"),
        ]}, { insta::assert_snapshot!($name, told) })
    }};
}
pub(crate) use recorded;
