//! Versions of Kubernetes and Crossplane.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::{Commands, Finding};
use crate::ask::ask;
use crate::install::preflight::OLDEST;

/// The minors of Kubernetes that the connector is tested with, on either side.
const SUPPORTED: std::ops::RangeInclusive<u32> = OLDEST..=37;

pub(super) fn kubernetes(check: &'static str, cluster: &str, version: &Info) -> Finding {
    // Some distributions add to it, as `33+`.
    let digits = version.minor.trim_end_matches(|c: char| !c.is_ascii_digit());
    let supported = version.major == "1" && digits.parse().is_ok_and(|minor| SUPPORTED.contains(&minor));
    let is = format!("{cluster} has Kubernetes {}", version.git_version);
    if supported {
        Finding::ok(check, is)
    } else {
        let (first, last) = (SUPPORTED.start(), SUPPORTED.end());
        Finding::warning(check, format!("{is}; 1.{first} to 1.{last} are supported"))
    }
}

/// Which Crossplane there is, by what its API serves; its version, where its Deployment may be read.
pub(super) async fn crossplane(control_plane: &Client, commands: &Commands) -> Finding {
    const CHECK: &str = "crossplane";
    let groups = match ask(control_plane.list_api_groups()).await {
        Ok(groups) => groups.groups,
        Err(error) => return Finding::warning(CHECK, format!("the control plane's APIs cannot be read: {error}")),
    };
    let Some(group) = groups.into_iter().find(|group| group.name == "apiextensions.crossplane.io") else {
        return Finding::error(CHECK, "Crossplane is not installed in the control plane").mend(
            "helm install crossplane --namespace crossplane-system --create-namespace crossplane --repo https://charts.crossplane.io/stable",
        );
    };
    let deployments = Api::<Deployment>::all(control_plane.clone());
    let found = ask(deployments.list_metadata(&ListParams::default().labels("app=crossplane"))).await;
    let version = found.ok().and_then(|found| {
        found.items.iter().find_map(|deployment| deployment.labels().get("app.kubernetes.io/version").cloned())
    });
    let version = version.map_or_else(String::new, |version| format!(" {version}"));
    let serves = |version: &str| group.versions.iter().any(|served| served.version == version);
    match (serves("v1"), serves("v2")) {
        (_, true) => Finding::ok(CHECK, format!("Crossplane{version} has claims and namespaced composites")),
        (true, false) => {
            Finding::ok(CHECK, format!("Crossplane{version} has claims; namespaced composites come with Crossplane 2"))
        }
        (false, false) => Finding::error(CHECK, format!("Crossplane{version} serves no CompositeResourceDefinitions"))
            .mend(format!("{} -n crossplane-system get pods", commands.control_plane)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn supported_minors() {
        let of = |major: &str, minor: &str| {
            let info = Info { major: major.into(), minor: minor.into(), git_version: "v".into(), ..Info::default() };
            kubernetes("x", "it", &info).level
        };
        for (major, minor, level) in [
            ("1", "33", Level::Ok),
            ("1", "37", Level::Ok),
            ("1", "34+", Level::Ok),
            ("1", "32", Level::Warning),
            ("1", "38", Level::Warning),
            ("2", "33", Level::Warning),
            ("", "", Level::Warning),
        ] {
            assert_eq!(of(major, minor), level, "{major}.{minor}");
        }
    }
}
