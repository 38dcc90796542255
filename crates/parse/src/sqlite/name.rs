//! Names as SQLite writes them.

use segue_model::ident::{Ident, TableRef};
use sqlite3_parser::ast::{Name, QualifiedName};

use crate::problem::{Fault, ProblemKind};

/// Returns the name without its quotes: `"a"`, `` `a` ``, `[a]`, `'a'` or `a`.
pub(super) fn unquoted(written: &str) -> String {
    let inner = |quote: char| {
        let inner = written.strip_prefix(quote)?.strip_suffix(quote)?;
        Some(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
    };
    let bracketed = written.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).map(str::to_owned);
    bracketed.or_else(|| ['"', '`', '\''].into_iter().find_map(inner)).unwrap_or_else(|| written.to_owned())
}

/// Returns the name that is written so.
pub(super) fn ident(written: &str) -> Result<Ident, Fault> {
    Ident::new(unquoted(written)).map_err(|_| Fault { span: (0, written.len()), kind: ProblemKind::EmptyName })
}

/// Returns the name of a node.
pub(super) fn of_node(name: &Name<'_>) -> Result<Ident, Fault> {
    ident(name.0)
}

/// Returns the table.
pub(super) fn table(name: &QualifiedName<'_>) -> Result<TableRef, Fault> {
    let schema = name.db_name.as_ref().map(of_node).transpose()?;
    Ok(TableRef { schema, name: of_node(&name.name)? })
}
