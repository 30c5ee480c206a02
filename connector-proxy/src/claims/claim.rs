//! One claim, by its metadata.

use connector_core::offer::Offered;
use connector_core::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_OWNERS, Form, Hashed, Origin, RESERVED_PREFIX};
use kube::ResourceExt;
use kube::core::{DynamicObject, PartialObjectMeta};
use serde::Deserialize;

/// Where kubectl keeps what was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What is known of one claim of this app cluster: what it is called on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The same on both sides.
    pub(crate) uid: String,
    pub(crate) group: String,
    /// The group, and the version that it is watched in.
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) form: Form,
    /// The name in the control plane.
    pub(crate) remote_name: String,
    /// Namespace and name in the app cluster.
    pub(crate) origin: Origin,
    /// Whether its deletion was asked for.
    pub(crate) is_deleting: bool,
    /// The annotations of the connector, sorted, but for the owner references.
    pub(crate) marks: Vec<(String, String)>,
    /// The connection secret's name as kubectl applied it, where no annotation says it: another connector made the claim.
    applied_secret: Option<String>,
}

impl Claim {
    /// `None` where the labels do not tell whose it is.
    pub(super) fn read(scheme: &Hashed, offered: &Offered, object: &PartialObjectMeta<DynamicObject>) -> Option<Self> {
        let (labels, annotations) = (object.labels(), object.annotations());
        let origin = scheme.origin(|key| labels.get(key), |key| annotations.get(key))?;
        let is_mark = |key: &str| key.starts_with(RESERVED_PREFIX) && key != ANNOTATION_OWNERS;
        let marks = annotations.iter().filter(|(key, _)| is_mark(key));
        let applied = annotations.get(LAST_APPLIED).filter(|_| !annotations.contains_key(ANNOTATION_CONNECTION_SECRET));
        Some(Self {
            uid: object.uid()?,
            group: offered.group.clone(),
            api_version: format!("{}/{}", offered.group, offered.versions.first()?),
            kind: offered.kind.clone(),
            form: offered.form,
            remote_name: object.name_any(),
            origin: Origin { namespace: origin.namespace.clone(), name: origin.name.clone() },
            is_deleting: object.metadata.deletion_timestamp.is_some(),
            marks: marks.map(|(key, value)| (key.clone(), value.clone())).collect(),
            applied_secret: applied.and_then(|text| applied_secret(text)),
        })
    }

    fn mark(&self, key: &str) -> Option<&str> {
        self.marks.iter().find(|(mark, _)| mark == key).map(|(_, value)| value.as_str())
    }

    /// The connection secret's name as the user wrote it in the conventional place, where that is known.
    pub(crate) fn connection_secret(&self) -> Option<&str> {
        self.mark(ANNOTATION_CONNECTION_SECRET).or(self.applied_secret.as_deref())
    }

    /// What the app cluster calls a Secret that the control plane wrote for this claim: what the user wrote, where the remote
    /// name is made of that; else the same name, with the claim's own name in it in local terms, as compositions make names.
    ///
    /// `None` for one that the claim named before and names no more: what it was called is not known.
    pub(crate) fn local_secret_name(&self, scheme: &Hashed, remote: &str) -> Option<String> {
        let namespace = &self.origin.namespace;
        if let Some(local) = scheme.local_connection_secret(self.form, namespace, remote, |key| self.mark(key)) {
            return Some(local.to_owned());
        }
        let applied = self.applied_secret.as_ref();
        if let Some(local) = applied.filter(|local| scheme.remote_name(self.form, namespace, local) == remote) {
            return Some(local.clone());
        }
        match remote.strip_prefix(&self.remote_name) {
            Some(rest) if rest.is_empty() || rest.starts_with(['-', '.']) => {
                Some(format!("{}{rest}", self.origin.name))
            }
            _ if self.connection_secret().is_some() && scheme.remote_names(self.form, remote) == [remote] => None,
            _ => Some(remote.to_owned()),
        }
    }
}

