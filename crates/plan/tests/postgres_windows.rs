//! What the statements of windows do on real servers: cut, fill beside other sessions, name what fails, count what is wrong.

#[allow(dead_code, reason = "shared with the other tests of the dialect, which use the rest")]
mod postgres_cases;

use postgres_cases::*;
use segue_model::catalog::Catalog;
use segue_model::expr::{Expr, Nullness};
use segue_model::probe::Answer;
use segue_model::sql::Sql;
use segue_model::step::{Action, Backfill, CutBy, Phase, Verify};
use segue_plan::dialect::Planned;
use segue_plan::operation::{Fill, NewSide, OldSide, Operation, Pair};
use segue_testkit::client::{Client, Row};

/// Runs a statement as our sessions do: every parameter is text.
#[track_caller]
fn run(client: &mut Client, sql: &Sql, params: &[&str]) -> Vec<Row> {
    client.rows(&framed(sql, params))
}

fn framed(sql: &Sql, params: &[&str]) -> String {
    if params.is_empty() {
        return sql.to_string();
    }
    let types = vec!["text"; params.len()].join(", ");
    let values: Vec<String> = params.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
    format!("PREPARE p ({types}) AS {sql}; EXECUTE p ({}); DEALLOCATE p", values.join(", "))
}

/// Answers as the other tests' server, but the functions are the test's own.
fn answer_public(key: &str, sql: &str) -> Answer {
    match answer(key, sql) {
        Answer::Rows(_) if key.starts_with("name:function") => Answer::Rows(vec![vec!["public".into(), "1i".into()]]),
        other => other,
    }
}

fn backfill(planned: &Planned) -> &Backfill {
    let found = planned.steps.iter().find_map(|step| match &step.action {
        Action::Backfill(backfill) => Some(backfill),
        _ => None,
    });
    found.expect("rows are brought over")
}

fn verify(planned: &Planned) -> &Verify {
    let found = planned.steps.iter().find_map(|step| match &step.action {
        Action::Verify(verify) => Some(verify),
        _ => None,
    });
    found.expect("rows are verified")
}

/// Carries out what comes before the backfill.
fn prepare(client: &mut Client, planned: &Planned) {
    client.batch("CREATE SCHEMA segue");
    let before = planned.steps.iter().filter(|step| step.phase <= Phase::Sync);
    for sql in before.flat_map(|step| match &step.action {
        Action::Sql(all) => all.as_slice(),
        _ => &[],
    }) {
        client.batch(sql.as_str());
    }
}

/// `n = call(o)` in a table `t` whose other columns are given.
fn filled(catalog: &Catalog, call: &str, total: bool, major: u32) -> Planned {
    let (at, new) = (place(), new_column("n", "text", false));
    let nullness = if total { Nullness::Never } else { Nullness::Unknown };
    let forward = expr(&[&format!("#{call}"), "(", "@o", ")"], nullness, false);
    let operation =
        Operation::Fill(Fill { table: &catalog.tables[0], column: &new, forward, not_null: false, at: &at });
    planned_when(&operation, catalog, major, &answer_public).expect("the change can be planned")
}

const FULL: &str =
    "CREATE FUNCTION public.full(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''<'' || $1 || ''>''';";

/// A table under a key of three columns in another order than the table's, each of a type that sorts in its own way.
fn keyed() -> Catalog {
    let columns = vec![
        column("o", "text", "text", true),
        column("c", "integer", "int4", true),
        column("k1", "uuid", "uuid", true),
        column("a", "character varying(9)", "varchar", true),
    ];
    let mut table = table("public", "t", columns);
    let mut key = index("t_key", true, &[("a", false), ("k1", false), ("c", false)], &[], None);
    key.primary = true;
    table.indexes = vec![index("t_other", true, &[("c", true)], &[], None), key];
    catalog(table)
}

