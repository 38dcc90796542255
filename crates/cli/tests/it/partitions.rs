//! Partitioned tables: indexes over all partitions, and partitions that come and go.

use segue_testkit::client::Client;
use segue_testkit::lockprobe::locks_of;
use segue_testkit::postgres::PostgresServer;
use serde_json::Value;

use crate::naive::{Case, both_ways, both_ways_as};

/// Two levels, a quoted name, a foreign key in either direction, and rows.
const EVENTS: &str = r#"CREATE TABLE kinds (id int PRIMARY KEY); INSERT INTO kinds VALUES (1), (2);
CREATE TABLE events (id int NOT NULL, at int NOT NULL, kind int REFERENCES kinds (id), note text DEFAULT 'n',
  CHECK (id > 0), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
CREATE TABLE "Events ""2" PARTITION OF events FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);
CREATE TABLE events_2a PARTITION OF "Events ""2" FOR VALUES FROM (MINVALUE) TO (300);
CREATE TABLE events_2b PARTITION OF "Events ""2" FOR VALUES FROM (300) TO (500);
CREATE INDEX events_note ON events (lower(note)) WHERE kind > 0;
COMMENT ON INDEX events_note IS 'all of them';
CREATE INDEX events_1_kind_idx ON events_1 (kind, id);
INSERT INTO events SELECT i, i % 200, CASE WHEN i % 3 > 0 THEN i % 3 END FROM generate_series(1, 499) i;
CREATE TABLE loose (note text, id int NOT NULL, at int NOT NULL, kind int, CONSTRAINT events_id_check CHECK (id > 0));
ALTER TABLE loose ALTER note SET DEFAULT 'n';
INSERT INTO loose SELECT NULL, i, 200 + i % 100, 1 FROM generate_series(1, 300) i;"#;

const DEFAULT: &str = "CREATE TABLE events_rest PARTITION OF events DEFAULT; INSERT INTO events SELECT i, 500 + i, 1 FROM generate_series(1, 50) i;";

#[test]
fn an_index_of_a_partitioned_table_is_built_partition_by_partition() {
    let each = [
        "CREATE INDEX ON events (at, kind);",
        "CREATE UNIQUE INDEX \"once \"\"only\" ON events (at, id, kind) INCLUDE (note);\nCREATE INDEX ON events (lower(note), (id + 1));",
        "CREATE INDEX events_kind ON events (kind, id);",
        "CREATE INDEX just_this ON ONLY events (kind);",
        "DROP INDEX events_note;",
        "CREATE INDEX ON events_2a (at);",
        "CREATE INDEX whole ON ONLY events_x (kind);\nCREATE INDEX CONCURRENTLY part ON events_x1 (kind);\nALTER INDEX whole ATTACH PARTITION part;",
        "ALTER TABLE events ADD COLUMN extra int DEFAULT 7;",
    ];
    let setup = format!(
        "{EVENTS} CREATE TABLE events_x (kind int) PARTITION BY LIST (kind); CREATE TABLE events_x1 PARTITION OF events_x FOR VALUES IN (1);"
    );
    for server in segue_testkit::oldest_and_newest_postgres() {
        for up in each {
            both_ways_as(server, &setup, up, &up.replace(" CONCURRENTLY", ""));
        }
        let refused = Case::new(server, EVENTS, "DROP INDEX events_1_lower_idx;").refused();
        assert!(refused.contains("part of the index of a partitioned table"), "{refused}");
        let refused = Case::new(server, EVENTS, "CREATE UNIQUE INDEX ON events (at);").refused();
        assert!(refused.contains("keys stand in"), "{refused}");
    }
}

#[test]
fn partitions_come_as_the_naive_ddl_makes_them() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        for setup in [EVENTS.to_owned(), [EVENTS, DEFAULT].concat()] {
            for up in [
                "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM (200) TO (300);",
                "CREATE TABLE events_3 PARTITION OF events (note DEFAULT 'x', CHECK (kind > 0)) FOR VALUES FROM (200) TO (300);",
                "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM (200) TO (MAXVALUE) PARTITION BY HASH (id);\nCREATE TABLE events_3a PARTITION OF events_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);",
                "ALTER TABLE events ATTACH PARTITION loose FOR VALUES FROM (200) TO (300);",
            ] {
                if up.contains("MAXVALUE") && setup.contains("events_rest") {
                    continue;
                }
                both_ways(server, &setup, up);
            }
        }
        both_ways(server, EVENTS, "CREATE TABLE events_rest PARTITION OF events DEFAULT;");
        both_ways(server, EVENTS, "ALTER TABLE events ATTACH PARTITION loose DEFAULT;");
        both_ways(
            server,
            EVENTS,
            "CREATE TABLE events_2c PARTITION OF \"Events \"\"2\" FOR VALUES FROM (500) TO (600);",
        );
    }
}

