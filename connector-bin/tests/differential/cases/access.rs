//! Who may not, and when nobody may.

use crate::case::{CLAIM, Case, WIDGET, case};
use crate::exchange::{JSON, Request, TABLE};

pub(crate) fn cases() -> Vec<Case> {
    let of = WIDGET;
    let ending = |kind: crate::case::Kind| {
        vec![
            kind.post(kind.with_metadata(r#"{"name":"held","finalizers":["example.org/f"]}"#)),
            Request::new("DELETE", "/api/v1/namespaces/$ns").accept(TABLE),
            kind.create("a"),
            kind.post(kind.with_metadata(r#"{"generateName":"gen-"}"#)),
            kind.apply("a", "fieldManager=m", kind.named("a")),
            kind.post(kind.with_metadata(r#"{"name":"A"}"#)),
            kind.post_with("?dryRun=All", kind.named("a")),
            kind.merge("held", r#"{"metadata":{"labels":{"l":"1"}}}"#),
            kind.apply(
                "held",
                "fieldManager=m",
                kind.with_metadata(r#"{"name":"held","labels":{"l":"2"},"finalizers":["example.org/f"]}"#),
            ),
            kind.merge("a", "{}"),
        ]
    };
    let mut claims = ending(CLAIM);
    claims.push(CLAIM.merge("held", r#"{"metadata":{"finalizers":null}}"#));
    vec![
        case(
            "access: what jane may and may not",
            [
                of.create("a"),
                of.get("a").by_jane(),
                of.list("").by_jane(),
                of.merge("a", r#"{"metadata":{"labels":{"l":"1"}}}"#).by_jane(),
                of.create("b").by_jane(),
                of.put("a", of.with_metadata(r#"{"name":"a","resourceVersion":"$rv(a)"}"#)).by_jane(),
                of.delete("a").by_jane(),
                Request::new("DELETE", of.all()).by_jane(),
                of.list("?watch=true&timeoutSeconds=1").by_jane(),
                Request::new("GET", of.everywhere()).by_jane(),
                Request::new("GET", format!("{}/status", of.one("a"))).by_jane(),
                of.apply("a", "fieldManager=j", of.with_metadata(r#"{"name":"a","labels":{"j":"1"}}"#)).by_jane(),
                of.apply("b", "fieldManager=j", of.named("b")).by_jane(),
                of.apply("c", "fieldManager=j&dryRun=All", of.named("c")).by_jane(),
                of.merge("x", "{}").by_jane(),
                of.get("x").by_jane(),
            ],
        ),
        case(
            "access: by name",
            [
                CLAIM.create("mine"),
                CLAIM.create("other"),
                CLAIM.get("mine").by_jane(),
                CLAIM.get("other").by_jane(),
                CLAIM.list("").by_jane(),
                CLAIM.list("?fieldSelector=metadata.name=mine").by_jane(),
                CLAIM.get("nothing").by_jane(),
            ],
        ),
        case("access: by selectors", {
            let selectors = [
                "?labelSelector=l%3D1,m!%3D2,n+in+(a,b),o+notin+(c),!p",
                "?labelSelector=l&fieldSelector=metadata.name!%3Dx",
                "?labelSelector=l%3E0",
                "?labelSelector=l%3D%3D%3D1",
                "?fieldSelector=metadata.name%3Da&labelSelector=%3D%3D",
                "?fieldSelector=%3Dx",
                "?fieldSelector=spec.text%3Done",
                "?watch=true&timeoutSeconds=1&labelSelector=l%3D1",
            ];
            let made = of.create_labelled("a", r#"{"l":"1"}"#);
            let lists = selectors.iter().map(|selector| of.list(selector).by_jane());
            let delete = Request::new("DELETE", format!("{}{}", of.all(), selectors[0])).by_jane();
            std::iter::once(made).chain(lists).chain([delete]).collect::<Vec<_>>()
        }),
        case(
            "access: impersonation",
            [
                of.create("a"),
                of.get("a").header("impersonate-user", "jane"),
                of.delete("a").header("impersonate-user", "jane"),
                of.delete("a").header("impersonate-user", "nobody").header("impersonate-group", "g"),
                of.create("b")
                    .header("impersonate-user", "jane")
                    .accept("application/vnd.kubernetes.protobuf,application/json"),
            ],
        ),
        case("access: a namespace that ends", claims),
        case(
            "access: headers of proxies",
            [
                of.create("a"),
                of.get("a").header("x-remote-user", "jane").header("x-remote-group", "system:masters"),
                of.delete("a").by_jane().header("x-remote-user", "admin").header("x-remote-group", "system:masters"),
                of.get("a").header("x-forwarded-for", "1.2.3.4"),
                Request::new("POST", of.all()).body(JSON, of.named("e")).header("x-http-method-override", "GET"),
            ],
        ),
    ]
}
