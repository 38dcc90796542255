//! The cleanup of a SQLite table: what is done, and that its size does not decide it.

#[allow(dead_code, reason = "shared with the unit tests, which use the rest")]
mod fixture;

use fixture::{Script, column, server, strict, users};
use segue_model::catalog::Catalog;
use segue_model::engine::Engine;
use segue_model::plan::Plan;
use segue_model::probe::{Answer, Answers};
use segue_model::step::{Action, Phase, Step};
use segue_plan::operation::Thresholds;

fn catalog(rows: Option<u64>) -> Catalog {
    let mut catalog = users(Engine::Sqlite);
    let text = "CREATE TABLE users (id INTEGER PRIMARY KEY, first_name text, last_name text, age integer)";
    catalog.tables[0].sql = Some(text.into());
    catalog.tables[0].size.rows = rows;
    catalog
}

/// Plans `given` in place of `first_name`.
fn plan(catalog: &Catalog, journal_mode: &str) -> Plan {
    let migration = Script::new("m")
        .add("users", column("given", "text"))
        .transform("users", &[("given", strict("first_name", &["first_name"]))])
        .drop("users", "first_name")
        .down(Script::new("m").transform("users", &[("first_name", strict("given", &["given"]))]))
        .done();
    let mut server = server(Engine::Sqlite);
    server.settings.insert("journal_mode".into(), journal_mode.into());
    let (mut answers, thresholds) = (Answers::new(), Thresholds::DEFAULT);
    loop {
        let open = segue_plan::probes(&migration, catalog, &server, &answers, &thresholds).expect("nothing is refused");
        if open.is_empty() {
            return segue_plan::plan(&migration, catalog, &server, &answers, "shape", &thresholds)
                .expect("nothing is refused");
        }
        let yes = Answer::Rows(vec![vec!["t".into(), "t".into(), "t".into()]]);
        answers.extend(open.into_iter().map(|probe| (probe.key, yes.clone())));
    }
}

fn cleanup(plan: &Plan) -> String {
    let steps = plan.steps.iter().filter(|step| step.phase == Phase::Cleanup);
    steps.map(shown).collect::<Vec<_>>().join("\n")
}

fn shown(step: &Step) -> String {
    let sql: Vec<&str> = match &step.action {
        Action::Sql(all) => all.iter().map(|sql| sql.as_str()).collect(),
        Action::Settled { sql, .. } => vec![sql.as_str()],
        Action::Backfill(backfill) => vec![backfill.fill.as_str()],
        Action::Verify(verify) => verify.compare.iter().chain([&verify.count]).map(|sql| sql.as_str()).collect(),
        Action::Gate(_) => vec![],
        Action::Snapshot(snapshot) => snapshot.copy.iter().map(|(_, sql)| sql.as_str()).collect(),
    };
    let undo = step.undo.steps().iter().flat_map(|undo| &undo.sql);
    let lines = sql.iter().map(|sql| (*sql).to_owned()).chain(undo.map(|sql| format!("undo: {sql}")));
    let lines = lines.map(|line| format!("    {}", line.replace('\n', "\n    ")));
    [format!("{} [undo {}]", step.title, step.undo.class())].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_table_that_grows_changes_neither_a_step_nor_the_hash() {
    for mode in ["wal", "delete"] {
        let first = plan(&catalog(Some(10)), mode);
        for rows in [None, Some(19_999), Some(20_000), Some(50_000_000)] {
            let later = plan(&catalog(rows), mode);
            assert_eq!((&later.steps, &later.hash), (&first.steps, &first.hash), "{rows:?}");
        }
    }
}

#[test]
fn the_journal_mode_decides_and_is_hashed() {
    let (online, one_by_one) = (plan(&catalog(None), "wal"), plan(&catalog(None), "delete"));
    assert_ne!(online.hash, one_by_one.hash);
    insta::assert_snapshot!(cleanup(&one_by_one), @r#"
    show that every row of `users` is right in both shapes [undo nothing]
        SELECT count(*), coalesce(sum(NOT (("given" COLLATE BINARY IS +("first_name_deprecated")) OR ("first_name_deprecated" COLLATE BINARY IS +("given")))), 0), coalesce(sum(0), 0) FROM "main"."users" WHERE "rowid" BETWEEN $1 AND $2 - ($2 < 9223372036854775807)
    keep a copy of the old columns in `segue_keep_users_3a31aef4` [undo lossless]
        INSERT OR REPLACE INTO "main"."segue_keep_users_3a31aef4" SELECT "rowid", "id", "first_name_deprecated" FROM "main"."users" WHERE "rowid" BETWEEN $1 AND $2 - ($2 < 9223372036854775807)
        undo: DROP TABLE IF EXISTS "main"."segue_keep_users_3a31aef4"
    end the sync [undo impossible]
        DROP TRIGGER IF EXISTS main."segue_io_users_75533c7f"
        DROP TRIGGER IF EXISTS main."segue_in_users_75533c7f"
        DROP TRIGGER IF EXISTS main."segue_un_users_75533c7f"
        DROP TRIGGER IF EXISTS main."segue_uo_users_75533c7f"
    drop `first_name_deprecated`: the whole table `users` is written again [undo impossible]
        ALTER TABLE "main"."users" DROP COLUMN "first_name_deprecated"
    "#);
}

#[test]
fn in_wal_mode_a_table_is_rebuilt_online() {
    insta::assert_snapshot!(cleanup(&plan(&catalog(None), "wal")));
}
