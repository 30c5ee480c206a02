//! What the control plane says of objects in texts for people, such as the messages of events, told in local names.

use std::borrow::Cow;

use crate::origin::{Form, Hashed};

/// Puts local names in the place of remote ones in a text about objects of `namespace`.
///
/// `name` tells what a remote name, of an object or of a connection secret, is called in that namespace; what it does not know
/// stays as it is. The claim namespace becomes `namespace` only where it is one: before `/` and a name that is told, and behind the
/// word `namespace`. It may be called like anything.
pub fn localize<'t>(
    scheme: &Hashed,
    namespace: &str,
    text: &'t str,
    name: impl Fn(&str) -> Option<String>,
) -> Cow<'t, str> {
    let told = |word: &str| if is_remote_name(scheme, word) { name(word) } else { None };
    let mut out = String::new();
    // How much of the text is in `out`.
    let mut done = 0;
    let mut at = 0;
    while let Some((start, end)) = word(text, at) {
        at = end;
        let local = match &text[start..end] {
            found if found == scheme.claim_namespace => {
                let before = text[..start].trim_end_matches(['"', '\'', '(', ':', ' ']);
                let is_namespace = ["namespace", "namespaces"].iter().any(|word| ends_with_word(before, word));
                let is_before_name = || {
                    let next = text[end..].strip_prefix('/').and_then(|_| word(text, end + 1));
                    next.is_some_and(|(first, last)| first == end + 1 && told(&text[first..last]).is_some())
                };
                (is_namespace || is_before_name()).then(|| namespace.to_owned())
            }
            found => told(found),
        };
        if let Some(local) = local {
            out.push_str(&text[done..start]);
            out.push_str(&local);
            done = end;
        }
    }
    if done == 0 {
        return text.into();
    }
    out.push_str(&text[done..]);
    out.into()
}

/// The next word from `at` on, as names are words: where it begins and ends. A dot at either end is no part of it.
fn word(text: &str, at: usize) -> Option<(usize, usize)> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let start = at + text[at..].find(|c: char| c.is_ascii_alphanumeric() || c == '-')?;
    let end = text[start..].find(|c: char| !inner(c)).map_or(text.len(), |len| start + len);
    Some((start, start + text[start..end].trim_end_matches('.').len()))
}

fn is_remote_name(scheme: &Hashed, word: &str) -> bool {
    [Form::Claim, Form::NamespacedComposite].iter().any(|form| scheme.remote_names(*form, word) == [word])
}

fn ends_with_word(text: &str, word: &str) -> bool {
    text.strip_suffix(word).is_some_and(|before| !before.ends_with(|c: char| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DB: &str = "claim-0123456789abcdef";
    const OTHER: &str = "nxr-fedcba9876543210";

    fn localized(text: &str) -> String {
        let scheme = Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".into() };
        let name = |remote: &str| (remote == DB).then(|| "db".to_owned());
        localize(&scheme, "team", text, name).into_owned()
    }

    #[test]
    fn names_are_told_where_they_are_words() {
        for (text, local) in [
            (DB.to_owned(), "db"),
            (format!("cannot bind \"{DB}\" (claims/{DB})."), "cannot bind \"db\" (team/db)."),
            (format!("KubernetesCluster/{DB}: ({DB}), {DB}'s {DB}."), "KubernetesCluster/db: (db), db's db."),
            (format!("größer als {DB} … ✓"), "größer als db … ✓"),
        ] {
            assert_eq!(localized(&text), local);
        }
    }

    #[test]
    fn what_is_no_name_or_nobody_knows_stays() {
        for text in [
            String::new(),
            "Successfully bound composite resource".into(),
            // The composite of a claim is called so, and nothing else.
            format!("XKubernetesCluster {DB}-gr7rt"),
            format!("x{DB} {DB}0 {DB}.example.org"),
            format!("bound to claims/{OTHER}"),
        ] {
            assert_eq!(localized(&text), text);
        }
    }

    #[test]
    fn the_claim_namespace_is_told_only_where_it_is_one() {
        for (text, local) in [
            ("secrets \"x\" not found in namespace \"claims\"", "secrets \"x\" not found in namespace \"team\""),
            ("namespaces \"claims\" not found", "namespaces \"team\" not found"),
            ("namespace: claims", "namespace: team"),
            (
                "no other claims, see claims/1 in mynamespace claims",
                "no other claims, see claims/1 in mynamespace claims",
            ),
            ("Composed resource \"claims\" is not yet ready", "Composed resource \"claims\" is not yet ready"),
        ] {
            assert_eq!(localized(text), local);
        }
    }

    proptest! {
        /// Whatever stands around them, only names change: told backwards, the text is what it was.
        #[test]
        fn all_else_stays(parts in prop::collection::vec("[ -~é…]{0,12}|claims|claims/|claim-0123456789abcdef|namespace ", 0..8)) {
            let text = parts.concat();
            let scheme = Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".into() };
            let name = |remote: &str| (remote == DB).then(|| "\u{1}".to_owned());
            let local = localize(&scheme, "\u{2}", &text, name);
            prop_assert_eq!(local.replace('\u{1}', DB).replace('\u{2}', "claims"), text);
        }
    }
}
