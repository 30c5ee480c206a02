//! What is compared of a Secret on both sides, without keeping its data.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Place;

/// Type, data and `immutable` of a Secret. Two are equal exactly if the Secrets are, in these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) kind: String,
    pub(super) is_immutable: bool,
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

/// A Secret of the control plane that something controls.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) content: Content,
    pub(super) owner: OwnerReference,
    /// Where its copy is to be, as far as that is known.
    pub(super) place: Option<Place>,
    /// When this state of it was seen first.
    pub(super) since: Instant,
}

impl Source {
    pub(super) fn of(secret: &Secret) -> Option<Self> {
        let owner = secret.owner_references().iter().find(|owner| owner.controller == Some(true))?;
        Some(Self {
            name: secret.name_any(),
            uid: secret.uid()?,
            content: Content::of(secret),
            owner: owner.clone(),
            place: None,
            since: Instant::now(),
        })
    }

    /// How old this state of it is.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// A Secret of the app cluster that is ours.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) content: Content,
    pub(super) keys: Vec<String>,
    pub(super) owners: Vec<OwnerReference>,
    /// Whether it has all labels and annotations that ours have.
    pub(super) is_marked: bool,
}

impl Copy {
    pub(super) fn of(secret: &Secret, marks: &Marks) -> Self {
        let has = |all: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| all.get(key) == Some(value))
        };
        Self {
            uid: secret.uid().unwrap_or_default(),
            resource_version: secret.resource_version().unwrap_or_default(),
            content: Content::of(secret),
            keys: secret.data.iter().flatten().map(|(key, _)| key.clone()).collect(),
            owners: secret.owner_references().to_vec(),
            is_marked: has(secret.labels(), &marks.labels) && has(secret.annotations(), &marks.annotations),
        }
    }

    /// The UID of the claim that it was made for.
    pub(super) fn claim(&self) -> Option<&str> {
        self.owners.iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str())
    }
}

/// The labels and annotations of the Secrets that are written.
pub(super) struct Marks {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}
