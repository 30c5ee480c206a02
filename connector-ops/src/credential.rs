//! The credential by which the connector knows the control plane: what is in its kubeconfig, and a client that uses it from here.

use std::str::FromStr;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::ask::{Unanswered, ask};
use crate::certificates::certificates;
use crate::installed::Installed;

/// By what the control plane knows the connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// The Secret of the app cluster, in the namespace of the install, that holds the kubeconfig.
    pub secret: String,
    /// The key in it.
    pub key: String,
    /// The control plane's URL.
    pub server: String,
    /// What the kubeconfig's user has.
    pub kind: CredentialKind,
    /// Whom it names, where it tells: of a token its subject, of a certificate its subject.
    pub subject: Option<String>,
    /// When it expires; `None` where it does not, or nothing tells.
    pub expires: Option<Timestamp>,
    /// Whether the connector renews it by itself, well before that.
    pub renewed: bool,
}

impl Credential {
    /// Whether it expires soon, and nobody is known to renew it.
    pub(crate) fn runs_out(&self, now: Timestamp) -> bool {
        // A week is enough for a person; the connector renews a token in the second half of its time at the latest.
        let soon = if self.renewed { SignedDuration::from_mins(10) } else { SignedDuration::from_hours(7 * 24) };
        self.expires.is_some_and(|expires| expires.duration_since(now) < soon)
    }
}

/// The kinds of credential that a kubeconfig can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum CredentialKind {
    /// A token of a ServiceAccount of the control plane.
    ServiceAccountToken,
    /// Any other token.
    Token,
    /// A client certificate.
    ClientCertificate,
    /// A name and a password.
    Password,
    /// A file of the Pod, or a program that runs in it; nothing of it is known here.
    OfThePod,
    /// There is none: the control plane is asked by nobody.
    None,
}

impl std::fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ServiceAccountToken => "ServiceAccount token",
            Self::Token => "token",
            Self::ClientCertificate => "client certificate",
            Self::Password => "name and password",
            Self::OfThePod => "file or program of the Pod",
            Self::None => "none",
        })
    }
}

/// The credential cannot be looked at.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// The Deployment mounts no Secret at the path of `--control-plane-kubeconfig`. The install's: nothing is wrong if the file
    /// comes to the Pod in another way.
    #[error("the control plane's kubeconfig is not mounted from a Secret")]
    NotMounted,
    /// The Secret may not be read here, or the app cluster is away.
    #[error("Secret {namespace}/{secret} cannot be read: {source}")]
    Unreadable {
        /// Namespace of the Secret.
        namespace: String,
        /// The Secret.
        secret: String,
        /// Why.
        source: Unanswered,
    },
    /// There is no such Secret, so no Pod can start. The install's.
    #[error("there is no Secret {namespace}/{secret}, from which the control plane's kubeconfig is mounted")]
    NoSecret {
        /// Namespace of the Secret.
        namespace: String,
        /// The Secret.
        secret: String,
    },
    /// The Secret has other keys. The install's.
    #[error("Secret {namespace}/{secret} has no key {key:?}, but {}", .keys.join(", "))]
    NoKey {
        /// Namespace of the Secret.
        namespace: String,
        /// The Secret.
        secret: String,
        /// The key that is mounted.
        key: String,
        /// What it has.
        keys: Vec<String>,
    },
    /// What is in it is no kubeconfig. The install's.
    #[error("the kubeconfig in Secret {namespace}/{secret}, key {key:?}, cannot be used: {why}")]
    Unusable {
        /// Namespace of the Secret.
        namespace: String,
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
        /// Why.
        why: String,
    },
}

/// The credential as it was found.
pub(crate) struct Found {
    pub(crate) credential: Credential,
    /// A client that uses it, or why there is none.
    pub(crate) client: Result<Client, String>,
}

/// Reads the credential of an install.
///
/// # Errors
/// See [`CredentialError`].
pub(crate) async fn of(app: &Client, installed: &Installed) -> Result<Found, CredentialError> {
    let at = installed.credential.as_ref().ok_or(CredentialError::NotMounted)?;
    let (namespace, secret, key) = (installed.release.namespace.clone(), at.secret.clone(), at.key.clone());
    let secrets = Api::<Secret>::namespaced(app.clone(), &namespace);
    let object = match ask(secrets.get_opt(&secret)).await {
        Ok(Some(object)) => object,
        Ok(None) => return Err(CredentialError::NoSecret { namespace, secret }),
        Err(source) => return Err(CredentialError::Unreadable { namespace, secret, source }),
    };
    let mut data = object.data.unwrap_or_default();
    let Some(content) = data.remove(&key) else {
        return Err(CredentialError::NoKey { namespace, secret, key, keys: data.into_keys().collect() });
    };
    let text = String::from_utf8_lossy(&content.0);
    match Reading::of(&text) {
        Ok(reading) => {
            let client = client(&text).await;
            Ok(Found { credential: reading.credential(secret, key, installed.renews), client })
        }
        Err(why) => Err(CredentialError::Unusable { namespace, secret, key, why }),
    }
}

/// What one kubeconfig says in its current context.
#[derive(Debug)]
struct Reading {
    server: String,
    kind: CredentialKind,
    subject: Option<String>,
    expires: Option<Timestamp>,
}

