//! Health and metrics, for Kubernetes and Prometheus.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use super::Metrics;

/// Serves health and metrics on `listener` until dropped.
pub(crate) async fn serve_admin(listener: TcpListener, metrics: Arc<Metrics>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: give others time to end.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&metrics, request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            // A broken connection is the asker's own affair.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

pub(super) fn answer(metrics: &Metrics, method: &Method, path: &str) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
    }
    match path {
        "/livez" => text(StatusCode::OK, "ok\n"),
        "/readyz" if metrics.ending.load(Ordering::Relaxed) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "not ready: shutting down\n")
        }
        "/readyz" if !metrics.trusting.load(Ordering::Relaxed) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: ConfigMap kube-system/extension-apiserver-authentication of the app cluster was not read yet\n",
        ),
        "/readyz" if !metrics.informed.load(Ordering::Relaxed) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: starting; it will not wait for the control plane for long\n",
        ),
        "/readyz" => text(StatusCode::OK, "ok\n"),
        "/metrics" => match metrics.page() {
            Ok(page) => {
                let mut answer = text(StatusCode::OK, page);
                let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format));
                answer
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        _ => text(StatusCode::NOT_FOUND, "see /livez, /readyz and /metrics\n"),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_and_metrics() {
        let metrics = Metrics::new();
        let status = |path: &str| answer(&metrics, &Method::GET, path).status().as_u16();
        assert_eq!((status("/livez"), status("/readyz"), status("/metrics"), status("/")), (200, 503, 200, 404));
        metrics.set_trusting();
        assert_eq!(status("/readyz"), 503);
        metrics.set_informed();
        assert_eq!(answer(&metrics, &Method::GET, "/readyz").status(), 200);
        assert_eq!(answer(&metrics, &Method::POST, "/readyz").status(), 405);
        metrics.set_ending();
        // The front-proxy CA may change even now.
        metrics.set_trusting();
        assert_eq!((status("/livez"), status("/readyz")), (200, 503));
    }
}
