//! The same as native: every request is sent to a cluster that holds the CRDs itself and to one that reaches them through the
//! connector, and the answers are compared: status, headers, and bodies to the order of their members.
//!
//! | variable | what it does | default |
//! |---|---|---|
//! | `DIFFERENTIAL_CASES` | only the cases whose name contains one of these, separated by commas | all |
//! | `DIFFERENTIAL_SEQUENCES` | how many random sequences | 300, none with a filter |
//! | `DIFFERENTIAL_SEED` | the seed of the first sequence; each has the next, and what it does follows from it | 1 |

mod case;
mod cases;
mod exchange;
mod known;
mod normal;
mod sequence;
mod side;
mod tree;
mod watching;
mod world;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};

use case::{Both, Case, Difference};
use exchange::{JSON, Request};
use world::World;

/// A case that takes longer is worth a line.
const SLOW: Duration = Duration::from_secs(10);
/// How many cases run at a time: many wait for their watches to end.
const AT_ONCE: usize = 4;

#[tokio::test]
async fn the_same_as_native() -> Result<()> {
    let started = Instant::now();
    let world = &World::start().await?;
    let filter = std::env::var("DIFFERENTIAL_CASES").unwrap_or_default();
    let wanted = |case: &Case| {
        let comparable = world.same_apis || !case.name.starts_with("all: ");
        comparable && filter.split(',').any(|part| case.name.contains(part))
    };
    let cases: Vec<Case> = cases::all().into_iter().filter(wanted).collect();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    ensure!(names.len() == cases.len(), "two cases have the same name");
    tell(&format!("{} cases; the clusters run after {:?}", cases.len(), started.elapsed()));

    let requests: usize = cases.iter().map(|case| case.requests.len()).sum();
    let all = stream::iter(cases.iter().enumerate().map(|(at, case)| async move {
        let begun = Instant::now();
        let found = run(world, case, &format!("c{at}")).await?;
        if begun.elapsed() > SLOW {
            tell(&format!("{} took {:?}", case.name, begun.elapsed()));
        }
        anyhow::Ok(found)
    }));
    let mut found: Vec<Difference> = all.buffered(AT_ONCE).try_concat().await?;
    tell(&format!("{requests} requests of cases after {:?}", started.elapsed()));
    found.extend(sequence::run(world, &filter).await?);
    tell(&format!("done after {:?}", started.elapsed()));

    judge(found, &filter, world.minor)
}

/// Runs one case, and once more where nothing but versions differ: whether kube-apiserver stores an apply that changes nothing
/// depends on the order of the managers, which is by time in seconds, and on one side a second may have begun meanwhile.
async fn run(world: &World, case: &Case, namespace: &str) -> Result<Vec<Difference>> {
    let found = ask_all(world, case, namespace).await?;
    if found.is_empty() || !found.iter().all(Difference::is_of_versions) {
        return Ok(found);
    }
    ask_all(world, case, &format!("{namespace}-again")).await
}

/// Asks what a case asks, in namespaces of its own.
async fn ask_all(world: &World, case: &Case, namespace: &str) -> Result<Vec<Difference>> {
    let mut both = Both::new(&world.native_clients, &world.app_clients, namespace);
    make_namespaces(&mut both).await?;
    let mut found = Vec::new();
    for (at, request) in case.requests.iter().enumerate() {
        found.extend(both.ask(format!("{} {at}", case.name), request).await);
    }
    clear(&mut both).await;
    Ok(found)
}

async fn make_namespaces(both: &mut Both) -> Result<()> {
    for name in ["$ns", "$other"] {
        let body = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
        let request = Request::new("POST", "/api/v1/namespaces").body(JSON, body);
        let (native, through) = futures::future::join(both.native.ask(&request), both.through.ask(&request)).await;
        let made = (native.0.status, through.0.status);
        ensure!(made == (201, 201), "cannot make the namespace {}: {made:?}", both.native.expand(name));
    }
    Ok(())
}

/// Leaves nothing for the next case to see.
async fn clear(both: &mut Both) {
    for kind in [case::CLAIM, case::XR, case::WIDGET, case::APP] {
        for namespace in ["$ns", "$other"] {
            let request = Request::new("DELETE", kind.all_in(namespace));
            futures::future::join(both.native.ask(&request), both.through.ask(&request)).await;
        }
    }
}

/// Fails for every difference that is not known, and for every known one that is gone.
fn judge(found: Vec<Difference>, filter: &str, minor: u16) -> Result<()> {
    let mut told = Vec::new();
    let mut seen = BTreeSet::new();
    for difference in &found {
        match known::find(&difference.place, minor) {
            Some(known) => {
                seen.insert(known.title);
            }
            None => told.push(format!(
                "{}\n    {}\n    {}",
                difference.place,
                difference.request,
                difference.told.join("\n    ")
            )),
        }
    }
    if filter.is_empty() {
        let gone = known::KNOWN.iter().filter(|known| !seen.contains(known.title));
        told.extend(gone.map(|known| format!("no longer a difference: {}", known.title)));
    }
    if told.is_empty() {
        return Ok(());
    }
    bail!("{} differences:\n\n{}", told.len(), told.join("\n\n"))
}

#[expect(clippy::print_stderr, reason = "how long it takes and which seed it had is for people")]
fn tell(text: &str) {
    eprintln!("{text}");
}
