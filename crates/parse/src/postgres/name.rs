//! Names and types as PostgreSQL writes them.

use pg_query::NodeEnum;
use pg_query::protobuf::{KeywordKind, Node, RangeVar, TypeName, a_const};
use segue_model::ident::{Ident, TableRef};

use crate::problem::{Fault, ProblemKind};
use crate::token::{Kind, Token};

/// Returns the name that a token stands for: folded to lower case unless quoted.
pub(super) fn of_token(text: &str, token: &Token) -> Result<Ident, Fault> {
    let span = (token.start, token.end);
    let word = token.text(text);
    let name = match (token.kind, word.strip_prefix('"').and_then(|word| word.strip_suffix('"'))) {
        (Kind::Word, _) => word.to_ascii_lowercase(),
        (_, Some(inner)) => inner.replace("\"\"", "\""),
        (_, None) => return Err(Fault::syntax(span, "a name with `U&` is not supported here")),
    };
    Ident::new(cut(name)).map_err(|_| Fault { span, kind: ProblemKind::EmptyName })
}

/// The server keeps 63 bytes of a name; its parser cuts longer ones, so names read here must be cut alike.
fn cut(mut name: String) -> String {
    const BYTES_MAX: usize = 63;
    if name.len() > BYTES_MAX {
        let end = (0..=BYTES_MAX).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
        name.truncate(end);
    }
    name
}

/// Returns a name that the parser gave; it accepts no empty one where a name must stand.
pub(super) fn ident(name: &str) -> Result<Ident, Fault> {
    Ident::new(name).map_err(|_| Fault { span: (0, 0), kind: ProblemKind::EmptyName })
}

/// Returns the table; `None` where another database is named.
pub(super) fn table(relation: &RangeVar) -> Option<TableRef> {
    if !relation.catalogname.is_empty() {
        return None;
    }
    let schema = match relation.schemaname.as_str() {
        "" => None,
        schema => Some(Ident::new(schema).ok()?),
    };
    Some(TableRef { schema, name: Ident::new(relation.relname.as_str()).ok()? })
}

/// Returns the parts of a dotted name; `None` where something else stands among them.
pub(super) fn strings(nodes: &[Node]) -> Option<Vec<&str>> {
    nodes
        .iter()
        .map(|node| match &node.node {
            Some(NodeEnum::String(string)) => Some(string.sval.as_str()),
            _ => None,
        })
        .collect()
}

/// Returns the name in quotes, always.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the type as SQL: bare names where they are names without quotes too.
pub(super) fn spelled_type(of: &TypeName) -> Option<String> {
    let names = strings(&of.names)?;
    let (last, schemas) = names.split_last()?;
    let mut sql = String::new();
    for schema in schemas {
        sql.push_str(&bare(schema));
        sql.push('.');
    }
    // After a dot every keyword is a name.
    sql.push_str(&if schemas.is_empty() { bare(last) } else { bare_after_dot(last) });
    sql.push_str(&type_tail(of)?);
    Some(sql)
}

/// Returns what follows a type's name: its modifiers and dimensions. `None` where it is no type of a column.
pub(super) fn type_tail(of: &TypeName) -> Option<String> {
    if of.setof || of.pct_type {
        return None;
    }
    let mut sql = String::new();
    if !of.typmods.is_empty() {
        let modifiers: Option<Vec<String>> = of.typmods.iter().map(modifier).collect();
        sql.push_str(&format!("({})", modifiers?.join(",")));
    }
    sql.push_str(&"[]".repeat(of.array_bounds.len()));
    Some(sql)
}

fn modifier(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(a_const::Val::Ival(n)) => Some(n.ival.to_string()),
            Some(a_const::Val::Sval(text)) => Some(format!("'{}'", text.sval.replace('\'', "''"))),
            _ => None,
        },
        // A word as a modifier, such as `geometry(Point, 4326)`.
        Some(NodeEnum::ColumnRef(column)) => match strings(&column.fields)?.as_slice() {
            [word] => Some(bare(word)),
            _ => None,
        },
        _ => None,
    }
}

fn bare(name: &str) -> String {
    let free = |kind| matches!(kind, KeywordKind::NoKeyword | KeywordKind::UnreservedKeyword);
    let is_free = pg_query::scan_tokens(name).is_ok_and(|tokens| tokens.len() == 1 && free(tokens[0].keyword_kind()));
    if is_plain(name) && is_free { name.to_owned() } else { quoted(name) }
}

fn bare_after_dot(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { quoted(name) }
}

fn is_plain(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
