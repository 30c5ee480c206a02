use connector_proxy::embedded::{Options, example};
use serde_json::{Value, json};

use crate::support::{Bench, MERGE};

const CLAIMS: &str = "/apis/k8s.starter.org/v1alpha1/namespaces/default/kubernetesclusters";
const XRDS: &str = "/apis/apiextensions.crossplane.io/v1/compositeresourcedefinitions";

async fn bench() -> Bench {
    let manifests = vec![example::DEFINITION.to_owned()];
    let bench = Bench::with(Options { crossplane: true, manifests, ..Options::default() }).await;
    let path = format!("{XRDS}/xkubernetesclusters.k8s.starter.org");
    let offered = bench.until(&path, |xrd| xrd.json["status"]["conditions"][1]["type"] == "Offered").await;
    assert_eq!(offered.json["status"]["conditions"][0]["type"], "Established");
    bench
}

fn claim() -> Value {
    serde_saphyr::from_str(example::CLAIM).unwrap()
}

#[tokio::test]
async fn a_claim_becomes_ready_and_goes_with_all_it_has() {
    let bench = bench().await;
    bench.cluster.load(example::CLAIM).unwrap();
    let path = format!("{CLAIMS}/my-cluster");
    let ready = bench.until(&path, |claim| claim.json["status"]["conditions"][1]["type"] == "Ready").await.json;
    assert_eq!(ready["status"]["conditions"][1]["observedGeneration"], ready["metadata"]["generation"]);
    assert!(ready["status"]["connectionDetails"]["lastPublishedTime"].is_string());
    let composite = ready["spec"]["resourceRef"]["name"].as_str().unwrap();
    let composite = format!("/apis/k8s.starter.org/v1alpha1/xkubernetesclusters/{composite}");
    let claim_ref = bench.get(&composite).await.json["spec"]["claimRef"].clone();
    assert_eq!([&claim_ref["namespace"], &claim_ref["name"]], ["default", "my-cluster"]);
    let secret = "/api/v1/namespaces/default/secrets/my-cluster-kubeconfig";
    let stored = bench.get(secret).await.json;
    assert_eq!(stored["type"], "connection.crossplane.io/v1alpha1");
    assert!(stored["data"]["kubeconfig"].is_string());
    let events = bench.get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dmy-cluster").await;
    assert_eq!(events.json["items"][0]["reason"], "BindCompositeResource");

    bench.patch(&path, MERGE, &json!({"spec": {"parameters": {"nodes": {"count": 5}}}})).await;
    bench.until(&composite, |composite| composite.json["spec"]["parameters"]["nodes"]["count"] == 5).await;
    bench.delete(&path).await;
    bench.until(secret, |secret| secret.code == 404).await;
    bench.until(&composite, |composite| composite.code == 404).await;
}

#[tokio::test]
async fn an_api_goes_with_its_definition() {
    let bench = bench().await;
    bench.post(CLAIMS, &claim()).await;
    bench.delete(&format!("{XRDS}/xkubernetesclusters.k8s.starter.org")).await;
    bench.until(CLAIMS, |claims| claims.code == 404).await;
}

#[tokio::test]
async fn a_namespaced_composite_becomes_ready() {
    let bench = bench().await;
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "string"}}}}}});
    let modern = json!({
        "apiVersion": "apiextensions.crossplane.io/v2", "kind": "CompositeResourceDefinition", "metadata": {"name": "buckets.example.org"},
        "spec": {"group": "example.org", "names": {"kind": "Bucket", "plural": "buckets"}, "versions": [{"name": "v1", "served": true, "referenceable": true, "schema": schema}]}
    });
    bench.post("/apis/apiextensions.crossplane.io/v2/compositeresourcedefinitions", &modern).await;
    let path = "/apis/example.org/v1/namespaces/default/buckets";
    bench.until(path, |buckets| buckets.code == 200).await;
    let bucket =
        json!({"apiVersion": "example.org/v1", "kind": "Bucket", "metadata": {"name": "b"}, "spec": {"size": "small"}});
    bench.post(path, &bucket).await;
    bench.until(&format!("{path}/b"), |bucket| bucket.json["status"]["conditions"][1]["status"] == "True").await;
}
