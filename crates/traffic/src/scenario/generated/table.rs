//! The table of a generated scenario, and the requests that name its key.

use segue_model::engine::Engine;

use super::kept;
use super::key::KeyShape;
use crate::scenario::{Shared, Side};
use fastrand::Rng;
use segue_model::value::Value;

/// How many values the first column of a composite key has.
const SHARDS: u32 = 7;

/// A table: names as SQL writes them, and its key.
pub(super) struct Table {
    pub(super) engine: Engine,
    pub(super) key: KeyShape,
    pub(super) name: &'static str,
    id: &'static str,
    shard: &'static str,
    note: &'static str,
    ver: &'static str,
}

/// A column that a fill gives values to: its name, declaration, and the expression of the values of row `n`.
pub(super) struct Filled {
    pub(super) name: &'static str,
    pub(super) declared: &'static str,
    pub(super) value: String,
}

impl Table {
    pub(super) fn new(engine: Engine, key: KeyShape) -> Self {
        let named = |plain, hostile| if key == KeyShape::Hostile { hostile } else { plain };
        Self {
            engine,
            key,
            name: named("things", r#""order ""täble"" $1 {x} \n 🦀""#),
            id: named("id", r#""select""#),
            shard: named("shard", r#""from""#),
            note: named("note", r#""Note, ""it's"" {note}""#),
            ver: named("ver", r#""where""#),
        }
    }

    /// Returns the name of a column of the change: `plain`, or one that careless quoting breaks.
    pub(super) fn column(&self, plain: &'static str, hostile: &'static str) -> &'static str {
        if self.key == KeyShape::Hostile { hostile } else { plain }
    }

    /// Returns the statements that create the table with these columns, and `more` after them.
    pub(super) fn create(&self, columns: &[Filled], more: &str) -> &'static str {
        let id = format!("{} {}", self.id, self.key.declared(self.engine));
        let shard = format!("{} integer NOT NULL", self.shard);
        let mut parts = match self.key {
            KeyShape::Composite => vec![shard, id],
            KeyShape::Reordered => vec![id, shard],
            _ => vec![id],
        };
        parts.extend(columns.iter().map(|column| format!("{} {}", column.name, column.declared)));
        parts.push(format!("{} text", self.note));
        parts.push(format!("{} bigint NOT NULL DEFAULT 0", self.ver));
        if self.key.is_composite() {
            parts.push(format!("PRIMARY KEY ({}, {})", self.shard, self.id));
        }
        let found_by = match self.key {
            KeyShape::NoKey => format!("CREATE INDEX things_id ON {} ({});\n", self.name, self.id),
            _ => String::new(),
        };
        let body = parts.join(",\n    ");
        kept(format!("CREATE TABLE {} (\n    {body}\n);\n{found_by}{more}", self.name))
    }

    /// Returns the statement that fills it with rows 1 to `$1`.
    pub(super) fn fill(&self, columns: &[Filled]) -> &'static str {
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let values: Vec<&str> = columns.iter().map(|column| column.value.as_str()).collect();
        let insert = format!(
            "INSERT INTO {} ({}, {}, {})\nSELECT {}, {}, 'seeded'\n",
            self.name,
            self.key_columns(),
            names.join(", "),
            self.note,
            self.key_values("n"),
            values.join(", ")
        );
        kept(match self.engine {
            Engine::Postgres => format!("{insert}FROM generate_series(1::bigint, $1) AS n"),
            Engine::Sqlite => {
                format!(
                    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $1)\n{insert}FROM n WHERE n <= $1"
                )
            }
        })
    }

    /// Returns what is run after the fill.
    pub(super) fn settle(&self) -> &'static str {
        match self.engine {
            Engine::Postgres => kept(format!("VACUUM ANALYZE {}", self.name)),
            Engine::Sqlite => "",
        }
    }

