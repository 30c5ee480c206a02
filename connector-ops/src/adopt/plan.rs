//! What is to be done, and what cannot be: a function of what was read.

use std::collections::BTreeSet;

use connector_core::origin::{Form, Hashed, LABEL_CLUSTER};
use kube::ResourceExt;
use kube::api::DynamicObject;

use super::Request;
use super::kinds::ClaimKind;
use super::object::{FINALIZER, claim_of, is_paused, secret_of};
use super::record::{Paused, Place, Record, State};

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Brings a claim under the origin.
    Adopt,
    /// Goes on where an earlier run was interrupted.
    Continue,
    /// Unpauses a claim that an earlier run created out of documents.
    Unpause,
    /// Gives a claim its name and namespace back.
    GiveBack,
}

/// One claim, and what happens to it.
#[derive(Clone, Debug)]
pub struct Step {
    /// What.
    pub action: Action,
    /// What somebody should know before they agree.
    pub notes: Vec<String>,
    pub(super) record: Record,
}

impl Step {
    /// The kind of the claim.
    pub fn kind(&self) -> &str {
        &self.record.kind.claim.kind
    }

    /// Where the claim was made, in the control plane or in the documents.
    pub fn from(&self) -> &Place {
        &self.record.from
    }

    /// Where the connector keeps it, in the control plane.
    pub fn to(&self) -> &Place {
        &self.record.to
    }

    /// Where users of the app cluster see it.
    pub fn local(&self) -> &Place {
        &self.record.local
    }

    /// The composite that stays bound to it; none where it is not bound yet.
    pub fn composite(&self) -> Option<&str> {
        self.record.composite.as_deref()
    }

    /// Whether the claim came out of documents and is paused at the end.
    pub fn stays_paused(&self) -> bool {
        self.record.from_documents && self.record.paused.claim && self.action != Action::GiveBack
    }

    /// The name of the connection Secret in the control plane, before and after adoption; none where it asks for none.
    pub fn secret(&self) -> Option<(&str, &str)> {
        self.record.secret.as_ref().map(|secret| (secret.from.as_str(), secret.to.as_str()))
    }
}

/// A claim that cannot be moved. Nothing is moved while there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The kind of the claim.
    pub kind: String,
    /// Where it is.
    pub place: Place,
    /// Why, and what to do.
    pub why: String,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order in which it is done.
    pub steps: Vec<Step>,
    /// What stands in the way.
    pub refused: Vec<Refused>,
    /// What is left alone, and why.
    pub notes: Vec<String>,
    pub(super) scheme: Hashed,
    // The claim namespace is not there.
    pub(super) creates_namespace: bool,
}

impl Plan {
    pub(super) fn new(scheme: &Hashed) -> Self {
        let (steps, refused, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { steps, refused, notes, scheme: scheme.clone(), creates_namespace: false }
    }

    /// Whether the claim namespace is created first.
    pub fn creates_namespace(&self) -> Option<&str> {
        self.creates_namespace.then_some(&self.scheme.claim_namespace)
    }

    /// Takes up what was found about one claim.
    pub(super) fn add(&mut self, found: Outcome, candidate: &Candidate, place: &Place) {
        let kind = candidate.kind.claim.kind.clone();
        match found {
            Outcome::Step(step) => self.steps.push(*step),
            Outcome::Refused(why) => self.refused.push(Refused { kind, place: place.clone(), why }),
            Outcome::Left(why) => self.notes.push(format!("{kind} {place} {why}")),
        }
    }

    /// Two claims cannot have one name, nor one Secret.
    pub(super) fn refuse_twins(&mut self) {
        let (mut places, mut secrets) = (BTreeSet::new(), BTreeSet::new());
        for step in &self.steps {
            let record = &step.record;
            let refused = |why: String| Refused { kind: step.kind().to_owned(), place: record.from.clone(), why };
            if !places.insert((&record.kind.claim.group, &record.kind.claim.plural, &record.to)) {
                let why = format!("another claim becomes {}, too: adopt them into different namespaces", record.local);
                self.refused.push(refused(why));
            }
            if let Some(secret) = &record.secret
                && !secrets.insert((&record.to.namespace, &secret.to))
            {
                let why = format!("another claim asks for the Secret {} there, too: let it be renamed", secret.to);
                self.refused.push(refused(why));
            }
        }
    }
}

/// The composite of a claim.
#[derive(Clone, Debug)]
pub(super) enum Composite {
    /// The claim is not bound yet.
    None,
    /// It is nowhere.
    Missing(String),
    /// In the control plane.
    There(Box<DynamicObject>),
    /// In the documents only.
    Document(Box<DynamicObject>),
}

/// A claim, and what the control plane has about it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) kind: ClaimKind,
    pub(super) claim: DynamicObject,
    pub(super) from_documents: bool,
    pub(super) composite: Composite,
    /// What is where the claim is to go.
    pub(super) target: Option<DynamicObject>,
    /// Only of documents: whether the control plane has a claim where it was.
    pub(super) is_there_too: bool,
    /// Only of documents: what the composite names and the control plane does not have.
    pub(super) missing: Vec<String>,
}

/// What becomes of a candidate.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Step(Box<Step>),
    Refused(String),
    Left(String),
}

/// Where a claim is, where it goes, and where it is seen.
pub(super) fn places(claim: &DynamicObject, request: &Request) -> (Place, Place, Place) {
    let from = Place::new(claim.namespace().unwrap_or_else(|| "default".to_owned()), claim.name_any());
    let namespace = request.to_namespace.clone().unwrap_or_else(|| from.namespace.clone());
    let local = Place::new(namespace, from.name.clone());
    let remote = request.scheme.remote_name(Form::Claim, &local.namespace, &local.name);
    let to = Place::new(request.scheme.remote_namespace(&local.namespace), remote);
    (from, to, local)
}

