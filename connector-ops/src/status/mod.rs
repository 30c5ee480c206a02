//! Whether an install works, and what it is made of.
//!
//! Everything is read from the two APIs as they are, with rights that an operator has anyway: nothing is asked of the connector
//! itself. Whether it reaches the control plane is seen by asking the front for the claims, which is the very way that clients go;
//! why it does not is in the Pods' logs, which are read through kubelet, so that no port of the Pods needs to be open. What may not
//! be read is told in [`Status::unread`], and the rest is still said.

mod counts;
mod health;
mod logs;
mod replicas;

use connector_core::offer::Offers;
use connector_core::origin::Form;
use k8s_openapi::api::core::v1::{Event, Namespace, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde::Serialize;

use crate::ask::{Unanswered, ask};
use crate::certificates::certificates;
use crate::credential::{self, Credential, CredentialError};
use crate::installed::{self, FindError, Installed, ReleaseName};
use crate::offers;
use crate::registration::Registrations;
pub use crate::registration::{Conflict, Registration};
use counts::through_the_connector;
pub use logs::LogLine;
pub(crate) use replicas::pods;
pub use replicas::{Leader, Pod, Replicas};

/// What is in [`Status::unread`] where they could not be.
const API_SERVICES: &str = "APIServices";
/// The same.
const PODS: &str = "Pods";

/// How many Events are read.
const EVENTS: u32 = 500;

/// How an install is. Its JSON form is stable: members are added, none is renamed or removed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether it works: nothing is in [`Self::problems`].
    pub healthy: bool,
    /// What is wrong, the worst first.
    pub problems: Vec<String>,
    /// What is not wrong yet, or only for some claims.
    pub warnings: Vec<String>,
    /// The install.
    pub release: ReleaseStatus,
    /// The control plane.
    pub control_plane: ControlPlaneStatus,
    /// By what the control plane knows the connector; `None` where it cannot be read.
    pub credential: Option<Credential>,
    /// The certificate by which the front knows the connector.
    pub serving_certificate: ServingCertificate,
    /// The Pods, and which of them write.
    pub replicas: Replicas,
    /// The kinds that the app cluster has of the control plane, by group and plural.
    pub apis: Vec<ApiStatus>,
    /// The APIServices that are the connector's.
    pub api_services: Vec<Registration>,
    /// What is offered and not registered, and why; empty, too, where the offer cannot be read from here.
    pub conflicts: Vec<Conflict>,
    /// Claims whose connection Secret something is in the way of.
    pub secret_conflicts: Vec<SecretConflict>,
    /// The last errors and warnings that the Pods logged, the latest first.
    pub last_errors: Vec<LogLine>,
    /// What could not be read, and so is missing above.
    pub unread: Vec<Unread>,
}

/// What is installed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The connector's version, as the Deployment is labelled.
    pub version: Option<String>,
    /// Who manages the install: `Helm`, `kubectl-connector` or another.
    pub managed_by: Option<String>,
    /// The Service that APIServices lead to, as `NAMESPACE/NAME:PORT`.
    pub service: String,
    /// The id under which the cluster's claims are in the control plane.
    pub cluster_id: Option<String>,
    /// The namespace of the control plane where they are.
    pub claim_namespace: Option<String>,
}

/// Whether the control plane is there.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneStatus {
    /// As the connector sees it: what a list of claims came to.
    pub through_the_connector: Reach,
    /// As it is seen from where this runs, with the connector's credential.
    pub from_here: Reach,
    /// Its version of Kubernetes.
    pub version: Option<String>,
}

/// Whether something is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "message")]
pub enum Reach {
    /// It answered.
    Reachable,
    /// It did not; why.
    Unreachable(String),
    /// Nothing can be said; why.
    Unknown(String),
}

/// The certificate by which the front knows the connector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServingCertificate {
    /// The Secret that it is mounted from; `None` where the connector generates it, and renews it by itself.
    pub secret: Option<String>,
    /// When it expires, where it is mounted from a Secret that can be read.
    pub expires: Option<Timestamp>,
    /// When the last of the CAs expires by which the front verifies it; `None` where those of the system are used.
    pub ca_expires: Option<Timestamp>,
}

/// One kind that the app cluster has of the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiStatus {
    /// Its group.
    pub group: String,
    /// Its plural name.
    pub plural: String,
    /// Its kind.
    pub kind: String,
    /// The versions that are registered.
    pub versions: Vec<String>,
    /// `Claim` or `NamespacedComposite`; `None` where the control plane cannot be asked.
    pub form: Option<&'static str>,
    /// How many objects this cluster has of it; `None` where they cannot be counted.
    pub objects: Option<u64>,
    /// Why they cannot be counted.
    pub message: Option<String>,
}

/// A claim whose connection Secret something is in the way of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretConflict {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is in the way.
    pub message: String,
    /// When that was last said.
    pub time: Option<Timestamp>,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// What.
    pub what: String,
    /// Why.
    pub message: String,
}

