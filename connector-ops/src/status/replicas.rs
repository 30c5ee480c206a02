//! The Pods of an install, and which of them write.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ContainerState, Pod as CorePod};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde::Serialize;

use super::{LogLine, PODS, Unread, logs, noted};
use crate::ask::{Unanswered, ask};
use crate::installed::Installed;

/// The Pods of an install.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// How many there should be.
    pub wanted: i32,
    /// How many are ready.
    pub ready: usize,
    /// Those that there are, by name.
    pub pods: Vec<Pod>,
    /// Which of them do what only one may do, by the Lease.
    pub leaders: Vec<Leader>,
}

/// One Pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// The node where it runs.
    pub node: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// How often its container was started anew.
    pub restarts: i32,
    /// What keeps it from being ready, where its status tells.
    pub message: Option<String>,
}

/// Who does what only one replica may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leader {
    /// The Lease: `<service>-registrar` for registering APIs, `<service>-sync` for Secrets and events.
    pub lease: String,
    /// Who holds it; `None` where nobody does.
    pub holder: Option<String>,
    /// When it was last renewed.
    pub renewed: Option<Timestamp>,
}

/// What was read of them.
pub(super) struct Read {
    replicas: Replicas,
    errors: Vec<LogLine>,
    unread: Vec<Unread>,
}

impl Read {
    pub(super) fn into_parts(self, unread: &mut Vec<Unread>) -> (Replicas, Vec<LogLine>) {
        unread.extend(self.unread);
        (self.replicas, self.errors)
    }
}

/// Reads the Pods, their logs and the Leases.
pub(super) async fn read(app: &Client, installed: &Installed) -> Read {
    let mut unread = Vec::new();
    let (pods, leaders) = futures::join!(pods(app, installed), leaders(app, installed));
    let pods = noted(PODS, pods, &mut unread).unwrap_or_default();
    let leaders = noted("Leases", leaders, &mut unread).unwrap_or_default();
    let errors = logs::last_errors(app, &installed.release.namespace, &pods, &mut unread).await;
    let ready = pods.iter().filter(|pod| pod.ready).count();
    Read { replicas: Replicas { wanted: installed.replicas, ready, pods, leaders }, errors, unread }
}

/// The Pods of an install, by name.
///
/// # Errors
/// They may not be read.
pub(crate) async fn pods(app: &Client, installed: &Installed) -> Result<Vec<Pod>, Unanswered> {
    let pods = Api::<CorePod>::namespaced(app.clone(), &installed.release.namespace);
    let labels: Vec<String> = installed.pods.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let found = ask(pods.list(&ListParams::default().labels(&labels.join(",")))).await?;
    // One that is being deleted is no replica any more, however ready.
    let there = found.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let mut found: Vec<Pod> = there.map(pod).collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn pod(pod: &CorePod) -> Pod {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let is_ready = |type_: &str, status: &str| type_ == "Ready" && status == "True";
    let conditions = status.conditions.unwrap_or_default();
    let ready = conditions.iter().any(|condition| is_ready(&condition.type_, &condition.status));
    let message = containers.iter().find_map(|container| {
        let last = container.last_state.as_ref().and_then(ended);
        let now = container.state.as_ref().and_then(|state| waits(state).or_else(|| ended(state)));
        match (now, last) {
            (Some(now), Some(last)) => Some(format!("{now}; it {last} before")),
            (now, last) => now.or(last),
        }
    });
    // A Pod that is on no node has a condition that tells why.
    let unscheduled =
        conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status != "True");
    let message = message.or(unscheduled.and_then(|condition| condition.message.clone())).or(status.message);
    Pod {
        name: pod.name_any(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        ready,
        restarts: containers.iter().map(|container| container.restart_count).sum(),
        message: message.filter(|_| !ready),
    }
}

fn waits(state: &ContainerState) -> Option<String> {
    let waiting = state.waiting.as_ref()?;
    let reason = waiting.reason.clone().unwrap_or_else(|| "waiting".to_owned());
    Some(match &waiting.message {
        Some(message) => format!("{reason}: {message}"),
        None => reason,
    })
}

fn ended(state: &ContainerState) -> Option<String> {
    let ended = state.terminated.as_ref()?;
    let reason = ended.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
    Some(format!("ended with code {}{reason}", ended.exit_code))
}

async fn leaders(app: &Client, installed: &Installed) -> Result<Vec<Leader>, Unanswered> {
    let leases = Api::<Lease>::namespaced(app.clone(), &installed.service.namespace);
    let mut leaders = Vec::new();
    for duty in ["registrar", "sync"] {
        let name = format!("{}-{duty}", installed.service.name);
        let Some(lease) = ask(leases.get_opt(&name)).await? else { continue };
        let spec = lease.spec.unwrap_or_default();
        leaders.push(Leader {
            lease: name,
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            renewed: spec.renew_time.map(|time| time.0),
        });
    }
    Ok(leaders)
}
