use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

/// The naive twin of the reference library (`evanphx/json-patch` v4): a replacement of what is not there adds it, and what is
/// not there is `null` to tests and copies.
fn apply(document: &mut Value, patch: &Value) -> Option<()> {
    for operation in patch.as_array()? {
        let text = |key: &str| operation[key].as_str().map(str::to_owned);
        let path = text("path")?;
        match (operation["op"].as_str()?, path.as_str()) {
            ("replace", "") if operation["value"].is_object() => {
                *document = operation["value"].clone();
                continue;
            }
            ("test", "") => {
                (*document == operation["value"]).then_some(())?;
                continue;
            }
            _ => {}
        }
        match operation["op"].as_str()? {
            "add" => put(document, &path, operation["value"].clone(), true)?,
            "replace" => put(document, &path, operation["value"].clone(), false)?,
            "remove" => drop(take(document, &path)?),
            "test" => (look(document, &path)? == operation["value"]).then_some(())?,
            "copy" => {
                let value = look(document, &text("from")?)?;
                put(document, &path, value, true)?;
            }
            "move" => {
                let value = take(document, &text("from")?)?;
                put(document, &path, value, true)?;
            }
            _ => return None,
        }
    }
    Some(())
}

fn parent<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((document.pointer_mut(parent)?, key.replace("~1", "/").replace("~0", "~")))
}

fn look(document: &mut Value, path: &str) -> Option<Value> {
    match parent(document, path)? {
        (Value::Object(map), key) => Some(map.get(&key).cloned().unwrap_or_default()),
        (Value::Array(list), key) => list.get(key.parse::<usize>().ok()?).cloned(),
        _ => None,
    }
}

fn put(document: &mut Value, path: &str, value: Value, add: bool) -> Option<()> {
    match parent(document, path)? {
        (Value::Object(map), key) => drop(map.insert(key, value)),
        (Value::Array(list), key) if add => {
            let at = if key == "-" { list.len() } else { key.parse().ok()? };
            (at <= list.len()).then(|| list.insert(at, value))?;
        }
        (Value::Array(list), key) => *list.get_mut(key.parse::<usize>().ok()?)? = value,
        _ => return None,
    }
    Some(())
}

fn take(document: &mut Value, path: &str) -> Option<Value> {
    match parent(document, path)? {
        (Value::Object(map), key) => map.remove(&key),
        (Value::Array(list), key) => {
            let at = key.parse().ok()?;
            (at < list.len()).then(|| list.remove(at))
        }
        _ => None,
    }
}

/// Whether the reference server takes the outcome of a patch.
fn is_well_formed(object: &Value, name: &str) -> bool {
    let metadata = &object["metadata"];
    let map = |key: &str| {
        metadata
            .get(key)
            .is_none_or(|map| serde_json::from_value::<Option<BTreeMap<String, String>>>(map.clone()).is_ok())
    };
    let owners = metadata
        .get("ownerReferences")
        .is_none_or(|list| list.as_array().is_some_and(|list| list.iter().all(Value::is_object)));
    metadata["name"] == name && map("labels") && map("annotations") && owners
}

/// Wire rule 8.10: what the user sees after the translated patch is what the patch makes of what the user saw.
pub(super) fn check_json_patch(stored: &Value, patch: &Value) -> Result<(), String> {
    let mut expected = seen(stored);
    let native = apply(&mut expected, patch).is_some() && is_well_formed(&expected, "db");
    let translated = match patched(stored, patch) {
        Ok(translated) => value(&translated.body),
        Err(error) if native => return Err(format!("refused with {error}")),
        Err(_) => return Ok(()),
    };
    let mut found = stored.clone();
    let applied = apply(&mut found, &translated).is_some() && is_well_formed(&found, &self::remote("db"));
    match (native, applied) {
        (false, false) => Ok(()),
        (true, true) => {
            for (key, value) in scheme().labels("team", "db") {
                if found["metadata"]["labels"][key] != value.as_ref() {
                    return Err(format!("{key} is lost: {translated}"));
                }
            }
            let (found, expected) = (seen(&found), tidy(expected));
            if found == expected { Ok(()) } else { Err(format!("{translated}\ngives {found}\nnot {expected}")) }
        }
        _ => Err(format!("{translated}: native {native}, translated {applied}")),
    }
}

