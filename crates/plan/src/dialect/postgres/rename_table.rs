//! Another name or schema for a table: a view under the new name lets both be used until the old one is given up.
//!
//! The view is of the kind that the server itself writes through (PostgreSQL manual, CREATE VIEW, "Updatable Views"), so rows
//! are not moved, and both names are the same rows. It goes in the transaction that gives the table its new name.

use segue_model::catalog::{Table, TableKind};
use segue_model::change::NamingChange;
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, LockTries, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Asks, Condition, Phase, Step, Undo, UndoStep};
use segue_model::value::Value;

use super::mirror::{display, regclass};
use super::work::{Work, beside, undo_step, undo_step_if};
use super::{gates, grants, sql};
use crate::dialect::Planned;
use crate::figures::listed;
use crate::operation::Context;
use crate::refusal::Refusal;

/// The first version whose views can be read with the rights of who reads them.
const SECURITY_INVOKER: u32 = 15;

/// The first version that merges into a view.
const MERGE_INTO_VIEW: u32 = 17;

/// A table, and what it is to be called.
pub(super) struct Moved<'a> {
    table: &'a Table,
    new: TableName,
    /// Only its schema changes.
    schema: bool,
}

impl<'a> Moved<'a> {
    /// Returns what a change of a table's name or schema means; `None` for any other.
    pub(super) fn of(table: &'a Table, naming: &NamingChange) -> Option<Self> {
        let (schema, name, moves) = match naming {
            NamingChange::Table { to, .. } => (&table.name.schema, to, false),
            NamingChange::Schema { to, .. } => (to, &table.name.name, true),
            _ => return None,
        };
        Some(Self { table, new: TableName { schema: schema.clone(), name: name.clone() }, schema: moves })
    }

    fn old(&self) -> &'a TableName {
        &self.table.name
    }

    /// Returns the statement that gives the table its new name.
    fn forth(&self) -> Sql {
        self.named(self.old(), &self.new)
    }

    /// Returns the statement that gives the table its old name.
    fn back(&self) -> Sql {
        self.named(&self.new, self.old())
    }

    fn named(&self, from: &TableName, to: &TableName) -> Sql {
        let (template, to) = match self.schema {
            true => ("ALTER TABLE {table} SET SCHEMA {to}", &to.schema),
            false => ("ALTER TABLE {table} RENAME TO {to}", &to.name),
        };
        sql(template, &[("table", Hole::Table(from)), ("to", Hole::Name(to))])
    }

    fn facts(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self.schema {
            true => (&["view.drop", "tab.set_schema"], &["tab.set_schema", "view.create"]),
            false => (&["view.drop", "tab.rename"], &["tab.rename", "view.create"]),
        }
    }
}

/// Returns the open questions.
pub(super) fn probes(moved: &Moved<'_>) -> Vec<Probe> {
    let mut open = vec![gates::owner_probe(moved.old()), grants::probe(moved.old(), &moved.new.schema)];
    open.extend(moved.schema.then(|| arrival_probe(moved)));
    open
}

/// Asks whether the schema is there, and which names it has already that the table brings along.
fn arrival_probe(moved: &Moved<'_>) -> Probe {
    Probe {
        key: arrival_key(moved),
        sql: sql(
            include_str!("rename_table/arrival.sql").trim_end(),
            &[("table", Hole::Sql(&regclass(moved.old()))), ("schema", Hole::Text(moved.new.schema.as_str()))],
        ),
    }
}

fn arrival_key(moved: &Moved<'_>) -> String {
    ["arrival:", &display(&moved.new)].concat()
}

