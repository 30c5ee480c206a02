//! One write of an event in the app cluster.

use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::Value;

use super::local::LocalEvents;
use super::schedule::Write;

/// Members of an event that have to be told to be gone where they are not there.
const OPTIONAL: [&str; 13] = [
    "action",
    "count",
    "eventTime",
    "firstTimestamp",
    "lastTimestamp",
    "message",
    "reason",
    "related",
    "reportingComponent",
    "reportingInstance",
    "series",
    "source",
    "type",
];

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is one more event.
    Copied,
    /// An event that was there says it now.
    Merged,
    /// Somebody else's object has the name. It stays as it is.
    Taken,
    /// The namespace is gone or going.
    Gone,
}

impl LocalEvents {
    /// Writes an event as it should be, whether it is there or not.
    pub(super) async fn write(&self, write: &Write) -> Result<Outcome, kube::Error> {
        let event = &write.event;
        let (namespace, name) = (event.namespace().unwrap_or_default(), event.name_any());
        let api = self.in_namespace(&namespace);
        // One that is not there any more ran out.
        if write.is_there && merge(&api, &name, event).await? {
            return Ok(Outcome::Merged);
        }
        let marked = Event { metadata: self.metadata(&namespace, &name), ..event.clone() };
        let conflict = match api.create(&PostParams::default(), &marked).await {
            Ok(_) => return Ok(Outcome::Copied),
            Err(kube::Error::Api(status)) if status.code == 404 || is_terminating(&status.message) => {
                return Ok(Outcome::Gone);
            }
            Err(kube::Error::Api(status)) if status.code == 409 => kube::Error::Api(status),
            Err(error) => return Err(error),
        };
        match api.get_opt(&name).await? {
            Some(there) if self.are_ours(&there) && there.involved_object.uid == event.involved_object.uid => {
                if merge(&api, &name, event).await? { Ok(Outcome::Merged) } else { Err(conflict) }
            }
            Some(_) => Ok(Outcome::Taken),
            None => Err(conflict),
        }
    }
}

/// `false` where there is no such event.
async fn merge(api: &Api<Event>, name: &str, event: &Event) -> Result<bool, kube::Error> {
    let mut patch = serde_json::to_value(event).map_err(kube::Error::SerdeError)?;
    if let Some(members) = patch.as_object_mut() {
        members.retain(|key, _| !["apiVersion", "kind", "metadata"].contains(&key.as_str()));
        for key in OPTIONAL {
            members.entry(key).or_insert(Value::Null);
        }
    }
    match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a refusal is that of a namespace which takes nothing new any more.
fn is_terminating(message: &str) -> bool {
    message.contains("because it is being terminated")
}
