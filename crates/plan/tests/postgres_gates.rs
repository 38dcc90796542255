//! What PostgreSQL changes are refused for, and triggers of the user that the sync must not trip over.

#[allow(dead_code, reason = "shared with the other tests of the dialect, which use the rest")]
mod postgres_cases;

use postgres_cases::*;
use segue_model::catalog::{Catalog, Constraint, ConstraintKind, Dependent, Table, Trigger};
use segue_model::expr::{Expr, Nullness};
use segue_model::probe::Answer;
use segue_model::sql::TypeName;
use segue_model::step::{Action, Phase};
use segue_model::value::Value;
use segue_plan::dialect::Planned;
use segue_plan::operation::{AsWritten, AsWrittenKind, NewSide, OldSide, Operation, Pair, Retype};
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

/// `first` and `last`, which may be NULL, in place of `full`, which may not: the way back of a merge.
fn split_of_required(catalog: &Catalog) -> Result<Planned, Refused> {
    let (table, at) = (&catalog.tables[0], place());
    let (first, last) = (new_column("first", "text", false), new_column("last", "text", false));
    let part =
        |n: &str| expr(&["#split_part", "(", "@full", ", ' ', ", n, ")"], Nullness::Column(ident("full")), false);
    let back = expr(&["#concat_ws", "(' ', ", "@first", ", ", "@last", ")"], Nullness::Never, false);
    let operation = Operation::Pair(Pair {
        table,
        new: vec![
            NewSide { column: &first, forward: part("1"), not_null: false },
            NewSide { column: &last, forward: part("2"), not_null: false },
        ],
        old: vec![OldSide { column: &table.columns[1], back }],
        at: &at,
    });
    planned(&operation, catalog, 15)
}

fn required() -> Table {
    table("app", "users", vec![column("id", "integer", "int4", true), column("full", "text", "text", true)])
}

