//! The whole life of a change on a SQLite file: the planner's own steps, carried out by the driver beside an application.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_drivers::sqlite::SqliteConnector;
use segue_model::catalog::{Catalog, Table};
use segue_model::change::{Migration, NewColumn, Place};
use segue_model::engine::Engine;
use segue_model::expr::{Expr, NameKind, NameUse, Nullness, Part};
use segue_model::ident::{Ident, MigrationId, TableName};
use segue_model::session::{Begin, Connector, Session};
use segue_model::sql::{Sql, TypeName};
use segue_model::step::{Action, Condition, Cut, CutBy, Phase, Step, UndoStep, Verify, Windows};
use segue_model::value::Value;
use segue_plan::dialect::{Planned, dialect};
use segue_plan::operation::{Context, Fill, NewSide, OldSide, Operation, Pair, Thresholds};
use segue_plan::refusal::{Refusal, Refused};
use segue_testkit::sqlite::Connection;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(20);
const WRITE: Begin = Begin::Write { lock_wait: LIMIT };

struct Db {
    _dir: TempDir,
    app: Connection,
    session: Box<dyn Session>,
    table: String,
}

impl Db {
    fn with(table: &str, sql: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let app = Connection::open(&path).unwrap();
        app.execute_batch(sql).unwrap();
        // Only a power failure would tell the difference.
        app.execute_batch("PRAGMA synchronous = OFF").unwrap();
        let connector = SqliteConnector::open(&format!("sqlite:{}", path.display())).unwrap();
        let session = connector.connect("segue test").unwrap();
        Self { _dir: dir, app, session, table: table.to_owned() }
    }

    fn name(&self) -> TableName {
        TableName { schema: Ident::known("main"), name: Ident::new(self.table.clone()).unwrap() }
    }

    fn shape(&mut self) -> String {
        let name = self.name();
        self.session.shape(&[name]).unwrap()
    }

    fn app(&self, sql: &str) {
        self.app.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn rows(&mut self, sql: &str) -> Vec<Vec<Value>> {
        self.session.query(sql, &[], LIMIT).unwrap_or_else(|fail| panic!("{sql}: {fail}"))
    }

    /// Returns the one row as texts, NULL as `-`.
    fn row(&mut self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0].iter().map(shown).collect::<Vec<_>>().join("|")
    }

    fn forward(&mut self, steps: &[Step], phases: &[Phase]) {
        for step in steps.iter().filter(|step| phases.contains(&step.phase)) {
            match &step.action {
                Action::Sql(all) => self.transaction(all),
                Action::Backfill(backfill) => {
                    while self.windows(&backfill.cut, &backfill.fill) > 0 {}
                    if let Some(failures) = &backfill.failures {
                        assert_eq!(self.row(failures.count.as_str()), "0");
                    }
                }
                Action::Verify(verify) => assert_eq!(self.wrong(verify), (0, 0), "{}", verify.count),
                Action::Gate(gate) => self.hold(&gate.conditions),
                Action::Snapshot(snapshot) => {
                    self.transaction(&snapshot.create);
                    let (cut, copy) = snapshot.copy.as_ref().unwrap();
                    self.windows(cut, copy);
                }
                Action::Settled { .. } => panic!("SQLite's DDL is transactional"),
            }
        }
    }

    /// Takes phases back, and returns the copies that are not empty.
    fn back(&mut self, steps: &[Step], phases: &[Phase]) -> Vec<TableName> {
        let mut copies = vec![];
        for step in steps.iter().rev().filter(|step| phases.contains(&step.phase)) {
            let undos = step.undo.steps();
            for (at, undo) in undos.iter().enumerate() {
                self.undo(undo, false);
                // An interruption may come at any point, but the last part is committed with the journal's entry.
                if at + 1 < undos.len() {
                    self.undo(undo, true);
                }
                let Some(kept) = &undo.keeps else { continue };
                match self.row(kept.count.as_str()).as_str() {
                    "0" => self.transaction(std::slice::from_ref(&kept.drop_empty)),
                    _ => copies.push(kept.table.clone()),
                }
            }
        }
        copies
    }

    fn undo(&mut self, undo: &UndoStep, again: bool) {
        if undo.needed.as_ref().is_some_and(|needed| self.row(needed.as_str()) == "0") {
            return;
        }
        self.hold(&undo.conditions);
        // In front of windows it is committed with the checkpoint that says so.
        if !again || undo.windows.is_none() {
            self.transaction(&undo.sql);
        }
        if let Some(Windows { cut, sql }) = &undo.windows {
            self.windows(cut, sql);
        }
    }

