//! The labels by which all that belongs to an install is known.

use serde_json::{Value, json};

/// Label: what this is. On all that an install makes, on both sides.
pub(crate) const NAME: &str = "app.kubernetes.io/name";
/// Its value.
pub(crate) const CONNECTOR: &str = "control-plane-connector";
/// Label: which install of the app cluster it belongs to.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: by what it was installed.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value for what is installed here; the name of the field manager, too.
pub(crate) const PLUGIN: &str = "kubectl-connector";
/// Its value for what helm installed.
pub(crate) const HELM: &str = "Helm";

/// The labels of what is made in a control plane.
pub(crate) fn of_control_plane() -> Value {
    json!({ NAME: CONNECTOR, MANAGED_BY: PLUGIN })
}

/// Selects all of an install that was installed here.
pub(crate) fn of_release(release: &str) -> String {
    format!("{NAME}={CONNECTOR},{INSTANCE}={release},{MANAGED_BY}={PLUGIN}")
}
