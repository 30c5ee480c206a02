//! OpenAPI: enough of versions 3 and 2 for `kubectl explain`, and for clients that look whether the server checks fields.

use connector_core::status::Status;
use http::StatusCode;
use http::header::{ETAG, HeaderValue};
use http::request::Parts;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::kinds::{Kind, api_version};
use super::media::{self, Answer};
use super::object;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// `/openapi/v3`: where each version's document is.
pub(super) fn root(api: &Api) -> Answer {
    let kinds = api.kinds();
    let mut paths = Map::new();
    for (group, versions) in kinds.groups() {
        for (version, kinds) in versions {
            let path = path(group, version);
            let hash = object::content_hash(&object::to_json(&document(group, version, kinds)));
            paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}));
        }
    }
    if let Some(aggregator) = &api.aggregator {
        paths.extend(aggregator.openapi_paths());
    }
    Ok(media::document(StatusCode::OK, &json!({"paths": paths})))
}

fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// `/openapi/v3/api/v1` and `/openapi/v3/apis/<group>/<version>`.
pub(super) fn version(api: &Api, group: &str, version: &str, parts: &Parts) -> Answer {
    let clauses = media::clauses(&parts.headers);
    if !clauses.is_empty() && !clauses.iter().any(media::Clause::is_json) {
        return Err(Status::not_acceptable("application/json"));
    }
    let kinds = api.kinds();
    let kinds = kinds.version(group, version).ok_or_else(Status::no_such_path)?;
    let document = document(group, version, kinds);
    let mut response = media::document(StatusCode::OK, &document);
    let etag = format!("\"{}\"", object::content_hash(&object::to_json(&document)));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

/// `/openapi/v2` in JSON only; there are no paths in it, as clients of today read version 3.
pub(super) fn v2(parts: &Parts) -> Answer {
    let clauses = media::clauses(&parts.headers);
    if !clauses.is_empty() && !clauses.iter().any(|clause| clause.is_json() || clause.media() == "*/*") {
        return Err(Status::not_acceptable("application/json"));
    }
    let document = json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": super::VERSION}, "paths": {}, "definitions": {}
    });
    Ok(media::document(StatusCode::OK, &document))
}

/// The component name of a kind: the group's labels reversed, as the reference server names them.
fn component(kind: &Kind) -> String {
    let group = match kind.group.as_str() {
        "" => "io.k8s.api.core".to_owned(),
        group => group.rsplit('.').collect::<Vec<_>>().join("."),
    };
    format!("{group}.{}.{}", kind.version, kind.kind)
}

fn reference(component: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{component}")})
}

fn document(group: &str, version: &str, kinds: &[std::sync::Arc<Kind>]) -> Value {
    let (mut paths, mut schemas) = (Map::new(), shared_schemas());
    for kind in kinds {
        let name = component(kind);
        let gvk = json!([{"group": kind.group, "kind": kind.kind, "version": kind.version}]);
        schemas.insert(name.clone(), schema(kind, &gvk));
        let list_gvk = json!([{"group": kind.group, "kind": kind.list_kind, "version": kind.version}]);
        schemas.insert(
            format!("{name}List"),
            json!({
                "description": format!("{} is a list of {}", kind.list_kind, kind.kind), "type": "object", "required": ["items"],
                "properties": {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"},
                    "items": {"type": "array", "items": reference(&name)},
                    "metadata": {"allOf": [reference(&format!("{META}ListMeta"))]}
                },
                "x-kubernetes-group-version-kind": list_gvk
            }),
        );
        add_paths(&mut paths, kind, &name);
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": super::VERSION},
        "paths": paths, "components": {"schemas": schemas},
        "x-group-version": api_version(group, version)
    })
}

