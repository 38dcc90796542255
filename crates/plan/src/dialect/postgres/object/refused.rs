//! What is not done while the application runs, why, and how a person does it.

use segue_model::change::ObjectChange;
use segue_model::ident::TableName;

use crate::refusal::Refusal;

/// A fact's id, why its statement is refused, and what to do.
const ALWAYS: &[(&str, &str, &str)] = &[
    (
        "tab.set_logged",
        "it writes every row again while nobody can read or write the table",
        "Copy the table to a new one by a migration that fills it, or do it in a maintenance window.",
    ),
    (
        "tab.set_unlogged",
        "it writes every row again while nobody can read or write the table, and a crash would then empty it",
        "Do it in a maintenance window.",
    ),
    (
        "tab.set_tablespace",
        "it copies the table while nobody can read or write it",
        "Use pg_repack with --tablespace, or do it in a maintenance window.",
    ),
    (
        "tab.set_access_method",
        "with another method it writes every row again while nobody can read or write the table",
        "Do it in a maintenance window.",
    ),
    (
        "tab.cluster",
        "it writes every row again while nobody can read or write the table",
        "Use pg_repack or pg_squeeze, which write a copy while the application runs.",
    ),
    (
        "tab.vacuum_full",
        "it writes every row again while nobody can read or write the table",
        "Use pg_repack or pg_squeeze, which write a copy while the application runs.",
    ),
    ("tab.vacuum", "it is no change of a schema and has no transaction", "Run it by hand, or leave it to autovacuum."),
    (
        "tab.truncate",
        "it destroys every row at once, and nothing brings them back",
        "Delete rows in batches from the application, or truncate by hand when nobody uses the table.",
    ),
    (
        "tab.truncate_cascade",
        "it destroys every row of several tables at once, and nothing brings them back",
        "Delete rows in batches from the application, or truncate by hand when nobody uses the tables.",
    ),
    ("tab.lock_share", "each step takes its locks itself, by short tries", "Leave it out."),
    ("tab.lock_default", "each step takes its locks itself, by short tries", "Leave it out."),
    (
        "enum.rename_value",
        "code that runs now goes on sending the old value, and fails at once",
        "Add the new value, move the rows by a new column beside the old one, and drop the old column when no code uses it.",
    ),
    (
        "typ.drop",
        "nothing could make the type again as it was",
        "Drop it by hand when the migration that stopped using it is cleaned up.",
    ),
    (
        "typ.alter",
        "code that runs now, and functions by their text, know it as it is",
        "Create what you need under a new name beside it, and drop the old one when nothing uses it.",
    ),
    (
        "typ.add_attribute",
        "every table that holds the type would change with it",
        "Create a new type beside it, and move its columns to that.",
    ),
    (
        "dom.drop",
        "nothing could make the domain again as it was",
        "Drop it by hand when the migration that stopped using it is cleaned up.",
    ),
    (
        "dom.drop_constraint",
        "values that break the rule can be written at once, and nothing could put it back then",
        "Drop it by hand when the application no longer relies on it.",
    ),
    (
        "dom.drop_not_null",
        "NULLs can be written at once, and nothing could forbid them again then",
        "Do it by hand when the application no longer relies on it.",
    ),
    (
        "seq.drop",
        "the value that it has reached would be lost",
        "Drop it by hand when nothing takes numbers from it any more.",
    ),
    (
        "seq.restart",
        "numbers would be handed out twice, or skipped, and nothing knows where it was",
        "Restart it by hand while no code takes numbers from it.",
    ),
    ("seq.rename", RUNNING, "Create a new sequence beside it, and move the defaults to that."),
    ("seq.set_schema", RUNNING, "Create a new sequence beside it, and move the defaults to that."),
    ("view.rename", RUNNING, BESIDE),
    ("view.rename_column", RUNNING, BESIDE),
    ("view.set_schema", RUNNING, BESIDE),
    ("mv.rename", RUNNING, BESIDE),
    ("mv.set_schema", RUNNING, BESIDE),
    ("schema.rename", RUNNING, "Create a new schema beside it, and move its objects one by one."),
    (
        "ext.drop",
        "what it brought would be gone, and with it whatever uses that",
        "Drop it by hand when nothing uses it.",
    ),
    ("ext.alter", "what its update does is written by others and cannot be looked into", "Update it by hand."),
    (
        "pub.drop",
        "subscribers would stop, and miss what is written meanwhile",
        "Drop it by hand when no subscriber is left.",
    ),
    (
        "pub.drop_table",
        "subscribers would miss what is written to the tables that it leaves out",
        "Do it by hand when no subscriber needs them.",
    ),
    ("obj.alter", "who owned it before would have to be known to take it back", "Do it by hand."),
];

const RUNNING: &str = "code that runs now knows it by its name";
const BESIDE: &str = "Create it under the new name beside this one, deploy, and drop the old one in a later migration.";

/// Refuses what no state of the database makes safe.
///
/// # Errors
/// The refusal.
pub(super) fn always(object: &ObjectChange) -> Result<(), Refusal> {
    let Some((_, why, instead)) = ALWAYS.iter().find(|(fact, ..)| *fact == object.fact) else { return Ok(()) };
    Err(Refusal::Impossible { what: object.words.clone(), why: (*why).to_owned(), instead: (*instead).to_owned() })
}

/// Refuses what leaves something behind that nothing takes back.
///
/// # Errors
/// The refusal.
pub(super) fn without_way_back(object: &ObjectChange) -> Result<(), Refusal> {
    let harmless = [
        "enum.add_value",
        "ext.create",
        "tab.analyze",
        "mv.refresh",
        "mv.refresh_conc",
        "dom.validate",
        "tab.create_or_noop",
    ];
    if harmless.contains(&object.fact) {
        return Ok(());
    }
    Err(Refusal::NotYet {
        what: format!("{} without a way back", object.words),
        instead: match object.fact {
            "dom.add_check" | "dom.add_check_nv" => {
                "Give the constraint a name: `ADD CONSTRAINT name CHECK …`.".to_owned()
            }
            _ => "Do it by hand.".to_owned(),
        },
    })
}

/// Returns the refusal of reading a large table under a lock that keeps writers out.
pub(super) fn large_domain(object: &ObjectChange, table: &TableName, rows: i64) -> Refusal {
    Refusal::Impossible {
        what: format!("{} of a domain that {table} uses", object.words),
        why: format!("nobody could write to that table while its {rows} rows are read"),
        instead: "Add the CHECK to each table instead, NOT VALID and validated there; or write NOT VALID here, which holds for \
                  new values, and validate by hand when few write."
            .to_owned(),
    }
}
