//! A process that helps stands still whenever the run does that it helps.

use super::*;

/// What a run tells of itself that is held back so, or not at all.
fn figures(holding: &[&str]) -> String {
    Report { holding: holding.iter().map(|text| (*text).to_owned()).collect(), ..Report::default() }.to_json()
}

fn tells(stage: &Stage, holding: &[&str], age_s: u64) {
    let mut shown = stage.world.shown();
    (shown.is_run, shown.told) = (true, Some((figures(holding), age_s)));
}

/// Looks at orders alone after half a second, and returns what holds windows back.
fn soon(valve: &Valve, env: Env<'_>, watch: &mut Watch<'_>) -> Vec<String> {
    env.clock.wait(SECOND / 2, env.run.stop);
    watch.look(false);
    reasons(valve, env, Work::Window)
}

#[test]
fn what_holds_the_run_holds_who_helps_it_and_nobody_else() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        tells(&stage, &["the table has grown"], 1);
        assert_eq!(after_a_second(valve, env, watch), [""; 0], "it runs the migration itself");
        valve.helps();
        let told = "the run that this process helps stands still: the table has grown";
        assert_eq!(soon(valve, env, watch), [told]);
        assert_eq!(reasons(valve, env, Work::Locks), [""; 0]);
        tells(&stage, &[], 1);
        assert_eq!(soon(valve, env, watch), [""; 0]);
    });
}

#[test]
fn an_order_that_holds_both_is_told_once() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        valve.helps();
        let order = "paused by anna; to go on: segue resume 1_full_name";
        tells(&stage, &[order], 0);
        stage.world.shown().orders.paused_by = Some("anna".to_owned());
        assert_eq!(after_a_second(valve, env, watch), [order]);
    });
}

#[test]
fn a_run_that_says_nothing_any_more_holds_and_one_that_has_not_begun_to_does_not() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        valve.helps();
        stage.world.shown().is_run = true;
        assert_eq!(after_a_second(valve, env, watch), [""; 0]);
        tells(&stage, &[], 11);
        let silent = "the run that this process helps has told nothing of itself for 11 s";
        assert_eq!(soon(valve, env, watch), [silent]);
        stage.clock.pass(100 * SECOND);
        watch.look(true);
        assert!(!valve.is_abandoned(env.clock.now()), "it is there, and may wake up");
        stage.world.shown().told = Some(("what another version writes".to_owned(), 1));
        assert_eq!(soon(valve, env, watch), [""; 0]);
    });
}

#[test]
fn what_a_dead_run_waited_for_is_not_waited_for_and_nobody_helps_it() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        valve.helps();
        tells(&stage, &["the table has grown"], 1);
        assert_eq!(after_a_second(valve, env, watch).len(), 1);
        stage.world.shown().is_run = false;
        let gone = "nobody runs `1_full_name` at the moment";
        assert_eq!(soon(valve, env, watch), [gone], "nobody clears dead rows");
        tells(&stage, &["the table has grown"], 1);
        assert_eq!(soon(valve, env, watch).len(), 1);
        assert!(!valve.is_abandoned(env.clock.now() + 20 * SECOND), "another has taken it over");
        stage.world.shown().is_run = false;
        soon(valve, env, watch);
        let waited = while_it_waits(valve, env, Work::Window, || {
            for _ in 0..10 {
                assert!(!valve.is_abandoned(env.clock.now()));
                after_a_second(valve, env, watch);
            }
        });
        assert!(waited.is_ok() && valve.is_abandoned(env.clock.now()), "who waits is let go");
    });
}

#[test]
fn what_a_worker_waits_for_is_looked_for_and_written_down_at_once() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        valve.leads(7);
        watch.look(true);
        valve.waits_for(Some("the table has grown".to_owned()), env.clock.now());
        assert_eq!(valve.until_next_look(100 * SECOND), Some(true));
        watch.look(true);
        valve.waits_for(Some("the table has grown, and how".to_owned()), env.clock.now());
        assert_eq!(valve.until_next_look(Duration::ZERO), Some(false), "it waits already");
        valve.waits_for(None, env.clock.now());
        assert_eq!(valve.until_next_look(100 * SECOND), Some(true));
        watch.look(true);
        let held = |(_, report): &(i64, String)| Report::from_json(report).unwrap().holding.len();
        assert_eq!(stage.world.shown().reports.iter().map(held).collect::<Vec<_>>(), [0, 1, 0]);
    });
}
