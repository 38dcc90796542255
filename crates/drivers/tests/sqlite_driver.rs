//! What the SQLite driver promises, on real files.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "the tests wait for real locks and processes")]

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use segue_drivers::sqlite::SqliteConnector;
use segue_model::catalog::{Catalog, ConstraintKind, Table, TableKind};
use segue_model::ident::{Ident, TableName};
use segue_model::pressure::{Reading, Signal};
use segue_model::session::{Begin, Connector, Fail, FailKind, Session};
use segue_model::value::Value;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(20);
const WAIT: Begin = Begin::Write { lock_wait: Duration::from_millis(50) };

struct Db {
    dir: TempDir,
    app: Connection,
}

impl Db {
    fn with(sql: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = Connection::open(dir.path().join("app.db")).unwrap();
        app.execute_batch(sql).unwrap();
        Self { dir, app }
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.dir.path().join("app.db").display())
    }

    fn connector(&self) -> SqliteConnector {
        SqliteConnector::open(&self.url()).unwrap()
    }

    fn session(&self) -> Box<dyn Session> {
        self.connector().connect("segue test").unwrap()
    }

    fn table(&self, name: &str) -> Table {
        let catalog: Catalog = self.session().inspect().unwrap();
        catalog.tables.into_iter().find(|table| table.name.name.as_str() == name).unwrap()
    }
}

fn name(table: &str) -> TableName {
    TableName { schema: Ident::known("main"), name: Ident::new(table).unwrap() }
}

fn kind(result: Result<impl Sized, Fail>) -> FailKind {
    result.map(|_| ()).unwrap_err().kind
}

#[test]
fn a_missing_file_is_never_created_and_a_junk_file_is_no_database() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("no.db");
    let fail = SqliteConnector::open(&format!("sqlite:{}", missing.display())).unwrap_err();
    assert_eq!(fail.kind, FailKind::Usage);
    assert!(fail.message.contains("there is no file"), "{fail}");
    assert!(!missing.exists());
    std::fs::write(dir.path().join("junk"), "this is no database, though it is long enough to be one".repeat(40))
        .unwrap();
    let fail = SqliteConnector::open(&format!("sqlite:{}", dir.path().join("junk").display())).unwrap_err();
    assert_eq!(fail.kind, FailKind::Usage);
    assert!(fail.message.contains("not a SQLite database"), "{fail}");
}

#[test]
fn a_read_only_address_reads_and_refuses_writes() {
    let db = Db::with("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
    let connector = SqliteConnector::open(&format!("{}?mode=ro", db.url())).unwrap();
    let mut session = connector.connect("").unwrap();
    assert!(session.server().unwrap().read_only);
    assert_eq!(session.query("SELECT a FROM t", &[], LONG).unwrap(), [[Value::Int(1)]]);
    assert_eq!(kind(session.execute("INSERT INTO t VALUES (2)", &[], LONG)), FailKind::ReadOnly);
}

#[test]
fn a_read_transaction_is_one_snapshot_without_writes_and_a_later_one_may_write() {
    let db = Db::with("PRAGMA journal_mode = wal; CREATE TABLE t(a); INSERT INTO t VALUES (1)");
    let mut session = db.session();
    session.begin(Begin::Read).unwrap();
    db.app.execute("INSERT INTO t VALUES (2)", []).unwrap();
    assert_eq!(session.query("SELECT count(*) FROM t", &[], LONG).unwrap(), [[Value::Int(1)]]);
    assert_eq!(kind(session.execute("DELETE FROM t", &[], LONG)), FailKind::ReadOnly);
    session.rollback();
    session.begin(WAIT).unwrap();
    assert_eq!(session.execute("DELETE FROM t", &[], LONG).unwrap(), 2);
    session.commit().unwrap();
}

#[test]
fn the_wait_for_the_lock_ends_with_its_limit_and_with_a_cancel() {
    let db = Db::with("CREATE TABLE t(a)");
    db.app.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut session = db.session();
    let start = Instant::now();
    assert_eq!(kind(session.begin(WAIT)), FailKind::LockTimeout);
    assert!(start.elapsed() >= Duration::from_millis(45) && start.elapsed() < Duration::from_secs(2));
    let canceller = session.canceller();
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            canceller.cancel();
        });
        assert!(session.begin(Begin::Write { lock_wait: LONG }).is_err());
    });
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    db.app.execute_batch("ROLLBACK").unwrap();
    session.begin(WAIT).unwrap();
    session.commit().unwrap();
}