const KEYED: &str = "CREATE TABLE t (o text NOT NULL, c int NOT NULL, k1 uuid NOT NULL, a varchar(9) NOT NULL, n text,
    PRIMARY KEY (a, k1, c));
    INSERT INTO t SELECT n::text, -n, md5((n % 40)::text)::uuid, chr(65 + n % 3) || chr(97 + n % 5) || 'ä''' FROM
    generate_series(1, 20000) n; ANALYZE t;";

#[test]
fn a_key_whose_text_depends_on_a_session_s_settings_cuts_no_windows() {
    let cuts_by_key = |name: &str, base: &str, collation: Option<&str>| {
        let mut columns = vec![column("o", "text", "text", true), column("k", name, base, true)];
        columns[1].collation = collation.map(str::to_owned);
        let mut table = table("public", "t", columns);
        table.indexes = vec![index("t_key", true, &[("k", false)], &[], None)];
        let by = backfill(&filled(&catalog(table), "full", true, 13)).cut.by.clone();
        matches!(by, CutBy::Keys { .. })
    };
    for (name, base) in [
        ("smallint", "int2"),
        ("bigint", "int8"),
        ("numeric(9,2)", "numeric"),
        ("text", "text"),
        ("character(3)", "bpchar"),
        ("uuid", "uuid"),
        ("boolean", "bool"),
        ("oid", "oid"),
    ] {
        assert!(cuts_by_key(name, base, None), "{name}");
    }
    for (name, base) in [
        ("date", "date"),
        ("timestamp without time zone", "timestamp"),
        ("timestamp with time zone", "timestamptz"),
        ("interval", "interval"),
        ("double precision", "float8"),
        ("money", "money"),
        ("bytea", "bytea"),
    ] {
        assert!(!cuts_by_key(name, base, None), "{name}");
    }
    assert!(cuts_by_key("text", "text", Some("pg_catalog.\"C\"")));
    assert!(!cuts_by_key("text", "text", Some("public.whatever_case")), "it may hold two texts for equal");
}

#[test]
fn windows_by_a_key_have_each_row_once_and_use_its_index() {
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        client.batch(KEYED);
        client.batch(FULL);
        let planned = filled(&keyed(), "full", true, 13);
        let backfill = backfill(&planned);
        let CutBy::Keys { columns: 3, extent, end, total } = &backfill.cut.by else { panic!("{:?}", backfill.cut) };
        assert_eq!(run(&mut client, total, &[])[0][0].as_deref(), Some("20000"));
        let known = |row: &Row| row.iter().map(|value| value.clone().expect("a key has no NULL")).collect::<Vec<_>>();
        let whole = known(&run(&mut client, extent, &[])[0]);
        let (mut low, high) = (whole[..3].to_vec(), &whole[3..]);
        for turn in 1.. {
            let texts: Vec<&str> = low.iter().chain(high).map(String::as_str).collect();
            let cut = run(&mut client, end, &[texts.as_slice(), &["777"]].concat());
            let last = cut.first().map(known);
            let until = last.as_ref().map_or(high, |row| &row[..3]);
            let bounds: Vec<&str> = low.iter().chain(until).map(String::as_str).collect();
            client.batch(&framed(&backfill.fill, &bounds));
            let done: usize =
                client.value("SELECT count(*) FROM t WHERE n = '<' || o || '>'").unwrap().parse().unwrap();
            assert_eq!(done, (turn * 777).min(20000));
            let Some(last) = last else { break };
            low = last[3..].to_vec();
        }
        client.batch("UPDATE t SET n = NULL");
        client.batch("VACUUM ANALYZE t");
        let texts: Vec<&str> = whole.iter().map(String::as_str).collect();
        let bounds = [&texts[..3], &texts[..3]].concat();
        for sql in [&backfill.fill, verify_count(&planned), end] {
            let params: Vec<&str> = bounds.iter().copied().chain((sql == end).then_some("10")).collect();
            let explained = framed(sql, &params).replace("EXECUTE", "EXPLAIN EXECUTE");
            let shown: Vec<String> = client.rows(&explained).into_iter().flatten().flatten().collect();
            assert!(shown.iter().any(|line| line.contains("t_pkey")), "{shown:#?}");
        }
    }
}

