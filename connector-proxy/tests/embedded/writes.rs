use serde_json::{Value, json};

use crate::support::{Bench, MERGE, THINGS, thing};

const THING: &str = "/apis/example.org/v1/namespaces/default/things/a";

#[tokio::test]
async fn an_object_is_created_read_updated_and_deleted() {
    let bench = Bench::start().await;
    let made = bench.make("a").await;
    assert_eq!(made.json["spec"]["size"], "small", "defaults are set");
    assert_eq!(made.json["metadata"]["generation"], 1);
    let read = bench.get(THING).await;
    assert_eq!(read.json, made.json);
    assert!(read.text.starts_with(r#"{"apiVersion":"example.org/v1","kind":"Thing","metadata":{"creationTimestamp""#));
    assert!(read.text.ends_with("}\n"), "wire rule 7.4");

    let again = bench.post(THINGS, &thing("a")).await;
    assert_eq!((again.code.as_u16(), again.message()), (409, "things.example.org \"a\" already exists"));

    let mut object = read.json.clone();
    object["spec"]["size"] = "large".into();
    let put = bench.put(THING, &object).await;
    assert_eq!((put.code.as_u16(), &put.json["metadata"]["generation"]), (200, &json!(2)));
    let stale = bench.put(THING, &object).await;
    assert_eq!((stale.code.as_u16(), stale.reason()), (409, "Conflict"));
    object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(bench.put(THING, &object).await.code, 422, "wire rule 8.3");
    let same = bench.put(THING, &put.json).await;
    assert_eq!(same.json["metadata"]["resourceVersion"], put.json["metadata"]["resourceVersion"], "nothing changed");

    let deleted = bench.delete(THING).await;
    assert_eq!((deleted.code.as_u16(), &deleted.json["status"]), (200, &json!("Success")));
    assert_eq!(deleted.json["details"]["uid"], made.json["metadata"]["uid"], "wire rule 5.2");
    let gone = bench.get(THING).await;
    assert_eq!((gone.code.as_u16(), gone.reason()), (404, "NotFound"));
    assert_eq!(gone.json["details"], json!({"name": "a", "group": "example.org", "kind": "things"}));
    assert_eq!(bench.delete(THING).await.code, 404);
}

#[tokio::test]
async fn patches_of_each_format() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let merged = bench.patch(THING, MERGE, &json!({"spec": {"note": "x"}, "metadata": {"labels": {"l": "v"}}})).await;
    assert_eq!((merged.code.as_u16(), &merged.json["spec"]["note"]), (200, &json!("x")));
    let json_patch =
        json!([{"op": "test", "path": "/spec/note", "value": "x"}, {"op": "remove", "path": "/spec/note"}]);
    let patched = bench.patch(THING, "application/json-patch+json", &json_patch).await;
    assert_eq!((patched.code.as_u16(), &patched.json["spec"]["note"]), (200, &Value::Null));
    let unfit = bench.patch(THING, "application/json-patch+json", &json_patch).await;
    assert_eq!((unfit.code.as_u16(), unfit.reason()), (422, "Invalid"), "wire rule 8.10");
    let strategic = bench.patch(THING, "application/strategic-merge-patch+json", &json!({})).await;
    assert_eq!((strategic.code.as_u16(), strategic.reason()), (415, "UnsupportedMediaType"), "wire rule 6.7");
    let renamed = bench.patch(THING, MERGE, &json!({"metadata": {"name": "b"}})).await;
    assert_eq!(renamed.code, 400, "wire rule 8.2");
    let stale = bench.patch(THING, MERGE, &json!({"metadata": {"resourceVersion": "1"}})).await;
    assert_eq!(stale.code, 409);
    let other = bench.patch(THING, MERGE, &json!({"metadata": {"uid": "other"}})).await;
    assert_eq!(other.code, 409);
    assert_eq!(bench.patch(&format!("{THINGS}/none"), MERGE, &json!({})).await.code, 404);
}

#[tokio::test]
async fn apply_creates_merges_and_meets_conflicts() {
    let bench = Bench::start().await;
    let apply = async |manager: &str, force: &str, spec: Value| {
        let path = format!("{THING}?fieldManager={manager}{force}");
        let body = json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec});
        bench.patch(&path, "application/apply-patch+yaml", &body).await
    };
    let made = apply("one", "", json!({"note": "1", "replicas": 2})).await;
    assert_eq!(made.code, 201);
    assert_eq!(made.json["metadata"]["managedFields"][0]["operation"], "Apply");
    let conflict = apply("two", "", json!({"note": "2"})).await;
    assert_eq!((conflict.code.as_u16(), conflict.reason()), (409, "Conflict"));
    assert_eq!(conflict.json["details"]["causes"][0]["field"], ".spec.note");
    let forced = apply("two", "&force=true", json!({"note": "2"})).await;
    assert_eq!((forced.code.as_u16(), &forced.json["spec"]["note"]), (200, &json!("2")));
    let left = apply("one", "", json!({})).await;
    assert_eq!(left.json["spec"], json!({"note": "2", "size": "small"}), "what it no longer applies is gone");
    let nobody = bench.patch(THING, "application/apply-patch+yaml", &thing("a")).await;
    assert_eq!(nobody.code, 422, "wire rule 8.11");
}

