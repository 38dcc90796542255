//! A file in, what it means or why it is refused out: without a parser and without a database.

#[allow(dead_code, reason = "shared with the unit tests, which use the rest")]
mod fixture;

use fixture::{Script, column, expr, ident, of, server, strict, table, total, users};
use segue_model::catalog::{Catalog, TableKind};
use segue_model::change::{Change, ColumnChange, ColumnProperty, Directive, Migration, RowsChange};
use segue_model::engine::Engine;
use segue_model::expr::{Expr, Nullness};
use segue_model::plan::Plan;
use segue_model::plan_file;
use segue_model::probe::{Answer, Answers, Probe};
use segue_model::sql::Written;
use segue_model::step::{Action, Phase};
use segue_plan::fingerprint;
use segue_plan::group::group;
use segue_plan::operation::{AsWrittenKind, Operation, Thresholds};
use segue_plan::refusal::Refused;

/// Returns the operations of a file, or its refusals with their hints.
#[track_caller]
fn meaning_on(migration: &Migration, catalog: &Catalog) -> String {
    let lines: Vec<String> = match group(migration, catalog) {
        Ok(operations) => operations.iter().map(shown).collect(),
        Err(refused) => refused.iter().map(refusal).collect(),
    };
    lines.join("\n")
}

fn refusal(refused: &Refused) -> String {
    let line = refused.at.as_ref().map_or(0, |at| at.line);
    format!("line {line}: {refused} → {}", refused.refusal.hint())
}

#[track_caller]
fn meaning(script: Script) -> String {
    meaning_on(&script.done(), &users(Engine::Postgres))
}

fn shown(operation: &Operation<'_>) -> String {
    let bang = |not_null: bool| if not_null { " NOT NULL" } else { "" };
    match operation {
        Operation::AsWritten(written) => match &written.what {
            AsWrittenKind::AddColumns { columns, .. } => {
                let names: Vec<_> = columns.iter().map(|c| c.name.to_string()).collect();
                format!("as written, adds {}", names.join(", "))
            }
            AsWrittenKind::CreateTable { name, .. } => format!("as written, creates {name}"),
            AsWrittenKind::CreateIndex { table, .. } => format!("as written, indexes {table}"),
            AsWrittenKind::AlterNewTable { table, .. } => format!("as written, alters {table}"),
        },
        Operation::Fill(f) => format!("fill {} = {}{}", f.column.name, sql(&f.forward), bang(f.not_null)),
        Operation::Pair(pair) => {
            let new = pair.new.iter().map(|n| format!("{} = {}{}", n.column.name, sql(&n.forward), bang(n.not_null)));
            let old = pair.old.iter().map(|o| format!("{} = {}", o.column.name, sql(&o.back)));
            format!("pair {} ⇄ {}", new.collect::<Vec<_>>().join(", "), old.collect::<Vec<_>>().join(", "))
        }
        Operation::Retype(retype) => format!("retype {} to {}", retype.column.name, retype.to),
        Operation::Rows(rows) => {
            let moved: Vec<String> = rows.moved.iter().map(|column| column.name.to_string()).collect();
            format!("rows of {} take {}", rows.into.name().name, moved.join(", "))
        }
        Operation::Native(native) => format!("{} on its own, {:?}", native.change.kind(), native.stage),
    }
}

fn sql(expr: &Expr) -> String {
    expr.render(&|column| format!("<{column}>"), &|_| String::new()).as_str().to_owned()
}

fn first() -> Expr {
    strict("split_part(full_name, ' ', 1)", &["full_name"])
}

fn last() -> Expr {
    strict("split_part(full_name, ' ', 2)", &["full_name"])
}

fn full() -> Expr {
    total("concat_ws(' ', first_name, last_name)", &["first_name", "last_name"])
}

/// The example of the design, without its down file.
fn split_up() -> Script {
    Script::new("full_name")
        .add("users", column("full_name", "text"))
        .transform("users", &[("full_name", full())])
        .set_not_null("users", "full_name")
        .drop("users", "first_name")
        .drop("users", "last_name")
}

fn split() -> Script {
    let down = Script::new("full_name").transform("users", &[("first_name", first()), ("last_name", last())]);
    split_up().down(down)
}

fn back(column: &str, expr: Expr) -> Directive {
    Directive::Back { table: of("users"), assignments: vec![(ident(column), expr)] }
}

