//! Server-side apply.

use crate::case::{Case, Kind, case};
use crate::exchange::Request;

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: apply {name}", of.label);
    let full = |metadata: &str| of.with_metadata(metadata);
    let by = |manager: &str, body: String| of.apply("a", &format!("fieldManager={manager}"), body);
    let forced = |manager: &str, body: String| of.apply("a", &format!("fieldManager={manager}&force=true"), body);
    // Without a spec: labels alone.
    let bare = |metadata: &str| {
        format!(r#"{{"apiVersion":"{}","kind":"{}","metadata":{metadata}}}"#, of.api_version(), of.kind)
    };
    let other = |body: String| body.replace(&format!(r#""{}":"#, of.number.1), &format!(r#""{}":1"#, of.number.1));
    vec![
        case(
            is("creates and changes"),
            [
                by("m", full(r#"{"name":"a"}"#)),
                by("m", full(r#"{"name":"a"}"#)),
                by("m", other(full(r#"{"name":"a"}"#))),
                by("m", full(r#"{"name":"a","labels":{"l":"1"}}"#)),
                by("m", full(r#"{"name":"a"}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("labels of several managers"),
            [
                by("m", full(r#"{"name":"a"}"#)),
                by("n", bare(r#"{"name":"a","labels":{"l":"1","k":"2"}}"#)),
                by("o", bare(r#"{"name":"a","labels":{"l":"1"}}"#)),
                by("p", bare(r#"{"name":"a","labels":{"l":"2"}}"#)),
                forced("p", bare(r#"{"name":"a","labels":{"l":"2"}}"#)),
                by("n", bare(r#"{"name":"a","labels":{"k":"2"}}"#)),
                by("n", bare(r#"{"name":"a","labels":{}}"#)),
                by("n", bare(r#"{"name":"a","labels":null}"#)),
                by("n", bare(r#"{"name":"a"}"#)),
                by("p", bare(r#"{"name":"a","annotations":{"x":"y"}}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("in conflict"),
            [
                by("m", full(r#"{"name":"a"}"#)),
                by("n", other(full(r#"{"name":"a"}"#))),
                forced("n", other(full(r#"{"name":"a"}"#))),
                by("m", full(r#"{"name":"a"}"#)),
                of.merge("a", r#"{"metadata":{"labels":{"l":"1"}}}"#),
                by("m", full(r#"{"name":"a","labels":{"l":"2"}}"#)),
                forced("m", full(r#"{"name":"a","labels":{"l":"2"}}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("over an update"),
            [
                of.create("a"),
                by("m", full(r#"{"name":"a"}"#)),
                by("m", other(full(r#"{"name":"a"}"#))),
                by("m", full(r#"{"name":"a","labels":{"l":"1"},"annotations":{"b":"c"}}"#)),
                of.merge("a", r#"{"metadata":{"labels":{"z":"1"},"annotations":{"y":"1"}}}"#),
                by("m", full(r#"{"name":"a"}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("without a manager"),
            [
                of.apply("a", "", full(r#"{"name":"a"}"#)),
                of.apply("a", "fieldManager=", full(r#"{"name":"a"}"#)),
                of.apply("a", "fieldManager=m&force=maybe", full(r#"{"name":"a"}"#)),
                of.apply("a", &format!("fieldManager={}", "x".repeat(129)), full(r#"{"name":"a"}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("with a mismatch"),
            [
                by("m", full(r#"{"name":"b"}"#)),
                by("m", full("{}")),
                by("m", full(r#"{"name":"a","namespace":"$other"}"#)),
                by("m", full(r#"{"name":"a","namespace":"$ns"}"#)),
                by("m", full(r#"{"name":"b"}"#)),
                by("m", full("{}")),
                by("m", full(r#"{"name":"a"}"#).replace(of.version, "v9")),
                by("m", full(r#"{"name":"a"}"#).replace(of.group, "other.org")),
                by("m", full(r#"{"name":"a"}"#).replace(of.kind, "Other")),
                by("m", full(r#"{"name":"a"}"#).replace(of.kind, "")),
                by("m", full(r#"{"name":"a","namespace":"$other"}"#)),
                by("m", r#"{"metadata":{"name":"a"}}"#.to_owned()),
                of.apply("A_", "fieldManager=m", full(r#"{"name":"A_"}"#)),
                of.apply("A_", "fieldManager=m", full("{}")),
                of.apply("A_", "fieldManager=m", of.with(r#"{"name":"A_","labels":{"a b":"c"}}"#, "{}")),
            ],
        ),
        case(
            is("with a broken body"),
            [
                by("m", String::new()),
                by("m", "{".to_owned()),
                by("m", "[]".to_owned()),
                by("m", "null".to_owned()),
                by("m", "5".to_owned()),
                by("m", "a: [".to_owned()),
                by("m", "- a".to_owned()),
                by("m", "{}".to_owned()),
                by("m", "a: 1\na: 2\n".to_owned()),
                by("m", full("[]")),
                by("m", full(r#"{"name":"a","labels":{"l":1}}"#)),
                by("m", full(r#"{"name":"a","labels":[]}"#)),
                by("m", full(r#"{"name":"a","namespace":"$ns","annotations":["x",{"b":1,"a":true}]}"#)),
                by("m", full(r#"{"name":"a","ownerReferences":{"a":5}}"#)),
                by("m", full(r#"{"name":5}"#)),
                by("m", full("\"x\"")),
                of.create("a"),
                by("m", full(r#"{"name":"a","labels":"x"}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("from YAML"),
            [
                by("m", format!("apiVersion: {}\nkind: {}\nmetadata:\n  name: a\n  labels:\n    l: \"1\" # one\nspec: {}\n", of.api_version(), of.kind, of.spec)),
                of.get("a"),
                by("m", format!("---\napiVersion: {}\nkind: {}\nmetadata: {{name: a}}\nspec: {}\n", of.api_version(), of.kind, of.spec)),
            ],
        ),
        case(
            is("with preconditions"),
            [
                by("m", full(r#"{"name":"a","uid":"00000000-0000-0000-0000-000000000000"}"#)),
                by("m", full(r#"{"name":"a","resourceVersion":"5"}"#)),
                by("m", full(r#"{"name":"a"}"#)),
                by("m", full(r#"{"name":"a","uid":"$uid(a)","labels":{"l":"1"}}"#)),
                by("m", full(r#"{"name":"a","uid":"00000000-0000-0000-0000-000000000000","labels":{"l":"2"}}"#)),
                by("m", full(r#"{"name":"a","resourceVersion":"$rv(a)","labels":{"l":"3"}}"#)),
                by("m", full(r#"{"name":"a","resourceVersion":"1","labels":{"l":"4"}}"#)),
                by("m", full(r#"{"name":"a","managedFields":[]}"#)),
                by("m", full(r#"{"name":"a","managedFields":[{"manager":"x"}]}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("with owners and finalizers"),
            [
                by("m", full(r#"{"name":"a","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}]}"#)),
                by("m", full(r#"{"name":"a","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}],"finalizers":["example.org/f"]}"#)),
                by("m", full(r#"{"name":"a"}"#)),
                of.get("a"),
                by("m", full(r#"{"name":"a","ownerReferences":[{"apiVersion":"v1","kind":"","name":"o","uid":"1"}]}"#)),
                of.apply("b", "fieldManager=m", full(r#"{"name":"b","ownerReferences":[{"apiVersion":"v1","kind":"","name":"o","uid":"1"}]}"#)),
                by("m", full(r#"{"name":"a","ownerReferences":[{"apiVersion":"v1","kind":"A","name":"o","uid":"1"},{"apiVersion":"v1","kind":"A","name":"o","uid":"1"}]}"#)),
            ],
        ),
        case(
            is("for a try and strictly"),
            [
                of.apply("a", "fieldManager=m&dryRun=All", full(r#"{"name":"a"}"#)),
                of.get("a"),
                by("m", full(r#"{"name":"a"}"#)),
                of.apply("a", "fieldManager=m&dryRun=All", other(full(r#"{"name":"a"}"#))),
                of.apply("a", "fieldManager=m&fieldValidation=Strict", full(r#"{"name":"a","colour":1}"#)),
                of.apply("a", "fieldManager=m&fieldValidation=Warn", full(r#"{"name":"a","colour":1}"#)),
                of.apply("a", "fieldManager=m&fieldValidation=Ignore", full(r#"{"name":"a","colour":1}"#)),
                of.apply("a", "fieldManager=m&fieldValidation=Strict", full(r#"{"name":"a","labels":{"l":"1","l":"2"}}"#)),
                of.apply("a", "fieldManager=m&fieldValidation=Strict", full(r#"{"name":"a"}"#).replacen(r#""spec":{"#, r#""spec":{"colour":1,"#, 1)),
                of.get("a"),
            ],
        ),
        case(
            is("with invalid content"),
            [
                by("m", of.with(r#"{"name":"a"}"#, "{}")),
                by("m", of.with(r#"{"name":"a"}"#, "null")),
                by("m", of.with(r#"{"name":"a"}"#, "5")),
                by("m", full(r#"{"name":"a","labels":{"a b":"c"}}"#)),
                by("m", full(r#"{"name":"a","generateName":"x-"}"#)),
                by("m", full(r#"{"name":"a","creationTimestamp":"2000-01-01T00:00:00Z"}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("of what kubectl applied"),
            [
                of.post(of.with_metadata(r#"{"name":"a","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}"#)).header("user-agent", "kubectl-client-side-apply/1"),
                of.apply("a", "fieldManager=kubectl&force=true", full(r#"{"name":"a"}"#)),
                of.apply("a", "fieldManager=kubectl", full(r#"{"name":"a","labels":{"l":"1"}}"#)),
                of.get("a"),
                of.json_patch("a", r#"[{"op":"replace","path":"/metadata/managedFields","value":[{}]},{"op":"replace","path":"/metadata/resourceVersion","value":"$rv(a)"}]"#),
                of.get("a"),
            ],
        ),
        case(
            is("the managers of another"),
            [
                by("m", full(r#"{"name":"a","labels":{"l":"1"}}"#)),
                of.merge("a", r#"{"metadata":{"managedFields":[{"manager":"taken","operation":"Apply","apiVersion":"APIVERSION","time":"2024-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{"f:l":{}}}}}]}}"#.replace("APIVERSION", &of.api_version())),
                by("taken", bare(r#"{"name":"a"}"#)),
                by("m", full(r#"{"name":"a","labels":{"l":"1"}}"#)),
                of.get("a"),
            ],
        ),
        case(is("to a list"), [Request { path: format!("{}?fieldManager=m", of.all()), ..by("m", full(r#"{"name":"a"}"#)) }]),
    ]
}