/// Reads again and again, and returns the longest that a read took.
fn reads(path: &std::path::Path, until: &std::sync::atomic::AtomicBool) -> Duration {
    let reader = Connection::open(path).unwrap();
    reader.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut longest = Duration::ZERO;
    while !until.load(std::sync::atomic::Ordering::SeqCst) {
        let start = Instant::now();
        reader.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        longest = longest.max(start.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    longest
}

#[test]
fn a_long_reader_without_a_write_ahead_log_keeps_our_commit_out_and_we_keep_no_reader_out() {
    let db = Db::with("PRAGMA journal_mode = DELETE; CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)");
    let mut session = db.session();
    let connector = db.connector();
    connector.journal().install(session.as_mut()).unwrap();
    let (path, done) = (db.dir.path().join("app.db"), std::sync::atomic::AtomicBool::new(false));
    let mut long = db.app.prepare("SELECT a FROM t").unwrap();
    let mut reading = long.query([]).unwrap();
    reading.next().unwrap();
    thread::scope(|scope| {
        let others = scope.spawn(|| reads(&path, &done));
        // However long the transaction would wait elsewhere.
        for lock_wait in [Duration::from_millis(50), LONG] {
            session.begin(Begin::Write { lock_wait }).unwrap();
            session.execute("INSERT INTO t VALUES (3)", &[], LONG).unwrap();
            let start = Instant::now();
            assert_eq!(kind(session.commit()), FailKind::LockTimeout);
            assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
        }
        assert_eq!(kind(session.execute("DELETE FROM t", &[], Duration::from_secs(3))), FailKind::LockTimeout);
        let id = segue_model::ident::MigrationId::new("m").unwrap();
        let start = Instant::now();
        let forgotten = thread::scope(|inner| {
            let ours = inner.spawn(|| connector.journal().forget(session.as_mut(), &id));
            thread::sleep(Duration::from_millis(700));
            reading.next().unwrap();
            while reading.next().unwrap().is_some() {}
            ours.join().unwrap()
        });
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        forgotten.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(600));
        let longest = others.join().unwrap();
        assert!(longest < Duration::from_millis(1500), "a reader waited {longest:?}");
    });
    session.begin(WAIT).unwrap();
    session.execute("INSERT INTO t VALUES (3)", &[], LONG).unwrap();
    session.commit().unwrap();
    assert_eq!(session.query("SELECT count(*) FROM t", &[], LONG).unwrap(), [[Value::Int(3)]]);
}

#[test]
fn a_window_of_some_megabytes_keeps_no_reader_out_before_its_commit() {
    let db = Db::with("PRAGMA journal_mode = DELETE; CREATE TABLE t(a)");
    db.app.busy_timeout(Duration::ZERO).unwrap();
    let mut session = db.session();
    session.begin(WAIT).unwrap();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
        INSERT INTO t SELECT randomblob(4000) FROM n";
    session.execute(rows, &[], LONG).unwrap();
    let seen: i64 = db.app.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 0);
    session.commit().unwrap();
}

#[test]
fn a_statement_ends_with_its_deadline_and_with_a_cancel_and_the_session_goes_on() {
    let db = Db::with("");
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let mut session = db.session();
    assert_eq!(kind(session.query(endless, &[], Duration::from_millis(50))), FailKind::Deadline);
    let canceller = session.canceller();
    canceller.cancel();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            canceller.cancel();
        });
        assert_eq!(kind(session.query(endless, &[], LONG)), FailKind::Cancelled);
    });
    assert_eq!(session.query("SELECT 1", &[], LONG).unwrap(), [[Value::Int(1)]]);
}

