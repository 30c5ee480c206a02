//! Policies that both clusters have: what admission denies and warns of (wire rules 7.15, 7.26, 11.6).

use crate::case::{CLAIM, Case, Kind, WIDGET, XR, case};
use crate::exchange::{JSON, Request, TABLE};

pub(crate) fn cases() -> Vec<Case> {
    [CLAIM, XR, WIDGET].into_iter().flat_map(of_one).collect()
}

/// The policies (`policies.yaml`) look at the annotation `policy`.
fn of_one(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: rules {name}", of.label);
    let marked = |name: &str, mark: &str| {
        of.with_metadata(&format!(r#"{{"name":"{name}","annotations":{{"policy":"{mark}"}}}}"#))
    };
    let mark = |mark: &str| format!(r#"{{"metadata":{{"annotations":{{"policy":"{mark}"}}}}}}"#);
    let apply = |mark: &str| of.apply("a", "fieldManager=m&force=true", marked("a", mark));
    let generated = |mark: &str| {
        of.post(of.with_metadata(&format!(r#"{{"generateName":"gen-","annotations":{{"policy":"{mark}"}}}}"#)))
    };
    vec![
        case(
            is("deny"),
            [
                of.post(marked("a", "deny")),
                of.post_with("?dryRun=All", marked("a", "deny")),
                of.create("a"),
                of.merge("a", mark("deny")),
                of.json_patch("a", r#"[{"op":"add","path":"/metadata/annotations","value":{"policy":"deny"}}]"#),
                apply("deny"),
                of.put(
                    "a",
                    of.with_metadata(r#"{"name":"a","resourceVersion":"$rv(a)","annotations":{"policy":"deny"}}"#),
                ),
                of.merge("a", mark("deny")).accept(TABLE),
                of.merge("a", mark("deny")).header("user-agent", "curl/8"),
                of.apply("c", "fieldManager=m", marked("c", "deny")),
                of.get("a"),
            ],
        ),
        case(
            is("deny by name"),
            [
                of.post(marked("a", "deny-name")),
                of.create("a"),
                of.merge("a", mark("deny-name")),
                apply("deny-name"),
                of.post(marked("a.b.c", "deny-name")),
            ],
        ),
        case(
            is("warn"),
            [
                of.post(marked("a", "warn")),
                of.merge("a", r#"{"metadata":{"labels":{"l":"1"}}}"#),
                of.json_patch("a", r#"[{"op":"add","path":"/metadata/labels/m","value":"1"}]"#),
                apply("warn"),
                of.put(
                    "a",
                    of.with_metadata(r#"{"name":"a","resourceVersion":"$rv(a)","annotations":{"policy":"warn"}}"#),
                ),
                of.post_with("?dryRun=All", marked("b", "warn")).accept(TABLE),
                generated("warn"),
                of.get("a"),
                of.list(""),
            ],
        ),
        case(
            is("hold deletion"),
            [
                of.post(marked("a", "keep")),
                of.delete("a"),
                of.delete("a").body(JSON, r#"{"dryRun":["All"]}"#),
                Request::new("DELETE", of.all()),
                Request::new("DELETE", format!("{}?fieldSelector=metadata.name=a", of.all())),
                of.get("a"),
                of.merge("a", mark("go")),
                of.delete("a"),
            ],
        ),
    ]
}
