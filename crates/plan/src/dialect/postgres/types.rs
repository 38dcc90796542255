//! What is known of types: how a type is written so that no search path changes it, and what fits into it.

use segue_model::ident::Ident;
use segue_model::probe::{Answer, Answers, Probe};
use segue_model::sql::{Hole, Quoting, Sql, TypeName};
use segue_model::value::Value;

use super::{Postgres, sql};
use crate::figures::shown_type;
use crate::refusal::Refusal;

/// A type that the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The schema that holds it.
    pub(super) schema: String,
    /// Its name there: `int4`, `varchar`.
    pub(super) name: String,
    /// `pg_type.typtype`: `d` is a domain.
    pub(super) class: char,
    /// The numbers in parentheses.
    pub(super) modifiers: Vec<i64>,
}

/// How an expression of one type gets into a column of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Every value fits.
    Exact,
    /// Texts of at most so many characters fit.
    Length(i64),
    /// It may fail, so it is tried.
    Tried,
}

/// Widenings that never fail and that an assignment does by itself; from, to.
const WIDENINGS: &[(&str, &str)] = &[
    ("int2", "int4"),
    ("int2", "int8"),
    ("int4", "int8"),
    ("int2", "numeric"),
    ("int4", "numeric"),
    ("int8", "numeric"),
    ("int2", "float8"),
    ("int4", "float8"),
    ("float4", "float8"),
    ("date", "timestamp"),
    ("text", "varchar"),
    ("varchar", "text"),
];

/// Whole numbers, each wider than the one before: a cast to a wider one is transparent to old and new code.
const WHOLE: &[&str] = &["int2", "int4", "int8"];

/// Types whose values are equal only when their bits are. Not among them: numbers with a scale, floats, `bpchar`,
/// intervals, and whatever holds other values.
const BITWISE: &[&str] =
    &["bool", "int2", "int4", "int8", "oid", "uuid", "date", "time", "timestamp", "timestamptz", "bytea"];

/// Returns the question what a type is.
pub(super) fn probe(name: &TypeName) -> Probe {
    let sql = sql(
        "SELECT n.nspname, t.typname, t.typtype FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n \
         ON n.oid = t.typnamespace WHERE t.oid = pg_catalog.pg_typeof(CAST(NULL AS {type}))::pg_catalog.oid",
        &[("type", Hole::Type(name))],
    );
    Probe { key: key(name), sql }
}

/// Returns what the answers say about a type.
///
/// # Errors
/// A refusal when the server does not know it, or its modifiers cannot be carried.
pub(super) fn resolved(name: &TypeName, answers: &Answers) -> Result<Resolved, Refusal> {
    let row = match answers.get(&key(name)) {
        Some(Answer::Rows(rows)) => rows.first().ok_or_else(|| unknown(name, "the server does not know it"))?,
        Some(Answer::Failed { code, message }) if code.starts_with("23") => return Err(never_null(name, message)),
        Some(Answer::Failed { message, .. }) => return Err(unknown(name, message)),
        Some(Answer::TimedOut) | None => return Err(unknown(name, "the server did not answer in time")),
    };
    let text = |at: usize| row.get(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let class = text(2).chars().next().unwrap_or('b');
    let resolved = Resolved { schema: text(0), name: text(1), class, modifiers: modifiers(name.as_str()) };
    match resolved.name.as_str() {
        "interval" if name.as_str() != "interval" && name.as_str() != "pg_catalog.interval" => Err(Refusal::NotYet {
            what: "an interval with fields or a precision".to_owned(),
            instead: "Use plain `interval`.".to_owned(),
        }),
        _ => Ok(resolved),
    }
}

fn key(name: &TypeName) -> String {
    ["type", name.as_str()].join(":")
}

/// A value that cannot be converted is left NULL, which such a domain raises an error for.
fn never_null(name: &TypeName, why: &str) -> Refusal {
    Refusal::Impossible {
        what: ["the domain `", &shown_type(name), "` cannot be used here"].concat(),
        why: why.to_owned(),
        instead: "In an earlier migration let the domain take NULL, and make its columns NOT NULL instead.".to_owned(),
    }
}

fn unknown(name: &TypeName, why: &str) -> Refusal {
    Refusal::Impossible {
        what: ["the type `", &shown_type(name), "` cannot be used here"].concat(),
        why: why.to_owned(),
        instead: "Use a type that exists and takes NULL; `serial` is a default, not a type.".to_owned(),
    }
}

/// Returns the numbers in the first parentheses that stand outside quotes.
fn modifiers(spelled: &str) -> Vec<i64> {
    let mut quoted = false;
    let open = spelled.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '(' && !quoted
    });
    let inside = open.and_then(|(at, _)| spelled[at + 1..].split(')').next()).unwrap_or_default();
    inside.split(',').filter_map(|number| number.trim().parse().ok()).collect()
}

