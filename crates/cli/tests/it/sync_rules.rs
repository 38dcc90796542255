//! The rules that keep both shapes right, one test a rule, with the statements that an application would send.

use segue_testkit::client::Client;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::sqlite::TempDatabase;

use crate::project::Project;

const UP: &str = "ALTER TABLE users ADD COLUMN full_name text;
UPDATE users SET full_name = concat_ws(' ', first_name, last_name);
ALTER TABLE users ALTER COLUMN full_name SET NOT NULL;
ALTER TABLE users DROP COLUMN first_name, DROP COLUMN last_name;";
const DOWN: &str = "ALTER TABLE users ADD COLUMN first_name text, ADD COLUMN last_name text;
UPDATE users SET first_name = split_part(full_name, ' ', 1), last_name = split_part(full_name, ' ', 2);
ALTER TABLE users DROP COLUMN full_name;";

/// A PostgreSQL database with `setup`, and a project with one migration.
struct Case {
    project: Project,
    client: Client,
}

impl Case {
    fn new(server: &PostgresServer, setup: &str, up: &str, down: &str) -> Self {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch(setup);
        let project = Project::new(&url);
        project.write("1_change.sql", up);
        project.write("1_change.down.sql", down);
        Self { project, client }
    }

    /// Names split in two: ten rows.
    fn split(server: &PostgresServer) -> Self {
        let setup = "CREATE TABLE users (id int PRIMARY KEY, first_name text, last_name text, note text);
            INSERT INTO users SELECT n, 'a' || n, 'b' || n FROM generate_series(1, 10) n";
        Self::new(server, setup, UP, DOWN)
    }

    #[track_caller]
    fn run(&self, command: &str) -> String {
        self.project.segue.ok(&command.split(' ').collect::<Vec<_>>())
    }

    /// Returns the columns of a row, joined by `|`; NULL is `∅`.
    #[track_caller]
    fn row(&mut self, columns: &str, id: i64) -> String {
        let columns: Vec<String> = columns.split(',').map(|c| format!("coalesce({}::text, '∅')", c.trim())).collect();
        let sql = format!("SELECT concat_ws('|', {}) FROM users WHERE id = {id}", columns.join(", "));
        self.client.value(&sql).unwrap_or_else(|| "gone".to_owned())
    }
}

#[test]
fn values_that_forward_never_makes_survive_verify_and_repair() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::split(server);
        case.run("apply");
        case.client.batch("UPDATE users SET full_name = 'Cher' WHERE id = 1; UPDATE users SET full_name = 'Ana Luisa de Sá' WHERE id = 2");
        let both = "full_name, first_name, last_name";
        assert_eq!(case.row(both, 1), "Cher|Cher|");
        assert_eq!(case.row(both, 2), "Ana Luisa de Sá|Ana|Luisa");
        case.run("verify");
        case.run("verify --repair");
        case.run("flip");
        case.run("verify --repair");
        assert_eq!(case.row(both, 1), "Cher|Cher|");
        assert_eq!(case.row(both, 2), "Ana Luisa de Sá|Ana|Luisa");
        // An unrelated update is no reason to touch either side.
        case.client.batch("UPDATE users SET note = 'x'");
        assert_eq!(case.row(both, 1), "Cher|Cher|");
    }
}

#[test]
fn a_backfill_does_not_overwrite_what_new_code_wrote() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::split(server);
        case.run("apply --to expand");
        // Related through back alone: forward would make 'Cher ' of it.
        case.client.batch("UPDATE users SET full_name = 'Cher', first_name = 'Cher', last_name = '' WHERE id = 1");
        case.run("apply");
        assert_eq!(case.row("full_name", 1), "Cher");
        assert_eq!(case.row("full_name", 2), "a2 b2");
    }
}

#[test]
fn repair_takes_the_authority_and_touches_only_wrong_rows() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::split(server);
        case.run("apply");
        case.client.batch("UPDATE users SET full_name = 'Cher' WHERE id = 1");
        // Somebody silences the triggers, and writes.
        let silenced = "ALTER TABLE users DISABLE TRIGGER USER; UPDATE users SET last_name = 'changed' WHERE id = 5;";
        case.client.batch(silenced);
        let told = case.project.segue.run(&["verify"]);
        assert_eq!(told.code, 5, "a silenced trigger must be named: {}{}", told.stdout, told.stderr);
        enable_ours(&mut case.client);
        let found = case.project.segue.run(&["verify"]);
        assert_eq!(found.code, 6, "{}{}", found.stdout, found.stderr);
        assert!(found.stderr.contains('5'), "{}", found.stderr);
        case.run("verify --repair");
        assert_eq!(case.row("full_name, last_name", 5), "a5 changed|changed");
        assert_eq!(case.row("full_name", 1), "Cher");
        case.run("flip");
        case.client.batch("ALTER TABLE users DISABLE TRIGGER USER; UPDATE users SET last_name = 'again' WHERE id = 5");
        enable_ours(&mut case.client);
        case.run("verify --repair");
        assert_eq!(case.row("full_name, last_name", 5), "a5 changed|changed");
    }
}

