//! The arguments and variables of a container.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::Shared;
use super::file::{Source, field, keys};
use super::volumes::Volumes;

/// Where a container finds the way to the API.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the connector listens if nothing is said (connector-bin/src/serve.rs).
const LISTENS: [(&str, u16); 2] = [("CONNECTOR_LISTEN", 8443), ("CONNECTOR_ADMIN_LISTEN", 8080)];

/// The arguments of env(1) that start the container.
pub(super) async fn command(
    client: &Client,
    shared: &Shared,
    pod: &Pod,
    container: &Container,
    volumes: &Volumes,
    address: Ipv4Addr,
) -> Result<Vec<String>> {
    let variables = variables(client, shared, pod, container, address).await?;
    let mut given: BTreeMap<String, String> =
        LISTENS.map(|(name, port)| (name.to_owned(), format!("{address}:{port}"))).into();
    if let Some(kubeconfig) = kubeconfig(shared, pod, volumes)? {
        given.insert("CONNECTOR_KUBECONFIG".to_owned(), kubeconfig);
    }
    given.insert("PATH".to_owned(), std::env::var("PATH").unwrap_or_default());
    given.insert("HOSTNAME".to_owned(), pod.name_any());
    given.extend(variables.iter().map(|(name, value)| (name.clone(), volumes.localized(value))));
    let args = container.args.iter().flatten().map(|arg| volumes.localized(&expanded(arg, &variables)));
    let environment = given.into_iter().map(|(name, value)| format!("{name}={value}"));
    // Nothing of the test's own environment.
    let program = shared.program.display().to_string();
    Ok(std::iter::once("-i".to_owned()).chain(environment).chain([program]).chain(args).collect())
}

async fn variables(
    client: &Client,
    shared: &Shared,
    pod: &Pod,
    container: &Container,
    address: Ipv4Addr,
) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for from in container.env_from.iter().flatten() {
        let (source, name, optional) = match (&from.secret_ref, &from.config_map_ref) {
            (Some(secret), _) => (Source::Secret, &secret.name, secret.optional),
            (_, Some(map)) => (Source::ConfigMap, &map.name, map.optional),
            _ => continue,
        };
        let prefix = from.prefix.as_deref().unwrap_or_default();
        for (key, value) in keys(client, &shared.namespace, source, name, optional).await?.unwrap_or_default() {
            variables.insert(format!("{prefix}{key}"), String::from_utf8(value)?);
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            None => Some(expanded(variable.value.as_deref().unwrap_or_default(), &variables)),
            Some(source) => from_source(client, shared, pod, source, address).await?,
        };
        if let Some(value) = value {
            variables.insert(variable.name.clone(), value);
        }
    }
    Ok(variables)
}

async fn from_source(
    client: &Client,
    shared: &Shared,
    pod: &Pod,
    source: &EnvVarSource,
    address: Ipv4Addr,
) -> Result<Option<String>> {
    if let Some(of) = &source.field_ref {
        return Ok(Some(field(pod, &of.field_path, address)?));
    }
    let (kind, name, key, optional) = match (&source.secret_key_ref, &source.config_map_key_ref) {
        (Some(of), _) => (Source::Secret, &of.name, &of.key, of.optional),
        (_, Some(of)) => (Source::ConfigMap, &of.name, &of.key, of.optional),
        _ => bail!("a variable comes from what testkit::node does not play"),
    };
    let mut all = keys(client, &shared.namespace, kind, name, optional).await?.unwrap_or_default();
    match all.remove(key) {
        Some(value) => Ok(Some(String::from_utf8(value)?)),
        None if optional == Some(true) => Ok(None),
        None => bail!("couldn't find key {key} in {kind:?} {}/{name}", shared.namespace),
    }
}

/// `$(NAME)` becomes the variable's value, where there is one; `$$` is one `$`.
fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        match name {
            _ if rest.starts_with('$') => {
                result.push('$');
                rest = &rest[1..];
            }
            Some((name, after)) if variables.contains_key(name) => {
                result.push_str(&variables[name]);
                rest = after;
            }
            _ => result.push('$'),
        }
    }
    result.push_str(rest);
    result
}

/// A kubeconfig with the files of the ServiceAccount's volume; `None` where the Pod has none.
fn kubeconfig(shared: &Shared, pod: &Pod, volumes: &Volumes) -> Result<Option<String>> {
    let Some(account) = volumes.folder_of(ACCOUNT) else { return Ok(None) };
    let path = account.parent().context("a volume without a folder")?.join("testkit.kubeconfig");
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "it", "cluster": {
            "server": shared.server,
            "certificate-authority": account.join("ca.crt"),
        } }],
        "users": [{ "name": "it", "user": { "tokenFile": account.join("token") } }],
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it", "namespace": pod.namespace() } }],
        "current-context": "it",
    });
    std::fs::write(&path, serde_json::to_vec_pretty(&kubeconfig)?)?;
    Ok(Some(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_as_the_kubelet_does() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, result) in [("$(A)-$(B)", "1-$(B)"), ("$$(A) $A", "$(A) $A"), ("$(A", "$(A"), ("$", "$")] {
            assert_eq!(expanded(text, &variables), result);
        }
    }
}