#[test]
fn failures_are_told_apart() {
    let db = Db::with(
        "CREATE TABLE t(a UNIQUE, b NOT NULL, c CHECK (c > 0), d REFERENCES t(a)); INSERT INTO t VALUES (1, 1, 1, NULL);
         CREATE TABLE s(n INT) STRICT",
    );
    let mut session = db.session();
    let cases = [
        ("INSERT INTO t VALUES (1, 1, 1, 1)", FailKind::Unique),
        ("INSERT INTO t VALUES (2, NULL, 1, 1)", FailKind::NotNull),
        ("INSERT INTO t VALUES (2, 1, 0, 1)", FailKind::Check),
        ("INSERT INTO s VALUES ('x')", FailKind::Conversion),
        ("SELEC 1", FailKind::Syntax),
        ("SELECT 1; SELECT 2", FailKind::Syntax),
        ("SELECT absent FROM t", FailKind::Undefined),
        ("SELECT \"typo\" FROM t", FailKind::Undefined),
        ("SELECT 1 FROM absent", FailKind::Undefined),
        ("SELECT absent(1)", FailKind::Undefined),
        ("CREATE TABLE t(a)", FailKind::Duplicate),
        ("ALTER TABLE t ADD COLUMN a", FailKind::Duplicate),
    ];
    for (sql, expected) in cases {
        assert_eq!(kind(session.execute(sql, &[], LONG)), expected, "{sql}");
    }
    let fail = session.execute("SELECT 1 FRO t", &[], LONG).unwrap_err();
    assert!(fail.position.is_some());
    let fail = session.execute("INSERT INTO t VALUES (1, 1, 1, 1)", &[], LONG).unwrap_err();
    assert_eq!((fail.code.as_deref(), fail.object.as_deref()), (Some("2067"), Some("t.a")));
}

#[test]
fn values_keep_their_types_and_parameters_go_by_name() {
    let db = Db::with("CREATE TABLE t(a)");
    let mut session = db.session();
    let all = [Value::Null, Value::Int(i64::MAX), Value::Real(1.5), Value::from("é'\"$1"), Value::Bytes(vec![0, 255])];
    let given = session.query("SELECT $5, $4, $3, $2, $1, typeof($2)", &all, LONG).unwrap();
    let [one, two, three, four, five] = all;
    assert_eq!(given, [[five, four, three, two, one, Value::from("integer")]]);
    let bad = session.query("SELECT CAST(x'ff' AS TEXT)", &[], LONG).unwrap();
    assert_eq!(bad, [[Value::Bytes(vec![255])]]);
    assert_eq!(session.execute("INSERT INTO t VALUES (1), (2)", &[], LONG).unwrap(), 2);
    assert_eq!(session.execute("CREATE TABLE u(a)", &[], LONG).unwrap(), 0);
}

#[test]
fn foreign_keys_of_ours_never_cascade() {
    let db = Db::with(
        "CREATE TABLE p(id PRIMARY KEY); CREATE TABLE c(p REFERENCES p ON DELETE CASCADE);
         INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)",
    );
    let mut session = db.session();
    session.execute("DROP TABLE p", &[], LONG).unwrap();
    assert_eq!(session.query("SELECT count(*) FROM c", &[], LONG).unwrap(), [[Value::Int(1)]]);
}

