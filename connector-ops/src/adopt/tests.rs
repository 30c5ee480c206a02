//! The plan, and the claim under its other name.

use connector_core::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_NAME, Hashed, LABEL_CLUSTER};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::Request;
use super::kinds::Kinds;
use super::object::{PAUSED, adopted, returned};
use super::plan::{Candidate, Composite, Outcome, Plan, Step, consider, places};
use super::record::Record;
use super::source::{Pick, Source, objects};

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn xrd(spec: Value) -> DynamicObject {
    let condition = |kind: &str| json!({ "type": kind, "status": "True" });
    object(json!({
        "apiVersion": "apiextensions.crossplane.io/v1", "kind": "CompositeResourceDefinition",
        "metadata": { "name": format!("{}.example.org", spec["names"]["plural"].as_str().unwrap()) },
        "spec": spec,
        "status": { "conditions": [condition("Established"), condition("Offered")] },
    }))
}

fn kinds() -> Kinds {
    let mut kinds = Kinds::default();
    kinds.add(&xrd(json!({
        "group": "example.org",
        "names": { "kind": "XDatabase", "plural": "xdatabases" },
        "claimNames": { "kind": "Database", "plural": "databases" },
        "versions": [
            { "name": "v1", "served": true, "referenceable": false },
            { "name": "v1beta1", "served": true, "referenceable": true },
        ],
    })));
    kinds.add(&xrd(json!({
        "group": "example.org", "scope": "Namespaced",
        "names": { "kind": "Queue", "plural": "queues" },
        "versions": [{ "name": "v1", "served": true, "referenceable": true }],
    })));
    kinds
}

fn claim(change: impl FnOnce(&mut Value)) -> DynamicObject {
    let mut claim = json!({
        "apiVersion": "example.org/v1beta1", "kind": "Database",
        "metadata": {
            "name": "db", "namespace": "team-a", "uid": "u1", "resourceVersion": "7",
            "labels": { "team": "blue" }, "annotations": { "crossplane.io/external-name": "db-1" },
            "finalizers": ["finalizer.apiextensions.crossplane.io"],
        },
        "spec": {
            "size": 12345678901234567890_u64,
            "resourceRef": { "apiVersion": "example.org/v1beta1", "kind": "XDatabase", "name": "db-x" },
            "writeConnectionSecretToRef": { "name": "db-conn" },
        },
        "status": { "conditions": [] },
    });
    change(&mut claim);
    object(claim)
}

fn composite(change: impl FnOnce(&mut Value)) -> DynamicObject {
    let mut composite = json!({
        "apiVersion": "example.org/v1beta1", "kind": "XDatabase",
        "metadata": { "name": "db-x", "uid": "x1" },
        "spec": { "claimRef": { "apiVersion": "example.org/v1beta1", "kind": "Database", "namespace": "team-a", "name": "db" } },
    });
    change(&mut composite);
    object(composite)
}

fn candidate(claim: DynamicObject, composite: Composite) -> Candidate {
    let kind = kinds().claims.remove(0);
    Candidate { kind, claim, from_documents: false, composite, target: None, is_there_too: false, missing: Vec::new() }
}

fn there(composite: DynamicObject) -> Composite {
    Composite::There(Box::new(composite))
}

fn request() -> Request {
    Request {
        scheme: Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".to_owned() },
        source: Source::Unfinished,
        to_namespace: None,
        keep_secret_names: false,
        unpause: false,
    }
}

fn step(candidate: &Candidate, request: &Request) -> Step {
    match consider(candidate, request, &[]) {
        Outcome::Step(step) => *step,
        other => panic!("{other:?}"),
    }
}

