//! Other types: what the server does at once runs as written, and what cannot be borne is refused.

use segue_testkit::client::Client;
use segue_testkit::dump;

use crate::project::Project;

const SETUP: &str = "CREATE TABLE t (id int PRIMARY KEY, vc varchar(50), num numeric(10,2), ts timestamp(3), txt text);
    CREATE INDEX t_vc ON t (vc); CREATE VIEW v AS SELECT vc, id FROM t; GRANT SELECT ON v TO PUBLIC;
    INSERT INTO t SELECT g, 'v' || g, g, '2026-11-20 01:02:03.004', NULL FROM generate_series(1, 300) AS g;";

#[test]
fn a_type_that_changes_at_once_runs_as_written() {
    const UP: &str = "ALTER TABLE t ALTER COLUMN num TYPE numeric(12,2);\nALTER TABLE t ALTER COLUMN ts TYPE timestamp;
        ALTER TABLE t ALTER COLUMN txt TYPE varchar USING txt::varchar;";
    for server in segue_testkit::oldest_and_newest_postgres() {
        let (url, naive) = (server.database(), server.database());
        Client::connect(&url).batch(SETUP);
        Client::connect(&naive).batch(SETUP);
        let filenode = |url: &str| Client::connect(url).column("SELECT pg_relation_filenode('t')::text", &[]);
        let before = filenode(&url);
        let project = Project::new(&url);
        project.write("1_wide.sql", [UP, "\nALTER TABLE t ALTER COLUMN vc TYPE text;"].concat());
        let plan = project.segue.ok(&["plan"]);
        assert!(plan.contains("0A000") && !plan.contains("backfill"), "{plan}");
        project.segue.ok(&["apply"]);
        assert_eq!(filenode(&url), before, "nothing is written again");
        Client::connect(&naive).batch(
            &[
                UP,
                "DROP VIEW v; ALTER TABLE t ALTER COLUMN vc TYPE text; \
            CREATE VIEW v AS SELECT vc, id FROM t; GRANT SELECT ON v TO PUBLIC;",
            ]
            .concat(),
        );
        dump::assert_same(&dump::postgres::catalog(&naive, "public"), &dump::postgres::catalog(&url, "public"));
    }
}

#[test]
fn a_text_under_a_check_is_changed_by_a_copy_since_the_server_would_read_every_row() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        crate::faithful::Case {
            setup: [
                SETUP,
                "ALTER TABLE t ADD CHECK (vc <> ''); CREATE INDEX ON t (lower(vc)) WHERE vc > 'a';
                ALTER TABLE t ALTER vc SET DEFAULT 'none'; DROP VIEW v;",
            ]
            .concat(),
            up: "ALTER TABLE t ALTER COLUMN vc TYPE text;",
            by_hand: None,
            rows: &[("t", "id")],
        }
        .both_ways(server);
    }
}

#[test]
fn what_cannot_go_over_is_refused_by_name() {
    const CASES: &[(&str, &str, &str)] = &[
        ("CREATE MATERIALIZED VIEW mv AS SELECT id FROM t;", "id TYPE bigint", "materialized view public.mv"),
        ("ALTER TABLE t ADD g int GENERATED ALWAYS AS (id * 2) STORED;", "id TYPE bigint", "column g of table"),
        ("ALTER TABLE t ADD CONSTRAINT ex EXCLUDE (id WITH =);", "id TYPE bigint", "EXCLUDE"),
        ("ALTER TABLE t ADD CONSTRAINT late UNIQUE (id) DEFERRABLE;", "id TYPE bigint", "DEFERRABLE"),
        ("CREATE TABLE holds (r t);", "id TYPE bigint", "holds rows of the table"),
        ("", "vc TYPE varchar(20)", "CHECK (char_length(\"vc\") <= 20)"),
        ("", "id TYPE text", "two names"),
        ("", "id TYPE int", "already"),
        ("", "txt TYPE varchar(9)", "writes no row"),
    ];
    for server in segue_testkit::oldest_and_newest_postgres() {
        for (more, up, says) in CASES {
            let url = server.database();
            Client::connect(&url).batch(&[SETUP, more].concat());
            let project = Project::new(&url);
            project.write("1_change.sql", format!("ALTER TABLE t ALTER COLUMN {up};"));
            let before = dump::postgres::catalog(&url, "public");
            let output = project.segue.run(&["apply"]);
            assert_eq!(output.code, 1, "{up} {more}: {}{}", output.stdout, output.stderr);
            assert!(output.stderr.contains(says), "{up} {more}: {}", output.stderr);
            dump::assert_same(&before, &dump::postgres::catalog(&url, "public"));
        }
    }
}
