use serde_json::json;

use super::*;

/// Wire rules 6.7, 8.9.
#[test]
fn merge_patches() {
    let stored = stored(&full());
    let name = remote("db");
    let owners = format!("[{}]", owner("p"));
    let table = [
        (json!({}), json!({"metadata": {"uid": "u1"}})),
        (json!({"spec": {"size": 2}}), json!({"spec": {"size": 2}, "metadata": {"uid": "u1"}})),
        // `kubectl label`, and the wipe of all labels.
        (
            json!({"metadata": {"labels": {"a": null, "b": "2"}}}),
            json!({"metadata": {"labels": {"a": null, "b": "2"}, "uid": "u1"}}),
        ),
        (json!({"metadata": {"labels": null}}), json!({"metadata": {"labels": {"a": null}, "uid": "u1"}})),
        (json!({"metadata": {"annotations": null}}), json!({"metadata": {"annotations": {"b": null}, "uid": "u1"}})),
        (
            json!({"metadata": {"name": "db", "namespace": "team", "uid": "u2"}}),
            json!({"metadata": {"name": name, "namespace": "claims", "uid": "u2"}}),
        ),
        (json!({"metadata": {"namespace": null}}), json!({"metadata": {"uid": "u1"}})),
        // The garbage collector.
        (
            json!({"metadata": {"resourceVersion": "7", "finalizers": null}}),
            json!({"metadata": {"resourceVersion": "7", "finalizers": null, "uid": "u1"}}),
        ),
        (
            json!({"metadata": {"resourceVersion": "7", "ownerReferences": [owner("p")], "uid": "u1"}}),
            json!({"metadata": {"resourceVersion": "7", "annotations": {ANNOTATION_OWNERS: owners}, "uid": "u1"}}),
        ),
        (
            json!({"metadata": {"ownerReferences": null}}),
            json!({"metadata": {"annotations": {ANNOTATION_OWNERS: null}, "uid": "u1"}}),
        ),
        (
            json!({"spec": {"writeConnectionSecretToRef": {"name": "new"}}}),
            json!({"spec": {"writeConnectionSecretToRef": {"name": remote("new")}},
                "metadata": {"annotations": {ANNOTATION_CONNECTION_SECRET: "new"}, "uid": "u1"}}),
        ),
        (
            json!({"spec": {"writeConnectionSecretToRef": null}}),
            json!({"spec": {"writeConnectionSecretToRef": null},
                "metadata": {"annotations": {ANNOTATION_CONNECTION_SECRET: null}, "uid": "u1"}}),
        ),
    ];
    for (patch, expected) in table {
        assert_eq!(value(&merged(&stored, &patch).unwrap().body), expected, "{patch}");
    }
}

#[test]
fn merge_patches_are_refused() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let array = "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}";
    let table = [
        ("[]", 400, array),
        ("null", 400, "Invalid JSON Patch"),
        ("{", 400, "error decoding patch: unexpected end of JSON input"),
        (
            r#"{"metadata":5}"#,
            422,
            " \"\" is invalid: patch: Invalid value: \"{\\\"apiVersion\\\":\\\"g/v1\\\",\\\"kind\\\":\\\"Foo\\\",\\\"metadata\\\":5,\
             \\\"spec\\\":{\\\"size\\\":1,\\\"writeConnectionSecretToRef\\\":{\\\"name\\\":\\\"conn\\\"}}}\": json: cannot unmarshal number into Go value of \
             type v1.ObjectMeta",
        ),
        (
            r#"{"metadata":null}"#,
            400,
            "the name of the object (db based on URL) was undeterminable: name must be provided",
        ),
        (
            r#"{"metadata":{"name":null}}"#,
            400,
            "the name of the object (db based on URL) was undeterminable: name must be provided",
        ),
        (r#"{"metadata":{"name":"x"}}"#, 400, "the name of the object (x) does not match the name on the URL (db)"),
        (
            r#"{"metadata":{"namespace":"x"}}"#,
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            r#"{"metadata":{"labels":{"mcp-connector.upbound.io/app-namespace":null}}}"#,
            422,
            "Foo.g \"db\" is invalid: metadata.labels: Forbidden: \"mcp-connector.upbound.io/app-namespace\" must not be set: \
             keys under mcp-connector.upbound.io/ are reserved",
        ),
    ];
    for (patch, code, message) in table {
        let target = target(&scheme, Some("db"));
        let status = merge_patch(&target, &live(&stored), patch.as_bytes()).unwrap_err().status(&target);
        assert_eq!((status.code, status.message.as_str()), (code, message), "{patch}");
    }
    for patch in ["", "{", "5", "\u{0}"] {
        let error = merge_patch(&target(&scheme, Some("db")), &live(&stored), patch.as_bytes()).unwrap_err();
        assert_eq!(error.status(&target(&scheme, Some("db"))).code, 400, "{patch}");
    }
}

/// Wire rule 8.9: `null` takes the whole map away where nothing of ours is in it, as it does natively.
#[test]
fn annotations_without_ours_go_as_a_whole() {
    let stored = stored(&foo(json!({"name": "a", "annotations": {"b": "1"}})));
    let scheme = scheme();
    let patch = |patch: Value| {
        let patched = merge_patch(&target(&scheme, Some("a")), &live(&stored), patch.to_string().as_bytes()).unwrap();
        value(&patched.body)["metadata"]["annotations"].clone()
    };
    assert_eq!(patch(json!({"metadata": {"annotations": null}})), Value::Null);
    let secret = json!({"metadata": {"annotations": null}, "spec": {"writeConnectionSecretToRef": {"name": "s"}}});
    assert_eq!(patch(secret), json!({"b": null, ANNOTATION_CONNECTION_SECRET: "s"}));
}
