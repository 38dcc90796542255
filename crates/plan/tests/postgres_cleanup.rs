//! How cleanup on PostgreSQL copies what it drops: by windows where the key allows it, and what the windows leave in the copy.

#[allow(dead_code, reason = "shared with the other tests of the dialect, which use the rest")]
mod postgres_cases;

use postgres_cases::*;
use segue_model::catalog::{Catalog, Index};
use segue_model::expr::{Expr, Nullness};
use segue_model::probe::Answer;
use segue_model::sql::{Sql, TypeName};
use segue_model::step::{Action, Backfill, CutBy, Phase, Step, Undo};
use segue_plan::dialect::Planned;
use segue_plan::operation::{NewSide, OldSide, Operation, Pair};
use segue_testkit::client::Client;

fn copy_of(name: &str) -> Expr {
    expr(&[&format!("@{name}")], Nullness::Column(ident(name)), false)
}

/// A table with a key and a column `o` that may not be NULL and has a default.
fn things() -> Catalog {
    let mut old = column("o", "text", "text", true);
    old.default = Some("'none'::text".into());
    let mut catalog = catalog(table("public", "t", vec![column("id", "integer", "int4", true), old]));
    with_key(&mut catalog);
    catalog
}

/// `n` in place of `o`.
fn renamed(catalog: &Catalog) -> Planned {
    renamed_when(catalog, &answer)
}

fn renamed_when(catalog: &Catalog, answer: &dyn Fn(&str, &str) -> Answer) -> Planned {
    let (at, new) = (place(), new_column("n", "text", true));
    let operation = Operation::Pair(Pair {
        table: &catalog.tables[0],
        new: vec![NewSide { column: &new, forward: copy_of("o"), not_null: true }],
        old: vec![OldSide { column: &catalog.tables[0].columns[1], back: copy_of("n") }],
        at: &at,
    });
    planned_when(&operation, catalog, 15, answer).expect("the pair is planned")
}

fn cleanup(planned: &Planned) -> Vec<&Step> {
    planned.steps.iter().filter(|step| step.phase == Phase::Cleanup).collect()
}

fn windows(planned: &Planned) -> Option<&Backfill> {
    cleanup(planned).into_iter().find_map(|step| match &step.action {
        Action::Backfill(backfill) => Some(backfill),
        _ => None,
    })
}

/// Returns why the copy is made by one statement.
fn why_whole(planned: &Planned) -> Option<String> {
    let titles = cleanup(planned).into_iter().map(|step| step.title.clone());
    let mut whole = titles.filter(|title| title.contains("in one statement"));
    whole.next().map(|title| title.split(['(', ')']).nth(1).expect("it says why").to_owned())
}

