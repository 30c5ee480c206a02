//! The aggregation layer of the app cluster, and what of others would hold it up.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::{Commands, Finding};
use crate::ask::ask;
use crate::certificates::certificates;
use crate::registration::Registration;

const CHECK: &str = "aggregation";
/// What kube-apiserver must be started with, to call aggregated APIs and to be known by them.
const FLAGS: &str = "kube-apiserver --requestheader-client-ca-file=CA-FILE --requestheader-allowed-names=front-proxy-client \
                     --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
                     --requestheader-extra-headers-prefix=X-Remote-Extra- --proxy-client-cert-file=CERTIFICATE-FILE \
                     --proxy-client-key-file=KEY-FILE";

/// Whether kube-apiserver is set up to call aggregated APIs: it publishes the CA by which they know it.
pub(super) async fn layer(app: &Client) -> Vec<Finding> {
    let config_maps = Api::<ConfigMap>::namespaced(app.clone(), "kube-system");
    match ask(config_maps.get_opt("extension-apiserver-authentication")).await {
        Ok(config) => vec![published(config, Timestamp::now())],
        Err(error) => vec![Finding::warning(
            CHECK,
            format!("ConfigMap kube-system/extension-apiserver-authentication cannot be read: {error}"),
        )],
    }
}

fn published(config: Option<ConfigMap>, now: Timestamp) -> Finding {
    let data: BTreeMap<String, String> = config.and_then(|config| config.data).unwrap_or_default();
    let ca = data.get("requestheader-client-ca-file").map(|pem| certificates(pem.as_bytes())).unwrap_or_default();
    let Some(last) = ca.iter().max_by_key(|ca| ca.expires) else {
        let what = "kube-apiserver publishes no requestheader CA, so the connector cannot know who calls: the aggregation layer is not set up";
        return Finding::error(CHECK, what).mend(FLAGS);
    };
    if last.expires <= now {
        let what = format!("the requestheader CA {} expired at {}", last.subject, last.expires);
        return Finding::error(CHECK, what)
            .mend("kubeadm certs renew front-proxy-client  # with a new front-proxy CA before");
    }
    let names_users = data.get("requestheader-username-headers").is_some_and(|headers| headers.trim() != "[]");
    if !names_users {
        return Finding::error(CHECK, "kube-apiserver does not say in which header it names the user").mend(FLAGS);
    }
    Finding::ok(CHECK, format!("the aggregation layer is on; the requestheader CA is {}", last.subject))
}

/// What is broken of others: an APIService of `broken` that does not answer holds up the deletion of every namespace, a webhook that does not
/// the requests that it is asked about.
pub(super) async fn others(app: &Client, broken: Vec<Registration>, commands: &Commands) -> Vec<Finding> {
    let mut findings = Vec::new();
    for broken in broken {
        let what = format!(
            "APIService {} is not available, and while it is not, no namespace can be deleted: {}: {}",
            broken.name, broken.reason, broken.message
        );
        findings.push(
            Finding::warning("other-apis", what).mend(format!(
                "{} delete apiservice {}  # if nothing is to serve it any more",
                commands.app, broken.name
            )),
        );
    }
    let mut webhooks = Webhooks { app, services: BTreeMap::new() };
    match webhooks.broken(commands).await {
        Ok(broken) => findings.extend(broken),
        Err(what) => findings.push(Finding::warning("webhooks", what)),
    }
    if findings.is_empty() {
        findings.push(Finding::ok("other-apis", "no APIService and no webhook of others is broken"));
    }
    findings
}

struct Webhooks<'a> {
    app: &'a Client,
    /// What is wrong with a Service, by namespace and name.
    services: BTreeMap<(String, String), Option<String>>,
}

impl Webhooks<'_> {
    async fn broken(&mut self, commands: &Commands) -> Result<Vec<Finding>, String> {
        let every = ListParams::default();
        let validating = Api::<ValidatingWebhookConfiguration>::all(self.app.clone());
        let mutating = Api::<MutatingWebhookConfiguration>::all(self.app.clone());
        let (validating, mutating) = futures::join!(ask(validating.list(&every)), ask(mutating.list(&every)));
        let unread = |error| format!("webhooks cannot be read: {error}");
        let mut services = Vec::new();
        for configuration in validating.map_err(unread)?.items {
            let name = configuration.name_any();
            for webhook in configuration.webhooks.into_iter().flatten() {
                let service = webhook.client_config.service.map(|service| (service.namespace, service.name));
                services.push(("validatingwebhookconfiguration", name.clone(), webhook.failure_policy, service));
            }
        }
        for configuration in mutating.map_err(unread)?.items {
            let name = configuration.name_any();
            for webhook in configuration.webhooks.into_iter().flatten() {
                let service = webhook.client_config.service.map(|service| (service.namespace, service.name));
                services.push(("mutatingwebhookconfiguration", name.clone(), webhook.failure_policy, service));
            }
        }
        let mut findings: Vec<Finding> = Vec::new();
        for (kind, name, policy, service) in services {
            // Where failures are ignored nothing is held up; the default is to fail.
            let Some(service) = service.filter(|_| policy.as_deref() != Some("Ignore")) else { continue };
            let Some(wrong) = self.wrong_with(service).await else { continue };
            let what = format!("{kind} {name} does not answer, so that what it is asked about is refused: {wrong}");
            let finding = Finding::warning("webhooks", what)
                .mend(format!("{} delete {kind} {name}  # if nothing is to serve it any more", commands.app));
            // One configuration has many webhooks of one Service.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        Ok(findings)
    }

    async fn wrong_with(&mut self, service: (String, String)) -> Option<String> {
        if let Some(known) = self.services.get(&service) {
            return known.clone();
        }
        let wrong = unserved(self.app, &service.0, &service.1).await;
        self.services.insert(service, wrong.clone());
        wrong
    }
}

/// What keeps a Service from being answered; nothing where it cannot be read.
pub(super) async fn unserved(app: &Client, namespace: &str, name: &str) -> Option<String> {
    let service = ask(Api::<Service>::namespaced(app.clone(), namespace).get_opt(name)).await.ok()?;
    let Some(service) = service else { return Some(format!("Service {namespace}/{name} does not exist")) };
    if service.spec.is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName")) {
        return None;
    }
    let slices = Api::<EndpointSlice>::namespaced(app.clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let slices = ask(slices.list(&of_service)).await.ok()?.items;
    let ready = slices.iter().flat_map(|slice| &slice.endpoints).any(|endpoint| {
        // Unknown counts as ready.
        endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
    });
    (!ready).then(|| format!("no Pod of Service {namespace}/{name} is ready"))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn of(data: &[(&str, &str)]) -> Finding {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = ConfigMap { data: Some(data), ..ConfigMap::default() };
        published(Some(config), Timestamp::now())
    }

    /// Without request-header options kube-apiserver publishes its client CA alone, or nothing.
    #[test]
    fn no_requestheader_ca_is_an_error() {
        for finding in [published(None, Timestamp::now()), of(&[("client-ca-file", "x")])] {
            assert_eq!(finding.level, Level::Error);
            assert!(finding.mend.unwrap().contains("--requestheader-client-ca-file"));
        }
        assert_eq!(of(&[("requestheader-client-ca-file", "no PEM")]).level, Level::Error);
    }
}
