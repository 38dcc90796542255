//! The online rebuild of a SQLite table at cleanup: the planner's own steps on hostile tables, with an application that
//! writes between any two of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use segue_drivers::sqlite::SqliteConnector;
use segue_model::catalog::Catalog;
use segue_model::change::{Migration, NewColumn, Place};
use segue_model::engine::Engine;
use segue_model::expr::{Expr, Nullness, Part};
use segue_model::ident::{Ident, MigrationId};
use segue_model::session::{Begin, Connector, Fail, FailKind, Session};
use segue_model::sql::{Sql, TypeName};
use segue_model::step::{Action, Backfill, Cut, CutBy, Phase, Step, UndoStep, Verify, Windows};
use segue_model::value::Value;
use segue_plan::dialect::{Planned, dialect};
use segue_plan::operation::{Context, NewSide, OldSide, Operation, Pair, Thresholds};
use segue_testkit::dump;
use segue_testkit::sqlite::{Connection, TempDatabase};

const LIMIT: Duration = Duration::from_secs(20);
const WRITE: Begin = Begin::Write { lock_wait: LIMIT };

/// Rows of a window: few, so that the application writes between many of them.
const WINDOW_ROWS: i64 = 3;

/// What the migration says.
const UP: &str = "ALTER TABLE t ADD COLUMN n text; UPDATE t SET n = o; ALTER TABLE t DROP COLUMN o;";

/// A file, an application that writes it, and a migration that replaces columns of `t`.
pub(super) struct Lab {
    setup: String,
    pub(super) file: TempDatabase,
    app: Connection,
    session: RefCell<Box<dyn Session>>,
    pub(super) plan: Planned,
}

impl Lab {
    /// Makes the file, and goes through all phases before cleanup.
    pub(super) fn contracted(setup: &str) -> Self {
        let file = TempDatabase::new(setup);
        let session = RefCell::new(SqliteConnector::open(&file.url()).unwrap().connect("segue test").unwrap());
        let plan = plan(&mut **session.borrow_mut());
        let lab = Self { setup: setup.to_owned(), app: file.connect(), file, session, plan };
        lab.steps(|step| step.phase < Phase::Cleanup, &|_| {});
        lab
    }

