//! Events about objects of which nothing is known: the claim may come a moment later, by another watch.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, ObjectReference};
use kube::ResourceExt;
use tokio::time::Instant;

use crate::claims::Claim;

/// How long a claim is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How many events wait. Each is about 1 KiB.
const WAITING_MAX: usize = 1024;

/// Events that wait for their claim, the newest state of each.
#[derive(Default)]
pub(super) struct Waiting {
    /// By name in the control plane.
    events: HashMap<String, (Instant, Event)>,
}

impl Waiting {
    /// Keeps an event, if there is room.
    pub(super) fn keep(&mut self, event: Event, now: Instant) {
        if self.events.len() >= WAITING_MAX {
            self.sweep(now);
        }
        if self.events.len() < WAITING_MAX {
            self.events.insert(event.name_any(), (now, event));
        }
    }

    /// Forgets an event of which there is news.
    pub(super) fn forget(&mut self, name: &str) {
        self.events.remove(name);
    }

    /// What waited for this claim.
    pub(super) fn take(&mut self, claim: &Claim) -> Vec<Event> {
        let of_claim = self.events.extract_if(|_, (_, event)| is_about(claim, &event.involved_object));
        of_claim.map(|(_, (_, event))| event).collect()
    }

    /// Forgets what waited in vain.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.events.retain(|_, (since, _)| now.duration_since(*since) < PATIENCE);
    }
}

/// Whether an object is this claim. A recorder that knew no UID told kind and name.
pub(super) fn is_about(claim: &Claim, object: &ObjectReference) -> bool {
    match object.uid.as_deref() {
        None | Some("") => {
            is_of_kind(&claim.group, &claim.kind, object) && object.name.as_ref() == Some(&claim.remote_name)
        }
        Some(uid) => uid == claim.uid,
    }
}

/// Whether an object is of a kind, of whatever version.
pub(super) fn is_of_kind(group: &str, kind: &str, object: &ObjectReference) -> bool {
    let api_version = object.api_version.as_deref().unwrap_or_default();
    object.kind.as_deref() == Some(kind) && api_version.split_once('/').is_some_and(|(of, _)| of == group)
}
