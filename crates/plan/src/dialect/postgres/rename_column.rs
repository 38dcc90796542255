//! Another name for a column: both can be written until cleanup, each following the other.

use segue_model::catalog::{Column, Index, Table};
use segue_model::change::{Change, Directive, NamingChange, NewColumn};
use segue_model::expr::{Expr, Nullness, Part};
use segue_model::ident::{Ident, TableName, TableRef};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step};
use segue_model::value::Value;

use super::mirror::{Mirror, display, regclass};
use super::names::{Names, deprecated};
use super::twin::{self, Twin};
use super::{grants, pair, prove, sql, unique};
use crate::dialect::Planned;
use crate::operation::{Context, Native, NewSide, OldSide, Pair, Retype};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(
    native: &Native<'_>,
    table: &Table,
    (from, to): (&Ident, &Ident),
    context: &Context<'_>,
) -> Result<Vec<Probe>, Refusal> {
    let Some(column) = context.catalog.column(table, from) else { return Ok(vec![]) };
    let new = new_column(column, to);
    let mut open = pair::probes(&as_pair(native, table, column, &new), context)?;
    open.push(grants::probe(&table.name, &table.name.schema));
    open.push(carried_probe(&table.name, from));
    open.extend(prove::name_probe(&table.name, column, context.server.version.major));
    Ok(open)
}

fn carried_probe(table: &TableName, column: &Ident) -> Probe {
    Probe {
        key: carried_key(table, column),
        sql: sql(
            include_str!("rename_column.sql").trim_end(),
            &[("table", Hole::Sql(&regclass(table))), ("column", Hole::Text(column.as_str()))],
        ),
    }
}

fn carried_key(table: &TableName, column: &Ident) -> String {
    format!("carried:{}:{}", display(table), column.as_str())
}

/// A default is set when the sync has ended: until then the old column's own stands in for it.
fn new_column(column: &Column, to: &Ident) -> NewColumn {
    NewColumn {
        name: to.clone(),
        type_name: column.type_name.clone(),
        not_null: column.not_null,
        default: None,
        others: vec![],
        details: None,
    }
}

fn as_pair<'p>(native: &Native<'p>, table: &'p Table, column: &'p Column, new: &'p NewColumn) -> Pair<'p> {
    let forward = NewSide { column: new, forward: copy_of(&column.name), not_null: column.not_null };
    let back = OldSide { column, back: copy_of(&new.name) };
    Pair { table, new: vec![forward], old: vec![back], at: native.at }
}

/// Returns the expression that is the column itself.
pub(super) fn copy_of(column: &Ident) -> Expr {
    Expr {
        source: column.to_string(),
        parts: vec![Part::Column(column.clone())],
        nullness: Nullness::Column(column.clone()),
        uses: vec![],
        can_raise: false,
        constant: false,
    }
}

/// Returns the steps.
///
/// # Errors
/// A refusal for what would be lost or ambiguous.
pub(super) fn plan(
    native: &Native<'_>,
    table: &Table,
    (from, to): (&Ident, &Ident),
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let Some(column) = context.catalog.column(table, from) else {
        return Err(Refusal::NotYet {
            what: format!("renaming `{from}`, a column that this file adds"),
            instead: "Add it under its name to be.".to_owned(),
        });
    };
    free(table, to, context)?;
    not_elsewhere(native, table, &[from, to], context)?;
    carriable(table, column)?;
    let new = new_column(column, to);
    let pair = as_pair(native, table, column, &new);
    let retype =
        Retype { table, column, to: &column.type_name, using: None, statement: native.statement, at: native.at };
    let hidden = deprecated(table, from)?;
    let settle = |_: &Pair<'_>, mirror: &Mirror<'_>| settle(mirror, column, (&hidden, to), context);
    let mut planned = pair::plan_with(&pair, context, &settle)?;
    let twins = twin::twins(&retype, &Names::new(context, &table.name, to), to)?;
    planned.steps = with_twins(planned.steps, &twins, table);
    carry(&mut planned.steps, carried(table, column, to, context)?);
    planned.notes.retain(|note| !unique::notes(&pair).contains(note));
    if twins.iter().any(|twin| twin.unique) {
        planned.notes.push(
            "while an index and its unique twin both stand, an `ON CONFLICT` that names one may fail on the other (23505): retry it"
                .to_owned(),
        );
    }
    Ok(planned)
}

