//! Which schema holds each function, operator, type and collation that a transform names.
//!
//! An unqualified name could be caught by another object through the application's search path, so each gets its schema
//! from the catalog; a name that two schemas answer to is refused.

use std::collections::BTreeMap;

use segue_model::expr::{Expr, NameKind, NameUse};
use segue_model::ident::Ident;
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Quoting, Sql, TypeName};
use segue_model::value::{Row, Value};

use super::types::{self, Resolved};
use super::{Postgres, sql};
use crate::operation::Context;
use crate::refusal::Refusal;

/// The names and types of an operation.
#[derive(Default)]
pub(super) struct Names<'a> {
    /// Expressions whose names are looked up.
    pub(super) exprs: Vec<&'a Expr>,
    /// Types that are resolved.
    pub(super) types: Vec<&'a TypeName>,
}

/// What the catalog said about them.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    names: BTreeMap<NameUse, Found>,
    types: BTreeMap<TypeName, Resolved>,
}

/// Where a name was found, and how much its value may vary.
#[derive(Debug)]
struct Found {
    schema: Ident,
    /// `pg_proc.provolatile`, the worst of all overloads; `i` for types and collations.
    volatility: char,
    /// No overload is IMMUTABLE.
    never_immutable: bool,
}

impl Names<'_> {
    /// Returns the questions that `context` has no answer to.
    pub(super) fn probes(&self, context: &Context<'_>) -> Vec<Probe> {
        let names = self.uses().into_iter().map(|name| Probe { key: key(name), sql: question(name, context) });
        let types = self.types.iter().map(|name| types::probe(name));
        let mut open: Vec<Probe> = vec![];
        for probe in names.chain(types) {
            let known = context.answers.contains_key(&probe.key) || open.iter().any(|other| other.key == probe.key);
            if !known {
                open.push(probe);
            }
        }
        open
    }

    /// Returns what the answers say.
    ///
    /// # Errors
    /// A refusal for a name that nothing or too much answers to, and for a VOLATILE one.
    pub(super) fn resolve(&self, context: &Context<'_>) -> Result<Lookup, Refusal> {
        let mut lookup = Lookup::default();
        for name in self.uses() {
            lookup.names.insert(name.clone(), found(name, context)?);
        }
        for name in &self.types {
            lookup.types.insert((*name).clone(), types::resolved(name, context.answers)?);
        }
        Ok(lookup)
    }

    fn uses(&self) -> Vec<&NameUse> {
        self.exprs.iter().flat_map(|expr| &expr.uses).collect()
    }
}

impl Lookup {
    /// Returns the schema of a name, quoted.
    pub(super) fn schema(&self, name: &NameUse) -> String {
        Postgres.name(self.found_in(name).as_str())
    }

    /// Returns the schema of a name.
    pub(super) fn found_in(&self, name: &NameUse) -> &Ident {
        &self.names.get(name).expect("each name of an expression was looked up before it is written").schema
    }

    /// Returns what is known of a type.
    pub(super) fn type_of(&self, name: &TypeName) -> &Resolved {
        self.types.get(name).expect("each type of an operation was looked up before it is written")
    }

    /// Returns the functions and operators of `expr` whose value may depend on settings of the session.
    pub(super) fn unstable<'e>(&self, expr: &'e Expr) -> Vec<&'e NameUse> {
        let unstable = |name: &&NameUse| self.names.get(*name).is_some_and(|found| found.volatility == 's');
        expr.uses.iter().filter(unstable).collect()
    }

    /// Returns those of them that depend on it whatever they are given.
    pub(super) fn never_immutable<'e>(&self, expr: &'e Expr) -> Vec<&'e NameUse> {
        let never = |name: &&NameUse| self.names.get(*name).is_some_and(|found| found.never_immutable);
        expr.uses.iter().filter(never).collect()
    }
}

fn key(name: &NameUse) -> String {
    let kind = kind_word(name.kind);
    let schema = name.schema.as_ref().map_or("", Ident::as_str);
    ["name", kind, schema, &name.name].join(":")
}

fn kind_word(kind: NameKind) -> &'static str {
    match kind {
        NameKind::Function => "function",
        NameKind::Operator => "operator",
        NameKind::Type => "type",
        NameKind::Collation => "collation",
    }
}

