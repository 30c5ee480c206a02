use serde_json::{Map, Value, json};

use super::*;
use crate::offer::Offered;
use crate::origin::Form;

macro_rules! recorded {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/data/kubernetes-v1.36.3/", $name)).as_slice()
    };
}

/// What kube-apiserver v1.36.3 publishes in v3, untouched.
fn native_v3(group_version: &GroupVersion) -> &'static [u8] {
    match group_version.to_string().as_str() {
        "aws.platformref.upbound.io/v1alpha1" => recorded!("aws.platformref.upbound.io_v1alpha1.v3.json"),
        "example.org/v1alpha1" => recorded!("example.org_v1alpha1.v3.json"),
        "odd.example.org/v1beta1" => recorded!("odd.example.org_v1beta1.v3.json"),
        "odd.example.org/v1alpha1" => recorded!("odd.example.org_v1alpha1.v3.json"),
        "platform.upbound.io/v1alpha1" => recorded!("platform.upbound.io_v1alpha1.v3.json"),
        other => panic!("{other} is not recorded"),
    }
}

/// What it publishes in v2 at the same time, cut to these groups and what they refer to.
const NATIVE_V2: &[u8] = recorded!("v2.json");

fn offered(group: &str, plural: &str, kind: &str, versions: &[&str]) -> Offered {
    Offered {
        group: group.into(),
        plural: plural.into(),
        singular: kind.to_lowercase(),
        kind: kind.into(),
        list_kind: format!("{kind}List"),
        form: Form::Claim,
        versions: versions.iter().map(|version| version.to_string()).collect(),
    }
}

fn offers() -> Offers {
    [
        offered("aws.platformref.upbound.io", "clusters", "Cluster", &["v1alpha1"]),
        offered("example.org", "useraccesskeys", "UserAccessKey", &["v1alpha1"]),
        offered("odd.example.org", "oddities", "Oddity", &["v1beta1", "v1alpha1"]),
        offered("platform.upbound.io", "apps", "App", &["v1alpha1"]),
    ]
    .into_iter()
    .collect()
}

