//! Compressed answers (wire rules 1.11, 7.22): whoever decodes them reads the same.

use crate::case::{Case, WIDGET, case};
use crate::exchange::{PARTIAL_LIST, Request, TABLE};

pub(crate) fn cases() -> Vec<Case> {
    let of = WIDGET;
    let large = |name: &str, size: usize| {
        let text: String = (0..size / 10).map(|at| format!("{at:09} ")).collect();
        of.post(of.with(&format!(r#"{{"name":"{name}"}}"#), &format!(r#"{{"free":{{"text":"{text}"}}}}"#)))
    };
    let zipped = |request: Request| request.header("accept-encoding", "gzip");
    vec![
        case(
            "widget: encoding of large lists",
            [
                large("a", 50_000),
                large("b", 50_000),
                large("c", 50_000),
                zipped(of.list("")),
                zipped(of.list("")).accept(TABLE),
                zipped(of.list("?includeObject=Object")).accept(TABLE),
                zipped(of.list("")).accept(PARTIAL_LIST),
                zipped(of.list("?pretty=true")),
                of.list("").header("accept-encoding", "identity"),
                of.list("").header("accept-encoding", "br, deflate"),
                of.list("").header("accept-encoding", "gzip;q=0"),
                zipped(of.list("?watch=true&timeoutSeconds=1")),
                zipped(of.list("?limit=1").all_pages()),
                zipped(Request::new("DELETE", of.all())),
            ],
        ),
        case(
            "widget: encoding of large objects",
            [
                zipped(large("a", 200_000)),
                zipped(of.get("a")),
                zipped(of.merge("a", r#"{"metadata":{"labels":{"l":"1"}}}"#)),
                zipped(of.get("a").accept(TABLE)),
                zipped(of.get("b")),
                zipped(of.delete("a")),
            ],
        ),
    ]
}