/// Decides about one claim.
pub(super) fn consider(candidate: &Candidate, request: &Request, records: &[Record]) -> Outcome {
    let Candidate { kind, claim, from_documents, .. } = candidate;
    let (from, to, local) = places(claim, request);
    let refused = |why: String| Outcome::Refused(why);
    match claim.labels().get(LABEL_CLUSTER) {
        Some(cluster) if cluster == request.scheme.cluster.as_str() => {
            return Outcome::Left("is of this app cluster already".to_owned());
        }
        Some(cluster) => return refused(format!("is of the app cluster {cluster}: give it back there first")),
        None => {}
    }
    if records.iter().any(|record| record.is_of(kind, &to)) {
        return Outcome::Left("was adopted already".to_owned());
    }
    if claim.metadata.deletion_timestamp.is_some() {
        return refused("is being deleted".to_owned());
    }
    let foreign: Vec<&str> =
        claim.finalizers().iter().map(String::as_str).filter(|&finalizer| finalizer != FINALIZER).collect();
    if !from_documents {
        if let Some(owner) = claim.owner_references().first() {
            return refused(format!(
                "is owned by {} {}, which would make it anew or take it away: take the ownerReference off first",
                owner.kind, owner.name
            ));
        }
        if !foreign.is_empty() {
            let foreign = foreign.join(", ");
            return refused(format!(
                "has the finalizer {foreign}, and whoever set it would clean up: let it be taken off first"
            ));
        }
    }
    if candidate.is_there_too {
        return refused(format!(
            "is in the control plane, too: adopt it there, with --from-namespace {}",
            from.namespace
        ));
    }
    let (composite, document) = match &candidate.composite {
        Composite::None => (None, None),
        Composite::Missing(name) => {
            let kind = &candidate.kind.composite.kind;
            return refused(format!("is bound to the {kind} {name}, which is not there: restore it first"));
        }
        Composite::There(composite) => {
            if composite.metadata.deletion_timestamp.is_some() {
                return refused(format!("is bound to {}, which is being deleted", composite.name_any()));
            }
            match claim_of(composite) {
                Some(other) if other != from => {
                    return refused(format!("names {}, which is bound to the claim {other}", composite.name_any()));
                }
                _ => (Some(&**composite), None),
            }
        }
        Composite::Document(composite) => (Some(&**composite), Some((**composite).clone())),
    };
    if let Some(target) = &candidate.target {
        let owner = target.labels().get(LABEL_CLUSTER).map_or("nobody", String::as_str);
        return refused(format!(
            "would become {to}, which is there and of {owner}: delete one of them, or use another namespace"
        ));
    }
    if request.unpause && !candidate.missing.is_empty() {
        return refused(unpausable(&candidate.missing));
    }
    let paused = match from_documents {
        true => Paused { claim: !request.unpause, composite: !request.unpause },
        false => Paused { claim: is_paused(claim), composite: composite.is_some_and(is_paused) },
    };
    let secret = secret_of(claim, &request.scheme, &local, request.keep_secret_names);
    let mut notes = Vec::new();
    if *from_documents {
        if !candidate.missing.is_empty() {
            notes.push(format!("it {}", unpausable(&candidate.missing)));
        }
        if !claim.owner_references().is_empty() {
            notes.push("its ownerReferences are left out: the claim has another UID".to_owned());
        }
        if !foreign.is_empty() {
            notes.push(format!("its finalizers {} are left out", foreign.join(", ")));
        }
    } else {
        if let Some(by) = keeper(claim) {
            notes.push(format!("{by} keeps it in the control plane, and would make it anew: take it out there first"));
        }
        if paused.claim || paused.composite {
            notes.push("it is paused, and stays so".to_owned());
        }
        if let Some(secret) = &secret {
            let new = format!("Crossplane writes {}/{}", to.namespace, secret.to);
            notes.push(format!("its Secret {}/{} goes with the old claim; {new}", from.namespace, secret.from));
        }
    }
    Outcome::Step(Box::new(Step {
        action: Action::Adopt,
        notes,
        record: Record {
            state: State::Adopting,
            kind: kind.clone(),
            from,
            to,
            local,
            composite: composite.map(ResourceExt::name_any),
            paused,
            secret,
            claim: claim.clone(),
            composite_document: document,
            from_documents: *from_documents,
        },
    }))
}

/// Why a claim must stay paused.
pub(super) fn unpausable(missing: &[String]) -> String {
    let some = missing.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    let more = if missing.len() > 3 { format!(" and {} more", missing.len() - 3) } else { String::new() };
    format!("is composed of {some}{more}, not in the control plane: it must stay paused, else that is composed anew")
}

/// Who would make the claim anew if it were gone.
fn keeper(claim: &DynamicObject) -> Option<&'static str> {
    let label = |key: &str| claim.labels().contains_key(key);
    let annotation = |key: &str| claim.annotations().contains_key(key);
    if annotation("argocd.argoproj.io/tracking-id") || label("argocd.argoproj.io/instance") {
        return Some("Argo CD");
    }
    if label("kustomize.toolkit.fluxcd.io/name") || label("helm.toolkit.fluxcd.io/name") {
        return Some("Flux");
    }
    annotation("meta.helm.sh/release-name").then_some("helm")
}
