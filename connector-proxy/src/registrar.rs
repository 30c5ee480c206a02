//! Registers what is offered: one APIService in the app cluster for each group and version.
//!
//! An APIService takes a whole group and version, so one is never taken from somebody else: not an APIService that another
//! product or the cluster's own CRDs hold, and not a group and version for which the cluster has CRDs (wire rule 2.11).
//! Nothing is written unless it differs (an APIService that changes makes kube-apiserver fetch every document anew).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use connector_core::offer::GroupVersion;
use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{
    APIService, APIServiceSpec, ServiceReference as ApiServiceReference,
};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::catalog::Snapshot;
use crate::chain::Chain;
use crate::config::ServiceReference;
use crate::serve::Serving;
use crate::telemetry::Metrics;

/// Marks an object of the app cluster as ours; its value is [`ServiceReference::label`] of the connector that wrote it.
pub(crate) const OWNER_LABEL: &str = "mcp-connector.upbound.io/service";
/// What Kubernetes gives the APIServices of CRDs (wire rule 2.10), so that versions sort as they would natively.
const GROUP_PRIORITY: i32 = 1000;
const VERSION_PRIORITY: i32 = 100;
/// How often everything is compared even when nothing seems to have changed.
const RESYNC: Duration = Duration::from_secs(60);
/// How soon a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Which group versions are registered, for those who must not call one absent.
#[derive(Clone)]
pub(crate) struct Registered(watch::Receiver<Option<BTreeSet<GroupVersion>>>);

impl Registered {
    /// Whether one of these is registered, or may be: before the APIServices were first read, any may.
    pub(crate) fn any(&self, mut of: impl Iterator<Item = GroupVersion>) -> bool {
        match &*self.0.borrow() {
            Some(registered) => of.any(|gv| registered.contains(&gv)),
            None => of.next().is_some(),
        }
    }
}

/// Keeps the app cluster's APIServices equal to what is offered.
pub(crate) struct Registrar {
    api_services: Api<APIService>,
    crds: Api<CustomResourceDefinition>,
    service: ServiceReference,
    metrics: Arc<Metrics>,
    registered: watch::Sender<Option<BTreeSet<GroupVersion>>>,
    /// What was said about conflicts, so that it is said once.
    told: BTreeMap<GroupVersion, String>,
}

/// Why a group and version is not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Conflict {
    /// An APIService of that name is not ours.
    ForeignApiService,
    /// The app cluster has a CRD of that group and version.
    LocalCrd(String),
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ForeignApiService => f.write_str("an APIService of that name exists and is not the connector's"),
            Self::LocalCrd(name) => write!(f, "the app cluster has CustomResourceDefinition {name} of its own"),
        }
    }
}

impl Registrar {
    pub(crate) fn new(app_cluster: kube::Client, service: ServiceReference, metrics: Arc<Metrics>) -> Self {
        Self {
            api_services: Api::all(app_cluster.clone()),
            crds: Api::all(app_cluster),
            service,
            metrics,
            registered: watch::Sender::new(None),
            told: BTreeMap::new(),
        }
    }

    pub(crate) fn registered(&self) -> Registered {
        Registered(self.registered.subscribe())
    }

