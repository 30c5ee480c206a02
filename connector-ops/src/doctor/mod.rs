//! What is in the way of an install, before it and after, and how to mend it.
//!
//! | module | what it looks at |
//! |---|---|
//! | `aggregation` | whether kube-apiserver passes requests on, and what others do to it |
//! | `front` | whether it reaches the connector, and what it says if not |
//! | `versions`, `clock` | both clusters |
//! | `rights` | what the connector may do on both sides, or who installs it |
//! | `origin` | claims that seem to be another cluster's |

mod aggregation;
mod clock;
mod front;
mod origin;
mod rights;
mod versions;

use connector_core::offer::Offers;
use kube::{Api, Client};
use serde::Serialize;

use crate::ask::{Unanswered, ask};
use crate::credential::{self, Credential, CredentialError, host_and_port};
use crate::installed::{self, FindError, Installed, ReleaseName};
use crate::offers;
use crate::registration::{Conflict, Registrations};
use crate::status::cluster_id;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::jiff::Timestamp;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It is as it should be.
    Ok,
    /// It works, or most of it; it may not for long.
    Warning,
    /// It does not work.
    Error,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at: one of a few fixed words, as `aggregation`.
    pub check: &'static str,
    /// What was found.
    pub what: String,
    /// The command that mends it, where one does. A word in capitals stands for what only the reader knows.
    pub mend: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, what: what.into(), mend: None }
    }

    fn warning(check: &'static str, what: impl Into<String>) -> Self {
        Self { level: Level::Warning, check, what: what.into(), mend: None }
    }

    fn error(check: &'static str, what: impl Into<String>) -> Self {
        Self { level: Level::Error, check, what: what.into(), mend: None }
    }

    fn mend(self, command: impl Into<String>) -> Self {
        Self { mend: Some(command.into()), ..self }
    }
}

/// All that was found. Its JSON form is stable: members are added, none is renamed or removed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether nothing is an error.
    pub healthy: bool,
    /// Whether there is an install; before there is, it is seen whether one could be made.
    pub installed: bool,
    /// What was found, in the order in which it was looked at.
    pub findings: Vec<Finding>,
}

/// What is looked at.
#[derive(Clone)]
pub struct Patient {
    /// The app cluster.
    pub app: Client,
    /// The install that is meant.
    pub release: ReleaseName,
    /// The control plane as the user knows it. Default: as the connector does, once it is installed.
    pub control_plane: Option<Client>,
    /// The claim namespace. Default: that of the install.
    pub claim_namespace: Option<String>,
    /// The id of the cluster. Default: that of the install, else the UID of `kube-system`.
    pub cluster_id: Option<String>,
    /// How commands begin that mend something.
    pub commands: Commands,
}

/// How commands begin: kubectl with the options that the user gave for each cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// For the app cluster, as `kubectl --context app`.
    pub app: String,
    /// For the control plane.
    pub control_plane: String,
}

impl Default for Commands {
    fn default() -> Self {
        Self { app: "kubectl".to_owned(), control_plane: "kubectl --context CONTROL-PLANE".to_owned() }
    }
}

/// Looks at everything that an install needs.
pub async fn doctor(patient: &Patient) -> Report {
    let mut findings = Vec::new();
    let installed = look(patient, &mut findings).await;
    let healthy = findings.iter().all(|finding| finding.level != Level::Error);
    Report { healthy, installed, findings }
}

