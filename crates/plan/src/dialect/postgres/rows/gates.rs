//! What must hold before columns move to the rows of another table.
//!
//! A write of old code must not fail for the sake of a table that it does not know. So each value must fit its column of the
//! new table, and nothing else of that table may refuse it; and the other way round from flip on.

use segue_model::catalog::{Column, Index, Table};
use segue_model::change::{Change, NewTable, NewTableColumn};
use segue_model::expr::{Expr, Nullness, Part};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::Probe;
use segue_model::sql::TypeName;

use super::moving::{Carried, KeyPair, Leaving, Moving, quoted};
use super::sync;
use crate::dialect::postgres::asked::{self, Types};
use crate::dialect::postgres::gates;
use crate::dialect::postgres::lookup::{Lookup, Names as Looked};
use crate::dialect::postgres::names::{Names, deprecated};
use crate::dialect::postgres::steady::{self, Taken};
use crate::dialect::postgres::types::{Fit, Resolved};
use crate::figures::listed;
use crate::operation::{Context, Rows, RowsInto};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(rows: &Rows<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let shape = Shape::of(rows, context)?;
    let mut open = shape.names().probes(context);
    open.push(gates::owner_probe(&rows.from.name));
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    if !open.is_empty() {
        return Ok(open);
    }
    let lookup = shape.names().resolve(context)?;
    let values = shape
        .carried
        .iter()
        .map(|(column, _, expr)| asked::result_probe(shape.target, column, expr, &shape.source_types, &lookup));
    let backs = shape
        .old
        .iter()
        .map(|(column, back)| asked::result_probe(&rows.from.name, &column.name, back, &shape.target_types, &lookup));
    open.extend(values.chain(backs));
    open.extend(shape.taken().map(|taken| steady::probe(taken, &shape.source_types, &lookup)));
    Ok(open)
}

/// Returns what moves where.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn moving<'a>(rows: &'a Rows<'a>, context: &Context<'a>) -> Result<Moving<'a>, Refusal> {
    gates::table(rows.from, context)?;
    let shape = Shape::of(rows, context)?;
    let lookup = shape.names().resolve(context)?;
    for taken in shape.taken() {
        steady::gate(taken, &shape.source_types, &lookup, context)?;
    }
    shape.filter_never_raises()?;
    let moving = Moving {
        source: rows.from,
        target: shape.target.clone(),
        definition: shape.definition,
        names: Names::new(context, &rows.from.name, &shape.old[0].0.name),
        key: shape.key_pairs(&lookup)?,
        carried: shape.carried(&lookup, context)?,
        filter: rows.change.filter.clone(),
        old: shape.leaving(&lookup, context)?,
        lookup,
        is_hidden: false,
    };
    let (triggers, functions) = sync::our_names(&moving);
    let trigger = triggers.iter().find(|name| rows.from.triggers.iter().any(|trigger| trigger.name == **name));
    let function = functions.iter().find(|name| moving.names.is_taken(name)).map(ToString::to_string);
    match trigger.map(|name| format!("{}.{name}", rows.from.name)).or(function) {
        Some(name) => Err(Refusal::Exists { name }),
        None => Ok(moving),
    }
}

