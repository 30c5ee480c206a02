//! Lists.

use super::*;

fn item(namespace: &str, name: &str) -> String {
    let remote = scheme().remote_name(Form::Claim, namespace, name);
    let labels = labels(namespace, name);
    format!(
        r#"{{"metadata":{{"labels":{{{labels}}},"name":"{remote}","namespace":"claims"}},"spec":{{"n":"{name}"}}}}"#
    )
}

fn local(namespace: &str, name: &str) -> String {
    format!(r#"{{"metadata":{{"name":"{name}","namespace":"{namespace}"}},"spec":{{"n":"{name}"}}}}"#)
}

fn foreign() -> String {
    item("test", "x").replace("00000000-0000", "00000000-0001")
}

/// Wire rule 7.1: `items` come before `kind` and `metadata`, which pass as they are; 7.4: the newline at the end too.
#[test]
fn items_of_others_are_left_out() {
    let list = |items: &[String]| {
        let items = items.join(",");
        format!(
            "{{\"apiVersion\":\"a/v1\",\"items\":[{items}],\"kind\":\"KList\",\"metadata\":{{\"continue\":\"c\",\"resourceVersion\":\"9\"}}}}\n"
        )
    };
    let (a, b, f, e) = (item("test", "a"), item("test", "b"), foreign(), item("elsewhere", "e"));
    let (la, lb, le) = (local("test", "a"), local("test", "b"), local("elsewhere", "e"));
    let nothing = "{\"metadata\":{}}".to_owned();
    for (remote, test, all) in [
        (vec![], vec![], vec![]),
        (vec![&a], vec![&la], vec![&la]),
        (vec![&a, &b], vec![&la, &lb], vec![&la, &lb]),
        (vec![&f, &a, &f, &b, &f], vec![&la, &lb], vec![&la, &lb]),
        (vec![&f, &f, &e, &a], vec![&la], vec![&le, &la]),
        (vec![&a, &e], vec![&la], vec![&la, &le]),
        (vec![&f, &nothing], vec![], vec![]),
    ] {
        let own = |items: &[&String]| list(&items.iter().map(|item| (*item).clone()).collect::<Vec<_>>());
        assert_eq!(rewrite_any(&asked(Some("test"), None), Shape::List, &own(&remote)).unwrap(), own(&test));
        assert_eq!(rewrite_any(&asked(None, None), Shape::List, &own(&remote)).unwrap(), own(&all));
    }
}

/// A name asked for in a list is a selector: the rest is not there.
#[test]
fn one_of_a_list() {
    let list = format!("{{\"items\":[{},{}]}}", item("test", "a"), item("test", "b"));
    let shown = rewrite_any(&asked(Some("test"), Some("b")), Shape::List, &list).unwrap();
    assert_eq!(shown, format!("{{\"items\":[{}]}}", local("test", "b")));
}

/// Elements that are no objects, or have no metadata, are nobody's.
#[test]
fn odd_elements() {
    for items in ["null", "1,2", "{}", "[[]],{}", "\"x\" , {}", "{\"spec\":{}}"] {
        let list = format!("{{ \"items\": [ {items} ] , \"kind\": \"KList\" }}");
        assert_eq!(
            rewrite_any(&asked(None, None), Shape::List, &list).unwrap(),
            "{ \"items\": [] , \"kind\": \"KList\" }",
            "{items}"
        );
    }
    for items in ["null", "{}", "1", "[]", "[ ]"] {
        let list = format!("{{\"items\":{items}}}");
        assert_eq!(rewrite_any(&asked(None, None), Shape::List, &list).unwrap(), list);
    }
}

/// Wire rule 7.3: indented for curl.
#[test]
fn pretty() {
    let list = |items: &[String]| {
        format!("{{\n  \"items\": [\n    {}\n  ],\n  \"metadata\": {{}}\n}}\n", items.join(",\n    "))
    };
    let remote = list(&[foreign(), item("test", "a"), foreign(), item("test", "b"), foreign()]);
    let shown = rewrite_any(&asked(Some("test"), None), Shape::List, &remote).unwrap();
    assert_eq!(shown, list(&[local("test", "a"), local("test", "b")]));
    let shown = rewrite_any(&asked(Some("test"), None), Shape::List, &list(&[foreign()])).unwrap();
    assert_eq!(shown, "{\n  \"items\": [],\n  \"metadata\": {}\n}\n");
}

/// Wire rule 7.1: `PartialObjectMetadataList` has its metadata before its items.
#[test]
fn partial_object_metadata_list() {
    let labels = labels("test", "a");
    let document = format!(
        r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"9"}},"items":[{{"metadata":{{"name":"r","namespace":"claims","uid":"u","labels":{{{labels}}},"ownerReferences":[{{"uid":"x"}}]}}}}]}}"#
    );
    assert_eq!(
        rewrite_any(&asked(Some("test"), None), Shape::List, &document).unwrap(),
        r#"{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"a","namespace":"test","uid":"u"}}]}"#
    );
}

