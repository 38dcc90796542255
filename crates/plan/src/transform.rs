//! Transforms: how one side of a pair follows from the other, when that is NULL, and what follows from it.

use segue_model::catalog::{Catalog, Column, Table};
use segue_model::expr::{Expr, Nullness, Part};
use segue_model::ident::Ident;

use crate::figures::listed;
use crate::operation::{Fill, Operation, Pair};
use crate::refusal::{Refusal, Refused};

/// Returns the expression with each column spelled by `spell`.
pub(crate) fn respell(expr: &Expr, spell: &dyn Fn(&Ident) -> Ident) -> Expr {
    let parts = expr.parts.iter().map(|part| match part {
        Part::Column(column) => Part::Column(spell(column)),
        Part::Text(_) | Part::Schema(_) => part.clone(),
    });
    Expr { parts: parts.collect(), nullness: respell_nullness(&expr.nullness, spell), ..expr.clone() }
}

fn respell_nullness(nullness: &Nullness, spell: &dyn Fn(&Ident) -> Ident) -> Nullness {
    let all = |of: &[Nullness]| of.iter().map(|n| respell_nullness(n, spell)).collect();
    match nullness {
        Nullness::Never | Nullness::Always | Nullness::Unknown => nullness.clone(),
        Nullness::Column(column) => Nullness::Column(spell(column)),
        Nullness::Any(of) => Nullness::Any(all(of)),
        Nullness::All(of) => Nullness::All(all(of)),
    }
}

/// Returns a refusal for each transform that can be NULL where its column may not.
pub(crate) fn not_total(operation: &Operation<'_>, catalog: &Catalog) -> Vec<Refused> {
    match operation {
        Operation::AsWritten(_) | Operation::Retype(_) | Operation::Rows(_) | Operation::Native(_) => vec![],
        Operation::Fill(fill) => fill_not_total(fill, catalog).into_iter().collect(),
        Operation::Pair(pair) => pair_not_total(pair, catalog),
    }
}

fn fill_not_total(fill: &Fill<'_>, catalog: &Catalog) -> Option<Refused> {
    if !fill.not_null {
        return None;
    }
    let inputs = Inputs::old(fill.table, catalog);
    Some(inputs.refusal(fill.table, &fill.column.name, &fill.forward)?.at(fill.at))
}

fn pair_not_total(pair: &Pair<'_>, catalog: &Catalog) -> Vec<Refused> {
    let old = Inputs::old(pair.table, catalog);
    let forward = pair.new.iter().filter(|new| new.not_null);
    let forward = forward.filter_map(|new| old.refusal(pair.table, &new.column.name, &new.forward));
    let new = Inputs::new(pair, catalog);
    let back = pair.old.iter().filter(|old| old.column.not_null);
    let back = back.filter_map(|old| new.refusal(pair.table, &old.column.name, &old.back));
    forward.chain(back).map(|refusal| refusal.at(pair.at)).collect()
}

/// The columns that a transform reads: which can be NULL, and which are text.
struct Inputs<'a> {
    columns: Vec<(&'a Ident, bool, bool)>,
    catalog: &'a Catalog,
}

impl<'a> Inputs<'a> {
    fn old(table: &'a Table, catalog: &'a Catalog) -> Self {
        let columns = table.columns.iter().map(|c| (&c.name, !c.not_null, is_text(&c.base_type)));
        Self { columns: columns.collect(), catalog }
    }

    fn new(pair: &'a Pair<'_>, catalog: &'a Catalog) -> Self {
        let columns = pair.new.iter().map(|n| (&n.column.name, !n.not_null, is_text(n.column.type_name.as_str())));
        Self { columns: columns.collect(), catalog }
    }

    fn nullable(&self, column: &Ident) -> bool {
        self.columns.iter().find(|(name, ..)| *name == column).is_none_or(|(_, nullable, _)| *nullable)
    }

    fn refusal(&self, table: &Table, column: &Ident, expr: &Expr) -> Option<Refusal> {
        expr.nullness.possible(&|c| self.nullable(c)).then(|| Refusal::NotTotal {
            table: table.name.name.to_string(),
            column: column.to_string(),
            expr: expr.source.clone(),
            suggestion: self.total(&expr.source),
        })
    }

