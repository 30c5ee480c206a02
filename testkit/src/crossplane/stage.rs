//! What the controllers share: the client, the recorder of events, and what the test asked for.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// The manager of Crossplane's updates: the name of the recorded run's program.
pub(super) const MANAGER: &str = "crossplane-bin";

/// How long Crossplane waits before it looks again at something that did not change.
pub(super) const POLL: Duration = Duration::from_secs(60);

/// The namespace where Crossplane keeps what is its own.
pub(super) const OWN_NAMESPACE: &str = "crossplane-system";

/// What Crossplane says of an object that its user paused.
pub(super) const PAUSED: &str = "Reconciliation (including deletion) is paused via the pause annotation";

/// What a test asked for one claim or namespaced composite.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// Composing fails with this message.
    pub(super) failing: Option<String>,
    /// The connection details, instead of the recorded ones.
    pub(super) details: Option<BTreeMap<String, String>>,
}

/// Shared by all controllers.
pub(super) struct Stage {
    pub(super) client: Client,
    // By namespace and name.
    wishes: Mutex<HashMap<(String, String), Wish>>,
    changed: broadcast::Sender<()>,
    // What was recorded about whom: name and count, as client-go's correlator keeps it.
    pub(super) events: tokio::sync::Mutex<HashMap<String, (String, i32)>>,
    log: Mutex<File>,
    /// Whether claims and composites are reconciled; else their APIs are offered and their objects are left alone.
    pub(super) reconciles: bool,
}

impl Stage {
    pub(super) fn new(client: Client, log: File, reconciles: bool) -> Self {
        let (changed, _) = broadcast::channel(16);
        let (wishes, log) = (Mutex::default(), Mutex::new(log));
        Self { client, wishes, changed, events: tokio::sync::Mutex::default(), log, reconciles }
    }

    pub(super) fn wish(&self, namespace: &str, name: &str) -> Wish {
        let wishes = self.wishes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        wishes.get(&(namespace.to_owned(), name.to_owned())).cloned().unwrap_or_default()
    }

    pub(super) fn change_wish(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Wish)) {
        let mut wishes = self.wishes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        change(wishes.entry((namespace.to_owned(), name.to_owned())).or_default());
        // Nobody listens before the first XRD; then there is nobody to tell.
        let _ = self.changed.send(());
    }

    /// An item whenever a wish changed.
    pub(super) fn changes(&self) -> impl futures::Stream<Item = ()> + Send + 'static {
        futures::stream::unfold(self.changed.subscribe(), |mut changes| async move {
            match changes.recv().await {
                // To have missed some is as good as one more.
                Ok(()) | Err(broadcast::error::RecvError::Lagged(_)) => Some(((), changes)),
                // For ever: a controller ends with its watches, not with this.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        })
    }

    /// Ends one reconcile: what went wrong is tried again soon.
    pub(super) fn settle(&self, what: &str, outcome: Result<Action>) -> Action {
        outcome.unwrap_or_else(|error| {
            // Conflicts are everyday life between two controllers of one object.
            if is_conflict(&error) {
                return Action::requeue(Duration::from_millis(10));
            }
            let mut log = self.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let _ = writeln!(log, "{} {what}: {error:#}", Timestamp::now());
            Action::requeue(Duration::from_millis(300))
        })
    }

    pub(super) fn api(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }
}

/// Writes as Crossplane's own manager.
pub(super) fn parameters() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

pub(super) fn apply(manager: &str) -> PatchParams {
    PatchParams::apply(manager).force()
}

/// The time as Kubernetes writes it.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<kube::Error>(), Some(kube::Error::Api(status)) if status.code == 409)
}

/// `Ok(None)` where the object is gone.
pub(super) fn if_found<T>(result: kube::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sets a condition. Its time changes when anything else of it does, the generation included.
pub(super) fn set_condition(object: &mut DynamicObject, kind: &str, status: bool, reason: &str, message: Option<&str>) {
    let mut condition = json!({
        "type": kind,
        "status": if status { "True" } else { "False" },
        "reason": reason,
        "observedGeneration": object.metadata.generation,
    });
    if let Some(message) = message {
        condition["message"] = json!(message);
    }
    if !object.data["status"].is_object() {
        object.data["status"] = json!({});
    }
    if !object.data["status"]["conditions"].is_array() {
        object.data["status"]["conditions"] = json!([]);
    }
    let Value::Array(conditions) = &mut object.data["status"]["conditions"] else { return };
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        Some(before) => {
            condition["lastTransitionTime"] = before["lastTransitionTime"].clone();
            if *before != condition {
                condition["lastTransitionTime"] = json!(now());
                *before = condition;
            }
        }
        None => {
            condition["lastTransitionTime"] = json!(now());
            conditions.push(condition);
        }
    }
}