    fn transaction(&mut self, all: &[Sql]) {
        self.session.begin(WRITE).unwrap();
        for sql in all {
            self.session.execute(sql.as_str(), &[], LIMIT).unwrap_or_else(|fail| panic!("{sql}: {fail}"));
        }
        self.session.commit().unwrap();
    }

    fn hold(&mut self, conditions: &[Condition]) {
        for condition in conditions {
            assert_eq!(self.rows(condition.sql.as_str()), Vec::<Vec<Value>>::new(), "{}", condition.says);
        }
    }

    fn bounds(&mut self, cut: &Cut) -> Vec<[Value; 2]> {
        let CutBy::Numbers { extent, end: Some(window_end) } = &cut.by else { panic!("SQLite cuts by rowids") };
        let extent = self.rows(extent.as_str()).remove(0);
        let (mut from, end) = (extent[0].as_i64().unwrap(), extent[1].as_i64().unwrap());
        let mut all = vec![];
        while from < end {
            let asked = self.session.query(window_end.as_str(), &[from.into(), 3.into()], LIMIT).unwrap();
            let to = asked[0][0].as_i64().unwrap();
            assert!(to > from);
            all.push([Value::Int(from), Value::Int(to)]);
            from = to;
        }
        all
    }

    fn windows(&mut self, cut: &Cut, sql: &Sql) -> u64 {
        let bounds = self.bounds(cut);
        bounds.iter().map(|window| self.session.execute(sql.as_str(), window, LIMIT).unwrap()).sum()
    }

    /// Returns rows that are not related, and rows that miss a value.
    fn wrong(&mut self, verify: &Verify) -> (i64, i64) {
        self.hold(&verify.conditions);
        let mut wrong = (0, 0);
        for window in self.bounds(&verify.cut) {
            let row = self.session.query(verify.count.as_str(), &window, LIMIT).unwrap().remove(0);
            wrong.0 += row[1].as_i64().unwrap();
            wrong.1 += row[2].as_i64().unwrap();
            let sample = self.session.query(verify.sample.as_str(), &window, LIMIT).unwrap();
            assert_eq!(sample.is_empty(), row[1] == Value::Int(0) && row[2] == Value::Int(0));
        }
        wrong
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Real(n) => format!("{n:?}"),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
    }
}

/// Returns the expression; columns stand in `⟨…⟩`.
fn expr(text: &str, nullness: Nullness) -> Expr {
    let mut parts = vec![];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('⟨') {
        let (column, after) = after.split_once('⟩').unwrap();
        parts.push(Part::Text(before.to_owned()));
        parts.push(Part::Column(Ident::new(column).unwrap()));
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    let words = ["coalesce", "substr", "instr", "nullif", "concat_ws", "my_func", "random", "upper", "lower"];
    let named = words.iter().filter(|word| text.contains(&format!("{word}("))).map(|word| NameUse {
        kind: NameKind::Function,
        schema: None,
        name: (*word).to_owned(),
    });
    let uses = named.collect();
    let source = text.replace(['⟨', '⟩'], "");
    Expr { source, parts, nullness, uses, can_raise: false, constant: false }
}

fn column(name: &str, type_name: &str, not_null: bool) -> NewColumn {
    NewColumn {
        name: Ident::new(name).unwrap(),
        type_name: TypeName::spelled(type_name),
        not_null,
        default: None,
        others: vec![],
        details: None,
    }
}

fn place() -> Place {
    Place { file: "m.sql".to_owned(), line: 2, column: 1 }
}

fn planned(db: &mut Db, operation: PlanOf<'_>) -> Result<Planned, Refused> {
    let catalog: Catalog = db.session.inspect().unwrap();
    let server = db.session.server().unwrap();
    let migration = Migration {
        id: MigrationId::new("20261120_names").unwrap(),
        checksum: String::new(),
        statements: vec![],
        changes: vec![],
        directives: vec![],
        down: None,
    };
    let name = db.name();
    let table = catalog.table(&name).unwrap();
    let place = place();
    let planning = operation(table, &place);
    let operation = planning.operation(table, &place);
    let sqlite = dialect(Engine::Sqlite);
    let mut answers = BTreeMap::new();
    let thresholds = &Thresholds::DEFAULT;
    let context = Context { migration: &migration, catalog: &catalog, server: &server, answers: &answers, thresholds };
    let probes = sqlite.probes(&operation, &context)?;
    for probe in probes {
        let answer = match db.session.query(probe.sql.as_str(), &[], LIMIT) {
            Ok(rows) => segue_model::probe::Answer::Rows(rows),
            Err(fail) => {
                segue_model::probe::Answer::Failed { code: fail.code.unwrap_or_default(), message: fail.message }
            }
        };
        answers.insert(probe.key, answer);
    }
    let context = Context { migration: &migration, catalog: &catalog, server: &server, answers: &answers, thresholds };
    assert!(sqlite.probes(&operation, &context)?.is_empty());
    sqlite.steps(&operation, &context)
}

/// Plans for a table as it was inspected.
type PlanOf<'a> = &'a dyn Fn(&Table, &Place) -> Planning;

/// What a test plans.
struct Planning {
    new: Vec<(NewColumn, Expr, bool)>,
    old: Vec<(String, Expr)>,
}

impl Planning {
    fn operation<'a>(&'a self, table: &'a Table, at: &'a Place) -> Operation<'a> {
        if self.old.is_empty() {
            let (column, forward, not_null) = &self.new[0];
            return Operation::Fill(Fill { table, column, forward: forward.clone(), not_null: *not_null, at });
        }
        let new = self.new.iter().map(|(column, forward, not_null)| NewSide {
            column,
            forward: forward.clone(),
            not_null: *not_null,
        });
        let old = self.old.iter().map(|(name, back)| OldSide {
            column: table.columns.iter().find(|column| column.name.as_str() == name).unwrap(),
            back: back.clone(),
        });
        Operation::Pair(Pair { table, new: new.collect(), old: old.collect(), at })
    }
}

