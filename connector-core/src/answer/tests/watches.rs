//! Watches.

use super::tables::{local as local_row, row, table};
use super::*;
use crate::answer::RowObject;

const BOOKMARK: &str = r#"{"type":"BOOKMARK","object":{"kind":"K","apiVersion":"a/v1","metadata":{"resourceVersion":"12","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;

fn event(kind: &str, namespace: &str, name: &str) -> String {
    let labels = labels(namespace, name);
    let remote = scheme().remote_name(Form::Claim, namespace, name);
    format!(
        r#"{{"type":"{kind}","object":{{"metadata":{{"labels":{{{labels}}},"name":"{remote}","namespace":"claims"}},"spec":{{}}}}}}"#
    )
}

fn local(kind: &str, namespace: &str, name: &str) -> String {
    format!(r#"{{"type":"{kind}","object":{{"metadata":{{"name":"{name}","namespace":"{namespace}"}},"spec":{{}}}}}}"#)
}

fn frames(events: &[String]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// Wire rules 7.5, 7.7, 7.8: events of others do not happen, bookmarks pass unchanged.
#[test]
fn events() {
    let remote = frames(&[
        event("ADDED", "test", "a"),
        event("ADDED", "elsewhere", "b"),
        event("ADDED", "test", "a").replace("00000000-0000", "00000000-0001"),
        BOOKMARK.to_owned(),
        event("DELETED", "test", "a"),
        event("SOMETHING", "test", "a"),
        event("SOMETHING", "elsewhere", "a"),
    ]);
    let own = [
        local("ADDED", "test", "a"),
        BOOKMARK.to_owned(),
        local("DELETED", "test", "a"),
        local("SOMETHING", "test", "a"),
    ];
    assert_eq!(rewrite_any(&asked(Some("test"), None), Shape::Watch, &remote).unwrap(), frames(&own));
    assert_eq!(rewrite_any(&asked(Some("test"), None), Shape::Watch, "").unwrap(), "");
}

/// Wire rule 7.5: any whitespace between events is taken, one newline is written.
#[test]
fn whitespace_between_events() {
    let event = event("ADDED", "test", "a");
    let remote = format!(" \n{event}{event}\r\n\n {event}\t");
    let own = local("ADDED", "test", "a");
    assert_eq!(
        rewrite_any(&asked(None, None), Shape::Watch, &remote).unwrap(),
        frames(&[own.clone(), own.clone(), own])
    );
}

/// `type` may come behind `object`, `spec` before `metadata`.
#[test]
fn any_order() {
    let labels = labels("test", "a");
    let remote = format!(
        r#"{{ "object" : {{"spec":{{"metadata":{{}}}},"metadata":{{"name":"r","labels":{{{labels}}}}}}} , "x":[{{}}], "type" : "ADDED" }}"#
    );
    let own = r#"{ "object" : {"spec":{"metadata":{}},"metadata":{"name":"a"}} , "x":[{}], "type" : "ADDED" }"#;
    assert_eq!(rewrite_any(&asked(None, None), Shape::Watch, &remote).unwrap(), format!("{own}\n"));
    let bookmark = r#"{"object":{"metadata":{"resourceVersion":"1"}},"type":"BOOKMARK"}"#;
    assert_eq!(rewrite_any(&asked(None, None), Shape::Watch, bookmark).unwrap(), format!("{bookmark}\n"));
}

/// Wire rule 7.9: an ERROR carries a Status, in local names, never as a Table.
#[test]
fn errors() {
    let error = |text: &str| {
        format!(
            r#"{{"type":"ERROR","object":{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"{text}","reason":"Expired","code":410}}}}"#
        )
    };
    let name = remote("a");
    for shape in [Shape::Watch, Shape::TableWatch(RowObject::Null)] {
        let shown = rewrite_any(&asked(Some("test"), Some("a")), shape, &error(&format!("{name} in namespace claims")))
            .unwrap();
        assert_eq!(shown, format!("{}\n", error("a in namespace test")));
        let odd = "{\"type\":\"ERROR\",\"object\":{\"odd\":1}}\n";
        assert_eq!(rewrite_any(&asked(Some("test"), Some("a")), shape, odd).unwrap(), odd);
    }
}

/// Wire rule 11.23: a watch may be ended between events only; each event goes out with its last byte.
#[test]
fn boundaries() {
    let mut rewriter = Rewriter::new(asked(Some("test"), None), Shape::Watch);
    assert!(rewriter.at_boundary());
    for (event, shown) in [(event("ADDED", "test", "a"), true), (event("ADDED", "x", "a"), false)] {
        for (sent, byte) in event.bytes().enumerate() {
            let mut out = Vec::new();
            rewriter.push(vec![byte].into(), &mut out).unwrap();
            let last = sent + 1 == event.len();
            assert_eq!((rewriter.at_boundary(), !out.is_empty()), (last, last && shown));
            assert_eq!(rewriter.finish(), if last { Ok(()) } else { Err(AnswerError::Truncated) });
        }
        rewriter.push("\n".into(), &mut Vec::new()).unwrap();
        assert!(rewriter.at_boundary());
    }
}

/// Events that cannot be understood break the watch; nothing of them goes out.
#[test]
fn broken_events() {
    let good = event("ADDED", "test", "a");
    for bad in [
        "[]".to_owned(),
        "null ".to_owned(),
        "{}".to_owned(),
        r#"{"type":"ADDED"}"#.to_owned(),
        r#"{"object":{}}"#.to_owned(),
        r#"{"type":1,"object":{}}"#.to_owned(),
        r#"{"type":"ADDED","object":[]}"#.to_owned(),
        r#"{"type":"ADDED","object":{},"type":"ADDED"}"#.to_owned(),
        r#"{"type":"ADDED","object":{},"object":{}}"#.to_owned(),
        good.replacen(',', ";", 1),
    ] {
        for shape in [Shape::Watch, Shape::TableWatch(RowObject::Show)] {
            let mut rewriter = Rewriter::new(asked(Some("test"), None), shape);
            let mut out = Vec::new();
            rewriter.push(format!("{good}\n").into(), &mut out).unwrap();
            let so_far = out.len();
            let failed = rewriter.push(bad.clone().into(), &mut out);
            assert!(matches!(failed, Err(AnswerError::Malformed { .. })), "{bad}: {failed:?}");
            assert_eq!((out.len(), rewriter.at_boundary()), (so_far, false));
            assert_eq!(rewriter.finish(), failed);
        }
    }
}

/// An idle watch keeps no memory but its own state, which is small (10,000 of them are normal).
#[test]
fn idle_watches_are_small() {
    assert!(size_of::<Rewriter>() <= 512, "{}", size_of::<Rewriter>());
}

fn table_event(kind: &str, columns: &str, rows: &[&str]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
    format!(r#"{{"type":"{kind}","object":{}}}"#, table(columns, &rows).trim_end())
}

/// Wire rule 7.10: only the first event has columns; when it is withheld the next one brings them. Bookmarks keep their row.
#[test]
fn tables() {
    let columns = r#"[{"name":"Name","format":"name"}]"#;
    let own = |name: &str| row(name, &labels("test", name));
    let foreign = || row("a", &labels("elsewhere", "a"));
    let bookmark_row =
        r#"{"cells":["",""],"object":{"kind":"PartialObjectMetadata","metadata":{"resourceVersion":"5"}}}"#.to_owned();
    let bookmark = |columns: &str| table_event("BOOKMARK", columns, &[&bookmark_row]);
    for (show, object) in [(RowObject::Show, true), (RowObject::Null, false)] {
        let shape = Shape::TableWatch(show);
        let see = |remote: &[String]| rewrite_any(&asked(Some("test"), None), shape, &frames(remote)).unwrap();
        let (a, b) = (local_row("a", object), local_row("b", object));
        assert_eq!(
            see(&[table_event("ADDED", columns, &[&own("a")]), table_event("MODIFIED", "null", &[&own("b")])]),
            frames(&[table_event("ADDED", columns, &[&a]), table_event("MODIFIED", "null", &[&b])])
        );
        assert_eq!(
            see(&[
                table_event("ADDED", columns, &[&foreign()]),
                table_event("ADDED", "null", &[&foreign()]),
                table_event("ADDED", "null", &[&own("a"), &foreign(), &own("b")]),
                table_event("ADDED", "null", &[&own("b")]),
            ]),
            frames(&[table_event("ADDED", columns, &[&a, &b]), table_event("ADDED", "null", &[&b])])
        );
        assert_eq!(
            see(&[
                table_event("ADDED", columns, &[&foreign()]),
                bookmark("null"),
                table_event("DELETED", "null", &[&own("b")])
            ]),
            frames(&[bookmark(columns), table_event("DELETED", "null", &[&b])])
        );
    }
}
