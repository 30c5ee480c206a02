//! DELETE of one and of many.

use crate::case::{Case, Kind, case};
use crate::exchange::{JSON, Request, YAML};

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: delete {name}", of.label);
    let with = |options: &str| of.delete("a").body(JSON, options);
    let query = |query: &str| Request::new("DELETE", format!("{}?{query}", of.one("a")));
    let many = |query: &str| Request::new("DELETE", format!("{}?{query}", of.all()));
    let made = || of.create("a");
    let held = || of.post(of.with_metadata(r#"{"name":"a","finalizers":["example.org/f"]}"#));
    let released = || of.merge("a", r#"{"metadata":{"finalizers":null}}"#);
    vec![
        case(is("and get"), [made(), of.delete("a"), of.get("a"), of.delete("a"), made(), of.get("a")]),
        case(
            is("with options"),
            [
                made(),
                with(r#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}"#),
                made(),
                with("{}"),
                made(),
                with(r#"{"gracePeriodSeconds":0}"#),
                made(),
                with(r#"{"gracePeriodSeconds":30}"#),
                made(),
                query("propagationPolicy=Background"),
                made(),
                query("gracePeriodSeconds=0"),
                made(),
                query("orphanDependents=false"),
                made(),
                of.delete("a").body(YAML, "propagationPolicy: Background\n"),
            ],
        ),
        case(
            is("with bad options"),
            [
                made(),
                with("{"),
                with("[]"),
                with("null"),
                with(r#"{"propagationPolicy":"Sideways"}"#),
                with(r#"{"propagationPolicy":5}"#),
                with(r#"{"gracePeriodSeconds":"x"}"#),
                with(r#"{"gracePeriodSeconds":-1,"dryRun":["All"]}"#),
                with(r#"{"kind":"Other","apiVersion":"v1"}"#),
                with(r#"{"kind":"DeleteOptions","apiVersion":"v9"}"#),
                with(r#"{"dryRun":["Some"]}"#),
                with(r#"{"preconditions":5}"#),
                with(r#"{"preconditions":{"uid":5}}"#),
                with(r#"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#),
                with(r#"{"unknown":1,"dryRun":["All"]}"#),
                query("propagationPolicy=Sideways"),
                query("gracePeriodSeconds=x"),
                query("dryRun=Some"),
                query("orphanDependents=maybe&dryRun=All"),
                of.delete("a").body("text/plain", "{}"),
                of.get("a"),
            ],
        ),
        case(
            is("with preconditions"),
            [
                made(),
                with(r#"{"preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}"#),
                with(r#"{"preconditions":{"resourceVersion":"1"}}"#),
                with(r#"{"preconditions":{"uid":"$uid(a)","resourceVersion":"1"}}"#),
                with(r#"{"preconditions":{"uid":"00000000-0000-0000-0000-000000000000","resourceVersion":"$rv(a)"}}"#),
                with(r#"{"preconditions":{"uid":""},"dryRun":["All"]}"#),
                with(r#"{"preconditions":null,"dryRun":["All"]}"#),
                with(r#"{"preconditions":{"uid":"$uid(a)","resourceVersion":"$rv(a)"}}"#),
                of.get("a"),
            ],
        ),
        case(
            is("for a try"),
            [
                made(),
                query("dryRun=All"),
                with(r#"{"dryRun":["All"]}"#),
                of.get("a"),
                held().body(JSON, of.with_metadata(r#"{"name":"b","finalizers":["example.org/f"]}"#)),
                Request::new("DELETE", format!("{}?dryRun=All", of.one("b"))),
                of.merge("b", r#"{"metadata":{"finalizers":null}}"#),
            ],
        ),
        case(
            is("with a finalizer"),
            [
                held(),
                of.delete("a"),
                of.get("a"),
                of.delete("a"),
                made(),
                of.merge("a", r#"{"metadata":{"labels":{"l":"1"}}}"#),
                of.merge("a", r#"{"metadata":{"finalizers":["example.org/f","example.org/g"]}}"#),
                of.apply("a", "fieldManager=m", of.named("a")),
                of.list(""),
                released(),
                of.get("a"),
            ],
        ),
        case(
            is("and release by others"),
            [
                held(),
                of.delete("a"),
                of.put("a", of.with_metadata(r#"{"name":"a","resourceVersion":"$rv(a)"}"#)),
                held(),
                of.delete("a"),
                of.json_patch("a", r#"[{"op":"remove","path":"/metadata/finalizers/0"}]"#),
                of.apply("a", "fieldManager=m", of.with_metadata(r#"{"name":"a","finalizers":["example.org/f"]}"#)),
                of.delete("a"),
                of.apply("a", "fieldManager=m", of.named("a")),
                of.get("a"),
            ],
        ),
        case(
            is("all"),
            [
                of.create_labelled("a", r#"{"l":"1"}"#),
                of.create_labelled("b", r#"{"l":"2"}"#),
                of.create("c"),
                Request::new("POST", of.all_in("$other")).body(JSON, of.named("d")),
                many("labelSelector=l=1"),
                many("dryRun=All"),
                many("fieldSelector=metadata.name=b"),
                many("labelSelector=l=1"),
                many(""),
                of.list(""),
                Request::new("GET", of.all_in("$other")),
                Request::new("DELETE", of.everywhere()),
            ],
        ),
        case(
            is("all with options"),
            [
                made(),
                many("labelSelector=a%20b"),
                many("fieldSelector=spec.x=1"),
                many("propagationPolicy=Sideways"),
                Request { body: r#"{"propagationPolicy":"Sideways"}"#.to_owned(), ..many("").body(JSON, "") },
                many("").body(JSON, "{"),
                many("").body(JSON, r#"{"preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}"#),
                of.get("a"),
                many("").body(JSON, r#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}"#),
                of.list(""),
            ],
        ),
        case(
            is("all that are held"),
            [held(), of.create("b"), many(""), of.list(""), many(""), released(), of.list("")],
        ),
        case(is("a bad name"), [of.delete("A_"), of.delete("a%20b"), of.get("A_"), of.get("a%20b"), of.get("%C3%A4")]),
    ]
}
