//! SIGKILL from outside on the release binary, anywhere; then the same command again, or `rollback`.

use std::process::Child;
use std::time::{Duration, Instant};

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::segue::finished;
use segue_testkit::sqlite::TempDatabase;
use segue_testkit::{dump, postgres};
use segue_traffic::{Place, Scenario, scenario};

use crate::project::Project;

const ROWS: u32 = 20_000;

/// Kills by engine in the sampled test.
const KILLS: u32 = 10;

/// A database with the scenario's table, and a project with its migration.
struct Case {
    place: Place,
    project: Project,
    scenario: Scenario,
    // The file goes away with it.
    _file: Option<TempDatabase>,
}

impl Case {
    fn sqlite() -> Self {
        let file = TempDatabase::new("PRAGMA journal_mode = WAL");
        let (place, url) = (Place::Sqlite(file.path()), file.url());
        Self::on(place, &url, Engine::Sqlite, Some(file))
    }

    fn postgres(server: &segue_testkit::postgres::PostgresServer) -> Self {
        let url = server.database();
        Self::on(Place::Postgres(url.clone()), &url, Engine::Postgres, None)
    }

    fn on(place: Place, url: &str, engine: Engine, file: Option<TempDatabase>) -> Self {
        let scenario = scenario::split(engine);
        segue_traffic::seed(&place, &scenario, ROWS).expect("an empty database can be seeded");
        let project = Project::new(url);
        project.write("1_full_name.sql", scenario.up);
        project.write("1_full_name.down.sql", scenario.down);
        Self { place, project, scenario, _file: file }
    }

    /// Returns the catalog and the data, ours left out.
    fn dump(&self) -> (Vec<String>, Vec<String>) {
        match &self.place {
            Place::Sqlite(path) => (dump::sqlite::catalog(path), dump::sqlite::rows(path, self.scenario.table, "id")),
            Place::Postgres(url) => {
                (dump::postgres::catalog(url, "public"), dump::postgres::rows(url, self.scenario.table, "id"))
            }
        }
    }

    #[track_caller]
    fn assert_is(&self, expected: &(Vec<String>, Vec<String>)) {
        let found = self.dump();
        dump::assert_same(&expected.0, &found.0);
        dump::assert_same(&expected.1, &found.1);
    }
}

/// The commands from nothing to the end.
const WAY: [&[&str]; 4] =
    [&["apply"], &["flip"], &["contract", "--old-version-stopped"], &["cleanup", "--yes", "--i-checked-references"]];

const BACK: &[&str] = &["rollback", "--new-version-stopped"];

/// Returns the end of an uninterrupted run, and how long each command took.
fn straight(case: &Case) -> ((Vec<String>, Vec<String>), Vec<Duration>) {
    let times = WAY.iter().map(|arguments| {
        let began = Instant::now();
        case.project.segue.ok(arguments);
        began.elapsed()
    });
    let times = times.collect();
    (case.dump(), times)
}

/// Starts a command and kills it after a while; returns whether it had not ended by itself.
fn kill_after(mut child: Child, delay: Duration) -> bool {
    std::thread::sleep(delay);
    let running = child.try_wait().expect("our own child can be asked").is_none();
    child.kill().expect("our own child can be killed");
    finished(child);
    running
}

