//! PATCH of the merge and JSON kinds.

use crate::case::{Case, Kind, case};
use crate::exchange::{JSON, Request};

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: patch {name}", of.label);
    let merge = |body: &str| of.merge("a", body);
    let patch = |body: &str| of.json_patch("a", body);
    let made = || of.create("a");
    let labelled =
        || of.post(of.with_metadata(r#"{"name":"a","labels":{"l":"1","m":"2"},"annotations":{"n":"3","o":"4"}}"#));
    let (text, number) = (format!("{}/{}", of.text.0, of.text.1), format!("{}/{}", of.number.0, of.number.1));
    let op = |op: &str, path: &str, value: &str| format!(r#"{{"op":"{op}","path":"{path}","value":{value}}}"#);
    let ops = |all: &[String]| of.json_patch("a", format!("[{}]", all.join(",")));
    let typed = |content_type: &str, body: &str| Request {
        method: "PATCH",
        ..Request::new("PATCH", of.one("a")).body(content_type, body)
    };
    vec![
        case(is("nothing"), [made(), merge("{}"), patch("[]"), of.get("a")]),
        case(
            is("the first label"),
            [made(), merge(r#"{"metadata":{"labels":{"l":"1"}}}"#), merge(r#"{"metadata":{"labels":{"l":null}}}"#), of.get("a")],
        ),
        case(
            is("the first annotation"),
            [made(), merge(r#"{"metadata":{"annotations":{"l":"1"}}}"#), merge(r#"{"metadata":{"annotations":{"l":null}}}"#), of.get("a")],
        ),
        case(
            is("labels to null"),
            [
                labelled(),
                merge(r#"{"metadata":{"labels":null}}"#),
                of.get("a"),
                merge(r#"{"metadata":{"annotations":null}}"#),
                of.get("a"),
                merge(r#"{"metadata":{"labels":{},"annotations":{}}}"#),
                merge(r#"{"metadata":{"labels":{"x":null},"annotations":{"x":null}}}"#),
            ],
        ),
        case(
            is("labels by several managers"),
            [
                made(),
                merge(r#"{"metadata":{"labels":{"l":"1"}}}"#).header("user-agent", "first/1"),
                merge(r#"{"metadata":{"labels":{"m":"1"}}}"#).header("user-agent", "second/1"),
                merge(r#"{"metadata":{"labels":{"l":"2","m":null}}}"#).header("user-agent", "third/1"),
                merge(r#"{"metadata":{"annotations":{"l":"2","m":"5"}}}"#).header("user-agent", "fourth/1"),
                merge(r#"{"metadata":{"labels":null}}"#).header("user-agent", "fifth/1"),
                merge(r#"{"metadata":{"labels":{"l":"1"}}}"#).header("user-agent", "sixth/1"),
            ],
        ),
        case(
            is("invalid labels"),
            [
                labelled(),
                merge(r#"{"metadata":{"labels":{"a b":"c"}}}"#),
                merge(r#"{"metadata":{"labels":{"a":"c d"}}}"#),
                merge(r#"{"metadata":{"labels":{"a":1}}}"#),
                merge(r#"{"metadata":{"labels":"x"}}"#),
                merge(r#"{"metadata":{"labels":[]}}"#),
                merge(r#"{"metadata":null}"#),
                merge(r#"{"metadata":[]}"#),
                merge(r#"{"metadata":5}"#),
                of.get("a"),
            ],
        ),
        case(
            is("names and types"),
            [
                made(),
                merge(r#"{"metadata":{"name":"a"}}"#),
                merge(r#"{"metadata":{"name":"b"}}"#),
                merge(r#"{"metadata":{"name":null}}"#),
                merge(r#"{"metadata":{"name":""}}"#),
                merge(r#"{"metadata":{"namespace":"$ns"}}"#),
                merge(r#"{"metadata":{"namespace":"$other"}}"#),
                merge(r#"{"metadata":{"namespace":null}}"#),
                merge(r#"{"metadata":{"namespace":""}}"#),
                merge(r#"{"kind":"Other"}"#),
                merge(r#"{"kind":null}"#),
                merge(r#"{"apiVersion":"other.org/v1"}"#),
                merge(r#"{"apiVersion":null}"#),
                of.get("a"),
            ],
        ),
        case(
            is("with preconditions"),
            [
                made(),
                merge(r#"{"metadata":{"resourceVersion":"$rv(a)","labels":{"l":"1"}}}"#),
                merge(r#"{"metadata":{"resourceVersion":"1","labels":{"l":"2"}}}"#),
                merge(r#"{"metadata":{"resourceVersion":"x","labels":{"l":"2"}}}"#),
                merge(r#"{"metadata":{"resourceVersion":"","labels":{"l":"2"}}}"#),
                merge(r#"{"metadata":{"resourceVersion":null,"labels":{"l":"3"}}}"#),
                merge(r#"{"metadata":{"uid":"$uid(a)","labels":{"l":"4"}}}"#),
                merge(r#"{"metadata":{"uid":"00000000-0000-0000-0000-000000000000","labels":{"l":"5"}}}"#),
                merge(r#"{"metadata":{"uid":null,"labels":{"l":"6"}}}"#),
                merge(r#"{"metadata":{"uid":"","labels":{"l":"7"}}}"#),
                of.get("a"),
            ],
        ),
        case(
            is("what is the server's"),
            [
                made(),
                merge(r#"{"metadata":{"creationTimestamp":null}}"#),
                merge(r#"{"metadata":{"creationTimestamp":"2000-01-01T00:00:00Z"}}"#),
                merge(r#"{"metadata":{"deletionTimestamp":"2000-01-01T00:00:00Z"}}"#),
                merge(r#"{"metadata":{"generation":50}}"#),
                merge(r#"{"metadata":{"generateName":"x-"}}"#),
                merge(r#"{"metadata":{"managedFields":null}}"#),
                merge(r#"{"metadata":{"managedFields":[]}}"#),
                merge(r#"{"metadata":{"managedFields":[{}]}}"#),
                of.get("a"),
            ],
        ),
        case(
            is("owners and finalizers"),
            [
                made(),
                merge(r#"{"metadata":{"ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}]}}"#),
                merge(r#"{"metadata":{"finalizers":["example.org/f"]}}"#),
                merge(r#"{"metadata":{"ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-2"}]}}"#).header("user-agent", "second/1"),
                merge(r#"{"metadata":{"ownerReferences":null}}"#),
                merge(r#"{"metadata":{"ownerReferences":[]}}"#),
                merge(r#"{"metadata":{"ownerReferences":{}}}"#),
                merge(r#"{"metadata":{"ownerReferences":[{"kind":"x"}]}}"#),
                merge(r#"{"metadata":{"labels":{"a b":"c"},"ownerReferences":[{"kind":"x"}]}}"#),
                merge(r#"{"metadata":{"resourceVersion":"1","ownerReferences":[{"kind":"x"}]}}"#),
                merge(r#"{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"A","name":"o","uid":"1"},{"apiVersion":"v1","kind":"A","name":"o","uid":"1"}]}}"#),
                merge(r#"{"metadata":{"finalizers":null}}"#),
                of.get("a"),
            ],
        ),
        case(
            is("the spec"),
            [
                made(),
                merge(r#"{"spec":null}"#),
                merge(r#"{"spec":{}}"#),
                merge(r#"{"spec":5}"#),
                merge(r#"{"spec":{"parameters":{"colour":5}}}"#),
                Request { path: format!("{}?fieldValidation=Strict", of.one("a")), ..merge(r#"{"spec":{"parameters":{"colour":5}}}"#) },
                Request { path: format!("{}?fieldValidation=Warn", of.one("a")), ..merge(r#"{"spec":{"parameters":{"colour":5}}}"#) },
                Request { path: format!("{}?fieldValidation=Strict", of.one("a")), ..merge(r#"{"spec":{"parameters":{}},"spec":{}}"#) },
                Request { path: format!("{}?dryRun=All", of.one("a")), ..merge(r#"{"metadata":{"labels":{"x":"y"}}}"#) },
                Request { path: format!("{}?force=true", of.one("a")), ..merge(r#"{"metadata":{"labels":{"x":"y"}}}"#) },
                Request { path: format!("{}?fieldManager=me", of.one("a")), ..merge(r#"{"metadata":{"labels":{"x":"y"}}}"#) },
                of.get("a"),
            ],
        ),
        case(
            is("with a broken body"),
            [made(), merge(""), merge("{"), merge("[]"), merge("null"), merge("5"), merge("\"a\""), patch(""), patch("{"), patch("{}"), patch("null"), patch("5"), patch("[5]"), patch("[{}]"), patch("[null]"), of.get("a")],
        ),
        case(
            is("what is not there"),
            [of.merge("b", "{}"), of.json_patch("b", "[]"), of.merge("B_", "{}"), Request { method: "PATCH", ..of.list("").body("application/merge-patch+json", "{}") }],
        ),
        case(
            is("of unsupported types"),
            [
                made(),
                typed("application/strategic-merge-patch+json", "{}"),
                typed(JSON, "{}"),
                typed("", "{}"),
                typed("text/plain", "{}"),
                typed("application/merge-patch+json; charset=utf-8", r#"{"metadata":{"labels":{"l":"1"}}}"#),
                typed("application/apply-patch+cbor", "{}"),
            ],
        ),
        case(
            is("by operations"),
            [
                made(),
                ops(&[op("replace", &text, "\"two\"")]),
                ops(&[op("test", &text, "\"two\""), op("replace", &text, "\"three\"")]),
                ops(&[op("test", &text, "\"one\""), op("replace", &text, "\"four\"")]),
                ops(&[op("add", &number, "7")]),
                ops(&[op("test", &number, "7")]),
                ops(&[op("test", &number, "7.0")]),
                ops(&[op("test", &number, "8")]),
                ops(&[op("replace", "/spec/nothing", "1")]),
                patch(r#"[{"op":"remove","path":"/spec/nothing"}]"#),
                patch(r#"[{"op":"test","path":"/spec/nothing","value":null}]"#),
                patch(r#"[{"op":"test","path":"/spec/nothing","value":1}]"#),
                patch(r#"[{"op":"jump","path":"/spec"}]"#),
                patch(r#"[{"op":"add","path":"spec","value":1}]"#),
                patch(r#"[{"op":"add","path":"/spec"}]"#),
                patch(r#"[{"op":"add","value":1}]"#),
                patch(r#"[{"op":"add","path":"","value":{}}]"#),
                patch(r#"[{"op":"remove","path":""}]"#),
                of.get("a"),
            ],
        ),
        case(
            is("labels by operations"),
            [
                made(),
                patch(r#"[{"op":"add","path":"/metadata/labels/l","value":"1"}]"#),
                patch(r#"[{"op":"add","path":"/metadata/labels","value":{"l":"1"}}]"#),
                patch(r#"[{"op":"test","path":"/metadata/labels","value":{"l":"1"}},{"op":"add","path":"/metadata/labels/m","value":"2"}]"#),
                patch(r#"[{"op":"test","path":"/metadata/labels/l","value":"1"},{"op":"replace","path":"/metadata/labels/l","value":"3"}]"#),
                patch(r#"[{"op":"replace","path":"/metadata/labels/none","value":"3"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/labels/none"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/labels/l"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/labels/m"}]"#),
                of.get("a"),
                patch(r#"[{"op":"remove","path":"/metadata/labels"}]"#),
                patch(r#"[{"op":"replace","path":"/metadata/labels","value":{"x":"y"}}]"#),
                patch(r#"[{"op":"add","path":"/metadata/labels","value":null}]"#),
                patch(r#"[{"op":"add","path":"/metadata/labels","value":5}]"#),
                of.get("a"),
            ],
        ),
        case(
            is("annotations by operations"),
            [
                made(),
                patch(r#"[{"op":"add","path":"/metadata/annotations/n","value":"1"}]"#),
                patch(r#"[{"op":"test","path":"/metadata/annotations","value":null},{"op":"add","path":"/metadata/annotations","value":{"n":"1"}}]"#),
                patch(r#"[{"op":"add","path":"/metadata/annotations/example.org~1x","value":"2"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/annotations/example.org~1x"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/annotations"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/annotations"}]"#),
                of.get("a"),
            ],
        ),
        case(
            is("names by operations"),
            [
                labelled(),
                patch(r#"[{"op":"test","path":"/metadata/name","value":"a"}]"#),
                patch(r#"[{"op":"test","path":"/metadata/name","value":"b"}]"#),
                patch(r#"[{"op":"test","path":"/metadata/namespace","value":"$ns"}]"#),
                patch(r#"[{"op":"test","path":"/metadata/namespace","value":"$other"}]"#),
                patch(r#"[{"op":"test","path":"/metadata/labels","value":{"l":"1","m":"2"}}]"#),
                patch(r#"[{"op":"test","path":"/metadata/labels","value":{"l":"1"}}]"#),
                patch(r#"[{"op":"test","path":"/metadata/uid","value":"$uid(a)"}]"#),
                patch(r#"[{"op":"test","path":"/metadata/resourceVersion","value":"$rv(a)"}]"#),
                patch(r#"[{"op":"test","path":"/metadata/ownerReferences","value":null}]"#),
                patch(r#"[{"op":"replace","path":"/metadata/name","value":"a"}]"#),
                patch(r#"[{"op":"replace","path":"/metadata/name","value":"b"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/name"}]"#),
                patch(r#"[{"op":"replace","path":"/metadata/namespace","value":"$other"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/namespace"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata"}]"#),
                patch(r#"[{"op":"replace","path":"/kind","value":"Other"}]"#),
                patch(r#"[{"op":"remove","path":"/apiVersion"}]"#),
                patch(r#"[{"op":"replace","path":"/metadata/uid","value":"x"}]"#),
                patch(r#"[{"op":"replace","path":"/metadata/resourceVersion","value":"1"}]"#),
                of.get("a"),
            ],
        ),
        case(
            is("by copies and moves"),
            [
                labelled(),
                patch(r#"[{"op":"copy","from":"/metadata/name","path":"/metadata/annotations/name"}]"#),
                patch(r#"[{"op":"copy","from":"/metadata/namespace","path":"/metadata/annotations/namespace"}]"#),
                patch(r#"[{"op":"copy","from":"/metadata/labels","path":"/metadata/annotations"}]"#),
                patch(r#"[{"op":"move","from":"/metadata/labels/l","path":"/metadata/labels/k"}]"#),
                patch(r#"[{"op":"move","from":"/metadata/annotations","path":"/metadata/labels"}]"#),
                patch(r#"[{"op":"copy","from":"/metadata/nothing","path":"/metadata/labels/x"}]"#),
                patch(r#"[{"op":"move","from":"/metadata/labels/l","path":"/spec/l"}]"#),
                patch(r#"[{"op":"copy","path":"/metadata/labels/x"}]"#),
                of.get("a"),
            ],
        ),
        case(
            is("owners by operations"),
            [
                made(),
                patch(r#"[{"op":"add","path":"/metadata/ownerReferences","value":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}]}]"#),
                patch(r#"[{"op":"add","path":"/metadata/ownerReferences/-","value":{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"p","uid":"u-2"}}]"#),
                patch(r#"[{"op":"test","path":"/metadata/ownerReferences/0/uid","value":"u-1"},{"op":"remove","path":"/metadata/ownerReferences/0"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/ownerReferences/5"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/ownerReferences/0"}]"#),
                patch(r#"[{"op":"add","path":"/metadata/ownerReferences","value":[{"kind":"x"}]}]"#),
                patch(r#"[{"op":"add","path":"/metadata/ownerReferences","value":[{"apiVersion":"v1","kind":"A","name":"o","uid":"1"}]},{"op":"copy","from":"/metadata/ownerReferences/0","path":"/metadata/ownerReferences/-"}]"#),
                patch(r#"[{"op":"add","path":"/metadata/finalizers","value":["example.org/f"]}]"#),
                patch(r#"[{"op":"add","path":"/metadata/finalizers/0","value":"example.org/e"}]"#),
                patch(r#"[{"op":"remove","path":"/metadata/finalizers"}]"#),
                of.get("a"),
            ],
        ),
        case(is("by too many operations"), {
            let many = |count: usize| of.json_patch("a", format!("[{}]", vec![op("test", "/metadata/name", "\"a\""); count].join(",")));
            [
                made(),
                many(10_000),
                many(10_001),
                of.json_patch("a", format!("[{}]", vec![op("add", &number, "7"); 10_000].join(","))),
                of.get("a"),
            ]
        }),
        case(is("the whole object"), {
            let whole = |metadata: &str| {
                of.json_patch("a", format!(r#"[{}]"#, op("replace", "", &of.with_metadata(metadata))))
            };
            [
                labelled(),
                whole(r#"{"name":"a","labels":{"l":"2"}}"#),
                whole(r#"{"name":"a","labels":{"l":"2"},"resourceVersion":"$rv(a)"}"#),
                whole(r#"{"name":"a","resourceVersion":"1"}"#),
                whole(r#"{"name":"b","resourceVersion":"$rv(a)"}"#),
                whole(r#"{"name":"a","namespace":"$other","resourceVersion":"$rv(a)"}"#),
                whole(r#"{"resourceVersion":"$rv(a)"}"#),
                of.get("a"),
                ops(&[op("replace", "", "{}")]),
                ops(&[op("replace", "", "[]")]),
                ops(&[op("replace", "", "5")]),
                ops(&[op("replace", "", "null")]),
                ops(&[op("test", "", "{}")]),
                patch(r#"[{"op":"copy","from":"","path":"/spec/x"}]"#),
                patch(r#"[{"op":"move","from":"/spec","path":""}]"#),
                ops(&[op("replace", "/metadata", r#"{"name":"a","annotations":{"x":"y"},"resourceVersion":"$rv(a)"}"#)]),
                ops(&[op("add", "/metadata", r#"{"name":"a"}"#)]),
                ops(&[op("test", "/metadata", r#"{"name":"a"}"#)]),
                ops(&[op("replace", "/metadata", "[]")]),
                ops(&[op("replace", "/metadata", "null")]),
                ops(&[op("add", "/metadata/labels", r#"{"l":{}}"#), op("replace", "/metadata/labels/l", "\"3\"")]),
                patch(r#"[{"op":"move","from":"/metadata/annotations","path":"/metadata/labels"}]"#),
                patch(r#"[{"op":"copy","from":"/metadata","path":"/spec/metadata"}]"#),
                patch(r#"[{"op":"move","from":"/metadata/name","path":"/metadata/annotations/n"}]"#),
                of.get("a"),
            ]
        }),
        case(is("strangely by operations"), {
            let strict = |body: &str| Request { path: format!("{}?fieldValidation=Strict", of.one("a")), ..patch(body) };
            let labels = r#"{"op":"add","path":"/metadata/labels","value":{"l":"1"}}"#;
            [
                made(),
                patch(r#"[{"op":"test","path":"/metadata/name","value":"a","x":1},{"op":"add","op":"add","path":"/metadata/labels","value":{}}]"#),
                strict(&format!(r#"[{labels},{{"op":"add","path":"/metadata/labels/m","value":"2","y":{{}}}}]"#)),
                patch(&format!(r#"[{{"op":"add","path":"{text}","value":"four","x":1}}]"#)),
                strict(&format!(r#"[{{"op":"add","path":"{text}","value":"four","x":1}}]"#)),
                strict(&format!(r#"[{labels},{{"op":"add","path":"/spec/colour","value":1}}]"#)),
                patch(&format!(r#"[{labels},{{"op":"add","path":"/spec/colour","value":1}}]"#)),
                strict(&format!(r#"[{labels},{{"op":"add","path":"/metadata/colour","value":1}}]"#)),
                strict(&format!(r#"[{labels},{{"op":"add","path":"{number}","value":"x"}}]"#)),
                strict(&format!(r#"[{labels}]"#)),
                Request { path: format!("{}?dryRun=All", of.one("a")), ..patch(r#"[{"op":"remove","path":"/metadata/labels"}]"#) },
                patch(r#"[{"op":5,"path":"/metadata/labels"}]"#),
                patch(r#"[{"op":"remove","path":["/metadata/labels"]}]"#),
                patch(r#"[{"op":"remove","path":"x/metadata/labels"}]"#),
                patch(r#"[{"op":"replace","path":"/metadata/labels/-1","value":null}]"#),
                of.get("a"),
            ]
        }),
        case(is("the status by operations"), {
            let status = |body: &str| Request { path: format!("{}/status", of.one("a")), ..patch(body) };
            let condition = r#"{"type":"Ready","status":"True","reason":"R","lastTransitionTime":"2020-01-01T00:00:00Z"}"#;
            [
                labelled(),
                status(&format!(r#"[{{"op":"test","path":"/metadata/labels/l","value":"1"}},{{"op":"add","path":"/status","value":{{"conditions":[{condition}]}}}}]"#)),
                status(r#"[{"op":"remove","path":"/metadata/labels"},{"op":"test","path":"/metadata/name","value":"a"}]"#),
                status(r#"[{"op":"copy","from":"/metadata/name","path":"/status/conditions/0/message"}]"#),
                status(r#"[{"op":"test","path":"/metadata/name","value":"b"}]"#),
                of.get("a"),
            ]
        }),
        case(
            is("managers by operations"),
            [
                labelled(),
                of.apply("a", "fieldManager=m", of.with_metadata(r#"{"labels":{"k":"1"}}"#)),
                patch(r#"[{"op":"test","path":"/metadata/managedFields/0/manager","value":"m"}]"#),
                patch(r#"[{"op":"add","path":"/metadata/labels/z","value":"1"}]"#).header("user-agent", "second/1"),
                patch(r#"[{"op":"remove","path":"/metadata/labels/l"}]"#).header("user-agent", "third/1"),
                patch(r#"[{"op":"add","path":"/metadata/labels/z","value":"1"}]"#).header("user-agent", "fourth/1"),
                of.get("a"),
            ],
        ),
        case(
            is("subresources that are not there"),
            [
                made(),
                Request { path: format!("{}/scale", of.one("a")), ..merge("{}") },
                Request { path: format!("{}/nothing", of.one("a")), ..merge("{}") },
                Request::new("GET", format!("{}/nothing", of.one("a"))),
                Request::new("GET", format!("{}/scale", of.one("a"))),
                Request::new("GET", format!("{}/nothing", of.one("b"))),
                Request { path: format!("{}/nothing", of.one("a")), ..of.put("a", of.named("a")) },
                Request::new("DELETE", format!("{}/nothing", of.one("a"))),
            ],
        ),
    ]
}
