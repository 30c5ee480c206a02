//! Registers what is offered: one APIService in the app cluster for each group and version.
//!
//! An APIService takes a whole group and version, so one is never taken from somebody else: not an APIService that another
//! product or the cluster's own CRDs hold, and not a group and version for which the cluster has CRDs (wire rule 2.11).
//! Nothing is written unless it differs (an APIService that changes makes kube-apiserver fetch every document anew).
//!
//! Of several replicas one writes ([`crate::leader`]); every one sees what is registered ([`seen`]).

mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use connector_core::offer::GroupVersion;
use k8s_openapi::ByteString;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{
    APIService, APIServiceSpec, ServiceReference as ApiServiceReference,
};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::catalog::{Snapshot, Snapshots};
use crate::chain::Chain;
use crate::config::ServiceReference;
use crate::credential::Renewal;
use crate::leader::{Candidate, Election};
use crate::owner::{Owner, OwnerError};
use crate::serve::Serving;
use crate::telemetry::Metrics;
use crate::upstream::Upstream;
pub(crate) use seen::Registered;
use seen::Seen;

/// Marks an object of the app cluster as ours; its value is [`ServiceReference::label`] of the connector that wrote it.
pub(crate) const OWNER_LABEL: &str = "mcp-connector.upbound.io/service";
/// What Kubernetes gives the APIServices of CRDs (wire rule 2.10), so that versions sort as they would natively.
const GROUP_PRIORITY: i32 = 1000;
const VERSION_PRIORITY: i32 = 100;
/// How often everything is compared even when nothing seems to have changed.
const RESYNC: Duration = Duration::from_secs(60);
/// How soon a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How long this replica must have written, and reached the control plane, before it removes a registration: longer than a watch can be
/// behind without that being noticed, which is 25 s. What another replica registered may be too new for this one to know.
const CERTAIN: Duration = Duration::from_secs(30);

/// Keeps the app cluster's APIServices equal to what is offered.
pub(crate) struct Registrar {
    pub(crate) app_cluster: kube::Client,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) service: ServiceReference,
    pub(crate) owner: Arc<Owner>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) catalog: Snapshots,
    pub(crate) serving: watch::Receiver<Arc<Serving>>,
}

/// The part of it that writes, for as long as this replica does.
struct Writer<'a> {
    of: &'a Registrar,
    api_services: Api<APIService>,
    crds: Api<CustomResourceDefinition>,
    since: Instant,
    /// What was said about conflicts, so that it is said once.
    told: BTreeMap<GroupVersion, String>,
}

