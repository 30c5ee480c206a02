//! kube-proxy's part: TCP forwarders at the cluster addresses of Services.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::process::show;

/// The forwarders of a namespace.
pub(super) struct Proxy {
    network: u8,
    // By address and port of the Service.
    open: HashMap<SocketAddr, Forwarder>,
}

/// A listener, which is there as long as there is an endpoint. Connections outlive it.
struct Forwarder {
    backends: Arc<Mutex<Vec<SocketAddr>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    pub(super) fn new(network: u8) -> Self {
        Self { network, open: HashMap::new() }
    }

    /// Makes the forwarders those that Services and endpoints ask for.
    pub(super) fn follow(&mut self, services: &[Arc<Service>], slices: &[Arc<EndpointSlice>]) {
        let mut wanted = HashMap::new();
        for service in services {
            let Some(spec) = &service.spec else { continue };
            let Some(address) = spec.cluster_ip.as_deref().and_then(|address| address.parse::<IpAddr>().ok()) else {
                continue;
            };
            for port in spec.ports.iter().flatten().filter(|port| port.protocol.as_deref() != Some("UDP")) {
                let backends = self.backends(&service.name_any(), port, slices);
                if let (Ok(number), false) = (u16::try_from(port.port), backends.is_empty()) {
                    wanted.insert(SocketAddr::new(address, number), backends);
                }
            }
        }
        self.open.retain(|address, _| wanted.contains_key(address));
        for (address, backends) in wanted {
            match self.open.get(&address) {
                Some(forwarder) => *lock(&forwarder.backends) = backends,
                None => match listen(address) {
                    Ok(listener) => _ = self.open.insert(address, forward(listener, backends)),
                    Err(error) => show(&format!("cannot listen at the Service's {address}: {error}")),
                },
            }
        }
    }

    /// The ready endpoints; where there is none, those that still serve while they end.
    fn backends(&self, service: &str, port: &ServicePort, slices: &[Arc<EndpointSlice>]) -> Vec<SocketAddr> {
        let (mut ready, mut ending) = (Vec::new(), Vec::new());
        let of_service = |slice: &&Arc<EndpointSlice>| {
            slice.labels().get("kubernetes.io/service-name").is_some_and(|name| name == service)
        };
        for slice in slices.iter().filter(of_service) {
            let same_name =
                |name: &Option<String>| name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default();
            let found = slice.ports.iter().flatten().find(|of| same_name(&of.name)).and_then(|of| of.port);
            let Some(number) = found.and_then(|number| u16::try_from(number).ok()) else { continue };
            for endpoint in &slice.endpoints {
                let Some(address) = endpoint.addresses.first().and_then(|address| self.truly(address)) else {
                    continue;
                };
                let conditions = endpoint.conditions.as_ref();
                let is = |of: Option<bool>, default| of.unwrap_or(default);
                if is(conditions.and_then(|conditions| conditions.ready), true) {
                    ready.push(SocketAddr::new(address, number));
                } else if is(conditions.and_then(|conditions| conditions.serving), false)
                    && is(conditions.and_then(|conditions| conditions.terminating), false)
                {
                    ending.push(SocketAddr::new(address, number));
                }
            }
        }
        if ready.is_empty() { ending } else { ready }
    }

    /// Where a Pod's address is in truth.
    fn truly(&self, address: &str) -> Option<IpAddr> {
        let address: Ipv4Addr = address.parse().ok()?;
        let [first, second, third, fourth] = address.octets();
        let is_pod = first == 10 && second == self.network;
        Some(IpAddr::V4(if is_pod { Ipv4Addr::new(127, second, third, fourth) } else { address }))
    }
}

fn lock(backends: &Mutex<Vec<SocketAddr>>) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
    backends.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn forward(listener: TcpListener, backends: Vec<SocketAddr>) -> Forwarder {
    let backends = Arc::new(Mutex::new(backends));
    let (of_task, turn) = (backends.clone(), AtomicUsize::new(0));
    let accepting = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let backend = {
                let backends = lock(&of_task);
                backends.get(turn.fetch_add(1, Ordering::Relaxed) % backends.len().max(1)).copied()
            };
            let Some(backend) = backend else { continue };
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(backend).await else { return };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                // Either side may break off: then both do.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    Forwarder { backends, accepting }
}
