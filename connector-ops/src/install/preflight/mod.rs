//! What is looked at before anything is written, on both sides. All that is in the way is told at once.

mod problem;
mod rights;
mod warning;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::ask::{Unanswered, ask};
use crate::labels;

pub use problem::Problem;
pub(in crate::install) use rights::{EVERYTHING, connector_rights, may, missing};
pub(crate) use rights::{Right, app_rights, control_plane_rights};
pub use warning::Warning;

/// The oldest minor version of Kubernetes 1 that is supported, on both sides.
pub(crate) const OLDEST: u32 = 33;
/// How many questions go out at a time.
const AT_ONCE: usize = 8;
/// The ConfigMap by which aggregated API servers recognize kube-apiserver.
const AUTHENTICATION: (&str, &str) = ("kube-system", "extension-apiserver-authentication");
/// The key in it; it is there only where the aggregation layer is set up.
const REQUEST_HEADER_CA: &str = "requestheader-client-ca-file";
/// Label of our APIServices: their Service, as `namespace.name`.
pub(crate) const SERVICE_LABEL: &str = "mcp-connector.upbound.io/service";

/// Whether a cluster answers at all: its version, or why not.
pub(in crate::install) async fn version(client: &Client) -> Result<String, Unanswered> {
    Ok(ask(client.apiserver_version()).await?.git_version)
}

/// Whether a version is older than what is supported.
pub(in crate::install) fn is_old(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.');
    let major = parts.next().and_then(|part| part.parse::<u32>().ok());
    let minor = parts.next().and_then(|part| part.parse::<u32>().ok());
    matches!((major, minor), (Some(1), Some(minor)) if minor < OLDEST)
}

/// Whether kube-apiserver aggregates APIs.
pub(in crate::install) async fn aggregates(app: &Client) -> Result<bool, Unanswered> {
    let config_maps = Api::<ConfigMap>::namespaced(app.clone(), AUTHENTICATION.0);
    let found = ask(config_maps.get_opt(AUTHENTICATION.1)).await?;
    let data = found.and_then(|found| found.data).unwrap_or_default();
    Ok(data.get(REQUEST_HEADER_CA).is_some_and(|ca| !ca.trim().is_empty()))
}

/// How a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    There,
    Going,
    Missing,
}

pub(crate) async fn namespace(client: &Client, name: &str) -> Result<(State, Option<String>), Unanswered> {
    let found = ask(Api::<Namespace>::all(client.clone()).get_opt(name)).await?;
    Ok(match found {
        None => (State::Missing, None),
        Some(found) if found.metadata.deletion_timestamp.is_some() => (State::Going, found.uid()),
        Some(found) => (State::There, found.uid()),
    })
}

/// What is installed already under a release's name: the Deployment of this namespace, and what is in the way.
pub(in crate::install) async fn installed(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_the_oldest_are_old() {
        assert!(is_old("v1.32.13") && is_old("v1.9.0-eks-1"));
        assert!(!is_old("v1.33.0") && !is_old("v1.36.3+k3s1") && !is_old("v2.0.0") && !is_old("odd"));
    }
}
