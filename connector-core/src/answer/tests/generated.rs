//! Generated answers, written in any member order, with any whitespace and escapes, in any chunks: the same as the naive twin.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use super::*;
use crate::answer::RowObject;
use crate::json::testing::write;

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(vec!["", "a", "metadata", "claims", "\"}]", "\\", "\u{2028}é😀", "mcp-connector.upbound.io/"])
            .prop_map(Value::from),
        Just(remote("a").into()),
        Just(remote("conn").into()),
    ]
}

/// Values with members that are called like those that matter.
fn any_value() -> impl Strategy<Value = Value> {
    let keys = select(vec![
        "metadata",
        "name",
        "labels",
        "items",
        "rows",
        "object",
        "spec",
        "type",
        "x",
        "writeConnectionSecretToRef",
    ]);
    any_scalar().prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn some_of(pairs: Vec<(&'static str, Value)>) -> impl Strategy<Value = Map<String, Value>> {
    let all = pairs.len();
    subsequence(pairs, 0..=all)
        .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn any_labels() -> impl Strategy<Value = Value> {
    let cluster = scheme().cluster.to_string();
    let ours = move |cluster: &str, namespace: &str, name: &str| {
        json!({
            "mcp-connector.upbound.io/app-cluster": cluster,
            "mcp-connector.upbound.io/app-namespace": namespace,
            "mcp-connector.upbound.io/app-resource-name": name,
        })
    };
    let origin = prop_oneof![
        6 => Just(ours(&cluster, "test", "a")),
        2 => Just(ours(&cluster, "test", "b")),
        1 => Just(ours(&cluster, "elsewhere", "a")),
        1 => Just(ours("other", "test", "a")),
        1 => Just(json!({"mcp-connector.upbound.io/app-cluster": cluster})),
        1 => Just(json!({})),
    ];
    let others = some_of(vec![
        ("app", "x".into()),
        ("zone", "y".into()),
        ("mcp-connector.upbound.io/z", "z".into()),
        ("odd", 1.into()),
    ]);
    (origin, others).prop_map(|(mut origin, others)| {
        origin.as_object_mut().unwrap().extend(others);
        origin
    })
}

fn any_annotations() -> impl Strategy<Value = Value> {
    let owners = select(vec!["[]", "", "[1]", r#"[{"uid":"o"}]"#, r#"[{"uid":"o","n":1},{"uid":"\"p"},{"uid":"o"}]"#]);
    let others = some_of(vec![
        ("mcp-connector.upbound.io/connection-secret-name", "conn".into()),
        ("mcp-connector.upbound.io/app-resource-name", "forged".into()),
        ("mcp-connector.upbound.io/x", 1.into()),
        ("a", "{\"name\":\"x\"}".into()),
    ]);
    let said = subsequence(references::said().to_vec(), 0..=references::said().len());
    (prop::option::of(owners), others, said).prop_map(|(owners, mut others, said)| {
        others.extend(said.into_iter().map(|(key, value)| (key, value.into())));
        others.extend(owners.map(|owners| ("mcp-connector.upbound.io/owner-references".to_owned(), owners.into())));
        others.into()
    })
}

fn any_fields() -> impl Strategy<Value = Value> {
    let keys = |all: &[&'static str]| some_of(all.iter().map(|key| (*key, json!({}))).collect());
    let labels =
        keys(&[".", "f:app", "f:mcp-connector.upbound.io/app-cluster", "f:mcp-connector.upbound.io/app-namespace"]);
    let annotations =
        keys(&[".", "f:a", "f:mcp-connector.upbound.io/owner-references", "f:mcp-connector.upbound.io/x"]);
    let metadata = keys(&["f:finalizers", "f:ownerReferences", "f:selfLink", "f:generateName"]);
    let of = |key: &'static str, map: Option<Map<String, Value>>| map.map(|map| (key.to_owned(), Value::from(map)));
    (prop::option::of(labels), prop::option::of(annotations), metadata, keys(&["f:spec", "f:status"]), any::<bool>())
        .prop_map(move |(labels, annotations, mut metadata, mut fields, has_metadata)| {
            metadata.extend(of("f:labels", labels));
            metadata.extend(of("f:annotations", annotations));
            fields.extend(of("f:metadata", has_metadata.then_some(metadata)));
            fields.into()
        })
}

fn any_managed() -> impl Strategy<Value = Value> {
    let entry =
        (any_fields(), any_scalar()).prop_map(|(fields, manager)| json!({"fieldsV1": fields, "manager": manager}));
    prop::collection::vec(prop_oneof![9 => entry, 1 => any_scalar()], 0..4).prop_map(Value::from)
}

fn any_object() -> impl Strategy<Value = Value> {
    let optional = |strategy: BoxedStrategy<Value>| prop::option::weighted(0.7, strategy);
    let metadata = (
        prop::option::weighted(0.95, any_labels()),
        optional(any_annotations().boxed()),
        optional(any_managed().boxed()),
        prop::option::of(Just(json!([{"uid": "remote"}]))),
        some_of(vec![
            ("namespace", "claims".into()),
            ("uid", "u".into()),
            ("finalizers", json!(["f"])),
            ("resourceVersion", "1".into()),
        ]),
        prop::option::weighted(0.95, select(vec![remote("a"), "imported".to_owned()]).prop_map(Value::from)),
    )
        .prop_map(|(labels, annotations, managed, owners, mut members, name)| {
            let named = [
                ("labels", labels),
                ("annotations", annotations),
                ("managedFields", managed),
                ("ownerReferences", owners),
                ("name", name),
            ];
            members.extend(named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
            Value::from(members)
        });
    let secret = prop_oneof![Just(remote("conn")), Just("imported".to_owned())];
    let references = prop::option::of(references::any());
    (prop::option::weighted(0.95, metadata), prop::option::of(secret), references, any_value(), any_value()).prop_map(
        |(metadata, secret, references, spec, status)| {
            let mut object = json!({"apiVersion": "a/v1", "kind": "K", "status": status, "spec": spec});
            if let Some(secret) = secret {
                object["spec"] = json!({"writeConnectionSecretToRef": {"name": secret, "x": spec}, "x": spec});
            }
            match (object["spec"].as_object_mut(), references) {
                (Some(spec), Some(references)) => spec.extend(references),
                (None, Some(references)) => object["spec"] = references.into(),
                (_, None) => {}
            }
            if let Some(metadata) = metadata {
                object["metadata"] = metadata;
            }
            object
        },
    )
}

fn any_row() -> impl Strategy<Value = Value> {
    let named = select(vec![remote("a"), references::input()]).prop_map(Value::from);
    let cells = prop::collection::vec(prop_oneof![named, any_scalar()], 0..4);
    let row = (cells, any_object()).prop_map(|(cells, object)| json!({"cells": cells, "object": object}));
    prop_oneof![9 => row, 1 => Just(json!({"cells": ["a"], "object": null}))]
}

fn any_table() -> impl Strategy<Value = Value> {
    prop::collection::vec(any_row(), 0..5)
        .prop_map(|rows| json!({"kind": "Table", "columnDefinitions": [{"name": "Name"}], "metadata": {"name": "n"}, "rows": rows}))
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let asked = select(vec![asked(None, None), asked(Some("test"), None), asked(Some("test"), Some("a"))]);
    let references = select(vec![None, Some(references::configured())]);
    (asked, references).prop_map(|(asked, references)| Asked { references, ..asked })
}

fn any_chunks() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..8_usize, 1..100_usize, Just(100_000)], 1..8)
}

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn objects(asked in any_asked(), object in any_object(), seed: u64, chunks in any_chunks()) {
        let document = write(&object, seed);
        let shown = rewrite(&asked, Shape::Object, &document, &chunks).map(|shown| parse(&shown));
        prop_assert_eq!(shown, naive::object(&asked, object).map(|(object, _)| object).ok_or(AnswerError::Foreign));
    }

    #[test]
    fn lists(asked in any_asked(), items in prop::collection::vec(any_object(), 0..5), seed: u64, chunks in any_chunks()) {
        let list = json!({"apiVersion": "a/v1", "items": items, "kind": "KList", "metadata": {"name": "a", "resourceVersion": "1"}});
        let document = write(&list, seed);
        let shown = rewrite(&asked, Shape::List, &document, &chunks).unwrap();
        prop_assert_eq!(parse(&shown), naive::list(&asked, list));
    }

    #[test]
    fn tables(asked in any_asked(), table in any_table(), show: bool, seed: u64, chunks in any_chunks()) {
        let show = if show { RowObject::Show } else { RowObject::Null };
        let document = write(&table, seed);
        let shown = rewrite(&asked, Shape::Table(show), &document, &chunks).unwrap();
        let twin = naive::table(&asked, show, table);
        prop_assert_eq!(&parse(&shown), &twin);
        let one = rewrite(&asked, Shape::ObjectTable(show), &document, &chunks).map(|shown| parse(&shown));
        let some = twin["rows"].as_array().is_some_and(|rows| !rows.is_empty());
        prop_assert_eq!(one, if some { Ok(twin) } else { Err(AnswerError::Foreign) });
    }

    #[test]
    fn watches(asked in any_asked(), objects in prop::collection::vec(any_object(), 0..4), tables in prop::collection::vec(any_table(), 0..4), seed: u64, chunks in any_chunks()) {
        let event = |object: &Value| json!({"type": "ADDED", "object": object});
        let stream = |objects: &[Value]| objects.iter().flat_map(|object| write(&event(object), seed)).collect::<Vec<u8>>();
        let frames = |shown: &[u8]| serde_json::Deserializer::from_slice(shown).into_iter().map(Result::unwrap).collect::<Vec<Value>>();

        let shown = rewrite(&asked, Shape::Watch, &stream(&objects), &chunks).unwrap();
        let twin: Vec<Value> = objects.into_iter().filter_map(|object| Some(event(&naive::object(&asked, object)?.0))).collect();
        prop_assert_eq!(frames(&shown), twin);

        let shown = rewrite(&asked, Shape::TableWatch(RowObject::Null), &stream(&tables), &chunks).unwrap();
        let tables = tables.into_iter().map(|table| naive::table(&asked, RowObject::Null, table));
        let twin: Vec<Value> = tables.filter(|table| table["rows"] != json!([])).map(|table| event(&table)).collect();
        prop_assert_eq!(frames(&shown), twin);
    }

    /// Whatever comes, nothing panics, and chunks make no difference.
    #[test]
    fn anything(bytes in prop::collection::vec(select(br#"{}[],:"\ u0061nmetdai1-"#.to_vec()), 0..60), shape in 0..6_u8, seed: u8) {
        crate::answer::fuzz::fuzz_answer(&[&[shape, seed], &bytes[..]].concat());
    }
}
