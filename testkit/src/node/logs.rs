//! What `kubectl logs` needs of a kubelet.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Shared;

/// Answers kube-apiserver's questions for the Pods' logs, as long as the runtime lives; gives the port.
pub(super) async fn serve(shared: Arc<Shared>) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let acceptor = acceptor()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, shared) = (acceptor.clone(), shared.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&shared, &request))));
                // A broken connection is kube-apiserver's own affair.
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    Ok(port)
}

/// `/containerLogs/NAMESPACE/POD/CONTAINER`: the last `tailLines`, or all.
fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let pod = request.uri().path().split('/').nth(3).unwrap_or_default();
    let log = shared.running().get(pod).and_then(|entry| std::fs::read_to_string(&entry.log).ok());
    let status = if log.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let log = log.unwrap_or_default();
    let query = request.uri().query().unwrap_or_default();
    let wanted = query.split('&').find_map(|pair| pair.strip_prefix("tailLines=")?.parse::<usize>().ok());
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    let from = wanted.map_or(0, |wanted| lines.len().saturating_sub(wanted));
    let mut response = Response::new(Full::from(lines[from..].concat()));
    *response.status_mut() = status;
    response
}

/// kube-apiserver does not verify a kubelet unless it is told to.
fn acceptor() -> Result<TlsAcceptor> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).ok().context("no key")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
