//! What is there, in a constant number of queries.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use segue_model::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Dependent, Index, IndexKey, Size, Table, TableKind, Trigger,
};
use segue_model::engine::Engine;
use segue_model::ident::{Ident, TableName};
use segue_model::session::{Fail, FailKind, Session};
use segue_model::sql::TypeName;
use segue_model::value::{Row, Value};

use super::ddl::{self, Token};
use super::run::SqliteSession;
use super::shape::{SCHEMA, text};

const LIMIT: Duration = Duration::from_secs(60);

/// Up to this size the file is measured table by table, which reads every page of it.
const MEASURED_BYTES_MAX: i64 = 512 * 1024 * 1024;

const TABLES: &str = "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'";
const COLUMNS: &str = include_str!("inspect/columns.sql");
const INDEXES: &str = include_str!("inspect/indexes.sql");
const FOREIGN_KEYS: &str = include_str!("inspect/foreign_keys.sql");
const FILE_BYTES: &str = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
const SIZES: &str =
    "SELECT name, sum(CASE WHEN pagetype = 'leaf' THEN ncell ELSE 0 END), sum(pgsize) FROM dbstat GROUP BY name";

/// A row of `sqlite_schema`.
pub(super) struct Entry {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) table: String,
    pub(super) sql: String,
    tokens: Vec<Token>,
}

impl Entry {
    /// Reads a row of [`SCHEMA`].
    pub(super) fn of(row: &[Value]) -> Option<Self> {
        let sql = text(row, 4);
        let known =
            Self { kind: text(row, 0), name: text(row, 1), table: text(row, 2), tokens: ddl::tokens(&sql), sql };
        (!known.name.is_empty()).then_some(known)
    }

    fn mentions(&self, name: &str) -> bool {
        self.tokens.iter().any(|token| token.names(name))
    }
}

/// Returns those views and triggers whose text names `table`, or a view that does: each may break when a column goes.
pub(super) fn naming<'a>(others: &[&'a Entry], table: &str) -> Vec<&'a Entry> {
    let mut found: Vec<&Entry> = vec![];
    let mut sought = vec![table.to_owned()];
    while let Some(name) = sought.pop() {
        for entry in others {
            let known = found.iter().any(|other| other.kind == entry.kind && other.name == entry.name);
            if !known && entry.mentions(&name) {
                found.push(entry);
                if entry.kind == "view" {
                    sought.push(entry.name.clone());
                }
            }
        }
    }
    found
}

/// See [`Session::inspect`].
pub(super) fn inspect(session: &mut SqliteSession) -> Result<Catalog, Fail> {
    let rows = session.query(SCHEMA, &[], LIMIT)?;
    let entries: Vec<Entry> = rows.iter().filter_map(|row| Entry::of(row)).collect();
    let kinds = session.query(TABLES, &[], LIMIT)?;
    let columns = by_table(session.query(COLUMNS, &[], LIMIT)?);
    let indexes = by_table(session.query(INDEXES, &[], LIMIT)?);
    let foreign_keys = by_table(session.query(FOREIGN_KEYS, &[], LIMIT)?);
    let sizes = sizes(session)?;
    let by_name = entries.iter().map(|entry| ((entry.kind.as_str(), entry.name.as_str()), entry)).collect();
    let others: Vec<&Entry> = entries.iter().filter(|e| e.kind == "view" || e.kind == "trigger").collect();
    let read = Read { by_name, others, columns, indexes, foreign_keys, sizes };
    let mut tables = vec![];
    for row in kinds.iter().filter(|row| !is_systems(&text(row, 0))) {
        tables.push(read.table(&text(row, 0), &text(row, 1), row.get(2).and_then(Value::as_bool) == Some(true))?);
    }
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    refer(&mut tables);
    let mut taken: Vec<String> = entries.iter().map(|entry| format!("main.{}", entry.name)).collect();
    taken.sort();
    taken.dedup();
    Ok(Catalog { engine: Engine::Sqlite, search_path: vec![main()], tables, taken })
}

/// SQLite's own tables, and those of our journal.
fn is_systems(name: &str) -> bool {
    let ours = [
        "segue_meta",
        "segue_migration",
        "segue_event",
        "segue_checkpoint",
        "segue_span",
        "segue_quarantine",
        "segue_control",
        "segue_report",
        "segue_lease",
        "segue_heartbeat",
    ];
    name.starts_with("sqlite_") || ours.contains(&name)
}

