//! The scale subresource, which has no labels (wire rule 7.19): every verb, every patch.

use crate::case::{CLAIM, Case, WIDGET, case};
use crate::exchange::{APPLY_PATCH, JSON, JSON_PATCH, MERGE_PATCH, PARTIAL, Request, TABLE, YAML};

pub(crate) fn cases() -> Vec<Case> {
    let of = WIDGET;
    let at = |name: &str| format!("{}/scale", of.one(name));
    let get = |name: &str| Request::new("GET", at(name));
    let send =
        |method: &'static str, content_type: &str, body: &str| Request::new(method, at("a")).body(content_type, body);
    let scale = |metadata: &str, spec: &str| {
        format!(r#"{{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{metadata},"spec":{spec}}}"#)
    };
    let put = |metadata: &str, spec: &str| send("PUT", JSON, &scale(metadata, spec));
    let merge = |body: &str| send("PATCH", MERGE_PATCH, body);
    let patch = |body: &str| send("PATCH", JSON_PATCH, body);
    let apply =
        |query: &str, body: &str| Request { path: format!("{}?{query}", at("a")), ..send("PATCH", APPLY_PATCH, body) };
    let made = || of.create_labelled("a", r#"{"l":"1"}"#);
    vec![
        case(
            "widget: scale is read",
            [
                made(),
                get("a"),
                get("b"),
                get("a").accept(TABLE),
                get("a").accept(PARTIAL),
                Request::new("GET", format!("{}?pretty=true", at("a"))),
                get("a").accept("application/vnd.kubernetes.protobuf,application/json"),
                get("a").accept("text/html"),
                Request::new("GET", format!("{}?resourceVersion=0", at("a"))),
                Request::new("GET", format!("{}?watch=true", at("a"))),
                Request::new("HEAD", at("a")),
                Request { path: format!("{}/scale", CLAIM.one("a")), ..get("a") },
                of.create("scale"),
                of.get("scale"),
                get("scale"),
            ],
        ),
        case(
            "widget: scale is updated",
            [
                made(),
                get("a"),
                put(r#"{"name":"a","namespace":"$ns"}"#, r#"{"replicas":3}"#),
                put(r#"{"name":"a"}"#, r#"{"replicas":4}"#),
                put(r#"{"name":"a","resourceVersion":"1"}"#, r#"{"replicas":5}"#),
                put(r#"{"name":"a","resourceVersion":"$rv(a)"}"#, r#"{"replicas":5}"#),
                put(r#"{"name":"b"}"#, r#"{"replicas":6}"#),
                put(r#"{"name":"a","namespace":"$other"}"#, r#"{"replicas":6}"#),
                put("{}", r#"{"replicas":6}"#),
                put(r#"{"name":"a","uid":"00000000-0000-0000-0000-000000000000"}"#, r#"{"replicas":6}"#),
                put(r#"{"name":"a","labels":{"x":"y"},"annotations":{"x":"y"}}"#, r#"{"replicas":7}"#),
                put(r#"{"name":"a"}"#, r#"{"replicas":-1}"#),
                put(r#"{"name":"a"}"#, r#"{"replicas":"x"}"#),
                put(r#"{"name":"a"}"#, "{}"),
                send("PUT", JSON, &of.named("a")),
                send("PUT", JSON, &scale(r#"{"name":"a"}"#, "{}").replace("autoscaling/v1", "autoscaling/v9")),
                send("PUT", JSON, ""),
                send("PUT", JSON, "{"),
                send(
                    "PUT",
                    YAML,
                    "kind: Scale\napiVersion: autoscaling/v1\nmetadata: {name: a}\nspec: {replicas: 8}\n",
                ),
                Request { path: at("b"), ..put(r#"{"name":"b"}"#, r#"{"replicas":1}"#) },
                get("a"),
                of.get("a"),
            ],
        ),
        case(
            "widget: scale is patched",
            [
                made(),
                merge(r#"{"spec":{"replicas":2}}"#),
                merge(r#"{"spec":{"replicas":null}}"#),
                merge(r#"{"spec":{"replicas":"x"}}"#),
                merge(r#"{"metadata":{"name":"b"}}"#),
                merge(r#"{"metadata":{"namespace":"$other"}}"#),
                merge(r#"{"metadata":{"labels":{"x":"y"}}}"#),
                merge(r#"{"metadata":{"resourceVersion":"1"},"spec":{"replicas":9}}"#),
                merge("{}"),
                merge("["),
                patch(r#"[{"op":"replace","path":"/spec/replicas","value":4}]"#),
                patch(
                    r#"[{"op":"test","path":"/metadata/name","value":"a"},{"op":"replace","path":"/spec/replicas","value":5}]"#,
                ),
                patch(r#"[{"op":"test","path":"/metadata/namespace","value":"$ns"}]"#),
                patch(r#"[{"op":"test","path":"/metadata/name","value":"b"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/name"}]"#),
                patch(r#"[{"op":"add","path":"/metadata/labels","value":{"x":"y"}}]"#),
                apply("fieldManager=m", &scale(r#"{"name":"a"}"#, r#"{"replicas":6}"#)),
                apply("fieldManager=m&force=true", &scale(r#"{"name":"a"}"#, r#"{"replicas":6}"#)),
                apply("fieldManager=m&force=true", &scale("{}", r#"{"replicas":7}"#)),
                apply("fieldManager=m&force=true", &scale(r#"{"name":"b"}"#, r#"{"replicas":7}"#)),
                Request { path: format!("{}?fieldManager=m", at("b")), ..apply("", &scale("{}", r#"{"replicas":7}"#)) },
                send("PATCH", "application/strategic-merge-patch+json", "{}"),
                Request { path: format!("{}?dryRun=All", at("a")), ..merge(r#"{"spec":{"replicas":20}}"#) },
                Request { path: at("b"), ..merge(r#"{"spec":{"replicas":2}}"#) },
                get("a"),
                of.get("a"),
            ],
        ),
        case(
            "widget: scale in other verbs",
            [
                made(),
                Request::new("POST", at("a")).body(JSON, scale(r#"{"name":"a"}"#, "{}")),
                Request::new("DELETE", at("a")),
                Request::new("GET", format!("{}/scale/x", of.one("a"))),
                get("a").by_jane(),
                merge(r#"{"spec":{"replicas":2}}"#).by_jane(),
                of.get("a"),
            ],
        ),
    ]
}
