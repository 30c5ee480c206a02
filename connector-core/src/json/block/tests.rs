//! Every path of this processor against the naive twin.

use proptest::prelude::*;

use super::naive::compare;

/// What begins or ends something is as frequent as what does not.
const BYTES: &[u8] = b"{}[]{}[]\"\"\\\\a:, \xc3\x7b\x5b\x02\xdb\xfd";

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(prop::sample::select(BYTES), 0..400), size in 1..200_usize, limit in 1..20_u32) {
        compare(&bytes, size, limit);
        compare(&bytes, bytes.len().max(1), u32::MAX);
    }

    /// Runs of one byte cross the borders of blocks.
    #[test]
    fn runs(runs in prop::collection::vec((prop::sample::select(BYTES), 1..100_usize), 1..12), size in 1..200_usize) {
        let bytes: Vec<u8> = runs.into_iter().flat_map(|(byte, times)| std::iter::repeat_n(byte, times)).collect();
        compare(&bytes, size, 50);
    }
}

#[test]
fn all_that_the_processor_has_is_compared() {
    let ways: Vec<_> = super::Way::all().collect();
    assert!(ways.len() > usize::from(cfg!(target_arch = "x86_64")), "{ways:?}");
}