    pub(super) fn write(&self, sql: &str) {
        self.app.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Does the chosen steps; the application has its turn after each transaction, told how many there were.
    fn steps(&self, chosen: impl Fn(&Step) -> bool, turn: &dyn Fn(u32)) {
        let mut turns = 0;
        for step in self.plan.steps.iter().filter(|step| chosen(step)) {
            self.step(step, &mut || {
                turns += 1;
                turn(turns);
            })
            .unwrap_or_else(|fail| panic!("{}: {fail}", step.title));
        }
    }

    fn step(&self, step: &Step, turn: &mut dyn FnMut()) -> Result<(), Fail> {
        match &step.action {
            Action::Sql(all) => self.transaction(all)?,
            Action::Backfill(backfill) => self.backfill(backfill, turn)?,
            Action::Verify(verify) => assert_eq!(self.wrong(verify), Vec::<String>::new(), "{}", step.title),
            Action::Gate(gate) => assert!(gate.conditions.iter().all(|one| self.rows(&one.sql, &[]).is_empty())),
            Action::Snapshot(snapshot) => {
                self.transaction(&snapshot.create)?;
                let (cut, copy) = snapshot.copy.as_ref().unwrap();
                self.pass(cut, copy, turn)?;
            }
            Action::Settled { .. } => panic!("SQLite's DDL is transactional"),
        }
        turn();
        Ok(())
    }

    pub(super) fn transaction(&self, all: &[Sql]) -> Result<(), Fail> {
        let mut session = self.session.borrow_mut();
        session.begin(WRITE)?;
        let done = all.iter().try_for_each(|sql| session.execute(sql.as_str(), &[], LIMIT).map(drop));
        match done {
            Ok(()) => session.commit(),
            Err(fail) => {
                session.rollback();
                Err(fail)
            }
        }
    }

    /// Does a part of an undo; returns whether there was anything to do.
    pub(super) fn undo(&self, undo: &UndoStep, turn: &mut dyn FnMut()) -> Result<bool, Fail> {
        let is_needed = |needed: &Sql| self.rows(needed, &[])[0][0] != Value::Int(0);
        if !undo.needed.as_ref().is_none_or(is_needed) {
            return Ok(false);
        }
        for condition in &undo.conditions {
            if let Some(row) = self.rows(&condition.sql, &[]).into_iter().next() {
                return Err(Fail::new(FailKind::Usage, row[0].as_str().unwrap_or_default()));
            }
        }
        self.transaction(&undo.sql)?;
        if let Some(Windows { cut, sql }) = &undo.windows {
            self.pass(cut, sql, turn)?;
        }
        turn();
        Ok(true)
    }

    fn backfill(&self, backfill: &Backfill, turn: &mut dyn FnMut()) -> Result<(), Fail> {
        for _ in 0..20 {
            if self.pass(&backfill.cut, &backfill.fill, turn)? == 0 {
                return Ok(());
            }
        }
        panic!("20 passes change rows: {}", backfill.fill);
    }

    fn pass(&self, cut: &Cut, sql: &Sql, turn: &mut dyn FnMut()) -> Result<u64, Fail> {
        let mut changed = 0;
        self.windows(cut, |window| {
            let mut session = self.session.borrow_mut();
            session.begin(WRITE)?;
            changed += session.execute(sql.as_str(), window, LIMIT)?;
            session.commit()?;
            drop(session);
            turn();
            Ok(())
        })?;
        Ok(changed)
    }

    fn windows(&self, cut: &Cut, mut each: impl FnMut(&[Value]) -> Result<(), Fail>) -> Result<(), Fail> {
        let CutBy::Numbers { extent, end: Some(end) } = &cut.by else { panic!("SQLite cuts by rowid") };
        let bounds = self.rows(extent, &[]).remove(0);
        let (mut from, last) = (bounds[0].as_i64().unwrap(), bounds[1].as_i64().unwrap());
        while from < last {
            let to = self.rows(end, &[from.into(), WINDOW_ROWS.into()])[0][0].as_i64().unwrap().min(last);
            each(&[Value::Int(from), Value::Int(to)])?;
            from = to;
        }
        Ok(())
    }

    fn rows(&self, sql: &Sql, params: &[Value]) -> Vec<Vec<Value>> {
        let rows = self.session.borrow_mut().query(sql.as_str(), params, LIMIT);
        rows.unwrap_or_else(|fail| panic!("{sql}: {fail}"))
    }

    /// Returns what a verification names; asserts that its figures and its samples say the same.
    fn wrong(&self, verify: &Verify) -> Vec<String> {
        let text = |row: Vec<Value>| row[0].as_str().unwrap_or_default().to_owned();
        let mut wrong: Vec<String> =
            verify.conditions.iter().flat_map(|condition| self.rows(&condition.sql, &[])).map(text).collect();
        self.windows(&verify.cut, |window| {
            let counted = self.rows(&verify.count, window).remove(0);
            let sample: Vec<String> = self.rows(&verify.sample, window).into_iter().map(text).collect();
            assert_eq!(sample.is_empty(), counted[1..] == [Value::Int(0), Value::Int(0)], "{counted:?} {sample:?}");
            if let Some(compare) = &verify.compare {
                let both = self.rows(compare, window).remove(0);
                assert_eq!(both[..2] == both[2..], sample.is_empty(), "{both:?} {sample:?}");
            }
            wrong.extend(sample);
            Ok(())
        })
        .unwrap();
        wrong
    }

    /// Runs the whole cleanup; `turn` is the application's.
    fn clean(&self, turn: &dyn Fn(u32)) {
        self.steps(|step| step.phase == Phase::Cleanup, turn);
        self.assert_whole();
    }

    #[track_caller]
    pub(super) fn assert_whole(&self) {
        assert_eq!(self.texts("PRAGMA integrity_check"), ["ok"]);
        let left = "SELECT name FROM sqlite_schema WHERE name LIKE 'segue%' AND name NOT LIKE 'segue_keep%'";
        assert_eq!(self.texts(left), Vec::<String>::new());
    }

    /// Asserts that the schema is, to the byte, what the migration's own statements make of it.
    #[track_caller]
    fn assert_as_naive(&self) {
        let naive = TempDatabase::new(&self.setup);
        naive.connect().execute_batch(UP).unwrap();
        assert_eq!(
            dump::difference(&dump::sqlite::catalog(&naive.path()), &dump::sqlite::catalog(&self.file.path())),
            Vec::<String>::new()
        );
        let text = "SELECT sql FROM sqlite_schema WHERE type IN ('table', 'index', 'trigger', 'view') \
                    AND sql IS NOT NULL AND tbl_name NOT LIKE 'segue%' ORDER BY type, name";
        // The plan writes the names of its columns in quotes.
        let here: Vec<String> = self.texts(text).iter().map(|text| text.replace("\"n\"", "n")).collect();
        assert_eq!(texts(&naive.connect(), text), here);
    }

    pub(super) fn texts(&self, sql: &str) -> Vec<String> {
        texts(&self.app, sql)
    }

    /// The step that shows the copy to be right.
    fn verification(&self) -> (&Step, &Verify) {
        let compares = |step: &'_ Step| matches!(&step.action, Action::Verify(verify) if verify.compare.is_some());
        let step = self.plan.steps.iter().find(|step| compares(step)).expect("the copy is verified");
        match &step.action {
            Action::Verify(verify) => (step, verify),
            _ => unreachable!("it was found as one"),
        }
    }

    /// The steps of cleanup up to the one that shows the copy to be right.
    fn copied(&self, turn: &dyn Fn(u32)) {
        let verified = self.verification().0.id;
        self.steps(|step| step.phase == Phase::Cleanup && step.id < verified, turn);
    }

    fn swap(&self) -> &Step {
        let mut steps = self.plan.steps.iter();
        steps.find(|step| matches!(&step.action, Action::Sql(all) if all.iter().any(is_swap))).expect("there is a swap")
    }
}

fn is_swap(sql: &Sql) -> bool {
    sql.as_str() == "PRAGMA legacy_alter_table = ON"
}

/// Plans the column `n` in place of `o`.
fn plan(session: &mut dyn Session) -> Planned {
    let catalog: Catalog = session.inspect().unwrap();
    let server = session.server().unwrap();
    let migration = Migration {
        id: MigrationId::new("20261120_rebuild").unwrap(),
        checksum: String::new(),
        statements: vec![],
        changes: vec![],
        directives: vec![],
        down: None,
    };
    let table = catalog.tables.iter().find(|table| table.name.name.as_str() == "t").unwrap();
    let old = table.columns.iter().find(|column| column.name.as_str() == "o").unwrap();
    let column = NewColumn {
        name: Ident::known("n"),
        type_name: TypeName::spelled("text"),
        not_null: false,
        default: None,
        others: vec![],
        details: None,
    };
    let at = Place { file: "m.sql".to_owned(), line: 1, column: 1 };
    let pair = Operation::Pair(Pair {
        table,
        new: vec![NewSide { column: &column, forward: bare("o"), not_null: false }],
        old: vec![OldSide { column: old, back: bare("n") }],
        at: &at,
    });
    let answers = BTreeMap::new();
    let thresholds = &Thresholds::DEFAULT;
    let context = Context { migration: &migration, catalog: &catalog, server: &server, answers: &answers, thresholds };
    let mut planned = dialect(Engine::Sqlite).steps(&pair, &context).unwrap();
    planned.steps.sort_by_key(|step| step.phase);
    for (id, step) in (1..).zip(&mut planned.steps) {
        step.id = id;
    }
    planned
}

fn bare(column: &'static str) -> Expr {
    let name = Ident::known(column);
    Expr {
        source: column.to_owned(),
        parts: vec![Part::Text("(".to_owned()), Part::Column(name.clone()), Part::Text(")".to_owned())],
        nullness: Nullness::Column(name),
        uses: vec![],
        can_raise: false,
        constant: false,
    }
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

pub(super) const PLAIN: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, o text, k text);
    INSERT INTO t WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) SELECT i, 'o' || i, 'k' || i FROM n;";

