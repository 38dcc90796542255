//! Tables and changes that the tests of the PostgreSQL dialect share.

use std::collections::BTreeMap;

use segue_model::catalog::*;
use segue_model::change::*;
use segue_model::engine::Engine;
use segue_model::expr::*;
use segue_model::ident::*;
use segue_model::probe::{Answer, Answers};
use segue_model::server::*;
use segue_model::sql::TypeName;
use segue_model::value::Value;
use segue_plan::dialect::{Planned, dialect};
use segue_plan::operation::{Context, Operation, Retype, Thresholds};
use segue_plan::refusal::Refused;

pub(crate) fn ident(name: &str) -> Ident {
    Ident::new(name).expect("a name")
}

pub(crate) fn place() -> Place {
    Place { file: "m.sql".into(), line: 2, column: 1 }
}

pub(crate) fn migration() -> Migration {
    let id = MigrationId::new("20261120_m").expect("an id");
    let statement = Statement { text: "ALTER TABLE t …".into(), at: place(), span: (0, 1) };
    Migration {
        id,
        checksum: "sha256:0".into(),
        statements: vec![statement],
        changes: vec![],
        directives: vec![],
        down: None,
    }
}

pub(crate) fn server(major: u32) -> Server {
    Server {
        engine: Engine::Postgres,
        version: Version { major, minor: 4, patch: 0 },
        identity: Identity { system: "1".into(), database: "1".into(), timeline: 1 },
        role: "postgres".into(),
        superuser: true,
        bypass_row_security: true,
        silences_triggers: false,
        standby: false,
        read_only: false,
        pooled: false,
        app_version: None,
        settings: BTreeMap::new(),
    }
}

pub(crate) fn column(name: &str, kind: &str, base: &str, not_null: bool) -> Column {
    Column {
        name: ident(name),
        type_name: TypeName::spelled(kind),
        base_type: base.into(),
        has_modifier: kind.contains('('),
        not_null,
        default: None,
        generated: None,
        identity: None,
        collation: None,
        carries: vec![],
        owns_sequences: vec![],
    }
}

pub(crate) fn table(schema: &str, name: &str, columns: Vec<Column>) -> Table {
    let name = TableName { schema: ident(schema), name: ident(name) };
    let key = Constraint {
        name: Some(ident("pk")),
        kind: ConstraintKind::PrimaryKey,
        table: name.clone(),
        columns: vec![columns[0].name.clone()],
        references: None,
        referenced_columns: vec![],
        definition: "PRIMARY KEY (id)".into(),
        validated: true,
    };
    Table {
        name,
        kind: TableKind::Ordinary,
        owner: "postgres".into(),
        columns,
        indexes: vec![],
        constraints: vec![key],
        referenced_by: vec![],
        triggers: vec![],
        policies: vec![],
        row_security: false,
        force_row_security: false,
        dependents: vec![],
        publications: vec![],
        inherits: false,
        without_rowid: false,
        rowid_name: None,
        sql: None,
        size: Size::default(),
    }
}

pub(crate) fn catalog(table: Table) -> Catalog {
    Catalog { engine: Engine::Postgres, search_path: vec![ident("public")], tables: vec![table], taken: vec![] }
}

pub(crate) fn new_column(name: &str, kind: &str, not_null: bool) -> NewColumn {
    NewColumn {
        name: ident(name),
        type_name: TypeName::spelled(kind),
        not_null,
        default: None,
        others: vec![],
        details: None,
    }
}

/// An expression from pieces: `@name` is a column, `#name` a function in whatever schema holds it.
pub(crate) fn expr(pieces: &[&str], nullness: Nullness, can_raise: bool) -> Expr {
    let mut uses = vec![];
    let mut parts = vec![];
    let mut source = String::new();
    for piece in pieces {
        if let Some(name) = piece.strip_prefix('@') {
            parts.push(Part::Column(ident(name)));
            source.push_str(name);
        } else if let Some(name) = piece.strip_prefix('#') {
            uses.push(NameUse { kind: NameKind::Function, schema: None, name: name.into() });
            parts.push(Part::Schema(uses.len() - 1));
            parts.push(Part::Text(format!(".{name}")));
            source.push_str(name);
        } else {
            parts.push(Part::Text((*piece).into()));
            source.push_str(piece);
        }
    }
    Expr { source, parts, nullness, uses, can_raise, constant: false }
}

pub(crate) fn index(
    name: &str,
    unique: bool,
    keys: &[(&str, bool)],
    include: &[&str],
    predicate: Option<&str>,
) -> Index {
    let keys = keys
        .iter()
        .map(|(column, descending)| IndexKey {
            column: Some(ident(column)),
            descending: *descending,
            nulls_first: *descending,
            default_class: true,
        })
        .collect();
    Index {
        name: ident(name),
        unique,
        primary: false,
        of_constraint: false,
        valid: true,
        method: "btree".into(),
        keys,
        include: include.iter().map(|column| ident(column)).collect(),
        predicate: predicate.map(Into::into),
        definition: String::new(),
        carries: vec![],
    }
}

