//! The control plane: whether it is reached, by what credential, and what it offers.

use connector_core::offer::Offers;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client};

use super::grant::Grant;
use super::{Commands, Finding, Patient, clock, joined, origin, rights, versions};
use crate::ask::{Unanswered, ask};
use crate::credential::{self, Credential, CredentialError, host_and_port};
use crate::installed::Installed;
use crate::offers;
use crate::status::cluster_id;

/// Looks at the control plane: with the connector's own credential, and else with the user's. What it offers, if that can be read.
pub(super) async fn look(
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
    let mend = patient.commands.install(&installed.release, installed.claim_namespace.as_deref());
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
            let claim_namespace = installed.and_then(|it| it.claim_namespace.as_deref());
            Finding::error("credential", what).mend(commands.install(&again, claim_namespace))
        }
        Some(404) => Finding::error("crossplane", "the control plane has no CompositeResourceDefinitions: Crossplane is not installed there")
            .mend("helm install crossplane --namespace crossplane-system --create-namespace crossplane --repo https://charts.crossplane.io/stable"),
        Some(403) => {
            let grant = Grant::definitions(credential);
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
