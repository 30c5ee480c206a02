//! Names of Secrets at configured fields.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::*;
use crate::answer::RowObject;
use crate::origin::secret_annotation;
use crate::references::References;

/// A kind with every sort of field.
pub(super) fn configured() -> Arc<References> {
    let connection = ["spec.x.name", "spec.names[*]"];
    Arc::new(References::new(connection, ["spec.passwordRef", "spec.users[*].ref"]).unwrap())
}

fn asked_configured() -> Asked {
    Asked { references: Some(configured()), ..asked(Some("test"), None) }
}

pub(super) fn input() -> String {
    scheme().input_name("vault", "pass\"word")
}

/// Annotations of ours: some that vouch for what they say, and some that do not.
pub(super) fn said() -> [(String, &'static str); 4] {
    [
        (secret_annotation(&remote("conn")), "conn"),
        (secret_annotation(&remote("out")), "other"),
        (secret_annotation(&input()), r#"{"namespace":"vault","name":"pass\"word"}"#),
        (secret_annotation("input-0123456789abcdef"), r#"{"namespace":"test","name":"forged"}"#),
    ]
}

/// Members of `spec` at the configured fields.
pub(super) fn any() -> impl Strategy<Value = Map<String, Value>> {
    let name = || select(vec![remote("conn"), remote("out"), input(), "imported".to_owned()]).prop_map(Value::from);
    let name = move || prop_oneof![6 => name(), 1 => Just(json!(1)), 1 => Just(json!({"name": 1}))];
    let namespace = prop::option::of(select(vec!["claims", "vault"]));
    let reference = (name(), namespace).prop_map(|(name, namespace)| match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace, "key": "k"}),
        None => json!({"name": name, "key": "k"}),
    });
    let users = prop::collection::vec(reference.clone().prop_map(|one| json!({"ref": one, "n": 1})), 0..3);
    (name(), prop::collection::vec(name(), 0..3), prop_oneof![reference, Just(json!([]))], users).prop_map(
        |(own, names, password, users)| {
            let members = json!({"x": {"name": own}, "names": names, "passwordRef": password, "users": users});
            members.as_object().unwrap().clone()
        },
    )
}

fn annotations() -> String {
    said().map(|(key, value)| format!("{}:{}", Value::from(key), Value::from(value))).join(",")
}

fn item(spec: &str) -> String {
    let (labels, annotations) = (labels("test", "a"), annotations());
    format!(
        r#"{{"metadata":{{"annotations":{{{annotations}}},"labels":{{{labels}}},"name":"r"}},"spec":{spec},"status":{{}}}}"#
    )
}

fn local(spec: &str) -> String {
    format!(r#"{{"metadata":{{"name":"a"}},"spec":{spec},"status":{{}}}}"#)
}

/// Each of the spec as it is stored, and as it is seen.
fn specs() -> [(String, String); 4] {
    let (conn, out, input) = (remote("conn"), remote("out"), input());
    [
        (
            format!(
                r#"{{"n":1.0e2,"names":["{conn}","x","{out}"],"passwordRef":{{"key":"k","name":"{input}","namespace":"claims"}},"x":{{"name":"{conn}"}}}}"#
            ),
            format!(
                r#"{{"n":1.0e2,"names":["conn","x","{out}"],"passwordRef":{{"key":"k","name":"pass\"word","namespace":"vault"}},"x":{{"name":"conn"}}}}"#
            ),
        ),
        // Before the name; and no namespace, which stays away.
        (
            format!(
                r#"{{"passwordRef":{{"namespace":"claims","name":"{input}"}},"users":[{{"ref":{{"name":"{input}"}}}},1]}}"#
            ),
            r#"{"passwordRef":{"namespace":"vault","name":"pass\"word"},"users":[{"ref":{"name":"pass\"word"}},1]}"#
                .to_owned(),
        ),
        // Another namespace is not ours; a name at a field of the other sort, or at none, is the user's.
        (
            format!(
                r#"{{"names":["{input}"],"passwordRef":{{"name":"{conn}","namespace":"claims"}},"users":[{{"ref":{{"name":"{input}","namespace":"x"}}}}],"y":"{conn}"}}"#
            ),
            format!(
                r#"{{"names":["{input}"],"passwordRef":{{"name":"{conn}","namespace":"claims"}},"users":[{{"ref":{{"name":"pass\"word","namespace":"x"}}}}],"y":"{conn}"}}"#
            ),
        ),
        // Nobody vouches for it.
        (
            r#"{"names":null,"passwordRef":{"name":"input-0123456789abcdef","namespace":"claims"},"x":[]}"#.to_owned(),
            r#"{"names":null,"passwordRef":{"name":"input-0123456789abcdef","namespace":"claims"},"x":[]}"#.to_owned(),
        ),
    ]
}

#[test]
fn specs_name_secrets_as_the_user_does() {
    let asked = asked_configured();
    for (stored, seen) in specs() {
        assert_eq!(rewrite_any(&asked, Shape::Object, &item(&stored)).unwrap(), local(&seen));
        let event = |object: &str| format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}\n");
        assert_eq!(rewrite_any(&asked, Shape::Watch, &event(&item(&stored))).unwrap(), event(&local(&seen)));
    }
    let list = |items: Vec<String>| format!("{{\"items\":[{}]}}", items.join(","));
    let stored = list(specs().iter().map(|(stored, _)| item(stored)).collect());
    let seen = list(specs().iter().map(|(_, seen)| local(seen)).collect());
    assert_eq!(rewrite_any(&asked, Shape::List, &stored).unwrap(), seen);
}

