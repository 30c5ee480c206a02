//! One connection to the control plane: how it begins, and what it has room for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use thiserror::Error;
use tokio::time::timeout;
use tower::ServiceExt;

use super::BoxError;
use super::dial::{Connector, Dialed};
use super::driver::Driver;
use super::frames::Heard;
use super::tuning::Tuning;
use crate::transport::GatheringExecutor;

/// Streams on one connection at most, whatever the peer allows: the connection's window must hold all of their windows.
/// kube-apiserver allows 100 (wire rule 11.1).
pub(super) const MAX_STREAMS: usize = 128;
/// Bytes of an answer's headers: `Warning` headers are many at times.
const MAX_HEADER_BYTES: u32 = 1 << 20;
/// Streams given up here whose last frames may still come. What comes for others counts as a fault of the peer, and a thousand
/// such faults end the connection with all its watches.
const RESET_STREAMS: usize = 1024;

/// The body of a request: in memory, so that it can be sent again.
pub(super) type Sent = Full<Bytes>;

/// No connection could be made. The control plane, the way there or the kubeconfig is at fault.
#[derive(Debug, Error)]
pub(crate) enum DialError {
    #[error("no connection can be made")]
    Connect(#[source] BoxError),
    #[error("the handshake failed")]
    Handshake(#[source] hyper::Error),
    #[error("the connection was closed in the handshake")]
    Closed,
    #[error("no connection was made within {} s", .0.as_secs_f32())]
    Late(Duration),
}

/// Makes connections, all the same way.
pub(super) struct Dialer {
    pub(super) connector: Connector,
    pub(super) server: Uri,
    /// Bytes that one stream may have unread (HTTP/2).
    pub(super) stream_window: u32,
    pub(super) tuning: Tuning,
    /// Counts the connections that are open.
    pub(super) open: Gauge,
}

/// A connection and who drives it.
pub(super) struct Connection {
    sender: Sender,
    /// Streams that may be open now.
    limit: AtomicUsize,
    /// Streams that are open. Changed under the lane's lock only.
    pub(super) in_flight: AtomicUsize,
    /// Streams that were ever open.
    pub(super) used: AtomicUsize,
    /// No new stream is to be opened, whatever the limit.
    pub(super) retired: AtomicBool,
    open: Gauge,
}

enum Sender {
    Two(http2::SendRequest<Sent>),
    /// Not there while its one request is under way, and never again when that was broken off.
    One(Mutex<Option<http1::SendRequest<Sent>>>),
}

/// The right to send one request.
pub(super) enum Turn {
    Two(http2::SendRequest<Sent>),
    One(http1::SendRequest<Sent>),
}

impl Dialer {
    /// Connects. What is returned second has to run for the first to work.
    pub(super) async fn dial(&self) -> Result<(Connection, Driver), DialError> {
        let limit = self.tuning.connect_timeout;
        timeout(limit, self.connect()).await.unwrap_or(Err(DialError::Late(limit)))
    }

    async fn connect(&self) -> Result<(Connection, Driver), DialError> {
        let dialed = self.connector.clone().oneshot(self.server.clone()).await.map_err(DialError::Connect)?;
        let (sender, limit, driver) = match dialed.is_two {
            true => self.two(dialed).await?,
            false => {
                let (sender, connection) = http1::handshake(dialed.io).await.map_err(DialError::Handshake)?;
                (Sender::One(Mutex::new(Some(sender))), 1, Driver::One(Box::new(connection)))
            }
        };
        self.open.inc();
        let connection = Connection {
            sender,
            limit: limit.into(),
            in_flight: 0.into(),
            used: 0.into(),
            retired: false.into(),
            open: self.open.clone(),
        };
        Ok((connection, driver))
    }

    async fn two(&self, dialed: Dialed) -> Result<(Sender, usize, Driver), DialError> {
        let (io, signals) = Heard::new(TokioIo::new(dialed.io));
        let connection_window = self.stream_window.saturating_mul(MAX_STREAMS as u32);
        let handshake = http2::Builder::new(GatheringExecutor)
            .timer(TokioTimer::new())
            // Nothing is sent before the peer has said how many streams it takes.
            .initial_max_send_streams(0)
            .initial_stream_window_size(self.stream_window)
            // Else a few slow readers would hold what everybody else waits for.
            .initial_connection_window_size(connection_window)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_concurrent_reset_streams(RESET_STREAMS)
            .keep_alive_interval(self.tuning.ping_interval)
            .keep_alive_timeout(self.tuning.ping_timeout)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(io));
        let (sender, mut connection) = handshake.await.map_err(DialError::Handshake)?;
        loop {
            tokio::select! {
                ended = &mut connection => return Err(ended.map_or_else(DialError::Handshake, |()| DialError::Closed)),
                () = signals.changed() => {}
            }
            let limit = connection.current_max_send_streams().min(MAX_STREAMS);
            if limit > 0 && !signals.is_going_away() {
                return Ok((Sender::Two(sender), limit, Driver::Two(Box::new(connection), signals)));
            }
        }
    }
}

impl Connection {
    /// Whether no request can be sent: now, on HTTP/1.1, and for ever where none is under way.
    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Two(sender) => sender.is_closed(),
            Sender::One(sender) => {
                sender.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(|sender| sender.is_closed())
            }
        }
    }

    /// Streams that can be opened now.
    pub(super) fn room(&self) -> usize {
        // Most are full where there are many: that is the cheap question.
        let room = self.limit().saturating_sub(self.in_flight.load(Ordering::Relaxed));
        match room > 0 && (self.retired.load(Ordering::Relaxed) || self.is_closed()) {
            true => 0,
            false => room,
        }
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// `None` where the connection has ended.
    pub(super) fn turn(&self) -> Option<Turn> {
        match &self.sender {
            Sender::Two(sender) => Some(Turn::Two(sender.clone())),
            Sender::One(sender) => sender.lock().unwrap_or_else(PoisonError::into_inner).take().map(Turn::One),
        }
    }

    /// Lets the next request have its turn, where there is but one.
    pub(super) fn put_back(&self, turn: http1::SendRequest<Sent>) {
        if let Sender::One(sender) = &self.sender {
            *sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// What HTTP/1.1 wants otherwise: the host in a header, and only path and query in the request line.
pub(super) fn for_one(mut request: Request<Sent>) -> Request<Sent> {
    let uri = request.uri();
    let host = uri.authority().map(|authority| {
        let port = authority.port().map(|port| format!(":{port}")).unwrap_or_default();
        HeaderValue::try_from(format!("{}{port}", authority.host()))
    });
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).parse();
    if let Ok(path) = path {
        *request.uri_mut() = path;
    }
    if let Some(Ok(host)) = host {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    request
}
