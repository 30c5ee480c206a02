//! Writing one Secret of the app cluster.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Map, Value, json};

use super::content::{Content, Copy, Marks, Source};

/// The manager of the connector's writes in the app cluster.
pub(crate) const MANAGER: &str = "control-plane-connector";

/// The Secret of the app cluster that belongs to one of the control plane.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) namespace: String,
    pub(super) name: String,
    /// The claim.
    pub(super) owner: OwnerReference,
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
    /// There is a Secret of that name already.
    InTheWay,
    /// It is not any more what it was seen to be; the watch tells what it is.
    Changed,
    /// The control plane's Secret is gone, or is another one.
    SourceGone,
    /// The control plane did not give its Secret.
    Source(kube::Error),
    /// The app cluster refused, or did not answer.
    Failed(kube::Error),
}

/// Writes what `source` holds; `secret` is that one, where it is at hand. Gives what it is then, and which state of the source
/// was written.
pub(super) async fn write(
    local: &kube::Client,
    remote: &Api<Secret>,
    marks: &Marks,
    wanted: &Wanted,
    source: &Source,
    secret: Option<Secret>,
    copy: Option<&Copy>,
) -> Result<(Done, Copy, Content), Trouble> {
    let secret = match secret {
        Some(secret) => secret,
        None => match remote.get_opt(&source.name).await.map_err(Trouble::Source)? {
            Some(secret) if secret.metadata.uid.as_ref() == Some(&source.uid) => secret,
            _ => return Err(Trouble::SourceGone),
        },
    };
    let api = Api::<Secret>::namespaced(local.clone(), &wanted.namespace);
    let content = Content::of(&secret);
    let (done, written) = match copy {
        None => (Done::Created, create(&api, marks, wanted, secret).await?),
        Some(copy) if is_fixed(copy, &content) => {
            delete(&api, wanted, copy).await?;
            (Done::Replaced, create(&api, marks, wanted, secret).await?)
        }
        Some(copy) => (Done::Updated, update(&api, marks, wanted, secret, copy).await?),
    };
    Ok((done, Copy::of(&written, marks), content))
}

/// Whether kube-apiserver lets nobody make `content` of it.
fn is_fixed(copy: &Copy, content: &Content) -> bool {
    copy.content.kind != content.kind || copy.content.is_immutable && copy.content != *content
}

async fn create(api: &Api<Secret>, marks: &Marks, wanted: &Wanted, secret: Secret) -> Result<Secret, Trouble> {
    let metadata = ObjectMeta {
        name: Some(wanted.name.clone()),
        namespace: Some(wanted.namespace.clone()),
        labels: Some(marks.labels.clone()),
        annotations: (!marks.annotations.is_empty()).then(|| marks.annotations.clone()),
        owner_references: Some(vec![wanted.owner.clone()]),
        ..ObjectMeta::default()
    };
    let copy = Secret { metadata, ..secret };
    let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    api.create(&parameters, &copy).await.map_err(|error| match code(&error) {
        // What a terminating or missing namespace says has another reason.
        Some((409, "AlreadyExists")) => Trouble::InTheWay,
        _ => Trouble::Failed(error),
    })
}

/// A merge patch: labels and annotations of others stay, whatever else is not the source's goes.
async fn update(
    api: &Api<Secret>,
    marks: &Marks,
    wanted: &Wanted,
    secret: Secret,
    copy: &Copy,
) -> Result<Secret, Trouble> {
    let mut data: Map<String, Value> = copy.keys.iter().map(|key| (key.clone(), Value::Null)).collect();
    data.extend(secret.data.into_iter().flatten().map(|(key, value)| (key, json!(value))));
    let patch = json!({
        "metadata": {
            "resourceVersion": copy.resource_version,
            "labels": marks.labels,
            "annotations": marks.annotations,
            "ownerReferences": [wanted.owner],
        },
        "data": data,
        "immutable": secret.immutable,
    });
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(&wanted.name, &parameters, &Patch::Merge(patch)).await.map_err(changed)
}

async fn delete(api: &Api<Secret>, wanted: &Wanted, copy: &Copy) -> Result<(), Trouble> {
    let preconditions =
        Preconditions { uid: Some(copy.uid.clone()), resource_version: Some(copy.resource_version.clone()) };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    api.delete(&wanted.name, &parameters).await.map(drop).map_err(changed)
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
