//! Readers that do not read, and servers that speak HTTP/1.1 only.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, Uri, header};
use http_body::Frame;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;
use crate::upstream::dial::Dialed;

/// More than a stream's window, so that an answer that nobody reads stays under way.
const LIST: usize = 8 << 20;

/// A server that answers `/list` with a long list, a watch with an event and silence, and everything else with its own request.
/// Counts its connections.
fn server(is_two: bool) -> (Connector, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let connector = Connector::new(tower::service_fn(move |_server: Uri| {
        counted.fetch_add(1, Ordering::Relaxed);
        let (theirs, ours) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move {
            let (io, service) = (TokioIo::new(ours), service_fn(answer));
            // How a connection ends is the test's affair.
            match is_two {
                true => {
                    let mut server = http2::Builder::new(TokioExecutor::new());
                    let _ = server.max_concurrent_streams(100).serve_connection(io, service).await;
                }
                false => {
                    let _ = http1::Builder::new().serve_connection(io, service).await;
                }
            }
        });
        async move { Ok::<_, BoxError>(Dialed { io: Box::new(TokioIo::new(theirs)), is_two }) }
    }));
    (connector, count)
}

async fn answer(request: Request<Incoming>) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let host = |headers: &HeaderMap| headers.get(header::HOST).and_then(|host| host.to_str().ok().map(str::to_owned));
    let body = match (request.uri().path(), request.uri().query()) {
        ("/list", _) => Full::new(Bytes::from(vec![b'a'; LIST])).boxed_unsync(),
        (_, Some("watch=true")) => {
            let event = futures::stream::iter([Ok(Frame::data(Bytes::from_static(b"x")))]);
            StreamBody::new(futures::StreamExt::chain(event, futures::stream::pending())).boxed_unsync()
        }
        _ => {
            let told = format!("{} {:?}", request.uri(), host(request.headers()));
            Full::new(Bytes::from(told)).boxed_unsync()
        }
    };
    Ok(Response::new(body))
}

async fn whole(answer: Response<Body>) -> Bytes {
    timeout(LONG, answer.into_body().collect()).await.expect("an answer in time").expect("an answer").to_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_delay_nobody() {
    let (connector, connections) = server(true);
    let pool = pool(&connector, Tuning::default());
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut list = get(&pool, "http://server/list").await.unwrap().into_body();
        assert!(next(&mut list).await.is_some());
        slow.push(list);
    }
    // Until their windows are full.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..200 {
        assert!(!whole(get(&pool, ONE).await.unwrap()).await.is_empty());
    }
    assert_eq!(whole(get(&pool, "http://server/list").await.unwrap()).await.len(), LIST);
    assert_eq!(connections.load(Ordering::Relaxed), 1, "all of that on one connection");
    for list in slow {
        assert!(whole(Response::new(list)).await.len() > LIST / 2, "and they get the rest when they want it");
    }
}

#[tokio::test]
async fn http_1_1_is_spoken_where_nothing_else_is() {
    let (connector, connections) = server(false);
    let tuning = Tuning { idle: Duration::from_millis(500), ..Tuning::default() };
    let (pool, under_way) = watched_pool(&connector, tuning, "short");
    let connections = || connections.load(Ordering::Relaxed);
    for _ in 0..20 {
        let told = whole(get(&pool, "http://server:81/one?a=b").await.unwrap()).await;
        assert_eq!(told, r#"/one?a=b Some("server:81")"#);
        // The connection is a moment behind the answer.
        eventually("the end", || under_way() == 0).await;
    }
    assert_eq!(connections(), 1, "it is used again");
    // An answer that is not read to its end takes its connection with it.
    drop(get(&pool, "http://server/list").await.unwrap());
    let watches = futures::future::join_all((0..40).map(|_| watch(&pool))).await;
    assert_eq!(connections(), 1 + 40, "each watch has its own, and no more are made");
    assert!(!whole(get(&pool, ONE).await.unwrap()).await.is_empty());
    assert_eq!(connections(), 42);
    drop(watches);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!whole(get(&pool, ONE).await.unwrap()).await.is_empty());
    assert_eq!(connections(), 43, "unused ones are closed, the last one too");
}