/// Enables Segue's triggers as they were.
fn enable_ours(client: &mut Client) {
    let names = client.column(
        "SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = 'users'::regclass AND tgname LIKE '%segue%'",
        &[],
    );
    for name in names {
        client.batch(&format!("ALTER TABLE users ENABLE ALWAYS TRIGGER {name}"));
    }
}

#[test]
fn rows_that_move_before_the_backfill_reaches_them_are_filled() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::split(server);
        case.run("apply --to expand");
        case.client.batch("UPDATE users SET note = 'moved' WHERE id = 3; UPDATE users SET id = -4 WHERE id = 4; UPDATE users SET id = 1000 WHERE id = 5");
        case.run("apply");
        for (id, name) in [(3, "a3 b3"), (-4, "a4 b4"), (1000, "a5 b5")] {
            assert_eq!(case.row("full_name", id), name);
        }
    }
}

#[test]
fn writes_of_replica_role_and_logical_apply_are_kept_right_too() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::split(server);
        case.run("apply");
        case.client.batch("SET session_replication_role = replica; INSERT INTO users (id, first_name, last_name) VALUES (11, 'r', 's'); RESET session_replication_role");
        assert_eq!(case.row("full_name", 11), "r s");
    }
}

#[test]
fn inserts_that_omit_a_side_get_it_and_defaults_are_the_old_ones() {
    for server in segue_testkit::each_postgres() {
        let setup = "CREATE TABLE users (id int PRIMARY KEY, first_name text DEFAULT 'Jo', last_name text, note text)";
        let mut case = Case::new(server, setup, UP, DOWN);
        case.run("apply");
        case.client.batch(
            "INSERT INTO users (id) VALUES (1); INSERT INTO users (id, first_name, last_name) VALUES (2, 'A', 'B');
            INSERT INTO users (id, full_name) VALUES (3, 'C D'); INSERT INTO users (id, first_name) VALUES (4, NULL)",
        );
        let both = "full_name, first_name, last_name";
        let rows: Vec<String> = (1..=4).map(|id| case.row(both, id)).collect();
        assert_eq!(rows, ["Jo|Jo|∅", "A B|A|B", "C D|C|D", "|∅|∅"]);
        case.run("flip");
        case.run("contract --old-version-stopped");
        case.run("cleanup --yes --i-checked-references");
        // As the naive statements leave it: NOT NULL, and no default.
        assert!(case.client.try_batch("INSERT INTO users (id) VALUES (5)").is_err());
    }
}

#[test]
fn a_transform_that_raises_fails_no_write_and_holds_the_flip() {
    for server in segue_testkit::each_postgres() {
        let setup = "CREATE TABLE users (id int PRIMARY KEY, age_text text, note text);
            INSERT INTO users VALUES (1, '41'), (2, 'not a number'), (3, NULL)";
        let up = "ALTER TABLE users ADD COLUMN age int;\nUPDATE users SET age = age_text::int;\nALTER TABLE users DROP COLUMN age_text;";
        let down = "ALTER TABLE users ADD COLUMN age_text text;\nUPDATE users SET age_text = age::text;\nALTER TABLE users DROP COLUMN age;";
        let mut case = Case::new(server, setup, up, down);
        case.run("apply");
        case.client.batch(
            "INSERT INTO users (id, age_text) VALUES (4, 'nor is this'); UPDATE users SET age_text = '42' WHERE id = 1",
        );
        let rows: Vec<String> = (1..=4).map(|id| case.row("age, age_text", id)).collect();
        assert_eq!(rows, ["42|42", "∅|not a number", "∅|∅", "∅|nor is this"]);
        let held = case.project.segue.run(&["flip"]);
        assert_eq!(held.code, 5, "{}{}", held.stdout, held.stderr);
        case.client.batch("UPDATE users SET age_text = '7' WHERE id IN (2, 4)");
        case.run("flip");
        assert_eq!(case.row("age", 2), "7");
    }
}

