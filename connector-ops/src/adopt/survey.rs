//! Reads what a plan is made of. Nothing is written, but tried.

use connector_core::origin::Hashed;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::{Client, ResourceExt};

use super::kinds::{ClaimKind, Kinds};
use super::object::{FINALIZER, adopted, composite_of, returned};
use super::plan::{Action, Candidate, Composite, Outcome, Plan, Refused, Step, consider, places, unpausable};
use super::record::{Paused, Place, Record, SecretName, State};
use super::source::{Pick, Source, objects};
use super::{AdoptError, Request, composed, kinds, record};
use crate::ask::{Unanswered, ask};

/// What would be done to adopt the claims that `request` names, and to end what an earlier run began. Nothing is changed.
///
/// # Errors
/// The control plane could not be read, or what was asked for is not there. What stands in the way of a claim is no error but in
/// [`Plan::refused`].
pub async fn survey(client: &Client, request: &Request) -> Result<Plan, AdoptError> {
    let kinds = kinds::read(client).await?;
    let scheme = &request.scheme;
    let records = record::read(client, &scheme.cluster, &scheme.claim_namespace).await?;
    let mut plan = Plan::new(scheme);
    plan.creates_namespace = !has_namespace(client, &scheme.claim_namespace).await?;
    for record in &records {
        left_over(client, request, record, &mut plan).await?;
    }
    let found = match &request.source {
        Source::Unfinished => Vec::new(),
        Source::Namespace { namespace, only, selector } => {
            from_namespace(client, &kinds, namespace, only, selector.as_deref(), &mut plan).await?
        }
        Source::Documents { texts, only } => from_documents(&kinds, &objects(texts)?, only, &mut plan)?,
    };
    for (kind, claim, document) in found {
        let candidate = candidate(client, request, kind, claim, document).await?;
        let (from, ..) = places(&candidate.claim, request);
        let mut outcome = consider(&candidate, request, &records);
        if let Outcome::Step(step) = &outcome
            && !plan.creates_namespace
            && let Some(refused) =
                try_out(client, &step.record, &adopted(&candidate.claim, &step.record, scheme)).await?
        {
            outcome = Outcome::Refused(format!("would be refused: {refused}"));
        }
        if let Outcome::Step(step) = &outcome
            && request.keep_secret_names
            && let Some(why) = secret_in_the_way(client, &candidate.claim, &step.record).await?
        {
            outcome = Outcome::Refused(why);
        }
        plan.add(outcome, &candidate, &from);
    }
    plan.refuse_twins();
    Ok(plan)
}

