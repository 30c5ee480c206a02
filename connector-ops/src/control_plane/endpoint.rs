//! Where a control plane is, and the kubeconfig that leads there.

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};
use thiserror::Error;

use super::token::Token;

/// What cluster, context and user are called in kubeconfigs that are made here.
const NAME: &str = "control-plane";

/// Where a control plane is, and how it is recognized. It holds no credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The URL, as `https://example.org:6443`; it may have a path.
    pub server: String,
    /// The CA by which its certificate is verified, in PEM. Default: the roots of the connector's image.
    pub certificate_authority: Option<Vec<u8>>,
    /// The name in its certificate, where that is not the one in the URL.
    pub tls_server_name: Option<String>,
    /// Whether its certificate is believed unseen: then anybody on the way can read and change claims and their Secrets.
    pub insecure_skip_tls_verify: bool,
    /// The proxy to go through.
    pub proxy: Option<String>,
}

/// A kubeconfig does not say where a control plane is. The user's.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// There is no such context.
    #[error("the kubeconfig has no context {name:?}, but {}", listed(.has))]
    NoContext {
        /// What was asked for.
        name: String,
        /// What there is.
        has: Vec<String>,
    },
    /// No context was asked for, and none is current.
    #[error("the kubeconfig has no current-context: name a context")]
    NoCurrentContext,
    /// The context names a cluster that is not there, or that has no server.
    #[error("context {context:?} of the kubeconfig names no cluster with a server")]
    NoServer {
        /// The context.
        context: String,
    },
    /// The CA cannot be read.
    #[error("the CA of context {context:?} cannot be read")]
    CertificateAuthority {
        /// The context.
        context: String,
        /// Why.
        source: std::io::Error,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
}

impl Endpoint {
    /// What a kubeconfig says about the cluster of a context, by default of the current one.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn of(kubeconfig: &Kubeconfig, context: Option<&str>) -> Result<Self, EndpointError> {
        let name = context.or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty());
        let name = name.ok_or(EndpointError::NoCurrentContext)?;
        let named = kubeconfig.contexts.iter().find(|context| context.name == name);
        let context = named.and_then(|named| named.context.as_ref()).ok_or_else(|| EndpointError::NoContext {
            name: name.to_owned(),
            has: kubeconfig.contexts.iter().map(|context| context.name.clone()).collect(),
        })?;
        let no_server = || EndpointError::NoServer { context: name.to_owned() };
        let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster);
        let cluster = cluster.and_then(|named| named.cluster.as_ref()).ok_or_else(no_server)?;
        let unreadable = |source| EndpointError::CertificateAuthority { context: name.to_owned(), source };
        let certificate_authority = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
            (Some(data), _) => {
                let data: String = data.split_whitespace().collect();
                let decoded = BASE64_STANDARD.decode(data).map_err(std::io::Error::other);
                Some(decoded.map_err(unreadable)?)
            }
            (None, Some(file)) => Some(std::fs::read(file).map_err(unreadable)?),
            (None, None) => None,
        };
        Ok(Self {
            server: cluster.server.clone().ok_or_else(no_server)?,
            certificate_authority,
            tls_server_name: cluster.tls_server_name.clone(),
            insecure_skip_tls_verify: cluster.insecure_skip_tls_verify.unwrap_or_default(),
            proxy: cluster.proxy_url.clone(),
        })
    }

    /// Whether the address means the machine itself, and so something else in every Pod.
    pub fn is_loopback(&self) -> bool {
        let uri: Result<http::Uri, _> = self.server.parse();
        let host = uri.ok().and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()));
        host.is_some_and(|host| {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        })
    }

    /// A kubeconfig that goes there with a token.
    pub fn kubeconfig(&self, token: &Token, namespace: &str) -> Kubeconfig {
        let cluster = Cluster {
            server: Some(self.server.clone()),
            certificate_authority_data: self.certificate_authority.as_ref().map(|pem| BASE64_STANDARD.encode(pem)),
            insecure_skip_tls_verify: self.insecure_skip_tls_verify.then_some(true),
            tls_server_name: self.tls_server_name.clone(),
            proxy_url: self.proxy.clone(),
            ..Cluster::default()
        };
        let context = Context {
            cluster: NAME.to_owned(),
            user: Some(NAME.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..Context::default()
        };
        let user = AuthInfo { token: Some(token.reveal().to_owned().into()), ..AuthInfo::default() };
        Kubeconfig {
            api_version: Some("v1".to_owned()),
            kind: Some("Config".to_owned()),
            clusters: vec![NamedCluster { name: NAME.to_owned(), cluster: Some(cluster), ..NamedCluster::default() }],
            contexts: vec![NamedContext { name: NAME.to_owned(), context: Some(context), ..NamedContext::default() }],
            auth_infos: vec![NamedAuthInfo {
                name: NAME.to_owned(),
                auth_info: Some(user),
                ..NamedAuthInfo::default()
            }],
            current_context: Some(NAME.to_owned()),
            ..Kubeconfig::default()
        }
    }
}
