//! Which claims use which input secrets.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use connector_core::origin::{Hashed, InputSecret};
use tokio::time::Instant;

use crate::claims::Claim;
use crate::config::Config;

/// What claims may use. Default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The kinds that have input secrets: group and kind.
    pub(crate) kinds: BTreeSet<(String, String)>,
    /// The namespaces whose Secrets every claim may use, beside those of its own.
    pub(crate) namespaces: Vec<String>,
}

impl Policy {
    /// What a configuration allows.
    pub(crate) fn of(config: &Config) -> Self {
        let kinds = config.apis.iter().filter(|api| api.references.refer_to_inputs());
        Self {
            kinds: kinds.map(|api| (api.group.clone(), api.kind.clone())).collect(),
            namespaces: config.input_secrets_from.clone(),
        }
    }

    fn allows(&self, claim: &Claim, secret: &InputSecret) -> bool {
        let is_near = secret.namespace == claim.origin.namespace || self.namespaces.contains(&secret.namespace);
        is_near && self.kinds.contains(&(claim.group.clone(), claim.kind.clone()))
    }
}

/// Who uses what, by the names of the copies.
pub(super) struct Users {
    scheme: Arc<Hashed>,
    policy: Arc<Policy>,
    used: HashMap<String, Used>,
    /// By the UID of the claim.
    uses: HashMap<String, Vec<(String, InputSecret)>>,
    /// Since when a copy has no user.
    unused: HashMap<String, Instant>,
}

struct Used {
    secret: InputSecret,
    claims: BTreeSet<String>,
}

impl Users {
    pub(super) fn new(scheme: Arc<Hashed>, policy: Arc<Policy>) -> Self {
        Self { scheme, policy, used: HashMap::new(), uses: HashMap::new(), unused: HashMap::new() }
    }

    /// Takes note of a claim, `None` where it is gone. Gives the names of the copies of which a user came or went.
    pub(super) fn observe(&mut self, uid: &str, claim: Option<&Claim>) -> Vec<String> {
        let now: Vec<(String, InputSecret)> = claim.map_or_else(Vec::new, |claim| {
            let marks = claim.marks.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let inputs = self.scheme.inputs(marks).filter(|(_, secret)| self.policy.allows(claim, secret));
            inputs.map(|(name, secret)| (name.to_owned(), secret)).collect()
        });
        let before = self.uses.remove(uid).unwrap_or_default();
        let mut changed = Vec::new();
        for (name, _) in before.iter().filter(|used| !now.contains(used)) {
            changed.push(name.clone());
            if let Some(used) = self.used.get_mut(name) {
                used.claims.remove(uid);
                if used.claims.is_empty() {
                    self.used.remove(name);
                    self.unused.insert(name.clone(), Instant::now());
                }
            }
        }
        for (name, secret) in now.iter().filter(|used| !before.contains(used)) {
            changed.push(name.clone());
            self.unused.remove(name);
            let used = || Used { secret: secret.clone(), claims: BTreeSet::new() };
            let used = self.used.entry(name.clone()).or_insert_with(used);
            // Of two that share a hash the first has it.
            if used.secret == *secret {
                used.claims.insert(uid.to_owned());
            }
        }
        if !now.is_empty() {
            self.uses.insert(uid.to_owned(), now);
        }
        changed
    }

    /// The Secret that a copy is of, while somebody uses it.
    pub(super) fn of(&self, name: &str) -> Option<&InputSecret> {
        self.used.get(name).map(|used| &used.secret)
    }

    /// The UIDs of the claims that use a copy.
    pub(super) fn who(&self, name: &str) -> impl Iterator<Item = &str> {
        self.used.get(name).into_iter().flat_map(|used| &used.claims).map(String::as_str)
    }

    /// The copies that somebody uses.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.used.keys()
    }

    /// Whether nobody has used a copy for so long; of one that nobody was seen to use at all the time begins now.
    pub(super) fn is_long_unused(&mut self, name: &str, long: Duration) -> bool {
        let long_unused = self.unused.entry(name.to_owned()).or_insert_with(Instant::now).elapsed() >= long;
        if long_unused {
            self.unused.remove(name);
        }
        long_unused
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use connector_core::origin::{Form, secret_annotation};
    use serde_json::{Map, Value};

    use super::*;

    fn scheme() -> Hashed {
        Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".into() }
    }

    fn secret(namespace: &str, name: &str) -> InputSecret {
        InputSecret { namespace: namespace.into(), name: name.into() }
    }

    fn claim(name: &str, inputs: &[InputSecret]) -> Claim {
        let annotation = |secret: &InputSecret| {
            let name = scheme().input_name(&secret.namespace, &secret.name);
            (secret_annotation(&name), Value::from(secret.to_json()))
        };
        let annotations: Map<String, Value> = inputs.iter().map(annotation).collect();
        Claim::example(&scheme(), Form::Claim, name, &annotations.into())
    }

    fn users(policy: Policy) -> Users {
        Users::new(Arc::new(scheme()), Arc::new(policy))
    }

    #[test]
    fn a_copy_is_used_until_its_last_claim_goes() {
        let kinds = BTreeSet::from([("g.org".to_owned(), "Thing".to_owned())]);
        let mut users = users(Policy { kinds, namespaces: Vec::new() });
        let password = secret("team", "password");
        let name = scheme().input_name("team", "password");
        let (one, other) = (claim("one", from_ref(&password)), claim("other", from_ref(&password)));
        assert_eq!(users.observe("1", Some(&one)), from_ref(&name));
        assert!(users.observe("1", Some(&one)).is_empty(), "nothing new");
        assert_eq!(users.observe("2", Some(&other)), from_ref(&name));
        assert_eq!((users.of(&name), users.who(&name).count()), (Some(&password), 2));
        assert_eq!(users.observe("1", None), from_ref(&name));
        assert!(users.of(&name).is_some());
        assert_eq!(users.observe("2", Some(&claim("other", &[]))), from_ref(&name));
        assert!(users.of(&name).is_none() && !users.is_long_unused(&name, Duration::from_secs(9)));
        assert!(users.is_long_unused(&name, Duration::ZERO));
    }

    #[test]
    fn what_the_configuration_does_not_allow_is_not_copied() {
        let (own, shared) = (secret("team", "password"), secret("shared", "password"));
        let name = |secret: &InputSecret| scheme().input_name(&secret.namespace, &secret.name);
        let claim = claim("one", &[own.clone(), shared]);
        let mut off = users(Policy::default());
        assert!(off.observe("1", Some(&claim)).is_empty(), "of no kind");
        let kinds = BTreeSet::from([("g.org".to_owned(), "Thing".to_owned())]);
        let mut own_only = users(Policy { kinds: kinds.clone(), namespaces: Vec::new() });
        assert_eq!(own_only.observe("1", Some(&claim)), [name(&own)], "whatever the control plane wrote there");
        let mut both = users(Policy { kinds, namespaces: vec!["shared".into()] });
        assert_eq!(both.observe("1", Some(&claim)).len(), 2);
    }
}
