//! What a file wants of each table, every name looked up in the catalog. What it means together is for `group` to say.

use std::collections::BTreeSet;

use segue_model::catalog::{Catalog, Column, ConstraintKind, Table, TableKind};
use segue_model::change::{
    Beside, Change, Directive, IndexChange, Located, Migration, NamingChange, NewColumn, NewTable, PartitionAction,
    PartitionChange, Place, RowsChange, Statement,
};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableName, TableRef};
use segue_model::nearest::nearest;
use segue_model::sql::TypeName;

use crate::dialect::dialect;
use crate::figures::{shown_type, typed, typed_table};
use crate::operation::{AsWritten, AsWrittenKind, RowsInto};
use crate::refusal::{Refusal, Refused};

/// What a file wants, by table.
pub(crate) struct Wanted<'a> {
    /// Statements about tables that the file creates.
    pub(crate) of_new_tables: Vec<AsWritten<'a>>,
    /// What becomes of tables that exist.
    pub(crate) tables: Vec<OfTable<'a>>,
    /// What stands by itself and names no table.
    pub(crate) elsewhere: Vec<Alone<'a>>,
}

/// What a file wants of one table that exists.
pub(crate) struct OfTable<'a> {
    pub(crate) table: &'a Table,
    pub(crate) added: Vec<Added<'a>>,
    pub(crate) dropped: Vec<Dropped<'a>>,
    pub(crate) retyped: Vec<Retyped<'a>>,
    pub(crate) alone: Vec<Alone<'a>>,
    pub(crate) moved: Vec<Moved<'a>>,
    /// How its columns follow from other tables, as the down file says.
    pub(crate) back_from: Vec<&'a RowsChange>,
}

/// Rows of another table that follow from those of this one.
pub(crate) struct Moved<'a> {
    pub(crate) change: &'a RowsChange,
    pub(crate) into: RowsInto<'a>,
    /// `None` for a directive, whose place means nothing.
    pub(crate) statement: Option<usize>,
    pub(crate) at: &'a Place,
}

/// A change that stands by itself.
pub(crate) struct Alone<'a> {
    pub(crate) change: &'a Change,
    pub(crate) statement: usize,
    pub(crate) at: &'a Place,
}

/// A column that is added.
pub(crate) struct Added<'a> {
    pub(crate) column: &'a NewColumn,
    pub(crate) statement: usize,
    pub(crate) at: &'a Place,
    /// Where the file sets it NOT NULL in a statement of its own.
    pub(crate) set_not_null: Option<&'a Place>,
    /// How it follows from other columns, as written.
    pub(crate) forward: Option<Transform<'a>>,
    /// The ADD COLUMN itself is refused: what else the file says of the column is not the user's mistake.
    pub(crate) refused: bool,
}

impl Added<'_> {
    /// Returns whether it ends as NOT NULL.
    pub(crate) fn not_null(&self) -> bool {
        self.column.not_null || self.set_not_null.is_some()
    }
}

/// A column that is dropped.
pub(crate) struct Dropped<'a> {
    pub(crate) column: &'a Column,
    pub(crate) statement: usize,
    pub(crate) at: &'a Place,
    /// How it follows from the new columns, as written.
    pub(crate) back: Option<Transform<'a>>,
}

/// A column that changes its type.
pub(crate) struct Retyped<'a> {
    pub(crate) column: &'a Column,
    pub(crate) to: &'a TypeName,
    pub(crate) using: Option<&'a Expr>,
    pub(crate) statement: &'a Statement,
    pub(crate) at: &'a Place,
}

/// An expression with its place.
#[derive(Clone, Copy)]
pub(crate) struct Transform<'a> {
    pub(crate) expr: &'a Expr,
    /// The statement in its file; `None` for a directive, whose place means nothing.
    pub(crate) statement: Option<usize>,
    pub(crate) at: &'a Place,
}

/// Returns what the file wants, and what of it names things that are not there.
pub(crate) fn wanted<'a>(migration: &'a Migration, catalog: &'a Catalog) -> (Wanted<'a>, Vec<Refused>) {
    let wanted = Wanted { of_new_tables: vec![], tables: vec![], elsewhere: vec![] };
    let mut reader = Reader { migration, catalog, created: vec![], wanted, refused: vec![] };
    reader.read_structure();
    reader.read_transforms();
    reader.read_down();
    (reader.wanted, reader.refused)
}

