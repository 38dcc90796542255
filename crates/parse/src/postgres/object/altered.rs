//! Statements that change an object, or say something about it.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterDomainStmt, AlterPublicationStmt, AlterSeqStmt, AlterTableStmt, AlterTableType, CommentStmt, DropBehavior,
    GrantStmt, GrantTargetType, Node, ObjectType, RangeVar, RefreshMatViewStmt, RenameStmt, RoleSpecType, VacuumStmt,
};
use segue_model::change::{ObjectUndo, Restored};
use segue_model::sql::Written;

use super::super::name;
use super::super::statement::Statement;
use super::{Made, bare, dotted, refused, spelled, with_arguments};
use crate::grammar::Found;
use crate::token::find_at_top;

/// `ShareLock` among the server's numbers of lock modes (`lockdefs.h`).
const SHARE: i32 = 5;

pub(super) fn read(statement: &Statement<'_>, node: &NodeEnum) -> Option<Found> {
    let made = |fact| Made::new(statement, fact);
    let found = match node {
        NodeEnum::RefreshMatViewStmt(of) => refresh(statement, of),
        NodeEnum::AlterEnumStmt(of) if of.old_val.is_empty() => made("enum.add_value").object(dotted(&of.type_name)),
        NodeEnum::AlterEnumStmt(of) => made("enum.rename_value").object(dotted(&of.type_name)),
        NodeEnum::AlterDomainStmt(of) => domain(statement, of),
        NodeEnum::AlterSeqStmt(of) => sequence(statement, of)?,
        NodeEnum::AlterPolicyStmt(of) => made("pol.alter")
            .object(bare(&of.policy_name))
            .table(of.table.as_ref())
            .undo(ObjectUndo::DropOn("POLICY"))
            .restore(Restored::Policy),
        NodeEnum::AlterStatsStmt(of) if !of.missing_ok => made("stx.alter")
            .object(dotted(&of.defnames))
            .undo(ObjectUndo::Drop("STATISTICS"))
            .restore(Restored::Statistics),
        NodeEnum::AlterFunctionStmt(of) => {
            made("fn.replace").object(with_arguments(of.func.as_ref()?)).restore(Restored::Routine)
        }
        NodeEnum::AlterPublicationStmt(of) => publication(statement, of)?,
        NodeEnum::AlterTableStmt(of) => view(statement, of)?,
        NodeEnum::AlterOwnerStmt(_) => made("obj.alter"),
        NodeEnum::RenameStmt(of) => renamed(statement, of)?,
        NodeEnum::AlterObjectSchemaStmt(of) if of.object_type() != ObjectType::ObjectTable => {
            made(match of.object_type() {
                ObjectType::ObjectView => "view.set_schema",
                ObjectType::ObjectMatview => "mv.set_schema",
                ObjectType::ObjectSequence => "seq.set_schema",
                _ => "typ.alter",
            })
            .relation(of.relation.as_ref())
        }
        NodeEnum::AlterTypeStmt(_) => made("typ.alter"),
        NodeEnum::AlterExtensionStmt(of) => made("ext.alter").object(bare(&of.extname)),
        NodeEnum::CommentStmt(of) => comment(statement, of)?,
        NodeEnum::GrantStmt(of) => return grant(statement, of),
        NodeEnum::VacuumStmt(of) => return vacuum(statement, of),
        NodeEnum::ClusterStmt(of) => made("tab.cluster").table(of.relation.as_ref()),
        NodeEnum::TruncateStmt(of) => {
            let cascade = of.behavior() == DropBehavior::DropCascade;
            made(if cascade { "tab.truncate_cascade" } else { "tab.truncate" }).table(only(&of.relations))
        }
        NodeEnum::LockStmt(of) => {
            let fact = if of.mode == SHARE { "tab.lock_share" } else { "tab.lock_default" };
            made(fact).table(only(&of.relations))
        }
        _ => return None,
    };
    Some(found.found())
}

fn only(relations: &[Node]) -> Option<&RangeVar> {
    match relations {
        [Node { node: Some(NodeEnum::RangeVar(relation)) }] => Some(relation),
        _ => None,
    }
}

fn refresh(statement: &Statement<'_>, of: &RefreshMatViewStmt) -> Made {
    let fact = if of.concurrent { "mv.refresh_conc" } else { "mv.refresh" };
    Made::new(statement, fact).relation(of.relation.as_ref())
}

