mod json_patches;
mod merge_patches;
mod native;
mod random;
mod references;

use serde_json::{Value, json};

use super::*;
use crate::address::{BodyType, Query};
use crate::origin::{
    ANNOTATION_CONNECTION_SECRET, ANNOTATION_NAME, ANNOTATION_OWNERS, LABEL_CLUSTER, LABEL_NAME, LABEL_NAMESPACE,
    RESERVED_PREFIX,
};
use crate::status::Status;

fn scheme() -> Hashed {
    Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".into() }
}

fn target<'a>(scheme: &'a Hashed, name: Option<&'a str>) -> Target<'a> {
    Target {
        scheme,
        form: Form::Claim,
        references: None,
        group: "g",
        version: "v1",
        resource: "foos",
        kind: "Foo",
        namespace: "team",
        name,
        subresource: None,
    }
}

fn remote(name: &str) -> String {
    scheme().remote_name(Form::Claim, "team", name)
}

fn value(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

fn foo(metadata: Value) -> Value {
    json!({"apiVersion": "g/v1", "kind": "Foo", "metadata": metadata, "spec": {}})
}

fn made(object: &Value) -> Result<Translated, BodyError> {
    create(&target(&scheme(), None), object.to_string().as_bytes(), BodyType::Json, "x7k2p")
}

/// What is refused, or is to be refused after the control plane was asked what else is wrong.
fn refusal(done: Result<Translated, BodyError>, target: &Target<'_>) -> Status {
    match done {
        Err(error) => error.status(target),
        Ok(done) => {
            assert!(!done.findings.faults.is_empty(), "nothing is wrong with it");
            Status::invalid(target.group, target.kind, &done.name, done.findings.faults)
        }
    }
}

/// The object that the control plane stores once `object` was created.
fn stored(object: &Value) -> Value {
    let mut stored = value(&made(object).unwrap().body);
    stored["metadata"]["uid"] = "u1".into();
    stored["metadata"]["resourceVersion"] = "7".into();
    tidy(stored)
}

fn live(stored: &Value) -> Live {
    Live::parse(&scheme(), Form::Claim, stored.to_string().as_bytes()).unwrap()
}

/// The naive inverse: what the user sees of a stored object.
fn seen(stored: &Value) -> Value {
    let mut object = stored.clone();
    let label = |key: &str| stored["metadata"]["labels"][key].as_str().unwrap().to_owned();
    let annotation = |key: &str| stored["metadata"]["annotations"][key].as_str().map(str::to_owned);
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.insert("name".into(), annotation(ANNOTATION_NAME).unwrap_or(label(LABEL_NAME)).into());
    metadata.insert("namespace".into(), label(LABEL_NAMESPACE).into());
    metadata.remove("ownerReferences");
    if let Some(owners) = annotation(ANNOTATION_OWNERS) {
        metadata.insert("ownerReferences".into(), serde_json::from_str(&owners).unwrap());
    }
    for key in ["labels", "annotations"] {
        if let Some(map) = metadata.get_mut(key).and_then(Value::as_object_mut) {
            map.retain(|key, _| !key.starts_with(RESERVED_PREFIX));
        }
    }
    if let Some(local) = annotation(ANNOTATION_CONNECTION_SECRET)
        && stored["spec"]["writeConnectionSecretToRef"]["name"] == remote(&local).as_str()
    {
        object["spec"]["writeConnectionSecretToRef"]["name"] = local.into();
    }
    tidy(object)
}

/// What the reference server makes of an object: nothing that is null, no empty map or list in metadata, the namespace, no
/// owner twice.
fn tidy(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert("team".into());
        if let Some(Value::Array(owners)) = metadata.get_mut("ownerReferences") {
            let mut seen = Vec::new();
            owners.retain(|one| {
                !seen.contains(one) && {
                    seen.push(one.clone());
                    true
                }
            });
        }
        metadata.retain(|_, value| match value {
            Value::Null => false,
            Value::Object(map) => !map.is_empty(),
            Value::Array(list) => !list.is_empty(),
            _ => true,
        });
    }
    object
}

fn owner(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": format!("uid-{name}")})
}

/// An object that has something of everything.
fn full() -> Value {
    let mut object = foo(json!({
        "name": "db", "namespace": "team", "labels": {"a": "1"}, "annotations": {"b": "2"},
        "ownerReferences": [owner("o")], "finalizers": ["x/y"],
    }));
    object["spec"] = json!({"size": 1, "writeConnectionSecretToRef": {"name": "conn"}});
    object
}

