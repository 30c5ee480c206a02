use serde_json::{Value, json};

use crate::support::{Bench, MERGE, THINGS, thing};

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn secret(name: &str, owner: &Value) -> Value {
    let owner = json!({"apiVersion": "example.org/v1", "kind": "Thing", "name": "a", "uid": owner["metadata"]["uid"]});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "ownerReferences": [owner]}, "stringData": {"k": "v"}})
}

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

#[tokio::test]
async fn finalizers_hold_an_object_until_they_are_gone() {
    let bench = Bench::start().await;
    let mut held = thing("a");
    held["metadata"]["finalizers"] = json!(["example.org/hold"]);
    bench.post(THINGS, &held).await;
    let path = format!("{THINGS}/a");
    let deleted = bench.delete(&path).await;
    assert_eq!((deleted.code.as_u16(), &deleted.json["kind"]), (200, &json!("Thing")), "wire rule 7.17");
    assert!(deleted.json["metadata"]["deletionTimestamp"].is_string());
    let again = bench.post(THINGS, &thing("a")).await;
    assert_eq!(again.message(), "object is being deleted: things.example.org \"a\" already exists", "wire rule 11.22");
    bench.patch(&path, MERGE, &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(bench.get(&path).await.code, 404);
}

#[tokio::test]
async fn a_deletion_may_have_conditions() {
    let bench = Bench::start().await;
    let made = bench.make("a").await;
    let path = format!("{THINGS}/a");
    let json = [("content-type", "application/json")];
    let other = json!({"preconditions": {"uid": "other"}});
    assert_eq!(bench.call("DELETE", &path, &json, &other).await.code, 409, "wire rule 8.14");
    let old = json!({"preconditions": {"resourceVersion": "1"}});
    assert_eq!(bench.call("DELETE", &path, &json, &old).await.code, 409);
    let same = json!({"propagationPolicy": "Background", "preconditions": {"uid": made.json["metadata"]["uid"]}});
    assert_eq!(bench.call("DELETE", &path, &json, &same).await.code, 200);
}

#[tokio::test]
async fn a_collection_is_deleted_by_its_selector() {
    let bench = Bench::start().await;
    for name in ["a", "b", "c"] {
        bench.make(name).await;
    }
    bench.patch(&format!("{THINGS}/c"), MERGE, &json!({"metadata": {"labels": {"keep": "me"}}})).await;
    let deleted = bench.delete(&format!("{THINGS}?labelSelector=!keep")).await;
    assert_eq!((deleted.code.as_u16(), deleted.names()), (200, vec!["a", "b"]), "wire rule 7.17");
    assert_eq!(bench.get(THINGS).await.names(), ["c"]);
}

#[tokio::test]
async fn dependents_go_with_their_owner_or_are_orphaned() {
    let bench = Bench::start().await;
    for (policy, code) in [("Background", 404), ("Orphan", 200)] {
        let owner = bench.make("a").await;
        assert_eq!(bench.post(SECRETS, &secret("s", &owner.json)).await.code, 201);
        let body = json!({"propagationPolicy": policy});
        bench.call("DELETE", &format!("{THINGS}/a"), &[("content-type", "application/json")], &body).await;
        let left = |owners: &Value| owners.as_array().is_none_or(Vec::is_empty);
        let path = format!("{SECRETS}/s");
        bench.until(&path, |s| s.code == code && left(&s.json["metadata"]["ownerReferences"])).await;
    }
}

#[tokio::test]
async fn a_namespace_goes_with_its_contents() {
    let bench = Bench::start().await;
    let missing = "/apis/example.org/v1/namespaces/team/things";
    assert_eq!(bench.post(missing, &thing("a")).await.message(), "namespaces \"team\" not found", "wire rule 10.3");
    let made = bench.post("/api/v1/namespaces", &namespace("team")).await;
    assert_eq!(made.json["metadata"]["labels"]["kubernetes.io/metadata.name"], "team");
    assert_eq!(made.json["status"]["phase"], "Active");
    let mut held = thing("a");
    held["metadata"]["finalizers"] = json!(["example.org/hold"]);
    bench.post(missing, &held).await;
    bench
        .post(
            "/api/v1/namespaces/team/configmaps",
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}),
        )
        .await;

    let deleted = bench.delete("/api/v1/namespaces/team").await;
    assert_eq!(deleted.json["status"]["phase"], "Terminating");
    let path = "/api/v1/namespaces/team";
    bench.until(path, |ns| ns.json["status"]["conditions"][0]["type"] == "NamespaceContentRemaining").await;
    let refused = bench.post(missing, &thing("b")).await;
    assert_eq!(
        (refused.code.as_u16(), &refused.json["details"]["causes"][0]["reason"]),
        (403, &json!("NamespaceTerminating"))
    );
    bench.patch(&format!("{missing}/a"), MERGE, &json!({"metadata": {"finalizers": null}})).await;
    bench.until(path, |ns| ns.code == 404).await;
    assert!(bench.get("/api/v1/configmaps?fieldSelector=metadata.name%3Dc").await.names().is_empty());
    assert_eq!(bench.delete("/api/v1/namespaces/default").await.code, 403);
}

#[tokio::test]
async fn a_definition_serves_and_ceases() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.org";
    let established = bench.get(path).await;
    assert_eq!(established.json["status"]["conditions"][1]["type"], "Established");
    let mut events = bench.watch(&format!("{THINGS}?watch=true"), "application/json").await;
    assert_eq!(events.told().await, "ADDED a");
    bench.delete(path).await;
    assert_eq!(events.told().await, "DELETED a");
    assert_eq!(bench.get(THINGS).await.code, 404);
    assert_eq!(bench.get("/apis/example.org/v1").await.code, 404);
    let misnamed = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"},
        "spec": {"group": "g.org", "names": {"kind": "X", "plural": "xs"}, "scope": "Cluster", "versions": [{"name": "v1", "served": true, "storage": true}]}
    });
    assert_eq!(bench.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &misnamed).await.code, 422);
}

#[tokio::test]
async fn a_stopped_cluster_frees_its_port() {
    let bench = Bench::start().await;
    let address = bench.cluster.address();
    bench.cluster.stop().await;
    tokio::net::TcpListener::bind(address).await.unwrap();
}