    /// Returns a total form of a transform: each nullable link of a `||` chain in its own coalesce, anything else in one.
    fn total(&self, source: &str) -> String {
        let links = links(source);
        if links.len() < 2 {
            return format!("coalesce({}, …)", source.trim());
        }
        links.iter().map(|link| self.total_link(link)).collect::<Vec<_>>().join(" || ")
    }

    fn total_link(&self, link: &str) -> String {
        let named = self.columns.iter().find(|(name, ..)| names(link, name, self.catalog));
        match named {
            Some((_, false, _)) => link.to_owned(),
            None if is_literal(link) => link.to_owned(),
            Some((_, true, false)) => format!("coalesce(CAST({link} AS text), '')"),
            Some((_, true, true)) | None => format!("coalesce({link}, '')"),
        }
    }
}

fn is_text(base_type: &str) -> bool {
    let word = base_type.rsplit('.').next().unwrap_or(base_type).trim_matches('"').to_ascii_lowercase();
    ["text", "varchar", "character", "bpchar", "char", "citext", "name", "clob"]
        .iter()
        .any(|text| word.starts_with(text))
}

/// Returns whether a piece of SQL is nothing but this column.
fn names(piece: &str, column: &Ident, catalog: &Catalog) -> bool {
    match piece.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => Ident::new(quoted.replace("\"\"", "\"")).is_ok_and(|name| catalog.same(&name, column)),
        None => piece.eq_ignore_ascii_case(column.as_str()),
    }
}

fn is_literal(piece: &str) -> bool {
    piece.len() >= 2 && piece.starts_with('\'') && piece.ends_with('\'') && !piece[1..piece.len() - 1].contains('|')
        || piece.parse::<f64>().is_ok()
}

/// Returns the links of a `||` chain, cut outside quotes and parentheses; one link when it is none.
fn links(source: &str) -> Vec<&str> {
    let mut links = vec![];
    let (mut depth, mut quote, mut from) = (0_i32, None, 0);
    let bytes = source.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'\'' | b'"')) => quote = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') => depth -= 1,
            (None, b'|') if depth == 0 && bytes.get(at + 1) == Some(&b'|') => {
                links.push(source[from..at].trim());
                from = at + 2;
                at += 1;
            }
            (None, _) => {}
        }
        at += 1;
    }
    links.push(source[from..].trim());
    links
}

/// Returns whether an expression is surely NULL where `null` says which columns surely are.
fn surely_null(nullness: &Nullness, null: &dyn Fn(&Ident) -> bool) -> bool {
    match nullness {
        Nullness::Always => true,
        Nullness::Never | Nullness::Unknown => false,
        Nullness::Column(column) => null(column),
        Nullness::Any(of) => of.iter().any(|n| surely_null(n, null)),
        Nullness::All(of) => of.iter().all(|n| surely_null(n, null)),
    }
}

/// Returns what a user should know about what a pair cannot tell apart.
pub(crate) fn notes(operation: &Operation<'_>) -> Vec<String> {
    match operation {
        Operation::Pair(pair) => [explicit_null(pair), null_law(pair)].into_iter().flatten().collect(),
        Operation::AsWritten(_)
        | Operation::Fill(_)
        | Operation::Retype(_)
        | Operation::Rows(_)
        | Operation::Native(_) => vec![],
    }
}

/// Q1: all new columns NULL means "not given", and then the old columns' defaults decide. An UPDATE tells them apart.
fn explicit_null(pair: &Pair<'_>) -> Option<String> {
    let old_default_null =
        |column: &Ident| pair.old.iter().any(|old| old.column.name == *column && !has_default(old.column));
    let decided = pair.new.iter().all(|new| surely_null(&new.forward.nullness, &old_default_null));
    if decided || !all_nullable(pair) {
        return None;
    }
    let made: Vec<String> = pair.new.iter().map(|new| format!("`{}`", new.forward.source.trim())).collect();
    Some(format!(
        "An INSERT that gives NULL for {} counts until cleanup as one that does not give it: the row gets {} of its old \
         columns or their defaults. Where that is not wanted, make the column NOT NULL, or let the transform give NULL for \
         the old defaults (`nullif(…, '')`).",
        new_names(pair),
        made.join(", ")
    ))
}

