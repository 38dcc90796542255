//! Triggers of the user on a table that is changed: they do not fire for rows that are backfilled, and miss no write of the
//! application.

use std::sync::atomic::{AtomicBool, Ordering};

use segue_testkit::client::Client;
use segue_testkit::postgres::PostgresServer;

use crate::fault::place::WAY;
use crate::project::Project;

/// An `updated_at`, an audit of each row, a notification of each statement, and one that is always awake.
const TABLE: &str = "CREATE TABLE people (id integer PRIMARY KEY, first_name text, last_name text, note text,
  updated_at timestamptz NOT NULL DEFAULT '2020-01-01');
CREATE TABLE audit (person integer, was text, is_now text);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO audit VALUES (NEW.id, OLD.note, NEW.note); RETURN NULL; END $$;
CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('people', TG_OP); RETURN NULL; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER audited AFTER UPDATE ON people FOR EACH ROW EXECUTE FUNCTION audited();
CREATE TRIGGER told AFTER INSERT OR UPDATE ON people FOR EACH STATEMENT EXECUTE FUNCTION told();
INSERT INTO people (id, first_name, last_name, note) SELECT n, 'a' || n, NULLIF('b' || n % 5, 'b3'), 'new'
  FROM generate_series(1, 5000) AS n;
ANALYZE people";
const UP: &str = "ALTER TABLE people ADD COLUMN full_name text;
UPDATE people SET full_name = concat_ws(' ', first_name, last_name);
ALTER TABLE people ALTER COLUMN full_name SET NOT NULL;
ALTER TABLE people DROP COLUMN first_name, DROP COLUMN last_name;
";
const DOWN: &str = "ALTER TABLE people ADD COLUMN first_name text, ADD COLUMN last_name text;
UPDATE people SET first_name = split_part(full_name, ' ', 1), last_name = split_part(full_name, ' ', 2);
ALTER TABLE people DROP COLUMN full_name;
";

fn project(url: &str) -> Project {
    let project = Project::new(url);
    project.write("1_split.sql", UP);
    project.write("1_split.down.sql", DOWN);
    let settings = "[backfill]\ninline_below = 1\nwindow = \"5ms\"\n[throttle]\nreplica_lag = \"off\"\n";
    std::fs::write(project.path().join("segue.toml"), settings).expect("our own folder takes files");
    project
}

/// Updates rows until told to stop; returns how many.
fn written(url: &str, ended: &AtomicBool) -> u64 {
    let (mut client, mut random, mut count) = (Client::connect(url), fastrand::Rng::with_seed(7), 0);
    while !ended.load(Ordering::Relaxed) {
        count += 1;
        client.batch(&format!("UPDATE people SET note = 'w{count}' WHERE id = {}", random.u32(1..=2_500)));
    }
    count
}

fn number(client: &mut Client, sql: &str) -> u64 {
    client.value(sql).expect("a count is no NULL").parse().expect("a count is a number")
}

#[test]
fn they_sleep_while_rows_are_filled_and_wake_for_every_write_of_the_application() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch(TABLE);
        let project = project(&url);
        let ended = AtomicBool::new(false);
        let count = std::thread::scope(|scope| {
            let writer = scope.spawn(|| written(&url, &ended));
            for (name, options) in WAY.map(|command| (command[0], &command[1..])) {
                project.segue.ok(&[&[name, "1_split"], options].concat());
            }
            ended.store(true, Ordering::Relaxed);
            writer.join().expect("the writer does not panic")
        });
        assert!(count > 50, "the application wrote {count} rows only");
        assert_eq!(number(&mut client, "SELECT count(*) FROM audit"), count, "PostgreSQL {}", server.major());
        let untouched = "SELECT count(*) FROM people WHERE updated_at = '2020-01-01'";
        let never = "SELECT count(*) FROM people WHERE NOT EXISTS (SELECT FROM audit WHERE person = people.id)";
        assert_eq!(number(&mut client, untouched), number(&mut client, never));
        assert!(number(&mut client, untouched) >= 2_500);
        let wrong =
            "SELECT count(*) FROM people WHERE full_name <> concat_ws(' ', 'a' || id, NULLIF('b' || id % 5, 'b3'))";
        assert_eq!(number(&mut client, wrong), 0);
    }
}

/// Returns the migration's plan as its owner sees it, who is no superuser, and what a run of it leaves in the audit.
fn as_owner(server: &PostgresServer, grant: bool) -> (String, u64) {
    let url = server.database_as("segue_owner");
    let mut owner = Client::connect(&url);
    owner.batch(TABLE);
    let name = owner.value("SELECT current_database()").expect("a session has a database");
    let mut admin = Client::connect(&server.url(&name));
    if grant {
        admin.batch("GRANT SET ON PARAMETER session_replication_role TO segue_owner");
    }
    let project = Project::new(&url);
    project.write("1_split.sql", UP);
    project.write("1_split.down.sql", DOWN);
    let plan = project.segue.ok(&["plan"]);
    project.segue.ok(&["apply"]);
    let audited = number(&mut admin, "SELECT count(*) FROM audit");
    if grant {
        admin.batch("REVOKE SET ON PARAMETER session_replication_role FROM segue_owner");
    }
    (plan, audited)
}

#[test]
fn a_role_that_may_not_silence_them_is_told_what_they_will_do() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let (plan, audited) = as_owner(server, false);
        assert!(plan.contains("the backfill runs triggers of public.people"), "{plan}");
        assert!(plan.contains("once for each row it fills") && plan.contains("session_replication_role"), "{plan}");
        assert_eq!(audited, 5_000);
        if server.major() >= 15 {
            let (plan, audited) = as_owner(server, true);
            assert!(!plan.contains("the backfill runs triggers"), "{plan}");
            assert_eq!(audited, 0);
        }
    }
}
