//! The commands in the order in which a user types them.

use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::sqlite::TempDatabase;
use serde_json::Value;

use crate::project::Project;

const PEOPLE: &str = "CREATE TABLE people (id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT);
    INSERT INTO people VALUES (1, 'Ada', 'Lovelace'), (2, NULL, NULL), (3, 'Cher', '')";
const UP: &str = "ALTER TABLE people ADD COLUMN full_name TEXT;
UPDATE people SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, '');
ALTER TABLE people DROP COLUMN first_name;
ALTER TABLE people DROP COLUMN last_name;
";
const DOWN: &str = "ALTER TABLE people ADD COLUMN first_name TEXT;
ALTER TABLE people ADD COLUMN last_name TEXT;
UPDATE people SET first_name = substr(full_name, 1, instr(full_name, ' ') - 1), last_name = substr(full_name, instr(full_name, ' ') + 1);
ALTER TABLE people DROP COLUMN full_name;
";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Types every command up to the end of the migration.
fn to_the_end(project: &Project, id: &str) {
    let all: [&[&str]; 4] = [
        &["apply", id],
        &["flip", id],
        &["contract", id, "--old-version-stopped"],
        &["cleanup", id, "--yes", "--i-checked-references"],
    ];
    for arguments in all {
        project.segue.ok(arguments);
    }
}

#[test]
fn a_project_begins_with_init_and_new() {
    let database = TempDatabase::new(PEOPLE);
    let project = Project::new(&database.url());
    project.segue.ok(&["init"]);
    assert!(project.path().join("segue.toml").is_file());
    project.segue.ok(&["init"]);
    let written = project.segue.ok(&["new", "Full name!"]);
    assert!(written.lines().any(|line| line.ends_with("_full_name_.sql")), "{written}");
    assert!(written.lines().any(|line| line.ends_with("_full_name_.down.sql")), "{written}");
    assert!(project.segue.ok(&["status"]).contains("pending"));
    let empty = project.segue.run(&["apply"]);
    assert_eq!(empty.code, 1, "a template is no migration: {}", empty.stdout);
    assert!(project.segue.ok(&["completions", "bash"]).contains("segue"));
}

#[test]
fn what_was_reviewed_is_what_runs() {
    let database = TempDatabase::new(PEOPLE);
    let project = Project::new(&database.url());
    project.write("1_full_name.sql", UP);
    project.write("1_full_name.down.sql", DOWN);
    let reviewed = project.segue.ok(&["plan", "--format", "json"]);
    let plan = json(&reviewed);
    assert_eq!(plan["format"], 1);
    assert_eq!(plan["strategy"], "expand-contract");
    assert_eq!(plan["rollback_points"], serde_json::json!(["expand", "ready", "flip", "contract"]));
    let file = project.path().join("plan.json");
    let path = file.to_str().expect("our own folder has a plain name");

    std::fs::write(&file, reviewed.replacen("ADD COLUMN", "ADD  COLUMN", 1)).expect("our own folder takes files");
    let edited = project.segue.run(&["apply", "--plan", path]);
    assert_eq!(edited.code, 1, "{}", edited.stderr);
    assert!(edited.stderr.contains("edited"), "{}", edited.stderr);

    std::fs::write(&file, &reviewed).expect("our own folder takes files");
    database.connect().execute_batch("ALTER TABLE people ADD COLUMN extra TEXT").expect("somebody changes the table");
    let stale = project.segue.run(&["apply", "--plan", path]);
    assert_eq!(stale.code, 1, "{}", stale.stderr);
    assert!(stale.stderr.contains("tables have changed"), "{}", stale.stderr);

    std::fs::write(&file, project.segue.ok(&["plan", "--format", "json"])).expect("our own folder takes files");
    let done = json(&project.segue.ok(&["apply", "--plan", path, "--format", "json"]));
    assert_eq!(done[0]["state"], "ready");
    let status = json(&project.segue.ok(&["status", "--format", "json"]));
    assert_eq!(status[0]["hash"], json(&std::fs::read_to_string(&file).expect("it is there"))["hash"]);
    // The same plan again goes on with it; another one is refused while this one is under way.
    project.segue.ok(&["apply", "--plan", path]);
    std::fs::write(&file, &reviewed).expect("our own folder takes files");
    let other = project.segue.run(&["apply", "--plan", path]);
    assert_eq!(other.code, 1, "{}", other.stderr);
    assert!(other.stderr.contains("under way"), "{}", other.stderr);
}

