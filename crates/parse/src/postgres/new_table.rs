//! What a CREATE TABLE says of its table.

use pg_query::NodeEnum;
use pg_query::protobuf::{ColumnDef, ConstrType, Constraint, CreateStmt, Node};
use segue_model::change::{NewReference, NewTable, NewTableColumn};
use segue_model::ident::Ident;
use segue_model::sql::TypeName;

use super::statement::is_serial;
use super::{lex, name, syntax};
use crate::problem::Fault;
use crate::token::Token;

/// Returns what the statement says; `None` where it is no CREATE TABLE.
pub(super) fn read(text: &str) -> Option<NewTable> {
    let tokens: Result<Vec<Token>, Fault> = lex::Lexer::new(text).collect();
    let NodeEnum::CreateStmt(create) = syntax::parse(text, &tokens.ok()?).ok()? else { return None };
    let mut new = NewTable::default();
    new.others.extend(of_whole(&create).into_iter().map(str::to_owned));
    for element in create.table_elts.iter().chain(&create.constraints) {
        match &element.node {
            Some(NodeEnum::ColumnDef(column)) => add_column(&mut new, column),
            Some(NodeEnum::Constraint(constraint)) => add_constraint(&mut new, constraint, None),
            Some(NodeEnum::TableLikeClause(_)) => new.others.push("LIKE".to_owned()),
            _ => new.others.push("such a definition".to_owned()),
        }
    }
    Some(new)
}

fn of_whole(create: &CreateStmt) -> Vec<&'static str> {
    let said = [
        (create.partspec.is_some(), "PARTITION BY"),
        (create.partbound.is_some(), "PARTITION OF"),
        (!create.inh_relations.is_empty(), "INHERITS"),
        (create.of_typename.is_some(), "OF"),
    ];
    said.iter().filter(|(said, _)| *said).map(|(_, words)| *words).collect()
}

fn add_column(new: &mut NewTable, column: &ColumnDef) {
    let Ok(name) = Ident::new(column.colname.as_str()) else { return };
    let spelled = column.type_name.as_ref().and_then(name::spelled_type);
    let serial = spelled.as_deref().is_some_and(is_serial);
    new.columns.push(NewTableColumn {
        name: name.clone(),
        type_name: spelled.filter(|_| !serial).map(TypeName::spelled),
        not_null: serial,
        has_value: serial,
        always: false,
    });
    for node in &column.constraints {
        if let Some(NodeEnum::Constraint(constraint)) = &node.node {
            add_constraint(new, constraint, Some(&name));
        }
    }
}

/// Adds a constraint of the table, or of the column that was added last.
fn add_constraint(new: &mut NewTable, constraint: &Constraint, column: Option<&Ident>) {
    let own = |listed: &[Node]| -> Vec<Ident> { column.map_or_else(|| idents(listed), |column| vec![column.clone()]) };
    let last = new.columns.last_mut().filter(|_| column.is_some());
    match constraint.contype() {
        ConstrType::ConstrNull => {}
        ConstrType::ConstrNotnull => set_not_null(new, &own(&constraint.keys)),
        ConstrType::ConstrDefault => last.into_iter().for_each(|column| column.has_value = true),
        ConstrType::ConstrIdentity => last.into_iter().for_each(|column| {
            column.has_value = true;
            column.not_null = true;
            column.always = constraint.generated_when == "a";
        }),
        ConstrType::ConstrGenerated => last.into_iter().for_each(|column| {
            column.has_value = true;
            column.always = true;
        }),
        ConstrType::ConstrPrimary | ConstrType::ConstrUnique => {
            let key = own(&constraint.keys);
            if constraint.contype() == ConstrType::ConstrPrimary {
                set_not_null(new, &key);
            }
            if constraint.deferrable || key.is_empty() {
                new.others.push("a key that is DEFERRABLE".to_owned());
            } else {
                new.keys.push(key);
            }
        }
        ConstrType::ConstrForeign => add_reference(new, constraint, own(&constraint.fk_attrs)),
        ConstrType::ConstrCheck => new.others.push("CHECK".to_owned()),
        ConstrType::ConstrExclusion => new.others.push("EXCLUDE".to_owned()),
        // It is said of the constraint before it: harmless of a foreign key, not of a key.
        ConstrType::ConstrAttrDeferrable | ConstrType::ConstrAttrDeferred => {
            let of_key = column.is_some_and(|column| new.keys.iter().any(|key| key == std::slice::from_ref(column)));
            if of_key {
                new.others.push("a key that may be DEFERRABLE".to_owned());
            }
        }
        ConstrType::ConstrAttrNotDeferrable
        | ConstrType::ConstrAttrImmediate
        | ConstrType::ConstrAttrEnforced
        | ConstrType::ConstrAttrNotEnforced
        | ConstrType::Undefined => {}
    }
}

fn add_reference(new: &mut NewTable, constraint: &Constraint, columns: Vec<Ident>) {
    match constraint.pktable.as_ref().and_then(name::table) {
        Some(table) => new.references.push(NewReference { columns, table, referenced: idents(&constraint.pk_attrs) }),
        None => new.others.push("REFERENCES a table of another database".to_owned()),
    }
}

fn set_not_null(new: &mut NewTable, columns: &[Ident]) {
    new.columns.iter_mut().filter(|column| columns.contains(&column.name)).for_each(|column| column.not_null = true);
}

fn idents(nodes: &[Node]) -> Vec<Ident> {
    let names = name::strings(nodes).unwrap_or_default();
    names.into_iter().filter_map(|name| Ident::new(name).ok()).collect()
}
