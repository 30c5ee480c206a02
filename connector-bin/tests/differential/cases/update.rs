//! PUT.

use crate::case::{Case, Kind, case};
use crate::exchange::{Request, YAML};

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: update {name}", of.label);
    let at = |metadata: &str| of.with_metadata(&format!(r#"{{"name":"a","resourceVersion":"$rv(a)"{metadata}}}"#));
    let changed = |body: String| body.replace(&format!(r#""{}":"#, of.number.1), &format!(r#""{}":1"#, of.number.1));
    vec![
        case(
            is("and get"),
            [
                of.create("a"),
                of.put("a", at("")),
                of.put("a", changed(at(""))),
                of.get("a"),
                of.put("a", changed(at(r#","labels":{"a":"b"},"annotations":{"c":"d"}"#))),
                of.put("a", at("")),
                of.get("a"),
            ],
        ),
        case(
            is("without a resource version"),
            [of.create("a"), of.put("a", of.named("a")), of.put("a", of.with_metadata(r#"{"name":"a","resourceVersion":""}"#)), of.get("a")],
        ),
        case(
            is("with a wrong resource version"),
            [
                of.create("a"),
                of.put("a", of.with_metadata(r#"{"name":"a","resourceVersion":"1"}"#)),
                of.put("a", of.with_metadata(r#"{"name":"a","resourceVersion":"x"}"#)),
                of.put("a", of.with_metadata(r#"{"name":"a","resourceVersion":"0"}"#)),
                of.put("a", of.with_metadata(r#"{"name":"a","resourceVersion":5}"#)),
            ],
        ),
        case(
            is("with uids"),
            [
                of.create("a"),
                of.put("a", at(r#","uid":"$uid(a)""#)),
                of.put("a", at(r#","uid":"00000000-0000-0000-0000-000000000000""#)),
                of.put("a", at(r#","uid":"""#)),
                of.put("a", at(r#","uid":5"#)),
            ],
        ),
        case(
            is("of what is not there"),
            [
                of.put("a", of.with_metadata(r#"{"name":"a","resourceVersion":"1"}"#)),
                of.put("a", of.named("a")),
                of.put("a", of.with_metadata(r#"{"name":"a","uid":"00000000-0000-0000-0000-000000000000"}"#)),
                of.put("A_", of.with_metadata(r#"{"name":"A_"}"#)),
                Request::new("PUT", of.all()).body("application/json", of.named("a")),
            ],
        ),
        case(
            is("with a mismatch"),
            [
                of.create("a"),
                of.put("a", of.with_metadata(r#"{"name":"b","resourceVersion":"$rv(a)"}"#)),
                of.put("a", of.with_metadata(r#"{"resourceVersion":"$rv(a)"}"#)),
                of.put("a", at(r#","namespace":"$other""#)),
                of.put("a", at(r#","namespace":"$ns""#)),
                of.put("a", at("").replace(of.version, "v9")),
                of.put("a", at("").replace(of.kind, "Other")),
                of.put("a", at("").replace(of.kind, "")),
                of.put("b", of.with_metadata(r#"{"name":"a"}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("with a broken body"),
            [of.create("a"), of.put("a", ""), of.put("a", "{"), of.put("a", "[]"), of.put("a", "null"), of.put("a", "{}")],
        ),
        case(
            is("with invalid content"),
            [
                of.create("a"),
                of.put("a", of.with(r#"{"name":"a","resourceVersion":"$rv(a)"}"#, "{}")),
                of.put("a", at(r#","labels":{"a b":"c"}"#)),
                of.put("a", at(r#","labels":{"a":1}"#)),
                of.put("a", at(r#","finalizers":["x"]"#)),
                of.put("a", at(r#","generateName":"other-""#)),
                of.put("a", at(r#","creationTimestamp":"2000-01-01T00:00:00Z""#)),
                of.put("a", at(r#","deletionTimestamp":"2000-01-01T00:00:00Z""#)),
                of.put("a", at(r#","generation":99"#)),
                of.put("a", at(r#","managedFields":[{}]"#)),
                of.get("a"),
            ],
        ),
        case(
            is("of owners and finalizers"),
            [
                of.create("a"),
                of.put("a", at(r#","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}]"#)),
                of.get("a"),
                of.put("a", at(r#","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-2"}]"#)),
                of.put("a", at(r#","finalizers":["example.org/f"]"#)),
                of.get("a"),
                of.put("a", at(r#","ownerReferences":[{"apiVersion":"","kind":"","name":"","uid":""}]"#)),
                of.put("a", at(r#","labels":{"a b":"c"},"ownerReferences":[{"apiVersion":"v1","kind":"Event","name":"","uid":"1"}]"#)),
                of.put("a", of.with_metadata(r#"{"name":"a","resourceVersion":"1","ownerReferences":[{}]}"#)),
                of.put("a", of.with_metadata(r#"{"name":"a","ownerReferences":[{}]}"#)),
                of.put("b", of.with_metadata(r#"{"name":"b","resourceVersion":"1","ownerReferences":[{}]}"#)),
                Request { path: format!("{}/status", of.one("a")), ..of.put("a", at(r#","ownerReferences":[{}]"#)) },
                of.put("a", at(r#","ownerReferences":[{"apiVersion":"v1","kind":"A","name":"o","uid":"1"},{"apiVersion":"v1","kind":"A","name":"o","uid":"1"}]"#)),
                of.put("a", at("")),
            ],
        ),
        case(
            is("by several managers"),
            [
                of.create("a").header("user-agent", "first/1"),
                of.put("a", changed(at(r#","labels":{"a":"1"}"#))).header("user-agent", "second/1"),
                of.put("a", at(r#","labels":{"a":"1","b":"2"},"annotations":{"c":"d"}"#)).header("user-agent", "third/1"),
                of.put("a", at("")).header("user-agent", "fourth/1"),
                of.put("a", at(r#","managedFields":[]"#)),
                of.get("a"),
            ],
        ),
        case(
            is("for a try and strictly"),
            [
                of.create("a"),
                Request { path: format!("{}?dryRun=All", of.one("a")), ..of.put("a", changed(at(""))) },
                of.get("a"),
                Request { path: format!("{}?fieldValidation=Strict", of.one("a")), ..of.put("a", at(r#","colour":1"#)) },
                Request { path: format!("{}?fieldValidation=Warn", of.one("a")), ..of.put("a", at(r#","colour":1"#)) },
                Request { path: format!("{}?fieldValidation=Strict", of.one("a")), ..of.put("a", at(r#","labels":{"a":"1","a":"2"}"#)) },
            ],
        ),
        case(
            is("from YAML"),
            [
                of.create("a"),
                of.put("a", "").body(YAML, "a: [b"),
                of.put("b", "").body(YAML, "a: [b"),
                of.put("a", "{"),
                of.put("b", "{\"a\":1ü}"),
                of.put("a", "").body(YAML, format!(
                    "apiVersion: {}\nkind: {}\nmetadata: {{name: a, resourceVersion: \"$rv(a)\", labels: {{a: b}}}}\nspec: {}\n",
                    of.api_version(), of.kind, of.spec
                )),
                of.get("a"),
            ],
        ),
        case(
            is("of the status"),
            [
                of.create("a"),
                Request { path: format!("{}/status", of.one("a")), ..of.put("a", at("").replacen('{', r#"{"status":{"conditions":[{"type":"Ready","status":"True","reason":"R","lastTransitionTime":"2020-01-01T00:00:00Z"}]},"#, 1)) },
                of.get("a"),
                Request::new("GET", format!("{}/status", of.one("a"))),
                Request { path: format!("{}/status", of.one("a")), ..of.merge("a", r#"{"status":{"conditions":null},"spec":{"x":1},"metadata":{"labels":{"a":"b"}}}"#) },
                Request { path: format!("{}/status?fieldManager=s", of.one("a")), ..of.apply("a", "", of.with_metadata("{}").replacen('{', r#"{"status":{"conditions":[]},"#, 1)) },
                Request { path: format!("{}/status", of.one("b")), ..of.merge("b", "{}") },
                Request { path: format!("{}/status?fieldManager=s", of.one("b")), ..of.apply("b", "", of.named("b")) },
                Request::new("GET", format!("{}/status", of.one("b"))),
                Request::new("DELETE", format!("{}/status", of.one("a"))),
                of.get("a"),
            ],
        ),
    ]
}