#[test]
fn json_patches_do_to_the_stored_object_what_the_user_means() {
    let bare = {
        let mut stored = stored(&foo(json!({"name": "db"})));
        stored["metadata"].as_object_mut().unwrap().remove("annotations");
        stored
    };
    let table = [
        json!([]),
        json!([{"op": "test", "path": "/metadata/name", "value": "db"}, {"op": "replace", "path": "/metadata/name", "value": "db"}]),
        json!([{"op": "test", "path": "/metadata/name", "value": "x"}]),
        json!([{"op": "replace", "path": "/metadata/name", "value": "x"}]),
        json!([{"op": "remove", "path": "/metadata/name"}]),
        json!([{"op": "test", "path": "/metadata/namespace", "value": "team"}]),
        json!([{"op": "remove", "path": "/metadata/namespace"}]),
        json!([{"op": "add", "path": "/metadata/labels", "value": {"n": "1"}}, {"op": "add", "path": "/metadata/labels/m", "value": "2"}]),
        json!([{"op": "replace", "path": "/metadata/labels", "value": {"n": "1"}}]),
        json!([{"op": "remove", "path": "/metadata/labels"}]),
        json!([{"op": "test", "path": "/metadata/labels", "value": {"a": "1"}}]),
        json!([{"op": "test", "path": "/metadata/labels", "value": {"a": "2"}}]),
        json!([{"op": "add", "path": "/metadata/labels/n", "value": "1"}]),
        json!([{"op": "remove", "path": "/metadata/labels/mcp-connector.upbound.io~1app-cluster"}]),
        json!([{"op": "test", "path": "/metadata/labels/mcp-connector.upbound.io~1app-cluster", "value": "c1"}]),
        json!([{"op": "remove", "path": "/metadata/annotations"}]),
        json!([{"op": "add", "path": "/metadata/annotations", "value": {"n": "1"}}]),
        json!([{"op": "add", "path": "/metadata/annotations/n", "value": "1"}]),
        json!([{"op": "add", "path": "/metadata/ownerReferences", "value": [owner("p")]}]),
        json!([{"op": "add", "path": "/metadata/ownerReferences/-", "value": owner("p")}]),
        json!([{"op": "remove", "path": "/metadata/ownerReferences/0"}]),
        json!([{"op": "remove", "path": "/metadata/ownerReferences"}]),
        json!([{"op": "test", "path": "/metadata/ownerReferences/0/name", "value": "o"}]),
        json!([{"op": "test", "path": "/metadata/ownerReferences/0/name", "value": "p"}]),
        json!([{"op": "add", "path": "/metadata/ownerReferences/0/blockOwnerDeletion", "value": true}]),
        json!([{"op": "test", "path": "/spec/writeConnectionSecretToRef/name", "value": "conn"}]),
        json!([{"op": "test", "path": "/spec/writeConnectionSecretToRef", "value": {"name": "conn"}}]),
        json!([{"op": "test", "path": "/spec/writeConnectionSecretToRef/name", "value": "x"}]),
        json!([{"op": "add", "path": "/spec/writeConnectionSecretToRef", "value": {"name": "new"}},
            {"op": "test", "path": "/spec/writeConnectionSecretToRef/name", "value": "new"}]),
        json!([{"op": "replace", "path": "/spec/writeConnectionSecretToRef/name", "value": "new"}]),
        json!([{"op": "remove", "path": "/spec/writeConnectionSecretToRef"}]),
        json!([{"op": "replace", "path": "/spec", "value": {"size": 2, "writeConnectionSecretToRef": {"name": "n"}}}]),
        json!([{"op": "replace", "path": "/spec", "value": {"size": 2}}]),
        json!([{"op": "copy", "from": "/metadata/name", "path": "/spec/copied"}]),
        json!([{"op": "copy", "from": "/metadata/namespace", "path": "/metadata/labels/team"}]),
        json!([{"op": "move", "from": "/metadata/labels/a", "path": "/metadata/annotations/a"}]),
        json!([{"op": "move", "from": "/metadata/labels", "path": "/metadata/annotations"}]),
        json!([{"op": "copy", "from": "/metadata/annotations", "path": "/metadata/labels"}]),
        json!([{"op": "copy", "from": "/spec/writeConnectionSecretToRef/name", "path": "/spec/copied"}]),
        json!([{"op": "move", "from": "/spec/size", "path": "/spec/moved"}]),
        json!([{"op": "move", "from": "/metadata/name", "path": "/spec/moved"}]),
        json!([{"op": "copy", "from": "/metadata/ownerReferences/0", "path": "/metadata/ownerReferences/-"}]),
        json!([{"op": "replace", "path": "/metadata", "value": {"name": "db", "namespace": "team", "uid": "u1", "resourceVersion": "7",
                "annotations": {"n": "1"}}},
            {"op": "test", "path": "/metadata/annotations", "value": {"n": "1"}},
            {"op": "add", "path": "/metadata/ownerReferences", "value": [owner("q")]}]),
        json!([{"op": "replace", "path": "/metadata", "value": {"name": "other"}}]),
        json!([{"op": "test", "path": "/metadata", "value": {}}]),
        json!([{"op": "copy", "from": "/metadata", "path": "/spec/x"}]),
        json!([{"op": "copy", "from": "/spec/nothing", "path": "/spec/x"}, {"op": "move", "from": "/spec/size", "path": "/metadata/labels/size"}]),
        json!([{"op": "add", "path": "/metadata/labels", "value": {}}, {"op": "add", "path": "/metadata/labels/n", "value": {"x": 1}},
            {"op": "move", "from": "/metadata/labels/n", "path": "/spec/n"}]),
        json!([{"op": "replace", "path": "", "value": {"apiVersion": "g/v1", "kind": "Foo", "metadata": {"name": "db", "uid": "u1"}, "spec": {}}}]),
        json!([{"op": "replace", "path": "", "value": {}}]),
        json!([{"op": "add", "path": "", "value": {}}]),
        json!([{"op": "remove", "path": ""}]),
        json!([{"op": "copy", "from": "", "path": "/spec/x"}]),
        json!([{"op": "move", "from": "/spec", "path": "/spec/x"}]),
        json!([{"op": "remove", "path": "/metadata"}]),
        // kubectl moves fields from client-side to server-side apply.
        json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}]),
    ];
    for patch in table {
        for stored in [&stored(&full()), &bare] {
            check_json_patch(stored, &patch).unwrap_or_else(|fault| panic!("{patch}\n{fault}"));
        }
    }
}