impl Resolved {
    /// Returns the type with its schema and modifiers.
    pub(super) fn full(&self) -> TypeName {
        if self.modifiers.is_empty() {
            return self.bare();
        }
        let numbers: Vec<Sql> = self.modifiers.iter().map(|n| sql("{n}", &[("n", Hole::Int(*n))])).collect();
        let bare = self.bare();
        let full = sql("{type}({numbers})", &[("type", Hole::Type(&bare)), ("numbers", Hole::Join(&numbers, ","))]);
        TypeName::spelled(full.as_str())
    }

    /// Returns the type with its schema, without modifiers.
    pub(super) fn bare(&self) -> TypeName {
        TypeName::spelled([Postgres.name(&self.schema), Postgres.name(&self.name)].join("."))
    }

    /// Returns the condition that a value of this type is absent.
    pub(super) fn is_null(&self, value: &Sql) -> Sql {
        let template = if self.may_be_row() { "{v} IS NOT DISTINCT FROM NULL" } else { "{v} IS NULL" };
        sql(template, &[("v", Hole::Sql(value))])
    }

    /// Returns the condition that a value of this type is there.
    pub(super) fn is_not_null(&self, value: &Sql) -> Sql {
        let template = if self.may_be_row() { "{v} IS DISTINCT FROM NULL" } else { "{v} IS NOT NULL" };
        sql(template, &[("v", Hole::Sql(value))])
    }

    /// `IS NULL` asks a row of several fields for each of them, so that one with a NULL in it is neither NULL nor not.
    fn may_be_row(&self) -> bool {
        matches!(self.class, 'c' | 'd')
    }

    /// Returns whether values of type `from` (a name in `pg_catalog`, where it is known) get in here.
    pub(super) fn fit(&self, from: Option<&Resolved>) -> Fit {
        let Some(from) = from else { return Fit::Tried };
        let same = from.schema == self.schema && from.name == self.name && self.class != 'd';
        let plain = from.schema == "pg_catalog" && self.schema == "pg_catalog";
        let wider = plain && WIDENINGS.contains(&(from.name.as_str(), self.name.as_str()));
        match self.modifiers.as_slice() {
            [] if same || wider => Fit::Exact,
            _ if same && from.modifiers == self.modifiers => Fit::Exact,
            [length] if plain && self.name == "varchar" && matches!(from.name.as_str(), "text" | "varchar") => {
                Fit::Length(*length)
            }
            _ => Fit::Tried,
        }
    }

    /// Returns how `{c}` and `{v}` of this type are compared where `=` means the same bits; `None` where it does not. Texts
    /// are compared in a collation that knows nothing but bytes.
    pub(super) fn bitwise_equal(&self) -> Option<&'static str> {
        match self.name.as_str() {
            _ if self.schema != "pg_catalog" => None,
            "text" | "varchar" => Some("{c} OPERATOR(pg_catalog.=) ({v}) COLLATE pg_catalog.\"C\""),
            name if BITWISE.contains(&name) => Some("{c} OPERATOR(pg_catalog.=) {v}"),
            _ => None,
        }
    }

    /// Returns whether a column of this type may become `to` under the same name: old and new code bear either, and no value is
    /// another one afterwards.
    pub(super) fn transparent_to(&self, to: &Resolved) -> bool {
        let plain = self.schema == "pg_catalog" && to.schema == "pg_catalog";
        let place = |kind: &Resolved| WHOLE.iter().position(|name| kind.name == *name);
        let text = |kind: &Resolved| matches!(kind.name.as_str(), "text" | "varchar");
        let longer = match (self.modifiers.as_slice(), to.modifiers.as_slice()) {
            (_, []) => true,
            ([from], [to]) => to >= from,
            _ => false,
        };
        let wider = place(self).zip(place(to)).is_some_and(|(from, to)| from < to);
        plain && (wider || text(self) && text(to) && longer)
    }

    /// Returns the lowest and the highest whole number that the type holds.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        match self.name.as_str() {
            "int2" => Some((i64::from(i16::MIN), i64::from(i16::MAX))),
            "int4" => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
            "int8" => Some((i64::MIN, i64::MAX)),
            _ => None,
        }
    }
}

