//! Two clusters, the connector between them, and what the driver writes: claims and Secrets as a Crossplane would.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use connector_core::origin::{ANNOTATION_CONNECTION_SECRET, Form, Hashed};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tempfile::TempDir;
use testkit::connector::{Connector, ConnectorOptions, SERVICE};
use testkit::crossplane::Crossplane;
use testkit::{Cluster, eventually, fixtures};

use crate::listen::{Heard, Wanted};
use crate::requests::{Logs, Mark, USER};
use crate::{AT_ONCE, Options};

const API: &str = "k8s.starter.org/v1alpha1";
const CLAIMS: &str = "kubernetesclusters";
const CLAIM_NAMESPACE: &str = "claims";
/// Where the Secrets of the app cluster lie that nobody syncs.
const BYSTANDERS: &str = "bystanders";
/// The key that changes.
pub(crate) const PASSWORD: &str = "password";
const FIRST_PASSWORD: &str = "first";

/// Everything that runs.
pub(crate) struct Stage {
    // In the order in which they are to go.
    pub(crate) connector: Connector,
    _crossplane: Crossplane,
    app_client: Client,
    control_plane_client: Client,
    app: Cluster,
    control_plane: Cluster,
    pub(crate) requests: Logs,
    _folder: TempDir,
    scheme: Hashed,
    options: Options,
}