/// What the file says, taken apart, before the server was asked.
struct Shape<'a> {
    rows: &'a Rows<'a>,
    target: &'a TableName,
    definition: &'a NewTable,
    /// Column of the target, column of the source.
    key: Vec<(&'a NewTableColumn, &'a Column)>,
    carried: Vec<(&'a Ident, &'a TypeName, &'a Expr)>,
    old: Vec<(&'a Column, Expr)>,
    source_types: Types<'a>,
    target_types: Types<'a>,
    /// The name by which the condition is asked about, and its type.
    condition: (Ident, TypeName),
}

impl<'a> Shape<'a> {
    fn of(rows: &'a Rows<'a>, context: &Context<'a>) -> Result<Self, Refusal> {
        let (target, definition) = new_table(rows)?;
        plain(rows, definition, context)?;
        let key = key(rows, definition)?;
        written(rows, definition)?;
        keys_and_references(rows, definition, &key, context)?;
        moved(rows, &key)?;
        let is_key = |column: &Ident| key.iter().any(|(into, _)| into.name == *column);
        let pairs = rows.change.columns.iter().zip(&rows.change.values).filter(|(column, _)| !is_key(column));
        let carried = pairs.map(|(column, value)| Ok((column, type_of(column, definition)?, value)));
        let carried = carried.collect::<Result<Vec<_>, Refusal>>()?;
        let old = rows.moved.iter().map(|column| Ok((*column, back(column, rows, &key)?)));
        let old = old.collect::<Result<Vec<_>, Refusal>>()?;
        let source_types: Types<'a> = rows.from.columns.iter().map(|c| (&c.name, &c.type_name)).collect();
        let typed = definition.columns.iter().filter_map(|c| Some((&c.name, c.type_name.as_ref()?)));
        let condition = (Ident::known("where"), TypeName::spelled("pg_catalog.bool"));
        let target_types = typed.collect();
        Ok(Self { rows, target, definition, key, carried, old, source_types, target_types, condition })
    }

    fn names(&self) -> Looked<'_> {
        let change = self.rows.change;
        let backs = || self.old.iter().map(|(_, back)| back);
        let exprs: Vec<&Expr> = change.values.iter().chain(&change.filter).chain(backs()).collect();
        let read = change.values.iter().chain(&change.filter).flat_map(|expr| expr.columns());
        let of_source = read.filter_map(|column| self.source_types.get(column)).copied();
        let back_read = backs().flat_map(|back| back.columns());
        let of_target = back_read.filter_map(|column| self.target_types.get(column)).copied();
        let of_old = self.old.iter().map(|(column, _)| &column.type_name);
        let of_key = self.key.iter().filter_map(|(into, _)| into.type_name.as_ref());
        let of_carried = self.carried.iter().map(|(_, kind, _)| *kind);
        let of_from = self.key.iter().map(|(_, from)| &from.type_name);
        let types = of_source.chain(of_target).chain(of_old).chain(of_key).chain(of_carried).chain(of_from);
        let types = types.chain([&self.condition.1]);
        Looked { exprs, types: types.collect() }
    }

    fn taken(&self) -> impl Iterator<Item = Taken<'_>> {
        let values = self.carried.iter().map(|(column, kind, expr)| Taken { table: self.target, column, kind, expr });
        values.chain(self.rows.change.filter.as_ref().map(|expr| Taken {
            table: self.target,
            column: &self.condition.0,
            kind: &self.condition.1,
            expr,
        }))
    }

    /// A condition that raises an error would let the write fail that it is asked of.
    fn filter_never_raises(&self) -> Result<(), Refusal> {
        match self.rows.change.filter.as_ref().filter(|filter| filter.can_raise) {
            None => Ok(()),
            Some(filter) => Err(Refusal::Impossible {
                what: format!("the condition `{}`", filter.source),
                why: "it may raise an error, and the write of a row would fail with it".to_owned(),
                instead: "Compare the columns as they are stored.".to_owned(),
            }),
        }
    }

    fn key_pairs(&self, lookup: &Lookup) -> Result<Vec<KeyPair>, Refusal> {
        let pair = |(into, from): &(&NewTableColumn, &Column)| {
            let kind = lookup.type_of(type_of(&into.name, self.definition)?).clone();
            let of_source = lookup.type_of(&from.type_name);
            let plain = kind.schema == "pg_catalog" && of_source.schema == "pg_catalog";
            if !plain || kind.fit(Some(of_source)) != Fit::Exact {
                return Err(does_not_fit(self.target, &into.name, &from.name.to_string()));
            }
            Ok(KeyPair { into: into.name.clone(), from: from.name.clone(), kind })
        };
        self.key.iter().map(pair).collect()
    }

    fn carried(&self, lookup: &Lookup, context: &Context<'_>) -> Result<Vec<Carried>, Refusal> {
        let one = |(column, kind, expr): &(&Ident, &TypeName, &Expr)| {
            let kind = lookup.type_of(kind).clone();
            let from = asked::result(self.target, column, expr, &self.source_types, lookup, context)?;
            fits(self.target, column, expr, &kind, from.as_ref())?;
            Ok(Carried { column: (*column).clone(), expr: (*expr).clone(), kind })
        };
        self.carried.iter().map(one).collect()
    }

    fn leaving(&self, lookup: &Lookup, context: &Context<'_>) -> Result<Vec<Leaving<'a>>, Refusal> {
        let table = &self.rows.from.name;
        let mut leaving: Vec<Leaving<'a>> = vec![];
        for (column, back) in &self.old {
            let kind = lookup.type_of(&column.type_name).clone();
            let from = asked::result(table, &column.name, back, &self.target_types, lookup, context)?;
            fits(table, &column.name, back, &kind, from.as_ref())?;
            let hidden = deprecated(self.rows.from, &column.name)?;
            if leaving.iter().any(|other| other.hidden == hidden) {
                return Err(Refusal::Exists { name: format!("{table}.{hidden}") });
            }
            leaving.push(Leaving { column, hidden, back: back.clone(), kind });
        }
        Ok(leaving)
    }
}