/// Returns the type that a query over `pg_type` named: schema and name.
pub(super) fn named(answer: Option<&Answer>) -> Option<Resolved> {
    let Some(Answer::Rows(rows)) = answer else { return None };
    let row = rows.first()?;
    let text = |at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
    let name = Ident::new(text(1)?).ok()?;
    Some(Resolved { schema: text(0)?, name: name.as_str().to_owned(), class: 'b', modifiers: vec![] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, modifiers: &[i64]) -> Resolved {
        Resolved { schema: "pg_catalog".into(), name: name.into(), class: 'b', modifiers: modifiers.to_vec() }
    }

    #[test]
    fn modifiers_are_read_wherever_the_type_has_them() {
        assert_eq!(modifiers("character varying(50)"), [50]);
        assert_eq!(modifiers("numeric(10, 2)"), [10, 2]);
        assert_eq!(modifiers("timestamp(3) with time zone"), [3]);
        assert_eq!(modifiers("\"odd(7)\""), [] as [i64; 0]);
    }

    #[test]
    fn a_type_is_written_with_its_schema() {
        assert_eq!(of("numeric", &[10, 2]).full().as_str(), r#""pg_catalog"."numeric"(10,2)"#);
    }

    #[test]
    fn what_may_not_fit_is_told() {
        assert_eq!(of("varchar", &[50]).fit(Some(&of("text", &[]))), Fit::Length(50));
        assert_eq!(of("int8", &[]).fit(Some(&of("int4", &[]))), Fit::Exact);
        assert_eq!(of("int4", &[]).fit(Some(&of("text", &[]))), Fit::Tried);
        assert_eq!(of("numeric", &[5, 2]).fit(Some(&of("numeric", &[]))), Fit::Tried);
        assert_eq!(of("text", &[]).fit(None), Fit::Tried);
    }

    #[test]
    fn what_is_of_the_same_type_and_length_fits() {
        assert_eq!(of("varchar", &[50]).fit(Some(&of("varchar", &[50]))), Fit::Exact);
        assert_eq!(of("numeric", &[5, 2]).fit(Some(&of("numeric", &[5, 2]))), Fit::Exact);
        assert_eq!(of("numeric", &[5, 2]).fit(Some(&of("numeric", &[6, 2]))), Fit::Tried);
    }

    #[test]
    fn a_domain_that_refuses_null_is_told_as_one() {
        let name = TypeName::spelled("public.dn");
        let failed = Answer::Failed { code: "23502".into(), message: "domain dn does not allow null values".into() };
        let refusal = resolved(&name, &Answers::from([(key(&name), failed)])).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the domain `public.dn` cannot be used here: domain dn does not allow null values"
        );
        assert!(refusal.hint().contains("let the domain take NULL"));
    }

    #[test]
    fn a_row_with_a_null_in_it_is_there() {
        let value = Sql::fixed("v");
        assert_eq!(of("text", &[]).is_null(&value).as_str(), "v IS NULL");
        let row = Resolved { class: 'c', ..of("address", &[]) };
        assert_eq!(row.is_null(&value).as_str(), "v IS NOT DISTINCT FROM NULL");
        assert_eq!(row.is_not_null(&value).as_str(), "v IS DISTINCT FROM NULL");
    }

    #[test]
    fn only_wider_integers_and_longer_texts_are_transparent() {
        assert!(of("int4", &[]).transparent_to(&of("int8", &[])));
        assert!(!of("int8", &[]).transparent_to(&of("int4", &[])));
        assert!(of("varchar", &[5]).transparent_to(&of("varchar", &[9])));
        assert!(of("varchar", &[5]).transparent_to(&of("text", &[])));
        assert!(!of("varchar", &[9]).transparent_to(&of("varchar", &[5])));
        assert!(!of("text", &[]).transparent_to(&of("varchar", &[5])));
        assert!(!of("bpchar", &[5]).transparent_to(&of("text", &[])));
        assert!(!of("int4", &[]).transparent_to(&of("text", &[])));
    }
}
