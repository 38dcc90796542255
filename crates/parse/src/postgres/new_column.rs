//! The clauses of a column that is added, each with its own text.

use pg_query::NodeEnum;
use pg_query::protobuf::{ColumnDef, ConstrType, Constraint, Node};
use segue_model::change::{
    ColumnCheck, ColumnDetails, ColumnKey, ColumnReferences, Generated, NewIdentity, References,
};
use segue_model::ident::Ident;
use segue_model::sql::Written;

use super::statement::Command;
use super::{expr, name};
use crate::problem::Fault;
use crate::token::{Kind, Token, closing, find_at_top, span};

/// Options of an identity that say which sequence it is rather than how it counts.
const OF_SEQUENCE: &[&str] = &["sequence_name", "owned_by", "logged", "unlogged", "as"];

/// A clause and its words.
struct Clause<'t> {
    constraint: &'t Constraint,
    tokens: &'t [Token],
}

/// To which list the constraint belongs that was read last.
#[derive(Clone, Copy)]
enum Last {
    Check,
    Key,
    References,
    Other,
}

/// Returns the clauses of a new column.
pub(super) fn details(command: &Command<'_>, column: &ColumnDef, spelled: &str) -> Result<ColumnDetails, Fault> {
    let mut details = ColumnDetails {
        command: Some(command.written()),
        plain: plain(command, column),
        serial: serial(spelled),
        ..ColumnDetails::default()
    };
    let mut last = Last::Other;
    for clause in clauses(command, column) {
        last = take(command, &clause, last, &mut details)?;
    }
    Ok(details)
}

/// Returns the constraints of a column.
pub(super) fn constraints(column: &ColumnDef) -> impl Iterator<Item = &Constraint> {
    column.constraints.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::Constraint(constraint)) => Some(&**constraint),
        _ => None,
    })
}

/// Returns where the clauses of the column begin, sorted.
fn starts(column: &ColumnDef) -> Vec<usize> {
    let collate = column.coll_clause.iter().map(|clause| clause.location);
    let all = constraints(column).map(|constraint| constraint.location).chain(collate);
    let mut all: Vec<usize> = all.filter_map(|at| usize::try_from(at).ok()).collect();
    all.sort_unstable();
    all
}

/// Returns the words from `begin` to the next clause.
fn words<'t>(command: &Command<'t>, starts: &[usize], begin: usize) -> &'t [Token] {
    let next = starts.iter().find(|start| **start > begin);
    let from = command.tokens.partition_point(|token| token.start < begin);
    let to = next.map_or(command.tokens.len(), |next| command.tokens.partition_point(|token| token.start < *next));
    &command.tokens[from..to]
}

fn clauses<'t>(command: &Command<'t>, column: &'t ColumnDef) -> Vec<Clause<'t>> {
    let starts = starts(column);
    let clause = |constraint: &'t Constraint| {
        let begin = usize::try_from(constraint.location).ok()?;
        Some(Clause { constraint, tokens: words(command, &starts, begin) })
    };
    constraints(column).filter_map(clause).collect()
}

fn written(command: &Command<'_>, tokens: &[Token]) -> Written {
    let (start, end) = span(tokens);
    Written::parsed(&command.text[start..end])
}

/// Returns what must be said when the column is added, in the order that the grammar wants.
fn plain(command: &Command<'_>, column: &ColumnDef) -> Vec<Written> {
    let kind = column.type_name.as_ref().and_then(|name| usize::try_from(name.location).ok()).unwrap_or(0);
    let starts = starts(column);
    let first = starts.first().copied().unwrap_or(usize::MAX);
    let before: Vec<Token> =
        command.tokens.iter().filter(|token| token.start > kind && token.start < first).copied().collect();
    let of = |word: &str, is_there: bool| {
        let at = find_at_top(&before, |token| token.is(command.text, word)).filter(|_| is_there)?;
        Some(written(command, before.get(at..at + 2)?))
    };
    let storage = of("STORAGE", !column.storage_name.is_empty());
    let compression = of("COMPRESSION", !column.compression.is_empty());
    let collate = column.coll_clause.as_ref().and_then(|clause| usize::try_from(clause.location).ok());
    let collate = collate.map(|begin| written(command, words(command, &starts, begin)));
    storage.into_iter().chain(compression).chain(collate).collect()
}

fn serial(spelled: &str) -> Option<&'static str> {
    match spelled {
        "smallserial" | "serial2" => Some("pg_catalog.int2"),
        "serial" | "serial4" => Some("pg_catalog.int4"),
        "bigserial" | "serial8" => Some("pg_catalog.int8"),
        _ => None,
    }
}