/// Returns the steps.
///
/// # Errors
/// A refusal where a view cannot stand in for the table.
pub(super) fn plan(moved: &Moved<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = moved.table;
    if matches!(table.kind, TableKind::View | TableKind::MaterializedView | TableKind::Foreign | TableKind::Virtual) {
        return Err(Refusal::NotYet {
            what: format!("another name for {}, which is not a table", table.name),
            instead: "Create it under its new name beside the old one, and drop that once nobody uses it.".to_owned(),
        });
    }
    gates::owner(table, context)?;
    arrival(moved, context)?;
    stands_in(moved, context)?;
    let ready = || vec![is_there(moved)];
    let steps = vec![
        appear(moved, context),
        gates::gate(Phase::Flip, "the new name can be used", moved.old(), ready(), None),
        gates::gate(
            Phase::Contract,
            "code that uses the old name is gone",
            moved.old(),
            vec![is_there(moved), nothing_uses(moved)],
            Some(Asks::OldVersionStopped),
        ),
        give(moved, context),
    ];
    Ok(Planned { steps, notes: notes(moved, context), flip: flip(moved), loses: None })
}

fn arrival(moved: &Moved<'_>, context: &Context<'_>) -> Result<(), Refusal> {
    let taken = [moved.new.schema.as_str(), ".", moved.new.name.as_str()].concat();
    if context.catalog.taken.contains(&taken) {
        return Err(Refusal::Exists { name: moved.new.to_string() });
    }
    if !moved.schema {
        return Ok(());
    }
    let Some(Answer::Rows(rows)) = context.answers.get(&arrival_key(moved)) else { return Ok(()) };
    let mut names = rows.iter().filter_map(|row| row.first().and_then(Value::as_str));
    match (rows.is_empty(), names.next()) {
        (true, _) => Err(Refusal::Impossible {
            what: format!("SET SCHEMA `{}`", moved.new.schema),
            why: "there is no such schema".to_owned(),
            instead: "Check its name, or create the schema first.".to_owned(),
        }),
        (false, Some(name)) => Err(Refusal::Exists {
            name: Ident::new(name)
                .map_or_else(|_| name.to_owned(), |name| [moved.new.schema.to_string(), name.to_string()].join(".")),
        }),
        (false, None) => Ok(()),
    }
}

/// Refuses where what works by the table's name would not work by the view's.
fn stands_in(moved: &Moved<'_>, context: &Context<'_>) -> Result<(), Refusal> {
    let table = moved.table;
    let invoker = context.server.version.major >= SECURITY_INVOKER;
    if table.row_security && !invoker {
        return Err(Refusal::Impossible {
            what: format!("both names of {}, whose rows policies hide", table.name),
            why: "before PostgreSQL 15 a view is read with its owner's rights, so the new name would show every row"
                .to_owned(),
            instead: "Rename it by hand while the application is stopped, or after an upgrade to 15.".to_owned(),
        });
    }
    if !table.publications.is_empty() {
        return Err(Refusal::Impossible {
            what: format!("another name for {}, which {} publishes", table.name, listed(table.publications.iter())),
            why: "a subscriber finds its table by the name, so replication of it stops when the name changes"
                .to_owned(),
            instead:
                "Take the table out of the publication, rename it here and at the subscriber, and publish it again."
                    .to_owned(),
        });
    }
    Ok(())
}

fn appear(moved: &Moved<'_>, context: &Context<'_>) -> Step {
    let drop = sql("DROP VIEW IF EXISTS {view}", &[("view", Hole::Table(&moved.new))]);
    // To lock a view by its name locks the table below it too, and nothing is done to that.
    let gone = UndoStep {
        tries: Some(LockTries::default()),
        ..undo_step_if(moved.old(), &[], vec![drop], vec![nothing_uses(moved)])
    };
    Work {
        phase: Phase::Expand,
        title: format!("let {} be used as {} too, by a view", moved.old(), moved.new),
        action: Action::Sql(view(moved, context)),
        facts: &["view.create", "dml.select_window"],
        table: moved.old(),
        undo: Undo::Lossless(vec![gone]),
    }
    .step()
}