    /// Registers and unregisters as the catalog, the serving CA or the APIServices change. Never returns.
    pub(crate) async fn run(
        mut self,
        mut catalog: watch::Receiver<Option<Arc<Snapshot>>>,
        mut serving: watch::Receiver<Arc<Serving>>,
    ) {
        let events = watcher(self.api_services.clone(), watcher::Config::default());
        let mut changes = std::pin::pin!(crate::watch::with_backoff(events));
        loop {
            let snapshot = catalog.borrow_and_update().clone();
            let ca_bundle = serving.borrow_and_update().ca_bundle.clone();
            let mut pause = RESYNC;
            // While nothing is known of the control plane, what is registered stays so.
            if let Some(snapshot) = snapshot
                && let Err(error) = self.reconcile(&snapshot, ca_bundle.as_deref()).await
            {
                warn!(error = %Chain(&error), "cannot write APIServices; trying again");
                pause = RETRY;
            }
            let relevant = async {
                loop {
                    let change = changes.next().await;
                    if let Some(Ok(event)) = &change {
                        self.note(event);
                    }
                    match change {
                        // Ours were changed by somebody, or a name in our way was freed.
                        Some(Ok(watcher::Event::Delete(_))) => return,
                        Some(Ok(watcher::Event::Apply(changed)))
                            if self.needs_mending(&changed, ca_bundle.as_deref()) =>
                        {
                            return;
                        }
                        Some(_) => {}
                        None => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                Ok(()) = catalog.changed() => {}
                Ok(()) = serving.changed() => {}
                () = relevant => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn needs_mending(&self, changed: &APIService, ca_bundle: Option<&str>) -> bool {
        self.is_ours(changed)
            && changed.spec.as_ref().is_some_and(|spec| {
                let version = spec.version.clone().unwrap_or_default();
                let group = spec.group.clone().unwrap_or_default();
                changed.spec != Some(self.spec(&GroupVersion::new(group, version), ca_bundle))
            })
    }

    /// Takes note of what the front says of an APIService of ours.
    fn note(&self, event: &watcher::Event<APIService>) {
        use watcher::Event::{Apply, Delete, InitApply};
        let (Apply(api_service) | InitApply(api_service) | Delete(api_service)) = event else { return };
        let Some(spec) = api_service.spec.as_ref().filter(|_| self.is_ours(api_service)) else { return };
        let api =
            GroupVersion::new(spec.group.as_deref().unwrap_or_default(), spec.version.as_deref().unwrap_or_default());
        let conditions = api_service.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let is_available =
            conditions.into_iter().any(|condition| condition.type_ == "Available" && condition.status == "True");
        self.metrics.apis.available(&api, (!matches!(event, Delete(_))).then_some(is_available));
    }

    async fn reconcile(&mut self, snapshot: &Snapshot, ca_bundle: Option<&str>) -> Result<(), kube::Error> {
        let existing = self.api_services.list(&ListParams::default()).await?;
        let existing: BTreeMap<String, APIService> =
            existing.items.into_iter().map(|api_service| (api_service.name_any(), api_service)).collect();
        let offered = snapshot.offered_group_versions();
        let is_registered = |gv: &GroupVersion| existing.get(&name(gv)).is_some_and(|existing| self.is_ours(existing));
        let mut registered: BTreeSet<GroupVersion> = offered.iter().filter(|gv| is_registered(gv)).cloned().collect();
        self.registered.send_replace(Some(registered.clone()));
        let mut conflicts = BTreeMap::new();
        for wanted in snapshot.registrable() {
            match self.register(wanted, existing.get(&name(wanted)), ca_bundle).await? {
                Some(conflict) => {
                    conflicts.insert(wanted.clone(), conflict.to_string());
                }
                None => {
                    registered.insert(wanted.clone());
                }
            }
        }
        self.registered.send_replace(Some(registered));
        let kept: BTreeSet<String> = offered.iter().map(name).collect();
        for (name, api_service) in &existing {
            if self.is_ours(api_service) && !kept.contains(name) {
                self.unregister(name, api_service).await?;
            }
        }
        self.tell(conflicts);
        Ok(())
    }

    async fn register(
        &self,
        wanted: &GroupVersion,
        existing: Option<&APIService>,
        ca_bundle: Option<&str>,
    ) -> Result<Option<Conflict>, kube::Error> {
        let spec = self.spec(wanted, ca_bundle);
        let GroupVersion { group, version } = wanted;
        match existing {
            Some(existing) if !self.is_ours(existing) => {
                let crd = self.local_crd(wanted).await?;
                return Ok(Some(crd.map_or(Conflict::ForeignApiService, Conflict::LocalCrd)));
            }
            Some(existing) if existing.spec.as_ref() == Some(&spec) => return Ok(None),
            Some(existing) => {
                let changed = APIService { spec: Some(spec), ..existing.clone() };
                self.api_services.replace(&name(wanted), &PostParams::default(), &changed).await?;
                info!(group, version, "API registration updated");
            }
            None => {
                if let Some(crd) = self.local_crd(wanted).await? {
                    return Ok(Some(Conflict::LocalCrd(crd)));
                }
                let labels = [(OWNER_LABEL.to_owned(), self.service.label())];
                let metadata = ObjectMeta {
                    name: Some(name(wanted)),
                    labels: Some(labels.into_iter().collect()),
                    ..ObjectMeta::default()
                };
                let api_service = APIService { metadata, spec: Some(spec), status: None };
                self.api_services.create(&PostParams::default(), &api_service).await?;
                info!(group, version, "API registered: its claims are available in the app cluster");
            }
        }
        self.metrics.apis.writes.inc();
        Ok(None)
    }

    async fn unregister(&self, name: &str, api_service: &APIService) -> Result<(), kube::Error> {
        let preconditions = Some(Preconditions { uid: api_service.uid(), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        match self.api_services.delete(name, &params).await {
            Ok(_) => {
                self.metrics.apis.writes.inc();
                info!(name, "API no longer offered: registration removed");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A CRD of the app cluster that serves this group and version.
    async fn local_crd(&self, GroupVersion { group, version }: &GroupVersion) -> Result<Option<String>, kube::Error> {
        // A CRD's name ends in its group; only those are worth fetching whole.
        let names = self.crds.list_metadata(&ListParams::default()).await?;
        let suffix = format!(".{group}");
        for name in names.items.iter().map(ResourceExt::name_any).filter(|name| name.ends_with(&suffix)) {
            let Some(crd) = self.crds.get_opt(&name).await? else { continue };
            if crd.spec.group == *group
                && crd.spec.versions.iter().any(|served| served.served && served.name == *version)
            {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn is_ours(&self, api_service: &APIService) -> bool {
        api_service.labels().get(OWNER_LABEL) == Some(&self.service.label())
    }

    fn spec(&self, GroupVersion { group, version }: &GroupVersion, ca_bundle: Option<&str>) -> APIServiceSpec {
        APIServiceSpec {
            group: Some(group.clone()),
            version: Some(version.clone()),
            group_priority_minimum: GROUP_PRIORITY,
            version_priority: VERSION_PRIORITY,
            ca_bundle: ca_bundle.map(|pem| ByteString(pem.as_bytes().to_vec())),
            insecure_skip_tls_verify: None,
            service: Some(ApiServiceReference {
                namespace: Some(self.service.namespace.clone()),
                name: Some(self.service.name.clone()),
                port: Some(self.service.port.into()),
            }),
        }
    }

    /// Says what is new about conflicts.
    fn tell(&mut self, conflicts: BTreeMap<GroupVersion, String>) {
        for (api, conflict) in &conflicts {
            self.metrics.apis.conflict(api, true);
            if self.told.get(api) != Some(conflict) {
                error!(
                    group = api.group,
                    version = api.version,
                    "API not registered: {conflict}. Remove it to use the control plane's"
                );
            }
        }
        for api in self.told.keys().filter(|api| !conflicts.contains_key(*api)) {
            self.metrics.apis.conflict(api, false);
        }
        self.told = conflicts;
    }
}

/// The name of an APIService is fixed by what it registers (wire rule 2.10).
fn name(GroupVersion { group, version }: &GroupVersion) -> String {
    format!("{version}.{group}")
}
