//! Columns that move to rows of another table: the story as it is typed, and what both shapes say on the way.

mod races;
mod refused;

use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::postgres::PostgresServer;

use crate::project::Project;

const SETUP: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, street text, city text);
    INSERT INTO users SELECT n, 'name ' || n, CASE WHEN n % 3 > 0 THEN 'street ' || n END,
      CASE WHEN n % 4 > 0 THEN 'city ' || n END FROM generate_series(1, 500) AS n";
const UP: &str = "CREATE TABLE addresses (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id bigint NOT NULL UNIQUE REFERENCES users (id),
  street text,
  city text
);
INSERT INTO addresses (user_id, street, city) SELECT id, street, city FROM users WHERE street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city;
";
const DOWN: &str = "ALTER TABLE users ADD COLUMN street text, ADD COLUMN city text;
UPDATE users SET street = a.street, city = a.city FROM addresses AS a WHERE a.user_id = users.id;
DROP TABLE addresses;
";

/// How far a change goes.
const POINTS: [&str; 4] = ["expand", "ready", "flip", "contract"];

/// A PostgreSQL database with `setup`, and a project with one migration.
struct Case {
    url: String,
    project: Project,
    client: Client,
}

impl Case {
    fn new(server: &PostgresServer, setup: &str, up: &str, down: &str) -> Self {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch(setup);
        let project = Project::new(&url);
        project.write("1_extract.sql", up);
        project.write("1_extract.down.sql", down);
        Self { url, project, client }
    }

    fn addresses(server: &PostgresServer) -> Self {
        Self::new(server, SETUP, UP, DOWN)
    }

    #[track_caller]
    fn run(&self, command: &str) -> String {
        self.project.segue.ok(&command.split(' ').collect::<Vec<_>>())
    }

    /// Goes to a point by the commands that a person types.
    #[track_caller]
    fn go_to(&self, point: &str) {
        match point {
            "expand" => drop(self.run("apply --to expand")),
            "ready" => drop(self.run("apply")),
            "flip" => {
                self.go_to("ready");
                self.run("flip");
            }
            "contract" => {
                self.go_to("flip");
                self.run("contract --old-version-stopped");
            }
            "end" => {
                self.go_to("contract");
                self.run("cleanup --yes --i-checked-references");
            }
            other => panic!("no such point: {other}"),
        }
    }

    fn catalog(&self) -> Vec<String> {
        dump::without(dump::postgres::catalog(&self.url, "public"), dump::SEQUENCE_VALUE)
    }

    fn lines(&mut self, sql: &str) -> Vec<String> {
        self.client.column(sql, &[])
    }

    /// Returns the old columns of each user.
    fn users(&mut self) -> Vec<String> {
        self.lines("SELECT concat_ws('|', id, coalesce(street, '∅'), coalesce(city, '∅')) FROM users ORDER BY id")
    }

    /// Returns what the other table says.
    fn rows(&mut self) -> Vec<String> {
        self.lines("SELECT concat_ws('|', user_id, coalesce(street, '∅'), coalesce(city, '∅')) FROM addresses ORDER BY user_id")
    }

    /// Returns what one user has in the one table and in the other.
    fn of(&mut self, id: i64) -> String {
        let sql = format!(
            "SELECT concat_ws(' / ', (SELECT concat_ws('|', coalesce(street, '∅'), coalesce(city, '∅')) FROM users WHERE id = {id}),
               coalesce((SELECT concat_ws('|', coalesce(street, '∅'), coalesce(city, '∅')) FROM addresses WHERE user_id = {id}), 'none'))"
        );
        self.client.value(&sql).expect("concat_ws gives a text")
    }
}

/// Returns catalog and rows of a database on which the file was run by hand.
fn naive(server: &PostgresServer, setup: &str, up: &str, rows: &str) -> (Vec<String>, Vec<String>) {
    let url = server.database();
    let mut client = Client::connect(&url);
    client.batch(setup);
    client.batch(up);
    let catalog = dump::without(dump::postgres::catalog(&url, "public"), dump::SEQUENCE_VALUE);
    (catalog, client.column(rows, &[]))
}

