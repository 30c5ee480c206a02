//! The front of a Space: TLS, control planes behind paths, and tokens of its own.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig};
use kube::{Client, client};
use testkit::Cluster;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What the Space gives to people.
pub(crate) const TOKEN: &str = "token-of-the-space";

/// A Space with one control plane. It ends with this value.
pub(crate) struct Front {
    /// Host and port.
    pub(crate) host: String,
    /// The CA of its certificate.
    pub(crate) certificate_authority: PathBuf,
    task: AbortHandle,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Behind {
    prefix: String,
    /// The control plane, as who came with [`TOKEN`].
    admin: Client,
    config: Config,
    /// Whether tokens of the control plane itself are let through.
    takes_service_accounts: bool,
}

impl Front {
    /// Serves `control_plane` under a path, such as `/v1/controlplanes/org/default/it/k8s`.
    pub(crate) async fn start(
        control_plane: &Cluster,
        prefix: &str,
        takes_service_accounts: bool,
        folder: &Path,
    ) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let certificate_authority = folder.join("space-ca.crt");
        std::fs::write(&certificate_authority, made.cert.pem())?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
        let tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(made.cert.der().to_vec())], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));

        let kubeconfig = Kubeconfig::read_from(control_plane.kubeconfig_path())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let admin = control_plane.client().await?;
        let behind = Arc::new(Behind { prefix: prefix.to_owned(), admin, config, takes_service_accounts });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let behind = behind.clone();
                        async move { Ok::<_, Infallible>(behind.answer(request).await) }
                    });
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { host, certificate_authority, task: task.abort_handle() })
    }
}

impl Behind {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let status = |code: StatusCode| {
            let mut response = Response::new(Full::default());
            *response.status_mut() = code;
            response
        };
        match self.forward(request).await {
            Ok(Ok(response)) => response,
            Ok(Err(code)) => status(code),
            Err(_) => status(StatusCode::BAD_GATEWAY),
        }
    }

    async fn forward(&self, request: Request<Incoming>) -> Result<Result<Response<Full<Bytes>>, StatusCode>> {
        let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
        let path = request.uri().path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
        let Some(path) = path.strip_prefix(&self.prefix) else { return Ok(Err(StatusCode::NOT_FOUND)) };
        let client = match token.as_str() {
            TOKEN => self.admin.clone(),
            "" => return Ok(Err(StatusCode::UNAUTHORIZED)),
            _ if !self.takes_service_accounts => return Ok(Err(StatusCode::UNAUTHORIZED)),
            other => {
                let mut config = self.config.clone();
                config.auth_info = AuthInfo { token: Some(other.to_owned().into()), ..AuthInfo::default() };
                Client::try_from(config)?
            }
        };
        let (mut parts, body) = request.into_parts();
        parts.uri = path.parse().context("a path")?;
        parts.headers.remove(header::AUTHORIZATION);
        parts.headers.remove(header::HOST);
        parts.version = http::Version::HTTP_11;
        let body = body.collect().await?.to_bytes();
        let answer = client.send(Request::from_parts(parts, client::Body::from(body.to_vec()))).await?;
        let (mut parts, body) = answer.into_parts();
        parts.version = http::Version::HTTP_11;
        parts.headers.remove(header::TRANSFER_ENCODING);
        let body = body.collect().await?.to_bytes();
        Ok(Ok(Response::from_parts(parts, Full::new(body))))
    }
}
