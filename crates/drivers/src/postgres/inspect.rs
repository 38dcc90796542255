//! The whole catalog in a constant number of queries.

use std::collections::{BTreeMap, HashMap};

use segue_model::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Dependent, Index, IndexKey, Size, Table, TableKind, Trigger,
};
use segue_model::engine::Engine;
use segue_model::ident::{Ident, TableName};
use segue_model::session::{Fail, FailKind};
use segue_model::sql::{Hole, Sql, StandardQuoting, TypeName};
use segue_model::value::{Row, Value};

type Ask<'a> = dyn FnMut(&str) -> Result<Vec<Row>, Fail> + 'a;

/// Says which of the tables that are there are to be read in full.
pub(super) type Choose<'a> = dyn FnMut(&Catalog) -> Vec<TableName> + 'a;

/// Reads the catalog through `ask`, in whose transaction every question is answered; in full only the tables that `choose`
/// names, where it is given, and those around them.
///
/// Names are looked up in `pg_catalog` alone meanwhile, so that the server prints every other name with its schema.
pub(super) fn inspect(
    version: u32,
    search_path: &str,
    ask: &mut Ask<'_>,
    choose: Option<&mut Choose<'_>>,
) -> Result<Catalog, Fail> {
    let path = ask("SELECT pg_catalog.unnest(pg_catalog.current_schemas(false))")?;
    let path = path.iter().map(|row| Cells(row).name(0)).collect::<Result<_, _>>()?;
    ask("SET LOCAL search_path = pg_catalog")?;
    let found = read(version, path, ask, choose);
    let back = [("path", Hole::Text(search_path))];
    let back = Sql::fill(&StandardQuoting, "SELECT pg_catalog.set_config('search_path', {path}, true)", &back);
    let catalog = found?;
    ask(back.as_str())?;
    Ok(catalog)
}

fn read(
    version: u32,
    search_path: Vec<Ident>,
    ask: &mut Ask<'_>,
    choose: Option<&mut Choose<'_>>,
) -> Result<Catalog, Fail> {
    let since = |since: u32, fragment, before| Sql::fixed(if version >= since { fragment } else { before });
    let compression = since(140_000, "a.attcompression::text", "''");
    let nulls = since(150_000, "i.indnullsnotdistinct", "false");
    let schemas = since(
        150_000,
        "UNION ALL SELECT 'published', c.oid::text, p.pubname::text FROM pg_publication_namespace s \
         JOIN pg_publication p ON p.oid = s.pnpubid JOIN pg_class c ON c.relnamespace = s.pnnspid AND c.relkind IN ('r', 'p')",
        "",
    );
    let filled = |template, holes: &[(&'static str, &Sql)]| {
        let holes: Vec<_> = holes.iter().map(|(hole, sql)| (*hole, Hole::Sql(sql))).collect();
        Sql::fill(&StandardQuoting, template, &holes)
    };
    let mut tables = Tables::new(&ask(include_str!("inspect/tables.sql"))?)?;
    let taken = ask(include_str!("inspect/taken.sql"))?.iter().map(|row| Cells(row).text(0)).collect();
    let mut catalog = Catalog { engine: Engine::Postgres, search_path, tables: vec![], taken };
    let around = match choose {
        Some(choose) => Some(tables.around(&mut catalog, choose, ask)?),
        None => None,
    };
    let scope = |oid| scope(around.as_deref(), oid);
    let columns = [("compression", &compression), ("scope", &scope(Sql::fixed("a.attrelid")))];
    tables.columns(&ask(filled(include_str!("inspect/columns.sql"), &columns).as_str())?)?;
    let indexes = [("nulls_not_distinct", &nulls), ("scope", &scope(Sql::fixed("i.indrelid")))];
    tables.indexes(&ask(filled(include_str!("inspect/indexes.sql"), &indexes).as_str())?)?;
    let (own, other) = (scope(Sql::fixed("o.conrelid")), scope(Sql::fixed("o.confrelid")));
    let constraints = [("scope", &own), ("scope_other", &other)];
    tables.constraints(&ask(filled(include_str!("inspect/constraints.sql"), &constraints).as_str())?)?;
    let triggers = [("scope", &scope(Sql::fixed("g.tgrelid")))];
    tables.triggers(&ask(filled(include_str!("inspect/triggers.sql"), &triggers).as_str())?)?;
    let (used, found) = (scope(Sql::fixed("d.refobjid")), scope(Sql::fixed("f.rel")));
    let dependents = [("scope", &used), ("scope_found", &found)];
    tables.dependents(&ask(filled(include_str!("inspect/dependents.sql"), &dependents).as_str())?)?;
    tables.memberships(&ask(filled(include_str!("inspect/memberships.sql"), &[("schemas", &schemas)]).as_str())?)?;
    Ok(Catalog { tables: tables.all, ..catalog })
}

/// Returns the condition that `oid` is one of the tables around what was chosen; always true where nothing was chosen.
fn scope(around: Option<&[Sql]>, oid: Sql) -> Sql {
    match around {
        None => Sql::fixed("true"),
        Some(oids) => {
            let holes = [("oid", Hole::Sql(&oid)), ("oids", Hole::Join(oids, ", "))];
            Sql::fill(&StandardQuoting, "{oid} IN ({oids})", &holes)
        }
    }
}

/// A row, read by position.
struct Cells<'a>(&'a Row);

