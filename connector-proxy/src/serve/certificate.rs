//! The serving certificate: generated or brought by the user, renewed while the connector runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::chain::Chain;
use crate::config::{ServiceReference, TlsFiles};
use crate::credential::{certificate_end, certificate_validity};
use crate::identity::AnyClientCertificate;
use crate::owner::Owner;
use crate::telemetry::Metrics;

/// How long a generated leaf lasts.
const LEAF_LIFETIME: time::Duration = time::Duration::days(90);
/// When it is renewed.
const LEAF_RENEWAL: time::Duration = time::Duration::days(60);
/// How long a generated CA lasts.
const CA_LIFETIME: time::Duration = time::Duration::days(3650);
/// A CA with less than this left is followed by a new one; both are trusted from then on.
const CA_RENEWAL: time::Duration = time::Duration::days(365);
/// Certificates are valid from a while ago, for clocks that differ.
const BACKDATED: time::Duration = time::Duration::hours(1);
/// How long leaves of the former CA are served after another one took its place: until every replica has seen the new CA, it was
/// written into the APIServices, and kube-apiserver goes by them. Only then may it meet a leaf of the new one.
const OVERLAP: time::Duration = time::Duration::seconds(60);
/// How often files, and the Secret that replicas share, are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

const CERTIFICATE_KEY: &str = "tls.crt";
const PRIVATE_KEY_KEY: &str = "tls.key";
const BUNDLE_KEY: &str = "ca.crt";

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
                    shared.serve(service)?
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
                shared_authority(secrets, service, owner, None).await?.serve(service)
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

