//! Constraints on PostgreSQL: the catalog ends as if the file had been run as written, and is as before when taken back.

use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::lockprobe::locks_of;
use segue_testkit::postgres::PostgresServer;

use crate::project::Project;

/// Two tables with rows, NULLs among them, a partitioned one, and names that want quotes.
const TABLES: &str = r#"
CREATE TABLE parent (id int PRIMARY KEY, code text);
INSERT INTO parent SELECT n, 'c' || n FROM generate_series(1, 20) AS n;
CREATE TABLE child (id int PRIMARY KEY, parent_id int, other int, n int, t text);
INSERT INTO child SELECT n, NULLIF(n % 20, 0), n, n, CASE WHEN n % 3 = 0 THEN NULL ELSE 't' || n END
  FROM generate_series(1, 100) AS n;
CREATE TABLE bare (a int, b text);
INSERT INTO bare SELECT n, 'b' || n FROM generate_series(1, 10) AS n;
CREATE SCHEMA "Od""d";
CREATE TABLE "Od""d"."select" ("from" int, "A b" int);
INSERT INTO "Od""d"."select" VALUES (1, 1), (2, NULL);
CREATE TABLE parts (id int, parent_id int, n int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (50);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (50) TO (1000) PARTITION BY RANGE (id);
CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES FROM (50) TO (1000);
INSERT INTO parts SELECT n, NULLIF(n % 20, 0), n FROM generate_series(1, 100) AS n;
CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE whole_1 PARTITION OF whole FOR VALUES FROM (0) TO (50);
CREATE TABLE whole_2 PARTITION OF whole FOR VALUES FROM (50) TO (1000);
INSERT INTO whole SELECT n FROM generate_series(0, 99) AS n;
"#;

fn schemas(url: &str) -> Vec<String> {
    let mut all = dump::postgres::catalog(url, "public");
    all.extend(dump::postgres::catalog(url, "Od\"d"));
    all.iter().map(|line| without_mark(line)).collect()
}

/// Of keys and foreign keys `connoinherit` says only whether a partition got one with its table or was joined to it later, as
/// by a restore of pg_dump. Nothing reads it.
fn without_mark(line: &str) -> String {
    // By 18 a partition's primary key makes its NOT NULL its own besides, which the plan says.
    if line.contains(", kind n") {
        return line
            .replace("local true inherited 1", "local - inherited 1")
            .replace("local false inherited 1", "local - inherited 1");
    }
    let of_key = [", kind u", ", kind p", ", kind f"].iter().any(|kind| line.contains(kind));
    if of_key {
        line.replace("no inherit true", "no inherit -").replace("no inherit false", "no inherit -")
    } else {
        line.to_owned()
    }
}

/// Applies `up` after `before`, compares with what it does as written, takes it back, and compares with what was.
#[track_caller]
fn same_as_naive_and_back(server: &PostgresServer, before: &str, up: &str) {
    let (naive, ours) = (server.database(), server.database());
    Client::connect(&naive).batch(&[TABLES, before, ";", up].concat());
    Client::connect(&ours).batch(&[TABLES, before].concat());
    let was = schemas(&ours);
    let project = Project::new(&ours);
    project.write("1_constraint.sql", up);
    println!("postgres {}: {up}", server.major());
    // What runs to its end is finished; before that it can be taken back.
    project.segue.ok(&["apply", "--to", "expand"]);
    project.segue.ok(&["rollback"]);
    dump::assert_same(&was, &schemas(&ours));
    project.segue.ok(&["apply"]);
    dump::assert_same(&schemas(&naive), &schemas(&ours));
}

#[track_caller]
fn each(before: &str, up: &str) {
    for server in segue_testkit::oldest_and_newest_postgres() {
        same_as_naive_and_back(server, before, up);
    }
}

/// Returns what `segue apply` says of a file that it refuses; nothing is changed.
#[track_caller]
fn refused(server: &PostgresServer, before: &str, up: &str) -> String {
    let url = server.database();
    Client::connect(&url).batch(&[TABLES, before].concat());
    let was = schemas(&url);
    let project = Project::new(&url);
    project.write("1_constraint.sql", up);
    let output = project.segue.run(&["apply"]);
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    dump::assert_same(&was, &schemas(&url));
    output.stderr
}

#[test]
fn checks_are_added_for_new_rows_and_then_validated() {
    each("", "ALTER TABLE child ADD CONSTRAINT positive CHECK (n > 0);");
    each("", "ALTER TABLE child ADD CHECK (n > 0), ADD CHECK (n < 1000), ADD CHECK (child.n <> other + 1);");
    each("", "ALTER TABLE child ADD CONSTRAINT later CHECK (n > 50) NOT VALID;");
    each("", "ALTER TABLE child ADD CONSTRAINT own CHECK (n > 0) NO INHERIT;");
    each("", "ALTER TABLE parts ADD CHECK (n > 0);");
    each("", "ALTER TABLE parts_1 ADD CONSTRAINT small CHECK (n < 50);");
    each("", r#"ALTER TABLE "Od""d"."select" ADD CHECK ("A b" > 0 OR "from" > 0), ADD CHECK ("from" IN (1, 2));"#);
}

#[test]
fn foreign_keys_are_added_for_new_rows_and_then_validated() {
    each("", "ALTER TABLE child ADD CONSTRAINT c FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE;");
    each("", "ALTER TABLE child ADD FOREIGN KEY (parent_id) REFERENCES parent DEFERRABLE INITIALLY DEFERRED;");
    each("", "ALTER TABLE child ADD FOREIGN KEY (other) REFERENCES child (id);");
    each("", "ALTER TABLE child ADD CONSTRAINT later FOREIGN KEY (n) REFERENCES parent NOT VALID;");
    each(
        r#"ALTER TABLE "Od""d"."select" ADD PRIMARY KEY ("from")"#,
        r#"ALTER TABLE child ADD FOREIGN KEY (id) REFERENCES "Od""d"."select" NOT VALID;"#,
    );
    each(
        "CREATE TABLE two (a int, b int, PRIMARY KEY (a, b)); INSERT INTO two SELECT parent_id, other FROM child WHERE parent_id > 0",
        "ALTER TABLE child ADD FOREIGN KEY (other, parent_id) REFERENCES two (b, a);",
    );
}

#[test]
fn foreign_keys_of_partitioned_tables_are_checked_partition_by_partition() {
    each("", "ALTER TABLE parts ADD CONSTRAINT whole_key FOREIGN KEY (parent_id) REFERENCES parent (id);");
    each("", "ALTER TABLE parts ADD FOREIGN KEY (parent_id) REFERENCES parent (id);");
}

#[test]
fn unique_and_primary_keys_get_an_index_that_was_built_before() {
    each("", "ALTER TABLE child ADD CONSTRAINT one UNIQUE (n, t) DEFERRABLE;");
    each("", "ALTER TABLE child ADD UNIQUE (t), ADD UNIQUE (t), ADD UNIQUE (n) INCLUDE (t) WITH (fillfactor = 70);");
    each("CREATE TABLE bare_a_key (x int)", "ALTER TABLE bare ADD UNIQUE (a);");
    each("", "ALTER TABLE bare ADD PRIMARY KEY (a, b);");
    each("", "ALTER TABLE bare ADD CONSTRAINT first PRIMARY KEY (a) INCLUDE (b);");
    each("", r#"ALTER TABLE "Od""d"."select" ADD PRIMARY KEY ("from"), ADD UNIQUE ("A b");"#);
    each("", "ALTER TABLE parts_1 ADD UNIQUE (n);");
    let long = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz_éèà_123";
    each(
        &format!("ALTER TABLE bare RENAME COLUMN a TO \"{long}\"; ALTER TABLE bare RENAME TO \"{long}\";"),
        &format!(
            "ALTER TABLE \"{long}\" ADD UNIQUE (\"{long}\"), ADD UNIQUE (\"{long}\", b), ADD CHECK (\"{long}\" > 0);"
        ),
    );
}

#[test]
fn keys_of_partitioned_tables_are_built_partition_by_partition() {
    each("", "ALTER TABLE parts ADD CONSTRAINT one UNIQUE (id, n);");
    each("", "ALTER TABLE parts ADD UNIQUE (n, id);");
    each("", "ALTER TABLE parts ADD PRIMARY KEY (id);");
}

#[test]
fn an_index_of_the_user_becomes_a_constraint_and_stands_by_itself_again() {
    each("CREATE UNIQUE INDEX mine ON child (n)", "ALTER TABLE child ADD CONSTRAINT ours UNIQUE USING INDEX mine;");
    each("CREATE UNIQUE INDEX mine ON bare (a) INCLUDE (b)", "ALTER TABLE bare ADD PRIMARY KEY USING INDEX mine;");
}

#[test]
fn what_is_dropped_comes_back() {
    each("ALTER TABLE child ADD CONSTRAINT c CHECK (n > 0)", "ALTER TABLE child DROP CONSTRAINT c;");
    each("ALTER TABLE child ADD CONSTRAINT c CHECK (n > 50) NOT VALID", "ALTER TABLE child DROP CONSTRAINT c;");
    each(
        "ALTER TABLE child ADD CONSTRAINT c CHECK (n > 0) NO INHERIT; COMMENT ON CONSTRAINT c ON child IS 'it''s'",
        "ALTER TABLE child DROP CONSTRAINT c;",
    );
    each("ALTER TABLE parts ADD CONSTRAINT c CHECK (n > 0)", "ALTER TABLE parts DROP CONSTRAINT c;");
    each(
        "ALTER TABLE child ADD CONSTRAINT c FOREIGN KEY (parent_id) REFERENCES parent ON UPDATE SET NULL DEFERRABLE",
        "ALTER TABLE child DROP CONSTRAINT c;",
    );
    each(
        "ALTER TABLE child ADD UNIQUE (n) INCLUDE (t) WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE child DROP CONSTRAINT child_n_t_key;",
    );
    each("", "ALTER TABLE child DROP CONSTRAINT child_pkey;");
    each("", "ALTER TABLE child DROP CONSTRAINT IF EXISTS nothing;");
    each(
        "ALTER TABLE child ADD CONSTRAINT c FOREIGN KEY (parent_id) REFERENCES parent",
        "ALTER TABLE child ALTER CONSTRAINT c DEFERRABLE INITIALLY DEFERRED;",
    );
}

#[test]
fn rows_that_do_not_fit_are_counted_and_named_before_anything_is_changed() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let of = |up: &str| refused(server, "", up);
        let orphans = of("ALTER TABLE child ADD CONSTRAINT f FOREIGN KEY (other) REFERENCES parent;");
        assert!(orphans.contains("point to no row of public.parent: 80 (id=") && orphans.contains(", …)"), "{orphans}");
        assert!(orphans.contains("-- segue: orphans child.other null"), "{orphans}");
        let checked = of("ALTER TABLE child ADD CHECK (n < 98);");
        assert!(checked.contains("rows violate it: 3 (id=98;"), "{checked}");
        let alike = of("ALTER TABLE child ADD UNIQUE (parent_id);");
        assert!(alike.contains("values stand in several rows: 19 (parent_id="), "{alike}");
        let absent = of("ALTER TABLE \"Od\"\"d\".\"select\" ADD PRIMARY KEY (\"A b\");");
        assert!(absent.contains("in rows `A b` is NULL: 1 (ctid=(0,2))"), "{absent}");
        let unknown = of("ALTER TABLE child ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES parent (code);");
        assert!(unknown.contains("primary key or UNIQUE"), "{unknown}");
        let twice = of("ALTER TABLE child ADD PRIMARY KEY (n);");
        assert!(twice.contains("has the primary key `child_pkey`"), "{twice}");
        let missing = of("ALTER TABLE child DROP CONSTRAINT child_pky;");
        assert!(missing.contains("Did you mean `child_pkey`?"), "{missing}");
        let exclude = of("ALTER TABLE child ADD CONSTRAINT x EXCLUDE USING btree (n WITH =);");
        assert!(exclude.contains("AccessExclusiveLock"), "{exclude}");
        let stray =
            of("-- segue: orphans g null\nALTER TABLE child ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES parent;");
        assert!(stray.contains("this file adds no foreign key `g`"), "{stray}");
        let key = "ALTER TABLE child ADD CONSTRAINT f FOREIGN KEY (parent_id) REFERENCES parent";
        let cascade = refused(server, key, "ALTER TABLE parent DROP CONSTRAINT parent_pkey CASCADE;");
        assert!(cascade.contains("CASCADE would drop the foreign keys `f` of public.child"), "{cascade}");
    }
}

const TO_PARENT: &str = "ALTER TABLE child ADD CONSTRAINT f FOREIGN KEY (other) REFERENCES parent;";

#[test]
fn orphans_point_to_nothing_or_are_moved_aside_where_the_file_says_so() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        for (treated, left, pointing) in [("null", "100", "20"), ("quarantine", "20", "20")] {
            let url = server.database();
            let mut client = Client::connect(&url);
            client.batch(TABLES);
            let was = dump::postgres::rows(&url, "child", "id");
            let project = Project::new(&url);
            project.write("1_f.sql", format!("-- segue: orphans f {treated}\n{TO_PARENT}"));
            let plan = project.segue.ok(&["plan"]);
            assert!(plan.contains("segue.orphans_child_"), "the plan names what is kept: {plan}");
            project.segue.ok(&["apply", "--to", "expand"]);
            project.segue.ok(&["rollback"]);
            assert_eq!(dump::postgres::rows(&url, "child", "id"), was);
            project.segue.ok(&["apply"]);
            assert_eq!(client.value("SELECT count(*) FROM child").as_deref(), Some(left), "{treated}");
            assert_eq!(client.value("SELECT count(other) FROM child").as_deref(), Some(pointing), "{treated}");
            let kept =
                client.value("SELECT oid::regclass::text FROM pg_class WHERE relname LIKE 'orphans\\_child\\_%'");
            let kept = client.value(&["SELECT count(*) FROM ", &kept.expect("what was there is kept")].concat());
            assert_eq!(kept.as_deref(), Some("80"), "{treated}");
            let valid = client.value("SELECT convalidated FROM pg_constraint WHERE conname = 'f'");
            assert_eq!(valid.as_deref(), Some("t"), "{treated}");
        }
    }
}