impl Cells<'_> {
    fn opt(&self, at: usize) -> Option<&str> {
        self.0.get(at).and_then(Value::as_str)
    }

    fn text(&self, at: usize) -> String {
        self.opt(at).unwrap_or_default().to_owned()
    }

    fn flag(&self, at: usize) -> bool {
        self.opt(at) == Some("t")
    }

    fn letter(&self, at: usize) -> char {
        self.opt(at).and_then(|text| text.chars().next()).unwrap_or(' ')
    }

    fn name(&self, at: usize) -> Result<Ident, Fail> {
        Ident::new(self.text(at)).map_err(|error| Fail::new(FailKind::Server, error.to_string()))
    }

    fn opt_name(&self, at: usize) -> Result<Option<Ident>, Fail> {
        self.opt(at).map(|_| self.name(at)).transpose()
    }

    fn table(&self, schema: usize, name: usize) -> Result<TableName, Fail> {
        Ok(TableName { schema: self.name(schema)?, name: self.name(name)? })
    }

    /// Returns the words whose flags are set, the first flag standing at `from`.
    fn words(&self, from: usize, words: &[&str]) -> Vec<String> {
        let set = words.iter().enumerate().filter(|(at, _)| self.flag(from + at));
        set.map(|(_, word)| (*word).to_owned()).collect()
    }
}

/// The tables while they are put together.
struct Tables {
    all: Vec<Table>,
    /// Where a table stands, by its oid as text.
    places: HashMap<String, usize>,
    /// Permanent ordinary and partitioned tables: what FOR ALL TABLES publishes.
    publishable: Vec<usize>,
}

impl Tables {
    fn new(rows: &[Row]) -> Result<Self, Fail> {
        let mut tables = Self { all: Vec::with_capacity(rows.len()), places: HashMap::new(), publishable: Vec::new() };
        for row in rows {
            let cells = Cells(row);
            let at = tables.all.len();
            tables.places.insert(cells.text(0), at);
            if matches!(cells.letter(3), 'r' | 'p') && cells.letter(11) == 'p' {
                tables.publishable.push(at);
            }
            tables.all.push(table(&cells)?);
        }
        Ok(tables)
    }

    /// A migration may name an index without its table.
    fn index_names(&mut self, rows: &[Row]) -> Result<(), Fail> {
        for row in rows {
            let name = Cells(row).name(1)?;
            let Some(table) = self.of(row) else { continue };
            table.indexes.push(Index {
                name,
                unique: false,
                primary: false,
                of_constraint: false,
                valid: true,
                method: String::new(),
                keys: Vec::new(),
                include: Vec::new(),
                predicate: None,
                definition: String::new(),
                carries: Vec::new(),
            });
        }
        Ok(())
    }

