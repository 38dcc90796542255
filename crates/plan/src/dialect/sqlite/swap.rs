//! The moment of a rebuild: the copy takes the table's name, with everything that hangs on it, in one short transaction.

use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};

use super::rebuild::{CopiedIndex, Rebuild};
use super::sync::drops;
use super::work::Work;
use super::{bystander, sql};

/// Returns the step.
///
/// The names are exchanged as before 3.26 (`legacy_alter_table`): views, foreign keys and triggers of other tables keep
/// their texts, which name the table that is there again at the end. An index cannot be renamed by any statement, so its
/// name is edited in the schema.
pub(super) fn step(rebuild: &Rebuild<'_>) -> Step {
    let mut all = nothing_in_the_way(rebuild);
    all.extend(statements(rebuild));
    Work {
        phase: Phase::Cleanup,
        title: format!("`{}` becomes `{}`, without {}", rebuild.copy.name, rebuild.name().name, rebuild.dropped()),
        action: Action::Sql(all),
        facts: &["tab.swap"],
        table: rebuild.name(),
        undo: Undo::Impossible,
    }
    .step()
}

/// Returns the statements, as [`step`] describes them.
pub(super) fn statements(rebuild: &Rebuild<'_>) -> Vec<Sql> {
    let mut all = vec![Sql::fixed("PRAGMA legacy_alter_table = ON")];
    all.extend(drops(&rebuild.sync));
    all.extend(drops(&rebuild.triggers()));
    let users = &rebuild.table.triggers;
    all.extend(users.iter().map(|trigger| sql("DROP TRIGGER main.{name}", &[("name", Hole::Name(&trigger.name))])));
    all.extend(sequence(rebuild));
    all.push(rename(rebuild, false));
    all.push(rename(rebuild, true));
    all.extend(edits(rebuild));
    all.extend(users.iter().map(|trigger| Sql::of_catalog(&trigger.definition)));
    all.push(Sql::fixed("PRAGMA legacy_alter_table = OFF"));
    all.extend(checks(rebuild));
    all
}

/// Returns what fails where somebody made meanwhile what the swap would take away or break.
pub(super) fn nothing_in_the_way(rebuild: &Rebuild<'_>) -> Vec<Sql> {
    vec![no_other_index(rebuild), bystander::fail(&rebuild.named, &rebuild.dropped)]
}

/// Such an index would be lost with the old table.
fn no_other_index(rebuild: &Rebuild<'_>) -> Sql {
    let known: Vec<Sql> =
        rebuild.indexes.iter().map(|index| sql("{name}", &[("name", Hole::Text(index.index.name.as_str()))])).collect();
    sql(
        include_str!("rebuild/other_index.sql").trim_end(),
        &[("table", Hole::Text(rebuild.name().name.as_str())), ("known", Hole::Join(&known, ", "))],
    )
}

/// The copy has counted up to the highest rowid that it was given; the table may have given out higher ones since deleted.
fn sequence(rebuild: &Rebuild<'_>) -> Vec<Sql> {
    if !rebuild.text.autoincrement {
        return vec![];
    }
    let (table, copy) = (rebuild.name().name.as_str(), rebuild.copy.name.as_str());
    vec![
        sql("DELETE FROM main.sqlite_sequence WHERE name = {copy}", &[("copy", Hole::Text(copy))]),
        sql(
            "INSERT INTO main.sqlite_sequence (name, seq) SELECT {copy}, seq FROM main.sqlite_sequence WHERE name = {table}",
            &[("copy", Hole::Text(copy)), ("table", Hole::Text(table))],
        ),
    ]
}

fn rename(rebuild: &Rebuild<'_>, copy: bool) -> Sql {
    let (from, to) = if copy { (&rebuild.copy, rebuild.name()) } else { (rebuild.name(), &rebuild.old) };
    sql("ALTER TABLE {from} RENAME TO {to}", &[("from", Hole::Table(from)), ("to", Hole::Name(&to.name))])
}

