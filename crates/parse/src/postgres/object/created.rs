//! Statements that make an object, or make it anew.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CreateFunctionStmt, CreatePublicationStmt, CreateStatsStmt, CreateTableAsStmt, CreateTrigStmt,
    FunctionParameterMode, Node, ObjectType, RangeVar, RuleStmt, ViewStmt,
};
use segue_model::change::{ObjectUndo, Restored};
use segue_model::sql::Written;

use super::super::name;
use super::super::statement::Statement;
use super::{Made, bare, dotted, refused};
use crate::grammar::{Found, if_missing};
use crate::token::head;

const SEVERAL: &str = "of several tables in one statement";

pub(super) fn read(statement: &Statement<'_>, node: &NodeEnum) -> Option<Found> {
    let made = |fact| Made::new(statement, fact);
    let found = match node {
        NodeEnum::ViewStmt(of) => view(statement, of)?,
        NodeEnum::CreateTableAsStmt(of) => table_as(statement, of)?,
        NodeEnum::CreateFunctionStmt(of) => routine(statement, of)?,
        NodeEnum::CreateTrigStmt(of) => trigger(statement, of),
        NodeEnum::RuleStmt(of) => rule(statement, of)?,
        NodeEnum::CreatePolicyStmt(of) => {
            made("pol.create").object(bare(&of.policy_name)).table(of.table.as_ref()).undo(ObjectUndo::DropOn("POLICY"))
        }
        NodeEnum::CreateEnumStmt(of) => made("enum.create").object(dotted(&of.type_name)).drop("TYPE"),
        NodeEnum::CompositeTypeStmt(of) => {
            let name = of.typevar.as_ref().and_then(name::table);
            made("typ.create").object(name.as_ref().map(super::spelled)).drop("TYPE")
        }
        NodeEnum::CreateRangeStmt(of) => made("typ.create").object(dotted(&of.type_name)).drop("TYPE"),
        NodeEnum::CreateDomainStmt(of) => made("dom.create").object(dotted(&of.domainname)).drop("DOMAIN"),
        NodeEnum::CreateSeqStmt(of) if of.if_not_exists => return Some(missing(statement)),
        NodeEnum::CreateSeqStmt(of) => made("seq.create").relation(of.sequence.as_ref()).drop("SEQUENCE"),
        NodeEnum::CreateSchemaStmt(of) if of.if_not_exists => return Some(missing(statement)),
        NodeEnum::CreateSchemaStmt(of) if !of.schema_elts.is_empty() => {
            return Some(refused(statement, "with its objects in one statement"));
        }
        NodeEnum::CreateSchemaStmt(of) => made("schema.create").object(bare(&of.schemaname)).drop("SCHEMA"),
        // Others may need what it brings, so it stays; where it is there, nothing is done.
        NodeEnum::CreateExtensionStmt(of) => made("ext.create").object(bare(&of.extname)),
        NodeEnum::CreateStatsStmt(of) => statistics(statement, of)?,
        NodeEnum::CreatePublicationStmt(of) => publication(statement, of)?,
        _ => return None,
    };
    Some(found.found())
}

fn missing(statement: &Statement<'_>) -> Found {
    let words: Vec<String> = head(statement.text, statement.tokens).split(' ').take(2).map(str::to_owned).collect();
    crate::grammar::not_yet(0, if_missing(&words.join(" ")), None)
}

fn view(statement: &Statement<'_>, of: &ViewStmt) -> Option<Made> {
    let view = of.view.as_ref().filter(|view| view.relpersistence != "t")?;
    let fact = if of.replace { "view.replace" } else { "view.create" };
    let made = Made::new(statement, fact).relation(Some(view));
    Some(if of.replace { made.restore(Restored::ReplacedView) } else { made.drop("VIEW") })
}

fn table_as(statement: &Statement<'_>, of: &CreateTableAsStmt) -> Option<Made> {
    let into = of.into.as_ref()?.rel.as_ref().filter(|into| into.relpersistence != "t")?;
    if of.if_not_exists {
        return None;
    }
    let made = |fact| Made::new(statement, fact);
    Some(match of.objtype() {
        ObjectType::ObjectMatview => made("mv.create").relation(Some(into)).drop("MATERIALIZED VIEW"),
        _ => made("tab.create_as").relation(Some(into)).drop("TABLE"),
    })
}

fn routine(statement: &Statement<'_>, of: &CreateFunctionStmt) -> Option<Made> {
    let types = of.parameters.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::FunctionParameter(parameter)) => Some(parameter),
        _ => None,
    });
    let outward = [FunctionParameterMode::FuncParamOut, FunctionParameterMode::FuncParamTable];
    let types = types.filter(|parameter| of.is_procedure || !outward.contains(&parameter.mode()));
    let types: Option<Vec<String>> =
        types.map(|parameter| parameter.arg_type.as_ref().and_then(name::spelled_type)).collect();
    let object = [dotted(&of.funcname)?.as_str(), "(", &types?.join(", "), ")"].concat();
    let made = Made::new(statement, if of.replace { "fn.replace" } else { "fn.create" });
    let made = made.object(Some(Written::parsed(object)));
    Some(match (of.replace, of.is_procedure) {
        (true, _) => made.restore(Restored::Routine),
        (false, true) => made.drop("PROCEDURE"),
        (false, false) => made.drop("FUNCTION"),
    })
}

fn trigger(statement: &Statement<'_>, of: &CreateTrigStmt) -> Made {
    let made = Made::new(statement, if of.replace { "trg.create_or_replace" } else { "trg.create" });
    let made = made.object(bare(&of.trigname)).table(of.relation.as_ref()).undo(ObjectUndo::DropOn("TRIGGER"));
    if of.replace { made.restore(Restored::Trigger) } else { made }
}

fn rule(statement: &Statement<'_>, of: &RuleStmt) -> Option<Made> {
    let made = Made::new(statement, "rule.create").object(bare(&of.rulename)).table(of.relation.as_ref());
    let made = made.undo(ObjectUndo::DropOn("RULE"));
    Some(if of.replace { made.restore(Restored::Rule) } else { made })
}

fn only(relations: &[Node]) -> Option<&RangeVar> {
    match relations {
        [Node { node: Some(NodeEnum::RangeVar(relation)) }] => Some(relation),
        _ => None,
    }
}

fn statistics(statement: &Statement<'_>, of: &CreateStatsStmt) -> Option<Made> {
    if of.if_not_exists || of.defnames.is_empty() {
        return None;
    }
    let relation = only(&of.relations)?;
    Some(Made::new(statement, "stx.create").object(dotted(&of.defnames)).table(Some(relation)).drop("STATISTICS"))
}

fn publication(statement: &Statement<'_>, of: &CreatePublicationStmt) -> Option<Made> {
    let made = |fact| Made::new(statement, fact).object(bare(&of.pubname)).drop("PUBLICATION");
    match of.pubobjects.as_slice() {
        [] => Some(made("pub.alter")),
        [Node { node: Some(NodeEnum::PublicationObjSpec(one)) }] => {
            let table = one.pubtable.as_ref()?.relation.as_ref()?;
            Some(made("pub.create").table(Some(table)))
        }
        _ => None,
    }
}

/// Returns what a statement over several tables is refused with.
pub(super) fn several(statement: &Statement<'_>) -> Found {
    refused(statement, SEVERAL)
}