#[test]
fn a_file_that_looks_like_a_reversal_is_no_migration() {
    let database = TempDatabase::new(PEOPLE);
    let project = Project::new(&database.url());
    project.write("1_init_down.sql", "DROP TABLE people;");
    let output = project.segue.run(&["apply"]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains(".down.sql"), "{}", output.stderr);
}

#[test]
fn gates_ask_for_what_no_database_can_show() {
    let database = TempDatabase::new(PEOPLE);
    let project = Project::new(&database.url());
    project.write("1_full_name.sql", UP);
    project.write("1_full_name.down.sql", DOWN);
    project.segue.ok(&["apply"]);
    let asked = |arguments: &[&str], option: &str| {
        let output = project.segue.run(arguments);
        assert_eq!(output.code, 5, "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(option), "{arguments:?} does not name {option}: {}", output.stderr);
    };
    asked(&["rollback"], "--new-version-stopped");
    project.segue.ok(&["flip"]);
    asked(&["contract"], "--old-version-stopped");
    project.segue.ok(&["contract", "--old-version-stopped"]);
    asked(&["cleanup"], "--yes");
    asked(&["cleanup", "--yes"], "--i-checked-references");
    std::fs::write(project.path().join("segue.toml"), "[cleanup]\ncool_down = \"24h\"\n").expect("written");
    asked(&["cleanup", "--yes", "--i-checked-references"], "rollback");
    std::fs::remove_file(project.path().join("segue.toml")).expect("it is there");
    project.segue.ok(&["cleanup", "--yes", "--i-checked-references"]);
    assert!(project.segue.ok(&["status"]).contains("done"));
}

#[test]
fn down_and_up_again_on_sqlite_keeps_each_copy() {
    let database = TempDatabase::new(PEOPLE);
    let project = Project::new(&database.url());
    project.write("1_full_name.sql", UP);
    project.write("1_full_name.down.sql", DOWN);
    to_the_end(&project, "1_full_name");
    let forth = dump::sqlite::rows(&database.path(), "people", "id");
    project.segue.ok(&["down"]);
    to_the_end(&project, "1_full_name_down");
    assert!(project.segue.ok(&["status", "1_full_name"]).contains("rolled back"));
    to_the_end(&project, "1_full_name");
    assert_eq!(dump::sqlite::rows(&database.path(), "people", "id"), forth);
    let copies = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'segue\\_keep\\_%' ESCAPE '\\'";
    let copies: i64 = database.connect().query_row(copies, [], |row| row.get(0)).expect("the schema can be read");
    assert_eq!(copies, 3);
}

#[test]
fn the_readme_goes_down_and_up_again_on_postgres() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch(
            "CREATE TABLE users (id int PRIMARY KEY, first_name text, last_name text);
            INSERT INTO users VALUES (1, 'Ada', 'Lovelace'), (2, 'Cher', ''), (3, NULL, NULL)",
        );
        let project = Project::new(&url);
        let readme = include_str!("../../../../README.md");
        let mut blocks = readme.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
        project.write("1_full_name.sql", blocks.next().expect("the README shows the up file"));
        project.write("1_full_name.down.sql", blocks.next().expect("the README shows the down file"));
        to_the_end(&project, "1_full_name");
        project.segue.ok(&["down"]);
        client.batch("INSERT INTO users (id, full_name) VALUES (4, 'New Old'); INSERT INTO users (id, first_name, last_name) VALUES (5, 'Old', 'New')");
        to_the_end(&project, "1_full_name_down");
        let rows = client.column("SELECT concat_ws('|', id, first_name, last_name) FROM users ORDER BY id", &[]);
        assert_eq!(rows, ["1|Ada|Lovelace", "2|Cher|", "3||", "4|New|Old", "5|Old|New"]);
        to_the_end(&project, "1_full_name");
        assert_eq!(client.value("SELECT full_name FROM users WHERE id = 4").as_deref(), Some("New Old"));
    }
}

