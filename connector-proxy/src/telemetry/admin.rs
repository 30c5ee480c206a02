//! Health and metrics, for Kubernetes and Prometheus.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::Metrics;
use crate::transport::tune;

/// From a connection's beginning, or an answer, to the end of the next request's headers: longer than scrapes are apart.
const SILENCE: Duration = Duration::from_secs(150);

/// Serves health and metrics on `listener` until dropped.
pub(crate) async fn serve_admin(listener: TcpListener, metrics: Arc<Metrics>) {
    serve(listener, metrics, SILENCE).await;
}

async fn serve(listener: TcpListener, metrics: Arc<Metrics>, silence: Duration) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: give others time to end.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        tune(&stream);
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&metrics, request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(silence);
            // A broken connection is the asker's own affair.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

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

    /// Probes and scrapers go away without a word, too, and their connections would add up.
    #[tokio::test]
    async fn who_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, Arc::new(Metrics::new()), Duration::from_millis(200)));
        for said in ["", "GET /liv", "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
            ended.expect("it ends").unwrap();
            assert_eq!(answer.contains("200 OK"), said.ends_with("\r\n\r\n"), "{answer}");
        }
        server.abort();
    }
}