fn verify_count(planned: &Planned) -> &Sql {
    &verify(planned).count
}

#[test]
fn an_empty_table_has_no_extent() {
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        client.batch(&KEYED.replace("20000", "0"));
        let planned = filled(&keyed(), "full", true, 13);
        let CutBy::Keys { extent, .. } = &backfill(&planned).cut.by else { panic!("it has a key") };
        assert_eq!(run(&mut client, extent, &[]).len(), 0);
    }
}

#[test]
fn only_a_key_that_a_comparison_of_rows_follows_is_cut_by() {
    let by_key = |change: &dyn Fn(&mut Catalog), major| {
        let mut catalog = keyed();
        change(&mut catalog);
        match &backfill(&filled(&catalog, "full", true, major)).cut.by {
            CutBy::Keys { columns, .. } => *columns,
            CutBy::Numbers { .. } => 0,
        }
    };
    assert_eq!(by_key(&|_| (), 13), 3);
    assert_eq!(by_key(&|_| (), 14), 0);
    assert_eq!(by_key(&|c| c.tables[0].indexes[1].keys[0].default_class = false, 13), 1, "another index is there");
    let only = |change: fn(&mut segue_model::catalog::Index)| {
        by_key(
            &|c| {
                c.tables[0].indexes.remove(0);
                change(&mut c.tables[0].indexes[0])
            },
            13,
        )
    };
    assert_eq!(only(|_| ()), 3);
    assert_eq!(only(|index| index.keys[1].default_class = false), 0);
    assert_eq!(only(|index| index.keys[1].nulls_first = true), 0);
    assert_eq!(only(|index| index.keys[1].column = None), 0);
    assert_eq!(only(|index| index.valid = false), 0);
    assert_eq!(only(|index| index.unique = false), 0);
    assert_eq!(only(|index| index.predicate = Some("c > 0".into())), 0);
    assert_eq!(by_key(&|c| c.tables[0].columns.iter_mut().for_each(|one| one.not_null = false), 13), 0);
    let domain = segue_model::sql::TypeName::spelled("public.my_text");
    assert_eq!(by_key(&|c| c.tables[0].columns[3].type_name = domain.clone(), 13), 1);
}

#[test]
fn a_column_that_changes_its_type_is_not_cut_by() {
    let cut = |planned: &Planned| matches!(backfill(planned).cut.by, CutBy::Keys { .. });
    assert!(!cut(&retype_of(&wide(true), "bigint", 13).unwrap()));
    let mut catalog = wide(true);
    catalog.tables[0].indexes.push(index("by_id", true, &[("id", false)], &[], None));
    assert!(cut(&retype_of(&catalog, "bigint", 13).unwrap()));
}