#[test]
fn additive_changes_run_to_their_end_beside_each_other() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch("CREATE TABLE people (id int PRIMARY KEY); INSERT INTO people VALUES (1)");
        let project = Project::new(&url);
        let first = "CREATE TABLE pets (id int PRIMARY KEY, name text);\nCREATE INDEX pets_name ON pets (name);";
        let second = "ALTER TABLE people ADD COLUMN nick text, ADD COLUMN points int NOT NULL DEFAULT 7;";
        project.write("1_pets.sql", first);
        project.write("2_points.sql", second);
        let done = json(&project.segue.ok(&["apply", "--format", "json"]));
        assert_eq!((&done[0]["state"], &done[1]["state"]), (&"done".into(), &"done".into()));
        assert_eq!(client.value("SELECT points FROM people").as_deref(), Some("7"));
        let twin = server.database();
        let mut naive = Client::connect(&twin);
        naive.batch(&format!("CREATE TABLE people (id int PRIMARY KEY); {first} {second}"));
        dump::assert_same(&dump::postgres::catalog(&twin, "public"), &dump::postgres::catalog(&url, "public"));
        assert_eq!(json(&project.segue.ok(&["apply", "--format", "json"])), serde_json::json!([]));
    }
}

#[test]
fn what_touches_a_table_in_flight_waits_and_says_for_whom() {
    let database = TempDatabase::new(PEOPLE);
    let project = Project::new(&database.url());
    project.write("1_full_name.sql", UP);
    project.write("1_full_name.down.sql", DOWN);
    project.write("2_more.sql", "ALTER TABLE people ADD COLUMN more TEXT;");
    let output = project.segue.run(&["apply"]);
    assert_eq!(output.code, 5, "{}", output.stderr);
    assert!(output.stderr.contains("`2_more` waits for `1_full_name`"), "{}", output.stderr);
    assert!(output.stdout.contains("ready"), "what was reached is reported: {}", output.stdout);
    let depends = "-- segue: depends 9_later\nCREATE TABLE pets (id INTEGER PRIMARY KEY);";
    project.write("3_pets.sql", depends);
    project.write("9_later.sql", "CREATE TABLE later (id INTEGER PRIMARY KEY);");
    let output = project.segue.run(&["apply", "3_pets"]);
    assert_eq!(output.code, 5, "{}", output.stderr);
    assert!(output.stderr.contains("segue apply 9_later"), "{}", output.stderr);
}

/// A copy of a database's file, and the same migrations beside it.
fn copied(database: &TempDatabase, project: &Project) -> (std::path::PathBuf, segue_testkit::segue::Segue) {
    let copy = database.folder().join("copy.db");
    database.connect().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("the log can be emptied");
    std::fs::copy(database.path(), &copy).expect("our own folder takes files");
    let segue = segue_testkit::segue::Segue::new(&format!("sqlite:{}", copy.display()), project.path());
    (copy, segue)
}

