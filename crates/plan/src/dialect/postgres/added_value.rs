//! How the rows get their values of a new column: at once, or each its own by windows.

use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};
use segue_model::value::Value;

use super::added::Added;
use super::chosen::Unnamed;
use super::cut::windows;
use super::lookup::Names as Lookups;
use super::mirror::{Derived, Form, Kind, Mirror, display, regclass};
use super::names::Names;
use super::types::Resolved;
use super::work::{Work, undo_step};
use super::{attribute, backfill, prove, sql};
use crate::operation::Context;
use crate::refusal::Refusal;

/// How the rows get their values.
pub(super) enum Values {
    /// None, or one that all rows share.
    Shared {
        /// It may be the same value in each row.
        constant: bool,
    },
    /// Each row asks the default anew.
    Default(Sql),
    /// Each row takes a number of the column's own sequence.
    Serial(TableName),
    /// Each row takes a number of a sequence of ours, whose place the identity takes over.
    Identity(TableName),
}

/// Returns the open questions.
pub(super) fn probes(added: &Added<'_>, _context: &Context<'_>) -> Vec<Probe> {
    if added.details.serial.is_none() {
        return vec![];
    }
    vec![sequence(added).probe(), writers_probe(&added.table.name)]
}

fn sequence<'a>(added: &'a Added<'_>) -> Unnamed<'a> {
    Unnamed { table: &added.table.name, column: Some(added.name()), label: "seq", nth: 0 }
}

/// Returns how the rows get their values.
///
/// # Errors
/// A refusal for an identity with a sequence of its own making, and for writers that could not use a `serial`.
pub(super) fn values(added: &Added<'_>, volatile: bool, context: &Context<'_>) -> Result<Values, Refusal> {
    let place = |name: Ident| TableName { schema: added.table.name.schema.clone(), name };
    if added.details.serial.is_some() {
        let name = place(sequence(added).name(context)?);
        writers(added, &name, context)?;
        return Ok(Values::Serial(name));
    }
    if let Some(identity) = &added.details.identity {
        if identity.names_sequence {
            return Err(Refusal::NotYet {
                what: format!("an identity `{}` with a sequence of its own name, owner or kind", added.name()),
                instead: "Leave these options out, and change the sequence in a migration of its own.".to_owned(),
            });
        }
        let names = Names::new(context, &added.table.name, added.name());
        return Ok(Values::Identity(place(names.beside(added.name(), "numbers"))));
    }
    Ok(match added.default() {
        Some(default) if volatile => Values::Default(sql("({d})", &[("d", Hole::Sql(&Sql::written(default)))])),
        default => Values::Shared { constant: default.is_some() },
    })
}

impl Values {
    /// Returns whether rows that are there already are written for it.
    pub(super) fn by_windows(&self) -> bool {
        !matches!(self, Self::Shared { .. })
    }

