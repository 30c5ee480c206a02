//! Connections of the load: HTTP/2 or HTTP/1.1 over TLS, shown as the front's.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Sent = Empty<Bytes>;

/// Bytes that a client may have unread.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    stream: u32,
    connection: u32,
}

impl Windows {
    /// As Go's HTTP/2 client has them, which is what the front is.
    pub(crate) const FRONT: Self = Self { stream: 4 << 20, connection: 1 << 30 };
    /// What is read slowly stays in the proxy, and not in the client's memory.
    pub(crate) const SMALL: Self = Self { stream: 64 << 10, connection: 64 << 10 };
}

/// Makes connections to one address.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) address: SocketAddr,
    pub(crate) two: Arc<ClientConfig>,
    pub(crate) one: Arc<ClientConfig>,
}

/// A connection on which requests can be sent; copies share it.
pub(crate) type Two = http2::SendRequest<Sent>;

impl Dialer {
    /// An HTTP/2 connection.
    pub(crate) async fn two(&self, windows: Windows) -> Result<Two> {
        let stream = self.stream(&self.two).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            bail!("the server does not speak HTTP/2");
        }
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(windows.stream)
            .initial_connection_window_size(windows.connection)
            .handshake(TokioIo::new(stream))
            .await?;
        // What broke is seen by those who wait for answers.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        Ok(sender)
    }

    /// An HTTP/1.1 connection.
    pub(crate) async fn one(&self) -> Result<http1::SendRequest<Sent>> {
        let stream = self.stream(&self.one).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        Ok(sender)
    }

    async fn stream(&self, tls: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(tls.clone()).connect(ServerName::try_from("localhost")?, stream).await;
        stream.context("no TLS connection")
    }
}

/// Sends a request; an error unless it is answered 200.
pub(crate) async fn send(connection: &mut Two, request: Request<Sent>) -> Result<Response<Incoming>> {
    connection.ready().await?;
    let answer = connection.send_request(request).await?;
    ensure!(answer.status() == StatusCode::OK, "answered {}", answer.status());
    Ok(answer)
}

/// Reads a body to its end and says how long it was.
pub(crate) async fn drain(mut body: Incoming) -> Result<usize> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(length)
}
