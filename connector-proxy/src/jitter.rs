//! Chance in time, so that a thousand connectors that lost the same control plane, or saw the same change, do not all come at once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// `duration`, give or take a quarter.
pub(crate) fn around(duration: Duration) -> Duration {
    duration.mul_f64(0.75 + chance() / 2.0)
}

/// Anything from nothing to `duration`.
pub(crate) fn up_to(duration: Duration) -> Duration {
    duration.mul_f64(chance())
}

/// From 0 to below 1. Every hasher of the standard library begins with other keys: no more is needed here.
fn chance() -> f64 {
    (RandomState::new().build_hasher().finish() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_spread_over_the_whole_range() {
        let second = Duration::from_secs(1);
        let tries = 1000;
        let early = (0..tries).filter(|_| up_to(second) < second / 2).count();
        assert!((tries / 4..tries * 3 / 4).contains(&early), "{early} of {tries}");
        for _ in 0..tries {
            assert!(up_to(second) < second);
            assert!((second * 3 / 4..second * 5 / 4).contains(&around(second)));
        }
    }
}
