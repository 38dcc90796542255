//! Statements that take objects away.

use pg_query::NodeEnum;
use pg_query::protobuf::{DropBehavior, DropStmt, Node, ObjectType};
use segue_model::change::{ObjectUndo, Restored};
use segue_model::ident::{Ident, TableRef};

use super::super::name;
use super::super::statement::Statement;
use super::{Made, bare, dotted, refused, with_arguments};
use crate::grammar::Found;

pub(super) fn read(statement: &Statement<'_>, node: &NodeEnum) -> Option<Found> {
    let NodeEnum::DropStmt(of) = node else { return None };
    let kind = kind(of.remove_type())?;
    if of.behavior() == DropBehavior::DropCascade {
        return Some(refused(statement, "… CASCADE, which takes away what is not named"));
    }
    if of.missing_ok {
        return Some(refused(statement, "(leave IF EXISTS out: a rollback makes again what was there)"));
    }
    match of.objects.as_slice() {
        [one] => Some(dropped(statement, of, kind, one)?.found()),
        _ => Some(super::created::several(statement)),
    }
}

/// The fact, and what makes it again; `None` where nothing does.
type Kind = (&'static str, Option<Restored>);

fn kind(of: ObjectType) -> Option<Kind> {
    Some(match of {
        ObjectType::ObjectView => ("view.drop", Some(Restored::View)),
        ObjectType::ObjectMatview => ("mv.drop", Some(Restored::MaterializedView)),
        ObjectType::ObjectSequence => ("seq.drop", None),
        ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine => {
            ("fn.drop", Some(Restored::Routine))
        }
        ObjectType::ObjectTrigger => ("trg.drop", Some(Restored::Trigger)),
        ObjectType::ObjectPolicy => ("pol.drop", Some(Restored::Policy)),
        ObjectType::ObjectRule => ("rule.drop", Some(Restored::Rule)),
        ObjectType::ObjectStatisticExt => ("stx.drop", Some(Restored::Statistics)),
        ObjectType::ObjectSchema => ("schema.drop", Some(Restored::Schema)),
        ObjectType::ObjectType => ("typ.drop", None),
        ObjectType::ObjectDomain => ("dom.drop", None),
        ObjectType::ObjectExtension => ("ext.drop", None),
        ObjectType::ObjectPublication => ("pub.drop", None),
        _ => return None,
    })
}

fn dropped(statement: &Statement<'_>, of: &DropStmt, (fact, restored): Kind, one: &Node) -> Option<Made> {
    let made = Made::new(statement, fact);
    let made = match (of.remove_type(), &one.node) {
        (ObjectType::ObjectTrigger | ObjectType::ObjectPolicy | ObjectType::ObjectRule, Some(NodeEnum::List(list))) => {
            let names = name::strings(&list.items)?;
            let (object, table) = names.split_last()?;
            let mut made = made.object(bare(object));
            made.0.table = Some(table_of(table)?);
            made
        }
        (
            ObjectType::ObjectView | ObjectType::ObjectMatview | ObjectType::ObjectSequence,
            Some(NodeEnum::List(list)),
        ) => {
            let names = name::strings(&list.items)?;
            let mut made = made.object(dotted(&list.items));
            made.0.relation = Some(table_of(&names)?);
            made
        }
        (_, Some(NodeEnum::ObjectWithArgs(routine))) => made.object(Some(with_arguments(routine)?)),
        (_, Some(NodeEnum::List(list))) => made.object(dotted(&list.items)),
        (_, Some(NodeEnum::String(name))) => made.object(bare(&name.sval)),
        (_, Some(NodeEnum::TypeName(name))) => made.object(dotted(&name.names)),
        _ => return None,
    };
    Some(match restored {
        Some(restored) => made.undo(ObjectUndo::Restore(restored)),
        None => made,
    })
}

fn table_of(names: &[&str]) -> Option<TableRef> {
    let (name, schema) = names.split_last()?;
    let schema = match schema {
        [] => None,
        [schema] => Some(Ident::new(*schema).ok()?),
        _ => return None,
    };
    Some(TableRef { schema, name: Ident::new(*name).ok()? })
}