const JOINED: &str = "coalesce(⟨first⟩, '') || ' ' || coalesce(⟨last⟩, '')";
const FIRST: &str = "substr(⟨full⟩, 1, instr(⟨full⟩ || ' ', ' ') - 1)";
const LAST: &str = "substr(⟨full⟩, instr(⟨full⟩ || ' ', ' ') + 1)";

const USERS: &str = "PRAGMA journal_mode = wal;
    CREATE TABLE users(
      id INTEGER PRIMARY KEY,
      first TEXT, -- the given name
      last TEXT COLLATE NOCASE,
      seen INT DEFAULT 0, UNIQUE(id)
    );
    INSERT INTO users(id, first, last) VALUES (1, 'Ann', 'Lee'), (2, NULL, 'Ode'), (3, 'Bo', NULL), (4, NULL, NULL),
      (-9223372036854775808, 'Min', 'Row'), (9223372036854775807, 'Max', 'Row'), (500, 'Cy', 'De La'), (501, '', '')";

fn split(not_null: bool) -> impl Fn(&Table, &Place) -> Planning {
    move |_, _| Planning {
        new: vec![(column("full", "TEXT", not_null), expr(JOINED, Nullness::Never), not_null)],
        old: vec![
            ("first".to_owned(), expr(FIRST, Nullness::Column(Ident::known("full")))),
            ("last".to_owned(), expr(LAST, Nullness::Column(Ident::known("full")))),
        ],
    }
}

fn renamed(_: &Table, _: &Place) -> Planning {
    Planning {
        new: vec![(column("given", "TEXT", false), expr("⟨first⟩", Nullness::Column(Ident::known("first"))), false)],
        old: vec![("first".to_owned(), expr("⟨given⟩", Nullness::Column(Ident::known("given"))))],
    }
}

const READY: [Phase; 4] = [Phase::Expand, Phase::Sync, Phase::Backfill, Phase::Verify];

