use futures::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use serde_json::{Value, json};

use crate::support::{Bench, MERGE, PATIENCE, THINGS};

const JSON: &str = "application/json";

#[tokio::test]
async fn a_watch_tells_each_change_once_and_resumes() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let mut events = bench.watch(&format!("{THINGS}?watch=true"), JSON).await;
    assert_eq!(events.told().await, "ADDED a", "wire rule 11.13");
    bench.make("b").await;
    assert_eq!(events.told().await, "ADDED b");
    let patched = bench.patch(&format!("{THINGS}/a"), MERGE, &json!({"spec": {"note": "x"}})).await;
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]), (&json!("MODIFIED"), &patched.json));
    bench.delete(&format!("{THINGS}/a")).await;
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["spec"]["note"]), (&json!("DELETED"), &json!("x")), "wire rule 7.7");

    let revision = patched.json["metadata"]["resourceVersion"].as_str().unwrap();
    let mut resumed = bench.watch(&format!("{THINGS}?watch=true&resourceVersion={revision}"), JSON).await;
    assert_eq!(resumed.told().await, "DELETED a");
    bench.cluster.compact("example.org", "things");
    let mut late = bench.watch(&format!("{THINGS}?watch=true&resourceVersion={revision}"), JSON).await;
    let error = late.next().await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)), "wire rule 7.9");
    assert_eq!(late.next().await, None);
}

#[tokio::test]
async fn objects_enter_and_leave_a_selection() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let mut events = bench.watch(&format!("{THINGS}?watch=true&labelSelector=app%3Dx"), JSON).await;
    let path = format!("{THINGS}/a");
    bench.patch(&path, MERGE, &json!({"metadata": {"labels": {"app": "x"}}})).await;
    assert_eq!(events.told().await, "ADDED a");
    let out = bench.patch(&path, MERGE, &json!({"metadata": {"labels": {"app": "y"}}})).await;
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["metadata"]["labels"]), (&json!("DELETED"), &json!({"app": "x"})));
    assert_eq!(event["object"]["metadata"]["resourceVersion"], out.json["metadata"]["resourceVersion"]);
    let mut other =
        bench.watch("/apis/example.org/v1/namespaces/kube-system/things?watch=true&timeoutSeconds=1", JSON).await;
    assert_eq!(other.next().await, None, "another namespace's watch tells nothing and ends in time");
}

#[tokio::test]
async fn initial_events_end_with_a_marked_bookmark() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let query =
        "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1";
    let mut events = bench.watch(&format!("{THINGS}?{query}"), JSON).await;
    assert_eq!(events.told().await, "ADDED a");
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"],
        json!({"k8s.io/initial-events-end": "true"}),
        "wire rule 7.8"
    );
    let last = events.next().await.unwrap();
    assert_eq!((&last["type"], &last["object"]["metadata"]["annotations"]), (&json!("BOOKMARK"), &Value::Null));
    assert_eq!(events.next().await, None);
    let refused = bench.get(&format!("{THINGS}?watch=true&sendInitialEvents=true")).await;
    assert_eq!(refused.code, 422, "wire rule 11.12");
}

#[tokio::test]
async fn only_the_first_table_of_a_watch_has_definitions() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut events =
        bench.watch(&format!("{THINGS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=1"), table).await;
    let first = events.next().await.unwrap();
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "a");
    bench.make("b").await;
    let second = events.next().await.unwrap();
    assert_eq!(second["object"]["columnDefinitions"], Value::Null, "wire rule 7.10");
    let bookmark = events.next().await.unwrap();
    assert_eq!((&bookmark["type"], &bookmark["object"]["rows"][0]["cells"][0]), (&json!("BOOKMARK"), &json!("")));
}

/// As the connector's own watches work, over a compaction too.
#[tokio::test]
async fn a_client_library_follows() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let kind = GroupVersionKind::gvk("example.org", "v1", "Thing");
    let resource = ApiResource::from_gvk_with_plural(&kind, "things");
    let api = Api::<DynamicObject>::all_with(bench.client.clone(), &resource);
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut events = watcher(api.clone(), config).boxed();
        let mut told = async || {
            let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("an event in time");
            match event.unwrap().unwrap() {
                watcher::Event::Init => "init".to_owned(),
                watcher::Event::InitApply(object) => format!("there {}", object.metadata.name.unwrap_or_default()),
                watcher::Event::InitDone => "done".to_owned(),
                watcher::Event::Apply(object) => format!("applied {}", object.metadata.name.unwrap_or_default()),
                watcher::Event::Delete(object) => format!("deleted {}", object.metadata.name.unwrap_or_default()),
            }
        };
        assert_eq!([told().await, told().await, told().await], ["init", "there a", "done"]);
        bench.make("b").await;
        assert_eq!(told().await, "applied b");
        bench.delete(&format!("{THINGS}/b")).await;
        assert_eq!(told().await, "deleted b");
    }
}
