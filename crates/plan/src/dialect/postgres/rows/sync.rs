//! The triggers on both tables: which are there from the beginning, and which are enabled until flip and after it.

use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Kept, Phase, Step, Undo, UndoStep};

use super::moving::{Moving, Of, assign, differ, named};
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, beside, undo_beside, undo_step};

/// Which table writes the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The old one writes the new one, which is guarded.
    Forward,
    /// The new one writes the old one, and what old code still writes is carried over.
    Back,
    /// The new one writes the old one, and nobody writes the old columns any more.
    BackAlone,
}

/// A trigger of ours.
struct OurTrigger {
    table: TableName,
    name: Ident,
    when: &'static str,
    each: &'static str,
    guard: Sql,
    function: TableName,
    /// What it is for.
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Forward,
    Guard,
    Back,
}

impl Part {
    /// Returns `pg_trigger.tgenabled` as it must be; `None`: it is gone.
    fn state(self, turn: Turn) -> Option<&'static str> {
        match (self, turn) {
            (Self::Forward, Turn::Forward | Turn::Back) | (Self::Back, Turn::Back | Turn::BackAlone) => Some("A"),
            (Self::Forward, Turn::BackAlone) => None,
            (Self::Guard, Turn::Forward) => Some("O"),
            (Self::Guard, Turn::Back | Turn::BackAlone) | (Self::Back, Turn::Forward) => Some("D"),
        }
    }
}

/// Returns the step after which each write to the source writes the target. The way back stands ready, asleep.
pub(super) fn step(moving: &Moving<'_>) -> Step {
    let mut all = vec![forward(moving), back(moving), first(moving), guard(moving)];
    all.extend(triggers(moving).iter().map(create));
    all.extend(enable(moving, Turn::Forward, &[&moving.source.name, &moving.target]));
    let work = Work {
        phase: Phase::Sync,
        title: format!("let rows of {} write those of {}, and let nobody else", moving.source.name, moving.target),
        action: Action::Sql(all),
        facts: &["fn.create", "trg.create", "trg.enable", "trg.disable"],
        table: &moving.source.name,
        undo: Undo::Lossless(vec![keep(moving), undo(moving)]),
    };
    beside(work.step(), on_target(moving, LockMode::ShareRowExclusive))
}

/// Returns a lock on the target.
pub(super) fn on_target(moving: &Moving<'_>, mode: LockMode) -> Vec<RelationLock> {
    vec![RelationLock { relation: moving.target.clone(), mode }]
}

fn undo(moving: &Moving<'_>) -> UndoStep {
    let part = undo_step(&moving.source.name, &["trg.drop", "fn.drop"], drop_all(moving));
    undo_beside(part, on_target(moving, LockMode::AccessExclusive))
}

/// What only rows of the target hold is copied before they go.
fn keep(moving: &Moving<'_>) -> UndoStep {
    let table = moving.names.keeps_new();
    let written = moving.written();
    let others =
        moving.definition.columns.iter().filter(|column| !column.has_value && !written.contains(&&column.name));
    let extra: Vec<Sql> =
        others.map(|column| sql("\n  OR t.{c} IS NOT NULL", &[("c", Hole::Name(&column.name))])).collect();
    let drop_empty = sql("DROP TABLE IF EXISTS {keeps}", &[("keeps", Hole::Table(&table))]);
    let create = sql(
        include_str!("keep.sql").trim_end(),
        &[
            ("keeps", Hole::Table(&table)),
            ("target", Hole::Table(&moving.target)),
            ("source", Hole::Table(&moving.source.name)),
            ("matches", Hole::Sql(&moving.matches(Of::Target, Of::Source))),
            ("is_back", Hole::Sql(&moving.is_back(Of::Target))),
            ("extra", Hole::Join(&extra, "")),
        ],
    );
    let count = sql("SELECT pg_catalog.count(*) FROM {keeps}", &[("keeps", Hole::Table(&table))]);
    let part = undo_step(&moving.target, &["tab.create_as", "dml.select_window"], vec![drop_empty.clone(), create]);
    let source = RelationLock { relation: moving.source.name.clone(), mode: LockMode::AccessShare };
    UndoStep { keeps: Some(Kept { table, count, drop_empty }), ..undo_beside(part, vec![source]) }
}