#[test]
fn every_write_of_either_shape_is_right_in_both() {
    // Statement, and the row 9 after it: first, last, full.
    let writes = [
        ("INSERT INTO users(id, first, last) VALUES (9, 'Di', 'Fox')", "Di|Fox|Di Fox"),
        ("UPDATE users SET seen = 1 WHERE id = 9", "Di|Fox|Di Fox"),
        ("UPDATE users SET last = 'FOX' WHERE id = 9", "Di|FOX|Di FOX"),
        ("UPDATE users SET first = 'Di', last = 'FOX' WHERE id = 9", "Di|FOX|Di FOX"),
        ("UPDATE users SET full = 'Cher' WHERE id = 9", "Cher||Cher"),
        ("UPDATE users SET full = 'Cher', first = 'Cher', seen = 2 WHERE id = 9", "Cher||Cher"),
        ("UPDATE users SET last = 'X' WHERE id = 9", "Cher|X|Cher X"),
        ("UPDATE users SET first = 'contra', full = 'new wins' WHERE id = 9", "new|wins|new wins"),
        ("UPDATE users SET full = NULL WHERE id = 9", "-|-|-"),
        ("UPDATE users SET first = NULL, last = 'y' WHERE id = 9", "-|y| y"),
        ("UPDATE users SET first = NULL, last = NULL WHERE id = 9", "-|-| "),
        (
            "INSERT INTO users(id, full) VALUES (9, 'Up Sert') ON CONFLICT (id) DO UPDATE SET full = excluded.full",
            "Up|Sert|Up Sert",
        ),
        (
            "INSERT INTO users(id, first) VALUES (9, 'Old') ON CONFLICT (id) DO UPDATE SET first = excluded.first",
            "Old|Sert|Old Sert",
        ),
        ("REPLACE INTO users(id, full) VALUES (9, 'Re Place')", "Re|Place|Re Place"),
        ("REPLACE INTO users(id, first, last) VALUES (9, 'Re', NULL)", "Re|-|Re "),
        ("REPLACE INTO users(id, first, full) VALUES (9, 'contra', 'Bo Th')", "Bo|Th|Bo Th"),
        ("REPLACE INTO users(id, first, last, full) VALUES (9, 'a', 'b c', 'a b c')", "a|b c|a b c"),
        ("REPLACE INTO users(id, full) VALUES (9, NULL)", "-|-| "),
        ("REPLACE INTO users(id) VALUES (9)", "-|-| "),
        ("UPDATE users SET full = 'Cher ' WHERE id = 9", "Cher||Cher "),
        ("UPDATE users SET full = 'cher ' WHERE id = 9", "cher||cher "),
        ("UPDATE users SET first = 'Cher', last = NULL WHERE id = 9", "Cher|-|Cher "),
        ("UPDATE OR IGNORE users SET id = 9, last = 'ok' WHERE id = 9", "Cher|ok|Cher ok"),
    ];
    for recursive in ["OFF", "ON"] {
        let mut db = Db::with("users", USERS);
        let plan = planned(&mut db, &split(false)).unwrap();
        db.forward(&plan.steps, &READY);
        db.app(&format!("PRAGMA recursive_triggers = {recursive}"));
        for (write, expected) in writes {
            db.app(write);
            assert_eq!(db.row("SELECT first, last, full FROM users WHERE id = 9"), expected, "{recursive} {write}");
        }
        db.forward(&plan.steps, &[Phase::Verify]);
    }
}

#[test]
fn random_writes_of_both_shapes_leave_every_row_related_and_the_written_side_alone() {
    for recursive in ["OFF", "ON"] {
        let mut db = Db::with("users", USERS);
        let plan = planned(&mut db, &split(false)).unwrap();
        db.forward(&plan.steps, &READY);
        db.app(&format!("PRAGMA recursive_triggers = {recursive}"));
        let mut seed = 42_u64;
        let mut pick = |of: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % of
        };
        for _ in 0..3000 {
            let words = ["NULL", "'a'", "'A'", "'a b'", "''", "' '", "1", "'b '"];
            let mut value = || words[usize::try_from(pick(8)).unwrap()];
            let (one, two) = (value(), value());
            let (write, side) = match pick(5) {
                0 => (format!("UPDATE users SET full = {one} WHERE id = 1"), Some(("full", one))),
                1 => (format!("UPDATE users SET first = {one} WHERE id = 1"), Some(("first", one))),
                2 => (format!("UPDATE users SET first = {one}, last = {two} WHERE id = 1"), Some(("first", one))),
                3 => (format!("REPLACE INTO users(id, first, last) VALUES (1, {one}, {two})"), Some(("last", two))),
                _ => ("UPDATE users SET seen = seen + 1 WHERE id = 1".to_owned(), None),
            };
            let before = db.row("SELECT first, last, full FROM users WHERE id = 1");
            db.app(&write);
            match side {
                Some((column, value)) => {
                    let kept =
                        format!("SELECT {column} COLLATE BINARY IS CAST({value} AS TEXT) FROM users WHERE id = 1");
                    assert_eq!(db.row(&kept), "1", "{write} on {before}");
                }
                None => assert_eq!(db.row("SELECT first, last, full FROM users WHERE id = 1"), before),
            }
            let verify = plan.steps.iter().find_map(|step| match &step.action {
                Action::Verify(verify) => Some(verify),
                _ => None,
            });
            assert_eq!(db.wrong(verify.unwrap()), (0, 0), "{recursive} {write} on {before}");
        }
    }
}

