//! Several migrations at once in one table: what only adds beside other columns passes while another change is under way, in
//! any of its states and both ways; what must wait says for whom and about what.

use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::segue::Output;

use crate::fault::place::WAY;
use crate::operate::slow::eventually;
use crate::project::Project;

const TABLE: &str = r#"CREATE TABLE users (id bigint PRIMARY KEY, first_name text, last_name text, age integer);
INSERT INTO users SELECT n, 'Zoë', NULLIF('ß' || n % 7, 'ß3'), n % 90 FROM generate_series(1, 3000) AS n;
ANALYZE users"#;
const UP: &str = "ALTER TABLE users ADD COLUMN full_name text;
UPDATE users SET full_name = concat_ws(' ', first_name, last_name);
ALTER TABLE users ALTER COLUMN full_name SET NOT NULL;
ALTER TABLE users DROP COLUMN first_name, DROP COLUMN last_name;
";
const DOWN: &str = "ALTER TABLE users ADD COLUMN first_name text, ADD COLUMN last_name text;
UPDATE users SET first_name = split_part(full_name, ' ', 1), last_name = split_part(full_name, ' ', 2);
ALTER TABLE users DROP COLUMN full_name;
";
const ADD: &str = "ALTER TABLE users ADD COLUMN nick text NOT NULL DEFAULT 'néw', ADD COLUMN seen timestamptz;\n";

/// A database with a change that is brought to the gate in front of `WAY[stage]`.
struct Under {
    url: String,
    project: Project,
}

impl Under {
    fn way(server: &PostgresServer, stage: usize) -> Self {
        let url = server.database();
        Client::connect(&url).batch(TABLE);
        let project = Project::new(&url);
        project.write("1_split.sql", UP);
        project.write("1_split.down.sql", DOWN);
        for command in &WAY[..stage] {
            project.segue.ok(&of(command, "1_split"));
        }
        Self { url, project }
    }

    fn adds(&self) -> Output {
        self.project.write("2_add.sql", ADD);
        self.project.segue.run(&["apply", "2_add"])
    }

    fn catalog(&self) -> Vec<String> {
        dump::without(dump::postgres::catalog(&self.url, "public"), dump::SEQUENCE_VALUE)
    }
}

fn of<'a>(command: &[&'a str], id: &'a str) -> Vec<&'a str> {
    let (name, options) = command.split_first().expect("a command has a name");
    [&[*name, id], options].concat()
}

/// Returns what the files make of the table when nobody uses it; `files` run in this order.
fn naive(server: &PostgresServer, files: &[&str]) -> Vec<String> {
    let url = server.database();
    let mut client = Client::connect(&url);
    client.batch(TABLE);
    files.iter().for_each(|file| client.batch(file));
    dump::without(dump::postgres::catalog(&url, "public"), dump::SEQUENCE_VALUE)
}

/// Returns the tables of the application: a copy that was kept is Segue's own.
fn without_kept(catalog: Vec<String>) -> Vec<String> {
    catalog.into_iter().filter(|line| !line.contains("segue_kept")).collect()
}

#[test]
fn what_only_adds_passes_while_a_change_is_under_way_and_both_end_right() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let expected = naive(server, &[UP, ADD]);
        for stage in 1..=3 {
            let under = Under::way(server, stage);
            let added = under.adds();
            assert_eq!(added.code, 0, "stage {stage}: {}{}", added.stdout, added.stderr);
            for command in &WAY[stage..] {
                under.project.segue.ok(&of(command, "1_split"));
            }
            dump::assert_same(&expected, &without_kept(under.catalog()));
        }
    }
}

#[test]
fn what_was_added_stays_when_the_change_is_taken_back() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let expected = naive(server, &[ADD]);
        for stage in 1..=3 {
            let under = Under::way(server, stage);
            under.adds();
            under.project.segue.ok(&["rollback", "1_split", "--new-version-stopped"]);
            dump::assert_same(&expected, &without_kept(under.catalog()));
        }
    }
}

#[test]
fn what_was_added_goes_again_while_the_change_stays() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let under = Under::way(server, 1);
        under.project.write("2_add.down.sql", "ALTER TABLE users DROP COLUMN nick, DROP COLUMN seen;\n");
        let before = under.catalog();
        assert_eq!(under.adds().code, 0);
        // Its down file drops columns, which is a change of its own that waits.
        let down = under.project.segue.run(&["down", "2_add"]);
        assert_eq!(down.code, 5, "{}{}", down.stdout, down.stderr);
        assert!(down.stderr.contains("waits for `1_split`"), "{}", down.stderr);
        assert_ne!(under.catalog(), before);
    }
}

#[test]
fn what_must_wait_says_for_whom_and_about_what() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let under = Under::way(server, 1);
        let before = under.catalog();
        for (sql, words) in [
            (
                "ALTER TABLE users ADD COLUMN upper_name text;\nUPDATE users SET upper_name = upper(first_name);\n",
                "users",
            ),
            ("ALTER TABLE users ALTER COLUMN age TYPE bigint;\n", "users"),
        ] {
            under.project.write("3_waits.sql", sql);
            let waits = under.project.segue.run(&["apply", "3_waits"]);
            assert_eq!(waits.code, 5, "{sql}: {}{}", waits.stdout, waits.stderr);
            assert!(waits.stderr.contains("`3_waits` waits for `1_split`"), "{}", waits.stderr);
            assert!(waits.stderr.contains(words) && waits.stderr.contains("segue flip 1_split"), "{}", waits.stderr);
        }
        assert_eq!(under.catalog(), before, "nothing was begun");
    }
}

/// The other one's backfill goes on meanwhile.
#[test]
fn what_only_adds_passes_in_the_middle_of_a_backfill() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let expected = naive(server, &[UP, ADD]);
        let under = Under::way(server, 0);
        let settings = "[backfill]\ninline_below = 1\nwindow = \"5ms\"\n";
        std::fs::write(under.project.path().join("segue.toml"), settings).expect("our own folder takes files");
        let running = under.project.segue.spawn(&["apply", "1_split"]);
        let mut client = Client::connect(&under.url);
        let there = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'users'::regclass AND tgname LIKE '%segue%'";
        eventually("the sync is there", || client.value(there).as_deref() != Some("0"));
        let added = under.adds();
        assert_eq!(added.code, 0, "{}{}", added.stdout, added.stderr);
        let output = segue_testkit::segue::finished(running);
        assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
        for command in &WAY[1..] {
            under.project.segue.ok(&of(command, "1_split"));
        }
        dump::assert_same(&expected, &without_kept(under.catalog()));
    }
}