fn refused(candidate: &Candidate) -> String {
    match consider(candidate, &request(), &[]) {
        Outcome::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn kinds_are_those_that_crossplane_refers_to() {
    let kinds = kinds();
    let [kind] = &kinds.claims[..] else { panic!("{kinds:?}") };
    assert_eq!((kind.claim.plural.as_str(), kind.claim.version.as_str()), ("databases", "v1beta1"));
    assert_eq!((kind.composite.kind.as_str(), kind.composite.plural.as_str()), ("XDatabase", "xdatabases"));
    assert_eq!(kinds.namespaced[0].kind, "Queue");
    for word in ["database", "Databases", "databases.example.org"] {
        assert!(kind.claim.is_called(word), "{word}");
    }
    assert!(!kind.claim.is_called("databases.example.com") && !kind.claim.is_called("databases."));
}

/// All that its users wrote is there under the new name, and all that the connector needs.
#[test]
fn an_adopted_claim_has_its_origin_and_everything_that_it_had() {
    let request = request();
    let step = step(&candidate(claim(|_| {}), there(composite(|_| {}))), &request);
    let Record { from, to, local, secret, .. } = &step.record;
    assert_eq!((from.to_string(), local.to_string()), ("team-a/db".to_owned(), "team-a/db".to_owned()));
    let new = adopted(&step.record.claim, &step.record, &request.scheme);
    assert_eq!(new.metadata.name.as_ref(), Some(&to.name));
    let new = serde_json::to_value(&new).unwrap();
    assert_eq!(new["metadata"]["labels"]["team"], "blue");
    assert_eq!(new["metadata"]["labels"][LABEL_CLUSTER], "c1");
    assert_eq!(new["metadata"]["annotations"]["crossplane.io/external-name"], "db-1");
    assert_eq!(new["metadata"]["annotations"][PAUSED], "true");
    assert_eq!(new["metadata"]["annotations"][ANNOTATION_CONNECTION_SECRET], "db-conn");
    assert_eq!(new["metadata"]["finalizers"], json!(["finalizer.apiextensions.crossplane.io"]));
    assert_eq!(new["metadata"].get("uid").or(new["metadata"].get("resourceVersion")), None);
    assert_eq!(new["spec"]["resourceRef"]["name"], "db-x");
    assert_eq!(new["spec"]["size"], 12345678901234567890_u64);
    assert_eq!(new["spec"]["writeConnectionSecretToRef"]["name"], secret.as_ref().unwrap().to);

    // And back, where somebody changed it meanwhile.
    let mut changed = new.clone();
    changed["metadata"]["labels"]["team"] = json!("green");
    let back = serde_json::to_value(returned(&object(changed), &step.record)).unwrap();
    assert_eq!((&back["metadata"]["name"], &back["metadata"]["namespace"]), (&json!("db"), &json!("team-a")));
    assert_eq!(back["metadata"]["labels"], json!({ "team": "green" }));
    assert_eq!(back["metadata"]["annotations"], json!({ "crossplane.io/external-name": "db-1", PAUSED: "true" }));
    assert_eq!(back["spec"]["writeConnectionSecretToRef"]["name"], "db-conn");
    // Its user asked for another Secret through the connector.
    let mut renamed = new;
    renamed["spec"]["writeConnectionSecretToRef"]["name"] = json!("claim-0000000000000000");
    renamed["metadata"]["annotations"][ANNOTATION_CONNECTION_SECRET] = json!("other");
    let back = serde_json::to_value(returned(&object(renamed), &step.record)).unwrap();
    assert_eq!(back["spec"]["writeConnectionSecretToRef"]["name"], "other");
}

#[test]
fn names_may_be_long_and_secrets_kept() {
    let long = "n".repeat(70);
    let request = Request { keep_secret_names: true, to_namespace: Some("shop".to_owned()), ..request() };
    let claim = claim(|claim| claim["metadata"]["name"] = json!(long));
    let bound = composite(|composite| composite["spec"]["claimRef"]["name"] = json!(long));
    let step = step(&candidate(claim, there(bound)), &request);
    assert_eq!(step.local().namespace, "shop");
    let new = adopted(&step.record.claim, &step.record, &request.scheme);
    let annotations = new.metadata.annotations.clone().unwrap();
    assert_eq!(annotations.get(ANNOTATION_NAME), Some(&long));
    assert_eq!(annotations.get(ANNOTATION_CONNECTION_SECRET), None);
    assert_eq!(new.data["spec"]["writeConnectionSecretToRef"]["name"], "db-conn");
    let origin = request.scheme.origin(
        |key| new.metadata.labels.as_ref()?.get(key).map(String::as_str),
        |key| annotations.get(key).map(String::as_str),
    );
    assert_eq!(origin.map(|origin| (origin.namespace, origin.name)), Some(("shop", long.as_str())));
}

#[test]
fn what_would_end_badly_is_refused_before_anything_is_touched() {
    let bound = || there(composite(|_| {}));
    let told = |change: fn(&mut Value)| refused(&candidate(claim(change), bound()));
    assert!(told(|claim| claim["metadata"]["labels"][LABEL_CLUSTER] = json!("c2")).contains("app cluster c2"));
    assert!(told(|claim| claim["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")).contains("deleted"));
    assert!(told(|claim| claim["metadata"]["finalizers"] = json!(["a/b"])).contains("the finalizer a/b"));
    let owner = |claim: &mut Value| {
        claim["metadata"]["ownerReferences"] =
            json!([{ "apiVersion": "v1", "kind": "Parent", "name": "p", "uid": "1" }]);
    };
    assert!(told(owner).contains("owned by Parent p"));

    let missing = candidate(claim(|_| {}), Composite::Missing("db-x".to_owned()));
    assert!(refused(&missing).contains("XDatabase db-x, which is not there"));
    let others = composite(|composite| composite["spec"]["claimRef"]["name"] = json!("other"));
    assert!(refused(&candidate(claim(|_| {}), there(others))).contains("bound to the claim team-a/other"));
    let going = composite(|composite| composite["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    assert!(refused(&candidate(claim(|_| {}), there(going))).contains("db-x, which is being deleted"));
    let taken = Candidate { target: Some(claim(|_| {})), ..candidate(claim(|_| {}), bound()) };
    assert!(refused(&taken).contains("which is there and of nobody"));
    let twice = Candidate { from_documents: true, is_there_too: true, ..candidate(claim(|_| {}), bound()) };
    assert!(refused(&twice).contains("--from-namespace team-a"));
}

#[test]
fn what_was_paused_stays_so_and_who_keeps_a_claim_is_told() {
    let paused = claim(|claim| {
        claim["metadata"]["annotations"][PAUSED] = json!("true");
        claim["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = json!("apps");
    });
    let step = step(&candidate(paused, there(composite(|_| {}))), &request());
    assert!(step.record.paused.claim && !step.record.paused.composite);
    let notes = step.notes.join("\n");
    assert!(
        notes.contains("Flux keeps it") && notes.contains("stays so") && notes.contains("team-a/db-conn"),
        "{notes}"
    );
}

#[test]
fn documents_are_created_paused_unless_their_parts_are_there() {
    let missing = vec!["Bucket/a".to_owned(), "Bucket/b".to_owned(), "Bucket/c".to_owned(), "Bucket/d".to_owned()];
    let of_file = Candidate {
        from_documents: true,
        missing,
        ..candidate(claim(|_| {}), Composite::Document(Box::new(composite(|_| {}))))
    };
    let planned = step(&of_file, &request());
    assert!(planned.stays_paused() && planned.record.composite_document.is_some());
    assert!(planned.notes.join("\n").contains("Bucket/a, Bucket/b, Bucket/c and 1 more"));
    let unpause = Request { unpause: true, ..request() };
    assert!(matches!(consider(&of_file, &unpause, &[]), Outcome::Refused(_)));
    let complete = Candidate { missing: Vec::new(), ..of_file };
    assert!(!step(&complete, &unpause).stays_paused());
    // A second run finds it in the records.
    let record = step(&complete, &unpause).record;
    assert!(matches!(consider(&complete, &unpause, &[record]), Outcome::Left(_)));
}

#[test]
fn two_claims_cannot_become_one() {
    let request = Request { to_namespace: Some("shop".to_owned()), ..request() };
    let mut plan = Plan::new(&request.scheme);
    for namespace in ["team-a", "team-b"] {
        let claim = claim(|claim| claim["metadata"]["namespace"] = json!(namespace));
        let bound = composite(|composite| composite["spec"]["claimRef"]["namespace"] = json!(namespace));
        let candidate = candidate(claim, there(bound));
        let (from, ..) = places(&candidate.claim, &request);
        plan.add(consider(&candidate, &request, &[]), &candidate, &from);
    }
    plan.refuse_twins();
    let why: Vec<_> = plan.refused.iter().map(|refused| refused.why.as_str()).collect();
    assert!(why.iter().any(|why| why.contains("another claim becomes shop/db")), "{why:?}");
}

#[test]
fn documents_and_picks_are_read() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: a/v1, kind: A, metadata: {name: one}}\n---\n---\n\
                apiVersion: a/v1\nkind: A\nmetadata: {name: two}\n";
    let names: Vec<_> =
        objects(&[list.to_owned()]).unwrap().into_iter().filter_map(|object| object.metadata.name).collect();
    assert_eq!(names, ["one", "two"]);
    assert!(objects(&["kind: A".to_owned()]).is_err() && objects(&["{".to_owned()]).is_err());
    assert_eq!("databases/db".parse::<Pick>().unwrap().to_string(), "databases/db");
    assert!(["", "/db", "databases/", "a/b/c"].iter().all(|text| text.parse::<Pick>().is_err()));
}
