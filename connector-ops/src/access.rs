//! How a cluster is reached: as kubectl does it, by a kubeconfig and a context in it.

use std::path::PathBuf;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;

/// Which cluster is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The kubeconfig. Default: what `$KUBECONFIG` names, else `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it. Default: its current one.
    pub context: Option<String>,
}

/// A cluster cannot be reached by what the user gave.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The kubeconfig cannot be read or used. The user's: give another file or context.
    #[error("the kubeconfig {access} cannot be used")]
    Kubeconfig {
        /// What was given.
        access: Access,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// No client can be made of it. The user's: the kubeconfig names files or settings that are not usable.
    #[error("the kubeconfig {access} cannot be used")]
    Client {
        /// What was given.
        access: Access,
        /// Why.
        source: Box<kube::Error>,
    },
}

impl std::fmt::Display for Access {
    /// As `FILE with context "NAME"`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kubeconfig {
            Some(file) => write!(f, "{}", file.display())?,
            None => f.write_str("of $KUBECONFIG or ~/.kube/config")?,
        }
        self.context.as_ref().map_or(Ok(()), |context| write!(f, " with context {context:?}"))
    }
}

impl Access {
    /// The kubeconfig, whole.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> Result<Kubeconfig, AccessError> {
        let kubeconfig = match &self.kubeconfig {
            Some(file) => Kubeconfig::read_from(file),
            None => Kubeconfig::read(),
        };
        kubeconfig.map_err(|source| self.unusable(source))
    }

    /// What a client of it is made of.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn config(&self) -> Result<Config, AccessError> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        Config::from_custom_kubeconfig(self.read()?, &options).await.map_err(|source| self.unusable(source))
    }

    fn unusable(&self, source: KubeconfigError) -> AccessError {
        AccessError::Kubeconfig { access: self.clone(), source: Box::new(source) }
    }

    /// A client of the cluster. Nothing is sent yet.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn client(&self) -> Result<Client, AccessError> {
        self.client_of(self.config().await?)
    }

    /// A client that takes the first answer: what is refused for now is not asked again. For who wants to know how things are.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn observer(&self) -> Result<Client, AccessError> {
        let mut config = self.config().await?;
        config.default_retry = false;
        self.client_of(config)
    }

    fn client_of(&self, config: Config) -> Result<Client, AccessError> {
        Client::try_from(config)
            .map_err(|source| AccessError::Client { access: self.clone(), source: Box::new(source) })
    }
}