#[test]
fn a_rename_needs_no_marker_and_is_right_both_ways() {
    for recursive in ["OFF", "ON"] {
        let mut db = Db::with("users", USERS);
        let plan = planned(&mut db, &renamed).unwrap();
        assert_eq!(plan.loses, None);
        db.forward(&plan.steps, &READY);
        db.app(&format!("PRAGMA recursive_triggers = {recursive}"));
        for (write, expected) in [
            ("INSERT INTO users(id, first) VALUES (9, 'a')", "a|a"),
            ("UPDATE users SET first = 'A' WHERE id = 9", "A|A"),
            ("UPDATE users SET given = 'b' WHERE id = 9", "b|b"),
            ("UPDATE users SET given = NULL WHERE id = 9", "-|-"),
            ("UPDATE users SET first = 1 WHERE id = 9", "1|1"),
            ("REPLACE INTO users(id, given) VALUES (9, 'new')", "new|new"),
            ("UPDATE users SET first = NULL WHERE id = 9", "-|-"),
        ] {
            db.app(write);
            assert_eq!(db.row("SELECT first, given FROM users WHERE id = 9"), expected, "{recursive} {write}");
        }
        db.forward(&plan.steps, &[Phase::Verify, Phase::Flip, Phase::Contract, Phase::Cleanup]);
        assert_eq!(db.row("SELECT group_concat(name) FROM pragma_table_info('users')"), "id,last,seen,given");
    }
}

#[test]
fn undo_from_every_phase_gives_the_schema_as_before() {
    let plans: [PlanOf<'_>; 4] = [&split(false), &split(true), &renamed, &filled(true)];
    for plan_of in plans {
        let all = [Phase::Expand, Phase::Sync, Phase::Backfill, Phase::Verify, Phase::Flip, Phase::Contract];
        for until in 1..=all.len() {
            let mut db = Db::with("users", USERS);
            let before = db.shape();
            let data = db.rows("SELECT * FROM users ORDER BY id");
            let plan = planned(&mut db, plan_of).unwrap();
            db.forward(&plan.steps, &all[..until]);
            assert_ne!(db.shape(), before);
            assert_eq!(db.back(&plan.steps, &all[..until]), []);
            assert_eq!(db.row("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'segue%'"), "0");
            assert_eq!(db.shape(), before, "{until}");
            assert_eq!(db.rows("SELECT * FROM users ORDER BY id"), data);
            db.app("INSERT INTO users VALUES (77, 'as', 'before', 0)");
        }
    }
}

/// Returns the copies that cleanup and rollback would make.
fn copies_of(plan: &Planned) -> Vec<TableName> {
    let cleanup = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Snapshot(snapshot) => Some(snapshot.keeps.clone()),
        _ => None,
    });
    let undo = plan.steps.iter().flat_map(|step| step.undo.steps()).filter_map(|undo| undo.keeps.as_ref());
    cleanup.chain(undo.map(|kept| kept.table.clone())).collect()
}

#[test]
fn a_rollback_keeps_a_copy_of_what_only_the_new_columns_hold() {
    // Written in the new shape, and the rows of the copy after it: rowid, key, new column.
    let plans: [(PlanOf<'_>, &str, &str); 3] = [
        (
            &split(false),
            "UPDATE users SET full = CASE id WHEN 1 THEN 'Cher' ELSE 'Bo Diddley' END WHERE id IN (1, 3)",
            "1 1 Cher",
        ),
        (
            &filled(false),
            "UPDATE users SET shout = CASE id WHEN 1 THEN 'Ann' ELSE NULL END WHERE id IN (1, 3)",
            "1 1 Ann",
        ),
        (&renamed, "UPDATE users SET given = 'Cher' WHERE id = 1", ""),
    ];
    for (plan_of, write, kept) in plans {
        let mut db = Db::with("users", USERS);
        let before = db.shape();
        let plan = planned(&mut db, plan_of).unwrap();
        db.forward(&plan.steps, &READY);
        db.app(write);
        db.forward(&plan.steps, &[Phase::Flip, Phase::Contract]);
        let copies = db.back(&plan.steps, &Phase::ALL[..6]);
        assert_eq!(db.shape(), before);
        assert_eq!(plan.loses.as_ref().is_some_and(|loses| loses.contains("copy")), !kept.is_empty());
        let names = copies_of(&plan);
        assert!(names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1), "{names:?}");
        let lossy = plan.steps.iter().any(|step| step.undo.class() == "lossy");
        assert_eq!((copies.len(), lossy), (usize::from(!kept.is_empty()), !kept.is_empty()));
        for copy in &copies {
            assert_eq!(db.row(&format!("SELECT * FROM {}", copy.name.as_str())).replace('|', " "), kept);
            // Another attempt leaves it alone.
            let again = planned(&mut db, plan_of).unwrap();
            assert!(!copies_of(&again).contains(copy), "{copy}");
        }
    }
}