fn main() -> Ident {
    Ident::known("main")
}

fn by_table(rows: Vec<Row>) -> HashMap<String, Vec<Row>> {
    let mut all: HashMap<String, Vec<Row>> = HashMap::new();
    for row in rows {
        all.entry(text(&row, 0)).or_default().push(row);
    }
    all
}

fn sizes(session: &mut SqliteSession) -> Result<HashMap<String, Size>, Fail> {
    let file = session.query(FILE_BYTES, &[], LIMIT)?;
    if file.first().and_then(|row| row.first()).and_then(Value::as_i64).is_none_or(|bytes| bytes > MEASURED_BYTES_MAX) {
        return Ok(HashMap::new());
    }
    let size = |row: &Row| {
        let number = |at: usize| row.get(at).and_then(Value::as_i64).and_then(|n| u64::try_from(n).ok());
        (text(row, 0), Size { rows: number(1), bytes: number(2).unwrap_or(0) })
    };
    Ok(session.query(SIZES, &[], LIMIT)?.iter().map(size).collect())
}

/// The answers, by table.
struct Read<'a> {
    by_name: HashMap<(&'a str, &'a str), &'a Entry>,
    /// Views and triggers.
    others: Vec<&'a Entry>,
    columns: HashMap<String, Vec<Row>>,
    indexes: HashMap<String, Vec<Row>>,
    foreign_keys: HashMap<String, Vec<Row>>,
    sizes: HashMap<String, Size>,
}

