//! What most tests start from.

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::connector::{Connector, ConnectorOptions};
use testkit::crossplane::Crossplane;
use testkit::{Cluster, Kubectl, fixtures};

/// Fixture 01: the XRD, and the claim of the documented example.
pub(crate) const EXAMPLE: &str = "01-eks-kubernetescluster";
/// What it offers.
pub(crate) const EXAMPLE_API: &str = "k8s.starter.org/v1alpha1";
pub(crate) const CLAIM_NAMESPACE: &str = "claims";

/// An app cluster, a control plane that offers the documented example, and a connector between them.
pub(crate) struct Corridor {
    // In the order in which they are to go.
    pub(crate) connector: Connector,
    pub(crate) crossplane: Crossplane,
    pub(crate) app: Cluster,
    pub(crate) control_plane: Cluster,
}

impl Corridor {
    /// Starts all, and waits until the example's API is available in the app cluster.
    pub(crate) async fn start() -> Result<Self> {
        let (app, control_plane, crossplane) = clusters().await?;
        let connector = Connector::start(&app, &control_plane, options()).await?;
        connector.wait_available(&app, EXAMPLE_API).await?;
        Ok(Self { connector, crossplane, app, control_plane })
    }
}

/// An app cluster, a control plane that offers the documented example, and nothing between them.
pub(crate) async fn clusters() -> Result<(Cluster, Cluster, Crossplane)> {
    let (app, control_plane) = Cluster::start_two().await?;
    let crossplane = Crossplane::install(&control_plane).await?;
    crossplane.offer(&fixtures::xrd(EXAMPLE)?).await?;
    Ok((app, control_plane, crossplane))
}

/// The connector that cargo built for these tests.
pub(crate) fn options() -> ConnectorOptions {
    ConnectorOptions {
        claim_namespace: CLAIM_NAMESPACE.to_owned(),
        program: Some(env!("CARGO_BIN_EXE_connector").into()),
        ..ConnectorOptions::default()
    }
}

/// A claim of the example's kind.
pub(crate) fn claim(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: {EXAMPLE_API}
kind: KubernetesCluster
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  id: {name}
  parameters: {{nodes: {{count: 3, size: small}}}}
  writeConnectionSecretToRef: {{name: {name}-kubeconfig}}
"
    )
}

/// One object, as kubectl prints it with `-o json`.
pub(crate) async fn json(kubectl: &Kubectl, args: &[&str]) -> Result<Value> {
    let args = args.iter().chain(&["-o", "json"]);
    let printed = kubectl.ok(args).await?;
    serde_json::from_str(&printed).with_context(|| format!("kubectl printed no JSON: {printed}"))
}

/// What of an object would betray the way that it went: labels and annotations of the connector, its namespace and its name in
/// the control plane. The name of its composite there, which begins with that name, is Crossplane's to tell.
pub(crate) fn traces(of: &str) -> Vec<String> {
    let fixed = ["mcp-connector.upbound.io", "\"claims\"", "namespace: claims"];
    let fixed = fixed.into_iter().filter(|trace| of.contains(trace)).map(str::to_owned);
    let names = ["claim-", "nxr-"].into_iter().flat_map(|prefix| {
        of.match_indices(prefix).filter_map(move |(at, _)| {
            let hash = &of.as_bytes()[at + prefix.len()..];
            let is_hash = hash.len() >= 16 && hash[..16].iter().all(u8::is_ascii_hexdigit);
            (is_hash && hash.get(16) != Some(&b'-')).then(|| of[at..at + prefix.len() + 16].to_owned())
        })
    });
    fixed.chain(names).collect()
}