    /// Returns whether all rows have one value that is not NULL.
    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Self::Shared { constant: true })
    }

    /// Returns the step that adds the column; what is inserted from then on has its value.
    pub(super) fn begin(&self, added: &Added<'_>, context: &Context<'_>) -> Vec<Step> {
        let (title, all, undo) = match self {
            Self::Shared { .. } => {
                return vec![at_once(added)];
            }
            Self::Default(_) => ("each new row its own value", vec![plain(added), self.set_default(added)], vec![]),
            Self::Serial(sequence) => {
                let all = [create_serial(added, sequence), vec![plain(added), self.set_default(added)]].concat();
                let all = all.into_iter().chain(owned_by(added, sequence, context));
                ("each new row a number", all.collect(), vec![])
            }
            Self::Identity(sequence) => {
                let all = [create_numbers(added, sequence), vec![plain(added), self.set_default(added)]].concat();
                ("each new row a number", all, vec![drop_sequence(sequence)])
            }
        };
        let step = Work {
            phase: Phase::Expand,
            title: format!("add `{}` to {}, {title}", added.name(), added.table.name),
            action: Action::Sql(all),
            facts: &["addcol.null", "col.set_default"],
            table: &added.table.name,
            undo: added.drop(undo),
        };
        vec![step.step()]
    }

    fn set_default(&self, added: &Added<'_>) -> Sql {
        prove::set_default(&added.table.name, added.name(), &self.value())
    }

    /// Returns what gives a row its value.
    fn value(&self) -> Sql {
        match self {
            Self::Shared { .. } => Sql::fixed("NULL"),
            Self::Default(default) => default.clone(),
            Self::Serial(sequence) | Self::Identity(sequence) => {
                sql("pg_catalog.nextval({s})", &[("s", Hole::Sql(&regclass(sequence)))])
            }
        }
    }

    /// Returns the steps that fill the rows that are there, and settle NOT NULL and the identity.
    ///
    /// # Errors
    /// A refusal when the types cannot be looked up.
    pub(super) fn fill(
        &self,
        added: &Added<'_>,
        kind: Resolved,
        phase: Phase,
        context: &Context<'_>,
    ) -> Result<Vec<Step>, Refusal> {
        let mirror = mirror(added, kind, context)?;
        let (table, column) = (&added.table.name, added.name());
        let value = sql("{c} = {v}", &[("c", Hole::Name(column)), ("v", Hole::Sql(&self.value()))]);
        let absent = mirror.absent(super::mirror::Of::Row);
        let title = format!("give each row that is there its value of `{column}`");
        let mut steps = vec![
            backfill::filling(&mirror, (title, windows(&mirror, context.server.version.major)), &[value], &absent),
            backfill::analyze(&mirror),
        ];
        if added.not_null {
            let check = mirror.names.check(column);
            steps.push(prove::add(phase, table, (column, &mirror.new[0].kind), &check));
            steps.push(prove::validate(phase, table, column, &check));
            steps.push(settle(added, phase, context));
            steps.push(drop_check(added, phase, &check));
        }
        if let Self::Identity(sequence) = self {
            steps.push(take_over(added, sequence, phase));
        }
        Ok(steps)
    }
}

/// Nothing has to be computed for a row: the value stands in the catalog alone.
fn at_once(added: &Added<'_>) -> Step {
    let default =
        added.details.default.as_ref().map(|default| sql(" DEFAULT {d}", &[("d", Hole::Sql(&Sql::written(default)))]));
    let not_null = (added.not_null && added.default().is_some()).then(|| match &added.details.not_null_name {
        Some(name) => sql(" CONSTRAINT {n} NOT NULL", &[("n", Hole::Name(name))]),
        None => Sql::fixed(" NOT NULL"),
    });
    let clauses: Vec<Sql> = std::iter::once(plain(added)).chain(default).chain(not_null).collect();
    Work {
        phase: Phase::Expand,
        title: format!("add `{}` to {}", added.name(), added.table.name),
        action: Action::Sql(vec![sql("{clauses}", &[("clauses", Hole::Join(&clauses, ""))])]),
        facts: &["addcol.const_default"],
        table: &added.table.name,
        undo: added.drop(vec![]),
    }
    .step()
}

fn plain(added: &Added<'_>) -> Sql {
    let clauses: Vec<Sql> =
        added.details.plain.iter().map(|clause| sql(" {c}", &[("c", Hole::Sql(&Sql::written(clause)))])).collect();
    sql(
        "ALTER TABLE {table} ADD COLUMN {column} {type}{clauses}",
        &[
            ("table", Hole::Table(&added.table.name)),
            ("column", Hole::Name(added.name())),
            ("type", Hole::Type(&added.type_name)),
            ("clauses", Hole::Join(&clauses, "")),
        ],
    )
}