async fn look(patient: &Patient, findings: &mut Vec<Finding>) -> bool {
    let app = &patient.app;
    let app_version = match ask(app.apiserver_version()).await {
        Ok(version) => version,
        Err(error) => {
            let finding = Finding::error("app-cluster", format!("the app cluster is not reached: {error}"));
            findings.push(finding.mend(format!("{} version", patient.commands.app)));
            return false;
        }
    };
    findings.push(versions::kubernetes("app-cluster", "the app cluster", &app_version));
    findings.extend(aggregation::layer(app).await);
    let installed = match installed::find(app, &patient.release).await {
        Ok(installed) => Some(installed),
        Err(FindError::NotInstalled { .. }) => {
            let ReleaseName { namespace, name } = &patient.release;
            let what = format!(
                "there is no release {name} in namespace {namespace} yet; looking whether it could be installed"
            );
            findings.push(Finding::ok("install", what));
            None
        }
        Err(error) => {
            findings.push(Finding::error("install", error.to_string()));
            None
        }
    };
    let label = installed.as_ref().map_or_else(String::new, |installed| installed.service.label());
    let registrations = match Registrations::read(app, &label).await {
        Ok(registrations) => Some(registrations),
        Err(error) => {
            findings.push(Finding::error("apiservices", format!("APIServices cannot be read: {error}")));
            None
        }
    };
    if let Some(installed) = &installed {
        findings.extend(front::look(app, installed, registrations.as_ref(), &patient.commands).await);
        findings.extend(rights::in_app_cluster(app, installed, &patient.commands).await);
    } else {
        findings.extend(rights::to_install_here(app, &patient.release.namespace, &patient.commands).await);
    }
    let offers = control_plane(patient, installed.as_ref(), findings).await;
    let mut told: Vec<String> = Vec::new();
    if let (Some(registrations), Some(offers)) = (&registrations, &offers) {
        let conflicts = registrations.conflicts(app, offers).await;
        told.extend(conflicts.iter().flatten().filter_map(Conflict::foreign).map(str::to_owned));
        conflicts_found(conflicts, installed.is_some(), &patient.commands, findings);
    }
    let mut broken = registrations.map(|all| all.broken_foreign()).unwrap_or_default();
    broken.retain(|one| !told.contains(&one.name));
    findings.extend(aggregation::others(app, broken, &patient.commands).await);
    installed.is_some()
}

/// Looks at the control plane: with the connector's own credential, and else with the user's. What it offers, if that can be read.
async fn control_plane(
    patient: &Patient,
    installed: Option<&Installed>,
    findings: &mut Vec<Finding>,
) -> Option<Offers> {
    let (client, credential) = match installed {
        Some(installed) => connectors_own(patient, installed, findings).await,
        None => (None, None),
    };
    let own = client.is_some();
    let Some(client) = client.or_else(|| patient.control_plane.clone()) else {
        if installed.is_none() {
            let what = "nothing is said of the control plane: name it with --control-plane-context";
            findings.push(Finding::warning("control-plane", what));
        }
        return None;
    };
    let server = credential.as_ref().map_or_else(|| "the control plane".to_owned(), |given| given.server.clone());
    match ask(client.apiserver_version()).await {
        Ok(version) => findings.push(versions::kubernetes("control-plane", "the control plane", &version)),
        Err(error) => {
            findings.push(unreached(&server, &error, &patient.commands));
            return None;
        }
    }
    findings.extend(clock::look(&patient.app, &client).await);
    findings.push(versions::crossplane(patient.control_plane.as_ref().unwrap_or(&client), &patient.commands).await);
    let offers = match offers::of(&client).await {
        Ok(offers) => offers,
        Err(error) => {
            findings.push(offers_unread(&error, installed, credential.as_ref(), &patient.commands));
            return None;
        }
    };
    let groups = offers.group_versions();
    findings.push(match groups.as_slice() {
        [] => Finding::warning("offers", "the control plane offers no claims and no namespaced composites yet")
            .mend(format!("{} get xrd", patient.commands.control_plane)),
        groups => Finding::ok("offers", format!("the control plane offers {}", joined(groups.iter()))),
    });
    let claim_namespace = patient.claim_namespace.clone().or(installed.and_then(|it| it.claim_namespace.clone()));
    if let Some(namespace) = &claim_namespace {
        findings.push(namespace_exists(&client, namespace, credential.as_ref(), installed, &patient.commands).await);
        if own && let (Some(installed), Some(credential)) = (installed, &credential) {
            let asked = rights::InControlPlane { installed, credential, namespace, offers: &offers };
            findings.extend(asked.look(&client, &patient.commands).await);
        }
        let id = match (&patient.cluster_id, installed) {
            (Some(id), _) => Some(id.clone()),
            (None, Some(installed)) => cluster_id(&patient.app, installed).await,
            (None, None) => None,
        };
        if let Some(id) = id {
            let of = origin::Of { cluster: &id, namespace, installed: installed.is_some() };
            findings.extend(of.look(&patient.app, &client, &patient.commands).await);
        }
    }
    if !own && installed.is_none() {
        findings.extend(rights::to_install_there(&client, claim_namespace.as_deref(), &patient.commands).await);
    }
    Some(offers)
}

