//! Files in, pictures out.

use segue_model::change::{Change, Directive, IndexChange, Migration, NewColumn, RowsChange};
use segue_model::engine::Engine;
use segue_model::expr::{Expr, Nullness};
use segue_model::ident::{Ident, MigrationId};
use segue_parse::{Problem, Source, migration};

fn read(engine: Engine, up: &str, down: Option<&str>) -> Result<Migration, Vec<Problem>> {
    let down = down.map(|down| Source { file: "m.down.sql", text: down.as_bytes() });
    let id = MigrationId::new("m").expect("a letter is an id");
    migration(engine, id, &Source { file: "m.sql", text: up.as_bytes() }, down.as_ref())
}

/// Returns what a file says, a line a thing; or its problems with their hints.
#[track_caller]
fn picture(engine: Engine, up: &str) -> String {
    match read(engine, up, None) {
        Ok(migration) => of_migration(&migration),
        Err(problems) => of_problems(&problems),
    }
}

fn postgres(up: &str) -> String {
    picture(Engine::Postgres, up)
}

fn sqlite(up: &str) -> String {
    picture(Engine::Sqlite, up)
}

fn of_migration(migration: &Migration) -> String {
    let changes = migration.changes.iter().map(|change| {
        let at = &change.at;
        format!("{}:{} {}", at.line, at.column, of_change(&change.what))
    });
    let directives = migration.directives.iter().map(|directive| {
        let at = &directive.at;
        format!("{}:{} segue: {}", at.line, at.column, of_directive(&directive.what))
    });
    changes.chain(directives).collect::<Vec<_>>().join("\n")
}