/// The conventional field and the others have annotations of their own.
#[test]
fn the_conventional_field_is_by_itself() {
    let conn = remote("conn");
    let spec = |conventional: &str, name: &str| {
        format!(r#"{{"writeConnectionSecretToRef":{{"name":"{conventional}"}},"x":{{"name":"{name}"}}}}"#)
    };
    let asked = asked_configured();
    let stored = item(&spec(&conn, &conn));
    assert_eq!(rewrite_any(&asked, Shape::Object, &stored).unwrap(), local(&spec(&conn, "conn")));
    let both = stored
        .replace("\"annotations\":{", "\"annotations\":{\"mcp-connector.upbound.io/connection-secret-name\":\"conn\",");
    assert_eq!(rewrite_any(&asked, Shape::Object, &both).unwrap(), local(&spec("conn", "conn")));
    let unconfigured = rewrite_any(&super::asked(Some("test"), None), Shape::Object, &both).unwrap();
    assert_eq!(unconfigured, local(&spec("conn", &conn)));
}

#[test]
fn cells_name_secrets_as_the_user_does() {
    let table =
        |cells: &str, object: &str| format!(r#"{{"kind":"Table","rows":[{{"cells":{cells},"object":{object}}}]}}"#);
    let cells = |conn: &str, input: &str| format!(r#"["{conn}","{input}","{}","x {}"]"#, remote("out"), remote("conn"));
    let stored = table(&cells(&remote("conn"), &input()), &item("{}"));
    let shown = rewrite_any(&asked_configured(), Shape::Table(RowObject::Show), &stored).unwrap();
    assert_eq!(shown, table(&cells("conn", r#"pass\"word"#), &local("{}")));
}

/// After a server-side apply the control plane writes it in remote terms.
#[test]
fn what_was_applied_names_secrets_as_the_user_does() {
    let (stored, seen) = &specs()[0];
    let object = |applied: &str, annotations: &str, spec: &str| {
        let applied = Value::from(applied);
        let labels = labels("test", "a");
        format!(
            r#"{{"metadata":{{"annotations":{{"kubectl.kubernetes.io/last-applied-configuration":{applied}{annotations}}},"labels":{{{labels}}},"name":"r"}},"spec":{spec}}}"#
        )
    };
    let shown =
        rewrite_any(&asked_configured(), Shape::Object, &object(&item(stored), &format!(",{}", annotations()), stored));
    let mut expected: Value = serde_json::from_str(&object(&local(seen), "", seen)).unwrap();
    expected["metadata"].as_object_mut().unwrap().remove("labels");
    expected["metadata"]["name"] = "a".into();
    assert_eq!(serde_json::from_str::<Value>(&shown.unwrap()).unwrap(), expected);
}
