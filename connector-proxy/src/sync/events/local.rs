//! The app cluster's events that are ours.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ObjectMeta};
use kube::{Client, ResourceExt};
use sha2::{Digest, Sha256};

use crate::config::ServiceReference;
use crate::registrar::OWNER_LABEL;

/// The most characters that the name of an object may have.
const NAME_MAX: usize = 253;

/// Reads and writes events of this connector, which a label marks.
#[derive(Clone)]
pub(super) struct LocalEvents {
    client: Client,
    label: String,
}

impl LocalEvents {
    pub(super) fn new(client: Client, service: &ServiceReference) -> Self {
        Self { client, label: service.label() }
    }

    pub(super) fn in_namespace(&self, namespace: &str) -> Api<Event> {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(super) fn are_ours(&self, event: &Event) -> bool {
        event.labels().get(OWNER_LABEL) == Some(&self.label)
    }

    /// The metadata of one of ours.
    pub(super) fn metadata(&self, namespace: &str, name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([(OWNER_LABEL.to_owned(), self.label.clone())])),
            ..ObjectMeta::default()
        }
    }
}

/// The name of an event about the object `name`: always the same for the same `parts`.
pub(super) fn name_of(name: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        // No byte of UTF-8: parts cannot run into each other.
        hash.update([0xff]);
    }
    let digits: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    named(name, &format!(".{digits}"))
}

/// A name that begins with `name`, as much of it as there is room for, and ends with `rest`.
pub(super) fn named(name: &str, rest: &str) -> String {
    let room = NAME_MAX.saturating_sub(rest.len()).min(name.len());
    // Names are ASCII; one that is not is not cut.
    let kept = name.get(..room).unwrap_or(name).trim_end_matches(['.', '-']);
    format!("{kept}{rest}")
}
