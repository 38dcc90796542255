//! What a user does wrong: one message with what, where, why and what next, the right exit code, and an untouched database.

use segue_testkit::dump;
use segue_testkit::sqlite::TempDatabase;

use crate::project::Project;

const USERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT, born TEXT NOT NULL)";
const UP: &str = "ALTER TABLE users ADD COLUMN full_name TEXT;\n\
     UPDATE users SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, '');\n\
     ALTER TABLE users DROP COLUMN first_name;\nALTER TABLE users DROP COLUMN last_name;\n";
const DOWN: &str = "ALTER TABLE users ADD COLUMN first_name TEXT;\nALTER TABLE users ADD COLUMN last_name TEXT;\n\
     UPDATE users SET first_name = substr(full_name, 1, instr(full_name, ' ') - 1), last_name = substr(full_name, instr(full_name, ' ') + 1);\n\
     ALTER TABLE users DROP COLUMN full_name;\n";

/// Runs `arguments` on a file and its down file, and returns what was said after checking the code and the database.
#[track_caller]
fn refused(up: impl AsRef<[u8]>, down: &str, code: i32, says: &[&str]) -> String {
    let database = TempDatabase::new(USERS);
    let before = dump::sqlite::catalog(&database.path());
    let project = Project::new(&database.url());
    project.write("1_change.sql", up);
    project.write("1_change.down.sql", down);
    for command in ["plan", "apply"] {
        let output = project.segue.run(&[command]);
        assert_eq!(output.code, code, "{command}: {}{}", output.stdout, output.stderr);
        for text in says {
            assert!(output.stderr.contains(text), "{command} does not say `{text}`:\n{}", output.stderr);
        }
    }
    dump::assert_same(&before, &dump::sqlite::catalog(&database.path()));
    project.segue.run(&["apply"]).stderr
}

#[test]
fn sql_that_cannot_be_read_is_shown_at_its_place() {
    refused(
        "ALTER TABLE users ADD COLUMN a TEXT;\nALTER TABEL users ADD COLUMN b TEXT;\n",
        "",
        1,
        &["1_change.sql:2:7", "TABEL"],
    );
}

#[test]
fn an_unknown_directive_is_an_error_with_its_line() {
    refused(format!("-- segue: frobnicate users\n{UP}"), DOWN, 1, &["1_change.sql:1:", "frobnicate"]);
}

#[test]
fn a_nearly_right_directive_names_the_right_one() {
    refused(format!("-- segue: bakc users.first_name = full_name\n{UP}"), DOWN, 1, &["1_change.sql:1:", "back"]);
}

#[test]
fn an_unknown_table_names_the_nearest() {
    refused(
        "ALTER TABLE usres ADD COLUMN a TEXT;",
        "",
        1,
        &["no table `usres`", "1_change.sql:1:", "Did you mean `users`?"],
    );
}

#[test]
fn an_unknown_column_names_the_nearest() {
    let up = UP.replace("coalesce(first_name", "coalesce(frist_name");
    refused(up, DOWN, 1, &["no column `frist_name`", "1_change.sql:2:", "Did you mean `first_name`?"]);
}

#[test]
fn a_transform_that_can_be_null_prints_the_coalesce() {
    let up = UP.replace(
        "TEXT;\nUPDATE users SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, '')",
        "TEXT;\nUPDATE users SET full_name = first_name || ' ' || last_name",
    );
    let up = up.replacen(
        "ALTER TABLE users DROP",
        "ALTER TABLE users ALTER COLUMN full_name SET NOT NULL;\nALTER TABLE users DROP",
        1,
    );
    refused(up, DOWN, 1, &["can be NULL", "coalesce(first_name, '')", "1_change.sql:2:"]);
}

