//! NULLs of a column that is there get a value.

use segue_model::catalog::{Column, Table};
use segue_model::change::NewColumn;
use segue_model::expr::Expr;
use segue_model::probe::Probe;
use segue_model::step::{Step, Undo};

use super::mirror::Form;
use super::{backfill, fill, gates};
use crate::dialect::Planned;
use crate::operation::{Context, Fill, Native};
use crate::refusal::Refusal;
use crate::transform::respell;

/// Returns the column as if it were a new one.
fn again(column: &Column, required: bool) -> NewColumn {
    NewColumn {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        not_null: required,
        default: None,
        others: vec![],
        details: None,
    }
}

fn as_fill<'f>(
    native: &Native<'f>,
    (table, column): (&'f Table, &'f NewColumn),
    expr: &Expr,
    context: &Context<'_>,
) -> Fill<'f> {
    let spelled = |read: &segue_model::ident::Ident| {
        context.catalog.column(table, read).map_or_else(|| read.clone(), |column| column.name.clone())
    };
    Fill { table, column, forward: respell(expr, &spelled), not_null: native.required, at: native.at }
}

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(
    native: &Native<'_>,
    (table, column): (&Table, &Column),
    expr: &Expr,
    context: &Context<'_>,
) -> Result<Vec<Probe>, Refusal> {
    fits(native, (table, column), expr)?;
    let new = again(column, native.required);
    fill::probes(&as_fill(native, (table, &new), expr, context), context)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(
    native: &Native<'_>,
    (table, column): (&Table, &Column),
    expr: &Expr,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    fits(native, (table, column), expr)?;
    let new = again(column, native.required);
    let fill = as_fill(native, (table, &new), expr, context);
    if native.required {
        return fill::plan(&fill, context);
    }
    gates::table(table, context)?;
    let mut mirror = fill::mirror(&fill, context)?;
    // No trigger computes it in the application's name: what cannot be computed stops the windows, as it would the UPDATE.
    mirror.new.iter_mut().for_each(|derived| derived.form = Form::Exact);
    let title = format!("give the NULLs of `{}` their value", column.name);
    let loses = fill::were_null(&column.name);
    let step = backfill::once(&mirror, title, context.server.version.major);
    let step = Step { undo: Undo::Lossy { steps: vec![], loses: loses.clone() }, ..step };
    let note = format!(
        "each row of {} that is NULL in `{}` now gets the value of the UPDATE once; what is written NULL afterwards stays NULL",
        table.name, column.name
    );
    Ok(Planned { steps: vec![step], notes: vec![note], loses: Some(loses), ..Planned::default() })
}

/// Refuses what can fill nothing, or leaves NULLs that must not stay.
fn fits(native: &Native<'_>, (table, column): (&Table, &Column), expr: &Expr) -> Result<(), Refusal> {
    if let Some(read) = expr.columns().into_iter().find(|read| !table.columns.iter().any(|c| c.name == **read)) {
        let names = table.columns.iter().map(|column| column.name.as_str());
        return Err(crate::wanted::no_column(table, read, names));
    }
    let nullable = |read: &segue_model::ident::Ident| table.columns.iter().any(|c| c.name == *read && !c.not_null);
    if native.required && expr.nullness.possible(&nullable) {
        return Err(Refusal::NotTotal {
            table: table.name.name.to_string(),
            column: column.name.to_string(),
            expr: expr.source.clone(),
            suggestion: format!("coalesce({}, …)", expr.source),
        });
    }
    if column.not_null || column.generated.is_some() {
        return Err(Refusal::Impossible {
            what: format!("an UPDATE of the NULLs of `{}.{}`", table.name, column.name),
            why: if column.not_null { "the column is NOT NULL" } else { "the column is generated" }.to_owned(),
            instead: "Take the UPDATE out.".to_owned(),
        });
    }
    Ok(())
}