impl Stage {
    /// Starts all, without claims, and waits until the connector leads.
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let requests = Logs::new(folder.path())?;
        let [app, control_plane] = requests.options().map(Cluster::start);
        let (app, control_plane) = tokio::try_join!(app, control_plane)?;
        // Its Crossplane reconciles nothing: the driver plays its part.
        let crossplane = Crossplane::install_idle(&control_plane).await?;
        crossplane.offer(&fixtures::xrd("01-eks-kubernetescluster")?).await?;
        let (app_client, control_plane_client) = (app.client().await?, control_plane.client().await?);
        let namespaces = Api::<Namespace>::all(app_client.clone());
        for name in (0..options.namespaces).map(namespace).chain([BYSTANDERS.to_owned()]) {
            let metadata = ObjectMeta { name: Some(name), ..ObjectMeta::default() };
            namespaces.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await?;
        }
        let uid = namespaces.get("kube-system").await?.uid().context("a namespace without UID")?;
        let scheme = Hashed { cluster: uid.parse()?, claim_namespace: CLAIM_NAMESPACE.to_owned() };
        let kubeconfig = |cluster: &Cluster| cluster.kubeconfig_for(USER, &["system:masters"]).map(Some);
        let connector_options = ConnectorOptions {
            claim_namespace: CLAIM_NAMESPACE.to_owned(),
            kubeconfig: kubeconfig(&app)?,
            control_plane_kubeconfig: kubeconfig(&control_plane)?,
            ..ConnectorOptions::default()
        };
        let connector = Connector::start(&app, &control_plane, connector_options).await?;
        connector.wait_available(&app, API).await?;
        let stage = Self {
            connector,
            _crossplane: crossplane,
            app_client,
            control_plane_client,
            app,
            control_plane,
            requests,
            _folder: folder,
            scheme,
            options: options.clone(),
        };
        eventually("the connector to lead", || async {
            Ok(if stage.leads().await? { Ok(()) } else { Err("it does not lead".to_owned()) })
        })
        .await?;
        Ok(stage)
    }

    /// Whether the connector is the one that writes.
    pub(crate) async fn leads(&self) -> Result<bool> {
        let (_, metrics) = self.connector.admin_get("/metrics").await?;
        Ok(metrics.lines().any(|line| line == r#"connector_leader{lease="sync"} 1"#))
    }

    /// Writes Secrets of the app cluster that nobody syncs; gives how long that took.
    pub(crate) async fn create_bystanders(&self) -> Result<Duration> {
        let bystanders = Api::<Secret>::namespaced(self.app_client.clone(), BYSTANDERS);
        self.create(&bystanders, |index| self.secret(index, bystander(index), None)).await
    }

    /// Writes the claims; gives what makes each of them an owner. The connector runs, and the app cluster's garbage collector has
    /// learned of the API: what it sees an owner of before the owner, it asks for one by one, ten in a second.
    pub(crate) async fn create_claims(&self) -> Result<Vec<OwnerReference>> {
        if !self.options.smoke {
            eventually("the garbage collector to watch claims, as the connector does", || async {
                let watches = self.requests.since(Mark::default())?.watches(CLAIMS);
                Ok(if watches >= 2 { Ok(()) } else { Err(format!("{watches} watches")) })
            })
            .await?;
        }
        let claims = stream::iter(0..self.options.claims).map(|index| self.create_claim(index));
        claims.buffered(AT_ONCE).try_collect().await
    }

    /// Writes the claims' Secrets in the control plane; gives how long that took.
    pub(crate) async fn create_secrets(&self, owners: &[OwnerReference]) -> Result<Duration> {
        let sources = Api::<Secret>::namespaced(self.control_plane_client.clone(), CLAIM_NAMESPACE);
        let owner = |index: usize| owners.get(index).cloned();
        self.create(&sources, |index| self.secret(index, self.remote_name(index), owner(index))).await
    }

    async fn create(&self, api: &Api<Secret>, secret: impl Fn(usize) -> Secret) -> Result<Duration> {
        let started = Instant::now();
        self.each(self.options.claims, |index| {
            let secret = secret(index);
            async move { api.create(&PostParams::default(), &secret).await.map(drop).context("cannot create a Secret") }
        })
        .await?;
        Ok(started.elapsed())
    }

    /// As the connector would have stored it.
    async fn create_claim(&self, index: usize) -> Result<OwnerReference> {
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("k8s.starter.org", "v1alpha1", "KubernetesCluster"),
            CLAIMS,
        );
        let claims =
            Api::<DynamicObject>::namespaced_with(self.control_plane_client.clone(), CLAIM_NAMESPACE, &resource);
        let (namespace, secret) = self.place(index);
        let name = format!("cluster-{index:05}");
        let labels: BTreeMap<_, _> = self.scheme.labels(&namespace, &name).into();
        let claim = serde_json::from_value(json!({
            "apiVersion": API,
            "kind": "KubernetesCluster",
            "metadata": {
                "name": self.scheme.remote_name(Form::Claim, &namespace, &name),
                "labels": labels,
                "annotations": { ANNOTATION_CONNECTION_SECRET: secret },
            },
            "spec": {
                "id": name,
                "parameters": { "nodes": { "count": 3, "size": "small" } },
                "writeConnectionSecretToRef": { "name": self.remote_name(index) },
            },
        }))?;
        let claim =
            claims.create(&PostParams::default(), &claim).await.with_context(|| format!("cannot create {name}"))?;
        Ok(OwnerReference {
            api_version: API.to_owned(),
            kind: "KubernetesCluster".to_owned(),
            name: claim.name_any(),
            uid: claim.uid().context("a claim without UID")?,
            controller: Some(true),
            block_owner_deletion: Some(true),
        })
    }

    fn secret(&self, index: usize, name: String, owner: Option<OwnerReference>) -> Secret {
        Secret {
            metadata: ObjectMeta {
                name: Some(name),
                owner_references: owner.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            type_: Some("connection.crossplane.io/v1alpha1".to_owned()),
            data: Some(data(index)),
            ..Secret::default()
        }
    }

    /// Namespace and name of a claim's Secret in the app cluster.
    pub(crate) fn place(&self, index: usize) -> (String, String) {
        (namespace(index % self.options.namespaces), format!("cluster-{index:05}-kubeconfig"))
    }

    fn remote_name(&self, index: usize) -> String {
        let (namespace, name) = self.place(index);
        self.scheme.remote_name(Form::Claim, &namespace, &name)
    }

    /// Whether a copy is what the driver wrote.
    pub(crate) fn check(&self, heard: &Heard) -> Result<()> {
        let index = heard.place.1.split('-').nth(1).context("not a Secret of ours")?.parse()?;
        let Secret { data: is, type_: kind, .. } = &heard.secret;
        ensure!(heard.place == self.place(index) && *is == Some(data(index)), "{:?} is not right", heard.place);
        ensure!(kind.as_deref() == Some("connection.crossplane.io/v1alpha1"), "{:?} is of {kind:?}", heard.place);
        Ok(())
    }

    /// Changes a Secret of the control plane.
    pub(crate) async fn rotate(&self, index: usize, password: &str) -> Result<()> {
        patch(&self.control_plane_client, CLAIM_NAMESPACE, &self.remote_name(index), password).await
    }

    /// Changes a Secret of the app cluster that nobody syncs.
    pub(crate) async fn touch(&self, index: usize, password: &str) -> Result<()> {
        patch(&self.app_client, BYSTANDERS, &bystander(index), password).await
    }

    /// Does something for the first so many, [`AT_ONCE`] at a time.
    pub(crate) async fn each<F: Future<Output = Result<()>>>(
        &self,
        count: usize,
        work: impl Fn(usize) -> F,
    ) -> Result<()> {
        stream::iter(0..count).map(work).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The copies, all over the app cluster. Each has a client of its own, so that nothing waits for the driver's writes.
    pub(crate) async fn copies(&self) -> Result<Wanted> {
        let labels = format!("mcp-connector.upbound.io/service=kube-system.{SERVICE}");
        Ok(Wanted { api: Api::all(self.app.client().await?), labels })
    }

    /// What they are copies of.
    pub(crate) async fn sources(&self) -> Result<Wanted> {
        let client = self.control_plane.client().await?;
        Ok(Wanted { api: Api::namespaced(client, CLAIM_NAMESPACE), labels: String::new() })
    }

    /// The Secrets of the app cluster that nobody syncs.
    pub(crate) async fn bystanders(&self) -> Result<Wanted> {
        let client = self.app.client().await?;
        Ok(Wanted { api: Api::namespaced(client, BYSTANDERS), labels: String::new() })
    }
}

async fn patch(client: &Client, namespace: &str, name: &str, password: &str) -> Result<()> {
    let patch = json!({ "data": { PASSWORD: ByteString(password.into()) } });
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .with_context(|| format!("cannot change {name}"))?;
    Ok(())
}

fn namespace(number: usize) -> String {
    format!("team-{number:02}")
}

fn bystander(index: usize) -> String {
    format!("bystander-{index:05}")
}

/// About 1 KB, as a kubeconfig with a token has.
fn data(index: usize) -> BTreeMap<String, ByteString> {
    let kubeconfig = format!("{index:05}").repeat(180);
    let values = [
        ("endpoint", format!("https://cluster-{index:05}.example.test")),
        ("kubeconfig", kubeconfig),
        (PASSWORD, FIRST_PASSWORD.to_owned()),
        ("username", format!("admin-{index:05}")),
    ];
    values.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.into()))).collect()
}