fn take(command: &Command<'_>, clause: &Clause<'_>, last: Last, details: &mut ColumnDetails) -> Result<Last, Fault> {
    let Clause { constraint, tokens } = *clause;
    let bare = if constraint.conname.is_empty() { tokens } else { tokens.get(2..).unwrap_or_default() };
    let named = match constraint.conname.as_str() {
        "" => None,
        named => Some(name::ident(named)?),
    };
    match constraint.contype() {
        ConstrType::ConstrDefault => details.default = Some(written(command, bare.get(1..).unwrap_or_default())),
        ConstrType::ConstrNotnull => details.not_null_name = named,
        ConstrType::ConstrCheck => {
            details.checks.push(check(command, constraint, bare, named));
            return Ok(Last::Check);
        }
        ConstrType::ConstrUnique | ConstrType::ConstrPrimary => {
            details.keys.push(key(command, constraint, bare, named)?);
            return Ok(Last::Key);
        }
        ConstrType::ConstrForeign => {
            details.references.extend(references(command, constraint, bare, named)?);
            return Ok(Last::References);
        }
        ConstrType::ConstrIdentity => details.identity = Some(identity(command, constraint, bare)),
        ConstrType::ConstrGenerated => {
            let stored = constraint.generated_kind == "s";
            details.generated = Some(if stored { Generated::Stored } else { Generated::Virtual });
        }
        ConstrType::ConstrAttrDeferrable
        | ConstrType::ConstrAttrNotDeferrable
        | ConstrType::ConstrAttrDeferred
        | ConstrType::ConstrAttrImmediate
        | ConstrType::ConstrAttrEnforced
        | ConstrType::ConstrAttrNotEnforced => {
            attribute(command, constraint.contype(), tokens, last, details);
            return Ok(last);
        }
        ConstrType::Undefined | ConstrType::ConstrNull | ConstrType::ConstrExclusion => {}
    }
    Ok(Last::Other)
}

fn check(command: &Command<'_>, constraint: &Constraint, tokens: &[Token], name: Option<Ident>) -> ColumnCheck {
    let condition = constraint.raw_expr.as_ref().and_then(|node| node.node.as_ref());
    let read = condition.and_then(|node| expr::of_node(node, command.text, span(tokens), command.table).ok());
    let columns = read.map(|expr| expr.columns().into_iter().cloned().collect()).unwrap_or_default();
    ColumnCheck { name, definition: written(command, tokens), columns, not_enforced: false }
}

fn key(
    command: &Command<'_>,
    constraint: &Constraint,
    tokens: &[Token],
    name: Option<Ident>,
) -> Result<ColumnKey, Fault> {
    let with = find_at_top(tokens, |token| token.is(command.text, "WITH")).filter(|_| !constraint.options.is_empty());
    let end = |at: usize| closing(tokens, at + 1);
    let storage = with.and_then(|at| Some(written(command, tokens.get(at..=end(at)?)?)));
    let tablespace = match constraint.indexspace.as_str() {
        "" => None,
        space => Some(self::name::ident(space)?),
    };
    Ok(ColumnKey {
        name,
        primary: constraint.contype() == ConstrType::ConstrPrimary,
        nulls_not_distinct: constraint.nulls_not_distinct,
        storage,
        tablespace,
        attributes: vec![],
    })
}

fn references(
    command: &Command<'_>,
    constraint: &Constraint,
    tokens: &[Token],
    name: Option<Ident>,
) -> Result<Option<ColumnReferences>, Fault> {
    let Some(table) = constraint.pktable.as_ref().and_then(self::name::table) else { return Ok(None) };
    let names = self::name::strings(&constraint.pk_attrs).unwrap_or_default();
    let columns: Result<Vec<Ident>, Fault> = names.into_iter().map(self::name::ident).collect();
    let full = constraint.fk_matchtype == "f";
    let to = References { table, columns: columns?, full, period: false };
    Ok(Some(ColumnReferences { name, to, definition: written(command, tokens), not_enforced: false }))
}

fn identity(command: &Command<'_>, constraint: &Constraint, tokens: &[Token]) -> NewIdentity {
    let open = tokens.iter().position(|token| token.kind == Kind::Open);
    let options = open.and_then(|open| Some(written(command, tokens.get(open + 1..closing(tokens, open)?)?)));
    let names_sequence = constraint.options.iter().any(of_sequence);
    let options = options.filter(|options| !options.as_str().is_empty());
    NewIdentity { always: constraint.generated_when == "a", options, names_sequence }
}

fn of_sequence(option: &Node) -> bool {
    matches!(&option.node, Some(NodeEnum::DefElem(option)) if OF_SEQUENCE.contains(&option.defname.as_str()))
}

/// What is said of the constraint before it belongs to its definition.
fn attribute(command: &Command<'_>, of: ConstrType, tokens: &[Token], last: Last, details: &mut ColumnDetails) {
    let text = written(command, tokens);
    let not_enforced = of == ConstrType::ConstrAttrNotEnforced;
    let longer = |definition: &Written| Written::parsed([definition.as_str(), " ", text.as_str()].concat());
    match last {
        Last::Check => {
            if let Some(check) = details.checks.last_mut() {
                check.definition = longer(&check.definition);
                check.not_enforced |= not_enforced;
            }
        }
        Last::References => {
            if let Some(references) = details.references.last_mut() {
                references.definition = longer(&references.definition);
                references.not_enforced |= not_enforced;
            }
        }
        Last::Key => {
            if let Some(key) = details.keys.last_mut() {
                key.attributes.push(text);
            }
        }
        Last::Other => {}
    }
}