#[test]
fn a_plain_table_ends_as_the_naive_ddl_and_every_step_can_be_read() {
    let lab = Lab::contracted(PLAIN);
    let titles: Vec<&str> =
        lab.plan.steps.iter().filter(|step| step.phase == Phase::Cleanup).map(|step| step.title.as_str()).collect();
    let begins = [
        "no view and no trigger names an old column",
        "show that every row of `t`",
        "create `segue_new_t_",
        "keep `segue_new_t_",
        "copy the rows of `t`",
        "show that `segue_new_t_",
        "show that every row of `t`",
        "keep a copy of the old columns",
        "`segue_new_t_",
        "empty `segue_old_t_",
        "drop `segue_old_t_",
    ];
    assert_eq!(titles.len(), begins.len(), "{titles:#?}");
    assert!(titles.iter().zip(begins).all(|(title, begin)| title.starts_with(begin)), "{titles:#?}");
    assert!(lab.plan.notes.iter().any(|note| note.contains("by one online rebuild, whatever its size")));
    lab.clean(&|_| {});
    lab.assert_as_naive();
}

#[test]
fn a_view_or_trigger_that_names_an_old_column_is_named_before_anything_is_done_and_again_at_the_swap() {
    let lab = Lab::contracted(&format!(
        "{PLAIN} CREATE TABLE log (x); CREATE VIEW known AS SELECT x AS o_deprecated FROM log;"
    ));
    let gate = lab.plan.steps.iter().find(|step| step.phase == Phase::Cleanup).unwrap();
    let Action::Gate(gate) = &gate.action else { panic!("{}", gate.title) };
    let named = || lab.rows(&gate.conditions[0].sql, &[]);
    assert_eq!(named(), Vec::<Vec<Value>>::new());
    let cases = [
        ("view", "CREATE VIEW late AS SELECT id, \"o_deprecated\" FROM t", "DROP VIEW late"),
        (
            "trigger",
            "CREATE TRIGGER late AFTER INSERT ON log BEGIN UPDATE t SET O_Deprecated = NEW.x; END",
            "DROP TRIGGER late",
        ),
    ];
    let fails = |step: &Step, kind: &str| {
        let message = lab.step(step, &mut || {}).unwrap_err().message;
        let wanted = format!("the {kind} `late` names `o_deprecated`, which would be gone");
        assert!(message.starts_with(&wanted), "{message}");
    };
    for (kind, made, dropped) in cases {
        lab.write(made);
        assert_eq!(named(), [[Value::from(format!("the {kind} `late` names a column that goes"))]]);
        fails(lab.plan.steps.iter().find(|step| step.title.starts_with("create `segue_new_t_")).unwrap(), kind);
        lab.write(dropped);
    }
    lab.write("CREATE VIEW other AS SELECT k AS no_deprecated FROM t");
    lab.copied(&|_| {});
    for (kind, made, dropped) in cases {
        lab.write(made);
        fails(lab.swap(), kind);
        lab.write(dropped);
    }
    let swap = lab.swap().id;
    lab.steps(|step| step.phase == Phase::Cleanup && step.id >= swap, &|_| {});
    lab.assert_whole();
}

