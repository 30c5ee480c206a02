//! Events of claims as Crossplane makes them (recorded), turned into what the control plane would hold, and back.

use serde_json::{Map, Value, json};

use super::*;
use crate::answer::object;
use crate::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_OWNERS};

const RECORDED: &str = include_str!("../../../tests/data/claims.jsonl");
const OWNERS: &str = r#"[{"apiVersion":"v1","kind":"ConfigMap","name":"o","uid":"1b2c"}]"#;

/// What the control plane holds of an object that the user sees as `local`: written from the stored-data contract alone.
fn to_remote(mut local: Value) -> Value {
    let scheme = scheme();
    let remote_name = |name: &str| Value::from(scheme.remote_name(Form::Claim, "default", name));
    let secret = local["spec"]["writeConnectionSecretToRef"]["name"].as_str().unwrap().to_owned();
    local["spec"]["writeConnectionSecretToRef"]["name"] = remote_name(&secret);
    let metadata = local["metadata"].as_object_mut().unwrap();
    let name = metadata["name"].as_str().unwrap().to_owned();
    metadata.insert("name".into(), remote_name(&name));
    metadata.insert("namespace".into(), "claims".into());
    let mut annotations: Map<String, Value> =
        metadata.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut labels: Map<String, Value> = metadata.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let origin = scheme.labels("default", &name).map(|(key, value)| (key.to_owned(), Value::from(&*value)));
    labels.extend(origin.clone());
    // The user's own manager is the one that has set all of it.
    let user = |entry: &&mut Value| entry["manager"] == "kubectl-client-side-apply";
    let fields = metadata["managedFields"].as_array_mut().unwrap().iter_mut().find(user).unwrap();
    let fields = &mut fields["fieldsV1"]["f:metadata"];
    fields["f:labels"] = json!({".": {}});
    for (key, _) in origin {
        fields["f:labels"][format!("f:{key}")] = json!({});
    }
    annotations.insert(ANNOTATION_CONNECTION_SECRET.into(), secret.into());
    fields["f:annotations"][format!("f:{ANNOTATION_CONNECTION_SECRET}")] = json!({});
    if metadata.remove("ownerReferences").is_some() {
        annotations.insert(ANNOTATION_OWNERS.into(), OWNERS.into());
        let fields = metadata["managedFields"].as_array_mut().unwrap().iter_mut().find(user).unwrap();
        let fields = fields["fieldsV1"]["f:metadata"].as_object_mut().unwrap();
        fields.remove("f:ownerReferences");
        fields["f:annotations"][format!("f:{ANNOTATION_OWNERS}")] = json!({});
    }
    metadata.insert("labels".into(), labels.into());
    metadata.insert("annotations".into(), annotations.into());
    local
}

/// The recorded events; in every other one the user has set an owner reference.
fn events() -> Vec<(String, Value)> {
    let mut events: Vec<Value> = RECORDED.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in events.iter_mut().step_by(2) {
        let metadata = &mut event["object"]["metadata"];
        metadata["ownerReferences"] = serde_json::from_str(OWNERS).unwrap();
        let managed = metadata["managedFields"].as_array_mut().unwrap();
        let user = managed.iter_mut().find(|entry| entry["manager"] == "kubectl-client-side-apply").unwrap();
        user["fieldsV1"]["f:metadata"]["f:ownerReferences"] = json!({".": {}, "k:{\"uid\":\"1b2c\"}": {}});
    }
    events.into_iter().map(|event| (event["type"].as_str().unwrap().to_owned(), event["object"].clone())).collect()
}

/// Byte for byte: `serde_json` sorts members as the reference encoder does (wire rule 7.1).
#[test]
fn there_and_back() {
    let asked = asked(Some("default"), Some("my-cluster"));
    let events = events();
    assert!(events.len() >= 5);
    let frame = |kind: &str, object: &Value| format!("{{\"type\":{kind:?},\"object\":{object}}}\n");
    let remote: Vec<(String, Value)> =
        events.iter().map(|(kind, object)| (kind.clone(), to_remote(object.clone()))).collect();
    let (mut stream, mut native) = (String::new(), String::new());
    for ((kind, local), (_, remote)) in events.iter().zip(&remote) {
        assert_ne!(local, remote);
        assert_eq!(object(&asked, remote.to_string().as_bytes()).unwrap(), local.to_string().as_bytes());
        stream.push_str(&frame(kind, remote));
        native.push_str(&frame(kind, local));
    }
    assert_eq!(rewrite_any(&asked, Shape::Watch, &stream).unwrap(), native);
    let list =
        |items: Vec<&Value>| json!({"apiVersion": "v1", "items": items, "kind": "L", "metadata": {}}).to_string();
    let shown = rewrite_any(&asked, Shape::List, &list(remote.iter().map(|(_, object)| object).collect())).unwrap();
    assert_eq!(shown, list(events.iter().map(|(_, object)| object).collect()));
    assert!(!shown.contains(remote[0].1["metadata"]["name"].as_str().unwrap()));
}
