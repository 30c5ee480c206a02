//! The certificate that a client shows, and whether it is the front's.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::DigitallySignedStruct;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::FrontProxyTrust;

/// How long a verdict on a connection's certificate holds, so that one that expires is noticed on an open connection.
const VERDICT_LIFETIME: Duration = Duration::from_secs(60);

/// Requests a client certificate at the handshake and accepts any, or none (wire rule 9.2): the handshake proves that the
/// client holds the certificate's key, and nothing more. Whether it is one to trust is [`PeerCertificate`]'s to say, by the
/// CA that is in force at that moment; a rotated CA needs no new listener and breaks no connection.
#[derive(Debug)]
pub(crate) struct AnyClientCertificate(pub(crate) Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClientCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The certificate chain shown on one connection; empty where none was.
pub(crate) struct PeerCertificate {
    chain: Vec<CertificateDer<'static>>,
    /// The last verdict: under which trust, and when.
    verdict: Mutex<Option<(Arc<FrontProxyTrust>, Instant, bool)>>,
}

impl PeerCertificate {
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>) -> Self {
        Self { chain, verdict: Mutex::new(None) }
    }

    /// Whether the connection is the front's, by the trust in force now.
    pub(crate) fn is_front(&self, trust: &Arc<FrontProxyTrust>) -> bool {
        let mut verdict = self.verdict.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((under, at, front)) = &*verdict
            && Arc::ptr_eq(under, trust)
            && at.elapsed() < VERDICT_LIFETIME
        {
            return *front;
        }
        let front = self.verify(trust);
        *verdict = Some((trust.clone(), Instant::now(), front));
        front
    }

    fn verify(&self, trust: &FrontProxyTrust) -> bool {
        let (Some(verifier), [leaf, intermediates @ ..]) = (&trust.verifier, &*self.chain) else {
            return false;
        };
        verifier.verify_client_cert(leaf, intermediates, UnixTime::now()).is_ok()
            && (trust.allowed_names.is_empty()
                || common_name(leaf).is_some_and(|name| trust.allowed_names.contains(&name)))
    }
}

/// The subject's common name, by which `requestheader-allowed-names` decides.
fn common_name(leaf: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::identity::trust::verifier;

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    fn authority() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn leaf(authority: &Authority, name: &str, usage: ExtendedKeyUsagePurpose) -> PeerCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&KeyPair::generate().unwrap(), &authority.issuer).unwrap();
        PeerCertificate::new(vec![certificate.der().clone()])
    }

    fn trust(authority: &Authority, allowed: &[&str]) -> Arc<FrontProxyTrust> {
        Arc::new(FrontProxyTrust {
            verifier: Some(verifier(&authority.pem).unwrap()),
            allowed_names: allowed.iter().map(|name| (*name).to_owned()).collect(),
            username_headers: vec![],
            uid_headers: vec![],
            group_headers: vec![],
            extra_prefixes: vec![],
        })
    }

    /// Wire rule 9.4.
    #[test]
    fn only_the_fronts_certificate_is_the_front() {
        let (ours, foreign) = (authority(), authority());
        let client = ExtendedKeyUsagePurpose::ClientAuth;
        let front = leaf(&ours, "front-proxy-client", client.clone());
        assert!(front.is_front(&trust(&ours, &["front-proxy-client"])));
        assert!(front.is_front(&trust(&ours, &[])), "an empty list allows any name");
        assert!(!front.is_front(&trust(&ours, &["aggregator"])), "another name");
        assert!(!front.is_front(&trust(&foreign, &[])), "another CA, so also after a rotation");
        assert!(!leaf(&foreign, "front-proxy-client", client).is_front(&trust(&ours, &[])));
        let server = leaf(&ours, "front-proxy-client", ExtendedKeyUsagePurpose::ServerAuth);
        assert!(!server.is_front(&trust(&ours, &[])), "not a client's certificate");
        assert!(!PeerCertificate::new(vec![]).is_front(&trust(&ours, &[])), "no certificate");
    }
}
