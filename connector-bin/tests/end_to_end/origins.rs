//! Whose an object is: neither to be changed nor to be passed by, in any verb.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::raw::Raw;
use crate::setup::{CLAIM_NAMESPACE, Corridor, EXAMPLE_API, claim, json};

const GROUP: &str = "/apis/k8s.starter.org/v1alpha1";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";
const PARTIALS: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
const MERGE: (&str, &str) = ("content-type", "application/merge-patch+json");
const JSON_PATCH: (&str, &str) = ("content-type", "application/json-patch+json");
const APPLY: (&str, &str) = ("content-type", "application/apply-patch+yaml");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Method, path, headers and body of a request.
type Written<'a> = (&'a str, String, Vec<(&'a str, &'a str)>, &'a str);

fn object(metadata: &Value) -> Value {
    json!({
        "apiVersion": EXAMPLE_API,
        "kind": "KubernetesCluster",
        "metadata": metadata,
        "spec": { "id": "x", "parameters": { "nodes": { "count": 1, "size": "small" } } },
    })
}

fn all(namespace: &str) -> String {
    format!("{GROUP}/namespaces/{namespace}/kubernetesclusters")
}

/// Wire rule 11.17: whoever sets, changes or removes a label or annotation of ours, with whatever verb, reads 422 and why.
#[tokio::test]
async fn what_is_ours_is_refused_in_every_write() -> Result<()> {
    let corridor = Corridor::start().await?;
    corridor.app.kubectl().apply(&claim("default", "db")).await?;
    let raw = Raw::admin_of(&corridor.app).await?;
    let all = all("default");
    let one = format!("{all}/db");
    let stored = json(&corridor.control_plane.kubectl(), &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    let keys = ["app-cluster", "app-namespace", "app-resource-name", "anything"];
    for map in ["labels", "annotations"] {
        for key in keys {
            let key = format!("mcp-connector.upbound.io/{key}");
            let escaped = key.replace('/', "~1");
            let path = format!("/metadata/{map}/{escaped}");
            let with = |name: &str| object(&json!({ "name": name, map: { &key: "taken" } })).to_string();
            let patch = json!({ "metadata": { map: { &key: "taken" } } }).to_string();
            let removal = json!({ "metadata": { map: { &key: null } } }).to_string();
            let ops = |op: Value| json!([op]).to_string();
            let writes = [
                ("POST", all.clone(), JSON, with("new")),
                ("POST", format!("{all}?dryRun=All"), JSON, with("new")),
                ("PUT", one.clone(), JSON, with("db")),
                ("PUT", format!("{one}/status"), JSON, with("db")),
                ("PATCH", one.clone(), MERGE, patch.clone()),
                ("PATCH", format!("{one}/status"), MERGE, patch),
                ("PATCH", one.clone(), MERGE, removal),
                ("PATCH", one.clone(), JSON_PATCH, ops(json!({ "op": "add", "path": path, "value": "taken" }))),
                ("PATCH", one.clone(), JSON_PATCH, ops(json!({ "op": "replace", "path": path, "value": "taken" }))),
                ("PATCH", one.clone(), JSON_PATCH, ops(json!({ "op": "remove", "path": path }))),
                ("PATCH", one.clone(), JSON_PATCH, ops(json!({ "op": "test", "path": path, "value": "default" }))),
                (
                    "PATCH",
                    one.clone(),
                    JSON_PATCH,
                    ops(json!({ "op": "copy", "from": path, "path": "/metadata/labels/x" })),
                ),
                (
                    "PATCH",
                    one.clone(),
                    JSON_PATCH,
                    ops(json!({ "op": "add", "path": format!("/metadata/{map}"), "value": { &key: "taken" } })),
                ),
                ("PATCH", format!("{one}?fieldManager=m&force=true"), APPLY, with("db")),
                ("PATCH", format!("{all}/new?fieldManager=m"), APPLY, with("new")),
            ];
            for (method, path, content_type, body) in writes {
                let answer = raw.ask(method, &path, &[content_type], &body).await?;
                let told = answer.json()?;
                let what = format!("{method} {path} {body}");
                ensure!(answer.status == 422, "{what}: {} {told}", answer.status);
                // What is only read is not there, as for any key that the user does not see.
                let reads = body.contains(r#""op":"test""#) || body.contains(r#""op":"copy""#);
                let named = told["message"].as_str().is_some_and(|told| told.contains(&key));
                ensure!(named || reads, "{what}: {told}");
            }
        }
    }
    let now = json(&corridor.control_plane.kubectl(), &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    let labels = |of: &Value| of["items"][0]["metadata"]["labels"].clone();
    ensure!(now["items"].as_array().map(Vec::len) == Some(1) && labels(&now) == labels(&stored), "{now}");
    Ok(())
}

/// Wire rules 6.15, 8.7: what is another's in the claim namespace does not exist, however it is asked for or written to: an
/// object of nobody, of another cluster, and the one whose remote name collides.
#[tokio::test]
async fn what_is_anothers_does_not_exist_in_any_verb() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (app, remote) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    for namespace in ["c", "b-x-c"] {
        app.ok(["create", "namespace", namespace]).await?;
    }
    let raw = Raw::admin_of(&corridor.app).await?;
    // `a` in `b-x-c` would have this one's place.
    app.apply(&claim("c", "a-x-b")).await?;
    remote.apply(&claim(CLAIM_NAMESPACE, "nobodys")).await?;
    let of_another = claim(CLAIM_NAMESPACE, "anothers").replace(
        "metadata: {",
        "metadata: {labels: {mcp-connector.upbound.io/app-cluster: other, mcp-connector.upbound.io/app-namespace: b-x-c, mcp-connector.upbound.io/app-resource-name: anothers}, ",
    );
    remote.apply(&of_another).await?;
    let before = stored(&corridor).await?;

    for name in ["a", "nobodys", "anothers"] {
        let one = format!("{}/{name}", all("b-x-c"));
        let status = format!("{one}/status");
        let put = object(&json!({ "name": name, "resourceVersion": "1" })).to_string();
        let uid = before["items"][0]["metadata"]["uid"].clone();
        let tied = json!({ "preconditions": { "uid": uid } }).to_string();
        let ops = r#"[{"op":"add","path":"/spec/id","value":"taken"}]"#;
        let none: [(&str, &str); 0] = [];
        let requests: Vec<Written<'_>> = vec![
            ("GET", one.clone(), none.to_vec(), ""),
            ("GET", one.clone(), vec![("accept", TABLE)], ""),
            ("GET", one.clone(), vec![("accept", PARTIAL)], ""),
            ("GET", format!("{one}?resourceVersion=0"), none.to_vec(), ""),
            ("GET", status.clone(), none.to_vec(), ""),
            ("PUT", one.clone(), vec![JSON], &put),
            ("PUT", status.clone(), vec![JSON], &put),
            ("PATCH", one.clone(), vec![MERGE], r#"{"spec":{"id":"taken"}}"#),
            ("PATCH", one.clone(), vec![JSON_PATCH], ops),
            ("PATCH", status.clone(), vec![MERGE], r#"{"status":{"x":"taken"}}"#),
            ("PATCH", format!("{status}?fieldManager=m"), vec![APPLY], "{}"),
            ("DELETE", one.clone(), none.to_vec(), ""),
            ("DELETE", format!("{one}?dryRun=All"), none.to_vec(), ""),
            ("DELETE", one.clone(), vec![JSON], &tied),
        ];
        for (method, path, headers, body) in requests {
            let answer = raw.ask(method, &path, &headers, body).await?;
            let told = answer.json()?;
            ensure!(
                answer.status == 404 && told["details"]["name"] == name,
                "{method} {path}: {} {told}",
                answer.status
            );
            ensure!(told["details"]["kind"] == "kubernetesclusters", "{method} {path}: {told}");
        }
    }
    // The place is taken; what takes it is not told.
    let created = raw.ask("POST", &all("b-x-c"), &[JSON], &object(&json!({ "name": "a" })).to_string()).await?;
    ensure!(created.status == 409 && created.json()?["reason"] == "AlreadyExists", "{}", created.text());
    let applied = format!("{}/a?fieldManager=m&force=true", all("b-x-c"));
    let applied = raw.ask("PATCH", &applied, &[APPLY], &object(&json!({ "name": "a" })).to_string()).await?;
    ensure!(applied.status == 409 && !applied.text().contains("a-x-b"), "{} {}", applied.status, applied.text());

    let everywhere = format!("{GROUP}/kubernetesclusters");
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watched = vec!["resourceVersion=0", "includeObject=None"];
    if corridor.control_plane.answers_watch_lists().await? {
        watched.push(initial);
    }
    for (collection, expected) in [(all("b-x-c"), 0), (everywhere, 1)] {
        for accept in ["application/json", TABLE, PARTIALS] {
            for query in [
                "",
                "?resourceVersion=0",
                "?labelSelector=!x",
                "?fieldSelector=metadata.name!=x",
                "?includeObject=None",
            ] {
                let list = raw.ask("GET", &format!("{collection}{query}"), &[("accept", accept)], "").await?;
                let found = list.json()?;
                // Go writes an empty list of metadata as null.
                let items = found["items"].as_array().or_else(|| found["rows"].as_array()).map_or(0, Vec::len);
                ensure!(list.status == 200 && items == expected, "{collection}{query} as {accept}: {found}");
            }
        }
        for accept in ["application/json", TABLE, PARTIAL] {
            for query in &watched {
                let path = format!("{collection}?watch=true&timeoutSeconds=1&{query}");
                let watch = raw.ask("GET", &path, &[("accept", accept)], "").await?;
                let events = watch.text().lines().filter(|line| !line.contains(r#""BOOKMARK""#)).count();
                ensure!(events == expected, "{path} as {accept}: {}", watch.text());
                ensure!(!watch.text().contains("nobodys") && !watch.text().contains("anothers"), "{}", watch.text());
            }
        }
    }
    let deleted = raw.ask("DELETE", &all("b-x-c"), &[], "").await?;
    ensure!(
        deleted.status == 200 && deleted.json()?["items"].as_array().map(Vec::len) == Some(0),
        "{}",
        deleted.text()
    );
    let after = stored(&corridor).await?;
    let specs = |of: &Value| {
        of["items"].as_array().into_iter().flatten().map(|of| of["spec"]["id"].clone()).collect::<Vec<_>>()
    };
    ensure!(specs(&before) == specs(&after) && specs(&after).len() == 3, "{after}");
    Ok(())
}

async fn stored(corridor: &Corridor) -> Result<Value> {
    json(&corridor.control_plane.kubectl(), &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await
}
