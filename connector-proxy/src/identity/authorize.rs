//! What a user may do, asked from the app cluster by SubjectAccessReview (wire rules 9.7, 9.11).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use connector_core::address::{FieldSelector, LabelOperator, LabelSelector};
use http::Method;
use k8s_openapi::api::authorization::v1::{
    FieldSelectorAttributes, LabelSelectorAttributes, NonResourceAttributes, ResourceAttributes, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldSelectorRequirement, LabelSelectorRequirement};
use kube::Api;
use kube::api::PostParams;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use tracing::Instrument;

use super::{MASTERS, User};
use crate::telemetry::{Wait, trace};

/// How long an answer holds (wire rule 9.7).
const DECISION_LIFETIME: Duration = Duration::from_secs(10);
/// From when on a permission that is used is asked for again, beside the request: who comes all the time never waits.
const RENEWED_AFTER: Duration = Duration::from_secs(6);
/// How long a review may take, retries included (wire rule 9.7).
const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);
const REVIEW_TRIES: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// How many answers are kept. Each is a key of some hundred bytes.
const DECISIONS_KEPT: usize = 4096;

/// What a request wants to do, in local terms.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Attributes {
    Resource {
        verb: &'static str,
        group: String,
        version: String,
        resource: String,
        subresource: String,
        namespace: String,
        name: String,
        fields: FieldSelector,
        labels: LabelSelector,
    },
    Path {
        verb: String,
        path: String,
    },
}

/// The app cluster's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    /// No, and why if the authorizer says so.
    Denied(String),
}

/// What is asked.
type Question = (User, Attributes);

/// The same, not owned, to look it up.
#[derive(Hash)]
struct Asked<'a>(&'a User, &'a Attributes);

impl Equivalent<Question> for Asked<'_> {
    fn equivalent(&self, key: &Question) -> bool {
        (self.0, self.1) == (&key.0, &key.1)
    }
}

/// An answer that is remembered.
#[derive(Clone)]
struct Remembered {
    decision: Decision,
    /// When it was asked for.
    at: Instant,
    /// Somebody asks again already.
    is_renewed: Arc<AtomicBool>,
}

impl Remembered {
    fn new(at: Instant, decision: Decision) -> Self {
        Self { decision, at, is_renewed: Arc::default() }
    }

    fn holds(&self) -> bool {
        self.at.elapsed() < DECISION_LIFETIME
    }

    /// Whether the caller is the one that has to ask again.
    fn must_be_renewed(&self) -> bool {
        self.decision == Decision::Allowed
            && self.at.elapsed() >= RENEWED_AFTER
            && !self.is_renewed.swap(true, Ordering::Relaxed)
    }
}

/// Asks the app cluster, and remembers its answers for a while.
pub(crate) struct Authorizer(Arc<Reviews>);

struct Reviews {
    api: Api<SubjectAccessReview>,
    remembered: Cache<Question, Remembered>,
}

impl Authorizer {
    pub(crate) fn new(app_cluster: kube::Client) -> Self {
        Self(Arc::new(Reviews { api: Api::all(app_cluster), remembered: Cache::new(DECISIONS_KEPT) }))
    }

    /// Whether `user` may do what `attributes` say. One review runs for the same question at a time, whoever asks. Where it is
    /// not known, that is waited for in `wait`.
    ///
    /// # Errors
    /// The app cluster's API did not answer the review.
    ///
    /// # Cancel safety
    /// Nothing is lost: who asks next asks the app cluster.
    pub(crate) async fn decide(
        &self,
        user: &User,
        attributes: &Attributes,
        wait: &Wait,
    ) -> Result<Decision, kube::Error> {
        if user.groups.iter().any(|group| group == MASTERS) {
            return Ok(Decision::Allowed);
        }
        let reviews = &self.0;
        let asked = Asked(user, attributes);
        if let Some(known) = reviews.remembered.get(&asked).filter(Remembered::holds) {
            if known.must_be_renewed() {
                tokio::spawn(reviews.clone().renew((user.clone(), attributes.clone())));
            }
            return Ok(known.decision);
        }
        let question = (user.clone(), attributes.clone());
        reviews.remembered.remove_if(&asked, |known| !known.holds());
        let _waiting = wait.begin();
        // Boxed, as most requests need none, and none should carry its memory.
        let span =
            trace::client_span("app cluster", &Method::POST, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
        let asked = Box::pin(reviews.ask(&question).instrument(span));
        let known = reviews.remembered.get_or_insert_async(&question, asked).await?;
        Ok(known.decision)
    }
}

impl Reviews {
    async fn ask(&self, (user, attributes): &Question) -> Result<Remembered, kube::Error> {
        // What changes while the app cluster thinks must not count for longer.
        let asked_at = Instant::now();
        Ok(Remembered::new(asked_at, self.review(user, attributes).await?))
    }

