//! APIs that are offered and not there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use connector_core::discovery::SelectError;
use connector_core::offer::{GroupVersion, Offers};

/// How long the control plane must say, being asked again and again, that it does not serve what it offers, until that is taken
/// for the truth. An XRD that cannot end its deletion is such a case. Much longer than a control plane needs to start: what
/// is taken for gone is not found, and controllers act on that (wire rule 3.5).
const PATIENCE: Duration = Duration::from_secs(120);

/// Since when the control plane says of which APIs that they are not there.
#[derive(Default)]
pub(super) struct Absences(BTreeMap<(GroupVersion, String), Instant>);

impl Absences {
    /// Takes note of what a selection missed; returns those of it that are gone for good, by plural.
    pub(super) fn note(&mut self, gv: &GroupVersion, offers: &Offers, error: &SelectError) -> Vec<String> {
        let missing: Vec<String> = match error {
            SelectError::Missing { plural, .. } => vec![plural.clone()],
            SelectError::Absent => {
                offers.in_group_version(&gv.group, &gv.version).map(|offered| offered.plural.clone()).collect()
            }
            SelectError::Stale | SelectError::Invalid(_) => Vec::new(),
        };
        for plural in &missing {
            self.0.entry((gv.clone(), plural.clone())).or_insert_with(Instant::now);
        }
        missing.into_iter().filter(|plural| self.is_gone(gv, plural)).collect()
    }

    /// Everything offered in a group and version is there.
    pub(super) fn forget(&mut self, gv: &GroupVersion) {
        self.0.retain(|(absent, _), _| absent != gv);
    }

    /// Whether an API has been missing so long that it is taken for gone.
    pub(super) fn is_gone(&self, gv: &GroupVersion, plural: &str) -> bool {
        self.0.get(&(gv.clone(), plural.to_owned())).is_some_and(|since| since.elapsed() > PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use connector_core::offer::Offered;
    use connector_core::origin::Form;

    use super::*;

    fn offers() -> Offers {
        let offered = |plural: &str| Offered {
            group: "g.org".into(),
            plural: plural.into(),
            singular: plural.into(),
            kind: "Kind".into(),
            list_kind: "KindList".into(),
            form: Form::Claim,
            versions: vec!["v1".into()],
        };
        [offered("ones"), offered("twos")].into_iter().collect()
    }

    #[test]
    fn what_is_missing_for_long_is_gone() {
        let gv = GroupVersion::new("g.org", "v1");
        let missing = SelectError::Missing { plural: "ones".into(), kind: "Kind".into() };
        let mut absences = Absences::default();
        assert!(absences.note(&gv, &offers(), &missing).is_empty(), "it may come yet");
        let long_ago = Instant::now().checked_sub(PATIENCE * 2).expect("the clock has run for some minutes");
        absences.0.insert((gv.clone(), "ones".into()), long_ago);
        assert_eq!(absences.note(&gv, &offers(), &missing), ["ones"]);
        assert_eq!(absences.note(&gv, &offers(), &SelectError::Absent), ["ones"], "the other is missing only now");
        assert!(absences.is_gone(&gv, "ones") && !absences.is_gone(&gv, "twos"));
        absences.forget(&gv);
        assert!(!absences.is_gone(&gv, "ones"), "it is back");
    }

    #[test]
    fn a_stale_document_says_nothing() {
        let gv = GroupVersion::new("g.org", "v1");
        let mut absences = Absences::default();
        assert!(absences.note(&gv, &offers(), &SelectError::Stale).is_empty());
        assert!(absences.0.is_empty());
    }
}
