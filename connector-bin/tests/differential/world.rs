//! The three clusters.

use anyhow::Result;
use testkit::connector::{Connector, ConnectorOptions};
use testkit::crossplane::{Crossplane, copy_apis};
use testkit::{Cluster, fixtures};

use crate::side::Clients;

/// A name that nothing else has, so that it betrays itself wherever it is seen.
pub(crate) const CLAIM_NAMESPACE: &str = "differential-claims";

/// One cluster that holds the CRDs itself, one that reaches them through the connector, and the control plane behind that.
pub(crate) struct World {
    pub(crate) native_clients: Clients,
    pub(crate) app_clients: Clients,
    /// The minor version of the cluster that is compared with.
    pub(crate) minor: u16,
    /// The app cluster has the same, and with it the same APIs of its own.
    pub(crate) same_apis: bool,
    // In the order in which they are to go.
    _connector: Connector,
    _native: Cluster,
    _app: Cluster,
    _control_plane: Cluster,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let (native, clusters) = futures::future::try_join(Cluster::start_native(), Cluster::start_two()).await?;
        let (app, control_plane) = clusters;
        // Nobody acts on the objects, on neither side.
        let crossplane = Crossplane::install_idle(&control_plane).await?;
        let widgets = include_str!("widgets.yaml").to_owned();
        for xrd in xrds()?.iter().chain([&widgets]) {
            crossplane.offer(xrd).await?;
        }
        // It would take back what no XRD can say.
        drop(crossplane);
        control_plane
            .kubectl()
            .ok(["patch", "crd", "widgets.differential.example.org", "--type=json", "-p", SCALABLE])
            .await?;
        let apis = copy_apis(&control_plane, &native).await?;
        let options = ConnectorOptions {
            claim_namespace: CLAIM_NAMESPACE.to_owned(),
            program: Some(env!("CARGO_BIN_EXE_connector").into()),
            env: vec![("CONNECTOR_LOG".to_owned(), "info,connector_proxy=debug".to_owned())],
            ..ConnectorOptions::default()
        };
        let connector = Connector::start(&app, &control_plane, options).await?;
        for api in &apis {
            native.wait_for_api(api).await?;
            connector.wait_available(&app, api).await?;
        }
        for cluster in [&native, &control_plane] {
            cluster.kubectl().apply(include_str!("policies.yaml")).await?;
        }
        for cluster in [&native, &app] {
            cluster.kubectl().apply(include_str!("jane.yaml")).await?;
        }
        Ok(Self {
            native_clients: clients(&native).await?,
            app_clients: clients(&app).await?,
            minor: native.minor_version().await?,
            same_apis: native.minor_version().await? == app.minor_version().await?,
            _connector: connector,
            _native: native,
            _app: app,
            _control_plane: control_plane,
        })
    }
}

/// What XRDs cannot ask for, but CRDs can, in both versions: a scale subresource, and fields to select by.
const SCALABLE: &str = r#"[
  {"op":"add","path":"/spec/versions/0/subresources/scale",
   "value":{"specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas","labelSelectorPath":".status.selector"}},
  {"op":"add","path":"/spec/versions/1/subresources/scale",
   "value":{"specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas","labelSelectorPath":".status.selector"}},
  {"op":"add","path":"/spec/versions/0/selectableFields","value":[{"jsonPath":".spec.text"}]},
  {"op":"add","path":"/spec/versions/1/selectableFields","value":[{"jsonPath":".spec.text"}]}
]"#;

/// All XRDs of the fixtures. Two pairs of them offer the same API, so of each one is moved to another group.
fn xrds() -> Result<Vec<String>> {
    let moved = |set: &str, from: &str, to: &str| fixtures::xrd(set).map(|xrd| xrd.replace(from, to));
    Ok(vec![
        fixtures::xrd("01-eks-kubernetescluster")?,
        fixtures::xrd("02-platform-ref-aws-v1")?,
        moved("03-platform-ref-aws-v2-namespaced", "aws.platformref.upbound.io", "v2.platformref.example.org")?,
        moved("04-aws-sqlinstance-v1", "aws.platform.upbound.io", "v1.platform.example.org")?,
        fixtures::xrd("05-aws-sqlinstance-v2-namespaced")?,
        fixtures::xrd("06-app-preserve-unknown-fields")?,
        fixtures::xrd("17-docs-useraccesskey-v2-secret")?,
    ])
}

async fn clients(of: &Cluster) -> Result<Clients> {
    let admin = of.plain_client_for("admin", &["system:masters"]).await?;
    Ok(Clients { admin, jane: of.plain_client_for("jane", &["dev"]).await? })
}