fn domain(statement: &Statement<'_>, of: &AlterDomainStmt) -> Made {
    let has = |word: &str| statement.tokens.iter().any(|token| token.is(statement.text, word));
    let object = dotted(&of.type_name);
    let domain = object.as_ref().map(|object| object.as_str().to_owned()).unwrap_or_default();
    let made = |fact| Made::new(statement, fact).object(object.clone());
    let alter = |words: &str| ObjectUndo::Statement(Written::parsed(["ALTER DOMAIN ", &domain, " ", words].concat()));
    let named = match of.def.as_ref().and_then(|def| def.node.as_ref()) {
        Some(NodeEnum::Constraint(constraint)) => constraint.conname.clone(),
        _ => String::new(),
    };
    let drop = alter(&["DROP CONSTRAINT IF EXISTS ", &name::quoted(&named)].concat());
    match of.subtype.as_str() {
        "C" if named.is_empty() => made("dom.add_check"),
        "C" if has("VALID") => made("dom.add_check_nv").undo(drop),
        "C" => made("dom.add_check").undo(drop),
        "V" => made("dom.validate"),
        "O" => made("dom.set_not_null").undo(alter("DROP NOT NULL")),
        "N" => made("dom.drop_not_null"),
        "X" => made("dom.drop_constraint"),
        _ => made("dom.set_default").restore(Restored::DomainDefault),
    }
}

fn sequence(statement: &Statement<'_>, of: &AlterSeqStmt) -> Option<Made> {
    if of.missing_ok {
        return None;
    }
    let has = |wanted: &str| {
        of.options.iter().any(|node| matches!(&node.node, Some(NodeEnum::DefElem(option)) if option.defname == wanted))
    };
    let made = |fact| Made::new(statement, fact).relation(of.sequence.as_ref());
    Some(match () {
        () if has("restart") => made("seq.restart"),
        () if has("owned_by") => made("seq.set_owned").restore(Restored::SequenceOwner),
        () => made("seq.alter").restore(Restored::Sequence),
    })
}

fn publication(statement: &Statement<'_>, of: &AlterPublicationStmt) -> Option<Made> {
    let has = |word: &str| statement.tokens.get(3).is_some_and(|token| token.is(statement.text, word));
    let made = |fact| Made::new(statement, fact).object(bare(&of.pubname));
    match of.pubobjects.as_slice() {
        [] => Some(made("pub.alter").restore(Restored::Publication)),
        [Node { node: Some(NodeEnum::PublicationObjSpec(one)) }] if has("ADD") => {
            let table = one.pubtable.as_ref()?.relation.as_ref()?;
            let words = ["ALTER PUBLICATION ", &name::quoted(&of.pubname), " DROP TABLE "].concat();
            let back = [words.as_str(), spelled(&name::table(table)?).as_str()].concat();
            Some(made("pub.add").table(Some(table)).undo(ObjectUndo::Statement(Written::parsed(back))))
        }
        _ => Some(made("pub.drop_table")),
    }
}

/// ALTER VIEW, MATERIALIZED VIEW and SEQUENCE come as ALTER TABLE of another kind.
fn view(statement: &Statement<'_>, of: &AlterTableStmt) -> Option<Made> {
    let command = match of.cmds.as_slice() {
        [Node { node: Some(NodeEnum::AlterTableCmd(command)) }] if !of.missing_ok => command,
        _ => return None,
    };
    let made = |fact| Made::new(statement, fact).relation(of.relation.as_ref());
    Some(match (of.objtype(), command.subtype()) {
        (ObjectType::ObjectView, AlterTableType::AtChangeOwner) => made("view.owner").restore(Restored::Owner),
        (ObjectType::ObjectMatview, AlterTableType::AtChangeOwner) => made("mv.owner").restore(Restored::Owner),
        (ObjectType::ObjectSequence, AlterTableType::AtChangeOwner) => made("seq.owner").restore(Restored::Owner),
        (ObjectType::ObjectView, AlterTableType::AtSetRelOptions | AlterTableType::AtResetRelOptions) => {
            made("view.security").restore(Restored::ReplacedView)
        }
        (ObjectType::ObjectView, AlterTableType::AtColumnDefault) => {
            made("view.set_default").restore(Restored::ReplacedView)
        }
        _ => return None,
    })
}

/// Names inside a table are given another one; names that running code uses are refused by their fact.
fn renamed(statement: &Statement<'_>, of: &RenameStmt) -> Option<Made> {
    let made = |fact| Made::new(statement, fact);
    let on_table = |fact, what: &str| {
        let table = of.relation.as_ref().and_then(name::table)?;
        let (table, now, before) = (spelled(&table), name::quoted(&of.newname), name::quoted(&of.subname));
        let back = ["ALTER ", what, " ", &now, " ON ", table.as_str(), " RENAME TO ", &before].concat();
        Some(made(fact).table(of.relation.as_ref()).undo(ObjectUndo::Statement(Written::parsed(back))))
    };
    match of.rename_type() {
        ObjectType::ObjectTrigger => on_table("trg.rename", "TRIGGER"),
        ObjectType::ObjectPolicy => on_table("pol.rename", "POLICY"),
        ObjectType::ObjectRule => on_table("rule.rename", "RULE"),
        ObjectType::ObjectView => Some(made("view.rename").relation(of.relation.as_ref())),
        ObjectType::ObjectMatview => Some(made("mv.rename").relation(of.relation.as_ref())),
        ObjectType::ObjectSequence => Some(made("seq.rename").relation(of.relation.as_ref())),
        ObjectType::ObjectSchema => Some(made("schema.rename").object(bare(&of.subname))),
        ObjectType::ObjectColumn if of.relation_type() == ObjectType::ObjectView => {
            Some(made("view.rename_column").relation(of.relation.as_ref()))
        }
        ObjectType::ObjectType | ObjectType::ObjectDomain | ObjectType::ObjectAttribute => Some(made("typ.alter")),
        _ => None,
    }
}