/// Everything that a table may have and that must end as it was: comments, collations, checks, keys to and from others, a
/// generated column, indexes of every kind, triggers, a view.
pub(super) const RICH: &str = r#"CREATE TABLE p (id INTEGER PRIMARY KEY, name text);
    INSERT INTO p VALUES (1, 'one'), (2, 'two'), (3, 'three');
    CREATE TABLE "t" (
      id INTEGER PRIMARY KEY AUTOINCREMENT, -- the key, counted
      o text,
      k text COLLATE NOCASE NOT NULL DEFAULT 'it''s', /* , CHECK (no) */
      p int CONSTRAINT of_p REFERENCES p (id) ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED NOT NULL DEFAULT 1,
      q int REFERENCES p,
      up int REFERENCES t (id),
      g text GENERATED ALWAYS AS (lower(k) || '!') VIRTUAL,
      s text AS (upper(k)) STORED,
      v int CHECK (v > 0), "we""ird" text,
      CONSTRAINT twice UNIQUE (v, "we""ird"),
      CONSTRAINT again FOREIGN KEY (q) REFERENCES p(id) ON UPDATE CASCADE
    );
    CREATE UNIQUE INDEX by_k ON t(k COLLATE NOCASE DESC);
    CREATE UNIQUE INDEX some_of_p ON "t" ( p , lower(k) ) WHERE v IS NOT NULL;
    CREATE INDEX "by weird" ON t("we""ird");
    CREATE INDEX by_s ON t(s);
    CREATE TABLE log (at integer PRIMARY KEY, says text);
    CREATE TRIGGER t_said AFTER INSERT ON t BEGIN INSERT INTO log (says) VALUES ('inserted ' || NEW.id); END;
    CREATE TRIGGER p_said AFTER UPDATE OF name ON p BEGIN UPDATE t SET "we""ird" = NEW.name WHERE p = NEW.id; END;
    CREATE TABLE child (id INTEGER PRIMARY KEY, t int REFERENCES t(id) ON DELETE CASCADE);
    CREATE VIEW shown AS SELECT id, k, g FROM t;
    INSERT INTO t (o, k, p, q, up, v) WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
      SELECT 'o' || i, 'k' || i, 1 + i % 3, 1 + i % 2, NULL, i FROM n;
    INSERT INTO child SELECT id, id FROM t;
    INSERT INTO t (id, k) VALUES (500, 'gone'); DELETE FROM t WHERE id = 500;"#;