/// Returns the existing tables that the file names, up and down, sorted.
pub(crate) fn touched(migration: &Migration, catalog: &Catalog) -> Vec<TableName> {
    let files = std::iter::once(migration).chain(migration.down.as_deref());
    let mut indexed: Vec<TableName> = vec![];
    let named = files.flat_map(|file| {
        let changes =
            file.changes.iter().flat_map(|change| change.what.table().into_iter().chain(change.what.other_tables()));
        let of_indexes = file.changes.iter().flat_map(|change| owners(&change.what, catalog));
        indexed.extend(of_indexes);
        changes.chain(file.directives.iter().flat_map(|directive| tables_of_directive(&directive.what)))
    });
    let mut found: BTreeSet<TableName> =
        named.filter_map(|table| catalog.find(table)).map(|table| table.name.clone()).collect();
    found.extend(indexed);
    found.into_iter().collect()
}

/// Returns the tables of the indexes that a change names without their tables.
fn owners(change: &Change, catalog: &Catalog) -> Vec<TableName> {
    let Change::Index(change) = change else { return vec![] };
    change.indexes().into_iter().filter_map(|index| Some(catalog.index(index)?.0.name.clone())).collect()
}

fn tables_of_directive(directive: &Directive) -> Vec<&TableRef> {
    match directive {
        Directive::Forward { table, .. } | Directive::Back { table, .. } => vec![table],
        Directive::Rows(rows) => vec![&rows.from, &rows.into],
        Directive::Strategy(_)
        | Directive::Allow { .. }
        | Directive::Depends(_)
        | Directive::Orphans { .. }
        | Directive::NotYet(_) => vec![],
    }
}

/// A table that a change names.
enum Target {
    /// The file creates it.
    New(TableName),
    /// It exists: its place in `Wanted::tables`.
    Existing(usize),
    /// It is nowhere, or takes no such change: that was refused.
    Refused,
}

struct Reader<'a> {
    migration: &'a Migration,
    catalog: &'a Catalog,
    created: Vec<TableName>,
    wanted: Wanted<'a>,
    refused: Vec<Refused>,
}

impl<'a> Reader<'a> {
    /// Everything but transforms and NOT NULL, which may stand before or after what they are about.
    fn read_structure(&mut self) {
        for change in &self.migration.changes {
            match &change.what {
                Change::CreateTable { table, beside, .. } => self.create_table(table, beside, change),
                Change::Rows(rows) => self.rows(rows, change.statement, &change.at),
                Change::CreateIndex { index, table } => self.create_index(index.as_ref(), table, change),
                Change::Index(IndexChange::Create(new)) => self.create_index(new.name.as_ref(), &new.table, change),
                Change::AddColumn { table, column } => self.add_column(table, column, change),
                Change::DropColumn { table, column } => self.drop_column(table, column, change),
                Change::AlterType { table, column, to, using } => {
                    self.alter_type((table, column), to, using.as_ref(), change);
                }
                Change::SetNotNull { .. } | Change::Transform { .. } => {}
                Change::Naming(naming) => self.naming(naming, change),
                Change::Partition(partition) => self.partition(partition, change),
                Change::Column(_) | Change::Constraint(_) | Change::Index(_) | Change::Object(_) => {
                    self.alone(change.what.table(), change)
                }
                Change::NotYet { what, .. } => self.refuse(not_yet(what.clone(), LATER), &change.at),
                Change::Opaque { what } => self.refuse(Refusal::Opaque { what: what.clone() }, &change.at),
            }
        }
    }

