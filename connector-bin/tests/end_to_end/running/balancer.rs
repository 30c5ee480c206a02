//! Plays kube-proxy: connections to the Service go to one of the replicas.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncWriteExt, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// It ends with this value; connections that are open then break.
pub(super) struct Balancer {
    port: u16,
    state: Arc<Mutex<State>>,
    work: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    endpoints: Vec<u16>,
    turn: usize,
    open: JoinSet<()>,
    /// Told when what is open is to break. A new one for those that come after.
    cut: watch::Sender<bool>,
}

impl Balancer {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State::default()));
        let work = tokio::spawn(run(listener, state.clone()));
        Ok(Self { port, state, work })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// New connections go to these ports of 127.0.0.1 from now on, in turn; open ones stay where they are, as with kube-proxy.
    pub(super) fn lead_to(&self, endpoints: impl IntoIterator<Item = u16>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).endpoints = endpoints.into_iter().collect();
    }

    /// Breaks all that is open, and waits until the front knows of it: what is asked then goes over new connections.
    pub(super) async fn cut(&self) {
        let mut open = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut state.cut).send_replace(true);
            std::mem::take(&mut state.open)
        };
        while open.join_next().await.is_some() {}
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.work.abort();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).open.abort_all();
    }
}

async fn run(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((from, _)) = listener.accept().await {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.turn += 1;
        let endpoint = state.endpoints.get(state.turn % state.endpoints.len().max(1)).copied();
        let cut = state.cut.subscribe();
        // What has ended is not kept.
        while state.open.try_join_next().is_some() {}
        state.open.spawn(connect(from, endpoint, cut));
    }
}

/// Carries one connection. Who is chosen and gone is not passed over.
async fn connect(mut from: TcpStream, endpoint: Option<u16>, mut cut: watch::Receiver<bool>) {
    let Some(port) = endpoint else { return };
    {
        let Ok(mut to) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        let _ = (from.set_nodelay(true), to.set_nodelay(true));
        tokio::select! {
            _ = copy_bidirectional(&mut from, &mut to) => return,
            _ = cut.wait_for(|cut| *cut) => {}
        }
    }
    // The front ends its side when it has taken note of the end of this one.
    let _ = from.shutdown().await;
    let _ = tokio::io::copy(&mut from, &mut sink()).await;
}
