//! Nothing is lost, reordered or kept back; and what is flushed in one turn is sent at once.

use std::sync::{Arc, Mutex};
use std::task::Waker;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

/// Takes note of every write, and takes at most `most` bytes of it.
struct Noted {
    writes: Arc<Mutex<Vec<usize>>>,
    most: usize,
}

impl AsyncWrite for Noted {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = buf.len().min(self.most);
        self.writes.lock().unwrap().push(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn noted(most: usize) -> (Buffered<Noted>, Arc<Mutex<Vec<usize>>>) {
    let writes = Arc::<Mutex<Vec<usize>>>::default();
    (Buffered::new(Noted { writes: writes.clone(), most }), writes)
}

/// Writes and flushes `frames` frames when it is first polled, and only flushes then, as a connection does.
struct Connection<T> {
    transport: T,
    frames: usize,
    size: usize,
}

impl<T: AsyncWrite + Unpin> Future for Connection<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..std::mem::take(&mut this.frames) {
            let frame = vec![7; this.size];
            let mut sent = 0;
            while sent < frame.len() {
                match Pin::new(&mut this.transport).poll_write(cx, &frame[sent..]) {
                    Poll::Ready(Ok(count)) => sent += count,
                    other => panic!("{other:?}"),
                }
            }
            assert!(Pin::new(&mut this.transport).poll_flush(cx).is_ready());
        }
        assert!(Pin::new(&mut this.transport).poll_flush(cx).is_ready());
        Poll::Pending
    }
}

fn poll_once(task: impl Future<Output = ()>) {
    poll_times(1, task);
}

fn poll_times(times: usize, task: impl Future<Output = ()>) {
    let mut task = std::pin::pin!(task);
    for _ in 0..times {
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
}

#[test]
fn one_turn_is_one_write() {
    let (transport, writes) = noted(usize::MAX);
    let mut task = std::pin::pin!(Gathering::new(Connection { transport, frames: 3, size: 1000 }));
    let mut poll = || task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
    assert!(poll() && writes.lock().unwrap().is_empty(), "others first");
    assert!(poll());
    assert_eq!(*writes.lock().unwrap(), [3000]);
}

#[test]
fn more_than_a_buffer_is_more_writes() {
    let (transport, writes) = noted(usize::MAX);
    poll_times(2, Gathering::new(Connection { transport, frames: 5, size: 16 << 10 }));
    assert_eq!(*writes.lock().unwrap(), [BUFFER, 16 << 10]);
}

#[test]
fn without_gathering_each_flush_is_a_write() {
    let (transport, writes) = noted(usize::MAX);
    poll_once(Connection { transport, frames: 3, size: 1000 });
    assert_eq!(*writes.lock().unwrap(), [1000, 1000, 1000]);
}

#[test]
fn a_socket_that_takes_little_gets_all() {
    let (transport, writes) = noted(700);
    poll_times(2, Gathering::new(Connection { transport, frames: 2, size: 1000 }));
    assert_eq!(*writes.lock().unwrap(), [700, 700, 600]);
}

#[test]
fn a_panic_leaves_no_hold() {
    let panicking = Gathering::new(std::future::poll_fn::<(), _>(|_| panic!("as it was meant")));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll_once(panicking)));
    assert!(caught.is_err() && !HOLDS.get() && READ.get().is_none());
}

fn pair() -> (Buffered<DuplexStream>, Buffered<DuplexStream>) {
    let (one, other) = duplex(10_000);
    (Buffered::new(one), Buffered::new(other))
}

#[tokio::test]
async fn all_bytes_arrive_in_order() {
    let all: Vec<u8> = (0..300_000_u32).map(|at| (at * 31 % 251) as u8).collect();
    for size in [1, 100, 4096, 70_000] {
        let ((mut writer, mut reader), sent) = (pair(), all.clone());
        let writing = tokio::spawn(Gathering::new(async move {
            for part in sent.chunks(size) {
                writer.write_all(part).await.unwrap();
            }
            writer.shutdown().await.unwrap();
        }));
        let (mut got, mut part) = (Vec::new(), vec![0; size]);
        loop {
            match reader.read(&mut part).await.unwrap() {
                0 => break,
                count => got.extend_from_slice(&part[..count]),
            }
        }
        writing.await.unwrap();
        assert!(got == all, "in parts of {size}");
    }
}

/// A list that comes faster than it is rewritten must not keep everybody else waiting, whether something is to be sent or not.
#[tokio::test]
async fn reading_lets_others_have_their_turn() {
    struct Endless;
    impl AsyncRead for Endless {
        fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            buf.put_slice(&vec![7; buf.remaining()]);
            Poll::Ready(Ok(()))
        }
    }
    for writes in [false, true] {
        let (mut endless, (mut sent, _)) = (Buffered::new(Endless), noted(usize::MAX));
        let read = Arc::new(Mutex::new(0));
        let total = read.clone();
        let mut task = std::pin::pin!(Gathering::new(std::future::poll_fn(move |cx| {
            let mut buffer = [0; 16 << 10];
            loop {
                let mut part = ReadBuf::new(&mut buffer);
                match Pin::new(&mut endless).poll_read(cx, &mut part) {
                    Poll::Ready(outcome) => outcome.unwrap(),
                    Poll::Pending => break,
                }
                *total.lock().unwrap() += part.filled().len();
            }
            if writes {
                assert!(Pin::new(&mut sent).poll_write(cx, b"window").is_ready());
            }
            assert!(Pin::new(&mut sent).poll_flush(cx).is_ready());
            Poll::<()>::Pending
        })));
        for turn in 1..=4 {
            assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(*read.lock().unwrap(), turn * TURN, "writes: {writes}");
        }
    }
}

#[tokio::test]
async fn idle_connections_hold_no_buffer() {
    let (mut one, mut other) = pair();
    one.write_all(b"hello").await.unwrap();
    one.flush().await.unwrap();
    let mut part = [0; 5];
    other.read_exact(&mut part).await.unwrap();
    let waits = tokio::time::timeout(std::time::Duration::from_millis(1), other.read(&mut part)).await;
    assert!(waits.is_err() && one.written.is_none() && other.read.is_none());
}
