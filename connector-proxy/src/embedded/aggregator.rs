//! The aggregation layer: versions that an APIService gives to a Service are served by what stands behind it.
//!
//! Probes, discovery and OpenAPI are refreshed every few seconds and at each change of an APIService or a Service; real
//! clusters take 30 s and a minute (wire rules 2.3, 3.6, 4.6).

mod backend;
mod proxy;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Method;
use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use super::api::{Api, api_services};
use super::identity::Identity;
use super::object;
use super::pki::Credential;
use super::store::{Decision, Key, Resource, Shared};
use backend::{Backend, Place};
pub(crate) use proxy::Route;

/// How long a good state is believed.
const REFRESH: Duration = Duration::from_secs(10);
/// How soon a bad state is looked at again.
const RETRY: Duration = Duration::from_millis(250);
/// How long a backend may take for probes, discovery and OpenAPI (wire rule 2.1).
const PATIENCE: Duration = Duration::from_secs(5);

/// One aggregation layer.
pub(crate) struct Aggregator {
    credential: Arc<Credential>,
    registered: RwLock<BTreeMap<(String, String), Registered>>,
}

/// A group and version that a Service serves.
#[derive(Clone)]
struct Registered {
    backend: Result<Arc<Backend>, Unavailable>,
    available: Result<(), Unavailable>,
    /// The `resources` of the aggregated discovery form, as last seen.
    resources: Vec<Value>,
    /// Its entry in the root of OpenAPI v3, as last seen.
    openapi: Option<Value>,
}

/// Reason and message of a condition `Available` that is not true (wire rule 2.4).
#[derive(Clone, Debug)]
struct Unavailable(&'static str, String);

/// What a Service serves of a group and version.
pub(crate) struct RemoteVersion {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resources: Vec<Value>,
    pub(crate) is_stale: bool,
}

/// A resource that an aggregated server serves.
pub(crate) struct RemoteResource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
}

impl Aggregator {
    pub(super) fn new(credential: Credential) -> Self {
        Self { credential: Arc::new(credential), registered: RwLock::default() }
    }

