//! What the values come to where one thing can be said in several ways; `deploy/chart/templates/_settings.tpl` is its twin.

use thiserror::Error;

use super::{Release, Values};
use crate::control_plane::Token;

/// The values are incomplete, or say one thing twice. The user's: the message names the values to set.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RenderError {
    /// Something is missing that has no default.
    #[error("{0}")]
    Missing(&'static str),
    /// Two values for one thing differ.
    #[error("{} ({:?}) and {} ({:?}) say different things: set one of them", one.0, one.1, other.0, other.1)]
    Conflict {
        /// A value's path, and the value.
        one: (&'static str, String),
        /// The other one's.
        other: (&'static str, String),
    },
}

const NO_NAMESPACE: &str =
    "set controlPlane.claimNamespace: the namespace of the control plane that holds this cluster's claims";
const INCOMPLETE_SPACES: &str =
    "set spaces.host, spaces.controlPlane.name and upbound.token, all of them, or controlPlane.kubeconfigSecret.name";
const INCOMPLETE_MCP: &str =
    "set mcp.host, mcp.account, mcp.name and mcp.token, all of them, or controlPlane.kubeconfigSecret.name";
const NO_CREDENTIAL: &str = "set controlPlane.kubeconfigSecret.name: a Secret in this namespace that holds a kubeconfig of the control plane (kubectl create secret generic NAME --from-file=kubeconfig=FILE); or, of a control plane in a Space, spaces.host, spaces.controlPlane.name and upbound.token";

/// What the values come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) claim_namespace: String,
    /// The Secret with the kubeconfig, and the key in it.
    pub(super) secret: String,
    pub(super) key: String,
    /// What the kubeconfig is made of, where the install makes the Secret.
    pub(super) made: Option<Server>,
}

/// A control plane by its address and a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) token: Token,
}

impl Settings {
    /// Whether the connector writes a renewed token back.
    pub(super) fn renews(&self, values: &Values) -> bool {
        values.control_plane.kubeconfig_secret.renew && self.made.is_none()
    }
}

pub(super) fn settings(values: &Values, release: &Release) -> Result<Settings, RenderError> {
    let Values { control_plane, spaces, mcp, .. } = values;
    let in_space = &spaces.control_plane;
    let claim_namespace = agreed([
        ("controlPlane.claimNamespace", &control_plane.claim_namespace),
        ("spaces.controlPlane.claimNamespace", &in_space.claim_namespace),
        ("mcp.namespace", &mcp.namespace),
    ])?;
    if claim_namespace.is_empty() {
        return Err(RenderError::Missing(NO_NAMESPACE));
    }
    // `up` sets all of mcp.* beside a Secret that exists; its documentation sets the Secret and no token.
    let provided = if mcp.secret.provision && !mcp.token.is_empty() { "" } else { mcp.secret.name.as_str() };
    let secret = agreed([
        ("controlPlane.kubeconfigSecret.name", &control_plane.kubeconfig_secret.name),
        ("spaces.controlPlane.kubeconfigSecret.name", &in_space.kubeconfig_secret.name),
        ("mcp.secret.name", provided),
    ])?;
    let key = match (control_plane.kubeconfig_secret.key.as_str(), in_space.kubeconfig_secret.key.as_str()) {
        ("kubeconfig", older) if !older.is_empty() => older,
        (key, older) => {
            agreed([("controlPlane.kubeconfigSecret.key", key), ("spaces.controlPlane.kubeconfigSecret.key", older)])?
        }
    };
    if !secret.is_empty() {
        let (claim_namespace, secret, key) = (claim_namespace.to_owned(), secret.to_owned(), key.to_owned());
        return Ok(Settings { claim_namespace, secret, key, made: None });
    }
    let (made, secret) = server(values)?;
    let secret = if secret.is_empty() { format!("{}-control-plane", release.name) } else { secret.to_owned() };
    Ok(Settings { claim_namespace: claim_namespace.to_owned(), secret, key: "kubeconfig".to_owned(), made: Some(made) })
}

/// The control plane of a Space, and the name of the Secret to make, where it is given.
fn server(values: &Values) -> Result<(Server, &str), RenderError> {
    let Values { upbound, spaces, mcp, .. } = values;
    let in_space = &spaces.control_plane;
    let group = first(&in_space.group, "default");
    if !spaces.host.is_empty() || !in_space.name.is_empty() {
        // `up` sets mcp.* beside spaces.*, with a token of its own.
        let name = agreed([("spaces.controlPlane.name", in_space.name.as_str()), ("mcp.name", &mcp.name)])?;
        let token = if upbound.token.is_empty() { &mcp.token } else { &upbound.token };
        if spaces.host.is_empty() || name.is_empty() || token.is_empty() {
            return Err(RenderError::Missing(INCOMPLETE_SPACES));
        }
        let host = host(&spaces.host);
        let url = format!("https://{host}/apis/spaces.upbound.io/v1beta1/namespaces/{group}/controlplanes/{name}/k8s");
        return Ok((Server { url, token: token.clone() }, ""));
    }
    if mcp.host.is_empty() && mcp.name.is_empty() && mcp.token.is_empty() {
        return Err(RenderError::Missing(NO_CREDENTIAL));
    }
    let account = agreed([("mcp.account", mcp.account.as_str()), ("upbound.account", &upbound.account)])?;
    let token = if mcp.token.is_empty() { &upbound.token } else { &mcp.token };
    if [&mcp.host, account, &mcp.name].iter().any(|part| part.is_empty()) || token.is_empty() {
        return Err(RenderError::Missing(INCOMPLETE_MCP));
    }
    let url = format!("https://{}/v1/controlplanes/{account}/{group}/{}/k8s", host(&mcp.host), mcp.name);
    Ok((Server { url, token: token.clone() }, &mcp.secret.name))
}

/// The one value that is set, if any.
fn agreed<'a, const N: usize>(said: [(&'static str, &'a str); N]) -> Result<&'a str, RenderError> {
    let mut set = said.into_iter().filter(|(_, value)| !value.is_empty());
    let Some(one) = set.next() else {
        return Ok("");
    };
    match set.find(|other| other.1 != one.1) {
        Some(other) => {
            Err(RenderError::Conflict { one: (one.0, one.1.to_owned()), other: (other.0, other.1.to_owned()) })
        }
        None => Ok(one.1),
    }
}

fn first<'a>(one: &'a str, other: &'a str) -> &'a str {
    if one.is_empty() { other } else { one }
}

fn host(given: &str) -> &str {
    let host = given.strip_prefix("https://").unwrap_or(given);
    host.strip_suffix('/').unwrap_or(host)
}
