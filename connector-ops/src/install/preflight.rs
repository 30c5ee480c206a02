//! What is looked at before anything is written, on both sides. All that is in the way is told at once.

use std::fmt;

use connector_core::offer::{GroupVersion, Offers};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};

use crate::ask::{Unanswered, ask};
use crate::cluster::Side;
use crate::labels;

/// The oldest minor version of Kubernetes 1 that is supported, on both sides.
const OLDEST: u32 = 33;
/// How many questions go out at a time.
const AT_ONCE: usize = 8;
/// The ConfigMap by which aggregated API servers recognize kube-apiserver.
const AUTHENTICATION: (&str, &str) = ("kube-system", "extension-apiserver-authentication");
/// The key in it; it is there only where the aggregation layer is set up.
const REQUEST_HEADER_CA: &str = "requestheader-client-ca-file";
/// Label of our APIServices: their Service, as `namespace.name`.
pub(crate) const SERVICE_LABEL: &str = "mcp-connector.upbound.io/service";

/// What is in the way of an install.
#[derive(Debug)]
pub enum Problem {
    /// A cluster does not answer, or takes no credential.
    Unreachable {
        /// Which.
        side: Side,
        /// Its URL.
        server: String,
        /// Why.
        why: Unanswered,
    },
    /// Something could not be looked at.
    Unknown {
        /// In which cluster.
        side: Side,
        /// What.
        what: &'static str,
        /// Why.
        why: Unanswered,
    },
    /// Both are one cluster, which would serve itself its own APIs.
    SameCluster,
    /// Who installs may not do what it takes.
    MissingRights {
        /// In which cluster.
        side: Side,
        /// What, as `create deployments.apps in namespace kube-system`.
        rights: Vec<String>,
    },
    /// The credential that the user gave for the connector may not do what that needs.
    CredentialLacks {
        /// What, as `list databases.example.org in namespace claims`.
        rights: Vec<String>,
    },
    /// kube-apiserver of the app cluster aggregates no APIs.
    NoAggregation,
    /// The control plane has no Crossplane.
    NoCrossplane,
    /// A namespace is being deleted.
    TerminatingNamespace {
        /// In which cluster.
        side: Side,
        /// Its name.
        namespace: String,
    },
    /// The namespace of the app cluster is not there.
    NoNamespace {
        /// Its name.
        namespace: String,
    },
    /// helm installed it, and would undo what is done here.
    InstalledByHelm {
        /// The namespace.
        namespace: String,
        /// The release.
        release: String,
    },
    /// The same release is in another namespace, and shares what has none.
    InstalledElsewhere {
        /// The namespace.
        namespace: String,
        /// The release.
        release: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { side, server, why } => match why.code() {
                Some(401) => {
                    write!(f, "the {side} at {server} does not accept the credential: renew it, or choose another context")
                }
                Some(_) => write!(f, "the {side} at {server} does not answer as a Kubernetes API does: {why}"),
                None => write!(
                    f,
                    "the {side} at {server} cannot be reached: {why}; see that host and port are right, and that no firewall or \
                     proxy is between"
                ),
            },
            Self::Unknown { side, what, why } => write!(f, "the {side} does not tell {what}: {why}"),
            Self::SameCluster => f.write_str(
                "the app cluster and the control plane are the same cluster: choose the app cluster with --context",
            ),
            Self::MissingRights { side, rights } => {
                write!(f, "you may not do in the {side} what it takes; ask for a role that gives:")?;
                rights.iter().try_for_each(|right| write!(f, "\n  {right}"))
            }
            Self::CredentialLacks { rights } => {
                f.write_str("the given credential may not do in the control plane what the connector needs; grant it there:")?;
                rights.iter().try_for_each(|right| write!(f, "\n  {right}"))
            }
            Self::NoAggregation => {
                let (namespace, name) = AUTHENTICATION;
                write!(
                    f,
                    "the app cluster aggregates no APIs: ConfigMap {namespace}/{name} has no {REQUEST_HEADER_CA}; give its \
                     kube-apiserver --requestheader-client-ca-file, --proxy-client-cert-file and what belongs to them"
                )
            }
            Self::NoCrossplane => f.write_str(
                "the control plane has no CompositeResourceDefinitions: install Crossplane there, or choose another context",
            ),
            Self::TerminatingNamespace { side, namespace } => {
                write!(f, "namespace {namespace:?} of the {side} is being deleted: wait until it is gone, or choose another")
            }
            Self::NoNamespace { namespace } => {
                write!(f, "the app cluster has no namespace {namespace:?}: create it, or choose another with -n")
            }
            Self::InstalledByHelm { namespace, release } => write!(
                f,
                "helm installed it as {release:?} in namespace {namespace:?}, and would undo what is done here; use \
                 'helm upgrade {release} CHART -n {namespace} --reuse-values', or remove it first with 'helm uninstall {release} \
                 -n {namespace}'"
            ),
            Self::InstalledElsewhere { namespace, release } => write!(
                f,
                "a connector is installed as {release:?} in namespace {namespace:?}: use -n {namespace}, or give this one \
                 another name with --release"
            ),
        }
    }
}