    /// Returns what a version does that has these columns. `bare`: it may insert without naming them.
    pub(super) fn side(&self, columns: &[&'static str], bare: bool, values: fn(&mut Rng) -> Vec<Value>) -> Side {
        let (table, key, ver, note) = (self.name, self.key_columns(), self.ver, self.note);
        let list = columns.join(", ");
        let from_2: Vec<String> = (0..columns.len()).map(|at| format!("${}", at + 2)).collect();
        let from_2 = from_2.join(", ");
        let after = columns.len() + 2;
        let row = self.key_values("$1");
        let excluded: Vec<String> = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        let excluded = excluded.join(", ");
        let set: Vec<String> = columns.iter().zip(1..).map(|(column, at)| format!("{column} = ${at}")).collect();
        let set = set.join(", ");
        let upsert = format!(
            "INSERT INTO {table} ({key}, {list}, {ver}) VALUES ({row}, {from_2}, 1) \
             ON CONFLICT ({key}) DO UPDATE SET {excluded}, {ver} = {table}.{ver} + 1 RETURNING {ver}"
        );
        let part = format!(
            "UPDATE {table} SET {} = $1, {ver} = {ver} + 1 WHERE {} RETURNING {ver}",
            columns[0],
            self.is("$2")
        );
        let insert_bare = format!("INSERT INTO {table} ({key}, {note}, {ver}) VALUES ({row}, $2, 1) RETURNING {ver}");
        Side {
            insert: kept(format!(
                "INSERT INTO {table} ({key}, {list}, {note}, {ver}) VALUES ({row}, {from_2}, ${after}, 1) RETURNING {ver}"
            )),
            upsert: (self.key != KeyShape::NoKey).then(|| kept(upsert)),
            update: kept(format!(
                "UPDATE {table} SET {set}, {ver} = {ver} + 1 WHERE {} RETURNING {ver}",
                self.is(&format!("${}", columns.len() + 1))
            )),
            update_part: (columns.len() > 1).then(|| kept(part)),
            insert_bare: bare.then(|| kept(insert_bare)),
            read: kept(format!("SELECT {ver}, {list} FROM {table} WHERE {}", self.is("$1"))),
            all: kept(format!("SELECT {}, {ver}, {note}, {list} FROM {table}", self.key.decoded(self.engine, self.id))),
            values,
        }
    }

    /// Returns what every version does.
    pub(super) fn shared(&self) -> Shared {
        let Self { name, note, ver, .. } = self;
        let id = format!("{} = {}", self.id, self.key.encoded(self.engine, "$1"));
        let moved = match self.key.is_composite() {
            true => format!("{} = {}, {id}", self.shard, self.shard_of("$1")),
            false => id,
        };
        Shared {
            annotate: kept(format!(
                "UPDATE {name} SET {note} = $1, {ver} = {ver} + 1 WHERE {} RETURNING {ver}",
                self.is("$2")
            )),
            move_key: kept(format!(
                "UPDATE {name} SET {moved}, {ver} = {ver} + 1 WHERE {} RETURNING {ver}",
                self.is("$2")
            )),
            delete: kept(format!("DELETE FROM {name} WHERE {} RETURNING {ver}", self.is("$1"))),
            count: kept(format!("SELECT count(*) FROM {name}")),
        }
    }

    fn key_columns(&self) -> String {
        if self.key.is_composite() { format!("{}, {}", self.shard, self.id) } else { self.id.to_owned() }
    }

    /// Returns the values of the key columns for the number that `of` gives.
    fn key_values(&self, of: &str) -> String {
        let id = self.key.encoded(self.engine, of);
        if self.key.is_composite() { format!("{}, {id}", self.shard_of(of)) } else { id }
    }

    /// Returns the condition that a row is the one of the number that `of` gives.
    fn is(&self, of: &str) -> String {
        let id = format!("{} = {}", self.id, self.key.encoded(self.engine, of));
        if self.key.is_composite() { format!("{} = {} AND {id}", self.shard, self.shard_of(of)) } else { id }
    }

    fn shard_of(&self, of: &str) -> String {
        match self.engine {
            Engine::Postgres => format!("({of}::bigint % {SHARDS})::integer"),
            Engine::Sqlite => format!("({of} % {SHARDS})"),
        }
    }
}