#[test]
fn a_copy_of_a_database_keeps_its_history_and_what_is_under_way_is_adopted() {
    let database = TempDatabase::new(PEOPLE);
    let project = Project::new(&database.url());
    project.write("1_pets.sql", "CREATE TABLE pets (id INTEGER PRIMARY KEY);");
    project.segue.ok(&["apply"]);
    let (copy, segue) = copied(&database, &project);
    project.write("2_full_name.sql", UP);
    project.write("2_full_name.down.sql", DOWN);
    let applied = segue.ok(&["apply"]);
    assert!(applied.contains("ready") && applied.contains("this database is a copy of"), "{applied}");
    std::fs::remove_file(&copy).expect("it is there");

    let before = dump::sqlite::rows(&database.path(), "people", "id");
    project.segue.ok(&["apply"]);
    let (copy, segue) = copied(&database, &project);
    let refused = segue.run(&["rollback", "--new-version-stopped"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("`2_full_name` was under way"), "{}", refused.stderr);
    assert!(refused.stderr.contains("segue adopt"), "{}", refused.stderr);
    let adopted = json(&segue.ok(&["adopt", "--format", "json"]));
    assert_eq!(adopted["unfinished"][0]["state"], "ready");
    assert!(segue.ok(&["adopt"]).contains("already"));
    segue.ok(&["rollback", "--new-version-stopped"]);
    assert_eq!(dump::sqlite::rows(&copy, "people", "id"), before);
    assert!(project.segue.ok(&["status"]).contains("ready"), "the one that it was copied from goes on");
}

#[test]
fn status_says_what_is_so() {
    let database = TempDatabase::new(PEOPLE);
    let project = Project::new(&database.url());
    project.write("1_pets.sql", "CREATE TABLE pets (id INTEGER PRIMARY KEY);");
    project.write("2_full_name.sql", UP);
    project.write("2_full_name.down.sql", DOWN);
    project.segue.ok(&["apply"]);
    let told = project.segue.ok(&["status", "1_pets"]);
    assert!(told.contains("done") && !told.contains("segue down"), "there is no down file: {told}");
    assert!(!project.segue.ok(&["status", "2_full_name"]).contains("changed since"));
    let strange = "CREATE TRIGGER theirs AFTER DELETE ON people BEGIN SELECT 1; END";
    database.connect().execute_batch(strange).expect("somebody adds a trigger");
    let told = project.segue.ok(&["status", "2_full_name"]);
    assert!(told.contains("the tables have changed since") && told.contains("theirs"), "{told}");
    assert!(told.contains("segue verify 2_full_name"), "{told}");
    database.connect().execute_batch("DROP TRIGGER theirs").expect("and takes it away");
    project.segue.ok(&["flip"]);
    project.segue.ok(&["contract", "--old-version-stopped"]);
    std::fs::write(project.path().join("segue.toml"), "[cleanup]\ncool_down = \"24h\"\n").expect("written");
    let told = project.segue.ok(&["status", "2_full_name"]);
    assert!(told.contains("cool-down: cleanup may begin in 8"), "{told}");
    project.segue.ok(&["rollback", "--new-version-stopped"]);
    let told = project.segue.ok(&["status", "2_full_name"]);
    assert!(told.contains("rolled back") && !told.contains("begun"), "{told}");
}

#[test]
fn an_index_that_somebody_adds_meanwhile_is_said_and_gone_on_with() {
    let database = TempDatabase::new(PEOPLE);
    let project = Project::new(&database.url());
    project.write("1_full_name.sql", UP);
    project.write("1_full_name.down.sql", DOWN);
    project.segue.ok(&["apply"]);
    database.connect().execute_batch("CREATE INDEX theirs ON people (full_name)").expect("somebody adds an index");
    let flipped = project.segue.ok(&["flip"]);
    assert!(flipped.contains("changed meanwhile") && flipped.contains("theirs"), "{flipped}");
    assert!(!project.segue.ok(&["contract", "--old-version-stopped"]).contains("changed meanwhile"));
    // The copy that takes the table's place has the indexes of the plan: it would not have this one.
    let cleanup = ["cleanup", "--yes", "--i-checked-references"];
    let refused = project.segue.run(&cleanup);
    println!("{}", refused.stderr);
    assert_eq!(refused.code, 3);
    assert!(
        refused.stderr.contains("the index `theirs` was created after the plan was made: drop it"),
        "{}",
        refused.stderr
    );
    database.connect().execute_batch("DROP INDEX theirs").expect("somebody drops it");
    project.segue.ok(&cleanup);
}

#[test]
fn of_several_that_start_at_once_the_others_are_told_who_goes_on() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        Client::connect(&url).batch(
            "CREATE TABLE people (id int PRIMARY KEY, points int); \
             INSERT INTO people SELECT i, i FROM generate_series(1, 20000) i",
        );
        let project = Project::new(&url);
        project.write("1_wider.sql", "ALTER TABLE people ALTER COLUMN points TYPE bigint;");
        project.write("1_wider.down.sql", "ALTER TABLE people ALTER COLUMN points TYPE integer;");
        let ended: Vec<_> = std::thread::scope(|scope| {
            let begin = || scope.spawn(|| project.segue.run(&["apply"]));
            let started = [begin(), begin(), begin(), begin()];
            started.map(|one| one.join().expect("a test's thread ends")).into()
        });
        for output in &ended {
            assert!([0, 4].contains(&output.code), "{}: {}", output.code, output.stderr);
            let named = output.code == 0 || output.stderr.contains("another run holds this migration");
            assert!(named, "{}", output.stderr);
        }
        assert!(ended.iter().any(|output| output.code == 0));
    }
}

