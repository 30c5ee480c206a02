//! The differences that are accepted. Each is told, with its reason, in `docs/differences.md` under the same title.

/// What differs, and where it shows.
pub(crate) struct Known {
    /// The title in `docs/differences.md`.
    pub(crate) title: &'static str,
    /// The places, each as in a report; a `*` at the end stands for anything.
    pub(crate) places: &'static [&'static str],
}

pub(crate) const KNOWN: &[Known] = &[];

/// The known difference that a place shows.
pub(crate) fn find(place: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.places.iter().any(|known| covers(known, place)))
}

pub(crate) fn covers(known: &str, place: &str) -> bool {
    match known.strip_suffix('*') {
        Some(prefix) => place.starts_with(prefix),
        None => known == place,
    }
}

#[test]
fn every_known_difference_is_documented() {
    let documented = include_str!("../../../docs/differences.md");
    for known in KNOWN {
        assert!(documented.contains(&format!("## {}\n", known.title)), "{} is not in docs/differences.md", known.title);
    }
}
