//! Connections as a kubeconfig wants them: directly or through a proxy, plain or TLS, HTTP/2 where the server speaks it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use kube::client::{ConfigExt, RustlsTlsError};
use percent_encoding::percent_decode_str;
use tower::Service;
use tower::util::{BoxCloneSyncService, ServiceExt};

use super::BoxError;
use crate::transport::{Buffered, KEEPALIVE, KEEPALIVE_INTERVAL, KEEPALIVE_TRIES};

/// A transport, whatever it is made of.
pub(super) trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

/// A connection on which nothing was said yet.
pub(super) struct Dialed {
    pub(super) io: Box<dyn Io>,
    /// The server chose HTTP/2 in the TLS handshake.
    pub(super) is_two: bool,
}

/// Makes connections to the server that the URL names.
pub(super) type Connector = BoxCloneSyncService<Uri, Dialed, BoxError>;

/// What connects as `config` says.
pub(super) fn connector(config: &kube::Config) -> Result<Connector, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_TRIES));
    let tcp = tcp.map_response(|stream| TokioIo::new(Buffered::new(stream.into_inner())));
    let Some(proxy) = &config.proxy_url else {
        return secured(config, tcp);
    };
    match proxy.scheme_str() {
        Some("socks5") => secured(config, SocksV5::new(proxy.clone(), tcp)),
        Some("http") => secured(config, tunnel(proxy, tcp)),
        Some("https") => {
            let to_proxy = config.rustls_https_connector_with_connector(tcp)?;
            secured(config, tunnel(proxy, to_proxy))
        }
        _ => Err(kube::Error::ProxyProtocolUnsupported { proxy_url: Box::new(proxy.clone()) }),
    }
}

/// A tunnel by CONNECT, with the credential that the proxy's URL holds.
fn tunnel<C>(proxy: &Uri, to_proxy: C) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.clone(), to_proxy);
    let user = proxy.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
    let credential = user.and_then(|(user, _)| {
        let user: Vec<u8> = percent_decode_str(user).collect();
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(user))).ok()
    });
    match credential {
        Some(credential) => tunnel.with_auth(credential),
        None => tunnel,
    }
}

/// TLS as the kubeconfig says, over any transport; nothing where the server's URL is a plain one.
fn secured<C>(config: &kube::Config, transport: C) -> Result<Connector, kube::Error>
where
    C: Service<Uri, Response: Read + Write + Connection + Send + Unpin, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name.clone().try_into();
        let name = name.map_err(|error| kube::Error::RustlsTls(RustlsTlsError::InvalidServerName(error)))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let connector = builder.enable_http1().enable_http2().wrap_connector(transport);
    Ok(BoxCloneSyncService::new(connector.map_response(|stream| {
        let is_two = stream.connected().is_negotiated_h2();
        Dialed { io: Box::new(stream), is_two }
    })))
}
