//! Answers that come compressed.

use std::convert::Infallible;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Uri, header};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tower::ServiceExt;

use super::*;
use crate::upstream::dial::Dialed;
use crate::upstream::gzip::Gzip;

/// Long, and not all the same.
fn list() -> Vec<u8> {
    (0..100_000u32).flat_map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect()
}

fn zipped(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A server that compresses whatever may come compressed, as kube-apiserver does long answers.
fn server() -> Connector {
    Connector::new(tower::service_fn(|_server: Uri| {
        let (theirs, ours) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move {
            // How a connection ends is the test's affair.
            let _ = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(ours), service_fn(answer))
                .await;
        });
        async move { Ok::<_, BoxError>(Dialed { io: Box::new(TokioIo::new(theirs)), is_two: true }) }
    }))
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_taken = request.headers().get(header::ACCEPT_ENCODING).is_some_and(|taken| taken == "gzip");
    let plain = match request.uri().path() {
        "/bomb" => vec![0; 64 << 20],
        "/one" => b"one".to_vec(),
        _ => list(),
    };
    if !is_taken || request.uri().path() == "/one" {
        return Ok(Response::new(Full::from(plain)));
    }
    let mut body = zipped(&plain);
    match request.uri().path() {
        "/cut" => body.truncate(body.len() / 2),
        "/spoilt" => body[4000..4100].fill(0xff),
        _ => {}
    }
    Ok(Response::builder().header(header::CONTENT_ENCODING, "gzip").body(Full::from(body)).unwrap())
}

/// An answer, and how many requests are under way after it was read.
async fn ask(uri: &'static str) -> (Response<Result<Bytes, BoxError>>, i64) {
    let (pool, under_way) = watched_pool(&server(), Tuning::default(), "short");
    let request = Request::get(uri).body(Full::default()).unwrap();
    let answer = timeout(LONG, Gzip::new(pool).oneshot(request)).await.expect("an answer in time").unwrap();
    let (parts, body) = answer.into_parts();
    let read = timeout(LONG, body.collect()).await.expect("a body in time").map(|body| body.to_bytes());
    (Response::from_parts(parts, read), under_way())
}

#[tokio::test]
async fn long_answers_are_read_as_they_were_written() {
    let (answer, under_way) = ask("http://server/list").await;
    assert_eq!(answer.headers().get(header::CONTENT_ENCODING), None);
    assert!(*answer.into_body().unwrap() == list());
    assert_eq!(under_way, 0);
}

#[tokio::test]
async fn answers_may_come_as_they_are() {
    let (answer, under_way) = ask("http://server/one").await;
    assert_eq!(answer.into_body().unwrap(), "one");
    assert_eq!(under_way, 0);
}

/// What buffers a few kilobytes would keep events back.
#[tokio::test]
async fn watches_are_not_compressed() {
    let (answer, _) = ask("http://server/list?watch=true").await;
    assert!(*answer.into_body().unwrap() == list());
}

#[tokio::test]
async fn broken_answers_are_errors() {
    for uri in ["http://server/cut", "http://server/spoilt"] {
        let (answer, under_way) = ask(uri).await;
        assert!(answer.into_body().is_err(), "{uri}");
        assert_eq!(under_way, 0, "{uri}");
    }
}

/// Sixty-four kilobytes that say to be sixty-four megabytes come as slowly as they are read.
#[tokio::test]
async fn what_is_not_read_is_not_decoded() {
    let (pool, under_way) = watched_pool(&server(), Tuning::default(), "short");
    let request = Request::get("http://server/bomb").body(Full::default()).unwrap();
    let mut body = Gzip::new(pool).oneshot(request).await.unwrap().into_body();
    for _ in 0..16 {
        assert!(next(&mut body).await.expect("more").len() <= 16 << 10);
    }
    assert_eq!(under_way(), 1);
    drop(body);
    eventually("an end", || under_way() == 0).await;
}