/// Answers as a server would: names and types are in `pg_catalog`, we own the table, samples come back.
pub(crate) fn answer(key: &str, sql: &str) -> Answer {
    let text = |values: &[&str]| Answer::Rows(vec![values.iter().map(|v| Value::from(*v)).collect()]);
    let kind = |spelled: &str| match spelled.split('(').next().unwrap_or(spelled) {
        "integer" | "int" => "int4".to_owned(),
        "bigint" => "int8".to_owned(),
        "character varying" => "varchar".to_owned(),
        other => other.to_owned(),
    };
    match key.split_once(':').expect("each key has a kind") {
        ("name", _) => text(&["pg_catalog", "1i"]),
        ("type", spelled) => text(&["pg_catalog", &kind(spelled), "b"]),
        ("owner", _) => text(&["t"]),
        ("not null", _) => text(&["my_not_null"]),
        ("result", _) if sql.contains("::int") => text(&["pg_catalog", "int4", "b"]),
        ("result", _) => text(&["pg_catalog", "text", "b"]),
        ("defaults", _) => text(&["t", "t"]),
        ("sample", _) => text(&["1000", "0"]),
        ("reach", _) => Answer::Rows(vec![]),
        ("steady", _) => text(&["Result"]),
        ("own default", _) => text(&["f"]),
        ("schema", name) => text(&[name]),
        ("held" | "indexes" | "constraints" | "own", _) => Answer::Rows(vec![]),
        (other, _) => panic!("no answer to {other}"),
    }
}

pub(crate) fn planned(operation: &Operation<'_>, catalog: &Catalog, major: u32) -> Result<Planned, Refused> {
    planned_when(operation, catalog, major, &answer)
}

/// Plans with a server that answers otherwise.
pub(crate) fn planned_when(
    operation: &Operation<'_>,
    catalog: &Catalog,
    major: u32,
    answer: &dyn Fn(&str, &str) -> Answer,
) -> Result<Planned, Refused> {
    let (migration, server) = (migration(), server(major));
    let mut answers = Answers::new();
    for _ in 0..5 {
        let thresholds = &Thresholds::DEFAULT;
        let context = Context { migration: &migration, catalog, server: &server, answers: &answers, thresholds };
        let open = dialect(Engine::Postgres).probes(operation, &context)?;
        if open.is_empty() {
            return dialect(Engine::Postgres).steps(operation, &context);
        }
        for probe in open {
            let said = answer(&probe.key, probe.sql.as_str());
            answers.insert(probe.key, said);
        }
    }
    panic!("the probes never end")
}

/// Gives the table the index of its primary key, as a server does.
pub(crate) fn with_key(catalog: &mut Catalog) {
    let table = &mut catalog.tables[0];
    let name = table.columns[0].name.as_str().to_owned();
    table.indexes.push(Index {
        primary: true,
        of_constraint: true,
        ..index("t_pkey", true, &[(&name, false)], &[], None)
    });
}

/// A table with an integer under a unique index.
pub(crate) fn wide(not_null: bool) -> Catalog {
    let mut c = column("c", "integer", "int4", not_null);
    c.default = Some("0".into());
    let mut table = table("public", "ev", vec![column("id", "integer", "int4", true), c]);
    table.indexes = vec![index("ev_c", true, &[("id", false), ("c", true)], &[], None)];
    catalog(table)
}

pub(crate) fn retype_of(catalog: &Catalog, to: &str, major: u32) -> Result<Planned, Refused> {
    let (migration, at, to) = (migration(), place(), TypeName::spelled(to));
    let (table, statement) = (&catalog.tables[0], &migration.statements[0]);
    let operation =
        Operation::Retype(Retype { table, column: &table.columns[1], to: &to, using: None, statement, at: &at });
    planned_when(&operation, catalog, major, &|key, sql| match key.starts_with("indexes:") {
        true => {
            Answer::Rows(table.indexes.iter().filter_map(|index| index_row(index, &table.columns[1].name)).collect())
        }
        false => answer(key, sql),
    })
}

/// What the server says of an index in which the column stands.
fn index_row(index: &Index, column: &Ident) -> Option<Vec<Value>> {
    let refs = index.keys.iter().filter(|key| key.column.as_ref() == Some(column)).count();
    let spelled = index
        .keys
        .iter()
        .filter_map(|key| Some(format!("{}{}", key.column.as_ref()?, if key.descending { " DESC" } else { "" })));
    let body = format!("({})", spelled.collect::<Vec<_>>().join(", "));
    let flag = |is: bool| Value::from(if is { "true" } else { "false" });
    let row = vec![
        Value::from(index.name.as_str()),
        flag(index.unique),
        Value::from(""),
        flag(true),
        flag(index.valid),
        Value::from(body.as_str()),
        Value::from(""),
        Value::from(refs.to_string().as_str()),
        Value::from(""),
        flag(false),
        flag(false),
        flag(false),
        Value::Null,
        Value::Null,
        Value::from("btree"),
        flag(false),
    ];
    (refs > 0).then_some(row)
}
