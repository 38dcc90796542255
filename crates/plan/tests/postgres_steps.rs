//! The steps of each kind of change on PostgreSQL, with what the server would answer written down.

#[allow(dead_code, reason = "shared with the other tests of the dialect, which use the rest")]
mod postgres_cases;

use postgres_cases::*;
use segue_model::expr::Nullness;
use segue_model::probe::Answer;
use segue_model::sql::TypeName;
use segue_model::step::{Action, Phase, Step, UndoStep};
use segue_model::value::Value;
use segue_plan::dialect::Planned;
use segue_plan::operation::{Fill, NewSide, OldSide, Operation, Pair, Retype};

fn shown(planned: &Planned) -> String {
    let mut steps: Vec<&Step> = planned.steps.iter().collect();
    steps.sort_by_key(|step| step.phase);
    steps.into_iter().map(step_shown).collect::<Vec<_>>().join("\n")
}

fn step_shown(step: &Step) -> String {
    let lock = step.locks.first().map_or("no lock", |lock| lock.mode.name());
    let tries = if step.tries.is_some() { ", tries" } else { "" };
    let mut lines = vec![format!("{} [{lock}{tries}, undo {}] {}", step.phase, step.undo.class(), step.title)];
    let sql: Vec<&str> = match &step.action {
        Action::Sql(all) => all.iter().map(|sql| sql.as_str()).collect(),
        Action::Settled { sql, .. } => vec![sql.as_str()],
        Action::Backfill(backfill) => vec![backfill.fill.as_str()],
        Action::Verify(verify) => vec![verify.count.as_str()],
        Action::Gate(gate) => gate.conditions.iter().map(|condition| condition.says.as_str()).collect(),
        Action::Snapshot(snapshot) => snapshot.create.iter().map(|sql| sql.as_str()).collect(),
    };
    lines.extend(sql.into_iter().map(|sql| format!("    {}", sql.replace('\n', "\n    "))));
    lines.extend(step.undo.steps().iter().map(undo_shown));
    lines.join("\n")
}

fn undo_shown(undo: &UndoStep) -> String {
    let lock = undo.locks.first().map_or("no lock", |lock| lock.mode.name());
    let tries = if undo.tries.is_some() { ", tries" } else { "" };
    let keeps = undo.keeps.as_ref().map_or(String::new(), |kept| format!(", keeps {}", kept.table));
    let mut lines = vec![format!("  undo [{lock}{tries}{keeps}]")];
    lines.extend(undo.conditions.iter().map(|condition| format!("    if {}", condition.says)));
    lines.extend(undo.sql.iter().map(|sql| format!("    {}", sql.as_str().replace('\n', "\n    "))));
    lines.join("\n")
}

#[test]
fn a_fill_is_proved_before_it_is_not_null() {
    let catalog = catalog(table(
        "public",
        "items",
        vec![column("id", "integer", "int4", true), column("title", "text", "text", true)],
    ));
    let (at, new) = (place(), new_column("slug", "text", false));
    let forward = expr(&["#lower", "(", "@title", ")"], Nullness::Column(ident("title")), false);
    let operation = Operation::Fill(Fill { table: &catalog.tables[0], column: &new, forward, not_null: true, at: &at });
    insta::assert_snapshot!(shown(&planned(&operation, &catalog, 15).unwrap()));
}

#[test]
fn a_split_is_written_both_ways_hidden_and_dropped() {
    let columns = vec![
        column("id", "integer", "int4", true),
        column("first_name", "text", "text", false),
        column("last_name", "text", "text", false),
    ];
    let mut catalog = catalog(table("public", "users", columns));
    with_key(&mut catalog);
    let (table, at, new) = (&catalog.tables[0], place(), new_column("full_name", "text", false));
    let back =
        |n| expr(&["#split_part", "(", "@full_name", ", ' ', ", n, ")"], Nullness::Column(ident("full_name")), false);
    let forward = expr(&["#concat_ws", "(' ', ", "@first_name", ", ", "@last_name", ")"], Nullness::Never, false);
    let operation = Operation::Pair(Pair {
        table,
        new: vec![NewSide { column: &new, forward, not_null: true }],
        old: vec![
            OldSide { column: &table.columns[1], back: back("1") },
            OldSide { column: &table.columns[2], back: back("2") },
        ],
        at: &at,
    });
    insta::assert_snapshot!(shown(&planned(&operation, &catalog, 15).unwrap()));
}

