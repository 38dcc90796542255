//! What statements and commands want of a constraint.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableType, ConstrType, Constraint, DropBehavior, Node};
use segue_model::catalog::ConstraintKind;
use segue_model::change::{Change, ConstraintAction, ConstraintChange, IndexParts, NewConstraint, References};
use segue_model::ident::Ident;
use segue_model::sql::Written;

use super::statement::{Command, Statement};
use super::{expr, name};
use crate::grammar::Found;
use crate::problem::Fault;
use crate::token::{Kind, Token, closing, find_at_top, span};

/// Returns what a statement wants; `None` where it is about something else.
pub(super) fn statement(_statement: &Statement<'_>, _node: &NodeEnum) -> Result<Option<Vec<Found>>, Fault> {
    Ok(None)
}

/// Returns what a command of ALTER TABLE wants; `None` where it is about something else.
pub(super) fn command(command: &Command<'_>, node: &AlterTableCmd) -> Result<Option<Change>, Fault> {
    let definition = node.def.as_ref().and_then(|node| node.node.as_ref());
    let what = match (node.subtype(), definition) {
        (AlterTableType::AtAddConstraint, Some(NodeEnum::Constraint(constraint))) => {
            added(command, constraint)?.map(ConstraintAction::Add)
        }
        (AlterTableType::AtValidateConstraint, _) => {
            Some(ConstraintAction::Validate { name: name::ident(&node.name)? })
        }
        (AlterTableType::AtDropConstraint, _) => Some(ConstraintAction::Drop {
            name: name::ident(&node.name)?,
            if_exists: node.missing_ok,
            cascade: node.behavior() == DropBehavior::DropCascade,
        }),
        (AlterTableType::AtAlterConstraint, Some(NodeEnum::AtalterConstraint(alter)))
            if !alter.alter_inheritability =>
        {
            Some(ConstraintAction::Alter {
                name: name::ident(&alter.conname)?,
                deferral: alter.alter_deferrability,
                enforced: alter.alter_enforceability.then_some(alter.is_enforced),
            })
        }
        _ => None,
    };
    Ok(what.map(|what| {
        Change::Constraint(ConstraintChange { table: command.table.clone(), what, command: command.written() })
    }))
}

/// Returns a constraint that is added; `None` for a form that this version of the grammar does not tell.
fn added(command: &Command<'_>, node: &Constraint) -> Result<Option<NewConstraint>, Fault> {
    let kind = match node.contype() {
        ConstrType::ConstrCheck => Some(ConstraintKind::Check),
        ConstrType::ConstrUnique => Some(ConstraintKind::Unique),
        ConstrType::ConstrPrimary => Some(ConstraintKind::PrimaryKey),
        ConstrType::ConstrForeign => Some(ConstraintKind::ForeignKey),
        ConstrType::ConstrExclusion => Some(ConstraintKind::Exclusion),
        ConstrType::ConstrNotnull => None,
        _ => return Ok(None),
    };
    let Some(references) = references(node) else { return Ok(None) };
    let tokens = after_name(command);
    let (check, demands) = checked(command, node, tokens)?;
    let named = if kind == Some(ConstraintKind::ForeignKey) { &node.fk_attrs } else { &node.keys };
    Ok(Some(NewConstraint {
        name: optional(&node.conname)?,
        kind,
        columns: idents(named),
        check,
        demands,
        references,
        using_index: optional(&node.indexname)?,
        index: index(command, node, tokens)?,
        // Of a NOT ENFORCED one the grammar also says that no row is checked.
        not_valid: not_valid(command, tokens).is_some(),
        not_enforced: !node.is_enforced && enforceable(kind),
        deferrable: node.deferrable,
        deferred: node.initdeferred,
        no_inherit: node.is_no_inherit,
        definition: definition(command, tokens),
    }))
}

/// Only of these the parser says whether they are enforced.
fn enforceable(kind: Option<ConstraintKind>) -> bool {
    matches!(kind, Some(ConstraintKind::Check | ConstraintKind::ForeignKey))
}

fn optional(name: &str) -> Result<Option<Ident>, Fault> {
    if name.is_empty() { Ok(None) } else { name::ident(name).map(Some) }
}

fn idents(nodes: &[Node]) -> Vec<Ident> {
    let names = name::strings(nodes).unwrap_or_default();
    names.into_iter().filter_map(|name| Ident::new(name).ok()).collect()
}

/// Returns where it points, where it points anywhere; the outer `None` where that is another database.
fn references(node: &Constraint) -> Option<Option<References>> {
    let Some(relation) = &node.pktable else { return Some(None) };
    let table = name::table(relation)?;
    let (full, period) = (node.fk_matchtype == "f", node.fk_with_period);
    Some(Some(References { table, columns: idents(&node.pk_attrs), full, period }))
}

/// Returns the tokens after `ADD` or `ADD CONSTRAINT name`.
fn after_name<'t>(command: &Command<'t>) -> &'t [Token] {
    let rest = command.tokens.get(1..).unwrap_or_default();
    match rest {
        [word, _, after @ ..] if word.is(command.text, "CONSTRAINT") => after,
        _ => rest,
    }
}

/// Returns the index of `NOT` in `NOT VALID`.
fn not_valid(command: &Command<'_>, tokens: &[Token]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = find_at_top(&tokens[from..], |token| token.is(command.text, "NOT")).map(|at| from + at) {
        if tokens.get(at + 1).is_some_and(|token| token.is(command.text, "VALID")) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Returns what stands after the name, without `NOT VALID`.
fn definition(command: &Command<'_>, tokens: &[Token]) -> Written {
    let text = |tokens: &[Token]| {
        let (start, end) = span(tokens);
        command.text[start..end].to_owned()
    };
    match not_valid(command, tokens) {
        None => Written::parsed(text(tokens)),
        Some(at) => {
            let (before, after) = (text(&tokens[..at]), text(&tokens[at + 2..]));
            // A comment to the end of the line may stand before what is cut out.
            Written::parsed([before.as_str(), after.as_str()].join("\n").trim_end().to_owned())
        }
    }
}

/// Returns the expression of a CHECK, as far as it can be taken apart, and its text.
type Checked = (Option<segue_model::expr::Expr>, Option<Written>);

fn checked(command: &Command<'_>, node: &Constraint, tokens: &[Token]) -> Result<Checked, Fault> {
    let Some(value) = node.raw_expr.as_ref().and_then(|node| node.node.as_ref()) else { return Ok((None, None)) };
    let open = tokens.iter().position(|token| token.kind == Kind::Open);
    let inside = open.and_then(|open| Some(span(&tokens[open + 1..closing(tokens, open)?])));
    let Some((start, end)) = inside else { return Ok((None, None)) };
    let demands = Written::parsed(command.text[start..end].to_owned());
    Ok((expr::of_node(value, command.text, (start, end), command.table).ok(), Some(demands)))
}

fn index(command: &Command<'_>, node: &Constraint, tokens: &[Token]) -> Result<IndexParts, Fault> {
    let with = find_at_top(tokens, |token| token.is(command.text, "WITH")).map(|at| at + 1);
    let with = with.filter(|_| !node.options.is_empty() && node.contype() != ConstrType::ConstrForeign);
    let with = with.and_then(|open| Some(span(&tokens[open..=closing(tokens, open)?])));
    Ok(IndexParts {
        include: idents(&node.including),
        nulls_not_distinct: node.nulls_not_distinct,
        with: with.map(|(start, end)| Written::parsed(command.text[start..end].to_owned())),
        tablespace: optional(&node.indexspace)?,
        without_overlaps: node.without_overlaps,
    })
}
