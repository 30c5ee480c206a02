//! An event of the control plane about a claim, in local terms.

use connector_core::message;
use connector_core::origin::Hashed;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::local::{NAME_MAX, cut, name_of};
use crate::claims::{Claim, Claims};

/// The most bytes that the message of an event with `eventTime` may have.
const MESSAGE_MAX: usize = 1024;

/// What is needed to tell an event in local terms.
pub(super) struct Translator<'a> {
    pub(super) scheme: &'a Hashed,
    pub(super) claims: &'a Claims,
}

impl Translator<'_> {
    /// The local event that stands for `remote`, which is about `claim`. Of the metadata nothing is taken over but what follows
    /// the claim's name in the name.
    pub(super) fn local(&self, claim: &Claim, remote: &Event) -> Event {
        let remote_name = remote.name_any();
        let about = remote.involved_object.name.as_deref().unwrap_or_default();
        let origin = &claim.origin;
        let mut local = Event {
            metadata: ObjectMeta {
                name: Some(local_name(&origin.name, about, &remote_name)),
                namespace: Some(origin.namespace.clone()),
                ..ObjectMeta::default()
            },
            involved_object: reference(&remote.involved_object, claim),
            related: remote.related.as_ref().and_then(|related| self.related(claim, related)),
            message: remote.message.as_deref().map(|text| self.message(claim, text)),
            ..remote.clone()
        };
        if local.event_time.is_some()
            && let Some(message) = &mut local.message
        {
            message.truncate(cut(message, MESSAGE_MAX).len());
        }
        normalize(&mut local);
        local
    }

    /// Names of claims of other namespaces stay as they are: where objects of all namespaces lie in one, a message can be about
    /// two that would never have met, and who may read the events of a namespace need not know what is in another one.
    fn message(&self, claim: &Claim, text: &str) -> String {
        let namespace = &claim.origin.namespace;
        let is_here = |other: &Claim| other.origin.namespace == *namespace;
        let name = |remote: &str| {
            if remote == claim.remote_name {
                return Some(claim.origin.name.clone());
            }
            let other = || self.claims.named(remote, is_here).map(|other| other.origin.name.clone());
            let secret = claim.local_secret_name(self.scheme, remote);
            secret.filter(|local| local != remote).or_else(other)
        };
        message::localize(self.scheme, namespace, text, name).into_owned()
    }

    fn related(&self, claim: &Claim, related: &ObjectReference) -> Option<ObjectReference> {
        let other = self.claims.get_or_gone(related.uid.as_deref()?)?;
        (other.origin.namespace == claim.origin.namespace).then(|| reference(related, &other))
    }
}

fn reference(remote: &ObjectReference, claim: &Claim) -> ObjectReference {
    ObjectReference {
        name: Some(claim.origin.name.clone()),
        namespace: Some(claim.origin.namespace.clone()),
        uid: Some(claim.uid.clone()),
        ..remote.clone()
    }
}

/// Recorders call an event after its object, with a time in hex behind: the time is kept. Of another name a hash is.
fn local_name(name: &str, about: &str, remote: &str) -> String {
    let is_time = |time: &&str| !time.is_empty() && time.bytes().all(|b| b.is_ascii_hexdigit());
    let time = remote.strip_prefix(about).and_then(|rest| rest.strip_prefix('.')).filter(is_time);
    match time {
        Some(time) if name.len() + 1 + time.len() <= NAME_MAX => format!("{name}.{time}"),
        _ => name_of(name, &[remote]),
    }
}

/// Makes what is not said the same, however it is not said, so that events can be compared.
pub(super) fn normalize(event: &mut Event) {
    let texts = [
        &mut event.action,
        &mut event.message,
        &mut event.reason,
        &mut event.reporting_component,
        &mut event.reporting_instance,
        &mut event.type_,
    ];
    for text in texts {
        text.take_if(|text| text.is_empty());
    }
    event.count.take_if(|count| *count == 0);
    if let Some(source) = &mut event.source {
        source.component.take_if(|text| text.is_empty());
        source.host.take_if(|text| text.is_empty());
    }
    event.source.take_if(|source| source.component.is_none() && source.host.is_none());
}

/// When what an event tells of last happened.
pub(super) fn last_time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let times = [&event.last_timestamp, &event.first_timestamp, &event.metadata.creation_timestamp];
    let times = times.into_iter().flatten().map(|time| time.0);
    series.into_iter().chain(event.event_time.as_ref().map(|time| time.0)).chain(times).max()
}
