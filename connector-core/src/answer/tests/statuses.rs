//! Failures in local names.

use super::*;
use crate::answer::status;
use crate::status::{Cause, Details, Status};

fn told(namespace: Option<&str>, name: Option<&str>, message: &str) -> String {
    let raw = Status::failure(409, "Conflict", message).to_json();
    status(&asked(namespace, name), &raw).unwrap().message
}

/// Wire rule 7.15: names in the texts.
#[test]
fn names_in_messages() {
    let remote = remote("my-bucket");
    for (message, local) in [
        (r#"ks.g "R" not found"#, r#"ks.g "my-bucket" not found"#),
        (
            r#"Operation cannot be fulfilled on ks.g "R": the object has been modified"#,
            r#"Operation cannot be fulfilled on ks.g "my-bucket": the object has been modified"#,
        ),
        ("R, R and R.", "my-bucket, my-bucket and my-bucket."),
        ("R-x7k2p is another object's", "R-x7k2p is another object's"),
        ("xR", "xR"),
        ("é R é", "é my-bucket é"),
    ] {
        let message = message.replace('R', &remote);
        let expected = local.replace('R', &remote);
        assert_eq!(told(Some("test"), Some("my-bucket"), &message), expected);
        assert_eq!(told(Some("test"), None, &message), message, "no name is known");
    }
}

/// Wire rules 7.15, 7.19: a Scale that cannot be is told as it is, and has no labels that would tell whose it is.
#[test]
fn scales_in_messages() {
    let scale = |name: &str, namespace: &str| {
        let object = format!(
            r#"{{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{{"name":"{name}","namespace":"{namespace}"}},"spec":{{"replicas":"x"}}}}"#
        );
        format!("patch: Invalid value: {}: json: no", serde_json::Value::from(object))
    };
    let message = scale(&remote("my-bucket"), "claims");
    assert_eq!(told(Some("test"), Some("my-bucket"), &message), scale("my-bucket", "test"));
}

/// The claim namespace is told only where the text speaks of a namespace.
#[test]
fn namespaces_in_messages() {
    let remote = remote("my-bucket");
    for (message, local) in [
        (r#"namespaces "claims" not found"#, r#"namespaces "test" not found"#),
        (
            "unable to create new content in namespace claims because it is being terminated",
            "unable to create new content in namespace test because it is being terminated",
        ),
        (
            r#"cannot create ks in API group "g" in the namespace "claims""#,
            r#"cannot create ks in API group "g" in the namespace "test""#,
        ),
        (
            "the namespace of the object (claims) does not match the namespace on the request (claims)",
            "the namespace of the object (test) does not match the namespace on the request (test)",
        ),
        ("claims/R is locked", "test/my-bucket is locked"),
        (r#"spec.a: Invalid value: "claims": no"#, r#"spec.a: Invalid value: "claims": no"#),
        ("all claims are locked", "all claims are locked"),
        ("in namespace claims-2", "in namespace claims-2"),
    ] {
        let message = message.replace('R', &remote);
        assert_eq!(told(Some("test"), Some("my-bucket"), &message), local.replace('R', &remote));
        assert_eq!(told(None, None, &message), message, "no namespace is known");
    }
}

/// Wire rules 7.15, 7.16: details and causes; `continue` and the rest stay.
#[test]
fn details() {
    let remote = remote("my-bucket");
    let mut raw = Status::invalid(
        "g",
        "K",
        &remote,
        vec![Cause { message: format!("{remote}!"), field: "f".into(), ..Cause::default() }],
    );
    raw.metadata.insert("continue".into(), "token".into());
    raw.details.as_mut().unwrap().uid = "u".into();
    let local = status(&asked(Some("test"), Some("my-bucket")), &raw.to_json()).unwrap();
    let mut expected = Status::invalid(
        "g",
        "K",
        "my-bucket",
        vec![Cause { message: "my-bucket!".into(), field: "f".into(), ..Cause::default() }],
    );
    expected.metadata.insert("continue".into(), "token".into());
    expected.details.as_mut().unwrap().uid = "u".into();
    assert_eq!(local, expected);
    let missing = Status::not_found("", "namespaces", "claims");
    let local = status(&asked(Some("test"), None), &missing.to_json()).unwrap();
    assert_eq!(local, Status::not_found("", "namespaces", "test"));
    let named = Status::failure(500, "x", "y").about(Details::of("g", "ks", "claims"));
    assert_eq!(
        status(&asked(Some("test"), None), &named.to_json()).unwrap(),
        named,
        "an object called like the namespace"
    );
}

#[test]
fn no_status() {
    for other in ["", "[]", r#"{"kind":"K","apiVersion":"v1"}"#, "404 page not found"] {
        assert_eq!(status(&asked(None, None), other.as_bytes()), None, "{other}");
    }
}

/// Wire rule 7.15: a patch whose outcome is invalid is told with the whole object.
#[test]
fn objects_in_messages() {
    let metadata = |name: &str, namespace: &str, labels: &str| {
        format!(r#"{{"labels":{{"a":1{labels}}},"name":"{name}","namespace":"{namespace}"}}"#)
    };
    let message = |metadata: &str| {
        let object = format!(r#"{{"metadata":{metadata},"spec":{{"text":"a \"b\""}}}}"#);
        format!(" \"\" is invalid: patch: Invalid value: {object:?}: json: cannot unmarshal")
    };
    let stored = message(&metadata(&remote("my-bucket"), "claims", &format!(",{}", labels("test", "my-bucket"))));
    assert_eq!(told(Some("test"), Some("my-bucket"), &stored), message(&metadata("my-bucket", "test", "")));
    let plain = |metadata: &str| format!(r#"Object 'Kind' is missing in '{{"metadata":{metadata}}}'"#);
    let stored = plain(&metadata(&remote("my-bucket"), "claims", &format!(",{}", labels("test", "my-bucket"))));
    assert_eq!(told(Some("test"), Some("my-bucket"), &stored), plain(&metadata("my-bucket", "test", "")));
    let foreign = message(&metadata("x", "claims", &format!(",{}", labels("other", "my-bucket"))));
    let told = told(Some("test"), Some("my-bucket"), &foreign);
    assert_eq!(told, r#" "" is invalid: patch: Invalid value: "{}": json: cannot unmarshal"#);
}

/// Wire rule 7.18: nobody conflicts about a member that they cannot see.
#[test]
fn conflicts_about_what_is_hidden() {
    let cause = |field: &str| Cause {
        reason: "FieldManagerConflict".into(),
        message: r#"conflict with "m" using g/v1"#.into(),
        field: field.into(),
    };
    let conflicts = |fields: &[&str]| {
        let causes = fields.iter().map(|field| cause(field)).collect();
        let raw = Status::failure(409, "Conflict", "hidden").about(Details { causes, ..Details::default() }).to_json();
        status(&asked(Some("test"), Some("my-bucket")), &raw).unwrap()
    };
    let secret = ".spec.writeConnectionSecretToRef.name";
    let hidden = ".metadata.annotations.mcp-connector.upbound.io/connection-secret-name";
    let one = conflicts(&[hidden, secret]);
    assert_eq!(one.message, format!("Apply failed with 1 conflict: conflict with \"m\" using g/v1: {secret}"));
    assert_eq!(one.details.unwrap().causes, [cause(secret)]);
    let two = conflicts(&[hidden, ".spec.a", secret]);
    assert_eq!(
        two.message,
        format!("Apply failed with 2 conflicts: conflicts with \"m\" using g/v1:\n- .spec.a\n- {secret}")
    );
}