/// A row that comes back after the foreign key was validated would not let it stand: it is the interrupted run that must
/// put back what it moved.
#[test]
fn orphans_that_were_moved_are_put_back_when_the_rest_fails() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        for treated in ["null", "quarantine"] {
            let url = server.database();
            let mut client = Client::connect(&url);
            client.batch(TABLES);
            let was = dump::postgres::rows(&url, "child", "id");
            let catalog = schemas(&url);
            let project = Project::new(&url);
            let later = "ALTER TABLE child ADD CONSTRAINT last CHECK (n > 0);";
            project.write("1_f.sql", format!("-- segue: orphans f {treated}\n{TO_PARENT}\n{later}"));
            client.batch(
                "CREATE FUNCTION no_more() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                   IF current_query() LIKE '%VALIDATE%\"f\"%' THEN RAISE 'not now'; END IF; END $$;
                 CREATE EVENT TRIGGER no_more ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION no_more()",
            );
            let failed = project.segue.run(&["apply"]);
            assert_eq!(failed.code, 3, "{}", failed.stderr);
            assert_ne!(dump::postgres::rows(&url, "child", "id"), was, "the orphans are gone by then");
            project.segue.ok(&["rollback"]);
            assert_eq!(dump::postgres::rows(&url, "child", "id"), was);
            client.batch("DROP EVENT TRIGGER no_more; DROP FUNCTION no_more()");
            dump::assert_same(&catalog, &schemas(&url));
        }
    }
}