/// Wire rules 8.5, 8.8, 6.9.
#[test]
fn create_hides_everything_of_ours() {
    let done = made(&full()).unwrap();
    assert_eq!((done.name.as_str(), done.content_type), ("db", "application/json"));
    let owners = format!("[{}]", owner("o"));
    assert_eq!(
        value(&done.body),
        json!({"apiVersion": "g/v1", "kind": "Foo",
            "metadata": {"name": remote("db"), "namespace": "claims",
                "labels": {"a": "1", LABEL_CLUSTER: "c1", LABEL_NAMESPACE: "team", LABEL_NAME: "db"},
                "annotations": {"b": "2", ANNOTATION_OWNERS: owners, ANNOTATION_CONNECTION_SECRET: "conn"},
                "finalizers": ["x/y"]},
            "spec": {"size": 1, "writeConnectionSecretToRef": {"name": remote("conn")}}})
    );
}

/// Wire rules 7.2 and 8.17: bytes of numbers and unknown members stay, duplicates stay for strict decoding.
#[test]
fn create_keeps_bytes() {
    let body = r#"{ "kind":"Foo","apiVersion":"g/v1","spec": {"n":1.0e+2, "n":12345678901234567890123,"s":"\u003c"},"x":1,"x":2,
        "metadata":{"name":"nope","labels":5,"name":"db","labels":{"a":"1","a":"2"}} }"#;
    let done = create(&target(&scheme(), None), body.as_bytes(), BodyType::Json, "").unwrap();
    let text = String::from_utf8(done.body).unwrap();
    let (name, ours) =
        (remote("db"), format!(r#""{LABEL_CLUSTER}":"c1","{LABEL_NAMESPACE}":"team","{LABEL_NAME}":"db""#));
    assert_eq!(
        text,
        format!(
            r#"{{"kind":"Foo","apiVersion":"g/v1","spec":{{"n":1.0e+2, "n":12345678901234567890123,"s":"\u003c"}},"x":1,"x":2,"metadata":{{"name":"nope","labels":5,"name":"{name}","labels":{{"a":"1","a":"2",{ours}}},"namespace":"claims"}}}}"#
        )
    );
}

/// Wire rule 8.5.
#[test]
fn names_are_generated_here() {
    let done = made(&foo(json!({"generateName": "db-"}))).unwrap();
    assert_eq!(done.name, "db-x7k2p");
    let metadata = &value(&done.body)["metadata"];
    assert_eq!((&metadata["name"], &metadata["generateName"]), (&remote("db-x7k2p").into(), &"db-".into()));
    assert_eq!(generated_name(&"x".repeat(80), "abcde"), format!("{}abcde", "x".repeat(58)));
    assert_eq!(generated_name(&"é".repeat(40), "abcde").len(), 63);
}

/// Wire rule 8.6.
#[test]
fn long_names_go_into_an_annotation() {
    let long = "n".repeat(100);
    let object = foo(json!({"name": long}));
    let stored = stored(&object);
    assert_eq!(stored["metadata"]["annotations"][ANNOTATION_NAME], long.as_str());
    assert_eq!(live(&stored).origin.unwrap().name, long);
}

/// Wire rules 8.1 to 8.3, 11.17.
#[test]
fn create_is_refused_in_the_words_of_the_reference() {
    let name = |name: &str| foo(json!({"name": name}));
    let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
                     start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let table = [
        (
            foo(json!({"name": "a", "namespace": "other"})),
            400,
            "the namespace of the provided object does not match the namespace sent on the request".to_owned(),
        ),
        (name("Bad"), 422, format!("Foo.g \"Bad\" is invalid: metadata.name: Invalid value: \"Bad\": {subdomain}")),
        (
            foo(json!({})),
            422,
            "Foo.g \"\" is invalid: metadata.name: Required value: name or generateName is required".to_owned(),
        ),
        (
            foo(json!({"name": 5})),
            400,
            "Foo in version \"v1\" cannot be handled as a Foo: json: cannot unmarshal number into Go struct field \
             ObjectMeta.name of type string"
                .to_owned(),
        ),
        (
            json!({"apiVersion": "g/v1", "metadata": {}}),
            400,
            "the object provided is unrecognized (must be of type Foo): Object 'Kind' is missing in \
             '{\"apiVersion\":\"g/v1\",\"metadata\":{}}' ({\"apiVersion\":\"g/v1\",\"metadata ...)"
                .to_owned(),
        ),
        (
            json!({"apiVersion": "g/v1", "kind": "Foo", "metadata": 5}),
            400,
            "Foo in version \"v1\" cannot be handled as a Foo: json: cannot unmarshal number into Go value of type v1.ObjectMeta"
                .to_owned(),
        ),
        (
            foo(json!({"name": "a", "ownerReferences": 5})),
            400,
            "Foo in version \"v1\" cannot be handled as a Foo: json: cannot unmarshal number into Go struct field \
             ObjectMeta.ownerReferences of type []v1.OwnerReference"
                .to_owned(),
        ),
        (
            json!([]),
            400,
            "the object provided is unrecognized (must be of type Foo): couldn't get version/kind; json parse error: json: \
             cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; \
             Kind string \"json:\\\"kind,omitempty\\\"\" } (5b5d)"
                .to_owned(),
        ),
        (
            Value::Null,
            400,
            "the object provided is unrecognized (must be of type Foo): Object 'Kind' is missing in 'null' (6e756c6c)".to_owned(),
        ),
        (
            foo(json!({"name": "a", "labels": {LABEL_NAMESPACE: "other"}})),
            422,
            format!(
                "Foo.g \"a\" is invalid: metadata.labels: Forbidden: \"{LABEL_NAMESPACE}\" must not be set: keys under \
                 mcp-connector.upbound.io/ are reserved"
            ),
        ),
    ];
    for (object, code, message) in table {
        let status = refusal(made(&object), &target(&scheme(), None));
        assert_eq!((status.code, status.message), (code, message), "{object}");
    }
    for body in ["", "[]", "{", "5", "null", "\u{0}"] {
        let status = create(&target(&scheme(), None), body.as_bytes(), BodyType::Json, "").unwrap_err();
        assert_eq!(status.status(&target(&scheme(), None)).code, 400, "{body}");
    }
    assert_eq!(refusal(made(&name(&"x".repeat(254))), &target(&scheme(), None)).code, 422);
}

/// Wire rule 8.3: the control plane says so, with its warnings, and nothing of the name; it gets nothing that it could take.
#[test]
fn another_version_is_left_to_the_control_plane() {
    let object =
        |name: &str| json!({"apiVersion": "g/v2", "kind": "Foo", "metadata": {"name": name, "namespace": "x"}});
    let done = made(&object("Bad")).unwrap();
    assert_eq!(done.findings, Findings::default());
    let stored = stored(&full());
    for done in [done, updated(&stored, &object("db")).unwrap(), updated(&stored, &object("other")).unwrap()] {
        let body = value(&done.body);
        assert_eq!((&body["apiVersion"], &body["metadata"]["labels"][LABEL_CLUSTER]), (&json!("g/v2"), &json!("c1")));
    }
    let error = check_update(&target(&scheme(), Some("db")), object("db").to_string().as_bytes(), BodyType::Json);
    let told = "the API version in the data (g/v2) does not match the expected API version (g/v1)";
    assert_eq!(error.unwrap_err().to_string(), told);
}

/// What cannot be read as owner references is refused here.
#[test]
fn owner_references_are_read() {
    let made = |references: Value| made(&foo(json!({"name": "a", "ownerReferences": references})));
    for valid in [json!([owner("a"), owner("b")]), json!(null), json!([])] {
        assert!(!made(valid).unwrap().findings.forbid());
    }
    let code = |references: Value| refusal(made(references), &target(&scheme(), None)).code;
    assert_eq!((code(json!({})), code(json!([5]))), (400, 400));
}

/// Wire rule 8.12; integers beyond 2^53 survive.
#[test]
fn yaml_bodies() {
    let body = "apiVersion: g/v1\nkind: Foo\nmetadata:\n  name: db\n  labels: {n: \"1\"}\nspec:\n  big: 9007199254740993\n  \
                min: -9007199254740993\n  whole: 1.0\n  half: 1.5\n  octal: 0644\n  on: yes\n  0x10: 1\n  text: 'yes'\n  none: ~\n  list:\n  - a\n  - {b: 1}\n  when: 2001-01-01\n  a: 1\n  a: 2\n";
    let done = create(&target(&scheme(), None), body.as_bytes(), BodyType::Yaml, "").unwrap();
    let text = String::from_utf8(done.body).unwrap();
    let spec = r#""spec":{"big":9007199254740993,"min":-9007199254740993,"whole":1,"half":1.5,"octal":420,"true":true,"16":1,"text":"yes","none":null,"list":["a",{"b":1}],"when":"2001-01-01","a":1,"a":2}"#;
    assert!(text.contains(spec), "{text}");
    let several = format!("{body}---\napiVersion: [\n");
    assert_eq!(create(&target(&scheme(), None), several.as_bytes(), BodyType::Yaml, "").unwrap().body, text.as_bytes());
    let deep = format!("apiVersion: {}", "[".repeat(5000));
    assert!(create(&target(&scheme(), None), deep.as_bytes(), BodyType::Yaml, "").is_err());
}

/// JSON nests as deep as the reference server allows, and deeper, without costing stack.
#[test]
fn deep_bodies_do_not_overflow() {
    for depth in [100, 10_000, 1_000_000] {
        let body = format!(
            r#"{{"apiVersion":"g/v1","kind":"Foo","metadata":{{"name":"db"}},"spec":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        let done = create(&target(&scheme(), None), body.as_bytes(), BodyType::Json, "").unwrap();
        assert!(done.body.len() > 2 * depth);
    }
    let deep = format!(r#"{{"metadata":{{"name":"a","ownerReferences":[{}{}]}}}}"#, "[".repeat(9000), "]".repeat(9000));
    let body = deep.replacen('{', r#"{"apiVersion":"g/v1","kind":"Foo","#, 1);
    assert!(create(&target(&scheme(), None), body.as_bytes(), BodyType::Json, "").is_err());
}

fn updated(stored: &Value, object: &Value) -> Result<Translated, BodyError> {
    update(&target(&scheme(), Some("db")), &live(stored), object.to_string().as_bytes(), BodyType::Json)
}

/// Wire rules 8.7, 8.8.
#[test]
fn update_adds_ours_again_and_ties_the_write() {
    let stored = stored(&full());
    let object = foo(json!({"name": "db", "labels": {"new": "1"}, "resourceVersion": "7"}));
    assert_eq!(
        value(&updated(&stored, &object).unwrap().body)["metadata"],
        json!({"name": remote("db"), "namespace": "claims", "uid": "u1", "resourceVersion": "7",
            "labels": {"new": "1", LABEL_CLUSTER: "c1", LABEL_NAMESPACE: "team", LABEL_NAME: "db"}})
    );
    let other = foo(json!({"name": "db", "uid": "u2"}));
    assert_eq!(
        value(&updated(&stored, &other).unwrap().body)["metadata"]["uid"],
        "u2",
        "the control plane answers 409"
    );
}

/// Wire rule 8.2.
#[test]
fn update_checks_names() {
    let stored = stored(&full());
    let table = [
        (json!({"name": "other"}), "the name of the object (other) does not match the name on the URL (db)"),
        (json!({}), "the name of the object (db based on URL) was undeterminable: name must be provided"),
        (
            json!({"name": "db", "namespace": "other"}),
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ];
    for (metadata, message) in table {
        let status = updated(&stored, &foo(metadata)).unwrap_err().status(&target(&scheme(), Some("db")));
        assert_eq!((status.code, status.message.as_str()), (400, message));
    }
}

/// Imported objects keep the secret's name that they have.
#[test]
fn imported_secrets_keep_their_name() {
    let mut imported = stored(&full());
    imported["spec"]["writeConnectionSecretToRef"]["name"] = "imported".into();
    let name = |body: &[u8]| value(body)["spec"]["writeConnectionSecretToRef"]["name"].clone();
    let mut object = seen(&imported);
    assert_eq!(object["spec"]["writeConnectionSecretToRef"]["name"], "imported");

    let kept = updated(&imported, &object).unwrap();
    assert_eq!(name(&kept.body), "imported");
    assert!(!String::from_utf8(kept.body).unwrap().contains(ANNOTATION_CONNECTION_SECRET));
    object["spec"]["writeConnectionSecretToRef"]["name"] = "new".into();
    assert_eq!(name(&updated(&imported, &object).unwrap().body), remote("new").as_str());

    let patch = json!({"spec": {"writeConnectionSecretToRef": {"name": "imported"}}});
    let merged = value(&merged(&imported, &patch).unwrap().body);
    assert_eq!(merged["spec"], patch["spec"]);
    assert_eq!(merged["metadata"]["annotations"], json!({ANNOTATION_CONNECTION_SECRET: null}));
    let test = json!([{"op": "test", "path": "/spec/writeConnectionSecretToRef/name", "value": "imported"}]);
    assert_eq!(value(&patched(&imported, &test).unwrap().body)[0]["value"]["spec"], imported["spec"]);
}

/// Wire rule 7.19.
#[test]
fn scale_has_only_names() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = Target { subresource: Some("scale"), ..target(&scheme, Some("db")) };
    let scale =
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "db"}, "spec": {"replicas": 2}});
    let done = update(&target, &live(&stored), scale.to_string().as_bytes(), BodyType::Json).unwrap();
    assert_eq!(value(&done.body)["metadata"], json!({"name": remote("db"), "namespace": "claims", "uid": "u1"}));
    let patch = br#"{"spec":{"replicas":3}}"#;
    assert_eq!(merge_patch(&target, &live(&stored), patch).unwrap().body, patch);
    let patch = br#"[{"op":"replace","path":"/spec/replicas","value":3}]"#;
    let done = json_patch(&target, &live(&stored), patch).unwrap();
    assert_eq!(value(&done.body)[0], value(patch)[0]);
    let other = scale.to_string().replace("\"db\"", "\"other\"");
    assert!(update(&target, &live(&stored), other.as_bytes(), BodyType::Json).is_err());
}

fn merged(stored: &Value, patch: &Value) -> Result<Translated, BodyError> {
    merge_patch(&target(&scheme(), Some("db")), &live(stored), patch.to_string().as_bytes())
}

/// Wire rule 8.11.
#[test]
fn apply_carries_ours_every_time() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    let json =
        json!({"apiVersion": "g/v1", "kind": "Foo", "metadata": {"name": "db"}, "spec": {"size": 3}}).to_string();
    let yaml = "apiVersion: g/v1\nkind: Foo\nmetadata:\n  name: db\nspec:\n  size: 3\n";
    let labels = json!({LABEL_CLUSTER: "c1", LABEL_NAMESPACE: "team", LABEL_NAME: "db"});
    for body in [json.as_str(), yaml] {
        let created = apply_patch(&target, None, body.as_bytes()).unwrap();
        assert_eq!(created.content_type, "application/apply-patch+yaml");
        let expected = json!({"name": remote("db"), "labels": labels});
        assert_eq!(value(&created.body)["metadata"], expected);
        let changed = apply_patch(&target, Some(&live(&stored)), body.as_bytes()).unwrap();
        assert_eq!(value(&changed.body)["metadata"]["uid"], "u1");
        assert_eq!(value(&changed.body)["spec"], json!({"size": 3}));
    }
    let placed = json.replace(r#""name":"db""#, r#""name":"db","namespace":"team""#);
    let placed = apply_patch(&target, None, placed.as_bytes()).unwrap();
    assert_eq!(value(&placed.body)["metadata"]["namespace"], "claims");
    let nameless = br#"{"apiVersion":"g/v1","kind":"Foo"}"#;
    assert!(apply_patch(&target, Some(&live(&stored)), nameless).is_ok());
    assert_eq!(apply_patch(&target, None, nameless), Err(BodyError::NameUndeterminable("db".into())));
    assert!(matches!(apply_patch(&target, None, b"a: [").unwrap_err(), BodyError::Apply(_)));
    let array = apply_patch(&target, None, b"[]").unwrap_err().status(&target);
    assert_eq!(
        array.message,
        "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of \
         type map[string]interface {}"
    );
    let bad = Target { name: Some("Bad"), ..target };
    let done = apply_patch(&bad, None, br#"{"apiVersion":"g/v1","kind":"Foo","metadata":{"name":"Bad"}}"#);
    assert_eq!(refusal(done, &bad).code, 422, "the control plane sees the hash only");
}

fn patched(stored: &Value, patch: &Value) -> Result<Translated, BodyError> {
    json_patch(&target(&scheme(), Some("db")), &live(stored), patch.to_string().as_bytes())
}

/// Wire rules 6.2, 6.6, 8.14.
#[test]
fn delete_options_are_tied_to_the_object() {
    let (scheme, stored) = (scheme(), stored(&full()));
    let target = target(&scheme, Some("db"));
    let live = live(&stored);
    let options = |live: Option<&Live>, body: &str, query: &str| {
        let query = Query::parse(query).unwrap();
        let body_type = if body.starts_with("kind") { BodyType::Yaml } else { BodyType::Json };
        delete_options(&target, live, body.as_bytes(), body_type, &query)
    };
    let text = |body: &str, query: &str| String::from_utf8(options(Some(&live), body, query).unwrap().body).unwrap();
    assert_eq!(text("", ""), r#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u1"}}"#);
    assert_eq!(
        text("", "gracePeriodSeconds=5&orphanDependents=0&propagationPolicy=Orphan&dryRun=All&x=y"),
        r#"{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":5,"orphanDependents":false,"propagationPolicy":"Orphan","dryRun":["All"],"preconditions":{"uid":"u1"}}"#
    );
    assert_eq!(
        text(r#"{"propagationPolicy":"Background"}"#, "dryRun=All"),
        r#"{"propagationPolicy":"Background","preconditions":{"uid":"u1"}}"#
    );
    assert_eq!(
        text(r#"{"preconditions":{"uid":"u2","resourceVersion":"3"}}"#, ""),
        r#"{"preconditions":{"uid":"u2","resourceVersion":"3"}}"#
    );
    assert_eq!(
        text("kind: DeleteOptions\napiVersion: v1\npreconditions:\n  resourceVersion: '3'\n", ""),
        r#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"resourceVersion":"3","uid":"u1"}}"#
    );
    // A collection's options pass.
    assert_eq!(options(None, "", "dryRun=All").unwrap().body, b"");
    assert_eq!(options(None, r#"{"dryRun":["All"]}"#, "").unwrap().body, br#"{"dryRun":["All"]}"#);
    let status = options(Some(&live), r#"{"preconditions":5}"#, "").unwrap_err().status(&target);
    let message =
        "json: cannot unmarshal number into Go struct field DeleteOptions.preconditions of type v1.Preconditions";
    assert_eq!(status.message, message);
    let status = options(Some(&live), "{", "").unwrap_err().status(&target);
    assert_eq!(status.message, "couldn't get version/kind; json parse error: unexpected end of JSON input");
    for (body, query) in [("[]", ""), ("{", ""), (r#"{"preconditions":5}"#, ""), ("", "gracePeriodSeconds=x")] {
        assert_eq!(options(Some(&live), body, query).unwrap_err().status(&target).code, 400, "{body}");
    }
}

/// Wire rules 8.8, 8.11: who reads an object and sends it back changes nothing, although our labels are not in what was read.
#[test]
fn managers_sent_back_are_those_stored() {
    let own = format!("f:{LABEL_NAME}");
    let entry = |manager: &str, labels: Value| json!({"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": labels}}});
    let mut object = stored(&foo(json!({"name": "a"})));
    let managers = json!([entry("one", json!({"f:l": {}, own.clone(): {}})), entry("hidden", json!({own: {}}))]);
    object["metadata"]["managedFields"] = managers.clone();
    let scheme = scheme();
    let target = target(&scheme, Some("a"));
    let put = |given: Value| {
        let body = foo(json!({"name": "a", "managedFields": given})).to_string();
        let translated = update(&target, &live(&object), body.as_bytes(), BodyType::Json).unwrap();
        value(&translated.body)["metadata"]["managedFields"].clone()
    };
    let seen = entry("one", json!({"f:l": {}}));
    assert_eq!(put(json!([seen])), managers);
    let other = entry("other", json!({"f:l": {}}));
    assert_eq!(put(json!([other, seen])), json!([other, managers[0], managers[1]]), "what the user changes counts");
    for reset in [json!([]), json!([{}]), Value::Null] {
        assert_eq!(put(reset.clone()), reset);
    }
}

/// A write to what is not there is tied to a UID that nothing has, whatever the user writes (wire rule 8.7).
#[test]
fn writes_to_nothing_write_nothing() {
    let scheme = scheme();
    let target = target(&scheme, Some("a"));
    let body = foo(json!({"name": "a", "uid": "u1"})).to_string();
    let put = update(&target, &Live::absent(), body.as_bytes(), BodyType::Json).unwrap();
    let patch = merge_patch(&target, &Live::absent(), b"{}").unwrap();
    for body in [put.body, patch.body] {
        assert_eq!(value(&body)["metadata"]["uid"], "00000000-0000-0000-0000-000000000000");
    }
}

#[test]
fn live_objects_tell_their_facts() {
    let stored = stored(&full());
    let found = live(&stored);
    assert_eq!((found.name, found.uid, found.resource_version), (remote("db"), "u1".into(), "7".into()));
    assert_eq!(found.origin.map(|origin| origin.name).as_deref(), Some("db"));
    assert_eq!(found.secret, Some(ConnectionSecret { local: "conn".into(), stored: remote("conn") }));
    assert!(Live::parse(&scheme(), Form::Claim, b"{}").is_err());
    let other = Hashed { cluster: "c2".parse().unwrap(), ..scheme() };
    assert_eq!(Live::parse(&other, Form::Claim, stored.to_string().as_bytes()).unwrap().origin, None);
}
