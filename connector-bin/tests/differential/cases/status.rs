//! The status subresource in every verb and patch type.

use crate::case::{Case, Kind, case};
use crate::exchange::{APPLY_PATCH, JSON, JSON_PATCH, MERGE_PATCH, PARTIAL, Request, TABLE};

const CONDITIONS: &str =
    r#"{"conditions":[{"type":"Ready","status":"True","reason":"R","lastTransitionTime":"2020-01-01T00:00:00Z"}]}"#;

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: status {name}", of.label);
    let at = |name: &str| format!("{}/status", of.one(name));
    let send =
        |method: &'static str, content_type: &str, body: &str| Request::new(method, at("a")).body(content_type, body);
    let whole =
        |metadata: &str, status: &str| of.with_metadata(metadata).replacen('{', &format!(r#"{{"status":{status},"#), 1);
    let merge = |body: &str| send("PATCH", MERGE_PATCH, body);
    let patch = |body: &str| send("PATCH", JSON_PATCH, body);
    let apply =
        |query: &str, body: &str| Request { path: format!("{}?{query}", at("a")), ..send("PATCH", APPLY_PATCH, body) };
    let made = || {
        of.post(of.with_metadata(
            r#"{"name":"a","labels":{"l":"1"},"ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}]}"#,
        ))
    };
    vec![
        case(
            is("is read"),
            [
                made(),
                Request::new("GET", at("a")),
                Request::new("GET", at("a")).accept(TABLE),
                Request::new("GET", at("a")).accept(PARTIAL),
                Request::new("GET", format!("{}?pretty=true", at("a"))),
                Request::new("GET", at("b")),
                Request::new("GET", at("b")).accept(TABLE),
                Request::new("POST", at("a")).body(JSON, "{}"),
                Request::new("DELETE", at("a")),
            ],
        ),
        case(
            is("is patched by operations"),
            [
                made(),
                patch(&format!(r#"[{{"op":"add","path":"/status","value":{CONDITIONS}}}]"#)),
                patch(
                    r#"[{"op":"test","path":"/metadata/name","value":"a"},{"op":"replace","path":"/status/conditions/0/reason","value":"S"}]"#,
                ),
                patch(r#"[{"op":"add","path":"/metadata/labels/m","value":"2"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/labels"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/ownerReferences"}]"#),
                patch(r#"[{"op":"remove","path":"/status"}]"#),
                patch(r#"[{"op":"replace","path":"/spec","value":{}}]"#),
                patch(r#"[{"op":"replace","path":"/metadata/name","value":"b"}]"#),
                of.get("a"),
            ],
        ),
        case(
            is("is merged"),
            [
                made(),
                merge(&format!(r#"{{"status":{CONDITIONS}}}"#)),
                merge(r#"{"metadata":{"labels":null,"annotations":{"x":"y"},"finalizers":["example.org/f"]}}"#),
                merge(r#"{"metadata":{"ownerReferences":null}}"#),
                merge(r#"{"metadata":{"name":"b"}}"#),
                merge(r#"{"metadata":{"resourceVersion":"1"},"status":{}}"#),
                merge(r#"{"status":null}"#),
                merge(r#"{"status":5}"#),
                merge(r#"{"status":{"unknown":1}}"#),
                Request { path: format!("{}?fieldValidation=Strict", at("a")), ..merge(r#"{"status":{"unknown":1}}"#) },
                Request { path: format!("{}?dryRun=All", at("a")), ..merge(r#"{"status":null}"#) },
                send("PATCH", "application/strategic-merge-patch+json", "{}"),
                of.get("a"),
            ],
        ),
        case(
            is("is replaced"),
            [
                made(),
                send("PUT", JSON, &whole(r#"{"name":"a","resourceVersion":"$rv(a)"}"#, CONDITIONS)),
                send("PUT", JSON, &whole(r#"{"name":"a","resourceVersion":"1"}"#, "{}")),
                send("PUT", JSON, &whole(r#"{"name":"a"}"#, "{}")),
                send("PUT", JSON, &whole(r#"{"name":"b","resourceVersion":"$rv(a)"}"#, "{}")),
                send("PUT", JSON, &whole(r#"{"name":"a","resourceVersion":"$rv(a)","labels":{"z":"1"}}"#, "{}")),
                send("PUT", JSON, &of.with_metadata(r#"{"name":"a","resourceVersion":"$rv(a)"}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("is applied by several"),
            [
                made(),
                apply("fieldManager=m", &whole(r#"{"name":"a"}"#, CONDITIONS)),
                apply("fieldManager=n", &whole(r#"{"name":"a"}"#, &CONDITIONS.replace("\"True\"", "\"False\""))),
                apply(
                    "fieldManager=n&force=true",
                    &whole(r#"{"name":"a"}"#, &CONDITIONS.replace("\"True\"", "\"False\"")),
                ),
                apply("fieldManager=m", &whole(r#"{"name":"a"}"#, "{}")),
                apply("fieldManager=m", &whole(r#"{"name":"a","labels":{"s":"1"}}"#, "{}")),
                apply("fieldManager=m", &whole(r#"{"name":"b"}"#, "{}")),
                apply("", &whole(r#"{"name":"a"}"#, "{}")),
                of.get("a"),
            ],
        ),
    ]
}
