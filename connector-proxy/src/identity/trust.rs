//! What the front authenticates by, read from the app cluster and kept fresh.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::watcher;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use thiserror::Error;
use tracing::{error, info, warn};

use crate::chain::Chain;
use crate::telemetry::Metrics;

/// Where kube-apiserver publishes what aggregated servers authenticate it by (wire rule 9.1).
const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
const CA: &str = "requestheader-client-ca-file";

/// What the front shows to prove itself, and the headers in which it passes the user.
#[derive(Debug)]
pub(crate) struct FrontProxyTrust {
    /// Verifies a chain up to the request-header CA, for client authentication. `None` trusts nobody.
    pub(crate) verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Common names that the front's certificate may have; empty allows any.
    pub(crate) allowed_names: Vec<String>,
    pub(crate) username_headers: Vec<String>,
    pub(crate) uid_headers: Vec<String>,
    pub(crate) group_headers: Vec<String>,
    /// Lower-case prefixes.
    pub(crate) extra_prefixes: Vec<String>,
}

/// The ConfigMap does not say how to authenticate the front. Its kube-apiserver's configuration is at fault.
#[derive(Debug, Error)]
pub(crate) enum TrustError {
    #[error(
        "it has no requestheader-client-ca-file: start the app cluster's kube-apiserver with --requestheader-client-ca-file"
    )]
    NoCa,
    #[error("its requestheader-client-ca-file holds no certificate that can be used")]
    UnusableCa(#[source] Option<rustls::server::VerifierBuilderError>),
    #[error("its key {key} is not a JSON array of strings")]
    NotAList { key: &'static str, source: serde_json::Error },
}

impl FrontProxyTrust {
    fn from_config_map(map: &ConfigMap) -> Result<Self, TrustError> {
        let get = |key: &str| map.data.as_ref().and_then(|data| data.get(key)).map(String::as_str);
        let list = |key: &'static str| -> Result<Vec<String>, TrustError> {
            match get(key) {
                None | Some("") => Ok(Vec::new()),
                Some(json) => serde_json::from_str(json).map_err(|source| TrustError::NotAList { key, source }),
            }
        };
        Ok(Self {
            verifier: Some(verifier(get(CA).ok_or(TrustError::NoCa)?)?),
            allowed_names: list("requestheader-allowed-names")?,
            username_headers: list("requestheader-username-headers")?,
            uid_headers: list("requestheader-uid-headers")?,
            group_headers: list("requestheader-group-headers")?,
            extra_prefixes: list("requestheader-extra-headers-prefix")?
                .into_iter()
                .map(|prefix| prefix.to_ascii_lowercase())
                .collect(),
        })
    }
}

/// A verifier of client certificates by the CAs in `pem`; there may be several (wire rule 9.1).
pub(super) fn verifier(pem: &str) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(TrustError::UnusableCa(None));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    built.map_err(|error| TrustError::UnusableCa(Some(error)))
}

/// When the CA that lasts longest ends, in seconds since 1970.
fn last_end(map: &ConfigMap) -> Option<i64> {
    let pem = map.data.as_ref()?.get(CA)?;
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
    let ends = certificates.filter_map(|der| {
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
        Some(certificate.validity().not_after.timestamp())
    });
    ends.max()
}

/// The trust in force. Empty until it is first read; kept when the app cluster's API is away.
pub(crate) struct TrustSource(ArcSwapOption<FrontProxyTrust>);

impl TrustSource {
    pub(crate) fn new() -> Self {
        Self(ArcSwapOption::empty())
    }

    pub(crate) fn current(&self) -> Option<Arc<FrontProxyTrust>> {
        self.0.load_full()
    }

    /// Follows the ConfigMap, so that a rotated CA is trusted at once; says that the connector is ready when it is first
    /// read. Never returns.
    pub(crate) async fn follow(&self, app_cluster: kube::Client, metrics: &Metrics) {
        let api = Api::<ConfigMap>::namespaced(app_cluster, NAMESPACE);
        let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let mut events = std::pin::pin!(crate::watch::with_backoff(watcher(api, config)));
        let mut complained = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Apply(map) | watcher::Event::InitApply(map)) => {
                    complained = false;
                    self.take(&map, metrics);
                }
                Ok(_) => {}
                Err(error) if !complained => {
                    complained = true;
                    warn!(
                        error = %Chain(&error),
                        "cannot read ConfigMap {NAMESPACE}/{NAME}; requests are refused until it was read once. If this \
                         is about rights, bind Role extension-apiserver-authentication-reader in {NAMESPACE}"
                    );
                }
                Err(_) => {}
            }
        }
    }

    fn take(&self, map: &ConfigMap, metrics: &Metrics) {
        match FrontProxyTrust::from_config_map(map) {
            Ok(trust) => {
                info!(allowed_names = ?trust.allowed_names, "the front-proxy CA was read: the front can authenticate");
                self.0.store(Some(Arc::new(trust)));
                metrics.set_trusting();
                metrics.certificate_ends("front-proxy-ca", last_end(map));
            }
            Err(error) => error!(
                error = %Chain(&error),
                "ConfigMap {NAMESPACE}/{NAME} cannot be used; what was trusted before stays so"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> ConfigMap {
        let data = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ConfigMap { data: Some(data), ..ConfigMap::default() }
    }

    #[test]
    fn a_config_map_without_a_ca_trusts_nobody() {
        assert!(matches!(FrontProxyTrust::from_config_map(&map(&[])), Err(TrustError::NoCa)));
        let junk = map(&[("requestheader-client-ca-file", "junk")]);
        assert!(matches!(FrontProxyTrust::from_config_map(&junk), Err(TrustError::UnusableCa(_))));
    }

    /// Wire rule 9.1: every value but the CAs is a JSON array of strings.
    #[test]
    fn lists_are_json() {
        let params = rcgen::CertificateParams::default();
        let pem = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
        // rcgen's own default is far away.
        assert!(last_end(&map(&[(CA, &pem)])).is_some_and(|ends| ends > 32_000_000_000));
        let read = FrontProxyTrust::from_config_map(&map(&[
            (CA, &pem),
            ("requestheader-allowed-names", r#"["front"]"#),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
        ]))
        .unwrap();
        assert_eq!(read.allowed_names, ["front"]);
        assert_eq!(read.extra_prefixes, ["x-remote-extra-"]);
        assert!(read.group_headers.is_empty());
        let bad = map(&[("requestheader-client-ca-file", &pem), ("requestheader-allowed-names", "front")]);
        assert!(matches!(FrontProxyTrust::from_config_map(&bad), Err(TrustError::NotAList { .. })));
    }
}
