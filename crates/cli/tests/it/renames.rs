//! Other names on PostgreSQL: both work until the old one is given up, and in the end all is as if the file had been run.

use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::postgres::PostgresServer;

use crate::project::Project;

/// A database with tables, a project with one migration, and a copy on which the same file was run as it is.
struct Stage {
    url: String,
    project: Project,
    client: Client,
    before: Vec<String>,
    naive: Vec<String>,
}

impl Stage {
    fn new(server: &'static PostgresServer, schema: &str, up: &str) -> Self {
        let (url, twin) = (server.database(), server.database());
        let (mut client, mut copy) = (Client::connect(&url), Client::connect(&twin));
        client.batch(schema);
        copy.batch(schema);
        copy.batch(up);
        let project = Project::new(&url);
        project.write("1_change.sql", up);
        let before = catalog(&url);
        Self { naive: catalog(&twin), url, project, client, before }
    }

    fn assert_before(&self) {
        dump::assert_same(&self.before, &catalog(&self.url));
    }

    /// Everything that a rollback is tested from, and then to the end.
    fn both_ways(&mut self, between: impl Fn(&mut Client)) {
        let segue = &self.project.segue;
        let rollback = ["rollback", "--new-version-stopped"];
        segue.ok(&["apply", "--to", "expand"]);
        segue.ok(&rollback);
        self.assert_before();
        for flips in [false, true] {
            segue.ok(&["apply"]);
            if flips {
                segue.ok(&["flip"]);
                segue.ok(&["contract", "--old-version-stopped"]);
            }
            segue.ok(&rollback);
            self.assert_before();
        }
        assert!(segue.ok(&["apply"]).contains("ready"));
        between(&mut self.client);
        segue.ok(&["flip"]);
        between(&mut self.client);
        segue.ok(&["contract", "--old-version-stopped"]);
        segue.ok(&["cleanup", "--yes", "--i-checked-references"]);
        assert!(segue.ok(&["status"]).contains("done"));
        dump::assert_same(&self.naive, &catalog(&self.url));
    }
}

/// Sequences move when rows are written and rolled back.
fn catalog(url: &str) -> Vec<String> {
    let mut all = dump::postgres::catalog(url, "public");
    all.extend(dump::postgres::catalog(url, "other"));
    dump::without(all, dump::SEQUENCE_VALUE)
}

const READER: &str =
    "DO $$ BEGIN CREATE ROLE segue_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$; CREATE SCHEMA other;";

fn people(columns: &str) -> String {
    format!(
        "{READER} CREATE TABLE people (id serial PRIMARY KEY, {columns}, kept int);
         CREATE TABLE pets (id int PRIMARY KEY, owner int REFERENCES people ON DELETE CASCADE);
         INSERT INTO people (kept) SELECT nullif(i, 7) FROM generate_series(1, 500) AS i;
         INSERT INTO pets SELECT i, i FROM generate_series(1, 20) AS i;"
    )
}

#[test]
fn a_table_has_both_names_until_contract() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let schema = format!(
            "{} GRANT SELECT, INSERT ON people TO segue_reader; GRANT UPDATE (kept) ON people TO segue_reader; \
             COMMENT ON TABLE people IS 'x'; CREATE VIEW young AS SELECT id FROM people; CREATE INDEX ON people (kept); \
             ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;",
            people("\"we\"\"ird\" text DEFAULT 'd'")
        );
        let mut stage = Stage::new(server, &schema, "ALTER TABLE people RENAME TO \"hu\"\"mans\";");
        stage.both_ways(|client| {
            client.batch(
                "INSERT INTO \"hu\"\"mans\" (kept) VALUES (1) RETURNING id;
                 INSERT INTO \"hu\"\"mans\" (id, kept) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET kept = 3;
                 SELECT * FROM \"hu\"\"mans\" WHERE id = 1 FOR UPDATE;
                 DELETE FROM \"hu\"\"mans\" WHERE id = 30;
                 SET ROLE segue_reader; SELECT FROM people; UPDATE \"hu\"\"mans\" SET kept = 4 WHERE id = 2; RESET ROLE",
            );
            let refused = client.try_batch("SET ROLE segue_reader; DELETE FROM \"hu\"\"mans\"");
            assert!(refused.is_err(), "a right that nobody was given");
            client.batch("RESET ROLE; CREATE ROLE segue_nobody; SET ROLE segue_nobody");
            let read = client.try_batch("SELECT FROM \"hu\"\"mans\"");
            client.batch("RESET ROLE; DROP ROLE segue_nobody");
            assert!(read.is_err(), "default privileges open nothing that the table does not");
            let said = "SELECT concat_ws(' ', kept, \"we\"\"ird\") FROM people WHERE id IN (1, 2) ORDER BY id";
            assert_eq!(client.column(said, &[]), ["3 d", "4 d"]);
        });
    }
}