const WIDEN: &str = "ALTER TABLE users ALTER COLUMN points TYPE bigint;";
const NARROW: &str = "ALTER TABLE users ALTER COLUMN points TYPE int;";
const POINTS: &str = "CREATE TABLE users (id int PRIMARY KEY, points int NOT NULL DEFAULT 0, note text);
    CREATE INDEX users_points ON users (points);
    INSERT INTO users SELECT n, n FROM generate_series(1, 10) n";

#[test]
fn values_beyond_the_old_type_are_taken_after_flip_and_close_the_way_back() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::new(server, POINTS, WIDEN, NARROW);
        case.run("apply");
        assert!(case.client.try_batch("UPDATE users SET points = 3000000000 WHERE id = 1").is_err());
        case.run("flip");
        case.client.batch(
            "UPDATE users SET points = 3000000000 WHERE id = 1; INSERT INTO users (id, points) VALUES (11, 4000000000)",
        );
        assert_eq!(case.row("points", 1), "3000000000");
        let closed = case.project.segue.run(&["rollback", "--new-version-stopped"]);
        assert_eq!(closed.code, 5, "{}{}", closed.stdout, closed.stderr);
        assert!(closed.stderr.contains('2'), "the two values that do not fit are counted: {}", closed.stderr);
        case.client.batch("UPDATE users SET points = 1 WHERE points > 2000000000");
        case.run("rollback --new-version-stopped");
        assert_eq!(case.row("points", 11), "1");
        assert_eq!(case.client.value("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'points'").as_deref(), Some("integer"));
    }
}

#[test]
fn prepared_statements_fail_once_at_the_swap_and_no_other_step_breaks_them() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::new(server, POINTS, WIDEN, NARROW);
        let plan = case.run("plan");
        assert!(plan.contains("prepared"), "the plan says what prepared statements will see:\n{plan}");
        case.client.batch("PREPARE p AS SELECT id, points FROM users WHERE id = 1; PREPARE w AS UPDATE users SET note = 'n' WHERE id = 1");
        case.run("apply");
        case.client.batch("EXECUTE p; EXECUTE w");
        case.run("flip");
        case.client.batch("EXECUTE w");
        let error = case.client.try_batch("EXECUTE p").expect_err("the result type has changed");
        assert_eq!(error.code, "0A000");
        case.client.batch("DEALLOCATE p; PREPARE p AS SELECT id, points FROM users WHERE id = 1; EXECUTE p");
        case.run("contract --old-version-stopped");
        case.client.batch("EXECUTE p");
        case.run("cleanup --yes --i-checked-references");
        case.client.batch("EXECUTE p; EXECUTE w");
    }
}

#[test]
fn a_user_trigger_that_normalises_is_seen_by_both_shapes() {
    for server in segue_testkit::each_postgres() {
        let setup = "CREATE TABLE users (id int PRIMARY KEY, email text, note text);
            CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := upper(NEW.note); RETURN NEW; END';
            CREATE TRIGGER m_tidy BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION tidy();
            INSERT INTO users VALUES (1, 'a@x', 'n')";
        let up = "ALTER TABLE users ADD COLUMN mail text;\nUPDATE users SET mail = email;\nALTER TABLE users DROP COLUMN email;";
        let down = "ALTER TABLE users ADD COLUMN email text;\nUPDATE users SET email = mail;\nALTER TABLE users DROP COLUMN mail;";
        let mut case = Case::new(server, setup, up, down);
        case.run("apply");
        case.client.batch(
            "INSERT INTO users (id, mail, note) VALUES (2, 'b@x', 'm'); UPDATE users SET email = 'c@x' WHERE id = 1",
        );
        assert_eq!(case.row("mail, email, note", 2), "b@x|b@x|M");
        assert_eq!(case.row("mail, email", 1), "c@x|c@x");
    }
}

