//! Streams: never more than allowed, nobody blocked, sent again only where that is safe.

use super::*;

/// Wire rule 11.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_watches_block_nobody() {
    let peer = Peer::new(100, Do::Watch);
    let pool = pool(&peer.connector(), Tuning::default());
    let begun = (0..2000).map(|_| watch(&pool));
    let watches = futures::future::join_all(begun).await;
    assert!(peer.each(|connection| connection.peak).iter().all(|peak| *peak <= 100), "more streams than allowed");
    peer.next(&[Do::Answer]);
    assert_eq!(get(&pool, ONE).await.unwrap().status(), 200);
    // One more of each kind: made in advance, and for short requests.
    assert!(peer.connections() <= 2000 / 100 + 2, "{} connections", peer.connections());
    drop(watches);
    eventually("all streams to be reset", || peer.each(|connection| connection.open.len()).iter().sum::<usize>() == 0)
        .await;
}

#[tokio::test]
async fn a_connection_is_made_before_the_last_stream_is_taken() {
    let peer = Peer::new(4, Do::Watch);
    let pool = pool(&peer.connector(), Tuning::default());
    let mut watches = vec![watch(&pool).await, watch(&pool).await];
    assert_eq!(peer.connections(), 1);
    watches.push(watch(&pool).await);
    eventually("another connection", || peer.connections() == 2).await;
    assert_eq!(peer.look(0, |connection| connection.open.len()), 3);
    eventually("it to be ready", || peer.look(1, |connection| connection.acks > 0)).await;
    watches.push(watch(&pool).await);
    assert_eq!(peer.look(1, |connection| connection.open.len()), 1, "the one with the fewest streams is taken");
}

#[tokio::test]
async fn another_limit_counts_at_once() {
    let peer = Peer::new(10, Do::Watch);
    let pool = pool(&peer.connector(), Tuning::default());
    let mut watches = Vec::new();
    for _ in 0..5 {
        watches.push(watch(&pool).await);
    }
    assert_eq!(peer.connections(), 1);
    let settle = async |count: usize| {
        eventually("the limit to be taken note of", || peer.look(0, |connection| connection.acks == count)).await;
        // The acknowledgement is written a moment before the limit is seen.
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let acks = peer.look(0, |connection| connection.acks);
    peer.set_limit(0, 3);
    // What acknowledges our SETTINGS came first.
    settle(acks).await;
    for _ in 0..4 {
        watches.push(watch(&pool).await);
    }
    assert_eq!(peer.look(0, |connection| (connection.open.len(), connection.peak)), (5, 5));
    peer.set_limit(0, 6);
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(watches.drain(..5));
    eventually("room", || peer.look(0, |connection| connection.open.is_empty())).await;
    watches.push(watch(&pool).await);
    assert_eq!(peer.look(0, |connection| connection.open.len()), 1, "the old connection is used again");
}

#[tokio::test]
async fn a_dropped_answer_resets_its_stream_and_makes_room() {
    let peer = Peer::new(1, Do::Watch);
    let pool = pool(&peer.connector(), Tuning::default());
    for _ in 0..10 {
        drop(watch(&pool).await);
        eventually("the stream to be reset", || peer.look(0, |connection| connection.open.is_empty())).await;
    }
    assert_eq!(peer.connections(), 1);
    // Before the answer, too.
    peer.next(&[Do::Silence]);
    let unanswered = timeout(Duration::from_millis(50), get(&pool, WATCH)).await;
    assert!(unanswered.is_err());
    eventually("the stream to be reset", || peer.look(0, |connection| connection.open.is_empty())).await;
    drop(watch(&pool).await);
    assert_eq!(peer.connections(), 1);
}

/// Wire rule 11.3.
#[tokio::test]
async fn what_was_not_looked_at_is_sent_again() {
    let peer = Peer::new(100, Do::Answer);
    let pool = pool(&peer.connector(), Tuning::default());
    for what in [Do::Refuse, Do::GoAwayBefore] {
        let before: usize = peer.each(|connection| connection.seen).iter().sum();
        peer.next(&[what, what]);
        assert_eq!(send(&pool, Method::POST, ONE, "body").await.unwrap().status(), 200, "{what:?}");
        assert_eq!(peer.each(|connection| connection.seen).iter().sum::<usize>() - before, 3, "{what:?}");
    }
    // But not for ever.
    peer.next(&[Do::Refuse; 3]);
    assert!(send(&pool, Method::POST, ONE, "body").await.is_err());
    assert!(get(&pool, ONE).await.is_ok());
}

#[tokio::test]
async fn what_may_have_been_done_is_not_sent_again() {
    let peer = Peer::new(100, Do::Answer);
    let pool = pool(&peer.connector(), Tuning::default());
    peer.next(&[Do::HangUp]);
    assert!(send(&pool, Method::POST, ONE, "body").await.is_err());
    assert_eq!(peer.each(|connection| connection.seen).iter().sum::<usize>(), 1);
    peer.next(&[Do::HangUp]);
    assert!(get(&pool, ONE).await.is_ok(), "who only reads may try again");
}

#[tokio::test]
async fn a_peer_that_allows_nothing_is_no_peer() {
    let tuning = Tuning { connect_timeout: Duration::from_millis(100), ..Tuning::default() };
    let pool = pool(&Peer::new(0, Do::Answer).connector(), tuning);
    let error = get(&pool, ONE).await.err().expect("no answer");
    assert!(matches!(error.downcast_ref(), Some(NoStream::Dial(_))), "{error}");
}