/// So far the rows are those of a table that the file creates.
fn new_table<'a>(rows: &'a Rows<'a>) -> Result<(&'a TableName, &'a NewTable), Refusal> {
    match &rows.into {
        RowsInto::New { name, definition: Some(definition) } => Ok((name, definition)),
        RowsInto::New { name, definition: None } => Err(Refusal::Impossible {
            what: format!("rows of {name}"),
            why: "its CREATE TABLE is not understood".to_owned(),
            instead: "Write its columns and keys in the CREATE TABLE.".to_owned(),
        }),
        RowsInto::Existing(table) => Err(Refusal::NotYet {
            what: format!("moving columns to rows of {}, which exists already", table.name),
            instead: "Move them to a table that this file creates.".to_owned(),
        }),
    }
}

/// Nothing of the new table may refuse a row that old code's writes bring, and we must know all of it.
fn plain(rows: &Rows<'_>, definition: &NewTable, context: &Context<'_>) -> Result<(), Refusal> {
    let target = rows.into.name();
    if let Some(other) = definition.others.first() {
        return Err(Refusal::NotYet {
            what: format!("rows that move to {target}, whose CREATE TABLE has {other}"),
            instead: "Leave it out there, and add it in a later migration.".to_owned(),
        });
    }
    let about = |change: &Change| {
        let table = change.table();
        table.is_some_and(|table| {
            table.name == target.name && table.schema.as_ref().is_none_or(|schema| *schema == target.schema)
        })
    };
    let unknown = context.migration.changes.iter().find(|change| {
        about(&change.what)
            && match &change.what {
                Change::CreateTable { .. } | Change::Rows(_) => false,
                Change::CreateIndex { .. } => change.statement.is_some_and(|at| is_unique_index(context, at)),
                _ => true,
            }
    });
    match unknown {
        None => Ok(()),
        Some(change) => Err(Refusal::NotYet {
            what: format!("{} of {target}, to which this file moves rows", change.what.kind().replace('_', " ")),
            instead: "Write it in the CREATE TABLE, or do it in a later migration.".to_owned(),
        }),
    }
}

fn is_unique_index(context: &Context<'_>, statement: usize) -> bool {
    let text = context.migration.statements.get(statement).map_or("", |statement| statement.text.as_str());
    text.split_whitespace().nth(1).is_some_and(|word| word.eq_ignore_ascii_case("unique"))
}

/// Returns which row of the new table belongs to which of the old: by a key of each.
fn key<'a>(rows: &'a Rows<'a>, definition: &'a NewTable) -> Result<Vec<(&'a NewTableColumn, &'a Column)>, Refusal> {
    let (change, table) = (rows.change, rows.from);
    let copies: Vec<(&Ident, &Ident)> = change
        .columns
        .iter()
        .zip(&change.values)
        .filter_map(|(column, value)| Some((column, asked::column(value)?)))
        .filter(|pair| change.on.is_empty() || change.on.iter().any(|(into, from)| (into, from) == *pair))
        .collect();
    let of_index = |index: &Index| -> Option<Vec<(&'a NewTableColumn, &'a Column)>> {
        let pair = |key: &segue_model::catalog::IndexKey| {
            let from = table.columns.iter().find(|column| Some(&column.name) == key.column.as_ref())?;
            let into = copies.iter().find(|(_, copied)| **copied == from.name)?.0;
            let into = definition.columns.iter().find(|column| column.name == *into)?;
            from.not_null.then_some((into, from))
        };
        index.keys.iter().map(pair).collect()
    };
    let mut indexes: Vec<&Index> = table.indexes.iter().filter(|index| is_key(table, index)).collect();
    indexes.sort_by_key(|index| !index.primary);
    let found =
        indexes.into_iter().find_map(of_index).filter(|key| change.on.is_empty() || key.len() == change.on.len());
    let Some(found) = found else {
        return Err(Refusal::Impossible {
            what: format!("which row of {} belongs to which of {} is not known", rows.into.name(), table.name),
            why: format!("no column takes the primary key of {}, nor another key without NULLs", table.name),
            instead: "Let the new table have the key's columns, with a UNIQUE or PRIMARY KEY over them.".to_owned(),
        });
    };
    let over = |key: &Vec<Ident>| key.len() == found.len() && found.iter().all(|(into, _)| key.contains(&into.name));
    if definition.keys.iter().any(over) {
        return Ok(found);
    }
    Err(Refusal::Impossible {
        what: format!("{} may have several rows for one of {}", rows.into.name(), table.name),
        why: "without a key the triggers could not tell which to write".to_owned(),
        instead: format!(
            "Write UNIQUE ({}) in the CREATE TABLE.",
            found.iter().map(|(into, _)| quoted(&into.name)).collect::<Vec<_>>().join(", ")
        ),
    })
}