    /// Where the app cluster does not answer, the former answer holds as long as it would have.
    async fn renew(self: Arc<Self>, question: Question) {
        if let Ok(known) = self.ask(&question).await {
            self.remembered.insert(question, known);
        }
    }

    async fn review(&self, user: &User, attributes: &Attributes) -> Result<Decision, kube::Error> {
        let review = SubjectAccessReview { spec: spec(user, attributes), ..SubjectAccessReview::default() };
        let started = Instant::now();
        let mut backoff = FIRST_BACKOFF;
        let mut tries = 1;
        let answer = loop {
            match self.api.create(&PostParams::default(), &review).await {
                Ok(answer) => break answer,
                Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                    return Err(kube::Error::Api(status));
                }
                Err(error) if tries == REVIEW_TRIES || started.elapsed() + backoff > REVIEW_TIMEOUT => {
                    return Err(error);
                }
                Err(_) => {
                    tokio::time::sleep(backoff).await;
                    backoff = backoff * 3 / 2;
                    tries += 1;
                }
            }
        };
        let status = answer.status.unwrap_or_default();
        // No opinion is no (wire rule 9.7).
        Ok(if status.allowed && status.denied != Some(true) {
            Decision::Allowed
        } else {
            Decision::Denied(status.reason.unwrap_or_default())
        })
    }
}

fn spec(user: &User, attributes: &Attributes) -> SubjectAccessReviewSpec {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (resource_attributes, non_resource_attributes) = match attributes {
        Attributes::Resource { verb, group, version, resource, subresource, namespace, name, fields, labels } => (
            Some(ResourceAttributes {
                verb: some(verb),
                group: some(group),
                version: some(version),
                resource: some(resource),
                subresource: some(subresource),
                namespace: some(namespace),
                name: some(name),
                field_selector: field_selector(fields),
                label_selector: label_selector(labels),
            }),
            None,
        ),
        Attributes::Path { verb, path } => (None, Some(NonResourceAttributes { verb: some(verb), path: some(path) })),
    };
    SubjectAccessReviewSpec {
        user: some(&user.name),
        uid: some(&user.uid),
        groups: Some(user.groups.clone()),
        extra: Some(user.extra.clone()),
        resource_attributes,
        non_resource_attributes,
    }
}

/// What a review says of a selector, as kube-apiserver tells its own authorizers (wire rule 9.8). What it has no word for is
/// left out, which asks for more.
fn field_selector(selector: &FieldSelector) -> Option<FieldSelectorAttributes> {
    let told = selector.requirements.iter().filter(|one| !one.field.is_empty()).map(|one| FieldSelectorRequirement {
        key: one.field.clone(),
        operator: if one.equal { "In" } else { "NotIn" }.to_owned(),
        values: Some(vec![one.value.clone()]),
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then_some(FieldSelectorAttributes { requirements: Some(told), raw_selector: None })
}

/// The same for labels.
fn label_selector(selector: &LabelSelector) -> Option<LabelSelectorAttributes> {
    let told = selector.requirements.iter().filter_map(|one| {
        let operator = match one.operator {
            LabelOperator::In | LabelOperator::Equals | LabelOperator::DoubleEquals => "In",
            LabelOperator::NotIn | LabelOperator::NotEquals => "NotIn",
            LabelOperator::Exists => "Exists",
            LabelOperator::DoesNotExist => "DoesNotExist",
            LabelOperator::GreaterThan | LabelOperator::LessThan => return None,
        };
        let values = Some(one.values.clone()).filter(|values| !values.is_empty());
        Some(LabelSelectorRequirement { key: one.key.clone(), operator: operator.to_owned(), values })
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then_some(LabelSelectorAttributes { requirements: Some(told), raw_selector: None })
}

impl Attributes {
    /// The text of a refusal, as the reference server words it; the object's own name is put in front by the status.
    pub(crate) fn refusal(&self, user: &User, reason: &str) -> String {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        match self {
            Self::Resource { verb, group, resource, subresource, namespace, .. } => {
                let resource =
                    if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
                let place = if namespace.is_empty() {
                    "at the cluster scope".to_owned()
                } else {
                    format!("in the namespace {namespace:?}")
                };
                format!(
                    "User {:?} cannot {verb} resource {resource:?} in API group {group:?} {place}{because}",
                    user.name
                )
            }
            Self::Path { verb, path } => format!("User {:?} cannot {verb} path {path:?}{because}", user.name),
        }
    }
}

#[cfg(test)]
mod tests;