#[test]
fn hostile_names_stay_names_and_what_may_fail_is_tried() {
    let (old, new_name) = ("é".repeat(31), "$1 n'\\{z}");
    let mut table =
        table("we\"ird", "t😀 {x}", vec![column("id", "integer", "int4", true), column(&old, "text", "text", false)]);
    table.triggers = vec![segue_model::catalog::Trigger {
        name: ident("Mine"),
        before_row: true,
        enabled: 'O',
        definition: String::new(),
    }];
    let catalog = catalog(table);
    let (table, at, new) = (&catalog.tables[0], place(), new_column(new_name, "int", false));
    let forward = expr(&[&format!("@{old}"), "::int"], Nullness::Column(ident(&old)), true);
    let back = expr(&[&format!("@{new_name}"), "::text"], Nullness::Column(ident(new_name)), false);
    let operation = Operation::Pair(Pair {
        table,
        new: vec![NewSide { column: &new, forward, not_null: false }],
        old: vec![OldSide { column: &table.columns[1], back }],
        at: &at,
    });
    insta::assert_snapshot!(shown(&planned(&operation, &catalog, 13).unwrap()));
}

#[test]
fn a_wider_integer_exchanges_names_in_one_transaction_and_back() {
    let mut catalog = wide(true);
    with_key(&mut catalog);
    insta::assert_snapshot!(shown(&retype_of(&catalog, "bigint", 15).unwrap()));
}

#[test]
fn a_wider_integer_that_may_be_null_is_proved_before_it_goes_back() {
    insta::assert_snapshot!(shown(&retype_of(&wide(false), "bigint", 15).unwrap()));
}

#[test]
fn on_18_the_not_null_keeps_its_name() {
    let planned = retype_of(&wide(true), "bigint", 18).unwrap();
    let swap = planned.steps.iter().find(|step| step.phase == Phase::Flip && step.tries.is_some()).unwrap();
    let Action::Sql(sql) = &swap.action else { panic!("the swap is SQL") };
    assert!(
        sql.iter().any(|sql| sql.as_str() == r#"ALTER TABLE "public"."ev" ADD CONSTRAINT "my_not_null" NOT NULL "c""#)
    );
}

#[test]
fn what_old_code_would_not_bear_is_refused_with_the_way_to_do_it() {
    let refused = retype_of(&wide(true), "text", 15).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "not yet: `public.ev.c` from integer to text under the same name: old and new code would not bear the same column"
    );
    assert!(refused.refusal.hint().starts_with("Use two names: ADD a column of type text"));
}

#[test]
fn what_is_bound_to_the_column_and_cannot_be_made_again_is_named() {
    let (catalog, migration, at, to) = (wide(true), migration(), place(), TypeName::spelled("bigint"));
    let (table, statement) = (&catalog.tables[0], &migration.statements[0]);
    let operation =
        Operation::Retype(Retype { table, column: &table.columns[1], to: &to, using: None, statement, at: &at });
    let refused = planned_when(&operation, &catalog, 15, &|key, sql| match key.starts_with("held:") {
        true => Answer::Rows(vec![["refuse", "view", "the rule r", ""].map(Value::from).to_vec()]),
        false => answer(key, sql),
    });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "a change of `public.ev.c`, to which is bound: the rule r: the server ties it to the column itself, and it cannot be \
         made again in a short transaction"
    );
}