/// A key that is looked at when a row is written, and not later.
fn is_key(table: &Table, index: &Index) -> bool {
    let deferred = table.constraints.iter().any(|constraint| {
        constraint.name.as_ref() == Some(&index.name) && constraint.definition.contains("DEFERRABLE")
    });
    index.unique && index.valid && index.predicate.is_none() && !deferred
}

/// Each column that the rows bring must take what they bring, and the others must do without.
fn written(rows: &Rows<'_>, definition: &NewTable) -> Result<(), Refusal> {
    let (change, target) = (rows.change, rows.into.name());
    for column in &definition.columns {
        let value = change.columns.iter().position(|name| *name == column.name).and_then(|at| change.values.get(at));
        match value {
            None if column.not_null && !column.has_value => {
                return Err(Refusal::NoTransform {
                    table: target.name.to_string(),
                    column: column.name.to_string(),
                    from: format!("`{}`", rows.from.name.name),
                    line: format!("{} = …", column.name),
                    file: "the columns that the rows bring, or give it a DEFAULT".to_owned(),
                });
            }
            None => {}
            Some(_) if column.always => {
                return Err(Refusal::Impossible {
                    what: format!("a value for `{}.{}`", target.name, column.name),
                    why: "it is generated always".to_owned(),
                    instead: "Leave the column out, or generate it BY DEFAULT.".to_owned(),
                });
            }
            Some(value) if column.not_null && value.nullness.possible(&|name| may_be_null(rows, name)) => {
                return Err(Refusal::NotTotal {
                    table: target.name.to_string(),
                    column: column.name.to_string(),
                    expr: value.source.clone(),
                    suggestion: format!("… WHERE {} IS NOT NULL", value.source),
                });
            }
            Some(_) => {}
        }
    }
    let reads = change.values.iter().chain(&change.filter).flat_map(|value| value.columns());
    let mut generated = rows.from.columns.iter().filter(|column| column.generated.is_some());
    let reads: Vec<&Ident> = reads.collect();
    match generated.find(|column| reads.contains(&&column.name)) {
        Some(column) => Err(Refusal::NotYet {
            what: format!("rows that follow from the generated column `{}.{}`", rows.from.name, column.name),
            instead: "Write its expression instead.".to_owned(),
        }),
        None => Ok(()),
    }
}

fn may_be_null(rows: &Rows<'_>, name: &Ident) -> bool {
    let column = rows.from.columns.iter().find(|column| column.name == *name);
    column.is_none_or(|column| !column.not_null) && !rows.change.present.contains(name)
}

fn keys_and_references(
    rows: &Rows<'_>,
    definition: &NewTable,
    key: &[(&NewTableColumn, &Column)],
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let is_written = |column: &Ident| rows.change.columns.contains(column);
    let holds_key = |columns: &[Ident]| key.iter().all(|(into, _)| columns.contains(&into.name));
    let unique = definition.keys.iter().find(|columns| columns.iter().any(is_written) && !holds_key(columns));
    if let Some(columns) = unique {
        return Err(Refusal::NotYet {
            what: format!(
                "a key over {} of {}, which rows of {} bring",
                listed(columns),
                rows.into.name(),
                rows.from.name
            ),
            instead:
                "Two of them could be alike, and the write of the second would fail: add the key in a later migration."
                    .to_owned(),
        });
    }
    let to_source = |columns: &[Ident], referenced: &[Ident]| {
        let referenced = if referenced.is_empty() { rows.from.primary_key() } else { referenced };
        columns.len() == referenced.len()
            && columns
                .iter()
                .zip(referenced)
                .all(|(into, from)| key.iter().any(|(known, source)| known.name == *into && source.name == *from))
    };
    let foreign = definition.references.iter().find(|reference| {
        let source = context.catalog.find(&reference.table).is_some_and(|table| table.name == rows.from.name);
        reference.columns.iter().any(is_written) && !(source && to_source(&reference.columns, &reference.referenced))
    });
    match foreign {
        None => Ok(()),
        Some(reference) => Err(Refusal::NotYet {
            what: format!(
                "a foreign key from {} to `{}` on values that old code writes",
                listed(&reference.columns),
                reference.table
            ),
            instead: "A write of old code could fail on it: add it in a later migration.".to_owned(),
        }),
    }
}

