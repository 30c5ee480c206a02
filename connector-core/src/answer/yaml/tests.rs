//! Tests of YAML: to the byte what `sigs.k8s.io/yaml` makes of the same JSON, and the same again when it is read.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{MAX_HELD, PIECE, Yaml};
use crate::answer::AnswerError;
use crate::body::yaml_to_json;

/// The document in chunks of one size.
fn in_chunks(json: &str, size: usize) -> Result<String, AnswerError> {
    let (mut yaml, mut out) = (Yaml::new(), Vec::new());
    for chunk in json.as_bytes().chunks(size) {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(piece) = yaml.next(&mut chunk)? {
            out.extend_from_slice(&piece);
        }
    }
    yaml.finish()?;
    Ok(String::from_utf8(out).expect("what was text stays text"))
}

fn whole(json: &str) -> Result<String, AnswerError> {
    in_chunks(json, json.len().max(1))
}

/// Wire rule 7.20.
#[test]
fn as_the_reference_writes_it() {
    for line in include_str!("../../../tests/data/yaml.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (json, yaml) = (case["json"].as_str().unwrap(), case["yaml"].as_str().unwrap());
        for size in [1, 2, 7, json.len()] {
            assert_eq!(in_chunks(json, size).as_deref(), Ok(yaml), "{json} in chunks of {size}");
        }
    }
}

#[test]
fn what_comes_late_is_told_late() {
    let yaml = whole(r#"{"items":[1],"apiVersion":"v1","kind":"List","rows":[2],"items2":3}"#).unwrap();
    assert_eq!(yaml, "items:\n- 1\napiVersion: v1\nitems2: 3\nkind: List\nrows:\n- 2\n");
}

#[test]
fn what_yaml_lacks_is_escaped() {
    assert_eq!(whole("{\"a\":\"x\u{7f}\u{85}\u{ffff}\"}").unwrap(), "a: \"x\\x7F\\N\\uFFFF\"\n");
}

#[test]
fn only_one_element_is_held() {
    let element = format!(r#"{{"text":"{}"}}"#, "x".repeat(1 << 20));
    let list = format!(r#"{{"apiVersion":"v1","items":[{}]}}"#, vec![&*element; 20].join(","));
    let (mut yaml, mut chunk) = (Yaml::new(), Bytes::from(list));
    let mut longest = 0;
    while let Some(piece) = yaml.next(&mut chunk).unwrap() {
        longest = longest.max(piece.len());
        assert!(yaml.element.capacity() <= 4 << 20 && yaml.rest.len() < 100);
    }
    assert_eq!(yaml.finish(), Ok(()));
    assert!(longest < PIECE + (1 << 20) + 100);
    let large = format!(r#"{{"apiVersion":"v1","items":["{}"]}}"#, "x".repeat(MAX_HELD));
    assert_eq!(whole(&large), Err(AnswerError::TooLarge));
}

/// As deep as kube-apiserver takes it: no stack is used for it, and it comes in pieces.
#[test]
fn depth_costs_no_stack() {
    let deep = format!("{}1{}", r#"{"a":["#.repeat(4000), "]}".repeat(4000));
    let (mut yaml, mut chunk, mut pieces) = (Yaml::new(), Bytes::from(deep), 0);
    while let Some(piece) = yaml.next(&mut chunk).unwrap() {
        assert!(piece.len() < PIECE + 10_000);
        pieces += 1;
    }
    assert_eq!(yaml.finish(), Ok(()));
    assert!(pieces > 100);
    let lines = format!("{}\"{}\"{}", r#"{"a":["#.repeat(4000), r"a\n".repeat(100_000), "]}".repeat(4000));
    assert_eq!(whole(&lines), Err(AnswerError::TooLarge));
}

#[test]
fn what_is_no_document_is_refused() {
    for bad in [
        "[1]",
        "1",
        r#"{"a":tru}"#,
        r#"{"a":1-2}"#,
        r#"{"a":nan}"#,
        r#"{"a":-inf}"#,
        r#"{"a":"\ud800"}"#,
        "{\"a\":\"\u{1}\"}",
    ] {
        let result = whole(bad);
        assert!(
            matches!(result, Err(AnswerError::Malformed { .. })) || bad.contains('\u{1}'),
            "{bad} became {result:?}"
        );
    }
    assert_eq!(whole(r#"{"a":1"#), Err(AnswerError::Truncated));
    assert_eq!(whole(r#"{"items":[1"#), Err(AnswerError::Truncated));
}

/// None that the reference encoder writes so that it is read as something else: `<<` as a key, and a byte order mark.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        ".{0,6}",
        "[ a-c:#,\n'\"-]{0,12}",
        "[0-9_.:+eExob-]{0,8}",
        "([a-z ]{0,30}[ \n]){0,6}",
        proptest::sample::select(vec!["true", "yes", "No", "~", "null", ".inf", "2001-01-01", "0x1F", "---", "=", ""])
            .prop_map(str::to_owned),
    ];
    part.prop_map(|text| text.replace(['\u{85}', '\u{feff}'], ""))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000).prop_map(|number| Value::from(f64::from(number) / 64.0 + 0.001)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map(text(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn read_again_it_is_the_same(value in value(), key in "items|rows|spec", size in 1_usize..60) {
        let document = serde_json::json!({ "apiVersion": "v1", key: value });
        let json = document.to_string();
        let yaml = whole(&json).unwrap();
        prop_assert_eq!(&in_chunks(&json, size).unwrap(), &yaml);
        let again = yaml_to_json(&yaml).map_err(|error| TestCaseError::fail(format!("{error}: {yaml}")))?;
        prop_assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), document, "{}", yaml);
    }
}
