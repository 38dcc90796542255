//! What PostgreSQL changes are refused for, and triggers of the user that the sync must not trip over.

#[allow(dead_code, reason = "shared with the other tests of the dialect, which use the rest")]
mod postgres_cases;

use postgres_cases::*;
use segue_model::catalog::{Catalog, Table, Trigger};
use segue_model::expr::{Expr, Nullness};
use segue_model::probe::Answer;
use segue_model::step::{Action, Phase};
use segue_model::value::Value;
use segue_plan::dialect::Planned;
use segue_plan::operation::{NewSide, OldSide, Operation, Pair};
use segue_plan::refusal::{Refusal, Refused};

fn users() -> Table {
    table("app", "users", vec![column("id", "integer", "int4", true), column("mail", "text", "text", false)])
}

fn strict(pieces: &[&str], column: &str, can_raise: bool) -> Expr {
    expr(pieces, Nullness::Column(ident(column)), can_raise)
}

/// `email` in place of `mail`, with `back` and the answers of `answer`.
fn pair_when(catalog: &Catalog, back: Expr, answer: &dyn Fn(&str, &str) -> Answer) -> Result<Planned, Refused> {
    let (table, at, new) = (&catalog.tables[0], place(), new_column("email", "text", false));
    let operation = Operation::Pair(Pair {
        table,
        new: vec![NewSide { column: &new, forward: strict(&["@mail"], "mail", false), not_null: false }],
        old: vec![OldSide { column: &table.columns[1], back }],
        at: &at,
    });
    planned_when(&operation, catalog, 15, answer)
}

fn pair(catalog: &Catalog, back: Expr) -> Result<Planned, Refused> {
    pair_when(catalog, back, &answer)
}

fn sync_sql(planned: &Planned) -> Vec<String> {
    let step = planned.steps.iter().find(|step| step.phase == Phase::Sync).expect("each plan has a sync");
    let Action::Sql(sql) = &step.action else { panic!("sync is SQL") };
    sql.iter().map(|sql| sql.as_str().to_owned()).collect()
}

fn mine() -> Trigger {
    Trigger { name: ident("mine"), before_row: true, enabled: 'O', definition: String::new() }
}

/// What the user's trigger makes of a row that the backfill writes must come along.
#[test]
fn the_last_trigger_looks_at_rows_of_the_backfill_where_a_trigger_of_the_user_may_change_them() {
    let passes = |sql: &[String], name: &str| {
        sql.iter()
            .find(|sql| sql.starts_with(&["CREATE TRIGGER \"", name].concat()))
            .unwrap()
            .contains("segue.backfill")
    };
    let mut catalog = catalog(users());
    assert!(passes(&sync_sql(&pair(&catalog, strict(&["@email"], "email", false)).unwrap()), "~segue_"));
    catalog.tables[0].triggers = vec![mine()];
    let sql = sync_sql(&pair(&catalog, strict(&["@email"], "email", false)).unwrap());
    assert!(passes(&sql, "!segue_") && !passes(&sql, "~segue_"));

    let mut wide = wide(true);
    assert!(passes(&sync_sql(&retype_of(&wide, "bigint", 15).unwrap()), "~segue_"));
    wide.tables[0].triggers = vec![mine()];
    assert!(!passes(&sync_sql(&retype_of(&wide, "bigint", 15).unwrap()), "~segue_"));
}

/// A server on which `writer` lacks something.
fn lacking(kind: &'static str) -> impl Fn(&str, &str) -> Answer {
    move |key, sql| match key.split_once(':') {
        Some(("reach", _)) => {
            let row = [kind, "writer", "the schema app", "GRANT USAGE ON SCHEMA app TO writer"];
            Answer::Rows(vec![row.iter().map(|v| Value::from(*v)).collect()])
        }
        _ => answer(key, sql),
    }
}

#[test]
fn a_writer_that_cannot_reach_what_the_sync_calls_is_named() {
    let catalog = catalog(users());
    let tried = || strict(&["@email", "::int"], "email", true);
    let refused = pair_when(&catalog, tried(), &lacking("helpers")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the role `writer` writes to app.users, and has no right to use the schema app: \
         the sync calls it in the name of whoever writes, so its writes would fail"
    );
    assert!(refused.refusal.hint().starts_with("Run `GRANT USAGE ON SCHEMA app TO writer`"));
    let bare = || strict(&["@email"], "email", false);
    assert!(pair_when(&catalog, bare(), &lacking("helpers")).is_ok(), "nothing stands beside the table");
    assert!(pair_when(&catalog, bare(), &lacking("function")).is_err());
}

#[test]
fn a_unique_index_that_new_rows_may_trip_over_is_named() {
    let mut catalog = catalog(users());
    catalog.tables[0].indexes = vec![index("by_mail", true, &[("mail", true)], &[], None)];
    let folded = strict(&["#lower", "(", "@email", ")"], "email", false);
    let refused = pair(&catalog, folded.clone()).unwrap_err();
    assert!(
        refused.to_string().starts_with("writes of new code could fail on the unique index `by_mail` of app.users")
    );
    assert!(refused.refusal.hint().contains("drop `by_mail`"));

    let planned = pair(&catalog, strict(&["@email"], "email", false)).unwrap();
    assert!(planned.notes.iter().any(|note| note.starts_with("uniqueness ends with `by_mail` at cleanup")));

    catalog.tables[0].indexes = vec![index("by_id", true, &[("id", true)], &[], Some("mail IS NOT NULL"))];
    assert!(pair(&catalog, folded.clone()).is_err(), "its WHERE reads the old column");
    catalog.tables[0].indexes = vec![index("by_mail", false, &[("mail", true)], &[], None)];
    assert!(pair(&catalog, folded).is_ok(), "it is not unique");
}

#[test]
fn names_of_ours_that_are_taken_are_refused() {
    let exists = |refused: Refused| match refused.refusal {
        Refusal::Exists { name } => name,
        other => panic!("{other}"),
    };
    let tried = || strict(&["@email", "::int"], "email", true);
    let free = catalog(users());
    let planned = pair(&free, tried()).unwrap();
    let function = |sql: &str| {
        let name = sql.strip_prefix("CREATE OR REPLACE FUNCTION ")?.split('(').next()?.replace('"', "");
        Some(name)
    };
    let functions: Vec<String> = sync_sql(&planned).iter().filter_map(|sql| function(sql)).collect();
    assert_eq!(functions.len(), 3, "two beside the table, one of the trigger");
    for name in functions {
        let taken = Catalog { taken: vec![name.clone()], ..free.clone() };
        assert_eq!(exists(pair(&taken, tried()).unwrap_err()), name);
    }
    let sql = sync_sql(&planned);
    let trigger = sql.iter().find_map(|sql| sql.strip_prefix("CREATE TRIGGER \"")?.split('"').next()).unwrap();
    let mut taken = free.clone();
    taken.tables[0].triggers = vec![Trigger { name: ident(trigger), before_row: true, ..mine() }];
    assert_eq!(exists(pair(&taken, tried()).unwrap_err()), format!("app.users.{trigger}"));

    let mut wide = wide(true);
    let planned = retype_of(&wide, "bigint", 15).unwrap();
    let copy = planned.steps.iter().find(|step| step.phase == Phase::Expand).unwrap();
    let Action::Sql(add) = &copy.action else { panic!("the copy is added by SQL") };
    let copy = add[0].as_str().split('"').nth(5).unwrap().to_owned();
    wide.tables[0].columns.push(column(&copy, "text", "text", false));
    assert_eq!(exists(retype_of(&wide, "bigint", 15).unwrap_err()), format!("public.ev.{copy}"));
}
