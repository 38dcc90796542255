//! What is there before, as the server prints it.

use segue_model::change::{ObjectChange, ObjectUndo, Restored};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql, Written};
use segue_model::value::Value;

use super::super::sql;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Queries that print statements, in the order in which these run.
fn queries(what: Restored) -> &'static [(&'static str, &'static str)] {
    const OWNER: (&str, &str) = ("owner", include_str!("owner.sql"));
    const GRANTS: (&str, &str) = ("grants", include_str!("grants.sql"));
    const COMMENTS: (&str, &str) = ("comments", include_str!("comments.sql"));
    const DEFAULTS: (&str, &str) = ("defaults", include_str!("view_defaults.sql"));
    const INSTEAD: (&str, &str) = ("instead", include_str!("instead.sql"));
    match what {
        Restored::View => &[("view", include_str!("view.sql")), DEFAULTS, INSTEAD, OWNER, GRANTS, COMMENTS],
        Restored::ReplacedView => {
            &[("replaced view", include_str!("replaced_view.sql")), DEFAULTS, OWNER, GRANTS, COMMENTS]
        }
        Restored::MaterializedView => &[("materialized", include_str!("materialized.sql")), OWNER, GRANTS, COMMENTS],
        Restored::Routine => &[("routine", include_str!("routine.sql"))],
        Restored::Trigger => &[("trigger", include_str!("trigger.sql"))],
        Restored::Policy => &[("policy", include_str!("policy.sql"))],
        Restored::Rule => &[("rule", include_str!("rule.sql"))],
        Restored::Sequence => &[("sequence", include_str!("sequence.sql"))],
        Restored::SequenceOwner => &[("sequence owner", include_str!("sequence_owner.sql"))],
        Restored::Statistics => &[("statistics", include_str!("statistics.sql"))],
        Restored::Owner => &[OWNER],
        Restored::Options => &[("options", include_str!("options.sql"))],
        Restored::ReplicaIdentity => &[("replica identity", include_str!("replica_identity.sql"))],
        Restored::Clustered => &[("clustered", include_str!("clustered.sql"))],
        Restored::TriggerStates => &[("trigger states", include_str!("trigger_states.sql"))],
        Restored::RuleStates => &[("rule states", include_str!("rule_states.sql"))],
        Restored::RowSecurity => &[("row security", include_str!("row_security.sql"))],
        Restored::Grants => &[GRANTS],
        Restored::SchemaGrants => &[("schema grants", include_str!("schema_grants.sql"))],
        Restored::Schema => {
            &[("schema", include_str!("schema.sql")), ("schema grants", include_str!("schema_grants.sql"))]
        }
        Restored::Publication => &[("publication", include_str!("publication.sql"))],
        Restored::DomainDefault => &[("domain default", include_str!("domain_default.sql"))],
    }
}

/// Returns the questions that the undo of a change depends on.
pub(super) fn probes(object: &ObjectChange, native: &Native<'_>) -> Vec<Probe> {
    let mut probes = vec![];
    for part in &object.undo {
        match part {
            ObjectUndo::Restore(what) => {
                let filled = queries(*what)
                    .iter()
                    .map(|(name, query)| Probe { key: key(object, name), sql: question(query, object, native) });
                probes.extend(filled);
            }
            ObjectUndo::Comment(_) => {
                let query = if object.fact == "tab.comment_column" { COLUMN_COMMENT } else { TABLE_COMMENT };
                probes.push(Probe { key: key(object, "comment"), sql: question(query, object, native) });
            }
            ObjectUndo::Drop(_) | ObjectUndo::DropOn(_) | ObjectUndo::Statement(_) => {}
        }
    }
    probes
}

const TABLE_COMMENT: &str =
    "SELECT pg_catalog.quote_literal(pg_catalog.obj_description(pg_catalog.to_regclass({object}), 'pg_class'))";

/// A column is named behind its table: the names are compared as SQL writes them.
const COLUMN_COMMENT: &str = "SELECT pg_catalog.quote_literal(pg_catalog.col_description(a.attrelid, a.attnum)) \
     FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = pg_catalog.to_regclass({table}) AND NOT a.attisdropped \
     AND pg_catalog.right({object}, pg_catalog.length(a.attname) + 3 + pg_catalog.length(a.attname) - \
     pg_catalog.length(pg_catalog.replace(a.attname, '\"', ''))) = '.\"' || pg_catalog.replace(a.attname, '\"', '\"\"') || '\"'";

fn question(query: &'static str, object: &ObjectChange, native: &Native<'_>) -> Sql {
    let table = native.table.map(|table| sql("{t}", &[("t", Hole::Table(&table.name))]));
    let table = table.as_ref().map_or("", Sql::as_str);
    let name = object.object.as_ref().map_or(table, Written::as_str);
    let mut holes = vec![("object", Hole::Text(name))];
    if query.contains("{table}") {
        holes.push(("table", Hole::Text(table)));
    }
    sql(query.trim_end(), &holes)
}

fn key(object: &ObjectChange, what: &str) -> String {
    let name = object.object.as_ref().map_or("", Written::as_str);
    let table = object.table.as_ref().map(ToString::to_string).unwrap_or_default();
    ["before:", what, ":", name, ":", &table].concat()
}

/// Returns the statements that make it again; none where nothing is there.
///
/// # Errors
/// A refusal when the server did not say.
pub(super) fn lines(object: &ObjectChange, what: Restored, context: &Context<'_>) -> Result<Vec<Sql>, Refusal> {
    let mut lines = vec![];
    for (name, _) in queries(what) {
        match context.answers.get(&key(object, name)) {
            Some(Answer::Rows(rows)) => {
                let printed = rows.iter().filter_map(|row| row.first().and_then(Value::as_str));
                lines.extend(printed.map(Sql::of_catalog));
            }
            Some(Answer::Failed { message, .. }) => return Err(untold(object, message)),
            Some(Answer::TimedOut) | None => return Err(untold(object, "the server did not answer in time")),
        }
    }
    Ok(lines)
}

fn untold(object: &ObjectChange, why: &str) -> Refusal {
    Refusal::Impossible {
        what: format!("what {} would change could not be looked up", object.words),
        why: why.to_owned(),
        instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
    }
}

/// Returns the statement that gives back the comment that is there now.
pub(super) fn comment(object: &ObjectChange, before: &Written, context: &Context<'_>) -> Sql {
    let row = match context.answers.get(&key(object, "comment")) {
        Some(Answer::Rows(rows)) => rows.first(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
    };
    let text =
        row.and_then(|row| row.first()).and_then(Value::as_str).map_or_else(|| Sql::fixed("NULL"), Sql::of_catalog);
    sql("{before} {text}", &[("before", Hole::Sql(&Sql::written(before))), ("text", Hole::Sql(&text))])
}