#[test]
fn the_sync_ends_before_the_copy_is_filled_and_the_drop_comes_last() {
    let catalog = things();
    let planned = renamed(&catalog);
    let steps = cleanup(&planned);
    let titles: Vec<&str> = steps.iter().map(|step| step.title.as_str()).collect();
    let [_, _, end, create, fill, rest, drop] = steps.as_slice() else { panic!("{titles:#?}") };
    let sql = |step: &Step| match &step.action {
        Action::Sql(all) => all.iter().map(|sql| sql.as_str().to_owned()).collect::<Vec<_>>(),
        _ => panic!("{} is SQL", step.title),
    };
    let ends = sql(end);
    assert!(ends[0].starts_with("DROP TRIGGER IF EXISTS"), "{ends:#?}");
    for opens in ["DROP NOT NULL", "DROP DEFAULT"] {
        let opened = format!(r#"ALTER TABLE "public"."t" ALTER COLUMN "o_deprecated" {opens}"#);
        assert!(ends.contains(&opened), "{ends:#?}");
    }
    assert!(ends.contains(&r#"ALTER TABLE "public"."t" ALTER COLUMN "n" SET NOT NULL"#.to_owned()), "{ends:#?}");
    assert!(matches!((&create.action, &fill.action), (Action::Snapshot(_), Action::Backfill(_))), "{titles:#?}");
    let rest = sql(rest);
    assert!(rest[0].starts_with("INSERT INTO") && !rest[0].contains('$'), "{rest:#?}");
    assert_eq!(sql(drop), [r#"ALTER TABLE "public"."t" DROP COLUMN IF EXISTS "o_deprecated""#]);
    let classes: Vec<&str> = steps.iter().map(|step| step.undo.class()).collect();
    assert_eq!(classes, ["nothing", "nothing", "impossible", "lossless", "nothing", "nothing", "impossible"]);
    assert_eq!([end.undo == Undo::Impossible, fill.tries.is_none(), create.scans], [true, true, false]);
}

#[test]
fn the_windows_go_by_the_primary_key_on_every_version() {
    let (catalog, mut wide) = (things(), wide(true));
    with_key(&mut wide);
    for planned in [renamed(&catalog), retype_of(&wide, "bigint", 18).unwrap()] {
        let copy = windows(&planned).expect("the copy is made by windows");
        assert!(matches!(copy.cut.by, CutBy::Keys { columns: 1, .. }), "{:?}", copy.cut);
        assert!(!copy.lazy && copy.once && why_whole(&planned).is_none());
    }
}

/// Changes the table, and tells why it is copied by one statement then.
fn why_when(change: impl FnOnce(&mut Catalog)) -> Option<String> {
    let mut catalog = things();
    change(&mut catalog);
    why_whole(&renamed(&catalog))
}

#[test]
fn a_table_that_no_window_could_follow_is_copied_by_one_statement() {
    let why = |change: fn(&mut Catalog)| why_when(change);
    assert_eq!(why(|_| ()), None);
    assert_eq!(why(|c| c.tables[0].constraints.clear()).as_deref(), Some("it has no primary key"));
    let uncut = Some("its primary key cannot be cut into windows");
    assert_eq!(why(|c| c.tables[0].indexes.clear()).as_deref(), uncut);
    assert_eq!(why(|c| c.tables[0].columns[0].base_type = "timestamptz".into()).as_deref(), uncut);
    assert_eq!(why(|c| c.tables[0].indexes[0].keys[0].default_class = false).as_deref(), uncut);
}

#[test]
fn what_a_unique_index_over_an_old_column_compares_does_not_matter_since_it_goes_with_the_sync() {
    let on_old = |change: fn(&mut Index)| {
        why_when(|catalog| {
            let mut unique = index("t_o", true, &[("o", false)], &[], None);
            change(&mut unique);
            catalog.tables[0].indexes.push(unique);
        })
    };
    assert_eq!(on_old(|_| ()), None);
    assert_eq!(on_old(|index| index.carries = vec!["nulls not distinct".into()]), None);
    assert_eq!(on_old(|index| index.predicate = Some("(o IS NULL)".into())), None);
    let computed = on_old(|index| {
        index.keys[0].column = None;
        index.definition = "CREATE UNIQUE INDEX t_o ON public.t (coalesce(o, ''))".into();
    });
    assert_eq!(computed, None);
}

/// Runs a statement as our sessions do: every parameter is text.
fn run(client: &mut Client, sql: &Sql, params: [&str; 2]) -> u64 {
    let [low, high] = params;
    client.batch(&format!("PREPARE p (text, text) AS {sql}"));
    let before = kept(client).len();
    client.batch(&format!("EXECUTE p ('{low}', '{high}'); DEALLOCATE p"));
    (kept(client).len() - before) as u64
}

/// Returns the name of the copy.
fn copy(client: &mut Client) -> String {
    let name = "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relname LIKE 'keep\\_%' AND c.relkind = 'r'";
    client.value(name).expect("the copy is there")
}

fn kept(client: &mut Client) -> Vec<String> {
    let name = copy(client);
    let rows = client.rows(&format!("SELECT id || ':' || o FROM {name} ORDER BY id"));
    rows.into_iter().flatten().flatten().collect()
}

/// Carries out the statements of steps.
fn carry_out(client: &mut Client, steps: &[&Step]) {
    for step in steps {
        let all: Vec<&Sql> = match &step.action {
            Action::Sql(all) => all.iter().collect(),
            Action::Snapshot(snapshot) => snapshot.create.iter().collect(),
            Action::Settled { sql, .. } => vec![sql],
            Action::Backfill(_) | Action::Verify(_) | Action::Gate(_) => continue,
        };
        all.into_iter().for_each(|sql| client.batch(sql.as_str()));
    }
}

/// Carries out the steps of some phases.
fn carry_out_phases(client: &mut Client, planned: &Planned, phases: std::ops::RangeInclusive<Phase>) {
    let steps: Vec<&Step> = planned.steps.iter().filter(|step| phases.contains(&step.phase)).collect();
    carry_out(client, &steps);
}

/// Carries out cleanup up to the step that ends the sync.
fn end_the_sync(client: &mut Client, planned: &Planned) {
    let steps = cleanup(planned);
    let end = steps.iter().position(|step| step.undo == Undo::Impossible).expect("the sync ends");
    carry_out(client, &steps[..=end]);
}

/// Returns the unique indexes of a table, but for that of its key.
fn unique_indexes(client: &mut Client, table: &str) -> Vec<String> {
    client.column(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = $1::text::regclass AND i.indisunique AND NOT i.indisprimary ORDER BY 1",
        &[table],
    )
}

#[test]
fn no_unique_index_over_an_old_column_refuses_what_new_code_writes_once_the_sync_has_ended() {
    let mut catalog = things();
    catalog.tables[0].columns.push(column("tenant", "integer", "int4", true));
    catalog.tables[0].indexes.push(index("t_o", true, &[("tenant", false), ("o", false)], &[], None));
    let planned = renamed(&catalog);
    assert!(windows(&planned).is_some(), "{:?}", why_whole(&planned));
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        client.batch(
            "CREATE SCHEMA segue; CREATE TABLE t (id int PRIMARY KEY, o text NOT NULL DEFAULT 'none', tenant int NOT NULL);
             CREATE UNIQUE INDEX t_o ON t (tenant, o); CREATE INDEX t_all ON t (o);
             INSERT INTO t VALUES (1, 'a', 0), (2, 'a', 1), (3, 'b', 0)",
        );
        carry_out_phases(&mut client, &planned, Phase::Expand..=Phase::Sync);
        client.batch("UPDATE t SET n = o");
        carry_out_phases(&mut client, &planned, Phase::Contract..=Phase::Contract);
        // What the plan has never seen: over an expression, with a predicate, under a name that must be quoted; and one that
        // has nothing to do with the old column.
        client.batch(
            "CREATE UNIQUE INDEX t_late ON t (tenant, coalesce(o_deprecated, ''));
             CREATE UNIQUE INDEX \"T later\" ON t (tenant) WHERE o_deprecated IS NULL;
             CREATE UNIQUE INDEX t_n ON t (tenant, n)",
        );
        end_the_sync(&mut client, &planned);
        client.batch("UPDATE t SET n = 'c' WHERE id = 1; UPDATE t SET tenant = 0 WHERE id = 2");
        client.batch("INSERT INTO t (id, n, tenant) VALUES (4, 'd', 0), (5, 'e', 0)");
        assert_eq!(unique_indexes(&mut client, "t"), ["t_n"]);
        assert!(client.value("SELECT to_regclass('t_all')").is_some(), "it refuses nothing");
        assert!(client.try_batch("INSERT INTO t (id, n, tenant) VALUES (6, 'd', 0)").is_err());
    }
}

#[test]
fn an_index_that_stands_aside_refuses_nothing_once_the_sync_of_a_type_change_has_ended() {
    let mut catalog = wide(true);
    let table = &mut catalog.tables[0];
    table.columns.push(column("tenant", "integer", "int4", true));
    table.indexes = vec![index("ev_c", true, &[("tenant", false), ("c", false)], &[], None)];
    with_key(&mut catalog);
    for server in segue_testkit::each_postgres() {
        let planned = retype_of(&catalog, "bigint", 15).expect("the type change is planned");
        assert!(windows(&planned).is_some(), "{:?}", why_whole(&planned));
        let mut client = Client::connect(&server.database());
        client.batch(
            "CREATE SCHEMA segue; CREATE TABLE ev (id int PRIMARY KEY, c int NOT NULL DEFAULT 0, tenant int NOT NULL);
             CREATE UNIQUE INDEX ev_c ON ev (tenant, c); INSERT INTO ev VALUES (1, 5, 0), (2, 5, 1)",
        );
        carry_out_phases(&mut client, &planned, Phase::Expand..=Phase::Sync);
        client.batch("UPDATE ev SET c = c");
        carry_out_phases(&mut client, &planned, Phase::Backfill..=Phase::Contract);
        assert_eq!(unique_indexes(&mut client, "ev").len(), 2, "one stands aside");
        end_the_sync(&mut client, &planned);
        client.batch("UPDATE ev SET c = 6 WHERE id = 1; UPDATE ev SET tenant = 0 WHERE id = 2");
        assert_eq!(unique_indexes(&mut client, "ev"), ["ev_c"]);
    }
}

#[test]
fn keys_that_rows_exchange_between_two_windows_lose_no_old_value() {
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        client.batch(
            "CREATE SCHEMA segue; CREATE TABLE t (id int PRIMARY KEY, o text NOT NULL DEFAULT 'none');
             INSERT INTO t SELECT n, 'o' || n FROM generate_series(1, 4) n",
        );
        let planned = renamed(&things());
        carry_out_phases(&mut client, &planned, Phase::Expand..=Phase::Sync);
        client.batch("UPDATE t SET n = o");
        carry_out_phases(&mut client, &planned, Phase::Contract..=Phase::Contract);
        carry_out(&mut client, &cleanup(&planned)[..4]);
        let fill = windows(&planned).expect("the copy is made by windows").fill.clone();
        run(&mut client, &fill, ["1", "2"]);
        client.batch(
            "UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 4; UPDATE t SET id = 4 WHERE id = -1",
        );
        run(&mut client, &fill, ["3", "4"]);
        assert_eq!(kept(&mut client), ["1:o1", "2:o2", "3:o3", "4:o1"], "the statement after it finds it");
        let versions = "SELECT count(DISTINCT xmin::text) || ' ' || max(xmin::text::bigint) FROM ";
        let versions = [versions, &copy(&mut client)].concat();
        let before = client.value(&versions);
        carry_out(&mut client, &cleanup(&planned)[5..6]);
        assert_eq!(kept(&mut client), ["1:o4", "2:o2", "3:o3", "4:o1"]);
        let after = client.value(&versions);
        assert_ne!(after, before);
        carry_out(&mut client, &cleanup(&planned)[5..6]);
        assert_eq!(client.value(&versions), after, "what is under its key already is not written again");
    }
}

#[test]
fn the_copy_is_what_the_old_columns_held_when_the_sync_ended_whatever_is_written_since() {
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        client.batch(
            "CREATE SCHEMA segue; CREATE TABLE t (id int PRIMARY KEY, o text NOT NULL DEFAULT 'none');
             INSERT INTO t SELECT n, 'o' || n FROM generate_series(1, 10) n",
        );
        let catalog = things();
        let planned = renamed(&catalog);
        let fill = windows(&planned).expect("the copy is made by windows").fill.clone();
        let before: Vec<&Step> = planned.steps.iter().filter(|step| step.phase < Phase::Backfill).collect();
        carry_out(&mut client, &before);
        client.batch("UPDATE t SET n = o");
        let contract: Vec<&Step> = planned.steps.iter().filter(|step| step.phase == Phase::Contract).collect();
        carry_out(&mut client, &contract);
        let steps = cleanup(&planned);
        carry_out(&mut client, &steps[..4]);

        assert_eq!(run(&mut client, &fill, ["1", "5"]), 5);
        assert_eq!(run(&mut client, &fill, ["1", "5"]), 0, "a window may be repeated");
        // Behind the windows and ahead of them: written, moved to another key, deleted, and new.
        client.batch("UPDATE t SET n = 'new' WHERE id IN (2, 7)");
        client.batch("UPDATE t SET id = 4 + 100 WHERE id = 4; UPDATE t SET id = -8 WHERE id = 8");
        client.batch("DELETE FROM t WHERE id IN (3, 9); INSERT INTO t (id, n) VALUES (0, 'new'), (50, 'new')");
        assert_eq!(run(&mut client, &fill, ["6", "10"]), 3);
        carry_out(&mut client, &steps[5..6]);
        let must = ["-8:o8", "1:o1", "2:o2", "3:o3", "4:o4", "5:o5", "6:o6", "7:o7", "10:o10", "104:o4"];
        assert_eq!(kept(&mut client), must);

        let dropped = client.rows("SELECT id || ':' || o_deprecated FROM t WHERE o_deprecated IS NOT NULL");
        let dropped: Vec<String> = dropped.into_iter().flatten().flatten().collect();
        assert!(!dropped.is_empty() && dropped.iter().all(|row| must.contains(&row.as_str())), "{dropped:?}");
        carry_out(&mut client, &steps[6..]);
        let left = client.rows("SELECT id || ':' || n FROM t ORDER BY id");
        let left: Vec<String> = left.into_iter().flatten().flatten().collect();
        assert_eq!(left, ["-8:o8", "0:new", "1:o1", "2:new", "5:o5", "6:o6", "7:new", "10:o10", "50:new", "104:o4"]);
    }
}

#[test]
fn an_old_column_whose_domain_may_refuse_null_is_copied_by_one_statement() {
    let mut catalog = things();
    let old = &mut catalog.tables[0].columns[1];
    (old.type_name, old.not_null) = (TypeName::spelled("public.word"), false);
    let domain = |key: &str, sql: &str| match answer(key, sql) {
        Answer::Rows(_) if key == "type:public.word" => {
            Answer::Rows(vec![vec!["public".into(), "word".into(), "d".into()]])
        }
        other => other,
    };
    let planned = renamed_when(&catalog, &domain);
    assert_eq!(why_whole(&planned).as_deref(), Some("a domain may refuse NULL in an old column"));
}
