//! Names of Secrets at configured fields.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::origin::secret_annotation;

/// A kind with every sort of field.
fn references() -> Arc<References> {
    let connection = ["spec.outputs.secretName", "spec.names[*]"];
    Arc::new(References::new(connection, ["spec.passwordRef", "spec.users[*].ref"]).unwrap())
}

/// Does something with a body for an object of that kind.
fn with<T>(name: Option<&str>, work: impl FnOnce(&Target<'_>) -> T) -> T {
    let (scheme, references) = (scheme(), references());
    work(&Target { references: Some(&references), ..target(&scheme, name) })
}

fn input(namespace: &str, name: &str) -> String {
    scheme().input_name(namespace, name)
}

/// The annotation of a connection secret, and that of an input secret.
fn says(local: &str) -> (String, Value) {
    (secret_annotation(&remote(local)), local.into())
}

fn consumes(namespace: &str, name: &str) -> (String, Value) {
    let value = format!(r#"{{"namespace":"{namespace}","name":"{name}"}}"#);
    (secret_annotation(&input(namespace, name)), value.into())
}

fn annotations<const N: usize>(all: [(String, Value); N]) -> Value {
    Value::Object(Map::from_iter(all))
}

fn of(spec: Value) -> Value {
    let mut object = foo(json!({"name": "db", "namespace": "team"}));
    object["spec"] = spec;
    object
}

fn created(object: &Value) -> Translated {
    let body = object.to_string();
    with(None, |target| create(target, body.as_bytes(), BodyType::Json, "x7k2p")).unwrap()
}

fn stored_of(object: &Value) -> Value {
    let mut stored = value(&created(object).body);
    stored["metadata"]["uid"] = "u1".into();
    stored["metadata"]["resourceVersion"] = "7".into();
    tidy(stored)
}

fn put(stored: &Value, object: &Value) -> Translated {
    with(Some("db"), |target| update(target, &live(stored), object.to_string().as_bytes(), BodyType::Json)).unwrap()
}

fn merge_of(stored: &Value, patch: &Value) -> Translated {
    with(Some("db"), |target| merge_patch(target, &live(stored), patch.to_string().as_bytes())).unwrap()
}

fn applied(stored: Option<&Value>, object: &Value) -> Translated {
    let live = stored.map(live);
    with(Some("db"), |target| apply_patch(target, live.as_ref(), object.to_string().as_bytes())).unwrap()
}

fn json_patched(stored: &Value, patch: &Value) -> Result<Translated, BodyError> {
    with(Some("db"), |target| json_patch(target, &live(stored), patch.to_string().as_bytes()))
}

/// What a translated patch of the whole object makes of it.
fn outcome(patched: &Translated) -> Value {
    let operations = value(&patched.body);
    assert_eq!((&operations[0]["op"], &operations[0]["path"]), (&"replace".into(), &"".into()), "{operations}");
    operations[0]["value"].clone()
}

fn found(translated: &Translated) -> Vec<(&str, &str, &str)> {
    translated
        .inputs
        .iter()
        .map(|InputReference { secret, field }| (secret.namespace.as_str(), secret.name.as_str(), field.as_str()))
        .collect()
}

fn example() -> Value {
    of(json!({
        "size": 1.5,
        "outputs": {"secretName": "out", "x": 1},
        "names": ["one", "two"],
        "passwordRef": {"name": "password", "key": "k"},
        "users": [{"ref": {"name": "of-ada", "namespace": "vault", "key": "k"}}, {"n": 1}],
    }))
}

#[test]
fn create_renames_every_field() {
    let done = created(&example());
    let body = value(&done.body);
    assert_eq!(
        body["spec"],
        json!({
            "size": 1.5,
            "outputs": {"secretName": remote("out"), "x": 1},
            "names": [remote("one"), remote("two")],
            "passwordRef": {"name": input("team", "password"), "key": "k"},
            "users": [{"ref": {"name": input("vault", "of-ada"), "namespace": "claims", "key": "k"}}, {"n": 1}],
        })
    );
    let inputs = [consumes("team", "password"), consumes("vault", "of-ada")];
    let expected = Map::from_iter([says("out"), says("one"), says("two")].into_iter().chain(inputs));
    assert_eq!(body["metadata"]["annotations"], Value::Object(expected));
    assert_eq!(found(&done), [("team", "password", "spec.passwordRef"), ("vault", "of-ada", "spec.users[0].ref")]);
    let names: Vec<(&str, &str)> = done.secrets.iter().map(|it| (it.local.as_str(), it.remote.as_str())).collect();
    let (out, of_ada) = (remote("out"), input("vault", "of-ada"));
    assert!(names.len() == 5 && names.contains(&("out", &out)) && names.contains(&("of-ada", &of_ada)), "{names:?}");
}

/// Wire rule 7.2: all else keeps its bytes.
#[test]
fn only_names_change() {
    let body = r#"{"apiVersion":"g/v1","kind":"Foo","metadata":{"name":"db"},"spec":{"n":1.0e+2,"passwordRef":{"key":"\u003c","n":12345678901234567890123,"name":"p\u0061"}}}"#;
    let done = with(None, |target| create(target, body.as_bytes(), BodyType::Json, "")).unwrap();
    let text = String::from_utf8(done.body).unwrap();
    let name = input("team", "pa");
    let expected = format!(
        r#""spec":{{"n":1.0e+2,"passwordRef":{{"key":"\u003c","n":12345678901234567890123,"name":"{name}"}}}}"#
    );
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn what_looks_like_a_remote_name_is_hashed_like_any_other() {
    let forged = input("other", "password");
    let body = value(&created(&of(json!({"passwordRef": {"name": forged}}))).body);
    assert_eq!(body["spec"]["passwordRef"]["name"], input("team", &forged).as_str());
    let key = secret_annotation(&forged);
    let mut reserved = of(json!({}));
    reserved["metadata"]["annotations"] = json!({key: r#"{"namespace":"other","name":"password"}"#});
    let body = reserved.to_string();
    let refused = with(None, |target| create(target, body.as_bytes(), BodyType::Json, ""));
    assert!(matches!(refused, Err(BodyError::Reserved { .. })), "{refused:?}");
}

/// What Go reads must be read here, too: else it would go up as it is.
#[test]
fn names_cannot_be_smuggled_past() {
    let forged = input("other", "password");
    for spec in [
        r#"{"passwordRef":{"name":"@","\ud800":1}}"#,
        r#"{"\ud800":1,"passwordRef":{"name":"@"}}"#,
        r#"{"passwordRef":{"name":"x"},"passwordRef":{"name":"@"}}"#,
        r#"{"passwordRef":{"name":"x","name":"@"}}"#,
        r#"{"passwordRef":{"\u006eame":"@"}}"#,
        r#"{"p\u0061sswordRef":{"name":"@"}}"#,
        r#"{"users":[{"ref":{"name":"@","\udc00":1}}]}"#,
        r#"{"names":["@","\ud800"]}"#,
        r#"{"outputs":{"secretName":"@","\ud800":1}}"#,
        r#"{"writeConnectionSecretToRef":{"name":"@","\ud800":1}}"#,
    ] {
        let spec = spec.replace('@', &forged);
        let object = format!(r#"{{"apiVersion":"g/v1","kind":"Foo","metadata":{{"name":"db"}},"spec":{spec}}}"#);
        let (object, patch) = (object.as_bytes(), format!(r#"{{"spec":{spec}}}"#));
        let stored = stored_of(&of(json!({})));
        let operation = format!(r#"[{{"op":"replace","path":"/spec","value":{spec}}}]"#);
        let bodies = [
            with(None, |target| create(target, object, BodyType::Json, "")),
            with(Some("db"), |target| update(target, &live(&stored), object, BodyType::Json)),
            with(Some("db"), |target| apply_patch(target, Some(&live(&stored)), object)),
            with(Some("db"), |target| merge_patch(target, &live(&stored), patch.as_bytes())),
            with(Some("db"), |target| json_patch(target, &live(&stored), operation.as_bytes())),
        ];
        for body in bodies {
            let text = String::from_utf8(body.unwrap().body).unwrap();
            // Of two of one key the last counts; the name that was given is in an annotation.
            let spec = text.rsplit_once(r#""spec":"#).unwrap().1.split(r#""metadata""#).next().unwrap();
            assert!(!spec.contains(&forged), "{text}");
        }
    }
}

/// What is asked about is what will be stored.
#[test]
fn of_two_of_one_key_the_last_counts() {
    let stored = stored_of(&of(json!({"passwordRef": {"name": "a", "namespace": "vault"}})));
    let patch = br#"{"spec":{"passwordRef":null},"spec":{"passwordRef":null,"passwordRef":{"name":"b"}}}"#;
    let done = with(Some("db"), |target| merge_patch(target, &live(&stored), patch)).unwrap();
    assert_eq!(found(&done), [("vault", "b", "spec.passwordRef")]);
    assert_eq!(value(&done.body)["spec"]["passwordRef"]["name"], input("vault", "b").as_str());
}

#[test]
fn what_is_no_name_stays() {
    for spec in [
        json!(null),
        json!([]),
        json!({"outputs": null, "names": {}, "passwordRef": [], "users": "x"}),
        json!({"outputs": {"secretName": 1}, "names": [null, 1, ""], "passwordRef": {"name": null}, "users": [1, null]}),
        json!({"passwordRef": {"name": "", "namespace": "", "key": "k"}}),
    ] {
        let done = created(&of(spec.clone()));
        let body = value(&done.body);
        assert_eq!(body["spec"], spec);
        assert_eq!((body["metadata"].get("annotations"), found(&done)), (None, vec![]));
    }
    // A name that the control plane fills in must not be one of another namespace there.
    let body = value(&created(&of(json!({"passwordRef": {"namespace": "kube-system"}}))).body);
    assert_eq!(body["spec"], json!({"passwordRef": {"namespace": "claims"}}));
}

/// Wire rule 8.8.
#[test]
fn an_update_tells_all_anew() {
    let stored = stored_of(&example());
    let same = put(&stored, &example());
    assert_eq!(value(&same.body)["spec"], stored["spec"]);
    assert_eq!(value(&same.body)["metadata"]["annotations"], stored["metadata"]["annotations"]);
    assert_eq!(found(&same), [], "it consumes them already");

    let other = of(json!({"names": ["two"], "users": [
        {"ref": {"name": "password"}}, {"ref": {"name": "new"}}, {"ref": {"name": "new", "namespace": "team"}}]}));
    let done = put(&stored, &other);
    let expected = annotations([says("two"), consumes("team", "password"), consumes("team", "new")]);
    assert_eq!(value(&done.body)["metadata"]["annotations"], expected);
    assert_eq!(found(&done), [("team", "new", "spec.users[1].ref")], "each once");
    let status = with(Some("db"), |target| {
        let target = Target { subresource: Some("status"), ..*target };
        update(&target, &live(&stored), other.to_string().as_bytes(), BodyType::Json)
    });
    assert_eq!(found(&status.unwrap()), [], "a status consumes nothing");
}

#[test]
fn without_configuration_nothing_is_lost() {
    let stored = stored_of(&example());
    let body = value(&updated(&stored, &example()).unwrap().body);
    assert_eq!(body["metadata"]["annotations"], stored["metadata"]["annotations"]);
    assert_eq!(body["spec"], example()["spec"], "and nothing is translated");
}

/// Names that no annotation vouches for stay what they are where they were.
#[test]
fn imported_names_stay() {
    let mut stored = stored_of(&of(json!({})));
    stored["spec"] = json!({
        "outputs": {"secretName": "old"}, "names": ["old-name"],
        "passwordRef": {"name": "old-ref", "namespace": "platform"}, "users": [{"ref": {"name": "user"}}],
    });
    let seen = of(stored["spec"].clone());
    assert_eq!(value(&put(&stored, &seen).body)["spec"], stored["spec"]);
    assert_eq!(value(&applied(Some(&stored), &seen).body)["spec"], stored["spec"]);
    let patch = json!({"spec": {"passwordRef": {"name": "old-ref"}, "users": [{"ref": {"name": "user"}}]}});
    let merged = value(&merge_of(&stored, &patch).body);
    assert_eq!(merged["spec"], patch["spec"]);
    assert_eq!(merged["metadata"].get("annotations"), None);

    let moved = of(json!({"names": ["old"], "passwordRef": {"name": "user"}, "users": [{"ref": {"name": "user",
        "namespace": "platform"}}]}));
    let done = put(&stored, &moved);
    assert_eq!(
        value(&done.body)["spec"],
        json!({"names": [remote("old")], "passwordRef": {"name": input("team", "user")},
            "users": [{"ref": {"name": input("platform", "user"), "namespace": "claims"}}]})
    );
    assert_eq!(found(&done).len(), 2);
    // One part of it is another's now, so all of it is.
    let done = merge_of(&stored, &json!({"spec": {"passwordRef": {"namespace": null}}}));
    assert_eq!(
        value(&done.body)["spec"],
        json!({"passwordRef": {"namespace": null, "name": input("team", "old-ref")}})
    );
}

#[test]
fn a_forged_annotation_vouches_for_nothing() {
    let mut stored = stored_of(&of(json!({"passwordRef": {"name": "password"}})));
    let key = secret_annotation(&input("team", "password"));
    stored["metadata"]["annotations"][key] = r#"{"namespace":"vault","name":"password"}"#.into();
    let seen = of(json!({"passwordRef": {"name": input("team", "password")}}));
    let done = put(&stored, &seen);
    assert_eq!(value(&done.body)["spec"], stored["spec"], "it stands as an imported name");
    assert_eq!(value(&done.body)["metadata"].get("annotations"), None);
}

#[test]
fn merge_patches_change_single_annotations() {
    let stored = stored_of(&example());
    let table = [
        // Nothing of it is touched.
        (json!({"spec": {"size": 2}}), json!({"spec": {"size": 2}, "metadata": {"uid": "u1"}})),
        (
            json!({"spec": {"outputs": {"secretName": "new"}}}),
            json!({"spec": {"outputs": {"secretName": remote("new")}}, "metadata": {
                "annotations": annotations([says("new"), (says("out").0, Value::Null)])}}),
        ),
        (
            json!({"spec": {"outputs": null, "names": ["two"]}}),
            json!({"spec": {"outputs": null, "names": [remote("two")]}, "metadata": {
                "annotations": annotations([(says("one").0, Value::Null), (says("out").0, Value::Null)])}}),
        ),
        // Parts of a reference.
        (
            json!({"spec": {"passwordRef": {"name": "other"}}}),
            json!({"spec": {"passwordRef": {"name": input("team", "other")}}, "metadata": {"annotations":
                annotations([consumes("team", "other"), (consumes("team", "password").0, Value::Null)])}}),
        ),
        (
            json!({"spec": {"passwordRef": {"namespace": "vault"}}}),
            json!({"spec": {"passwordRef": {"namespace": "claims", "name": input("vault", "password")}},
                "metadata": {"annotations":
                    annotations([consumes("vault", "password"), (consumes("team", "password").0, Value::Null)])}}),
        ),
        (
            json!({"spec": {"passwordRef": {"namespace": "team"}}}),
            json!({"spec": {"passwordRef": {"namespace": "claims"}}, "metadata": {}}),
        ),
        (
            json!({"spec": {"passwordRef": {"key": "x"}}}),
            json!({"spec": {"passwordRef": {"key": "x"}}, "metadata": {}}),
        ),
        (
            json!({"spec": {"passwordRef": {"name": null}}}),
            json!({"spec": {"passwordRef": {"name": null}}, "metadata": {"annotations":
                annotations([(consumes("team", "password").0, Value::Null)])}}),
        ),
    ];
    for (patch, mut expected) in table {
        let body = value(&merge_of(&stored, &patch).body);
        expected["metadata"]["uid"] = "u1".into();
        if patch["spec"].get("size").is_none() {
            expected["metadata"]["resourceVersion"] = "7".into();
        }
        let kept = |body: &Value| body["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        let mut changed = kept(&body);
        changed.retain(|key, value| stored["metadata"]["annotations"].get(key) != Some(value));
        assert_eq!(changed, kept(&expected), "{patch}");
        let rest = |mut body: Value| {
            body["metadata"].as_object_mut().unwrap().remove("annotations");
            body
        };
        assert_eq!(rest(body), rest(expected), "{patch}");
    }
}

#[test]
fn a_merge_patch_that_takes_away_spec_takes_all() {
    let stored = stored_of(&example());
    let body = value(&merge_of(&stored, &json!({"spec": null})).body);
    let gone = body["metadata"]["annotations"].as_object().unwrap();
    assert!(gone.len() == 5 && gone.values().all(Value::is_null), "{body}");
}

#[test]
fn new_inputs_of_a_merge_patch_are_told() {
    let stored = stored_of(&example());
    let patch = json!({"spec": {"users": [{"ref": {"name": "password"}}, {"ref": {"name": "n"}}]}});
    assert_eq!(found(&merge_of(&stored, &patch)), [("team", "n", "spec.users[1].ref")]);
    let part = json!({"spec": {"passwordRef": {"namespace": "other"}}});
    assert_eq!(found(&merge_of(&stored, &part)), [("other", "password", "spec.passwordRef")]);
}

#[test]
fn json_patches_work_on_what_the_user_sees() {
    let stored = stored_of(&example());
    let patch = json!([
        {"op": "test", "path": "/spec/passwordRef/name", "value": "password"},
        {"op": "test", "path": "/spec/users/0/ref", "value": {"name": "of-ada", "namespace": "vault", "key": "k"}},
        {"op": "test", "path": "/spec/outputs", "value": {"secretName": "out", "x": 1}},
        {"op": "replace", "path": "/spec/passwordRef/name", "value": "other"},
        {"op": "remove", "path": "/spec/users"},
        {"op": "add", "path": "/spec/names/-", "value": "three"},
    ]);
    let done = json_patched(&stored, &patch).unwrap();
    assert_eq!(found(&done), [("team", "other", "spec.passwordRef")]);
    let object = outcome(&done);
    assert_eq!(object["spec"]["passwordRef"]["name"], input("team", "other").as_str());
    assert_eq!(object["spec"]["names"], json!([remote("one"), remote("two"), remote("three")]));
    let expected = annotations([says("out"), says("one"), says("two"), says("three"), consumes("team", "other")]);
    assert_eq!(object["metadata"]["annotations"], expected);

    let remote_test = json!([{"op": "test", "path": "/spec/passwordRef/name", "value": input("team", "password")}]);
    assert_eq!(json_patched(&stored, &remote_test), Err(BodyError::Inapplicable));
    let untouched = json!([{"op": "replace", "path": "/spec/size", "value": 2}, {"op": "add", "path": "/spec/users/1/n", "value": 2}]);
    let passed = value(&json_patched(&stored, &untouched).unwrap().body);
    assert_eq!(passed.as_array().unwrap().len(), 3, "it passes, with a test of the UID: {passed}");
    let copied = json!([{"op": "copy", "from": "/spec/passwordRef", "path": "/spec/else"}]);
    assert_eq!(outcome(&json_patched(&stored, &copied).unwrap())["spec"]["else"]["name"], "password");
}

#[test]
fn an_apply_brings_the_annotations_of_its_fields() {
    let object = of(json!({"passwordRef": {"name": "password", "key": "k"}, "names": ["one"]}));
    let made = applied(None, &object);
    let expected = annotations([consumes("team", "password"), says("one")]);
    assert_eq!(value(&made.body)["metadata"]["annotations"], expected);
    assert_eq!(found(&made), [("team", "password", "spec.passwordRef")]);

    let mut apart = of(json!({"passwordRef": {"name": "password", "namespace": "vault"}}));
    let stored = stored_of(&apart);
    let table = [
        (json!({"key": "k"}), json!({"key": "k"}), annotations([])),
        // The other half is what the object has.
        (json!({"name": "other"}), json!({"name": input("vault", "other")}), annotations([consumes("vault", "other")])),
        (json!({"namespace": "vault"}), json!({"namespace": "claims"}), annotations([consumes("vault", "password")])),
        (
            json!({"namespace": "else"}),
            json!({"namespace": "claims", "name": input("else", "password")}),
            annotations([consumes("else", "password")]),
        ),
    ];
    for (reference, expected, annotations) in table {
        apart["spec"]["passwordRef"] = reference.clone();
        let body = value(&applied(Some(&stored), &apart).body);
        assert_eq!(body["spec"]["passwordRef"], expected, "{reference}");
        let found = body["metadata"].get("annotations").cloned().unwrap_or(json!({}));
        assert_eq!(found, annotations, "{reference}");
    }
}

/// The naive inverse.
fn seen_of(stored: &Value) -> Value {
    let mut object = seen(stored);
    let annotation = |name: &Value| {
        let key = secret_annotation(name.as_str()?);
        stored["metadata"]["annotations"][key].as_str().map(str::to_owned)
    };
    let connection = |name: &mut Value| {
        if let Some(local) = annotation(name).filter(|local| *name == remote(local).as_str()) {
            *name = local.into();
        }
    };
    let reference = |reference: &mut Value| {
        let Some(said) = annotation(&reference["name"]) else { return };
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(reference["name"], input(said["namespace"].as_str().unwrap(), said["name"].as_str().unwrap()));
        reference["name"] = said["name"].clone();
        if reference.get("namespace").is_some_and(|namespace| namespace == "claims") {
            reference["namespace"] = said["namespace"].clone();
        }
    };
    let spec = &mut object["spec"];
    if let Some(name) = spec.pointer_mut("/outputs/secretName") {
        connection(name);
    }
    spec.get_mut("names").and_then(Value::as_array_mut).into_iter().flatten().for_each(connection);
    if let Some(one) = spec.get_mut("passwordRef") {
        reference(one);
    }
    let users = spec.get_mut("users").and_then(Value::as_array_mut).into_iter().flatten();
    users.filter_map(|user| user.get_mut("ref")).for_each(reference);
    object
}

/// The keys of our annotations of Secrets: none is missing, none is left over.
fn kept(stored: &Value) -> Vec<String> {
    let annotations = stored["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.into_iter().map(|(key, _)| key).filter(|key| crate::origin::annotated_secret(key).is_some()).collect()
}

fn text() -> impl Strategy<Value = String> {
    "[a-c]"
}

fn a_reference() -> impl Strategy<Value = Value> {
    (proptest::option::of(text()), proptest::option::of(prop_oneof![Just("team"), Just("vault"), Just("claims")]))
        .prop_map(|(name, namespace)| {
            let mut reference = Map::new();
            reference.extend(name.map(|name| ("name".to_owned(), name.into())));
            // Without a name a namespace is nobody's.
            reference.extend(namespace.filter(|_| !reference.is_empty()).map(|it| ("namespace".to_owned(), it.into())));
            reference.insert("key".into(), "k".into());
            reference.into()
        })
}

fn a_spec() -> impl Strategy<Value = Map<String, Value>> {
    let names = proptest::collection::vec(text(), 0..3).prop_map(Value::from);
    let users =
        proptest::collection::vec(a_reference().prop_map(|it| json!({ "ref": it })), 0..3).prop_map(Value::from);
    let outputs = text().prop_map(|name| json!({"secretName": name}));
    let some = |value: BoxedStrategy<Value>| proptest::option::weighted(0.6, value);
    (some(outputs.boxed()), some(names.boxed()), some(a_reference().boxed()), some(users.boxed())).prop_map(
        |(outputs, names, password, users)| {
            let members = [("outputs", outputs), ("names", names), ("passwordRef", password), ("users", users)];
            members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
        },
    )
}

/// A merge patch of them: values and parts of values, and `null` in their place.
fn a_patch() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        Just(json!({"name": null})),
        Just(json!({"namespace": null})),
        Just(json!({"key": "x"})),
        a_reference(),
    ];
    (a_spec(), proptest::option::of(part), proptest::collection::vec(any::<bool>(), 4)).prop_map(
        |(mut spec, part, nulls)| {
            for (key, _) in ["outputs", "names", "passwordRef", "users"].iter().zip(nulls).filter(|(_, null)| *null) {
                spec.entry(*key).and_modify(|value| *value = Value::Null);
            }
            spec.extend(part.map(|part| ("passwordRef".to_owned(), part)));
            json!({ "spec": spec })
        },
    )
}

proptest! {
    #[test]
    fn up_then_down_is_the_users_object(spec in a_spec(), next in a_spec()) {
        let (object, next) = (of(spec.into()), of(next.into()));
        let stored = stored_of(&object);
        prop_assert_eq!(&seen_of(&value(&created(&object).body)), &tidy(object));
        let done = value(&put(&stored, &next).body);
        prop_assert_eq!(kept(&done), kept(&stored_of(&next)));
        let mut next = next;
        next["metadata"]["uid"] = "u1".into();
        prop_assert_eq!(seen_of(&done), tidy(next));
    }

    #[test]
    fn merge_patches_do_what_the_user_means(spec in a_spec(), patch in a_patch()) {
        let stored = stored_of(&of(spec.into()));
        let mut expected = seen_of(&stored);
        random::apply_merge(&mut expected, &patch);
        // A namespace without a name is nobody's, and reads as the control plane has it.
        let reference = expected["spec"].get("passwordRef");
        prop_assume!(reference.is_none_or(|it| it.get("namespace").is_none() || it.get("name").is_some()));
        let mut outcome = stored.clone();
        random::apply_merge(&mut outcome, &value(&merge_of(&stored, &patch).body));
        prop_assert_eq!(&seen_of(&outcome), &tidy(expected.clone()));
        let mut anew = of(expected["spec"].clone());
        anew["metadata"] = json!({"name": "db"});
        prop_assert_eq!(kept(&outcome), kept(&stored_of(&anew)));
    }

    /// What is seen and written again changes nothing, and consumes nothing new.
    #[test]
    fn the_engine_shows_what_the_naive_inverse_shows(spec in a_spec()) {
        let stored = stored_of(&of(spec.into()));
        let shown = with(Some("db"), |target| live(&stored).seen(target)).unwrap();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        prop_assert_eq!(&shown, &seen_of(&stored));
        let again = put(&stored, &shown);
        prop_assert_eq!(&value(&again.body), &stored);
        prop_assert!(again.inputs.is_empty());
    }
}
