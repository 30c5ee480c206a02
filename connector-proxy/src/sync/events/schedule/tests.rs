use k8s_openapi::api::core::v1::ObjectReference;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn event(object: &str, name: &str, count: i32) -> Event {
    Event {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("team".to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference { uid: Some(object.to_owned()), ..ObjectReference::default() },
        count: Some(count),
        ..Event::default()
    }
}

/// Does all that is due, and says with which counts.
fn write_all(schedule: &mut Schedule, now: Instant) -> Vec<i32> {
    let mut counts = Vec::new();
    while let Some(write) = schedule.take(now) {
        counts.push(write.event.count.unwrap());
        schedule.done(&key(&write.event));
    }
    counts
}

#[test]
fn what_is_counted_up_many_times_is_written_once_a_second() {
    let (mut schedule, start) = (Schedule::default(), Instant::now());
    assert_eq!(schedule.offer(event("o", "e", 1), false, start), Offered::Queued);
    assert_eq!(write_all(&mut schedule, start), [1], "the first at once");
    for count in 2..9 {
        assert_eq!(schedule.offer(event("o", "e", count), false, start), Offered::Queued);
    }
    assert_eq!(schedule.offer(event("o", "e", 8), false, start), Offered::Queued);
    assert!(write_all(&mut schedule, start + SECOND / 2).is_empty());
    assert_eq!(schedule.next(), Some(start + SECOND));
    assert_eq!(write_all(&mut schedule, start + SECOND), [8], "the last state arrives");
    assert_eq!(schedule.offer(event("o", "e", 8), false, start + SECOND), Offered::Known);
    assert_eq!(schedule.next(), None);
}

#[test]
fn what_is_there_is_not_written_again() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    let mut there = event("o", "e", 3);
    // As kube-apiserver shows what was not said.
    (there.reporting_component, there.reporting_instance) = (Some(String::new()), Some(String::new()));
    there.source = Some(k8s_openapi::api::core::v1::EventSource::default());
    there.metadata.resource_version = Some("7".to_owned());
    schedule.remember(&there, now);
    assert_eq!(schedule.offer(event("o", "e", 3), false, now), Offered::Known);
    assert_eq!(schedule.offer(event("o", "old", 3), true, now), Offered::Known, "it ran out");
    assert_eq!(schedule.offer(event("o", "e", 4), true, now), Offered::Queued, "of one that is there the state counts");
    assert!(schedule.take(now + SECOND).unwrap().is_there);
}

#[test]
fn many_about_one_object_wait_for_their_turn() {
    let (mut schedule, start) = (Schedule::default(), Instant::now());
    let burst = OBJECT_BURST as i32;
    let offered: Vec<Offered> =
        (0..burst + 3).map(|n| schedule.offer(event("noisy", &format!("e{n}"), n), false, start)).collect();
    assert!(offered[..burst as usize].iter().all(|offered| *offered == Offered::Queued));
    assert!(offered[burst as usize..].iter().all(|offered| *offered == Offered::Held));
    assert_eq!(schedule.offer(event("quiet", "q", -1), false, start), Offered::Queued, "others do not wait");
    assert_eq!(write_all(&mut schedule, start).len(), burst as usize + 1);
    // The newest state of what is held wins, and takes no other turn.
    assert_eq!(schedule.offer(event("noisy", "e26", 99), false, start), Offered::Queued);
    assert_eq!(write_all(&mut schedule, start + OBJECT_PAUSE), [burst]);
    assert_eq!(write_all(&mut schedule, start + OBJECT_PAUSE * 2), [99]);
    assert_eq!(write_all(&mut schedule, start + OBJECT_PAUSE * 3), [burst + 2]);

    // Nothing is kept of objects that are quiet.
    schedule.sweep(start + OBJECT_PAUSE * 3);
    assert_eq!(schedule.objects.len(), 1);
    schedule.sweep(start + OBJECT_PAUSE * (OBJECT_BURST + 3));
    assert!(schedule.objects.is_empty());
    schedule.sweep(start + LIFETIME * 2);
    assert!(schedule.written.is_empty());
}

#[test]
fn what_would_wait_too_long_is_dropped() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    let mut offer = |n: u32| schedule.offer(event("noisy", &format!("e{n}"), 1), false, now);
    let room = OBJECT_BURST + (OBJECT_PATIENCE.as_secs() / OBJECT_PAUSE.as_secs()) as u32;
    assert!((0..room).all(|n| offer(n) != Offered::Dropped));
    assert_eq!((offer(room), offer(room)), (Offered::Dropped, Offered::Dropped));
}

#[test]
fn one_write_of_an_event_at_a_time() {
    let (mut schedule, start) = (Schedule::default(), Instant::now());
    schedule.offer(event("o", "e", 1), false, start);
    let first = schedule.take(start).unwrap();
    schedule.offer(event("o", "e", 2), false, start);
    assert!(schedule.take(start + SECOND).is_none(), "the first is under way still");
    schedule.done(&key(&first.event));
    let second = schedule.take(start + SECOND * 2).unwrap();
    assert!(second.is_there);
    // It was not ours: the next state must not change it either.
    schedule.gone(&key(&second.event));
    schedule.offer(event("o", "e", 3), false, start + SECOND * 3);
    assert!(!schedule.take(start + SECOND * 3).unwrap().is_there);
}

#[test]
fn what_failed_is_tried_again_and_later_each_time() {
    let (mut schedule, start) = (Schedule::default(), Instant::now());
    schedule.offer(event("o", "e", 1), false, start);
    let mut now = start;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        let write = schedule.take(now).unwrap();
        schedule.failed(write, now);
        assert_eq!(schedule.next(), Some(now + SECOND * pause));
        now += SECOND * pause;
    }
    // A newer state takes its place.
    schedule.offer(event("o", "e", 2), false, now);
    let write = schedule.take(now).unwrap();
    assert_eq!((write.event.count, write.since), (Some(2), start));
    schedule.offer(event("o", "e", 3), false, now);
    schedule.failed(write, now);
    assert_eq!(write_all(&mut schedule, now + SECOND), [3]);
    // Nor is it tried for ever.
    schedule.offer(event("o", "f", 1), false, now);
    let write = schedule.take(now).unwrap();
    schedule.failed(write, now + LIFETIME * 2);
    assert_eq!(schedule.next(), None);
}