#[test]
fn a_null_that_new_code_gives_becomes_what_the_notes_say() {
    let mut db = Db::with("users", &USERS.replace("first TEXT", "first TEXT DEFAULT 'x'"));
    let plan = planned(&mut db, &split(false)).unwrap();
    db.forward(&plan.steps, &READY);
    db.app("INSERT INTO users(id, full) VALUES (9, NULL); UPDATE users SET full = NULL WHERE id = 1");
    assert_eq!(db.row("SELECT first, last, full FROM users WHERE id = 9"), "x|-|x ");
    assert_eq!(db.row("SELECT first, last, full FROM users WHERE id = 1"), "-|-|-");
    // Verified on the way to cleanup, and still so after it.
    db.forward(&plan.steps, &[Phase::Verify, Phase::Flip, Phase::Contract]);
    db.app("INSERT INTO users(id, full) VALUES (10, NULL)");
    db.forward(&plan.steps, &[Phase::Cleanup]);
    assert_eq!(db.row("SELECT group_concat(coalesce(full, '-')) FROM users WHERE id IN (1, 9, 10)"), "-,x ,x ");
    let said = |db: &mut Db, not_null| {
        planned(db, &filled(not_null)).unwrap().notes.iter().any(|note| note.contains("gives NULL for `shout`"))
    };
    let mut db = Db::with("users", USERS);
    assert!(said(&mut db, false) && !said(&mut db, true));
}

#[test]
fn contract_keeps_the_sync_and_cleanup_ends_as_the_naive_ddl() {
    let mut db = Db::with("users", USERS);
    let plan = planned(&mut db, &split(true)).unwrap();
    db.forward(&plan.steps, &READY);
    db.forward(&plan.steps, &[Phase::Flip, Phase::Contract]);
    db.app("INSERT INTO users(id, full) VALUES (9, 'New Shape')");
    db.app("UPDATE users SET full = 'Ann Other' WHERE id = 1");
    assert_eq!(db.row("SELECT first_deprecated, last_deprecated FROM users WHERE id = 9"), "New|Shape");
    for step in plan.steps.iter().filter(|step| step.phase == Phase::Contract) {
        if let Action::Gate(gate) = &step.action {
            db.hold(&gate.conditions);
        }
    }
    db.forward(&plan.steps, &[Phase::Cleanup]);
    assert_eq!(db.row("SELECT full FROM users WHERE id = 1"), "Ann Other");
    let keep = db.row("SELECT name FROM sqlite_schema WHERE name LIKE 'segue_keep_%'");
    assert_eq!(db.row(&format!("SELECT id, first, last FROM \"{keep}\" WHERE id = 9")), "9|New|Shape");
    assert_eq!(db.row(&format!("SELECT count(*) FROM \"{keep}\"")), "9");
    let mut naive = Db::with("users", USERS);
    naive.app("ALTER TABLE users ADD COLUMN full TEXT; UPDATE users SET full = coalesce(first, '') || ' ' || coalesce(last, '')");
    naive.app("ALTER TABLE users DROP COLUMN first; ALTER TABLE users DROP COLUMN last");
    let session = &mut naive.session;
    // SQLite prepares this ALTER by the schema that the session has read last: let it read.
    session.query("SELECT full FROM users LIMIT 0", &[], LIMIT).unwrap();
    session.execute("ALTER TABLE users ALTER COLUMN full SET NOT NULL", &[], LIMIT).unwrap();
    assert_eq!(db.shape(), naive.shape());
    let untouched = "SELECT * FROM users WHERE id NOT IN (1, 9) ORDER BY id";
    assert_eq!(db.rows(untouched), naive.rows(untouched));
}

