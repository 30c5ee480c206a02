//! The APIServices by which the front knows the connector, and what is in the way of them.

use connector_core::offer::{GroupVersion, Offers};
use connector_core::origin::RESERVED_PREFIX;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde::Serialize;

use crate::ask::{Unanswered, ask};

/// One registration of a group and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The APIService's name, as `v1alpha1.k8s.starter.org`.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Status of its condition Available: `True`, `False` or `Unknown`.
    pub available: String,
    /// The condition's reason, as `Passed` or `FailedDiscoveryCheck`.
    pub reason: String,
    /// The condition's message.
    pub message: String,
    /// When the condition came to be so.
    pub since: Option<Timestamp>,
}

impl Registration {
    /// Whether the front passes requests on.
    pub fn is_available(&self) -> bool {
        self.available == "True"
    }

    pub(crate) fn of(api_service: &APIService) -> Self {
        let spec = api_service.spec.as_ref();
        let conditions = api_service.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let available = conditions.into_iter().find(|condition| condition.type_ == "Available");
        Self {
            name: api_service.name_any(),
            group: spec.and_then(|spec| spec.group.clone()).unwrap_or_default(),
            version: spec.and_then(|spec| spec.version.clone()).unwrap_or_default(),
            available: available.map_or_else(|| "Unknown".to_owned(), |condition| condition.status.clone()),
            reason: available.and_then(|condition| condition.reason.clone()).unwrap_or_default(),
            message: available.and_then(|condition| condition.message.clone()).unwrap_or_default(),
            since: available.and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0),
        }
    }
}

/// Every APIService of the app cluster.
pub(crate) struct Registrations {
    all: Vec<APIService>,
    label: String,
}

/// Why something that is offered is not registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum Conflict {
    /// The app cluster has a CRD of its own for the group and version.
    LocalCrd {
        /// The group and version, as `k8s.starter.org/v1alpha1`.
        api_version: String,
        /// The CRD.
        name: String,
    },
    /// The APIService is somebody else's.
    ForeignApiService {
        /// The group and version.
        api_version: String,
        /// The APIService.
        name: String,
        /// The Service that it leads to, as `NAMESPACE/NAME`.
        service: String,
    },
    /// There is nothing in the way, and yet no APIService.
    NotRegistered {
        /// The group and version.
        api_version: String,
        /// The APIService that should be there.
        name: String,
    },
}

impl Conflict {
    /// The APIService that is somebody else's.
    pub(crate) fn foreign(&self) -> Option<&str> {
        match self {
            Self::ForeignApiService { name, .. } => Some(name),
            Self::LocalCrd { .. } | Self::NotRegistered { .. } => None,
        }
    }

    /// What is in the way, for people.
    pub fn what(&self) -> String {
        match self {
            Self::LocalCrd { api_version, name } => {
                format!(
                    "{api_version} is offered and not registered: this cluster has CustomResourceDefinition {name} of its own"
                )
            }
            Self::ForeignApiService { api_version, name, service } => {
                format!("{api_version} is offered and not registered: APIService {name} leads to Service {service}")
            }
            Self::NotRegistered { api_version, .. } => format!("{api_version} is offered and not registered yet"),
        }
    }
}

impl Registrations {
    /// Reads them. `label` marks those of the connector that is meant ([`crate::installed::ServiceName::label`]).
    ///
    /// # Errors
    /// The app cluster did not answer, or they may not be read.
    pub(crate) async fn read(app: &Client, label: &str) -> Result<Self, Unanswered> {
        let all = ask(Api::<APIService>::all(app.clone()).list(&ListParams::default())).await?.items;
        Ok(Self { all, label: label.to_owned() })
    }

    /// The connector's.
    pub(crate) fn own(&self) -> Vec<Registration> {
        self.all.iter().filter(|api_service| self.is_own(api_service)).map(Registration::of).collect()
    }

    /// By what the front verifies the connector's serving certificate, in PEM.
    pub(crate) fn ca_bundles(&self) -> impl Iterator<Item = Vec<u8>> {
        let own = self.all.iter().filter(|api_service| self.is_own(api_service));
        own.filter_map(|api_service| Some(api_service.spec.as_ref()?.ca_bundle.as_ref()?.0.clone()))
    }

    /// Those of others that lead to a Service, and are not available.
    pub(crate) fn broken_foreign(&self) -> Vec<Registration> {
        let foreign = self.all.iter().filter(|api_service| !self.is_own(api_service) && service(api_service).is_some());
        foreign.map(Registration::of).filter(|registration| !registration.is_available()).collect()
    }

    fn is_own(&self, api_service: &APIService) -> bool {
        api_service.labels().get(&format!("{RESERVED_PREFIX}service")) == Some(&self.label)
    }

    /// What is offered and not registered, and why.
    ///
    /// # Errors
    /// The app cluster's CRDs cannot be read.
    pub(crate) async fn conflicts(&self, app: &Client, offers: &Offers) -> Result<Vec<Conflict>, Unanswered> {
        let mut conflicts = Vec::new();
        // Names alone, once; a cluster can have a thousand CRDs of megabytes each.
        let mut crds: Option<Vec<String>> = None;
        for offered in offers.group_versions() {
            let name = format!("{}.{}", offered.version, offered.group);
            let existing = self.all.iter().find(|api_service| api_service.name_any() == name);
            if existing.is_some_and(|existing| self.is_own(existing)) {
                continue;
            }
            let api_version = offered.to_string();
            let names = match &mut crds {
                Some(names) => names,
                none => {
                    let every = ListParams::default();
                    let listed = ask(Api::<CustomResourceDefinition>::all(app.clone()).list_metadata(&every)).await?;
                    none.insert(listed.items.iter().map(ResourceExt::name_any).collect())
                }
            };
            conflicts.push(match (existing.and_then(service), local_crd(app, names, &offered).await?) {
                (Some(service), _) => Conflict::ForeignApiService { api_version, name, service },
                (None, Some(name)) => Conflict::LocalCrd { api_version, name },
                (None, None) => Conflict::NotRegistered { api_version, name },
            });
        }
        Ok(conflicts)
    }
}

/// The Service that an APIService leads to; none of one that kube-apiserver serves itself.
fn service(api_service: &APIService) -> Option<String> {
    let service = api_service.spec.as_ref()?.service.as_ref()?;
    Some(format!("{}/{}", service.namespace.as_deref()?, service.name.as_deref()?))
}

/// A CRD of the app cluster, of these, that serves a group and version.
async fn local_crd(
    app: &Client,
    names: &[String],
    GroupVersion { group, version }: &GroupVersion,
) -> Result<Option<String>, Unanswered> {
    let crds = Api::<CustomResourceDefinition>::all(app.clone());
    // A CRD's name ends in its group; only those are worth fetching whole.
    let suffix = format!(".{group}");
    for name in names.iter().filter(|name| name.ends_with(&suffix)) {
        let Some(crd) = ask(crds.get_opt(name)).await? else { continue };
        if crd.spec.group == *group && crd.spec.versions.iter().any(|served| served.served && served.name == *version) {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}