impl Reading {
    fn of(kubeconfig: &str) -> Result<Self, String> {
        let kubeconfig: Value = serde_saphyr::from_str(kubeconfig).map_err(|error| error.to_string())?;
        let current = text(&kubeconfig, "current-context").ok_or("it has no current-context")?;
        let context = named(&kubeconfig, "contexts", current, "context")
            .ok_or_else(|| format!("its current-context {current:?} is not in it"))?;
        let cluster = text(context, "cluster")
            .and_then(|name| named(&kubeconfig, "clusters", name, "cluster"))
            .ok_or_else(|| format!("the cluster of context {current:?} is not in it"))?;
        let server =
            text(cluster, "server").ok_or_else(|| format!("the cluster of context {current:?} has no server"))?;
        let user = match text(context, "user") {
            Some(name) => named(&kubeconfig, "users", name, "user")
                .ok_or_else(|| format!("the user of context {current:?} is not in it"))?,
            None => &Value::Null,
        };
        let (kind, subject, expires) = credential_of(user);
        Ok(Self { server: server.to_owned(), kind, subject, expires })
    }

    fn credential(self, secret: String, key: String, renews: bool) -> Credential {
        let Self { server, kind, subject, expires, .. } = self;
        let renewed = renews && kind == CredentialKind::ServiceAccountToken;
        Credential { secret, key, server, kind, subject, expires, renewed }
    }
}

/// A client that takes the first answer.
async fn client(kubeconfig: &str) -> Result<Client, String> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).map_err(|error| error.to_string())?;
    self_contained(&kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| error.to_string())?;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| error.to_string())
}

/// Whether the current context of a kubeconfig leads nowhere out of it. What does is not followed in one of a Secret: files would be
/// other ones here, and a program that a Secret names is not to be run by who looks at it.
///
/// # Errors
/// It does; the reason, for people.
pub(crate) fn self_contained(kubeconfig: &Kubeconfig) -> Result<(), String> {
    let current = kubeconfig.current_context.as_deref().unwrap_or_default();
    let context =
        kubeconfig.contexts.iter().find(|named| named.name == current).and_then(|named| named.context.as_ref());
    let user = context.and_then(|context| {
        let user = kubeconfig.auth_infos.iter().find(|named| Some(&named.name) == context.user.as_ref())?;
        user.auth_info.as_ref()
    });
    let cluster = context
        .and_then(|context| kubeconfig.clusters.iter().find(|named| named.name == context.cluster)?.cluster.as_ref());
    let leads_out = [
        (user.is_some_and(|user| user.token_file.is_some()), "tokenFile"),
        (user.is_some_and(|user| user.client_certificate.is_some()), "client-certificate"),
        (user.is_some_and(|user| user.client_key.is_some()), "client-key"),
        (user.is_some_and(|user| user.exec.is_some()), "exec"),
        (user.is_some_and(|user| user.auth_provider.is_some()), "auth-provider"),
        (cluster.is_some_and(|cluster| cluster.certificate_authority.is_some()), "certificate-authority"),
    ];
    match leads_out.into_iter().find(|(leads, _)| *leads) {
        Some((_, key)) => Err(format!("its kubeconfig has {key}, which only the Pod can use")),
        None => Ok(()),
    }
}

fn credential_of(user: &Value) -> (CredentialKind, Option<String>, Option<Timestamp>) {
    // A kubeconfig's token wins over its certificate, as in client-go's bearer round tripper.
    if let Some(token) = text(user, "token") {
        let claims = claims(token);
        let subject = claims.as_ref().and_then(|claims| text(claims, "sub")).map(str::to_owned);
        let of_account = subject.as_ref().is_some_and(|subject| subject.starts_with("system:serviceaccount:"));
        let kind = if of_account { CredentialKind::ServiceAccountToken } else { CredentialKind::Token };
        return (
            kind,
            subject,
            claims.as_ref().and_then(|claims| Timestamp::from_second(claims["exp"].as_i64()?).ok()),
        );
    }
    if let Some(certificate) = text(user, "client-certificate-data") {
        let pem = BASE64_STANDARD.decode(certificate.split_whitespace().collect::<String>()).unwrap_or_default();
        let leaf = certificates(&pem).into_iter().next();
        let (subject, expires) = leaf.map(|leaf| (leaf.subject, leaf.expires)).unzip();
        return (CredentialKind::ClientCertificate, subject, expires);
    }
    let of_the_pod = ["tokenFile", "client-certificate", "exec", "auth-provider"];
    if of_the_pod.iter().any(|key| !user[*key].is_null()) {
        return (CredentialKind::OfThePod, None, None);
    }
    match text(user, "username") {
        Some(name) => (CredentialKind::Password, Some(name.to_owned()), None),
        None => (CredentialKind::None, None, None),
    }
}

/// The claims of a JWT, unverified: what it says about itself.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The member `of` of the entry of a list that has a name.
fn named<'v>(kubeconfig: &'v Value, list: &str, name: &str, of: &str) -> Option<&'v Value> {
    let entry = kubeconfig[list].as_array()?.iter().find(|entry| entry["name"] == name)?;
    entry.get(of)
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// The namespace and name of the ServiceAccount that a token's subject names.
pub(crate) fn service_account(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// The host and port of a URL, as people open them in firewalls.
pub(crate) fn host_and_port(server: &str) -> Option<(String, u16)> {
    let uri = http::Uri::from_str(server).ok()?;
    let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(default)))
}

#[cfg(test)]
mod tests;
