//! What statements want of rows that follow from the rows of another table.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, BoolExprType, InsertStmt, Node, NullTestType, RangeVar, SelectStmt, UpdateStmt};
use segue_model::change::{Change, RowsChange};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableRef};

use super::statement::Statement;
use super::{expr, lex, name, syntax};
use crate::grammar::{Found, Wanted};
use crate::problem::Fault;
use crate::token::{Token, find_at_top, segments, span};

/// Returns what a statement wants; `None` where it is about something else, or says more than which rows follow from which.
pub(super) fn statement(statement: &Statement<'_>, node: &NodeEnum) -> Result<Option<Vec<Found>>, Fault> {
    let rows = match node {
        NodeEnum::InsertStmt(insert) => inserted(statement, insert),
        NodeEnum::UpdateStmt(update) => updated(statement, update),
        _ => None,
    };
    Ok(rows.map(|rows| vec![Found { at: span(statement.tokens).0, what: Wanted::Change(Change::Rows(rows)) }]))
}

/// Returns the columns that are not NULL where a condition holds, as far as its text shows.
pub(super) fn present_columns(condition: &str) -> Vec<Ident> {
    let query = ["SELECT ", condition].concat();
    let tokens: Result<Vec<Token>, Fault> = lex::Lexer::new(&query).collect();
    let parsed = tokens.and_then(|tokens| syntax::parse(&query, &tokens));
    let Ok(NodeEnum::SelectStmt(select)) = parsed else { return vec![] };
    match select.target_list.first().and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::ResTarget(target)) => target.val.as_deref().map_or(vec![], present),
        _ => vec![],
    }
}

/// `INSERT INTO t (a, b) SELECT x, y FROM s WHERE …`.
fn inserted(statement: &Statement<'_>, insert: &InsertStmt) -> Option<RowsChange> {
    let relation = insert.relation.as_ref()?;
    let plain = InsertStmt {
        relation: insert.relation.clone(),
        cols: insert.cols.clone(),
        select_stmt: insert.select_stmt.clone(),
        r#override: insert.r#override,
        ..InsertStmt::default()
    };
    let NodeEnum::SelectStmt(select) = insert.select_stmt.as_deref()?.node.as_ref()? else { return None };
    if *insert != plain || insert.cols.is_empty() || relation.alias.is_some() || !is_plain(select) {
        return None;
    }
    let [from] = select.from_clause.as_slice() else { return None };
    let (from, named) = only_table(from)?;
    let columns = insert.cols.iter().map(target_column).collect::<Option<Vec<Ident>>>()?;
    let listed = segments(clause(statement, "SELECT", &["FROM"]));
    let value = |(at, node): (usize, &Node)| {
        let Some(NodeEnum::ResTarget(target)) = &node.node else { return None };
        let tokens = listed.get(at).copied().unwrap_or_default();
        of_node(statement, target.val.as_deref()?, tokens, &named)
    };
    let values = select.target_list.iter().enumerate().map(value).collect::<Option<Vec<Expr>>>()?;
    let condition = select.where_clause.as_deref();
    let filter = match condition {
        Some(node) => Some(of_node(statement, node, clause(statement, "WHERE", &[]), &named)?),
        None => None,
    };
    (columns.len() == values.len()).then(|| RowsChange {
        into: name::table(relation).unwrap_or_else(|| from.clone()),
        columns,
        from: from.clone(),
        values,
        on: vec![],
        filter,
        present: condition.map_or(vec![], present),
    })
}

/// `UPDATE t SET a = s.x FROM s WHERE t.k = s.k`.
fn updated(statement: &Statement<'_>, update: &UpdateStmt) -> Option<RowsChange> {
    let plain = UpdateStmt {
        relation: update.relation.clone(),
        target_list: update.target_list.clone(),
        where_clause: update.where_clause.clone(),
        from_clause: update.from_clause.clone(),
        ..UpdateStmt::default()
    };
    let ([from], true) = (update.from_clause.as_slice(), *update == plain) else { return None };
    let (into, into_named) = of_relation(update.relation.as_ref()?)?;
    let (from, named) = only_table(from)?;
    let listed = segments(clause(statement, "SET", &["FROM"]));
    let mut columns = vec![];
    let mut values = vec![];
    for (at, node) in update.target_list.iter().enumerate() {
        let Some(NodeEnum::ResTarget(target)) = &node.node else { return None };
        let value = target.val.as_deref()?;
        let tokens = listed.get(at).copied().unwrap_or_default();
        let equals = tokens.iter().position(|token| token.kind == crate::token::Kind::Equals).map_or(0, |at| at + 1);
        columns.push(target_column(node)?);
        values.push(of_node(statement, value, &tokens[equals..], &named)?);
    }
    let mut on = vec![];
    for one in conjuncts(update.where_clause.as_deref()?) {
        on.push(matched(one, &into_named, &named)?);
    }
    Some(RowsChange { into, columns, from, values, on, filter: None, present: vec![] })
}

