//! What is bound to a column goes over to its copy and back: afterwards the catalog is what the statement as written would
//! have made of it, or what it was before.

use std::collections::BTreeSet;

use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::lockprobe::locks_of;
use segue_testkit::postgres::PostgresServer;
use serde_json::Value;

use crate::project::Project;

const ID: &str = "1_change";

/// How far a change goes before it is taken back.
const POINTS: [&[&[&str]]; 4] = [
    &[&["apply", ID, "--to", "expand"]],
    &[&["apply", ID]],
    &[&["apply", ID], &["flip", ID]],
    &[&["apply", ID], &["flip", ID], &["contract", ID, "--old-version-stopped"]],
];

/// Two roles to grant to; roles are of the whole server, and other tests make them too.
const ROLES: &str =
    "DO $$ BEGIN CREATE ROLE faithful_reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE faithful_writer; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;";

/// A database and what is done to it.
pub(crate) struct Case {
    /// Makes the tables, with rows.
    pub(crate) setup: String,
    /// The migration.
    pub(crate) up: &'static str,
    /// What leads to the same by hand, where that is more than the migration.
    pub(crate) by_hand: Option<String>,
    /// Tables whose rows are compared, with what orders them.
    pub(crate) rows: &'static [(&'static str, &'static str)],
}

impl Case {
    /// Takes the change back from everywhere, then goes to its end.
    #[track_caller]
    pub(crate) fn both_ways(&self, server: &PostgresServer) {
        let url = server.database();
        Client::connect(&url).batch(ROLES);
        Client::connect(&url).batch(&self.setup);
        let project = Project::new(&url);
        project.write("1_change.sql", self.up);
        let (catalog, rows) = (dump::postgres::catalog(&url, "public"), self.rows_of(&url));
        for point in POINTS {
            point.iter().for_each(|arguments| drop(project.segue.ok(arguments)));
            project.segue.ok(&["rollback", ID, "--new-version-stopped"]);
            let when = format!("postgres {}, rolled back after {:?}", server.major(), point.last());
            same(&catalog, &dump::postgres::catalog(&url, "public"), &when);
            same(&rows, &self.rows_of(&url), &when);
        }
        POINTS[3].iter().for_each(|arguments| drop(project.segue.ok(arguments)));
        project.segue.ok(&["cleanup", ID, "--yes", "--i-checked-references"]);
        let naive = server.database();
        Client::connect(&naive).batch(&self.setup);
        Client::connect(&naive).batch(self.by_hand.as_deref().unwrap_or(self.up));
        let when = format!("postgres {}, after cleanup", server.major());
        same(&dump::postgres::catalog(&naive, "public"), &dump::postgres::catalog(&url, "public"), &when);
        same(&self.rows_of(&naive), &self.rows_of(&url), &when);
    }

    fn rows_of(&self, url: &str) -> Vec<String> {
        self.rows.iter().flat_map(|(table, key)| dump::postgres::rows(url, table, key)).collect()
    }
}

#[track_caller]
fn same(must: &[String], is: &[String], when: &str) {
    let difference = dump::difference(must, is);
    let first = &difference[..difference.len().min(20)];
    assert!(difference.is_empty(), "{when}: {} lines differ\n{}", difference.len(), first.join("\n"));
}

fn each(case: impl Fn(&PostgresServer) -> Case) {
    for server in segue_testkit::oldest_and_newest_postgres() {
        case(server).both_ways(server);
    }
}

/// A table with a plain number in it, and rows of which some have none.
const EVENTS: &str = "CREATE TABLE ev (id int PRIMARY KEY, n int, m int NOT NULL DEFAULT 7, name text, surname text);
INSERT INTO ev SELECT g, nullif(g % 7, 0), g % 5, 'n' || g, 's' || g FROM generate_series(1, 500) AS g;";

fn events(more: &str) -> Case {
    let up = "ALTER TABLE ev ALTER COLUMN n TYPE bigint;";
    Case { setup: [EVENTS, more].concat(), up, by_hand: None, rows: &[("ev", "id")] }
}