#[test]
fn a_table_moves_to_another_schema_with_what_it_owns() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let mut stage = Stage::new(server, &people("name text"), "ALTER TABLE people SET SCHEMA other;");
        stage.both_ways(|client| {
            client.batch("INSERT INTO other.people (name) VALUES ('x'); INSERT INTO public.people (name) VALUES ('y')");
        });
    }
}

#[test]
fn what_is_built_on_the_view_keeps_contract_waiting() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let mut stage = Stage::new(server, &people("name text"), "ALTER TABLE people RENAME TO humans;");
        let segue = &stage.project.segue;
        segue.ok(&["apply"]);
        segue.ok(&["flip"]);
        stage.client.batch("CREATE VIEW early AS SELECT id FROM humans");
        let waits = segue.run(&["contract", "--old-version-stopped"]);
        assert_eq!(waits.code, 5, "{}", waits.stderr);
        assert!(waits.stderr.contains("early"), "{}", waits.stderr);
        let refused = segue.run(&["rollback", "--new-version-stopped"]);
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains("early"), "{}", refused.stderr);
        stage.client.batch("DROP VIEW early");
        segue.ok(&["contract", "--old-version-stopped"]);
        stage.client.batch("CREATE VIEW later AS SELECT id FROM humans");
        segue.ok(&["rollback", "--new-version-stopped"]);
        stage.client.batch("DROP VIEW later");
        stage.assert_before();
    }
}

#[test]
fn a_table_under_policies_is_renamed_where_a_view_obeys_them() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let schema = format!(
            "{} ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON people USING (id < 10); \
             GRANT SELECT ON people TO segue_reader;",
            people("name text")
        );
        let mut stage = Stage::new(server, &schema, "ALTER TABLE people RENAME TO humans;");
        if server.major() < 15 {
            let refused = stage.project.segue.run(&["apply"]);
            assert_eq!(refused.code, 1, "{}", refused.stderr);
            assert!(refused.stderr.contains("owner's rights"), "{}", refused.stderr);
            continue;
        }
        stage.both_ways(|client| {
            client.batch("SET ROLE segue_reader");
            assert_eq!(client.value("SELECT count(*) FROM humans").as_deref(), Some("9"));
            client.batch("RESET ROLE");
        });
    }
}

/// `docs`: rename a column across two deploys.
#[test]
fn a_column_has_both_names_until_contract_and_what_it_carried() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let schema = format!(
            "{} COMMENT ON COLUMN people.name IS 'who''s who'; GRANT UPDATE (name), SELECT (name) ON people TO segue_reader; \
             ALTER TABLE people ALTER COLUMN name SET STATISTICS 17, ALTER COLUMN name SET STORAGE EXTERNAL, \
             ALTER COLUMN name SET (n_distinct = -0.5); \
             CREATE INDEX by_name ON people (kept, name DESC) WHERE kept > 3; CREATE UNIQUE INDEX once ON people (id, name);",
            people("name text NOT NULL DEFAULT 'nobody'")
        );
        let mut stage = Stage::new(server, &schema, "ALTER TABLE people RENAME COLUMN name TO \"Full \"\"name\";");
        stage.both_ways(|client| {
            client.batch(
                "INSERT INTO people (id, name) VALUES (-1, 'old'); INSERT INTO people (id, \"Full \"\"name\") VALUES (-2, 'new');
                 INSERT INTO people (id) VALUES (-3); UPDATE people SET name = 'o' WHERE id = -2;
                 UPDATE people SET \"Full \"\"name\" = 'n' WHERE id = -1",
            );
            let both = "SELECT name || ' ' || \"Full \"\"name\" FROM people WHERE id < 0 ORDER BY id DESC";
            assert_eq!(client.column(both, &[]), ["n n", "o o", "nobody nobody"]);
            client.batch("DELETE FROM people WHERE id < 0");
        });
    }
}