#[test]
fn a_rollback_keeps_what_only_the_new_shape_could_hold() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::split(server);
        case.run("apply");
        case.client.batch("UPDATE users SET full_name = 'Anna Maria Sophia Berg' WHERE id = 1");
        let told = case.run("rollback --new-version-stopped --format json");
        assert_eq!(case.row("first_name, last_name", 1), "Anna|Maria");
        let told: serde_json::Value = serde_json::from_str(&told).expect("a report is JSON");
        let copy = told["kept"][0].as_str().expect("the copy is named").to_owned();
        let kept = case.client.rows(&format!("SELECT id::text, full_name FROM {copy}"));
        assert_eq!(kept, [[Some("1".to_owned()), Some("Anna Maria Sophia Berg".to_owned())]]);
        // Nothing but what the backfill made: nothing to keep, and no empty copy left.
        case.run("apply");
        let told: serde_json::Value =
            serde_json::from_str(&case.run("rollback --new-version-stopped --format json")).expect("JSON");
        assert_eq!(told["kept"], serde_json::json!([]));
    }
}

#[test]
fn a_rollback_past_a_silenced_trigger_is_refused_unless_the_loss_is_accepted() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::split(server);
        case.run("apply");
        case.run("flip");
        case.client
            .batch("ALTER TABLE users DISABLE TRIGGER USER; UPDATE users SET full_name = 'Lost Two' WHERE id = 2");
        let refused = case.project.segue.run(&["rollback", "--new-version-stopped"]);
        assert_eq!(refused.code, 5, "{}{}", refused.stdout, refused.stderr);
        enable_ours(&mut case.client);
        let wrong = case.project.segue.run(&["rollback", "--new-version-stopped"]);
        assert_eq!(wrong.code, 6, "{}{}", wrong.stdout, wrong.stderr);
        case.run("verify --repair");
        case.run("rollback --new-version-stopped");
        assert_eq!(case.row("first_name, last_name", 2), "Lost|Two");
    }
}

#[test]
fn a_trigger_that_normalises_the_old_column_does_not_part_the_shapes() {
    for server in segue_testkit::each_postgres() {
        let setup = "CREATE TABLE users (id int PRIMARY KEY, email text, note text);
            INSERT INTO users VALUES (1, 'Foo@X'), (2, 'bar@x');
            CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.email := lower(NEW.email); RETURN NEW; END';
            CREATE TRIGGER m_tidy BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION tidy()";
        let up = "ALTER TABLE users ADD COLUMN mail text;\nUPDATE users SET mail = email;\nALTER TABLE users DROP COLUMN email;";
        let down = "ALTER TABLE users ADD COLUMN email text;\nUPDATE users SET email = mail;\nALTER TABLE users DROP COLUMN mail;";
        let mut case = Case::new(server, setup, up, down);
        case.run("apply");
        // Nobody has written the row yet: the trigger slept while it was filled.
        assert_eq!(case.row("email, mail", 1), "Foo@X|Foo@X");
        case.client.batch("UPDATE users SET note = 'seen' WHERE id = 1; UPDATE users SET email = 'BAR@Y' WHERE id = 2");
        assert_eq!(case.row("email, mail", 1), "foo@x|foo@x");
        assert_eq!(case.row("email, mail", 2), "bar@y|bar@y");
        case.run("flip");
    }
}

#[test]
fn a_writer_who_could_not_call_what_a_transform_needs_is_named_beforehand() {
    for server in segue_testkit::each_postgres() {
        let setup = "CREATE SCHEMA private; CREATE TABLE private.users (id int PRIMARY KEY, age_text text);
            CREATE VIEW public.people AS SELECT id FROM private.users";
        let up = "ALTER TABLE private.users ADD COLUMN age int;\nUPDATE private.users SET age = age_text::int;\nALTER TABLE private.users DROP COLUMN age_text;";
        let down = "ALTER TABLE private.users ADD COLUMN age_text text;\nUPDATE private.users SET age_text = age::text;\nALTER TABLE private.users DROP COLUMN age;";
        let mut case = Case::new(server, setup, up, down);
        server.role("segue_web");
        case.client.batch("GRANT INSERT ON people TO segue_web");
        let refused = case.project.segue.run(&["apply"]);
        assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains("segue_web") && refused.stderr.contains("GRANT"), "{}", refused.stderr);
        case.client.batch("GRANT USAGE ON SCHEMA private TO segue_web");
        case.run("apply");
        case.client.batch("SET ROLE segue_web; INSERT INTO people VALUES (1); RESET ROLE");
    }
}

#[test]
fn the_application_needs_no_right_on_our_schema() {
    for server in segue_testkit::each_postgres() {
        let mut case = Case::split(server);
        server.role("segue_app");
        case.client.batch("GRANT SELECT, INSERT, UPDATE, DELETE ON users TO segue_app");
        case.run("apply");
        case.client.batch("SET ROLE segue_app; INSERT INTO users (id, first_name, last_name) VALUES (11, 'a', 'b'); UPDATE users SET full_name = 'c d' WHERE id = 11; RESET ROLE");
        assert_eq!(case.row("full_name, first_name", 11), "c d|c");
        let error =
            case.client.try_batch("SET ROLE segue_app; SELECT * FROM segue.migration").expect_err("it is ours alone");
        assert_eq!(error.code, "42501");
    }
}