/// A condition's status and reason.
pub(super) fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    object.data["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

pub(super) fn is_true(object: &DynamicObject, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Whether an object is being deleted.
pub(super) fn is_going(object: &DynamicObject) -> bool {
    object.metadata.deletion_timestamp.is_some()
}

/// Whether its user paused it.
pub(super) fn is_paused(object: &DynamicObject) -> bool {
    object.annotations().get("crossplane.io/paused").is_some_and(|paused| paused == "true")
}

/// Puts the finalizer on, and the object into the cluster; does nothing if it is there.
pub(super) async fn add_finalizer(api: &Api<DynamicObject>, object: &mut DynamicObject, finalizer: &str) -> Result<()> {
    if !object.finalizers().iter().any(|there| there == finalizer) {
        object.finalizers_mut().push(finalizer.to_owned());
        *object = api.replace(&object.name_any(), &parameters(), object).await?;
    }
    Ok(())
}

/// Takes the finalizer off. The object may be gone by then.
pub(super) async fn remove_finalizer(
    api: &Api<DynamicObject>,
    object: &mut DynamicObject,
    finalizer: &str,
) -> Result<()> {
    if object.finalizers().iter().any(|there| there == finalizer) {
        object.finalizers_mut().retain(|there| there != finalizer);
        if let Some(after) = if_found(api.replace(&object.name_any(), &parameters(), object).await)? {
            *object = after;
        }
    }
    Ok(())
}

/// Writes the status if it is not the one in `before`, and takes over what the cluster answers.
pub(super) async fn write_status(api: &Api<DynamicObject>, object: &mut DynamicObject, before: &Value) -> Result<()> {
    if object.data["status"] != *before
        && let Some(after) = if_found(api.replace_status(&object.name_any(), &parameters(), object).await)?
    {
        *object = after;
    }
    Ok(())
}

/// The reference by which `object` owns and controls something.
pub(super) fn controller_of(object: &DynamicObject) -> Value {
    let types = object.types.clone().unwrap_or_default();
    json!({
        "apiVersion": types.api_version,
        "kind": types.kind,
        "name": object.name_any(),
        "uid": object.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The labels or annotations that travel from a claim: all but Kubernetes' own.
pub(super) fn propagated(map: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let ours = |key: &String| {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        !["kubernetes.io", "k8s.io"].iter().any(|of| domain == *of || domain.ends_with(&format!(".{of}")))
    };
    map.iter().filter(|(key, _)| ours(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A name of its own for what is made for another, as `my-cluster-gr7rt`: Kubernetes' alphabet without vowels and look-alikes.
pub(super) fn generated_name(base: &str) -> String {
    use std::hash::{BuildHasher, Hasher};
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut random = std::hash::RandomState::new().build_hasher().finish();
    let base: String = base.chars().take(57).collect();
    let mut name = format!("{base}-");
    for _ in 0..5 {
        name.push(char::from(ALPHABET[(random % ALPHABET.len() as u64) as usize]));
        random /= ALPHABET.len() as u64;
    }
    name
}

/// The first `digits` hex digits of a digest, for names that stay the same.
pub(super) fn digest(of: &str, digits: usize) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(of.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..digits].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_own_keys_do_not_travel() {
        let keys = [
            "team",
            "example.org/team",
            "app.kubernetes.io/name",
            "kubernetes.io/x",
            "x.k8s.io/y",
            "k8s.io/z",
            "notk8s.io/stays",
            "mcp-connector.upbound.io/app-cluster",
        ];
        let map = keys.iter().map(|&key| (key.to_owned(), String::new())).collect();
        let travelled: Vec<_> = propagated(&map).into_keys().collect();
        assert_eq!(travelled, ["example.org/team", "mcp-connector.upbound.io/app-cluster", "notk8s.io/stays", "team"]);
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_changes() {
        let resource = ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: "X".to_owned(),
            plural: "xs".to_owned(),
        };
        let mut object = DynamicObject::new("x", &resource);
        set_condition(&mut object, "Ready", false, "Waiting", Some("for what"));
        object.data["status"]["conditions"][0]["lastTransitionTime"] = json!("then");
        set_condition(&mut object, "Ready", false, "Waiting", Some("for what"));
        assert_eq!(object.data["status"]["conditions"][0]["lastTransitionTime"], "then");
        set_condition(&mut object, "Ready", true, "Available", None);
        let ready = &object.data["status"]["conditions"][0];
        assert_ne!(ready["lastTransitionTime"], "then");
        assert_eq!(ready.get("message"), None);
        object.data["status"]["conditions"][0]["lastTransitionTime"] = json!("then");
        object.metadata.generation = Some(2);
        set_condition(&mut object, "Ready", true, "Available", None);
        assert_ne!(object.data["status"]["conditions"][0]["lastTransitionTime"], "then");
    }
}