fn question(name: &NameUse, context: &Context<'_>) -> Sql {
    let schemas: Vec<Sql> =
        schemas(name, context).iter().map(|s| sql("{s}", &[("s", Hole::Text(s.as_str()))])).collect();
    let template = match name.kind {
        NameKind::Function => {
            "SELECT n.nspname, pg_catalog.max(CASE p.provolatile WHEN 'v' THEN '3v' WHEN 's' THEN '2s' ELSE '1i' END), \
             pg_catalog.min(CASE p.provolatile WHEN 'v' THEN '3v' WHEN 's' THEN '2s' ELSE '1i' END) \
             FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
             WHERE p.proname = {name} AND p.prokind = 'f' AND n.nspname IN ({schemas}) GROUP BY n.nspname ORDER BY 1"
        }
        NameKind::Operator => {
            "SELECT n.nspname, pg_catalog.max(CASE p.provolatile WHEN 'v' THEN '3v' WHEN 's' THEN '2s' ELSE '1i' END), \
             pg_catalog.min(CASE p.provolatile WHEN 'v' THEN '3v' WHEN 's' THEN '2s' ELSE '1i' END) \
             FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace \
             JOIN pg_catalog.pg_proc AS p ON p.oid = o.oprcode \
             WHERE o.oprname = {name} AND n.nspname IN ({schemas}) GROUP BY n.nspname ORDER BY 1"
        }
        NameKind::Type => {
            "SELECT n.nspname, '1i' FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n \
             ON n.oid = t.typnamespace WHERE t.typname = {name} AND n.nspname IN ({schemas}) ORDER BY 1"
        }
        NameKind::Collation => {
            "SELECT DISTINCT n.nspname, '1i' FROM pg_catalog.pg_collation AS c JOIN pg_catalog.pg_namespace AS n \
             ON n.oid = c.collnamespace WHERE c.collname = {name} AND n.nspname IN ({schemas}) ORDER BY 1"
        }
    };
    sql(template, &[("name", Hole::Text(&name.name)), ("schemas", Hole::Join(&schemas, ", "))])
}

/// Returns where the name is looked up: the schema written, or `pg_catalog` and the search path.
fn schemas(name: &NameUse, context: &Context<'_>) -> Vec<Ident> {
    match &name.schema {
        Some(schema) => vec![schema.clone()],
        None => {
            std::iter::once(Ident::known("pg_catalog")).chain(context.catalog.search_path.iter().cloned()).collect()
        }
    }
}

fn found(name: &NameUse, context: &Context<'_>) -> Result<Found, Refusal> {
    let what = [kind_word(name.kind), " `", &name.name, "`"].concat();
    let rows = match context.answers.get(&key(name)) {
        Some(Answer::Rows(rows)) => rows.as_slice(),
        Some(Answer::Failed { message, .. }) => return Err(unanswered(&what, message)),
        Some(Answer::TimedOut) | None => return Err(unanswered(&what, "the server did not answer in time")),
    };
    let found: Vec<Found> = rows.iter().filter_map(read).collect();
    let schemas: Vec<&str> = found.iter().map(|found| found.schema.as_str()).collect();
    match (found.len(), schemas.join("` and `")) {
        (0, _) => Err(Refusal::Impossible {
            what: ["the transform names the ", &what].concat(),
            why: "nothing of that name is in pg_catalog or on the search path".to_owned(),
            instead: "Check its spelling, or write its schema before it.".to_owned(),
        }),
        (1, _) => found.into_iter().next().ok_or_else(|| unanswered(&what, "no row")).and_then(|f| steady(f, &what)),
        (_, several) => Err(Refusal::Impossible {
            what: ["the transform names the ", &what].concat(),
            why: ["the schemas `", &several, "` each have one, and the application could mean either"].concat(),
            instead: "Write its schema before it, for a function `pg_catalog.name(…)`, for an operator \
                      `OPERATOR(pg_catalog.name)`."
                .to_owned(),
        }),
    }
}

fn read(row: &Row) -> Option<Found> {
    let schema = Ident::new(row.first().and_then(Value::as_str)?).ok()?;
    let volatility = row.get(1).and_then(Value::as_str)?.chars().last()?;
    let best = row.get(2).and_then(Value::as_str).and_then(|best| best.chars().last());
    Some(Found { schema, volatility, never_immutable: best.is_some_and(|best| best != 'i') })
}

fn steady(found: Found, what: &str) -> Result<Found, Refusal> {
    match found.volatility {
        'v' => Err(Refusal::Impossible {
            what: ["the transform uses the ", what].concat(),
            why: "it is VOLATILE: the trigger, the backfill and verify would each compute another value".to_owned(),
            instead: "Use an IMMUTABLE expression; for a fresh value a row, a column DEFAULT.".to_owned(),
        }),
        _ => Ok(found),
    }
}

fn unanswered(what: &str, why: &str) -> Refusal {
    Refusal::Impossible {
        what: ["the ", what, " could not be looked up"].concat(),
        why: why.to_owned(),
        instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
    }
}
