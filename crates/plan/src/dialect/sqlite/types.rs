//! What SQLite makes of a declared type.

use segue_model::catalog::Table;
use segue_model::expr::Expr;
use segue_model::ident::Ident;

use crate::operation::Retype;
use crate::refusal::Refusal;

/// The affinity of a column: what a value becomes when it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    /// Numbers become text.
    Text,
    /// Text that looks like a number becomes one.
    Numeric,
    /// The same, whole numbers first.
    Integer,
    /// The same, and whole numbers become floating-point ones.
    Real,
    /// Values stay as they are.
    Blob,
}

/// Returns the affinity of a declared type, by the five rules of the manual in their order.
pub(super) fn affinity(declared: &str) -> Affinity {
    let declared = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if has(&["BLOB"]) || declared.trim().is_empty() {
        Affinity::Blob
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// Returns why a column of another type is not planned.
pub(super) fn retype(retype: &Retype<'_>) -> Refusal {
    let (from, to) = (&retype.column.type_name, retype.to);
    let what = format!("`{}.{}` to {to}", retype.table.name.name, retype.column.name);
    if affinity(from.as_str()) == Affinity::Integer && affinity(to.as_str()) == Affinity::Integer {
        return Refusal::Impossible {
            what,
            why: "SQLite's integers are 64-bit whatever their declared type is called: there is nothing to change"
                .to_owned(),
            instead: "Leave the statement out.".to_owned(),
        };
    }
    Refusal::NotYet {
        what: format!("another type under the same name on SQLite ({what})"),
        instead: "Add a column of the new type, fill it by an UPDATE and drop the old one: the names then differ."
            .to_owned(),
    }
}

/// Returns whether `table` is STRICT.
pub(super) fn is_strict(table: &Table) -> bool {
    let sql = table.sql.as_deref().unwrap_or_default();
    // Options stand after the last bracket; a comment or a CHECK before it may say anything.
    let options = sql.rsplit(')').next().unwrap_or_default();
    options.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case("strict"))
}

/// Returns whether whatever `expr` gives can be stored in a column that a STRICT table declares as `to`.
pub(super) fn fits_strict(table: &Table, expr: &Expr, to: &str) -> bool {
    if to.eq_ignore_ascii_case("any") {
        return true;
    }
    let inputs = expr.columns();
    let declared =
        |name: &Ident| table.columns.iter().find(|column| column.name == *name).map(|c| c.type_name.as_str());
    let all = |wanted: &str| {
        inputs.iter().all(|name| declared(name).is_some_and(|declared| declared.eq_ignore_ascii_case(wanted)))
    };
    if expr.is_bare_column() {
        return all(to);
    }
    // Text, and numbers too, are stored as text; only bytes are not.
    let source = expr.source.to_ascii_lowercase();
    to.eq_ignore_ascii_case("text") && all("text") && !["blob", "unhex"].iter().any(|word| source.contains(word))
}

/// An expression that is one column and nothing else.
pub(super) trait BareColumn {
    /// Returns whether it is.
    fn is_bare_column(&self) -> bool;
}

impl BareColumn for Expr {
    fn is_bare_column(&self) -> bool {
        use segue_model::expr::Part;
        let blank = |text: &str| text.chars().all(|c| c.is_whitespace() || c == '(' || c == ')');
        let columns = self.parts.iter().filter(|part| matches!(part, Part::Column(_))).count();
        columns == 1
            && self.parts.iter().all(|part| match part {
                Part::Column(_) => true,
                Part::Text(text) => blank(text),
                Part::Schema(_) => false,
            })
    }
}
