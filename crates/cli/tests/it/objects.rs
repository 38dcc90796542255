//! Views, functions, triggers, policies, types and the rest: carried out as the user would have done it, and taken back.

use serde_json::Value;

use segue_testkit::client::Client;
use segue_testkit::dump;

use crate::project::Project;

/// What is there before: objects that carry grants, comments, owners and options of their own.
const SETUP: &str = r#"
CREATE TABLE "Odd ""table" (id bigint PRIMARY KEY, a int, b text);
INSERT INTO "Odd ""table" SELECT i, NULLIF(i % 7, 0), 'x' || i FROM generate_series(1, 500) AS i;
CREATE TABLE t (id bigint PRIMARY KEY, a int, b text);
INSERT INTO t SELECT i, NULLIF(i % 7, 0), 'x' || i FROM generate_series(1, 500) AS i;
CREATE INDEX t_a ON t (a);
ALTER TABLE t SET (fillfactor = 90, toast.autovacuum_enabled = false);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION double(n int, OUT twice int) LANGUAGE sql AS 'SELECT n * 2';
COMMENT ON FUNCTION double(int) IS 'it''s twice';
REVOKE ALL ON FUNCTION double(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION double(int) TO pg_monitor;
CREATE TRIGGER "fi""rst" BEFORE UPDATE OF a ON t FOR EACH ROW WHEN (OLD.a IS NULL) EXECUTE FUNCTION touch();
ALTER TABLE t ENABLE ALWAYS TRIGGER "fi""rst";
COMMENT ON TRIGGER "fi""rst" ON t IS 'first';
CREATE RULE quiet AS ON DELETE TO t WHERE OLD.id < 0 DO ALSO NOTHING;
CREATE POLICY everyone ON t FOR SELECT TO pg_monitor USING (a > 0);
COMMENT ON POLICY everyone ON t IS 'all';
CREATE STATISTICS pairs (dependencies) ON a, b FROM t;
CREATE VIEW seen WITH (security_barrier = true) AS SELECT id, a FROM t WHERE a > 0;
COMMENT ON VIEW seen IS 'what is seen';
COMMENT ON COLUMN seen.a IS 'a';
GRANT SELECT, UPDATE (a) ON seen TO pg_monitor;
ALTER VIEW seen ALTER COLUMN a SET DEFAULT 3;
CREATE MATERIALIZED VIEW counted AS SELECT id, a FROM t;
CREATE UNIQUE INDEX counted_id ON counted (id);
CREATE INDEX counted_a ON counted (a DESC) WHERE a > 1;
GRANT SELECT ON counted TO PUBLIC;
COMMENT ON MATERIALIZED VIEW counted IS 'counts';
CREATE SEQUENCE numbers INCREMENT 3 CACHE 5 MAXVALUE 1000 CYCLE;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS int DEFAULT 3;
CREATE TABLE uses (id int, p positive);
INSERT INTO uses VALUES (1, 1), (2, NULL);
GRANT SELECT (a) ON t TO pg_monitor WITH GRANT OPTION;
COMMENT ON TABLE t IS 'it''s t';
"#;

/// Each is applied, compared with what it does by itself, rolled back, and compared with what was there.
const CHANGES: &[(u32, &str)] = &[
    (13, "CREATE VIEW v2 AS SELECT id FROM t"),
    (13, "CREATE OR REPLACE VIEW seen AS SELECT id, a, 1 AS one FROM t"),
    (13, "CREATE OR REPLACE VIEW fresh AS SELECT id FROM t"),
    (13, "DROP VIEW seen"),
    (13, "ALTER VIEW seen SET (security_barrier = false)"),
    (13, "CREATE MATERIALIZED VIEW m2 AS SELECT id FROM t"),
    (13, "REFRESH MATERIALIZED VIEW counted"),
    (13, "DROP MATERIALIZED VIEW counted"),
    (13, "CREATE TABLE copied AS SELECT id FROM t"),
    (
        13,
        "CREATE TABLE child (id int, p bigint REFERENCES t (id) ON DELETE CASCADE, q bigint REFERENCES \"Odd \"\"table\")",
    ),
    (13, "CREATE TABLE heir (more int) INHERITS (t)"),
    (13, "CREATE TABLE alike (LIKE t INCLUDING ALL)"),
    (13, "CREATE TRIGGER \"se\"\"cond\" AFTER INSERT ON \"Odd \"\"table\" FOR EACH ROW EXECUTE FUNCTION touch()"),
    (14, "CREATE OR REPLACE TRIGGER \"fi\"\"rst\" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch()"),
    (13, "DROP TRIGGER \"fi\"\"rst\" ON t"),
    (13, "ALTER TABLE t DISABLE TRIGGER \"fi\"\"rst\""),
    (13, "ALTER TRIGGER \"fi\"\"rst\" ON t RENAME TO other"),
    (13, "CREATE RULE calm AS ON DELETE TO t WHERE OLD.id < 1 DO ALSO NOTHING"),
    (13, "CREATE OR REPLACE RULE quiet AS ON DELETE TO t WHERE OLD.id < 1 DO ALSO NOTHING"),
    (13, "DROP RULE quiet ON t"),
    (13, "CREATE POLICY nobody ON t FOR UPDATE USING (false) WITH CHECK (a > 0)"),
    (13, "ALTER POLICY everyone ON t USING (a > 5)"),
    (13, "DROP POLICY everyone ON t"),
    (13, "ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"),
    (13, "CREATE FUNCTION one(text, VARIADIC int[]) RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    (13, "CREATE PROCEDURE two(a int) LANGUAGE sql AS 'SELECT 1'"),
    (13, "CREATE OR REPLACE FUNCTION double(n int, OUT twice int) LANGUAGE sql AS 'SELECT n + n'"),
    (13, "CREATE OR REPLACE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    (13, "DROP FUNCTION double(int)"),
    (
        13,
        "CREATE TYPE kind AS ENUM ('a', 'b'); CREATE TYPE pair AS (a int, b int); CREATE DOMAIN small AS int CHECK (VALUE < 9)",
    ),
    (13, "ALTER DOMAIN positive ADD CONSTRAINT above CHECK (VALUE > 0)"),
    (13, "ALTER DOMAIN positive ADD CONSTRAINT above CHECK (VALUE > 1) NOT VALID"),
    (13, "ALTER DOMAIN positive SET DEFAULT 4"),
    (13, "CREATE SEQUENCE more START 5"),
    (13, "ALTER SEQUENCE numbers INCREMENT 5 MAXVALUE 2000 NO CYCLE"),
    (13, "ALTER SEQUENCE numbers OWNED BY t.id"),
    (13, "CREATE STATISTICS more ON a, id FROM t"),
    (13, "DROP STATISTICS pairs"),
    (13, "COMMENT ON TABLE t IS NULL"),
    (13, "COMMENT ON COLUMN t.a IS 'y'"),
    (13, "COMMENT ON COLUMN \"Odd \"\"table\".b IS 'y'"),
    (13, "GRANT ALL ON t TO pg_monitor"),
    (13, "REVOKE SELECT (a) ON t FROM pg_monitor"),
    (13, "ALTER TABLE t SET (fillfactor = 70, autovacuum_enabled = false)"),
    (13, "ALTER TABLE t RESET (fillfactor)"),
    (13, "ALTER TABLE t OWNER TO pg_signal_backend"),
    (13, "ALTER TABLE t REPLICA IDENTITY FULL"),
    (13, "ALTER TABLE t CLUSTER ON t_a"),
    (13, "ANALYZE t"),
];

#[test]
fn each_object_ends_as_if_done_by_hand_and_comes_back_as_it_was() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let mut wrong = vec![];
        let seed = server.database();
        Client::connect(&seed).batch(SETUP);
        let before = dump::postgres::catalog(&seed, "public");
        let changes = CHANGES.iter().filter(|(first, _)| *first <= server.major());
        for (_, change) in changes.clone() {
            let (ours, naive) = (server.copy_of(&seed), server.copy_of(&seed));
            Client::connect(&naive).batch(change);
            let must = dump::postgres::catalog(&naive, "public");
            let project = Project::new(&ours);
            project.write("1_change.sql", change);
            let mut stage = |arguments: &[&str], must: &[String]| {
                let output = project.segue.run(arguments);
                if output.code != 0 {
                    wrong.push(format!(
                        "{change}: {arguments:?} ended with {}\n{}{}",
                        output.code, output.stdout, output.stderr
                    ));
                    return false;
                }
                let difference = dump::difference(must, &dump::postgres::catalog(&ours, "public"));
                if !difference.is_empty() {
                    wrong.push(format!("{change}: after {arguments:?}\n{}", difference.join("\n")));
                }
                true
            };
            let undo = undo_of(&project);
            if stage(&["apply"], &must) {
                // What is finished is no more rolled back as a whole; each step's undo is what an earlier rollback runs.
                undo.iter().for_each(|sql| Client::connect(&ours).batch(sql));
                stage(&["status"], &before);
            }
        }
        println!("postgres {}: {} changes of objects, applied and rolled back", server.major(), changes.count());
        assert!(wrong.is_empty(), "postgres {}:\n{}", server.major(), wrong.join("\n"));
    }
}

/// Returns the undos of the plan's steps, the last step's first.
fn undo_of(project: &Project) -> Vec<String> {
    let output = project.segue.run(&["plan", "--format", "json"]);
    let plan: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let steps = plan["steps"].as_array().cloned().unwrap_or_default();
    let parts = steps.iter().rev().flat_map(|step| step["undo"].as_array().cloned().unwrap_or_default());
    let sql = parts.flat_map(|part| part["sql"].as_array().cloned().unwrap_or_default());
    sql.filter_map(|sql| sql.as_str().map(str::to_owned)).collect()
}

#[test]
fn a_value_of_an_enum_is_there_for_the_next_migration_and_stays() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let url = server.database();
        Client::connect(&url).batch(SETUP);
        let project = Project::new(&url);
        project.write("1_value.sql", "ALTER TYPE mood ADD VALUE 'happy' BEFORE 'ok';");
        project.segue.ok(&["apply"]);
        let labels =
            "SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = 'mood'::regtype";
        assert_eq!(Client::connect(&url).value(labels).as_deref(), Some("sad happy ok"));
    }
}