fn comment(statement: &Statement<'_>, of: &CommentStmt) -> Option<Made> {
    let object = of.object.as_ref()?.node.as_ref()?;
    let is = find_at_top(statement.tokens, |token| token.is(statement.text, "IS"))?;
    let before = &statement.text[..statement.tokens.get(is)?.end];
    let (fact, object, table) = match (of.objtype(), object) {
        (ObjectType::ObjectTable, NodeEnum::List(list)) => {
            ("tab.comment", dotted(&list.items)?, relation(&list.items)?)
        }
        (ObjectType::ObjectColumn, NodeEnum::List(list)) => {
            let (_, table) = list.items.split_last()?;
            ("tab.comment_column", dotted(&list.items)?, relation(table)?)
        }
        _ => return None,
    };
    let made = Made::new(statement, fact).object(Some(object)).undo(ObjectUndo::Comment(Written::parsed(before)));
    let mut made = made;
    made.0.table = Some(table);
    Some(made)
}

fn relation(names: &[Node]) -> Option<segue_model::ident::TableRef> {
    let names = name::strings(names)?;
    let (last, schema) = names.split_last()?;
    let ident = |name: &str| segue_model::ident::Ident::new(name).ok();
    let schema = match schema {
        [] => None,
        [schema] => Some(ident(schema)?),
        _ => return None,
    };
    Some(segue_model::ident::TableRef { schema, name: ident(last)? })
}

/// Whoever the statement names has afterwards what they had before: all is revoked, and granted again.
fn grant(statement: &Statement<'_>, of: &GrantStmt) -> Option<Found> {
    if of.targtype() != GrantTargetType::AclTargetObject || of.objects.len() != 1 {
        return Some(refused(statement, "on other than one object"));
    }
    let who: Option<Vec<String>> = of.grantees.iter().map(grantee).collect();
    let who = who?.join(", ");
    let revoke = |what: &str, object: &str| {
        let sql = ["REVOKE ALL PRIVILEGES ON ", what, " ", object, " FROM ", &who].concat();
        ObjectUndo::Statement(Written::parsed(sql))
    };
    let made = |fact| Made::new(statement, fact);
    match (of.objtype(), &of.objects.first()?.node) {
        (ObjectType::ObjectTable, Some(NodeEnum::RangeVar(table))) => {
            let object = spelled(&name::table(table)?);
            let back = revoke("TABLE", object.as_str());
            let made = made("tab.grant").table(Some(table)).object(Some(object));
            Some(made.undo(back).restore(Restored::Grants).found())
        }
        (ObjectType::ObjectSchema, Some(NodeEnum::String(schema))) => {
            let back = revoke("SCHEMA", &name::quoted(&schema.sval));
            Some(made("obj.grant").object(bare(&schema.sval)).undo(back).restore(Restored::SchemaGrants).found())
        }
        _ => None,
    }
}

fn grantee(node: &Node) -> Option<String> {
    let Some(NodeEnum::RoleSpec(role)) = &node.node else { return None };
    match role.roletype() {
        RoleSpecType::RolespecCstring => Some(name::quoted(&role.rolename)),
        RoleSpecType::RolespecPublic => Some("PUBLIC".to_owned()),
        _ => None,
    }
}

fn vacuum(statement: &Statement<'_>, of: &VacuumStmt) -> Option<Found> {
    let full = of.options.iter().any(|node| matches!(&node.node, Some(NodeEnum::DefElem(o)) if o.defname == "full"));
    let table = match of.rels.as_slice() {
        [Node { node: Some(NodeEnum::VacuumRelation(one)) }] => one.relation.as_ref()?,
        _ => return Some(refused(statement, "of other than one table")),
    };
    let fact = match (of.is_vacuumcmd, full) {
        (true, true) => "tab.vacuum_full",
        (true, false) => "tab.vacuum",
        (false, _) => "tab.analyze",
    };
    Some(Made::new(statement, fact).table(Some(table)).found())
}
