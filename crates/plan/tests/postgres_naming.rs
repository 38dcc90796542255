//! Other names, and columns and tables that go, on PostgreSQL: which steps they take.

#[allow(dead_code, reason = "shared with the other tests of the dialect, which use the rest")]
mod postgres_cases;

use postgres_cases::*;
use segue_model::catalog::{Catalog, Constraint, ConstraintKind, Table};
use segue_model::change::{Change, NamingChange, Statement};
use segue_model::ident::TableRef;
use segue_model::probe::Answer;
use segue_model::step::Action;
use segue_model::value::Value;
use segue_plan::dialect::Planned;
use segue_plan::operation::{Native, Operation, Stage};
use segue_plan::refusal::{Refusal, Refused};

fn users() -> Catalog {
    let columns = vec![column("id", "integer", "int4", true), column("we\"ird", "text", "text", true)];
    let mut users = table("app", "users", columns);
    users.owner = "boss".into();
    users.constraints.push(Constraint {
        name: Some(ident("users_team_fkey")),
        kind: ConstraintKind::ForeignKey,
        table: users.name.clone(),
        columns: vec![ident("id")],
        references: Some(table("app", "teams", vec![column("id", "integer", "int4", true)]).name),
        referenced_columns: vec![ident("id")],
        definition: "FOREIGN KEY (id) REFERENCES app.teams(id)".into(),
        validated: true,
    });
    catalog(users)
}

fn named() -> TableRef {
    TableRef { schema: Some(ident("app")), name: ident("users") }
}

/// A server on which the table is readable for one role, and nothing needs it.
fn says(key: &str, sql: &str) -> Answer {
    let row = |cells: &[&str]| cells.iter().map(|cell| Value::from(*cell)).collect::<Vec<_>>();
    match key.split_once(':').map_or(key, |(kind, _)| kind) {
        "grants" => Answer::Rows(vec![
            row(&["default", "", "", "f", "", "t"]),
            row(&["held", "rea\"der", "SELECT", "t", "", "t"]),
            row(&["held", "", "UPDATE", "f", "we\"ird", "t"]),
        ]),
        "along" => Answer::Rows(vec![row(&["index", "app", "users_pkey"]), row(&["sequence", "app", "users_id_seq"])]),
        "users" => Answer::Rows(vec![]),
        _ => answer(key, sql),
    }
}

fn plan(catalog: &Catalog, change: &Change, major: u32) -> Result<Planned, Refused> {
    let at = place();
    let statement = Statement { text: "…".into(), at: place(), span: (0, 1) };
    let table: Option<&Table> = catalog.tables.first();
    let native =
        Native { table, change, statement: &statement, only: true, at: &at, stage: Stage::Now, required: false };
    planned_when(&Operation::Native(native), catalog, major, &says)
}

/// Phase, locks and SQL of each step, and of its undo.
fn steps(change: NamingChange, major: u32) -> String {
    let planned = plan(&users(), &Change::Naming(change), major).expect("it is planned");
    let mut lines = vec![];
    for step in planned.steps {
        let locks: Vec<String> = step.locks.iter().map(|lock| format!("{} {:?}", lock.relation, lock.mode)).collect();
        lines.push(format!("{}: {} [{}]", step.phase, step.title, locks.join(", ")));
        let all = match &step.action {
            Action::Sql(all) => all.clone(),
            Action::Snapshot(snapshot) => snapshot.create.clone(),
            _ => vec![],
        };
        lines.extend(all.iter().map(|sql| format!("  {sql}")));
        lines.extend(step.undo.steps().iter().flat_map(|undo| &undo.sql).map(|sql| format!("  undo: {sql}")));
    }
    lines.join("\n")
}