#[test]
fn what_would_stop_the_application_is_refused_with_the_way_by_hand() {
    let Some(server) = segue_testkit::oldest_and_newest_postgres().into_iter().next() else { return };
    let url = server.database();
    Client::connect(&url).batch(SETUP);
    Client::connect(&url).batch("DROP INDEX counted_id");
    let before = dump::postgres::catalog(&url, "public");
    let project = Project::new(&url);
    for (sql, says) in [
        ("ALTER TABLE t SET UNLOGGED", "writes every row again"),
        ("CLUSTER t USING t_a", "pg_repack"),
        ("VACUUM FULL t", "pg_repack"),
        ("TRUNCATE t", "destroys every row"),
        ("ALTER TYPE mood RENAME VALUE 'ok' TO 'okay'", "a new column beside the old one"),
        ("ALTER VIEW seen RENAME TO other", "under the new name beside this one"),
        ("REFRESH MATERIALIZED VIEW counted", "unique index"),
        ("DROP TYPE mood", "by hand"),
        ("DROP VIEW seen CASCADE", "not yet"),
        ("DROP VIEW IF EXISTS seen", "leave IF EXISTS out"),
        ("ALTER VIEW nowhere SET (security_barrier = true)", "there is no table `nowhere`"),
        ("DROP POLICY nowhere ON t", "it is not there"),
        ("LOCK TABLE t", "short tries"),
    ] {
        project.write("1_change.sql", sql);
        let output = project.segue.run(&["plan"]);
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(output.code == 1 && said.contains(says), "{sql} gave {}:\n{said}", output.code);
    }
    assert_eq!(dump::postgres::catalog(&url, "public"), before);
}
