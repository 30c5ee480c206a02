//! GET of collections.

use crate::case::{Case, Kind, case};
use crate::exchange::{JSON, Request};

/// Four objects in one namespace and one in the other.
fn some(of: Kind) -> Vec<Request> {
    vec![
        of.create_labelled("a", r#"{"l":"1","team":"red"}"#),
        of.create_labelled("b", r#"{"l":"2","team":"red"}"#),
        of.create_labelled("c", r#"{"team":"blue","n":"5"}"#),
        of.create("d"),
        Request::new("POST", of.all_in("$other")).body(JSON, of.with_metadata(r#"{"name":"a","labels":{"l":"1"}}"#)),
    ]
}

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: list {name}", of.label);
    let case = |name: &str, requests: Vec<Request>| {
        let mut all = some(of);
        all.extend(requests);
        case(is(name), all)
    };
    let lists = |queries: &[&str]| queries.iter().map(|query| of.list(query)).collect::<Vec<_>>();
    let everywhere = |query: &str| Request::new("GET", format!("{}{query}", of.everywhere()));
    vec![
        case("all", vec![of.list(""), everywhere(""), Request::new("GET", of.all_in("$other"))]),
        case(
            "by labels",
            lists(&[
                "?labelSelector=l",
                "?labelSelector=!l",
                "?labelSelector=l=1",
                "?labelSelector=l==1",
                "?labelSelector=l!=1",
                "?labelSelector=l+in+(1,2)",
                "?labelSelector=l+notin+(1)",
                "?labelSelector=l,team=red",
                "?labelSelector=n>4",
                "?labelSelector=n<4",
                "?labelSelector=l=",
                "?labelSelector=",
                "?labelSelector=l=1,l=2",
            ]),
        ),
        case(
            "by bad labels",
            lists(&[
                "?labelSelector=a%20b",
                "?labelSelector=l+in+1",
                "?labelSelector=,",
                "?labelSelector=l=1,,",
                "?labelSelector=l%3E%3Ex",
                "?labelSelector=n>x",
                "?labelSelector=-l",
                "?labelSelector=l=-",
                "?labelSelector=a/b/c",
                "?labelSelector=l+in+(",
                "?labelSelector=l+in+()",
            ]),
        ),
        case(
            "by fields",
            lists(&[
                "?fieldSelector=metadata.name=a",
                "?fieldSelector=metadata.name==a",
                "?fieldSelector=metadata.name!=a",
                "?fieldSelector=metadata.name=x",
                "?fieldSelector=metadata.name=",
                "?fieldSelector=metadata.name=A_",
                "?fieldSelector=metadata.namespace=$ns",
                "?fieldSelector=metadata.namespace!=$ns",
                "?fieldSelector=metadata.namespace=$other",
                "?fieldSelector=metadata.namespace=$ns,metadata.name=b",
                "?fieldSelector=metadata.name=a,metadata.name=b",
                "?fieldSelector=metadata.name!=a,metadata.name!=b",
                "?fieldSelector=metadata.name=a&labelSelector=l=1",
            ]),
        ),
        case(
            "by bad fields",
            lists(&[
                "?fieldSelector=spec.x=1",
                "?fieldSelector=metadata.uid=1",
                "?fieldSelector=nonsense",
                "?fieldSelector=metadata.name",
                "?fieldSelector=metadata.name=a%5C",
                "?fieldSelector=metadata.name=a%5Cx",
                "?fieldSelector=metadata.name=a=b",
                "?fieldSelector=status.phase!=x,metadata.name=a",
            ]),
        ),
        case(
            "everywhere by selectors",
            [
                "?fieldSelector=metadata.name=a",
                "?fieldSelector=metadata.name!=a",
                "?fieldSelector=metadata.namespace=$ns",
                "?fieldSelector=metadata.namespace!=$ns",
                "?fieldSelector=metadata.namespace=$other,metadata.name=a",
                "?fieldSelector=metadata.name=A_",
                "?fieldSelector=metadata.name=",
                "?fieldSelector=metadata.namespace=",
                "?fieldSelector=metadata.namespace!=",
                "?fieldSelector=spec.x=1",
                "?labelSelector=l=1",
                "?labelSelector=l+notin+(1)&fieldSelector=metadata.name=d",
            ]
            .map(everywhere)
            .to_vec(),
        ),
        case(
            "in pages",
            vec![
                of.list("?limit=2").all_pages(),
                of.list("?limit=1&labelSelector=l").all_pages(),
                of.list("?limit=100"),
                of.list("?limit=0"),
                of.list("?limit=-1"),
                of.list("?limit=x"),
                of.list("?limit=2&continue=nonsense"),
                of.list("?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJ4In0"),
                everywhere("?limit=2").all_pages(),
            ],
        ),
        case(
            "at resource versions",
            vec![
                of.list(""),
                of.list("?resourceVersion=0"),
                of.list("?resourceVersion=$list"),
                of.list("?resourceVersion=$list&resourceVersionMatch=NotOlderThan"),
                of.list("?resourceVersion=$list&resourceVersionMatch=Exact"),
                of.list("?resourceVersion=0&resourceVersionMatch=Exact"),
                of.list("?resourceVersionMatch=Exact"),
                of.list("?resourceVersion=1&resourceVersionMatch=Nonsense"),
                of.list("?resourceVersion=x"),
                of.list("?resourceVersion=-1"),
                of.list("?resourceVersion=$list&resourceVersionMatch=Exact&limit=2").all_pages(),
                of.list("?sendInitialEvents=true"),
                Request::new("GET", format!("{}?resourceVersion=0", of.one("a"))),
                Request::new("GET", format!("{}?resourceVersion=$rv(a)", of.one("a"))),
                Request::new("GET", format!("{}?resourceVersion=x", of.one("a"))),
            ],
        ),
        case(
            "with odd queries",
            vec![
                of.list("?timeoutSeconds=5"),
                of.list("?timeoutSeconds=x"),
                of.list("?watch=false"),
                of.list("?watch=0"),
                of.list("?nonsense=1"),
                of.list("?labelSelector=l=1&labelSelector=l=2"),
                of.list("?allowWatchBookmarks=true"),
                of.list("?pretty=true"),
                of.list("?timeout=5s"),
                of.list("?timeout=x"),
                Request::new("GET", format!("{}?watch=true", of.one("a"))).header("x-nothing", "1"),
                Request::new("GET", format!("{}/", of.all())),
                Request::new("GET", format!("{}/a/", of.all())),
            ],
        ),
    ]
}
