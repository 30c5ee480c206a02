//! Connections to one Service.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::media::{Body, BodyError};
use super::super::pki::Credential;

/// Requests at once on one connection before another is opened; a real front opens one when the peer's limit is reached
/// (wire rule 1.13).
const SHARE: usize = 200;
/// How long dialling and handshake may take.
const DIAL: Duration = Duration::from_secs(10);

/// What is dialled, and how it is known to be the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) server_name: String,
    pub(super) authority_pem: Vec<u8>,
}

/// One Service with its open connections.
pub(super) struct Backend {
    place: Place,
    name: ServerName<'static>,
    tls: TlsConnector,
    open: Mutex<Vec<Connection>>,
}

#[derive(Clone)]
struct Connection {
    sender: http2::SendRequest<Body>,
    load: Arc<AtomicUsize>,
}

/// Counts one request of a connection, until its answer has been read or dropped.
struct Share(Arc<AtomicUsize>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connection {
    fn share(&self) -> Option<Share> {
        // Counted first and given back, so that two requests cannot both take the last place.
        let share = Share(self.load.clone());
        (self.load.fetch_add(1, Ordering::AcqRel) < SHARE && !self.sender.is_closed()).then_some(share)
    }
}

impl Backend {
    /// A backend without connections yet; the error says why it can never have one.
    pub(super) fn new(place: Place, credential: &Credential) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&place.authority_pem) {
            let certificate = certificate.map_err(|error| format!("spec.caBundle is not PEM: {error}"))?;
            roots.add(certificate).map_err(|error| format!("spec.caBundle: {error}"))?;
        }
        if roots.is_empty() {
            return Err("spec.caBundle is needed by the embedded cluster".into());
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_client_auth_cert(credential.chain.clone(), credential.key.clone_key())
            .map_err(|error| error.to_string())?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from(place.server_name.clone()).map_err(|error| error.to_string())?;
        Ok(Self { place, name, tls: TlsConnector::from(Arc::new(tls)), open: Mutex::default() })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    fn open(&self) -> Option<(Connection, Share)> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| !connection.sender.is_closed());
        open.iter().find_map(|connection| Some((connection.clone(), connection.share()?)))
    }

    /// Sends a request whose URI is path and query only; the error is what a real front would say in a 503.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, String> {
        let (mut connection, share) = match self.open() {
            Some(found) => found,
            None => match tokio::time::timeout(DIAL, self.dial()).await {
                Ok(Ok(Dialled::Two(connection))) => {
                    let share = connection.share().ok_or("the connection was closed at once")?;
                    self.open.lock().unwrap_or_else(PoisonError::into_inner).push(connection.clone());
                    (connection, share)
                }
                Ok(Ok(Dialled::One(sender))) => return self.send_one(sender, request).await,
                Ok(Err(message)) => return Err(message),
                Err(_) => return Err(format!("dial tcp {}: i/o timeout", self.authority())),
            },
        };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = Uri::builder()
            .scheme("https")
            .authority(self.authority())
            .path_and_query(path)
            .build()
            .map_err(|error| error.to_string())?;
        *request.version_mut() = Version::HTTP_2;
        let answer = connection.sender.send_request(request).await.map_err(|error| error.to_string())?;
        Ok(answer.map(|body| {
            let counted = body.map_frame(move |frame| {
                // The share lives as long as the body does.
                let _ = &share;
                frame
            });
            counted.map_err(BodyError::from).boxed_unsync()
        }))
    }

    async fn send_one(
        &self,
        mut sender: http1::SendRequest<Body>,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, String> {
        *request.version_mut() = Version::HTTP_11;
        let host = HeaderValue::from_str(&self.authority()).map_err(|error| error.to_string())?;
        request.headers_mut().insert(HOST, host);
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        Ok(answer.map(|body| {
            let kept = body.map_frame(move |frame| {
                // Dropping the sender would let the connection end.
                let _ = &sender;
                frame
            });
            kept.map_err(BodyError::from).boxed_unsync()
        }))
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.place.host, self.place.port)
    }

    async fn dial(&self) -> Result<Dialled, String> {
        let dialled = TcpStream::connect((self.place.host.as_str(), self.place.port)).await;
        let stream = dialled.map_err(|error| format!("dial tcp {}: {error}", self.authority()))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let stream = self.tls.connect(self.name.clone(), stream).await.map_err(|error| error.to_string())?;
        let is_two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        if !is_two {
            let (sender, driver) = http1::handshake(stream).await.map_err(|error| error.to_string())?;
            tokio::spawn(driver);
            return Ok(Dialled::One(sender));
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(15))
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 28);
        let (sender, driver) = builder.handshake(stream).await.map_err(|error| error.to_string())?;
        tokio::spawn(driver);
        Ok(Dialled::Two(Connection { sender, load: Arc::default() }))
    }
}

enum Dialled {
    One(http1::SendRequest<Body>),
    Two(Connection),
}

/// A whole body in one frame, read to its end.
pub(super) async fn whole(body: Body) -> Result<Bytes, String> {
    body.collect().await.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
}