/// The secret's name comes behind the metadata, so it is looked for in what streams.
#[test]
fn connection_secrets() {
    let item = |secret: &str, annotation: &str| {
        let labels = labels("test", "a");
        format!(
            r#"{{"metadata":{{{annotation}"labels":{{{labels}}},"name":"r"}},"spec":{{"writeConnectionSecretToRef":{{"name":"{secret}"}},"x":1}},"status":{{}}}}"#
        )
    };
    let local = |secret: &str| {
        format!(
            r#"{{"metadata":{{"name":"a"}},"spec":{{"writeConnectionSecretToRef":{{"name":"{secret}"}},"x":1}},"status":{{}}}}"#
        )
    };
    let annotation = r#""annotations":{"mcp-connector.upbound.io/connection-secret-name":"c\"c"},"#;
    let (hashed, other) = (remote("c\"c"), remote("other"));
    let list =
        format!("{{\"items\":[{},{},{}]}}", item(&hashed, annotation), item(&other, annotation), item(&hashed, ""));
    let shown = rewrite_any(&asked(Some("test"), None), Shape::List, &list).unwrap();
    assert_eq!(shown, format!("{{\"items\":[{},{},{}]}}", local("c\\\"c"), local(&other), local(&hashed)));
}

/// Untouched parts that are long go on as slices of the chunk they came in.
#[test]
fn long_parts_are_not_copied() {
    let filler = format!("\"x\":\"{}\"", "y".repeat(100_000));
    let list = Bytes::from(format!("{{\"items\":[{}]}}", item("test", "a").replace("\"n\":\"a\"", &filler)));
    let mut rewriter = Rewriter::new(asked(Some("test"), None), Shape::List);
    let mut out = Vec::new();
    rewriter.push(list.clone(), &mut out).unwrap();
    let chunk = list.as_ptr_range();
    let shared: usize = out.iter().filter(|part| chunk.contains(&part.as_ptr())).map(Bytes::len).sum();
    assert!(shared > 100_000 && out.len() < 5, "{shared} bytes of {} in {} parts", list.len(), out.len());
}

/// What can go out does so at once: nothing but the undecided head of an object is held.
#[test]
fn nothing_is_held_beyond_need() {
    let mut rewriter = Rewriter::new(asked(Some("test"), None), Shape::List);
    let mut out = Vec::new();
    let (head, tail) = (r#"{"items":["#, item("test", "a"));
    let (metadata, spec) = tail.split_at(tail.find(",\"spec\"").unwrap());
    rewriter.push(Bytes::from(format!("{head}{metadata}")), &mut out).unwrap();
    assert_eq!(out.concat(), br#"{"items":[{"metadata":{"name":"a","namespace":"test"}"#);
    for byte in spec.bytes() {
        out.clear();
        rewriter.push(vec![byte].into(), &mut out).unwrap();
        assert_eq!(out.concat(), [byte]);
    }
}

/// A list that ends early is an error, not a shorter list.
#[test]
fn cut_lists() {
    let list = format!("{{\"items\":[{},{}]}}", item("test", "a"), foreign());
    for cut in 0..list.len() {
        let cut = rewrite_any(&asked(Some("test"), None), Shape::List, &list[..cut]);
        assert_eq!(cut, Err(AnswerError::Truncated));
    }
}