/// What would be done to give adopted claims their names and namespaces back; `only` names them as the app cluster does, none
/// is all. Nothing is changed.
///
/// # Errors
/// As [`survey`].
pub async fn survey_return(client: &Client, scheme: &Hashed, only: &[Pick]) -> Result<Plan, AdoptError> {
    let records = record::read(client, &scheme.cluster, &scheme.claim_namespace).await?;
    let mut plan = Plan::new(scheme);
    let is_meant = |pick: &Pick, record: &Record| pick.is_of(&record.kind.claim, &record.local.name);
    for pick in only {
        if !records.iter().any(|record| is_meant(pick, record)) {
            let there: Vec<_> =
                records.iter().map(|of| format!("{}/{}", of.kind.claim.plural, of.local.name)).collect();
            return Err(not_found(pick, &format!("what was adopted into {}", scheme.claim_namespace), &there));
        }
    }
    for record in records {
        if !only.is_empty() && !only.iter().any(|pick| is_meant(pick, &record)) {
            continue;
        }
        let kind = record.kind.claim.kind.clone();
        let refused = |why: String| Refused { kind: kind.clone(), place: record.to.clone(), why };
        let there = get(client, &record.kind, &record.to).await?;
        // Before it was begun, and after an adoption that was broken off, it can only be the claim that was adopted.
        let (original, another) = match get(client, &record.kind, &record.from).await? {
            Some(there) if record.state != State::Returning && there.metadata.uid != record.claim.metadata.uid => {
                (None, true)
            }
            there => (there, false),
        };
        let bound_to = there.as_ref().and_then(composite_of).map(str::to_owned).or(record.composite.clone());
        let Some(claim) = there.as_ref().or(original.as_ref()) else {
            plan.notes.push(format!("{kind} {} is gone since, and is not given back", record.local));
            continue;
        };
        if claim.metadata.deletion_timestamp.is_some() {
            plan.refused.push(refused("is being deleted".to_owned()));
            continue;
        }
        if !has_namespace(client, &record.from.namespace).await? {
            plan.refused.push(refused(format!("was in the namespace {}: create it first", record.from.namespace)));
            continue;
        }
        let foreign: Vec<_> = claim.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
        if !foreign.is_empty() {
            plan.refused.push(refused(format!(
                "has the finalizer {}, and whoever set it would clean up: let it be taken off first",
                foreign.join(", ")
            )));
            continue;
        }
        let differs = |original: &DynamicObject| there.is_some() && composite_of(original) != bound_to.as_deref();
        if another || original.as_ref().is_some_and(differs) {
            plan.refused.push(refused(format!("was {}, where there is another one by now", record.from)));
            continue;
        }
        if original.is_none()
            && let Some(why) = try_out(client, &record, &returned(claim, &record)).await?
        {
            plan.refused.push(refused(format!("would be refused: {why}")));
            continue;
        }
        let mut notes = Vec::new();
        if let Some(secret) = &record.secret {
            let (from, to) = (&record.from.namespace, &record.to.namespace);
            notes.push(format!(
                "its Secret {to}/{}, and the one in the app cluster, go; Crossplane writes {from}/{}",
                secret.to, secret.from
            ));
        }
        plan.steps.push(Step { action: Action::GiveBack, notes, record });
    }
    Ok(plan)
}

/// What an earlier run left to do.
async fn left_over(client: &Client, request: &Request, record: &Record, plan: &mut Plan) -> Result<(), AdoptError> {
    let action = match record.state {
        State::Adopting => Action::Continue,
        State::Returning => Action::GiveBack,
        State::Adopted if request.unpause && record.from_documents && record.paused.claim => Action::Unpause,
        State::Adopted => return Ok(()),
    };
    let mut record = record.clone();
    let mut notes = Vec::new();
    if request.unpause && record.from_documents {
        let there = match &record.composite {
            Some(name) => {
                let answer = ask(record.kind.composite.api(client, None).get_opt(name)).await;
                unread(answer, || format!("the composite {name}"))?
            }
            None => None,
        };
        let missing = match there.or(record.composite_document.clone()) {
            Some(composite) => missing_of(client, &composite).await?,
            None => Vec::new(),
        };
        if !missing.is_empty() {
            let (kind, place) = (record.kind.claim.kind.clone(), record.from.clone());
            plan.refused.push(Refused { kind, place, why: unpausable(&missing) });
            return Ok(());
        }
        record.paused = Paused::default();
    }
    if action == Action::Continue {
        notes.push("an earlier run was interrupted".to_owned());
    }
    plan.steps.push(Step { action, notes, record });
    Ok(())
}

