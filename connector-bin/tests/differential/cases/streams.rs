//! Watches in every form (wire rules 7.5, 7.7 to 7.10, 7.24, 11.12, 11.13).

use crate::case::{Case, Kind, case};
use crate::exchange::{JSON, PARTIAL, Request, TABLE};

const INITIAL: &str = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let after = |name: &str, requests: Vec<Request>| {
        let mut all = vec![
            of.create("first"),
            of.create_labelled("a", r#"{"l":"1"}"#),
            of.post(of.with_metadata(
                r#"{"name":"b","finalizers":["example.org/f"],"ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}]}"#,
            )),
            Request::new("POST", of.all_in("$other")).body(JSON, of.with_metadata(r#"{"name":"a","labels":{"l":"1"}}"#)),
            of.merge("a", r#"{"metadata":{"labels":{"l":"2"}}}"#),
            of.delete("b"),
            of.apply("a", "fieldManager=m&force=true", of.with_metadata(r#"{"name":"a","labels":{"l":"3"}}"#)),
        ];
        all.extend(requests);
        all.push(of.merge("b", r#"{"metadata":{"finalizers":null}}"#));
        case(format!("{}: stream {name}", of.label), all)
    };
    let watch = |query: &str| of.list(&format!("?watch=true&timeoutSeconds=1&{query}"));
    let since = |query: &str| watch(&format!("resourceVersion=$rv(first)&{query}"));
    let everywhere =
        |query: &str| Request::new("GET", format!("{}?watch=true&timeoutSeconds=1&{query}", of.everywhere()));
    let legacy = |path: String, query: &str| {
        let path = path.replace(of.version, &format!("{}/watch", of.version));
        Request::new("GET", format!("{path}?timeoutSeconds=1&{query}"))
    };
    let forms =
        |request: &dyn Fn() -> Request| [request(), request().accept(TABLE), request().accept(PARTIAL)].to_vec();
    let table = |query: &str| since(query).accept(TABLE);
    let old_table = "application/json;as=Table;v=v1beta1;g=meta.k8s.io";
    vec![
        after("in every form", forms(&|| since(""))),
        after("of what is there in every form", forms(&|| watch(""))),
        after("with initial events in every form", forms(&|| watch(INITIAL))),
        after("with initial events from a version", forms(&|| watch(&format!("{INITIAL}&resourceVersion=$list")))),
        after("with initial events everywhere", {
            let mut all = forms(&|| everywhere(&format!("{INITIAL}&fieldSelector=metadata.namespace=$other")));
            all.extend(forms(&|| {
                everywhere(&format!("{INITIAL}&labelSelector=l=1&fieldSelector=metadata.namespace=$other"))
            }));
            all
        }),
        after("with initial events of one", forms(&|| watch(&format!("{INITIAL}&fieldSelector=metadata.name=a")))),
        after("with initial events of none", forms(&|| watch(&format!("{INITIAL}&labelSelector=l=nothing")))),
        after(
            "as Table of every kind",
            vec![
                table("includeObject=None"),
                table("includeObject=Metadata"),
                table("includeObject=Object"),
                watch(&format!("{INITIAL}&includeObject=None")).accept(TABLE),
                watch(&format!("{INITIAL}&includeObject=Object")).accept(TABLE),
                since("").accept(old_table),
                since("").accept("application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io"),
                since("").accept("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
            ],
        ),
        after("from a version that is gone", forms(&|| watch("resourceVersion=1"))),
        after("by the legacy paths", {
            let mut all = forms(&|| legacy(of.all(), "resourceVersion=$rv(first)"));
            all.extend(forms(&|| legacy(of.one("a"), "resourceVersion=$rv(first)")));
            all.push(legacy(of.one("nothing"), "resourceVersion=$rv(first)"));
            all.push(legacy(of.one("a"), "resourceVersion=$rv(first)&fieldSelector=metadata.name=b"));
            all.push(legacy(of.all(), "resourceVersion=$rv(first)&labelSelector=l=1"));
            all.push(legacy(of.all(), "resourceVersion=$rv(first)&watch=false"));
            all.push(Request { method: "POST", ..legacy(of.all(), "") }.body(JSON, "{}"));
            all.push(Request { method: "DELETE", ..legacy(of.one("a"), "") });
            all
        }),
        after(
            "by people",
            vec![
                since("pretty=true"),
                since("").header("user-agent", "curl/8"),
                since("").header("accept-encoding", "gzip"),
                since("timeout=1s"),
                since("fieldSelector=metadata.name=a,metadata.namespace=$ns"),
                since("fieldSelector=metadata.namespace!=$ns"),
                since("labelSelector=l+in+(1,2),l!=2"),
                since("").by_jane(),
                Request::new("GET", format!("{}?watch=true&timeoutSeconds=1", of.all_in("$ns-nowhere"))).by_jane(),
            ],
        ),
        after(
            "with fields that contradict themselves",
            vec![
                watch("resourceVersion=$list&resourceVersionMatch=Exact"),
                watch("sendInitialEvents=true&allowWatchBookmarks=true"),
                watch("sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
                watch(
                    "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=$list",
                ),
                watch("sendInitialEvents=x"),
                watch("limit=1&continue=x"),
                watch("continue=x"),
                watch("resourceVersion=99999999999999999999"),
                of.list("?watch=maybe&timeoutSeconds=1"),
                of.list("?watch=&timeoutSeconds=1"),
            ],
        ),
    ]
}
