//! What the kubelet says of a Pod.

use std::net::Ipv4Addr;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// The state of a Pod's container.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Container {
    Waiting { reason: &'static str, message: String },
    Running { since: String },
    Terminated { code: i32, since: String, at: String },
}

/// What a Pod's status is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Status {
    pub(super) container: Container,
    pub(super) last: Option<Container>,
    pub(super) restarts: i32,
    pub(super) ready: bool,
    pub(super) started: String,
    // When `ready` changed.
    pub(super) ready_changed: String,
    /// Whether the Pod is at its end: nothing starts again.
    pub(super) over: bool,
}

pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Status {
    pub(super) fn new() -> Self {
        let container = Container::Waiting { reason: "ContainerCreating", message: String::new() };
        let (started, ready_changed) = (now(), now());
        Self { container, last: None, restarts: 0, ready: false, started, ready_changed, over: false }
    }

    pub(super) fn set_ready(&mut self, ready: bool) {
        if self.ready != ready {
            (self.ready, self.ready_changed) = (ready, now());
        }
    }

    /// A merge patch of the Pod. `address` is the true one.
    pub(super) fn patch(&self, name: &str, image: &str, address: Ipv4Addr) -> Value {
        let [_, rest @ ..] = address.octets();
        // Endpoints take no loopback addresses.
        let shown = Ipv4Addr::new(10, rest[0], rest[1], rest[2]).to_string();
        let running = matches!(self.container, Container::Running { .. });
        let failed = matches!(self.container, Container::Terminated { code, .. } if code != 0);
        let phase = match (&self.container, self.over) {
            (_, true) if failed => "Failed",
            (_, true) => "Succeeded",
            (Container::Waiting { .. }, _) if self.last.is_none() => "Pending",
            _ => "Running",
        };
        let condition = |kind: &str, is: bool, at: &str| {
            let status = if is { "True" } else { "False" };
            json!({ "type": kind, "status": status, "lastTransitionTime": at })
        };
        json!({ "status": {
            "phase": phase,
            "hostIP": "10.0.0.1",
            "hostIPs": [{ "ip": "10.0.0.1" }],
            "podIP": shown,
            "podIPs": [{ "ip": shown }],
            "startTime": self.started,
            "conditions": [
                condition("PodScheduled", true, &self.started),
                condition("Initialized", true, &self.started),
                condition("ContainersReady", self.ready, &self.ready_changed),
                condition("Ready", self.ready, &self.ready_changed),
            ],
            "containerStatuses": [{
                "name": name,
                "image": image,
                "imageID": "",
                "ready": self.ready,
                "started": running,
                "restartCount": self.restarts,
                "state": state(&self.container),
                "lastState": self.last.as_ref().map_or_else(|| json!({}), state),
            }],
        } })
    }
}

fn state(container: &Container) -> Value {
    match container {
        Container::Waiting { reason, message } => json!({ "waiting": { "reason": reason, "message": message } }),
        Container::Running { since } => json!({ "running": { "startedAt": since } }),
        Container::Terminated { code, since, at } => {
            let reason = if *code == 0 { "Completed" } else { "Error" };
            json!({ "terminated": { "exitCode": code, "reason": reason, "startedAt": since, "finishedAt": at } })
        }
    }
}
