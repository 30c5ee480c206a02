//! Certificates, as far as people ask about them: whose, and until when.

use k8s_openapi::jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What there is to know of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The subject, as `CN=front-proxy-ca`.
    pub(crate) subject: String,
    /// The end of its validity.
    pub(crate) expires: Timestamp,
}

/// Every certificate in a PEM text that can be read, in order.
pub(crate) fn certificates(pem: &[u8]) -> Vec<Certificate> {
    CertificateDer::pem_slice_iter(pem)
        .filter_map(|der| {
            let der = der.ok()?;
            let (_, certificate) = X509Certificate::from_der(&der).ok()?;
            Some(Certificate {
                subject: certificate.subject().to_string(),
                expires: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
            })
        })
        .collect()
}