/// The relations whose locks are compared.
const COMPARED: [&str; 13] = [
    "public.parent",
    "public.child",
    "public.bare",
    "public.parts",
    "public.parts_1",
    "public.parts_2",
    "public.parts_2a",
    "public.whole",
    "public.whole_1",
    "public.whole_2",
    "public.kids",
    "public.kid",
    "Od\"d.select",
];

/// Runs the steps of a plan by hand, and compares the locks that each holds at its end with those that it predicts.
fn observe(server: &PostgresServer, before: &str, up: &str) -> usize {
    let url = server.database();
    Client::connect(&url).batch(&[TABLES, before].concat());
    let project = Project::new(&url);
    project.write("1_constraint.sql", up);
    let plan = project.segue.ok(&["plan", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("a plan is JSON");
    let (mut session, mut watcher) = (Client::connect(&url), Client::connect(&url));
    let pid = session.pid();
    let mut compared = 0;
    for step in plan["steps"].as_array().expect("a plan has steps") {
        let all = step["sql"].as_array().map(Vec::as_slice).unwrap_or_default();
        let sql: Vec<&str> = all.iter().filter_map(serde_json::Value::as_str).collect();
        if step["transaction"] == "none" {
            sql.iter().for_each(|sql| session.batch(sql));
            continue;
        }
        session.batch("BEGIN");
        sql.iter().for_each(|sql| session.batch(sql));
        let mut held = locks_of(&mut watcher, pid);
        held.retain(|(relation, _)| COMPARED.contains(&relation.as_str()));
        held.sort();
        session.batch("COMMIT");
        let text = |lock: &serde_json::Value, of: &str| lock[of].as_str().unwrap_or_default().replace('"', "");
        let mut predicted: Vec<(String, String)> = step["locks"]
            .as_array()
            .map(|locks| locks.iter().map(|lock| (text(lock, "relation"), text(lock, "mode"))).collect())
            .unwrap_or_default();
        predicted.sort();
        assert_eq!(
            predicted,
            held,
            "postgres {} {up}\n{sql:?}\npredicted on the left, observed on the right",
            server.major()
        );
        compared += 1;
    }
    compared
}

#[test]
fn each_step_holds_the_locks_that_are_predicted_on_every_table() {
    let fk = "ALTER TABLE child ADD CONSTRAINT f FOREIGN KEY (parent_id) REFERENCES parent";
    let kids = "CREATE TABLE kids (n int); CREATE TABLE kid () INHERITS (kids); INSERT INTO kid VALUES (1)";
    let cases = [
        ("", "ALTER TABLE child ADD CHECK (n > 0);"),
        (kids, "ALTER TABLE kids ADD CONSTRAINT c CHECK (n > 0);"),
        (kids, "ALTER TABLE kids ADD UNIQUE (n);"),
        (kids, "ALTER TABLE kids ADD FOREIGN KEY (n) REFERENCES parent;"),
        ("", "ALTER TABLE parts ADD CHECK (n > 0);"),
        ("", "ALTER TABLE child ADD FOREIGN KEY (parent_id) REFERENCES parent;"),
        ("", "ALTER TABLE child ADD FOREIGN KEY (other) REFERENCES child;"),
        ("DELETE FROM child WHERE n > 99", "ALTER TABLE child ADD FOREIGN KEY (other) REFERENCES whole;"),
        ("", "ALTER TABLE parts ADD FOREIGN KEY (parent_id) REFERENCES parent;"),
        ("", "ALTER TABLE bare ADD PRIMARY KEY (a), ADD UNIQUE (b);"),
        ("", "ALTER TABLE parts ADD PRIMARY KEY (id);"),
        ("", "ALTER TABLE parts ADD UNIQUE (id, n);"),
        ("CREATE UNIQUE INDEX mine ON child (n)", "ALTER TABLE child ADD CONSTRAINT ours UNIQUE USING INDEX mine;"),
        (fk, "ALTER TABLE child DROP CONSTRAINT f;"),
        (fk, "ALTER TABLE child ALTER CONSTRAINT f DEFERRABLE;"),
        (
            "DELETE FROM child WHERE n > 99; ALTER TABLE child ADD CONSTRAINT f FOREIGN KEY (other) REFERENCES whole",
            "ALTER TABLE child DROP CONSTRAINT f;",
        ),
        ("", "ALTER TABLE child DROP CONSTRAINT child_pkey;"),
        ("ALTER TABLE parts ADD CONSTRAINT c CHECK (n > 0)", "ALTER TABLE parts DROP CONSTRAINT c;"),
        ("ALTER TABLE child ADD CONSTRAINT c CHECK (n > 0) NOT VALID", "ALTER TABLE child VALIDATE CONSTRAINT c;"),
    ];
    for server in segue_testkit::oldest_and_newest_postgres() {
        let compared: usize = cases.iter().map(|(before, up)| observe(server, before, up)).sum();
        println!("postgres {}: {compared} steps compared", server.major());
        assert!(compared > 25, "only {compared} steps were compared");
    }
}