#[test]
fn everything_that_hangs_on_a_table_ends_as_the_naive_ddl() {
    let lab = Lab::contracted(RICH);
    lab.clean(&|_| {});
    lab.assert_as_naive();
    assert_eq!(lab.texts("SELECT group_concat(g) FROM shown WHERE id < 3"), ["k1!,k2!"]);
    assert_eq!(lab.texts("SELECT CAST(count(*) AS text) FROM child"), ["20"]);
    lab.write("INSERT INTO t (k) VALUES ('new')");
    assert_eq!(lab.texts("SELECT CAST(id AS text) FROM t WHERE k = 'new'"), ["501"], "no id is given out twice");
    assert_eq!(lab.texts("SELECT says FROM log ORDER BY at DESC LIMIT 1"), ["inserted 501"]);
    lab.write("UPDATE p SET name = 'un' WHERE id = 1");
    lab.write("DELETE FROM t WHERE id = 1");
    assert_eq!(lab.texts("SELECT CAST(count(*) AS text) FROM child"), ["19"], "the cascade works");
    assert_eq!(lab.texts("SELECT CAST(count(*) AS text) FROM pragma_foreign_key_check"), ["0"]);
}

#[test]
fn writes_of_every_kind_between_any_two_windows_are_in_the_table_at_the_end() {
    let writes = |turn: u32| {
        let at = i64::from(turn);
        let key = 1 + (at * 7) % 25;
        match turn % 12 {
            0 => format!("INSERT INTO t (k, v) VALUES ('w{at}', {})", 1000 + at),
            1 => format!("UPDATE OR IGNORE t SET k = 'K{at}' WHERE id = {key}"),
            2 => format!("DELETE FROM child WHERE t = {key}; DELETE FROM t WHERE id = {key}"),
            3 => format!("INSERT OR REPLACE INTO t (id, k, v) VALUES ({key}, 'r{at}', {})", 2000 + at),
            // Another row has this key, told by NOCASE alone: it goes without a trigger.
            4 => format!("REPLACE INTO t (id, k) SELECT {}, upper(k) FROM t WHERE id > {key} LIMIT 1", 3000 + at),
            5 => format!(
                "UPDATE OR REPLACE t SET k = (SELECT upper(k) FROM t ORDER BY id DESC LIMIT 1) WHERE id = {key}"
            ),
            6 => format!(
                "PRAGMA foreign_keys = OFF; UPDATE OR IGNORE t SET id = {} WHERE id = {key}; PRAGMA foreign_keys = ON",
                4000 + at
            ),
            7 => format!("INSERT INTO t (id, k) VALUES ({key}, 'u{at}') ON CONFLICT DO UPDATE SET n = 'upsert {at}'"),
            8 => format!("INSERT OR IGNORE INTO t (id, k, v) VALUES ({key}, 'i{at}', 5)"),
            9 => format!("UPDATE p SET name = 'p{at}' WHERE id = 1"),
            10 => format!(
                "INSERT OR REPLACE INTO t (id, k, v, \"we\"\"ird\") SELECT {}, 'x{at}', v, \"we\"\"ird\" FROM t WHERE v > {key} LIMIT 1",
                5000 + at
            ),
            _ => "UPDATE t SET n = n || '+'".to_owned(),
        }
    };
    for recursive in ["OFF", "ON"] {
        let lab = Lab::contracted(RICH);
        lab.write(&format!("PRAGMA recursive_triggers = {recursive}"));
        // The same statements on a file of its own, where nothing is rebuilt.
        let alone = Lab::contracted(RICH);
        alone.write(&format!("PRAGMA recursive_triggers = {recursive}"));
        lab.clean(&|turn| {
            lab.write(&writes(turn));
            alone.write(&writes(turn));
        });
        alone.clean(&|_| {});
        assert_eq!(dump::sqlite::catalog(&alone.file.path()), dump::sqlite::catalog(&lab.file.path()));
        let rows = |lab: &Lab| {
            lab.texts("SELECT quote(id) || quote(n) || quote(k) || quote(p) || quote(v) || quote(\"we\"\"ird\") FROM t ORDER BY id")
        };
        assert_eq!(rows(&lab), rows(&alone));
    }
}

