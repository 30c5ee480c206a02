//! When what the connector lives by runs out.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// A certificate that somebody trusts the connector by, or it somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// The one that the front is shown.
    Serving,
    /// The CA that the front verifies that one by.
    ServingCa,
    /// The CA by which the front authenticates: of several the one that ends last.
    FrontProxyCa,
    /// The CA by which the control plane is verified: of several the one that ends last.
    ControlPlaneCa,
}

impl Certificate {
    fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::ServingCa => "serving_ca",
            Self::FrontProxyCa => "front_proxy_ca",
            Self::ControlPlaneCa => "control_plane_ca",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CertificateLabels {
    certificate: &'static str,
}

/// No labels: a family of them is a gauge that may be absent.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NoLabels {}

/// All in seconds since 1970; absent while it is not known, or there is no end.
#[derive(Default)]
pub(crate) struct ExpiryMetrics {
    credential: Family<NoLabels, Gauge>,
    certificates: Family<CertificateLabels, Gauge>,
}

impl ExpiryMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
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

    /// The credential in the control plane's kubeconfig ends `at` these seconds since 1970; `None` where it does not tell.
    pub(crate) fn credential(&self, at: Option<i64>) {
        set(&self.credential, &NoLabels {}, at);
    }

    /// A certificate ends `at` these seconds since 1970; `None` where there is none.
    pub(crate) fn certificate(&self, certificate: Certificate, at: Option<i64>) {
        set(&self.certificates, &CertificateLabels { certificate: certificate.as_str() }, at);
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