#[test]
fn the_commands_of_the_story_end_where_the_file_by_hand_does() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let rows = "SELECT concat_ws('|', user_id, coalesce(street, '∅'), coalesce(city, '∅')) FROM addresses ORDER BY user_id";
        let (catalog, moved) = naive(server, SETUP, UP, rows);
        let mut case = Case::addresses(server);
        let plan = case.run("plan");
        assert!(plan.contains("addresses"), "{plan}");
        case.run("apply");
        assert_eq!(case.rows(), moved, "readers of the new table begin at ready");
        case.run("status");
        case.run("verify");
        case.run("flip");
        case.run("verify");
        case.run("contract --old-version-stopped");
        case.run("verify");
        let told = case.run("cleanup --yes --i-checked-references");
        assert!(told.contains("keep_"), "the copy is named: {told}");
        dump::assert_same(&catalog, &case.catalog());
        assert_eq!(case.rows(), moved);
        let kept = case.lines(
            "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = 'segue'::regnamespace AND relname LIKE 'keep\\_%' AND relkind = 'r'",
        );
        let count = case.client.value(&format!("SELECT count(*) FROM segue.{}", kept[0]));
        // Each user that has a street or a city: not those whose number is divisible by 3 and by 4.
        assert_eq!(count.as_deref(), Some("459"));
        let left = case.lines("SELECT proname::text FROM pg_proc WHERE pronamespace = 'segue'::regnamespace");
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn taken_back_from_any_point_everything_is_as_before() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        for point in POINTS {
            let mut case = Case::addresses(server);
            let (catalog, users) = (case.catalog(), case.users());
            case.go_to(point);
            let told = case.run("rollback --new-version-stopped");
            dump::assert_same(&catalog, &case.catalog());
            assert_eq!(case.users(), users, "from {point}");
            assert!(!told.contains("lost"), "from {point}: {told}");
        }
    }
}

#[test]
fn until_flip_the_old_table_writes_the_new_one() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let mut case = Case::addresses(server);
        case.go_to("ready");
        case.client.batch("INSERT INTO users VALUES (501, 'n', 's', 'c'), (502, 'n', NULL, 'c')");
        assert_eq!((case.of(501), case.of(502)), ("s|c / s|c".to_owned(), "∅|c / none".to_owned()));
        case.client
            .batch("UPDATE users SET street = 'other' WHERE id = 501; UPDATE users SET street = 's2' WHERE id = 502");
        assert_eq!((case.of(501), case.of(502)), ("other|c / other|c".to_owned(), "s2|c / s2|c".to_owned()));
        let id = "SELECT id FROM addresses WHERE user_id = 501";
        let before = case.client.value(id);
        case.client.batch("UPDATE users SET id = 601 WHERE id = 501; UPDATE users SET street = NULL WHERE id = 502");
        assert_eq!((case.of(601), case.of(502)), ("other|c / other|c".to_owned(), "∅|c / none".to_owned()));
        assert_eq!(before, case.client.value("SELECT id FROM addresses WHERE user_id = 601"), "the row itself moved");
        case.client.batch("DELETE FROM users WHERE id IN (601, 1, 3)");
        assert_eq!(case.of(601), "none");
        // Another transaction: an upsert, an unrelated update, a value that stays.
        case.client.batch(
            "INSERT INTO users VALUES (2, 'n', 'up', 'sert') ON CONFLICT (id) DO UPDATE SET street = EXCLUDED.street;
             UPDATE users SET name = 'x'; UPDATE users SET street = street",
        );
        assert_eq!(case.of(2), "up|city 2 / up|city 2");
        for write in [
            "INSERT INTO addresses (user_id, street) VALUES (502, 'x')",
            "UPDATE addresses SET city = 'x' WHERE user_id = 2",
            "DELETE FROM addresses WHERE user_id = 2",
        ] {
            let refused = case.client.try_batch(write).expect_err("the new table is only read until flip");
            assert_eq!(refused.code, "55000", "{refused}");
            assert!(refused.message.contains("1_extract"), "{refused}");
        }
        case.run("verify");
    }
}

