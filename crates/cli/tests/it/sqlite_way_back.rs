//! The rollback of a SQLite table in WAL mode: the planner's own undos on hostile tables, with an application that writes
//! between any two of their transactions.

use segue_model::session::Fail;
use segue_model::step::{Phase, UndoStep};
use segue_testkit::dump;

use crate::sqlite_rebuild::{Lab, PLAIN, RICH};

impl Lab {
    /// The parts of the undos of these phases, as they are done.
    fn undos(&self, of: impl Fn(Phase) -> bool) -> Vec<&UndoStep> {
        let steps = self.plan.steps.iter().rev().filter(|step| of(step.phase));
        steps.flat_map(|step| step.undo.steps()).collect()
    }

    /// Takes everything back; returns whether a column was dropped as it stands.
    fn back(&self, turn: &dyn Fn(u32)) -> bool {
        let mut turns = 0;
        let mut dropped = false;
        for undo in self.undos(|_| true) {
            let done = self.undo(undo, &mut || {
                turns += 1;
                turn(turns);
            });
            let done = done.unwrap_or_else(|fail| panic!("{:?}: {fail}", undo.sql));
            dropped |= done && undo.sql.iter().any(|sql| sql.as_str().contains(" DROP COLUMN "));
        }
        self.assert_whole();
        assert_eq!(self.texts("SELECT name FROM sqlite_schema WHERE name LIKE 'segue%'"), Vec::<String>::new());
        dropped
    }

    /// Goes back until the copy is there and full.
    fn until_the_swap(&self) -> UndoStep {
        for undo in self.undos(|phase| phase > Phase::Expand) {
            self.undo(undo, &mut || {}).unwrap();
        }
        let undos = self.undos(|phase| phase == Phase::Expand);
        assert!(self.undo(undos[0], &mut || {}).unwrap());
        undos[1].clone()
    }

    fn swapped(&self) -> Result<bool, Fail> {
        self.undo(self.undos(|phase| phase == Phase::Expand)[1], &mut || {})
    }

    fn named(&self, like: &str) -> String {
        self.texts(&format!("SELECT name FROM sqlite_schema WHERE name LIKE '{like}' ESCAPE '\\'")).remove(0)
    }
}

const ROWS: &str =
    "SELECT quote(id) || quote(o) || quote(k) || quote(p) || quote(v) || quote(\"we\"\"ird\") FROM t ORDER BY id";

#[test]
fn a_rollback_ends_as_it_began_and_writes_no_table_again() {
    for (setup, rows) in [(PLAIN, "SELECT id || o || k FROM t ORDER BY id"), (RICH, ROWS)] {
        let before = segue_testkit::sqlite::TempDatabase::new(setup);
        let lab = Lab::contracted(setup);
        let data = lab.texts(&rows.replace("quote(o)", "quote(o_deprecated)").replace("id || o", "id || o_deprecated"));
        assert!(!lab.back(&|_| {}));
        let (before, after) = (dump::sqlite::catalog(&before.path()), dump::sqlite::catalog(&lab.file.path()));
        assert_eq!(dump::difference(&before, &after), Vec::<String>::new());
        assert_eq!(lab.texts(rows), data);
    }
}

#[test]
fn what_is_written_while_a_rollback_goes_on_stays() {
    let writes = |turn: u32| {
        let at = i64::from(turn);
        let key = 1 + (at * 7) % 25;
        match turn % 9 {
            0 => format!("INSERT INTO t (k, v) VALUES ('w{at}', {})", 1000 + at),
            1 => format!("UPDATE OR IGNORE t SET k = 'K{at}' WHERE id = {key}"),
            2 => format!("DELETE FROM child WHERE t = {key}; DELETE FROM t WHERE id = {key}"),
            3 => format!("INSERT OR REPLACE INTO t (id, k, v) VALUES ({key}, 'r{at}', {})", 2000 + at),
            4 => format!("REPLACE INTO t (id, k) SELECT {}, upper(k) FROM t WHERE id > {key} LIMIT 1", 3000 + at),
            5 => format!(
                "UPDATE OR REPLACE t SET k = (SELECT upper(k) FROM t ORDER BY id DESC LIMIT 1) WHERE id = {key}"
            ),
            6 => format!(
                "PRAGMA foreign_keys = OFF; UPDATE OR IGNORE t SET id = {} WHERE id = {key}; PRAGMA foreign_keys = ON",
                4000 + at
            ),
            7 => format!("INSERT INTO t (id, k) VALUES ({key}, 'u{at}') ON CONFLICT DO UPDATE SET v = NULL"),
            _ => format!("UPDATE p SET name = 'p{at}' WHERE id = 1"),
        }
    };
    let (lab, alone) = (Lab::contracted(RICH), Lab::contracted(RICH));
    // The same statements on a file of its own, where nothing is rebuilt by then.
    assert!(!lab.back(&|turn| {
        lab.write(&writes(turn));
        alone.write(&writes(turn));
    }));
    alone.back(&|_| {});
    assert_eq!(lab.texts(ROWS), alone.texts(ROWS));
    assert_eq!(dump::sqlite::catalog(&alone.file.path()), dump::sqlite::catalog(&lab.file.path()));
}

#[test]
fn what_somebody_added_to_the_table_meanwhile_stays() {
    for added in ["ALTER TABLE t ADD COLUMN theirs text DEFAULT 'x'", "CREATE INDEX theirs ON t(k)"] {
        let lab = Lab::contracted(PLAIN);
        lab.write(added);
        assert!(lab.back(&|_| {}), "the column is dropped as it stands");
        let theirs = "SELECT CAST(count(*) AS text) FROM sqlite_schema WHERE sql LIKE '%theirs%'";
        assert_eq!(lab.texts(theirs), ["1"], "{added}");
        assert_eq!(lab.texts("SELECT CAST(count(*) AS text) FROM pragma_table_info('t') WHERE name = 'n'"), ["0"]);
    }
}