/// What an install goes on in spite of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A cluster is older than what is tested.
    OldVersion {
        /// Which.
        side: Side,
        /// Its version.
        version: String,
    },
    /// Nothing is offered yet.
    NothingOffered,
    /// The app cluster has an API of its own where one is offered; it keeps it.
    Conflict {
        /// The API.
        api: String,
        /// What holds it, as `CustomResourceDefinition databases.example.org`.
        holder: String,
    },
    /// New groups are not granted by themselves.
    GroupsByName {
        /// Those that are.
        groups: Vec<String>,
    },
    /// The URL means the machine itself.
    Loopback {
        /// The URL.
        server: String,
    },
    /// Certificates are believed unseen.
    Insecure {
        /// The URL.
        server: String,
    },
    /// Another app cluster has the same cluster id and claim namespace.
    SharedClusterId {
        /// The id.
        cluster_id: String,
        /// The claim namespace.
        claim_namespace: String,
    },
    /// The install had another cluster id or claim namespace, whose claims are not shown any more.
    Moved {
        /// The former claim namespace.
        claim_namespace: String,
        /// The former cluster id.
        cluster_id: String,
    },
    /// The control plane's way in takes no ServiceAccount's token, so the given one is used.
    GivenTokenUsed,
    /// The control plane cannot be looked at from here; perhaps the connector reaches it.
    ControlPlaneUnseen {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldVersion { side, version } => {
                write!(f, "the {side} has Kubernetes {version}; the connector is tested with 1.{OLDEST} and newer")
            }
            Self::NothingOffered => f.write_str(
                "the control plane offers nothing yet: its claims appear here as soon as it has a \
                 CompositeResourceDefinition with claims, or a namespaced one",
            ),
            Self::Conflict { api, holder } => write!(
                f,
                "{api} stays the app cluster's own, because of {holder}: delete that to have the control plane's"
            ),
            Self::GroupsByName { groups } => write!(
                f,
                "Crossplane's RBAC manager renders no roles for {}, or you may not aggregate them: these API groups are granted \
                 by name; when a new one is offered, run this command again",
                groups.join(", ")
            ),
            Self::Loopback { server } => write!(
                f,
                "the control plane's URL {server} means this machine, and another one in the app cluster: give one that leads \
                 there with --control-plane-server"
            ),
            Self::Insecure { server } => write!(
                f,
                "the certificate of {server} is not verified: anybody on the way can read and change claims and their Secrets"
            ),
            Self::SharedClusterId { cluster_id, claim_namespace } => write!(
                f,
                "another app cluster was connected with cluster id {cluster_id:?} and claim namespace {claim_namespace:?}; if it \
                 still is, both see and erase each other's claims"
            ),
            Self::Moved { claim_namespace, cluster_id } => write!(
                f,
                "the claims of cluster id {cluster_id:?} in namespace {claim_namespace:?} stay in the control plane with the account \
                 there, and are not shown in the app cluster any more"
            ),
            Self::GivenTokenUsed => f.write_str(
                "the control plane does not take a ServiceAccount's token by this way: the connector uses the given token, with \
                 all its rights and until it expires",
            ),
            Self::ControlPlaneUnseen { why } => {
                write!(f, "the control plane was not checked, since it cannot be seen from here: {why}")
            }
        }
    }
}

/// Whether a cluster answers at all: its version, or why not.
pub(super) async fn version(client: &Client) -> Result<String, Unanswered> {
    Ok(ask(client.apiserver_version()).await?.git_version)
}

/// Whether a version is older than what is supported.
pub(super) fn is_old(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.');
    let major = parts.next().and_then(|part| part.parse::<u32>().ok());
    let minor = parts.next().and_then(|part| part.parse::<u32>().ok());
    matches!((major, minor), (Some(1), Some(minor)) if minor < OLDEST)
}

