//! Watches: what happened since a version, and what is there.

use crate::case::{Case, Kind, case};
use crate::exchange::{JSON, PARTIAL, Request, TABLE, YAML};

/// Something happens to two objects, after `$rv(first)`.
fn history(of: Kind) -> Vec<Request> {
    vec![
        of.create("first"),
        of.create_labelled("a", r#"{"l":"1"}"#),
        of.merge("a", r#"{"metadata":{"labels":{"m":"1"}}}"#),
        of.post(of.with_metadata(
            r#"{"name":"b","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}]}"#,
        )),
        Request::new("POST", of.all_in("$other")).body(JSON, of.with_metadata(r#"{"name":"c","labels":{"l":"1"}}"#)),
        of.merge("a", r#"{"metadata":{"labels":{"l":"2"}}}"#),
        of.delete("b"),
    ]
}

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let after = |name: &str, requests: Vec<Request>| {
        let mut all = history(of);
        all.extend(requests);
        case(format!("{}: watch {name}", of.label), all)
    };
    let watch = |query: &str| of.list(&format!("?watch=true&timeoutSeconds=1&{query}"));
    let since = |query: &str| watch(&format!("resourceVersion=$rv(first)&{query}"));
    let everywhere = |query: &str| {
        Request::new(
            "GET",
            format!("{}?watch=true&timeoutSeconds=1&resourceVersion=$rv(first)&{query}", of.everywhere()),
        )
    };
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    vec![
        after("since", vec![since("")]),
        after("what is there", vec![watch(""), watch("resourceVersion=0")]),
        after("by labels", vec![since("labelSelector=l=1"), since("labelSelector=l=2"), since("labelSelector=!l")]),
        after(
            "by fields",
            vec![
                since("fieldSelector=metadata.name=a"),
                since("fieldSelector=metadata.name!=a"),
                since("fieldSelector=metadata.name=x"),
            ],
        ),
        after(
            "everywhere",
            vec![
                everywhere(""),
                everywhere("labelSelector=l=1"),
                everywhere("fieldSelector=metadata.name=c"),
                everywhere("fieldSelector=metadata.namespace=$other"),
            ],
        ),
        after(
            "as Table",
            vec![
                since("").accept(TABLE),
                since("includeObject=None").accept(TABLE),
                since("includeObject=Object").accept(TABLE),
                since("fieldSelector=metadata.name=a").accept(TABLE),
                since("includeObject=Nonsense").accept(TABLE),
            ],
        ),
        after("metadata alone", vec![since("").accept(PARTIAL)]),
        after(
            "with initial events",
            vec![
                watch(initial),
                watch(&format!("{initial}&labelSelector=l")),
                watch(&format!("{initial}&fieldSelector=metadata.name=a")),
                watch(initial).accept(TABLE),
                watch(initial).accept(PARTIAL),
                watch(
                    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0&allowWatchBookmarks=true",
                ),
            ],
        ),
        after(
            "that cannot be",
            vec![
                watch("sendInitialEvents=true"),
                watch("resourceVersionMatch=NotOlderThan"),
                watch("sendInitialEvents=true&resourceVersionMatch=Exact&allowWatchBookmarks=true"),
                watch("sendInitialEvents=false&allowWatchBookmarks=true"),
                watch("resourceVersion=x"),
                watch("resourceVersion=-1"),
                watch("labelSelector=a%20b"),
                watch("fieldSelector=spec.x=1"),
                watch("limit=x"),
                of.list("?watch=true&timeoutSeconds=x"),
                watch("").accept(YAML),
                watch("").accept("text/html"),
                Request::new("GET", format!("{}?watch=true&timeoutSeconds=1", of.all_in("$ns-nowhere"))),
            ],
        ),
        after(
            "by the legacy path",
            vec![
                Request::new(
                    "GET",
                    of.all().replace(of.version, &format!("{}/watch", of.version))
                        + "?timeoutSeconds=1&resourceVersion=$rv(first)",
                ),
                Request::new(
                    "GET",
                    of.one("a").replace(of.version, &format!("{}/watch", of.version))
                        + "?timeoutSeconds=1&resourceVersion=$rv(first)",
                ),
                Request::new(
                    "GET",
                    of.everywhere().replace(of.version, &format!("{}/watch", of.version))
                        + "?timeoutSeconds=1&resourceVersion=$rv(first)",
                ),
            ],
        ),
        after(
            "with other queries",
            vec![
                // Wire rule 11.15.
                since("allowWatchBookmarks=true"),
                since("pretty=true"),
                since("").header("user-agent", "curl/8"),
                since("limit=1"),
                of.list("?watch=1&timeoutSeconds=1&resourceVersion=$rv(first)"),
                Request::new("GET", format!("{}?watch=true&timeoutSeconds=1", of.one("a"))),
            ],
        ),
    ]
}