/// Kills each command at a random moment, goes on, and compares with an uninterrupted run; or goes back, and compares with
/// the beginning.
fn killed_anywhere(new: &dyn Fn() -> Case) {
    let seed =
        std::env::var("SEGUE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEGUE_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (end, times) = straight(&new());
    let mut kills = 0;
    while kills < KILLS {
        let case = new();
        let begin = case.dump();
        let turn_back = random.u8(..3) == 0;
        let turn_at = random.usize(..WAY.len());
        for (at, (arguments, time)) in WAY.iter().zip(&times).enumerate() {
            kills += u32::from(kill_after(case.project.segue.spawn(arguments), time.mul_f64(random.f64() * 1.05)));
            let state = case.project.segue.ok(&["status", "--format", "json"]);
            if turn_back && at == turn_at && !state.contains("\"done\",\n    \"since") {
                if kill_after(case.project.segue.spawn(BACK), times[0].mul_f64(random.f64())) {
                    kills += 1;
                }
                back_to(&case, &begin);
                break;
            }
            again(&case, arguments);
        }
        if !turn_back {
            case.assert_is(&end);
        }
    }
}

/// Types a command again that was killed: it goes on, or says that it was finished just before.
#[track_caller]
fn again(case: &Case, arguments: &[&str]) {
    let output = case.project.segue.run(arguments);
    let finished_before = output.code == 2 && output.stderr.contains("no migration is");
    assert!(output.code == 0 || finished_before, "{arguments:?}: {}\n{}", output.code, output.stderr);
}

/// Rolls back, where that is still possible, and compares with the beginning.
#[track_caller]
fn back_to(case: &Case, begin: &(Vec<String>, Vec<String>)) {
    let output = case.project.segue.run(BACK);
    let nothing_left = output.code == 2 && output.stderr.contains("no migration is");
    let closed = output.code == 5 && output.stderr.contains("no longer be rolled back");
    assert!(output.code == 0 || nothing_left || closed, "{}\n{}", output.code, output.stderr);
    if !closed && !case.project.segue.ok(&["status"]).contains("full_name: done") {
        case.assert_is(begin);
    }
}

#[test]
fn killed_anywhere_on_sqlite_then_resumed_or_rolled_back() {
    killed_anywhere(&Case::sqlite);
}

#[test]
fn killed_anywhere_on_postgres_then_resumed_or_rolled_back() {
    for server in segue_testkit::each_postgres() {
        killed_anywhere(&|| Case::postgres(server));
    }
}

/// Returns when a session of Segue in this database is seen to be `doing`, a condition on `pg_stat_activity`.
fn until(url: &str, doing: &str) {
    let mut watcher = Client::connect(url);
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'segue 1\\_full\\_name%' \
         AND datname = current_database() AND {doing}"
    );
    let begun = Instant::now();
    while watcher.value(&sql).as_deref() == Some("0") {
        assert!(begun.elapsed() < Duration::from_secs(60), "no session of ours was ever: {doing}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A user's trigger that never sleeps and takes seconds for the last row: the statement that meets it outlives the process that sent it.
const SLOW: &str =
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE UPDATE ON people FOR EACH ROW WHEN (NEW.id = 20000) EXECUTE FUNCTION slow();
    ALTER TABLE people ENABLE ALWAYS TRIGGER slow";

/// A run is killed while its backfill's statement runs on the server, and goes on running there.
fn killed_with_a_statement_in_flight(
    server: &segue_testkit::postgres::PostgresServer,
) -> (Case, (Vec<String>, Vec<String>)) {
    let case = Case::postgres(server);
    let Place::Postgres(url) = &case.place else { unreachable!("this case is on PostgreSQL") };
    Client::connect(url).batch(SLOW);
    let begin = case.dump();
    let child = case.project.segue.spawn(&["apply"]);
    until(url, "wait_event = 'PgSleep'");
    assert!(kill_after(child, Duration::ZERO), "its statement takes seconds");
    (case, begin)
}

/// Starts a run and holds its backfill up: a client locks the last row as soon as nothing but row locks is still to be had.
fn backfill_held_up(case: &Case, url: &str) -> (Child, Client) {
    let (mut client, mut watcher) = (Client::connect(url), Client::connect(url));
    let child = case.project.segue.spawn(&["apply"]);
    let checked = "SELECT count(*) FROM pg_constraint WHERE conname LIKE 'segue%' AND contype = 'c'";
    let begun = Instant::now();
    while watcher.value(checked).as_deref() != Some("1") {
        assert!(begun.elapsed() < Duration::from_secs(60), "the run never came to its backfill");
        std::thread::sleep(Duration::from_millis(1));
    }
    client.batch(&format!("BEGIN; SELECT 1 FROM {} WHERE id = {ROWS} FOR UPDATE", case.scenario.table));
    until(url, "wait_event_type = 'Lock'");
    (child, client)
}

#[test]
fn a_backend_left_behind_is_ended_and_named_and_the_run_finishes() {
    for server in segue_testkit::each_postgres() {
        let (case, _) = killed_with_a_statement_in_flight(server);
        let output = case.project.segue.run(&["apply", "1_full_name", "--format", "json"]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(output.stderr.contains("took over"), "{}", output.stderr);
        assert!(output.stderr.contains("ended backend"), "{}", output.stderr);
        assert!(output.stdout.contains("\"ready\""), "{}", output.stdout);
    }
}

#[test]
fn a_backend_left_behind_does_not_keep_a_rollback_from_restoring() {
    for server in segue_testkit::each_postgres() {
        let (case, begin) = killed_with_a_statement_in_flight(server);
        case.project.segue.ok(BACK);
        case.assert_is(&begin);
    }
}

#[test]
fn a_second_run_is_told_who_holds_the_lease() {
    let Some(server) = postgres(15) else { return };
    let case = Case::postgres(server);
    let Place::Postgres(url) = &case.place else { unreachable!("this case is on PostgreSQL") };
    let (first, client) = backfill_held_up(&case, url);
    let second = case.project.segue.run(&["apply"]);
    assert_eq!(second.code, 4, "{}", second.stderr);
    assert!(second.stderr.contains("another run holds this migration"), "{}", second.stderr);
    drop(client);
    let first = finished(first);
    assert_eq!(first.code, 0, "{}", first.stderr);
}