fn create_serial(added: &Added<'_>, sequence: &TableName) -> Vec<Sql> {
    vec![sql(
        "CREATE SEQUENCE {sequence} AS {type}",
        &[("sequence", Hole::Table(sequence)), ("type", Hole::Type(&added.type_name))],
    )]
}

/// A `serial` owns its sequence, which must then be of the table's own owner.
fn owned_by(added: &Added<'_>, sequence: &TableName, context: &Context<'_>) -> Vec<Sql> {
    let owner = Ident::new(&added.table.owner).ok().filter(|owner| owner.as_str() != context.server.role);
    let to = owner.map(|owner| {
        sql(
            "ALTER SEQUENCE {sequence} OWNER TO {owner}",
            &[("sequence", Hole::Table(sequence)), ("owner", Hole::Name(&owner))],
        )
    });
    let by = sql(
        "ALTER SEQUENCE {sequence} OWNED BY {table}.{column}",
        &[
            ("sequence", Hole::Table(sequence)),
            ("table", Hole::Table(&added.table.name)),
            ("column", Hole::Name(added.name())),
        ],
    );
    to.into_iter().chain([by]).collect()
}

/// An identity asks nobody for a right to its sequence, so neither may ours until then.
fn create_numbers(added: &Added<'_>, sequence: &TableName) -> Vec<Sql> {
    let options = added.details.identity.as_ref().and_then(|identity| identity.options.as_ref());
    let options =
        options.map_or_else(|| Sql::fixed(""), |options| sql(" {o}", &[("o", Hole::Sql(&Sql::written(options)))]));
    vec![
        sql(
            "CREATE SEQUENCE {sequence} AS {type}{options}",
            &[
                ("sequence", Hole::Table(sequence)),
                ("type", Hole::Type(&added.type_name)),
                ("options", Hole::Sql(&options)),
            ],
        ),
        sql("GRANT USAGE ON SEQUENCE {sequence} TO PUBLIC", &[("sequence", Hole::Table(sequence))]),
    ]
}

fn drop_sequence(sequence: &TableName) -> Sql {
    sql("DROP SEQUENCE IF EXISTS {sequence}", &[("sequence", Hole::Table(sequence))])
}

fn settle(added: &Added<'_>, phase: Phase, context: &Context<'_>) -> Step {
    let (table, column) = (&added.table.name, added.name());
    let name = added.details.not_null_name.as_ref();
    let name = name.filter(|_| context.server.version.major >= attribute::NAMED_NOT_NULL);
    Work {
        phase,
        title: format!("make `{column}` NOT NULL, which is proved already"),
        action: Action::Sql(vec![match name {
            Some(name) => sql(
                "ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {column}",
                &[("table", Hole::Table(table)), ("name", Hole::Name(name)), ("column", Hole::Name(column))],
            ),
            None => prove::set_not_null(table, column),
        }]),
        facts: &["col.set_not_null_valid_check"],
        table,
        undo: Undo::Lossless(vec![undo_step(
            table,
            &["col.drop_not_null"],
            vec![
                added.sql("ALTER TABLE {table} ALTER COLUMN {column} DROP IDENTITY IF EXISTS"),
                prove::drop_not_null(table, column),
            ],
        )]),
    }
    .step()
}

fn drop_check(added: &Added<'_>, phase: Phase, check: &Ident) -> Step {
    Work {
        phase,
        title: format!("drop the CHECK that proved `{}`", added.name()),
        action: Action::Sql(vec![prove::drop_sql(&added.table.name, check)]),
        facts: &["con.drop_check"],
        table: &added.table.name,
        undo: Undo::Nothing,
    }
    .step()
}

