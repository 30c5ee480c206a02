//! Single objects.

use super::*;
use crate::answer::{RowObject, is_status, object, scale};

fn one(document: &str) -> Result<String, AnswerError> {
    let asked = asked(Some("test"), Some("my-bucket"));
    let streamed = rewrite_any(&asked, Shape::Object, document);
    let whole = object(&asked, document.as_bytes()).map(|whole| String::from_utf8(whole).unwrap());
    assert_eq!(streamed, whole);
    streamed
}

fn ours() -> String {
    labels("test", "my-bucket")
}

/// Wire rules 7.1 to 7.4: sorted members, labels before the name; all else byte for byte, newline included.
#[test]
fn custom_resource() {
    let document = format!(
        "{}{}{}",
        r#"{"apiVersion":"a/v1","kind":"K","metadata":{"annotations":{"a":"\u003cb\u003e"},"generation":9007199254740993,"labels":{"app":"x","#,
        ours(),
        r#","zone":"y"},"name":"claim-c603e518969b413e","namespace":"claims","resourceVersion":"7","uid":"u"},"spec":{"big":123456789012345678901234567890,"f":1.0e+5,"u":"\u2028"}}"#
    ) + "\n";
    let local = concat!(
        r#"{"apiVersion":"a/v1","kind":"K","metadata":{"annotations":{"a":"\u003cb\u003e"},"generation":9007199254740993,"labels":{"app":"x","#,
        r#""zone":"y"},"name":"my-bucket","namespace":"test","resourceVersion":"7","uid":"u"},"spec":{"big":123456789012345678901234567890,"f":1.0e+5,"u":"\u2028"}}"#,
        "\n"
    );
    assert_eq!(one(&document).unwrap(), local);
}