/// A table of three rows, and a transform that waits where `o` is `wait`.
fn waiting() -> (Catalog, &'static str) {
    let columns = vec![column("id", "integer", "int4", true), column("o", "text", "text", true)];
    let setup = "CREATE TABLE t (id int PRIMARY KEY, o text NOT NULL, n text);
        INSERT INTO t VALUES (1, 'wait'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e');
        CREATE FUNCTION public.hold(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
          IF $1 = 'wait' THEN PERFORM pg_advisory_xact_lock(7); END IF; RETURN '<' || $1 || '>'; END$$;";
    (catalog(table("public", "t", columns)), setup)
}

/// Waits until a session of the database waits for the advisory lock.
fn until_waiting(client: &mut Client) {
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
        WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";
    for _ in 0..2000 {
        if client.value(waits).as_deref() == Some("1") {
            return;
        }
        client.batch("SELECT pg_sleep(0.005)");
    }
    panic!("nobody waits");
}

fn state(client: &mut Client) -> String {
    client.value("SELECT string_agg(id || ':' || o || coalesce(n, '∅'), ' ' ORDER BY id) FROM t").unwrap_or_default()
}

#[test]
fn rows_that_others_change_meanwhile_are_neither_overwritten_nor_filled_from_what_they_were() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let (mut holder, mut writer, mut open) = (Client::connect(&url), Client::connect(&url), Client::connect(&url));
        let (catalog, setup) = waiting();
        holder.batch(setup);
        let planned = filled(&catalog, "hold", false, server.major());
        let unlocked = backfill(&planned).fill_unlocked.clone().expect("rows are locked here");
        holder.batch("SELECT pg_advisory_lock(7)");
        open.batch("BEGIN; UPDATE t SET o = 'E' WHERE id = 5");
        std::thread::scope(|scope| {
            let url = &url;
            let filling = scope.spawn(move || Client::connect(url).batch(&framed(&unlocked, &["0", "1"])));
            until_waiting(&mut writer);
            // After the statement has seen the table, and before it looks at these rows: a value of new code, new old values,
            // and a row that goes.
            writer.batch(
                "UPDATE t SET n = 'Cher' WHERE id = 2; UPDATE t SET o = 'C' WHERE id = 3; DELETE FROM t WHERE id = 4",
            );
            holder.batch("SELECT pg_advisory_unlock(7)");
            filling.join().expect("it does not wait for the open transaction");
        });
        open.batch("COMMIT");
        let after = state(&mut writer);
        assert!(
            ["1:wait<wait> 2:bCher 3:C∅ 5:E∅", "1:wait<wait> 2:bCher 3:C<C> 5:E∅"].contains(&after.as_str()),
            "{after}"
        );
        writer.batch(&framed(&backfill(&planned).fill, &["0", "1"]));
        assert_eq!(state(&mut writer), "1:wait<wait> 2:bCher 3:C<C> 5:E<E>");
    }
}

#[test]
fn a_row_that_is_about_to_be_filled_is_held_until_it_is() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let (mut holder, mut watcher) = (Client::connect(&url), Client::connect(&url));
        let (catalog, setup) = waiting();
        holder.batch(setup);
        // Every row is locked before the first is written: where the trigger waits, nobody else gets at the last.
        holder.batch(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock(7);
               RETURN NEW; END$$; CREATE TRIGGER w BEFORE UPDATE OF n ON t FOR EACH ROW WHEN (NEW.id = 2)
               EXECUTE FUNCTION wait(); UPDATE t SET o = 'a' WHERE id = 1; SELECT pg_advisory_lock(7)",
        );
        let planned = filled(&catalog, "hold", false, server.major());
        let unlocked = backfill(&planned).fill_unlocked.clone().expect("rows are locked here");
        std::thread::scope(|scope| {
            let url = &url;
            let filling = scope.spawn(move || Client::connect(url).batch(&framed(&unlocked, &["0", "1"])));
            until_waiting(&mut watcher);
            let refused =
                watcher.try_batch("SET lock_timeout = '50ms'; UPDATE t SET o = 'x' WHERE id = 5").unwrap_err();
            assert_eq!(refused.code, "55P03");
            holder.batch("SELECT pg_advisory_unlock(7)");
            filling.join().expect("nothing fails");
        });
        watcher.batch("UPDATE t SET o = 'x' WHERE id = 5");
        assert_eq!(state(&mut watcher), "1:a<a> 2:b<b> 3:c<c> 4:d<d> 5:x<e>");
    }
}

