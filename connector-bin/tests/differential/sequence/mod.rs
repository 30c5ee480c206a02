//! Random sequences of operations, compared after every step.
//!
//! What a sequence does follows from its seed alone. What is known to differ is left out by the generator, at places that name
//! the title in `docs/differences.md`.

mod kinds;
mod object;
mod patch;
mod play;
mod random;
mod read;
mod write;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};

use self::kinds::Subject;
use self::random::Random;
use self::read::Watch;
use crate::case::Difference;
use crate::exchange::Request;
use crate::world::World;

/// The steps of one sequence.
const STEPS: usize = 25;
/// How many there are if nobody says.
const COUNT: u64 = 300;
/// How many run at the same time, each in namespaces of its own.
const AT_ONCE: usize = 8;
/// Few: beyond ten kube-apiserver puts the oldest together, by times that differ.
const MANAGERS: [&str; 3] = ["first", "second", "third"];

/// Runs as many sequences as `DIFFERENTIAL_SEQUENCES` says.
pub(crate) async fn run(world: &World, filter: &str) -> Result<Vec<Difference>> {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().context(value)).transpose();
    let count = match number("DIFFERENTIAL_SEQUENCES")? {
        Some(count) => count,
        None if filter.is_empty() => COUNT,
        None => 0,
    };
    // The same sequences each time, unless others are asked for: a run that finds something can be repeated.
    let first = number("DIFFERENTIAL_SEED")?.unwrap_or(1);
    crate::tell(&format!("{count} sequences of {STEPS} steps from seed {first}"));
    play::warm_up(world).await?;
    let all = stream::iter(first..first + count).map(|seed| one(world, seed)).buffer_unordered(AT_ONCE);
    let found: Vec<Option<Difference>> = all.try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The first difference that the sequence of a seed shows, with the steps that it needs.
async fn one(world: &World, seed: u64) -> Result<Option<Difference>> {
    let writer = Writer::new(seed, world.minor);
    let subject = writer.subject;
    let mut steps = writer.steps();
    let Some((at, mut found)) = play::play(world, &format!("s{seed}"), subject, &steps).await? else {
        return Ok(None);
    };
    let whole = at;
    steps.truncate(at + 1);
    // What is not needed for it is left out, from the end to the beginning.
    for without in (0..at).rev() {
        let mut fewer = steps.clone();
        fewer.remove(without);
        let namespace = format!("s{seed}-{without}");
        if let Some((at, difference)) = play::play(world, &namespace, subject, &fewer).await? {
            fewer.truncate(at + 1);
            (steps, found) = (fewer, difference);
        }
        if without >= steps.len() {
            break;
        }
    }
    found.place = format!("random {}: seed {seed} step {whole}", subject.kind.label);
    found.told.extend(steps.iter().map(|step| format!("step: {}", step.told())));
    found.told.push(format!(
        "repeat with DIFFERENTIAL_CASES=none DIFFERENTIAL_SEED={seed} DIFFERENTIAL_SEQUENCES=1 \
         cargo test -p connector-bin --test differential -- --nocapture"
    ));
    Ok(Some(found))
}

/// A step of a sequence.
#[derive(Clone, Debug)]
enum Step {
    Ask(Box<Request>),
    Watch(Box<Watch>),
}

impl Step {
    fn told(&self) -> String {
        match self {
            Self::Ask(request) => request.told(),
            Self::Watch(watch) => watch.request.told(),
        }
    }
}

/// Makes up the steps of a sequence.
struct Writer {
    random: Random,
    subject: Subject,
    /// That of the step.
    namespace: &'static str,
    /// Owner references are set by updates and patches, of one manager; else by applies, of one manager ("Who owns a map").
    owned_by_updates: bool,
    /// Subresources are written, too. Before 1.36 or so it is noted who writes the metadata there, although that is not kept.
    writes_status: bool,
}

impl Writer {
    fn new(seed: u64, minor: u16) -> Self {
        let mut random = Random(seed);
        let subject = random.of(kinds::ALL);
        let owned_by_updates = random.one_in(2);
        Self { random, subject, namespace: "$ns", owned_by_updates, writes_status: minor >= 36 }
    }

    fn steps(mut self) -> Vec<Step> {
        (0..STEPS).map(|_| self.step()).collect()
    }

    /// `/status` in one of so many writes.
    fn status(&mut self, one_in: usize) -> &'static str {
        if self.random.one_in(one_in) && self.writes_status { "/status" } else { "" }
    }

    fn step(&mut self) -> Step {
        self.namespace = if self.random.one_in(5) { "$other" } else { "$ns" };
        let request = match self.random.below(50) {
            0 => return Step::Watch(Box::new(self.watch())),
            1..9 => self.create(),
            9..16 => self.update(),
            16..23 => self.merge(),
            23..28 => self.operations(),
            28..37 => self.apply(),
            37..40 => self.delete(),
            40 => self.delete_collection(),
            41..45 => self.list(),
            45 => self.scale(),
            _ => self.get(),
        };
        Step::Ask(Box::new(request))
    }

    /// The path of the collection.
    fn all(&self) -> String {
        self.subject.kind.all_in(self.namespace)
    }

    fn one(&self, name: &str) -> String {
        format!("{}/{name}", self.all())
    }

    /// What `$rv(…)` and the like are asked for.
    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace)
    }

    fn of_object(&self, what: &str, name: &str) -> String {
        format!("${what}({})", self.key(name))
    }

    fn manager(&mut self) -> &'static str {
        self.random.of(&MANAGERS)
    }

    /// A query for a write, perhaps empty.
    fn options(&mut self, others: &[&str]) -> String {
        match self.random.below(16) {
            0 => "?fieldValidation=Strict".to_owned(),
            1 => "?fieldValidation=Ignore".to_owned(),
            2 => "?fieldValidation=Warn".to_owned(),
            3 => "?fieldManager=named".to_owned(),
            4 | 5 => format!("?{}", self.random.of(others)),
            _ => String::new(),
        }
    }

    /// Who set the owner references last owns them all ("Who owns a map"), so one manager does.
    fn by_manager(&mut self, request: Request) -> Request {
        let change = request.from_last.as_ref().map(|(_, change)| change);
        let owners =
            change.is_some_and(|change| change.contains("ownerReferences")) || request.body.contains("ownerReferences");
        let manager = if owners { "owner" } else { self.manager() };
        let path = match manager {
            "owner" => request.path.replace("?fieldManager=named", ""),
            _ => request.path.clone(),
        };
        Request { path, ..request }.header("user-agent", format!("{manager}/1.0"))
    }
}