    fn read_transforms(&mut self) {
        for change in &self.migration.changes {
            match &change.what {
                Change::SetNotNull { table, column } => self.set_not_null(table, column, change),
                Change::Transform { table, assignments } => {
                    for (column, expr) in assignments {
                        let forward = Transform { expr, statement: change.statement, at: &change.at };
                        self.forward(table, column, forward);
                    }
                }
                Change::CreateTable { .. }
                | Change::CreateIndex { .. }
                | Change::AddColumn { .. }
                | Change::DropColumn { .. }
                | Change::AlterType { .. }
                | Change::Column(_)
                | Change::Constraint(_)
                | Change::Index(_)
                | Change::Partition(_)
                | Change::Naming(_)
                | Change::Object(_)
                | Change::Rows(_)
                | Change::NotYet { .. }
                | Change::Opaque { .. } => {}
            }
        }
        for directive in &self.migration.directives {
            let at = &directive.at;
            match &directive.what {
                Directive::Forward { table, column, expr } => {
                    self.forward(table, column, Transform { expr, statement: None, at });
                }
                Directive::Back { table, assignments } => self.backs(table, assignments, at, true),
                Directive::Rows(rows) => self.rows(rows, None, at),
                Directive::NotYet(what) => self.refuse(not_yet(what.clone(), LATER), at),
                Directive::Strategy(_)
                | Directive::Allow { .. }
                | Directive::Depends(_)
                | Directive::Orphans { .. } => {}
            }
        }
    }

    /// The down file's UPDATEs and directives say how the old columns follow from the new. Whatever else it does matters
    /// when it is planned as a change of its own.
    fn read_down(&mut self) {
        let Some(down) = self.migration.down.as_deref() else { return };
        for change in &down.changes {
            match &change.what {
                Change::Transform { table, assignments } => self.backs(table, assignments, &change.at, false),
                Change::Rows(rows) => self.rows_back(rows),
                _ => {}
            }
        }
        for directive in &down.directives {
            match &directive.what {
                Directive::Forward { table, column, expr } => {
                    self.back(table, column, Transform { expr, statement: None, at: &directive.at }, false);
                }
                Directive::Back { table, assignments } => self.backs(table, assignments, &directive.at, true),
                Directive::Rows(rows) => self.rows_back(rows),
                Directive::NotYet(what) => self.refuse(not_yet(what.clone(), LATER), &directive.at),
                Directive::Strategy(_)
                | Directive::Allow { .. }
                | Directive::Depends(_)
                | Directive::Orphans { .. } => {}
            }
        }
    }

    /// Rows of one table that follow from those of another, which exists.
    fn rows(&mut self, rows: &'a RowsChange, statement: Option<usize>, at: &'a Place) {
        let into = match self.created_as(&rows.into).cloned() {
            Some(name) => RowsInto::New { definition: self.definition(&name), name },
            None => match self.catalog.find(&rows.into) {
                Some(table) => RowsInto::Existing(table),
                None => {
                    let nearest = self.nearest_table(&rows.into);
                    return self.refuse_once(Refusal::NoTable { table: rows.into.to_string(), nearest }, at);
                }
            },
        };
        if self.is_both_ways(rows) {
            return self.refuse_once(both_ways(&rows.from, &rows.into), at);
        }
        match self.target(&rows.from, at) {
            Target::Existing(of) => self.wanted.tables[of].moved.push(Moved { change: rows, into, statement, at }),
            Target::New(name) => {
                let what = format!("rows that follow from `{}`, which this file creates", name.name);
                self.refuse(not_yet(what, "Leave it out: the table is empty."), at);
            }
            Target::Refused => {}
        }
    }

    /// Returns whether the file lets rows of both tables follow from those of the other.
    fn is_both_ways(&self, rows: &RowsChange) -> bool {
        let changes = self.migration.changes.iter().filter_map(|change| match &change.what {
            Change::Rows(other) => Some(other),
            _ => None,
        });
        let directives = self.migration.directives.iter().filter_map(|directive| match &directive.what {
            Directive::Rows(other) => Some(other),
            _ => None,
        });
        let same = |one: &TableRef, other: &TableRef| self.catalog.same(&one.name, &other.name);
        changes.chain(directives).any(|other| same(&other.into, &rows.from) && same(&other.from, &rows.into))
    }