#[test]
fn verify_finds_a_wrong_row_and_a_lost_trigger_and_repair_copies_from_the_authority() {
    let mut db = Db::with("users", USERS);
    let plan = planned(&mut db, &split(false)).unwrap();
    db.forward(&plan.steps, &READY);
    let verify = plan.steps.iter().find_map(|step| match &step.action {
        Action::Verify(verify) => Some(verify.clone()),
        _ => None,
    });
    let verify = verify.unwrap();
    let damage = |db: &mut Db| {
        let triggers = db.rows("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'");
        for trigger in &triggers {
            db.app(&format!("DROP TRIGGER \"{}\"", trigger[0].as_str().unwrap()));
        }
        assert_eq!(db.rows(verify.conditions[0].sql.as_str()).len(), 1);
        db.app("UPDATE users SET full = 'wrong' WHERE id = 1");
        for trigger in &triggers {
            db.app(trigger[1].as_str().unwrap());
        }
        assert_eq!(db.wrong(&verify), (1, 0));
    };
    db.app("UPDATE users SET full = 'Cher' WHERE id = 2");
    damage(&mut db);
    assert_eq!(db.windows(&verify.cut, &verify.repair_from_old), 1);
    assert_eq!(db.row("SELECT full FROM users WHERE id = 1"), "Ann Lee");
    damage(&mut db);
    assert_eq!(db.windows(&verify.cut, verify.repair_from_new.as_ref().unwrap()), 1);
    assert_eq!(db.row("SELECT first, last FROM users WHERE id = 1"), "wrong|");
    assert_eq!(db.row("SELECT full FROM users WHERE id = 2"), "Cher");
    assert_eq!(db.wrong(&verify), (0, 0));
}

fn filled(not_null: bool) -> impl Fn(&Table, &Place) -> Planning {
    move |_, _| Planning {
        new: vec![(column("shout", "TEXT", not_null), expr("upper(coalesce(⟨first⟩, ''))", Nullness::Never), not_null)],
        old: vec![],
    }
}

#[test]
fn a_filled_column_is_filled_once_and_ends_not_null() {
    let mut db = Db::with("users", USERS);
    let plan = planned(&mut db, &filled(true)).unwrap();
    db.forward(&plan.steps, &[Phase::Expand, Phase::Sync]);
    db.app("INSERT INTO users(id, first) VALUES (9, 'ann'); INSERT INTO users(id, first, shout) VALUES (10, 'bo', 'given')");
    db.app("UPDATE users SET id = 300, seen = 3 WHERE id = 1; UPDATE users SET first = 'later' WHERE id = 9");
    db.forward(&plan.steps, &[Phase::Backfill, Phase::Verify, Phase::Flip, Phase::Contract]);
    assert!(db.app.execute("INSERT INTO users(id, shout) VALUES (11, NULL)", []).is_err());
    db.forward(&plan.steps, &[Phase::Cleanup]);
    assert_eq!(db.row("SELECT group_concat(shout) FROM users WHERE id IN (9, 10, 300)"), "ANN,given,ANN");
    assert_eq!(db.row("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'segue%'"), "0");
}

#[test]
fn hostile_names_live_through_it_all() {
    let long = "é".repeat(31);
    for (table, old, new) in [
        ("we\"ird t", "a b", "{x} $1"),
        ("select", "from", "where"),
        ("🦀 'q'", "back\\slash", "$2"),
        (long.as_str(), "[", "Grüße]"),
        ("T", "a/*", "x'y--z"),
        ("rowid", "k2", "rowid 2"),
    ] {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let (t, o) = (quoted(table), quoted(old));
        let mut db =
            Db::with(table, &format!("CREATE TABLE {t}({o} TEXT, k); INSERT INTO {t} VALUES ('a', 1), ('b', 2)"));
        let planning = |_: &Table, _: &Place| Planning {
            new: vec![(
                column(new, "TEXT", false),
                expr(&format!("lower(⟨{old}⟩)"), Nullness::Column(Ident::new(old).unwrap())),
                false,
            )],
            old: vec![(old.to_owned(), expr(&format!("upper(⟨{new}⟩)"), Nullness::Column(Ident::new(new).unwrap())))],
        };
        let before = db.shape();
        let plan = planned(&mut db, &planning).unwrap();
        db.forward(&plan.steps, &READY);
        db.app(&format!(
            "INSERT INTO {t}({o}, k) VALUES ('Old', 3); INSERT INTO {t}({}, k) VALUES ('New', 4)",
            quoted(new)
        ));
        db.app(&format!("UPDATE {t} SET {} = 'Up' WHERE k = 1", quoted(new)));
        assert_eq!(db.row(&format!("SELECT group_concat({o}) FROM {t}")), "UP,b,Old,NEW");
        db.forward(&plan.steps, &[Phase::Flip, Phase::Contract]);
        db.back(&plan.steps, &[Phase::Contract]);
        db.forward(&plan.steps, &[Phase::Verify]);
        db.back(&plan.steps, &READY);
        assert_eq!(db.shape(), before);
        db.forward(&plan.steps, &READY);
        db.forward(&plan.steps, &[Phase::Flip, Phase::Contract, Phase::Cleanup]);
        assert_eq!(db.row(&format!("SELECT count({}) FROM {t}", quoted(new))), "4");
    }
}

