//! What PostgreSQL's ALTER TABLE says of constraints.

use segue_model::change::{Change, ConstraintAction, NewConstraint};
use segue_model::engine::Engine;
use segue_model::ident::{Ident, MigrationId};
use segue_model::sql::Written;
use segue_parse::{Source, migration};

/// Returns what a file says, a line a thing; or its problems with their hints.
#[track_caller]
fn picture(up: &str) -> String {
    let id = MigrationId::new("m").expect("a letter is an id");
    match migration(Engine::Postgres, id, &Source { file: "m.sql", text: up.as_bytes() }, None) {
        Ok(read) => {
            let changes = read.changes.iter().map(|change| of_change(&change.what));
            let directives = read.directives.iter().map(|directive| format!("{:?}", directive.what));
            changes.chain(directives).collect::<Vec<_>>().join("\n")
        }
        Err(problems) => {
            let line =
                |problem: &segue_parse::Problem| format!("{}: {problem} | {}", problem.at.column, problem.hint());
            problems.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    }
}

fn of_change(change: &Change) -> String {
    let Change::Constraint(constraint) = change else { return change.kind().to_owned() };
    match &constraint.what {
        ConstraintAction::Add(new) => format!("{} {}", constraint.kind(), of_new(new)),
        other => format!("{other:?} «{}»", constraint.command.as_str()),
    }
}

fn of_new(new: &NewConstraint) -> String {
    let listed = |columns: &[Ident]| columns.iter().map(Ident::to_string).collect::<Vec<_>>().join(",");
    let mut text = format!("{}({})", new.name.as_ref().map_or("-", Ident::as_str), listed(&new.columns));
    if let Some(demands) = &new.demands {
        let read = new.check.as_ref().map_or("?".to_owned(), |check| {
            check.columns().into_iter().map(Ident::to_string).collect::<Vec<_>>().join(",")
        });
        text.push_str(&format!(" demands «{}» of {read}", demands.as_str()));
    }
    if let Some(to) = &new.references {
        text.push_str(&format!(" to {}({}){}", to.table, listed(&to.columns), if to.full { " full" } else { "" }));
    }
    if let Some(index) = &new.using_index {
        text.push_str(&format!(" by {index}"));
    }
    if !new.index.include.is_empty() {
        text.push_str(&format!(" with {}", listed(&new.index.include)));
    }
    let flags = [
        (new.not_valid, "not valid"),
        (new.not_enforced, "not enforced"),
        (new.deferrable, "deferrable"),
        (new.deferred, "deferred"),
        (new.no_inherit, "no inherit"),
        (new.index.nulls_not_distinct, "nulls alike"),
        (new.index.without_overlaps, "without overlaps"),
    ];
    flags.iter().filter(|(set, _)| *set).for_each(|(_, word)| text.push_str(&format!(" {word}")));
    if let Some(with) = new.index.with.as_ref().map(Written::as_str) {
        text.push_str(&format!(" options {with}"));
    }
    format!("{text} «{}»", new.definition.as_str())
}

#[test]
fn every_form_of_a_constraint_is_read() {
    insta::assert_snapshot!(picture(
        "ALTER TABLE t ADD CHECK (a > 0), ADD CONSTRAINT \"C c\" CHECK (a IN (1, 2) AND t.b IS NOT NULL) NO INHERIT NOT VALID;
ALTER TABLE t ADD CONSTRAINT n CHECK ((SELECT 1) > 0), ADD CHECK (a > 0 /* ) */) NOT ENFORCED;
ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (a, \"B\") INCLUDE (c) WITH (fillfactor = 70) USING INDEX TABLESPACE s DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY USING INDEX i DEFERRABLE, ADD PRIMARY KEY (a, b WITHOUT OVERLAPS);
ALTER TABLE t ADD FOREIGN KEY (a, b) REFERENCES s.p MATCH FULL ON DELETE SET NULL (a) NOT VALID DEFERRABLE;
ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (x) ON UPDATE CASCADE;
ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (r WITH &&) WHERE (a > 0), ADD CONSTRAINT nn NOT NULL a NOT VALID;"
    ), @r#"
    add_check -() demands «a > 0» of a «CHECK (a > 0)»
    add_check C c() demands «a IN (1, 2) AND t.b IS NOT NULL» of a,b not valid no inherit «CHECK (a IN (1, 2) AND t.b IS NOT NULL) NO INHERIT»
    add_check n() demands «(SELECT 1) > 0» of ? «CHECK ((SELECT 1) > 0)»
    add_check -() demands «a > 0» of a not enforced «CHECK (a > 0 /* ) */) NOT ENFORCED»
    add_unique -(a,B) with c deferrable deferred nulls alike options (fillfactor = 70) «UNIQUE NULLS NOT DISTINCT (a, "B") INCLUDE (c) WITH (fillfactor = 70) USING INDEX TABLESPACE s DEFERRABLE INITIALLY DEFERRED»
    add_primary_key k() by i deferrable «PRIMARY KEY USING INDEX i DEFERRABLE»
    add_primary_key -(a,b) without overlaps «PRIMARY KEY (a, b WITHOUT OVERLAPS)»
    add_foreign_key -(a,b) to s.p() full not valid deferrable «FOREIGN KEY (a, b) REFERENCES s.p MATCH FULL ON DELETE SET NULL (a)
    DEFERRABLE»
    add_foreign_key f(a) to p(x) «FOREIGN KEY (a) REFERENCES p (x) ON UPDATE CASCADE»
    add_exclusion e() «EXCLUDE USING gist (r WITH &&) WHERE (a > 0)»
    add_not_null nn(a) not valid «NOT NULL a»
    "#);
}

#[test]
fn what_becomes_of_a_constraint_is_read() {
    insta::assert_snapshot!(picture(
        "ALTER TABLE t VALIDATE CONSTRAINT c, DROP CONSTRAINT IF EXISTS \"C\" CASCADE, DROP CONSTRAINT d;
ALTER TABLE t ALTER CONSTRAINT f DEFERRABLE INITIALLY DEFERRED, ALTER CONSTRAINT f NOT ENFORCED, ALTER CONSTRAINT n NO INHERIT;"
    ), @r#"
    Validate { name: Ident("c") } «VALIDATE CONSTRAINT c»
    Drop { name: Ident("C"), if_exists: true, cascade: true } «DROP CONSTRAINT IF EXISTS "C" CASCADE»
    Drop { name: Ident("d"), if_exists: false, cascade: false } «DROP CONSTRAINT d»
    Alter { name: Ident("f"), deferral: true, enforced: None } «ALTER CONSTRAINT f DEFERRABLE INITIALLY DEFERRED»
    Alter { name: Ident("f"), deferral: false, enforced: Some(false) } «ALTER CONSTRAINT f NOT ENFORCED»
    not_yet
    "#);
}

#[test]
fn what_becomes_of_orphans_is_read() {
    insta::assert_snapshot!(picture(
        "-- segue: orphans f null
-- segue: orphans s.t.\"A b\" quarantine
-- segue: orphans t.a refuse
ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p;"
    ), @r#"
    add_foreign_key f(a) to p() «FOREIGN KEY (a) REFERENCES p»
    Orphans { of: Constraint(Ident("f")), treated: Null }
    Orphans { of: Column { table: TableRef { schema: Some(Ident("s")), name: Ident("t") }, column: Ident("A b") }, treated: Quarantine }
    Orphans { of: Column { table: TableRef { schema: None, name: Ident("t") }, column: Ident("a") }, treated: Refuse }
    "#);
    insta::assert_snapshot!(picture("-- segue: orphans f nul\n-- segue: orphans null\n-- segue: orphan f null\n-- segue: orphans a b null"), @r#"
    21: there is no way to treat orphans `nul` | Did you mean `null`?
    10: the directive must read `orphans CONSTRAINT|TABLE.COLUMN refuse|null|quarantine` | Write `-- segue: orphans CONSTRAINT|TABLE.COLUMN refuse|null|quarantine` on one line.
    10: there is no directive `orphan` | Did you mean `orphans`?
    10: the directive must read `orphans CONSTRAINT|TABLE.COLUMN refuse|null|quarantine` | Write `-- segue: orphans CONSTRAINT|TABLE.COLUMN refuse|null|quarantine` on one line.
    "#);
}
