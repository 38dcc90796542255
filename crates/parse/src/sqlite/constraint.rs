//! A constraint of a table, as it stands in a CREATE TABLE: SQLite's own ADD CONSTRAINT takes a CHECK and nothing else.

use segue_model::catalog::ConstraintKind;
use segue_model::change::{IndexParts, NewConstraint, References};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableRef};
use segue_model::sql::Written;
use sqlite3_parser::ast::{
    CreateTableBody, Expr as Node, ForeignKeyClause, IndexedColumn, NamedTableConstraint, SortedColumn, Stmt,
    TableConstraint,
};

use super::{expr, name, syntax};
use crate::problem::Fault;
use crate::token::{Kind, Token, closing, span};

/// Reads what follows `ADD`; `None` where it is no constraint of a table.
pub(super) fn read(text: &str, tokens: &[Token], table: &TableRef) -> Result<Option<NewConstraint>, Fault> {
    let (named, body) = match tokens {
        [word, name, body @ ..] if word.is(text, "CONSTRAINT") => (Some(name), body),
        body => (None, body),
    };
    let kinds = ["CHECK", "UNIQUE", "PRIMARY", "FOREIGN"];
    if !body.first().is_some_and(|first| kinds.iter().any(|kind| first.is(text, kind))) {
        return Ok(None);
    }
    let named = named.map(|token| name::ident(token.text(text)).map_err(|fault| fault.shifted(token.start)));
    let named = named.transpose()?;
    let (start, end) = span(body);
    let definition = &text[start..end];
    let check = body.first().filter(|first| first.is(text, "CHECK")).map(|_| checked(text, body, table));
    let check = check.transpose()?;
    let unread = || Fault::syntax((start, end), "this is no constraint that SQLite has");
    let statement = ["CREATE TABLE t (c, ", definition, "\n)"].concat();
    let read = syntax::with(&statement, &[], of_table).ok_or_else(unread)?;
    let Ok(Some((kind, columns, references))) = read else { return Err(unread()) };
    Ok(Some(NewConstraint {
        name: named,
        kind: Some(kind),
        columns,
        check,
        demands: None,
        references,
        using_index: None,
        index: IndexParts::default(),
        not_valid: false,
        not_enforced: false,
        deferrable: body.iter().any(|token| token.is(text, "DEFERRABLE")),
        deferred: false,
        no_inherit: false,
        definition: Written::parsed(definition),
    }))
}

fn checked(text: &str, body: &[Token], table: &TableRef) -> Result<Expr, Fault> {
    let open = body.iter().position(|token| token.kind == Kind::Open);
    let inner = open.and_then(|open| Some(&body[open + 1..closing(body, open)?])).unwrap_or_default();
    let (start, end) = span(inner);
    expr::read(&text[start..end], table).map_err(|fault| fault.shifted(start))
}

type Kinded = (ConstraintKind, Vec<Ident>, Option<References>);

/// Returns the only constraint of a CREATE TABLE.
fn of_table(node: &Stmt<'_>) -> Result<Option<Kinded>, Fault> {
    let Stmt::CreateTable { body: CreateTableBody::ColumnsAndConstraints { constraints, columns, .. }, .. } = node
    else {
        return Ok(None);
    };
    let Some([NamedTableConstraint { constraint, .. }]) = constraints else { return Ok(None) };
    if columns.len() != 1 {
        return Ok(None);
    }
    Ok(Some(match constraint {
        TableConstraint::PrimaryKey { columns, .. } => (ConstraintKind::PrimaryKey, sorted(columns)?, None),
        TableConstraint::Unique { columns, .. } => (ConstraintKind::Unique, sorted(columns)?, None),
        TableConstraint::Check(..) => (ConstraintKind::Check, vec![], None),
        TableConstraint::ForeignKey { columns, clause, .. } => {
            (ConstraintKind::ForeignKey, indexed(columns)?, Some(references(clause)?))
        }
    }))
}

fn references(clause: &ForeignKeyClause<'_>) -> Result<References, Fault> {
    let table = TableRef { schema: None, name: name::of_node(&clause.tbl_name)? };
    let columns = indexed(clause.columns.unwrap_or_default())?;
    Ok(References { table, columns, full: false, period: false })
}

fn indexed(columns: &[IndexedColumn<'_>]) -> Result<Vec<Ident>, Fault> {
    columns.iter().map(|column| name::of_node(&column.col_name)).collect()
}

fn sorted(columns: &[SortedColumn<'_>]) -> Result<Vec<Ident>, Fault> {
    let plain = columns.iter().filter_map(|column| match &column.expr {
        Node::Id(column) => Some(name::ident(column.0)),
        Node::Name(column) => Some(name::of_node(column)),
        Node::Collate(inner, _) => match &**inner {
            Node::Id(column) => Some(name::ident(column.0)),
            Node::Name(column) => Some(name::of_node(column)),
            _ => None,
        },
        _ => None,
    });
    plain.collect()
}