/// The columns that leave must be free to leave.
fn moved(rows: &Rows<'_>, key: &[(&NewTableColumn, &Column)]) -> Result<(), Refusal> {
    let table = rows.from;
    if rows.moved.is_empty() {
        return Err(Refusal::NotYet {
            what: format!("rows of {} that follow from {} for good", rows.into.name(), table.name),
            instead: "Drop in this file the columns that move: they are hidden at contract, and gone after cleanup."
                .to_owned(),
        });
    }
    for column in &rows.moved {
        let unique = table
            .indexes
            .iter()
            .find(|index| index.unique && index.keys.iter().any(|key| key.column.as_ref() == Some(&column.name)));
        if key.iter().any(|(_, from)| from.name == column.name) || unique.is_some() {
            return Err(Refusal::NotYet {
                what: format!("moving `{}.{}`, a column of a key", table.name, column.name),
                instead: "Keep the column.".to_owned(),
            });
        }
        gates::bound(table, column)?;
    }
    Ok(())
}

/// Returns how a column that leaves follows from the new table: as the down file says, or as the column that takes it.
fn back(column: &Column, rows: &Rows<'_>, key: &[(&NewTableColumn, &Column)]) -> Result<Expr, Refusal> {
    let change = rows.change;
    if let Some(back) = rows.back {
        let same = |(into, from): &(Ident, Ident)| key.iter().any(|(t, s)| t.name == *from && s.name == *into);
        let by_key = back.on.is_empty() || (back.on.len() == key.len() && back.on.iter().all(same));
        if !by_key {
            return Err(Refusal::Impossible {
                what: format!("the way back from {} to {}", rows.into.name(), rows.from.name),
                why: "it goes by other columns than the way there".to_owned(),
                instead: "Let both go by the same key.".to_owned(),
            });
        }
        if let Some(at) = back.columns.iter().position(|name| *name == column.name) {
            return Ok(back.values[at].clone());
        }
    }
    let taken = change.columns.iter().zip(&change.values).find(|(_, value)| asked::column(value) == Some(&column.name));
    match taken {
        Some((into, _)) => Ok(copy_of(into)),
        None => Err(no_way_back(column, rows, key)),
    }
}

fn no_way_back(column: &Column, rows: &Rows<'_>, key: &[(&NewTableColumn, &Column)]) -> Refusal {
    let (from, into) = (quoted(&rows.from.name.name), quoted(&rows.into.name().name));
    let on = key.iter().map(|(t, s)| format!("{into}.{} = {from}.{}", quoted(&t.name), quoted(&s.name)));
    Refusal::NoTransform {
        table: rows.from.name.name.to_string(),
        column: column.name.to_string(),
        from: format!("`{}`", rows.into.name().name),
        line: format!(
            "UPDATE {from} SET {} = … FROM {into} WHERE {}",
            quoted(&column.name),
            on.collect::<Vec<_>>().join(" AND ")
        ),
        file: "the down file".to_owned(),
    }
}

fn copy_of(column: &Ident) -> Expr {
    Expr {
        source: column.to_string(),
        parts: vec![Part::Column(column.clone())],
        nullness: Nullness::Column(column.clone()),
        uses: vec![],
        can_raise: false,
        constant: false,
    }
}

fn type_of<'a>(column: &Ident, definition: &'a NewTable) -> Result<&'a TypeName, Refusal> {
    let found =
        definition.columns.iter().find(|other| other.name == *column).and_then(|column| column.type_name.as_ref());
    found.ok_or_else(|| Refusal::NotYet {
        what: format!("a value for `{column}`, a column of such a type"),
        instead: "Write a plain type.".to_owned(),
    })
}

fn fits(
    table: &TableName,
    column: &Ident,
    expr: &Expr,
    kind: &Resolved,
    from: Option<&Resolved>,
) -> Result<(), Refusal> {
    match kind.fit(from) {
        Fit::Exact if !expr.can_raise => Ok(()),
        _ => Err(does_not_fit(table, column, &expr.source)),
    }
}

fn does_not_fit(table: &TableName, column: &Ident, source: &str) -> Refusal {
    Refusal::Impossible {
        what: format!("`{source}` may not fit `{table}.{column}`"),
        why: "a write of code that knows only the other table would fail then".to_owned(),
        instead: "Let both columns be of the same type, and change it in a migration of its own.".to_owned(),
    }
}
