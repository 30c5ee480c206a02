//! Lines that would be written over and over.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a line is not repeated.
const PAUSE: Duration = Duration::from_secs(30);
/// Different lines of one place that are remembered; of more the oldest is forgotten.
const KEPT: usize = 64;

/// Lets the same line pass once in thirty seconds, and counts what it kept back. One for each place in the code.
///
/// Nothing is kept back where the log shows `debug`.
pub(crate) struct Repeated(LazyLock<Lines>);

struct Lines {
    hasher: RandomState,
    told: Mutex<HashMap<u64, Told>>,
}

struct Told {
    at: Instant,
    kept_back: u64,
}

impl Repeated {
    pub(crate) const fn new() -> Self {
        Self(LazyLock::new(|| Lines { hasher: RandomState::new(), told: Mutex::default() }))
    }

    /// How many lines about `what` were kept back since the last one, where this one is to be written; `None` where it is not.
    pub(crate) fn pass(&self, what: &str) -> Option<u64> {
        if tracing::enabled!(tracing::Level::DEBUG) {
            return Some(0);
        }
        self.0.pass(what, Instant::now())
    }
}

impl Lines {
    fn pass(&self, what: &str, now: Instant) -> Option<u64> {
        let key = self.hasher.hash_one(what);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = told.get_mut(&key) {
            if now.saturating_duration_since(last.at) < PAUSE {
                last.kept_back += 1;
                return None;
            }
            last.at = now;
            return Some(std::mem::take(&mut last.kept_back));
        }
        if told.len() >= KEPT
            && let Some(oldest) = told.iter().min_by_key(|(_, told)| told.at).map(|(key, _)| *key)
        {
            told.remove(&oldest);
        }
        told.insert(key, Told { at: now, kept_back: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_told_with_its_number() {
        let lines = Lines { hasher: RandomState::new(), told: Mutex::default() };
        let start = Instant::now();
        assert_eq!(lines.pass("a", start), Some(0));
        assert_eq!((lines.pass("a", start), lines.pass("a", start + PAUSE / 2)), (None, None));
        assert_eq!(lines.pass("b", start), Some(0), "another line");
        assert_eq!(lines.pass("a", start + PAUSE), Some(2));
        assert_eq!(lines.pass("a", start + PAUSE * 3), Some(0));
    }

    #[test]
    fn memory_is_bounded() {
        let lines = Lines { hasher: RandomState::new(), told: Mutex::default() };
        let start = Instant::now();
        for number in 0..10 * KEPT {
            assert_eq!(lines.pass(&number.to_string(), start + Duration::from_millis(number as u64)), Some(0));
        }
        assert_eq!(lines.told.lock().unwrap().len(), KEPT);
    }
}
