//! Indexes: built, dropped, renamed and built anew while the application runs, with the end that the naive DDL has.

use segue_testkit::client::Client;

use crate::naive::{Case, both_ways, both_ways_as};

const ITEMS: &str = r#"CREATE TABLE items (id int PRIMARY KEY, email text, "Odd ""name" text, a int, b int, at date, doc jsonb);
INSERT INTO items SELECT i, 'x' || i, CASE WHEN i % 3 = 0 THEN NULL ELSE 'o' || i END, i % 10, i, '2026-01-01', '{}'
FROM generate_series(1, 500) AS i;
CREATE INDEX items_a_idx ON items (a) WHERE a > 3;
CREATE INDEX items_b ON items (b DESC, a) INCLUDE (email) WITH (fillfactor = 70);
COMMENT ON INDEX items_b IS 'it''s told';
ALTER TABLE items CLUSTER ON items_b;
CREATE UNIQUE INDEX items_lower ON items (lower(email) text_pattern_ops) WHERE b > 0;
ALTER INDEX items_lower ALTER COLUMN 1 SET STATISTICS 700;"#;

#[test]
fn indexes_come_out_as_the_naive_ddl_makes_them() {
    let each = [
        "CREATE INDEX items_email ON items (email);",
        "CREATE INDEX ON items (a);\nCREATE INDEX ON items (a, b);\nCREATE INDEX ON items (a);",
        r#"CREATE INDEX "in ""dex" ON public.items USING btree ("Odd ""name" COLLATE "C" DESC NULLS LAST, lower(email)) INCLUDE (b) WITH (fillfactor = 80) WHERE a > 1;"#,
        "CREATE UNIQUE INDEX ON items (email, b);",
        "CREATE UNIQUE INDEX ON items (coalesce(email, 'none'), (b + 1), (b::text), (CASE WHEN a > 1 THEN b END)) WHERE b > 5;",
        "CREATE INDEX ON items USING gin (doc jsonb_path_ops);",
        "CREATE INDEX ON items USING brin (at) WITH (pages_per_range = 32);",
        "CREATE INDEX ON items ((a + b), (b + a), substr(email, 1, 2));",
        "DROP INDEX items_b;",
        "DROP INDEX items_b, items_a_idx;",
        "DROP INDEX items_lower;",
        "DROP INDEX items_a_idx;\nCREATE INDEX items_a_idx ON items (a, b);",
        "ALTER INDEX items_b RENAME TO \"items B\";",
        "ALTER INDEX items_b SET (fillfactor = 50, deduplicate_items = off);",
        "ALTER INDEX items_b RESET (fillfactor);",
        "ALTER INDEX items_lower ALTER COLUMN 1 SET STATISTICS 100;",
        "CREATE TABLE other (id int, a int);\nCREATE INDEX CONCURRENTLY other_a ON other (a);\nCREATE INDEX CONCURRENTLY ON items (at);",
    ];
    for server in segue_testkit::oldest_and_newest_postgres() {
        for up in each {
            both_ways(server, ITEMS, up);
        }
        if server.major() >= 15 {
            both_ways(server, ITEMS, "CREATE UNIQUE INDEX ON items (email, id) NULLS NOT DISTINCT;");
        }
        both_ways_as(
            server,
            ITEMS,
            "ALTER TABLE items ADD COLUMN c int DEFAULT 3;\nCREATE INDEX CONCURRENTLY ON items (c, a);",
            "ALTER TABLE items ADD COLUMN c int DEFAULT 3;\nCREATE INDEX ON items (c, a);",
        );
    }
}

#[test]
fn a_long_name_is_cut_as_the_server_cuts_it() {
    let table = "t".repeat(50);
    let setup = format!("CREATE TABLE {table} (\"élan vital éééééééééééééééé\" int, {0} int)", "c".repeat(60));
    let up = format!(
        "CREATE INDEX ON {table} (\"élan vital éééééééééééééééé\");\nCREATE INDEX ON {table} ({0});\nCREATE INDEX ON {table} ({0}, \"élan vital éééééééééééééééé\");",
        "c".repeat(60)
    );
    for server in segue_testkit::oldest_and_newest_postgres() {
        both_ways(server, &setup, &up);
    }
}

#[test]
fn duplicates_are_refused_before_anything_is_changed() {
    let setup = "CREATE TABLE users (id int, email text, gone bool);
        INSERT INTO users VALUES (1, 'a@b', false), (2, 'a@b', false), (3, NULL, false), (4, NULL, false), (5, 'c', true), (6, 'c', true);";
    for server in segue_testkit::oldest_and_newest_postgres() {
        let said =
            Case::new(server, setup, "ALTER TABLE users ADD COLUMN n int;\nCREATE UNIQUE INDEX ON users (email);")
                .refused();
        assert!(said.contains("2 keys stand in 4 rows") && said.contains("2 × (a@b)"), "{said}");
        assert!(said.contains("DELETE FROM"), "{said}");
        let case = Case::new(server, setup, "CREATE UNIQUE INDEX ON users (email) WHERE NOT gone;");
        let said = case.refused();
        assert!(said.contains("1 keys stand in 2 rows"), "{said}");
        let mend =
            said.rfind("`DELETE FROM").map(|at| said[at + 1..].split("`.").next().unwrap_or_default().to_owned());
        let mend = mend.unwrap_or_else(|| panic!("no statement mends it: {said}"));
        case.client().batch(&mend.split_whitespace().collect::<Vec<_>>().join(" "));
        case.project.segue.ok(&["apply"]);
        assert_eq!(case.client().value("SELECT count(*) FROM users").as_deref(), Some("5"));
    }
}

