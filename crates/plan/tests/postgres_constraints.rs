//! Constraints on PostgreSQL: in which steps, with which locks, and what is refused before anything runs.

#[allow(dead_code, reason = "shared with the other tests of the dialect, which use the rest")]
mod postgres_cases;

use postgres_cases::*;
use segue_model::catalog::{Catalog, ConstraintKind, TableKind};
use segue_model::change::*;
use segue_model::ident::TableRef;
use segue_model::probe::Answer;
use segue_model::sql::Written;
use segue_model::step::{Action, Step, Undo};
use segue_model::value::Value;
use segue_plan::dialect::Planned;
use segue_plan::operation::{Native, Operation, Stage};
use segue_plan::refusal::Refused;

fn orders() -> Catalog {
    let columns = vec![
        column("id", "integer", "int4", true),
        column("customer id", "bigint", "int8", false),
        column("total", "integer", "int4", false),
    ];
    let mut catalog = catalog(table("app", "orders", columns));
    catalog.tables.push(table("app", "customers", vec![column("id", "bigint", "int8", true)]));
    catalog.tables[1].constraints[0].columns = vec![ident("id")];
    catalog.search_path = vec![ident("app")];
    catalog
}

fn new(kind: ConstraintKind, columns: &[&str], definition: &str) -> NewConstraint {
    NewConstraint {
        name: None,
        kind: Some(kind),
        columns: columns.iter().map(|column| ident(column)).collect(),
        check: None,
        demands: None,
        references: None,
        using_index: None,
        index: IndexParts::default(),
        not_valid: false,
        not_enforced: false,
        deferrable: false,
        deferred: false,
        no_inherit: false,
        definition: Written::parsed(definition),
    }
}

fn to_customers() -> NewConstraint {
    let table = TableRef { schema: None, name: ident("customers") };
    NewConstraint {
        references: Some(References { table, columns: vec![], full: false, period: false }),
        ..new(ConstraintKind::ForeignKey, &["customer id"], "FOREIGN KEY (\"customer id\") REFERENCES customers")
    }
}

/// A server on which every row fits, and nothing is below a table but what `below` says.
fn fits(key: &str, sql: &str, below: &[[&str; 5]]) -> Answer {
    let rows =
        |rows: &[&[&str]]| Answer::Rows(rows.iter().map(|row| row.iter().map(|v| Value::from(*v)).collect()).collect());
    match key.split(':').next().unwrap_or_default() {
        "names" => rows(&[]),
        "orphans" | "violating" | "absent" | "duplicates" => Answer::Rows(vec![vec![Value::from("0"), Value::Null]]),
        "tree" => rows(&below.iter().map(<[&str; 5]>::as_slice).collect::<Vec<_>>()),
        _ => answer(key, sql),
    }
}

fn plan_of(
    catalog: &Catalog,
    what: ConstraintAction,
    (major, stage): (u32, Stage),
    said: &dyn Fn(&str, &str) -> Answer,
) -> Result<Planned, Refused> {
    let table = TableRef { schema: None, name: ident("orders") };
    let change = Change::Constraint(ConstraintChange { table, what, command: Written::parsed("…") });
    let (migration, at) = (migration(), place());
    let native = Native {
        table: Some(&catalog.tables[0]),
        change: &change,
        statement: &migration.statements[0],
        only: true,
        at: &at,
        stage,
        required: false,
    };
    planned_when(&Operation::Native(native), catalog, major, said)
}

