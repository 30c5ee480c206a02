//! When what the connector lives by runs out.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CertificateLabels {
    /// `serving`, `serving-ca`, `control-plane-client` or `front-proxy-ca`.
    certificate: &'static str,
}

/// No labels: a family of them is a gauge that may be absent.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NoLabels {}

/// All in seconds since 1970; absent while it is not known, or there is no end.
#[derive(Default)]
pub(super) struct ExpiryMetrics {
    issued: Family<NoLabels, Gauge>,
    credential: Family<NoLabels, Gauge>,
    certificates: Family<CertificateLabels, Gauge>,
}

impl ExpiryMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register_with_unit(
            "credential_issued_timestamp",
            "When the credential for the control plane was issued, in seconds since 1970; absent where that cannot be read",
            Unit::Seconds,
            metrics.issued.clone(),
        );
        registry.register_with_unit(
            "credential_expiry_timestamp",
            "When the credential for the control plane ends, in seconds since 1970; absent where it has no end that can be read",
            Unit::Seconds,
            metrics.credential.clone(),
        );
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When a certificate ends, in seconds since 1970; of several CAs the one that ends last",
            Unit::Seconds,
            metrics.certificates.clone(),
        );
        metrics
    }

    pub(super) fn credential(&self, from: Option<i64>, until: Option<i64>) {
        set(&self.issued, &NoLabels {}, from);
        set(&self.credential, &NoLabels {}, until);
    }

    pub(super) fn certificate(&self, certificate: &'static str, at: Option<i64>) {
        set(&self.certificates, &CertificateLabels { certificate }, at);
    }
}

fn set<L>(family: &Family<L, Gauge>, labels: &L, at: Option<i64>)
where
    L: Clone + std::hash::Hash + Eq,
{
    match at {
        Some(at) => {
            family.get_or_create(labels).set(at);
        }
        None => {
            family.remove(labels);
        }
    }
}
