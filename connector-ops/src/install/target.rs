//! The control plane, as the user names it.

use k8s_openapi::api::core::v1::Secret;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};

use super::InstallError;
use super::credential::token_of;
use crate::access::Access;
use crate::ask::ask;
use crate::control_plane::{Endpoint, Space, Token};
use crate::credential::self_contained;

/// How the control plane is found, and by what credential it is asked.
#[derive(Clone, Debug)]
pub enum Target {
    /// A context of a kubeconfig. Its credential makes the connector's account, and does not leave this machine.
    Context(Access),
    /// A name in a Space, with a token that makes the account.
    Space {
        /// The name.
        space: Space,
        /// The token.
        token: Token,
    },
    /// A Secret that is in the app cluster already, in the namespace of the install. Its kubeconfig is the connector's, and no
    /// account is made.
    Secret {
        /// The Secret.
        name: String,
        /// The key that is preferred; else it is `kubeconfig`, or the only one that there is.
        key: String,
    },
}

/// A control plane that was found.
pub(crate) struct Found {
    /// A client for it, or why there is none from here.
    pub(crate) client: Result<Client, String>,
    pub(crate) endpoint: Endpoint,
    /// The Secret that the user gave.
    pub(crate) secret: Option<Given>,
}

/// A Secret that the user gave.
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) key: String,
    /// Whose token it has, where it is a ServiceAccount's.
    pub(crate) subject: Option<String>,
}

impl Target {
    pub(crate) async fn find(&self, app: &Client, namespace: &str) -> Result<Found, InstallError> {
        match self {
            Self::Context(access) => {
                let endpoint = Endpoint::of(&access.read()?, access.context.as_deref())
                    .map_err(|source| InstallError::Endpoint { access: access.clone(), source })?;
                Ok(Found { client: Ok(access.client().await?), endpoint, secret: None })
            }
            Self::Space { space, token } => {
                let endpoint = space.endpoint()?;
                let client = client(&endpoint.kubeconfig(token, "default")).await;
                Ok(Found { client, endpoint, secret: None })
            }
            Self::Secret { name, key } => of_secret(app, namespace, name, key).await,
        }
    }

    /// The token that was given, which may have to serve the connector too.
    pub(super) fn given_token(&self) -> Option<&Token> {
        match self {
            Self::Space { token, .. } => Some(token),
            Self::Context(_) | Self::Secret { .. } => None,
        }
    }
}

async fn of_secret(app: &Client, namespace: &str, name: &str, key: &str) -> Result<Found, InstallError> {
    let at = || (namespace.to_owned(), name.to_owned());
    let found = ask(Api::<Secret>::namespaced(app.clone(), namespace).get_opt(name)).await;
    let found = found.map_err(|source| {
        let (namespace, secret) = at();
        InstallError::SecretUnreadable { namespace, secret, source }
    })?;
    let Some(found) = found else {
        let (namespace, secret) = at();
        return Err(InstallError::NoSecret { namespace, secret });
    };
    let data = found.data.unwrap_or_default();
    let only = || if data.len() == 1 { data.keys().next().cloned() } else { None };
    let preferred = [key, "kubeconfig"].into_iter().find(|key| data.contains_key(*key));
    let Some(key) = preferred.map(str::to_owned).or_else(only) else {
        let (namespace, secret) = at();
        let keys = data.keys().cloned().collect();
        return Err(InstallError::NoKey { namespace, secret, key: key.to_owned(), keys });
    };
    let unusable = |why: String| {
        let (namespace, secret) = at();
        InstallError::SecretUnusable { namespace, secret, key: key.clone(), why }
    };
    let text = data.get(&key).map(|content| String::from_utf8_lossy(&content.0).into_owned()).unwrap_or_default();
    let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|error| unusable(error.to_string()))?;
    let endpoint = Endpoint::of(&kubeconfig, None).map_err(|error| unusable(error.to_string()))?;
    let client = client_of_secret(&kubeconfig).await;
    let subject = token_of(&kubeconfig).and_then(|token| token.claims()).map(|claims| claims.sub);
    Ok(Found { client, endpoint, secret: Some(Given { name: name.to_owned(), key, subject }) })
}

/// A client for a kubeconfig of a Secret. A program that it names is not to be run by who installs, and files would be other ones
/// here.
pub(crate) async fn client_of_secret(kubeconfig: &Kubeconfig) -> Result<Client, String> {
    self_contained(kubeconfig)?;
    client(kubeconfig).await
}

/// A client for a kubeconfig that is not in a file.
pub(super) async fn client(kubeconfig: &Kubeconfig) -> Result<Client, String> {
    let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default()).await;
    Client::try_from(config.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}