fn shown(planned: &Planned) -> String {
    let mut lines: Vec<String> = planned.steps.iter().flat_map(of_step).collect();
    lines.extend(planned.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn of_step(step: &Step) -> Vec<String> {
    let sql = match &step.action {
        Action::Sql(all) => all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        Action::Settled { sql, .. } => sql.to_string(),
        other => format!("{other:?}"),
    };
    let locks = step.locks.iter().map(|lock| format!("{} {}", lock.relation, lock.mode.name()));
    let tries = if step.tries.is_some() { ", short tries" } else { "" };
    let mut lines = vec![format!("{} [{}{tries}] {sql}", step.phase, locks.collect::<Vec<_>>().join(", "))];
    let undo = match &step.undo {
        Undo::Nothing => vec![],
        undo => undo.steps().iter().flat_map(|part| part.sql.iter().map(|sql| format!("  undo: {sql}"))).collect(),
    };
    lines.extend(undo);
    lines
}

#[track_caller]
fn added(catalog: &Catalog, new: NewConstraint, major: u32) -> String {
    let said = |key: &str, sql: &str| fits(key, sql, &[]);
    shown(&plan_of(catalog, ConstraintAction::Add(new), (major, Stage::Now), &said).expect("every row fits"))
}

#[test]
fn a_foreign_key_locks_both_tables_for_a_moment_and_then_reads() {
    insta::assert_snapshot!(added(&orders(), to_customers(), 15), @r#"
    expand [app.orders ShareRowExclusiveLock, app.customers ShareRowExclusiveLock, short tries] ALTER TABLE "app"."orders" ADD CONSTRAINT "orders_customer id_fkey" FOREIGN KEY ("customer id") REFERENCES customers NOT VALID
      undo: ALTER TABLE "app"."orders" DROP CONSTRAINT IF EXISTS "orders_customer id_fkey"
    expand [app.orders ShareUpdateExclusiveLock, app.customers RowShareLock] ALTER TABLE "app"."orders" VALIDATE CONSTRAINT "orders_customer id_fkey"
    "#);
}

#[test]
fn a_primary_key_is_proved_built_and_attached() {
    let mut catalog = orders();
    catalog.tables[0].constraints.clear();
    insta::assert_snapshot!(added(&catalog, new(ConstraintKind::PrimaryKey, &["total"], "PRIMARY KEY (total)"), 15), @r#"
    expand [app.orders AccessExclusiveLock, short tries] ALTER TABLE "app"."orders" ADD CONSTRAINT "segue_total_ab600aa2" CHECK ("total" IS NOT NULL) NOT VALID
      undo: ALTER TABLE "app"."orders" DROP CONSTRAINT IF EXISTS "segue_total_ab600aa2"
    expand [app.orders ShareUpdateExclusiveLock] ALTER TABLE "app"."orders" VALIDATE CONSTRAINT "segue_total_ab600aa2"
    expand [app.orders AccessExclusiveLock, short tries] ALTER TABLE "app"."orders" ALTER COLUMN "total" SET NOT NULL; ALTER TABLE "app"."orders" DROP CONSTRAINT IF EXISTS "segue_total_ab600aa2"
      undo: ALTER TABLE "app"."orders" ALTER COLUMN "total" DROP NOT NULL
    expand [app.orders ShareUpdateExclusiveLock] CREATE UNIQUE INDEX CONCURRENTLY "orders_pkey" ON "app"."orders" ("total")
      undo: DROP INDEX CONCURRENTLY IF EXISTS "app"."orders_pkey"
    expand [app.orders AccessExclusiveLock, short tries] ALTER TABLE "app"."orders" ADD CONSTRAINT "orders_pkey" PRIMARY KEY USING INDEX "orders_pkey"
      undo: ALTER TABLE "app"."orders" DROP CONSTRAINT IF EXISTS "orders_pkey"
    "#);
}

#[test]
fn a_key_of_a_partitioned_table_is_built_for_each_partition() {
    let mut catalog = orders();
    catalog.tables[0].kind = TableKind::Partitioned;
    let below = [["app", "orders_1", "app", "orders", "r"]];
    let said = |key: &str, sql: &str| fits(key, sql, &below);
    let unique = ConstraintAction::Add(new(ConstraintKind::Unique, &["total"], "UNIQUE (total)"));
    insta::assert_snapshot!(shown(&plan_of(&catalog, unique, (15, Stage::Now), &said).unwrap()), @r#"
    expand [app.orders_1 ShareUpdateExclusiveLock] CREATE UNIQUE INDEX CONCURRENTLY "orders_1_total_key" ON "app"."orders_1" ("total")
      undo: DROP INDEX CONCURRENTLY IF EXISTS "app"."orders_1_total_key"
    expand [app.orders_1 AccessExclusiveLock, short tries] ALTER TABLE "app"."orders_1" ADD CONSTRAINT "orders_1_total_key" UNIQUE USING INDEX "orders_1_total_key"
      undo: ALTER TABLE "app"."orders_1" DROP CONSTRAINT IF EXISTS "orders_1_total_key"
    expand [app.orders AccessExclusiveLock, app.orders_1 AccessShareLock, short tries] ALTER TABLE ONLY "app"."orders" ADD CONSTRAINT "orders_total_key" UNIQUE (total); ALTER INDEX "app"."orders_total_key" ATTACH PARTITION "app"."orders_1_total_key"
      undo: ALTER TABLE "app"."orders" DROP CONSTRAINT IF EXISTS "orders_total_key"
    "#);
}

#[test]
fn before_18_the_partitions_get_their_foreign_keys_first() {
    let mut catalog = orders();
    catalog.tables[0].kind = TableKind::Partitioned;
    let below = [["app", "orders_1", "app", "orders", "r"]];
    let said = |key: &str, sql: &str| fits(key, sql, &below);
    let of = |major| {
        let planned = plan_of(&catalog, ConstraintAction::Add(to_customers()), (major, Stage::Now), &said).unwrap();
        let sql = planned.steps.iter().flat_map(of_step).filter(|line| !line.starts_with("  "));
        sql.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(of(15), @r#"
    expand [app.orders_1 ShareRowExclusiveLock, app.customers ShareRowExclusiveLock, short tries] ALTER TABLE "app"."orders_1" ADD CONSTRAINT "orders_customer id_fkey" FOREIGN KEY ("customer id") REFERENCES customers NOT VALID
    expand [app.orders_1 ShareUpdateExclusiveLock, app.customers RowShareLock] ALTER TABLE "app"."orders_1" VALIDATE CONSTRAINT "orders_customer id_fkey"
    expand [app.orders ShareRowExclusiveLock, app.orders_1 ShareRowExclusiveLock, app.customers AccessExclusiveLock, short tries] ALTER TABLE "app"."orders" ADD CONSTRAINT "orders_customer id_fkey" FOREIGN KEY ("customer id") REFERENCES customers
    "#);
    insta::assert_snapshot!(of(18), @r#"
    expand [app.orders ShareRowExclusiveLock, app.orders_1 ShareRowExclusiveLock, app.customers ShareRowExclusiveLock, short tries] ALTER TABLE "app"."orders" ADD CONSTRAINT "orders_customer id_fkey" FOREIGN KEY ("customer id") REFERENCES customers NOT VALID
    expand [app.orders ShareUpdateExclusiveLock, app.orders_1 ShareUpdateExclusiveLock, app.customers RowShareLock] ALTER TABLE "app"."orders" VALIDATE CONSTRAINT "orders_customer id_fkey"
    "#);
}

#[test]
fn what_is_filled_is_constrained_once_it_is_filled() {
    let said = |key: &str, sql: &str| fits(key, sql, &[]);
    let check = NewConstraint {
        name: Some(ident("c")),
        demands: Some(Written::parsed("total > 0")),
        ..new(ConstraintKind::Check, &[], "CHECK (total > 0)")
    };
    let planned = plan_of(&orders(), ConstraintAction::Add(check), (15, Stage::Filled), &said).unwrap();
    insta::assert_snapshot!(shown(&planned), @r#"
    verify [app.orders AccessExclusiveLock, short tries] ALTER TABLE "app"."orders" ADD CONSTRAINT "c" CHECK (total > 0) NOT VALID
      undo: ALTER TABLE "app"."orders" DROP CONSTRAINT IF EXISTS "c"
    verify [app.orders ShareUpdateExclusiveLock] ALTER TABLE "app"."orders" VALIDATE CONSTRAINT "c"
    note: from verify on a write of old code fails where what `…` becomes by its transform violates the constraint
    "#);
}

#[test]
fn rows_in_the_way_are_counted_and_what_is_not_known_is_said() {
    let some = |key: &str, sql: &str| match key.split(':').next() {
        Some("orphans") => Answer::Rows(vec![
            vec![Value::from("1234"), Value::from("id=7")],
            vec![Value::from("1234"), Value::from("id=9")],
        ]),
        _ => fits(key, sql, &[]),
    };
    let refused = plan_of(&orders(), ConstraintAction::Add(to_customers()), (15, Stage::Now), &some).unwrap_err();
    insta::assert_snapshot!(format!("{refused}\n{}", refused.refusal.hint()), @r#"
    the foreign key `orders_customer id_fkey` of app.orders: rows point to no row of app.customers: 1,234 (id=7; id=9, …)
    Correct them first; this shows them all: `SELECT * FROM ONLY "app"."orders" AS c WHERE c."customer id" IS NOT NULL AND NOT EXISTS (SELECT FROM ONLY "app"."customers" AS p WHERE p."id" OPERATOR(pg_catalog.=) c."customer id")`. Or let Segue do it, by a line in the file: `-- segue: orphans orders."customer id" null` (they point to nothing then) or `… quarantine` (they are moved aside); what was there is kept.
    "#);
    let late = |key: &str, sql: &str| match key.split(':').next() {
        Some("orphans") => Answer::TimedOut,
        _ => fits(key, sql, &[]),
    };
    let planned = plan_of(&orders(), ConstraintAction::Add(to_customers()), (15, Stage::Now), &late).unwrap();
    insta::assert_snapshot!(planned.notes.join("\n"), @r#"
    whether all rows fit the foreign key `orders_customer id_fkey` of app.orders could not be told within seconds: the step that reads them all finds it, and stops there
    "#);
}