/// Returns the condition that every trigger is there, and enabled as this turn wants it.
pub(super) fn condition(moving: &Moving<'_>, turn: Turn) -> Condition {
    let wanted = triggers(moving).into_iter().filter_map(|trigger| {
        let state = trigger.part.state(turn)?;
        let of = sql("{t}", &[("t", Hole::Table(&trigger.table))]);
        Some(sql(
            "({of}::pg_catalog.text, {name}::pg_catalog.text, {state}::pg_catalog.text)",
            &[("of", Hole::Body(&of)), ("name", Hole::Text(trigger.name.as_str())), ("state", Hole::Text(state))],
        ))
    });
    let wanted: Vec<Sql> = wanted.collect();
    let id = moving.names.migration();
    Condition {
        sql: sql(include_str!("enabled.sql").trim_end(), &[("wanted", Hole::Join(&wanted, ", "))]),
        says: "the triggers of both tables are there, and enabled as they should be".to_owned(),
        hint: format!(
            "Somebody changed a trigger of ours, so rows may have drifted apart. Create and enable it again as the plan shows it \
             (`segue plan {id} --format sql`); then run `segue verify {id} --repair`."
        ),
    }
}

/// Returns the names of our triggers on the source and on the target, and of our functions.
pub(super) fn our_names(moving: &Moving<'_>) -> (Vec<Ident>, Vec<TableName>) {
    (triggers(moving).into_iter().map(|trigger| trigger.name).collect(), functions(moving))
}

/// Returns the statements that enable and disable the triggers of these tables for a turn; each may be repeated.
pub(super) fn enable(moving: &Moving<'_>, turn: Turn, tables: &[&TableName]) -> Vec<Sql> {
    let of = |trigger: OurTrigger| {
        let state = trigger.part.state(turn)?;
        let template = match state {
            "A" => "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}",
            "O" => "ALTER TABLE {table} ENABLE TRIGGER {trigger}",
            _ => "ALTER TABLE {table} DISABLE TRIGGER {trigger}",
        };
        let holes = [("table", Hole::Table(&trigger.table)), ("trigger", Hole::Name(&trigger.name))];
        tables.contains(&&trigger.table).then(|| sql(template, &holes))
    };
    triggers(moving).into_iter().filter_map(of).collect()
}

/// Returns the statements that take the triggers of the source away.
pub(super) fn drop_forward(moving: &Moving<'_>) -> Vec<Sql> {
    triggers(moving).iter().filter(|trigger| trigger.part == Part::Forward).map(drop).collect()
}

/// Returns the statements that create the triggers of the source again, enabled; they may be repeated.
pub(super) fn create_forward(moving: &Moving<'_>) -> Vec<Sql> {
    let mut all = drop_forward(moving);
    all.extend(triggers(moving).iter().filter(|trigger| trigger.part == Part::Forward).map(create));
    all.extend(enable(moving, Turn::Forward, &[&moving.source.name]));
    all
}

/// Returns the statements that take away all that is ours; each may be repeated.
pub(super) fn drop_all(moving: &Moving<'_>) -> Vec<Sql> {
    let functions = functions(moving);
    let functions = functions.iter().map(|name| sql("DROP FUNCTION IF EXISTS {f}()", &[("f", Hole::Table(name))]));
    triggers(moving).iter().map(drop).chain(functions).collect()
}

fn functions(moving: &Moving<'_>) -> Vec<TableName> {
    ["forward", "back", "first", "guard"].iter().map(|what| function(moving, what)).collect()
}

fn function(moving: &Moving<'_>, what: &'static str) -> TableName {
    moving.names.function(what)
}

