//! Dead rows: when they are cleared, and what is waited for.

use segue_model::plan::{Mode, Moving, Plan};
use segue_model::session::FailKind;
use segue_model::sql::Sql;
use segue_model::step::Pace;

use super::fake::Database;
use super::moving::{at_fills, with};
use super::{Process, additive, table};

pub(super) fn pace() -> Pace {
    let (vacuum, size, holders) = (Sql::fixed("vacuum"), Sql::fixed("bytes"), Sql::fixed("snapshots"));
    Pace { vacuum, size, holders, percent: 20, growth_percent: 30 }
}

#[test]
fn dead_rows_are_cleared_on_the_way() {
    let database = Database::new(true).with_rows(400);
    let plan = with(additive(), |backfill| backfill.pace = Some(pace()));
    Process::new(&database).apply(&plan).unwrap();
    let cleared = |database: &Database| database.state().statements.iter().filter(|all| *all == "vacuum").count();
    assert_eq!(cleared(&database), 4, "after each fifth, and not in the sweep");
    let database = Database::new(true).with_rows(400);
    let mut process = Process::new(&database);
    process.options.tuning.pacing = Some(false);
    process.apply(&plan).unwrap();
    assert_eq!(cleared(&database), 0);
}

#[test]
fn a_snapshot_that_keeps_dead_rows_holds_windows_back_only_once_the_table_has_grown() {
    let plan = with(additive(), |backfill| backfill.pace = Some(pace()));
    for (grown, waits) in [(1300, 0), (1301, 4)] {
        let database = Database::new(true).with_rows(400);
        database.state().snapshots = 5;
        at_fills(&database, move |_, _, state| state.bytes = grown);
        let process = Process::new(&database);
        process.apply(&plan).unwrap();
        assert_eq!(process.told.count("waiting the table has grown"), waits, "{:?}", process.told.all());
    }
}

fn vacuums(database: &Database) -> usize {
    database.state().statements.iter().filter(|all| *all == "vacuum").count()
}

fn paced() -> Plan {
    with(additive(), |backfill| backfill.pace = Some(pace()))
}

#[test]
fn a_vacuum_that_fails_is_told_and_tried_again_soon() {
    let database = Database::new(true).with_rows(400);
    database.fail_next("vacuum", FailKind::LockTimeout, 1);
    let process = Process::new(&database);
    process.apply(&paced()).unwrap();
    assert_eq!(process.told.count("note dead rows of `main.users` were not cleared"), 1);
    assert_eq!(vacuums(&database), 4, "a failure costs no turn");
}

#[test]
fn dead_rows_that_could_not_be_cleared_are_looked_at_again_soon() {
    let database = Database::new(true).with_rows(400);
    database.state().snapshots = 2;
    Process::new(&database).apply(&paced()).unwrap();
    assert_eq!(vacuums(&database), 4);
}

#[test]
fn a_snapshot_that_begins_on_the_way_is_waited_for_once_the_table_has_grown() {
    let database = Database::new(true).with_rows(400);
    // Younger than the backfill, and there for a while.
    database.state().report = Some((1_000_010, 1_000_400));
    at_fills(&database, |fills, _, state| {
        state.now_s += i64::from(fills < 100);
        state.bytes = if fills > 20 { 1301 } else { 1000 };
    });
    let process = Process::new(&database);
    process.apply(&paced()).unwrap();
    let waited = process.told.count("waiting the table has grown");
    assert!(waited > 50, "{waited}: {:?}", process.told.all());
    assert!(vacuums(&database) >= 2, "and cleared when it is gone");
}

#[test]
fn a_change_that_needs_more_room_than_its_bound_goes_on() {
    let database = Database::new(true).with_rows(400);
    at_fills(&database, |fills, _, state| state.bytes = 1301 + fills as i64);
    let process = Process::new(&database);
    process.apply(&paced()).unwrap();
    assert_eq!(process.told.count("waiting"), 0);
    assert!(vacuums(&database) > 6, "{}: dead rows are cleared more often", vacuums(&database));
}

#[test]
fn room_that_a_young_snapshot_keeps_is_not_taken_for_what_the_change_needs() {
    let database = Database::new(true).with_rows(400);
    at_fills(&database, |_, _, state| {
        state.bytes = 1301;
        // It began shortly before windows stand still, and is there for long.
        let now = state.now_s;
        state.report.get_or_insert((now - 2, now + 60));
    });
    let process = Process::new(&database);
    process.apply(&paced()).unwrap();
    let waited = process.told.count("waiting the table has grown");
    assert!(waited > 10, "{waited}: {:?}", process.told.all());
}

#[test]
fn who_comes_while_windows_stand_still_is_not_waited_for() {
    let database = Database::new(true).with_rows(400);
    database.state().snapshots = 3;
    database.state().report = Some((1_000_003, i64::MAX));
    at_fills(&database, |_, _, state| state.bytes = 1301);
    let process = Process::new(&database);
    process.apply(&paced()).unwrap();
    let waited = process.told.count("waiting the table has grown");
    assert!((1..50).contains(&waited), "{waited}");
}

#[test]
fn what_is_hidden_holds_only_once_the_table_has_grown() {
    let database = Database::new(true).with_rows(400);
    database.state().hidden = true;
    let process = Process::new(&database);
    process.apply(&paced()).unwrap();
    assert_eq!((process.told.count("waiting"), vacuums(&database)), (0, 4));
    let database = Database::new(true).with_rows(400);
    database.state().hidden = true;
    at_fills(&database, |_, _, state| state.bytes = 1301);
    let mut looks = 0;
    let watches = database.state().watches.take();
    let mut watches = watches.unwrap();
    database.state().watches = Some(Box::new(move |word, session, state| {
        looks += u32::from(word == "snapshots");
        state.hidden = looks < 10;
        watches(word, session, state);
    }));
    let process = Process::new(&database);
    process.apply(&paced()).unwrap();
    assert!(process.told.count("waiting the table has grown") >= 5, "{:?}", process.told.all());
}

pub(super) fn inline(unit: &str) -> Plan {
    let mut plan = with(additive(), |backfill| {
        backfill.pace = Some(pace());
        backfill.cut.unit = unit.to_owned();
    });
    let moving = Moving { mode: Mode::Inline, because: "few".to_owned() };
    plan.evidence.moving.insert(table().to_string(), moving);
    plan
}

#[test]
fn a_small_table_is_small_only_while_it_is() {
    for (rows, cleared) in [(400, false), (4004, true)] {
        let database = Database::new(true).with_rows(rows);
        Process::new(&database).apply(&inline("pages")).unwrap();
        assert_eq!(vacuums(&database) > 0, cleared, "{rows} pages");
    }
}