#[test]
fn indexes_of_every_kind_go_over() {
    each(|server| {
        let distinct = "CREATE UNIQUE INDEX ev_nnd ON ev (id, n) NULLS NOT DISTINCT;";
        events(&format!(
            "CREATE INDEX \"odd \"\" name\" ON ev (n DESC NULLS LAST, lower(name) text_pattern_ops) INCLUDE (m) WITH (fillfactor = 70)
               WHERE n > 1 AND CASE WHEN n > 3 THEN true ELSE m > 0 END;
             COMMENT ON INDEX \"odd \"\" name\" IS 'it''s mine';
             CREATE INDEX ev_expr ON ev ((n % 10), (m + n), name COLLATE \"C\");
             CREATE INDEX ev_hash ON ev USING hash (n);
             CREATE INDEX ev_brin ON ev USING brin (n) WITH (pages_per_range = 4);
             CREATE INDEX ev_other ON ev (m) WHERE n IS NULL;
             CREATE UNIQUE INDEX ev_unique ON ev (n, id);
             {}
             ALTER TABLE ev CLUSTER ON ev_unique;",
            if server.major() >= 15 { distinct } else { "" }
        ))
    });
}

#[test]
fn an_index_that_says_which_row_it_was_goes_over() {
    each(|_| Case {
        setup: [
            EVENTS,
            "CREATE UNIQUE INDEX ev_ident ON ev (m, id); ALTER TABLE ev REPLICA IDENTITY USING INDEX ev_ident;",
        ]
        .concat(),
        up: "ALTER TABLE ev ALTER COLUMN id TYPE bigint;",
        by_hand: None,
        rows: &[("ev", "id")],
    });
}

#[test]
fn unique_and_check_constraints_go_over() {
    each(|_| {
        events(
            "ALTER TABLE ev ADD CONSTRAINT ev_u UNIQUE (n, id) WITH (fillfactor = 80);
             COMMENT ON CONSTRAINT ev_u ON ev IS 'unique';
             ALTER TABLE ev ADD CONSTRAINT ev_c CHECK (n < 1000 AND name <> surname);
             ALTER TABLE ev ADD CHECK (n <> 17 OR m > 0) NOT VALID;
             ALTER TABLE ev ADD CONSTRAINT ev_no CHECK (n > -5) NO INHERIT;
             COMMENT ON CONSTRAINT ev_c ON ev IS 'a check';",
        )
    });
}

#[test]
fn properties_of_the_column_go_over() {
    // As written it would lose the target of the statistics.
    let by_hand =
        Some("ALTER TABLE ev ALTER COLUMN n TYPE bigint; ALTER STATISTICS ev_st SET STATISTICS 300;".to_owned());
    each(|_| {
        Case {
        by_hand: by_hand.clone(),
        ..events(
            "COMMENT ON COLUMN ev.n IS 'how many'; ALTER TABLE ev ALTER n SET STATISTICS 321;
             ALTER TABLE ev ALTER n SET (n_distinct = -0.5); ALTER TABLE ev ALTER n SET DEFAULT 3;
             GRANT SELECT (n), UPDATE (n) ON ev TO faithful_reader; GRANT SELECT (n) ON ev TO faithful_writer WITH GRANT OPTION;
             CREATE STATISTICS ev_st ON id, n FROM ev; ALTER STATISTICS ev_st SET STATISTICS 300;
             COMMENT ON STATISTICS ev_st IS 'together';",
        )
    }
    });
}

#[test]
fn views_policies_and_triggers_are_made_again_as_they_were() {
    const DROPS: &str = "DROP VIEW deep; DROP VIEW \"v 1\"; DROP POLICY p ON ev; DROP TRIGGER tr ON ev;";
    const MAKES: &str = "CREATE VIEW \"v 1\" WITH (security_barrier) AS SELECT n, name AS \"na me\", ev.m FROM ev WHERE n > 1;
         CREATE VIEW deep AS SELECT v.n + 1 AS more, v.\"na me\" FROM \"v 1\" AS v;
         GRANT SELECT ON \"v 1\" TO faithful_reader; GRANT UPDATE (\"na me\") ON \"v 1\" TO faithful_writer WITH GRANT OPTION;
         GRANT ALL ON deep TO PUBLIC; REVOKE DELETE ON deep FROM CURRENT_USER;
         ALTER VIEW deep OWNER TO faithful_writer; ALTER VIEW \"v 1\" ALTER COLUMN n SET DEFAULT 9;
         COMMENT ON VIEW \"v 1\" IS 'a ''view'''; COMMENT ON COLUMN deep.more IS 'one more';
         CREATE POLICY p ON ev AS RESTRICTIVE FOR UPDATE TO faithful_reader USING (n > 0) WITH CHECK (n < 10);
         COMMENT ON POLICY p ON ev IS 'pp';
         CREATE TRIGGER tr BEFORE UPDATE OF n ON ev FOR EACH ROW WHEN (OLD.n IS DISTINCT FROM NEW.n) EXECUTE FUNCTION tf();
         ALTER TABLE ev ENABLE ALWAYS TRIGGER tr; COMMENT ON TRIGGER tr ON ev IS 'tt';";
    each(|_| {
        let function = "CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            ALTER TABLE ev ENABLE ROW LEVEL SECURITY;";
        Case {
            by_hand: Some([DROPS, "ALTER TABLE ev ALTER COLUMN n TYPE bigint;", MAKES].concat()),
            ..events(&[function, MAKES].concat())
        }
    });
}

#[test]
fn a_publication_goes_on_publishing_its_columns_and_rows() {
    const PUBLISHES: &str = "ALTER PUBLICATION pu ADD TABLE ev (id, n) WHERE (id > 3 AND n > 4);";
    for server in segue_testkit::oldest_and_newest_postgres().into_iter().filter(|server| server.major() >= 15) {
        let by_hand =
            ["ALTER PUBLICATION pu DROP TABLE ev; ALTER TABLE ev ALTER COLUMN n TYPE bigint;", PUBLISHES].concat();
        let setup =
            ["ALTER TABLE ev REPLICA IDENTITY FULL; CREATE PUBLICATION pu WITH (publish = 'insert');", PUBLISHES]
                .concat();
        Case { by_hand: Some(by_hand), ..events(&setup) }.both_ways(server);
    }
}

/// A parent with an identity as its key, and children: one that changes with it, one that does not.
const FAMILY: &str = "CREATE TABLE parent (tenant int NOT NULL, id int GENERATED ALWAYS AS IDENTITY, name text,
           CONSTRAINT parent_key PRIMARY KEY (id), CONSTRAINT both_unique UNIQUE (tenant, id));
         CREATE TABLE child (id serial PRIMARY KEY, parent_id int, tenant int, boss int REFERENCES child (id));
         CREATE TABLE other (parent_id int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, n int);
         ALTER TABLE child ADD FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
         ALTER TABLE child ADD CONSTRAINT pair FOREIGN KEY (tenant, parent_id) REFERENCES parent (tenant, id) DEFERRABLE NOT VALID;
         COMMENT ON CONSTRAINT pair ON child IS 'a pair'; COMMENT ON CONSTRAINT parent_key ON parent IS 'the key';
         CREATE INDEX child_parent ON child (parent_id); CREATE INDEX ON parent (id DESC, name);
         COMMENT ON SEQUENCE parent_id_seq IS 'numbers'; GRANT USAGE ON SEQUENCE parent_id_seq TO faithful_reader;
         INSERT INTO parent (tenant, name) SELECT g % 3, 'p' || g FROM generate_series(1, 400) AS g;
         INSERT INTO child (parent_id, tenant) SELECT nullif(g % 400, 0), (g % 400) % 3 FROM generate_series(1, 900) AS g;
         UPDATE child SET boss = id / 2 WHERE id > 1;
         INSERT INTO other SELECT g, g FROM generate_series(1, 50) AS g;";

