//! The recorder of events, and whose they are.

use anyhow::Result;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{MANAGER, Stage, now, parameters};

impl Stage {
    /// Records an event about `object` as client-go's recorder does: through core/v1, once more of the same as a higher count.
    pub(super) async fn event(
        &self,
        controller: Controller<'_>,
        object: &DynamicObject,
        level: Level,
        reason: &str,
        note: &str,
    ) -> Result<()> {
        let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
        let api = Api::<Event>::namespaced(self.client.clone(), &namespace);
        let now = now();
        let level = match level {
            Level::Normal => "Normal",
            Level::Warning => "Warning",
        };
        let component = controller.component();
        let key = format!("{:?}/{level}/{reason}/{note}/{component}", object.uid());
        // Held across the calls, so that counts arrive in order.
        let mut events = self.events.lock().await;
        if let Some((name, count)) = events.get_mut(&key) {
            let patch = json!({ "count": *count + 1, "lastTimestamp": now });
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            match api.patch(name, &params, &Patch::Strategic(patch)).await {
                Ok(_) => {
                    *count += 1;
                    return Ok(());
                }
                // It went with its namespace, or ran out: a new one follows.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error.into()),
            }
        }
        let types = object.types.clone().unwrap_or_default();
        let name = format!("{}.{:x}", object.name_any(), Timestamp::now().as_nanosecond());
        let event: Event = serde_json::from_value(json!({
            "metadata": { "name": name, "namespace": namespace, "annotations": controller.annotations() },
            "involvedObject": {
                "apiVersion": types.api_version,
                "kind": types.kind,
                "namespace": object.namespace(),
                "name": object.name_any(),
                "uid": object.uid(),
                "resourceVersion": object.resource_version(),
            },
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "type": level,
            "reason": reason,
            "message": note,
            "source": { "component": component },
            "reportingComponent": component,
        }))?;
        match api.create(&parameters(), &event).await {
            Ok(_) => {
                events.insert(key, (name, 1));
            }
            // Nothing can be created in a namespace that is going.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// How grave an event is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Level {
    Normal,
    Warning,
}

/// Which of Crossplane's controllers records an event, each for one XRD.
#[derive(Clone, Copy, Debug)]
pub(super) enum Controller<'a> {
    Offered,
    Defined,
    /// Its XRD; and the claim's composite, if it was bound when its reconcile began.
    Claim(&'a str, Option<&'a str>),
    Composite(&'a str),
}

impl Controller<'_> {
    fn component(self) -> &'static str {
        match self {
            Self::Offered | Self::Claim(..) => "offered/compositeresourcedefinition.apiextensions.crossplane.io",
            Self::Defined | Self::Composite(_) => "defined/compositeresourcedefinition.apiextensions.crossplane.io",
        }
    }

    fn annotations(self) -> Value {
        match self {
            Self::Offered | Self::Defined => Value::Null,
            Self::Composite(xrd) => json!({ "controller": format!("composite/{xrd}") }),
            Self::Claim(xrd, composite) => {
                let mut annotations = json!({ "controller": format!("claim/{xrd}"), "external-name": "" });
                if let Some(composite) = composite {
                    annotations["composite-name"] = json!(composite);
                }
                annotations
            }
        }
    }
}