    /// Returns what the file's CREATE TABLE says of a table.
    fn definition(&self, name: &TableName) -> Option<&'a NewTable> {
        let migration = self.migration;
        migration.changes.iter().find_map(|change| match &change.what {
            Change::CreateTable { table, definition, .. } if self.created_as(table) == Some(name) => {
                definition.as_deref()
            }
            _ => None,
        })
    }

    /// What the down file says of a table that this file leaves alone is between it and the state it starts from.
    fn rows_back(&mut self, back: &'a RowsChange) {
        let Some(table) = self.catalog.find(&back.into) else { return };
        let of = self.wanted.tables.iter_mut().find(|of| of.table.name == table.name);
        of.into_iter().for_each(|of| of.back_from.push(back));
    }

    fn create_table(&mut self, table: &TableRef, beside: &'a [Beside], change: &'a Located<Change>) {
        let Some(schema) = table.schema.clone().or_else(|| self.catalog.search_path.first().cloned()) else {
            let what = format!("CREATE TABLE {table}");
            let why = "the search path is empty, so no schema takes it".to_owned();
            let instead = "Write the schema before the table's name.".to_owned();
            return self.refuse(Refusal::Impossible { what, why, instead }, &change.at);
        };
        let name = TableName { schema: self.catalog_schema(schema), name: table.name.clone() };
        if self.exists(&name) {
            return self.refuse(Refusal::Exists { name: table.to_string() }, &change.at);
        }
        self.created.push(name.clone());
        let beside = self.beside(beside, &change.at);
        self.write(change, AsWrittenKind::CreateTable { schema: name.schema, name: name.name, beside });
    }

    /// Returns the tables that exist among those to which a new one is bound; a refusal for one that is nowhere.
    fn beside(&mut self, beside: &'a [Beside], place: &Place) -> Vec<(&'a Table, &'static str)> {
        let mut found = vec![];
        for other in beside {
            match self.catalog.find(&other.table) {
                _ if self.created_as(&other.table).is_some() => {}
                Some(table) => found.push((table, other.fact)),
                None => {
                    let nearest = self.nearest_table(&other.table);
                    self.refuse_once(Refusal::NoTable { table: other.table.to_string(), nearest }, place);
                }
            }
        }
        found
    }

    /// SQLite's schema names have no case either.
    fn catalog_schema(&self, schema: Ident) -> Ident {
        let known = self.catalog.search_path.iter().find(|known| self.catalog.same(known, &schema));
        known.cloned().unwrap_or(schema)
    }

    fn exists(&self, name: &TableName) -> bool {
        let wanted = TableRef { schema: Some(name.schema.clone()), name: name.name.clone() };
        self.catalog.find(&wanted).is_some() || self.created_as(&wanted).is_some()
    }

    fn create_index(&mut self, index: Option<&Ident>, table: &TableRef, change: &'a Located<Change>) {
        match self.named(table, &change.at) {
            Target::New(name) => {
                if let Some(index) = index {
                    let taken = format!("{}.{}", name.schema.as_str(), index.as_str());
                    if self.catalog.taken.contains(&taken) {
                        return self.refuse(Refusal::Exists { name: index.to_string() }, &change.at);
                    }
                }
                let what = AsWrittenKind::CreateIndex { index: index.cloned(), schema: name.schema, table: name.name };
                self.write(change, what);
            }
            Target::Existing(at) => self.alone_in(at, change),
            Target::Refused => {}
        }
    }

    /// A partition that the file creates is a new table from then on.
    fn partition(&mut self, partition: &PartitionChange, change: &'a Located<Change>) {
        if let PartitionAction::Create { .. } = partition.what {
            let Some(schema) = partition.partition.schema.clone().or_else(|| self.catalog.search_path.first().cloned())
            else {
                let what = format!("CREATE TABLE {}", partition.partition);
                let why = "the search path is empty, so no schema takes it".to_owned();
                let instead = "Write the schema before the table's name.".to_owned();
                return self.refuse(Refusal::Impossible { what, why, instead }, &change.at);
            };
            let name = TableName { schema, name: partition.partition.name.clone() };
            if self.exists(&name) {
                return self.refuse(Refusal::Exists { name: partition.partition.to_string() }, &change.at);
            }
            self.alone(Some(&partition.table), change);
            return self.created.push(name);
        }
        self.alone(Some(&partition.table), change);
    }

    fn add_column(&mut self, table: &TableRef, column: &'a NewColumn, change: &'a Located<Change>) {
        let target = self.target(table, &change.at);
        let refusal = self.not_addable(column);
        let refused = refusal.is_some();
        if let Some(refusal) = refusal {
            self.refuse(refusal, &change.at);
        }
        match target {
            Target::New(name) => self.alter_new_table(name, change),
            Target::Existing(at) => {
                let of = &self.wanted.tables[at];
                let twice = of.added.iter().any(|added| self.catalog.same(&added.column.name, &column.name));
                if twice || self.catalog.column(of.table, &column.name).is_some() {
                    return self.refuse(Refusal::Exists { name: format!("{table}.{}", column.name) }, &change.at);
                }
                let Some(statement) = change.statement else { return };
                let added = Added { column, statement, at: &change.at, set_not_null: None, forward: None, refused };
                self.wanted.tables[at].added.push(added);
            }
            Target::Refused => {}
        }
    }

    /// Returns why a column cannot be added whatever its table is.
    fn not_addable(&self, column: &NewColumn) -> Option<Refusal> {
        if dialect(self.catalog.engine).system_columns().contains(&column.name.as_str()) {
            return Some(Refusal::Impossible {
                what: format!("ADD COLUMN `{}`", column.name),
                why: "each table has a system column of that name".to_owned(),
                instead: "Choose another name.".to_owned(),
            });
        }
        // Where the parser takes clauses apart, the dialect carries them out one by one.
        let others = column.others.iter().filter(|_| column.details.is_none());
        let clause = others.into_iter().find(|clause| !dialect(self.catalog.engine).adds_with(clause))?;
        let what = format!("ADD COLUMN `{}` with {clause}", column.name);
        Some(not_yet(what, "Leave the clause out, or add the column without it for now."))
    }

    fn drop_column(&mut self, table: &TableRef, column: &Ident, change: &'a Located<Change>) {
        match self.target(table, &change.at) {
            Target::New(name) => self.alter_new_table(name, change),
            Target::Existing(at) => {
                let Some(column) = self.old_column(at, column, &change.at) else { return };
                let of = &mut self.wanted.tables[at];
                if of.dropped.iter().any(|dropped| dropped.column.name == column.name) {
                    let what = format!("DROP COLUMN `{}`", column.name);
                    return self.refuse(twice(what, "the column is dropped before"), &change.at);
                }
                let Some(statement) = change.statement else { return };
                of.dropped.push(Dropped { column, statement, at: &change.at, back: None });
            }
            Target::Refused => {}
        }
    }

    fn alter_type(
        &mut self,
        (table, column): (&TableRef, &Ident),
        to: &'a TypeName,
        using: Option<&'a Expr>,
        change: &'a Located<Change>,
    ) {
        match self.target(table, &change.at) {
            Target::New(name) => self.alter_new_table(name, change),
            Target::Existing(at) => {
                let Some(column) = self.old_column(at, column, &change.at) else { return };
                let of = &mut self.wanted.tables[at];
                if of.retyped.iter().any(|retyped| retyped.column.name == column.name) {
                    let what = format!("ALTER COLUMN `{}` TYPE {}", column.name, shown_type(to));
                    return self.refuse(twice(what, "its type is changed before"), &change.at);
                }
                let Some(statement) = change.statement.map(|at| &self.migration.statements[at]) else { return };
                of.retyped.push(Retyped { column, to, using, statement, at: &change.at });
            }
            Target::Refused => {}
        }
    }

    fn set_not_null(&mut self, table: &TableRef, column: &Ident, change: &'a Located<Change>) {
        match self.target(table, &change.at) {
            Target::New(name) => self.alter_new_table(name, change),
            Target::Existing(at) => {
                if let Some(added) = self.added(at, column) {
                    added.set_not_null = Some(&change.at);
                } else if self.old_column(at, column, &change.at).is_some() {
                    self.alone_in(at, change);
                }
            }
            Target::Refused => {}
        }
    }

    fn forward(&mut self, table: &TableRef, column: &Ident, forward: Transform<'a>) {
        let at = match self.target(table, forward.at) {
            Target::New(name) => {
                let what = format!("an UPDATE of `{}`, which this file creates", name.name);
                return self.refuse(not_yet(what, "Leave it out: the table is empty."), forward.at);
            }
            Target::Existing(at) => at,
            Target::Refused => return,
        };
        let Some(added) = self.added(at, column) else { return self.refuse_stray_forward(at, column, forward.at) };
        if added.forward.is_some() {
            let what = format!("the transform of `{column}`");
            return self.refuse(twice(what, "the file says before what the column becomes"), forward.at);
        }
        if forward.statement.is_some_and(|statement| statement < added.statement) {
            let what = format!("the UPDATE of `{column}`");
            let why = "it stands before the statement that adds the column".to_owned();
            let instead = "Move it below that statement.".to_owned();
            return self.refuse(Refusal::Impossible { what, why, instead }, forward.at);
        }
        added.forward = Some(forward);
    }

    fn refuse_stray_forward(&mut self, at: usize, column: &Ident, place: &Place) {
        let table = self.wanted.tables[at].table;
        let refusal = if self.catalog.column(table, column).is_some() {
            let what = format!("the transform of `{column}`");
            let why = "this file does not add that column".to_owned();
            let instead = format!(
                "Name the column that the file adds; to give the NULLs of one that is there a value, write `UPDATE {} SET {} = … \
                 WHERE {} IS NULL`.",
                typed_table(table, self.catalog),
                typed(column),
                typed(column)
            );
            Refusal::Impossible { what, why, instead }
        } else {
            let names = self.wanted.tables[at].added.iter().map(|added| added.column.name.as_str());
            no_column(table, column, names)
        };
        self.refuse(refusal, place);
    }

    fn backs(&mut self, table: &TableRef, assignments: &'a [(Ident, Expr)], at: &'a Place, directive: bool) {
        for (column, expr) in assignments {
            self.back(table, column, Transform { expr, statement: None, at }, directive);
        }
    }

    /// A back transform. A directive must name a column that this file drops; the down file's UPDATE may set others too,
    /// which is between it and the state it starts from.
    fn back(&mut self, table: &TableRef, column: &Ident, back: Transform<'a>, directive: bool) {
        let at = match self.target(table, back.at) {
            Target::Existing(at) => at,
            Target::New(_) | Target::Refused => return,
        };
        let catalog = self.catalog;
        let of = &mut self.wanted.tables[at];
        let dropped = of.dropped.iter_mut().find(|dropped| catalog.same(&dropped.column.name, column));
        match dropped {
            Some(dropped) if dropped.back.is_none() => dropped.back = Some(back),
            Some(dropped) => {
                let what = format!("the back transform of `{}`", dropped.column.name);
                self.refuse(twice(what, "it is said before what the column follows from"), back.at);
            }
            None if directive => {
                let names = of.dropped.iter().map(|dropped| dropped.column.name.as_str());
                let nearest = nearest(column.as_str(), names).map(|name| format!(" Did you mean `{name}`?"));
                let what = format!("the back transform of `{column}`");
                let why = "this file does not drop that column".to_owned();
                let instead = format!("Name a column that the file drops.{}", nearest.unwrap_or_default());
                self.refuse(Refusal::Impossible { what, why, instead }, back.at);
            }
            None => {}
        }
    }

    fn added(&mut self, at: usize, column: &Ident) -> Option<&mut Added<'a>> {
        let catalog = self.catalog;
        self.wanted.tables[at].added.iter_mut().find(|added| catalog.same(&added.column.name, column))
    }

    /// Returns a column that is there and is not of this file's making.
    fn old_column(&mut self, at: usize, column: &Ident, place: &Place) -> Option<&'a Column> {
        let table = self.wanted.tables[at].table;
        if let Some(found) = self.catalog.column(table, column) {
            return Some(found);
        }
        let refusal = if self.added(at, column).is_some() {
            not_yet(format!("changing `{column}`, a column that this file adds"), "Add it as it is to be.")
        } else {
            no_column(table, column, table.columns.iter().map(|c| c.name.as_str()))
        };
        self.refuse(refusal, place);
        None
    }

    /// Each statement runs once, however much it says about a table that nobody uses yet.
    fn alter_new_table(&mut self, table: TableName, change: &'a Located<Change>) {
        let written = change.statement.map(|at| &self.migration.statements[at].at);
        let known = self.wanted.of_new_tables.iter().any(|other| written == Some(&other.statement.at));
        if !known {
            self.write(change, AsWrittenKind::AlterNewTable { schema: table.schema, table: table.name });
        }
    }

    fn write(&mut self, change: &'a Located<Change>, what: AsWrittenKind<'a>) {
        let Some(statement) = change.statement.map(|at| &self.migration.statements[at]) else { return };
        self.wanted.of_new_tables.push(AsWritten { statement, at: &change.at, what });
    }

    /// What is dropped only if it exists may be missing, and a table of this file keeps its name: its undo drops it by that.
    fn naming(&mut self, naming: &NamingChange, change: &'a Located<Change>) {
        let table = naming.table();
        let found = self.catalog.find(table);
        match naming {
            NamingChange::Table { .. } | NamingChange::Schema { .. } | NamingChange::DropTable { .. }
                if self.created_as(table).is_some() =>
            {
                let what = format!("{} of `{table}`, which this file creates", naming.kind().replace('_', " "));
                self.refuse(not_yet(what, "Create it as it is to be."), &change.at);
            }
            NamingChange::DropTable { if_exists: true, .. } if found.is_none() => self.alone(None, change),
            NamingChange::DropColumn { column, if_exists, .. } => {
                let there = found.is_none_or(|found| self.catalog.column(found, column).is_some());
                if there || !if_exists {
                    self.drop_column(table, column, change)
                } else {
                    self.alone(Some(table), change)
                }
            }
            NamingChange::Table { .. }
            | NamingChange::Column { .. }
            | NamingChange::Constraint { .. }
            | NamingChange::Schema { .. }
            | NamingChange::DropTable { .. } => self.alone(Some(table), change),
        }
    }

    /// A change that stands by itself. One of a table of this file runs as written.
    fn alone(&mut self, table: Option<&TableRef>, change: &'a Located<Change>) {
        let Some(table) = table else {
            let Some(statement) = change.statement else { return };
            if let Some(owner) = owners(&change.what, self.catalog).into_iter().next() {
                let owner = TableRef { schema: Some(owner.schema), name: owner.name };
                let Target::Existing(at) = self.named(&owner, &change.at) else { return };
                return self.alone_in(at, change);
            }
            return self.wanted.elsewhere.push(Alone { change: &change.what, statement, at: &change.at });
        };
        match self.named(table, &change.at) {
            Target::New(name) => self.alter_new_table(name, change),
            Target::Existing(at) => self.alone_in(at, change),
            Target::Refused => {}
        }
    }

    fn alone_in(&mut self, at: usize, change: &'a Located<Change>) {
        let Some(statement) = change.statement else { return };
        self.wanted.tables[at].alone.push(Alone { change: &change.what, statement, at: &change.at });
    }

    fn target(&mut self, table: &TableRef, place: &Place) -> Target {
        let target = self.named(table, place);
        let Target::Existing(at) = target else { return target };
        match not_alterable(self.wanted.tables[at].table) {
            Some(refusal) => {
                self.refuse_once(refusal, place);
                Target::Refused
            }
            None => target,
        }
    }

    /// Returns what a name stands for, whatever kind of table it is.
    fn named(&mut self, table: &TableRef, place: &Place) -> Target {
        if let Some(created) = self.created_as(table) {
            return Target::New(created.clone());
        }
        let Some(found) = self.catalog.find(table) else {
            let nearest = self.nearest_table(table);
            self.refuse_once(Refusal::NoTable { table: table.to_string(), nearest }, place);
            return Target::Refused;
        };
        let known = self.wanted.tables.iter().position(|of| of.table.name == found.name);
        Target::Existing(known.unwrap_or_else(|| {
            self.wanted.tables.push(OfTable {
                table: found,
                added: vec![],
                dropped: vec![],
                retyped: vec![],
                alone: vec![],
                moved: vec![],
                back_from: vec![],
            });
            self.wanted.tables.len() - 1
        }))
    }

    /// A table of this file hides one of the same name further down the search path.
    fn created_as(&self, table: &TableRef) -> Option<&TableName> {
        let home = table.schema.as_ref().or(self.catalog.search_path.first())?;
        self.created
            .iter()
            .find(|new| self.catalog.same(&new.name, &table.name) && self.catalog.same(&new.schema, home))
    }

    fn nearest_table(&self, table: &TableRef) -> Option<String> {
        let names: Vec<&str> = self.catalog.tables.iter().map(|known| known.name.name.as_str()).collect();
        let near = nearest(table.name.as_str(), names)?;
        let found = self.catalog.tables.iter().find(|known| known.name.name.as_str() == near)?;
        Some(typed_table(found, self.catalog))
    }

    /// One cause, one refusal, however many statements name the table.
    fn refuse_once(&mut self, refusal: Refusal, place: &Place) {
        if !self.refused.iter().any(|known| known.refusal == refusal) {
            self.refuse(refusal, place);
        }
    }

    fn refuse(&mut self, refusal: Refusal, place: &Place) {
        self.refused.push(refusal.at(place));
    }
}