/// The control plane as the connector knows it.
async fn connectors_own(
    patient: &Patient,
    installed: &Installed,
    findings: &mut Vec<Finding>,
) -> (Option<Client>, Option<Credential>) {
    let Commands { app, .. } = &patient.commands;
    let release = &installed.release;
    let found = match credential::of(&patient.app, installed).await {
        Ok(found) => found,
        Err(error) => {
            let what = error.to_string();
            findings.push(match error {
                CredentialError::NotMounted => Finding::ok("credential", what),
                CredentialError::Unreadable { .. } => {
                    Finding::warning("credential", format!("{what}; nothing is said of what the connector may do there"))
                }
                CredentialError::NoSecret { namespace, secret } => Finding::error("credential", what).mend(format!(
                    "{app} -n {namespace} create secret generic {secret} --from-file=kubeconfig=KUBECONFIG-OF-THE-CONTROL-PLANE"
                )),
                CredentialError::NoKey { namespace, secret, key, .. }
                | CredentialError::Unusable { namespace, secret, key, .. } => {
                    Finding::error("credential", what).mend(format!(
                        "{app} -n {namespace} create secret generic {secret} --from-file={key}=KUBECONFIG-OF-THE-CONTROL-PLANE --dry-run=client -o yaml | {app} apply -f -"
                    ))
                }
            });
            return (None, None);
        }
    };
    let credential = found.credential;
    let expired = credential.expires.filter(|expires| *expires <= Timestamp::now());
    let mend = format!(
        "kubectl connector install CONTROL-PLANE {} -n {} --release {}",
        installed.claim_namespace.as_deref().unwrap_or("CLAIM-NAMESPACE"),
        release.namespace,
        release.name
    );
    let whose = credential.subject.clone().map_or_else(String::new, |subject| format!(" of {subject}"));
    findings.push(match (expired, credential.expires) {
        (Some(expired), _) => {
            let what = format!("the {}{whose} for the control plane expired at {expired}", credential.kind);
            Finding::error("credential", what).mend(mend)
        }
        (None, Some(expires)) if credential.runs_out(Timestamp::now()) => {
            let what = format!("the {}{whose} for the control plane expires at {expires}", credential.kind);
            Finding::warning("credential", what).mend(mend)
        }
        (None, Some(expires)) => {
            Finding::ok("credential", format!("the {}{whose} is good until {expires}", credential.kind))
        }
        (None, None) => Finding::ok("credential", format!("the connector has a {}{whose}", credential.kind)),
    });
    match found.client {
        // What it is told with an expired credential is known.
        Ok(client) if expired.is_none() => (Some(client), Some(credential)),
        Ok(_) => (None, Some(credential)),
        Err(why) => {
            findings.push(Finding::warning("credential", format!("it cannot be tried from here: {why}")));
            (None, Some(credential))
        }
    }
}

fn unreached(server: &str, error: &Unanswered, commands: &Commands) -> Finding {
    let port = host_and_port(server).map_or_else(String::new, |(host, port)| {
        format!("; it must be possible to open TCP port {port} of {host} from here, and from the Pods")
    });
    Finding::error("control-plane", format!("{server} is not reached: {error}{port}"))
        .mend(format!("{} version", commands.control_plane))
}

