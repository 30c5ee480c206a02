//! Plays a sequence on both sides.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::Step;
use super::kinds::Subject;
use super::read::Watch;
use crate::case::{Both, Difference};
use crate::exchange::{JSON, MERGE_PATCH, Request};
use crate::side::Side;
use crate::watching::Watching;
use crate::world::World;

/// How long the collector may take to let an object go. It looks for new kinds every 30 seconds.
const COLLECTION: Duration = Duration::from_secs(60);

/// An open watch on both sides.
struct Open<'a> {
    step: usize,
    watch: &'a Watch,
    native: Watching,
    through: Watching,
}

/// Waits until everything can be listed: a storage that is new answers 429 for a while.
pub(super) async fn warm_up(world: &World) -> Result<()> {
    let sides = [Side::new(world.native_clients.clone(), "default"), Side::new(world.app_clients.clone(), "default")];
    for (side, subject) in sides.iter().flat_map(|side| super::kinds::ALL.iter().map(move |subject| (side, subject))) {
        let ended = tokio::time::Instant::now() + COLLECTION;
        let list = Request::new("GET", subject.kind.everywhere());
        while side.peek(&list).await.contains("\"kind\":\"Status\"") {
            ensure!(tokio::time::Instant::now() < ended, "{} cannot be listed", subject.kind.plural);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// The first difference, and which step shows it. All that is there in the end is compared, too, and what was watched.
pub(super) async fn play(
    world: &World,
    namespace: &str,
    subject: Subject,
    steps: &[Step],
) -> Result<Option<(usize, Difference)>> {
    let mut both = Both::new(&world.native_clients, &world.app_clients, namespace);
    both.random = true;
    crate::make_namespaces(&mut both).await?;
    let mut open = Vec::new();
    let mut found = None;
    for (at, step) in steps.iter().enumerate() {
        let difference = match step {
            Step::Ask(request) => {
                if request.method == "GET" && request.path.contains("resourceVersion=") {
                    // What comes from the cache may be old, but not older than what was told before.
                    let all = Request::new("GET", subject.kind.all());
                    futures::future::join(both.native.peek(&all), both.through.peek(&all)).await;
                }
                let difference = both.ask(String::new(), request).await;
                if cascades(request) {
                    futures::future::join(collected(&both.native, request), collected(&both.through, request)).await;
                }
                difference
            }
            Step::Watch(watch) => {
                let difference = both.ask(String::new(), &watch.list).await;
                let opened =
                    futures::future::join(both.native.watch(&watch.request), both.through.watch(&watch.request)).await;
                let (native, through) = opened;
                open.push(Open { step: at, watch, native, through });
                difference
            }
        };
        if let Some(difference) = difference {
            found = Some((at, difference));
            break;
        }
    }
    let last = steps.len().saturating_sub(1);
    if found.is_none() {
        for namespace in ["$ns", "$other"] {
            let list = Request::new("GET", subject.kind.all_in(namespace));
            found = found.or(both.ask(String::new(), &list).await.map(|difference| (last, difference)));
        }
    }
    futures::future::join(release(&both.native, subject), release(&both.through, subject)).await;
    for (at, watch) in open.into_iter().enumerate() {
        if found.is_none() {
            found = end(&mut both, subject, watch, at).await;
        }
    }
    for namespace in ["$ns", "$other"] {
        let request = Request::new("DELETE", subject.kind.all_in(namespace));
        futures::future::join(both.native.ask(&request), both.through.ask(&request)).await;
    }
    Ok(found)
}

/// Ends a watch with an object that it shows, and compares its events.
async fn end(both: &mut Both, subject: Subject, open: Open<'_>, at: usize) -> Option<(usize, Difference)> {
    let Open { step, watch, native, through } = open;
    // Other sequences end their watches, too.
    let mark = format!(r#""{}":"{}-{at}""#, crate::watching::MARK, both.native.expand("$ns"));
    let body = format!(r#"{{"name":"{}","labels":{},"annotations":{{{mark}}}}}"#, watch.name, watch.labels);
    let create = Request::new("POST", subject.kind.all()).body(JSON, subject.kind.with_metadata(&body));
    let mut difference = both.ask(String::new(), &create).await;
    if difference.is_none() {
        let (native, through) = futures::future::join(native.until(&mark), through.until(&mark)).await;
        difference = both.compare_watches(String::new(), &watch.request, native, through);
    }
    let delete = Request::new("DELETE", subject.kind.one(watch.name));
    futures::future::join(both.native.ask(&delete), both.through.ask(&delete)).await;
    difference.map(|difference| (step, difference))
}

/// Whether the collector has something to do.
fn cascades(request: &Request) -> bool {
    let asks = |text: &str| ["Foreground", "Orphan", "orphanDependents"].iter().any(|mark| text.contains(mark));
    request.method == "DELETE" && (asks(&request.path) || asks(&request.body))
}

/// Waits until the collector has done its part in a deletion: it comes when it likes ("Cascading deletion").
async fn collected(side: &Side, request: &Request) {
    let path = request.path.split('?').next().unwrap_or_default();
    let ended = tokio::time::Instant::now() + COLLECTION;
    while tokio::time::Instant::now() < ended {
        let answer = side.peek(&Request::new("GET", path)).await;
        if ![r#""foregroundDeletion""#, r#""orphan""#].iter().any(|finalizer| answer.contains(finalizer)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Deletes everything, whatever holds it. In the order of names: a watch may follow it.
async fn release(side: &Side, subject: Subject) {
    for namespace in ["$ns", "$other"] {
        let all = subject.kind.all_in(namespace);
        let list: Value = serde_json::from_str(&side.peek(&Request::new("GET", &all)).await).unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<&str> = items.iter().filter_map(|item| item["metadata"]["name"].as_str()).collect();
        names.sort_unstable();
        for name in names {
            let one = format!("{all}/{name}");
            let release = Request::new("PATCH", &one).body(MERGE_PATCH, r#"{"metadata":{"finalizers":null}}"#);
            side.peek(&release).await;
            side.peek(&Request::new("DELETE", &one)).await;
        }
    }
}