const FAMILY_ROWS: &[(&str, &str)] = &[("parent", "id"), ("child", "id"), ("other", "n")];

#[test]
fn a_primary_key_with_an_identity_takes_the_keys_that_point_to_it_along() {
    each(|_| Case {
        setup: FAMILY.to_owned(),
        up: "ALTER TABLE parent ALTER COLUMN id TYPE bigint;",
        by_hand: None,
        rows: FAMILY_ROWS,
    });
}

#[test]
fn a_primary_key_and_the_columns_that_point_to_it_change_in_one_plan() {
    for up in [
        "ALTER TABLE parent ALTER COLUMN id TYPE bigint;\nALTER TABLE child ALTER COLUMN parent_id TYPE bigint;",
        "ALTER TABLE child ALTER COLUMN parent_id TYPE bigint;\nALTER TABLE parent ALTER COLUMN id TYPE bigint;",
        "ALTER TABLE child ALTER COLUMN id TYPE bigint, ALTER COLUMN boss TYPE bigint;",
    ] {
        each(|_| Case { setup: FAMILY.to_owned(), up, by_hand: None, rows: FAMILY_ROWS });
    }
}

#[test]
fn a_key_of_several_columns_changes_whichever_they_are() {
    const GRID: &str = "CREATE TABLE grid (y int, x int, v int, PRIMARY KEY (x, y));
        CREATE TABLE cell (cy int, cx int, FOREIGN KEY (cx, cy) REFERENCES grid (x, y) MATCH FULL);
        INSERT INTO grid SELECT g % 20, g / 20, g FROM generate_series(0, 399) AS g;
        INSERT INTO cell SELECT y, x FROM grid; INSERT INTO cell VALUES (NULL, NULL);";
    each(|_| Case {
        setup: GRID.to_owned(),
        up: "ALTER TABLE grid ALTER COLUMN y TYPE bigint;\nALTER TABLE grid ALTER COLUMN x TYPE bigint;",
        by_hand: None,
        rows: &[("grid", "v"), ("cell", "cx, cy")],
    });
}

