use connector_core::origin::{Form, LABEL_CLUSTER, LABEL_NAME, LABEL_NAMESPACE};
use serde_json::json;

use super::*;

type Object = PartialObjectMeta<DynamicObject>;

fn object(name: &str, namespace: &str, version: &str) -> Object {
    let labels = json!({ LABEL_CLUSTER: "c1", LABEL_NAMESPACE: namespace, LABEL_NAME: name });
    let metadata =
        json!({ "name": name, "uid": format!("uid of {name}"), "labels": labels, "resourceVersion": version });
    let object = json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata });
    serde_json::from_value(object).unwrap()
}

fn offered() -> Offered {
    Offered {
        group: "g.org".into(),
        plural: "things".into(),
        singular: "thing".into(),
        kind: "Thing".into(),
        list_kind: "ThingList".into(),
        form: Form::Claim,
        versions: vec!["v1".into()],
    }
}

fn claims() -> Claims {
    let scheme = Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".into() };
    let claims = Claims::new(Arc::new(scheme));
    claims.lock().resources.insert(resource(&offered()), Known::default());
    claims
}

#[test]
fn a_namespace_is_empty_only_when_that_is_known() {
    let claims = claims();
    let empty = |namespace: &str| claims.empty_as_of("g.org", "things", namespace);
    let mut listing = BTreeMap::new();
    let mut observe = |event| claims.observe(&offered(), &mut listing, event);
    assert_eq!(empty("one"), None, "nothing is known yet");
    observe(watcher::Event::Init);
    observe(watcher::Event::InitApply(object("claim-a", "one", "5")));
    assert_eq!(empty("two"), None, "the list is not whole");
    observe(watcher::Event::InitDone);
    assert_eq!((empty("one"), empty("two").as_deref()), (None, Some("5")));

    claims.created("g.org", "things", "two", "claim-b".into());
    assert_eq!(empty("two"), None, "created by a request, not yet seen");
    observe(watcher::Event::Apply(object("claim-b", "two", "6")));
    observe(watcher::Event::Delete(object("claim-b", "two", "7")));
    assert_eq!(empty("two").as_deref(), Some("7"));
    assert_eq!(claims.empty_as_of("g.org", "others", "two"), None);

    // A list that is read anew replaces what was known when it is whole, not before.
    observe(watcher::Event::Init);
    assert_eq!(empty("one"), None);
    observe(watcher::Event::InitDone);
    assert!(empty("one").is_some());
    claims.lock().forget(&resource(&offered()));
    assert_eq!(empty("one"), None, "nobody knows any more");
    observe(watcher::Event::Apply(object("claim-c", "one", "9")));
    assert_eq!(empty("two"), None, "one event is no list");
}

#[test]
fn a_claim_is_found_by_its_uid_and_its_changes_are_told_once() {
    let claims = claims();
    let mut changes = claims.subscribe();
    let mut told = || std::iter::from_fn(|| changes.try_recv().ok()).map(|claim| claim.uid.clone()).collect::<Vec<_>>();
    let mut listing = BTreeMap::new();
    let mut observe = |event| claims.observe(&offered(), &mut listing, event);
    claims.lock().is_whole = true;
    assert!(!claims.are_complete());
    observe(watcher::Event::Init);
    observe(watcher::Event::InitApply(object("a", "one", "5")));
    observe(watcher::Event::InitApply(object("b", "one", "5")));
    observe(watcher::Event::InitDone);
    assert!(claims.are_complete());
    assert_eq!(told(), ["uid of a", "uid of b"]);
    assert_eq!(claims.get("uid of a").unwrap().origin.namespace, "one");
    observe(watcher::Event::Apply(object("a", "one", "6")));
    assert!(told().is_empty(), "nothing that matters changed");

    observe(watcher::Event::Init);
    observe(watcher::Event::InitApply(object("a", "one", "6")));
    observe(watcher::Event::InitDone);
    assert_eq!(told(), ["uid of b"], "it went while nobody watched");
    assert!(claims.get("uid of b").is_none() && claims.get_or_gone("uid of b").is_some());
    observe(watcher::Event::Delete(object("a", "one", "7")));
    assert_eq!((told().len(), claims.all().len()), (1, 0));

    observe(watcher::Event::Apply(object("c", "one", "8")));
    claims.lock().forget(&resource(&offered()));
    assert!(claims.get("uid of c").is_none() && claims.get_or_gone("uid of c").is_none());
    assert_eq!(told(), ["uid of c"], "that nobody knows any more is no news of it");
}