#[test]
fn partitions_go_as_the_naive_ddl_lets_them_go() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let with_default = [EVENTS, DEFAULT].concat();
        both_ways(server, EVENTS, "ALTER TABLE events DETACH PARTITION events_1;");
        both_ways(server, &with_default, "ALTER TABLE events DETACH PARTITION events_1;");
        both_ways(server, &with_default, "ALTER TABLE events DETACH PARTITION events_rest;");
        if server.major() >= 14 {
            both_ways(server, EVENTS, "ALTER TABLE events DETACH PARTITION events_1 CONCURRENTLY;");
        }
        let refused = Case::new(server, EVENTS, "ALTER TABLE events DETACH PARTITION loose;").refused();
        assert!(refused.contains("it is no partition"), "{refused}");
    }
}

#[test]
fn rows_in_the_wrong_place_are_refused_before_anything_is_changed() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let with_default = [EVENTS, DEFAULT].concat();
        let each = [
            (
                &with_default[..],
                "CREATE TABLE n PARTITION OF events FOR VALUES FROM (510) TO (520);",
                "10 rows of public.events_rest",
            ),
            (
                EVENTS,
                "ALTER TABLE events ATTACH PARTITION loose FOR VALUES FROM (200) TO (250);",
                "150 rows of public.loose",
            ),
            (EVENTS, "ALTER TABLE events ATTACH PARTITION kinds FOR VALUES FROM (200) TO (250);", "no column"),
            (
                EVENTS,
                "ALTER TABLE events ATTACH PARTITION events_2a FOR VALUES FROM (200) TO (250);",
                "a partition or a child already",
            ),
        ];
        for (setup, up, why) in each {
            let said = Case::new(server, setup, up).refused();
            assert!(said.contains(why), "{up}: {said}");
        }
    }
}

/// Runs a plan by hand and returns how often each table was read by its last ATTACH; and compares the locks of every step.
fn observed(server: &PostgresServer, setup: &str, up: &str, read: &[&str]) -> Vec<i64> {
    let case = Case::new(server, setup, up);
    let plan: Value = serde_json::from_str(&case.project.segue.ok(&["plan", "--format", "json"])).unwrap();
    let (mut session, mut watcher) = (case.client(), Client::connect(&case.url));
    session.batch("SET max_parallel_workers_per_gather = 0; SET max_parallel_maintenance_workers = 0");
    let pid = session.pid();
    let mut scans = vec![];
    for step in plan["steps"].as_array().unwrap() {
        let sql: Vec<&str> = step["sql"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        if step["transaction"] == "none" {
            sql.iter().for_each(|sql| session.batch(sql));
            continue;
        }
        session.batch("BEGIN");
        // Counters of a transaction still hold what the one before has not reported yet.
        let before = scans_of(&mut session, read);
        sql.iter().for_each(|sql| session.batch(sql));
        let held = locks_of(&mut watcher, pid);
        if sql.iter().any(|sql| sql.contains("ATTACH PARTITION") && !sql.contains("INDEX")) {
            scans = scans_of(&mut session, read).iter().zip(&before).map(|(after, before)| after - before).collect();
        }
        session.batch("COMMIT");
        let mut predicted: Vec<String> = step["locks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|lock| {
                format!("{} {}", lock["relation"].as_str().unwrap().replace('"', ""), lock["mode"].as_str().unwrap())
            })
            .collect();
        let made = |relation: &str| {
            let name = relation.trim_start_matches("public.");
            let begins = [format!("CREATE TABLE {relation} "), format!("CREATE TABLE {name} ")];
            sql.iter().any(|sql| begins.iter().any(|begin| sql.replace('"', "").starts_with(begin)))
        };
        let mut seen: Vec<String> = vec![];
        for (relation, mode) in &held {
            if !made(relation) {
                seen.push(format!("{} {mode}", relation.replace('"', "")));
            }
        }
        // What is done only after an interruption locks nothing here.
        let (what, all) = (step["sql"].to_string(), predicted.clone());
        let after_interruption = |lock: &String| !what.contains("inhdetachpending") || seen.contains(lock);
        predicted.retain(|lock| after_interruption(lock));
        assert!(seen.iter().all(|lock| all.contains(lock)), "{all:?} {seen:?}");
        predicted.sort();
        seen.sort();
        assert_eq!(
            strongest(&predicted),
            strongest(&seen),
            "{}: {up}: {}\npredicted left, observed right",
            server.major(),
            step["sql"]
        );
    }
    scans
}