#[test]
fn from_flip_on_the_new_table_writes_the_old_one_and_old_code_goes_on() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let mut case = Case::addresses(server);
        case.go_to("flip");
        case.client.batch(
            "INSERT INTO users (id, name) VALUES (501, 'n'); INSERT INTO addresses (user_id, street) VALUES (501, 's')",
        );
        assert_eq!(case.of(501), "s|∅ / s|∅");
        case.client.batch("UPDATE addresses SET city = 'c' WHERE user_id = 501");
        assert_eq!(case.of(501), "s|c / s|c");
        case.client.batch(
            "INSERT INTO users (id, name) VALUES (502, 'n'); UPDATE addresses SET user_id = 502 WHERE user_id = 501",
        );
        assert_eq!((case.of(501), case.of(502)), ("∅|∅ / none".to_owned(), "s|c / s|c".to_owned()));
        case.client.batch("DELETE FROM addresses WHERE user_id = 502");
        assert_eq!(case.of(502), "∅|∅ / none");
        // What only the new shape can hold stays as it is.
        case.client.batch("INSERT INTO addresses (user_id, city) VALUES (502, 'only a city')");
        assert_eq!(case.of(502), "∅|only a city / ∅|only a city");
        // Old code.
        case.client.batch(
            "INSERT INTO users VALUES (503, 'n', 'old', 'code'); UPDATE users SET city = 'changed' WHERE id = 1",
        );
        assert_eq!(
            (case.of(503), case.of(1)),
            ("old|code / old|code".to_owned(), "street 1|changed / street 1|changed".to_owned())
        );
        case.client.batch("UPDATE users SET street = NULL WHERE id = 503; UPDATE users SET street = 'new' WHERE id = 3; DELETE FROM users WHERE id = 2");
        assert_eq!((case.of(503), case.of(3)), ("∅|code / none".to_owned(), "new|city 3 / new|city 3".to_owned()));
        case.run("verify");
        case.run("contract --old-version-stopped");
        case.client.batch("UPDATE addresses SET street = 'hidden' WHERE user_id = 1");
        let hidden = case.client.value("SELECT street_deprecated FROM users WHERE id = 1");
        assert_eq!(hidden.as_deref(), Some("hidden"));
        case.run("rollback --new-version-stopped");
        let users = case.users();
        assert!(
            users.contains(&"1|hidden|changed".to_owned()) && users.contains(&"502|∅|only a city".to_owned()),
            "{users:?}"
        );
    }
}

#[test]
fn what_somebody_changes_behind_the_triggers_is_found_and_mended_from_the_truth() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let mut case = Case::addresses(server);
        case.go_to("ready");
        let silently = "SET session_replication_role = replica; ALTER TABLE users DISABLE TRIGGER USER;
            ALTER TABLE addresses DISABLE TRIGGER USER; ALTER TABLE addresses DROP CONSTRAINT addresses_user_id_fkey;";
        let states = "SELECT format('ALTER TABLE %s %s TRIGGER %I', tgrelid::regclass,
              CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'O' THEN 'ENABLE' ELSE 'DISABLE' END, tgname)
            FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE '!segue%'";
        let enable = case.lines(states).join(";");
        case.client.batch(silently);
        case.client.batch(
            "UPDATE users SET street = 'drifted' WHERE id = 5; DELETE FROM addresses WHERE user_id = 7;
             UPDATE users SET street = NULL WHERE id = 8; INSERT INTO addresses (user_id, street) VALUES (9999, 'nobody')",
        );
        let told = case.project.segue.run(&["verify"]);
        assert_eq!(told.code, 5, "a silenced trigger must be named: {}{}", told.stdout, told.stderr);
        case.client.batch(&enable);
        let found = case.project.segue.run(&["verify"]);
        assert_eq!(found.code, 6, "{}{}", found.stdout, found.stderr);
        for key in ["5", "7", "8", "9999"] {
            assert!(found.stderr.contains(key), "{key}: {}", found.stderr);
        }
        case.run("verify --repair");
        assert_eq!(
            (case.of(5), case.of(7)),
            ("drifted|city 5 / drifted|city 5".to_owned(), "street 7|city 7 / street 7|city 7".to_owned())
        );
        assert_eq!((case.of(8), case.of(9999)), ("∅|∅ / none".to_owned(), "none".to_owned()));
        case.client.batch("ALTER TABLE addresses ADD FOREIGN KEY (user_id) REFERENCES users (id)");
        case.run("flip");
        let enable = case.lines(states).join(";");
        case.client.batch(
            "ALTER TABLE users DISABLE TRIGGER USER; ALTER TABLE addresses DISABLE TRIGGER USER;
            UPDATE users SET street = 'drifted again' WHERE id = 5; UPDATE users SET street = 'invented' WHERE id = 8",
        );
        case.client.batch(&enable);
        assert_eq!(case.project.segue.run(&["verify"]).code, 6);
        case.run("verify --repair");
        assert_eq!((case.of(5), case.of(8)), ("drifted|city 5 / drifted|city 5".to_owned(), "∅|∅ / none".to_owned()));
    }
}