/// A query of one table, without anything that makes other rows of its rows.
fn is_plain(select: &SelectStmt) -> bool {
    let plain = SelectStmt {
        target_list: select.target_list.clone(),
        from_clause: select.from_clause.clone(),
        where_clause: select.where_clause.clone(),
        limit_option: select.limit_option,
        op: select.op,
        ..SelectStmt::default()
    };
    *select == plain
}

/// Returns a table, and the name by which its columns are qualified.
fn only_table(node: &Node) -> Option<(TableRef, TableRef)> {
    match &node.node {
        Some(NodeEnum::RangeVar(relation)) => of_relation(relation),
        _ => None,
    }
}

fn of_relation(relation: &RangeVar) -> Option<(TableRef, TableRef)> {
    let table = name::table(relation)?;
    let named = match &relation.alias {
        Some(alias) if alias.colnames.is_empty() => {
            TableRef { schema: None, name: Ident::new(&*alias.aliasname).ok()? }
        }
        Some(_) => return None,
        None => table.clone(),
    };
    relation.inh.then_some((table, named))
}

/// A column that is written as a whole.
fn target_column(node: &Node) -> Option<Ident> {
    match &node.node {
        Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => Ident::new(target.name.as_str()).ok(),
        _ => None,
    }
}

fn of_node(statement: &Statement<'_>, node: &Node, tokens: &[Token], table: &TableRef) -> Option<Expr> {
    expr::of_node(node.node.as_ref()?, statement.text, span(tokens), table).ok()
}

/// Returns the tokens between a keyword and the first of `ends`.
fn clause<'t>(statement: &Statement<'t>, word: &str, ends: &[&str]) -> &'t [Token] {
    let tokens = statement.tokens;
    let is = |words: &[&str], token: &Token| words.iter().any(|word| token.is(statement.text, word));
    let Some(begin) = find_at_top(tokens, |token| is(&[word], token)) else { return &[] };
    let rest = &tokens[begin + 1..];
    let end = find_at_top(rest, |token| is(ends, token)).unwrap_or(rest.len());
    &rest[..end]
}

/// Returns what must hold together.
fn conjuncts(node: &Node) -> Vec<&Node> {
    match &node.node {
        Some(NodeEnum::BoolExpr(logic)) if logic.boolop() == BoolExprType::AndExpr => {
            logic.args.iter().flat_map(conjuncts).collect()
        }
        _ => vec![node],
    }
}

fn present(condition: &Node) -> Vec<Ident> {
    let of = |node: &Node| {
        let Some(NodeEnum::NullTest(test)) = &node.node else { return None };
        let Some(NodeEnum::ColumnRef(column)) = &test.arg.as_deref()?.node else { return None };
        let last = name::strings(&column.fields)?.last().copied()?;
        (test.nulltesttype() == NullTestType::IsNotNull).then(|| Ident::new(last).ok()).flatten()
    };
    conjuncts(condition).into_iter().filter_map(of).collect()
}

/// Returns the columns of `t.k = s.k` or `s.k = t.k`, the one of `into` first.
fn matched(node: &Node, into: &TableRef, from: &TableRef) -> Option<(Ident, Ident)> {
    let Some(NodeEnum::AExpr(operation)) = &node.node else { return None };
    let equal = operation.kind() == AExprKind::AexprOp && name::strings(&operation.name)? == ["="];
    let left = qualified(operation.lexpr.as_deref()?)?;
    let right = qualified(operation.rexpr.as_deref()?)?;
    let is = |table: &TableRef, side: &(&str, Ident)| side.0 == table.name.as_str();
    match (left, right) {
        (left, right) if equal && is(into, &left) && is(from, &right) => Some((left.1, right.1)),
        (left, right) if equal && is(from, &left) && is(into, &right) => Some((right.1, left.1)),
        _ => None,
    }
}

/// Returns the table's name and the column of `t.c` or `s.t.c`.
fn qualified(node: &Node) -> Option<(&str, Ident)> {
    let Some(NodeEnum::ColumnRef(column)) = &node.node else { return None };
    match name::strings(&column.fields)?.as_slice() {
        [table, column] | [_, table, column] => Some((*table, Ident::new(*column).ok()?)),
        _ => None,
    }
}