#[test]
fn json_patches_are_refused() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    let reserved = "/metadata/annotations/mcp-connector.upbound.io~1owner-references";
    let table = [
        ("{}".to_owned(), 400),
        ("[5]".to_owned(), 400),
        ("[".to_owned(), 400),
        (json!([{"op": "add", "path": reserved, "value": "x"}]).to_string(), 422),
        (json!([{"op": "add", "path": "/metadata/labels", "value": {LABEL_NAME: "x"}}]).to_string(), 422),
        (json!([{"op": "move", "from": "/spec/size", "path": reserved}]).to_string(), 422),
        (json!([{"op": "move", "from": "/spec/size", "path": "/metadata/name"}]).to_string(), 422),
        (
            json!([{"op": "copy", "from": reserved, "path": "/spec/x"}, {"op": "test", "path": "/kind", "value": "x"}])
                .to_string(),
            422,
        ),
        (json!([{"op": "copy", "from": "", "path": "/spec/x"}]).to_string(), 422),
        (json!([{"op": "replace", "path": "", "value": {"kind": "Foo"}}]).to_string(), 400),
        (json!([{"op": "test", "path": "/metadata", "value": {}}]).to_string(), 422),
        (json!([{"op": "add", "path": "metadata", "value": {}}]).to_string(), 422),
        // What stands before the first slash does not count, as for the reference library.
        (json!([{"op": "replace", "path": "x/metadata/labels", "value": {LABEL_NAME: "x"}}]).to_string(), 422),
        (r#"[{"op":"remove","path":"\ud800/metadata/labels"}]"#.to_owned(), 422),
        (r#"[{"op":"move","from":"\udc00/metadata/labels","path":"/spec/x"}]"#.to_owned(), 422),
        (json!(vec![json!({"op": "test", "path": "/kind", "value": "Foo"}); 10_001]).to_string(), 413),
    ];
    for (patch, code) in table {
        let error = json_patch(&target, &live(&stored), patch.as_bytes()).expect_err(&patch[..patch.len().min(99)]);
        assert_eq!(error.status(&target).code, code, "{}", &patch[..patch.len().min(99)]);
    }
    // To the user there is none, but who would write it or take it away is told why that cannot be (wire rule 11.17).
    for patch in [
        json!([{"op": "add", "path": reserved, "value": "x"}]),
        json!([{"op": "remove", "path": reserved}]),
        json!([{"op": "move", "from": reserved, "path": "/spec/x"}]),
        json!([{"op": "remove", "path": "/metadata/annotations"}, {"op": "copy", "from": "/kind", "path": reserved}]),
    ] {
        let error = json_patch(&target, &live(&stored), patch.to_string().as_bytes()).expect_err("reserved");
        assert!(matches!(&error, BodyError::Reserved { field: "metadata.annotations", .. }), "{error:?}");
    }
    let status = BodyError::TooManyOperations { found: 10_001 }.status(&target);
    assert_eq!(
        status.message,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

/// The reference library counts negative indices from the end.
#[test]
fn json_patches_count_from_the_end() {
    let stored = stored(&full());
    let after = |patch: Value| {
        let mut found = stored.clone();
        let translated = value(&patched(&stored, &patch).unwrap().body);
        apply(&mut found, &translated).unwrap();
        seen(&found)["metadata"]["ownerReferences"].clone()
    };
    let at = "/metadata/ownerReferences/-1";
    assert_eq!(after(json!([{"op": "add", "path": at, "value": owner("p")}])), json!([owner("o"), owner("p")]));
    assert_eq!(after(json!([{"op": "replace", "path": at, "value": owner("p")}])), json!([owner("p")]));
    assert_eq!(after(json!([{"op": "remove", "path": at}])), Value::Null);
    assert!(patched(&stored, &json!([{"op": "remove", "path": "/metadata/ownerReferences/-2"}])).is_err());
}

/// What is small to write must not be large to do.
#[test]
fn json_patches_do_not_grow_without_bound() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    let patch = |operations: &[Value]| {
        json_patch(&target, &live(&stored), Value::from(operations).to_string().as_bytes()).map(|done| done.body.len())
    };
    let nest = json!({"op": "copy", "from": "/metadata/ownerReferences", "path": "/metadata/ownerReferences/0/x"});
    assert_eq!(patch(&vec![nest; 9000]), Err(BodyError::Inapplicable));
    let list = json!({"op": "copy", "from": "/metadata/ownerReferences/0", "path": "/metadata/ownerReferences/-"});
    assert!(patch(&vec![list; 9000]).is_ok());
    let big = json!({"op": "add", "path": "/metadata/labels", "value": {"a": "x".repeat(1 << 20)}});
    let copy = json!({"op": "copy", "from": "/metadata/labels", "path": "/metadata/annotations"});
    let mut operations = vec![copy; 10];
    operations.insert(0, big.clone());
    assert_eq!(patch(&operations), Err(BodyError::Inapplicable));
    let two: Vec<Value> = ["a", "b"]
        .map(|key| json!({"op": "copy", "from": "/metadata/labels/a", "path": format!("/metadata/labels/x{key}")}))
        .into();
    assert_eq!(patch(&[&[big], two.as_slice()].concat()), Err(BodyError::TooLarge));
    // Built level by level, deeper than the stack.
    let levels = (1..400).map(
        |depth| json!({"op": "add", "path": format!("/metadata/ownerReferences/0{}", "/x".repeat(depth)), "value": {}}),
    );
    assert_eq!(patch(&levels.collect::<Vec<_>>()), Err(BodyError::Inapplicable));
}

/// Moves nest what they move, and looking into it between them reads it anew each time.
#[test]
fn json_patches_move_within_bounds() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    let moves = |value: &Value, times: usize| {
        let mut operations = vec![
            json!({"op": "add", "path": "/metadata/labels", "value": {}}),
            json!({"op": "add", "path": "/a", "value": value}),
        ];
        for _ in 0..times {
            operations.push(json!({"op": "add", "path": "/b", "value": {"x": 1}}));
            operations.push(json!({"op": "move", "from": "/a", "path": "/b/a"}));
            operations.push(json!({"op": "move", "from": "/b", "path": "/a"}));
        }
        json_patch(&target, &live(&stored), Value::from(operations).to_string().as_bytes()).map(|done| done.body.len())
    };
    assert!(moves(&json!({}), 3_000).is_ok());
    assert_eq!(moves(&json!("x".repeat(1 << 20)), 3_000), Err(BodyError::Inapplicable));
}

/// The reference library takes a missing member for `null`.
#[test]
fn json_patches_test_for_absence() {
    let stored = stored(&foo(json!({"name": "db"})));
    for member in ["labels", "ownerReferences", "nothing"] {
        let test = |value: Value| json!([{"op": "test", "path": format!("/metadata/{member}"), "value": value}]);
        assert_eq!(check_json_patch(&stored, &test(Value::Null)), Ok(()));
        assert_eq!(check_json_patch(&stored, &test(json!({}))), Ok(()));
    }
}

/// Operations that touch nothing hidden keep their bytes.
#[test]
fn json_patches_keep_bytes() {
    let stored = stored(&full());
    let body = br#"[ {"op":"add", "path":"/spec/n","value":1.0e+2}]"#;
    let done = json_patch(&target(&scheme(), Some("db")), &live(&stored), body).unwrap();
    assert_eq!(
        String::from_utf8(done.body).unwrap(),
        r#"[{"op":"add", "path":"/spec/n","value":1.0e+2},{"op":"test","path":"/metadata/uid","value":"u1"}]"#
    );
}

/// Where the whole object is written, numbers keep their digits, and the object is tied to its version.
#[test]
fn json_patches_of_what_is_hidden_write_the_object() {
    let stored = stored(&full()).to_string().replacen(r#""size":1"#, r#""big":12345678901234567890.10,"size":1"#, 1);
    let live = Live::parse(&scheme(), Form::Claim, stored.as_bytes()).unwrap();
    let body =
        br#"[{"op":"add","path":"/metadata/labels/l","value":"1"},{"op":"copy","from":"/spec/big","path":"/spec/n"}]"#;
    let done = json_patch(&target(&scheme(), Some("db")), &live, body).unwrap();
    let text = String::from_utf8(done.body).unwrap();
    assert!(
        text.starts_with(r#"[{"op":"replace","path":"","value":{"#) && text.matches(r#""op""#).count() == 1,
        "{text}"
    );
    assert_eq!(text.matches("12345678901234567890.10").count(), 2, "{text}");
    let object = value(text.as_bytes())[0]["value"].clone();
    assert_eq!(object["metadata"]["resourceVersion"], "7");
    assert_eq!(object["metadata"]["uid"], "u1");
    assert_eq!(object["metadata"]["labels"][LABEL_NAME], "db");
}

/// Wire rule 8.10: as many operations as the reference server takes.
#[test]
fn json_patches_have_room_for_all_operations() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    for path in ["/kind", "/metadata/name"] {
        let test = json!({"op": "test", "path": path, "value": if path == "/kind" { "Foo" } else { "db" }});
        let done = json_patch(&target, &live(&stored), json!(vec![test; 10_000]).to_string().as_bytes()).unwrap();
        assert_eq!(value(&done.body).as_array().unwrap().len(), 1);
    }
}

/// Wire rule 8.3: what the reference server warns of in operations, it warns of by their number.
#[test]
fn json_patches_keep_what_is_strange_of_operations() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    let body = br#"[{"op":"test","path":"/metadata/name","value":"db"},{"op":"remove","op":"add","path":"/metadata/labels/l","value":"1","x":2}]"#;
    let done = json_patch(&target, &live(&stored), body).unwrap();
    let text = String::from_utf8(done.body).unwrap();
    let kept = r#"{"op":"replace","path":"","value":{}},{"op":"remove","op":"replace","path":"","value":{},"x":2},{"#;
    assert!(text[1..].starts_with(kept), "{text}");
    assert_eq!(value(text.as_bytes())[2]["value"]["metadata"]["labels"]["l"], "1");
}

/// What cannot apply applies to nothing there either, and is told there.
#[test]
fn malformed_operations_are_left_to_the_control_plane() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    for one in
        [r#"{"op":"what","path":"/a"}"#, r#"{"path":"/a"}"#, r#"{"op":5,"path":"/metadata/labels"}"#, "null", "{}"]
    {
        let done = json_patch(&target, &live(&stored), format!("[{one}]").as_bytes()).unwrap();
        assert!(String::from_utf8(done.body).unwrap().starts_with(&format!("[{one},")), "{one}");
    }
}

/// Patches of a scale are applied to the scale, of which only name and namespace are another's (wire rule 7.19).
#[test]
fn json_patches_of_a_scale() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = Target { subresource: Some("scale"), ..target(&scheme, Some("db")) };
    let scale = json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": remote("db"), "namespace": "claims", "uid": "u1", "resourceVersion": "7"}, "spec": {"replicas": 1}});
    let live = live(&stored).showing(scale.to_string().into());
    let patch = json!([{"op": "test", "path": "/metadata/name", "value": "db"}, {"op": "replace", "path": "/spec/replicas", "value": 2}]);
    let done = value(&json_patch(&target, &live, patch.to_string().as_bytes()).unwrap().body);
    let mut expected = scale;
    expected["spec"]["replicas"] = 2.into();
    assert_eq!(done[0]["value"], expected);
}
