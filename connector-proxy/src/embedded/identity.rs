//! Who asks.

use connector_core::status::Status;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// An authenticated user.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
}

impl Identity {
    fn new(user: &str, groups: &[&str]) -> Self {
        Self { user: user.to_owned(), groups: groups.iter().map(|group| (*group).to_owned()).collect() }
    }

    /// The one user of a cluster, who may do everything.
    pub(crate) fn admin() -> Self {
        Self::new("kubernetes-admin", &["system:masters", "system:authenticated"])
    }

    /// The namespace controller, as which the contents of namespaces are deleted.
    pub(crate) fn namespace_controller() -> Self {
        let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
        Self::new("system:serviceaccount:kube-system:namespace-controller", &groups)
    }

    /// The aggregation layer, when it probes and discovers (wire rule 2.1).
    pub(crate) fn aggregator() -> Self {
        Self::new("system:kube-aggregator", &["system:masters"])
    }

    /// The user of a request: whoever bears the token. There is no anonymous access, not even to health.
    pub(crate) fn of(headers: &HeaderMap, token: &str) -> Result<Self, Status> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match bearer.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(given) if given == token => Ok(Self::admin()),
            _ => Err(Status::unauthorized()),
        }
    }
}
