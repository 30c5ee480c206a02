//! The part of a kubelet that `kubectl logs` needs.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use testkit::{Cluster, Node};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Answers kube-apiserver's questions for the logs of a node's Pods, until it is dropped.
pub(crate) struct Kubelet(tokio::task::JoinHandle<()>);

impl Kubelet {
    pub(crate) async fn start(app: &Cluster, node: Arc<Node>, namespace: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let acceptor = acceptor()?;
        let served = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (acceptor, node) = (acceptor.clone(), node.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let answer = service_fn(move |request| {
                        std::future::ready(Ok::<_, std::convert::Infallible>(answer(&node, &request)))
                    });
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        let status = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }});
        let node = format!("node-{namespace}");
        app.kubectl().ok(["patch", "node", &node, "--subresource=status", "-p", &status.to_string()]).await?;
        Ok(Self(served))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `/containerLogs/NAMESPACE/POD/CONTAINER`; all of it, whatever part is asked for.
fn answer(node: &Node, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let pod = request.uri().path().split('/').nth(3).unwrap_or_default();
    let pod = node.pods().into_iter().find(|running| running.name == pod);
    let log = pod.and_then(|pod| std::fs::read(pod.log).ok());
    let status = if log.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let mut response = Response::new(Full::from(log.unwrap_or_default()));
    *response.status_mut() = status;
    response
}

/// kube-apiserver does not verify a kubelet unless it is told to.
fn acceptor() -> Result<TlsAcceptor> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).ok().context("no key")?;
    let config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
