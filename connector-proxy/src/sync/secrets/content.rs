//! What is known of the Secrets of both sides: nothing of their data.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use tokio::time::Instant;

use super::Place;
use crate::sync::copy::{Content, There};

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
    pub(super) there: There,
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
            there: There::of(secret),
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