#[test]
fn what_somebody_put_in_the_place_of_a_trigger_or_an_index_meanwhile_stays() {
    for (known, dropped, made) in [
        (
            "CREATE TRIGGER theirs AFTER DELETE ON t BEGIN SELECT 1; END",
            "DROP TRIGGER theirs",
            "CREATE TRIGGER theirs AFTER DELETE ON t BEGIN SELECT 2; END",
        ),
        ("CREATE INDEX theirs ON t(k)", "DROP INDEX theirs", "CREATE INDEX theirs ON t(k DESC)"),
    ] {
        let setup = format!("{PLAIN} {known};");
        let text = "SELECT sql FROM sqlite_schema WHERE name = 'theirs'";
        let lab = Lab::contracted(&setup);
        lab.write(&format!("{dropped}; {made}"));
        assert!(lab.back(&|_| {}), "the column is dropped as it stands");
        assert_eq!(lab.texts(text), [made]);

        let lab = Lab::contracted(&setup);
        lab.until_the_swap();
        lab.write(&format!("{dropped}; {made}"));
        assert!(lab.swapped().unwrap_err().message.starts_with("`t` was changed by somebody"), "{made}");
        lab.write(&format!("{dropped}; {known}"));
        assert!(lab.swapped().unwrap());
        assert_eq!(lab.texts(text), [known]);
    }
}

const NAMING: [(&str, &str, &str); 3] = [
    ("view", "CREATE VIEW late AS SELECT \"N\" FROM t", "DROP VIEW late"),
    ("view", "CREATE VIEW all_of AS SELECT * FROM t; CREATE VIEW late AS SELECT n FROM all_of", "DROP VIEW late"),
    ("trigger", "CREATE TRIGGER late AFTER INSERT ON log BEGIN UPDATE t SET n = NEW.x; END", "DROP TRIGGER late"),
];

#[test]
fn what_names_a_column_that_goes_is_never_left_to_fail() {
    let setup = format!("{PLAIN} CREATE TABLE log (x); CREATE VIEW known AS SELECT x AS n FROM log;");
    for (kind, made, dropped) in NAMING {
        let lab = Lab::contracted(&setup);
        lab.write(made);
        let undos = lab.undos(|_| true);
        let refused =
            undos.iter().find_map(|undo| lab.undo(undo, &mut || {}).err()).expect("the column is not dropped");
        let wanted = format!("the {kind} `late` names `n`, which would be gone");
        assert!(refused.message.starts_with(&wanted), "{refused}");
        lab.write(dropped);
        for undo in lab.undos(|phase| phase == Phase::Expand) {
            lab.undo(undo, &mut || {}).unwrap();
        }
        assert_eq!(lab.texts("SELECT name FROM pragma_table_info('t')"), ["id", "o", "k"]);

        let lab = Lab::contracted(&setup);
        lab.until_the_swap();
        lab.write(made);
        let message = lab.swapped().unwrap_err().message;
        assert!(message.starts_with(&wanted), "{message}");
        lab.write(dropped);
        assert!(lab.swapped().unwrap());
    }
    // What only has the letters in its text is none, nor what never looks at the table.
    let lab = Lab::contracted(&setup);
    lab.write("CREATE VIEW other AS SELECT k AS nn, 1 AS n_n FROM t; CREATE VIEW apart AS SELECT x AS n FROM \"log\"");
    assert!(!lab.back(&|_| {}));
}

#[test]
fn what_is_added_while_the_table_is_copied_stops_the_swap() {
    let lab = Lab::contracted(PLAIN);
    lab.until_the_swap();
    for (added, removed) in [
        ("CREATE INDEX late ON t(k)", "DROP INDEX late"),
        ("ALTER TABLE t ADD COLUMN late text", "ALTER TABLE t DROP COLUMN late"),
        ("CREATE TRIGGER late AFTER DELETE ON t BEGIN SELECT 1; END", "DROP TRIGGER late"),
    ] {
        lab.write(added);
        let message = "`t` was changed by somebody during its rollback: take that back, and roll back again";
        assert_eq!(lab.swapped().unwrap_err().message, message, "{added}");
        lab.write(removed);
    }
    assert!(lab.swapped().unwrap());
}

#[test]
fn a_copy_that_is_not_right_does_not_take_the_place_of_the_table() {
    let lab = Lab::contracted(PLAIN);
    let swap = lab.until_the_swap();
    let (copy, trigger) = (lab.named("segue\\_back%"), lab.named("segue\\_bu%"));
    lab.write(&format!("UPDATE \"{copy}\" SET k = 'wrong' WHERE id = 5"));
    assert_eq!(lab.swapped().unwrap_err().message, "rowid 5 differs");
    lab.write(&format!("UPDATE \"{copy}\" SET k = 'k5' WHERE id = 5; DROP TRIGGER \"{trigger}\""));
    let missing = format!("the trigger {trigger} is missing, or is not the one that was planned");
    assert_eq!(lab.swapped().unwrap_err().message, missing);
    // What its hint says.
    let hint = &swap.conditions[0].hint;
    assert!(hint.contains(&copy) && hint.contains(&trigger), "{hint}");
    let others = [lab.named("segue\\_bi%"), lab.named("segue\\_bd%")];
    others.iter().for_each(|other| lab.write(&format!("DROP TRIGGER \"{other}\"")));
    lab.write(&format!("DROP TABLE \"{copy}\""));
    assert!(!lab.swapped().unwrap());
}