fn of_problems(problems: &[Problem]) -> String {
    let line = |problem: &Problem| {
        let at = &problem.at;
        format!("{}:{}:{} {problem} | {}", at.file, at.line, at.column, problem.hint())
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn of_change(change: &Change) -> String {
    match change {
        Change::CreateTable { table, .. } => format!("create table {table}"),
        Change::CreateIndex { index, table } => {
            format!("create index {} on {table}", index.as_ref().map_or("(unnamed)", Ident::as_str))
        }
        Change::Index(IndexChange::Create(new)) => {
            format!("create index {} on {}", new.name.as_ref().map_or("(unnamed)", Ident::as_str), new.table)
        }
        Change::AddColumn { table, column } => format!("add {table}.{}", of_column(column)),
        Change::DropColumn { table, column } => format!("drop {table}.{column}"),
        Change::SetNotNull { table, column } => format!("not null {table}.{column}"),
        Change::AlterType { table, column, to, using } => {
            let using = using.as_ref().map_or(String::new(), |using| format!(" using {}", of_expr(using)));
            format!("type {table}.{column} {to}{using}")
        }
        Change::Transform { table, assignments } => format!("transform {table}: {}", of_assignments(assignments)),
        Change::Column(_)
        | Change::Constraint(_)
        | Change::Index(_)
        | Change::Partition(_)
        | Change::Naming(_)
        | Change::Object(_) => {
            format!("{}{}", change.kind(), change.table().map_or(String::new(), |table| format!(" [{table}]")))
        }
        Change::Rows(rows) => shown_rows(rows),
        Change::NotYet { what, table } => {
            format!("not yet {what}{}", table.as_ref().map_or(String::new(), |table| format!(" [{table}]")))
        }
        Change::Opaque { what } => format!("opaque {what}"),
    }
}

fn shown_rows(rows: &RowsChange) -> String {
    let values = rows.columns.iter().zip(&rows.values).map(|(column, value)| format!("{column} = {}", of_expr(value)));
    let on = rows.on.iter().map(|(into, from)| format!("{into} = {from}"));
    let filter = rows.filter.as_ref().map_or(String::new(), |filter| format!(" where {}", of_expr(filter)));
    let present = rows.present.iter().map(ToString::to_string);
    format!(
        "rows {} from {}: {} on [{}]{filter} present [{}]",
        rows.into,
        rows.from,
        values.collect::<Vec<_>>().join(", "),
        on.collect::<Vec<_>>().join(", "),
        present.collect::<Vec<_>>().join(", ")
    )
}

fn of_column(column: &NewColumn) -> String {
    let mut text = format!("{} {}", column.name, column.type_name);
    if column.not_null {
        text.push_str(" not null");
    }
    if let Some(default) = &column.default {
        text.push_str(&format!(" default {} «{}»", of_expr(default), default.source));
    }
    if !column.others.is_empty() {
        text.push_str(&format!(" {:?}", column.others));
    }
    text
}

fn of_assignments(assignments: &[(Ident, Expr)]) -> String {
    let one = |(column, expr): &(Ident, Expr)| format!("{column} = {}", of_expr(expr));
    assignments.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Columns as `<c>`, schemas of names as `§`; then what is known of it.
fn of_expr(expr: &Expr) -> String {
    let sql = expr.render(&|column| format!("<{column}>"), &|used| {
        used.schema.as_ref().map_or_else(|| "§".to_owned(), |schema| format!("§{schema}"))
    });
    let mut text = sql.as_str().to_owned();
    if expr.nullness != Nullness::Never {
        text.push_str(" null:");
        text.push_str(&of_nullness(&expr.nullness));
    }
    if expr.can_raise {
        text.push_str(" raises");
    }
    if expr.constant {
        text.push_str(" constant");
    }
    text
}

fn of_nullness(nullness: &Nullness) -> String {
    let list = |of: &[Nullness]| of.iter().map(of_nullness).collect::<Vec<_>>().join(" ");
    match nullness {
        Nullness::Never => "never".to_owned(),
        Nullness::Always => "always".to_owned(),
        Nullness::Column(column) => column.to_string(),
        Nullness::Any(of) => format!("any({})", list(of)),
        Nullness::All(of) => format!("all({})", list(of)),
        Nullness::Unknown => "?".to_owned(),
    }
}

fn of_directive(directive: &Directive) -> String {
    match directive {
        Directive::Forward { table, column, expr } => format!("{table}.{column} = {}", of_expr(expr)),
        Directive::Back { table, assignments } => format!("back {table}: {}", of_assignments(assignments)),
        Directive::Strategy(name) => format!("strategy {name}"),
        Directive::Allow { rule, reason } => format!("allow {rule} because {reason}"),
        Directive::Depends(id) => format!("depends {id}"),
        Directive::Orphans { of, treated } => format!("orphans {of:?} {treated:?}"),
        Directive::Rows(rows) => shown_rows(rows),
        Directive::NotYet(what) => format!("not yet {what}"),
    }
}

#[test]
fn a_split_is_read_with_its_transforms() {
    insta::assert_snapshot!(postgres(
        "ALTER TABLE users ADD COLUMN full_name text;
UPDATE users SET full_name = concat_ws(' ', first_name, last_name);
ALTER TABLE users ALTER COLUMN full_name SET NOT NULL;
ALTER TABLE users DROP COLUMN first_name, DROP COLUMN last_name;"
    ), @r#"
    1:19 add users.full_name text
    2:1 transform users: full_name = (§."concat_ws"(' ', <first_name>, <last_name>))
    3:19 not null users.full_name
    4:19 drop users.first_name
    4:43 drop users.last_name
    "#);
    insta::assert_snapshot!(sqlite(
        "ALTER TABLE users ADD COLUMN full_name TEXT;
UPDATE users SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, '') WHERE full_name IS NULL;
ALTER TABLE users ALTER COLUMN full_name SET NOT NULL;
ALTER TABLE users DROP COLUMN first_name;
ALTER TABLE users DROP last_name"
    ), @r#"
    1:19 add users.full_name TEXT
    2:1 transform users: full_name = (((coalesce(<first_name>, '') || ' ') || coalesce(<last_name>, '')))
    3:19 not null users.full_name
    4:19 drop users.first_name
    5:19 drop users.last_name
    "#);
}

#[test]
fn the_down_file_is_read_the_same_way() {
    let up = "ALTER TABLE u ADD COLUMN n text; UPDATE u SET n = a || b; ALTER TABLE u DROP COLUMN a, DROP COLUMN b;";
    let down = "ALTER TABLE u ADD COLUMN a text, ADD COLUMN b text;
        UPDATE u SET (a, b) = (split_part(n, ' ', 1), split_part(n, ' ', 2));";
    let migration = read(Engine::Postgres, up, Some(down)).unwrap();
    insta::assert_snapshot!(of_migration(migration.down.as_ref().unwrap()), @r#"
    1:15 add u.a text
    1:34 add u.b text
    2:9 transform u: a = (§."split_part"(<n>, ' ', 1)) null:n, b = (§."split_part"(<n>, ' ', 2)) null:n
    "#);
    assert!(migration.checksum.starts_with("sha256:"));
    assert_eq!(migration.statements[1].text, "UPDATE u SET n = a || b");
    assert_eq!(migration.changes[3].statement, Some(2));
    let problems = read(Engine::Postgres, "SELEKT", Some("SELECT")).unwrap_err();
    insta::assert_snapshot!(of_problems(&problems), @r#"m.sql:1:1 syntax error at or near "SELEKT" | Correct the SQL here; the database would refuse it too."#);
}

#[test]
fn a_type_change_says_its_type_and_using() {
    insta::assert_snapshot!(postgres(
        "ALTER TABLE ONLY orders ALTER id TYPE bigint;
ALTER TABLE orders ALTER COLUMN id SET DATA TYPE bigint USING id::bigint, ALTER COLUMN n TYPE varchar(10);
ALTER TABLE public.orders ALTER c TYPE mood, ALTER d TYPE s.\"My type\", ALTER e TYPE int[] USING ARRAY[e];
ALTER TABLE orders ALTER c TYPE text COLLATE \"C\", ALTER d TYPE timestamptz(3), ALTER e TYPE \"char\", ALTER f TYPE char(3);
ALTER TABLE orders ALTER c TYPE geometry(Point, 4326), ALTER d TYPE double precision, ALTER e TYPE numeric(10,2);"
    ), @r#"
    1:1 not yet ALTER TABLE ONLY [orders]
    2:20 type orders.id pg_catalog.int8 using (CAST(<id> AS pg_catalog."int8")) null:id raises
    2:75 type orders.n pg_catalog.varchar(10)
    3:27 type public.orders.c mood
    3:46 type public.orders.d s."My type"
    3:72 type public.orders.e pg_catalog.int4[] using ((ARRAY[<e>]))
    4:20 not yet ALTER COLUMN … TYPE … COLLATE [orders]
    4:51 type orders.d timestamptz(3)
    4:80 type orders.e "char"
    4:101 type orders.f pg_catalog.bpchar(3)
    5:20 type orders.c geometry(point,4326)
    5:56 type orders.d pg_catalog.float8
    5:87 type orders.e pg_catalog.numeric(10,2)
    "#);
}

#[test]
fn new_columns_carry_their_clauses() {
    insta::assert_snapshot!(postgres(
        "ALTER TABLE t ADD a int NOT NULL DEFAULT 0, ADD b text DEFAULT 'x, (y' COLLATE \"C\" NOT NULL,
  ADD COLUMN c int CHECK (c > 0) DEFAULT (1 + 2) REFERENCES o(id), ADD d serial, ADD e int GENERATED ALWAYS AS IDENTITY,
  ADD f int CONSTRAINT nn NOT NULL CONSTRAINT d DEFAULT -1 /* DEFAULT */, ADD g timestamptz DEFAULT now() NULL, ADD h jsonb DEFAULT '{}'::jsonb UNIQUE;
ALTER TABLE t ADD i timestamptz DEFAULT 'now', ADD j date DEFAULT 'today'::date, ADD k date DEFAULT '2020-01-01'::date, ADD l text[] DEFAULT '{}'::text[];"
    ), @r#"
    1:15 add t.a pg_catalog.int4 not null default (0) constant «0»
    1:45 add t.b text not null default ('x, (y') constant «'x, (y'» ["COLLATE"]
    2:3 add t.c pg_catalog.int4 default ((1 OPERATOR(§.+) 2)) raises «(1 + 2)» ["CHECK", "REFERENCES"]
    2:68 add t.d serial ["SERIAL"]
    2:82 add t.e pg_catalog.int4 ["GENERATED AS IDENTITY"]
    3:3 add t.f pg_catalog.int4 not null default ((-1)) constant «-1» ["CONSTRAINT"]
    3:75 add t.g timestamptz default (§."now"()) «now()»
    3:113 add t.h jsonb default (CAST('{}' AS §."jsonb")) raises constant «'{}'::jsonb» ["UNIQUE"]
    4:15 add t.i timestamptz default ('now') constant «'now'»
    4:48 add t.j date default (CAST('today' AS §."date")) raises «'today'::date»
    4:82 add t.k date default (CAST('2020-01-01' AS §."date")) raises constant «'2020-01-01'::date»
    4:121 add t.l text[] default (CAST('{}' AS §."text"[])) raises constant «'{}'::text[]»
    "#);
    insta::assert_snapshot!(sqlite(
        "ALTER TABLE t ADD a INTEGER NOT NULL DEFAULT -1;
ALTER TABLE main.t ADD COLUMN [b c] VARCHAR(10, 2) DEFAULT (coalesce('x', NULL)) REFERENCES o(id) COLLATE NOCASE;
ALTER TABLE t ADD c DEFAULT word NOT NULL ON CONFLICT FAIL;
ALTER TABLE t ADD d long varchar DEFAULT TRUE CHECK (d) UNIQUE;
ALTER TABLE t ADD e GENERATED ALWAYS AS (a + 1);
ALTER TABLE t ADD f DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE t ADD g DEFAULT 'it''s';"
    ), @r#"
    1:15 add t.a INTEGER not null default ((-1)) constant «-1»
    2:20 add main.t.b c VARCHAR(10,2) default (coalesce('x', NULL)) «(coalesce('x', NULL))» ["REFERENCES", "COLLATE"]
    3:15 add t.c  not null default ('word') constant «word» ["ON CONFLICT"]
    4:15 add t.d long varchar default (TRUE) constant «TRUE» ["CHECK", "UNIQUE"]
    5:15 add t.e  ["GENERATED"]
    6:15 add t.f  default (CURRENT_TIMESTAMP) «CURRENT_TIMESTAMP»
    7:15 add t.g  default ('it''s') constant «'it''s'»
    "#);
}

#[test]
fn tables_and_indexes_run_as_written() {
    insta::assert_snapshot!(postgres(
        "CREATE TABLE a (id int PRIMARY KEY, a_id int REFERENCES a);
CREATE TABLE s.b (id int);
CREATE UNIQUE INDEX i ON a (id) WHERE id > 0;
CREATE INDEX ON s.b (id);
CREATE INDEX CONCURRENTLY j ON a (id);
CREATE TABLE c (a_id int REFERENCES a);
CREATE TABLE c (a_id int, FOREIGN KEY (a_id) REFERENCES a);
CREATE TEMP TABLE d (id int);
CREATE TABLE e AS SELECT 1;
CREATE TABLE f PARTITION OF a DEFAULT;
CREATE TABLE g () INHERITS (a);"
    ), @r#"
    1:1 create table a
    2:1 create table s.b
    3:1 create index i on a
    4:1 create index (unnamed) on s.b
    5:1 create index j on a
    6:1 create table c
    7:1 create table c
    8:1 not yet CREATE TEMPORARY TABLE [d]
    9:1 tab.create_as
    10:1 create_partition [a]
    11:1 create table g
    "#);
    insta::assert_snapshot!(sqlite(
        "CREATE TABLE a (id INTEGER PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE main.b (a_id REFERENCES a);
CREATE UNIQUE INDEX i ON a (id);
CREATE TABLE c AS SELECT 1;
CREATE TEMP TABLE d (id);"
    ), @r#"
    1:1 create table a
    2:1 create table main.b
    3:1 create index i on a
    4:1 not yet CREATE TABLE AS [c]
    5:1 not yet CREATE TEMPORARY TABLE [d]
    "#);
}

#[test]
fn an_index_names_columns_that_its_table_has() {
    let hostile = "CREATE TABLE a (id int, name text, \"we\"\"ird $1 {x}\" int);
CREATE INDEX i ON a (id, \"we\"\"ird $1 {x}\", nmae DESC, (id + zip), lower(zap));";
    insta::assert_snapshot!(postgres(&format!(
        "{hostile}
CREATE UNIQUE INDEX ON a USING btree (ID int4_ops, NAME) INCLUDE (id, \"Name\") WHERE id > 0;
CREATE INDEX ON s.a (elsewhere);
CREATE TABLE b (LIKE a); CREATE INDEX ON b (unknown);
CREATE TABLE c (x int); ALTER TABLE c ADD y int; CREATE INDEX ON c (y, x, tableoid);
CREATE TABLE d (x int); ALTER TABLE d RENAME x TO y; CREATE INDEX ON d (y);
CREATE TABLE s.e (x int); CREATE INDEX ON s.e (missing); CREATE INDEX ON e (missing);"
    )), @r#"
    m.sql:2:44 the table `a` that this file creates has no column `nmae` | Did you mean `name`?
    m.sql:3:71 the table `a` that this file creates has no column `Name` | Did you mean `name`?
    m.sql:8:48 the table `s.e` that this file creates has no column `missing` | Check the column's spelling.
    "#);
    insta::assert_snapshot!(sqlite(&format!(
        "{hostile}
CREATE UNIQUE INDEX j ON a (ID COLLATE NOCASE, [NAME], rowid, `nam`) WHERE id > 0;
CREATE TABLE c (x int); ALTER TABLE c ADD y int; CREATE INDEX k ON c (y, X);
CREATE INDEX l ON elsewhere (zip);"
    )), @r#"
    m.sql:2:44 the table `a` that this file creates has no column `nmae` | Did you mean `name`?
    m.sql:3:63 the table `a` that this file creates has no column `nam` | Did you mean `name`?
    "#);
}

#[test]
fn what_the_grammar_of_sqlite_lacks_is_still_understood() {
    insta::assert_snapshot!(sqlite(
        "ALTER TABLE t ALTER COLUMN z TYPE bigint;
  ALTER TABLE main.\"we\"\"ird\" ALTER [$1 {x}] SET DATA TYPE DECIMAL(10, 2) USING [$1 {x}] * 100;"
    ), @r#"
    1:15 type t.z bigint
    2:30 type main.we"ird.$1 {x} DECIMAL(10, 2) using ((<$1 {x}> * 100)) null:$1 {x}
    "#);
    insta::assert_snapshot!(sqlite(
        "ALTER TABLE t ADD COLUMN a DECIMAL(1, 2) DEFAULT (max(1, 2)), ADD COLUMN b text;
ALTER TABLE t DROP COLUMN a, DROP COLUMN b;
ALTER TABLE t ALTER a TYPE text, ALTER b TYPE text;
ALTER TABLE t ALTER a TYPE;
ALTER TABLE t ALTER a TYPE text USING;
ALTER TABLE t ALTER a TYPE text USING (SELECT 1);
ALTER TABLE t ALTER COLUMN TYPE text;
ALTER TABLE t.;"
    ), @r#"
    m.sql:1:61 SQLite takes one change in an `ALTER TABLE` | On SQLite write one change a statement: `ALTER TABLE` again for the next.
    m.sql:2:28 SQLite takes one change in an `ALTER TABLE` | On SQLite write one change a statement: `ALTER TABLE` again for the next.
    m.sql:3:32 SQLite takes one change in an `ALTER TABLE` | On SQLite write one change a statement: `ALTER TABLE` again for the next.
    m.sql:4:23 syntax error at or near "TYPE" | Correct the SQL here; the database would refuse it too.
    m.sql:5:23 syntax error at or near "TYPE" | Correct the SQL here; the database would refuse it too.
    m.sql:6:39 not yet: a subquery in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:7:33 syntax error at or near "text" | Correct the SQL here; the database would refuse it too.
    m.sql:8:15 the statement ends too early | Correct the SQL here; the database would refuse it too.
    "#);
}

#[test]
fn what_may_be_there_already_is_never_taken_for_our_own() {
    insta::assert_snapshot!(postgres(
        "CREATE TABLE IF NOT EXISTS s.b (id int);
CREATE INDEX IF NOT EXISTS i ON s.b (id);
ALTER TABLE t ADD a int, ADD COLUMN IF NOT EXISTS b int;"
    ), @"
    1:1 not yet CREATE TABLE IF NOT EXISTS (leave IF NOT EXISTS out: a rollback must never drop what was there before) [s.b]
    2:1 not yet CREATE INDEX IF NOT EXISTS (leave IF NOT EXISTS out: a rollback must never drop what was there before) [s.b]
    3:15 add t.a pg_catalog.int4
    3:26 not yet ADD COLUMN IF NOT EXISTS (leave IF NOT EXISTS out: a rollback must never drop what was there before) [t]
    ");
    insta::assert_snapshot!(sqlite(
        "CREATE TABLE IF NOT EXISTS main.b (id);
CREATE INDEX IF NOT EXISTS i ON b (id);"
    ), @"
    1:1 not yet CREATE TABLE IF NOT EXISTS (leave IF NOT EXISTS out: a rollback must never drop what was there before) [main.b]
    2:1 not yet CREATE INDEX IF NOT EXISTS (leave IF NOT EXISTS out: a rollback must never drop what was there before) [b]
    ");
}

#[test]
fn what_is_not_built_yet_is_named_in_the_words_of_the_sql() {
    insta::assert_snapshot!(postgres(
        "ALTER TABLE t RENAME COLUMN a TO b;
ALTER TABLE t RENAME TO u;
ALTER TABLE t DROP COLUMN a CASCADE, DROP COLUMN IF EXISTS b, ALTER a SET DEFAULT 1, ALTER COLUMN a DROP NOT NULL, ADD CONSTRAINT c CHECK (a > 0), DROP CONSTRAINT c, OWNER TO me, ENABLE TRIGGER ALL, VALIDATE CONSTRAINT c;
ALTER TABLE IF EXISTS t ADD a int;
ALTER VIEW v RENAME TO w;
DROP TABLE a, b;
DROP INDEX CONCURRENTLY i;
INSERT INTO t VALUES (1);
DELETE FROM t;
SELECT 1;
BEGIN;
COMMIT;
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $b$ BEGIN; x := ';'; END $b$;
CREATE RULE r AS ON INSERT TO t DO (DELETE FROM u; DELETE FROM v);
DO $$ BEGIN NULL; END $$;
CREATE MATERIALIZED VIEW m AS SELECT 1;
GRANT ALL ON t TO me;
TRUNCATE t;
SET search_path = x;
VACUUM t;
COMMENT ON TABLE t IS 'x';
CREATE EXTENSION citext;
ALTER TYPE mood ADD VALUE 'x';
COPY t TO stdout;
COPY t FROM stdin"
    ), @"
    1:1 rename_column [t]
    2:1 rename_table [t]
    3:15 drop_column [t]
    3:38 drop_column [t]
    3:63 set_default [t]
    3:86 drop_not_null [t]
    3:116 add_check [t]
    3:148 drop_constraint [t]
    3:167 tab.owner [t]
    3:180 trg.enable [t]
    3:200 validate_constraint [t]
    4:1 not yet ALTER TABLE IF EXISTS [t]
    5:1 view.rename
    6:1 drop_table [a]
    6:1 drop_table [b]
    7:1 drop_index
    8:1 not yet INSERT INTO [t]
    9:1 not yet DELETE FROM [t]
    10:1 not yet SELECT
    11:1 not yet BEGIN (Segue manages transactions itself)
    12:1 not yet COMMIT (Segue manages transactions itself)
    13:1 fn.replace
    14:1 fn.create
    15:1 rule.create [t]
    16:1 not yet DO
    17:1 mv.create
    18:1 tab.grant [t]
    19:1 tab.truncate [t]
    20:1 not yet SET
    21:1 tab.vacuum [t]
    22:1 tab.comment [t]
    23:1 ext.create
    24:1 enum.add_value
    25:1 not yet COPY
    26:1 not yet COPY
    ");
    insta::assert_snapshot!(sqlite(
        "ALTER TABLE t RENAME a TO b;
ALTER TABLE t RENAME TO u;
ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);
ALTER TABLE t ALTER COLUMN a DROP NOT NULL;
DROP TABLE t;
CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET a = CASE WHEN 1 THEN 2 END; SELECT 1; END;
PRAGMA foreign_keys = OFF;
BEGIN IMMEDIATE;
END;
INSERT INTO t VALUES (';');
CREATE VIEW v AS SELECT 1;
CREATE VIRTUAL TABLE f USING fts5(a);
VACUUM;"
    ), @r#"
    1:15 rename_column [t]
    2:15 rename_table [t]
    3:15 add_check [t]
    4:15 drop_not_null [t]
    5:1 drop_table [t]
    6:1 trig.create [t]
    7:1 not yet PRAGMA
    8:1 not yet BEGIN (Segue manages transactions itself)
    9:1 not yet END (Segue manages transactions itself)
    10:1 not yet INSERT INTO [t]
    11:1 view.create
    12:1 tab.create_virtual
    13:1 not yet VACUUM
    "#);
}

#[test]
fn what_sqlite_has_no_statement_for_is_read_in_postgresqls_words() {
    insta::assert_snapshot!(sqlite(
        "ALTER TABLE t ALTER COLUMN a SET DEFAULT (1 + 2);
ALTER TABLE main.t ALTER a DROP DEFAULT;
ALTER TABLE t ADD CONSTRAINT \"o\"\"k\" UNIQUE (a COLLATE nocase DESC, b);
ALTER TABLE t ADD PRIMARY KEY (a);
ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a, b) REFERENCES p (x, y) ON DELETE SET NULL DEFERRABLE;
ALTER TABLE t ADD CHECK (a > 0);
ALTER TABLE t DROP CONSTRAINT f;
ALTER TABLE t DROP CONSTRAINT IF EXISTS f;
DROP INDEX main.i;
DROP TABLE IF EXISTS t;
DROP VIEW v;
DROP TRIGGER IF EXISTS r;
UPDATE t SET a = 1 WHERE a IS NULL;
UPDATE t SET a = b || 'x' WHERE (t.a ISNULL);
CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END;
CREATE VIEW IF NOT EXISTS v AS SELECT 1;"
    ), @r#"
    1:15 set_default [t]
    2:20 drop_default [main.t]
    3:15 add_unique [t]
    4:15 add_primary_key [t]
    5:15 add_foreign_key [t]
    6:15 add_check [t]
    7:15 drop_constraint [t]
    8:15 drop_constraint [t]
    9:1 drop_index
    10:1 drop_table [t]
    11:1 view.drop
    12:1 trig.drop
    13:1 fill_nulls [t]
    14:1 fill_nulls [t]
    15:1 not yet CREATE TEMPORARY TRIGGER [t]
    16:1 not yet CREATE VIEW IF NOT EXISTS (leave IF NOT EXISTS out: a rollback must never drop what was there before)
    "#);
    assert!(sqlite("ALTER TABLE t ADD CONSTRAINT x UNIQUE a").contains("this is no constraint that SQLite has"));
}

#[test]
fn an_update_is_a_transform_only_of_columns_that_the_file_adds() {
    insta::assert_snapshot!(postgres(
        "ALTER TABLE public.u ADD a text, ADD b text, ADD \"C\" text;
UPDATE u SET a = x WHERE a IS NULL;
UPDATE u SET (a, \"C\") = ROW(u.x, y), b = 'x, y = z';
UPDATE u SET (a) = (x);
UPDATE u SET a = x IS DISTINCT FROM y WHERE public.u.a IS NULL;
UPDATE u SET a = x WHERE u.b IS NULL;
UPDATE u SET a = x, x = 1;
UPDATE other SET a = x;
UPDATE u SET a = x WHERE id > 7;
UPDATE u SET a = x FROM v;
UPDATE u AS w SET a = w.x;
UPDATE ONLY u SET a = x;
UPDATE u SET a = x RETURNING a;
UPDATE u SET a = DEFAULT;
UPDATE u SET (a, b) = (SELECT 1, 2);
UPDATE u SET a[1] = 2;
WITH c AS (SELECT 1) UPDATE u SET a = x;
UPDATE u SET x = (SELECT 1);"
    ), @r#"
    1:22 add public.u.a text
    1:34 add public.u.b text
    1:46 add public.u.C text
    2:1 transform u: a = (<x>) null:x
    3:1 transform u: a = (<x>) null:x, C = (<y>) null:y, b = ('x, y = z') constant
    4:1 transform u: a = (<x>) null:x
    5:1 not yet UPDATE … WHERE (a data step) [u]
    6:1 not yet UPDATE of existing rows (a data step) [u]
    7:1 not yet UPDATE of existing rows (a data step) [u]
    8:1 not yet UPDATE of existing rows (a data step) [other]
    9:1 not yet UPDATE … WHERE (a data step) [u]
    10:1 not yet UPDATE … FROM (a data step) [u]
    11:1 not yet UPDATE with an alias for the table [u]
    12:1 not yet UPDATE ONLY [u]
    13:1 not yet UPDATE … RETURNING [u]
    14:1 not yet UPDATE of existing rows (a data step) [u]
    15:1 not yet UPDATE of existing rows (a data step) [u]
    16:1 not yet UPDATE of existing rows (a data step) [u]
    17:1 not yet WITH … UPDATE (a data step) [u]
    18:1 not yet UPDATE of existing rows (a data step) [u]
    "#);
    insta::assert_snapshot!(sqlite(
        "ALTER TABLE u ADD A; ALTER TABLE u ADD b;
UPDATE \"u\" SET a = x WHERE A ISNULL;
UPDATE main.u SET (a, [b]) = (u.x, main.U.\"y z\");
UPDATE u SET a = 1 WHERE (a IS NULL);
UPDATE u SET a = 1 WHERE x IS NULL;
UPDATE u SET a = 1, x = 2;
UPDATE OR IGNORE u SET a = 1;
UPDATE u AS w SET a = 1;
UPDATE u SET a = 1 FROM v;
UPDATE u SET a = 1 RETURNING a;"
    ), @r#"
    1:15 add u.A 
    1:36 add u.b 
    2:1 transform u: a = (<x>) null:x
    3:1 transform main.u: a = (<x>) null:x, b = (<y z>) null:y z
    4:1 transform u: a = (1) constant
    5:1 not yet UPDATE of existing rows (a data step) [u]
    6:1 not yet UPDATE of existing rows (a data step) [u]
    7:1 not yet UPDATE OR … [u]
    8:1 not yet UPDATE with an alias for the table [u]
    9:1 not yet UPDATE … FROM (a data step) [u]
    10:1 not yet UPDATE … RETURNING [u]
    "#);
}

#[test]
fn an_expression_that_cannot_be_carried_over_is_refused_where_it_stands() {
    insta::assert_snapshot!(postgres(
        "ALTER TABLE u ADD a text;
UPDATE u SET a = (SELECT 1);
UPDATE u SET a = count(*);
UPDATE u SET a = v.x;
UPDATE u SET a = string_agg(x, ',');
UPDATE u SET a = $1;
UPDATE u SET a = row_number() OVER ();
UPDATE u SET a = ROW(1, 2);
  UPDATE u SET a = unnest(x);
UPDATE u SET a = u.*;"
    ), @r#"
    m.sql:2:18 not yet: a subquery in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:3:18 not yet: `count`, a function of many rows, in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:4:18 not yet: `v.x`, which is no column of `u`, in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:5:18 not yet: `string_agg`, a function of many rows, in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:6:18 not yet: a parameter in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:7:18 not yet: `row_number`, a function of many rows, in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:8:18 not yet: a row in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:9:20 not yet: `unnest`, a function of many rows, in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:10:18 not yet: `*` in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    "#);
    insta::assert_snapshot!(sqlite(
        "ALTER TABLE u ADD a;
UPDATE u SET a = (SELECT 1);
UPDATE u SET a = v.x;
UPDATE u SET a = max(x);
UPDATE u SET a = ?1;
UPDATE u SET a = count(*);
UPDATE u SET a = EXISTS (SELECT 1);
UPDATE u SET a = x IN (SELECT 1);"
    ), @r#"
    m.sql:2:18 not yet: a subquery in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:3:18 not yet: `v.x`, which is no column of `u`, in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:4:18 not yet: `max`, a function of many rows, in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:5:18 not yet: a parameter in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:6:18 not yet: `count`, a function of many rows, in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:7:18 not yet: a subquery in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    m.sql:8:18 not yet: a subquery in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    "#);
}

#[test]
fn directives_are_read_outside_of_statements() {
    insta::assert_snapshot!(postgres(
        "-- segue: users.full_name = first_name || ' -- ' || \"Last\" -- a remark
-- segue: back s.\"we\"\"ird\".a = lower(n), b = split_part(n, ',', 2), s.\"we\"\"ird\".c = 1
--segue:strategy expand-contract
-- segue : allow not-null-scan reason=\"it's a small table\"
-- segue: depends 20261120093000_full_name
SELECT 1; -- segue: rows a(b) from c(d) on a.b = c.d
-- a remark: nothing else"
    ), @r#"
    6:1 not yet SELECT
    1:1 segue: users.full_name = (((<first_name> OPERATOR(§.||) ' -- ') OPERATOR(§.||) <Last>)) null:any(first_name Last)
    2:1 segue: back s.we"ird: a = (§."lower"(<n>)) null:n, b = (§."split_part"(<n>, ',', 2)) null:n, c = (1) constant
    3:1 segue: strategy expand-contract
    4:1 segue: allow not-null-scan because it's a small table
    5:1 segue: depends 20261120093000_full_name
    6:11 segue: rows a from c: b = (<d>) null:d on [b = d] present []
    "#);
    insta::assert_snapshot!(sqlite(
        "-- segue: Users.[full name] = first_name || ' ' || `b`
SELECT 1; -- segue: back t.x = y, z = 'a,b'"
    ), @r#"
    2:1 not yet SELECT
    1:1 segue: Users.full name = (((<first_name> || ' ') || <b>)) null:any(first_name b)
    2:11 segue: back t: x = (<y>) null:y, z = ('a,b') constant
    "#);
}

#[test]
fn rows_that_follow_from_another_table_are_read_in_three_ways() {
    insta::assert_snapshot!(postgres(
        "INSERT INTO a (u_id, street) SELECT u.id, lower(u.street) FROM s.users AS u WHERE u.street IS NOT NULL AND id > 1;
UPDATE users SET street = a.street, city = b.\"C\" FROM addresses AS b WHERE b.u_id = users.id;
UPDATE users SET street = b.street, city = b.\"C\" FROM addresses AS b WHERE b.u_id = users.id AND users.k = b.k;
INSERT INTO a (b) SELECT c FROM d LIMIT 1;
INSERT INTO a (b) SELECT DISTINCT c FROM d;
INSERT INTO a (b) SELECT c FROM d, e;
INSERT INTO a SELECT c FROM d;
INSERT INTO a (b) SELECT c FROM d ON CONFLICT DO NOTHING;
INSERT INTO a (b) VALUES (1);
UPDATE a SET b = c.d FROM c WHERE a.x > c.x;
UPDATE a SET b = c.d FROM c WHERE a.x = c.x RETURNING b;
-- segue: rows s.a(b, \"c d\") from s.u(id, x + 1) on s.a.b = s.u.id and u.k = a.k where x is not null"
    ), @r#"
    1:1 rows a from s.users: u_id = (<id>) null:id, street = (§."lower"(<street>)) null:street on [] where (((<street> IS NOT NULL) AND (<id> OPERATOR(§.>) 1))) null:id present [street]
    2:1 not yet UPDATE … FROM (a data step) [users]
    3:1 rows users from addresses: street = (<street>) null:street, city = (<C>) null:C on [id = u_id, k = k] present []
    4:1 not yet INSERT INTO [a]
    5:1 not yet INSERT INTO [a]
    6:1 not yet INSERT INTO [a]
    7:1 not yet INSERT INTO [a]
    8:1 not yet INSERT INTO [a]
    9:1 not yet INSERT INTO [a]
    10:1 not yet UPDATE … FROM (a data step) [a]
    11:1 not yet UPDATE … FROM (a data step) [a]
    12:1 segue: rows s.a from s.u: b = (<id>) null:id, c d = ((<x> OPERATOR(§.+) 1)) null:x raises on [b = id, k = k] where ((<x> IS NOT NULL)) present [x]
    "#);
    for wrong in [
        "rows a from b(c) on a.x = b.c",
        "rows a(x) from b(c, d) on a.x = b.c",
        "rows a(x) from b(c)",
        "rows a(x) from b(c) on a.x = e.c",
        "rows a(x) from b(c) on a.x > b.c",
        "rows a(x) from b(c) on a.x = b.c where",
        "rows a(x + 1) from b(c) on a.x = b.c",
    ] {
        let told = postgres(&["-- segue: ", wrong].concat());
        assert!(told.contains("rows TABLE(COLUMN, …) from TABLE(EXPR, …) on"), "{wrong}: {told}");
    }
}

#[test]
fn a_directive_that_is_nearly_right_is_an_error() {
    insta::assert_snapshot!(postgres(
        "-- seg: users.a = b
-- segue full_name
--segue: bak users.a = b
-- Segue: strategy lazy
/* segue: strategy lazy */
-- segue:
-- segue: full_name = a
-- segue: users.a
-- segue: users.a =
-- segue: users.a = b +
-- segue: users.a = b, c
-- segue: users.a = b; DROP TABLE users
-- segue: users.a = b FROM c
-- segue: back a = b
-- segue: back t.a = b, u.c = d
-- segue: strategy expand-contarct
-- segue: strategy
-- segue: allow x
-- segue: allow x reason=\"\"
-- segue: depends a/b"
    ), @r#"
    m.sql:1:1 `-- seg: users.a = b` looks like a directive and is none | Write `-- segue: …`, or reword the comment.
    m.sql:2:1 `-- segue full_name` looks like a directive and is none | Write `-- segue: …`, or reword the comment.
    m.sql:3:9 there is no directive `bak` | Did you mean `back`?
    m.sql:4:1 `-- Segue: strategy lazy` looks like a directive and is none | Write `-- segue: …`, or reword the comment.
    m.sql:5:1 `/* segue: strategy lazy */` looks like a directive and is none | Write `-- segue: …`, or reword the comment.
    m.sql:6:10 the directive must read `TABLE.COLUMN = EXPR` | Write `-- segue: TABLE.COLUMN = EXPR` on one line.
    m.sql:7:10 the directive must read `TABLE.COLUMN = EXPR` | Write `-- segue: TABLE.COLUMN = EXPR` on one line.
    m.sql:8:10 the directive must read `TABLE.COLUMN = EXPR` | Write `-- segue: TABLE.COLUMN = EXPR` on one line.
    m.sql:9:10 the directive must read `TABLE.COLUMN = EXPR` | Write `-- segue: TABLE.COLUMN = EXPR` on one line.
    m.sql:10:24 syntax error at end of input | Correct the SQL here; the database would refuse it too.
    m.sql:11:21 this is not one expression | Correct the SQL here; the database would refuse it too.
    m.sql:12:21 this is not one statement | Correct the SQL here; the database would refuse it too.
    m.sql:13:21 this is not one expression | Correct the SQL here; the database would refuse it too.
    m.sql:14:10 the directive must read `back TABLE.COLUMN = EXPR, …` | Write `-- segue: back TABLE.COLUMN = EXPR, …` on one line.
    m.sql:15:10 the directive must read `back TABLE.COLUMN = EXPR, …` | Write `-- segue: back TABLE.COLUMN = EXPR, …` on one line.
    m.sql:16:19 there is no strategy `expand-contarct` | Did you mean `expand-contract`?
    m.sql:17:10 the directive must read `strategy NAME` | Write `-- segue: strategy NAME` on one line.
    m.sql:18:10 the directive must read `allow RULE reason="…"` | Write `-- segue: allow RULE reason="…"` on one line.
    m.sql:19:10 the directive must read `allow RULE reason="…"` | Write `-- segue: allow RULE reason="…"` on one line.
    m.sql:20:10 the directive must read `depends ID` | Write `-- segue: depends ID` on one line.
    "#);
    insta::assert_snapshot!(postgres(
        "-- segue: users.a = 'open
-- seuge: users.a = b
-- segue: teh plan
ALTER TABLE t
  -- segue: strategy lazy
  ADD a int;"
    ), @r#"
    m.sql:1:21 this string is never closed | Close the string.
    m.sql:2:1 `-- seuge: users.a = b` looks like a directive and is none | Write `-- segue: …`, or reword the comment.
    m.sql:3:10 there is no directive `teh` | Known are `TABLE.COLUMN = EXPR`, `back`, `rows`, `strategy`, `allow`, `depends` and `orphans`.
    m.sql:5:3 a directive must stand outside a statement | Move it to a line before or after the statement.
    "#);
    insta::assert_snapshot!(sqlite("-- segue: t.a = b; SELECT 1\n-- segue: t.a = b c\n-- segue: t.a = 1 FROM x\n-- segue: t.a = \"\""), @r#"
    m.sql:1:17 this is not one expression | Correct the SQL here; the database would refuse it too.
    m.sql:2:17 this is not one expression | Correct the SQL here; the database would refuse it too.
    m.sql:3:17 this is not one expression | Correct the SQL here; the database would refuse it too.
    m.sql:4:17 not yet: an empty name in an expression | Use columns of the same table, literals, operators, casts, CASE and ordinary functions.
    "#);
}

#[test]
fn errors_say_where() {
    insta::assert_snapshot!(postgres("SELECT 1;\n  ALTER TABLE 'é' ADD x int;\nCREATE TABEL x();\nALTER TABLE t ADD\n;\nSELECT (1;"), @r#"
    m.sql:2:15 syntax error at or near "'é'" | Correct the SQL here; the database would refuse it too.
    m.sql:3:8 syntax error at or near "TABEL" | Correct the SQL here; the database would refuse it too.
    m.sql:4:18 syntax error at end of input | Correct the SQL here; the database would refuse it too.
    m.sql:6:10 syntax error at end of input | Correct the SQL here; the database would refuse it too.
    "#);
    insta::assert_snapshot!(postgres("SELECT 1;\n/* /* */"), @r#"m.sql:2:1 this comment is never closed | Close the comment."#);
    insta::assert_snapshot!(postgres("SELECT 'é', $x$ $y$"), @r#"m.sql:1:13 this dollar-quoted string is never closed | Close the dollar-quoted string."#);
    insta::assert_snapshot!(postgres("SELECT 'é\n'; SELECT \"abc"), @r#"m.sql:2:11 this quoted name is never closed | Close the quoted name."#);
    insta::assert_snapshot!(postgres("ALTER TABLE t ADD \"\" int"), @r#"m.sql:1:19 zero-length delimited identifier at or near """" | Correct the SQL here; the database would refuse it too."#);
    insta::assert_snapshot!(sqlite("SELECT 1;\n  ALTER TABLE t ADD é 'x' )y;\nCREATE TABEL x();\nALTER TABLE t ADD;\nALTER TABLE \"\" ADD x"), @r#"
    m.sql:2:27 syntax error at or near ")" | Correct the SQL here; the database would refuse it too.
    m.sql:3:8 syntax error at or near "TABEL" | Correct the SQL here; the database would refuse it too.
    m.sql:4:18 the statement ends too early | Correct the SQL here; the database would refuse it too.
    m.sql:5:1 a name cannot be empty | Give the name at least one character.
    "#);
    insta::assert_snapshot!(sqlite("SELECT 1;\nSELECT 'abc"), @r#"m.sql:2:8 this string is never closed | Close the string."#);
    insta::assert_snapshot!(sqlite("SELECT [abc"), @r#"m.sql:1:8 this quoted name is never closed | Close the quoted name."#);
    insta::assert_snapshot!(sqlite("SELECT !x"), @r#"m.sql:1:8 unrecognized token | Correct the SQL here; the database would refuse it too."#);
    insta::assert_snapshot!(sqlite("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1;"), @r#"m.sql:1:51 the statement ends too early | Correct the SQL here; the database would refuse it too."#);
}

#[test]
fn what_is_meant_for_psql_is_named_with_its_line() {
    insta::assert_snapshot!(postgres("SELECT 1;\n\\i other.sql\nSELECT 2;"), @r#"m.sql:2:1 `\i` is a command of psql, not SQL | Remove the line, or write what it does as SQL."#);
    insta::assert_snapshot!(postgres("SELECT E'\\\\', 'a\\';\n  \\copy t from 'x'"), @r#"m.sql:2:3 `\copy` is a command of psql, not SQL | Remove the line, or write what it does as SQL."#);
    insta::assert_snapshot!(postgres("COPY public.t (a, b) FROM stdin WITH (FORMAT csv);\n1\tit's\n\\.\n"), @r#"m.sql:2:1 data for `COPY … FROM stdin` cannot stand in a migration | Load data outside of migrations, or write it as INSERT."#);
    insta::assert_snapshot!(postgres("SELECT 1 \\gset"), @r#"m.sql:1:10 `\gset` is a command of psql, not SQL | Remove the line, or write what it does as SQL."#);
}

#[test]
fn names_are_read_as_their_engine_reads_them() {
    insta::assert_snapshot!(postgres(
        "ALTER TABLE \"we\"\"ird\" ADD \"$1 {x} \\ 🎉\" text; UPDATE \"we\"\"ird\" SET \"$1 {x} \\ 🎉\" = \"Ünï\" || ABC WHERE \"$1 {x} \\ 🎉\" IS NULL;"
    ), @r#"
    1:23 add we"ird.$1 {x} \ 🎉 text
    1:46 transform we"ird: $1 {x} \ 🎉 = ((<Ünï> OPERATOR(§.||) <abc>)) null:any(Ünï abc)
    "#);
    insta::assert_snapshot!(sqlite(
        "ALTER TABLE \"we\"\"ird\" ADD `$1 {x} \\ 🎉` text; UPDATE \"we\"\"ird\" SET [$1 {x} \\ 🎉] = \"Ünï\" || ABC;"
    ), @r#"
    1:23 add we"ird.$1 {x} \ 🎉 text
    1:46 transform we"ird: $1 {x} \ 🎉 = ((<Ünï> || <ABC>)) null:any(Ünï ABC)
    "#);
}

#[test]
fn line_ends_of_another_system_change_no_place() {
    insta::assert_snapshot!(postgres("\u{feff}SELECT 1;\r\nALTER TABLE t\r\n  DROP a;\r\n-- segue: strategy lazy\r\n"), @r#"
    1:1 not yet SELECT
    3:3 drop t.a
    4:1 segue: strategy lazy
    "#);
}