async fn from_namespace(
    client: &Client,
    kinds: &Kinds,
    namespace: &str,
    only: &[Pick],
    selector: Option<&str>,
    plan: &mut Plan,
) -> Result<Vec<Found>, AdoptError> {
    for pick in only {
        if let Some(kind) = kinds.namespaced.iter().find(|kind| pick.is_kind(kind)) {
            let place = Place::new(namespace, pick.name().unwrap_or(&kind.plural));
            let why = "is a namespaced composite: what it is composed of is named after it and belongs to it by its UID, so under \
                       another name all of it would be composed anew"
                .to_owned();
            plan.refused.push(Refused { kind: kind.kind.clone(), place, why });
        }
    }
    let parameters = ListParams { label_selector: selector.map(str::to_owned), ..ListParams::default() };
    for kind in kinds.namespaced.iter().filter(|_| only.is_empty()) {
        let list = ask(kind.api(client, Some(namespace)).list_metadata(&parameters)).await;
        let what = || format!("the {}.{} in {namespace}", kind.plural, kind.group);
        let count = unread(served(list), what)?.map_or(0, |list| list.items.len());
        if count > 0 {
            plan.notes.push(format!(
                "{} in {namespace} are left out ({count}): namespaced composites are not adopted",
                kind.plural
            ));
        }
    }
    let mut found = Vec::new();
    let mut there = Vec::new();
    for kind in &kinds.claims {
        let list = ask(kind.claim.api(client, Some(namespace)).list(&parameters)).await;
        let what = || format!("the {}.{} in {namespace}", kind.claim.plural, kind.claim.group);
        for mut claim in unread(served(list), what)?.into_iter().flat_map(|list| list.items) {
            // A list does not tell it of each.
            claim.types.get_or_insert_with(|| kube::api::TypeMeta {
                api_version: format!("{}/{}", kind.claim.group, kind.claim.version),
                kind: kind.claim.kind.clone(),
            });
            there.push(format!("{}/{}", kind.claim.plural, claim.name_any()));
            if only.is_empty() || only.iter().any(|pick| pick.is_of(&kind.claim, &claim.name_any())) {
                found.push((kind.clone(), claim, None));
            }
        }
    }
    let is_found = |pick: &Pick| found.iter().any(|(kind, claim, _)| pick.is_of(&kind.claim, &claim.name_any()));
    let is_refused = |pick: &Pick| kinds.namespaced.iter().any(|kind| pick.is_kind(kind));
    match only.iter().find(|pick| !is_found(pick) && !is_refused(pick)) {
        Some(pick) => Err(not_found(pick, namespace, &there)),
        None => Ok(found),
    }
}

/// A claim, and that it comes from documents, perhaps with its composite.
type Found = (ClaimKind, DynamicObject, Option<Option<DynamicObject>>);

fn from_documents(
    kinds: &Kinds,
    objects: &[DynamicObject],
    only: &[Pick],
    plan: &mut Plan,
) -> Result<Vec<Found>, AdoptError> {
    let mut found = Vec::new();
    let mut there = Vec::new();
    let mut others = 0;
    for object in objects {
        let Some(kind) = kinds.claims.iter().find(|kind| kind.claim.is_of(object)) else {
            if let Some(kind) = kinds.namespaced.iter().find(|kind| kind.is_of(object)) {
                let place = Place::new(object.namespace().unwrap_or_default(), object.name_any());
                plan.notes.push(format!("{} {place} is left out: namespaced composites are not adopted", kind.kind));
            } else if !kinds.claims.iter().any(|kind| kind.composite.is_of(object)) {
                others += 1;
            }
            continue;
        };
        there.push(format!("{}/{}", kind.claim.plural, object.name_any()));
        if !only.is_empty() && !only.iter().any(|pick| pick.is_of(&kind.claim, &object.name_any())) {
            continue;
        }
        let is_its =
            |of: &&DynamicObject| kind.composite.is_of(of) && of.metadata.name.as_deref() == composite_of(object);
        found.push((kind.clone(), object.clone(), Some(objects.iter().find(is_its).cloned())));
    }
    if others > 0 {
        plan.notes.push(format!(
            "{others} objects in the documents are neither claims nor their composites, and are left out"
        ));
    }
    let is_found = |pick: &&Pick| !found.iter().any(|(kind, claim, _)| pick.is_of(&kind.claim, &claim.name_any()));
    match only.iter().find(is_found) {
        Some(pick) => Err(not_found(pick, "the documents", &there)),
        None => Ok(found),
    }
}