fn ungenerated(error: impl std::fmt::Display) -> CertificateError {
    CertificateError::Ungenerated(error.to_string())
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

fn server_config(certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, CertificateError> {
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

/// A CA of ours, in PEM.
#[derive(Clone, PartialEq)]
struct Authority {
    certificate: String,
    key: String,
    /// The certificate, and the one before it while leaves of that may still be served by a replica.
    bundle: String,
}

impl Authority {
    fn generate(former: Option<&Self>, now: OffsetDateTime) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = authority_params();
        (params.not_before, params.not_after) = (now - BACKDATED, now + CA_LIFETIME);
        let certificate = params.self_signed(&key)?.pem();
        let bundle =
            former.map_or_else(|| certificate.clone(), |former| format!("{certificate}{}", former.certificate));
        Ok(Self { certificate, key: key.serialize_pem(), bundle })
    }

    fn from_secret(secret: &Secret) -> Option<Self> {
        let text = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
        let (certificate, key) = (text(CERTIFICATE_KEY)?, text(PRIVATE_KEY_KEY)?);
        KeyPair::from_pem(&key).ok()?;
        let bundle = text(BUNDLE_KEY).unwrap_or_else(|| certificate.clone());
        Some(Self { certificate, key, bundle })
    }

    fn to_data(&self) -> BTreeMap<String, ByteString> {
        let pairs = [(CERTIFICATE_KEY, &self.certificate), (PRIVATE_KEY_KEY, &self.key), (BUNDLE_KEY, &self.bundle)];
        pairs.into_iter().map(|(key, pem)| (key.to_owned(), ByteString(pem.clone().into_bytes()))).collect()
    }

    /// Whether another one has to follow: it ends, or was made by a clock that was ahead, and counts for nobody yet.
    fn is_due(&self) -> bool {
        let now = OffsetDateTime::now_utc();
        let validity = certificate_validity(self.certificate.as_bytes());
        validity
            .is_none_or(|(begins, ends)| begins > now.unix_timestamp() || ends < (now + CA_RENEWAL).unix_timestamp())
    }

    /// Makes a leaf to be served.
    fn serve(self, service: &ServiceReference) -> Result<(Made, Serving), CertificateError> {
        let (certificate, key) = self.issue(service).map_err(ungenerated)?;
        let tls = server_config(certificate.as_bytes(), key.as_bytes())?;
        let renew_at = OffsetDateTime::now_utc() + LEAF_RENEWAL;
        let ca_bundle = Some(self.bundle.clone());
        let leaf_ends = certificate_end(certificate.as_bytes());
        let ca_ends = certificate_end(self.certificate.as_bytes());
        Ok((Made::Generated { authority: self, renew_at }, Serving { tls, ca_bundle, leaf_ends, ca_ends }))
    }

    /// A leaf for the names by which `service` is called, with its key, in PEM.
    fn issue(&self, service: &ServiceReference) -> Result<(String, String), rcgen::Error> {
        let host = service.host();
        let names = [host.clone(), format!("{host}.cluster.local"), format!("{}.{}", service.name, service.namespace)];
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let now = OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = (now - BACKDATED, now + LEAF_LIFETIME);
        let key = KeyPair::generate()?;
        let issuer = Issuer::new(authority_params(), KeyPair::from_pem(&self.key)?);
        Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
    }
}

/// What every CA of ours has in common: an issuer needs to know no more of the stored certificate than this.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "control-plane-connector serving CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// The CA that all replicas share: read from its Secret, made where it is missing, unusable or near its end. Where it is missing and
/// this replica has one `in_force`, that is put back: replicas serve leaves of it.
async fn shared_authority(
    secrets: &Api<Secret>,
    service: &ServiceReference,
    owner: &Owner,
    in_force: Option<&Authority>,
) -> Result<Authority, CertificateError> {
    let name = format!("{}-serving-ca", service.name);
    let failed = |source: kube::Error| CertificateError::Secret {
        namespace: service.namespace.clone(),
        name: name.clone(),
        source: Box::new(source),
    };
    loop {
        let stored = secrets.get_opt(&name).await.map_err(failed)?;
        let read = stored.as_ref().and_then(Authority::from_secret);
        let known = read.as_ref().or(in_force);
        let next = match known.filter(|authority| !authority.is_due()) {
            Some(authority) => authority.clone(),
            None => Authority::generate(known, OffsetDateTime::now_utc()).map_err(ungenerated)?,
        };
        let mut metadata = stored.as_ref().map_or_else(
            || ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            |secret| secret.metadata.clone(),
        );
        if !owner.mark(&mut metadata) && read.as_ref() == Some(&next) {
            return Ok(next);
        }
        let data = Some(next.to_data());
        let written = match stored {
            Some(secret) => secrets.replace(&name, &PostParams::default(), &Secret { metadata, data, ..secret }).await,
            None => {
                let type_ = Some("kubernetes.io/tls".to_owned());
                secrets.create(&PostParams::default(), &Secret { metadata, type_, data, ..Secret::default() }).await
            }
        };
        match written {
            Ok(_) => return Ok(next),
            // Another replica was faster: take what it wrote.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    fn verifies(bundle: &str, leaf: &str, host: &str) -> bool {
        let mut roots = RootCertStore::empty();
        for ca in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
            roots.add(ca.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::now()).is_ok()
    }

    /// Wire rule 1.10, and a CA's renewal: leaves of both are trusted by the new bundle.
    #[test]
    fn leaves_verify_by_the_bundle_across_a_renewal() {
        let service: ServiceReference = "kube-system/connector".parse().unwrap();
        let former = Authority::generate(None, OffsetDateTime::now_utc()).unwrap();
        let (old_leaf, _) = former.issue(&service).unwrap();
        assert!(verifies(&former.bundle, &old_leaf, "connector.kube-system.svc"));
        assert!(!verifies(&former.bundle, &old_leaf, "other.kube-system.svc"));
        let next = Authority::generate(Some(&former), OffsetDateTime::now_utc()).unwrap();
        let (new_leaf, key) = next.issue(&service).unwrap();
        assert!(verifies(&next.bundle, &old_leaf, "connector.kube-system.svc"));
        assert!(verifies(&next.bundle, &new_leaf, "connector.kube-system.svc"));
        assert!(!verifies(&former.bundle, &new_leaf, "connector.kube-system.svc"));
        assert!(server_config(new_leaf.as_bytes(), key.as_bytes()).is_ok());
        assert!(server_config(old_leaf.as_bytes(), key.as_bytes()).is_err(), "a key of another certificate");
    }

    /// A node may start before it knows the time.
    #[test]
    fn what_a_clock_that_was_ahead_made_is_made_anew() {
        let now = OffsetDateTime::now_utc();
        let of = |ahead: time::Duration| Authority::generate(None, now + ahead).unwrap();
        assert!(of(time::Duration::days(2)).is_due());
        assert!(!of(BACKDATED / 2).is_due());
        assert!(of(-CA_LIFETIME + CA_RENEWAL / 2).is_due());
        let renewed_in = |ahead: time::Duration| is_good(now + ahead + LEAF_RENEWAL, now);
        assert!(!renewed_in(time::Duration::days(2)));
        assert!(renewed_in(BACKDATED / 2) && renewed_in(time::Duration::ZERO) && renewed_in(-LEAF_RENEWAL / 2));
        assert!(!renewed_in(-LEAF_RENEWAL));
    }

    #[test]
    fn an_authority_survives_its_secret() {
        let authority = Authority::generate(None, OffsetDateTime::now_utc()).unwrap();
        assert!(!authority.is_due());
        let secret = Secret { data: Some(authority.to_data()), ..Secret::default() };
        assert!(Authority::from_secret(&secret).is_some_and(|read| read == authority));
        assert!(Authority::from_secret(&Secret::default()).is_none());
    }
}
