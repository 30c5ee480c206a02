//! The connector's own words about a claim, as events.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::Instant;

use super::local::{LocalEvents, name_of};
use crate::chain::Chain;
use crate::claims::Claim;
use crate::config::ServiceReference;

/// Who says so.
const COMPONENT: &str = "control-plane-connector";
/// How often the same is said at most. What lasts must be said again within the hour that events live.
const AGAIN: Duration = Duration::from_secs(60);
/// How many words it is remembered of when they were said.
const REMEMBERED: usize = 4096;

/// Says something about a claim in its namespace: as one event, which counts how often it was said.
pub(crate) struct Recorder {
    local: LocalEvents,
    /// When each event was last written, by namespace and name.
    said: Mutex<HashMap<(String, String), Instant>>,
}

impl Recorder {
    /// A recorder of the connector behind `service`.
    pub(crate) fn new(app_cluster: Client, service: &ServiceReference) -> Self {
        Self { local: LocalEvents::new(app_cluster, service), said: Mutex::default() }
    }

    /// Records a warning about `claim`. The same said again counts one
    /// event up, once a minute at most. What cannot be written is no loss but of the event.
    pub(crate) async fn warn(&self, claim: &Claim, reason: &str, message: &str) {
        let namespace = &claim.origin.namespace;
        let name = name_of(&claim.origin.name, &[&claim.uid, reason, message]);
        if !self.is_due(namespace, &name) {
            return;
        }
        if let Err(error) = self.write(claim, &name, reason, message).await {
            tracing::debug!(error = %Chain(&error), namespace, name, "an event was not written");
        }
    }

    async fn write(&self, claim: &Claim, name: &str, reason: &str, message: &str) -> Result<(), kube::Error> {
        let namespace = &claim.origin.namespace;
        let api = self.local.in_namespace(namespace);
        // Whole seconds, as other recorders write them.
        let now = Timestamp::from_second(Timestamp::now().as_second()).ok().map(Time);
        if let Some(there) = api.get_opt(name).await? {
            if self.local.are_ours(&there) {
                let counted = json!({ "count": there.count.unwrap_or(0).saturating_add(1), "lastTimestamp": now });
                api.patch(name, &PatchParams::default(), &Patch::Merge(counted)).await?;
            }
            return Ok(());
        }
        let event = Event {
            metadata: self.local.metadata(namespace, name),
            involved_object: ObjectReference {
                api_version: Some(claim.api_version.clone()),
                kind: Some(claim.kind.clone()),
                name: Some(claim.origin.name.clone()),
                namespace: Some(namespace.clone()),
                uid: Some(claim.uid.clone()),
                ..ObjectReference::default()
            },
            type_: Some("Warning".to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
            reporting_component: Some(COMPONENT.to_owned()),
            first_timestamp: now.clone(),
            last_timestamp: now,
            count: Some(1),
            ..Event::default()
        };
        api.create(&PostParams::default(), &event).await?;
        Ok(())
    }

    fn is_due(&self, namespace: &str, name: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let key = (namespace.to_owned(), name.to_owned());
        if said.get(&key).is_some_and(|when| now.duration_since(*when) < AGAIN) {
            return false;
        }
        if said.len() >= REMEMBERED {
            said.retain(|_, when| now.duration_since(*when) < AGAIN);
        }
        // More than that within a minute, each about something else, are not said.
        let has_room = said.len() < REMEMBERED;
        if has_room {
            said.insert(key, now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use connector_core::origin::{Form, Hashed};
    use serde_json::Value;

    use super::*;
    use crate::sync::events::testing::Stand;

    #[tokio::test]
    async fn the_same_said_again_counts_one_event_up() {
        let scheme = Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".into() };
        let claim = Claim::example(&scheme, Form::Claim, "db", &Value::Null);
        let stand = Arc::new(Stand::default());
        let service = "kube-system/connector".parse().unwrap();
        let say = async |recorder: &Recorder, message: &str| {
            recorder.warn(&claim, "SecretInTheWay", message).await;
        };
        let recorder = Recorder::new(stand.client(), &service);
        say(&recorder, "a Secret is in the way").await;
        say(&recorder, "a Secret is in the way").await;
        assert_eq!(stand.events().len(), 1);
        let event = stand.events().remove(0);
        assert_eq!(event["count"], 1, "twice within a minute is once");
        assert_eq!(event["involvedObject"]["uid"], "uid of db");
        assert_eq!(event["metadata"]["labels"]["mcp-connector.upbound.io/service"], "kube-system.connector");

        let restarted = Recorder::new(stand.client(), &service);
        say(&restarted, "a Secret is in the way").await;
        assert_eq!((stand.events().len(), &stand.events()[0]["count"]), (1, &Value::from(2)));
        say(&restarted, "another Secret is in the way").await;
        assert_eq!(stand.events().len(), 2);

        // Somebody else's event is left alone.
        stand.change(|event| event["metadata"]["labels"] = Value::Null);
        say(&Recorder::new(stand.client(), &service), "a Secret is in the way").await;
        assert!(stand.events().iter().all(|event| event["count"] != 3));
    }
}