    fn registered(&self) -> BTreeMap<(String, String), Registered> {
        self.registered.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The way to what serves a group and version, unless it is this server itself.
    pub(crate) fn route(&self, group: &str, version: &str) -> Option<Route> {
        let registered = self.registered.read().unwrap_or_else(PoisonError::into_inner);
        let found = registered.get(&(group.to_owned(), version.to_owned()))?;
        Some(Route::new(match (&found.available, &found.backend) {
            (Ok(()), Ok(backend)) => Some(backend.clone()),
            _ => None,
        }))
    }

    /// All groups and versions that Services serve.
    pub(crate) fn versions(&self) -> Vec<RemoteVersion> {
        let registered = self.registered().into_iter();
        registered
            .map(|((group, version), found)| RemoteVersion {
                group,
                version,
                is_stale: found.available.is_err(),
                resources: if found.available.is_ok() { found.resources } else { Vec::new() },
            })
            .collect()
    }

    /// The entries that Services add to the root of OpenAPI v3.
    pub(crate) fn openapi_paths(&self) -> Map<String, Value> {
        let registered = self.registered().into_iter();
        registered
            .filter_map(|((group, version), found)| Some((format!("apis/{group}/{version}"), found.openapi?)))
            .collect()
    }

    /// Resources of namespaces that Services serve and that can be deleted; the error tells which version is stale.
    pub(crate) fn namespaced_resources(&self) -> Result<Vec<RemoteResource>, String> {
        let mut found = Vec::new();
        for remote in self.versions() {
            let RemoteVersion { group, version, resources, is_stale } = remote;
            if is_stale {
                return Err(format!("stale GroupVersion discovery: {group}/{version}"));
            }
            let namespaced = resources.iter().filter(|resource| {
                let verbs = resource["verbs"].as_array();
                resource["scope"] == "Namespaced"
                    && verbs.is_some_and(|verbs| verbs.iter().any(|verb| verb == "delete"))
            });
            found.extend(namespaced.filter_map(|resource| {
                let plural = resource["resource"].as_str()?.to_owned();
                Some(RemoteResource { group: group.clone(), version: version.clone(), plural })
            }));
        }
        Ok(found)
    }
}

/// Watches APIServices and what is behind them, as long as the cluster runs.
pub(super) async fn run(api: Arc<Api>) {
    let Some(aggregator) = &api.aggregator else { return };
    let (mut registrations, mut services) = (api.store.bell(&api_services()), api.store.bell(&services()));
    loop {
        registrations.mark_unchanged();
        services.mark_unchanged();
        let good = round(&api, aggregator).await;
        tokio::select! {
            changed = registrations.changed() => if changed.is_err() { return },
            changed = services.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(if good { REFRESH } else { RETRY }) => {}
        }
    }
}

fn services() -> Resource {
    Resource::new("", "services")
}

/// Looks at every APIService once; whether all are well.
async fn round(api: &Api, aggregator: &Aggregator) -> bool {
    let before = aggregator.registered();
    let mut backends: Vec<Arc<Backend>> =
        before.values().filter_map(|registered| registered.backend.as_ref().ok().cloned()).collect();
    let mut wanted = BTreeMap::new();
    for registration in api.all(&api_services()) {
        let spec = &registration.value()["spec"];
        if !spec["service"].is_object() {
            continue;
        }
        let text = |name: &str| spec[name].as_str().unwrap_or_default().to_owned();
        let id = (text("group"), text("version"));
        let backend = place(api, spec).and_then(|place| {
            if let Some(known) = backends.iter().find(|known| *known.place() == place) {
                return Ok(known.clone());
            }
            let made = Backend::new(place, &aggregator.credential);
            let made = Arc::new(made.map_err(|message| Unavailable("FailedDiscoveryCheck", message))?);
            backends.push(made.clone());
            Ok(made)
        });
        wanted.insert(id, (registration, backend));
    }
    let looks = wanted.into_iter().map(|(id, (registration, backend))| {
        let known = before.get(&id).cloned();
        async move {
            let registered = look(&id, backend, known).await;
            (id, registration, registered)
        }
    });
    let looked = futures::future::join_all(looks).await;
    let good = looked.iter().all(|(_, _, registered)| registered.available.is_ok() && !registered.resources.is_empty());
    let mut registered = BTreeMap::new();
    let mut conditions = Vec::new();
    for (id, registration, found) in looked {
        conditions.push((registration, found.available.clone()));
        registered.insert(id, found);
    }
    *aggregator.registered.write().unwrap_or_else(PoisonError::into_inner) = registered;
    for (registration, available) in conditions {
        tell(api, &registration, &available);
    }
    good
}

/// Where the Service of an APIService is to be dialled (wire rules 1.5, 1.10, 1.14).
fn place(api: &Api, spec: &Value) -> Result<Place, Unavailable> {
    let (namespace, name) = (object::text_at(spec, "/service/namespace"), object::text_at(spec, "/service/name"));
    let port = spec.pointer("/service/port").and_then(Value::as_u64).unwrap_or(443);
    let service = api
        .store
        .get(&services(), &Key::new(namespace, name))
        .ok_or_else(|| Unavailable("ServiceNotFound", format!("service/{name} in {namespace:?} is not present")))?;
    let host = object::text_at(service.value(), "/spec/externalName");
    if host.is_empty() {
        let message =
            format!("service/{name} in {namespace:?} is not of type ExternalName, and nothing here routes to others");
        return Err(Unavailable("EndpointsNotFound", message));
    }
    let bundle: Option<ByteString> =
        spec.get("caBundle").and_then(|bundle| serde_json::from_value(bundle.clone()).ok());
    Ok(Place {
        host: host.to_owned(),
        port: u16::try_from(port).unwrap_or_default(),
        server_name: format!("{name}.{namespace}.svc"),
        authority_pem: bundle.unwrap_or_default().0,
    })
}

/// Probes one version and reads its documents.
async fn look(
    id: &(String, String),
    backend: Result<Arc<Backend>, Unavailable>,
    known: Option<Registered>,
) -> Registered {
    let (resources, openapi) = known.map(|known| (known.resources, known.openapi)).unwrap_or_default();
    let mut found = Registered { available: Ok(()), backend, resources, openapi };
    let backend = match &found.backend {
        Ok(backend) => backend.clone(),
        Err(unavailable) => {
            found.available = Err(unavailable.clone());
            return found;
        }
    };
    let (group, version) = id;
    let route = Route::new(Some(backend));
    let identity = Identity::aggregator();
    let get = |path: String, accept: &'static str| {
        let (route, identity) = (&route, &identity);
        async move {
            let answer = route.fetch(Method::GET, &path, accept, None, identity);
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok((code, body))) if code.is_success() => Ok(body),
                Ok(Ok((code, _))) => Err(format!("bad status from {path}: {}", code.as_u16())),
                Ok(Err(message)) => Err(format!("failing or missing response from {path}: {message}")),
                Err(_) => Err(format!("failing or missing response from {path}: timed out")),
            }
        }
    };
    if let Err(message) = get(format!("/apis/{group}/{version}"), "").await {
        found.available = Err(Unavailable("FailedDiscoveryCheck", message));
        return found;
    }
    // Wire rules 3.1 to 3.4: a failure leaves what was known.
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    if let Ok(document) = get("/apis".into(), accept).await
        && let Ok(document) = serde_json::from_slice::<Value>(&document)
    {
        found.resources = discovered(&document, group, version);
    }
    if let Ok(document) = get("/openapi/v3".into(), "").await
        && let Ok(mut document) = serde_json::from_slice::<Value>(&document)
    {
        found.openapi = document["paths"].get_mut(format!("apis/{group}/{version}")).map(Value::take);
    }
    found
}

fn discovered(document: &Value, group: &str, version: &str) -> Vec<Value> {
    let items = document["items"].as_array().into_iter().flatten();
    let versions = items.filter(|item| item["metadata"]["name"] == group).flat_map(|item| item["versions"].as_array());
    let found = versions.flatten().find(|found| found["version"] == version);
    found.and_then(|found| found["resources"].as_array().cloned()).unwrap_or_default()
}

/// Writes the condition `Available`, where it has changed.
fn tell(api: &Api, registration: &Shared, available: &Result<(), Unavailable>) {
    let (status, reason, message) = match available {
        Ok(()) => ("True", "Passed", "all checks passed"),
        Err(Unavailable(reason, message)) => ("False", *reason, message.as_str()),
    };
    let outcome = api.store.change(&api_services(), &registration.key(), |present| {
        let Some(present) = present else { return Ok::<_, std::convert::Infallible>(Decision::Keep) };
        let condition = present.value().pointer("/status/conditions/0");
        let text = |name: &str| condition.and_then(|condition| condition[name].as_str()).unwrap_or_default();
        if (text("status"), text("reason"), text("message")) == (status, reason, message) {
            return Ok(Decision::Keep);
        }
        let since = if text("status") == status { text("lastTransitionTime").to_owned() } else { object::now() };
        let mut object = present.value().clone();
        object["status"] = json!({"conditions": [{
            "type": "Available", "status": status, "reason": reason, "message": message, "lastTransitionTime": since
        }]});
        Ok(Decision::Put(object))
    });
    let Ok(_) = outcome;
}
