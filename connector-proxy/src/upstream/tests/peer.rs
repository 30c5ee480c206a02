//! An HTTP/2 server that misbehaves on demand. It writes frames by hand: a well-behaved library would not.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf};
use tokio::sync::mpsc;
use tower::service_fn;

use crate::upstream::BoxError;
use crate::upstream::dial::{Connector, Dialed};

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Do {
    Answer,
    /// One byte comes, and the stream stays open.
    Watch,
    /// RST_STREAM with REFUSED_STREAM.
    Refuse,
    /// GOAWAY that names the stream before.
    GoAwayBefore,
    /// The connection ends.
    HangUp,
    Silence,
}

/// What happens to whoever connects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Connect {
    Works,
    Fails,
    NeverEnds,
}

#[derive(Default)]
pub(super) struct Connection {
    pub(super) open: BTreeSet<u32>,
    pub(super) peak: usize,
    pub(super) seen: usize,
    pub(super) acks: usize,
    pub(super) has_ended: bool,
    write: Option<mpsc::UnboundedSender<Vec<u8>>>,
}

struct State {
    limit: u32,
    script: VecDeque<Do>,
    otherwise: Do,
    connect: Connect,
    answers_ping: bool,
    connections: Vec<Connection>,
}

/// The server, with all its connections.
#[derive(Clone)]
pub(super) struct Peer(Arc<Mutex<State>>);

impl Peer {
    /// A server that allows `limit` streams on a connection and does `otherwise` with requests.
    pub(super) fn new(limit: u32, otherwise: Do) -> Self {
        Self(Arc::new(Mutex::new(State {
            limit,
            script: VecDeque::new(),
            otherwise,
            connect: Connect::Works,
            answers_ping: true,
            connections: Vec::new(),
        })))
    }

    /// The next requests become this.
    pub(super) fn next(&self, script: &[Do]) {
        self.lock().script.extend(script);
    }

    pub(super) fn connect(&self, connect: Connect) {
        self.lock().connect = connect;
    }

    pub(super) fn answer_no_ping(&self) {
        self.lock().answers_ping = false;
    }

    /// How many connections there ever were.
    pub(super) fn connections(&self) -> usize {
        self.lock().connections.len()
    }

    pub(super) fn look<T>(&self, connection: usize, look: impl FnOnce(&Connection) -> T) -> T {
        look(&self.lock().connections[connection])
    }

    pub(super) fn each<T>(&self, look: impl FnMut(&Connection) -> T) -> Vec<T> {
        self.lock().connections.iter().map(look).collect()
    }

    /// SETTINGS with another limit, on an open connection.
    pub(super) fn set_limit(&self, connection: usize, limit: u32) {
        self.write(connection, settings(limit));
    }

    /// GOAWAY that names the highest stream there can be, as servers begin their end.
    pub(super) fn go_away(&self, connection: usize) {
        self.write(connection, go_away(i32::MAX as u32));
    }

    /// One byte more on every open stream.
    pub(super) fn event(&self, connection: usize) {
        let open = self.look(connection, |connection| connection.open.clone());
        for stream in open {
            self.write(connection, frame(0, 0, stream, b"y"));
        }
    }

    pub(super) fn connector(&self) -> Connector {
        let peer = self.clone();
        Connector::new(service_fn(move |_server| {
            let peer = peer.clone();
            async move {
                let connect = peer.lock().connect;
                match connect {
                    Connect::Works => Ok(Dialed { io: Box::new(TokioIo::new(peer.accept())), is_two: true }),
                    Connect::Fails => Err(BoxError::from("nobody is there")),
                    Connect::NeverEnds => std::future::pending().await,
                }
            }
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self) -> DuplexStream {
        let (theirs, ours) = tokio::io::duplex(64 << 10);
        let (mut reader, mut writer) = tokio::io::split(ours);
        let (write, mut to_write) = mpsc::unbounded_channel::<Vec<u8>>();
        tokio::spawn(async move {
            while let Some(bytes) = to_write.recv().await {
                if writer.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            let _ = writer.shutdown().await;
        });
        let index = {
            let mut state = self.lock();
            let _ = write.send(settings(state.limit));
            state.connections.push(Connection { write: Some(write), ..Connection::default() });
            state.connections.len() - 1
        };
        let peer = self.clone();
        tokio::spawn(async move {
            let _ = peer.read(index, &mut reader).await;
            let mut state = peer.lock();
            state.connections[index].has_ended = true;
            state.connections[index].write = None;
        });
        theirs
    }

    async fn read(&self, index: usize, reader: &mut ReadHalf<DuplexStream>) -> std::io::Result<()> {
        let mut preface = [0; 24];
        reader.read_exact(&mut preface).await?;
        loop {
            let mut head = [0; 9];
            reader.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            reader.read_exact(&mut payload).await?;
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if self.lock().connections[index].write.is_none() {
                return Ok(());
            }
            match kind {
                0 | 1 => self.request(index, stream, kind == 1, flags & 1 != 0),
                3 => {
                    self.lock().connections[index].open.remove(&stream);
                }
                4 if flags & 1 == 0 => self.write(index, frame(4, 1, 0, &[])),
                4 => self.lock().connections[index].acks += 1,
                6 if flags & 1 == 0 && self.lock().answers_ping => self.write(index, frame(6, 1, 0, &payload)),
                _ => {}
            }
        }
    }

    fn request(&self, index: usize, stream: u32, begins: bool, ends: bool) {
        let mut state = self.lock();
        let connection = &mut state.connections[index];
        if begins {
            connection.open.insert(stream);
            connection.seen += 1;
            connection.peak = connection.peak.max(connection.open.len());
        }
        if !ends {
            return;
        }
        let what = state.script.pop_front().unwrap_or(state.otherwise);
        let connection = &mut state.connections[index];
        let frames = match what {
            Do::Silence => return,
            Do::Watch => [frame(1, 4, stream, &[0x88]), frame(0, 0, stream, b"x")].concat(),
            Do::Answer => frame(1, 5, stream, &[0x88]),
            Do::Refuse => frame(3, 0, stream, &7_u32.to_be_bytes()),
            Do::GoAwayBefore => go_away(stream.saturating_sub(2)),
            Do::HangUp => {
                connection.write = None;
                return;
            }
        };
        if !matches!(what, Do::Watch) {
            connection.open.remove(&stream);
        }
        if let Some(write) = &connection.write {
            let _ = write.send(frames);
        }
    }

    fn write(&self, connection: usize, bytes: Vec<u8>) {
        if let Some(write) = &self.lock().connections[connection].write {
            let _ = write.send(bytes);
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// SETTINGS_MAX_CONCURRENT_STREAMS.
fn settings(limit: u32) -> Vec<u8> {
    frame(4, 0, 0, &[&[0, 3], &limit.to_be_bytes()[..]].concat())
}

fn go_away(last_stream: u32) -> Vec<u8> {
    frame(7, 0, 0, &[last_stream.to_be_bytes(), 0_u32.to_be_bytes()].concat())
}