#[test]
fn inspection_knows_what_only_the_text_tells() {
    let db = Db::with(
        r#"CREATE TABLE parent(id INTEGER PRIMARY KEY, k TEXT);
        CREATE TABLE "we""ird t"(id INTEGER PRIMARY KEY, "a b" VARCHAR(10) COLLATE NOCASE NOT NULL DEFAULT 'x',
            "select" INT CHECK ("select" > 0), g AS (lower("a b")) STORED, p REFERENCES parent, UNIQUE("a b", "select"));
        CREATE INDEX "i 1" ON "we""ird t"(p DESC) WHERE "select" > 1;
        CREATE INDEX i2 ON "we""ird t"(upper("a b"));
        CREATE VIEW v AS SELECT "a b" FROM "we""ird t";
        CREATE VIEW v2 AS SELECT "a b" FROM v;
        CREATE VIEW star AS SELECT * FROM "we""ird t";
        CREATE VIEW broken AS SELECT x FROM nowhere;
        CREATE TRIGGER tr BEFORE UPDATE ON parent BEGIN UPDATE "we""ird t" SET "select" = 1; END;
        CREATE TABLE w(rowid, k PRIMARY KEY, _rowid_) WITHOUT ROWID;
        CREATE TABLE hides(rowid, _rowid_);
        CREATE VIRTUAL TABLE f USING fts5(x);
        INSERT INTO parent VALUES (1, 'x'), (2, 'y')"#,
    );
    let table = db.table("we\"ird t");
    let columns: Vec<_> = table.columns.iter().map(|c| (c.name.as_str(), c.base_type.as_str(), c.not_null)).collect();
    assert_eq!(
        columns,
        [
            ("id", "INTEGER", false),
            ("a b", "TEXT", true),
            ("select", "INTEGER", false),
            ("g", "BLOB", false),
            ("p", "BLOB", false)
        ]
    );
    assert_eq!(table.columns[1].collation.as_deref(), Some("NOCASE"));
    assert_eq!(table.columns[1].default.as_deref(), Some("'x'"));
    assert_eq!(table.columns[3].generated.as_deref(), Some("lower(\"a b\")"));
    let kinds: Vec<_> = table.constraints.iter().map(|c| (c.kind, c.columns.len())).collect();
    let expected = [
        (ConstraintKind::PrimaryKey, 1),
        (ConstraintKind::Unique, 2),
        (ConstraintKind::ForeignKey, 1),
        (ConstraintKind::Check, 1),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(table.constraints[2].referenced_columns, [Ident::known("id")]);
    let index = table.indexes.iter().find(|index| index.name.as_str() == "i 1").unwrap();
    assert!(index.keys[0].descending);
    assert_eq!(index.predicate.as_deref(), Some("\"select\" > 1"));
    let mut dependents: Vec<_> =
        table.dependents.iter().map(|d| format!("{} {} {}", d.kind, d.name, d.columns.len())).collect();
    dependents.sort();
    let expected = [
        "generated column g 1",
        "index expression i 1 2",
        "index expression i2 1",
        "trigger tr 1",
        "view star 0",
        "view v 1",
        "view v2 1",
    ];
    assert_eq!(dependents, expected);
    let parent = db.table("parent");
    assert_eq!(parent.referenced_by.len(), 1);
    assert!(parent.triggers[0].before_row);
    assert_eq!(parent.size.rows, Some(2));
    assert_eq!(db.table("hides").rowid_name, Some(Ident::known("oid")));
    assert!(db.table("w").without_rowid && db.table("w").rowid_name.is_none());
    assert_eq!(db.table("broken").kind, TableKind::View);
    assert_eq!(db.table("f").kind, TableKind::Virtual);
}

#[test]
fn ten_thousand_tables_are_inspected_in_seconds() {
    let db = Db::with("");
    db.app.execute_batch("BEGIN").unwrap();
    for n in 0..10_000 {
        db.app.execute_batch(&format!("CREATE TABLE t{n}(id INTEGER PRIMARY KEY, a UNIQUE)")).unwrap();
    }
    db.app.execute_batch("COMMIT").unwrap();
    let mut session = db.session();
    let start = Instant::now();
    assert_eq!(session.inspect().unwrap().tables.len(), 10_000);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn a_shape_tells_every_change_and_forgets_how_names_are_quoted() {
    let db = Db::with("CREATE TABLE t(a, b); CREATE VIEW v AS SELECT a FROM t; CREATE TABLE other(x)");
    let mut session = db.session();
    let before = session.shape(&[name("t")]).unwrap();
    for change in [
        "CREATE INDEX i ON t(a)",
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE VIEW w AS SELECT b FROM v",
        "ALTER TABLE t ADD COLUMN c",
        "ALTER TABLE t RENAME COLUMN b TO d",
    ] {
        session.begin(WAIT).unwrap();
        session.execute(change, &[], LONG).unwrap();
        assert_ne!(session.shape(&[name("t")]).unwrap(), before, "{change}");
        session.rollback();
    }
    db.app.execute_batch("ALTER TABLE t RENAME COLUMN a TO \"z\"; ALTER TABLE t RENAME COLUMN z TO \"a\"").unwrap();
    db.app.execute_batch("CREATE TABLE more(x)").unwrap();
    assert_eq!(session.shape(&[name("t")]).unwrap(), before);
    assert!(session.shape(&[name("gone")]).unwrap().contains("\"gone\" is missing"));
}

#[test]
fn one_process_holds_a_database_and_the_lock_file_stays() {
    let db = Db::with("");
    let connector = db.connector();
    let held = connector.hold().unwrap();
    assert_eq!(kind(db.connector().hold()), FailKind::LockTimeout);
    drop(held);
    assert!(db.dir.path().join("app.db-segue.lock").exists());
    connector.hold().unwrap();
}

#[test]
fn a_look_at_the_lock_does_not_turn_a_run_away() {
    let db = Db::with("");
    let connector = db.connector();
    drop(connector.hold().unwrap());
    let look = std::fs::File::open(db.dir.path().join("app.db-segue.lock")).unwrap();
    look.lock_shared().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(60));
            look.unlock().unwrap();
        });
        connector.hold().unwrap();
    });
}