fn free(table: &Table, to: &Ident, context: &Context<'_>) -> Result<(), Refusal> {
    match context.catalog.column(table, to) {
        Some(_) => Err(Refusal::Exists { name: [table.name.to_string(), to.to_string()].join(".") }),
        None => Ok(()),
    }
}

/// Refuses other changes of the file that name one of these columns, or an index of which two columns get other names.
///
/// # Errors
/// The refusal.
pub(super) fn not_elsewhere(
    native: &Native<'_>,
    table: &Table,
    columns: &[&Ident],
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let is_it = |named: Option<&TableRef>| {
        named.and_then(|named| context.catalog.find(named)).is_some_and(|found| found.name == table.name)
    };
    let mut others = context.migration.changes.iter().filter(|change| !std::ptr::eq(&change.what, native.change));
    let other = others.find(|change| is_it(change.what.table()) && names(&change.what, columns, table));
    let mut directives = context.migration.directives.iter();
    let read = directives.any(|directive| match &directive.what {
        Directive::Forward { table, expr, .. } => is_it(Some(table)) && reads(expr, columns),
        _ => false,
    });
    let what = match (other, read) {
        (None, false) => return Ok(()),
        (Some(other), _) => format!("{} (line {})", other.what.kind().replace('_', " "), other.at.line),
        (None, true) => "a directive".to_owned(),
    };
    Err(Refusal::NotYet {
        what: format!(
            "{} of {} in one file with {what}, which names the same column or index",
            native.change.kind().replace('_', " "),
            table.name
        ),
        instead: "Give each a migration of its own.".to_owned(),
    })
}

fn names(change: &Change, columns: &[&Ident], table: &Table) -> bool {
    match change {
        Change::Transform { assignments, .. } => {
            assignments.iter().any(|(column, expr)| columns.contains(&column) || reads(expr, columns))
        }
        Change::AddColumn { column, .. } => columns.contains(&&column.name),
        Change::DropColumn { column, .. }
        | Change::SetNotNull { column, .. }
        | Change::Naming(NamingChange::DropColumn { column, .. }) => columns.contains(&column),
        Change::Naming(NamingChange::Column { column, to, .. }) => {
            let of_both = |index: &Index| covers(index, column) && columns.iter().any(|name| covers(index, name));
            columns.contains(&column) || columns.contains(&to) || table.indexes.iter().any(of_both)
        }
        other => other.named_columns().into_iter().any(|column| columns.contains(&column)),
    }
}

fn reads(expr: &Expr, columns: &[&Ident]) -> bool {
    expr.columns().into_iter().any(|read| columns.contains(&read))
}

fn covers(index: &Index, column: &Ident) -> bool {
    index.keys.iter().any(|key| key.column.as_ref() == Some(column)) || index.include.contains(column)
}

/// Refuses what a column of the same type would not have.
fn carriable(table: &Table, column: &Column) -> Result<(), Refusal> {
    let refused = |what: &str, instead: &str| {
        Err(Refusal::NotYet {
            what: format!("another name for `{}.{}`, which has {what}", table.name, column.name),
            instead: instead.to_owned(),
        })
    };
    let has = |word: &str| column.carries.iter().any(|carried| carried == word);
    if column.collation.is_some() {
        return refused(
            "a collation of its own",
            "Give it the collation of its type first, and its own back afterwards.",
        );
    }
    if has("compression") {
        return refused("a compression of its own", "`SET COMPRESSION default` first, and set it again afterwards.");
    }
    let is_null = |default: &String| default == "NULL" || default.starts_with("NULL::");
    if !column.not_null && column.default.as_ref().is_some_and(|default| !is_null(default)) {
        return refused(
            "a DEFAULT and may be NULL: new code's NULL could not be told from a row that leaves the column out",
            "Make the column NOT NULL first, or take its DEFAULT away and give it back afterwards.",
        );
    }
    Ok(())
}

