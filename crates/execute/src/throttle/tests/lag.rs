//! A standby that falls behind slows windows down before it stops them.

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn windows_rest_the_longer_the_nearer_a_lag_is_to_its_limit() {
    let stage = Stage::new();
    stage.on(&[("replica_lag", "8s")], |env, valve, watch| {
        stage.world.shown().others = false;
        watch.look(true);
        let mut rest_at = |lag: f64| {
            stage.shows(Signal::ReplicaLag, lag);
            assert_eq!(after_a_second(valve, env, watch).len(), usize::from(lag > 8.0), "{lag}");
            let began = env.clock.now();
            valve.rest(env, MS(30)).unwrap();
            assert_eq!(valve.wants_short_windows(), lag > 2.0, "{lag}");
            (env.clock.now() - began).as_millis()
        };
        assert_eq!([0.0, 2.0, 3.5, 5.0, 6.5, 8.0].map(&mut rest_at), [0, 0, 23, 90, 270, 270]);
        assert_eq!([9.0, f64::INFINITY, 0.5].map(&mut rest_at), [270, 270, 0]);
        stage.world.shown().readings.remove(&Signal::ReplicaLag);
        assert_eq!((after_a_second(valve, env, watch).len(), valve.state().rest), (0, 0.0), "there is no standby");
    });
}

#[test]
fn a_rest_is_short_and_counted_once_for_all_workers() {
    let stage = Stage::new();
    stage.on(&[("replica_lag", "1s")], |env, valve, watch| {
        stage.shows(Signal::ReplicaLag, 0.9);
        watch.look(true);
        let began = env.clock.now();
        valve.rest(env, 60 * SECOND).unwrap();
        assert_eq!(env.clock.now() - began, SECOND);
        valve.rests(2, env.clock.now());
        stage.clock.pass(SECOND);
        valve.rests(-2, env.clock.now());
        stage.clock.pass(SECOND);
        valve.rests(0, env.clock.now());
        assert_eq!(valve.held(), [("replica lag".to_owned(), 2 * SECOND)]);
        stage.stop.request();
        assert!(matches!(valve.rest(env, SECOND), Err(RunError::Interrupted)));
    });
}

#[test]
fn a_limit_that_may_be_reached_before_long_is_looked_at_soon() {
    let is_close = |key, limit, signal, reading: Reading| {
        let stage = Stage::new();
        stage.world.shown().readings.insert(signal, reading);
        stage.on(&[(key, limit)], |env, valve, watch| {
            assert!(!watch.is_close());
            after_a_second(valve, env, watch);
            watch.is_close()
        })
    };
    let lag = |limit, lag| is_close("replica_lag", limit, Signal::ReplicaLag, Reading::Value(lag));
    assert_eq!([lag("10s", 1.0), lag("10s", 3.0), lag("10s", 30.0)], [false, true, true]);
    assert_eq!([lag("4s", 0.0), lag("5s", 0.0)], [true, false], "it could get there between two looks");
    assert!(!is_close("replica_lag", "1s", Signal::ReplicaLag, Reading::Nothing), "there is no standby");
    assert!(is_close("replica_lag", "10s", Signal::ReplicaLag, Reading::Unknown("no".to_owned())));
    let free = |bytes| is_close("disk_free", "1GB", Signal::DiskFree, Reading::Value(bytes));
    assert_eq!([free(1e11), free(2e9), free(0.0)], [false, true, true]);
}

/// Windows write, and a standby replays this part of what they can write: returns its worst lag, and which part of the time
/// they worked in the last of two minutes.
fn beside_a_standby(replays: f64) -> (Duration, f64) {
    const TICK: Duration = Duration::from_millis(10);
    let stage = Stage::new();
    stage.on(&[("replica_lag", "1s")], |env, valve, watch| {
        // When each piece of work was written, and how much of all is replayed.
        let (mut written, mut replayed, mut worked) = (Vec::new(), 0.0, 0.0);
        let (mut worst, mut next_look) = (Duration::ZERO, Duration::ZERO);
        for tick in 0..12_000_u32 {
            let now = env.clock.now();
            replayed = (replayed + replays).min(written.len() as f64);
            let lag = written.get(replayed as usize).map_or(Duration::ZERO, |at| now - *at);
            worst = worst.max(lag);
            if now >= next_look {
                stage.shows(Signal::ReplicaLag, lag.as_secs_f64());
                watch.look(true);
                next_look = now + if watch.is_close() { super::super::LOOK_SOON } else { SECOND };
            }
            let share = 1.0 / (1.0 + valve.state().rest);
            let share = if reasons(valve, env, Work::Window).is_empty() { share } else { 0.0 };
            let before = worked;
            worked += share;
            written.extend((before.floor() < worked.floor()).then_some(now));
            if tick == 6_000 {
                worked = worked.fract();
            }
            stage.clock.pass(TICK);
        }
        (worst, worked / 6_000.0)
    })
}

#[test]
fn a_slow_standby_stays_near_its_limit_and_has_as_much_to_replay_as_it_can() {
    for (replays, most) in [(0.2, MS(2800)), (0.3, MS(1800)), (0.5, MS(1000)), (0.8, MS(500)), (1.0, MS(50))] {
        let (worst, part) = beside_a_standby(replays);
        assert!(worst <= most, "a standby that replays {replays} is behind by {worst:?}");
        assert!((replays * 0.9..=replays * 1.1).contains(&part), "{part} of {replays}");
    }
}