/// `n = o` as a number that may not be one, and `s = o` as a text that may be too long.
fn tried(major: u32) -> Planned {
    let columns = vec![column("id", "integer", "int4", true), column("o", "text", "text", false)];
    let catalog = catalog(table("public", "t", columns));
    let (table, at) = (&catalog.tables[0], place());
    let (number, short) = (new_column("n", "integer", false), new_column("s", "character varying(3)", false));
    let of = |pieces: &[&str], column: &str, raises| expr(pieces, Nullness::Column(ident(column)), raises);
    let operation = Operation::Pair(Pair {
        table,
        new: vec![
            NewSide { column: &number, forward: of(&["@o", "::int"], "o", true), not_null: false },
            NewSide { column: &short, forward: of(&["@o"], "o", false), not_null: false },
        ],
        old: vec![OldSide { column: &table.columns[1], back: of(&["@s"], "s", false) }],
        at: &at,
    });
    planned(&operation, &catalog, major).expect("the change can be planned")
}

#[test]
fn rows_that_cannot_be_converted_are_named_with_the_reason() {
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        client.batch("CREATE TABLE t (id int PRIMARY KEY, o text); INSERT INTO t VALUES (1, '7'), (2, 'abc'), (3, '99999999999'), (4, NULL)");
        let planned = tried(server.major());
        prepare(&mut client, &planned);
        let backfill = backfill(&planned);
        client.batch(&framed(&backfill.fill, &["0", "1"]));
        let failures = backfill.failures.as_ref().expect("a text may be no number");
        assert_eq!(run(&mut client, &failures.count, &[])[0][0].as_deref(), Some("2"));
        let mut listed: Vec<String> = run(&mut client, &failures.list, &["0", "1"])
            .into_iter()
            .map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|"))
            .collect();
        listed.sort();
        assert_eq!(
            listed,
            [
                "2|n|invalid input syntax for type integer: \"abc\"",
                "3|n|value \"99999999999\" is out of range for type integer",
                "3|s|it has more than 3 characters",
            ]
        );
        let before = planned.steps.iter().rev().filter(|step| step.phase <= Phase::Sync);
        for sql in before.flat_map(|step| step.undo.steps()).flat_map(|undo| &undo.sql) {
            client.batch(sql.as_str());
        }
        let left = client.value("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace");
        assert_eq!(left.as_deref(), Some("0"));
    }
}

#[test]
fn what_keeps_dead_rows_is_named_without_its_query() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let (mut client, mut other) = (Client::connect(&url), Client::connect(&url));
        client.batch(waiting().1);
        let planned = filled(&waiting().0, "hold", true, server.major());
        let pace = backfill(&planned).pace.as_ref().expect("dead rows stay behind here");
        client.batch(pace.vacuum.as_str());
        assert!(run(&mut client, &pace.size, &[])[0][0].as_ref().is_some_and(|bytes| bytes.parse::<u64>().is_ok()));
        let named = |client: &mut Client, seconds: &str| {
            let rows = run(client, &pace.holders, &[seconds]).into_iter().flatten().flatten();
            rows.filter(|text| text.contains("reporting")).collect::<Vec<_>>()
        };
        let pid = other.pid();
        other.batch("SET application_name = 'reporting'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 42 AS secret");
        client.batch("SELECT pg_sleep(1.1)");
        assert_eq!(named(&mut client, "3600"), [] as [&str; 0]);
        let held = named(&mut client, "1");
        assert_eq!(held.len(), 1);
        assert!(held[0].starts_with(&format!("pid {pid}, reporting, open for ")), "{held:?}");
        assert!(held[0].ends_with(" s, idle in transaction"), "{held:?}");
        other.batch("COMMIT");
        assert_eq!(named(&mut client, "0"), [] as [&str; 0]);
    }
}