#[test]
fn nullable_and_constant_columns_run_as_written() {
    let script = Script::new("m")
        .add("users", column("a", "text"))
        .add("users", column("b", "int").not_null().default("0"))
        .add("public.users", column("c", "int").default("1"));
    insta::assert_snapshot!(meaning(script), @r"
    as written, adds a
    as written, adds b
    as written, adds c
    ");
}

#[test]
fn several_adds_of_one_statement_are_one() {
    let add = |name: &str| {
        let migration = Script::new("m").add("users", column(name, "int")).done();
        migration.changes[0].what.clone()
    };
    let script = Script::new("m").statement("ALTER TABLE users ADD a int, ADD b int", vec![add("a"), add("b")]);
    insta::assert_snapshot!(meaning(script), @"as written, adds a, b");
    let drop = Change::DropColumn { table: of("users"), column: ident("age") };
    let script = Script::new("m").statement("ALTER TABLE users ADD a int, DROP age", vec![add("a"), drop]);
    insta::assert_snapshot!(meaning(script), @"line 1: not yet: a statement that adds `a` and does more → Write that ADD COLUMN as a statement of its own.");
}

#[test]
fn each_command_of_a_statement_goes_its_own_way_where_one_is_not_done_at_once() {
    let add = |new: fixture::New| {
        let migration = Script::new("m").add("users", new.taken_apart()).done();
        migration.changes[0].what.clone()
    };
    let drawn = || column("c", "uuid").default_expr(expr("gen_random_uuid()", &["-"], Nullness::Unknown));
    let drop = Change::DropColumn { table: of("users"), column: ident("age") };
    let of_commands = |changes| meaning(Script::new("m").statement("ALTER TABLE users …", changes));
    let plain = || add(column("a", "int"));
    insta::assert_snapshot!(of_commands(vec![plain(), add(column("b", "int").default("1"))]), @"as written, adds a, b");
    insta::assert_snapshot!(of_commands(vec![plain(), drop]), @r"
    add_column on its own, Now
    drop_column on its own, Now
    ");
    insta::assert_snapshot!(of_commands(vec![plain(), add(drawn())]), @r"
    add_column on its own, Now
    add_column on its own, Now
    ");
    let late = Script::new("m").add("users", column("d", "int").default("1").taken_apart()).set_not_null("users", "d");
    insta::assert_snapshot!(meaning(late), @"add_column on its own, Now");
}

#[test]
fn nulls_of_a_column_that_is_there_are_filled_and_settled_together() {
    let fill = Change::Column(ColumnChange {
        table: of("users"),
        column: ident("age"),
        what: ColumnProperty::Fill(strict("0", &[])),
        command: Written::parsed("UPDATE users SET age = 0 WHERE age IS NULL"),
    });
    let once = Script::new("m").statement("UPDATE users …", vec![fill]);
    let strategy = |script: Script| {
        let migration = script.done();
        let catalog = users(Engine::Postgres);
        let operations = group(&migration, &catalog).unwrap();
        operations.iter().any(|operation| matches!(operation, Operation::Native(native) if native.keeps_old_shape()))
    };
    assert!(!strategy(once.clone()), "what was NULL has its value, and NULL may come again");
    assert!(strategy(once.set_not_null("users", "age")), "running code still writes NULL");
}

#[test]
fn a_new_table_and_what_is_done_to_it_run_as_written() {
    let script = Script::new("m")
        .create_table("orders")
        .create_index("orders")
        .add("orders", column("x", "int").not_null())
        .set_not_null("orders", "x")
        .drop("public.orders", "x");
    insta::assert_snapshot!(meaning(script), @r"
    as written, creates orders
    as written, indexes orders
    as written, alters orders
    as written, alters orders
    as written, alters orders
    ");
}

#[test]
fn a_column_filled_from_columns_that_stay_is_a_fill() {
    let script = Script::new("m")
        .add("users", column("adult", "bool"))
        .transform("users", &[("adult", total("coalesce(age, 0) >= 18", &["age"]))])
        .set_not_null("users", "adult");
    insta::assert_snapshot!(meaning(script), @"fill adult = (coalesce(<age>, 0) >= 18) NOT NULL");
    let constant = Script::new("m").add("users", column("c", "text").not_null()).update("users", "c", "'x'");
    insta::assert_snapshot!(meaning(constant), @"fill c = ('x') NOT NULL");
}

#[test]
fn new_columns_that_read_dropped_ones_are_a_pair() {
    insta::assert_snapshot!(meaning(split()), @"pair full_name = (concat_ws(' ', <first_name>, <last_name>)) NOT NULL ⇄ first_name = (split_part(<full_name>, ' ', 1)), last_name = (split_part(<full_name>, ' ', 2))");
}

#[test]
fn directives_say_what_updates_say() {
    let forward =
        Directive::Forward { table: of("users"), column: ident("name"), expr: strict("first_name", &["first_name"]) };
    let script = Script::new("m")
        .directive(forward)
        .directive(back("first_name", strict("name", &["name"])))
        .add("users", column("name", "text"))
        .drop("users", "first_name");
    insta::assert_snapshot!(meaning(script), @"pair name = (<first_name>) ⇄ first_name = (<name>)");
}

#[test]
fn columns_that_do_not_follow_from_each_other_are_two_pairs() {
    let script = Script::new("m")
        .add("users", column("given", "text"))
        .add("users", column("years", "int"))
        .transform("users", &[("given", strict("first_name", &["first_name"])), ("years", strict("age", &["age"]))])
        .drop("users", "first_name")
        .drop("users", "age")
        .directive(back("first_name", strict("given", &["given"])))
        .directive(back("age", strict("years", &["years"])));
    insta::assert_snapshot!(meaning(script), @r"
    pair given = (<first_name>) ⇄ first_name = (<given>)
    pair years = (<age>) ⇄ age = (<years>)
    ");
}

#[test]
fn sqlite_names_have_no_case_and_take_the_catalogs_spelling() {
    let migration = Script::new("m")
        .add("USERS", column("Full", "text"))
        .transform("Users", &[("FULL", total("coalesce(FIRST_NAME, '')", &["FIRST_NAME"]))])
        .drop("uSers", "First_Name")
        .down(Script::new("m").transform("users", &[("first_NAME", strict("full", &["full"]))]))
        .done();
    insta::assert_snapshot!(meaning_on(&migration, &users(Engine::Sqlite)), @"pair Full = (coalesce(<first_name>, '')) ⇄ first_name = (<Full>)");
    insta::assert_snapshot!(meaning_on(&migration, &users(Engine::Postgres)), @r"
    line 1: there is no table `USERS` → Did you mean `users`?
    line 2: there is no table `Users` → Did you mean `users`?
    line 3: there is no table `uSers` → Did you mean `users`?
    ");
}

#[test]
fn a_missing_transform_prints_the_line_to_add() {
    insta::assert_snapshot!(meaning(split_up()), @r"
    line 4: nothing says how `users.first_name` follows from `full_name` → Add to the migration, or the UPDATE that says the same to its down file: `-- segue: back users.first_name = …`
    line 5: nothing says how `users.last_name` follows from `full_name` → Add to the migration, or the UPDATE that says the same to its down file: `-- segue: back users.last_name = …`
    ");
    let forward = Script::new("m")
        .add("users", column("Name", "text"))
        .drop("users", "first_name")
        .directive(back("first_name", strict("Name", &["Name"])));
    insta::assert_snapshot!(meaning(forward), @r#"line 1: nothing says how `users.Name` follows from `first_name` → Add to the migration, or the UPDATE that says the same: `-- segue: users."Name" = …`"#);
    let required = Script::new("m").add("users", column("c", "text").not_null());
    insta::assert_snapshot!(meaning(required), @"line 1: nothing says how `users.c` follows from the other columns → Add to the migration, or the UPDATE that says the same: `-- segue: users.c = …`");
}

#[test]
fn a_transform_that_can_be_null_prints_one_that_cannot() {
    let chain = |columns: &[&str]| strict("first_name || ' ' || last_name", columns);
    let script = Script::new("m")
        .add("users", column("full_name", "text").not_null())
        .transform("users", &[("full_name", chain(&["first_name", "last_name"]))]);
    insta::assert_snapshot!(meaning(script), @"line 2: `first_name || ' ' || last_name` can be NULL, and `users.full_name` must not → Write `coalesce(first_name, '') || ' ' || coalesce(last_name, '')`.");
    let other = Script::new("m")
        .add("users", column("c", "int").not_null())
        .transform("users", &[("c", strict("age * 2", &["age"]))]);
    insta::assert_snapshot!(meaning(other), @"line 2: `age * 2` can be NULL, and `users.c` must not → Write `coalesce(age * 2, …)`.");
    let mixed = Script::new("m")
        .add("users", column("c", "text").not_null())
        .transform("users", &[("c", strict("id || '/' || age || lower(last_name)", &["id", "age", "last_name"]))]);
    insta::assert_snapshot!(meaning(mixed), @"line 2: `id || '/' || age || lower(last_name)` can be NULL, and `users.c` must not → Write `id || '/' || coalesce(CAST(age AS text), '') || coalesce(lower(last_name), '')`.");
}

#[test]
fn a_back_transform_must_be_total_for_an_old_column_that_is_not_null() {
    let mut catalog = users(Engine::Postgres);
    catalog.tables[0].columns[1].not_null = true;
    let script = |new: fixture::New| {
        let script =
            Script::new("m").add("users", new).transform("users", &[("given", total("first_name", &["first_name"]))]);
        script.drop("users", "first_name").directive(back("first_name", strict("given", &["given"]))).done()
    };
    insta::assert_snapshot!(meaning_on(&script(column("given", "text")), &catalog), @"line 2: `given` can be NULL, and `users.first_name` must not → Write `coalesce(given, …)`.");
    insta::assert_snapshot!(meaning_on(&script(column("given", "text").not_null()), &catalog), @"pair given = (<first_name>) NOT NULL ⇄ first_name = (<given>)");
}

#[test]
fn names_that_are_not_there_are_said_with_the_nearest() {
    let script = Script::new("m")
        .add("user", column("c", "text"))
        .drop("users", "first_nam")
        .set_not_null("users", "zzzzzz")
        .alter_type("users", "ids", "bigint")
        .add("users", column("d", "text"))
        .transform("users", &[("d", strict("lastname", &["lastname"]))]);
    insta::assert_snapshot!(meaning(script), @r"
    line 1: there is no table `user` → Did you mean `users`?
    line 2: the table `users` has no column `first_nam` → Did you mean `first_name`?
    line 3: the table `users` has no column `zzzzzz` → Check the name, and whether an earlier migration that adds it was applied.
    line 4: the table `users` has no column `ids` → Did you mean `id`?
    line 6: the table `users` has no column `lastname` → Did you mean `last_name`?
    ");
}

#[test]
fn what_is_there_is_not_made_again() {
    let script = Script::new("m")
        .create_table("users")
        .create_table("orders")
        .create_table("orders")
        .add("public.users", column("age", "int"));
    insta::assert_snapshot!(meaning(script), @r"
    line 1: `users` exists already → Choose another name, or drop `users` first.
    line 3: `orders` exists already → Choose another name, or drop `orders` first.
    line 4: `public.users.age` exists already → Choose another name, or drop `public.users.age` first.
    ");
    let twice = Script::new("m").add("users", column("c", "int")).add("users", column("c", "text"));
    insta::assert_snapshot!(meaning(twice), @"line 2: `users.c` exists already → Choose another name, or drop `users.c` first.");
}

#[test]
fn what_a_later_version_does_is_refused_by_name() {
    let script = Script::new("m")
        .drop("users", "age")
        .set_not_null("users", "first_name")
        .create_index("users")
        .add("users", column("r", "int").with("REFERENCES"))
        .add("users", column("v", "uuid").default_expr(expr("gen_random_uuid()", &["-"], Nullness::Unknown)))
        .statement("ALTER TABLE a RENAME", vec![Change::NotYet { what: "RENAME COLUMN".into(), table: None }])
        .statement("DO $$", vec![Change::Opaque { what: "DO $$".into() }])
        .directive(Directive::NotYet("later".into()));
    insta::assert_snapshot!(meaning(script), @r"
    line 4: not yet: ADD COLUMN `r` with REFERENCES → Leave the clause out, or add the column without it for now.
    line 5: not yet: ADD COLUMN `v` with a DEFAULT that is not a constant → Add it without the DEFAULT and fill it by an UPDATE.
    line 6: not yet: RENAME COLUMN → Leave it out of this file until Segue carries it out.
    line 7: this SQL is not understood: `DO $$` → Write it as statements that Segue knows, one change a statement.
    line 8: not yet: later → Leave it out of this file until Segue carries it out.
    ");
}

/// Returns rows of `names` that follow from `users`.
fn names_of_users(value: &str) -> Vec<Change> {
    let rows = RowsChange {
        into: of("names"),
        columns: vec![ident("user_id"), ident("name")],
        from: of("users"),
        values: vec![strict("id", &["id"]), strict(value, &[value])],
        on: vec![],
        filter: None,
        present: vec![],
    };
    vec![Change::Rows(rows)]
}

#[test]
fn columns_that_rows_of_another_table_take_are_not_dropped_for_themselves() {
    let script = Script::new("m")
        .create_table("names")
        .statement("INSERT INTO names …", names_of_users("first_name"))
        .drop("users", "first_name")
        .drop("users", "age");
    insta::assert_snapshot!(meaning(script), @r"
    as written, creates names
    rows of names take first_name
    drop_column on its own, Now
    ");
    let script = Script::new("m")
        .create_table("names")
        .drop("users", "first_name")
        .statement("INSERT INTO names …", names_of_users("first_name"))
        .statement("INSERT INTO names …", names_of_users("fist_name"));
    insta::assert_snapshot!(meaning(script), @r"
    line 3: the statement that reads `first_name`: the column is dropped before it → Move it above the DROP COLUMN.
    line 4: the table `users` has no column `fist_name` → Did you mean `first_name`?
    ");
    let script = Script::new("m").statement("INSERT INTO names …", names_of_users("first_name"));
    insta::assert_snapshot!(meaning(script), @"line 1: there is no table `names` → Check the name, its schema and the database that the URL points to.");
}

#[test]
fn transforms_read_one_side_alone() {
    let script = Script::new("m")
        .add("users", column("a", "text"))
        .add("users", column("b", "text"))
        .transform("users", &[("a", strict("first_name", &["first_name"]))])
        .transform("users", &[("b", strict("first_name || age || a", &["first_name", "age", "a"]))])
        .drop("users", "first_name")
        .directive(back("first_name", strict("b || last_name", &["b", "last_name"])));
    insta::assert_snapshot!(meaning(script), @r"
    line 4: not yet: a transform that reads `a`, a column that this file adds → Write what that column is made of instead.
    line 6: not yet: a back transform that reads `last_name`, a column that stays → Write it over the new columns alone.
    ");
    let stays = Script::new("m")
        .add("users", column("b", "text"))
        .transform("users", &[("b", strict("first_name || age", &["first_name", "age"]))])
        .drop("users", "first_name")
        .directive(back("first_name", strict("b", &["b"])));
    insta::assert_snapshot!(meaning(stays), @"line 2: not yet: a transform that reads `age`, a column that stays, beside columns that are dropped → Write it over the dropped columns alone.");
}

#[test]
fn a_file_out_of_order_is_refused() {
    let late = Script::new("m")
        .add("users", column("given", "text"))
        .drop("users", "first_name")
        .transform("users", &[("given", strict("first_name", &["first_name"]))])
        .directive(back("first_name", strict("given", &["given"])));
    insta::assert_snapshot!(meaning(late), @"line 3: the UPDATE that reads `first_name`: the column is dropped before it → Move the UPDATE above the DROP COLUMN.");
    let early = Script::new("m").update("users", "c", "'x'").add("users", column("c", "text"));
    insta::assert_snapshot!(meaning(early), @"line 1: the UPDATE of `c`: it stands before the statement that adds the column → Move it below that statement.");
}

#[test]
fn one_column_is_said_once() {
    let script = Script::new("m")
        .add("users", column("c", "text"))
        .update("users", "c", "'x'")
        .update("users", "c", "'y'")
        .drop("users", "age")
        .drop("users", "age")
        .alter_type("users", "id", "bigint")
        .alter_type("users", "id", "text")
        .alter_type("users", "age", "text");
    insta::assert_snapshot!(meaning(script), @r"
    line 3: the transform of `c`: the file says before what the column becomes → Say it once.
    line 5: DROP COLUMN `age`: the column is dropped before → Say it once.
    line 7: ALTER COLUMN `id` TYPE text: its type is changed before → Say it once.
    line 8: not yet: another type for `age` in the file that moves it to another column → Do it in a migration of its own.
    ");
}

#[test]
fn another_type_is_an_operation_a_column() {
    let script = Script::new("m").alter_type("users", "id", "bigint").alter_type("users", "age", "bigint");
    insta::assert_snapshot!(meaning(script), @r"
    retype id to bigint
    retype age to bigint
    ");
}

#[test]
fn the_kind_of_table_decides_what_can_be_done() {
    let on = |kind: TableKind, inherits: bool, script: &Script| {
        let mut catalog = users(Engine::Postgres);
        catalog.tables[0].kind = kind;
        catalog.tables[0].inherits = inherits;
        meaning_on(&script.clone().done(), &catalog)
    };
    let add = Script::new("m").add("users", column("c", "text"));
    assert_eq!(on(TableKind::Partitioned, true, &add), "as written, adds c");
    insta::assert_snapshot!(on(TableKind::Partition, true, &add), @"line 1: a change of `users`: it is a partition: its columns are those of the partitioned table → Change the table that it is made of.");
    insta::assert_snapshot!(on(TableKind::View, false, &add), @"line 1: a change of `users`: it is a view: its columns are those of its query → Change the table that it is made of.");
    insta::assert_snapshot!(on(TableKind::Foreign, false, &add), @"line 1: not yet: a change of `users`, a foreign table → Change the table on the server that holds it.");
    let fill = add.update("users", "c", "'x'");
    insta::assert_snapshot!(on(TableKind::Partitioned, true, &fill), @"line 2: not yet: keeping two shapes of `users`, a partitioned table, side by side → Only columns that are nullable or have a constant default can be added to it so far.");
    insta::assert_snapshot!(on(TableKind::Ordinary, true, &split()), @"line 2: not yet: keeping two shapes of `users`, a table with parents or children, side by side → Only columns that are nullable or have a constant default can be added to it so far.");
}

#[test]
fn touched_tables_are_those_of_up_and_down() {
    let mut catalog = users(Engine::Postgres);
    catalog.tables.push(table(Engine::Postgres, "accounts", &[("id", "integer", true)]));
    catalog.tables.push(table(Engine::Postgres, "others", &[("id", "integer", true)]));
    let migration = Script::new("m")
        .create_table("orders")
        .add("users", column("c", "text"))
        .down(Script::new("m").drop("accounts", "x"))
        .done();
    let touched: Vec<String> = segue_plan::touched(&migration, &catalog).iter().map(ToString::to_string).collect();
    assert_eq!(touched, ["public.accounts", "public.users"]);
}

#[test]
fn directives_that_cannot_be_followed_are_refused_with_the_nearest() {
    let allow = |rule: &str| Directive::Allow { rule: rule.into(), reason: "x".into() };
    let migration = Script::new("m")
        .add("users", column("c", "text"))
        .directive(Directive::Strategy("expand-contrat".into()))
        .directive(Directive::Strategy("big-bang".into()))
        .directive(Directive::Strategy("expand-contract".into()))
        .directive(allow("not-null-scam"))
        .directive(allow("not-null-scan"))
        .directive(back("fist_name", strict("c", &["c"])))
        .done();
    let catalog = users(Engine::Postgres);
    let plan = |migration: &Migration| {
        let refused = segue_plan::probes(
            migration,
            &catalog,
            &server(Engine::Postgres),
            &Default::default(),
            &Thresholds::DEFAULT,
        );
        refused.map_or_else(|refused| refused.iter().map(refusal).collect::<Vec<_>>().join("\n"), |_| "fits".into())
    };
    insta::assert_snapshot!(plan(&migration), @r"
    line 2: strategy `expand-contrat`: there is no such strategy → Did you mean `expand-contract`?
    line 3: not yet: strategy big-bang → Take the directive out: the plan says which strategy it follows and why.
    line 5: rule `not-null-scam`: there is no such rule → Did you mean `not-null-scan`?
    line 7: the back transform of `fist_name`: this file does not drop that column → Name a column that the file drops.
    ");
    let wrong =
        Script::new("m").add("users", column("c", "text")).directive(Directive::Strategy("expand-contract".into()));
    insta::assert_snapshot!(plan(&wrong.done()), @"line 2: strategy expand-contract: this file needs additive → Take the directive out: the plan says which strategy it follows and why.");
}

#[test]
fn a_lazy_file_leaves_its_rows_to_those_who_touch_them() {
    let lazy = |script: Script| script.directive(Directive::Strategy("lazy".into()));
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let catalog = users(engine);
        let moving = |script: Script| {
            let plan = planned(script, &catalog, &yes).unwrap();
            let lazy = plan.steps.iter().any(|step| matches!(&step.action, Action::Backfill(one) if one.lazy));
            let mode = plan.evidence.moving.values().next().unwrap();
            let note = plan.notes.iter().find(|note| note.contains("lazy")).cloned().unwrap_or_default();
            format!("{:?}: {}; lazy {lazy}; {note}", mode.mode, mode.because)
        };
        assert_eq!(moving(fill()), "Batched: 1,000,000 rows, between 100,000 and 10,000,000; lazy false; ");
        assert_eq!(
            moving(lazy(fill())),
            "Lazy: 1,000,000 rows, and the file says so; lazy true; Strategy lazy: rows are filled when somebody writes them. \
             Contract waits until all are, and so does what shows that all are right; `segue apply m --complete` \
             brings the rest over."
        );
        let nothing = lazy(Script::new("m").add("users", column("c", "text")));
        let refused = planned(nothing, &catalog, &yes).unwrap_err();
        assert_eq!(
            refused,
            "line 2: strategy lazy: this file brings no rows over, so none can be left for later → Take the directive out."
        );
    }
}

#[test]
fn hostile_names_stay_names() {
    let name = "we\"ird {x} $1 \\ 😀\u{1b}[2J";
    let script = Script::new("m").add("users", column(name, "text").not_null());
    insta::assert_snapshot!(meaning(script), @r#"line 1: nothing says how `users.we"ird {x} $1 \ 😀\u{1b}[2J` follows from the other columns → Add to the migration, or the UPDATE that says the same: `-- segue: users."we""ird {x} $1 \ 😀\u{1b}[2J" = …`"#);
}

/// Returns a plan, every probe answered by `answer`.
#[track_caller]
fn planned(script: Script, catalog: &Catalog, answer: &dyn Fn(&Probe) -> Answer) -> Result<Plan, String> {
    let migration = script.done();
    let server = server(catalog.engine);
    let refusals = |refused: Vec<Refused>| refused.iter().map(refusal).collect::<Vec<_>>().join("\n");
    let mut answers = Answers::new();
    for _ in 0..6 {
        let open =
            segue_plan::probes(&migration, catalog, &server, &answers, &Thresholds::DEFAULT).map_err(refusals)?;
        if open.is_empty() {
            return segue_plan::plan(&migration, catalog, &server, &answers, "shape", &Thresholds::DEFAULT)
                .map_err(refusals);
        }
        answers.extend(open.iter().map(|probe| (probe.key.clone(), answer(probe))));
    }
    panic!("the questions do not end: {:?}", answers.keys());
}

/// Says yes to every question, in up to three columns.
fn yes(_: &Probe) -> Answer {
    Answer::Rows(vec![vec!["t".into(), "t".into(), "t".into()]])
}

/// Checks what holds for every plan, and returns its strategy and phases.
#[track_caller]
fn sound(plan: &Plan) -> String {
    let ids: Vec<u32> = plan.steps.iter().map(|step| step.id).collect();
    assert_eq!(ids, (1..=ids.len() as u32).collect::<Vec<_>>());
    assert!(plan.steps.is_sorted_by_key(|step| step.phase));
    assert!(plan.steps.iter().all(|step| step.provisional == (step.phase >= Phase::Contract)));
    assert!(fingerprint::verify(plan));
    assert_eq!(&plan_file::from_json(&plan_file::to_json(plan)).expect("the plan that was written"), plan);
    let text = segue_plan::render::text(plan);
    for step in &plan.steps {
        assert!(text.contains(&step.title) && segue_plan::render::sql(plan).contains(&step.title), "{}", step.title);
    }
    let mut phases: Vec<Phase> = plan.steps.iter().map(|step| step.phase).collect();
    phases.dedup();
    let phases: Vec<String> = phases.iter().map(ToString::to_string).collect();
    format!("{}: {} of {}", plan.strategy.name(), phases.join(" "), plan.tables.len())
}

fn fill() -> Script {
    let adult = total("coalesce(age, 0) >= 18", &["age"]);
    Script::new("m").add("users", column("adult", "bool")).transform("users", &[("adult", adult)])
}

#[test]
fn whole_plans_on_postgres_are_sound() {
    let catalog = users(Engine::Postgres);
    let plan = |script| sound(&planned(script, &catalog, &yes).unwrap());
    let additive = Script::new("m").create_table("orders").create_index("orders").add("users", column("c", "text"));
    assert_eq!(plan(additive), "additive: expand of 1");
    let full = "expand-contract: expand sync backfill verify";
    assert!(plan(fill()).starts_with(full));
    let split = plan(split());
    assert!(split.starts_with(full) && split.contains("contract cleanup"), "{split}");
}

#[test]
fn whole_plans_on_sqlite_are_sound() {
    let mut catalog = users(Engine::Sqlite);
    let table = "CREATE TABLE users (id INTEGER PRIMARY KEY, first_name text, last_name text, age integer)";
    catalog.tables[0].sql = Some(table.into());
    let plan = |script| sound(&planned(script, &catalog, &yes).unwrap());
    assert_eq!(
        plan(Script::new("m").create_table("orders").add("users", column("c", "text"))),
        "additive: expand of 1"
    );
    let full = "expand-contract: expand sync backfill verify";
    assert!(plan(fill()).starts_with(full));
    let rename = Script::new("m")
        .add("users", column("given", "text"))
        .transform("users", &[("given", strict("first_name", &["first_name"]))])
        .drop("users", "first_name")
        .down(Script::new("m").transform("users", &[("first_name", strict("given", &["given"]))]));
    let rename = plan(rename);
    assert!(rename.starts_with(full) && rename.contains("contract cleanup"), "{rename}");
}

#[test]
fn row_counts_change_no_hash() {
    let hash = |rows: u64| {
        let mut catalog = users(Engine::Postgres);
        catalog.tables[0].size.rows = Some(rows);
        let plan = planned(split(), &catalog, &yes).unwrap();
        assert_eq!(plan.evidence.rows["public.users"], rows);
        plan.hash
    };
    assert_eq!(hash(1_000_000), hash(999_999_999));
}

#[test]
fn what_the_down_file_cannot_do_yet_is_said() {
    let down = Script::new("m").statement("ALTER TABLE", vec![Change::NotYet { what: "RENAME".into(), table: None }]);
    let script = Script::new("m").add("users", column("c", "text")).down(down);
    let plan = planned(script, &users(Engine::Postgres), &yes).unwrap();
    let note = "The down file holds what is not carried out yet (line 1: RENAME): `segue rollback` does not need it, `segue down` will refuse it.";
    assert!(plan.notes.iter().any(|known| known == note), "{:?}", plan.notes);
}

#[test]
fn what_must_be_there_first_is_given_in_file_order() {
    let id = |id: &str| segue_model::ident::MigrationId::new(id).unwrap();
    let migration =
        Script::new("m").directive(Directive::Depends(id("b"))).directive(Directive::Depends(id("a"))).done();
    assert_eq!(segue_plan::depends(&migration), [&id("b"), &id("a")]);
}

#[test]
fn one_cause_is_refused_once() {
    let clause = Script::new("m")
        .add("users", column("name", "text").with("COLLATE"))
        .transform("users", &[("name", strict("first_name", &["first_name"]))])
        .set_not_null("users", "serial")
        .add("users", column("serial", "bigint").not_null().with("SERIAL"))
        .drop("users", "first_name")
        .directive(back("first_name", strict("name", &["name"])));
    insta::assert_snapshot!(meaning(clause), @r"
    line 1: not yet: ADD COLUMN `name` with COLLATE → Leave the clause out, or add the column without it for now.
    line 4: not yet: ADD COLUMN `serial` with SERIAL → Leave the clause out, or add the column without it for now.
    ");
    let mut catalog = users(Engine::Postgres);
    catalog.tables[0].kind = TableKind::View;
    let view =
        Script::new("m").add("users", column("a", "text")).update("users", "a", "'x'").drop("users", "age").done();
    insta::assert_snapshot!(meaning_on(&view, &catalog), @"line 1: a change of `users`: it is a view: its columns are those of its query → Change the table that it is made of.");
    let missing = Script::new("m").add("nope", column("a", "text")).set_not_null("nope", "a");
    insta::assert_snapshot!(meaning(missing), @"line 1: there is no table `nope` → Check the name, its schema and the database that the URL points to.");
}

#[test]
fn names_of_system_columns_are_refused_where_there_are_any() {
    let script = || Script::new("m").add("users", column("xmin", "text")).done();
    insta::assert_snapshot!(meaning_on(&script(), &users(Engine::Postgres)), @"line 1: ADD COLUMN `xmin`: each table has a system column of that name → Choose another name.");
    insta::assert_snapshot!(meaning_on(&script(), &users(Engine::Sqlite)), @"as written, adds xmin");
}
