//! What is changed in a generated scenario: columns, migration, applications and meaning.

use fastrand::Rng;
use segue_model::engine::Engine;
use segue_model::value::Value;

use super::kept;
use super::table::{Filled, Table};
use crate::scenario::split::{cut_at_first_space, full_name, join_always, join_present, two_first_parts};
use crate::scenario::texts::{or_empty, seeded, text, text_or_null};
use crate::scenario::{Rule, Scenario, by_engine, retype};

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alteration {
    /// A column is added, filled once, and NOT NULL.
    FillNotNull,
    /// A column is added and filled once; NULL where its source is NULL.
    FillNullable,
    /// A column gets another name.
    Rename,
    /// One column becomes two.
    Split,
    /// Two columns become one, NOT NULL.
    Merge,
    /// `integer` becomes `bigint` under the same name.
    Widen,
}

impl Alteration {
    /// Returns those that the engine has.
    pub fn all(engine: Engine) -> &'static [Self] {
        use Alteration::{FillNotNull, FillNullable, Merge, Rename, Split, Widen};
        match engine {
            Engine::Postgres => &[FillNotNull, FillNullable, Rename, Split, Merge, Widen],
            Engine::Sqlite => &[FillNotNull, FillNullable, Rename, Split, Merge],
        }
    }

    /// Returns the name, for tables of counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::FillNotNull => "fill, NOT NULL",
            Self::FillNullable => "fill, nullable",
            Self::Rename => "rename",
            Self::Split => "split",
            Self::Merge => "merge",
            Self::Widen => "int to bigint",
        }
    }

    pub(super) fn scenario(self, table: &Table) -> Scenario {
        match self {
            Self::FillNotNull => fill(table, true),
            Self::FillNullable => fill(table, false),
            Self::Rename => rename(table),
            Self::Split => split(table),
            Self::Merge => merge(table),
            Self::Widen => widen(table),
        }
    }
}