/// Returns what makes the new column what the old one was, in the transaction that ends the sync. The old NOT NULL gives its
/// name away first.
fn settle(mirror: &Mirror<'_>, column: &Column, (hidden, to): (&Ident, &Ident), context: &Context<'_>) -> Vec<Sql> {
    let table = mirror.table();
    let mut all = vec![];
    if column.not_null {
        all.push(prove::drop_not_null(table, hidden));
        all.push(prove::set_not_null_as(table, to, &column.name, context));
        all.push(prove::drop_sql(table, &mirror.names.check(to)));
    }
    all.extend(column.default.as_ref().map(|printed| prove::set_default(table, to, &Sql::of_catalog(printed))));
    all
}

/// The twins are built once the rows are there, asked for before flip, and take the names of what goes with the old column.
fn with_twins(mut steps: Vec<Step>, twins: &[Twin], table: &Table) -> Vec<Step> {
    let at = steps.iter().position(|step| step.phase >= Phase::Verify).unwrap_or(steps.len());
    steps.splice(at..at, twins.iter().map(|twin| twin.step(&table.name)));
    let flip = steps.iter_mut().find(|step| step.phase == Phase::Flip);
    if let (Some(Action::Gate(gate)), Some(built)) = (flip.map(|step| &mut step.action), twin::condition(twins)) {
        gate.conditions.push(built);
    }
    if let Some(Action::Sql(last)) = steps.last_mut().map(|step| &mut step.action) {
        last.extend(twins.iter().map(|twin| {
            sql(
                "ALTER INDEX {twin} RENAME TO {name}",
                &[("twin", Hole::Table(&twin.twin)), ("name", Hole::Name(&twin.index.name))],
            )
        }));
    }
    steps
}

/// What the column carries is the new one's too from the first moment on.
fn carry(steps: &mut [Step], carried: Vec<Sql>) {
    if let Some(Action::Sql(add)) = steps.first_mut().map(|step| &mut step.action) {
        add.extend(carried);
    }
}

fn carried(table: &Table, column: &Column, to: &Ident, context: &Context<'_>) -> Result<Vec<Sql>, Refusal> {
    let grants = grants::grants(&table.name, context);
    let foreign = |grant: &&grants::Grant| grant.column.as_ref() == Some(&column.name) && !grant.by_owner;
    if grants.held.iter().any(|grant| foreign(&grant)) {
        return Err(Refusal::NotYet {
            what: format!(
                "another name for `{}.{}`, on which somebody other than the owner has granted rights",
                table.name, column.name
            ),
            instead: "Let the owner grant them instead.".to_owned(),
        });
    }
    let mut all = grants.on_column(&table.name, &column.name, to);
    let row = match context.answers.get(&carried_key(&table.name, &column.name)) {
        Some(Answer::Rows(rows)) => rows.first(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
    };
    let text = |at: usize| row.and_then(|row| row.get(at)).and_then(Value::as_str).filter(|text| !text.is_empty());
    let holes = || [("table", Hole::Table(&table.name)), ("column", Hole::Name(to))];
    let with = |template: &'static str, value: Hole<'_>| {
        let [table, column] = holes();
        sql(template, &[table, column, ("value", value)])
    };
    all.extend(text(0).map(|comment| with("COMMENT ON COLUMN {table}.{column} IS {value}", Hole::Text(comment))));
    let target = text(1).and_then(|target| target.parse().ok());
    all.extend(
        target
            .map(|target| with("ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS {value}", Hole::Int(target))),
    );
    all.extend(text(2).map(|storage| {
        let word = Sql::fixed(storage_word(storage));
        with("ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE {value}", Hole::Sql(&word))
    }));
    all.extend(text(3).map(|options| {
        let options = Sql::of_catalog(options);
        with("ALTER TABLE {table} ALTER COLUMN {column} SET ({value})", Hole::Sql(&options))
    }));
    Ok(all)
}

fn storage_word(letter: &str) -> &'static str {
    match letter {
        "p" => "PLAIN",
        "e" => "EXTERNAL",
        "m" => "MAIN",
        _ => "EXTENDED",
    }
}
