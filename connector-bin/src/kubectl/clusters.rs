//! The options that say which clusters are meant.

use std::path::PathBuf;

use clap::Args;
use connector_ops::Access;

/// The app cluster, by kubectl's own options, and the connector in it.
#[derive(Args, Clone, Debug)]
pub(crate) struct AppCluster {
    /// Kubeconfig of the app cluster [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the app cluster in its kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Namespace of the app cluster where the connector is installed
    #[arg(short, long, value_name = "NAME", default_value = "kube-system", value_parser = label)]
    pub(crate) namespace: String,

    /// Name of the installation, of which everything in the app cluster is named
    #[arg(long, value_name = "NAME", default_value = "connector", value_parser = label)]
    pub(crate) release: String,
}

/// The control plane.
#[derive(Args, Clone, Debug)]
pub(crate) struct ControlPlane {
    /// Kubeconfig of the control plane [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    control_plane_kubeconfig: Option<PathBuf>,

    /// Context of the control plane in its kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    control_plane_context: Option<String>,
}

impl AppCluster {
    pub(crate) fn access(&self) -> Access {
        Access { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() }
    }
}

impl ControlPlane {
    pub(crate) fn access(&self) -> Access {
        Access { kubeconfig: self.control_plane_kubeconfig.clone(), context: self.control_plane_context.clone() }
    }

    /// The same with a context by name, where the options name none.
    pub(crate) fn named(&self, context: &str) -> Access {
        let access = self.access();
        Access { context: access.context.or_else(|| Some(context.to_owned())), ..access }
    }

    /// Whether the options say which control plane is meant.
    pub(crate) fn is_context_given(&self) -> bool {
        self.control_plane_context.is_some() || self.control_plane_kubeconfig.is_some()
    }
}

/// A name that a namespace can have, and so any object (RFC 1123 label).
pub(crate) fn label(name: &str) -> Result<String, String> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let valid =
        (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-');
    if valid {
        return Ok(name.to_owned());
    }
    Err("it is no name: use 1 to 63 of a-z, 0-9 and -, alphanumeric at both ends".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        assert!(label("my-app-ns-1").is_ok());
        for wrong in ["", "My", "-a", "a-", "a.b", &"a".repeat(64)] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }
}
