//! The comparator sees what a hand changes in a PostgreSQL schema.

use segue_testkit::client::Client;
use segue_testkit::dump::{assert_same, difference, postgres, without};
use segue_testkit::each_postgres;

const SETUP: &str = "
    CREATE SCHEMA app;
    CREATE TYPE app.mood AS ENUM ('good', 'bad');
    CREATE TABLE app.parent (a int, b int, PRIMARY KEY (a, b));
    CREATE TABLE app.users (id serial PRIMARY KEY, email varchar(40) NOT NULL DEFAULT '', x int, y int, mood app.mood, note varchar(40), story text,
      twice int GENERATED ALWAYS AS (x * 2) STORED,
      CONSTRAINT positive CHECK (x > 0), CONSTRAINT pair FOREIGN KEY (x, y) REFERENCES app.parent (a, b));
    CREATE INDEX users_email ON app.users (email varchar_pattern_ops);
    CREATE VIEW app.emails AS SELECT email FROM app.users;
    CREATE FUNCTION app.shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER shout BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.shout();
    CREATE POLICY mine ON app.users USING (id > 0);
    CREATE STATISTICS app.both ON x, y FROM app.users;
    CREATE PUBLICATION feed FOR TABLE app.users;
    COMMENT ON COLUMN app.users.email IS 'where to write';
    COMMENT ON CONSTRAINT positive ON app.users IS 'why';
    COMMENT ON TRIGGER shout ON app.users IS 'loud';
    GRANT SELECT ON app.users TO PUBLIC;
    GRANT UPDATE (email) ON app.users TO PUBLIC;";

/// Each changes one thing that the dump must show.
const CHANGES: &[&str] = &[
    "REVOKE SELECT ON app.users FROM PUBLIC",
    "REVOKE UPDATE (email) ON app.users FROM PUBLIC",
    "GRANT USAGE ON SCHEMA app TO PUBLIC",
    "REVOKE EXECUTE ON FUNCTION app.shout() FROM PUBLIC",
    "GRANT SELECT ON app.users_id_seq TO PUBLIC",
    "COMMENT ON COLUMN app.users.email IS NULL",
    "COMMENT ON CONSTRAINT positive ON app.users IS NULL",
    "COMMENT ON TRIGGER shout ON app.users IS NULL",
    "COMMENT ON INDEX app.users_email IS 'new'",
    "COMMENT ON SCHEMA app IS 'new'",
    "DROP INDEX app.users_email; CREATE INDEX users_email ON app.users (email)",
    "DROP INDEX app.users_email; CREATE INDEX users_email ON app.users (email varchar_pattern_ops DESC)",
    "ALTER INDEX app.users_email SET (fillfactor = 50)",
    "CLUSTER app.users USING users_pkey",
    "ALTER TABLE app.users REPLICA IDENTITY USING INDEX users_pkey",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.users_email'::regclass",
    "ALTER TABLE app.users DROP CONSTRAINT pair, ADD CONSTRAINT pair FOREIGN KEY (x, y) REFERENCES app.parent (b, a)",
    "ALTER TABLE app.users DROP CONSTRAINT pair,
       ADD CONSTRAINT pair FOREIGN KEY (x, y) REFERENCES app.parent (a, b) NOT VALID",
    "ALTER TABLE app.users ALTER CONSTRAINT pair DEFERRABLE",
    "ALTER TABLE app.users DROP CONSTRAINT positive",
    "DROP POLICY mine ON app.users",
    "ALTER POLICY mine ON app.users USING (id > 1)",
    "ALTER TABLE app.users ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE app.users ENABLE ALWAYS TRIGGER shout",
    "CREATE OR REPLACE FUNCTION app.shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "ALTER TABLE app.users ALTER note TYPE varchar(41)",
    "ALTER TABLE app.users ALTER email DROP NOT NULL",
    "ALTER TABLE app.users ALTER email SET DEFAULT 'x'",
    "ALTER TABLE app.users ALTER email SET STATISTICS 7",
    "ALTER TABLE app.users ALTER email SET STORAGE EXTERNAL",
    "ALTER TABLE app.users ALTER email SET (n_distinct = 5)",
    "ALTER TABLE app.users SET (fillfactor = 50)",
    "ALTER TABLE app.users SET (toast.autovacuum_enabled = off)",
    "ALTER TABLE app.users OWNER TO somebody",
    "ALTER SEQUENCE app.users_id_seq OWNED BY NONE",
    "ALTER SEQUENCE app.users_id_seq AS bigint",
    "SELECT nextval('app.users_id_seq')",
    "ALTER TYPE app.mood ADD VALUE 'mixed'",
    "CREATE OR REPLACE VIEW app.emails AS SELECT email FROM app.users WHERE id > 0",
    "DROP STATISTICS app.both",
    "ALTER PUBLICATION feed DROP TABLE app.users",
    "CREATE RULE quiet AS ON DELETE TO app.users DO INSTEAD NOTHING",
    "CREATE DOMAIN app.short AS text CHECK (length(VALUE) < 5)",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC",
];

#[test]
fn a_change_by_hand_is_seen() {
    for server in each_postgres() {
        server.role("somebody");
        let url = server.database();
        Client::connect(&url).batch(SETUP);
        let before = postgres::catalog(&url, "app");
        for change in CHANGES {
            let copy = server.copy_of(&url);
            Client::connect(&copy).batch(change);
            let after = postgres::catalog(&copy, "app");
            assert!(!difference(&before, &after).is_empty(), "PostgreSQL {}: not seen: {change}", server.major());
        }
    }
}

#[test]
fn nothing_changes_a_dump_but_a_change() {
    for server in each_postgres() {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch(SETUP);
        let before = postgres::catalog(&url, "app");
        for harmless in [
            "ALTER TABLE app.users ADD COLUMN z int; ALTER TABLE app.users DROP COLUMN z",
            "GRANT DELETE ON app.users TO PUBLIC; REVOKE DELETE ON app.users FROM PUBLIC",
            "INSERT INTO app.parent VALUES (1, 1)",
            "CREATE SCHEMA segue; CREATE TABLE segue.meta (id int)",
            "ANALYZE",
        ] {
            client.batch(harmless);
            assert_same(&before, &postgres::catalog(&url, "app"));
        }
        client.batch("SELECT nextval('app.users_id_seq')");
        let after = postgres::catalog(&url, "app");
        let still = |dump| without(dump, segue_testkit::dump::SEQUENCE_VALUE);
        assert_same(&still(before), &still(after));
    }
}

#[test]
fn rows_come_by_column_name() {
    for server in each_postgres() {
        let url = server.database();
        Client::connect(&url).batch(
            r#"CREATE TABLE "T t" (id int, b text, a text); INSERT INTO "T t" VALUES (2, 'x''y', NULL), (1, '', 'é')"#,
        );
        assert_eq!(postgres::rows(&url, r#""T t""#, "id"), ["a='é', b='', id='1'", "a=NULL, b='x''y', id='2'"]);
    }
}