fn fill(table: &Table, not_null: bool) -> Scenario {
    let old = table.column("email", r#""user ""e-mail"" $2""#);
    let new = table.column("domain", r#""Größe {domain}""#);
    let name = table.name;
    let columns = [Filled { name: old, declared: "text", value: seeded_text(table.engine, "mail", 0) }];
    let source = if not_null { format!("coalesce({old}, '')") } else { old.to_owned() };
    let proved = format!("ALTER TABLE {name} ALTER COLUMN {new} SET NOT NULL;\n");
    Scenario {
        name: if not_null { Alteration::FillNotNull.name() } else { Alteration::FillNullable.name() },
        table: name,
        rule: Rule::FillOnce,
        create: table.create(&columns, &format!("CREATE INDEX things_by_email ON {name} ({old});")),
        fill: table.fill(&columns),
        settle: table.settle(),
        up: kept(format!(
            "ALTER TABLE {name} ADD COLUMN {new} text;\nUPDATE {name} SET {new} = {source} || '.example';\n{}",
            if not_null { proved.as_str() } else { "" }
        )),
        down: kept(format!("ALTER TABLE {name} DROP COLUMN {new};\n")),
        old: table.side(&[old], true, |rng| vec![text_or_null(rng)]),
        new: table.side(&[new], false, |rng| vec![text(rng).into()]),
        shared: table.shared(),
        seeded: |id| vec![seeded("mail", id)],
        defaults: || vec![Value::Null],
        forward: if not_null { domain } else { domain_or_null },
        // The old column does not follow: what it is after an INSERT that does not name it.
        back: |_| vec![Value::Null],
    }
}

fn domain(old: &[Value]) -> Vec<Value> {
    vec![format!("{}.example", or_empty(&old[0])).into()]
}

fn domain_or_null(old: &[Value]) -> Vec<Value> {
    if old[0] == Value::Null { vec![Value::Null] } else { domain(old) }
}

fn rename(table: &Table) -> Scenario {
    let old = table.column("title", r#""select ""it"" $2 {column} \""#);
    let new = table.column("heading", r#""nénénénénénénénénénénénénénénénénénénénéabc""#);
    let name = table.name;
    let columns = [Filled { name: old, declared: "text", value: seeded_text(table.engine, "Title", 0) }];
    let moved = |from: &str, to: &str| {
        kept(format!(
            "ALTER TABLE {name} ADD COLUMN {to} text;\nUPDATE {name} SET {to} = {from};\nALTER TABLE {name} DROP COLUMN {from};\n"
        ))
    };
    Scenario {
        name: Alteration::Rename.name(),
        table: name,
        rule: Rule::BothWays,
        create: table.create(&columns, ""),
        fill: table.fill(&columns),
        settle: table.settle(),
        up: moved(old, new),
        down: moved(new, old),
        old: table.side(&[old], true, |rng| vec![text_or_null(rng)]),
        new: table.side(&[new], true, |rng| vec![text_or_null(rng)]),
        shared: table.shared(),
        seeded: |id| vec![seeded("Title", id)],
        defaults: || vec![Value::Null],
        forward: <[Value]>::to_vec,
        back: <[Value]>::to_vec,
    }
}

/// The names of two columns and of the one that holds both.
fn names_of_people(table: &Table) -> (&'static str, &'static str, &'static str) {
    (
        table.column("first_name", r#""first ""name"" 名""#),
        table.column("last_name", r#""group""#),
        table.column("full_name", r#""full $3 name""#),
    )
}

fn join_sql(table: &Table, first: &str, last: &str) -> String {
    match table.engine {
        Engine::Postgres => format!("concat_ws(' ', {first}, {last})"),
        Engine::Sqlite => format!("coalesce({first}, '') || ' ' || coalesce({last}, '')"),
    }
}

fn cut_sql(table: &Table, full: &str, first: &str, last: &str) -> String {
    match table.engine {
        Engine::Postgres => {
            format!("{first} = split_part({full}, ' ', 1), {last} = split_part({full}, ' ', 2)")
        }
        Engine::Sqlite => format!(
            "{first} = substr({full}, 1, instr({full} || ' ', ' ') - 1), {last} = substr({full}, instr({full} || ' ', ' ') + 1)"
        ),
    }
}

/// Returns the statements from two columns to one; `proved`: it becomes NOT NULL.
fn to_one(table: &Table, proved: bool) -> &'static str {
    let (first, last, full) = names_of_people(table);
    let name = table.name;
    let join = join_sql(table, first, last);
    let not_null = format!("ALTER TABLE {name} ALTER COLUMN {full} SET NOT NULL;\n");
    kept(format!(
        "ALTER TABLE {name} ADD COLUMN {full} text;\nUPDATE {name} SET {full} = {join};\n{}ALTER TABLE {name} DROP COLUMN {first};\nALTER TABLE {name} DROP COLUMN {last};\n",
        if proved { not_null.as_str() } else { "" }
    ))
}

/// Returns the statements from one column to two.
fn to_two(table: &Table) -> &'static str {
    let (first, last, full) = names_of_people(table);
    let name = table.name;
    let cut = cut_sql(table, full, first, last);
    kept(format!(
        "ALTER TABLE {name} ADD COLUMN {first} text;\nALTER TABLE {name} ADD COLUMN {last} text;\nUPDATE {name} SET {cut};\nALTER TABLE {name} DROP COLUMN {full};\n"
    ))
}

fn split(table: &Table) -> Scenario {
    let (first, last, full) = names_of_people(table);
    let columns = [Filled { name: full, declared: "text", value: seeded_text(table.engine, "Full ", 0) }];
    Scenario {
        name: Alteration::Split.name(),
        table: table.name,
        rule: Rule::BothWays,
        create: table.create(&columns, ""),
        fill: table.fill(&columns),
        settle: table.settle(),
        up: to_two(table),
        down: to_one(table, false),
        old: table.side(&[full], true, |rng| if rng.u8(..10) == 0 { vec![Value::Null] } else { full_name(rng) }),
        new: table.side(&[first, last], true, two_names),
        shared: table.shared(),
        seeded: |id| vec![seeded("Full ", id)],
        defaults: || vec![Value::Null],
        forward: by_engine(table.engine, cut_at_first_space, two_first_parts),
        back: by_engine(table.engine, join_always, join_present),
    }
}

fn two_names(rng: &mut Rng) -> Vec<Value> {
    vec![text(rng).into(), text(rng).into()]
}

fn merge(table: &Table) -> Scenario {
    let (first, last, full) = names_of_people(table);
    let columns = [
        Filled { name: first, declared: "text", value: seeded_text(table.engine, "First", 0) },
        Filled { name: last, declared: "text", value: seeded_text(table.engine, "Last", 5) },
    ];
    Scenario {
        name: Alteration::Merge.name(),
        table: table.name,
        rule: Rule::BothWays,
        create: table.create(&columns, ""),
        fill: table.fill(&columns),
        settle: table.settle(),
        up: to_one(table, true),
        down: to_two(table),
        old: table.side(&[first, last], true, |rng| vec![text_or_null(rng), text_or_null(rng)]),
        new: table.side(&[full], false, full_name),
        shared: table.shared(),
        seeded: |id| vec![seeded("First", id), seeded("Last", id + 5)],
        defaults: || vec![Value::Null, Value::Null],
        forward: by_engine(table.engine, join_always, join_present),
        back: by_engine(table.engine, cut_at_first_space, two_first_parts),
    }
}

fn widen(table: &Table) -> Scenario {
    let amount = table.column("amount", r#""limit $1""#);
    let name = table.name;
    let value =
        "CASE n % 16 WHEN 0 THEN 0 WHEN 1 THEN 2147483647 WHEN 2 THEN -2147483648 ELSE (n % 1000000)::integer END";
    let columns = [Filled { name: amount, declared: "integer NOT NULL DEFAULT 7", value: value.to_owned() }];
    let side = table.side(&[amount], true, |rng| vec![retype::small(rng)]);
    Scenario {
        name: Alteration::Widen.name(),
        table: name,
        rule: Rule::SameName,
        create: table.create(&columns, &format!("CREATE INDEX things_by_amount ON {name} ({amount});")),
        fill: table.fill(&columns),
        settle: table.settle(),
        up: kept(format!("ALTER TABLE {name} ALTER COLUMN {amount} TYPE bigint;\n")),
        down: kept(format!("ALTER TABLE {name} ALTER COLUMN {amount} TYPE integer;\n")),
        old: side,
        new: side,
        shared: table.shared(),
        seeded: |id| vec![retype::seeded(id)],
        defaults: || vec![Value::Int(retype::DEFAULT)],
        forward: <[Value]>::to_vec,
        back: <[Value]>::to_vec,
    }
}

/// Returns the expression of a seeded text of row `n`: NULL, empty, longest, unicode, one that many rows share, or plain.
fn seeded_text(engine: Engine, prefix: &str, offset: u32) -> String {
    let longest = by_engine(engine, "replace(hex(zeroblob(120)), '0', 'x')", "repeat('x', 240)");
    format!(
        "CASE (n + {offset}) % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN {longest} WHEN 3 THEN 'Zoë 名前' ELSE '{prefix}' || (n + {offset}) END"
    )
}