#[cfg(test)]
impl Claim {
    /// A claim of kind `Thing` in namespace `team`, whose UID is `uid of NAME`.
    pub(crate) fn example(scheme: &Hashed, form: Form, name: &str, annotations: &serde_json::Value) -> Self {
        use connector_core::origin::{LABEL_CLUSTER, LABEL_NAME, LABEL_NAMESPACE};
        let offered = Offered {
            group: "g.org".into(),
            plural: "things".into(),
            singular: "thing".into(),
            kind: "Thing".into(),
            list_kind: "ThingList".into(),
            form,
            versions: vec!["v1".into()],
        };
        let object = serde_json::json!({
            "apiVersion": "meta.k8s.io/v1",
            "kind": "PartialObjectMetadata",
            "metadata": {
                "name": scheme.remote_name(form, "team", name),
                "uid": format!("uid of {name}"),
                "labels": { LABEL_CLUSTER: scheme.cluster.as_str(), LABEL_NAMESPACE: "team", LABEL_NAME: name },
                "annotations": annotations,
            },
        });
        Self::read(scheme, &offered, &serde_json::from_value(object).unwrap()).unwrap()
    }
}

/// `spec.writeConnectionSecretToRef.name` of what was applied.
fn applied_secret(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Applied {
        spec: Spec,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Spec {
        write_connection_secret_to_ref: Reference,
    }
    #[derive(Deserialize)]
    struct Reference {
        name: String,
    }
    let applied: Applied = serde_json::from_str(text).ok()?;
    Some(applied.spec.write_connection_secret_to_ref.name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn scheme() -> Hashed {
        Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".into() }
    }

    fn claim(form: Form, annotations: &Value) -> Claim {
        Claim::example(&scheme(), form, "db", annotations)
    }

    #[test]
    fn a_secret_is_called_what_the_user_wrote() {
        let remote = scheme().remote_name(Form::Claim, "team", "db-conn");
        let marked = claim(Form::Claim, &json!({ ANNOTATION_CONNECTION_SECRET: "db-conn" }));
        assert_eq!(marked.local_secret_name(&scheme(), &remote).as_deref(), Some("db-conn"));
        let applied = json!({ "spec": { "writeConnectionSecretToRef": { "name": "db-conn" } } }).to_string();
        let applied = claim(Form::Claim, &json!({ LAST_APPLIED: applied }));
        assert_eq!(
            applied.local_secret_name(&scheme(), &remote).as_deref(),
            Some("db-conn"),
            "made by another connector"
        );
        assert_eq!(
            marked.local_secret_name(&scheme(), "kept").as_deref(),
            Some("kept"),
            "an imported claim keeps the name"
        );
        let former = scheme().remote_name(Form::Claim, "team", "former");
        assert_eq!(marked.local_secret_name(&scheme(), &former), None, "the name that was given before");
        let silent = claim(Form::Claim, &json!({}));
        assert_eq!(silent.local_secret_name(&scheme(), &former), Some(former), "as the claim shows it");
    }

    #[test]
    fn a_composed_secret_is_called_after_the_local_name() {
        let scheme = scheme();
        let composite = claim(Form::NamespacedComposite, &json!({}));
        let named =
            |rest: &str| composite.local_secret_name(&scheme, &format!("{}{rest}", composite.remote_name)).unwrap();
        assert_eq!(named("-connection-details"), "db-connection-details");
        assert_eq!(named(""), "db");
        assert_eq!(named("x"), format!("{}x", composite.remote_name), "another word");
        let remote = scheme.remote_name(Form::NamespacedComposite, "team", "keys");
        let key = format!("{RESERVED_PREFIX}{remote}");
        let vouched = claim(Form::NamespacedComposite, &json!({ &key: "keys" }));
        assert_eq!(vouched.local_secret_name(&scheme, &remote).as_deref(), Some("keys"));
        let forged = claim(Form::NamespacedComposite, &json!({ &key: "other" }));
        assert_eq!(forged.local_secret_name(&scheme, &remote), Some(remote), "its hash is another one");
    }
}
