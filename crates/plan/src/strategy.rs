//! How we go about a file, and why, in one sentence.

use segue_model::change::{
    Change, ConstraintAction, ConstraintChange, Directive, ForeignKeyName, Located, Migration, NewConstraint,
};
use segue_model::ident::{Ident, TableRef};
use segue_model::lock::Blocks;
use segue_model::nearest::nearest;
use segue_model::plan::Strategy;
use segue_model::step::{Phase, Step, Undo};

use crate::dialect::dialect;
use crate::figures::{listed, lock, rows, shown_type};
use crate::operation::{Context, Fill, Native, Operation, Pair, Retype, Rows};
use crate::refusal::{Refusal, Refused};
use crate::rule::{RULES, rule};

/// Every strategy that a file may name; those that no plan follows yet are refused by name.
const STRATEGIES: &[&str] = &["additive", "expand-contract", "native", "parallel-table", "lazy", "big-bang"];

/// Rows are brought over when somebody touches them, and the rest when a person asks for it.
pub(crate) const LAZY: &str = "lazy";

/// Returns the strategy and the reason for it.
pub(crate) fn choose(operations: &[Operation<'_>], context: &Context<'_>) -> (Strategy, String) {
    let reasons: Vec<String> = operations.iter().filter_map(|operation| reason(operation, context)).collect();
    let native = operations.iter().any(|operation| matches!(operation, Operation::Native(_)));
    match reasons.as_slice() {
        [] if native => (Strategy::Native, native_reason(operations, context)),
        [] => (Strategy::Additive, additive_reason(operations)),
        [only] => (Strategy::ExpandContract, format!("Both shapes are kept side by side, because {only}.")),
        [first, rest @ ..] => {
            let more = if rest.len() == 1 {
                "1 more change needs".to_owned()
            } else {
                format!("{} more changes need", rest.len())
            };
            (
                Strategy::ExpandContract,
                format!("Both shapes are kept side by side, because {first}, and {more} it too."),
            )
        }
    }
}

fn additive_reason(operations: &[Operation<'_>]) -> String {
    let tables = operations.iter().filter_map(Operation::table);
    let largest = tables.max_by_key(|table| table.size.rows.unwrap_or(u64::MAX));
    match largest {
        Some(table) => format!(
            "Each statement runs as written, because none reads or writes the rows of `{}`{} and running code goes on.",
            table.name.name,
            table.size.rows.map_or_else(String::new, |_| format!(" ({})", rows(table)))
        ),
        None if operations.is_empty() => "There is nothing to do, because the file changes nothing.".to_owned(),
        None => "Each statement runs as written, because nobody uses the new tables yet.".to_owned(),
    }
}

/// The engine's own sequence: what as written would cost, where it costs more than a short lock.
fn native_reason(operations: &[Operation<'_>], context: &Context<'_>) -> String {
    let dialect = dialect(context.catalog.engine);
    let costly = context.migration.changes.iter().find_map(|change| {
        let cost = dialect.cost(change, context)?;
        let table = change.what.table().and_then(|table| context.catalog.find(table))?;
        let does = if cost.rewrites { "write again" } else { "read" };
        (cost.scans && cost.lock.blocks() >= Blocks::Writes).then(|| {
            format!("as written it would {does} {} of `{}` under {}", rows(table), table.name.name, lock(cost.lock))
        })
    });
    match costly {
        Some(costly) => format!("The server's own safe sequence is followed, because {costly}."),
        None => additive_reason(operations),
    }
}

fn kept_reason(native: &Native<'_>) -> String {
    let table =
        native.table.map_or_else(String::new, |table| format!("`{}` has {} and ", table.name.name, rows(table)));
    if !native.keeps_old_shape() {
        return format!("{table}all are written again for {}", native.change.kind().replace('_', " "));
    }
    format!("{table}running code still uses what {} takes away", native.change.kind().replace('_', " "))
}

/// Why an operation cannot run as written.
fn reason(operation: &Operation<'_>, context: &Context<'_>) -> Option<String> {
    match operation {
        Operation::Native(native) => {
            dialect(context.catalog.engine).keeps_old_shape(native, context).then(|| kept_reason(native))
        }
        Operation::AsWritten(_) => None,
        Operation::Fill(fill) => Some(fill_reason(fill)),
        Operation::Pair(pair) => Some(pair_reason(pair)),
        Operation::Retype(retype) => retype_reason(retype, context),
        Operation::Rows(rows) => Some(rows_reason(rows)),
    }
}

fn fill_reason(fill: &Fill<'_>) -> String {
    format!(
        "`{}` has {} and one UPDATE that fills `{}` would hold them all until it commits",
        fill.table.name.name,
        rows(fill.table),
        fill.column.name
    )
}

fn pair_reason(pair: &Pair<'_>) -> String {
    format!(
        "`{}` has {} and running code uses {}, whose place {} {}",
        pair.table.name.name,
        rows(pair.table),
        listed(pair.old.iter().map(|old| &old.column.name)),
        listed(pair.new.iter().map(|new| &new.column.name)),
        if pair.new.len() == 1 { "takes" } else { "take" }
    )
}

fn rows_reason(moved: &Rows<'_>) -> String {
    format!(
        "`{}` has {} and running code uses {}, which move to rows of `{}`",
        moved.from.name.name,
        rows(moved.from),
        listed(moved.moved.iter().map(|column| &column.name)),
        moved.into.name().name
    )
}

/// A type that the server changes at once needs no second shape.
fn retype_reason(retype: &Retype<'_>, context: &Context<'_>) -> Option<String> {
    let about = |change: &&Located<Change>| match &change.what {
        Change::AlterType { column, .. } => {
            change.at == *retype.at && context.catalog.same(column, &retype.column.name)
        }
        _ => false,
    };
    if dialect(context.catalog.engine).retypes_at_once(retype) {
        return None;
    }
    let change = context.migration.changes.iter().find(about);
    let cost = change.and_then(|change| dialect(context.catalog.engine).cost(change, context));
    let under = match cost {
        Some(cost) if cost.rewrites && cost.lock.blocks() == Blocks::Everything => {
            format!(" again under {}, while nobody can read or write", lock(cost.lock))
        }
        Some(cost) if cost.rewrites => format!(" again under {}", lock(cost.lock)),
        Some(_) | None => " again".to_owned(),
    };
    Some(format!(
        "`{}` has {} and changing `{}` to {} as written would write them all{under}",
        retype.table.name.name,
        rows(retype.table),
        retype.column.name,
        shown_type(retype.to)
    ))
}

/// Returns a refusal for each directive that cannot be followed; `moves`: rows that are there already are written.
pub(crate) fn refused_directives(migration: &Migration, chosen: Option<Strategy>, moves: bool) -> Vec<Refused> {
    let refused = migration.directives.iter().filter_map(|directive| {
        let refusal = match &directive.what {
            Directive::Strategy(name) if name == LAZY => refused_lazy(chosen, moves),
            Directive::Strategy(name) => refused_strategy(name, chosen),
            Directive::Allow { rule, .. } => refused_rule(rule),
            Directive::Orphans { of, .. } => refused_orphans(of, migration),
            Directive::Forward { .. }
            | Directive::Back { .. }
            | Directive::Rows(_)
            | Directive::Depends(_)
            | Directive::NotYet(_) => None,
        };
        Some(refusal?.at(&directive.at))
    });
    refused.collect()
}

/// Rows that nobody brings over cannot be left for later.
fn refused_lazy(chosen: Option<Strategy>, moves: bool) -> Option<Refusal> {
    (chosen.is_some() && !moves).then(|| Refusal::Impossible {
        what: format!("strategy {LAZY}"),
        why: "this file brings no rows over, so none can be left for later".to_owned(),
        instead: "Take the directive out.".to_owned(),
    })
}

/// Orphans are those of a foreign key that the file adds.
fn refused_orphans(of: &ForeignKeyName, migration: &Migration) -> Option<Refusal> {
    let keys = || migration.changes.iter().filter_map(|change| added_foreign_key(&change.what));
    if keys().any(|(table, new)| is_meant(of, table, new)) {
        return None;
    }
    let (named, known): (&str, Vec<&str>) = match of {
        ForeignKeyName::Constraint(name) => {
            (name.as_str(), keys().filter_map(|(_, new)| new.name.as_ref()).map(Ident::as_str).collect())
        }
        ForeignKeyName::Column { column, .. } => {
            (column.as_str(), keys().filter_map(|(_, new)| new.columns.first()).map(Ident::as_str).collect())
        }
    };
    let meant = nearest(named, known).map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
    Some(Refusal::Impossible {
        what: "the directive `orphans`".to_owned(),
        why: format!("this file adds no foreign key `{}`", named.escape_debug()),
        instead: format!("Name the constraint as its ADD CONSTRAINT does, or its first column as TABLE.COLUMN.{meant}"),
    })
}

/// Returns the table and the foreign key that a change adds.
fn added_foreign_key(change: &Change) -> Option<(&TableRef, &NewConstraint)> {
    match change {
        Change::Constraint(ConstraintChange { table, what: ConstraintAction::Add(new), .. })
            if new.references.is_some() =>
        {
            Some((table, new))
        }
        _ => None,
    }
}

/// Returns whether a directive names this foreign key.
pub(crate) fn is_meant(of: &ForeignKeyName, table: &TableRef, new: &NewConstraint) -> bool {
    match of {
        ForeignKeyName::Constraint(name) => new.name.as_ref() == Some(name),
        ForeignKeyName::Column { table: named, column } => {
            let schema = named.schema.is_none() || table.schema.is_none() || named.schema == table.schema;
            schema && named.name == table.name && new.columns.first() == Some(column)
        }
    }
}

fn refused_strategy(name: &str, chosen: Option<Strategy>) -> Option<Refusal> {
    let ours = [Strategy::Additive, Strategy::Native, Strategy::ExpandContract]
        .into_iter()
        .find(|strategy| strategy.name() == name);
    match (ours, chosen) {
        (Some(ours), Some(chosen)) if ours != chosen => Some(Refusal::Impossible {
            what: format!("strategy {name}"),
            why: format!("this file needs {}", chosen.name()),
            instead: "Take the directive out: the plan says which strategy it follows and why.".to_owned(),
        }),
        (Some(_), _) => None,
        (None, _) if STRATEGIES.contains(&name) => Some(Refusal::NotYet {
            what: format!("strategy {name}"),
            instead: "Take the directive out: the plan says which strategy it follows and why.".to_owned(),
        }),
        (None, _) => Some(unknown("strategy", name, "additive, expand-contract and lazy are", STRATEGIES)),
    }
}

fn refused_rule(id: &str) -> Option<Refusal> {
    if rule(id).is_some() {
        return None;
    }
    let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    Some(unknown("rule", id, &format!("{} are", ids.join(", ")), &ids))
}

fn unknown(kind: &str, name: &str, all_are: &str, known: &[&str]) -> Refusal {
    let shown = name.escape_debug().to_string();
    Refusal::Impossible {
        what: format!("{kind} `{shown}`"),
        why: format!("there is no such {kind}"),
        instead: match nearest(name, known.iter().copied()) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("Write one that is known: {all_are}."),
        },
    }
}

/// Returns the phases after which a rollback is possible; the end of verify is `ready`.
pub(crate) fn rollback_points(strategy: Strategy, steps: &[Step]) -> Vec<Phase> {
    let undoable = steps
        .iter()
        .any(|step| step.phase <= Phase::Verify && matches!(step.undo, Undo::Lossless(_) | Undo::Lossy { .. }));
    let mut points = if undoable { vec![Phase::Expand] } else { vec![] };
    if strategy == Strategy::ExpandContract {
        points.extend([Phase::Verify, Phase::Flip, Phase::Contract]);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, Script, column, strict};
    use crate::group::group;
    use crate::operation::Thresholds;
    use segue_model::engine::Engine;

    #[track_caller]
    fn reason_of(script: Script) -> String {
        let migration = script.done();
        let catalog = fixture::users(Engine::Sqlite);
        let server = fixture::server(Engine::Sqlite);
        let answers = Default::default();
        let (catalog, server, answers, thresholds) = (&catalog, &server, &answers, &Thresholds::DEFAULT);
        let context = Context { migration: &migration, catalog, server, answers, thresholds };
        let operations = group(&migration, catalog).unwrap();
        let (strategy, reason) = choose(&operations, &context);
        format!("{}: {reason}", strategy.name())
    }

    #[test]
    fn the_reason_is_one_sentence_with_figures() {
        let add = Script::new("m").add("users", column("c", "text"));
        insta::assert_snapshot!(reason_of(add.clone()), @"additive: Each statement runs as written, because none reads or writes the rows of `users` (1,000,000 rows) and running code goes on.");
        insta::assert_snapshot!(reason_of(Script::new("m").create_table("orders")), @"additive: Each statement runs as written, because nobody uses the new tables yet.");
        insta::assert_snapshot!(reason_of(Script::new("m")), @"additive: There is nothing to do, because the file changes nothing.");
        let fill = add.update("users", "c", "'x'");
        insta::assert_snapshot!(reason_of(fill.clone()), @"expand-contract: Both shapes are kept side by side, because `users` has 1,000,000 rows and one UPDATE that fills `c` would hold them all until it commits.");
        let pair = fill
            .add("users", column("years", "int"))
            .transform("users", &[("years", strict("age", &["age"]))])
            .drop("users", "age")
            .down(Script::new("m").transform("users", &[("age", strict("years", &["years"]))]));
        insta::assert_snapshot!(reason_of(pair), @"expand-contract: Both shapes are kept side by side, because `users` has 1,000,000 rows and one UPDATE that fills `c` would hold them all until it commits, and 1 more change needs it too.");
    }

    #[test]
    fn a_table_that_was_never_counted_has_no_figures() {
        let mut catalog = fixture::users(Engine::Postgres);
        catalog.tables[0].size.rows = None;
        let server = fixture::server(Engine::Postgres);
        let (migration, answers) = (Script::new("m").add("users", column("c", "text")).done(), Default::default());
        let (catalog, server, answers, thresholds) = (&catalog, &server, &answers, &Thresholds::DEFAULT);
        let context = Context { migration: &migration, catalog, server, answers, thresholds };
        let operations = group(&migration, catalog).unwrap();
        insta::assert_snapshot!(choose(&operations, &context).1, @"Each statement runs as written, because none reads or writes the rows of `users` and running code goes on.");
        assert_eq!(rows(&catalog.tables[0]), "rows that have not been counted yet");
    }

    #[test]
    fn rollback_points_follow_the_steps() {
        let mut steps = fixture::plan().steps;
        let all = [Phase::Expand, Phase::Verify, Phase::Flip, Phase::Contract];
        assert_eq!(rollback_points(Strategy::ExpandContract, &steps), all);
        assert_eq!(rollback_points(Strategy::Additive, &steps), [Phase::Expand]);
        steps[0].undo = Undo::Nothing;
        assert_eq!(rollback_points(Strategy::Additive, &steps), []);
    }
}