fn odd() -> GroupVersion {
    GroupVersion::new("odd.example.org", "v1beta1")
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn selected() -> Vec<(GroupVersion, Document)> {
    let offers = offers();
    let one = |group_version: GroupVersion| {
        let document = select_v3(native_v3(&group_version), &group_version, &offers).unwrap();
        (group_version, document)
    };
    offers.group_versions().into_iter().map(one).collect()
}

fn derived_v2() -> Value {
    let selected = selected();
    value(v2_from_v3(selected.iter().map(|(group_version, document)| (group_version, document))).unwrap().bytes())
}

/// Wire rule 3.10: the cluster-scoped kind and the other one of the group and version vanish.
#[test]
fn only_offered_paths_and_what_they_refer_to_stay() {
    let document = value(select_v3(native_v3(&odd()), &odd(), &offers()).unwrap().bytes());
    let base = "/apis/odd.example.org/v1beta1";
    let expected = [
        "/namespaces/{namespace}/oddities",
        "/namespaces/{namespace}/oddities/{name}",
        "/namespaces/{namespace}/oddities/{name}/scale",
        "/namespaces/{namespace}/oddities/{name}/status",
        "/oddities",
    ];
    assert_eq!(keys(&document["paths"]), expected.map(|path| format!("{base}{path}")));
    let schemas = keys(&document["components"]["schemas"]);
    let own: Vec<&&str> = schemas.iter().filter(|name| !name.starts_with("io.k8s.")).collect();
    assert_eq!(own, [&"org.example.odd.v1beta1.Oddity", &"org.example.odd.v1beta1.OddityList"]);
    assert!(schemas.contains(&"io.k8s.api.autoscaling.v1.ScaleStatus"), "reached through another schema");
}

/// A resource can be called as the path of a namespace is.
#[test]
fn a_plural_named_namespaces_is_told_apart() {
    let offers = [offered("odd.example.org", "namespaces", "Namespace", &["v1beta1"])].into_iter().collect();
    let document = value(select_v3(native_v3(&odd()), &odd(), &offers).unwrap().bytes());
    let base = "/apis/odd.example.org/v1beta1/namespaces";
    let expected =
        ["", "/{namespace}/namespaces", "/{namespace}/namespaces/{name}", "/{namespace}/namespaces/{name}/status"];
    assert_eq!(keys(&document["paths"]), expected.map(|path| format!("{base}{path}")));
}

/// Wire rules 4.10 to 4.12: what clients look for is kept because every byte is.
#[test]
fn kept_text_is_untouched() {
    let native = std::str::from_utf8(native_v3(&odd())).unwrap();
    let document = select_v3(native.as_bytes(), &odd(), &offers()).unwrap();
    let parsed: Value = value(document.bytes());
    let patch = &parsed["paths"]["/apis/odd.example.org/v1beta1/namespaces/{namespace}/oddities/{name}"]["patch"];
    assert!(patch["parameters"].as_array().unwrap().iter().any(|parameter| parameter["name"] == "fieldValidation"));
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Oddity");
    assert_eq!(patch["requestBody"]["content"].as_object().unwrap().len(), 3);

    let ours = std::str::from_utf8(document.bytes()).unwrap();
    let schema = |text: &str| {
        let from = text.find(r#""org.example.odd.v1beta1.Oddity":"#).unwrap();
        let to = text.find(r#","org.example.odd.v1beta1.OddityList":"#).unwrap();
        text[from..to].to_owned()
    };
    assert_eq!(schema(ours), schema(native));
    assert!(schema(ours).contains("9007199254740993") && schema(ours).contains("1e+25"), "numbers as written");
    assert_eq!(ours[..90], native[..90]);

    let all: Offers = offers()
        .iter()
        .cloned()
        .chain([
            offered("odd.example.org", "namespaces", "Namespace", &["v1beta1"]),
            offered("odd.example.org", "xoddities", "XOddity", &["v1beta1"]),
        ])
        .collect();
    assert_eq!(select_v3(native.as_bytes(), &odd(), &all).unwrap().bytes(), native.as_bytes(), "nothing to drop");
}

/// One dangling reference breaks clients of the whole front: such a document is never published.
#[test]
fn dangling_references_are_refused() {
    for (from, to) in [
        (r#""org.example.odd.v1beta1.OddityList":{"#, r#""other":{"#),
        (r#""io.k8s.api.autoscaling.v1.ScaleStatus":{"#, r#""other":{"#),
        (r##""schema":{"$ref":"#/components/schemas/"##, r#""schema":{"$ref":"https://example.org/"#),
    ] {
        let text = std::str::from_utf8(native_v3(&odd())).unwrap().replace(from, to);
        let error = select_v3(text.as_bytes(), &odd(), &offers()).unwrap_err();
        assert!(matches!(error, SelectError::Dangling { .. }), "{error}");
    }
    // A user's default that looks like one is none: the recording holds it.
    assert!(
        std::str::from_utf8(native_v3(&odd()))
            .unwrap()
            .contains(r##""default":{"$ref":"#/components/schemas/nothing"}"##)
    );
}

#[test]
fn a_document_without_an_offered_api_is_refused() {
    let other = GroupVersion::new("example.org", "v1alpha1");
    let missing = SelectError::Missing { plural: "useraccesskeys".into() };
    assert_eq!(select_v3(native_v3(&odd()), &other, &offers()), Err(missing));
    for raw in [&b""[..], b"{}", b"[]", br#"{"openapi":"3.0.0","info":{},"paths":[]}"#] {
        assert!(matches!(select_v3(raw, &odd(), &offers()), Err(SelectError::Invalid(_))));
    }
}

/// Wire rules 4.6, 4.8, 4.9.
#[test]
fn root_lists_what_is_given() {
    let document = Document::new(b"{}".to_vec());
    let root = root_v3([(&odd(), &document)]);
    let expected = format!(
        r#"{{"paths":{{"apis/odd.example.org/v1beta1":{{"serverRelativeURL":"/openapi/v3/apis/odd.example.org/v1beta1?hash={}"}}}}}}"#,
        document.hash()
    );
    assert_eq!(std::str::from_utf8(root.bytes()).unwrap(), expected);
    assert_eq!(root_v3([]).bytes().as_ref(), br#"{"paths":{}}"#);
}

/// Replaces references to shared parameters by the parameters.
fn inline(value: &mut Value, shared: &Value) {
    match value {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/parameters/"));
            if let Some(name) = name {
                *value = shared[name].clone();
            } else {
                members.values_mut().for_each(|value| inline(value, shared));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| inline(value, shared)),
        _ => {}
    }
}

/// The native v2 paths of what is offered, parameters in place.
fn native_paths() -> Map<String, Value> {
    let mut native = value(NATIVE_V2);
    let mut paths = native["paths"].take();
    inline(&mut paths, &native["parameters"]);
    let of_others =
        ["/xoddities", "v1beta1/namespaces/{namespace}/namespaces", "v1beta1/namespaces\"", "/xclusters", "/xapps"];
    let Value::Object(mut paths) = paths else { panic!("paths") };
    paths.retain(|path, _| !of_others.iter().any(|other| format!("{path}\"").contains(other)));
    paths
}

/// Wire rule 4.13. The one difference to what kube-apiserver publishes is that parameters stand in place.
#[test]
fn derived_v2_has_the_native_paths() {
    let (ours, native) = (derived_v2(), native_paths());
    let names: Vec<&str> = native.keys().map(String::as_str).collect();
    assert_eq!(keys(&ours["paths"]), names);
    assert_eq!(names.len(), 20);
    for (path, native) in &native {
        assert_eq!(&ours["paths"][path], native, "{path}");
    }
}

/// The differences to what kube-apiserver publishes: the list of groups on `DeleteOptions` is that of the v3 document, and
/// a number beyond 2^53 in an enum is exact, where kube-apiserver rounds it.
#[test]
fn derived_v2_has_the_native_definitions() {
    let ours = derived_v2();
    let mut native = value(NATIVE_V2)["definitions"].take();
    let Value::Object(definitions) = &mut native else { panic!("definitions") };
    let of_others = ["XOddity", "Namespace", "XCluster", "XApp"];
    definitions
        .retain(|name, _| !of_others.iter().any(|kind| name.ends_with(kind) || name.ends_with(&format!("{kind}List"))));
    let numbers = definitions.get_mut("org.example.odd.v1beta1.Oddity").unwrap();
    let numbers = numbers.pointer_mut("/properties/spec/properties/large/enum/1").unwrap();
    assert_eq!(numbers.take(), 9_007_199_254_740_992_u64);
    *numbers = json!(9_007_199_254_740_993_u64);
    let delete_options = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
    definitions[delete_options][GROUP_VERSION_KIND] = ours["definitions"][delete_options][GROUP_VERSION_KIND].clone();

    assert_eq!(keys(&ours["definitions"]), definitions.keys().map(String::as_str).collect::<Vec<_>>());
    for (name, native) in definitions {
        assert_eq!(&ours["definitions"][name.as_str()], native, "{name}");
    }
}

#[test]
fn no_documents_give_an_empty_v2() {
    let document = v2_from_v3([]).unwrap();
    let expected = br#"{"swagger":"2.0","info":{"title":"Kubernetes CRD Swagger","version":"v0.1.0"},"paths":{}}"#;
    assert_eq!(document.bytes().as_ref(), expected);
}

/// Wire rule 4.4: another shape fails the merge of the whole cluster's document.
#[test]
fn kinds_of_definitions_are_lists_of_objects() {
    let kind = json!({"group": "odd.example.org", "version": "v1beta1", "kind": "Oddity"});
    for (told, published) in [
        (json!([kind]), Some(json!([kind]))),
        (kind.clone(), Some(json!([kind]))),
        (json!("Oddity"), None),
        (json!(["x"]), None),
    ] {
        let document = json!({
            "openapi": "3.0.0", "info": {},
            "paths": {"/apis/odd.example.org/v1beta1/oddities": {"get": {"responses": {"200": {
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/a~1b"}}}
            }}}}},
            "components": {"schemas": {"a/b": {"type": "object", GROUP_VERSION_KIND: told}}},
        });
        let selected = select_v3(document.to_string().as_bytes(), &odd(), &offers()).unwrap();
        let v2 = value(v2_from_v3([(&odd(), &selected)]).unwrap().bytes());
        assert_eq!(v2["definitions"]["a/b"].get(GROUP_VERSION_KIND), published.as_ref());
        let schema = &v2["paths"]["/apis/odd.example.org/v1beta1/oddities"]["get"]["responses"]["200"]["schema"];
        assert_eq!(schema["$ref"], "#/definitions/a~1b");
    }
}

#[test]
fn watch_paths_stay() {
    let path = json!({"get": {"responses": {}}});
    let paths: Map<String, Value> = [
        "/apis/odd.example.org/v1beta1/",
        "/apis/odd.example.org/v1beta1/watch/oddities",
        "/apis/odd.example.org/v1beta1/watch/namespaces/{namespace}/oddities/{name}",
        "/apis/odd.example.org/v1beta1/watch/xoddities",
        "/apis/odd.example.org/v1beta1/watch/{name}",
        "/apis/odd.example.org/v1beta1/namespaces/{name}",
        "/apis/odd.example.org/v1/oddities",
    ]
    .map(|name| (name.to_owned(), path.clone()))
    .into_iter()
    .collect();
    let document = json!({"openapi": "3.0.0", "info": {}, "paths": paths}).to_string();
    let selected = value(select_v3(document.as_bytes(), &odd(), &offers()).unwrap().bytes());
    assert_eq!(
        keys(&selected["paths"]),
        [
            "/apis/odd.example.org/v1beta1/watch/namespaces/{namespace}/oddities/{name}",
            "/apis/odd.example.org/v1beta1/watch/oddities",
        ]
    );
}

#[test]
fn the_fuzz_target_takes_what_is_recorded() {
    for raw in [native_v3(&odd()), NATIVE_V2, recorded!("apis.json"), b"", b"{}", b"\xff"] {
        fuzz_documents(raw);
    }
    let own = std::str::from_utf8(recorded!("example.org_v1alpha1.v3.json")).unwrap();
    fuzz_documents(own.replace("v1alpha1", "v1").replace("useraccesskeys", "buckets").as_bytes());
}

/// A small document, one of its bytes changed or its end cut off: nothing panics, and what is selected is closed.
#[test]
fn damaged_documents_are_survived() {
    let reference = json!({"$ref": "#/components/schemas/a"});
    let operation = json!({
        "parameters": [{"name": "n", "in": "query", "schema": {"type": "string"}}],
        "requestBody": {"content": {"application/json": {"schema": reference}}},
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}},
    });
    let whole = json!({
        "kind": "APIResourceList", "groupVersion": "example.org/v1",
        "resources": [{"name": "buckets", "namespaced": true, "kind": "Bucket", "verbs": ["get"]}],
        "openapi": "3.0.0", "info": {},
        "paths": {"/apis/example.org/v1/buckets": {"get": operation}},
        "components": {"schemas": {
            "a": {"type": "object", "nullable": true, "required": ["b"], "properties": {"b": {"items": reference}},
                GROUP_VERSION_KIND: [{"group": "example.org", "version": "v1", "kind": "Bucket"}]},
        }},
    })
    .to_string()
    .into_bytes();
    fuzz_documents(&whole);
    for at in 0..whole.len() {
        fuzz_documents(&whole[..at]);
        for byte in *b"{}[]\"\\:,0a\0\xff" {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            fuzz_documents(&damaged);
        }
    }
}