/// The APIServices were not written.
#[derive(Debug, Error)]
enum WriteError {
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    Api(#[from] kube::Error),
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

/// A sight of the APIServices, and the work that keeps it: a future that never returns.
pub(crate) fn follow(
    app_cluster: kube::Client,
    service: &ServiceReference,
    metrics: Arc<Metrics>,
) -> (Registered, impl Future<Output = ()> + Send + use<>) {
    let publish = watch::Sender::new(None);
    let registered = Registered(publish.subscribe());
    let label = service.label();
    (registered, async move { seen::follow(Api::all(app_cluster), &label, &publish, &metrics).await })
}

impl Registrar {
    /// Writes while this replica is the one that does, until `end` becomes true; then lets another replica begin. Whoever writes
    /// renews the credential, too.
    pub(crate) async fn run(
        self,
        candidate: Candidate,
        registered: Registered,
        renewal: Option<Renewal>,
        end: watch::Receiver<bool>,
    ) {
        let election = Election::new(candidate, format!("{}-registrar", self.service.name), "what is registered");
        let leads = |leads| {
            self.metrics.leads("registrar", leads);
            if !leads {
                self.metrics.apis.forget_conflicts();
            }
        };
        let work = || async {
            let renew = async {
                if let Some(renewal) = &renewal {
                    renewal.run().await;
                }
            };
            tokio::join!(self.write(registered.0.clone()), renew);
        };
        election.lead_until(end, work, leads).await;
    }

    /// Registers and unregisters as the catalog, the serving CA or the APIServices change. Never returns.
    async fn write(&self, mut seen: watch::Receiver<Seen>) {
        let mut writer = Writer {
            of: self,
            api_services: Api::all(self.app_cluster.clone()),
            crds: Api::all(self.app_cluster.clone()),
            since: Instant::now(),
            told: BTreeMap::new(),
        };
        let (mut catalog, mut serving) = (self.catalog.clone(), self.serving.clone());
        let mut failed = String::new();
        loop {
            seen.mark_unchanged();
            let snapshot = catalog.borrow_and_update().clone();
            let ca_bundle = serving.borrow_and_update().ca_bundle.clone();
            // While nothing is known of the control plane, what is registered stays so.
            let pause = match snapshot {
                Some(snapshot) => match writer.reconcile(&snapshot, ca_bundle.as_deref()).await {
                    Ok(pause) => {
                        failed.clear();
                        pause
                    }
                    Err(error) => {
                        let text = Chain(&error).to_string();
                        if text != failed {
                            let hint = match &error {
                                WriteError::Api(kube::Error::Api(status)) if status.code == 403 => {
                                    ": grant list, create, update and delete on apiservices.apiregistration.k8s.io, and get and list on \
                                     customresourcedefinitions.apiextensions.k8s.io"
                                }
                                _ => "; trying again",
                            };
                            warn!(error = %text, "cannot write APIServices{hint}");
                            failed = text;
                        }
                        RETRY
                    }
                },
                None => RESYNC,
            };
            tokio::select! {
                Ok(()) = catalog.changed() => {}
                Ok(()) = serving.changed() => {}
                // Ours were changed by somebody, or a name in our way was freed.
                Ok(()) = seen.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn is_ours(&self, api_service: &APIService) -> bool {
        is_ours(api_service, &self.service.label())
    }
}

impl Writer<'_> {
    /// How long it may be until the next time.
    async fn reconcile(&mut self, snapshot: &Snapshot, ca_bundle: Option<&str>) -> Result<Duration, WriteError> {
        self.of.owner.read().await?;
        let existing = self.api_services.list(&ListParams::default()).await?;
        let existing: BTreeMap<String, APIService> =
            existing.items.into_iter().map(|api_service| (api_service.name_any(), api_service)).collect();
        let mut conflicts = BTreeMap::new();
        for wanted in snapshot.registrable() {
            if let Some(conflict) = self.register(wanted, existing.get(&name(wanted)), ca_bundle).await? {
                conflicts.insert(wanted.clone(), conflict.to_string());
            }
        }
        self.tell(conflicts);
        let kept: BTreeSet<String> = snapshot.offered_group_versions().iter().map(name).collect();
        let ours = existing.iter().filter(|(_, api_service)| self.of.is_ours(api_service));
        let superfluous: Vec<_> = ours.filter(|(name, _)| !kept.contains(*name)).collect();
        if superfluous.is_empty() {
            return Ok(RESYNC);
        }
        let doubt = CERTAIN.saturating_sub(self.since.elapsed().min(self.of.upstream.reached_for()));
        if !doubt.is_zero() {
            return Ok(doubt);
        }
        for (name, api_service) in superfluous {
            self.unregister(name, api_service).await?;
        }
        Ok(RESYNC)
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
            Some(existing) if !self.of.is_ours(existing) => {
                let crd = self.local_crd(wanted).await?;
                return Ok(Some(crd.map_or(Conflict::ForeignApiService, Conflict::LocalCrd)));
            }
            Some(existing) => {
                let mut metadata = existing.metadata.clone();
                if !self.of.owner.mark(&mut metadata) && existing.spec.as_ref() == Some(&spec) {
                    return Ok(None);
                }
                let changed = APIService { metadata, spec: Some(spec), status: existing.status.clone() };
                self.api_services.replace(&name(wanted), &PostParams::default(), &changed).await?;
                info!(group, version, "API registration updated");
            }
            None => {
                if let Some(crd) = self.local_crd(wanted).await? {
                    return Ok(Some(Conflict::LocalCrd(crd)));
                }
                let labels = [(OWNER_LABEL.to_owned(), self.of.service.label())];
                let mut metadata = ObjectMeta {
                    name: Some(name(wanted)),
                    labels: Some(labels.into_iter().collect()),
                    ..ObjectMeta::default()
                };
                self.of.owner.mark(&mut metadata);
                let api_service = APIService { metadata, spec: Some(spec), status: None };
                self.api_services.create(&PostParams::default(), &api_service).await?;
                info!(group, version, "API registered: its claims are available in the app cluster");
            }
        }
        self.of.metrics.apis.writes.inc();
        Ok(None)
    }

    async fn unregister(&self, name: &str, api_service: &APIService) -> Result<(), kube::Error> {
        let preconditions = Some(Preconditions { uid: api_service.uid(), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        match self.api_services.delete(name, &params).await {
            Ok(_) => {
                self.of.metrics.apis.writes.inc();
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

    fn spec(&self, GroupVersion { group, version }: &GroupVersion, ca_bundle: Option<&str>) -> APIServiceSpec {
        APIServiceSpec {
            group: Some(group.clone()),
            version: Some(version.clone()),
            group_priority_minimum: GROUP_PRIORITY,
            version_priority: VERSION_PRIORITY,
            ca_bundle: ca_bundle.map(|pem| ByteString(pem.as_bytes().to_vec())),
            insecure_skip_tls_verify: None,
            service: Some(ApiServiceReference {
                namespace: Some(self.of.service.namespace.clone()),
                name: Some(self.of.service.name.clone()),
                port: Some(self.of.service.port.into()),
            }),
        }
    }

    /// Says what is new about conflicts.
    fn tell(&mut self, conflicts: BTreeMap<GroupVersion, String>) {
        for (api, conflict) in &conflicts {
            self.of.metrics.apis.conflict(api, true);
            if self.told.get(api) != Some(conflict) {
                error!(
                    group = api.group,
                    version = api.version,
                    "API not registered: {conflict}. Remove it to use the control plane's"
                );
            }
        }
        for api in self.told.keys().filter(|api| !conflicts.contains_key(*api)) {
            self.of.metrics.apis.conflict(api, false);
        }
        self.told = conflicts;
    }
}

fn is_ours(api_service: &APIService, label: &str) -> bool {
    api_service.labels().get(OWNER_LABEL).is_some_and(|value| value == label)
}

/// The name of an APIService is fixed by what it registers (wire rule 2.10).
fn name(GroupVersion { group, version }: &GroupVersion) -> String {
    format!("{version}.{group}")
}
