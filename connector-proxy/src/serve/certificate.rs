//! The serving certificate: generated or brought by the user, renewed while the connector runs.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::watch;
use tracing::{info, warn};

use super::authority::{Authority, BACKDATED, shared_authority, ungenerated};
use crate::chain::Chain;
use crate::config::{ServiceReference, TlsFiles};
use crate::credential::certificate_end;
use crate::identity::AnyClientCertificate;
use crate::owner::Owner;
use crate::telemetry::Metrics;

/// When a generated leaf is renewed.
const LEAF_RENEWAL: time::Duration = time::Duration::days(60);
/// How long leaves of the former CA are served after another one took its place: until every replica has seen the new CA, it was
/// written into the APIServices, and kube-apiserver goes by them. Only then may it meet a leaf of the new one.
const OVERLAP: time::Duration = time::Duration::seconds(60);
/// How often files, and the Secret that replicas share, are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// A serving certificate in force.
pub(crate) struct Serving {
    pub(crate) tls: Arc<ServerConfig>,
    /// What the front verifies it by, in PEM: the APIServices' `caBundle`. `None` where the front's system roots do.
    pub(crate) ca_bundle: Option<String>,
    /// When the leaf ends, in seconds since 1970.
    leaf_ends: Option<i64>,
    /// The same of its CA, where that is known.
    ca_ends: Option<i64>,
}

impl Serving {
    fn tell(&self, metrics: &Metrics) {
        metrics.certificate_ends("serving", self.leaf_ends);
        metrics.certificate_ends("serving-ca", self.ca_ends);
    }
}

/// There is no certificate to serve with.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file that the user brought cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// What reading it failed with.
        source: std::io::Error,
    },
    /// The user's certificate and key cannot be used: they do not parse, or do not belong together.
    #[error("the certificate and key of --tls-cert-file and --tls-key-file cannot be used: {0}")]
    Unusable(String),
    /// No certificate can be generated. The connector is at fault.
    #[error("a serving certificate cannot be generated: {0}")]
    Ungenerated(String),
    /// The Secret that replicas share the CA through cannot be read or written.
    #[error(
        "cannot share the serving CA through Secret {namespace}/{name}: grant get, create and update on it, or bring a \
         certificate with --tls-cert-file and --tls-key-file"
    )]
    Secret {
        /// The Secret's namespace.
        namespace: String,
        /// The Secret's name.
        name: String,
        /// What the app cluster's API said.
        source: Box<kube::Error>,
    },
}

/// Where the serving certificate comes from.
pub(crate) enum Source {
    Files(TlsFiles),
    Generated { secrets: Box<Api<Secret>>, service: ServiceReference, owner: Arc<Owner> },
}

/// The serving certificate, kept fresh.
pub(crate) struct CertificateSource {
    source: Source,
    current: watch::Sender<Arc<Serving>>,
    /// What `current` was made of, so that it is made anew only when that changes.
    made_of: Made,
    metrics: Arc<Metrics>,
}

#[derive(PartialEq)]
enum Made {
    Files(Vec<Vec<u8>>),
    Generated { authority: Authority, renew_at: OffsetDateTime },
}

impl CertificateSource {
    /// Reads or generates the first certificate.
    pub(crate) async fn open(source: Source, metrics: Arc<Metrics>) -> Result<Self, CertificateError> {
        let (made_of, serving) = source.make().await?;
        serving.tell(&metrics);
        Ok(Self { source, current: watch::Sender::new(Arc::new(serving)), made_of, metrics })
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Serving>> {
        self.current.subscribe()
    }

    /// Renews what expires and takes what changed. What cannot be used is reported, and the former certificate stays in
    /// force. Never returns.
    pub(crate) async fn keep_fresh(mut self) {
        let mut complained = false;
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            match self.refresh().await {
                Ok(()) => complained = false,
                Err(error) if !complained => {
                    complained = true;
                    warn!(error = %Chain(&error), "the former serving certificate stays in force");
                }
                Err(_) => {}
            }
        }
    }

