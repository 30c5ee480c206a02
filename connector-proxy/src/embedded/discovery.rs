//! Which APIs there are, in the form of one document for all and in the older form of one for each version.

use connector_core::status::Status;
use http::header::{ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::api::Api;
use super::kinds::{Kind, api_version};
use super::media::{self, Answer, Body};
use super::object;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const SUB_VERBS: &[&str] = &["get", "patch", "update"];

/// `/api` and `/apis`, in the form that the client likes best.
pub(super) fn root(api: &Api, core: bool, parts: &Parts) -> Answer {
    let clauses = media::clauses(&parts.headers);
    for clause in &clauses {
        let aggregated = clause.param("g") == "apidiscovery.k8s.io";
        if aggregated && clause.param("v") == "v2" && clause.param("as") == "APIGroupDiscoveryList" {
            return Ok(aggregated_root(api, core, parts));
        }
        if !aggregated && clause.is_json() && clause.param("as").is_empty() {
            break;
        }
    }
    if !clauses.is_empty() && !clauses.iter().any(|clause| clause.is_json() && clause.param("as").is_empty()) {
        return Err(Status::not_acceptable("application/json"));
    }
    let document = if core {
        json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
    } else {
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups(api)})
    };
    Ok(media::document(StatusCode::OK, &document))
}

fn aggregated_root(api: &Api, core: bool, parts: &Parts) -> Response<Body> {
    let items = aggregated_items(api, core);
    let document = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    let mut bytes = object::to_json(&document);
    bytes.push(b'\n');
    let etag = format!("\"{}\"", object::content_hash(&bytes));
    let unchanged = parts.headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response = if unchanged {
        media::typed(StatusCode::NOT_MODIFIED, AGGREGATED, Vec::new())
    } else {
        media::typed(StatusCode::OK, AGGREGATED, bytes)
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// One item for each group; versions that an aggregated server serves come out of its own document.
fn aggregated_items(api: &Api, core: bool) -> Vec<Value> {
    let kinds = api.kinds();
    let aggregated = api.aggregator.as_ref().map(|aggregator| aggregator.versions()).unwrap_or_default();
    let mut items: Vec<(String, Vec<Value>)> = Vec::new();
    for (group, versions) in kinds.groups().filter(|(group, _)| group.is_empty() == core) {
        let own = versions.iter().filter(|(version, _)| {
            !aggregated.iter().any(|remote| remote.group == group && remote.version == *version)
        });
        let own = own.map(|(version, kinds)| {
            let resources: Vec<Value> = kinds.iter().map(|kind| aggregated_resource(kind)).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        });
        items.push((group.to_owned(), own.collect()));
    }
    for remote in aggregated.iter().filter(|_| !core) {
        let version = json!({
            "version": remote.version, "resources": remote.resources,
            "freshness": if remote.is_stale { "Stale" } else { "Current" }
        });
        match items.iter_mut().find(|(group, _)| *group == remote.group) {
            Some((_, versions)) => versions.push(version),
            None => items.push((remote.group.clone(), vec![version])),
        }
    }
    let items = items.into_iter().filter(|(_, versions)| !versions.is_empty());
    items
        .map(|(group, versions)| json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions}))
        .collect()
}

fn scope(kind: &Kind) -> &'static str {
    if kind.namespaced { "Namespaced" } else { "Cluster" }
}

fn aggregated_resource(kind: &Kind) -> Value {
    let own = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let mut subresources = Vec::new();
    if kind.status {
        subresources.push(json!({"subresource": "status", "responseKind": own, "verbs": SUB_VERBS}));
    }
    if kind.scale.is_some() {
        let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        subresources.push(json!({"subresource": "scale", "responseKind": scale, "verbs": SUB_VERBS}));
    }
    let mut resource = json!({
        "resource": kind.plural, "responseKind": own, "scope": scope(kind), "singularResource": kind.singular, "verbs": kind.verbs()
    });
    let lists = [("shortNames", &kind.short_names), ("categories", &kind.categories)];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        resource[name] = json!(list);
    }
    if !subresources.is_empty() {
        resource["subresources"] = subresources.into();
    }
    resource
}

/// The groups of the older form, those of aggregated servers among them.
fn groups(api: &Api) -> Vec<Value> {
    let kinds = api.kinds();
    let mut groups: Vec<(String, Vec<String>)> = kinds
        .groups()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| (group.to_owned(), versions.iter().map(|(version, _)| version.clone()).collect()))
        .collect();
    for remote in api.aggregator.as_ref().map(|aggregator| aggregator.versions()).unwrap_or_default() {
        match groups.iter_mut().find(|(group, _)| *group == remote.group) {
            Some((_, versions)) if versions.contains(&remote.version) => {}
            Some((_, versions)) => versions.push(remote.version),
            None => groups.push((remote.group, vec![remote.version])),
        }
    }
    groups.iter().map(|(group, versions)| api_group(group, versions)).collect()
}

fn api_group(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": api_version(group, version), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// `/apis/<group>`.
pub(super) fn group(api: &Api, group: &str) -> Answer {
    let mut found = groups(api).into_iter().find(|found| found["name"] == group).ok_or_else(Status::no_such_path)?;
    let members = found.as_object_mut().into_iter();
    for members in members {
        members.insert("kind".into(), "APIGroup".into());
        members.insert("apiVersion".into(), "v1".into());
    }
    Ok(media::document(StatusCode::OK, &found))
}

/// `/api/v1` and `/apis/<group>/<version>`.
pub(super) fn version(api: &Api, group: &str, version: &str) -> Answer {
    let kinds = api.kinds();
    let kinds = kinds.version(group, version).ok_or_else(Status::no_such_path)?;
    let resources: Vec<Value> = kinds.iter().flat_map(|kind| legacy_resources(kind)).collect();
    let document = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version), "resources": resources
    });
    Ok(media::document(StatusCode::OK, &document))
}

fn legacy_resources(kind: &Kind) -> Vec<Value> {
    let resource = |name: String, kind_name: &str, verbs: &[&str]| {
        let mut members = Map::new();
        members.insert("name".into(), name.into());
        members.insert("singularName".into(), "".into());
        members.insert("namespaced".into(), kind.namespaced.into());
        members.insert("kind".into(), kind_name.into());
        members.insert("verbs".into(), json!(verbs));
        members
    };
    let mut main = resource(kind.plural.clone(), &kind.kind, kind.verbs());
    main.insert("singularName".into(), kind.singular.clone().into());
    let lists = [("shortNames", &kind.short_names), ("categories", &kind.categories)];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        main.insert(name.into(), json!(list));
    }
    if !kind.review {
        let hash = object::content_hash(format!("{}/{}/{}", kind.group, kind.version, kind.kind).as_bytes());
        main.insert("storageVersionHash".into(), hash.into());
    }
    let mut all = vec![Value::Object(main)];
    if kind.status {
        all.push(resource(format!("{}/status", kind.plural), &kind.kind, SUB_VERBS).into());
    }
    if kind.scale.is_some() {
        let mut scale = resource(format!("{}/scale", kind.plural), "Scale", SUB_VERBS);
        scale.insert("group".into(), "autoscaling".into());
        scale.insert("version".into(), "v1".into());
        all.push(scale.into());
    }
    all
}