fn shared_schemas() -> Map<String, Value> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    let mut schemas = Map::new();
    schemas.insert(
        format!("{META}ObjectMeta"),
        json!({
            "type": "object",
            "description": "ObjectMeta is metadata that all persisted resources must have, which includes all objects users must create.",
            "properties": {
                "name": text("Name must be unique within a namespace."),
                "generateName": text("A prefix of a name that the server makes unique."),
                "namespace": text("The space within which each name must be unique."),
                "labels": texts(), "annotations": texts(),
                "uid": text("The unique in time and space value for this object."),
                "resourceVersion": text("The internal version of this object."),
                "generation": {"type": "integer", "format": "int64"},
                "creationTimestamp": {"type": "string", "format": "date-time"},
                "deletionTimestamp": {"type": "string", "format": "date-time"},
                "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
                "finalizers": {"type": "array", "items": {"type": "string"}},
                "ownerReferences": {"type": "array", "items": {"type": "object"}},
                "managedFields": {"type": "array", "items": {"type": "object"}}
            }
        }),
    );
    let list_meta = json!({"type": "object", "properties": {
        "continue": {"type": "string"}, "remainingItemCount": {"type": "integer", "format": "int64"}, "resourceVersion": {"type": "string"}
    }});
    schemas.insert(format!("{META}ListMeta"), list_meta);
    for name in ["DeleteOptions", "Patch", "Status"] {
        schemas.insert(format!("{META}{name}"), json!({"type": "object"}));
    }
    schemas
}

fn schema(kind: &Kind, gvk: &Value) -> Value {
    let mut schema = kind.schema.as_deref().cloned().unwrap_or_else(|| built_in(&kind.kind));
    schema["x-kubernetes-group-version-kind"] = gvk.clone();
    let properties = object::member_mut(&mut schema, "properties");
    let text = |description: &str| json!({"type": "string", "description": description});
    properties.insert(
        "apiVersion".into(),
        text("APIVersion defines the versioned schema of this representation of an object."),
    );
    properties
        .insert("kind".into(), text("Kind is a string value representing the REST resource this object represents."));
    let metadata = json!({
        "description": "Standard object's metadata.", "allOf": [reference(&format!("{META}ObjectMeta"))]
    });
    properties.insert("metadata".into(), metadata);
    schema
}

/// The members of the built-in kinds whose schema clients look into when they compute a patch.
fn built_in(kind: &str) -> Value {
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    let free = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let properties = match kind {
        "ConfigMap" => json!({"data": texts(), "binaryData": texts(), "immutable": {"type": "boolean"}}),
        "Secret" => json!({
            "data": texts(), "stringData": texts(), "type": {"type": "string"}, "immutable": {"type": "boolean"}
        }),
        "Service" => json!({
            "spec": {"type": "object", "properties": {
                "type": {"type": "string"}, "externalName": {"type": "string"}, "clusterIP": {"type": "string"},
                "selector": texts(),
                "ports": {
                    "type": "array", "x-kubernetes-patch-merge-key": "port", "x-kubernetes-patch-strategy": "merge",
                    "items": {"type": "object", "properties": {
                        "name": {"type": "string"}, "port": {"type": "integer"}, "protocol": {"type": "string"},
                        "targetPort": {"x-kubernetes-int-or-string": true}
                    }}
                }
            }},
            "status": free()
        }),
        "ServiceAccount" => json!({"automountServiceAccountToken": {"type": "boolean"}}),
        _ => json!({"spec": free(), "status": free()}),
    };
    json!({"type": "object", "properties": properties})
}

