//! A copy of a Secret of the other cluster: comparing it, without keeping its data, and writing it.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The manager of the connector's own writes.
const MANAGER: &str = "control-plane-connector";

/// Type, data and `immutable` of a Secret. Two are equal exactly if the Secrets are, in these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) kind: String,
    is_immutable: bool,
    digest: [u8; 32],
}

impl Content {
    pub(super) fn of(secret: &Secret) -> Self {
        let mut hash = Sha256::new();
        for (key, value) in secret.data.iter().flatten() {
            for part in [key.as_bytes(), &value.0] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        Self {
            kind: secret.type_.clone().unwrap_or_default(),
            is_immutable: secret.immutable == Some(true),
            digest: hash.finalize().into(),
        }
    }
}

/// A copy as it is now: what a write needs to know of it.
#[derive(Clone, Debug)]
pub(super) struct There {
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) content: Content,
    keys: Vec<String>,
}

impl There {
    pub(super) fn of(secret: &Secret) -> Self {
        Self {
            uid: secret.uid().unwrap_or_default(),
            resource_version: secret.resource_version().unwrap_or_default(),
            content: Content::of(secret),
            keys: secret.data.iter().flatten().map(|(key, _)| key.clone()).collect(),
        }
    }

    /// Whether kube-apiserver lets nobody make `content` of it.
    fn is_fixed(&self, content: &Content) -> bool {
        self.content.kind != content.kind || self.content.is_immutable && self.content != *content
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Created,
    Updated,
    /// Deleted and created: its type cannot be changed, nor what is immutable.
    Replaced,
}

impl Done {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Replaced => "replaced",
        }
    }
}

/// Why nothing was done.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is a Secret of that name that was not known.
    InTheWay,
    /// It is not any more what it was seen to be; the watch tells what it is.
    Changed,
    /// What is to be copied is gone, or is another one.
    SourceGone,
    /// What is to be copied was not given.
    Source(kube::Error),
    /// The cluster of the copy refused, or did not answer.
    Failed(kube::Error),
}

/// Makes a Secret what `copy` is: name, labels, annotations, owners, type, data, `immutable`. The write is tied to what is `there`,
/// or to nothing being there; labels and annotations of others stay.
pub(super) async fn put(api: &Api<Secret>, copy: Secret, there: Option<&There>) -> Result<(Done, Secret), Trouble> {
    match there {
        None => Ok((Done::Created, create(api, &copy).await?)),
        Some(there) if there.is_fixed(&Content::of(&copy)) => {
            delete(api, &copy.name_any(), there).await?;
            Ok((Done::Replaced, create(api, &copy).await?))
        }
        Some(there) => Ok((Done::Updated, update(api, copy, there).await?)),
    }
}

async fn create(api: &Api<Secret>, copy: &Secret) -> Result<Secret, Trouble> {
    let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    api.create(&parameters, copy).await.map_err(|error| match code(&error) {
        // What a namespace says that is on its way out has another reason.
        Some((409, "AlreadyExists")) => Trouble::InTheWay,
        _ => Trouble::Failed(error),
    })
}

/// A merge patch: labels and annotations of others stay, whatever else is not the copy's goes.
async fn update(api: &Api<Secret>, copy: Secret, there: &There) -> Result<Secret, Trouble> {
    let name = copy.name_any();
    let mut data: Map<String, Value> = there.keys.iter().map(|key| (key.clone(), Value::Null)).collect();
    data.extend(copy.data.into_iter().flatten().map(|(key, value)| (key, json!(value))));
    let patch = json!({
        "metadata": {
            "resourceVersion": there.resource_version,
            "labels": copy.metadata.labels.unwrap_or_default(),
            "annotations": copy.metadata.annotations.unwrap_or_default(),
            "ownerReferences": copy.metadata.owner_references,
        },
        "data": data,
        "immutable": copy.immutable,
    });
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(&name, &parameters, &Patch::Merge(patch)).await.map_err(changed)
}

/// Deletes a copy that is still what it was.
pub(super) async fn delete(api: &Api<Secret>, name: &str, there: &There) -> Result<(), Trouble> {
    let preconditions =
        Preconditions { uid: Some(there.uid.clone()), resource_version: Some(there.resource_version.clone()) };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    api.delete(name, &parameters).await.map(drop).map_err(changed)
}

fn changed(error: kube::Error) -> Trouble {
    match code(&error) {
        Some((404, "NotFound") | (409, "Conflict")) => Trouble::Changed,
        _ => Trouble::Failed(error),
    }
}

/// Code and reason of a refusal.
pub(super) fn code(error: &kube::Error) -> Option<(u16, &str)> {
    match error {
        kube::Error::Api(status) => Some((status.code, &status.reason)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(changed: &Value) -> Secret {
        let mut secret = json!({ "type": "Opaque", "data": { "a": "eHk=", "b": "eg==" } });
        json_merge(&mut secret, changed);
        serde_json::from_value(secret).unwrap()
    }

    fn json_merge(object: &mut Value, changed: &Value) {
        for (key, value) in changed.as_object().into_iter().flatten() {
            object[key] = value.clone();
        }
    }

    #[test]
    fn contents_differ_where_secrets_do() {
        let content = |changed: Value| Content::of(&secret(&changed));
        let same = content(json!({ "metadata": { "labels": { "a": "b" } }, "immutable": false }));
        assert_eq!(content(json!({})), same, "of the metadata nothing counts");
        for changed in [
            json!({ "type": "other" }),
            json!({ "immutable": true }),
            json!({ "data": { "a": "eHk=" } }),
            json!({ "data": { "a": "eHk=", "b": "" } }),
            // The same bytes, divided otherwise.
            json!({ "data": { "a": "eA==", "yb": "eg==" } }),
            json!({ "data": null }),
        ] {
            assert_ne!(content(json!({})), content(changed.clone()), "{changed}");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_written_anew() {
        let there = |changed: Value| There::of(&secret(&changed));
        let wanted = Content::of(&secret(&json!({})));
        assert!(!there(json!({ "data": {} })).is_fixed(&wanted));
        assert!(there(json!({ "type": "other" })).is_fixed(&wanted));
        assert!(there(json!({ "immutable": true })).is_fixed(&wanted), "nobody can take that back");
        let immutable = json!({ "immutable": true });
        assert!(!there(immutable.clone()).is_fixed(&Content::of(&secret(&immutable))));
    }
}