#[test]
fn once_the_sync_has_ended_in_cleanup_no_way_back_is_offered() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch("CREATE TABLE people (id int PRIMARY KEY, points int); INSERT INTO people VALUES (1, 1)");
        let project = Project::new(&url);
        project.write("1_wider.sql", "ALTER TABLE people ALTER COLUMN points TYPE bigint;");
        project.write("1_wider.down.sql", "ALTER TABLE people ALTER COLUMN points TYPE integer;");
        project.segue.ok(&["apply", "--to", "flip"]);
        project.segue.ok(&["contract", "--old-version-stopped"]);
        let told = project.segue.ok(&["status"]);
        assert!(told.contains("still kept right") && told.contains("back: "), "{told}");
        client.batch(
            "CREATE FUNCTION no_copy() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
             CREATE EVENT TRIGGER no_copy ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION no_copy()",
        );
        let cleanup = ["cleanup", "--yes", "--i-checked-references"];
        let failed = project.segue.run(&cleanup);
        assert_eq!(failed.code, 3, "{}", failed.stderr);
        assert!(failed.stderr.contains("not now") && !failed.stderr.contains("rollback"), "{}", failed.stderr);
        let told = project.segue.ok(&["status"]);
        assert!(told.contains("cleanup is under way") && told.contains("next: segue cleanup 1_wider"), "{told}");
        assert!(!told.contains("back: "), "{told}");
        let report = &json(&project.segue.ok(&["status", "--format", "json"]))[0];
        assert_eq!((report["back"].is_null(), report["no_way_back"].as_bool()), (true, Some(true)), "{report}");
        assert_eq!(project.segue.run(&["rollback", "--new-version-stopped"]).code, 5);
        client.batch("DROP EVENT TRIGGER no_copy; DROP FUNCTION no_copy()");
        project.segue.ok(&cleanup);
    }
}

/// Without a key the copy is made by one statement, while the sync goes on.
#[test]
fn a_cleanup_that_is_killed_after_its_copy_makes_it_anew() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch("CREATE TABLE people (id int, points int); INSERT INTO people VALUES (1, 1)");
        let project = Project::new(&url);
        project.write("1_wider.sql", "ALTER TABLE people ALTER COLUMN points TYPE bigint;");
        project.write("1_wider.down.sql", "ALTER TABLE people ALTER COLUMN points TYPE integer;");
        project.segue.ok(&["apply", "--to", "flip"]);
        project.segue.ok(&["contract", "--old-version-stopped"]);
        let mut reader = Client::connect(&url);
        reader.batch("BEGIN; SELECT FROM people");
        let cleanup = ["cleanup", "--yes", "--i-checked-references"];
        let mut child = project.segue.spawn(&cleanup);
        let copies = "SELECT count(*) FROM pg_class WHERE relname LIKE '%keep%' AND relkind = 'r'";
        let began = std::time::Instant::now();
        while client.value(copies).as_deref() == Some("0") {
            assert!(began.elapsed().as_secs() < 60, "no copy was made");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.kill().expect("our own process can be killed");
        child.wait().expect("our own process ends");
        client.batch("INSERT INTO people VALUES (2, 2)");
        reader.batch("COMMIT");
        project.segue.ok(&cleanup);
        let copy = "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE '%keep%' AND relkind = 'r'";
        let copy = client.value(copy).expect("the copy stays");
        let rows = client.value(&["SELECT count(*) FROM ", &copy].concat());
        assert_eq!(rows.as_deref(), Some("2"), "what was written since is in it");
    }
}
