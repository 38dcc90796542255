//! What statements and commands want of an index.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, DropBehavior, DropStmt, IndexElem, IndexStmt, Node, ObjectType,
    ReindexObjectType, ReindexStmt, RenameStmt, SortByDir, SortByNulls,
};
use segue_model::change::{Change, IndexChange, IndexProperty, NewIndex};
use segue_model::ident::{Ident, TableRef};
use segue_model::sql::Written;

use super::name;
use super::statement::{Command, Statement};
use crate::grammar::{Found, Mention, Wanted, if_missing};
use crate::problem::Fault;
use crate::token::{Kind, Token, closing, find_at_top, listed, segments, span};

/// Returns what a statement wants; `None` where it is about something else.
pub(super) fn statement(statement: &Statement<'_>, node: &NodeEnum) -> Result<Option<Vec<Found>>, Fault> {
    let found = match node {
        NodeEnum::IndexStmt(index) => vec![create(statement, index)?],
        NodeEnum::DropStmt(drop) if drop.remove_type() == ObjectType::ObjectIndex => vec![drop_index(statement, drop)],
        NodeEnum::RenameStmt(rename) if rename.rename_type() == ObjectType::ObjectIndex => {
            vec![rename_index(statement, rename)?]
        }
        NodeEnum::ReindexStmt(reindex) => vec![reindex_of(statement, reindex)],
        NodeEnum::AlterTableStmt(alter) if alter.objtype() == ObjectType::ObjectIndex => alter_index(statement, alter)?,
        _ => return Ok(None),
    };
    Ok(Some(found))
}

/// Returns what a command of ALTER TABLE wants; `None` where it is about something else.
pub(super) fn command(_command: &Command<'_>, _node: &AlterTableCmd) -> Result<Option<Change>, Fault> {
    Ok(None)
}

fn found(change: IndexChange) -> Found {
    Found { at: 0, what: Wanted::Change(Change::Index(change)) }
}

fn create(statement: &Statement<'_>, index: &IndexStmt) -> Result<Found, Fault> {
    let Some(relation) = &index.relation else { return Ok(statement.other(None)) };
    let Some(table) = name::table(relation) else {
        return Ok(statement.not_yet("an index in another database", None));
    };
    if index.if_not_exists {
        return Ok(statement.not_yet(if_missing("CREATE INDEX"), Some(table)));
    }
    let (text, tokens) = (statement.text, statement.tokens);
    let (keys, include) = (listed(text, tokens, "ON"), listed(text, tokens, "INCLUDE"));
    let mut columns = mentions(&index.index_params, &keys);
    columns.extend(mentions(&index.index_including_params, &include));
    let after = statement.after_table(relation);
    let (start, end) = span(after);
    let elements = || index.index_params.iter().chain(&index.index_including_params).filter_map(element);
    let is_plain = matches!(index.access_method.as_str(), "" | "btree") && elements().all(is_plain);
    let new = NewIndex {
        name: if index.idxname.is_empty() { None } else { Some(name::ident(&index.idxname)?) },
        table,
        unique: index.unique,
        concurrently: index.concurrent,
        only: !relation.inh,
        columns: columns.iter().map(|mention| mention.column.clone()).collect(),
        keys: keys.iter().map(|tokens| key(text, tokens)).collect(),
        called: elements().map(called).collect(),
        plain_keys: (is_plain && index.where_clause.is_none()).then_some(index.index_params.len()),
        predicate: index.where_clause.as_ref().and_then(|_| predicate(text, after)),
        nulls_not_distinct: index.nulls_not_distinct,
        definition: Written::parsed(&text[start..end]),
    };
    Ok(Found { at: 0, what: Wanted::Index { change: Change::Index(IndexChange::Create(new)), columns } })
}

fn element(node: &Node) -> Option<&IndexElem> {
    match &node.node {
        Some(NodeEnum::IndexElem(element)) => Some(element),
        _ => None,
    }
}