    /// Returns the oids of the tables that are chosen, and of those around them. No table has the oid 0, so that the list is
    /// never empty.
    fn around(&mut self, catalog: &mut Catalog, choose: &mut Choose<'_>, ask: &mut Ask<'_>) -> Result<Vec<Sql>, Fail> {
        self.index_names(&ask(include_str!("inspect/index_names.sql"))?)?;
        catalog.tables = std::mem::take(&mut self.all);
        let chosen = choose(catalog);
        self.all = std::mem::take(&mut catalog.tables);
        self.all.iter_mut().for_each(|table| table.indexes.clear());
        let named = self.places.iter().filter(|(_, at)| chosen.contains(&self.all[**at].name));
        let numbers = |oids: Vec<&str>| -> Vec<Sql> {
            let numbers = oids.into_iter().filter_map(|oid| oid.parse().ok());
            std::iter::once(0)
                .chain(numbers)
                .map(|oid| Sql::fill(&StandardQuoting, "{n}", &[("n", Hole::Int(oid))]))
                .collect()
        };
        let named = numbers(named.map(|(oid, _)| oid.as_str()).collect());
        let question =
            Sql::fill(&StandardQuoting, include_str!("inspect/around.sql"), &[("named", Hole::Join(&named, ", "))]);
        let rows = ask(question.as_str())?;
        Ok(numbers(rows.iter().filter_map(|row| row.first()?.as_str()).collect()))
    }

    /// Returns the table that the first cell names; rows of others (our journal) are passed over.
    fn of(&mut self, row: &Row) -> Option<&mut Table> {
        let at = *self.places.get(row.first()?.as_str()?)?;
        self.all.get_mut(at)
    }

    fn columns(&mut self, rows: &[Row]) -> Result<(), Fail> {
        for row in rows {
            let column = column(&Cells(row))?;
            if let Some(table) = self.of(row) {
                table.columns.push(column);
            }
        }
        Ok(())
    }

    /// One row a key column; the first of an index also holds its texts.
    fn indexes(&mut self, rows: &[Row]) -> Result<(), Fail> {
        let mut last = String::new();
        for row in rows {
            let cells = Cells(row);
            let begins = cells.text(1) != last;
            last = cells.text(1);
            let Some(table) = self.of(row) else { continue };
            if begins {
                table.indexes.push(index(&cells)?);
            }
            let column = cells.opt_name(11)?;
            let Some(index) = table.indexes.last_mut() else { continue };
            if cells.flag(10) {
                index.include.extend(column);
            } else {
                index.keys.push(IndexKey {
                    column,
                    descending: cells.flag(12),
                    nulls_first: cells.flag(13),
                    default_class: cells.flag(14),
                });
            }
        }
        Ok(())
    }

    /// One row a column, as with indexes. A foreign key is also noted at the other table.
    fn constraints(&mut self, rows: &[Row]) -> Result<(), Fail> {
        let mut by_name: BTreeMap<TableName, usize> = BTreeMap::new();
        by_name.extend(self.all.iter().enumerate().map(|(at, table)| (table.name.clone(), at)));
        let mut whole: Vec<(String, Constraint)> = Vec::new();
        for row in rows {
            let cells = Cells(row);
            if whole.last().is_none_or(|(oid, _)| *oid != cells.text(1)) {
                whole.push((cells.text(1), constraint(&cells)?));
            }
            if let Some((_, constraint)) = whole.last_mut() {
                constraint.columns.extend(cells.opt_name(10)?);
                constraint.referenced_columns.extend(cells.opt_name(11)?);
            }
        }
        for (_, constraint) in whole {
            if let Some(at) = constraint.references.as_ref().and_then(|table| by_name.get(table)) {
                self.all[*at].referenced_by.push(constraint.clone());
            }
            if let Some(at) = by_name.get(&constraint.table) {
                self.all[*at].constraints.push(constraint);
            }
        }
        Ok(())
    }

    fn triggers(&mut self, rows: &[Row]) -> Result<(), Fail> {
        for row in rows {
            let cells = Cells(row);
            let trigger = Trigger {
                name: cells.name(1)?,
                before_row: cells.flag(2),
                enabled: cells.letter(3),
                definition: cells.text(4),
            };
            if let Some(table) = self.of(row) {
                table.triggers.push(trigger);
            }
        }
        Ok(())
    }

