//! What is to be looked at: each thing once, and never twice at the same time.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::jitter;

/// How soon a thing that failed is looked at again; each time twice that, up to [`LONGEST_RETRY`].
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// A queue of keys. What is queued again while it is worked at comes back when that is done.
pub(super) struct Queue<K> {
    ready: VecDeque<K>,
    queued: HashSet<K>,
    /// Sorted by when it is due; one entry for each key.
    delayed: BTreeSet<(Instant, K)>,
    due: HashMap<K, Instant>,
    working: HashSet<K>,
    again: HashSet<K>,
    failures: HashMap<K, u32>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            queued: HashSet::new(),
            delayed: BTreeSet::new(),
            due: HashMap::new(),
            working: HashSet::new(),
            again: HashSet::new(),
            failures: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// To be looked at now.
    pub(super) fn add(&mut self, key: K) {
        if self.working.contains(&key) {
            self.again.insert(key);
            return;
        }
        if let Some(due) = self.due.remove(&key) {
            self.delayed.remove(&(due, key.clone()));
        }
        if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// To be looked at later, unless it is to be sooner.
    pub(super) fn add_after(&mut self, key: K, delay: Duration) {
        let due = Instant::now() + delay;
        if self.queued.contains(&key) || self.due.get(&key).is_some_and(|sooner| *sooner <= due) {
            return;
        }
        if let Some(later) = self.due.insert(key.clone(), due) {
            self.delayed.remove(&(later, key.clone()));
        }
        self.delayed.insert((due, key));
    }

    /// The work at it failed: to be looked at again, later each time. Gives how often it failed since it went well.
    pub(super) fn retry(&mut self, key: K) -> u32 {
        let failures = self.failures.entry(key.clone()).or_default();
        let delay = RETRY.saturating_mul(1 << (*failures).min(6)).min(LONGEST_RETRY);
        *failures = failures.saturating_add(1);
        let failures = *failures;
        self.add_after(key, jitter::around(delay));
        failures
    }

    /// The next to work at; [`Self::done`] must follow.
    pub(super) fn take(&mut self) -> Option<K> {
        let now = Instant::now();
        while self.delayed.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.delayed.pop_first() else { break };
            self.due.remove(&key);
            self.add(key);
        }
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        self.working.insert(key.clone());
        Some(key)
    }

    /// Nobody works at it any more.
    pub(super) fn done(&mut self, key: &K) {
        self.working.remove(key);
        if self.again.remove(key) {
            self.add(key.clone());
        }
    }

    /// It went well: the next failure is the first.
    pub(super) fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }

    /// When [`Self::take`] is worth calling again; `None` while nothing is delayed.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, _)| *due)
    }
}

/// Waits for a moment; for ever where there is none.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_worked_at_once_at_a_time() {
        let mut queue = Queue::default();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!((queue.take(), queue.take(), queue.take()), (Some("a"), Some("b"), None));
        queue.add("a");
        assert_eq!(queue.take(), None, "somebody works at it");
        queue.done(&"b");
        queue.done(&"a");
        assert_eq!((queue.take(), queue.take()), (Some("a"), None));
    }

    #[test]
    fn what_is_due_sooner_counts() {
        let mut queue = Queue::default();
        queue.add_after("a", Duration::from_secs(60));
        queue.add_after("a", Duration::from_secs(30));
        queue.add_after("a", Duration::from_secs(90));
        assert!(queue.next_due().unwrap() <= Instant::now() + Duration::from_secs(30));
        assert_eq!((queue.take(), queue.delayed.len()), (None, 1));
        queue.add("a");
        assert_eq!((queue.take(), queue.next_due()), (Some("a"), None));
        queue.add_after("b", Duration::ZERO);
        assert_eq!(queue.take(), Some("b"));
    }

    #[test]
    fn failures_come_back_later_each_time() {
        let mut queue = Queue::default();
        let mut delay = || {
            queue.retry("a");
            let due = queue.next_due().unwrap() - Instant::now();
            queue.add("a");
            queue.take();
            queue.done(&"a");
            due
        };
        assert!(delay() < Duration::from_millis(1300));
        assert!(delay() > Duration::from_millis(1400));
        for _ in 0..80 {
            delay();
        }
        assert!((Duration::from_secs(44)..Duration::from_secs(76)).contains(&delay()));
        queue.forget(&"a");
        queue.retry("a");
        assert!(queue.next_due().unwrap() < Instant::now() + Duration::from_millis(1300));
    }
}
