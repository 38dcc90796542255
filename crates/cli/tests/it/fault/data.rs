//! Somebody changes the schema, the triggers or the rows behind our back.

use segue_model::engine::Engine;
use segue_testkit::postgres;
use segue_testkit::segue::Output;
use segue_traffic::scenario;

use super::place::{BACK, Case, Change, WAY, assert_code};

const ROWS: u32 = 1_500;

/// A split that is at `ready`, on PostgreSQL.
fn ready() -> Option<Case> {
    let server = postgres(15)?;
    let change = Change::new(scenario::split(Engine::Postgres), ROWS);
    let case = Case::postgres(server, &change);
    case.segue().ok(&["apply"]);
    Some(case)
}

#[track_caller]
fn assert_says(output: &Output, code: i32, words: &[&str]) {
    assert_code(output, code);
    for word in words {
        let said = output.stderr.contains(word) || output.stdout.contains(word);
        assert!(said, "it does not say `{word}`:\n--- stdout\n{}--- stderr\n{}", output.stdout, output.stderr);
    }
}

/// The names of our triggers on the table.
fn triggers(case: &Case) -> Vec<String> {
    let sql = "SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'people'::regclass AND NOT tgisinternal ORDER BY 1";
    case.client().column(sql, &[])
}

#[test]
fn a_schema_that_changes_underneath_is_shown_and_refused() {
    let Some(case) = ready() else { return };
    case.client().batch("ALTER TABLE people ALTER COLUMN full_name SET DEFAULT 'theirs'");
    let refused = case.segue().run(&["flip"]);
    assert_says(&refused, 1, &["the tables have changed since", "theirs"]);
    assert_says(&case.segue().run(&["status"]), 0, &["the tables have changed since"]);
    case.client().batch("ALTER TABLE people ALTER COLUMN full_name DROP DEFAULT");
    case.finish(1);
}

#[test]
fn a_trigger_that_is_disabled_is_named_and_stops_every_gate_until_it_is_enabled() {
    let Some(case) = ready() else { return };
    let names = triggers(&case);
    let trigger = &names[0];
    for (at, gate) in [(1, "flip"), (2, "contract"), (3, "cleanup")] {
        case.client().batch(&format!("ALTER TABLE people DISABLE TRIGGER \"{trigger}\""));
        let refused = case.segue().run(WAY[at]);
        assert!(matches!(refused.code, 1 | 5 | 6), "{gate}: {}: {}{}", refused.code, refused.stdout, refused.stderr);
        assert!(refused.stderr.contains(trigger.as_str()), "{gate} does not name {trigger}: {}", refused.stderr);
        let verified = case.segue().run(&["verify"]);
        assert!(matches!(verified.code, 1 | 5 | 6), "{}: {}{}", verified.code, verified.stdout, verified.stderr);
        let said = verified.stderr.contains(trigger.as_str()) || verified.stdout.contains(trigger.as_str());
        assert!(said, "verify does not name {trigger}: {}{}", verified.stdout, verified.stderr);
        case.client().batch(&format!("ALTER TABLE people ENABLE ALWAYS TRIGGER \"{trigger}\""));
        case.segue().ok(WAY[at]);
    }
}

#[test]
fn a_trigger_that_is_dropped_is_named_and_a_rollback_is_still_possible() {
    let Some(case) = ready() else { return };
    let names = triggers(&case);
    let trigger = &names[0];
    case.client().batch(&format!("DROP TRIGGER \"{trigger}\" ON people"));
    let refused = case.segue().run(&["flip"]);
    assert!(matches!(refused.code, 1 | 5 | 6), "{}: {}", refused.code, refused.stderr);
    assert!(refused.stderr.contains(trigger.as_str()), "flip does not name {trigger}: {}", refused.stderr);
    let refused = case.segue().run(BACK);
    assert!(refused.code == 0 || refused.stderr.contains("--accept-loss"), "{}: {}", refused.code, refused.stderr);
    if refused.code != 0 {
        case.segue().ok(&["rollback", "--new-version-stopped", "--accept-loss"]);
    }
    assert!(triggers(&case).is_empty());
    case.segue().ok(&["apply"]);
    case.finish(1);
}

/// Rows written while the triggers were off are wrong, and the authority mends them.
#[test]
fn writes_that_skipped_the_triggers_are_found_and_mended_from_the_authority() {
    let Some(case) = ready() else { return };
    let mut client = case.client();
    let on: String = triggers(&case)
        .iter()
        .map(|trigger| format!("; ALTER TABLE people ENABLE ALWAYS TRIGGER \"{trigger}\""))
        .collect();
    let silenced = |write: &str| format!("BEGIN; ALTER TABLE people DISABLE TRIGGER USER; {write}{on}; COMMIT");
    let absent = client.try_batch(&silenced("INSERT INTO people (id, first_name) VALUES (90001, 'New')"));
    assert_eq!(absent.expect_err("the CHECK refuses a row without the new shape, whoever writes it").code, "23514");
    client.batch("ROLLBACK");
    client.batch(&silenced("UPDATE people SET first_name = 'Skipped' WHERE id = 7"));
    assert_says(&case.segue().run(&["verify"]), 6, &["7"]);
    assert_code(&case.segue().run(&["flip"]), 6);
    assert_code(&case.segue().run(&["verify", "--repair"]), 0);
    let mended = client.value("SELECT full_name FROM people WHERE id = 7").expect("it has a value");
    assert!(mended.starts_with("Skipped"), "{mended}");
    case.finish(1);
}

#[test]
fn writes_in_replica_role_and_a_truncate_leave_both_shapes_right() {
    let Some(case) = ready() else { return };
    let mut client = case.client();
    client.batch(
        "SET session_replication_role = replica;
         UPDATE people SET first_name = 'Replica', last_name = 'Role' WHERE id = 7;
         INSERT INTO people (id, first_name, last_name) VALUES (90002, 'Also', 'Here')",
    );
    let names = client.column("SELECT full_name FROM people WHERE id IN (7, 90002) ORDER BY id", &[]);
    assert_eq!(names, ["Replica Role", "Also Here"]);
    case.segue().ok(&["flip"]);
    client.batch("TRUNCATE people; INSERT INTO people (id, full_name) VALUES (1, 'After Truncate')");
    assert_eq!(client.value("SELECT first_name FROM people").as_deref(), Some("After"));
    case.segue().ok(&["verify"]);
    case.finish(2);
}

#[test]
fn a_table_that_is_truncated_during_its_backfill_is_no_failure() {
    let Some(server) = postgres(15) else { return };
    let change = Change::new(scenario::split(Engine::Postgres), 40_000);
    let case = Case::postgres(server, &change);
    let child = case.segue().spawn(&["apply"]);
    let mut client = case.client();
    let filled =
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname = 'full_name')";
    while client.value(filled).as_deref() != Some("t") {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    client.batch("TRUNCATE people; INSERT INTO people (id, first_name, last_name) VALUES (5, 'Only', 'One')");
    assert_code(&segue_testkit::segue::finished(child), 0);
    assert_eq!(client.value("SELECT full_name FROM people").as_deref(), Some("Only One"));
    case.finish(1);
}