    /// One row a column, sorted by what depends.
    fn dependents(&mut self, rows: &[Row]) -> Result<(), Fail> {
        for row in rows {
            let cells = Cells(row);
            let (kind, name, column) = (cells.text(1), cells.text(2), cells.opt_name(3)?);
            let Some(table) = self.of(row) else { continue };
            match table.dependents.last_mut() {
                Some(last) if last.kind == kind && last.name == name => last.columns.extend(column),
                _ => table.dependents.push(Dependent { kind, name, columns: column.into_iter().collect() }),
            }
        }
        Ok(())
    }

    fn memberships(&mut self, rows: &[Row]) -> Result<(), Fail> {
        for row in rows {
            let cells = Cells(row);
            let name = cells.name(2)?;
            let places = match (cells.opt(0), self.places.get(&cells.text(1))) {
                (Some("all published"), _) => self.publishable.clone(),
                (_, Some(at)) => vec![*at],
                (_, None) => Vec::new(),
            };
            for at in places {
                let table = &mut self.all[at];
                let names = if cells.opt(0) == Some("policy") { &mut table.policies } else { &mut table.publications };
                if !names.contains(&name) {
                    names.push(name.clone());
                }
            }
        }
        Ok(())
    }
}

fn table(cells: &Cells<'_>) -> Result<Table, Fail> {
    let kind = match cells.letter(3) {
        'v' => TableKind::View,
        'm' => TableKind::MaterializedView,
        'f' => TableKind::Foreign,
        'p' => TableKind::Partitioned,
        _ if cells.flag(4) => TableKind::Partition,
        _ => TableKind::Ordinary,
    };
    let rows = cells.opt(9).and_then(|text| text.parse().ok());
    let bytes = cells.opt(10).and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Table {
        name: cells.table(1, 2)?,
        kind,
        owner: cells.text(5),
        columns: Vec::new(),
        indexes: Vec::new(),
        constraints: Vec::new(),
        referenced_by: Vec::new(),
        triggers: Vec::new(),
        policies: Vec::new(),
        row_security: cells.flag(6),
        force_row_security: cells.flag(7),
        dependents: Vec::new(),
        publications: Vec::new(),
        inherits: cells.flag(8),
        without_rowid: false,
        rowid_name: None,
        sql: None,
        size: Size { rows, bytes },
    })
}

fn column(cells: &Cells<'_>) -> Result<Column, Fail> {
    let owned = |at: usize| cells.opt(at).map(ToOwned::to_owned);
    Ok(Column {
        name: cells.name(1)?,
        type_name: TypeName::spelled(cells.text(2)),
        base_type: cells.text(3),
        has_modifier: cells.flag(4),
        not_null: cells.flag(5),
        default: owned(6),
        generated: owned(7),
        identity: owned(8),
        collation: owned(9),
        carries: cells.words(10, &["comment", "grants", "statistics", "storage", "compression"]),
        owns_sequences: cells.opt(15).map(|names| names.lines().map(ToOwned::to_owned).collect()).unwrap_or_default(),
    })
}

fn index(cells: &Cells<'_>) -> Result<Index, Fail> {
    const CARRIES: &[&str] = &[
        "storage parameters",
        "tablespace",
        "comment",
        "clustered",
        "replica identity",
        "nulls not distinct",
        "statistics",
    ];
    Ok(Index {
        name: cells.name(2)?,
        unique: cells.flag(3),
        primary: cells.flag(4),
        of_constraint: cells.flag(5),
        valid: cells.flag(6),
        method: cells.text(7),
        keys: Vec::new(),
        include: Vec::new(),
        predicate: cells.opt(9).map(ToOwned::to_owned),
        definition: cells.text(8),
        carries: cells.words(15, CARRIES),
    })
}

fn constraint(cells: &Cells<'_>) -> Result<Constraint, Fail> {
    let kind = match cells.letter(3) {
        'u' => ConstraintKind::Unique,
        'p' => ConstraintKind::PrimaryKey,
        'f' => ConstraintKind::ForeignKey,
        'x' => ConstraintKind::Exclusion,
        _ => ConstraintKind::Check,
    };
    Ok(Constraint {
        name: Some(cells.name(2)?),
        kind,
        table: cells.table(4, 5)?,
        columns: Vec::new(),
        references: cells.opt(7).map(|_| cells.table(6, 7)).transpose()?,
        referenced_columns: Vec::new(),
        definition: cells.text(8),
        validated: cells.flag(9),
    })
}