#[test]
fn rowids_without_a_key_stay() {
    let lab = Lab::contracted(
        "CREATE TABLE t (o text, k text); INSERT INTO t (rowid, o, k) VALUES
        (-9223372036854775808, 'a', 'x'), (2, 'b', 'y'), (77, 'c', 'z'), (9223372036854775807, 'd', NULL);
        DELETE FROM t WHERE rowid = 2;",
    );
    lab.clean(&|_| {});
    lab.assert_as_naive();
    let rows = "SELECT rowid || ' ' || n FROM t ORDER BY rowid";
    assert_eq!(lab.texts(rows), ["-9223372036854775808 a", "77 c", "9223372036854775807 d"]);
}

#[test]
fn values_stay_to_the_bit_whatever_the_column_says() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, o text, k int, r real, b);
        INSERT INTO t VALUES (1, 'a', '007', 3, x'00'), (2, x'61', 'abc', 1e300, -0.0), (3, 5, 9223372036854775807, '1.5x', NULL);
        CREATE TABLE strict_one (a int) STRICT;";
    let lab = Lab::contracted(setup);
    let rows = "SELECT quote(n) || quote(k) || quote(r) || quote(b) || typeof(k) || typeof(r) FROM t ORDER BY id";
    let before = lab.texts(rows);
    lab.clean(&|_| {});
    lab.assert_as_naive();
    assert_eq!(lab.texts(rows), before);
    let strict = Lab::contracted(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, o TEXT, k ANY) STRICT; INSERT INTO t VALUES (1, 'a', 5), (2, 'b', 'c');",
    );
    strict.clean(&|_| {});
    strict.assert_as_naive();
}

