//! Commands of ALTER TABLE about the table as a whole, its triggers, rules and row security.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableType, Node};
use segue_model::change::{Change, ObjectChange, ObjectUndo, Restored};
use segue_model::sql::Written;

use super::super::name;
use super::super::statement::Command;
use crate::token::head;

pub(super) fn read(command: &Command<'_>, node: &AlterTableCmd) -> Option<Change> {
    use AlterTableType as T;
    let states = |what| vec![ObjectUndo::Restore(what)];
    let (fact, undo) = match node.subtype() {
        T::AtSetRelOptions => (options(node), set_back(command, node)),
        T::AtResetRelOptions => ("tab.reset", states(Restored::Options)),
        T::AtChangeOwner => ("tab.owner", states(Restored::Owner)),
        T::AtClusterOn => ("tab.cluster_on", states(Restored::Clustered)),
        T::AtDropCluster => ("tab.cluster_off", states(Restored::Clustered)),
        T::AtSetLogged => ("tab.set_logged", vec![]),
        T::AtSetUnLogged => ("tab.set_unlogged", vec![]),
        T::AtSetTableSpace => ("tab.set_tablespace", vec![]),
        T::AtSetAccessMethod => ("tab.set_access_method", vec![]),
        T::AtReplicaIdentity => (identity(command), states(Restored::ReplicaIdentity)),
        T::AtAddInherit => ("tab.inherit", vec![other_way(command, node, "NO INHERIT")?]),
        T::AtDropInherit => ("tab.no_inherit", vec![other_way(command, node, "INHERIT")?]),
        T::AtEnableTrig | T::AtEnableTrigAll | T::AtEnableTrigUser => ("trg.enable", states(Restored::TriggerStates)),
        T::AtEnableAlwaysTrig | T::AtEnableReplicaTrig => ("trg.enable_always", states(Restored::TriggerStates)),
        T::AtDisableTrig => ("trg.disable", states(Restored::TriggerStates)),
        T::AtDisableTrigAll | T::AtDisableTrigUser => ("trg.disable_all", states(Restored::TriggerStates)),
        T::AtEnableRule | T::AtEnableAlwaysRule | T::AtEnableReplicaRule => {
            ("rule.enable", states(Restored::RuleStates))
        }
        T::AtDisableRule => ("rule.disable", states(Restored::RuleStates)),
        T::AtEnableRowSecurity => ("rls.enable", states(Restored::RowSecurity)),
        T::AtDisableRowSecurity => ("rls.disable", states(Restored::RowSecurity)),
        T::AtForceRowSecurity => ("rls.force", states(Restored::RowSecurity)),
        T::AtNoForceRowSecurity => ("rls.no_force", states(Restored::RowSecurity)),
        _ => return None,
    };
    Some(Change::Object(ObjectChange {
        words: ["ALTER TABLE … ", &head(command.text, command.tokens)].concat(),
        fact,
        object: None,
        relation: None,
        table: Some(command.table.clone()),
        command: Some(command.written()),
        undo,
    }))
}

/// Options that are set; each kind of them has its fact.
fn options(node: &AlterTableCmd) -> &'static str {
    let names = names(node);
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    match () {
        () if has("user_catalog_table") => "tab.set_user_catalog",
        () if has("parallel_workers") => "tab.set_parallel_workers",
        () if has("toast_tuple_target") => "tab.set_toast_target",
        () if has("vacuum_truncate") => "tab.set_vacuum_truncate",
        () if has("fillfactor") => "tab.set_fillfactor",
        () => "tab.set_autovac",
    }
}

fn names(node: &AlterTableCmd) -> Vec<String> {
    let Some(NodeEnum::List(list)) = node.def.as_ref().and_then(|def| def.node.as_ref()) else { return vec![] };
    let name = |node: &Node| match &node.node {
        Some(NodeEnum::DefElem(option)) if option.defnamespace.is_empty() => Some(option.defname.clone()),
        Some(NodeEnum::DefElem(option)) => Some([option.defnamespace.as_str(), ".", &option.defname].concat()),
        _ => None,
    };
    list.items.iter().filter_map(name).collect()
}

/// What is set is reset, and what was set before is set again.
fn set_back(command: &Command<'_>, node: &AlterTableCmd) -> Vec<ObjectUndo> {
    let table = super::spelled(command.table);
    let names: Vec<String> =
        names(node).iter().map(|name| name.split('.').map(name::quoted).collect::<Vec<_>>().join(".")).collect();
    let reset = ["ALTER TABLE ", table.as_str(), " RESET (", &names.join(", "), ")"].concat();
    vec![ObjectUndo::Statement(Written::parsed(reset)), ObjectUndo::Restore(Restored::Options)]
}

fn identity(command: &Command<'_>) -> &'static str {
    let has = |word: &str| command.tokens.iter().any(|token| token.is(command.text, word));
    match () {
        () if has("INDEX") => "tab.replica_identity_index",
        () if has("FULL") => "tab.replica_identity_full",
        () => "tab.replica_identity_default",
    }
}

fn other_way(command: &Command<'_>, node: &AlterTableCmd, words: &str) -> Option<ObjectUndo> {
    let Some(NodeEnum::RangeVar(parent)) = node.def.as_ref().and_then(|def| def.node.as_ref()) else { return None };
    let (table, parent) = (super::spelled(command.table), super::spelled(&name::table(parent)?));
    let statement = ["ALTER TABLE ", table.as_str(), " ", words, " ", parent.as_str()].concat();
    Some(ObjectUndo::Statement(Written::parsed(statement)))
}
