//! What is in the way of an install, before it and after, and how to mend it.
//!
//! | module | what it looks at |
//! |---|---|
//! | `aggregation` | whether kube-apiserver passes requests on, and what others do to it |
//! | `front` | whether it reaches the connector, and what it says if not |
//! | `versions`, `clock` | both clusters |
//! | `control_plane` | whether it is reached, by what credential, and what it offers |
//! | `rights`, `grant` | what the connector may do on both sides, or who installs it |
//! | `origin` | claims that seem to be another cluster's |

mod aggregation;
mod clock;
mod control_plane;
mod front;
mod grant;
mod origin;
mod rights;
mod versions;

use kube::Client;
use serde::Serialize;

use crate::ask::{Unanswered, ask};
use crate::installed::{self, FindError, ReleaseName};
use crate::registration::{Conflict, Registrations};

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

impl Commands {
    /// A command of the plugin for the app cluster. kubectl takes no options before a plugin's name.
    fn connector(&self, words: &str) -> String {
        format!("kubectl connector {words}{}", options(&self.app))
    }

    /// The one that installs a release, or installs it again.
    fn install(&self, release: &ReleaseName, claim_namespace: Option<&str>) -> String {
        let ReleaseName { namespace, name } = release;
        let claim_namespace = claim_namespace.unwrap_or("CLAIM-NAMESPACE");
        self.connector(&format!("install CONTROL-PLANE {claim_namespace} -n {namespace} --release {name}"))
    }
}

/// The options of a command of kubectl, with a space before each.
fn options(kubectl: &str) -> &str {
    kubectl.strip_prefix("kubectl").unwrap_or_default()
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
    let offers = control_plane::look(patient, installed.as_ref(), findings).await;
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
