//! Plays kube-proxy: connections to the Service go to one of the replicas.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

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
    open: Vec<AbortHandle>,
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

    /// Breaks all that is open.
    pub(super) fn cut(&self) {
        for open in self.state.lock().unwrap_or_else(PoisonError::into_inner).open.drain(..) {
            open.abort();
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.work.abort();
        self.cut();
    }
}

async fn run(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((mut from, _)) = listener.accept().await {
        let endpoint = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.turn += 1;
            state.endpoints.get(state.turn % state.endpoints.len().max(1)).copied()
        };
        // Who is chosen and gone is not passed over.
        let work = tokio::spawn(async move {
            let Some(port) = endpoint else { return };
            let Ok(mut to) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let _ = (from.set_nodelay(true), to.set_nodelay(true));
            let _ = copy_bidirectional(&mut from, &mut to).await;
        });
        state.lock().unwrap_or_else(PoisonError::into_inner).open.push(work.abort_handle());
    }
}
