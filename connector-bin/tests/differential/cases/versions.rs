//! One API in two versions.

use crate::case::{Case, WIDGET, case};
use crate::exchange::{Request, TABLE};

pub(crate) fn cases() -> Vec<Case> {
    let new = WIDGET;
    let old = crate::case::Kind { version: "v1beta1", ..WIDGET };
    let unserved = crate::case::Kind { version: "v2", ..WIDGET };
    vec![
        case(
            "versions: read and write in both",
            [
                new.create("a"),
                old.get("a"),
                old.list(""),
                old.list("").accept(TABLE),
                old.create("b"),
                new.get("b"),
                old.merge("a", r#"{"metadata":{"labels":{"l":"1"}}}"#),
                new.merge("a", r#"{"metadata":{"labels":{"m":"1"}}}"#),
                old.put("a", old.with_metadata(r#"{"name":"a","resourceVersion":"$rv(a)"}"#)),
                old.put("a", new.with_metadata(r#"{"name":"a","resourceVersion":"$rv(a)"}"#)),
                new.get("a"),
                old.delete("a"),
                old.list("?watch=true&timeoutSeconds=1"),
            ],
        ),
        case(
            "versions: apply in both",
            [
                new.apply("a", "fieldManager=m", new.named("a")),
                old.apply("a", "fieldManager=m", old.with_metadata(r#"{"name":"a","labels":{"l":"1"}}"#)),
                old.apply("a", "fieldManager=n", old.named("a")),
                new.apply("a", "fieldManager=m", new.named("a")),
                new.apply("a", "fieldManager=m", old.named("a")),
                new.merge("a", r#"{"apiVersion":"differential.example.org/v1beta1"}"#),
                new.get("a"),
            ],
        ),
        case(
            "versions: what is not served",
            [
                unserved.list(""),
                unserved.create("a"),
                unserved.get("a"),
                Request::new("GET", "/apis/differential.example.org/v1/namespaces/$ns/nothings"),
                Request::new("GET", "/apis/differential.example.org/v1/namespaces/$ns/nothings/a"),
                Request::new("POST", "/apis/differential.example.org/v1/namespaces/$ns/nothings")
                    .body("application/json", "{}"),
                Request::new("DELETE", "/apis/differential.example.org/v1/namespaces/$ns/nothings/a"),
                Request::new("GET", "/apis/differential.example.org/v1/nothings"),
                Request::new("GET", "/apis/differential.example.org/v1/namespaces/$ns"),
                Request::new("GET", "/apis/differential.example.org/v1/namespaces"),
                Request::new("GET", "/apis/differential.example.org/v1/widgets/a"),
                Request::new("DELETE", "/apis/differential.example.org/v1/widgets/a"),
                Request::new("GET", "/apis/differential.example.org/v1/namespaces/$ns/widgets/a/status/b"),
                Request::new("GET", "/apis/differential.example.org/v1/namespaces/$ns/widgets/a/b/c"),
                Request::new("GET", "/apis/differential.example.org/v1/proxy/namespaces/$ns/widgets/a"),
            ],
        ),
    ]
}