impl Read<'_> {
    fn table(&self, name: &str, kind: &str, without_rowid: bool) -> Result<Table, Fail> {
        let sql = self.definition(if kind == "view" { "view" } else { "table" }, name);
        let kind = match kind {
            "view" => TableKind::View,
            "virtual" | "shadow" => TableKind::Virtual,
            _ => TableKind::Ordinary,
        };
        let written = if kind == TableKind::Ordinary { ddl::table_text(&sql) } else { ddl::TableText::default() };
        let columns = self.columns_of(name, &written)?;
        let name = TableName { schema: main(), name: ident(name)? };
        let indexes = self.indexes_of(&name, &columns)?;
        let mut constraints = self.keys_of(&name, &indexes)?;
        constraints.extend(self.foreign_keys_of(&name)?);
        constraints.extend(checks_of(&name, &columns, &written)?);
        let mut dependents = self.dependents_of(&name, &columns);
        dependents.extend(dependents_within(&columns, &indexes, &written));
        Ok(Table {
            kind,
            owner: String::new(),
            triggers: self.triggers_of(&name)?,
            indexes,
            constraints,
            referenced_by: vec![],
            policies: vec![],
            row_security: false,
            force_row_security: false,
            dependents,
            publications: vec![],
            inherits: false,
            rowid_name: if without_rowid || kind != TableKind::Ordinary { None } else { rowid_name(&columns) },
            without_rowid,
            size: self.sizes.get(name.name.as_str()).copied().unwrap_or_default(),
            sql: Some(sql),
            columns,
            name,
        })
    }

    fn columns_of(&self, table: &str, written: &ddl::TableText) -> Result<Vec<Column>, Fail> {
        let rows = self.columns.get(table).map_or(&[][..], Vec::as_slice);
        rows.iter().map(|row| column(row, written)).collect()
    }

    fn indexes_of(&self, table: &TableName, columns: &[Column]) -> Result<Vec<Index>, Fail> {
        let rows = self.indexes.get(table.name.as_str()).map_or(&[][..], Vec::as_slice);
        let mut all: Vec<Index> = vec![];
        for row in rows {
            let name = ident(&text(row, 1))?;
            if all.last().is_none_or(|index| index.name != name) {
                let definition = self.definition("index", name.as_str());
                all.push(Index {
                    unique: row.get(2).and_then(Value::as_bool) == Some(true),
                    primary: text(row, 3) == "pk",
                    of_constraint: text(row, 3) != "c",
                    valid: true,
                    method: "btree".to_owned(),
                    keys: vec![],
                    include: vec![],
                    predicate: ddl::predicate(&definition),
                    definition,
                    carries: vec![],
                    name,
                });
            }
            let index = all.last_mut().expect("one was pushed when there was none");
            index.keys.push(key(row, columns)?);
        }
        Ok(all)
    }

    fn definition(&self, kind: &str, name: &str) -> String {
        self.by_name.get(&(kind, name)).map(|entry| entry.sql.clone()).unwrap_or_default()
    }

    /// The primary key, in key order, and the UNIQUE constraints.
    fn keys_of(&self, table: &TableName, indexes: &[Index]) -> Result<Vec<Constraint>, Fail> {
        let rows = self.columns.get(table.name.as_str()).map_or(&[][..], Vec::as_slice);
        let place = |row: &Row| row.get(5).and_then(Value::as_i64).unwrap_or(0);
        let mut key: Vec<&Row> = rows.iter().filter(|row| place(row) > 0).collect();
        key.sort_by_key(|row| place(row));
        let key = key.iter().map(|row| ident(&text(row, 1))).collect::<Result<Vec<_>, Fail>>()?;
        let mut all = vec![];
        if !key.is_empty() {
            all.push(constraint(table, ConstraintKind::PrimaryKey, key, "PRIMARY KEY"));
        }
        for index in indexes.iter().filter(|index| index.of_constraint && !index.primary) {
            let columns = index.keys.iter().filter_map(|key| key.column.clone()).collect();
            all.push(constraint(table, ConstraintKind::Unique, columns, "UNIQUE"));
        }
        Ok(all)
    }

    fn foreign_keys_of(&self, table: &TableName) -> Result<Vec<Constraint>, Fail> {
        let rows = self.foreign_keys.get(table.name.as_str()).map_or(&[][..], Vec::as_slice);
        let mut all: BTreeMap<i64, Constraint> = BTreeMap::new();
        for row in rows {
            let id = row.get(1).and_then(Value::as_i64).unwrap_or_default();
            let other = TableName { schema: main(), name: ident(&text(row, 2))? };
            let definition = format!("FOREIGN KEY ON UPDATE {} ON DELETE {}", text(row, 5), text(row, 6));
            let known = all.entry(id).or_insert_with(|| Constraint {
                references: Some(other),
                definition,
                ..constraint(table, ConstraintKind::ForeignKey, vec![], "FOREIGN KEY")
            });
            known.columns.push(ident(&text(row, 3))?);
            if let Some(column) = row.get(4).and_then(Value::as_str) {
                known.referenced_columns.push(ident(column)?);
            }
        }
        Ok(all.into_values().collect())
    }

    fn triggers_of(&self, table: &TableName) -> Result<Vec<Trigger>, Fail> {
        let mine = |entry: &&Entry| entry.kind == "trigger" && entry.table.eq_ignore_ascii_case(table.name.as_str());
        let trigger = |entry: &Entry| {
            Ok(Trigger {
                name: ident(&entry.name)?,
                before_row: entry.tokens.iter().take_while(|token| !token.is("ON")).any(|token| token.is("BEFORE")),
                enabled: 'O',
                definition: entry.sql.clone(),
            })
        };
        self.others.iter().copied().filter(mine).map(trigger).collect()
    }

    /// Views and triggers that name this table, with the columns that their texts name.
    fn dependents_of(&self, table: &TableName, columns: &[Column]) -> Vec<Dependent> {
        let others = naming(&self.others, table.name.as_str());
        let others = others.into_iter().filter(|entry| entry.name != table.name.as_str());
        let dependent = |entry: &Entry| Dependent {
            kind: entry.kind.clone(),
            name: entry.name.clone(),
            columns: named_by(&entry.tokens, columns),
        };
        others.map(dependent).collect()
    }
}

/// Generated columns and the expressions and predicates of indexes, with the columns that their texts name.
fn dependents_within(columns: &[Column], indexes: &[Index], written: &ddl::TableText) -> Vec<Dependent> {
    let generated = written.columns.iter().filter(|column| column.generated.is_some()).map(|column| Dependent {
        kind: "generated column".to_owned(),
        name: column.name.clone(),
        columns: named_by(&column.generated_from, columns),
    });
    let computed = |index: &&Index| index.predicate.is_some() || index.keys.iter().any(|key| key.column.is_none());
    let expressions = indexes.iter().filter(computed).map(|index| {
        let tokens = ddl::tokens(&index.definition);
        let body = tokens.iter().position(|token| token.is("ON")).map_or(&tokens[..], |on| &tokens[on + 2..]);
        Dependent {
            kind: "index expression".to_owned(),
            name: index.name.as_str().to_owned(),
            columns: named_by(body, columns),
        }
    });
    generated.chain(expressions).collect()
}

