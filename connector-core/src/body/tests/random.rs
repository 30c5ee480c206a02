use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::json_patches::check_json_patch;
use super::*;

fn text() -> impl Strategy<Value = String> {
    "[a-c]{1,2}"
}

fn map() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map(text(), text(), 0..3)
}

/// An object of a user, with more or less of what is translated.
fn object() -> impl Strategy<Value = Value> {
    (map(), map(), proptest::collection::vec(text(), 0..3), proptest::option::of(text()), any::<u64>()).prop_map(
        |(labels, annotations, owners, secret, number)| {
            let owners: Vec<Value> = owners.iter().map(|name| owner(name)).collect();
            let mut object =
                foo(json!({"name": "db", "labels": labels, "annotations": annotations, "ownerReferences": owners}));
            object["spec"]["number"] = number.into();
            if let Some(secret) = secret {
                object["spec"]["writeConnectionSecretToRef"] = json!({"name": secret});
            }
            object
        },
    )
}

fn merge_of_map() -> impl Strategy<Value = Value> {
    let entries = proptest::collection::btree_map(text(), proptest::option::of(text()), 0..3);
    prop_oneof![Just(Value::Null), entries.prop_map(|entries| json!(entries))]
}

/// RFC 7386, as it is told there.
pub(super) fn apply_merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            apply_merge(&mut target[key], value);
        }
    }
}

/// A merge patch on what is translated; members may be missing.
fn merge() -> impl Strategy<Value = Value> {
    let owners = proptest::option::of(proptest::collection::vec(text(), 0..2));
    let secret =
        prop_oneof![Just(Value::Null), text().prop_map(|name| json!({"name": name})), Just(json!({"name": null}))];
    let members = (merge_of_map(), merge_of_map(), owners, secret);
    (members, proptest::collection::vec(any::<bool>(), 4)).prop_map(
        |((labels, annotations, owners, secret), present)| {
            let owners = owners.map(|names| names.iter().map(|name| owner(name)).collect::<Vec<_>>());
            let mut patch = json!({"metadata": {"name": "db"}, "spec": {"x": 1}});
            if present[0] {
                patch["metadata"]["labels"] = labels;
            }
            if present[1] {
                patch["metadata"]["annotations"] = annotations;
            }
            if present[2] {
                patch["metadata"]["ownerReferences"] = json!(owners);
            }
            if present[3] {
                patch["spec"]["writeConnectionSecretToRef"] = secret;
            }
            patch
        },
    )
}

fn operation() -> impl Strategy<Value = Value> {
    let maps = prop_oneof![Just("/metadata/labels".to_owned()), Just("/metadata/annotations".to_owned())];
    let entries = (maps.clone(), text()).prop_map(|(map, key)| format!("{map}/{key}")).boxed();
    let owners = prop_oneof![
        Just("/metadata/ownerReferences"),
        Just("/metadata/ownerReferences/0"),
        Just("/metadata/ownerReferences/-"),
    ];
    let op = prop_oneof![Just("add"), Just("replace"), Just("remove"), Just("test")];
    let transfer = prop_oneof![Just("copy"), Just("move")];
    let secret_name = Just("/spec/writeConnectionSecretToRef/name".to_owned());
    let path = prop_oneof![maps.clone(), entries.clone(), secret_name.clone(), Just("/spec/number".to_owned())];
    prop_oneof![
        (op.clone(), maps, map()).prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value})),
        (op.clone(), entries, text()).prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value})),
        (op.clone(), owners, text()).prop_map(|(op, path, name)| {
            let value = if path.ends_with('s') { json!([owner(&name)]) } else { owner(&name) };
            json!({"op": op, "path": path, "value": value})
        }),
        (op.clone(), secret_name, text()).prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value})),
        (op, text()).prop_map(|(op, name)| {
            json!({"op": op, "path": "/spec/writeConnectionSecretToRef", "value": {"name": name}})
        }),
        (transfer, path.clone(), path).prop_map(|(op, from, path)| json!({"op": op, "from": from, "path": path})),
    ]
}

/// A body that was well formed before some of its characters were replaced or taken away.
fn mutated() -> impl Strategy<Value = String> {
    let bodies = prop_oneof![
        object().prop_map(|object| object.to_string()),
        merge().prop_map(|patch| patch.to_string()),
        proptest::collection::vec(operation(), 1..4).prop_map(|operations| Value::from(operations).to_string()),
        Just(
            "apiVersion: g/v1\nkind: Foo\nmetadata:\n  name: db\n  labels: {a: &x b, c: *x}\nspec:\n- 1.5\n- !!str 1\n"
                .to_owned()
        ),
        Just(r#"{"preconditions":{"uid":"u"},"dryRun":["All"]}"#.to_owned()),
        Just(
            r#"{"apiVersion":"g/v","kind":"Foo","metadata":{"name":"db"},"spec":{"a":"x","n":["y"],"r":{"name":"p","namespace":"o","key":"k"},"u":[{"r":{"name":"q"}}]}}"#
                .to_owned()
        ),
        Just(r#"[{"op":"add","path":"/spec/u","value":[{"r":{"name":"q"}}]},{"op":"test","path":"/spec/r/name","value":"imported"}]"#.to_owned()),
    ];
    let edits = proptest::collection::vec((any::<proptest::sample::Index>(), r#"[\[\]{}":,a0\n -]{0,2}"#), 0..3);
    (bodies, edits).prop_map(|(body, edits)| {
        let mut chars: Vec<String> = body.chars().map(String::from).collect();
        for (at, text) in edits {
            *at.get_mut(&mut chars) = text;
        }
        chars.concat()
    })
}

proptest! {
    #[test]
    fn up_then_down_is_the_users_object(object in object()) {
        prop_assert_eq!(seen(&value(&made(&object).unwrap().body)), tidy(object.clone()));
        let mut next = object;
        next["spec"]["number"] = 1.into();
        let back = value(&updated(&stored(&next), &next).unwrap().body);
        next["metadata"]["uid"] = "u1".into();
        prop_assert_eq!(seen(&back), tidy(next));
    }

    #[test]
    fn merge_patches_do_to_the_stored_object_what_the_user_means(object in object(), patch in merge()) {
        let stored = stored(&object);
        let mut expected = seen(&stored);
        apply_merge(&mut expected, &patch);
        let mut found = stored.clone();
        apply_merge(&mut found, &value(&merged(&stored, &patch).unwrap().body));
        prop_assert_eq!(seen(&found), tidy(expected));
    }

    #[test]
    fn random_json_patches(object in object(), operations in proptest::collection::vec(operation(), 1..4)) {
        let patch = Value::from(operations);
        if let Err(fault) = check_json_patch(&stored(&object), &patch) {
            prop_assert!(false, "{}\n{}", patch, fault);
        }
    }

    #[test]
    fn no_body_panics(body in prop_oneof![r#"[\[\]{}":,a0-9\-.\\u \n]{0,40}"#, mutated()]) {
        fuzz_body(body.as_bytes());
    }
}
