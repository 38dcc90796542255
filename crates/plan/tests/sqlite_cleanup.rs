//! The cleanup of a SQLite table: what is done, and that its size does not decide it.

#[allow(dead_code, reason = "shared with the unit tests, which use the rest")]
mod fixture;

use fixture::{Script, column, server, strict, users};
use segue_model::catalog::{Catalog, Index, IndexKey};
use segue_model::engine::Engine;
use segue_model::ident::Ident;
use segue_model::plan::Plan;
use segue_model::probe::{Answer, Answers};
use segue_model::step::{Action, Phase, Step};
use segue_plan::operation::Thresholds;
use segue_plan::refusal::{Refusal, Refused};

fn catalog(rows: Option<u64>) -> Catalog {
    let mut catalog = users(Engine::Sqlite);
    let text = "CREATE TABLE users (id INTEGER PRIMARY KEY, first_name text, last_name text, age integer)";
    catalog.tables[0].sql = Some(text.into());
    catalog.tables[0].size.rows = rows;
    catalog
}

/// Says `given` in place of `first_name`, after what `script` says already.
fn given(script: Script) -> Script {
    script
        .add("users", column("given", "text"))
        .transform("users", &[("given", strict("first_name", &["first_name"]))])
        .drop("users", "first_name")
        .down(Script::new("m").transform("users", &[("first_name", strict("given", &["given"]))]))
}

fn plan(catalog: &Catalog, journal_mode: &str) -> Plan {
    plan_of(given(Script::new("m")), catalog, journal_mode)
}

fn plan_of(script: Script, catalog: &Catalog, journal_mode: &str) -> Plan {
    try_plan(script, catalog, journal_mode).expect("nothing is refused")
}

fn try_plan(script: Script, catalog: &Catalog, journal_mode: &str) -> Result<Plan, Vec<Refused>> {
    let migration = script.done();
    let mut server = server(Engine::Sqlite);
    server.settings.insert("journal_mode".into(), journal_mode.into());
    let (mut answers, thresholds) = (Answers::new(), Thresholds::DEFAULT);
    loop {
        let open = segue_plan::probes(&migration, catalog, &server, &answers, &thresholds)?;
        if open.is_empty() {
            return segue_plan::plan(&migration, catalog, &server, &answers, "shape", &thresholds);
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
    no view and no trigger names an old column [undo nothing]
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
        SELECT segue_fail('the ' || type || ' `' || name || '` ' || 'names `first_name_deprecated`, which would be gone: drop it, or change it, and run the same command again') FROM main.sqlite_schema WHERE type IN ('view', 'trigger') AND substr(name, 1, 6) <> 'segue_' AND (' ' || replace(lower(sql), '"', ' ') || ' ' GLOB '*[^a-z0-9_$]first_name_deprecated[^a-z0-9_$]*')
          AND (name, replace(sql, '"', '')) NOT IN (VALUES ('', ''))
          AND EXISTS (
            WITH RECURSIVE segue_reach(pattern) AS (
              VALUES ('*[^a-z0-9_$]users[^a-z0-9_$]*')
              UNION
              SELECT '*[^a-z0-9_$]'
                || replace(replace(replace(replace(lower(v.name), '[', '[[]'), '*', '[*]'), '?', '[?]'), '"', '*')
                || '[^a-z0-9_$]*'
              FROM segue_reach JOIN main.sqlite_schema AS v
                ON v.type = 'view' AND ' ' || replace(lower(v.sql), '"', ' ') || ' ' GLOB segue_reach.pattern)
            SELECT 1 FROM segue_reach WHERE ' ' || replace(lower(sql), '"', ' ') || ' ' GLOB segue_reach.pattern)
        ALTER TABLE "main"."users" DROP COLUMN "first_name_deprecated"
    "#);
}

#[test]
fn in_wal_mode_a_table_is_rebuilt_online() {
    insta::assert_snapshot!(cleanup(&plan(&catalog(None), "wal")));
}

/// The parts of the undo of each expand step: what is asked first, by windows or not, and the first statement.
fn ways_back(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().filter(|step| step.phase == Phase::Expand);
    let parts = |step: &Step| {
        let each = step.undo.steps().iter().map(|undo| {
            let sql = undo.sql.first().map_or("", |sql| sql.as_str());
            let words: Vec<&str> = sql.split_whitespace().take(2).collect();
            let windows = undo.windows.as_ref().map(|windows| windows.sql.as_str().split_whitespace().next());
            let asked = if undo.needed.is_some() { "?" } else { "" };
            format!(
                "{asked}{}{}",
                words.join(" "),
                windows.flatten().map_or(String::new(), |word| format!(" by {word}"))
            )
        });
        each.collect::<Vec<_>>().join(", ")
    };
    steps.map(|step| format!("{} [{}]", parts(step), step.undo.class())).collect()
}

#[test]
fn the_undo_of_the_first_column_that_is_filled_takes_all_of_them_away() {
    let rebuilt = "?CREATE TABLE by INSERT, ?SELECT segue_fail('the, ? by DELETE, DROP TABLE, ";
    let (catalog, one) = (catalog(None), "?SELECT segue_fail('the");
    for (mode, first) in [("wal", rebuilt), ("delete", "")] {
        let back = |script| ways_back(&plan_of(script, &catalog, mode));
        let nick = |script: Script| script.add("users", column("nick", "text"));
        let (alone, both) = (format!("{first}{one} [lossless]"), format!("{first}{one}, {one} [lossless]"));
        assert_eq!(back(given(Script::new("m"))), [alone]);
        // One that came before may be there without it.
        assert_eq!(back(given(nick(Script::new("m")))), [format!("{one} [lossy]"), both.clone()]);
        assert_eq!(back(nick(given(Script::new("m")))), [both, " [lossy]".to_owned()]);
    }
    let about = |mode| {
        let notes = plan(&catalog, mode).notes;
        let mut notes = notes.into_iter().filter(|note| note.starts_with("a rollback "));
        (notes.next().expect("a rollback is told of"), notes.next())
    };
    let ((online, _), (one_by_one, _)) = (about("wal"), about("delete"));
    assert!(online.contains("by one online rebuild"), "{online}");
    assert!(one_by_one.contains("one by one") && one_by_one.contains("journal_mode is `delete`"), "{one_by_one}");
}

#[test]
fn the_name_of_an_index_copy_that_is_in_use_is_refused() {
    let mut catalog = catalog(None);
    let age = Ident::known("age");
    let key = IndexKey { column: Some(age), descending: false, nulls_first: false, default_class: true };
    catalog.tables[0].indexes.push(Index {
        name: Ident::known("by_age"),
        unique: false,
        primary: false,
        of_constraint: false,
        valid: true,
        method: "btree".into(),
        keys: vec![key],
        include: vec![],
        predicate: None,
        definition: "CREATE INDEX by_age ON users(age)".into(),
        carries: vec![],
    });
    let steps = format!("{:?}", plan(&catalog, "wal").steps);
    for prefix in ["segue_nx_by_age_", "segue_ox_by_age_", "segue_bx_by_age_", "segue_gx_by_age_"] {
        let at = steps.find(prefix).expect("the plan makes it");
        let name = &steps[at..at + prefix.len() + 8];
        catalog.taken = vec![format!("main.{name}")];
        let refused = try_plan(given(Script::new("m")), &catalog, "wal").expect_err("the name is in use");
        assert!(matches!(&refused[0].refusal, Refusal::Exists { name: found } if found == name), "{refused:?}");
    }
}