/// Labels and annotations that hold nothing but ours go, wherever they stand.
#[test]
fn emptied_maps_go() {
    let annotations = r#""annotations":{"mcp-connector.upbound.io/anything":"x"}"#;
    for (remote, local) in [
        (format!("{annotations},\"labels\":{{{}}},\"name\":\"r\"", ours()), r#""name":"my-bucket""#),
        (format!("\"name\":\"r\",{annotations},\"labels\":{{{}}}", ours()), r#""name":"my-bucket""#),
        (format!("{annotations},\"name\":\"r\",\"labels\":{{{}}}", ours()), r#""name":"my-bucket""#),
        (
            format!("\"a\":1,{annotations},\"labels\":{{{}}},\"b\":2,\"name\":\"r\"", ours()),
            r#""a":1,"b":2,"name":"my-bucket""#,
        ),
        (
            format!("\"annotations\":{{}},\"labels\":{{{}}},\"name\":\"r\"", ours()),
            r#""annotations":{},"name":"my-bucket""#,
        ),
    ] {
        assert_eq!(one(&format!("{{\"metadata\":{{{remote}}}}}")).unwrap(), format!("{{\"metadata\":{{{local}}}}}"));
    }
}

/// Wire rule 7.1: the order of `PartialObjectMetadata` is that of the struct, the name before the labels; user references go
/// behind the annotations there, with their own members in the order of the struct.
#[test]
fn partial_object_metadata() {
    let document = format!(
        "{}{}{}",
        r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"r","namespace":"claims","uid":"u","labels":{"#,
        ours(),
        r#"},"annotations":{"mcp-connector.upbound.io/owner-references":"[{\"controller\":true,\"kind\":\"K\",\"uid\":\"o\",\"x\":1.0}]"},"finalizers":["f"]}}"#
    );
    let local = r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"my-bucket","namespace":"test","uid":"u","ownerReferences":[{"kind":"K","uid":"o","controller":true,"x":1.0}],"finalizers":["f"]}}"#;
    assert_eq!(one(&document).unwrap(), local);
}

/// Wire rule 7.3: indented for curl; what is put in is indented like its neighbours.
#[test]
fn pretty() {
    let document = format!(
        "{{\n  \"metadata\": {{\n    \"annotations\": {{\n      \"mcp-connector.upbound.io/owner-references\": \"[]\"\n    }},\n    \
         \"labels\": {{\n      \"app\": \"x\",\n      {}\n    }},\n    \"name\": \"r\",\n    \"namespace\": \"claims\",\n    \
         \"uid\": \"u\"\n  }}\n}}\n",
        ours().replace(',', ",\n      ").replace("\":", "\": ")
    );
    let local = "{\n  \"metadata\": {\n    \"labels\": {\n      \"app\": \"x\"\n    },\n    \"name\": \"my-bucket\",\n    \
                 \"namespace\": \"test\",\n    \"uid\": \"u\"\n  }\n}\n";
    assert_eq!(one(&document).unwrap(), local);
    let owned = document.replace("[]", "[{\\\"uid\\\":\\\"o\\\"}]");
    let owners = "\"namespace\": \"test\",\n    \"ownerReferences\": [{\"uid\":\"o\"}],\n";
    assert_eq!(one(&owned).unwrap(), local.replace("\"namespace\": \"test\",\n", owners));
}

/// Wire rule 6.9: remote references are hidden, the user's are back; text that is no array of references shows nothing.
#[test]
fn owner_references() {
    let document = |stash: &str, remote: &str| {
        format!(
            r#"{{"metadata":{{"annotations":{{"mcp-connector.upbound.io/owner-references":{stash}}},"labels":{{{}}},"name":"r","namespace":"claims",{remote}"uid":"u"}}}}"#,
            ours()
        )
    };
    let local = |owners: &str| format!(r#"{{"metadata":{{"name":"my-bucket","namespace":"test",{owners}"uid":"u"}}}}"#);
    let stash = r#""[{\"uid\":\"o\",\"n\":9007199254740993}]""#;
    let owners = r#""ownerReferences":[{"uid":"o","n":9007199254740993}],"#;
    let remote = r#""ownerReferences":[{"uid":"remote"}],"#;
    assert_eq!(one(&document(stash, "")).unwrap(), local(owners));
    assert_eq!(one(&document(stash, remote)).unwrap(), local(owners));
    for none in
        [r#""[]""#, r#""""#, r#""{}""#, r#""[1]""#, r#""[{\"uid\":\"o\"}],\"x\":[1]""#, r#""[{\"uid\":1}]""#, "7"]
    {
        assert_eq!(one(&document(none, "")).unwrap(), local(""), "{none}");
        assert_eq!(one(&document(none, remote)).unwrap(), local(""), "{none}");
    }
}

fn managed(entries: &str, annotations: &str) -> String {
    let document = format!(
        r#"{{"metadata":{{"annotations":{{{annotations}}},"labels":{{{}}},"managedFields":{entries},"name":"r"}}}}"#,
        ours()
    );
    let local = one(&document).unwrap();
    let local = local.strip_prefix("{\"metadata\":{").unwrap().strip_suffix("\"name\":\"my-bucket\"}}").unwrap();
    local.strip_prefix("\"managedFields\":").map_or(local, |entries| entries.strip_suffix(',').unwrap()).to_owned()
}

/// Wire rule 8.11: no trace of ours in `managedFields`.
#[test]
fn managed_fields() {
    let ours = r#""f:mcp-connector.upbound.io/app-cluster":{},"f:mcp-connector.upbound.io/app-namespace":{}"#;
    for (remote, local) in [
        // The user's labels stay, ours go.
        (
            format!(
                r#"[{{"manager":"m","fieldsV1":{{"f:metadata":{{"f:labels":{{".":{{}},"f:app":{{}},{ours}}}}},"f:spec":{{}}}}}}]"#
            ),
            r#"[{"manager":"m","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{}}}]"#,
        ),
        // Nothing but the mark of the map is left: the map goes, and what it empties.
        (
            format!(
                r#"[{{"manager":"m","fieldsV1":{{"f:metadata":{{"f:annotations":{{"f:a":{{}}}},"f:labels":{{".":{{}},{ours}}}}}}}}}]"#
            ),
            r#"[{"manager":"m","fieldsV1":{"f:metadata":{"f:annotations":{"f:a":{}}}}}]"#,
        ),
        (
            format!(r#"[{{"manager":"m","fieldsV1":{{"f:metadata":{{"f:labels":{{{ours}}}}},"f:spec":{{}}}}}}]"#),
            r#"[{"manager":"m","fieldsV1":{"f:spec":{}}}]"#,
        ),
        (
            format!(r#"[{{"fieldsV1":{{"f:metadata":{{"f:labels":{{{ours}}}}}}}}},{{"fieldsV1":{{"f:spec":{{}}}}}}]"#),
            r#"[{"fieldsV1":{"f:spec":{}}}]"#,
        ),
        (format!(r#"[{{"fieldsV1":{{"f:metadata":{{"f:labels":{{{ours}}}}}}}}}]"#), ""),
        // Who set references remotely set none that the user sees.
        (
            r#"[{"fieldsV1":{"f:metadata":{"f:ownerReferences":{".":{}}},"f:spec":{}}}]"#.to_owned(),
            r#"[{"fieldsV1":{"f:spec":{}}}]"#,
        ),
        // What was empty before is nobody's business.
        (
            r#"[{"fieldsV1":{"f:metadata":{"f:labels":{}}}},{"fieldsV1":{}}]"#.to_owned(),
            r#"[{"fieldsV1":{"f:metadata":{"f:labels":{}}}},{"fieldsV1":{}}]"#,
        ),
        ("null".to_owned(), "null"),
        ("[]".to_owned(), "[]"),
    ] {
        assert_eq!(managed(&remote, r#""mcp-connector.upbound.io/x":"y""#), local, "{remote}");
    }
}

/// Who wrote the annotation that holds the references has, natively, set the references.
#[test]
fn managed_owner_references() {
    let stash = r#""mcp-connector.upbound.io/owner-references":"[{\"uid\":\"b\"},{\"uid\":\"a\"}]""#;
    let of = |fields: &str| format!(r#"[{{"fieldsV1":{{"f:metadata":{{{fields}}}}}}}]"#);
    let theirs = r#""f:annotations":{"f:mcp-connector.upbound.io/owner-references":{}}"#;
    let native = r#""f:ownerReferences":{".":{},"k:{\"uid\":\"a\"}":{},"k:{\"uid\":\"b\"}":{}}"#;
    let entries = |document: &str| {
        document.split_once("\"managedFields\":").unwrap().1.rsplit_once(",\"name\"").unwrap().0.to_owned()
    };
    for (remote, local) in [
        (theirs.to_owned(), native.to_owned()),
        (format!("{theirs},\"f:finalizers\":{{}}"), format!("\"f:finalizers\":{{}},{native}")),
        (format!("{theirs},\"f:z\":{{}}"), format!("{native},\"f:z\":{{}}")),
        (
            format!("\"f:a\":{{}},{theirs},\"f:ownerReferences\":{{}},\"f:z\":{{}}"),
            format!("\"f:a\":{{}},{native},\"f:z\":{{}}"),
        ),
    ] {
        let document = format!(
            r#"{{"metadata":{{"annotations":{{{stash}}},"labels":{{{}}},"managedFields":{},"name":"r"}}}}"#,
            ours(),
            of(&remote)
        );
        assert_eq!(entries(&one(&document).unwrap()), of(&local), "{remote}");
    }
    assert_eq!(managed(&of(theirs), r#""mcp-connector.upbound.io/owner-references":"broken""#), "");
}

/// The stored-data contract: the secret is shown as the user named it only where its remote name was made from that.
#[test]
fn connection_secret() {
    let document = |stored: &str, spec_first: bool| {
        let metadata = format!(
            r#""metadata":{{"annotations":{{"mcp-connector.upbound.io/connection-secret-name":"conn"}},"labels":{{{}}},"name":"r"}}"#,
            ours()
        );
        let spec =
            format!(r#""spec":{{"a":{{"name":{stored:?}}},"writeConnectionSecretToRef":{{"name":{stored:?}}}}}"#);
        if spec_first { format!("{{{spec},{metadata}}}") } else { format!("{{{metadata},{spec}}}") }
    };
    let hashed = remote("conn");
    for spec_first in [false, true] {
        let shown = one(&document(&hashed, spec_first)).unwrap();
        assert!(shown.contains(r#""writeConnectionSecretToRef":{"name":"conn"}"#), "{shown}");
        assert!(shown.contains(&format!(r#""a":{{"name":{hashed:?}}}"#)), "only the secret's own name: {shown}");
        let shown = one(&document("imported", spec_first)).unwrap();
        assert!(shown.contains(r#""writeConnectionSecretToRef":{"name":"imported"}"#), "{shown}");
    }
}

/// Wire rule 8.7: the labels decide, never the name; nothing goes out of an object that is not the one.
#[test]
fn foreign_objects() {
    let with = |labels: &str| {
        format!(r#"{{"kind":"K","metadata":{{"labels":{{{labels}}},"name":"claim-c603e518969b413e"}}}}"#)
    };
    let cluster = ours().replace("00000000-0000", "00000000-0001");
    for document in [
        with(&labels("test", "other")),
        with(&labels("other", "my-bucket")),
        with(&cluster),
        with(""),
        with(r#""app":"x""#),
        r#"{"kind":"K","metadata":{"name":"claim-c603e518969b413e"}}"#.to_owned(),
        r#"{"kind":"K","metadata":{"labels":null,"name":null}}"#.to_owned(),
        r#"{"kind":"K","metadata":null}"#.to_owned(),
        r#"{"kind":"K"}"#.to_owned(),
        with(&ours()).replace(",\"name\":\"claim-c603e518969b413e\"", ""),
    ] {
        assert_eq!(one(&document), Err(AnswerError::Foreign), "{document}");
        let mut rewriter = Rewriter::new(asked(Some("test"), Some("my-bucket")), Shape::Object);
        let mut out = Vec::new();
        assert_eq!(rewriter.push(document.into(), &mut out), Err(AnswerError::Foreign));
        assert_eq!(out, Vec::<Bytes>::new());
        assert_eq!(rewriter.push(Bytes::new(), &mut out), Err(AnswerError::Foreign), "it stays failed");
    }
}

/// Wire rule 8.6: a long name stands in an annotation.
#[test]
fn long_name() {
    let name = "n".repeat(100);
    let document = format!(
        r#"{{"metadata":{{"annotations":{{"mcp-connector.upbound.io/app-resource-name":"{name}"}},"labels":{{{}}},"name":"r"}}}}"#,
        labels("test", &name)
    );
    let shown = rewrite_any(&asked(Some("test"), Some(&name)), Shape::Object, &document).unwrap();
    assert_eq!(shown, format!(r#"{{"metadata":{{"name":"{name}"}}}}"#));
}

/// Members that are called like those that matter, but stand elsewhere, are the user's.
#[test]
fn look_alikes() {
    let nested = r#"{"metadata":{"name":"r","namespace":"claims","labels":{"bystander/mcp-connector.upbound.io":"y"}},"items":[{"metadata":{}}],"rows":[null],"object":{"metadata":{}},"text":"\"metadata\":{\"name\":\"r\"}}"}"#;
    let document = format!(
        r#"{{"aaa":{nested},"metadata":{{"labels":{{{}}},"name":"r","x":{{"name":"r","labels":{{}}}}}},"spec":{nested},"status":[{nested}]}}"#,
        ours()
    );
    let local = format!(
        r#"{{"aaa":{nested},"metadata":{{"name":"my-bucket","x":{{"name":"r","labels":{{}}}}}},"spec":{nested},"status":[{nested}]}}"#
    );
    assert_eq!(one(&document).unwrap(), local);
}

/// Keys with escapes are the same keys.
#[test]
fn escaped_keys() {
    let document = format!(
        r#"{{"met\u0061data":{{"l\u0061bels":{{{}}},"n\u0061me":"\u0072","\u006eamespace":"claims"}}}}"#,
        ours().replace("mcp-", "m\\u0063p\\u002D").replace("test", "te\\u0073t")
    );
    assert_eq!(one(&document).unwrap(), r#"{"metadata":{"name":"my-bucket","namespace":"test"}}"#.replace("metadata", "met\\u0061data").replace("\"name\"", "\"n\\u0061me\"").replace("\"namespace\"", "\"\\u006eamespace\""));
}

/// What is there twice is read differently by different readers, so it is refused.
#[test]
fn duplicate_keys() {
    let twice = [
        format!(r#"{{"metadata":{{"labels":{{{0}}},"labels":{{{0}}},"name":"r"}}}}"#, ours()),
        format!(r#"{{"metadata":{{"labels":{{{}}},"name":"r","n\u0061me":"s"}}}}"#, ours()),
        format!(r#"{{"metadata":{{"labels":{{{}}},"name":"r"}},"metadata":{{}}}}"#, ours()),
        format!(r#"{{"metadata":{{"labels":{{{},{}}},"name":"r"}}}}"#, ours(), labels("other", "my-bucket")),
    ];
    for document in twice {
        assert!(matches!(one(&document), Err(AnswerError::Malformed { .. })), "{document}");
    }
}

/// What is no JSON is the control plane's fault, what ends early too; both are told apart.
#[test]
fn broken_documents() {
    let document = format!(r#"{{"metadata":{{"labels":{{{}}},"name":"r"}},"spec":{{}}}}"#, ours());
    let asked = asked(Some("test"), Some("my-bucket"));
    for cut in 0..document.len() {
        assert_eq!(rewrite_any(&asked, Shape::Object, &document[..cut]), Err(AnswerError::Truncated), "cut at {cut}");
    }
    assert_eq!(one("[]"), Err(AnswerError::Malformed { at: 0 }));
    assert_eq!(
        rewrite_any(&asked, Shape::Object, &format!("{document}x")),
        Err(AnswerError::Malformed { at: document.len() as u64 })
    );
    assert_eq!(one(r#"{"a" 1}"#), Err(AnswerError::Malformed { at: 5 }));
    assert_eq!(one(r#"{"metadata":{"labels":{"a":1 2},"name":"r"}}"#), Err(AnswerError::Malformed { at: 29 }));
    let deep = "[".repeat(10_001);
    assert_eq!(rewrite(&asked, Shape::Object, format!("{{\"a\":{deep}").as_bytes(), &[100]), Err(AnswerError::TooDeep));
}

/// What is held is bounded, whatever the chunks.
#[test]
fn held_bytes_are_bounded() {
    let document = format!(r#"{{"a":"{}","metadata":{{}}}}"#, "x".repeat(crate::answer::MAX_HELD));
    let asked = asked(Some("test"), Some("my-bucket"));
    for size in [usize::MAX, 100_000] {
        assert_eq!(rewrite(&asked, Shape::Object, document.as_bytes(), &[size]), Err(AnswerError::TooLarge));
    }
}

/// Wire rule 7.19: a Scale has no labels; its names are those that were asked for.
#[test]
fn scales() {
    let remote = r#"{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"r","namespace":"claims","uid":"u"},"spec":{"replicas":3},"status":{"replicas":3,"selector":"name=r"}}"#;
    let local = remote.replacen("\"r\"", "\"my-bucket\"", 1).replace("claims", "test");
    let asked = asked(Some("test"), Some("my-bucket"));
    assert_eq!(scale(&asked, RowObject::Show, remote.as_bytes()).unwrap(), local.as_bytes());
    // As a Table, whose cells may say the name too.
    let name = crate::answer::tests::remote("my-bucket");
    let row = |cell: &str, object: &str| {
        format!(r#"{{"kind":"Table","rows":[{{"cells":["{cell}","claims",3],"object":{object}}}]}}"#)
    };
    let table = row(&name, &remote.replacen("\"r\"", &format!("\"{name}\""), 1));
    let shown = |show| String::from_utf8(scale(&asked, show, table.as_bytes()).unwrap()).unwrap();
    assert_eq!(shown(RowObject::Show), row("my-bucket", &local));
    assert_eq!(shown(RowObject::Null), row("my-bucket", "null"));
}

/// Wire rule 7.17: the answer to a deletion is either.
#[test]
fn answers_to_a_deletion() {
    assert!(is_status(br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}"#));
    assert!(is_status(b"{\n  \"metadata\": {\"kind\": \"K\"},\n  \"kind\": \"Status\"\n}\n"));
    for other in ["", "[]", r#"{"kind":"K","status":{"kind":"Status"}}"#, r#"{"kind":"Status""#, "Status"] {
        assert!(!is_status(other.as_bytes()), "{other}");
    }
}

/// A server-side apply makes kube-apiserver write the applied body, which was in remote terms, into kubectl's annotation.
#[test]
fn the_applied_configuration_is_local() {
    let shown = r#"{"apiVersion":"g/v1","kind":"Thing","metadata":{"name":"a","namespace":"test"},"spec":{"writeConnectionSecretToRef":{"name":"conn"}}}"#;
    let secret = remote("conn");
    let applied = format!(
        r#"{{"apiVersion":"g/v1","kind":"Thing","metadata":{{"annotations":{{"mcp-connector.upbound.io/connection-secret-name":"conn"}},"labels":{{{}}},"name":"{}","namespace":"claims","uid":"u-1"}},"spec":{{"writeConnectionSecretToRef":{{"name":"{secret}"}}}}}}"#,
        labels("test", "a"),
        remote("a"),
    );
    let document = |annotation: &str, labels: &str, name: &str, namespace: &str| {
        let annotation = serde_json::Value::from(annotation);
        format!(
            r#"{{"metadata":{{"annotations":{{"kubectl.kubernetes.io/last-applied-configuration":{annotation}}},{labels}"name":"{name}","namespace":"{namespace}"}}}}"#
        )
    };
    let stored = |annotation: &str| {
        document(annotation, &format!(r#""labels":{{{}}},"#, labels("test", "a")), &remote("a"), "claims")
    };
    let seen = rewrite_any(&asked(Some("test"), Some("a")), Shape::Object, &stored(&applied)).unwrap();
    assert_eq!(seen, document(shown, "", "a", "test"));
    // The user's own text stays, whatever it says.
    let own = r#"{"metadata":{"labels":{"bystander/mcp-connector.upbound.io/app-cluster":"x"}}}"#;
    let seen = rewrite_any(&asked(Some("test"), Some("a")), Shape::Object, &stored(own)).unwrap();
    assert_eq!(seen, document(own, "", "a", "test"));
}