#[test]
fn a_row_of_new_code_without_values_gets_what_back_makes_of_none() {
    let sql = sync_sql(&split_of_required(&catalog(required())).unwrap());
    let body = sql.iter().find(|sql| sql.contains("TG_OP")).unwrap();
    assert!(
        body.contains(r#"IF (NEW."first" IS NULL AND NEW."last" IS NULL) AND NOT (NEW."full" IS NULL) THEN"#),
        "{body}"
    );
    let trigger = sql.iter().find(|sql| sql.starts_with("CREATE TRIGGER")).unwrap();
    assert!(trigger.contains(r#" OR (NEW."full" IS NULL))"#), "{trigger}");

    let mut with_default = required();
    with_default.columns[1].default = Some("''::text".into());
    let sql = sync_sql(&split_of_required(&catalog(with_default)).unwrap());
    assert!(!sql.iter().any(|sql| sql.contains(r#"(NEW."full" IS NULL)"#)), "its default stands in for it");
}

#[test]
fn a_row_type_is_absent_only_as_a_whole() {
    let catalog = catalog(table(
        "app",
        "users",
        vec![column("id", "integer", "int4", true), column("mail", "app.address", "address", false)],
    ));
    let (table, at, new) = (&catalog.tables[0], place(), new_column("email", "app.address", false));
    let operation = Operation::Pair(Pair {
        table,
        new: vec![NewSide { column: &new, forward: strict(&["@mail"], "mail", false), not_null: true }],
        old: vec![OldSide { column: &table.columns[1], back: strict(&["@email"], "email", false) }],
        at: &at,
    });
    let address = |key: &str, sql: &str| match key.split_once(':') {
        Some(("type", "app.address")) => Answer::Rows(vec![["app", "address", "c"].map(Value::from).to_vec()]),
        _ => answer(key, sql),
    };
    let planned = planned_when(&operation, &catalog, 15, &address).unwrap();
    let backfill = planned.steps.iter().find_map(|step| match &step.action {
        Action::Backfill(backfill) => Some(backfill.fill.as_str()),
        _ => None,
    });
    let fill = backfill.unwrap();
    assert!(fill.contains(r#""email" IS NOT DISTINCT FROM NULL"#) && fill.contains(" IS DISTINCT FROM NULL"), "{fill}");
    assert!(!fill.contains("IS NOT NULL") && !fill.contains("IS NULL"), "{fill}");
    let proof = planned.steps.iter().find_map(|step| match &step.action {
        Action::Sql(sql) => sql.iter().map(|sql| sql.as_str()).find(|sql| sql.contains("CHECK (")),
        _ => None,
    });
    let proof = proof.unwrap();
    assert!(proof.ends_with(r#"CHECK ("email" IS DISTINCT FROM NULL) NOT VALID"#), "{proof}");
}

/// A server that computes no part of a transform beforehand, on which `stable` names are STABLE and columns of `kind`.
fn unsteady(stable: &'static [&'static str], kind: &'static str) -> impl Fn(&str, &str) -> Answer {
    let rows = |values: &[&str]| Answer::Rows(vec![values.iter().map(|v| Value::from(*v)).collect()]);
    move |key, sql| match key.split_once(':') {
        Some(("steady", _)) => {
            Answer::Rows(vec![vec![Value::from("Result")], vec![Value::from("  One-Time Filter: (num_nulls(x) >= 0)")]])
        }
        Some(("name", name)) if stable.iter().any(|stable| name.ends_with(stable)) => rows(&["pg_catalog", "2s", "2s"]),
        Some(("type", "text")) => rows(&["pg_catalog", kind, "b"]),
        _ => answer(key, sql),
    }
}

#[test]
fn a_transform_that_depends_on_the_session_is_refused() {
    let catalog = catalog(users());
    let copy = || strict(&["@email"], "email", false);
    let refused = pair_when(&catalog, copy(), &unsteady(&[], "timestamptz")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the transform `mail` of `app.users.email` depends on settings of the session: it is STABLE and not IMMUTABLE (the \
         cast of a value by settings), so the backfill with our TimeZone, DateStyle and the like and the trigger with the \
         application's could make different values of one row"
    );
    assert!(refused.refusal.hint().contains("AT TIME ZONE 'UTC'"));

    let joined = || expr(&["#concat_ws", "(' ', ", "@email", ")"], Nullness::Never, false);
    assert!(pair_when(&catalog, joined(), &unsteady(&["concat_ws"], "text")).is_ok(), "texts are printed as they are");
    let refused = pair_when(&catalog, joined(), &unsteady(&["concat_ws"], "timestamptz")).unwrap_err();
    assert!(refused.to_string().contains("depends on settings"), "{refused}");
    let own = || expr(&["#current_setting", "(", "@email", ")"], Nullness::Unknown, false);
    let refused = pair_when(&catalog, own(), &unsteady(&["current_setting"], "text")).unwrap_err();
    assert!(refused.to_string().contains("(`current_setting`)"), "{refused}");
}

#[test]
fn a_trigger_that_would_come_after_ours_is_named() {
    let mut catalog = catalog(users());
    let after = |name: &str, events: &str| Trigger {
        name: ident(name),
        definition: format!("CREATE TRIGGER \"{name}\" {events} ON app.users FOR EACH ROW EXECUTE FUNCTION f()"),
        ..mine()
    };
    catalog.tables[0].triggers = vec![after("énorm", "BEFORE UPDATE")];
    let refused = pair(&catalog, strict(&["@email"], "email", false)).unwrap_err();
    assert!(
        refused.to_string().starts_with("the trigger `énorm` of app.users would run after the sync triggers"),
        "{refused}"
    );
    assert!(refused.refusal.hint().contains("RENAME TO"));
    for harmless in [after("énorm", "BEFORE DELETE"), after("norm", "BEFORE UPDATE"), after("~me", "BEFORE UPDATE")] {
        catalog.tables[0].triggers = vec![harmless];
        assert!(pair(&catalog, strict(&["@email"], "email", false)).is_ok());
    }
}

#[test]
fn what_the_backfill_makes_triggers_do_is_said_of_every_kind_of_change() {
    let of = |name: &str, before: bool, rest: &str| Trigger {
        name: ident(name),
        before_row: before,
        enabled: 'O',
        definition: format!("CREATE TRIGGER {name} {rest} EXECUTE FUNCTION f()"),
    };
    let triggers = [
        of("audit", false, "AFTER INSERT OR UPDATE ON app.users FOR EACH ROW"),
        of("of_mail", false, "AFTER UPDATE OF mail ON app.users FOR EACH ROW"),
        of("told", false, "AFTER UPDATE ON app.users FOR EACH STATEMENT"),
        of("touch", true, "BEFORE UPDATE ON app.users FOR EACH ROW"),
    ];
    let said = |planned: Planned| planned.notes.into_iter().find(|note| note.contains("the backfill runs")).unwrap();
    let mut users = catalog(users());
    users.tables[0].triggers = triggers[..1].to_vec();
    users.tables[0].triggers.extend(triggers[2..].to_vec());
    assert_eq!(
        said(pair(&users, strict(&["@email"], "email", false)).unwrap()),
        "the backfill runs triggers of app.users: `audit`, `touch` once for each row it fills, `told` once for each window it \
         fills; what they write (an `updated_at`, an audit row, a NOTIFY) stays after a rollback"
    );
    let mut wide = wide(true);
    wide.tables[0].triggers = vec![triggers[1].clone(), triggers[3].clone()];
    let note = said(retype_of(&wide, "bigint", 15).unwrap());
    assert!(note.starts_with("the backfill runs triggers of public.ev: `touch` once for each row"), "{note}");
}

#[test]
fn what_holds_a_column_is_listed_once() {
    let mut catalog = catalog(users());
    let table = &mut catalog.tables[0];
    let check = Constraint {
        name: Some(ident("t_check")),
        kind: ConstraintKind::Check,
        columns: vec![ident("mail")],
        definition: "CHECK (mail <> '')".into(),
        ..table.constraints[0].clone()
    };
    table.constraints.push(check);
    let definition = "CREATE TRIGGER tr AFTER UPDATE OF mail ON app.users FOR EACH ROW EXECUTE FUNCTION f()".to_owned();
    table.triggers = vec![Trigger { name: ident("tr"), before_row: false, enabled: 'O', definition }];
    let dependent =
        |kind: &str, name: &str| Dependent { kind: kind.into(), name: name.into(), columns: vec![ident("mail")] };
    table.dependents = vec![dependent("check", "t_check"), dependent("trigger", "tr"), dependent("view", "app.v")];
    let refused = pair(&catalog, strict(&["@email"], "email", false)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "not yet: a change of `app.users.mail`, to which is bound: the CHECK `t_check` of app.users; the view `app.v`; \
         the trigger `tr`"
    );
}

#[test]
fn what_as_written_would_fail_on_is_known_before() {
    let catalog = catalog(users());
    let (migration, at) = (migration(), place());
    let written = |what, answer: &dyn Fn(&str, &str) -> Answer| {
        let operation = Operation::AsWritten(AsWritten { statement: &migration.statements[0], at: &at, what });
        planned_when(&operation, &catalog, 15, answer)
    };
    let failing = |kind: &'static str| {
        move |key: &str, sql: &str| match key.starts_with(kind) {
            true => Answer::Failed { code: "22P02".into(), message: "invalid input syntax".into() },
            false => answer(key, sql),
        }
    };
    let mut column = new_column("age", "integer", false);
    column.default = Some(expr(&["'x'"], Nullness::Never, false));
    let add = || AsWrittenKind::AddColumns { table: &catalog.tables[0], columns: vec![&column] };
    assert!(written(add(), &answer).is_ok());
    let refused = written(add(), &failing("own default:")).unwrap_err();
    assert_eq!(refused.to_string(), "the DEFAULT `'x'` of `app.users.age`: invalid input syntax");
    let refused = written(add(), &failing("type:")).unwrap_err();
    assert!(refused.to_string().starts_with("the type `integer` cannot be used here"), "{refused}");

    let create = || AsWrittenKind::CreateTable { schema: ident("nowhere"), name: ident("t"), beside: vec![] };
    let no_schema = |key: &str, sql: &str| match key.starts_with("schema:") {
        true => Answer::Rows(vec![]),
        false => answer(key, sql),
    };
    assert!(written(create(), &answer).is_ok());
    let refused = written(create(), &no_schema).unwrap_err();
    assert_eq!(refused.to_string(), "CREATE TABLE in the schema `nowhere`: there is no such schema");
}

#[test]
fn types_are_shown_as_people_write_them() {
    let kinds = |key: &str, sql: &str| match key {
        "type:pg_catalog.int8" => Answer::Rows(vec![["pg_catalog", "int8", "b"].map(Value::from).to_vec()]),
        _ => answer(key, sql),
    };
    let (catalog, migration, at, to) = (wide(true), migration(), place(), TypeName::spelled("pg_catalog.int8"));
    let (table, statement) = (&catalog.tables[0], &migration.statements[0]);
    let operation =
        Operation::Retype(Retype { table, column: &table.columns[1], to: &to, using: None, statement, at: &at });
    let planned = planned_when(&operation, &catalog, 15, &kinds).unwrap();
    let titles: Vec<&str> = planned.steps.iter().map(|step| step.title.as_str()).collect();
    assert!(titles.iter().any(|title| title.contains("of type bigint")), "{titles:?}");
    assert!(!titles.iter().chain([&planned.flip.as_str()]).any(|text| text.contains("int8")), "{titles:?}");
}