/// Q4: when NULL on one side does not mean NULL on the other, an absent new side and one written as NULL look alike.
fn null_law(pair: &Pair<'_>) -> Option<String> {
    let forward = pair.new.iter().all(|new| surely_null(&new.forward.nullness, &|_| true));
    let back = pair.old.iter().all(|old| surely_null(&old.back.nullness, &|_| true));
    if (forward && back) || !all_nullable(pair) {
        return None;
    }
    Some(format!(
        "New code may write NULL into {} from `ready` on and not before: on a row that is not filled yet it cannot be \
         told from a missing value.",
        new_names(pair)
    ))
}

fn all_nullable(pair: &Pair<'_>) -> bool {
    pair.new.iter().all(|new| !new.not_null)
}

fn has_default(column: &Column) -> bool {
    column.default.as_ref().is_some_and(|text| !text.trim().eq_ignore_ascii_case("null")) || column.identity.is_some()
}

fn new_names(pair: &Pair<'_>) -> String {
    listed(pair.new.iter().map(|new| &new.column.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, Script, column, strict, total};
    use crate::group::group;
    use segue_model::engine::Engine;

    #[test]
    fn a_chain_is_cut_outside_quotes_and_parentheses() {
        assert_eq!(links("a || ' || ' || f(b || c)"), ["a", "' || '", "f(b || c)"]);
        assert_eq!(links("\"a||b\" || c"), ["\"a||b\"", "c"]);
        assert_eq!(links("a + b"), ["a + b"]);
        assert_eq!(links("é||ü|"), ["é", "ü|"]);
    }

    /// Returns the notes on `name` in place of `first_name`.
    fn notes_of(new: fixture::New, forward: Expr, default: Option<&str>) -> Vec<String> {
        let mut catalog = fixture::users(Engine::Postgres);
        catalog.tables[0].columns[1].default = default.map(str::to_owned);
        let migration = Script::new("m")
            .add("users", new)
            .transform("users", &[("name", forward)])
            .drop("users", "first_name")
            .down(Script::new("m").transform("users", &[("first_name", strict("name", &["name"]))]))
            .done();
        group(&migration, &catalog).unwrap().iter().flat_map(notes).collect()
    }

    #[test]
    fn what_cannot_be_told_apart_is_said_and_nothing_else() {
        let strictly = || strict("first_name", &["first_name"]);
        let totally = || total("coalesce(first_name, '')", &["first_name"]);
        let null = |made: &str| {
            format!(
                "An INSERT that gives NULL for `name` counts until cleanup as one that does not give it: the row gets `{made}` \
                 of its old columns or their defaults. Where that is not wanted, make the column NOT NULL, or let the \
                 transform give NULL for the old defaults (`nullif(…, '')`)."
            )
        };
        assert_eq!(notes_of(column("name", "text"), strictly(), None), [""; 0]);
        assert_eq!(notes_of(column("name", "text"), strictly(), Some("NULL")), [""; 0]);
        assert_eq!(notes_of(column("name", "text"), strictly(), Some("'x'")), [null("first_name")]);
        assert_eq!(notes_of(column("name", "text").not_null(), totally(), Some("'x'")), [""; 0]);
        let both = notes_of(column("name", "text"), totally(), None);
        assert_eq!(both.len(), 2);
        assert_eq!(both[0], null("coalesce(first_name, '')"));
        assert!(
            both[1].starts_with("New code may write NULL into `name` from `ready` on and not before"),
            "{}",
            both[1]
        );
    }

    #[test]
    fn surely_null_is_not_the_opposite_of_possibly_null() {
        let a = Ident::known("a");
        let any = Nullness::Any(vec![Nullness::Unknown, Nullness::Column(a.clone())]);
        assert!(surely_null(&any, &|_| true));
        assert!(!surely_null(&any, &|_| false));
        assert!(any.possible(&|_| false));
    }
}
