//! A plan looks at both sides: what is offered, what the account may do, and what somebody should know.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::{ACCOUNT, CLAIM_NAMESPACE, CLUSTER_ID, KUBE_SYSTEM, Plan, Problem, Warning, preflight, unknown};
use crate::ask::{Unanswered, ask};
use crate::cluster::{Cluster, Side};
use crate::control_plane::account::{Account, CLUSTER_NAME, CLUSTER_UID, Rights, selector_of_xrds};
use crate::manifests::Values;
use crate::progress::{Event, Tell};
use crate::registration::{Conflict, Registrations};
use crate::{labels, offers};

impl Plan {
    /// The control plane's side: what is offered, what the account is, and what hinders.
    pub(super) async fn look_at_control_plane(
        &mut self,
        app_uid: Option<&str>,
        problems: &mut Vec<Problem>,
        tell: Tell<'_>,
    ) {
        let Some(control_plane) = &self.control_plane else { return };
        const SIDE: Side = Side::ControlPlane;
        let claim_namespace = &self.install.claim_namespace;
        match preflight::namespace(&control_plane.client, KUBE_SYSTEM).await {
            Ok((_, uid)) if uid.is_some() && uid.as_deref() == app_uid => problems.push(Problem::SameCluster),
            // Who may not see it cannot be told so.
            Ok(_) | Err(_) => {}
        }
        let state = preflight::namespace(&control_plane.client, claim_namespace).await;
        let missing = match state {
            Ok((preflight::State::Missing, _)) => true,
            Ok((preflight::State::There, _)) => false,
            Ok((preflight::State::Going, _)) => {
                problems.push(Problem::TerminatingNamespace { side: SIDE, namespace: claim_namespace.clone() });
                false
            }
            // A user's own credential may well be for one namespace only.
            Err(_) if self.account.is_none() => false,
            Err(why) => {
                problems.push(unknown(SIDE, "whether the claim namespace is there", why));
                false
            }
        };
        match offers::of(&control_plane.client).await {
            Ok(offers) if offers.is_empty() => tell(Event::Warning(Warning::NothingOffered)),
            Ok(offers) => self.offers = offers,
            Err(why) if why.code() == Some(404) => problems.push(Problem::NoCrossplane),
            Err(why) => problems.push(unknown(SIDE, "what it offers", why)),
        }
        if missing {
            let labels = labels::of_control_plane();
            self.of_control_plane.push(json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": claim_namespace, "labels": labels },
            }));
        }
        let Some(account) = &self.account else {
            if missing {
                let create = preflight::Right { verb: "create", group: "", resource: "namespaces", namespace: None };
                check_rights(control_plane, &[create], problems).await;
            }
            let needed = preflight::connector_rights(&self.offers, claim_namespace);
            return match preflight::missing(&control_plane.client, &needed).await {
                Ok(rights) if rights.is_empty() => {}
                Ok(rights) => problems.push(Problem::CredentialLacks { rights }),
                Err(why) => problems.push(unknown(SIDE, "what the given credential may do", why)),
            };
        };
        check_rights(control_plane, &preflight::control_plane_rights(Some(claim_namespace), missing), problems).await;
        let rights = match self.rights(control_plane).await {
            Ok(rights) => rights,
            Err(why) => return problems.push(unknown(SIDE, "which ClusterRoles Crossplane rendered", why)),
        };
        if !rights.groups.is_empty() {
            let groups = rights.groups.iter().cloned().collect();
            tell(Event::Warning(Warning::GroupsByName { groups }));
        }
        let mut annotations = json!({ CLUSTER_ID: self.cluster_id.as_str() });
        for (key, value) in [(CLUSTER_UID, app_uid), (CLUSTER_NAME, self.install.cluster_name.as_deref())] {
            if let Some(value) = value {
                annotations[key] = json!(value);
            }
        }
        self.of_control_plane.extend(account.objects(&annotations, &rights));
        let accounts = Api::<ServiceAccount>::namespaced(control_plane.client.clone(), &account.namespace);
        let others = ask(accounts.get_opt(&account.name)).await.ok().flatten();
        let uid = others.as_ref().and_then(|there| there.annotations().get(CLUSTER_UID));
        if let (Some(uid), Some(own)) = (uid, app_uid)
            && uid != own
        {
            tell(Event::Warning(Warning::SharedClusterId {
                cluster_id: self.cluster_id.to_string(),
                claim_namespace: claim_namespace.clone(),
            }));
        }
    }

    async fn rights(&self, control_plane: &Cluster) -> Result<Rights, Unanswered> {
        let roles = Api::<ClusterRole>::all(control_plane.client.clone());
        let of_xrds = ask(roles.list(&ListParams::default().labels(&selector_of_xrds()))).await?.items;
        let may_aggregate = preflight::may(&control_plane.client, &preflight::EVERYTHING).await?;
        Ok(Rights::for_offers(&self.offers, &of_xrds, may_aggregate, copies_input_secrets(&self.install.values)))
    }

    pub(super) async fn look_for_conflicts(&mut self, problems: &mut Vec<Problem>, tell: Tell<'_>) {
        let mut expected: BTreeSet<String> = self.offers.group_versions().iter().map(ToString::to_string).collect();
        match self.conflicts().await {
            Ok(conflicts) => {
                for conflict in conflicts {
                    let (api, holder) = match conflict {
                        Conflict::LocalCrd { api_version, name } => {
                            (api_version, format!("CustomResourceDefinition {name}"))
                        }
                        Conflict::ForeignApiService { api_version, name, .. } => {
                            (api_version, format!("APIService {name}"))
                        }
                        // That is what the install is for.
                        Conflict::NotRegistered { .. } => continue,
                    };
                    expected.remove(&api);
                    tell(Event::Warning(Warning::Conflict { api, holder }));
                }
            }
            Err(why) => problems.push(unknown(Side::App, "which APIs it has", why)),
        }
        self.expected = expected;
    }

    async fn conflicts(&self) -> Result<Vec<Conflict>, Unanswered> {
        let app = &self.app.client;
        Registrations::read(app, &self.service_label()).await?.conflicts(app, &self.offers).await
    }

    /// Whether an account is not used any more once this is applied.
    fn leaves(&self, account: &Account) -> bool {
        // A Secret that the user gave may have a token of the very same one.
        let subject = format!("system:serviceaccount:{}:{}", account.namespace, account.name);
        self.account.as_ref() != Some(account) && self.subject != Some(subject)
    }

    pub(super) fn warn(&self, existing: Option<&Deployment>, tell: Tell<'_>) {
        if let Some(endpoint) = &self.endpoint {
            let endpoint = self.endpoint_of_app(endpoint);
            let server = endpoint.server.clone();
            if endpoint.is_loopback() {
                tell(Event::Warning(Warning::Loopback { server: server.clone() }));
            }
            if endpoint.insecure_skip_tls_verify {
                tell(Event::Warning(Warning::Insecure { server }));
            }
        }
        let before = existing.map(ResourceExt::annotations);
        let before = before.and_then(|before| Some((before.get(CLAIM_NAMESPACE)?, before.get(CLUSTER_ID)?)));
        if let Some((claim_namespace, cluster_id)) = before
            && (*claim_namespace != self.install.claim_namespace || cluster_id != self.cluster_id.as_str())
        {
            let (claim_namespace, cluster_id) = (claim_namespace.clone(), cluster_id.clone());
            tell(Event::Warning(Warning::Moved { claim_namespace, cluster_id }));
        }
        if let Some(account) = before_account(existing).filter(|account| self.leaves(account)) {
            let (name, commands) = (format!("{}/{}", account.namespace, account.name), account.removal());
            tell(Event::Warning(Warning::AccountLeft { account: name, commands }));
        }
    }
}

/// The account that an install has now.
fn before_account(existing: Option<&Deployment>) -> Option<Account> {
    let annotations = existing?.annotations();
    Some(Account { namespace: annotations.get(CLAIM_NAMESPACE)?.clone(), name: annotations.get(ACCOUNT)?.clone() })
}

pub(super) async fn check_rights(cluster: &Cluster, rights: &[preflight::Right<'_>], problems: &mut Vec<Problem>) {
    match preflight::missing(&cluster.client, rights).await {
        Ok(missing) if missing.is_empty() => {}
        Ok(rights) => problems.push(Problem::MissingRights { side: cluster.side, rights }),
        Err(why) => problems.push(unknown(cluster.side, "what you may do", why)),
    }
}

/// Whether copies of Secrets of the app cluster are to be kept in the control plane.
fn copies_input_secrets(values: &Values) -> bool {
    values.apis.iter().any(|api| api.input_secrets.as_ref().is_some_and(|paths| !paths.is_empty()))
}
