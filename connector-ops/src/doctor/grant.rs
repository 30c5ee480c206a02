//! Rights, and the commands that grant them.

use k8s_openapi::api::authorization::v1::ResourceAttributes;

use super::Level;
use crate::credential::{Credential, CredentialKind, service_account};
use crate::review::attributes;

pub(super) const READ: &[&str] = &["get", "list", "watch"];
pub(super) const CREATE: &[&str] = &["create"];

/// Some verbs on one resource.
#[derive(Clone, Debug)]
pub(super) struct Right {
    pub(super) group: String,
    /// The plural, perhaps with a subresource.
    pub(super) resource: String,
    /// Of one object only.
    pub(super) name: Option<String>,
    /// In one namespace only.
    pub(super) namespace: Option<String>,
    pub(super) verbs: Vec<&'static str>,
    /// What does not work without.
    pub(super) purpose: &'static str,
    pub(super) level: Level,
}

impl Right {
    pub(super) fn new(group: &str, resource: &str, verbs: &[&'static str], purpose: &'static str) -> Self {
        let (group, resource, verbs) = (group.to_owned(), resource.to_owned(), verbs.to_vec());
        Self { group, resource, name: None, namespace: None, verbs, purpose, level: Level::Error }
    }

    pub(super) fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    pub(super) fn within(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    pub(super) fn wished(self) -> Self {
        Self { level: Level::Warning, ..self }
    }

    pub(super) fn attributes(&self, verb: &str) -> ResourceAttributes {
        let of_all = attributes(verb, &self.group, &self.resource, self.namespace.as_deref());
        ResourceAttributes { name: self.name.clone(), ..of_all }
    }

    /// As `kubectl create role --resource` takes it.
    pub(super) fn full_resource(&self) -> String {
        match (self.group.as_str(), self.resource.split_once('/')) {
            ("", _) => self.resource.clone(),
            (group, None) => format!("{}.{group}", self.resource),
            (group, Some((resource, subresource))) => format!("{resource}.{group}/{subresource}"),
        }
    }
}

/// Verbs that are missing of a right, and to whom they are to be given.
pub(super) struct Grant {
    pub(super) right: Right,
    pub(super) verbs: Vec<&'static str>,
    /// As options of `kubectl create rolebinding`.
    pub(super) subject: String,
}

impl Grant {
    /// The right to know what a control plane offers.
    pub(super) fn definitions(credential: Option<&Credential>) -> Self {
        let right = Right::new("apiextensions.crossplane.io", "compositeresourcedefinitions", READ, "");
        Self { right, verbs: READ.to_vec(), subject: subject(credential) }
    }

    /// The commands that give them.
    pub(super) fn command(&self, kubectl: &str) -> String {
        let Self { right, verbs, subject } = self;
        // One that nobody else has, and another for each of these.
        let mut name = format!("connector-{}", right.resource.replace('/', "-"));
        if let Some(object) = &right.name {
            name = format!("{name}-{object}");
        }
        if verbs == CREATE {
            name.push_str("-create");
        }
        let of = right.name.as_ref().map_or_else(String::new, |name| format!(" --resource-name={name}"));
        let verbs = format!("--verb={} --resource={}{of}", verbs.join(","), right.full_resource());
        match &right.namespace {
            Some(namespace) => format!(
                "{kubectl} -n {namespace} create role {name} {verbs} && {kubectl} -n {namespace} create rolebinding {name} --role={name} {subject}"
            ),
            None => format!(
                "{kubectl} create clusterrole {name} {verbs} && {kubectl} create clusterrolebinding {name} --clusterrole={name} {subject}"
            ),
        }
    }
}

/// Who a credential is, for a binding.
pub(super) fn subject(credential: Option<&Credential>) -> String {
    let of = credential.and_then(|credential| Some((credential.kind, credential.subject.as_deref()?)));
    match of {
        Some((CredentialKind::ServiceAccountToken, subject)) => match service_account(subject) {
            Some((namespace, name)) => format!("--serviceaccount={namespace}:{name}"),
            None => "--user=USER".to_owned(),
        },
        // kube-apiserver takes the user from the common name.
        Some((CredentialKind::ClientCertificate, subject)) => {
            let name = subject.split(',').find_map(|part| part.trim().strip_prefix("CN="));
            format!("--user={}", name.unwrap_or("USER"))
        }
        _ => "--user=USER".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_commands() {
        let right = Right::new("coordination.k8s.io", "leases", &["get", "update"], "")
            .named("connector-sync")
            .within("kube-system");
        let grant = Grant { right, verbs: vec!["get"], subject: "--serviceaccount=kube-system:connector".to_owned() };
        assert_eq!(
            grant.command("kubectl"),
            "kubectl -n kube-system create role connector-leases-connector-sync --verb=get --resource=leases.coordination.k8s.io \
             --resource-name=connector-sync && kubectl -n kube-system create rolebinding connector-leases-connector-sync \
             --role=connector-leases-connector-sync --serviceaccount=kube-system:connector"
        );
    }
}