#[test]
fn a_missing_way_back_prints_the_line_to_add() {
    refused(UP, "", 1, &["first_name", "-- segue: back users.first_name ="]);
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    refused("CREATE TEMPORARY TABLE scratch (id);", "", 1, &["not yet", "CREATE TEMPORARY TABLE"]);
    refused("UPDATE users SET born = '';", "", 1, &["not yet", "UPDATE"]);
    refused("DELETE FROM users;", "", 1, &["not yet", "DELETE FROM"]);
}

#[test]
fn bytes_that_are_no_text_are_an_error_with_their_line() {
    refused(b"ALTER TABLE users ADD COLUMN a TEXT;\n\xff\xfe", "", 1, &["1_change.sql:2:", "UTF-8"]);
}

#[test]
fn a_directive_cannot_carry_a_second_statement() {
    let up = format!("-- segue: users.full_name = ''); DROP TABLE users; --\n{UP}");
    refused(up, DOWN, 1, &["1_change.sql:1:"]);
}

#[test]
fn a_file_name_cannot_carry_sql() {
    let database = TempDatabase::new(USERS);
    let project = Project::new(&database.url());
    project.write("1'; DROP TABLE users; --.sql", "ALTER TABLE users ADD COLUMN a TEXT;");
    let output = project.segue.run(&["apply"]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("no name for a migration"), "{}", output.stderr);
}

#[test]
fn a_missing_migration_names_the_nearest() {
    let database = TempDatabase::new(USERS);
    let project = Project::new(&database.url());
    project.write("1_change.sql", UP);
    let output = project.segue.run(&["apply", "1_chnage"]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("Did you mean `1_change`?"), "{}", output.stderr);
}

