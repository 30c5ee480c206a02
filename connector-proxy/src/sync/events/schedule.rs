//! What is to be written, and when: the newest state of each event, and not too many about one object.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use tokio::time::Instant;

use super::translate::normalize;

/// The least time between two writes of one event: Crossplane counts the same one up many times within a second.
const EVENT_PAUSE: Duration = Duration::from_secs(1);
/// How many writes about one object may come at once; then one each [`OBJECT_PAUSE`]. The burst is that of client-go's spam
/// filter, which drops what is beyond; here it waits.
const OBJECT_BURST: u32 = 25;
const OBJECT_PAUSE: Duration = Duration::from_secs(5);
/// The longest that an event waits for its object's turn. One that would wait longer is not written.
const OBJECT_PATIENCE: Duration = Duration::from_secs(600);
/// How many events wait, of all objects. Each is about 1 KiB.
const HELD_MAX: usize = 10_000;
/// How many due events make it too many to take in more.
const BEHIND: usize = 256;
/// How long it is remembered what was written: kube-apiserver keeps an event for an hour after its last write by default.
pub(super) const LIFETIME: Duration = Duration::from_secs(3600);
/// How many written events are remembered, each in some 50 bytes. One that is not costs a read when it comes again.
const WRITTEN_MAX: usize = 200_000;
/// The pause until a write that failed is tried again; each time twice as long, up to [`LONGEST_RETRY`].
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Namespace and name of a local event.
pub(super) type Key = (String, String);

pub(super) fn key(event: &Event) -> Key {
    (event.namespace().unwrap_or_default(), event.name_any())
}

/// What became of an event that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// There is nothing new to write.
    Known,
    /// It will be written as soon as possible, or with what waits already.
    Queued,
    /// It waits for its object's turn.
    Held,
    /// There are too many.
    Dropped,
}

/// A write to be done.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) event: Event,
    /// Whether the event was seen in the app cluster.
    pub(super) is_there: bool,
    /// When the oldest news in it came.
    pub(super) since: Instant,
    attempt: u32,
}

struct Held {
    write: Write,
    content: u64,
    due: Instant,
}

/// What was written of an event.
struct Written {
    /// `None` where that is not known.
    content: Option<u64>,
    at: Instant,
}

/// Every event that is to be written, or was.
#[derive(Default)]
pub(super) struct Schedule {
    held: HashMap<Key, Held>,
    /// Invariant: of each held event, when it is due.
    due: BTreeSet<(Instant, Key)>,
    in_flight: HashSet<Key>,
    /// By a hash of the key.
    written: HashMap<u64, Written>,
    /// By UID, when the object will have its whole burst again.
    objects: HashMap<String, Instant>,
}

impl Schedule {
    /// Takes note of an event of the app cluster.
    pub(super) fn remember(&mut self, event: &Event, now: Instant) {
        self.insert_written(&key(event), Some(content(event)), now);
    }

    /// Takes in the state of an event. One that is stale is written only if it is there already.
    pub(super) fn offer(&mut self, event: Event, is_stale: bool, now: Instant) -> Offered {
        let (key, content) = (key(&event), content(&event));
        if let Some(held) = self.held.get_mut(&key) {
            held.content = content;
            held.write.event = event;
            return Offered::Queued;
        }
        let (is_there, after_last) = match self.written.get(&hash(&key)) {
            Some(written) if written.content == Some(content) => return Offered::Known,
            Some(written) => (true, written.at + EVENT_PAUSE),
            None if is_stale => return Offered::Known,
            None => (false, now),
        };
        let turn = self.turn(event.involved_object.uid.as_deref().unwrap_or_default(), now);
        let Some(turn) = turn.filter(|_| self.held.len() < HELD_MAX) else { return Offered::Dropped };
        let write = Write { event, is_there, since: now, attempt: 0 };
        self.hold(key, Held { write, content, due: turn.max(after_last) });
        if turn > now { Offered::Held } else { Offered::Queued }
    }

    /// When the next write may be done; `None` where there is none.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Whether so much is due that nothing more should come in.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        self.due.iter().take(BEHIND).take_while(|(due, _)| *due <= now).count() == BEHIND
    }

    /// A write that is due. Its end must be told by one of the methods that follow.
    pub(super) fn take(&mut self, now: Instant) -> Option<Write> {
        loop {
            let (due, _) = self.due.first()?;
            if *due > now {
                return None;
            }
            let (_, key) = self.due.pop_first()?;
            let Some(mut held) = self.held.remove(&key) else { continue };
            if self.in_flight.contains(&key) {
                held.due = now + EVENT_PAUSE;
                self.hold(key, held);
                continue;
            }
            self.insert_written(&key, Some(held.content), now);
            self.in_flight.insert(key);
            return Some(held.write);
        }
    }

    /// The event is in the app cluster as it was to be, or never will be.
    pub(super) fn done(&mut self, key: &Key) {
        self.in_flight.remove(key);
    }

    /// The event has no place in the app cluster, or somebody else's has it: it is not to be changed.
    pub(super) fn gone(&mut self, key: &Key) {
        self.in_flight.remove(key);
        self.written.remove(&hash(key));
    }

    /// The write failed for now: it is tried again, unless a newer state waits already.
    pub(super) fn failed(&mut self, mut write: Write, now: Instant) {
        let key = key(&write.event);
        self.in_flight.remove(&key);
        match self.written.get_mut(&hash(&key)) {
            Some(written) if write.is_there => written.content = None,
            // Nobody knows whether there is one, or whose.
            _ => drop(self.written.remove(&hash(&key))),
        }
        if self.held.contains_key(&key) || now.duration_since(write.since) > LIFETIME {
            return;
        }
        let pause = (RETRY * 2u32.pow(write.attempt.min(10))).min(LONGEST_RETRY);
        write.attempt += 1;
        let content = content(&write.event);
        self.hold(key, Held { write, content, due: now + pause });
    }

    /// Forgets what is of no use any more.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.written.retain(|_, written| now.duration_since(written.at) < LIFETIME);
        self.objects.retain(|_, full| *full > now);
    }

    fn hold(&mut self, key: Key, held: Held) {
        self.due.insert((held.due, key.clone()));
        self.held.insert(key, held);
    }

    fn insert_written(&mut self, key: &Key, content: Option<u64>, at: Instant) {
        if self.written.len() >= WRITTEN_MAX {
            self.sweep(at);
        }
        if self.written.len() < WRITTEN_MAX {
            self.written.insert(hash(key), Written { content, at });
        }
    }

    /// Reserves the next write about an object, and says when that may be done; `None` where it would wait too long.
    fn turn(&mut self, uid: &str, now: Instant) -> Option<Instant> {
        let full = self.objects.get(uid).copied().unwrap_or(now).max(now) + OBJECT_PAUSE;
        let turn = full.checked_sub(OBJECT_PAUSE * OBJECT_BURST).unwrap_or(now).max(now);
        (turn <= now + OBJECT_PATIENCE).then(|| {
            self.objects.insert(uid.to_owned(), full);
            turn
        })
    }
}

/// What an event says, its metadata aside.
fn content(event: &Event) -> u64 {
    let mut said = Event { metadata: ObjectMeta::default(), ..event.clone() };
    normalize(&mut said);
    hash(&serde_json::to_string(&said).unwrap_or_default())
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