#[test]
fn a_column_that_is_called_like_the_rowid_is_refused() {
    let base = "CREATE TABLE users(id INTEGER PRIMARY KEY, first TEXT, oid TEXT)";
    for (new, old) in [("rowid", "first"), ("n", "oid")] {
        let planning = |_: &Table, _: &Place| Planning {
            new: vec![(column(new, "TEXT", false), expr("⟨first⟩", Nullness::Unknown), false)],
            old: vec![(old.to_owned(), expr("'x'", Nullness::Never))],
        };
        assert!(refusal(base, &planning).to_string().contains("rowid"));
    }
}

fn refusal(sql: &str, plan_of: PlanOf<'_>) -> Refusal {
    let mut db = Db::with("users", sql);
    planned(&mut db, plan_of).map(|_| ()).unwrap_err().refusal
}

#[test]
fn what_would_fail_later_is_refused_at_once_by_name() {
    let base = "CREATE TABLE users(id INTEGER PRIMARY KEY, first TEXT, last TEXT);";
    let cases: [(&str, &str); 13] = [
        ("CREATE INDEX by_name ON users(first)", "`by_name`"),
        ("CREATE INDEX by_expr ON users(lower(first))", "`by_expr`"),
        ("CREATE INDEX part ON users(id) WHERE last IS NULL", "`part`"),
        ("CREATE VIEW named AS SELECT first FROM users", "`named`"),
        ("CREATE TABLE u(a); CREATE TRIGGER other AFTER INSERT ON u BEGIN UPDATE users SET first = 1; END", "`other`"),
        ("CREATE VIEW bad AS SELECT x FROM nowhere", "`bad`"),
        ("DROP TABLE users; CREATE TABLE users(first TEXT CHECK (first <> ''), last TEXT)", "CHECK"),
        ("DROP TABLE users; CREATE TABLE users(first TEXT NOT NULL, last TEXT)", "NOT NULL without a default"),
        ("DROP TABLE users; CREATE TABLE users(first TEXT UNIQUE, last TEXT)", "UNIQUE"),
        ("DROP TABLE users; CREATE TABLE users(first TEXT, last TEXT, PRIMARY KEY(first))", "primary key"),
        ("DROP TABLE users; CREATE TABLE users(first TEXT, last TEXT PRIMARY KEY) WITHOUT ROWID", "WITHOUT ROWID"),
        ("DROP TABLE users; CREATE TABLE users(first TEXT, last TEXT, first_deprecated)", "first_deprecated"),
        ("DROP TABLE users; CREATE TABLE users(first TEXT, last TEXT, rowid, _rowid_, oid)", "rowid"),
    ];
    for (sql, expected) in cases {
        let refusal = refusal(&format!("{base}{sql}"), &split(false));
        assert!(refusal.to_string().contains(expected), "{sql}: {refusal}");
        assert!(!refusal.hint().is_empty());
    }
}

#[test]
fn a_function_that_the_application_may_not_have_is_refused_by_name() {
    let base = "CREATE TABLE users(id INTEGER PRIMARY KEY, first TEXT, last TEXT);";
    for (text, expected) in [("my_func(⟨first⟩)", "my_func"), ("random()", "random")] {
        let planning = |_: &Table, _: &Place| Planning {
            new: vec![(column("n", "TEXT", false), expr(text, Nullness::Unknown), false)],
            old: vec![("first".to_owned(), expr("⟨n⟩", Nullness::Column(Ident::known("n"))))],
        };
        let refusal = refusal(base, &planning);
        assert!(refusal.to_string().contains(expected), "{refusal}");
    }
}