/// Not a test of its own: the second process of the next one.
#[test]
fn a_second_process_that_holds() {
    let Ok(url) = std::env::var("SEGUE_TEST_HOLD") else { return };
    let _held = SqliteConnector::open(&url).unwrap().hold().unwrap();
    std::fs::write(format!("{}-ready", url.trim_start_matches("sqlite:")), "").unwrap();
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn the_lock_goes_with_the_process_that_is_killed() {
    let db = Db::with("");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_second_process_that_holds"])
        .env("SEGUE_TEST_HOLD", db.url())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + LONG;
    while !db.dir.path().join("app.db-ready").exists() && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    let held = db.connector().hold();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(kind(held), FailKind::LockTimeout);
    db.connector().hold().unwrap();
}

#[test]
fn the_application_s_version_is_told_from_ours() {
    let db = Db::with("CREATE TABLE t(a)");
    let path = db.dir.path().join("old.db");
    db.app.execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[96..100].copy_from_slice(&3_040_001_u32.to_be_bytes());
    std::fs::write(&path, bytes).unwrap();
    let connector = SqliteConnector::open(&format!("sqlite:{}", path.display())).unwrap();
    let mut session = connector.connect("").unwrap();
    assert_eq!(session.server().unwrap().app_version.unwrap().minor, 40);
    connector.journal().install(session.as_mut()).unwrap();
    assert_eq!(session.server().unwrap().app_version.unwrap().minor, 40);
}

#[test]
fn a_copy_is_another_database_and_a_renamed_file_is_not() {
    let db = Db::with("");
    let connector = db.connector();
    let mut session = connector.connect("").unwrap();
    let before = session.server().unwrap().identity;
    connector.journal().install(session.as_mut()).unwrap();
    assert_eq!(session.server().unwrap().identity, before);
    assert_eq!(connector.journal().identity(session.as_mut()).unwrap(), before);
    drop(session);
    let (path, copy, moved) =
        (db.dir.path().join("app.db"), db.dir.path().join("copy.db"), db.dir.path().join("moved.db"));
    std::fs::copy(&path, &copy).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    let identity = |path: &std::path::Path| {
        let connector = SqliteConnector::open(&format!("sqlite:{}", path.display())).unwrap();
        let mut session = connector.connect("").unwrap();
        (session.server().unwrap().identity, connector.journal().identity(session.as_mut()).unwrap())
    };
    let (now, noted) = identity(&moved);
    assert_eq!(now, noted);
    let (now, noted) = identity(&copy);
    assert_eq!(now.system, noted.system);
    assert_ne!(now.database, noted.database);
}

#[test]
fn others_are_at_work_when_they_have_just_written() {
    let db = Db::with("CREATE TABLE t(a)");
    let mut session = db.session();
    assert!(session.others_at_work().unwrap(), "nobody has looked yet");
    thread::sleep(Duration::from_millis(2100));
    session.execute("INSERT INTO t VALUES (1)", &[], LONG).unwrap();
    assert!(!session.others_at_work().unwrap(), "our own writes are no others'");
    db.app.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    assert!(session.others_at_work().unwrap());
    assert!(session.others_at_work().unwrap());
    thread::sleep(Duration::from_millis(2100));
    assert!(!session.others_at_work().unwrap());
}

#[test]
fn the_room_on_the_disk_is_told_and_what_has_no_measure_is_unknown() {
    let db = Db::with("CREATE TABLE t(a)");
    let mut session = db.session();
    let asked = [Signal::LockWaits, Signal::DiskFree, Signal::ReplicaLag];
    let readings = session.pressure(&asked).unwrap();
    assert_eq!(readings.iter().map(|(signal, _)| *signal).collect::<Vec<_>>(), asked);
    assert_eq!(readings[0].1, Reading::Unknown("SQLite does not tell".into()));
    assert!(matches!(readings[1].1, Reading::Value(free) if free > 1e6), "{readings:?}");
    assert_eq!(readings[2].1, Reading::Nothing);
    assert!(session.seconds_now().unwrap() > 1_700_000_000);
}
