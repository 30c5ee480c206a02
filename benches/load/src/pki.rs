//! The keys of one run: one authority, one serving certificate for everybody, and what the front shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The name in the front's certificate.
pub(crate) const FRONT: &str = "load-front";
/// The HTTP versions that are offered in a TLS handshake.
const TWO: &[u8] = b"h2";
const ONE: &[u8] = b"http/1.1";

/// Files in PEM, as every program takes them.
#[derive(Clone)]
pub(crate) struct Pki {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Certificate and key in one file, which is how haproxy wants them.
    pub(crate) both: PathBuf,
    front: (String, String),
}

impl Pki {
    /// Makes all keys anew and writes them into `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "load-ca");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let sign = |name: &str, names: &[&str], usage: ExtendedKeyUsagePurpose| -> Result<(String, String)> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate()?;
            Ok((params.signed_by(&key, &authority)?.pem(), key.serialize_pem()))
        };
        let (certificate, key) = sign("localhost", &["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth)?;
        let front = sign(FRONT, &[], ExtendedKeyUsagePurpose::ClientAuth)?;
        let write = |name: &str, text: &str| -> Result<PathBuf> {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        Ok(Self {
            ca: write("ca.pem", &authority.pem())?,
            certificate: write("tls.pem", &certificate)?,
            key: write("tls.key", &key)?,
            both: write("both.pem", &format!("{certificate}{key}"))?,
            front,
        })
    }

    /// A server's side, which speaks HTTP/2 and, where `or_one`, HTTP/1.1.
    pub(crate) fn server(&self, or_one: bool) -> Result<Arc<ServerConfig>> {
        let chain = CertificateDer::pem_file_iter(&self.certificate)?.collect::<Result<Vec<_>, _>>()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(&self.key)?)?;
        config.alpn_protocols = if or_one { vec![TWO.to_vec(), ONE.to_vec()] } else { vec![TWO.to_vec()] };
        Ok(Arc::new(config))
    }

    /// A client's side, which shows the front's certificate and speaks HTTP/2, or HTTP/1.1 where `is_one`.
    pub(crate) fn client(&self, is_one: bool) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.ca)? {
            roots.add(certificate?)?;
        }
        let (certificate, key) = &self.front;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?;
        config.alpn_protocols = vec![if is_one { ONE } else { TWO }.to_vec()];
        Ok(Arc::new(config))
    }
}

/// One cipher for all, or who prefers another one would be measured by it.
fn provider() -> Arc<CryptoProvider> {
    let cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384];
    Arc::new(CryptoProvider { cipher_suites, ..aws_lc_rs::default_provider() })
}