/// The identity goes on where our sequence is. The undo of the step that adds the column drops both.
fn take_over(added: &Added<'_>, sequence: &TableName, phase: Phase) -> Step {
    let identity = added.details.identity.as_ref();
    let always = Sql::fixed(if identity.is_some_and(|identity| identity.always) { "ALWAYS" } else { "BY DEFAULT" });
    let options = identity.and_then(|identity| identity.options.as_ref());
    let options =
        options.map_or_else(|| Sql::fixed(""), |options| sql(" ({o})", &[("o", Hole::Sql(&Sql::written(options)))]));
    let table = &added.table.name;
    let spelled = sql("{t}", &[("t", Hole::Table(table))]);
    let all = vec![
        prove::drop_default(table, added.name()),
        sql(
            "ALTER TABLE {table} ALTER COLUMN {column} ADD GENERATED {always} AS IDENTITY{options}",
            &[
                ("table", Hole::Table(table)),
                ("column", Hole::Name(added.name())),
                ("always", Hole::Sql(&always)),
                ("options", Hole::Sql(&options)),
            ],
        ),
        sql(
            "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence({table}, {column})::pg_catalog.regclass, s.last_value, \
             s.is_called) FROM {sequence} AS s",
            &[
                ("table", Hole::Body(&spelled)),
                ("column", Hole::Text(added.name().as_str())),
                ("sequence", Hole::Table(sequence)),
            ],
        ),
        drop_sequence(sequence),
    ];
    Work {
        phase,
        title: format!("make `{}` an identity that goes on where its numbers are", added.name()),
        action: Action::Sql(all),
        facts: &["col.drop_default", "col.add_identity"],
        table,
        undo: Undo::Nothing,
    }
    .step()
}

/// Both sides of a column that follows from nothing: what windows and their statements need.
fn mirror<'a>(added: &Added<'a>, kind: Resolved, context: &Context<'a>) -> Result<Mirror<'a>, Refusal> {
    let lookup = Lookups { exprs: vec![], types: vec![] }.resolve(context)?;
    let table: &'a segue_model::catalog::Table = added.table;
    let expr = segue_model::expr::Expr {
        source: "NULL".to_owned(),
        parts: vec![],
        nullness: segue_model::expr::Nullness::Always,
        uses: vec![],
        can_raise: false,
        constant: true,
    };
    let new = Derived { column: added.name().clone(), kind, expr, form: Form::Exact };
    Ok(Mirror {
        table,
        names: Names::new(context, &table.name, &added.column.name),
        kind: Kind::Fill,
        new: vec![new],
        old: vec![],
        required: added.not_null,
        renamed: std::collections::BTreeMap::new(),
        lookup,
    })
}

/// Returns the question which roles insert into the table and would not get at a new sequence.
fn writers_probe(table: &TableName) -> Probe {
    let sql = sql(
        include_str!("added/writers.sql").trim_end(),
        &[("table", Hole::Sql(&regclass(table))), ("schema", Hole::Text(table.schema.as_str()))],
    );
    Probe { key: writers_key(table), sql }
}

fn writers_key(table: &TableName) -> String {
    ["writers:", &display(table)].concat()
}

/// The default of a `serial` asks the sequence in the name of whoever inserts.
fn writers(added: &Added<'_>, sequence: &TableName, context: &Context<'_>) -> Result<(), Refusal> {
    let rows = match context.answers.get(&writers_key(&added.table.name)) {
        Some(Answer::Rows(rows)) => rows.as_slice(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => &[],
    };
    let roles: Vec<String> =
        rows.iter().filter_map(|row| row.first().and_then(Value::as_str)).map(|role| format!("`{role}`")).collect();
    if roles.is_empty() {
        return Ok(());
    }
    Err(Refusal::Impossible {
        what: format!("`{}` as a serial column", added.name()),
        why: format!(
            "{} would need USAGE on the new sequence {sequence} from its first moment, or each INSERT into {} fails",
            roles.join(", "),
            added.table.name
        ),
        instead: "Write `GENERATED BY DEFAULT AS IDENTITY`, which asks for no such right, or first `ALTER DEFAULT PRIVILEGES … \
                  GRANT USAGE ON SEQUENCES`."
            .to_owned(),
    })
}