#[test]
fn rows_of_the_old_table_keep_nobody_from_deleting_what_they_point_to() {
    let lab = Lab::contracted(RICH);
    let swap = lab.swap().id;
    lab.steps(|step| step.phase == Phase::Cleanup && step.id <= swap, &|_| {});
    lab.write("DELETE FROM child; UPDATE t SET p = 1, q = NULL; DELETE FROM p WHERE id > 1");
    lab.steps(|step| step.id > swap, &|_| {});
    lab.assert_whole();
    assert_eq!(lab.texts("SELECT CAST(count(*) AS text) FROM t"), ["20"]);
}

#[test]
fn what_is_wrong_in_the_copy_is_named_and_repaired() {
    let lab = Lab::contracted(PLAIN);
    lab.copied(&|_| {});
    let copy = lab
        .texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'segue\\_new%' ESCAPE '\\'")
        .remove(0);
    lab.write(&format!("DELETE FROM \"{copy}\" WHERE id = 3; UPDATE \"{copy}\" SET k = 'K5' WHERE id = 5; INSERT INTO \"{copy}\" (id) VALUES (99)"));
    let (_, verify) = lab.verification();
    let beyond = "the copy has rows beyond the first or the last of the table";
    assert_eq!(lab.wrong(verify), [beyond, "rowid 3 is not in the copy", "rowid 5 differs"]);
    lab.write(&format!("DELETE FROM \"{copy}\" WHERE id = 99"));
    lab.pass(&verify.cut, &verify.repair_from_old, &mut || {}).unwrap();
    assert_eq!(lab.wrong(verify), Vec::<String>::new());
    let trigger = lab.texts("SELECT name FROM sqlite_schema WHERE name LIKE 'segue\\_cu%' ESCAPE '\\'").remove(0);
    lab.write(&format!("DROP TRIGGER \"{trigger}\""));
    assert_eq!(lab.wrong(verify), [format!("the trigger {trigger} is missing, or is not the one that was planned")]);
}

#[test]
fn an_index_that_is_made_meanwhile_stops_the_swap_and_is_named() {
    let lab = Lab::contracted(PLAIN);
    let swap = lab.swap().id;
    lab.steps(|step| step.phase == Phase::Cleanup && step.id < swap, &|_| {});
    lab.write("CREATE INDEX late ON t(k)");
    let fail = lab.step(lab.swap(), &mut || {}).unwrap_err();
    assert_eq!(
        fail.message,
        "the index `late` was created after the plan was made: drop it, and create it again after cleanup"
    );
    lab.write("DROP INDEX late");
    lab.steps(|step| step.id >= swap, &|_| {});
    lab.assert_whole();
    lab.assert_as_naive();
}

#[test]
fn all_before_the_swap_can_be_taken_back() {
    let lab = Lab::contracted(RICH);
    let swap = lab.swap().id;
    let before = dump::sqlite::catalog(&lab.file.path());
    lab.steps(|step| step.phase == Phase::Cleanup && step.id < swap, &|_| {});
    for step in lab.plan.steps.iter().rev().filter(|step| step.phase == Phase::Cleanup && step.id < swap) {
        for undo in step.undo.steps() {
            lab.undo(undo, &mut || {}).unwrap();
            lab.undo(undo, &mut || {}).unwrap();
        }
    }
    assert_eq!(dump::difference(&before, &dump::sqlite::catalog(&lab.file.path())), Vec::<String>::new());
    assert_eq!(lab.texts("PRAGMA integrity_check"), ["ok"]);
}