fn offers_unread(
    error: &Unanswered,
    installed: Option<&Installed>,
    credential: Option<&Credential>,
    commands: &Commands,
) -> Finding {
    match error.code() {
        Some(401) => {
            let again = installed.map(|it| it.release.clone()).unwrap_or_default();
            let what = "the control plane does not accept the credential";
            Finding::error("credential", what).mend(format!(
                "kubectl connector install CONTROL-PLANE CLAIM-NAMESPACE -n {} --release {}",
                again.namespace, again.name
            ))
        }
        Some(404) => Finding::error("crossplane", "the control plane has no CompositeResourceDefinitions: Crossplane is not installed there")
            .mend("helm install crossplane --namespace crossplane-system --create-namespace crossplane --repo https://charts.crossplane.io/stable"),
        Some(403) => {
            let grant = rights::Grant::definitions(credential);
            Finding::error("rights-control-plane", format!("what is offered may not be read: {error}"))
                .mend(grant.command(&commands.control_plane))
        }
        _ => Finding::error("control-plane", format!("what is offered cannot be read: {error}")),
    }
}

async fn namespace_exists(
    control_plane: &Client,
    name: &str,
    credential: Option<&Credential>,
    installed: Option<&Installed>,
    commands: &Commands,
) -> Finding {
    const CHECK: &str = "claim-namespace";
    // An account is gone with its namespace, and this one was just heard.
    let account = credential.and_then(|credential| credential::service_account(credential.subject.as_deref()?));
    if account.is_some_and(|(namespace, _)| namespace == name) {
        return Finding::ok(CHECK, format!("namespace {name} is there, with the connector's account"));
    }
    match ask(Api::<Namespace>::all(control_plane.clone()).get_metadata_opt(name)).await {
        Ok(Some(found)) if found.metadata.deletion_timestamp.is_some() => {
            Finding::error(CHECK, format!("namespace {name} of the control plane is being deleted"))
                .mend(format!("{} get namespace {name} -o yaml", commands.control_plane))
        }
        Ok(Some(_)) => Finding::ok(CHECK, format!("namespace {name} is there")),
        Ok(None) if installed.is_none() => {
            Finding::ok(CHECK, format!("namespace {name} is not there yet; the install makes it"))
        }
        Ok(None) => Finding::error(CHECK, format!("there is no namespace {name} in the control plane"))
            .mend(format!("{} create namespace {name}", commands.control_plane)),
        Err(error) if error.is_forbidden() => {
            Finding::ok(CHECK, format!("whether namespace {name} is there may not be read"))
        }
        Err(error) => Finding::warning(CHECK, format!("namespace {name} cannot be read: {error}")),
    }
}

fn conflicts_found(
    conflicts: Result<Vec<Conflict>, Unanswered>,
    installed: bool,
    commands: &Commands,
    findings: &mut Vec<Finding>,
) {
    const CHECK: &str = "conflicts";
    let conflicts = match conflicts {
        Ok(conflicts) => conflicts,
        Err(error) => {
            findings.push(Finding::warning(CHECK, format!("CustomResourceDefinitions cannot be read: {error}")));
            return;
        }
    };
    let app = &commands.app;
    let before = findings.len();
    for conflict in conflicts {
        let what = conflict.what();
        match conflict {
            Conflict::LocalCrd { name, .. } => {
                let what = format!("{what}; its objects go with it, so move them first");
                findings
                    .push(Finding::error(CHECK, what).mend(format!("{app} delete customresourcedefinition {name}")));
            }
            Conflict::ForeignApiService { name, .. } => {
                findings.push(Finding::error(CHECK, what).mend(format!("{app} delete apiservice {name}")));
            }
            Conflict::NotRegistered { .. } if installed => findings.push(Finding::error(CHECK, what)),
            // Of course not.
            Conflict::NotRegistered { .. } => {}
        }
    }
    if findings.len() == before {
        findings.push(Finding::ok(CHECK, "nothing in this cluster is in the way of what is offered"));
    }
}

/// A few of many, for one line.
fn joined(items: impl Iterator<Item = impl std::fmt::Display>) -> String {
    const SHOWN: usize = 5;
    let all: Vec<String> = items.map(|item| item.to_string()).collect();
    match all.len() {
        0..=SHOWN => all.join(", "),
        many => format!("{} and {} more", all[..SHOWN].join(", "), many - SHOWN),
    }
}
