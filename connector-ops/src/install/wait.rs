//! Waiting until the APIs answer.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, ResourceExt};
use thiserror::Error;
use tokio::time::Instant;

use super::Plan;
use super::preflight::SERVICE_LABEL;
use crate::ask::{Unanswered, ask};
use crate::labels;
use crate::progress::{Event, Tell};

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(500);

/// An API resource that is now available in the app cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// Its plural name.
    pub name: String,
    /// Its short names.
    pub short_names: Vec<String>,
    /// Its group and version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
}

/// All is written, and does not work yet.
#[derive(Debug, Error)]
pub enum WaitError {
    /// It did not get ready in time.
    #[error("after {} s {state}", .after.as_secs())]
    Late {
        /// How long it was waited.
        after: Duration,
        /// What was seen last.
        state: String,
    },
    /// The app cluster did not say.
    #[error("the app cluster does not tell how it stands")]
    Unanswered(#[from] Unanswered),
}

impl Plan {
    /// Waits until the Deployment is available and every API answers, and says which do.
    ///
    /// # Errors
    /// See [`WaitError`]. What was written stays, and may yet come to work.
    pub async fn wait(&self, patience: Duration, tell: Tell<'_>) -> Result<Vec<Available>, WaitError> {
        let end = Instant::now() + patience;
        let mut told = String::new();
        loop {
            let state = match self.state().await {
                Ok(None) => break,
                Ok(Some(state)) => state,
                // A cluster may be away for a moment; one that is away to the end is told.
                Err(error) if Instant::now() >= end => return Err(error.into()),
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            if Instant::now() >= end {
                let trouble = self.trouble().await.unwrap_or_default();
                return Err(WaitError::Late { after: patience, state: format!("{state}{trouble}") });
            }
            if state != told {
                tell(Event::Waiting { what: state.clone() });
                told = state;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(self.available().await?)
    }

    /// What is still missing, if anything is.
    async fn state(&self) -> Result<Option<String>, Unanswered> {
        let client = self.client_of_app();
        let deployments = Api::<Deployment>::namespaced(client.clone(), &self.install.namespace);
        if let Some(state) = rollout(ask(deployments.get_opt(&self.install.release)).await?.as_ref()) {
            return Ok(Some(state));
        }
        let api_services = self.registered(client).await?;
        let mut missing = Vec::new();
        for api in &self.expected {
            let (group, version) = api.split_once('/').unwrap_or(("", api));
            let registered = api_services.iter().find(|found| found.name_any() == format!("{version}.{group}"));
            match registered.map(unavailable) {
                Some(None) => {}
                Some(Some(why)) => missing.push(format!("{api} ({why})")),
                None => missing.push(format!("{api} (not registered yet)")),
            }
        }
        if self.control_plane.is_none() && api_services.is_empty() {
            // Nobody knows here what is offered.
            return Ok(Some("no API is registered yet".to_owned()));
        }
        Ok((!missing.is_empty()).then(|| format!("these APIs do not answer yet: {}", missing.join(", "))))
    }

    async fn registered(&self, client: &Client) -> Result<Vec<APIService>, Unanswered> {
        let selector = format!("{SERVICE_LABEL}={}", self.service_label());
        Ok(ask(Api::<APIService>::all(client.clone()).list(&ListParams::default().labels(&selector))).await?.items)
    }

    /// All that the front knows of the APIs that it has from the connector.
    async fn available(&self) -> Result<Vec<Available>, Unanswered> {
        let client = self.client_of_app();
        let mut available = Vec::new();
        for api_service in self.registered(client).await? {
            let Some(spec) = api_service.spec.filter(|_| unavailable_status(api_service.status.as_ref()).is_none())
            else {
                continue;
            };
            let api_version = format!("{}/{}", spec.group.unwrap_or_default(), spec.version.unwrap_or_default());
            let list = ask(client.list_api_group_resources(&api_version)).await?;
            available.extend(list.resources.into_iter().filter(|resource| !resource.name.contains('/')).map(
                |resource| Available {
                    name: resource.name,
                    short_names: resource.short_names.unwrap_or_default(),
                    api_version: api_version.clone(),
                    kind: resource.kind,
                },
            ));
        }
        available.sort_by(|one, other| (&one.name, &one.api_version).cmp(&(&other.name, &other.api_version)));
        Ok(available)
    }

    /// What the Pods complain of.
    async fn trouble(&self) -> Result<String, Unanswered> {
        let pods = Api::<Pod>::namespaced(self.client_of_app().clone(), &self.install.namespace);
        let selector = format!("{}={},{}={}", labels::NAME, labels::CONNECTOR, labels::INSTANCE, self.install.release);
        let found = ask(pods.list(&ListParams::default().labels(&selector))).await?.items;
        let mut complaints = String::new();
        for pod in &found {
            let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            for (status, complaint) in statuses.filter_map(|status| Some((status, complaint(status)?))) {
                complaints += &format!("\n  pod {}: {complaint}", pod.name_any());
                // Of a program that ended, what it said last is the reason.
                let last = LogParams { previous: true, tail_lines: Some(1), ..LogParams::default() };
                if status.restart_count > 0
                    && let Ok(said) = ask(pods.logs(&pod.name_any(), &last)).await
                {
                    complaints += &format!("; it said: {}", said.trim());
                }
            }
        }
        Ok(complaints)
    }
}

/// What is missing until a Deployment is rolled out, as `kubectl rollout status` sees it.
fn rollout(deployment: Option<&Deployment>) -> Option<String> {
    let Some(deployment) = deployment else { return Some("the Deployment is not there".to_owned()) };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let seen = status.observed_generation >= deployment.metadata.generation;
    let (updated, available, all) = (
        status.updated_replicas.unwrap_or_default(),
        status.available_replicas.unwrap_or_default(),
        status.replicas.unwrap_or_default(),
    );
    if seen && updated >= wanted && available >= wanted && all <= updated {
        return None;
    }
    let available = if seen { available.min(updated) } else { 0 };
    Some(format!("{available} of {wanted} replicas of Deployment {} are available", deployment.name_any()))
}

fn unavailable(api_service: &APIService) -> Option<String> {
    unavailable_status(api_service.status.as_ref())
}

/// Why kube-apiserver takes an API for unavailable.
fn unavailable_status(
    status: Option<&k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIServiceStatus>,
) -> Option<String> {
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let available = conditions.into_iter().flatten().find(|condition| condition.type_ == "Available");
    match available {
        Some(condition) if condition.status == "True" => None,
        Some(condition) => Some(condition.reason.clone().unwrap_or_else(|| "not available".to_owned())),
        None => Some("not looked at yet".to_owned()),
    }
}

fn complaint(status: &ContainerStatus) -> Option<String> {
    let said = |reason: &Option<String>, message: &Option<String>| {
        let reason = reason.clone().unwrap_or_default();
        message.as_ref().map_or(reason.clone(), |message| format!("{reason}: {message}"))
    };
    let state = status.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        return Some(said(&waiting.reason, &waiting.message));
    }
    let ended = state.terminated.as_ref()?;
    Some(said(&ended.reason, &ended.message))
}