fn edits(rebuild: &Rebuild<'_>) -> Vec<Sql> {
    let mut all = vec![Sql::fixed("PRAGMA writable_schema = ON")];
    all.extend(rebuild.indexes.iter().map(|index| move_away(index, &rebuild.old.name)));
    all.extend(rebuild.indexes.iter().map(|index| {
        sql(
            include_str!("rebuild/index_text.sql").trim_end(),
            &[
                ("to", Hole::Text(index.index.name.as_str())),
                ("definition", Hole::Text(&index.index.definition)),
                ("from", Hole::Text(index.copy.as_str())),
                ("table", Hole::Text(rebuild.name().name.as_str())),
            ],
        )
    }));
    all.push(as_written(rebuild));
    all.extend(without_foreign_keys(rebuild));
    all.push(Sql::fixed("PRAGMA writable_schema = RESET"));
    all
}

fn move_away(index: &CopiedIndex<'_>, old: &Ident) -> Sql {
    let template = if index.text.unique { "CREATE UNIQUE INDEX {name}" } else { "CREATE INDEX {name}" };
    let to_head = sql(template, &[("name", Hole::Name(&index.old))]);
    sql(
        include_str!("rebuild/rename_index.sql").trim_end(),
        &[
            ("to", Hole::Text(index.old.as_str())),
            ("to_head", Hole::Body(&to_head)),
            ("head", Hole::Text(&index.text.head)),
            ("from", Hole::Text(index.index.name.as_str())),
            ("table", Hole::Text(old.as_str())),
        ],
    )
}

/// RENAME has put the name in quotes: it stands there again as the user wrote it.
fn as_written(rebuild: &Rebuild<'_>) -> Sql {
    let renamed = sql("CREATE TABLE {name}", &[("name", Hole::Name(&rebuild.name().name))]);
    sql(
        "UPDATE main.sqlite_schema SET sql = {head} || substr(sql, 1 + length({renamed})) \
         WHERE type = 'table' AND name = {table} AND substr(sql, 1, length({renamed})) = {renamed}",
        &[
            ("head", Hole::Text(&rebuild.text.head)),
            ("renamed", Hole::Body(&renamed)),
            ("table", Hole::Text(rebuild.name().name.as_str())),
        ],
    )
}

/// The rows of the old table go bit by bit, and must not keep anybody from deleting the rows that they point to.
fn without_foreign_keys(rebuild: &Rebuild<'_>) -> Option<Sql> {
    let clauses = &rebuild.text.foreign_keys;
    let text = clauses.iter().fold(Sql::fixed("sql"), |text, clause| {
        sql("replace({text}, {clause}, '')", &[("text", Hole::Sql(&text)), ("clause", Hole::Text(clause))])
    });
    let update = || {
        sql(
            "UPDATE main.sqlite_schema SET sql = {text} WHERE type = 'table' AND name = {old}",
            &[("text", Hole::Sql(&text)), ("old", Hole::Text(rebuild.old.name.as_str()))],
        )
    };
    (!clauses.is_empty()).then(update)
}

/// What the schema must be at the end, or nothing has happened.
fn checks(rebuild: &Rebuild<'_>) -> Vec<Sql> {
    let (table, old) = (rebuild.name().name.as_str(), rebuild.old.name.as_str());
    let names = |name: fn(&CopiedIndex<'_>) -> Ident| -> Vec<Sql> {
        let each = rebuild.indexes.iter().map(|index| sql("{name}", &[("name", Hole::Text(name(index).as_str()))]));
        each.collect()
    };
    let count = |table: &str, names: &[Sql]| {
        sql(
            "(SELECT count(*) FROM pragma_index_list({table}, 'main') WHERE name IN ({names}))",
            &[("table", Hole::Text(table)), ("names", Hole::Join(names, ", "))],
        )
    };
    let foreign = sql("(SELECT count(*) FROM pragma_foreign_key_list({old}, 'main'))", &[("old", Hole::Text(old))]);
    let wanted = i64::try_from(rebuild.indexes.len()).unwrap_or(i64::MAX);
    let check = |what: &str, count: &Sql, wanted: i64| {
        sql(
            include_str!("rebuild/settled.sql").trim_end(),
            &[("what", Hole::Text(what)), ("count", Hole::Sql(count)), ("wanted", Hole::Int(wanted))],
        )
    };
    vec![
        check("an index of the table is missing", &count(table, &names(|index| index.index.name.clone())), wanted),
        check("an index of the old table is missing", &count(old, &names(|index| index.old.clone())), wanted),
        check("a foreign key of the old table is left", &foreign, 0),
    ]
}