#[test]
fn an_operator_of_the_application_cannot_take_the_place_of_the_servers() {
    for server in segue_testkit::each_postgres() {
        let setup = "CREATE TABLE users (id int PRIMARY KEY, first_name text, last_name text, note text);
            INSERT INTO users VALUES (1, 'a', 'b');
            CREATE FUNCTION evil(text, text) RETURNS text LANGUAGE sql AS 'SELECT ''hijacked''';
            CREATE SCHEMA app; CREATE OPERATOR app.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil)";
        let up = "ALTER TABLE users ADD COLUMN full_name text;\nUPDATE users SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, '');\nALTER TABLE users ALTER COLUMN full_name SET NOT NULL;\nALTER TABLE users DROP COLUMN first_name, DROP COLUMN last_name;";
        let mut case = Case::new(server, setup, up, DOWN);
        case.run("apply");
        case.client.batch("SET search_path = app, public, pg_catalog; INSERT INTO users (id, first_name, last_name) VALUES (2, 'c', 'd'); RESET search_path");
        assert_eq!(case.row("full_name", 1), "a b");
        assert_eq!(case.row("full_name", 2), "c d");
    }
}

#[test]
fn on_sqlite_values_that_forward_never_makes_survive_verify_and_repair() {
    let database = TempDatabase::new(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT); INSERT INTO users VALUES (1, 'a', 'b'), (2, 'c', 'd')",
    );
    let project = Project::new(&database.url());
    project.write(
        "1_a.sql",
        "ALTER TABLE users ADD COLUMN full_name TEXT;
        UPDATE users SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, '');
        ALTER TABLE users DROP COLUMN first_name;
        ALTER TABLE users DROP COLUMN last_name;",
    );
    project.write("1_a.down.sql", "ALTER TABLE users ADD COLUMN first_name TEXT;
        ALTER TABLE users ADD COLUMN last_name TEXT;
        UPDATE users SET first_name = substr(full_name, 1, instr(full_name || ' ', ' ') - 1), last_name = substr(full_name, instr(full_name || ' ', ' ') + 1);
        ALTER TABLE users DROP COLUMN full_name;");
    project.segue.ok(&["apply"]);
    let connection = database.connect();
    connection
        .execute_batch("UPDATE users SET full_name = 'Cher' WHERE id = 1")
        .expect("a write of the new version works");
    for arguments in [&["verify"][..], &["verify", "--repair"], &["flip"], &["verify", "--repair"]] {
        project.segue.ok(arguments);
    }
    let row: String = connection
        .query_row("SELECT full_name || '|' || first_name || '|' || last_name FROM users WHERE id = 1", [], |row| {
            row.get(0)
        })
        .expect("the row is there");
    assert_eq!(row, "Cher|Cher|");
}

/// What fills one new column writes rows in which the other is still NULL: each pass leaves the other's trigger awake.
#[test]
fn two_columns_of_one_file_are_filled_beside_each_other() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let mut client = segue_testkit::client::Client::connect(&url);
        client.batch(
            "CREATE TABLE people (id integer PRIMARY KEY, name text NOT NULL);
             INSERT INTO people SELECT n, 'Name ' || n FROM generate_series(1, 2000) AS n",
        );
        let project = crate::project::Project::new(&url);
        project.write(
            "1_two.sql",
            "ALTER TABLE people ADD COLUMN low text;
             UPDATE people SET low = lower(name);
             ALTER TABLE people ALTER COLUMN low SET NOT NULL;
             ALTER TABLE people ADD COLUMN high text;
             UPDATE people SET high = upper(name);
             ALTER TABLE people ALTER COLUMN high SET NOT NULL;",
        );
        project.segue.ok(&["apply"]);
        let wrong = "SELECT count(*) FROM people WHERE (low, high) IS DISTINCT FROM (lower(name), upper(name))";
        assert_eq!(client.value(wrong).as_deref(), Some("0"));
        project.segue.ok(&["rollback", "--new-version-stopped"]);
        assert_eq!(client.value("SELECT count(*) FROM people").as_deref(), Some("2000"));
    }
}