#[test]
fn an_edited_applied_file_is_refused() {
    let database = TempDatabase::new(USERS);
    let project = Project::new(&database.url());
    project.write("1_add.sql", "ALTER TABLE users ADD COLUMN a TEXT;");
    project.segue.ok(&["apply"]);
    let before = dump::sqlite::catalog(&database.path());
    project.write("1_add.sql", "ALTER TABLE users ADD COLUMN b TEXT;");
    let output = project.segue.run(&["apply"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(output.stderr.contains("1_add.sql") && output.stderr.contains("edited"), "{}", output.stderr);
    dump::assert_same(&before, &dump::sqlite::catalog(&database.path()));
    assert!(project.segue.ok(&["status"]).contains("edited"));
}

#[test]
fn line_ends_and_marks_of_editors_are_no_edit() {
    let database = TempDatabase::new(USERS);
    let project = Project::new(&database.url());
    project.write("1_add.sql", "ALTER TABLE users\nADD COLUMN a TEXT;\n");
    project.segue.ok(&["apply"]);
    project.write("1_add.sql", "\u{feff}ALTER TABLE users\r\nADD COLUMN a TEXT;\r\n");
    project.segue.ok(&["apply"]);
}

/// Runs `segue apply` against `url` and checks how it fails.
#[track_caller]
fn unreachable(url: &str, code: i32, says: &[&str]) {
    let project = Project::new(url);
    project.write("1_add.sql", "ALTER TABLE users ADD COLUMN a integer;");
    let output = project.segue.run(&["apply"]);
    assert_eq!(output.code, code, "{}", output.stderr);
    for text in says {
        assert!(output.stderr.contains(text), "does not say `{text}`:\n{}", output.stderr);
    }
    assert!(!output.stderr.contains("s3cret") && !output.stdout.contains("s3cret"), "{}", output.stderr);
}

#[test]
fn urls_that_lead_nowhere_say_why() {
    unreachable("oracle://x", 2, &["postgres://", "sqlite:"]);
    unreachable("sqlite:/nowhere/at/all.db", 2, &["/nowhere/at/all.db"]);
    unreachable("postgres://someone:s3cret@127.0.0.1:1/db", 3, &["127.0.0.1"]);
    unreachable("postgres://someone:s3cret@127.0.0.1:1/db?sslmod=require", 2, &["sslmod", "sslmode"]);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("notes.txt");
    let text = "these are notes, and no database at all, for pages and pages ".repeat(20);
    std::fs::write(&file, &text).expect("our own folder takes files");
    unreachable(&format!("sqlite:{}", file.display()), 2, &["notes.txt"]);
    assert_eq!(std::fs::read_to_string(&file).expect("it is still there"), text);
}

#[test]
fn a_read_only_sqlite_is_refused() {
    let database = TempDatabase::new(USERS);
    let before = dump::sqlite::catalog(&database.path());
    unreachable(&format!("file:{}?mode=ro", database.path().display()), 1, &["read-only"]);
    dump::assert_same(&before, &dump::sqlite::catalog(&database.path()));
}

#[test]
fn a_file_that_says_nothing_is_refused() {
    refused("-- nothing yet\n", "", 1, &["holds no statement"]);
}

#[test]
fn a_folder_or_a_configuration_that_is_named_must_be_there() {
    let database = TempDatabase::new(USERS);
    let project = Project::new(&database.url());
    for arguments in [["apply", "--dir", "nowhere"], ["status", "--config", "nowhere.toml"]] {
        let output = project.segue.run(&arguments);
        assert_eq!(output.code, 2, "{}", output.stderr);
        assert!(output.stderr.contains("nowhere"), "{}", output.stderr);
    }
}

#[test]
fn a_command_line_that_is_wrong_ends_with_two() {
    let database = TempDatabase::new(USERS);
    let project = Project::new(&database.url());
    for arguments in
        [&["aply"][..], &["apply", "--to", "nowhere"], &["flip", "--format", "sql"], &["flip"], &["new", "?!"]]
    {
        let output = project.segue.run(arguments);
        assert_eq!(output.code, 2, "{arguments:?}: {}", output.stderr);
    }
    std::fs::write(project.path().join("segue.toml"), "databse_url = \"postgres://me:s3cret@x/y\"\n").expect("written");
    let output = project.segue.run(&["status"]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("databse_url") && !output.stderr.contains("s3cret"), "{}", output.stderr);
}

const PG_USERS: &str = "CREATE TABLE users (id int PRIMARY KEY, first_name text, last_name text)";

#[test]
fn a_role_that_may_not_is_told_before_anything_is_done() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let mut owner = segue_testkit::client::Client::connect(&url);
        owner.batch(PG_USERS);
        server.role("segue_stranger");
        let before = dump::postgres::catalog(&url, "public");
        unreachable(&server.as_role(&url, "segue_stranger"), 3, &["permission denied", "Grant"]);
        dump::assert_same(&before, &dump::postgres::catalog(&url, "public"));
    }
}

#[test]
fn a_wrong_password_and_a_missing_database_say_so() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let role = segue_testkit::postgres::PASSWORD_ROLE;
        let right = server.as_role(&url, role);
        let (_, host) = right.split_once('@').expect("the URL has a role");
        unreachable(&format!("postgres://{role}:s3cret@{host}"), 3, &[role, "password"]);
        unreachable(&server.url("there_is_no_such_database"), 2, &["there_is_no_such_database", "URL"]);
    }
}

#[test]
fn a_session_that_is_read_only_is_refused() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        segue_testkit::client::Client::connect(&url).batch(PG_USERS);
        let before = dump::postgres::catalog(&url, "public");
        let separator = if url.contains('?') { '&' } else { '?' };
        let read_only = format!("{url}{separator}options=-c%20default_transaction_read_only%3Don");
        unreachable(&read_only, 1, &["read-only"]);
        dump::assert_same(&before, &dump::postgres::catalog(&url, "public"));
    }
}

#[test]
fn a_standby_is_refused() {
    let Some(server) = segue_testkit::postgres(15) else { return };
    let url = server.database();
    segue_testkit::client::Client::connect(&url).batch(PG_USERS);
    let standby = server.standby("bad_input");
    let database = url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a URL names its database");
    let there = standby.url(database);
    unreachable(&there, 1, &["standby", "primary"]);
}