#[test]
fn hostile_names_stay_names() {
    const TABLE: &str = "\"t' %s {x} \"\"q\"";
    const HOSTILE: &str = "CREATE TABLE \"t' %s {x} \"\"q\" (\"id\" int PRIMARY KEY, \"c\"\" {y} %I '\" int, \"select\" int);
        INSERT INTO \"t' %s {x} \"\"q\" SELECT g, nullif(g % 3, 0), g FROM generate_series(1, 100) AS g;
        CREATE INDEX \"i' {z}\" ON \"t' %s {x} \"\"q\" ((\"c\"\" {y} %I '\" + \"select\"), \"c\"\" {y} %I '\") WHERE \"c\"\" {y} %I '\" > 1;
        ALTER TABLE \"t' %s {x} \"\"q\" ADD CONSTRAINT \"ch' %s\" CHECK (\"c\"\" {y} %I '\" < 100);
        ALTER TABLE \"t' %s {x} \"\"q\" ADD CONSTRAINT \"fk' {w}\" FOREIGN KEY (\"c\"\" {y} %I '\") REFERENCES \"t' %s {x} \"\"q\" (id);
        COMMENT ON COLUMN \"t' %s {x} \"\"q\".\"c\"\" {y} %I '\" IS 'it''s {h} \\';
        CREATE POLICY \"p' %s\" ON \"t' %s {x} \"\"q\" USING (\"c\"\" {y} %I '\" > 0);";
    const VIEW: &str = "CREATE VIEW \"v' {v}\" AS SELECT \"c\"\" {y} %I '\" AS \"a {b}\" FROM \"t' %s {x} \"\"q\";";
    const UP: &str = "ALTER TABLE \"t' %s {x} \"\"q\" ALTER COLUMN \"c\"\" {y} %I '\" TYPE bigint;";
    each(|_| Case {
        setup: [HOSTILE, VIEW].concat(),
        up: UP,
        by_hand: Some(
            [
                "DROP VIEW \"v' {v}\"; DROP POLICY \"p' %s\" ON \"t' %s {x} \"\"q\";",
                UP,
                VIEW,
                "CREATE POLICY \"p' %s\" ON \"t' %s {x} \"\"q\" USING (\"c\"\" {y} %I '\" > 0);",
            ]
            .concat(),
        ),
        rows: &[(TABLE, "id")],
    });
}

#[test]
fn what_comes_after_the_plan_is_told_before_the_exchange_and_before_the_way_back() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let url = server.database();
        Client::connect(&url).batch(EVENTS);
        let project = Project::new(&url);
        project.write("1_change.sql", "ALTER TABLE ev ALTER COLUMN n TYPE bigint;");
        project.segue.ok(&["apply"]);
        Client::connect(&url).batch("CREATE VIEW late AS SELECT n FROM ev;");
        let refused = project.segue.run(&["flip", ID]);
        assert_eq!(refused.code, 5, "{}", refused.stderr);
        assert!(refused.stderr.contains("the view public.late has come or changed"), "{}", refused.stderr);
        Client::connect(&url).batch("DROP VIEW late;");
        project.segue.ok(&["flip", ID]);
        Client::connect(&url).batch("CREATE VIEW late AS SELECT n FROM ev;");
        let refused = project.segue.run(&["rollback", ID, "--new-version-stopped"]);
        assert!(refused.code != 0 && refused.stderr.contains("the view public.late was made"), "{}", refused.stderr);
        Client::connect(&url).batch("DROP VIEW late;");
        project.segue.ok(&["rollback", ID, "--new-version-stopped"]);
    }
}

#[test]
fn the_exchange_holds_on_every_table_what_its_plan_says() {
    for server in segue_testkit::oldest_and_newest_postgres() {
        let url = server.database();
        Client::connect(&url).batch(&[ROLES, FAMILY].concat());
        let project = Project::new(&url);
        project.write("1_change.sql", "ALTER TABLE parent ALTER COLUMN id TYPE bigint;");
        let plan: Value = serde_json::from_str(&project.segue.ok(&["plan", "--format", "json"])).unwrap();
        let steps = plan["steps"].as_array().unwrap();
        let swap = steps.iter().find(|step| step["phase"] == "flip" && step["kind"] == "sql").unwrap();
        project.segue.ok(&["apply"]);
        let (mut session, mut watcher) = (Client::connect(&url), Client::connect(&url));
        session.batch("BEGIN");
        swap["sql"].as_array().unwrap().iter().for_each(|sql| session.batch(sql.as_str().unwrap()));
        let held = locks_of(&mut watcher, session.pid());
        session.batch("ROLLBACK");
        let predicted: BTreeSet<(String, String)> = swap["locks"].as_array().unwrap().iter().map(lock_of).collect();
        let tables = ["public.parent", "public.child", "public.other"];
        let observed = held.into_iter().filter(|(relation, _)| tables.contains(&relation.as_str())).collect();
        assert_eq!(predicted, observed, "postgres {}", server.major());
        assert_eq!(predicted.len(), tables.len());
    }
}

fn lock_of(lock: &Value) -> (String, String) {
    (lock["relation"].as_str().unwrap().to_owned(), lock["mode"].as_str().unwrap().to_owned())
}