fn named_by(tokens: &[Token], columns: &[Column]) -> Vec<Ident> {
    let named = |column: &&Column| tokens.iter().any(|token| token.names(column.name.as_str()));
    columns.iter().filter(named).map(|column| column.name.clone()).collect()
}

fn checks_of(table: &TableName, columns: &[Column], written: &ddl::TableText) -> Result<Vec<Constraint>, Fail> {
    let check = |check: &ddl::Check| {
        Ok(Constraint {
            name: check.name.as_deref().map(ident).transpose()?,
            definition: check.definition.clone(),
            ..constraint(table, ConstraintKind::Check, named_by(&check.tokens, columns), "CHECK")
        })
    };
    written.checks.iter().map(check).collect()
}

fn constraint(table: &TableName, kind: ConstraintKind, columns: Vec<Ident>, definition: &str) -> Constraint {
    Constraint {
        name: None,
        kind,
        table: table.clone(),
        columns,
        references: None,
        referenced_columns: vec![],
        definition: definition.to_owned(),
        validated: true,
    }
}

/// A row of `columns.sql`.
fn column(row: &Row, written: &ddl::TableText) -> Result<Column, Fail> {
    let name = text(row, 1);
    let declared = text(row, 2);
    let said = written.columns.iter().find(|column| column.name.eq_ignore_ascii_case(&name));
    Ok(Column {
        name: ident(&name)?,
        base_type: affinity(&declared).to_owned(),
        has_modifier: declared.contains('('),
        type_name: TypeName::spelled(declared),
        not_null: row.get(3).and_then(Value::as_bool) == Some(true),
        default: row.get(4).and_then(Value::as_str).map(str::to_owned),
        generated: matches!(row.get(6).and_then(Value::as_i64), Some(2 | 3))
            .then(|| said.and_then(|column| column.generated.clone()).unwrap_or_default()),
        identity: None,
        collation: said.and_then(|column| column.collation.clone()),
        carries: vec![],
        owns_sequences: vec![],
    })
}

/// A row of `indexes.sql`.
fn key(row: &Row, columns: &[Column]) -> Result<IndexKey, Fail> {
    let column = row.get(6).and_then(Value::as_str).map(ident).transpose()?;
    let own = column.as_ref().and_then(|name| columns.iter().find(|c| c.name == *name));
    let own = own.and_then(|column| column.collation.clone()).unwrap_or_else(|| "BINARY".to_owned());
    Ok(IndexKey {
        descending: row.get(7).and_then(Value::as_bool) == Some(true),
        nulls_first: row.get(7).and_then(Value::as_bool) != Some(true),
        default_class: own.eq_ignore_ascii_case(&text(row, 8)),
        column,
    })
}

/// The five rules of "Determination Of Column Affinity", in their order.
fn affinity(declared: &str) -> &'static str {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    if has("INT") {
        "INTEGER"
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        "TEXT"
    } else if has("BLOB") || declared.is_empty() {
        "BLOB"
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        "REAL"
    } else {
        "NUMERIC"
    }
}

fn rowid_name(columns: &[Column]) -> Option<Ident> {
    let hidden = |name: &&str| columns.iter().any(|column| column.name.as_str().eq_ignore_ascii_case(name));
    ["rowid", "_rowid_", "oid"].into_iter().find(|name| !hidden(name)).map(Ident::known)
}

/// Gives each table the foreign keys that point to it; one that names no columns means the primary key.
fn refer(tables: &mut [Table]) {
    let place: HashMap<String, usize> =
        tables.iter().enumerate().map(|(at, t)| (t.name.name.as_str().to_ascii_lowercase(), at)).collect();
    for from in 0..tables.len() {
        for at in 0..tables[from].constraints.len() {
            let Some(to) = tables[from].constraints[at].references.as_ref() else { continue };
            let Some(to) = place.get(&to.name.as_str().to_ascii_lowercase()).copied() else { continue };
            if tables[from].constraints[at].referenced_columns.is_empty() {
                tables[from].constraints[at].referenced_columns = tables[to].primary_key().to_vec();
            }
            let pointing = tables[from].constraints[at].clone();
            tables[to].referenced_by.push(pointing);
        }
    }
}

fn ident(name: &str) -> Result<Ident, Fail> {
    Ident::new(name)
        .map_err(|bad| Fail::new(FailKind::Usage, format!("the database has a name that cannot be used: {bad}")))
}