#[test]
fn a_role_without_rights_on_the_new_table_goes_on_writing_the_old_one() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let mut case = Case::addresses(server);
        let role = case
            .client
            .value("SELECT 'writer_' || oid FROM pg_database WHERE datname = current_database()")
            .expect("a name");
        case.client.batch(&format!("CREATE ROLE {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {role}"));
        case.go_to("flip");
        case.client.batch(&format!(
            "SET ROLE {role}; SET search_path = pg_temp; INSERT INTO public.users VALUES (501, 'n', 's', 'c');
            UPDATE public.users SET city = 'd' WHERE id = 501; RESET ROLE; RESET search_path"
        ));
        assert_eq!(case.of(501), "s|d / s|d");
        case.client.batch(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON addresses TO {role}; REVOKE ALL ON users FROM {role};
            SET ROLE {role}; UPDATE addresses SET city = 'e' WHERE user_id = 501; RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}"));
        assert_eq!(case.of(501), "s|e / s|e");
    }
}

#[test]
fn composite_keys_hostile_names_and_values_that_may_not_be_null() {
    let setup = r#"CREATE SCHEMA "od""d"; CREATE TABLE "od""d"."us'ers" (b int, "A a" text, "we""ird" varchar(40) NOT NULL DEFAULT 'd''e', n int NOT NULL,
          PRIMARY KEY ("A a", b));
        INSERT INTO "od""d"."us'ers" SELECT n, 'k' || n % 7, 'v''' || n, n * 2 FROM generate_series(1, 300) AS n"#;
    let up = r#"CREATE TABLE "od""d"."new {t}" (x int, y text, "v v" varchar(40) NOT NULL, n int NOT NULL, double text, note text,
          PRIMARY KEY (y, x), FOREIGN KEY (y, x) REFERENCES "od""d"."us'ers" ("A a", b) ON DELETE CASCADE);
        -- segue: rows "od""d"."new {t}"(y, x, "v v", n, double) from "od""d"."us'ers"("A a", b, "we""ird", n, "A a" || '!') on "od""d"."new {t}".y = "od""d"."us'ers"."A a" and "od""d"."us'ers".b = "od""d"."new {t}".x where n >= 2
        ALTER TABLE "od""d"."us'ers" DROP COLUMN "we""ird", DROP COLUMN n;"#;
    let by_hand = format!(
        "{up} INSERT INTO \"od\"\"d\".\"new {{t}}\" (y, x, \"v v\", n, double) VALUES ('k1', 1, 'v', 1, 'k1!')"
    );
    for server in segue_testkit::oldest_and_newest_postgres() {
        let catalog_of = |url: &str| dump::without(dump::postgres::catalog(url, "od\"d"), dump::SEQUENCE_VALUE);
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch(setup);
        client.batch(&by_hand);
        let must = catalog_of(&url);
        let mut case = Case::new(server, setup, up, "");
        let (before, rows) = (catalog_of(&case.url), dump::postgres::rows(&case.url, r#""od""d"."us'ers""#, "1, 2"));
        case.go_to("flip");
        // New code knows nothing of the old columns.
        case.client.batch(r#"INSERT INTO "od""d"."us'ers" ("A a", b) VALUES ('new', 1)"#);
        let closed = case.project.segue.run(&["rollback", "--new-version-stopped"]);
        assert_eq!(
            closed.code, 5,
            "a row without the old value keeps NOT NULL from being set: {}{}",
            closed.stdout, closed.stderr
        );
        case.client.batch(r#"INSERT INTO "od""d"."new {t}" (y, x, "v v", n) VALUES ('new', 1, 'x', 7)"#);
        case.client.batch(r#"DELETE FROM "od""d"."us'ers" WHERE "A a" = 'new'"#);
        case.run("rollback --new-version-stopped");
        dump::assert_same(&before, &catalog_of(&case.url));
        assert_eq!(dump::postgres::rows(&case.url, r#""od""d"."us'ers""#, "1, 2"), rows);
        case.go_to("end");
        dump::assert_same(&must, &catalog_of(&case.url));
        let wrong = case.client.value(
            r#"SELECT count(*) FROM "od""d"."new {t}" WHERE double <> y || '!' OR "v v" <> 'v''' || x OR n <> x * 2"#,
        );
        assert_eq!(wrong.as_deref(), Some("0"));
        let count = case.client.value(r#"SELECT count(*) FROM "od""d"."new {t}""#);
        assert_eq!(count.as_deref(), Some("300"));
    }
}
