use serde_json::{Value, json};

use crate::support::Bench;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

#[tokio::test]
async fn both_forms_of_discovery_agree() {
    let bench = Bench::start().await;
    let all = bench.get_as("/apis", AGGREGATED).await;
    assert_eq!(all.headers["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let items = all.json["items"].as_array().unwrap();
    let group = items.iter().find(|item| item["metadata"]["name"] == "example.org").unwrap();
    assert_eq!([&group["versions"][0]["version"], &group["versions"][1]["version"]], ["v1", "v1beta1"]);
    let things = &group["versions"][0]["resources"][0];
    assert_eq!(
        *things,
        json!({
            "resource": "things", "responseKind": {"group": "example.org", "version": "v1", "kind": "Thing"},
            "scope": "Namespaced", "singularResource": "thing", "shortNames": ["th"], "categories": ["all"],
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            "subresources": [
                {"subresource": "status", "responseKind": {"group": "example.org", "version": "v1", "kind": "Thing"}, "verbs": ["get", "patch", "update"]},
                {"subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}, "verbs": ["get", "patch", "update"]}
            ]
        }),
        "wire rules 3.7, 3.9"
    );
    let etag = all.headers["etag"].to_str().unwrap();
    let same = bench.call("GET", "/apis", &[("accept", AGGREGATED), ("if-none-match", etag)], &Value::Null).await;
    assert_eq!(same.code, 304, "wire rule 3.3");

    let legacy = bench.get("/apis").await;
    assert_eq!(legacy.json["kind"], "APIGroupList");
    let list = bench.get("/apis/example.org/v1").await;
    let names: Vec<&str> =
        list.json["resources"].as_array().unwrap().iter().filter_map(|r| r["name"].as_str()).collect();
    assert_eq!(names, ["things", "things/status", "things/scale"]);
    assert_eq!(bench.get("/apis/example.org").await.json["preferredVersion"]["version"], "v1");
    assert_eq!(bench.get("/apis/none.org").await.code, 404);
    assert_eq!(bench.get_as("/apis", "application/json;g=apidiscovery.k8s.io;v=v9;as=X").await.code, 406);
    let core = bench.get_as("/api", AGGREGATED).await;
    assert_eq!(core.json["items"][0]["metadata"]["name"], "");
}

#[tokio::test]
async fn openapi_tells_what_clients_look_for() {
    let bench = Bench::start().await;
    let root = bench.get("/openapi/v3").await;
    let url = root.json["paths"]["apis/example.org/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = bench.get(url).await.json;
    let path = &document["paths"]["/apis/example.org/v1/namespaces/{namespace}/things/{name}"];
    let gvk = json!({"group": "example.org", "version": "v1", "kind": "Thing"});
    assert_eq!(path["patch"]["x-kubernetes-group-version-kind"], gvk, "wire rule 4.11");
    let parameters = path["patch"]["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    let formats = path["patch"]["requestBody"]["content"].as_object().unwrap();
    assert!(!formats.contains_key("application/strategic-merge-patch+json"), "wire rule 4.12");
    let schema = &document["components"]["schemas"]["org.example.v1.Thing"];
    assert_eq!(schema["x-kubernetes-group-version-kind"], json!([gvk]), "wire rule 4.10");
    assert_eq!(schema["properties"]["spec"]["properties"]["size"]["default"], "small");
    assert_eq!(bench.get("/openapi/v3/apis/none.org/v1").await.code, 404);
    assert_eq!(
        bench.get_as("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf").await.code,
        406
    );
    assert_eq!(bench.get("/openapi/v2").await.json["swagger"], "2.0");
}

#[tokio::test]
async fn reviews_are_answered() {
    let bench = Bench::start().await;
    let review = async |user: &str, groups: Value| {
        let body = json!({"spec": {"user": user, "groups": groups, "resourceAttributes": {"verb": "get"}}});
        bench.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", &body).await.json["status"]["allowed"].clone()
    };
    assert_eq!(review("someone", json!(["system:authenticated"])).await, false);
    assert_eq!(review("someone", json!(["system:masters"])).await, true);
    assert_eq!(review("system:serviceaccount:kube-system:namespace-controller", json!([])).await, true);
    let own = bench.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &json!({"spec": {}})).await;
    assert_eq!((own.code.as_u16(), &own.json["status"]["allowed"]), (201, &json!(true)));
    let who = bench.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await;
    assert_eq!(who.json["status"]["userInfo"]["username"], "kubernetes-admin");
    assert_eq!(bench.get("/apis/authorization.k8s.io/v1/subjectaccessreviews").await.code, 405);
}

#[tokio::test]
async fn the_server_tells_its_version_and_health() {
    let bench = Bench::start().await;
    assert_eq!(bench.get("/version").await.json["major"], "1");
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(bench.get(path).await.text, "ok");
    }
    assert_eq!(bench.get("/nothing").await.code, 404);
}
