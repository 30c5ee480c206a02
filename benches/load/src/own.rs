//! Two contenders of our own, which show what the product's TLS and HTTP cost without the product.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// As large as a TLS connection of the product reads and writes at most.
const BUFFER: usize = 64 << 10;
/// The windows of the product's short requests.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 128 << 20;

/// Where it stands.
#[derive(Args, Clone, Debug)]
pub(crate) struct Between {
    listen: SocketAddr,
    upstream: SocketAddr,
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

/// What is passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Bytes, whatever they mean.
    Bytes,
    /// Requests and answers, over one HTTP/2 connection to the upstream for each of the load's.
    Requests,
}

/// Serves until the process is ended.
pub(crate) async fn run(between: Between, what: What) -> Result<()> {
    let alpn = vec![b"h2".to_vec()];
    let chain = CertificateDer::pem_file_iter(&between.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let mut server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&between.key)?)?;
    server.alpn_protocols.clone_from(&alpn);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&between.ca)? {
        roots.add(certificate?)?;
    }
    let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = alpn;

    let listener = TcpListener::bind(between.listen).await?;
    let (acceptor, connector) = (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
    loop {
        let (stream, _) = listener.accept().await?;
        let (acceptor, connector, upstream) = (acceptor.clone(), connector.clone(), between.upstream);
        // The load sees what breaks.
        tokio::spawn(async move {
            stream.set_nodelay(true)?;
            let mut down = acceptor.accept(stream).await?;
            let mut up = dial(&connector, upstream).await?;
            match what {
                What::Bytes => {
                    tokio::io::copy_bidirectional_with_sizes(&mut down, &mut up, BUFFER, BUFFER).await?;
                }
                What::Requests => {
                    let sender = handshake(up).await?;
                    let service = service_fn(move |request| {
                        let sender = sender.clone();
                        async move { Ok::<_, Infallible>(pass(sender, request).await) }
                    });
                    let mut server = auto::Builder::new(TokioExecutor::new());
                    server.http2().timer(TokioTimer::new()).max_concurrent_streams(10_000);
                    server
                        .serve_connection(TokioIo::new(down), service)
                        .await
                        .map_err(|error| anyhow::anyhow!(error))?;
                }
            }
            anyhow::Ok(())
        });
    }
}

async fn dial(connector: &TlsConnector, upstream: SocketAddr) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    connector.connect(ServerName::try_from("localhost")?, stream).await.context("no TLS connection")
}

async fn handshake(up: TlsStream<TcpStream>) -> Result<SendRequest<Empty<Bytes>>> {
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(up))
        .await?;
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    Ok(sender)
}

/// Requests of the load have no body.
async fn pass(
    mut sender: SendRequest<Empty<Bytes>>,
    request: Request<Incoming>,
) -> Response<UnsyncBoxBody<Bytes, hyper::Error>> {
    match sender.send_request(request.map(|_| Empty::new())).await {
        Ok(answer) => answer.map(BodyExt::boxed_unsync),
        Err(error) => {
            let text = Full::new(Bytes::from(error.to_string()));
            let mut answer = Response::new(text.map_err(|never| match never {}).boxed_unsync());
            *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
            answer
        }
    }
}