#[test]
fn sessions_that_our_role_cannot_look_into_are_told_apart() {
    for server in segue_testkit::each_postgres() {
        let url = server.database();
        let (mut client, _other) = (Client::connect(&url), Client::connect(&url));
        client.batch(waiting().1);
        let planned = filled(&waiting().0, "hold", true, server.major());
        let pace = backfill(&planned).pace.as_ref().expect("dead rows stay behind here");
        let unsure = |client: &mut Client| {
            let rows = run(client, &pace.holders, &["0"]).into_iter();
            rows.filter(|row| row[1].as_deref() == Some("maybe")).filter_map(|row| row[0].clone()).collect::<Vec<_>>()
        };
        assert_eq!(unsure(&mut client), [] as [&str; 0], "a superuser sees everything");
        let role = format!("blind_{}", client.pid());
        client.batch(&format!("CREATE ROLE {role}; SET ROLE {role}"));
        let text = format!("sessions of other roles, which are hidden: GRANT pg_read_all_stats TO {role}");
        assert_eq!(unsure(&mut client), [text]);
        client.batch(&format!("RESET ROLE; GRANT pg_read_all_stats TO {role}; SET ROLE {role}"));
        assert_eq!(unsure(&mut client), [] as [&str; 0]);
        client.batch(&format!("RESET ROLE; DROP ROLE {role}"));
    }
}

fn split(catalog: &Catalog, major: u32) -> Planned {
    let (table, at, new) = (&catalog.tables[0], place(), new_column("full_name", "text", true));
    let back = |n| {
        let pieces = ["#split_part", "(", "@full_name", ", ' ', ", n, ")"];
        expr(&pieces, Nullness::Column(ident("full_name")), false)
    };
    let forward: Expr = expr(&["#concat_ws", "(' ', ", "@a", ", ", "@b", ")"], Nullness::Never, false);
    let operation = Operation::Pair(Pair {
        table,
        new: vec![NewSide { column: &new, forward, not_null: true }],
        old: vec![
            OldSide { column: &table.columns[1], back: back("1") },
            OldSide { column: &table.columns[2], back: back("2") },
        ],
        at: &at,
    });
    planned(&operation, catalog, major).expect("the change can be planned")
}

#[test]
fn what_a_collation_takes_for_the_same_is_counted_as_wrong() {
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        let folding = "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
        if client.try_batch(folding).is_err() {
            segue_testkit::skipped("ICU");
            continue;
        }
        client.batch(
            "CREATE TABLE t (id int PRIMARY KEY, a text COLLATE folding, b text COLLATE folding, full_name text);
             INSERT INTO t VALUES (1, 'Ann', 'Lee', 'Ann Lee'), (2, 'Ann', 'Lee', 'ANN LEE'), (3, 'Cher', '', 'Cher'),
               (4, 'Ann', 'Lee', NULL), (5, NULL, NULL, '')",
        );
        let columns = vec![
            column("id", "integer", "int4", true),
            column("a", "text", "text", false),
            column("b", "text", "text", false),
        ];
        let planned = split(&catalog(table("public", "t", columns)), server.major());
        let verify = verify(&planned);
        let counted = run(&mut client, &verify.count, &["0", "1"]);
        assert_eq!(counted, [[Some("5".to_owned()), Some("1".to_owned()), Some("1".to_owned())]]);
        let wrong: Vec<Option<String>> = run(&mut client, &verify.sample, &["0", "1"]).into_iter().flatten().collect();
        assert_eq!(wrong, [Some("2".to_owned()), Some("4".to_owned())]);
    }
}

/// `n` of this type follows from the text `o`, and `o` from `n`.
fn both_ways(kind: &str, forward: &[&str], raises: bool, back: &[&str], major: u32) -> Planned {
    let columns = vec![column("id", "integer", "int4", true), column("o", "text", "text", false)];
    let catalog = catalog(table("public", "t", columns));
    let (table, at, new) = (&catalog.tables[0], place(), new_column("n", kind, false));
    let forward = expr(forward, Nullness::Column(ident("o")), raises);
    let back = expr(back, Nullness::Column(ident("n")), false);
    let operation = Operation::Pair(Pair {
        table,
        new: vec![NewSide { column: &new, forward, not_null: false }],
        old: vec![OldSide { column: &table.columns[1], back }],
        at: &at,
    });
    planned(&operation, &catalog, major).expect("the change can be planned")
}