/// One right: verb, group, resource, namespace. `None` as namespace means everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Right<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    pub(super) resource: &'a str,
    pub(super) namespace: Option<&'a str>,
}

impl Right<'_> {
    /// What it is a right to, without the verb.
    fn object(&self) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        let namespace = self.namespace.map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
        format!("{}{group}{namespace}", self.resource)
    }
}

/// Whether who asks has a right.
pub(super) async fn may(client: &Client, right: &Right<'_>) -> Result<bool, Unanswered> {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource, None),
    };
    let attributes = ResourceAttributes {
        verb: Some(right.verb.to_owned()),
        group: Some(right.group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        namespace: right.namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
    Ok(ask(reviews.create(&PostParams::default(), &review)).await?.status.is_some_and(|status| status.allowed))
}

/// Those of the rights that are missing; the verbs of one resource are told together.
pub(super) async fn missing(client: &Client, rights: &[Right<'_>]) -> Result<Vec<String>, Unanswered> {
    let asked = futures::stream::iter(rights).map(|right| async move { Ok((right, may(client, right).await?)) });
    let answers: Vec<Result<_, Unanswered>> = asked.buffered(AT_ONCE).collect().await;
    let mut lacking = Vec::new();
    for answer in answers {
        let (right, has) = answer?;
        if !has {
            lacking.push(right);
        }
    }
    Ok(together(&lacking))
}

fn together(rights: &[&Right<'_>]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for right in rights {
        let of = right.object();
        match lines.iter_mut().find(|(known, _)| *known == of) {
            Some((_, verbs)) => verbs.push(right.verb),
            None => lines.push((of, vec![right.verb])),
        }
    }
    lines.into_iter().map(|(of, verbs)| format!("{} {of}", verbs.join(", "))).collect()
}

/// What it takes to write everything of an app cluster.
pub(super) fn app_rights(namespace: &str) -> Vec<Right<'_>> {
    const NAMESPACED: [(&str, &str); 7] = [
        ("", "secrets"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("apps", "deployments"),
        ("policy", "poddisruptionbudgets"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
    ];
    const CLUSTER: [(&str, &str); 2] =
        [("rbac.authorization.k8s.io", "clusterroles"), ("rbac.authorization.k8s.io", "clusterrolebindings")];
    let namespaced = NAMESPACED.map(|(group, resource)| (group, resource, Some(namespace)));
    let cluster = CLUSTER.map(|(group, resource)| (group, resource, None));
    let all = namespaced.into_iter().chain(cluster).flat_map(|(group, resource, namespace)| {
        ["create", "patch", "delete"].map(|verb| Right { verb, group, resource, namespace })
    });
    all.collect()
}

/// What it takes to make an account in a control plane.
pub(super) fn control_plane_rights(claim_namespace: &str, creates_namespace: bool) -> Vec<Right<'_>> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let namespaced = [("", "serviceaccounts"), (RBAC, "roles"), (RBAC, "rolebindings")];
    let cluster = [(RBAC, "clusterroles"), (RBAC, "clusterrolebindings")];
    let mut all = Vec::new();
    for verb in ["create", "patch"] {
        all.extend(namespaced.map(|(group, resource)| Right {
            verb,
            group,
            resource,
            namespace: Some(claim_namespace),
        }));
        all.extend(cluster.map(|(group, resource)| Right { verb, group, resource, namespace: None }));
    }
    let token = "serviceaccounts/token";
    all.push(Right { verb: "create", group: "", resource: token, namespace: Some(claim_namespace) });
    if creates_namespace {
        all.push(Right { verb: "create", group: "", resource: "namespaces", namespace: None });
    }
    all
}

/// What a connector needs of every API that is offered, and to know what is; asked of a credential that somebody else made.
pub(super) fn connector_rights<'a>(offers: &'a Offers, claim_namespace: &'a str) -> Vec<Right<'a>> {
    let of_offers = offers.iter().flat_map(|offered| {
        let (group, resource) = (offered.group.as_str(), offered.plural.as_str());
        ["watch", "create", "deletecollection"].map(|verb| Right {
            verb,
            group,
            resource,
            namespace: Some(claim_namespace),
        })
    });
    of_offers.collect()
}

/// The right to write a ClusterRole that aggregates others: all of them (`kubernetes/pkg/registry/rbac/clusterrole/policybased`).
pub(super) const EVERYTHING: Right<'static> = Right { verb: "*", group: "*", resource: "*", namespace: None };

/// Whether kube-apiserver aggregates APIs.
pub(super) async fn aggregates(app: &Client) -> Result<bool, Unanswered> {
    let config_maps = Api::<ConfigMap>::namespaced(app.clone(), AUTHENTICATION.0);
    let found = ask(config_maps.get_opt(AUTHENTICATION.1)).await?;
    let data = found.and_then(|found| found.data).unwrap_or_default();
    Ok(data.get(REQUEST_HEADER_CA).is_some_and(|ca| !ca.trim().is_empty()))
}

/// How a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    There,
    Going,
    Missing,
}

pub(super) async fn namespace(client: &Client, name: &str) -> Result<(State, Option<String>), Unanswered> {
    let found = ask(Api::<Namespace>::all(client.clone()).get_opt(name)).await?;
    Ok(match found {
        None => (State::Missing, None),
        Some(found) if found.metadata.deletion_timestamp.is_some() => (State::Going, found.uid()),
        Some(found) => (State::There, found.uid()),
    })
}

/// What is installed already under a release's name: the Deployment of this namespace, and what is in the way.
pub(super) async fn installed(
    app: &Client,
    namespace: &str,
    release: &str,
) -> Result<(Option<Deployment>, Vec<Problem>), Unanswered> {
    let selector = format!("{}={},{}={release}", labels::NAME, labels::CONNECTOR, labels::INSTANCE);
    let list = ask(Api::<Deployment>::all(app.clone()).list(&ListParams::default().labels(&selector))).await?;
    let (mut here, mut problems) = (None, Vec::new());
    for deployment in list.items {
        let at = deployment.namespace().unwrap_or_default();
        if deployment.labels().get(labels::MANAGED_BY).is_some_and(|by| by == labels::HELM) {
            problems.push(Problem::InstalledByHelm { namespace: at, release: release.to_owned() });
        } else if at == namespace {
            here = Some(deployment);
        } else {
            problems.push(Problem::InstalledElsewhere { namespace: at, release: release.to_owned() });
        }
    }
    Ok((here, problems))
}

/// APIs that the app cluster has itself, of those that are offered. `service` is the label of our own APIServices.
pub(super) async fn conflicts(
    app: &Client,
    offers: &Offers,
    service: &str,
) -> Result<Vec<(GroupVersion, String)>, Unanswered> {
    let api_services = ask(Api::<APIService>::all(app.clone()).list(&ListParams::default())).await?;
    let crds = Api::<CustomResourceDefinition>::all(app.clone());
    let names = ask(crds.list_metadata(&ListParams::default())).await?;
    let mut conflicts = Vec::new();
    for api in offers.group_versions() {
        let name = format!("{}.{}", api.version, api.group);
        let registered = api_services.items.iter().find(|registered| registered.name_any() == name);
        if registered.is_some_and(|registered| registered.labels().get(SERVICE_LABEL).is_some_and(|at| at == service)) {
            continue;
        }
        let suffix = format!(".{}", api.group);
        let mut holder = None;
        for crd in names.items.iter().map(ResourceExt::name_any).filter(|name| name.ends_with(&suffix)) {
            let Some(crd) = ask(crds.get_opt(&crd)).await? else { continue };
            let serves = crd.spec.versions.iter().any(|version| version.served && version.name == api.version);
            if crd.spec.group == api.group && serves {
                holder = Some(format!("CustomResourceDefinition {}", crd.name_any()));
            }
        }
        let foreign = || registered.map(|registered| format!("APIService {}", registered.name_any()));
        if let Some(holder) = holder.or_else(foreign) {
            conflicts.push((api, holder));
        }
    }
    Ok(conflicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_the_oldest_are_old() {
        assert!(is_old("v1.32.13") && is_old("v1.9.0-eks-1"));
        assert!(!is_old("v1.33.0") && !is_old("v1.36.3+k3s1") && !is_old("v2.0.0") && !is_old("odd"));
    }

    #[test]
    fn rights_are_named_as_people_grant_them() {
        let right = |verb| Right { verb, group: "apps", resource: "deployments", namespace: Some("kube-system") };
        let other = Right { verb: "list", group: "", resource: "nodes", namespace: None };
        let told = together(&[&right("create"), &other, &right("patch")]);
        assert_eq!(told, ["create, patch deployments.apps in namespace kube-system", "list nodes"]);
    }
}