/// Returns the plain columns among the elements of an index; `listed` are the tokens of each.
fn mentions(elements: &[Node], listed: &[&[Token]]) -> Vec<Mention> {
    let of_element = |(node, tokens): (&Node, &&[Token])| {
        let span = tokens.first().map(|token| (token.start, token.end))?;
        Some(Mention { column: Ident::new(element(node)?.name.as_str()).ok()?, span })
    };
    elements.iter().zip(listed).filter_map(of_element).collect()
}

fn is_plain(element: &IndexElem) -> bool {
    let in_order = matches!(element.ordering(), SortByDir::Undefined | SortByDir::SortbyDefault | SortByDir::SortbyAsc);
    let nulls_last = element.nulls_ordering() != SortByNulls::SortbyNullsFirst;
    let bare = element.collation.is_empty() && element.opclass.is_empty() && element.opclassopts.is_empty();
    !element.name.is_empty() && in_order && nulls_last && bare
}

/// Returns an element of a key without what follows its column or expression: an expression ends with its first parenthesis.
fn key(text: &str, tokens: &[Token]) -> Written {
    let open = tokens.iter().position(|token| token.kind == Kind::Open);
    let plain = tokens.get(1).is_none_or(|token| !matches!(token.kind, Kind::Open | Kind::Dot));
    let end = match open {
        Some(open) if open == 0 || !plain => closing(tokens, open).unwrap_or(tokens.len().saturating_sub(1)),
        _ => 0,
    };
    let (start, end) = span(tokens.get(..=end).unwrap_or_default());
    Written::parsed(&text[start..end])
}

fn predicate(text: &str, tokens: &[Token]) -> Option<Written> {
    let at = find_at_top(tokens, |token| token.is(text, "WHERE"))?;
    let (start, end) = span(tokens.get(at + 1..)?);
    Some(Written::parsed(&text[start..end]))
}

/// Returns what the server calls an element: `FigureIndexColname` of its parse_target.c.
fn called(element: &IndexElem) -> Option<Ident> {
    if !element.name.is_empty() {
        return Ident::new(element.name.as_str()).ok();
    }
    let name = figured(element.expr.as_ref()?.node.as_ref()?)?.0;
    Ident::new(name).ok()
}

/// Returns the name that an expression suggests, and whether it is a strong one.
fn figured(node: &NodeEnum) -> Option<(String, bool)> {
    let inner = |node: &Option<Box<Node>>| figured(node.as_ref()?.node.as_ref()?);
    let strong = |name: &str| Some((name.to_owned(), true));
    let last = |names: &[Node]| name::strings(names)?.last().map(|name| (*name).to_owned());
    match node {
        NodeEnum::ColumnRef(column) => strong(&last(&column.fields)?),
        NodeEnum::FuncCall(call) => strong(&last(&call.funcname)?),
        NodeEnum::AIndirection(of) => match of.indirection.last().and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::String(field)) => strong(&field.sval),
            _ => inner(&of.arg),
        },
        NodeEnum::CollateClause(clause) => inner(&clause.arg),
        NodeEnum::TypeCast(cast) => match inner(&cast.arg) {
            Some((name, true)) => Some((name, true)),
            _ => Some((last(&cast.type_name.as_ref()?.names)?, false)),
        },
        NodeEnum::CaseExpr(case) => match inner(&case.defresult) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        NodeEnum::CoalesceExpr(_) => strong("coalesce"),
        NodeEnum::MinMaxExpr(of) => strong(match of.op() {
            pg_query::protobuf::MinMaxOp::IsLeast => "least",
            _ => "greatest",
        }),
        NodeEnum::AArrayExpr(_) => strong("array"),
        NodeEnum::RowExpr(_) => strong("row"),
        NodeEnum::AExpr(of) if of.kind() == pg_query::protobuf::AExprKind::AexprNullif => strong("nullif"),
        _ => None,
    }
}

fn drop_index(statement: &Statement<'_>, drop: &DropStmt) -> Found {
    let named = drop.objects.iter().map(|node| match &node.node {
        Some(NodeEnum::List(list)) => reference(&list.items),
        _ => None,
    });
    let Some(indexes) = named.collect::<Option<Vec<TableRef>>>() else {
        return statement.not_yet("an index of another database", None);
    };
    found(IndexChange::Drop {
        indexes,
        concurrently: drop.concurrent,
        if_exists: drop.missing_ok,
        cascade: drop.behavior() == DropBehavior::DropCascade,
    })
}