/// Returns the rows, the unrelated and the absent ones, and the keys of the wrong.
fn judged(client: &mut Client, verify: &Verify) -> String {
    let count = run(client, &verify.count, &["0", "1"]);
    let mut wrong: Vec<Option<String>> = run(client, &verify.sample, &["0", "1"]).into_iter().flatten().collect();
    wrong.sort();
    let shown = |row: &[Option<String>]| row.iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    format!("{}: {}", shown(&count[0]), shown(&wrong))
}

#[test]
fn what_is_right_at_first_sight_is_counted_as_when_it_is_looked_at_closely() {
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        let short = both_ways("character varying(3)", &["@o"], false, &["@n"], server.major());
        client.batch(
            "CREATE TABLE t (id int PRIMARY KEY, o text, n varchar(3));
             INSERT INTO t VALUES (1, 'abc', 'abc'), (2, 'abcd', NULL), (3, 'abc', 'abd'), (4, 'abcd', 'abc'),
               (5, 'abc', NULL), (6, NULL, NULL), (7, NULL, 'abc'), (8, 'a ', 'a')",
        );
        assert_eq!(judged(&mut client, verify(&short)), "8 4 1: 3 4 5 7 8");
    }
}

#[test]
fn a_conversion_that_must_be_tried_is_not_where_the_way_back_tells() {
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        client.batch("CREATE TABLE t (id int PRIMARY KEY, o text)");
        let planned = both_ways("integer", &["@o", "::int"], true, &["@n", "::text"], server.major());
        prepare(&mut client, &planned);
        client.batch(
            "ALTER TABLE t DISABLE TRIGGER USER;
             INSERT INTO t (id, o, n) VALUES (1, '7', 7), (2, '007', 7), (3, '7', 8), (4, 'x', NULL), (5, '7', NULL),
               (6, NULL, NULL), (7, NULL, 7), (8, 'x', 7)",
        );
        let verify = verify(&planned);
        assert_eq!(judged(&mut client, verify), "8 3 1: 3 5 7 8");
        // Were the conversion tried for a row whose way back tells, this would fail.
        let functions = "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
             AND prorettype = 'int'::regtype";
        let convert = client.value(functions).expect("the conversion is tried by a function");
        client.batch(&format!("DELETE FROM t WHERE id <> 1; DROP FUNCTION {convert} CASCADE"));
        client
            .batch(&format!("CREATE FUNCTION {convert} RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE 'tried'; END$$"));
        assert_eq!(run(&mut client, &verify.count, &["0", "1"])[0][1].as_deref(), Some("0"));
    }
}

#[test]
fn a_value_that_the_narrow_column_cannot_hold_is_right_only_as_null() {
    for server in segue_testkit::each_postgres() {
        let mut client = Client::connect(&server.database());
        let planned = retype_of(&wide(false), "bigint", server.major()).expect("the change can be planned");
        let after = planned.steps.iter().rev().find_map(|step| match &step.action {
            Action::Verify(verify) => Some(verify),
            _ => None,
        });
        let after = after.expect("it is verified again before anything is dropped");
        let narrow = after.count.as_str().split('"').find(|name| name.starts_with("segue_c_"));
        let narrow = narrow.expect("the old column has a name of ours");
        client.batch(&format!(
            "CREATE TABLE ev (id int PRIMARY KEY, c bigint, {narrow} int);
             INSERT INTO ev VALUES (1, 7, 7), (2, 3000000000, NULL), (3, 7, 8), (4, 3000000000, 7), (5, 7, NULL),
               (6, NULL, NULL), (7, NULL, 7)"
        ));
        assert_eq!(judged(&mut client, after), "7 3 1: 3 4 5 7");
    }
}