#[test]
fn a_table_is_renamed_behind_a_view_that_is_open_to_the_same_roles() {
    let change = NamingChange::Table { table: named(), to: ident("peo\"ple") };
    insta::assert_snapshot!(steps(change, 15), @r#"
    expand: let app.users be used as app.peo"ple too, by a view [app.users AccessShare]
      CREATE VIEW "app"."peo""ple" WITH (security_invoker = true) AS SELECT "id", "we""ird" FROM "app"."users"
      ALTER VIEW "app"."peo""ple" OWNER TO "boss"
      REVOKE ALL ON "app"."peo""ple" FROM PUBLIC
      GRANT SELECT ON "app"."peo""ple" TO "rea""der" WITH GRANT OPTION
      GRANT UPDATE ("we""ird") ON "app"."peo""ple" TO PUBLIC
      undo: DROP VIEW IF EXISTS "app"."peo""ple"
    flip: the new name can be used []
    contract: code that uses the old name is gone []
    contract: app.users is app.peo"ple from here on; the old name is gone [app.users AccessExclusive, app.peo"ple AccessExclusive]
      DROP VIEW "app"."peo""ple"
      ALTER TABLE "app"."users" RENAME TO "peo""ple"
      undo: ALTER TABLE "app"."peo""ple" RENAME TO "users"
      undo: CREATE VIEW "app"."peo""ple" WITH (security_invoker = true) AS SELECT "id", "we""ird" FROM "app"."users"
      undo: ALTER VIEW "app"."peo""ple" OWNER TO "boss"
      undo: REVOKE ALL ON "app"."peo""ple" FROM PUBLIC
      undo: GRANT SELECT ON "app"."peo""ple" TO "rea""der" WITH GRANT OPTION
      undo: GRANT UPDATE ("we""ird") ON "app"."peo""ple" TO PUBLIC
    "#);
}

#[test]
fn a_table_that_goes_becomes_its_own_copy() {
    let change = NamingChange::DropTable { table: named(), if_exists: false, cascade: true };
    insta::assert_snapshot!(steps(change, 15), @r#"
    contract: code that uses the table is gone []
    contract: hide app.users as app.users_deprecated [app.users AccessExclusive]
      ALTER TABLE "app"."users" RENAME TO "users_deprecated"
      undo: ALTER TABLE "app"."users_deprecated" RENAME TO "users"
    cleanup: nothing needs the table []
    cleanup: drop the foreign key `users_team_fkey` of app.users_deprecated to app.teams [app.users_deprecated AccessExclusive, app.teams AccessExclusive]
      ALTER TABLE "app"."users_deprecated" DROP CONSTRAINT "users_team_fkey"
    cleanup: move app.users_deprecated to segue.keep_users_4ae8330f, which stays until you drop it [app.users_deprecated AccessExclusive]
      ALTER INDEX "app"."users_pkey" RENAME TO "segue_users_pkey_588d029c"
      ALTER SEQUENCE "app"."users_id_seq" RENAME TO "segue_users_id_seq_fdbf9017"
      ALTER TABLE "app"."users_deprecated" RENAME TO "keep_users_4ae8330f"
      ALTER TABLE "app"."keep_users_4ae8330f" SET SCHEMA "segue"
    "#);
}

#[test]
fn policies_are_not_passed_by_under_another_name() {
    let mut catalog = users();
    catalog.tables[0].row_security = true;
    let change = Change::Naming(NamingChange::Table { table: named(), to: ident("people") });
    assert!(plan(&catalog, &change, 15).is_ok());
    let refused = plan(&catalog, &change, 14).expect_err("a view would show every row");
    assert!(matches!(refused.refusal, Refusal::Impossible { .. }), "{refused}");
}

#[test]
fn what_is_not_there_has_nothing_to_lose() {
    let catalog = Catalog { tables: vec![], ..users() };
    let change = Change::Naming(NamingChange::DropTable { table: named(), if_exists: true, cascade: false });
    let planned = plan(&catalog, &change, 15).expect("it is planned");
    assert!(planned.steps.is_empty() && planned.notes[0].contains("nothing to do"), "{:?}", planned.notes);
}