#[test]
fn what_an_index_belongs_to_keeps_it() {
    let setup = "CREATE TABLE u (id int PRIMARY KEY, k int NOT NULL); CREATE UNIQUE INDEX u_k ON u (k);
        CREATE TABLE c (k int REFERENCES u (k)); ALTER TABLE u REPLICA IDENTITY USING INDEX u_k;
        CREATE TABLE f (id int); CREATE UNIQUE INDEX f_id ON f (id); ALTER TABLE f ALTER id SET NOT NULL; ALTER TABLE f REPLICA IDENTITY USING INDEX f_id;";
    let each = [
        ("DROP INDEX u_pkey;", "DROP CONSTRAINT"),
        ("DROP INDEX u_k;", "foreign key"),
        ("DROP INDEX f_id;", "replica identity"),
        ("DROP INDEX f_id CASCADE;", "CASCADE"),
        ("DROP INDEX nothing;", "there is no index"),
        ("DROP INDEX u;", "it is a table"),
        ("ALTER INDEX u_k SET TABLESPACE pg_default;", "copies the index under a lock"),
        ("ALTER INDEX u_k RENAME TO f_id;", "exists already"),
        ("CREATE INDEX u_k ON f (id);", "exists already"),
        ("CREATE INDEX ON f (nothing);", "no column"),
    ];
    for server in segue_testkit::oldest_and_newest_postgres() {
        for (up, why) in each {
            let said = Case::new(server, setup, up).refused();
            assert!(said.contains(why), "{up}: {said}");
        }
        let case = Case::new(server, setup, "DROP INDEX IF EXISTS nothing;");
        assert!(case.project.segue.ok(&["plan"]).contains("does nothing"));
        case.project.segue.ok(&["apply"]);
    }
}

#[test]
fn reindex_builds_each_index_anew() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        for up in ["REINDEX INDEX items_lower;", "REINDEX (VERBOSE) TABLE items;", "REINDEX TABLE CONCURRENTLY items;"]
        {
            let case = Case::new(server, ITEMS, up);
            let oids = "SELECT indexrelid FROM pg_index WHERE indrelid = 'items'::regclass AND indexrelid = 'items_lower'::regclass";
            let (before, oid) = (case.dump(), case.client().value(oids));
            case.project.segue.ok(&["apply"]);
            assert_eq!(case.dump(), before, "{up}");
            assert_ne!(case.client().value(oids), oid, "{up}");
        }
    }
}

/// A build that fails leaves an invalid index; it must never be taken for the real one.
#[test]
fn a_build_that_failed_leaves_nothing_and_is_done_again() {
    let setup =
        "CREATE TABLE users (id int, email text); INSERT INTO users SELECT i, 'x' || i FROM generate_series(1, 100) i";
    for server in segue_testkit::oldest_and_newest_postgres() {
        let case = Case::new(server, setup, "CREATE UNIQUE INDEX users_email ON users (email);");
        // Rows that a snapshot of the plan does not see: the build itself finds them.
        let plan = case.project.segue.ok(&["plan", "--format", "json"]);
        let file = case.project.path().join("plan.json");
        std::fs::write(&file, plan).unwrap();
        case.client().batch("INSERT INTO users VALUES (101, 'x1')");
        let failed = case.project.segue.run(&["apply", "--plan", file.to_str().unwrap()]);
        assert_ne!(failed.code, 0, "{}", failed.stderr);
        assert_eq!(case.client().value("SELECT to_regclass('users_email')"), None, "{}", failed.stderr);
        case.client().batch("DELETE FROM users WHERE id = 101");
        case.project.segue.ok(&["apply"]);
        let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_email'::regclass";
        assert_eq!(case.client().value(valid).as_deref(), Some("t"));
    }
}

#[test]
fn an_index_over_a_filled_column_is_built_after_it() {
    let setup = "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT i, 'x' || i FROM generate_series(1, 100) i";
    let up = "ALTER TABLE users ADD COLUMN slug text;\nUPDATE users SET slug = lower(name);\nCREATE INDEX users_slug ON users (slug);\nCREATE UNIQUE INDEX users_once ON users (slug, id);";
    for server in segue_testkit::oldest_and_newest_postgres() {
        let case = Case::new(server, setup, up);
        case.project.segue.ok(&["apply"]);
        assert!(case.client().value("SELECT to_regclass('users_slug')").is_some());
        assert_eq!(case.client().value("SELECT to_regclass('users_once')"), None, "old code still writes");
        case.project.segue.ok(&["flip"]);
        case.project.segue.ok(&["contract", "--old-version-stopped"]);
        case.project.segue.ok(&["cleanup", "--yes", "--i-checked-references"]);
        let twin = server.database();
        Client::connect(&twin).batch(&format!("{setup}; {up}"));
        assert_eq!(case.dump(), segue_testkit::dump::postgres::catalog(&twin, "public"));
    }
}