fn reference(names: &[Node]) -> Option<TableRef> {
    match name::strings(names)?.as_slice() {
        [name] => Some(TableRef { schema: None, name: Ident::new(*name).ok()? }),
        [schema, name] => Some(TableRef { schema: Some(Ident::new(*schema).ok()?), name: Ident::new(*name).ok()? }),
        _ => None,
    }
}

fn rename_index(statement: &Statement<'_>, rename: &RenameStmt) -> Result<Found, Fault> {
    let Some(index) = rename.relation.as_ref().and_then(name::table) else {
        return Ok(statement.not_yet("an index of another database", None));
    };
    if rename.missing_ok {
        return Ok(statement.not_yet("ALTER INDEX IF EXISTS", None));
    }
    Ok(found(IndexChange::Rename { index, to: name::ident(&rename.newname)? }))
}

fn reindex_of(statement: &Statement<'_>, reindex: &ReindexStmt) -> Found {
    let of = reindex.relation.as_ref().and_then(name::table);
    let is_table = reindex.kind() == ReindexObjectType::ReindexObjectTable;
    let (Some(of), true) = (of, is_table || reindex.kind() == ReindexObjectType::ReindexObjectIndex) else {
        return statement.not_yet("REINDEX of a schema or database (name each table or index)", None);
    };
    let has = |wanted: &str| {
        let named = |node: &Node| matches!(&node.node, Some(NodeEnum::DefElem(option)) if option.defname == wanted);
        reindex.params.iter().any(named)
    };
    if has("tablespace") {
        return statement.not_yet("REINDEX (TABLESPACE …)", None);
    }
    found(IndexChange::Reindex { of, is_table, concurrently: has("concurrently") })
}

fn alter_index(statement: &Statement<'_>, alter: &AlterTableStmt) -> Result<Vec<Found>, Fault> {
    let Some((relation, index)) = alter.relation.as_ref().and_then(|of| Some((of, name::table(of)?))) else {
        return Ok(vec![statement.not_yet("an index of another database", None)]);
    };
    if alter.missing_ok {
        return Ok(vec![statement.not_yet("ALTER INDEX IF EXISTS", None)]);
    }
    let commands = segments(statement.after_table(relation));
    let of_command = |(at, node): (usize, &Node)| {
        let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return Ok(None) };
        alter_command(statement, &index, command, commands.get(at).copied().unwrap_or_default()).map(Some)
    };
    alter.cmds.iter().enumerate().filter_map(|pair| of_command(pair).transpose()).collect()
}

fn alter_command(
    statement: &Statement<'_>,
    index: &TableRef,
    command: &AlterTableCmd,
    tokens: &[Token],
) -> Result<Found, Fault> {
    let definition = command.def.as_ref().and_then(|node| node.node.as_ref());
    let what = match (command.subtype(), definition) {
        (AlterTableType::AtAttachPartition, Some(NodeEnum::PartitionCmd(partition))) => {
            let Some(partition) = partition.name.as_ref().and_then(name::table) else {
                return Ok(statement.not_yet("an index of another database", None));
            };
            return Ok(found(IndexChange::Attach { index: index.clone(), partition }));
        }
        (AlterTableType::AtSetRelOptions | AlterTableType::AtResetRelOptions, Some(NodeEnum::List(list))) => {
            IndexProperty::Options(options(&list.items)?)
        }
        (AlterTableType::AtSetStatistics, _) => IndexProperty::Statistics(command.num),
        (AlterTableType::AtSetTableSpace, _) => IndexProperty::Tablespace,
        _ => return Ok(statement.other(None)),
    };
    let (start, end) = span(tokens);
    let command = Written::parsed(&statement.text[start..end]);
    Ok(Found {
        at: start,
        what: Wanted::Change(Change::Index(IndexChange::Alter { index: index.clone(), what, command })),
    })
}

fn options(nodes: &[Node]) -> Result<Vec<Ident>, Fault> {
    let names = nodes.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::DefElem(option)) => Some(name::ident(&option.defname)),
        _ => None,
    });
    names.collect()
}
