//! What Pods refer to: keys of Secrets and ConfigMaps.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::Api;
use kube::{Client, ResourceExt};

/// Which object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Secret,
    ConfigMap,
}

/// All keys of an object; `None` where it is not there and may be absent.
pub(super) async fn keys(
    client: &Client,
    namespace: &str,
    source: Source,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<BTreeMap<String, Vec<u8>>>> {
    let found = match source {
        Source::Secret => {
            let secret = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await?;
            secret
                .map(|secret| secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
        }
        Source::ConfigMap => {
            let map = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(name).await?;
            map.map(|map| {
                let text = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
                text.chain(map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0))).collect()
            })
        }
    };
    if found.is_none() && optional != Some(true) {
        bail!("{source:?} \"{name}\" not found");
    }
    Ok(found)
}

/// What the downward API says of a field.
pub(super) fn field(pod: &Pod, path: &str, address: std::net::Ipv4Addr) -> Result<String> {
    let spec = pod.spec.as_ref();
    let in_map =
        |map: &BTreeMap<String, String>, key: &str| map.get(key.trim_end_matches("']")).cloned().unwrap_or_default();
    Ok(match path {
        "metadata.name" => pod.name_any(),
        "metadata.namespace" => pod.namespace().context("a Pod without a namespace")?,
        "metadata.uid" => pod.uid().context("a Pod without a UID")?,
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default(),
        "status.podIP" | "status.hostIP" => address.to_string(),
        path => match (path.strip_prefix("metadata.labels['"), path.strip_prefix("metadata.annotations['")) {
            (Some(key), _) => in_map(pod.labels(), key),
            (_, Some(key)) => in_map(pod.annotations(), key),
            _ => bail!("fieldRef {path} is not played by testkit::node"),
        },
    })
}
