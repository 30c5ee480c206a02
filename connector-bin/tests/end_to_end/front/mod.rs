//! The front's side, played by the test on connections of its own: what kube-apiserver's aggregation layer may send, and what it
//! needs to be answered.

mod questions;
mod wire;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use testkit::Cluster;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::setup::Corridor;

const API: &str = "/apis/k8s.starter.org/v1alpha1";
const ALL: &str = "/apis/k8s.starter.org/v1alpha1/namespaces/default/kubernetesclusters";

/// One connection to the connector.
enum Connection {
    One(http1::SendRequest<Empty<Bytes>>),
    Two(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    /// With the certificate that a cluster's folder holds under this name, or none.
    async fn open(corridor: &Corridor, certificate: Option<&str>, version: Version) -> Result<Self> {
        let protocol: &[u8] = if version == Version::HTTP_2 { b"h2" } else { b"http/1.1" };
        let stream = TcpStream::connect(("127.0.0.1", corridor.connector.port())).await?;
        let config = tls(corridor.app.folder(), certificate, protocol, &served_ca(&corridor.app).await?)?;
        let name = ServerName::try_from("connector.kube-system.svc")?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        ensure!(stream.get_ref().1.alpn_protocol() == Some(protocol), "the protocol that was offered is not taken");
        let stream = TokioIo::new(stream);
        Ok(if version == Version::HTTP_2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            Self::Two(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await?;
            tokio::spawn(connection);
            Self::One(sender)
        })
    }

    async fn send(&mut self, request: http::request::Builder) -> Result<Response<Incoming>> {
        let request = request.body(Empty::new())?;
        Ok(match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        })
    }

    /// A GET, answered whole.
    async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<(u16, HeaderMap, String)> {
        let answer = self.send(self.request("GET", path, headers)).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok((parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec())?))
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> http::request::Builder {
        let (uri, version) = match self {
            Self::One(_) => (path.to_owned(), Version::HTTP_11),
            Self::Two(_) => (format!("https://127.0.0.1{path}"), Version::HTTP_2),
        };
        let mut request = Request::builder().method(method).uri(uri).version(version);
        if version == Version::HTTP_11 {
            request = request.header("host", "127.0.0.1");
        }
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }
}

/// The CA by which kube-apiserver is told to verify.
async fn served_ca(app: &Cluster) -> Result<String> {
    let path = "go-template={{.spec.caBundle | base64decode}}";
    app.kubectl().ok(["get", "apiservice", "v1alpha1.k8s.starter.org", "-o", path]).await
}

fn tls(folder: &Path, certificate: Option<&str>, protocol: &[u8], ca: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(ca?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    let mut config = match certificate {
        Some(name) => {
            let chain = CertificateDer::pem_file_iter(folder.join(format!("{name}.crt")))?.collect::<Result<_, _>>()?;
            let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key")))?;
            builder.with_client_auth_cert(chain, key)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

const FRONT: Option<&str> = Some("front-proxy-client");
const ADMIN: [(&str, &str); 2] = [("x-remote-user", "admin"), ("x-remote-group", "system:masters")];

fn with<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&ADMIN[..], headers].concat()
}