    async fn refresh(&mut self) -> Result<(), CertificateError> {
        let (made_of, serving) = match (&self.source, &self.made_of) {
            (Source::Files(files), Made::Files(contents)) => {
                if read_files(files)? == *contents {
                    return Ok(());
                }
                self.source.make().await?
            }
            (Source::Generated { secrets, service, owner }, Made::Generated { authority, renew_at }) => {
                let shared = shared_authority(secrets, service, owner, Some(authority)).await?;
                let now = OffsetDateTime::now_utc();
                let is_good = is_good(*renew_at, now);
                if shared == *authority && is_good {
                    return Ok(());
                }
                if is_good && shared.bundle.contains(&authority.certificate) {
                    info!("the serving CA has changed: its former leaf is served a little longer");
                    let renew_at = (now + OVERLAP).min(*renew_at);
                    let ca_bundle = Some(shared.bundle.clone());
                    let (tls, leaf_ends) = {
                        let current = self.current.borrow();
                        (current.tls.clone(), current.leaf_ends)
                    };
                    let ca_ends = certificate_end(shared.certificate.as_bytes());
                    (Made::Generated { authority: shared, renew_at }, Serving { tls, ca_bundle, leaf_ends, ca_ends })
                } else {
                    generated(shared, service)?
                }
            }
            _ => self.source.make().await?,
        };
        self.made_of = made_of;
        serving.tell(&self.metrics);
        self.current.send_replace(Arc::new(serving));
        info!("the serving certificate was read anew");
        Ok(())
    }
}

impl Source {
    async fn make(&self) -> Result<(Made, Serving), CertificateError> {
        match self {
            Self::Files(files) => {
                let contents = read_files(files)?;
                let [certificate, key, ca @ ..] = &*contents else { unreachable!("two files are always read") };
                let tls = server_config(certificate, key)?;
                let ca_bundle = ca.first().map(|pem| String::from_utf8_lossy(pem).into_owned());
                if ca_bundle.is_none() {
                    warn!("no --tls-ca-file: the app cluster's kube-apiserver must trust the certificate by itself");
                }
                let leaf_ends = certificate_end(certificate);
                let ca_ends = ca.first().and_then(|pem| certificate_end(pem));
                Ok((Made::Files(contents), Serving { tls, ca_bundle, leaf_ends, ca_ends }))
            }
            Self::Generated { secrets, service, owner } => {
                generated(shared_authority(secrets, service, owner, None).await?, service)
            }
        }
    }
}

/// Whether a leaf that is to be renewed then can be served on. One that is good for longer than a new one would be was made by a clock
/// that was ahead: for others it begins in the future.
fn is_good(renew_at: OffsetDateTime, now: OffsetDateTime) -> bool {
    now < renew_at && renew_at <= now + LEAF_RENEWAL + BACKDATED
}

fn unusable(error: impl std::fmt::Display) -> CertificateError {
    CertificateError::Unusable(error.to_string())
}

fn read_files(files: &TlsFiles) -> Result<Vec<Vec<u8>>, CertificateError> {
    [Some(&files.certificate), Some(&files.key), files.ca.as_ref()]
        .into_iter()
        .flatten()
        .map(|path| {
            std::fs::read(path).map_err(|source| CertificateError::Read { path: path.display().to_string(), source })
        })
        .collect()
}

pub(super) fn server_config(certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, CertificateError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().map_err(unusable)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(unusable)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_client_cert_verifier(Arc::new(AnyClientCertificate(provider)))
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    // The front takes h2 where it can and needs http/1.1 for upgrades (wire rules 1.12, 1.16).
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Makes a leaf of this CA to be served.
fn generated(authority: Authority, service: &ServiceReference) -> Result<(Made, Serving), CertificateError> {
    let (certificate, key) = authority.issue(service).map_err(ungenerated)?;
    let tls = server_config(certificate.as_bytes(), key.as_bytes())?;
    let renew_at = OffsetDateTime::now_utc() + LEAF_RENEWAL;
    let ca_bundle = Some(authority.bundle.clone());
    let leaf_ends = certificate_end(certificate.as_bytes());
    let ca_ends = certificate_end(authority.certificate.as_bytes());
    Ok((Made::Generated { authority, renew_at }, Serving { tls, ca_bundle, leaf_ends, ca_ends }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node may start before it knows the time.
    #[test]
    fn a_leaf_that_a_clock_that_was_ahead_made_is_made_anew() {
        let now = OffsetDateTime::now_utc();
        let renewed_in = |ahead: time::Duration| is_good(now + ahead + LEAF_RENEWAL, now);
        assert!(!renewed_in(time::Duration::days(2)));
        assert!(renewed_in(BACKDATED / 2) && renewed_in(time::Duration::ZERO) && renewed_in(-LEAF_RENEWAL / 2));
        assert!(!renewed_in(-LEAF_RENEWAL));
    }
}
