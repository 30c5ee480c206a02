//! Tables, metadata alone, and what cannot be had.

use crate::case::{Case, Kind, case};
use crate::exchange::{JSON, PARTIAL, PARTIAL_LIST, Request, TABLE};

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: form {name}", of.label);
    let made = || {
        vec![
            of.create_labelled("a", r#"{"l":"1"}"#),
            of.post(of.with_metadata(r#"{"name":"b","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}],"finalizers":["example.org/f"],"annotations":{"x":"y"}}"#)),
        ]
    };
    let released = || of.merge("b", r#"{"metadata":{"finalizers":null}}"#);
    let after = |name: &str, requests: Vec<Request>| {
        let mut all = made();
        all.extend(requests);
        all.push(released());
        case(is(name), all)
    };
    let table = |query: &str| of.list(query).accept(TABLE);
    vec![
        after(
            "Table",
            vec![
                table(""),
                table("?includeObject=None"),
                table("?includeObject=Metadata"),
                table("?includeObject=Object"),
                table("?includeObject=Nonsense"),
                table("?includeObject="),
                table("?labelSelector=l=2"),
                table("?limit=1").all_pages(),
                of.get("a").accept(TABLE),
                Request::new("GET", format!("{}?includeObject=None", of.one("a"))).accept(TABLE),
                Request::new("GET", format!("{}?includeObject=Object", of.one("a"))).accept(TABLE),
                of.get("x").accept(TABLE),
                of.list("").accept("application/json;as=Table;v=v1beta1;g=meta.k8s.io"),
                of.list("").accept("application/json;as=Table;v=v9;g=meta.k8s.io"),
                of.list("").accept("application/json;as=Table;v=v1;g=other.io"),
                of.list("").accept("application/json;as=Nonsense;v=v1;g=meta.k8s.io"),
                Request::new("GET", of.everywhere()).accept(TABLE),
            ],
        ),
        after(
            "Table of writes",
            vec![
                of.create("c").accept(TABLE),
                of.merge("c", r#"{"metadata":{"labels":{"l":"1"}}}"#).accept(TABLE),
                of.put("c", of.with_metadata(r#"{"name":"c","resourceVersion":"1"}"#)).accept(TABLE),
                of.apply("d", "fieldManager=m", of.named("d")).accept(TABLE),
                of.delete("c").accept(TABLE),
                of.delete("b").accept(TABLE),
            ],
        ),
        after(
            "metadata alone",
            vec![
                of.get("a").accept(PARTIAL),
                of.get("b").accept(PARTIAL),
                of.get("a").accept(PARTIAL_LIST),
                of.get("a").accept("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
                of.list("").accept(PARTIAL_LIST),
                of.list("").accept(PARTIAL),
                of.list("").accept("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
                of.list("?limit=1").accept(PARTIAL_LIST).all_pages(),
                of.get("x").accept(PARTIAL),
                of.merge("a", r#"{"metadata":{"annotations":{"p":"q"}}}"#).accept(PARTIAL),
                of.create("c").accept(PARTIAL),
                of.delete("c").accept(PARTIAL),
                of.delete("b").accept(PARTIAL),
                of.get("a").accept("application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io"),
            ],
        ),
        after(
            "by Accept",
            vec![
                of.get("a").accept(""),
                of.get("a").accept("*/*"),
                of.get("a").accept("application/*"),
                of.get("a").accept("application/vnd.kubernetes.protobuf,application/json"),
                of.get("x").accept("application/json;q=0.5,*/*"),
                of.get("a").accept("text/html,application/json;q=0.9"),
                of.get("a").accept("application/json;q=0.1,application/yaml;q=0.9"),
                of.get("a").accept("application/json;pretty=1"),
                of.get("a").accept("application/json; charset=utf-8"),
                of.get("a").header("user-agent", "curl/8"),
                of.get("a").header("user-agent", "Mozilla/5.0"),
                Request::new("GET", format!("{}?pretty=true", of.one("a"))),
                Request::new("GET", format!("{}?pretty=false", of.one("a"))).header("user-agent", "curl/8"),
                Request::new("GET", format!("{}?pretty=1", of.one("x"))),
                of.get("x").header("user-agent", "curl/8"),
                of.list("?pretty=true"),
                table("?pretty=true"),
                of.delete("x").header("user-agent", "curl/8"),
            ],
        ),
        after(
            "that cannot be had",
            vec![
                of.get("a").accept("text/html"),
                of.get("a").accept("application/xml"),
                of.get("a").accept("application/vnd.kubernetes.protobuf"),
                of.list("").accept("application/vnd.kubernetes.protobuf"),
                of.list("").accept("image/png"),
                of.get("a").accept("application/cbor"),
                of.get("a").accept("nonsense"),
                of.create("c").accept("text/html"),
                of.create("c").body("text/plain", of.named("c")),
                of.create("c").body("application/cbor", "x"),
                of.create("c").body("application/json; charset=utf-8", of.named("c")),
                of.create("e").body("", of.named("e")),
                of.put("c", of.named("c")).body("text/plain", "x"),
                of.get("c"),
            ],
        ),
        after(
            "HEAD and other methods",
            vec![
                Request::new("HEAD", of.one("a")),
                Request::new("HEAD", of.one("x")),
                Request::new("HEAD", of.all()),
                Request::new("OPTIONS", of.all()),
                Request::new("PUT", of.all()).body(JSON, of.named("a")),
                Request::new("TRACE", of.one("a")),
                Request::new("BREW", of.one("a")),
            ],
        ),
    ]
}