#[tokio::test]
async fn fields_are_checked_as_the_client_asks() {
    let bench = Bench::start().await;
    let mut odd = thing("a");
    odd["spec"] = json!({"nope": 1});
    let strict = bench.post(&format!("{THINGS}?fieldValidation=Strict"), &odd).await;
    assert_eq!(strict.code, 400);
    assert!(strict.message().contains(r#"strict decoding error: unknown field "spec.nope""#), "{}", strict.message());
    let warned = bench.post(THINGS, &odd).await;
    assert_eq!(warned.headers["warning"], r#"299 - "unknown field \"spec.nope\"""#);
    assert_eq!(warned.json["spec"], json!({"size": "small"}), "unknown fields are pruned");
    let patch = json!({"spec": {"nope": 1}});
    let strict = bench.patch(&format!("{THING}?fieldValidation=Strict"), MERGE, &patch).await;
    assert_eq!((strict.code.as_u16(), &strict.json["details"]["causes"][0]["field"]), (422, &json!("patch")));
    let invalid = bench.patch(THING, MERGE, &json!({"spec": {"size": "huge"}})).await;
    assert_eq!(
        invalid.message(),
        "Thing.example.org \"a\" is invalid: spec.size: Unsupported value: \"huge\": supported values: \"small\", \"large\""
    );
    let label = bench.patch(THING, MERGE, &json!({"metadata": {"labels": {"l": "x".repeat(64)}}})).await;
    assert_eq!(label.code, 422, "wire rule 8.6");
    let mut name = thing("A");
    name["spec"] = json!({});
    assert_eq!(bench.post(THINGS, &name).await.code, 422);
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let bench = Bench::start().await;
    assert_eq!(bench.post(&format!("{THINGS}?dryRun=All"), &thing("a")).await.code, 201);
    assert_eq!(bench.get(THING).await.code, 404);
    bench.make("a").await;
    let tried = bench.patch(&format!("{THING}?dryRun=All"), MERGE, &json!({"spec": {"note": "x"}})).await;
    assert_eq!(tried.json["spec"]["note"], "x");
    assert_eq!(bench.delete(&format!("{THING}?dryRun=All")).await.code, 200);
    assert_eq!(bench.get(THING).await.json["spec"], json!({"size": "small"}));
}

#[tokio::test]
async fn names_are_generated() {
    let bench = Bench::start().await;
    let mut object = thing("");
    object["metadata"] = json!({"generateName": "gen-"});
    let made = bench.post(THINGS, &object).await;
    let name = made.json["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
    object["metadata"] = json!({});
    let nameless = bench.post(THINGS, &object).await;
    assert_eq!(nameless.code, 422);
}

#[tokio::test]
async fn status_and_scale_are_written_apart() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let body = json!({"spec": {"note": "x"}, "status": {"replicas": 7}});
    let main = bench.patch(THING, MERGE, &body).await;
    assert_eq!((&main.json["status"], &main.json["spec"]["note"]), (&Value::Null, &json!("x")));
    let body = json!({"spec": {"note": "y"}, "status": {"replicas": 7}});
    let status = bench.patch(&format!("{THING}/status"), MERGE, &body).await;
    assert_eq!((&status.json["status"]["replicas"], &status.json["spec"]["note"]), (&json!(7), &json!("x")));
    assert_eq!(status.json["metadata"]["generation"], main.json["metadata"]["generation"]);

    let scaled = bench.patch(&format!("{THING}/scale"), MERGE, &json!({"spec": {"replicas": 3}})).await;
    assert_eq!((&scaled.json["kind"], &scaled.json["spec"]["replicas"]), (&json!("Scale"), &json!(3)));
    let scale = bench.get(&format!("{THING}/scale")).await.json;
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(3), &json!(7)));
    assert_eq!(scale["metadata"]["labels"], Value::Null, "wire rule 7.19");
    assert_eq!(bench.get(&format!("{THING}/nothing")).await.code, 404);
}

#[tokio::test]
async fn a_body_must_fit_its_url() {
    let bench = Bench::start().await;
    let mut elsewhere = thing("a");
    elsewhere["metadata"]["namespace"] = "other".into();
    let refused = bench.post(THINGS, &elsewhere).await;
    assert_eq!(refused.code, 400);
    assert!(refused.message().starts_with("the namespace of the provided object does not match"), "wire rule 8.1");
    let mut version = thing("a");
    version["apiVersion"] = "example.org/v9".into();
    assert_eq!(bench.post(THINGS, &version).await.code, 400);
    assert_eq!(bench.post("/apis/example.org/v1/things", &thing("a")).await.code, 404, "wire rule 7.25");
    let large = json!({"apiVersion": "example.org/v1", "kind": "Thing", "spec": {"note": "x".repeat(4 << 20)}});
    assert_eq!(bench.post(THINGS, &large).await.code, 413, "wire rule 1.26");
    let header = [("content-type", "application/vnd.kubernetes.protobuf")];
    assert_eq!(bench.call("POST", THINGS, &header, &thing("a")).await.code, 415);
}