fn add_paths(paths: &mut Map<String, Value>, kind: &Kind, name: &str) {
    let root = format!("/{}", path(&kind.group, &kind.version));
    if kind.review {
        let path = json!({"post": operation(kind, "create", "post", Some(name), name, &[])});
        paths.insert(format!("{root}/{}", kind.plural), path);
        return;
    }
    let (many, one) = if kind.namespaced {
        let collection = format!("{root}/namespaces/{{namespace}}/{}", kind.plural);
        (collection.clone(), format!("{collection}/{{name}}"))
    } else {
        let collection = format!("{root}/{}", kind.plural);
        (collection.clone(), format!("{collection}/{{name}}"))
    };
    let list = format!("{name}List");
    let options = format!("{META}DeleteOptions");
    let status = format!("{META}Status");
    let patch = format!("{META}Patch");
    let listing = [
        "allowWatchBookmarks",
        "continue",
        "fieldSelector",
        "labelSelector",
        "limit",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "timeoutSeconds",
        "watch",
    ];
    let writing = ["dryRun", "fieldManager", "fieldValidation"];
    let patching = ["dryRun", "fieldManager", "fieldValidation", "force"];
    let item = |extra: Value| {
        let mut item = json!({"parameters": path_parameters(kind, false)});
        item.as_object_mut().into_iter().for_each(|item| item.extend(extra.as_object().cloned().unwrap_or_default()));
        item
    };
    let mut collection = item(json!({
        "get": operation(kind, "list", "get", None, &list, &listing),
        "post": operation(kind, "create", "post", Some(name), name, &writing),
        "delete": operation(kind, "delete", "deletecollection", Some(&options), &status, &listing),
    }));
    collection["parameters"] = path_parameters(kind, true);
    paths.insert(many, collection);
    let object = item(json!({
        "get": operation(kind, "read", "get", None, name, &["resourceVersion"]),
        "put": operation(kind, "replace", "put", Some(name), name, &writing),
        "patch": operation(kind, "patch", "patch", Some(&patch), name, &patching),
        "delete": operation(kind, "delete", "delete", Some(&options), &status, &["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
    }));
    paths.insert(one.clone(), object);
    if kind.namespaced {
        let everywhere = json!({"get": operation(kind, "list", "list", None, &list, &[])});
        paths.insert(format!("{root}/{}", kind.plural), everywhere);
    }
    if kind.status {
        let status = item(json!({
            "get": operation(kind, "read", "get", None, name, &["resourceVersion"]),
            "put": operation(kind, "replace", "put", Some(name), name, &writing),
            "patch": operation(kind, "patch", "patch", Some(&patch), name, &patching),
        }));
        paths.insert(format!("{one}/status"), status);
    }
}

fn path_parameters(kind: &Kind, collection: bool) -> Value {
    let parameter = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}});
    let names = [(!collection).then_some("name"), kind.namespaced.then_some("namespace")];
    names.into_iter().flatten().map(parameter).collect()
}

fn operation(kind: &Kind, verb: &str, action: &str, body: Option<&str>, answer: &str, query: &[&str]) -> Value {
    let group: String = kind.group.split('.').map(capital).collect();
    let group = if group.is_empty() { "Core".to_owned() } else { group };
    let scope = if kind.namespaced { "Namespaced" } else { "" };
    let collection = if action == "deletecollection" { "Collection" } else { "" };
    let parameters: Vec<Value> = query
        .iter()
        .map(|name| {
            let kind = match *name {
                "allowWatchBookmarks" | "force" | "sendInitialEvents" | "watch" => "boolean",
                "gracePeriodSeconds" | "limit" | "timeoutSeconds" => "integer",
                _ => "string",
            };
            json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
        })
        .collect();
    let content = json!({"application/json": {"schema": reference(answer)}});
    let action = if action == "get" && verb == "list" { "list" } else { action };
    let mut operation = json!({
        "operationId": format!("{verb}{collection}{group}{}{scope}{}", capital(&kind.version), kind.kind),
        "tags": [format!("{}_{}", lower(&group), kind.version)],
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": content}, "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "kind": kind.kind, "version": kind.version}
    });
    if let Some(body) = body {
        // Wire rule 4.12: clients choose the patch format by this list.
        let mut types = match action {
            "patch" => {
                vec!["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]
            }
            _ => vec!["application/json"],
        };
        if action == "patch" && !kind.custom {
            types.push("application/strategic-merge-patch+json");
        }
        let content: Map<String, Value> =
            types.into_iter().map(|media| (media.to_owned(), json!({"schema": reference(body)}))).collect();
        operation["requestBody"] = json!({"content": content, "required": !action.starts_with("delete")});
    }
    operation
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn lower(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}