fn scans_of(session: &mut Client, tables: &[&str]) -> Vec<i64> {
    let mut of = |table: &&str| {
        let sql = format!("SELECT pg_stat_get_xact_numscans('{table}'::regclass)");
        session.value(&sql).unwrap().parse::<i64>().unwrap()
    };
    tables.iter().map(&mut of).collect()
}

/// Returns the strongest lock of each relation.
fn strongest(locks: &[String]) -> Vec<String> {
    const MODES: [&str; 8] = [
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ];
    let mut best: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for lock in locks {
        let (relation, mode) = lock.rsplit_once(' ').unwrap();
        let rank = MODES.iter().position(|known| *known == mode).unwrap();
        let known = best.entry(relation.to_owned()).or_insert(rank);
        *known = rank.max(*known);
    }
    best.into_iter().map(|(relation, rank)| format!("{relation} {}", MODES[rank])).collect()
}

#[test]
fn attaching_reads_no_rows_whatever_the_bounds() {
    let each = [
        ("RANGE (a)", "FROM (10) TO (20)", "15, 1, 'x'", true),
        ("RANGE (a)", "FROM (MINVALUE) TO (20)", "15, 1, 'x'", true),
        ("RANGE (a, b)", "FROM (10, 5) TO (10, 9)", "10, 6, 'x'", true),
        ("RANGE (a, b)", "FROM (10, MINVALUE) TO (20, MAXVALUE)", "10, 6, 'x'", true),
        ("RANGE (a, b)", "FROM (10, 5) TO (20, 7)", "20, 6, 'x'", true),
        ("RANGE (at)", "FROM ('2026-01-01') TO ('2027-01-01')", "1, 1, 'x', '2026-05-05'", true),
        ("RANGE ((b + 1))", "FROM (1) TO (9)", "1, 1, 'x'", true),
        ("LIST (c)", "IN ('x')", "1, 1, 'x'", true),
        ("LIST (c)", "IN ('x', 'y', NULL)", "1, 1, 'x'", true),
        ("LIST (upper(c))", "IN ('X')", "1, 1, 'x'", true),
        ("HASH (a)", "WITH (MODULUS 1, REMAINDER 0)", "1, 1, 'x'", false),
    ];
    for server in segue_testkit::oldest_and_newest_postgres() {
        for (by, bound, row, has_default) in each {
            let columns = "(a bigint, b int, c varchar(9), at timestamptz)";
            let default = if has_default {
                "CREATE TABLE d PARTITION OF p DEFAULT; INSERT INTO p (a, b, c, at) VALUES (1000, 1000, 'zz', '2020-01-01');"
            } else {
                ""
            };
            let setup = format!(
                "CREATE TABLE p {columns} PARTITION BY {by}; {default} CREATE TABLE n {columns};
                INSERT INTO n VALUES ({row})"
            );
            let up = format!("ALTER TABLE p ATTACH PARTITION n FOR VALUES {bound};");
            let read: &[&str] = if has_default { &["n", "d"] } else { &["n"] };
            let scans = observed(server, &setup, &up, read);
            assert!(scans.iter().all(|scans| *scans == 0), "{}: {by} {bound}: {scans:?}", server.major());
        }
    }
}

#[test]
fn steps_of_partitions_hold_the_locks_that_are_predicted() {
    let plain = EVENTS.replace("\"Events \"\"2\"", "events_2");
    let with_default = [&plain, DEFAULT].concat();
    for server in segue_testkit::oldest_and_newest_postgres() {
        for setup in [&plain, &with_default] {
            for up in [
                "CREATE INDEX ON events (at, kind);",
                "DROP INDEX events_note;",
                "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM (200) TO (300);",
                "CREATE TABLE events_3 PARTITION OF events (CHECK (kind > 0)) FOR VALUES FROM (200) TO (300);",
                "ALTER TABLE events ATTACH PARTITION loose FOR VALUES FROM (200) TO (300);",
                "ALTER TABLE events DETACH PARTITION events_1;",
                "ALTER TABLE events ADD COLUMN extra int;",
                "ALTER INDEX events_note RENAME TO other;",
            ] {
                observed(server, setup, up, &[]);
            }
        }
    }
}