const LATER: &str = "Leave it out of this file until Segue carries it out.";

/// Returns a refusal of what a later version will do.
pub(crate) fn not_yet(what: String, instead: &str) -> Refusal {
    Refusal::NotYet { what, instead: instead.to_owned() }
}

/// Returns a refusal of a column that is not there.
pub(crate) fn no_column<'n>(table: &Table, column: &Ident, names: impl IntoIterator<Item = &'n str>) -> Refusal {
    let shown = |name: &str| Ident::new(name).map_or_else(|_| String::new(), |name| name.to_string());
    Refusal::NoColumn {
        table: table.name.name.to_string(),
        column: column.to_string(),
        nearest: nearest(column.as_str(), names).map(shown),
    }
}

/// Two tables that write each other wait for each other.
fn both_ways(one: &TableRef, other: &TableRef) -> Refusal {
    // The same words wherever it is met.
    let (one, other) = if one.name <= other.name { (one, other) } else { (other, one) };
    Refusal::Impossible {
        what: format!("rows of `{one}` and `{other}` that follow from each other at the same time"),
        why: "a write to one locks a row of the other, so that two clients that write the same row through both wait for each \
              other, and the server ends one of them"
            .to_owned(),
        instead: "Say the one direction here, and the way back in the down file: it is followed from flip on.".to_owned(),
    }
}