/// Returns the statements that create the view, open to those alone to whom the table is.
fn view(moved: &Moved<'_>, context: &Context<'_>) -> Vec<Sql> {
    let table = moved.table;
    let columns: Vec<&Ident> = table.columns.iter().map(|column| &column.name).collect();
    let invoker = context.server.version.major >= SECURITY_INVOKER;
    let options = Sql::fixed(if invoker { " WITH (security_invoker = true)" } else { "" });
    let create = sql(
        "CREATE VIEW {view}{options} AS SELECT {columns} FROM {table}",
        &[
            ("view", Hole::Table(&moved.new)),
            ("options", Hole::Sql(&options)),
            ("columns", Hole::Names(columns)),
            ("table", Hole::Table(moved.old())),
        ],
    );
    let owner = Ident::new(table.owner.as_str()).ok().filter(|owner| owner.as_str() != context.server.role);
    let owner = owner.map(|owner| {
        sql("ALTER VIEW {view} OWNER TO {owner}", &[("view", Hole::Table(&moved.new)), ("owner", Hole::Name(&owner))])
    });
    let granted = grants::grants(moved.old(), context).on_view(&moved.new);
    std::iter::once(create).chain(owner).chain(granted).collect()
}

fn give(moved: &Moved<'_>, context: &Context<'_>) -> Step {
    let drop = sql("DROP VIEW {view}", &[("view", Hole::Table(&moved.new))]);
    let (forth, back) = moved.facts();
    let mut return_both = vec![moved.back()];
    return_both.extend(view(moved, context));
    let step = Work {
        phase: Phase::Contract,
        title: format!("{} is {} from here on; the old name is gone", moved.old(), moved.new),
        action: Action::Sql(vec![drop, moved.forth()]),
        facts: forth,
        table: moved.old(),
        undo: Undo::Lossless(vec![undo_step(&moved.new, back, return_both)]),
    };
    beside(step.step(), vec![RelationLock { relation: moved.new.clone(), mode: LockMode::AccessExclusive }])
}

fn is_there(moved: &Moved<'_>) -> Condition {
    Condition {
        sql: sql(
            "SELECT 'there is no view of that name' WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE n.nspname = {schema} AND c.relname = {name} AND c.relkind = 'v')",
            &[("schema", Hole::Text(moved.new.schema.as_str())), ("name", Hole::Text(moved.new.name.as_str()))],
        ),
        says: format!("the view {} stands for {}", moved.new, moved.old()),
        hint: "Somebody dropped the view: create it again as the plan shows it, or roll back.".to_owned(),
    }
}

/// What was made on the view would not be of the table.
fn nothing_uses(moved: &Moved<'_>) -> Condition {
    let view = sql("{v}", &[("v", Hole::Table(&moved.new))]);
    Condition {
        sql: sql(include_str!("rename_table/users.sql").trim_end(), &[("view", Hole::Body(&view))]),
        says: format!("nothing is built on the view {}", moved.new),
        hint: format!(
            "Drop what is named; to go on, create it again on {} after `segue contract`, to go back, on {}.",
            moved.new,
            moved.old()
        ),
    }
}

fn flip(moved: &Moved<'_>) -> String {
    format!(
        "nothing in the database changes: from ready on deploy the code that uses {}, then run `segue flip`, and the new name is \
         the truth",
        moved.new
    )
}

fn notes(moved: &Moved<'_>, context: &Context<'_>) -> Vec<String> {
    let (old, new) = (moved.old(), &moved.new);
    let merge = if context.server.version.major >= MERGE_INTO_VIEW { "" } else { "MERGE, " };
    let mut notes = vec![
        format!(
            "until contract {new} is a view of {old}: SELECT, INSERT (with defaults, ON CONFLICT and RETURNING), UPDATE, DELETE and \
             FOR UPDATE work through it; {merge}COPY {new}, TRUNCATE, ON CONFLICT ON CONSTRAINT, `pg_get_serial_sequence`, \
             TABLESAMPLE, `ctid` and the like, GROUP BY the key alone, and DDL need the old name until then"
        ),
        format!("a column that is added to {old} meanwhile is not to be seen in {new} before contract"),
        format!("at contract {old} is gone: look for it in functions, triggers and jobs that name it in their text"),
    ];
    if moved.schema && moved.table.columns.iter().any(|column| !column.owns_sequences.is_empty()) {
        notes.push(format!("at contract the sequences of {old} move along to `{}`", new.schema));
    }
    notes
}
