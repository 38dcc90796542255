//! What SQLite makes of a declared type.

use segue_model::catalog::Table;
use segue_model::expr::Expr;
use segue_model::ident::Ident;
use segue_model::sql::Hole;

use super::offending::Offending;
use super::sql;
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

/// Refuses another type that this table cannot have, or that says nothing.
///
/// # Errors
/// A refusal that says why.
pub(super) fn retypable(retype: &Retype<'_>) -> Result<(), Refusal> {
    let (from, to) = (retype.column.type_name.as_str(), retype.to.as_str());
    let what = format!("`{}.{}` to {to}", retype.table.name.name, retype.column.name);
    let impossible = |why: &str, instead: &str| {
        Err(Refusal::Impossible { what: what.clone(), why: why.to_owned(), instead: instead.to_owned() })
    };
    let two_names = "Add a column of the new type, fill it by an UPDATE and drop the old one: the names then differ.";
    if from.eq_ignore_ascii_case(to) {
        return impossible("it is declared so already", "Leave the statement out.");
    }
    if retype.column.generated.is_some() {
        return impossible("the column is generated", "Drop it, and add it again with the other type.");
    }
    if let [only] = retype.table.primary_key()
        && *only == retype.column.name
        && [from, to].iter().any(|name| name.eq_ignore_ascii_case("INTEGER"))
    {
        return impossible(
            "INTEGER alone makes a primary key another name of the rowid, whose integers have 64 bits whatever the type is \
             called",
            "Leave the statement out.",
        );
    }
    let own = retype.column.name.as_str();
    if retype.using.is_some_and(|using| !is_cast(&using.source, own, to)) {
        return impossible("on SQLite a value becomes what the new column's affinity makes of it", two_names);
    }
    if is_strict(retype.table) && !strict_fits(from, to) {
        return impossible("a value that a STRICT table does not take would fail your application's write", two_names);
    }
    Ok(())
}

/// `USING c` and `USING CAST(c AS type)` say nothing more.
fn is_cast(using: &str, column: &str, to: &str) -> bool {
    let squeezed =
        |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '"').collect::<String>().to_lowercase();
    let (using, column, to) = (squeezed(using), squeezed(column), squeezed(to));
    using == column || using == ["cast(", &column, "as", &to, ")"].concat()
}

/// Every value of the one type can be stored as the other.
fn strict_fits(from: &str, to: &str) -> bool {
    let (from, to) = (from.to_ascii_uppercase(), to.to_ascii_uppercase());
    let integer = |name: &str| matches!(name, "INT" | "INTEGER");
    match to.as_str() {
        "ANY" => true,
        "TEXT" => integer(&from) || from == "REAL",
        "REAL" => integer(&from),
        other => integer(other) && integer(&from),
    }
}

/// Returns whether SQLite stores the same values under both types.
pub(super) fn is_same_storage(retype: &Retype<'_>) -> bool {
    let (from, to) = (retype.column.type_name.as_str(), retype.to.as_str());
    let strict = is_strict(retype.table);
    affinity(from) == affinity(to) && (!strict || !from.eq_ignore_ascii_case("any") && !to.eq_ignore_ascii_case("any"))
}

/// Returns the values that would stay texts in a column of numbers.
pub(super) fn unconvertible<'a>(retype: &Retype<'a>) -> Option<Offending<'a>> {
    let to = affinity(retype.to.as_str());
    let numbers = matches!(to, Affinity::Integer | Affinity::Real | Affinity::Numeric);
    if !numbers || is_same_storage(retype) {
        return None;
    }
    let (table, column) = (retype.table, &retype.column.name);
    // A text is compared with a number as a number where it looks like one.
    let condition = sql(
        "typeof({c}) = 'blob' OR typeof({c}) = 'text' AND NOT CAST({c} AS TEXT) = CAST({c} AS NUMERIC)",
        &[("c", Hole::Name(column))],
    );
    let find = sql(
        "SELECT * FROM {table} WHERE {condition}",
        &[("table", Hole::Table(&table.name)), ("condition", Hole::Sql(&condition))],
    );
    Some(Offending {
        table,
        key: format!("type {}.{} {}", table.name.name.as_str(), column.as_str(), retype.to),
        condition,
        what: format!("`{}.{column}` to {}", table.name.name, retype.to),
        rows: "values would not become numbers".to_owned(),
        mend: format!("Change them first: `{find}` finds them."),
    })
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
