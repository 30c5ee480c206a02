//! Connections: made, replaced, asked whether they live, and given up.

use super::*;

#[tokio::test]
async fn who_waits_for_a_connection_that_fails_is_told() {
    let peer = Peer::new(100, Do::Answer);
    let pool = pool(&peer.connector(), Tuning::default());
    peer.connect(Connect::Fails);
    let all = futures::future::join_all((0..10).map(|_| get(&pool, ONE))).await;
    for outcome in all {
        let error = outcome.err().expect("no answer");
        assert!(matches!(error.downcast_ref(), Some(NoStream::Dial(_))), "{error}");
    }
    peer.connect(Connect::Works);
    assert!(get(&pool, ONE).await.is_ok(), "the next one tries again");
}

#[tokio::test]
async fn the_queue_has_an_end_and_patience_too() {
    let peer = Peer::new(100, Do::Answer);
    peer.connect(Connect::NeverEnds);
    let tuning = Tuning { queue: 5, patience: Duration::from_millis(300), ..Tuning::default() };
    let pool = pool(&peer.connector(), tuning);
    let all = futures::future::join_all((0..8).map(|_| get(&pool, ONE))).await;
    let errors: Vec<BoxError> = all.into_iter().filter_map(Result::err).collect();
    let count = |is: fn(&NoStream) -> bool| errors.iter().filter(|error| error.downcast_ref().is_some_and(is)).count();
    assert_eq!(count(|error| matches!(error, NoStream::Full(5))), 3);
    assert_eq!(count(|error| matches!(error, NoStream::Late(_))), 5);
}

/// A connection that cannot be made in time fails for all who wait, and not each after the other.
#[tokio::test]
async fn connecting_has_an_end() {
    let peer = Peer::new(100, Do::Answer);
    peer.connect(Connect::NeverEnds);
    let tuning = Tuning { connect_timeout: Duration::from_millis(100), ..Tuning::default() };
    let pool = pool(&peer.connector(), tuning);
    let all = futures::future::join_all((0..5).map(|_| get(&pool, WATCH))).await;
    assert!(all.iter().all(Result::is_err));
}

/// Wire rule 11.3.
#[tokio::test]
async fn a_connection_that_goes_away_is_replaced_and_its_streams_go_on() {
    let peer = Peer::new(100, Do::Watch);
    let pool = pool(&peer.connector(), Tuning::default());
    let mut first = watch(&pool).await;
    peer.go_away(0);
    eventually("another connection, unasked", || peer.connections() == 2).await;
    let second = watch(&pool).await;
    assert_eq!(peer.look(0, |connection| connection.seen), 1);
    peer.event(0);
    assert_eq!(next(&mut first).await.unwrap(), "y");
    drop(first);
    eventually("the first connection to be closed", || peer.look(0, |connection| connection.has_ended)).await;
    assert!(!peer.look(1, |connection| connection.has_ended));
    drop(second);
}

#[tokio::test]
async fn a_peer_that_hangs_is_noticed() {
    let peer = Peer::new(100, Do::Watch);
    let tuning = Tuning {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(200),
        ..Tuning::default()
    };
    let pool = pool(&peer.connector(), tuning);
    let mut open = watch(&pool).await;
    // It lives although it says nothing by itself.
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(peer.connections(), 1);
    peer.event(0);
    assert_eq!(next(&mut open).await.unwrap(), "y");

    peer.answer_no_ping();
    peer.next(&[Do::Silence]);
    let unanswered = send(&pool, Method::POST, ONE, "body");
    let (broken, unanswered) = tokio::join!(next(&mut open), unanswered);
    assert_eq!(broken, None, "watches end");
    assert!(unanswered.is_err(), "and so do other requests");
}

#[tokio::test]
async fn unused_connections_are_closed_but_for_the_last() {
    let peer = Peer::new(10, Do::Watch);
    let pool = pool(&peer.connector(), Tuning { idle: Duration::from_millis(100), ..Tuning::default() });
    let watches = futures::future::join_all((0..35).map(|_| watch(&pool))).await;
    assert!(peer.connections() >= 4);
    drop(watches);
    let open = || peer.each(|connection| connection.has_ended).iter().filter(|ended| !**ended).count();
    eventually("all but one to be closed", || open() == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(open(), 1);
}

#[tokio::test]
async fn old_connections_take_no_more_streams() {
    let peer = Peer::new(100, Do::Watch);
    let tuning = Tuning { idle: Duration::from_millis(50), age: Duration::from_millis(200), ..Tuning::default() };
    let pool = pool(&peer.connector(), tuning);
    let mut open = watch(&pool).await;
    eventually("another connection", || peer.connections() >= 2).await;
    peer.event(0);
    assert_eq!(next(&mut open).await.unwrap(), "y", "the watch goes on");
    drop(open);
    eventually("the old one to be closed", || peer.look(0, |connection| connection.has_ended)).await;
}

/// Another kubeconfig is in force: what is under way goes on, and nothing else stays.
#[tokio::test]
async fn a_pool_that_is_dropped_drains() {
    let peer = Peer::new(100, Do::Watch);
    let pool = pool(&peer.connector(), Tuning::default());
    let mut open = watch(&pool).await;
    peer.next(&[Do::Answer]);
    get(&pool, ONE).await.unwrap();
    drop(pool);
    eventually("the unused one to be closed", || peer.look(1, |connection| connection.has_ended)).await;
    peer.event(0);
    assert_eq!(next(&mut open).await.unwrap(), "y");
    drop(open);
    eventually("the other one, too", || peer.look(0, |connection| connection.has_ended)).await;
}
