//! Answers that come compressed, for ways that are narrower than the processor is fast.
//!
//! kube-apiserver compresses what is longer than 128 KiB, but no watch. Decoding keeps one window of 32 KiB and a few kilobytes of
//! output, whatever the answer says of itself: it is read no faster than the client takes it.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Service, ServiceExt};
use tower_http::decompression::{Decompression, DecompressionBody};

use super::BoxError;
use super::body::Body;
use super::pool::{Pool, is_watch};

/// An answer that is decoded as it is read, or was not compressed.
pub(super) type Decoded = DecompressionBody<Body>;

/// The pool, with answers compressed on the way where they are no watches.
#[derive(Clone)]
pub(super) struct Gzip {
    plain: Pool,
    compressed: Decompression<Pool>,
}

impl Gzip {
    pub(super) fn new(pool: Pool) -> Self {
        Self { plain: pool.clone(), compressed: Decompression::new(pool) }
    }
}

impl Service<Request<Full<Bytes>>> for Gzip {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        if is_watch(request.uri()) {
            return self.plain.call(request);
        }
        let compressed = self.compressed.clone();
        Box::pin(async move { Ok(compressed.oneshot(request).await?.map(Body::decoded)) })
    }
}