fn twice(what: String, why: &str) -> Refusal {
    Refusal::Impossible { what, why: why.to_owned(), instead: "Say it once.".to_owned() }
}

/// Returns why nothing can be altered in something that is used as a table.
fn not_alterable(table: &Table) -> Option<Refusal> {
    let kind = match table.kind {
        TableKind::Ordinary | TableKind::Partitioned => return None,
        TableKind::Partition => "a partition: its columns are those of the partitioned table",
        TableKind::View => "a view: its columns are those of its query",
        TableKind::MaterializedView => "a materialized view: its columns are those of its query",
        TableKind::Virtual => "a virtual table: its columns are those of its module",
        TableKind::Foreign => {
            let what = format!("a change of `{}`, a foreign table", table.name.name);
            return Some(not_yet(what, "Change the table on the server that holds it."));
        }
    };
    Some(Refusal::Impossible {
        what: format!("a change of `{}`", table.name.name),
        why: format!("it is {kind}"),
        instead: "Change the table that it is made of.".to_owned(),
    })
}

/// Returns why both shapes cannot be kept side by side in this table yet.
pub(crate) fn not_synced_yet(table: &Table) -> Option<Refusal> {
    let kind = match table.kind {
        TableKind::Partitioned => "a partitioned table",
        TableKind::Partition
        | TableKind::View
        | TableKind::MaterializedView
        | TableKind::Foreign
        | TableKind::Virtual => "not an ordinary table",
        TableKind::Ordinary if table.inherits => "a table with parents or children",
        TableKind::Ordinary if table.without_rowid => "a table WITHOUT ROWID",
        TableKind::Ordinary => return None,
    };
    let what = format!("keeping two shapes of `{}`, {kind}, side by side", table.name.name);
    Some(not_yet(what, "Only columns that are nullable or have a constant default can be added to it so far."))
}

/// Returns whether a constraint or key of the table names the column.
pub(crate) fn in_primary_key(table: &Table, column: &Ident) -> bool {
    table.constraints.iter().any(|c| c.kind == ConstraintKind::PrimaryKey && c.columns.contains(column))
}
