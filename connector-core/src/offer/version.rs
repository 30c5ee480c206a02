//! The order in which Kubernetes prefers versions.

use std::cmp::Reverse;

/// A key that sorts the preferred version first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Preference<'a> {
    /// `v1`, `v2beta3`: stage, major and minor number, the highest of each first.
    Kubernetes(Reverse<(Stage, u64, u64)>, &'a str),
    /// Anything else, by alphabet.
    Other(&'a str),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Alpha,
    Beta,
    General,
}

pub(super) fn preference(version: &str) -> Preference<'_> {
    match parse(version) {
        // The text itself makes the order total: `v1` and `v01` are the same number.
        Some(numbers) => Preference::Kubernetes(Reverse(numbers), version),
        None => Preference::Other(version),
    }
}

fn parse(version: &str) -> Option<(Stage, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let (major, rest) = number(rest)?;
    if rest.is_empty() {
        return Some((Stage::General, major, 0));
    }
    let (stage, rest) = match (rest.strip_prefix("alpha"), rest.strip_prefix("beta")) {
        (Some(rest), _) => (Stage::Alpha, rest),
        (None, Some(rest)) => (Stage::Beta, rest),
        (None, None) => return None,
    };
    let (minor, rest) = number(rest)?;
    rest.is_empty().then_some((stage, major, minor))
}

/// The decimal number at the start, and what follows it.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}
