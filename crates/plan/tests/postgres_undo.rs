//! What a rollback on PostgreSQL loses, what it keeps, and that it keeps nobody waiting.

#[allow(dead_code, reason = "shared with the other tests of the dialect, which use the rest")]
mod postgres_cases;

use postgres_cases::*;
use segue_model::catalog::{Catalog, Table};
use segue_model::change::NewColumn;
use segue_model::expr::{Expr, Nullness};
use segue_model::lock::LockMode;
use segue_model::step::{Action, Kept, Phase, Step, Undo};
use segue_plan::dialect::Planned;
use segue_plan::operation::{Fill, NewSide, OldSide, Operation, Pair};

/// Plans `new` in place of the second column of `table`.
fn pair_of(catalog: &Catalog, new: &NewColumn, forward: Expr, back: Expr) -> Planned {
    let (table, at) = (&catalog.tables[0], place());
    let operation = Operation::Pair(Pair {
        table,
        new: vec![NewSide { column: new, forward, not_null: false }],
        old: vec![OldSide { column: &table.columns[1], back }],
        at: &at,
    });
    planned(&operation, catalog, 15).expect("the pair is planned")
}

fn copy_of(name: &str) -> Expr {
    expr(&[&format!("@{name}")], Nullness::Column(ident(name)), false)
}

fn users(kind: &str, base: &str) -> Table {
    table("public", "users", vec![column("id", "integer", "int4", true), column("mail", kind, base, false)])
}

fn kept(planned: &Planned) -> Vec<&Kept> {
    planned.steps.iter().flat_map(|step| step.undo.steps()).filter_map(|undo| undo.keeps.as_ref()).collect()
}

fn undo_of(planned: &Planned, phase: Phase) -> &Undo {
    &planned.steps.iter().find(|step| step.phase == phase).expect("each plan has every phase").undo
}

#[test]
fn only_a_rename_is_taken_back_without_loss() {
    for (kind, base) in [("text", "text"), ("character varying(50)", "varchar"), ("numeric(10,2)", "numeric")] {
        let catalog = catalog(users(kind, base));
        let planned = pair_of(&catalog, &new_column("email", kind, false), copy_of("mail"), copy_of("email"));
        assert_eq!((planned.loses.as_deref(), kept(&planned).len()), (None, 0), "{kind}");
        assert_eq!(undo_of(&planned, Phase::Expand).class(), "lossless", "{kind}");
    }
    // Every sampled row comes back, and still new code may write what the old column has no room for.
    let catalog = catalog(users("character varying(50)", "varchar"));
    let planned = pair_of(&catalog, &new_column("email", "text", false), copy_of("mail"), copy_of("email"));
    let loses = "values of `email` that the old columns cannot hold; a copy of these rows is kept";
    assert_eq!(planned.loses.as_deref(), Some(loses));
    assert!(matches!(undo_of(&planned, Phase::Expand), Undo::Lossy { loses: told, .. } if told == loses));
    assert!(planned.notes.iter().any(|note| note.starts_with("of 1000 rows of public.users sampled, each comes back")));
}

#[test]
fn the_copy_is_made_without_a_strong_lock_before_the_triggers_go() {
    let catalog = catalog(users("character varying(50)", "varchar"));
    let planned = pair_of(&catalog, &new_column("email", "text", false), copy_of("mail"), copy_of("email"));
    let [copy, drop] = undo_of(&planned, Phase::Sync).steps() else { panic!("a copy, then the drop") };
    assert_eq!((copy.locks[0].mode, copy.tries), (LockMode::AccessShare, None));
    assert!(drop.keeps.is_none() && drop.sql[0].as_str().starts_with("DROP TRIGGER"));
    let table = copy.keeps.as_ref().unwrap().table.clone();
    let cleanup = planned.steps.iter().find_map(|step| match &step.action {
        Action::Snapshot(snapshot) => Some(snapshot.keeps.clone()),
        _ => None,
    });
    assert_ne!(cleanup, Some(table));
}

#[test]
fn a_copy_of_an_earlier_rollback_stays() {
    let mut catalog = catalog(users("character varying(50)", "varchar"));
    let plan = |catalog: &Catalog| {
        let planned = pair_of(catalog, &new_column("email", "text", false), copy_of("mail"), copy_of("email"));
        kept(&planned)[0].table.clone()
    };
    let first = plan(&catalog);
    catalog.taken = vec![first.to_string()];
    let second = plan(&catalog);
    assert_ne!(first, second);
    catalog.taken.push(second.to_string());
    assert!(![first, second].contains(&plan(&catalog)));
}

#[test]
fn without_a_key_a_copied_row_is_told_by_every_column() {
    let mut table = users("text", "text");
    table.constraints.clear();
    let catalog = catalog(table);
    let (at, new) = (place(), new_column("slug", "text", false));
    let forward = expr(&["#lower", "(", "@mail", ")"], Nullness::Column(ident("mail")), false);
    let operation =
        Operation::Fill(Fill { table: &catalog.tables[0], column: &new, forward, not_null: false, at: &at });
    let planned = planned(&operation, &catalog, 15).unwrap();
    let copy = &undo_of(&planned, Phase::Sync).steps()[0];
    assert!(copy.sql[1].as_str().contains(r#" AS SELECT "id", "mail", "slug" FROM "public"."users""#));
    assert!(planned.loses.unwrap().starts_with("values of `slug`"));
}

#[test]
fn no_condition_reads_rows_under_a_lock_that_keeps_the_application_waiting() {
    for not_null in [true, false] {
        let planned = retype_of(&wide(not_null), "bigint", 15).unwrap();
        let swap: &Step = planned.steps.iter().find(|step| step.phase == Phase::Flip && step.tries.is_some()).unwrap();
        let undo = swap.undo.steps();
        assert_eq!((undo.len(), undo[0].conditions.len(), undo[0].sql.len()), (4, 2, 0));
        for undo in planned.steps.iter().flat_map(|step| step.undo.steps()).filter(|undo| !undo.conditions.is_empty()) {
            assert!(undo.locks.iter().all(|lock| lock.mode == LockMode::AccessShare) && undo.tries.is_none());
        }
        let validate = undo[2].sql[0].as_str();
        assert!(validate.contains("VALIDATE CONSTRAINT") && undo[2].locks[0].mode == LockMode::ShareUpdateExclusive);
    }
}
