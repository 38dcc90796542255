//! What statements and commands want of a partition.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableType, CreateStmt, Node, PartitionBoundSpec};
use segue_model::change::{Bound, BoundKind, BoundValue, Change, PartitionAction, PartitionChange};
use segue_model::sql::Written;

use super::name;
use super::statement::{Command, Statement};
use crate::grammar::{Found, Wanted};
use crate::problem::Fault;
use crate::token::{Kind, Token, closing, find_at_top, listed, span};

/// Returns what a statement wants; `None` where it is about something else.
pub(super) fn statement(statement: &Statement<'_>, node: &NodeEnum) -> Result<Option<Vec<Found>>, Fault> {
    let NodeEnum::CreateStmt(create) = node else { return Ok(None) };
    let Some(spec) = create.partbound.as_ref() else { return Ok(None) };
    if create.if_not_exists || create.relation.as_ref().is_some_and(|relation| relation.relpersistence == "t") {
        return Ok(None);
    }
    let change = created(statement, create, spec);
    Ok(change.map(|change| vec![Found { at: 0, what: Wanted::Change(Change::Partition(change)) }]))
}

/// Returns what a command of ALTER TABLE wants; `None` where it is about something else.
pub(super) fn command(command: &Command<'_>, node: &AlterTableCmd) -> Result<Option<Change>, Fault> {
    let Some(NodeEnum::PartitionCmd(partition)) = node.def.as_ref().and_then(|node| node.node.as_ref()) else {
        return Ok(None);
    };
    let what = match (node.subtype(), partition.bound.as_ref()) {
        (AlterTableType::AtAttachPartition, Some(spec)) => {
            let Some((bound, _)) = bound(command.text, command.tokens, spec) else { return Ok(None) };
            PartitionAction::Attach { bound }
        }
        (AlterTableType::AtDetachPartition, _) => {
            PartitionAction::Detach { concurrently: partition.concurrent, finalize: false }
        }
        (AlterTableType::AtDetachPartitionFinalize, _) => {
            PartitionAction::Detach { concurrently: true, finalize: true }
        }
        _ => return Ok(None),
    };
    let Some(partition) = partition.name.as_ref().and_then(name::table) else { return Ok(None) };
    Ok(Some(Change::Partition(PartitionChange { table: command.table.clone(), partition, what })))
}

fn created(statement: &Statement<'_>, create: &CreateStmt, spec: &PartitionBoundSpec) -> Option<PartitionChange> {
    let Some(NodeEnum::RangeVar(parent)) = &create.inh_relations.first()?.node else { return None };
    let (bound, tail) = bound(statement.text, statement.tokens, spec)?;
    let own = !create.table_elts.is_empty() || !create.constraints.is_empty();
    Some(PartitionChange {
        table: name::table(parent)?,
        partition: name::table(create.relation.as_ref()?)?,
        what: PartitionAction::Create { bound, tail, own },
    })
}

/// Returns the bound, and what stands after it.
fn bound(text: &str, tokens: &[Token], spec: &PartitionBoundSpec) -> Option<(Bound, Option<Written>)> {
    let written = |tokens: &[Token]| {
        let (start, end) = span(tokens);
        Written::parsed(&text[start..end])
    };
    let begin = if spec.is_default { "DEFAULT" } else { "FOR" };
    let at = find_at_top(tokens, |token| token.is(text, begin))?;
    let rest = &tokens[at..];
    let end = match spec.strategy.as_str() {
        _ if spec.is_default => 0,
        "r" => after_list(text, rest, "TO")?,
        "l" => after_list(text, rest, "IN")?,
        _ => after_list(text, rest, "WITH")?,
    };
    let (own, tail) = rest.split_at(end + 1);
    let values = |keyword: &'static str| listed(text, own, keyword);
    let what = match spec.strategy.as_str() {
        _ if spec.is_default => BoundKind::Default,
        "r" => BoundKind::Range {
            from: values("FROM").into_iter().map(|tokens| value(text, tokens)).collect(),
            to: values("TO").into_iter().map(|tokens| value(text, tokens)).collect(),
        },
        "l" => {
            let item =
                |tokens: &[Token]| (!tokens.first().is_some_and(|t| t.is(text, "NULL"))).then(|| written(tokens));
            BoundKind::List(values("IN").into_iter().map(item).collect())
        }
        "h" => BoundKind::Hash { modulus: spec.modulus, remainder: spec.remainder },
        _ => return None,
    };
    let datums = spec.listdatums.iter().chain(&spec.lowerdatums).chain(&spec.upperdatums);
    let bound = Bound { written: written(own), what, constant: datums.into_iter().all(is_constant) };
    Some((bound, (!tail.is_empty()).then(|| written(tail))))
}

/// Returns the index of the parenthesis that closes the list after a keyword.
fn after_list(text: &str, tokens: &[Token], keyword: &str) -> Option<usize> {
    let at = find_at_top(tokens, |token| token.is(text, keyword))?;
    let open = tokens.iter().enumerate().skip(at).find(|(_, token)| token.kind == Kind::Open)?.0;
    closing(tokens, open)
}

fn value(text: &str, tokens: &[Token]) -> BoundValue {
    match tokens {
        [one] if one.is(text, "MINVALUE") => BoundValue::Least,
        [one] if one.is(text, "MAXVALUE") => BoundValue::Greatest,
        _ => {
            let (start, end) = span(tokens);
            BoundValue::Value(Written::parsed(&text[start..end]))
        }
    }
}

/// A literal, perhaps with its type or a sign, or the end of all values.
fn is_constant(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(_) | NodeEnum::ColumnRef(_) | NodeEnum::PartitionRangeDatum(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_ref().is_some_and(|arg| is_constant(arg)),
        Some(NodeEnum::AExpr(of)) => of.lexpr.is_none() && of.rexpr.as_ref().is_some_and(|inner| is_constant(inner)),
        _ => false,
    }
}
