//! What Crossplane wrote (recorded) and what else may come, told in local terms and written.

use std::sync::Arc;

use connector_core::origin::{Form, Hashed};
use serde_json::{Value, json};

use super::schedule::Offered;
use super::testing::Stand;
use super::*;
use crate::claims::{Claim, Claims};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testkit/fixtures/crossplane/events.jsonl");

fn scheme() -> Arc<Hashed> {
    Arc::new(Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".into() })
}

fn claim(name: &str) -> Claim {
    Claim::example(&scheme(), Form::Claim, name, &Value::Null)
}

fn local(claims: &[Claim], about: &Claim, remote: Event) -> Event {
    let claims = Claims::of(scheme(), claims);
    Translator { scheme: &scheme(), claims: &claims }.local(about, &remote)
}

/// An event about a claim, as client-go writes it, with what else is given.
fn remote(claim: &Claim, more: Value) -> Event {
    let mut event = json!({
        "metadata": { "name": format!("{}.18ea902297918bb6", claim.remote_name), "namespace": "claims" },
        "involvedObject": {
            "apiVersion": "g.org/v1",
            "kind": "Thing",
            "namespace": "claims",
            "name": claim.remote_name,
            "uid": claim.uid,
        },
    });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    serde_json::from_value(event).unwrap()
}

/// A recorded event, of the newer API, as the older one shows it.
fn older(recorded: &Value) -> Event {
    let renamed = [
        ("regarding", "involvedObject"),
        ("note", "message"),
        ("reportingController", "reportingComponent"),
        ("deprecatedCount", "count"),
        ("deprecatedSource", "source"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
    ];
    let mut event = recorded.clone();
    for (newer, older) in renamed {
        event[older] = event[newer].take();
    }
    event["apiVersion"] = "v1".into();
    serde_json::from_value(event).unwrap()
}

/// The recorded run, as it would have been with the claim in `team` and the connector between.
#[test]
fn recorded_events_are_those_of_a_local_crossplane() {
    let recorded = std::fs::read_to_string(RECORDED).unwrap();
    let recorded: Vec<Value> = recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let objects: Vec<&Value> = recorded.iter().map(|line| &line["object"]).collect();
    let of_claim = |event: &&&Value| event["regarding"]["name"] == "my-cluster";
    let uid = objects.iter().find(of_claim).unwrap()["regarding"]["uid"].as_str().unwrap();
    let mut claim = claim("my-cluster");
    claim.uid = uid.to_owned();
    let mut copied = 0;
    for &object in &objects {
        if object["regarding"]["uid"] != uid {
            continue;
        }
        let mut there = older(object);
        let name = there.name_any().replace("my-cluster", &claim.remote_name);
        (there.metadata.name, there.metadata.namespace) = (Some(name), Some("claims".to_owned()));
        there.involved_object.name = Some(claim.remote_name.clone());
        there.involved_object.namespace = Some("claims".to_owned());
        let local = local(&[], &claim, there);

        let mut native = older(object);
        translate::normalize(&mut native);
        assert_eq!(local.name_any(), native.name_any());
        native.involved_object.namespace = Some("team".to_owned());
        assert_eq!(Event { metadata: native.metadata.clone(), ..local.clone() }, native);
        assert_eq!(local.namespace().as_deref(), Some("team"));
        assert!(local.metadata.managed_fields.is_none() && local.metadata.uid.is_none());
        copied += 1;
    }
    assert!(copied > 10, "{copied}");
}

#[test]
fn the_name_is_that_of_the_recorder_or_a_hash() {
    let named = |claim: &Claim, name: &str| {
        let mut event = remote(claim, json!({}));
        event.metadata.name = Some(name.to_owned());
        local(&[], claim, event).name_any()
    };
    let db = claim("db");
    assert_eq!(named(&db, &format!("{}.18ea", db.remote_name)), "db.18ea");
    for other in ["kopf-event-x7rf2".to_owned(), format!("{}-x", db.remote_name), format!("{}.x-y", db.remote_name)] {
        let name = named(&db, &other);
        assert!(name.len() == "db.".len() + 16 && name.starts_with("db."), "{name}");
        assert_eq!(named(&db, &other), name, "always the same");
    }
    let mut long = claim("long");
    long.origin.name = "x".repeat(253);
    let name = named(&long, &format!("{}.18ea902297918bb6", long.remote_name));
    assert_eq!((name.len(), &name[..236]), (253, &"x".repeat(236)[..]));
}

#[test]
fn messages_name_what_is_of_the_namespace() {
    let secret = scheme().remote_name(Form::Claim, "team", "db-conn");
    let mark = json!({ "mcp-connector.upbound.io/connection-secret-name": "db-conn" });
    let db = Claim::example(&scheme(), Form::Claim, "db", &mark);
    let (near, mut far) = (claim("near"), claim("far"));
    far.origin.namespace = "elsewhere".to_owned();
    let claims = [db.clone(), near.clone(), far.clone()];
    let told = |message: String| local(&claims, &db, remote(&db, json!({ "message": message }))).message.unwrap();
    let text = format!("claims/{}: Secret {secret} is taken by {}", db.remote_name, near.remote_name);
    assert_eq!(told(text), "team/db: Secret db-conn is taken by near");
    let text = format!("bound to claims/{}", far.remote_name);
    assert_eq!(told(text.clone()), text, "who is elsewhere is not told");

    // With a time of its own an event may not say more than 1024 bytes.
    let mut long = db.clone();
    long.origin.name = "x".repeat(253);
    let message = format!("{} é", format!("{} ", db.remote_name).repeat(40));
    let more = json!({ "message": message, "eventTime": "2026-11-23T03:51:13.000001Z" });
    let message = local(&claims, &long, remote(&db, more)).message.unwrap();
    assert_eq!(message.len(), 1024);
}

#[test]
fn what_is_related_is_told_where_it_is_here() {
    let (db, near, mut far) = (claim("db"), claim("near"), claim("far"));
    far.origin.namespace = "elsewhere".to_owned();
    let claims = [db.clone(), near.clone(), far.clone()];
    let related = |other: &Claim| {
        let related = json!({ "kind": "Thing", "namespace": "claims", "name": other.remote_name, "uid": other.uid });
        local(&claims, &db, remote(&db, json!({ "related": related }))).related
    };
    let told = related(&near).unwrap();
    assert_eq!((told.name.as_deref(), told.namespace.as_deref()), (Some("near"), Some("team")));
    assert_eq!(related(&far), None);
    let unknown = json!({ "related": { "kind": "Secret", "namespace": "claims", "name": "s", "uid": "another" } });
    assert_eq!(local(&claims, &db, remote(&db, unknown)).related, None);
}

#[test]
fn an_event_is_as_old_as_what_it_tells_last() {
    let db = claim("db");
    let last = |more: Value| last_time(&remote(&db, more)).map(|time| time.to_string());
    assert_eq!(last(json!({})), None);
    let counted = json!({ "firstTimestamp": "2026-11-23T03:51:13Z", "lastTimestamp": "2026-11-23T04:00:00Z" });
    assert_eq!(last(counted).unwrap(), "2026-11-23T04:00:00Z");
    let series = json!({ "count": 2, "lastObservedTime": "2026-11-23T05:00:00.000001Z" });
    let series = json!({ "eventTime": "2026-11-23T03:51:13.000001Z", "series": series });
    assert_eq!(last(series).unwrap(), "2026-11-23T05:00:00.000001Z");
}

#[test]
fn events_wait_for_their_claim() {
    let (mut waiting, now, db) = (Waiting::default(), Instant::now(), claim("db"));
    let mut by_name = remote(&db, json!({ "metadata": { "name": "n", "namespace": "claims" } }));
    by_name.involved_object.uid = None;
    waiting.keep(remote(&db, json!({ "count": 1 })), now);
    waiting.keep(remote(&db, json!({ "count": 2 })), now);
    waiting.keep(by_name, now);
    assert!(waiting.take(&claim("other")).is_empty());
    let mut came = waiting.take(&db);
    came.sort_by_key(|event| event.count);
    assert_eq!(came.iter().map(|event| event.count).collect::<Vec<_>>(), [None, Some(2)]);
    assert!(waiting.take(&db).is_empty());

    waiting.keep(remote(&db, json!({})), now);
    waiting.sweep(now + Duration::from_secs(61));
    assert!(waiting.take(&db).is_empty(), "in vain");
    waiting.keep(remote(&db, json!({})), now);
    waiting.forget(&remote(&db, json!({})).name_any());
    assert!(waiting.take(&db).is_empty(), "there is news of it");
}

/// One write, with what the app cluster holds then.
async fn written(stand: &Arc<Stand>, event: &Event) -> Result<Outcome, kube::Error> {
    let local = LocalEvents::new(stand.client(), &"kube-system/connector".parse().unwrap());
    let mut schedule = Schedule::default();
    let now = Instant::now();
    for there in local.in_all_namespaces().list(&ListParams::default()).await?.items {
        schedule.remember(&there, now);
    }
    if schedule.offer(event.clone(), false, now) == Offered::Known {
        return Ok(Outcome::Taken);
    }
    let write = schedule.take(now + LIFETIME).unwrap();
    local.write(&write).await
}

#[tokio::test]
async fn an_event_is_made_once_and_then_changed() {
    let (stand, db) = (Arc::new(Stand::default()), claim("db"));
    let state = |more: Value| local(&[], &db, remote(&db, more));
    let series = json!({ "count": 2, "lastObservedTime": "2026-11-23T03:51:13.000001Z" });
    let first = state(json!({ "count": 1, "series": series, "reportingComponent": "" }));
    assert_eq!(written(&stand, &first).await.unwrap(), Outcome::Copied);
    assert_eq!(written(&stand, &state(json!({ "count": 2 }))).await.unwrap(), Outcome::Merged);
    let there = stand.events();
    assert_eq!((there.len(), &there[0]["count"], &there[0]["series"]), (1, &json!(2), &Value::Null));

    // It is there, and nobody knew: a write of another replica, or one whose answer was lost.
    let local = LocalEvents::new(stand.client(), &"kube-system/connector".parse().unwrap());
    let blind = async |event: Event| {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.offer(event, false, now);
        local.write(&schedule.take(now).unwrap()).await
    };
    assert_eq!(blind(state(json!({ "count": 3 }))).await.unwrap(), Outcome::Merged);
    assert_eq!(stand.events()[0]["count"], 3);
    stand.change(|event| event["metadata"]["labels"] = Value::Null);
    assert_eq!(blind(state(json!({ "count": 4 }))).await.unwrap(), Outcome::Taken);
    assert_eq!(stand.events()[0]["count"], 3, "somebody else's");
}

#[tokio::test]
async fn what_ran_out_is_made_anew_and_what_cannot_be_is_no_failure() {
    let (stand, db) = (Arc::new(Stand::default()), claim("db"));
    let event = local(&[], &db, remote(&db, json!({ "count": 1 })));
    let local = LocalEvents::new(stand.client(), &"kube-system/connector".parse().unwrap());
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    schedule.remember(&event, now);
    schedule.offer(Event { count: Some(2), ..event.clone() }, false, now);
    let write = schedule.take(now + LIFETIME).unwrap();
    assert!(write.is_there);
    assert_eq!(local.write(&write).await.unwrap(), Outcome::Copied);

    let stand = Arc::new(Stand::default());
    for (code, message, outcome) in [
        (404, r#"namespaces "team" not found"#, Some(Outcome::Gone)),
        (403, r#"unable to create new content in namespace team because it is being terminated"#, Some(Outcome::Gone)),
        (403, r#"events is forbidden: User "x" cannot create resource "events""#, None),
        (500, "etcd", None),
    ] {
        stand.refuse(code, message);
        assert_eq!(written(&stand, &event).await.ok(), outcome, "{message}");
    }
}