#[test]
fn a_column_that_may_be_null_and_a_table_without_a_key() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let schema = format!(
            "{READER} CREATE TABLE bare (a int, b text NOT NULL DEFAULT 'x'); INSERT INTO bare VALUES (NULL), (1);"
        );
        Stage::new(server, &schema, "ALTER TABLE bare RENAME a TO c;").both_ways(|client| {
            client.batch("INSERT INTO bare (c) VALUES (NULL); INSERT INTO bare (a) VALUES (7); UPDATE bare SET c = NULL WHERE a = 1");
        });
        Stage::new(server, &schema, "ALTER TABLE bare RENAME b TO c;").both_ways(|_| {});
    }
}

#[test]
fn a_constraint_is_renamed_at_once_and_back() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let up = "ALTER TABLE people RENAME CONSTRAINT people_pkey TO \"the \"\"key\";";
        let stage = Stage::new(server, &people("name text"), up);
        assert!(stage.project.segue.ok(&["apply"]).contains("done"));
        dump::assert_same(&stage.naive, &catalog(&stage.url));
        let wrong = Stage::new(server, &people("name text"), "ALTER TABLE pets RENAME CONSTRAINT pets_pkey TO k;");
        wrong.project.write("1_change.sql", "ALTER TABLE pets RENAME CONSTRAINT pets_key TO k;");
        let refused = wrong.project.segue.run(&["apply"]);
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        assert!(refused.stderr.contains("pets_pkey"), "{}", refused.stderr);
    }
}

#[test]
fn what_cannot_bear_two_names_is_refused() {
    let Some(server) = segue_testkit::oldest_and_newest_postgres().pop() else { return };
    let refused = |schema: &str, up: &str, says: &str| {
        let url = server.database();
        Client::connect(&url).batch(&format!("{} {schema}", people("name text")));
        let project = Project::new(&url);
        project.write("1_change.sql", up);
        let output = project.segue.run(&["apply"]);
        assert_eq!(output.code, 1, "{up}: {}{}", output.stdout, output.stderr);
        assert!(output.stderr.contains(says), "{up}: {}", output.stderr);
    };
    refused("", "ALTER TABLE people RENAME TO pets;", "exists already");
    refused("", "ALTER TABLE people SET SCHEMA nowhere;", "no such schema");
    refused(
        "CREATE TABLE other.x (id int); CREATE INDEX people_pkey ON other.x (id);",
        "ALTER TABLE people SET SCHEMA other;",
        "exists already",
    );
    refused("", "ALTER TABLE people RENAME name TO kept;", "exists already");
    refused("", "ALTER TABLE people RENAME TO a; ALTER TABLE people ADD COLUMN x int;", "in one file");
    refused(
        "",
        "ALTER TABLE people RENAME name TO a; ALTER TABLE people ADD COLUMN x text; UPDATE people SET x = name;",
        "in one file",
    );
    refused("", "CREATE TABLE fresh (id int); ALTER TABLE fresh RENAME TO stale;", "which this file creates");
    refused("CREATE PUBLICATION p FOR TABLE people;", "ALTER TABLE people RENAME TO a;", "publishes");
    refused("ALTER TABLE people ALTER name SET DEFAULT 'x';", "ALTER TABLE people RENAME name TO a;", "DEFAULT");
    refused("CREATE VIEW v AS SELECT name FROM people;", "ALTER TABLE people RENAME name TO a;", "public.v");
}
