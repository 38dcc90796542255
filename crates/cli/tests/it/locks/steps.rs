//! Migrations whose steps are observed one by one, and then their undos.

/// A name for messages, the first major version that has it, what is there before, and the migration.
pub(super) type StepCase = (&'static str, u32, &'static str, &'static str);

/// A table with rows, one that refers to it, and what stands on them.
const TABLES: &str = "
CREATE TABLE parent (id bigint PRIMARY KEY, v int);
INSERT INTO parent SELECT i, i FROM generate_series(1, 100) AS i;
CREATE TABLE t (id bigint PRIMARY KEY, a int, b text);
INSERT INTO t SELECT i, i, 'x' || i FROM generate_series(1, 1000) AS i;
CREATE INDEX t_a ON t (a);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER first BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE quiet AS ON DELETE TO t WHERE false DO ALSO NOTHING;
CREATE POLICY everyone ON t USING (true);
CREATE STATISTICS pairs ON a, b FROM t;
CREATE VIEW seen AS SELECT id, a FROM t;
CREATE MATERIALIZED VIEW counted AS SELECT id, a FROM t;
CREATE UNIQUE INDEX counted_id ON counted (id);
CREATE SEQUENCE numbers;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS int;
CREATE TABLE uses (id int, p positive);
CREATE PUBLICATION feed;
";

/// Every case; a new one needs a line here and nothing else.
pub(super) const STEPS: &[StepCase] = &[
    ("create a view", 13, TABLES, "CREATE VIEW v2 AS SELECT id FROM t;"),
    ("replace a view", 13, TABLES, "CREATE OR REPLACE VIEW seen AS SELECT id, a, 1 AS one FROM t;"),
    ("drop a view", 13, TABLES, "DROP VIEW seen;"),
    ("a view's owner", 13, TABLES, "ALTER VIEW seen OWNER TO pg_monitor;"),
    ("create a materialized view", 13, TABLES, "CREATE MATERIALIZED VIEW m2 AS SELECT id FROM t;"),
    ("refresh a materialized view", 13, TABLES, "REFRESH MATERIALIZED VIEW counted;"),
    ("drop a materialized view", 13, TABLES, "DROP MATERIALIZED VIEW counted;"),
    ("create a table as a query", 13, TABLES, "CREATE TABLE copied AS SELECT id FROM t;"),
    ("a table with a foreign key", 13, TABLES, "CREATE TABLE child (id int, p bigint REFERENCES parent (id));"),
    ("a table that inherits", 13, TABLES, "CREATE TABLE heir () INHERITS (parent);"),
    ("a table like another", 13, TABLES, "CREATE TABLE alike (LIKE t INCLUDING ALL);"),
    ("create a trigger", 13, TABLES, "CREATE TRIGGER second BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();"),
    (
        "replace a trigger",
        14,
        TABLES,
        "CREATE OR REPLACE TRIGGER first BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch();",
    ),
    ("drop a trigger", 13, TABLES, "DROP TRIGGER first ON t;"),
    ("disable a trigger", 13, TABLES, "ALTER TABLE t DISABLE TRIGGER first;"),
    ("rename a trigger", 13, TABLES, "ALTER TRIGGER first ON t RENAME TO other;"),
    ("create a rule", 13, TABLES, "CREATE RULE calm AS ON DELETE TO t WHERE false DO ALSO NOTHING;"),
    ("drop a rule", 13, TABLES, "DROP RULE quiet ON t;"),
    ("create a policy", 13, TABLES, "CREATE POLICY nobody ON t USING (false);"),
    ("alter a policy", 13, TABLES, "ALTER POLICY everyone ON t USING (a > 0);"),
    ("drop a policy", 13, TABLES, "DROP POLICY everyone ON t;"),
    ("row security", 13, TABLES, "ALTER TABLE t ENABLE ROW LEVEL SECURITY;"),
    ("a function", 13, TABLES, "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';"),
    (
        "replace a function",
        13,
        TABLES,
        "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';",
    ),
    (
        "types",
        13,
        TABLES,
        "CREATE TYPE kind AS ENUM ('a'); CREATE TYPE pair AS (a int, b int); CREATE DOMAIN small AS int;",
    ),
    ("a value of an enum", 13, TABLES, "ALTER TYPE mood ADD VALUE 'happy';"),
    ("a rule of a domain", 13, TABLES, "ALTER DOMAIN positive ADD CONSTRAINT above CHECK (VALUE > 0);"),
    (
        "a rule of a domain for later",
        13,
        TABLES,
        "ALTER DOMAIN positive ADD CONSTRAINT above CHECK (VALUE > 0) NOT VALID;",
    ),
    ("a sequence", 13, TABLES, "CREATE SEQUENCE more;"),
    ("a sequence's step", 13, TABLES, "ALTER SEQUENCE numbers INCREMENT 5;"),
    ("a sequence's column", 13, TABLES, "ALTER SEQUENCE numbers OWNED BY t.id;"),
    ("a schema", 13, TABLES, "CREATE SCHEMA apart;"),
    ("statistics", 13, TABLES, "CREATE STATISTICS more ON a, id FROM t;"),
    ("drop statistics", 13, TABLES, "DROP STATISTICS pairs;"),
    ("a publication", 13, TABLES, "CREATE PUBLICATION news FOR TABLE t;"),
    ("publish a table", 13, TABLES, "ALTER PUBLICATION feed ADD TABLE t;"),
    ("a comment", 13, TABLES, "COMMENT ON TABLE t IS 'x'; COMMENT ON COLUMN t.a IS 'y';"),
    ("a grant", 13, TABLES, "GRANT SELECT ON t TO pg_monitor;"),
    ("a table's options", 13, TABLES, "ALTER TABLE t SET (fillfactor = 70);"),
    ("a table's owner", 13, TABLES, "ALTER TABLE t OWNER TO pg_monitor;"),
    ("replica identity", 13, TABLES, "ALTER TABLE t REPLICA IDENTITY FULL;"),
    ("clustered", 13, TABLES, "ALTER TABLE t CLUSTER ON t_a;"),
    ("analyze", 13, TABLES, "ANALYZE t;"),
];
