//! The documents show all of their objects, and the anchor does what the product does.

use bytes::Bytes;
use connector_core::answer::{Asked, RowObject, Shape};
use serde_json::Value;

use crate::{
    asked, asked_one, chunks, list, local_name, local_namespace, long_list, object, partial_list, raw, rewrite, table,
    value, watch,
};

/// More than fit one chunk.
const COUNT: usize = 60;

fn rewritten(asked: &Asked, shape: Shape, document: &Bytes) -> Vec<u8> {
    let mut out = Vec::new();
    rewrite(asked, shape, &chunks(document), &mut out).unwrap();
    out
}

fn values(document: &[u8]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(document).into_iter().collect::<Result<_, _>>().unwrap()
}

/// `objects` are all the claims, in local terms.
fn assert_local<'a>(objects: impl IntoIterator<Item = &'a Value>) {
    let names: Vec<_> = objects
        .into_iter()
        .map(|object| {
            assert!(!object.to_string().contains("mcp-connector"), "{object}");
            (object["metadata"]["name"].clone(), object["metadata"]["namespace"].clone())
        })
        .collect();
    let expected: Vec<_> = (0..COUNT).map(|index| (local_name(index).into(), local_namespace(index).into())).collect();
    assert_eq!(names, expected);
}

#[test]
fn claims_have_the_size_of_real_ones() {
    for index in [0, 9_999] {
        assert!((2_800..3_600).contains(&object(index).len()), "{}", object(index).len());
    }
}

#[test]
fn lists_show_every_claim() {
    for document in [list(COUNT), partial_list(COUNT)] {
        let document = &values(&rewritten(&asked(), Shape::List, &document))[0];
        assert_local(document["items"].as_array().unwrap());
    }
}

#[test]
fn table_shows_every_row() {
    let document = &values(&rewritten(&asked(), Shape::Table(RowObject::Show), &table(COUNT)))[0];
    let rows = document["rows"].as_array().unwrap();
    assert_local(rows.iter().map(|row| &row["object"]));
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row["cells"][0], local_name(index));
        assert_eq!(row["cells"][3], format!("{}-conn", local_name(index)), "the connection secret");
    }
}

#[test]
fn watch_shows_every_event() {
    let events = values(&rewritten(&asked(), Shape::Watch, &watch(COUNT)));
    assert_local(events.iter().map(|event| &event["object"]));
}

#[test]
fn anchor_says_the_same() {
    type Anchor = fn(&Asked, &[u8], &mut Vec<u8>) -> serde_json::Result<()>;
    let cases: [(Asked, Shape, Bytes, Anchor); 3] = [
        (asked(), Shape::List, list(COUNT), value::list),
        (asked(), Shape::Watch, watch(COUNT), value::watch),
        (asked_one(7), Shape::Object, object(7), value::object),
    ];
    for (asked, shape, document, anchor) in cases {
        let mut out = Vec::new();
        anchor(&asked, &document, &mut out).unwrap();
        assert_eq!(values(&out), values(&rewritten(&asked, shape, &document)), "{shape:?}");
        assert_ne!(values(&out), values(&document), "{shape:?}");
    }
}

#[test]
fn anchors_that_cut_say_the_same() {
    type Anchor = fn(&Asked, &[u8], &mut Vec<u8>) -> Option<()>;
    let cases: [(Asked, Shape, Bytes, Anchor); 5] = [
        (asked(), Shape::List, list(COUNT), raw::list::<raw::SerdeJson>),
        (asked(), Shape::List, list(COUNT), raw::list::<raw::SonicRs>),
        (asked(), Shape::List, list(COUNT), |asked, document, out| value::list_by_simd_json(asked, document, out).ok()),
        (asked_one(7), Shape::Object, object(7), raw::object::<raw::SerdeJson>),
        (asked_one(7), Shape::Object, object(7), raw::object::<raw::SonicRs>),
    ];
    for (asked, shape, document, anchor) in cases {
        let mut out = Vec::new();
        anchor(&asked, &document, &mut out).unwrap();
        assert_eq!(values(&out), values(&rewritten(&asked, shape, &document)), "{shape:?}");
    }
}

#[test]
fn long_lists_show_every_claim_each_time() {
    let mut rewriter = connector_core::answer::Rewriter::new(asked(), Shape::List);
    let mut parts = Vec::new();
    for chunk in long_list(COUNT, 3) {
        rewriter.push(chunk, &mut parts).unwrap();
    }
    rewriter.finish().unwrap();
    let document = &values(&parts.concat())[0];
    let items = document["items"].as_array().unwrap();
    assert_eq!(items.len(), 3 * COUNT);
    assert_local(&items[2 * COUNT..]);
}
