//! The app cluster's events that are ours.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ObjectMeta};
use kube::{Client, ResourceExt};
use sha2::{Digest, Sha256};

use crate::config::ServiceReference;
use crate::registrar::OWNER_LABEL;

/// The most characters that the name of an object may have.
pub(super) const NAME_MAX: usize = 253;

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

    pub(super) fn in_all_namespaces(&self) -> Api<Event> {
        Api::all(self.client.clone())
    }

    /// Selects ours.
    pub(super) fn selector(&self) -> String {
        format!("{OWNER_LABEL}={}", self.label)
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

/// The name of an event about the object `name`: always the same for the same `parts`. A name that is too long is cut.
pub(super) fn name_of(name: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        // No byte of UTF-8: parts cannot run into each other.
        hash.update([0xff]);
    }
    let digits: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let name = cut(name, NAME_MAX - 1 - digits.len());
    format!("{}.{digits}", name.trim_end_matches(['.', '-']))
}

/// As much of a text as there is room for.
pub(super) fn cut(text: &str, room: usize) -> &str {
    let mut end = room.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
