//! What the differential suite found to differ from a real kube-apiserver.

use super::*;

fn refused_create(body: &str) -> (u16, String) {
    let scheme = scheme();
    let target = target(&scheme, None);
    let status = create(&target, body.as_bytes(), BodyType::Json, "bcdfg").unwrap_err().status(&target);
    (status.code, status.message)
}

/// Wire rule 8.3.
#[test]
fn the_type_is_read_before_anything_else() {
    let unrecognized = "the object provided is unrecognized (must be of type Foo): ";
    let (code, message) = refused_create(r#"{"apiVersion":1,"kind":"X"}"#);
    assert_eq!(code, 400);
    assert_eq!(
        message,
        format!(
            "{unrecognized}couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field \
             .apiVersion of type string ({{\"apiVersion\":1,\"kind\":\"X\"}})"
        )
    );
    let (_, message) = refused_create(r#"{"apiVersion":"a/b/c","kind":"Foo"}"#);
    assert!(message.starts_with(&format!("{unrecognized}unexpected GroupVersion string: a/b/c (")), "{message}");
}

/// Wire rule 8.3: the control plane refuses a wrong kind, and then says nothing of the name.
#[test]
fn a_wrong_kind_is_left_to_the_control_plane() {
    let scheme = scheme();
    let list = r#"{"apiVersion":"g/v1","kind":"FooList","items":[]}"#;
    assert!(create(&target(&scheme, None), list.as_bytes(), BodyType::Json, "bcdfg").is_ok());
}

/// Wire rule 8.11.
#[test]
fn an_apply_without_a_type_is_no_object() {
    let scheme = scheme();
    let target = target(&scheme, Some("db"));
    for body in ["", "null", "{}", "a: 1\na: 2\n"] {
        let status = apply_patch(&target, None, body.as_bytes()).unwrap_err().status(&target);
        assert_eq!((status.code, status.message.as_str()), (400, "invalid object type: /, Kind="), "{body}");
    }
}

/// Wire rule 8.14.
#[test]
fn empty_delete_options() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    let options = |body: &str| {
        let options = delete_options(&target, Some(&live(&stored)), body.as_bytes(), BodyType::Json, &Query::default());
        String::from_utf8(options.unwrap().body).unwrap()
    };
    assert_eq!(options("null"), r#"{"preconditions":{"uid":"u1"}}"#);
    // No object has an empty UID, so this deletes nothing.
    assert_eq!(options(r#"{"preconditions":{"uid":""}}"#), r#"{"preconditions":{"uid":""}}"#);
}

/// Wire rule 8.10.
#[test]
fn a_json_patch_of_nothing() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    let done = json_patch(&target, &live(&stored), b"null").unwrap();
    assert_eq!(value(&done.body), json!([{"op": "test", "path": "/metadata/uid", "value": "u1"}]));
}

/// Wire rule 6.9.
#[test]
fn owner_references_are_shown_in_order() {
    let stash = |json: &str| {
        let mut findings = Findings::default();
        owners::stash(json, owners::Written::Created, &mut findings).map(|kept| (kept, findings))
    };
    let references = r#"[{"uid":"1", "name":"o","kind":"A","controller":true,"apiVersion":"v1"}]"#;
    assert_eq!(
        stash(references).unwrap().0.as_deref(),
        Some(r#"[{"apiVersion":"v1","controller":true,"kind":"A","name":"o","uid":"1"}]"#)
    );
    assert!(!stash(references).unwrap().1.doubted);
    let owner = |changed: Value| {
        let mut owner = json!({"apiVersion": "apps/v1", "kind": "A", "name": "o", "uid": "1"});
        owner.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        owner
    };
    for doubtful in [
        json!([owner(json!({"apiVersion": "v1", "kind": "Event"}))]),
        json!([owner(json!({"apiVersion": ""}))]),
        json!([owner(json!({"apiVersion": "apps/"}))]),
        json!([owner(json!({"apiVersion": "a/b/c"}))]),
        json!([owner(json!({"kind": ""}))]),
        json!([owner(json!({"name": ""}))]),
        json!([owner(json!({"uid": ""}))]),
        json!([owner(json!({"controller": true})), owner(json!({"controller": true, "uid": "2"}))]),
    ] {
        assert!(stash(&doubtful.to_string()).unwrap().1.doubted, "{doubtful}");
    }
}

/// Wire rule 6.9: those that may be invalid go up with a body that is only tried, and cannot be stored.
#[test]
fn doubtful_owner_references_are_asked_about() {
    let done = made(&foo(json!({"name": "db", "ownerReferences": [{"kind": "x"}]}))).unwrap();
    assert!(done.findings.forbid() && done.findings.faults.is_empty());
    let metadata = &value(&done.body)["metadata"];
    assert_eq!(metadata["ownerReferences"], json!([{"kind": "x"}]));
    let label = metadata["labels"][LABEL_NAME].as_str().unwrap().to_owned();
    let told = Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {label:?}: a valid label must be an empty string or consist of"),
        field: "metadata.labels".into(),
    };
    assert!(is_made_up(&told) && !is_made_up(&Cause { message: r#"Invalid value: "a b": …"#.into(), ..told }));
}

/// Wire rule 6.9: duplicates go, with a warning.
#[test]
fn owner_references_are_kept_once() {
    let one = r#"{"apiVersion":"v1","kind":"A","name":"o","uid":"1"}"#;
    for (written, told) in [
        (owners::Written::Created, ".metadata.ownerReferences contains duplicate entries; API server"),
        (
            owners::Written::Patched,
            ".metadata.ownerReferences contains duplicate entries after mutating admission happens; API",
        ),
    ] {
        let mut findings = Findings::default();
        let kept = owners::stash(&format!("[{one},{one},{one}]"), written, &mut findings).unwrap();
        assert_eq!(kept, Some(format!("[{one}]")));
        assert_eq!(findings.faults, []);
        let [warning] = findings.warnings.as_slice() else { panic!("{findings:?}") };
        assert!(warning.starts_with(told) && warning.ends_with("observed: 1, 1"), "{warning}");
    }
}

/// Wire rule 8.11: a wrong type is no fault of the client's to kube-apiserver.
#[test]
fn applies_of_wrong_types() {
    let scheme = scheme();
    let target = target(&scheme, Some("db"));
    for metadata in
        ["[]", r#"{"name":"db","labels":["a",1]}"#, r#"{"name":"db","namespace":"team","ownerReferences":{"a":1}}"#]
    {
        let body = format!(r#"{{"apiVersion":"g/v1","kind":"Foo","metadata":{metadata}}}"#);
        let error = apply_patch(&target, None, body.as_bytes()).unwrap_err();
        assert!(matches!(error, BodyError::NotApplicable(_)) && error.status(&target).code == 500, "{error:?}");
    }
}

/// Wire rules 8.2, 8.14: what is wrong with a body is told before the object is looked for.
#[test]
fn bodies_for_what_is_not_there() {
    let scheme = scheme();
    let target = target(&scheme, Some("db"));
    let other = foo(json!({"name": "other"})).to_string();
    let error = check_update(&target, other.as_bytes(), BodyType::Json).unwrap_err();
    assert_eq!(error.to_string(), "the name of the object (other) does not match the name on the URL (db)");
    let same = foo(json!({"name": "db"})).to_string();
    assert_eq!(check_update(&target, same.as_bytes(), BodyType::Json), Ok(()));

    let options = |body: &str, query: &str| {
        delete_options_of_none(&target, body.as_bytes(), BodyType::Json, &Query::parse(query).unwrap())
    };
    assert_eq!(options("", ""), Ok(None));
    let nobody = r#"{"preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}"#;
    let told = options(r#"{"preconditions":{"uid":"u1"}}"#, "").unwrap().unwrap();
    assert_eq!(String::from_utf8(told.body).unwrap(), nobody, "not even an object that the client names");
    assert!(options("{", "").is_err());
}
