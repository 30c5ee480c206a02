//! Pages and versions of lists: every combination that kube-apiserver tells apart (wire rules 8.16, 11.9, 11.11, 11.12, 11.14).

use crate::case::{Case, Kind, case};
use crate::exchange::{PARTIAL_LIST, Request, TABLE};

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: pages {name}", of.label);
    let case = |name: &str, requests: Vec<Request>| {
        let mut all: Vec<Request> =
            ["a", "b", "c", "d", "e"].map(|name| of.create_labelled(name, r#"{"l":"1"}"#)).to_vec();
        all.push(of.list(""));
        all.extend(requests);
        case(is(name), all)
    };
    let lists = |queries: &[&str]| queries.iter().map(|query| of.list(query)).collect::<Vec<_>>();
    let everywhere = |query: &str| Request::new("GET", format!("{}{query}", of.everywhere()));
    vec![
        case(
            "to the end",
            vec![
                of.list("?limit=1").all_pages(),
                of.list("?limit=3").all_pages(),
                of.list("?limit=2").accept(TABLE).all_pages(),
                of.list("?limit=2&includeObject=None").accept(TABLE).all_pages(),
                of.list("?limit=2&includeObject=Object").accept(TABLE).all_pages(),
                of.list("?limit=2").accept(PARTIAL_LIST).all_pages(),
                of.list("?limit=2&labelSelector=l").all_pages(),
                of.list("?limit=1&fieldSelector=metadata.name!=c").all_pages(),
                of.list("?limit=2&resourceVersion=0").all_pages(),
                of.list("?limit=2&resourceVersion=$list&resourceVersionMatch=Exact").all_pages(),
                of.list("?limit=2&resourceVersion=$list&resourceVersionMatch=NotOlderThan").all_pages(),
                everywhere("?limit=1&labelSelector=l=1").all_pages(),
            ],
        ),
        case(
            "with tokens",
            lists(&[
                "?limit=2",
                "?limit=2&continue=$continue&resourceVersion=5",
                "?limit=2&continue=$continue&resourceVersionMatch=Exact",
                "?limit=x&continue=$continue",
                "?continue=x",
                "?continue=%20",
                "?continue=e30",
                "?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MCwic3RhcnQiOiJ4In0",
                "?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjkiLCJydiI6NSwic3RhcnQiOiJ4In0",
                "?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiIuLi8uLi94In0",
                "?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiIifQ",
            ]),
        ),
        case(
            "at versions that match or do not",
            lists(&[
                "?resourceVersionMatch=Exact",
                "?resourceVersionMatch=NotOlderThan",
                "?resourceVersionMatch=Nonsense",
                "?resourceVersion=$list&resourceVersionMatch=Nonsense",
                "?resourceVersion=0&resourceVersionMatch=Exact",
                "?resourceVersion=0&resourceVersionMatch=NotOlderThan",
                "?resourceVersion=$list&resourceVersionMatch=Exact",
                "?resourceVersion=$list&resourceVersionMatch=NotOlderThan",
                "?resourceVersion=&resourceVersionMatch=",
                "?resourceVersion=&resourceVersionMatch=Exact",
                "?resourceVersion=x&resourceVersionMatch=Exact",
                "?resourceVersion=x&resourceVersionMatch=NotOlderThan",
                "?resourceVersion=-5",
                "?resourceVersion=1.5",
                "?resourceVersion=99999999999999999999",
                "?sendInitialEvents=true",
                "?sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
                "?sendInitialEvents=false",
                "?sendInitialEvents=x",
                "?allowWatchBookmarks=x",
                "?shardSelector=x",
            ]),
        ),
        case(
            "of nothing",
            vec![
                of.list("?limit=1&labelSelector=l=2"),
                of.list("?limit=1&labelSelector=l=2").accept(TABLE),
                of.list("?limit=1&fieldSelector=metadata.name=x").accept(PARTIAL_LIST),
                everywhere("?limit=1&fieldSelector=metadata.namespace=$ns-nowhere"),
            ],
        ),
    ]
}