/// The names of those on the source sort before the triggers that the server makes for foreign keys: a row of the target is
/// moved or gone before they look whether something still refers to the old key.
fn triggers(moving: &Moving<'_>) -> Vec<OurTrigger> {
    let (source, target) = (&moving.source.name, &moving.target);
    let trigger = |part, table: &TableName, what: &'static str, when, each, guard, of| OurTrigger {
        table: table.clone(),
        name: moving.names.early_trigger(what),
        when,
        each,
        guard,
        function: function(moving, of),
        part,
    };
    let foreign = || moving.is_foreign();
    let changed = |watched: &[Ident]| {
        let differ = differ(&named(watched, moving, Of::Old), &named(watched, moving, Of::New));
        sql("{foreign} AND {differ}", &[("foreign", Hole::Sql(&foreign())), ("differ", Hole::Sql(&differ))])
    };
    let (row, statement) = ("ROW", "STATEMENT");
    let (watched, in_target) = (moving.watched(), moving.watched_in_target());
    let (forward, back, guard) = (Part::Forward, Part::Back, Part::Guard);
    vec![
        trigger(forward, source, "comes", "AFTER INSERT OR DELETE", row, foreign(), "forward"),
        trigger(forward, source, "changes", "AFTER UPDATE", row, changed(&watched), "forward"),
        trigger(forward, source, "empties", "AFTER TRUNCATE", statement, foreign(), "forward"),
        trigger(guard, target, "guard", "BEFORE INSERT OR UPDATE OR DELETE", row, foreign(), "guard"),
        trigger(back, target, "first", "BEFORE INSERT", row, foreign(), "first"),
        trigger(back, target, "comes", "AFTER INSERT OR DELETE", row, foreign(), "back"),
        trigger(back, target, "changes", "AFTER UPDATE", row, changed(&in_target), "back"),
        trigger(back, target, "empties", "AFTER TRUNCATE", statement, foreign(), "back"),
    ]
}

fn create(trigger: &OurTrigger) -> Sql {
    sql(
        include_str!("trigger.sql").trim_end(),
        &[
            ("trigger", Hole::Name(&trigger.name)),
            ("when", Hole::Sql(&Sql::fixed(trigger.when))),
            ("table", Hole::Table(&trigger.table)),
            ("each", Hole::Sql(&Sql::fixed(trigger.each))),
            ("guard", Hole::Sql(&trigger.guard)),
            ("function", Hole::Table(&trigger.function)),
        ],
    )
}

fn drop(trigger: &OurTrigger) -> Sql {
    sql(
        "DROP TRIGGER IF EXISTS {trigger} ON {table}",
        &[("trigger", Hole::Name(&trigger.name)), ("table", Hole::Table(&trigger.table))],
    )
}

fn replace(moving: &Moving<'_>, what: &'static str, body: &Sql) -> Sql {
    sql(
        include_str!("function.sql").trim_end(),
        &[("function", Hole::Table(&function(moving, what))), ("body", Hole::Body(body))],
    )
}

/// Until flip: a row of the target becomes what the source says.
pub(super) fn forward(moving: &Moving<'_>) -> Sql {
    let carried = || moving.carried.iter().map(|carried| &carried.column);
    let is: Vec<Sql> = carried().map(|column| moving.column(Of::Target, column)).collect();
    let comes: Vec<Sql> = carried().map(|column| sql("EXCLUDED.{c}", &[("c", Hole::Name(column))])).collect();
    let both = Both::new(moving);
    let body = sql(
        include_str!("forward.sql").trim_end(),
        &[
            ("mark", both.mark()),
            ("target", Hole::Table(&moving.target)),
            ("of_old", Hole::Sql(&both.of_old)),
            ("of_new", Hole::Sql(&both.of_new)),
            ("key_changed", Hole::Sql(&both.key_changed)),
            ("moves", Hole::Join(&both.moves, ", ")),
            ("holds", Hole::Sql(&both.holds)),
            ("names", Hole::Names(moving.written())),
            ("values", Hole::Join(&both.values, ", ")),
            ("key", Hole::Names(moving.key.iter().map(|pair| &pair.into).collect())),
            ("takes", Hole::Join(&assign(carried(), &comes), ", ")),
            ("differs", Hole::Sql(&differ(&is, &comes))),
        ],
    );
    replace(moving, "forward", &body)
}

