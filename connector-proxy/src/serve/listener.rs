//! Accepts the front's connections and serves requests on them, until told to drain.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::certificate::Serving;
use crate::identity::PeerCertificate;
use crate::transport::{Buffered, Gathering, tune};

/// Streams on one connection. The front sends everything over few connections, every watch of the cluster included (wire
/// rule 1.13), and what an idle stream costs is counted in kilobytes.
const MAX_STREAMS: u32 = 10_000;
/// Bytes of a request's body that one stream may have unread.
const STREAM_WINDOW: u32 = 64 << 10;
/// The same for a connection: room for all its streams. With less, a body that waits for its user's rights would keep every
/// other body on the connection from coming in.
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;
/// Requests that the front takes back before they were looked at, until that is taken for an attack and the connection ended
/// with all that is on it. The front's users can go away together, hundreds at a time; twenty, which is usual, would then
/// cost the whole cluster its watches.
const MAX_TAKEN_BACK: usize = 1024;
/// Bytes of headers: a user of many groups brings a line for each (wire rule 11.2).
const MAX_HEADER_BYTES: u32 = 1 << 20;
/// Header lines on HTTP/1.1, for the same reason.
const MAX_HEADERS: usize = 4096;
/// From the TCP connection to the end of the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From one request's end, or the connection, to the end of the next one's headers on HTTP/1.1. Longer than the front keeps
/// idle connections, which is 90 s (wire rules 1.12, 1.15): the side that sends must be the one that closes.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// A connection without a frame for this long is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long the answer to that may take.
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// The body of its answers.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static;

    /// Answers one request that came in on a connection on which `peer` was shown.
    fn handle(
        self: Arc<Self>,
        peer: Arc<PeerCertificate>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// Serves connections until `drain` becomes true; then takes no more, tells the open ones to finish (GOAWAY on HTTP/2, wire
/// rule 1.15), and waits up to `deadline` for them.
pub(crate) async fn serve<H: Handler>(
    listener: TcpListener,
    serving: watch::Receiver<Arc<Serving>>,
    handler: Arc<H>,
    mut drain: watch::Receiver<bool>,
    deadline: Duration,
) {
    let open = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    pause_if_exhausted(&error).await;
                    continue;
                }
            },
            () = drained(&mut drain) => break,
        };
        let tls = TlsAcceptor::from(serving.borrow().tls.clone());
        let (handler, watcher) = (handler.clone(), open.watcher());
        tokio::spawn(async move {
            let Some(stream) = handshake(tls, stream).await else { return };
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let peer = Arc::new(PeerCertificate::new(chain.iter().map(|der| der.clone().into_owned()).collect()));
            let service = service_fn(move |request| {
                // On HTTP/2 the server keeps the room of this future until the answer has ended, which a watch never does.
                let answer = Box::pin(handler.clone().handle(peer.clone(), request));
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let is_two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            // Who is not asked which version it is has to speak in time (HTTP/1.1).
            let server = if is_two { server().http2_only() } else { server().http1_only() };
            let connection = watcher.watch(server.serve_connection(TokioIo::new(stream), service).into_owned());
            // Where an answer breaks off, HTTP/1.1 ends at once, and what was gathered would be lost.
            let ended = if is_two { Gathering::new(connection).await } else { connection.await };
            if let Err(error) = ended {
                debug!(%error, "a connection ended in error");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(deadline, open.shutdown()).await.is_err() {
        tracing::warn!("requests were still open at the end of the drain deadline; they are cut off");
    }
}

async fn drained(drain: &mut watch::Receiver<bool>) {
    // The sender is dropped only when everything ends.
    let _ = drain.wait_for(|drain| *drain).await;
}

fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(MAX_TAKEN_BACK)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    server
}

async fn handshake(tls: TlsAcceptor, stream: TcpStream) -> Option<TlsStream<Buffered<TcpStream>>> {
    tune(&stream);
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(Buffered::new(stream))).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            debug!("a TLS handshake took too long");
            None
        }
    }
}

/// Without file descriptors `accept` fails at once, over and over: wait until others have ended.
async fn pause_if_exhausted(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "cannot accept connections");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
