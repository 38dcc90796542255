//! The comparator sees what a hand changes in a SQLite file.

use segue_testkit::dump::{assert_same, difference, sqlite};
use segue_testkit::sqlite::TempDatabase;

const SETUP: &str = "
    CREATE TABLE parent (a INTEGER, b INTEGER, PRIMARY KEY (a, b));
    CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL COLLATE NOCASE, x INTEGER, y INTEGER,
      CHECK (x > 0), FOREIGN KEY (x, y) REFERENCES parent (a, b));
    CREATE UNIQUE INDEX users_email ON users (email);
    CREATE VIEW emails AS SELECT email FROM users;
    CREATE TRIGGER shout AFTER INSERT ON users BEGIN SELECT 1; END;";

/// Returns what the change makes of the dump.
fn effect(change: &str) -> Vec<String> {
    let database = TempDatabase::new(SETUP);
    let before = sqlite::catalog(&database.path());
    database.connect().execute_batch(change).unwrap_or_else(|error| panic!("{error}\n{change}"));
    difference(&before, &sqlite::catalog(&database.path()))
}

#[test]
fn nothing_changes_a_dump_but_a_change() {
    assert_same(&effect("INSERT INTO parent VALUES (1, 1)"), &[]);
    assert_same(&effect("ALTER TABLE users ADD COLUMN z; ALTER TABLE users DROP COLUMN z"), &[]);
}

#[test]
fn a_change_by_hand_is_seen() {
    for change in [
        "DROP INDEX users_email",
        "DROP INDEX users_email; CREATE UNIQUE INDEX users_email ON users (email COLLATE BINARY)",
        "DROP INDEX users_email; CREATE INDEX users_email ON users (email)",
        "DROP TRIGGER shout",
        "DROP TRIGGER shout; CREATE TRIGGER shout AFTER INSERT ON users BEGIN SELECT 2; END",
        "DROP VIEW emails",
        "ALTER TABLE users ADD COLUMN z INTEGER DEFAULT 1",
        "PRAGMA user_version = 7",
        "INSERT INTO users (email) VALUES ('a')",
        "DROP TABLE users; CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL COLLATE NOCASE,
           x INTEGER, y INTEGER, CHECK (x > 0), FOREIGN KEY (x, y) REFERENCES parent (b, a))",
    ] {
        assert!(!effect(change).is_empty(), "not seen: {change}");
    }
}

#[test]
fn quotes_and_position_of_a_column_do_not_count() {
    let one = TempDatabase::new("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER NOT NULL DEFAULT 1)");
    let other = TempDatabase::new("CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER NOT NULL DEFAULT 1)");
    other.connect().execute_batch("ALTER TABLE t ADD COLUMN \"a\" TEXT").expect("it is valid");
    assert_same(&sqlite::catalog(&one.path()), &sqlite::catalog(&other.path()));
}

#[test]
fn rows_come_by_column_name_with_their_storage_class() {
    let database = TempDatabase::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, b, \"a'b\" TEXT); INSERT INTO t VALUES (1, '1', NULL), (2, 1, 'x''y')",
    );
    assert_eq!(
        sqlite::rows(&database.path(), "t", "id"),
        ["a'b='NULL', b='''1''', id='1'", "a'b='''x''''y''', b='1', id='2'"]
    );
}
