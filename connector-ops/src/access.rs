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
    #[error("the kubeconfig {} cannot be used", described(.access))]
    Kubeconfig {
        /// What was given.
        access: Access,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// No client can be made of it. The user's: the kubeconfig names files or settings that are not usable.
    #[error("the kubeconfig {} cannot be used", described(.access))]
    Client {
        /// What was given.
        access: Access,
        /// Why.
        source: Box<kube::Error>,
    },
}

fn described(access: &Access) -> String {
    let file = access
        .kubeconfig
        .as_ref()
        .map_or("of $KUBECONFIG or ~/.kube/config".to_owned(), |file| file.display().to_string());
    match &access.context {
        Some(context) => format!("{file} with context {context:?}"),
        None => file,
    }
}

impl Access {
    /// What a client of it is made of.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn config(&self) -> Result<Config, AccessError> {
        let unusable = |source| AccessError::Kubeconfig { access: self.clone(), source: Box::new(source) };
        let kubeconfig = match &self.kubeconfig {
            Some(file) => Kubeconfig::read_from(file),
            None => Kubeconfig::read(),
        };
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        Config::from_custom_kubeconfig(kubeconfig.map_err(unusable)?, &options).await.map_err(unusable)
    }

    /// A client of the cluster. Nothing is sent yet.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn client(&self) -> Result<Client, AccessError> {
        let config = self.config().await?;
        Client::try_from(config)
            .map_err(|source| AccessError::Client { access: self.clone(), source: Box::new(source) })
    }
}