/// Looks at an install.
///
/// # Errors
/// There is none, or the app cluster does not say so; see [`FindError`]. All else that goes wrong is part of the answer.
pub async fn status(app: &Client, release: &ReleaseName) -> Result<Status, FindError> {
    let installed = installed::find(app, release).await?;
    let mut unread = Vec::new();
    let label = installed.service.label();
    let (replicas, registrations, credential, secret_conflicts, kube_system) = futures::join!(
        replicas::read(app, &installed),
        Registrations::read(app, &label),
        credential::of(app, &installed),
        secret_conflicts(app),
        cluster_id(app, &installed),
    );
    let (replicas, last_errors) = replicas.into_parts(&mut unread);
    let registrations = noted(API_SERVICES, registrations, &mut unread);
    let api_services = registrations.as_ref().map(Registrations::own).unwrap_or_default();
    let secret_conflicts = noted("Events", secret_conflicts, &mut unread).unwrap_or_default();

    let (through_the_connector, mut apis, refused) = through_the_connector(app, &api_services, &mut unread).await;
    let from_here = from_here(credential).await;
    let mut conflicts = Vec::new();
    if let (Some(registrations), Some(offers)) = (&registrations, &from_here.offers) {
        let found = registrations.conflicts(app, offers).await;
        conflicts = noted("CustomResourceDefinitions", found, &mut unread).unwrap_or_default();
        for api in &mut apis {
            let offered = offers.get(&api.group, api.versions.first().map_or("", String::as_str), &api.plural);
            api.form = offered.map(|offered| match offered.form {
                Form::Claim => "Claim",
                Form::NamespacedComposite => "NamespacedComposite",
            });
        }
    }
    let serving_certificate = serving_certificate(app, &installed, &registrations, &mut unread).await;
    let mut status = Status {
        healthy: false,
        problems: refused,
        warnings: Vec::new(),
        release: ReleaseStatus {
            namespace: installed.release.namespace.clone(),
            name: installed.release.name.clone(),
            version: installed.version.clone(),
            managed_by: installed.managed_by.clone(),
            service: format!("{}/{}:{}", installed.service.namespace, installed.service.name, installed.service.port),
            cluster_id: kube_system,
            claim_namespace: installed.claim_namespace.clone(),
        },
        control_plane: ControlPlaneStatus {
            through_the_connector,
            from_here: from_here.reach,
            version: from_here.version,
        },
        credential: from_here.credential,
        serving_certificate,
        replicas,
        apis,
        api_services,
        conflicts,
        secret_conflicts,
        last_errors,
        unread,
    };
    health::judge(&mut status, from_here.error.as_ref(), Timestamp::now());
    Ok(status)
}

/// What was read, or a note that it was not.
fn noted<T>(what: &str, read: Result<T, Unanswered>, unread: &mut Vec<Unread>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(error) => {
            unread.push(Unread { what: what.to_owned(), message: error.to_string() });
            None
        }
    }
}

/// The id of the cluster: as configured, else the UID of `kube-system`.
pub(crate) async fn cluster_id(app: &Client, installed: &Installed) -> Option<String> {
    if installed.cluster_id.is_some() {
        return installed.cluster_id.clone();
    }
    let namespaces = Api::<Namespace>::all(app.clone());
    ask(namespaces.get_metadata("kube-system")).await.ok()?.uid()
}

/// The control plane with the connector's credential.
struct FromHere {
    reach: Reach,
    version: Option<String>,
    credential: Option<Credential>,
    /// Why there is no credential.
    error: Option<CredentialError>,
    offers: Option<Offers>,
}

async fn from_here(credential: Result<credential::Found, CredentialError>) -> FromHere {
    let unknown = |reach| FromHere { reach, version: None, credential: None, error: None, offers: None };
    let found = match credential {
        Ok(found) => found,
        Err(error) => {
            return FromHere {
                error: Some(error),
                ..unknown(Reach::Unknown("the credential cannot be read".to_owned()))
            };
        }
    };
    let credential = Some(found.credential);
    let client = match found.client {
        Ok(client) => client,
        Err(why) => return FromHere { credential, ..unknown(Reach::Unknown(why)) },
    };
    let (version, offers) = futures::join!(ask(client.apiserver_version()), offers::of(&client));
    let (reach, offers) = match offers {
        Ok(offers) => (Reach::Reachable, Some(offers)),
        Err(error) => match error.code() {
            Some(401) => (Reach::Unreachable("the credential is not accepted".to_owned()), None),
            Some(_) => (Reach::Reachable, None),
            None => (Reach::Unreachable(error.to_string()), None),
        },
    };
    FromHere { reach, version: version.ok().map(|version| version.git_version), credential, error: None, offers }
}

/// Claims about which the connector said that their Secret cannot be written; Events last an hour.
async fn secret_conflicts(app: &Client) -> Result<Vec<SecretConflict>, Unanswered> {
    let events = Api::<Event>::all(app.clone());
    let of_conflicts = ListParams::default().fields("reason=ConnectionSecretConflict").limit(EVENTS);
    let events = ask(events.list(&of_conflicts)).await?.items;
    let conflicts = events.into_iter().map(|event| SecretConflict {
        namespace: event.involved_object.namespace.unwrap_or_default(),
        kind: event.involved_object.kind.unwrap_or_default(),
        name: event.involved_object.name.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
        time: event.last_timestamp.map(|time| time.0).or(event.event_time.map(|time| time.0)),
    });
    Ok(conflicts.collect())
}

async fn serving_certificate(
    app: &Client,
    installed: &Installed,
    registrations: &Option<Registrations>,
    unread: &mut Vec<Unread>,
) -> ServingCertificate {
    let bundles = registrations.iter().flat_map(Registrations::ca_bundles);
    let ca_expires = bundles.flat_map(|pem| certificates(&pem)).map(|ca| ca.expires).max();
    let Some(at) = &installed.serving_certificate else {
        return ServingCertificate { secret: None, expires: None, ca_expires };
    };
    let secrets = Api::<Secret>::namespaced(app.clone(), &installed.release.namespace);
    let secret = noted(
        &format!("Secret {}/{}", installed.release.namespace, at.secret),
        ask(secrets.get(&at.secret)).await,
        unread,
    );
    let pem = secret.and_then(|secret| secret.data?.remove(&at.key)).unwrap_or_default();
    let expires = certificates(&pem.0).first().map(|leaf| leaf.expires);
    ServingCertificate { secret: Some(at.secret.clone()), expires, ca_expires }
}