async fn candidate(
    client: &Client,
    request: &Request,
    kind: ClaimKind,
    claim: DynamicObject,
    document: Option<Option<DynamicObject>>,
) -> Result<Candidate, AdoptError> {
    let (from, to, _) = places(&claim, request);
    let from_documents = document.is_some();
    let composite = match composite_of(&claim) {
        None => Composite::None,
        Some(name) => {
            let there =
                unread(ask(kind.composite.api(client, None).get_opt(name)).await, || format!("the composite {name}"))?;
            match (there, document.flatten()) {
                (Some(there), _) => Composite::There(Box::new(there)),
                (None, Some(document)) => Composite::Document(Box::new(document)),
                (None, None) => Composite::Missing(name.to_owned()),
            }
        }
    };
    let missing = match &composite {
        Composite::There(composite) | Composite::Document(composite) if from_documents => {
            missing_of(client, composite).await?
        }
        _ => Vec::new(),
    };
    let target = get(client, &kind, &to).await?;
    let is_there_too = from_documents && get(client, &kind, &from).await?.is_some();
    Ok(Candidate { kind, claim, from_documents, composite, target, is_there_too, missing })
}

async fn missing_of(client: &Client, composite: &DynamicObject) -> Result<Vec<String>, AdoptError> {
    let missing = composed::missing(client, composite).await;
    unread(missing, || format!("what {} is composed of", composite.name_any()))
}

async fn get(client: &Client, kind: &ClaimKind, place: &Place) -> Result<Option<DynamicObject>, AdoptError> {
    let answer = ask(kind.claim.api(client, Some(&place.namespace)).get_opt(&place.name)).await;
    unread(answer, || format!("{} {place}", kind.claim.kind))
}

async fn has_namespace(client: &Client, name: &str) -> Result<bool, AdoptError> {
    let answer = ask(Api::<Namespace>::all(client.clone()).get_opt(name)).await;
    Ok(unread(answer, || format!("the namespace {name}"))?.is_some())
}

/// What the control plane would say against an object; `None` if nothing.
async fn try_out(client: &Client, record: &Record, object: &DynamicObject) -> Result<Option<String>, AdoptError> {
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let api = record.kind.claim.api(client, object.metadata.namespace.as_deref());
    match ask(api.create(&parameters, object)).await {
        Ok(_) => Ok(None),
        Err(refused @ Unanswered::Refused(_)) => Ok(Some(refused.to_string())),
        Err(source) => Err(AdoptError::Unread { what: format!("{} {}", record.kind.claim.kind, record.to), source }),
    }
}

/// Crossplane writes no Secret that is another's.
async fn secret_in_the_way(
    client: &Client,
    claim: &DynamicObject,
    record: &Record,
) -> Result<Option<String>, AdoptError> {
    let Some(SecretName { to: name, .. }) = &record.secret else { return Ok(None) };
    let namespace = &record.to.namespace;
    let there = ask(Api::<Secret>::namespaced(client.clone(), namespace).get_metadata_opt(name)).await;
    let there = unread(there, || format!("the Secret {namespace}/{name}"))?;
    let is_its = |owner: &OwnerReference| Some(&owner.uid) == claim.metadata.uid.as_ref();
    Ok(there
        .filter(|secret| !secret.owner_references().iter().any(is_its))
        .map(|_| format!("asks for the Secret {name}, and {namespace} has one that is another's: let it be renamed")))
}

/// Nothing of a kind that is offered and not served: its CRD is not there yet, or gone.
fn served<T>(list: Result<T, Unanswered>) -> Result<Option<T>, Unanswered> {
    match list {
        Err(missing) if missing.code() == Some(404) => Ok(None),
        list => list.map(Some),
    }
}

fn unread<T>(answer: Result<T, Unanswered>, what: impl FnOnce() -> String) -> Result<T, AdoptError> {
    answer.map_err(|source| AdoptError::Unread { what: what(), source })
}

fn not_found(pick: &Pick, place: &str, there: &[String]) -> AdoptError {
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    AdoptError::NotFound { pick: pick.to_string(), place: place.to_owned(), there }
}
