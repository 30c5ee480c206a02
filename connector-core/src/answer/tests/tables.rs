//! Tables.

use super::*;
use crate::answer::RowObject;

const COLUMNS: &str = r#"[{"name":"Name","type":"string","format":"name","description":"n","priority":0},{"name":"Secret","type":"string","format":"","description":"s","priority":0}]"#;

pub(super) fn row(name: &str, labels: &str) -> String {
    let (own, secret) = (remote(name), remote("conn"));
    format!(
        r#"{{"cells":["{own}","{secret}",true,9007199254740993,"x {own}","{own}"],"object":{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{"name":"{own}","namespace":"claims","labels":{{{labels}}},"annotations":{{"mcp-connector.upbound.io/connection-secret-name":"conn"}}}}}}}}"#
    )
}

pub(super) fn local(name: &str, object: bool) -> String {
    let object = if object {
        format!(
            r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{"name":"{name}","namespace":"test"}}}}"#
        )
    } else {
        "null".to_owned()
    };
    let own = remote(name);
    format!(r#"{{"cells":["{name}","conn",true,9007199254740993,"x {own}","{name}"],"object":{object}}}"#)
}

pub(super) fn table(columns: &str, rows: &[String]) -> String {
    let rows = rows.join(",");
    format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{{\"resourceVersion\":\"9\"}},\"columnDefinitions\":{columns},\"rows\":[{rows}]}}\n"
    )
}

fn own(name: &str) -> String {
    row(name, &labels("test", name))
}

fn foreign() -> String {
    row("f", &labels("test", "f").replace("00000000-0000", "00000000-0001"))
}

/// Wire rules 7.12, 7.13: the name stands in a cell before the object that tells the origin; cells that say exactly a remote
/// name are renamed, others are the user's.
#[test]
fn rows() {
    for (show, object) in [(RowObject::Show, true), (RowObject::Null, false)] {
        let remote = table(COLUMNS, &[foreign(), own("a"), foreign(), own("b")]);
        let shown = rewrite_any(&asked(Some("test"), None), Shape::Table(show), &remote).unwrap();
        assert_eq!(shown, table(COLUMNS, &[local("a", object), local("b", object)]));
        let none = rewrite_any(&asked(Some("elsewhere"), None), Shape::Table(show), &remote).unwrap();
        assert_eq!(none, table(COLUMNS, &[]));
    }
}

/// Wire rule 7.13: a row without an object cannot be verified.
#[test]
fn rows_without_object() {
    let rows = [
        r#"{"cells":["x"],"object":null}"#.to_owned(),
        r#"{"cells":["x"]}"#.to_owned(),
        "null".to_owned(),
        r#"{"object":{}}"#.to_owned(),
        own("a").replace("\"labels\"", "\"nolabels\""),
    ];
    let shown = rewrite_any(&asked(None, None), Shape::Table(RowObject::Show), &table(COLUMNS, &rows)).unwrap();
    assert_eq!(shown, table(COLUMNS, &[]));
    for rows in ["null", "[]", "{}"] {
        let table = format!("{{\"rows\":{rows}}}");
        assert_eq!(rewrite_any(&asked(None, None), Shape::Table(RowObject::Show), &table).unwrap(), table);
    }
}

/// `object` may come first, and be the whole object.
#[test]
fn whole_objects_in_any_order() {
    let (own, secret, labels) = (remote("a"), remote("conn"), labels("test", "a"));
    let row = format!(
        r#"{{"object":{{"metadata":{{"annotations":{{"mcp-connector.upbound.io/connection-secret-name":"conn"}},"labels":{{{labels}}},"name":"{own}"}},"spec":{{"writeConnectionSecretToRef":{{"name":"{secret}"}}}}}},"cells":["{own}"]}}"#
    );
    let local =
        r#"{"object":{"metadata":{"name":"a"},"spec":{"writeConnectionSecretToRef":{"name":"conn"}}},"cells":["a"]}"#;
    let shape = Shape::Table(RowObject::Show);
    let shown = rewrite_any(&asked(None, None), shape, &format!("{{\"rows\":[{row}],\"kind\":\"Table\"}}")).unwrap();
    assert_eq!(shown, format!("{{\"rows\":[{local}],\"kind\":\"Table\"}}"));
}

/// Wire rule 7.14: one object as a Table; when it is another one, nothing goes out.
#[test]
fn table_of_one_object() {
    let asked = asked(Some("test"), Some("a"));
    for (show, object) in [(RowObject::Show, true), (RowObject::Null, false)] {
        let shape = Shape::ObjectTable(show);
        let shown = rewrite_any(&asked, shape, &table(COLUMNS, &[own("a")])).unwrap();
        assert_eq!(shown, table(COLUMNS, &[local("a", object)]));
        for none in [table(COLUMNS, &[own("b")]), table(COLUMNS, &[]), table(COLUMNS, &[foreign()])] {
            assert_eq!(rewrite_any(&asked, shape, &none), Err(AnswerError::Foreign));
        }
    }
}

/// A control plane that knows no Tables answers with what the Table would be of.
#[test]
fn no_table() {
    let object = format!(r#"{{"kind":"K","metadata":{{"labels":{{{}}},"name":"r"}}}}"#, labels("test", "a"));
    let local = r#"{"kind":"K","metadata":{"name":"a"}}"#;
    let one = asked(Some("test"), Some("a"));
    assert_eq!(rewrite_any(&one, Shape::ObjectTable(RowObject::Null), &object).unwrap(), local);
    let other = asked(Some("test"), Some("b"));
    assert_eq!(rewrite_any(&other, Shape::ObjectTable(RowObject::Null), &object), Err(AnswerError::Foreign));
    let all = asked(Some("test"), None);
    let list = |item: &str| format!("{{\"items\":[{item}],\"kind\":\"KList\"}}");
    assert_eq!(rewrite_any(&all, Shape::Table(RowObject::Null), &list(&object)).unwrap(), list(local));
    let event = |object: &str| format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n");
    assert_eq!(rewrite_any(&all, Shape::TableWatch(RowObject::Null), &event(&object)).unwrap(), event(local));
}