/// From flip to contract: what old code still writes is carried over, and gives way to who writes the target. It waits for no
/// row of the target that somebody else has locked, who may wait for ours: it takes what that row says instead, whatever
/// becomes of it.
pub(super) fn late(moving: &Moving<'_>) -> Sql {
    let carried = || moving.carried.iter().map(|carried| &carried.column);
    let is: Vec<Sql> = carried().map(|column| moving.column(Of::Target, column)).collect();
    let comes = moving.carried_values(Of::New);
    let both = Both::new(moving);
    let old_changed = differ(&moving.old_columns(Of::Old), &moving.old_columns(Of::New));
    let body = sql(
        include_str!("late.sql").trim_end(),
        &[
            ("mark", both.mark()),
            ("target", Hole::Table(&moving.target)),
            ("of_old", Hole::Sql(&both.of_old)),
            ("of_new", Hole::Sql(&both.of_new)),
            ("key_changed", Hole::Sql(&both.key_changed)),
            ("moves", Hole::Join(&both.moves, ", ")),
            ("holds", Hole::Sql(&both.holds)),
            ("any_old", Hole::Sql(&moving.any_old(Of::New))),
            ("old_changed", Hole::Sql(&old_changed)),
            ("names", Hole::Names(moving.written())),
            ("values", Hole::Join(&both.values, ", ")),
            ("key", Hole::Names(moving.key.iter().map(|pair| &pair.into).collect())),
            ("source", Hole::Table(&moving.source.name)),
            ("gives_way", Hole::Join(&assign(moving.leaving(), &moving.back_values(Of::Target)), ", ")),
            ("matches", Hole::Sql(&moving.matches(Of::Target, Of::Source))),
            ("sets", Hole::Join(&assign(carried(), &comes), ", ")),
            ("differs_new", Hole::Sql(&differ(&is, &comes))),
        ],
    );
    replace(moving, "forward", &body)
}

/// What both bodies of the source's function have.
struct Both {
    mark: Ident,
    of_old: Sql,
    of_new: Sql,
    key_changed: Sql,
    moves: Vec<Sql>,
    holds: Sql,
    values: Vec<Sql>,
}

impl Both {
    fn new(moving: &Moving<'_>) -> Self {
        let key = |of| -> Vec<Sql> { moving.key.iter().map(|pair| moving.column(of, &pair.from)).collect() };
        let values = moving.values(Of::New);
        Self {
            mark: moving.mark(),
            of_old: moving.matches(Of::Target, Of::Old),
            of_new: moving.matches(Of::Target, Of::New),
            key_changed: differ(&key(Of::Old), &key(Of::New)),
            moves: assign(moving.key.iter().map(|pair| &pair.into), &values),
            holds: moving.holds(Of::New),
            values,
        }
    }

    fn mark(&self) -> Hole<'_> {
        Hole::Text(self.mark.as_str())
    }
}

/// From flip on: the columns that leave become what the target says.
pub(super) fn back(moving: &Moving<'_>) -> Sql {
    let nulls: Vec<Sql> = moving.old.iter().map(|_| Sql::fixed("NULL")).collect();
    let values = moving.back_values(Of::New);
    let key = |of| -> Vec<Sql> { moving.key.iter().map(|pair| moving.column(of, &pair.into)).collect() };
    let body = sql(
        include_str!("back.sql").trim_end(),
        &[
            ("mark", Hole::Text(moving.mark().as_str())),
            ("source", Hole::Table(&moving.source.name)),
            ("nulls", Hole::Join(&assign(moving.leaving(), &nulls), ", ")),
            ("any_old", Hole::Sql(&moving.any_old(Of::Source))),
            ("of_old", Hole::Sql(&moving.matches(Of::Old, Of::Source))),
            ("of_new", Hole::Sql(&moving.matches(Of::New, Of::Source))),
            ("key_changed", Hole::Sql(&differ(&key(Of::Old), &key(Of::New)))),
            ("takes", Hole::Join(&assign(moving.leaving(), &values), ", ")),
            ("differs", Hole::Sql(&differ(&moving.old_columns(Of::Source), &values))),
        ],
    );
    replace(moving, "back", &body)
}

/// Whoever adds a row to the target locks that of the source first, as old code does.
fn first(moving: &Moving<'_>) -> Sql {
    let body = sql(
        include_str!("first.sql").trim_end(),
        &[("source", Hole::Table(&moving.source.name)), ("of_new", Hole::Sql(&moving.matches(Of::New, Of::Source)))],
    );
    replace(moving, "first", &body)
}

fn guard(moving: &Moving<'_>) -> Sql {
    let (source, target, id) = (&moving.source.name, &moving.target, moving.names.migration());
    let message = format!("{target} follows {source} until migration {id} is flipped, and is written by nobody else");
    let hint = format!("Write {source} until then; `segue flip {id}` lets {target} be written.");
    let body =
        sql(include_str!("guard.sql").trim_end(), &[("message", Hole::Text(&message)), ("hint", Hole::Text(&hint))]);
    replace(moving, "guard", &body)
}
