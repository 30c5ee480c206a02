//! The CA that replicas share, of which each makes its own leaf, and its Secret.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::OffsetDateTime;

use super::certificate::CertificateError;
use crate::config::ServiceReference;
use crate::credential::certificate_validity;
use crate::owner::Owner;

/// How long a generated leaf lasts.
const LEAF_LIFETIME: time::Duration = time::Duration::days(90);
/// How long a generated CA lasts.
const CA_LIFETIME: time::Duration = time::Duration::days(3650);
/// A CA with less than this left is followed by a new one; both are trusted from then on.
const CA_RENEWAL: time::Duration = time::Duration::days(365);
/// Certificates are valid from a while ago, for clocks that differ.
pub(super) const BACKDATED: time::Duration = time::Duration::hours(1);

const CERTIFICATE_KEY: &str = "tls.crt";
const PRIVATE_KEY_KEY: &str = "tls.key";
const BUNDLE_KEY: &str = "ca.crt";

/// A CA of ours, in PEM.
#[derive(Clone, PartialEq)]
pub(super) struct Authority {
    pub(super) certificate: String,
    key: String,
    /// The certificate, and the one before it while leaves of that may still be served by a replica.
    pub(super) bundle: String,
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

    /// A leaf for the names by which `service` is called, with its key, in PEM.
    pub(super) fn issue(&self, service: &ServiceReference) -> Result<(String, String), rcgen::Error> {
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
pub(super) async fn shared_authority(
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

pub(super) fn ungenerated(error: rcgen::Error) -> CertificateError {
    CertificateError::Ungenerated(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;
    use crate::serve::certificate::server_config;

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
