//! Expressions written anew keep their order of operations; what is known of them follows SQLite.

use segue_model::expr::{Expr, NameKind, Nullness};
use segue_model::ident::{Ident, TableRef};

use super::expr;

fn table() -> TableRef {
    TableRef { schema: None, name: Ident::known("t") }
}

#[track_caller]
fn read(sql: &str) -> Expr {
    match expr::read(sql, &table()) {
        Ok(expr) => expr,
        Err(fault) => panic!("{sql}: {fault:?}"),
    }
}

fn written(sql: &str) -> String {
    let rendered =
        read(sql).render(&|column| format!("<{column}>"), &|_| unreachable!("SQLite has no schemas of names"));
    let sql = rendered.as_str();
    sql[1..sql.len() - 1].to_owned()
}

#[test]
fn operations_keep_their_order() {
    for (sql, expected) in [
        ("a + b * c", "(<a> + (<b> * <c>))"),
        ("a || b = c", "((<a> || <b>) = <c>)"),
        ("NOT a = b", "(NOT (<a> = <b>))"),
        ("-a COLLATE nocase || b", "(((-<a>) COLLATE \"nocase\") || <b>)"),
        ("a -> 'b' ->> 'c'", "((<a> -> 'b') ->> 'c')"),
        ("a IS NOT DISTINCT FROM b", "(<a> IS <b>)"),
        ("a IS DISTINCT FROM NULL", "(<a> IS NOT NULL)"),
        ("a NOTNULL AND b ISNULL", "((<a> IS NOT NULL) AND (<b> IS NULL))"),
        ("a NOT BETWEEN 1 AND 2 OR b", "((<a> NOT BETWEEN 1 AND 2) OR <b>)"),
        ("a IN (1, 'x') AND b NOT IN ()", "((<a> IN (1, 'x')) AND (<b> NOT IN ()))"),
        ("a NOT LIKE 'x' ESCAPE '\\'", "(<a> NOT LIKE 'x' ESCAPE '\\')"),
        ("a GLOB 'x*'", "(<a> GLOB 'x*')"),
        ("CASE a WHEN 1 THEN b ELSE c END || 'x'", "((CASE <a> WHEN 1 THEN <b> ELSE <c> END) || 'x')"),
        ("CAST(a AS DECIMAL(10, 2))", "CAST(<a> AS DECIMAL(10,2))"),
        ("main.T.[a b] || \"c\"\"d\" || `e`", "((<a b> || <c\"d>) || <e>)"),
        ("1_000 + 0xFF + x'0aFF' + 1e3", "(((1000 + 0xFF) + X'0aFF') + 1e3)"),
        ("a IS TRUE", "(<a> IS TRUE)"),
        ("\"true\"", "<true>"),
        ("~ - + a << b | c & d", "((((~(-(+<a>))) << <b>) | <c>) & <d>)"),
        ("'it''s $1 {x}' || \"{x}\"", "('it''s $1 {x}' || <{x}>)"),
        ("a == b != c", "((<a> = <b>) <> <c>)"),
        ("substr(a, 1, instr(a, ' ') - 1)", "substr(<a>, 1, (instr(<a>, ' ') - 1))"),
        ("(((a)))", "<a>"),
    ] {
        assert_eq!(written(sql), expected, "{sql}");
    }
}

#[test]
fn functions_are_listed_by_their_names() {
    let names: Vec<String> = read("Lower(a) || IIF(b, \"lower\"(c), d -> '$.x') LIKE 'x' COLLATE nocase")
        .uses
        .iter()
        .map(|used| {
            assert_eq!(used.schema, None);
            format!("{}{}", if used.kind == NameKind::Function { "" } else { "~" }, used.name)
        })
        .collect();
    assert_eq!(names.join(" "), "like lower iif ~-> ~nocase");
}

#[test]
fn nullness_follows_the_columns() {
    let column = |name: &'static str| Nullness::Column(Ident::known(name));
    for (sql, expected) in [
        ("coalesce(a, '') || ' ' || ifnull(b, '')", Nullness::Never),
        ("a || ' '", column("a")),
        ("coalesce(a, b)", Nullness::All(vec![column("a"), column("b")])),
        ("a || b", Nullness::Any(vec![column("a"), column("b")])),
        ("substr(a, 1, instr(a, ' ') - 1)", column("a")),
        ("a / b", Nullness::Unknown),
        ("a + b", Nullness::Unknown),
        ("a * 100", column("a")),
        ("a * 0", Nullness::Unknown),
        ("nullif(a, '')", Nullness::Unknown),
        ("a IS NULL", Nullness::Never),
        ("CASE WHEN a THEN 1 ELSE 2 END", Nullness::Never),
        ("CASE WHEN a THEN 1 END", Nullness::Unknown),
        ("iif(a, b, 'x')", column("b")),
        ("NULL", Nullness::Always),
        ("CAST(a AS TEXT)", column("a")),
        ("format('%s', a)", Nullness::Unknown),
        ("concat(a, b)", Nullness::Never),
        ("mine(a)", Nullness::Unknown),
        ("strftime('%Y', a)", Nullness::Unknown),
    ] {
        assert_eq!(read(sql).nullness, expected, "{sql}");
    }
}

#[test]
fn only_what_is_known_never_to_raise_is_said_not_to() {
    for sql in ["a || b", "CAST(a AS INTEGER)", "a / 0", "substr(a, 1, 2)", "a LIKE 'x'", "trim(a)", "nullif(a, '')"] {
        assert!(!read(sql).can_raise, "{sql}");
    }
    for sql in ["json(a)", "a -> 'x'", "mine(a)", "abs(a)", "a LIKE b", "a LIKE 'x' ESCAPE 'yz'", "a REGEXP 'x'"] {
        assert!(read(sql).can_raise, "{sql}");
    }
}

#[test]
fn an_expression_nested_too_deeply_is_refused() {
    for depth in [600, 50_000] {
        let deep = format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(expr::read(&deep, &table()).is_err());
    }
    let long = vec!["a"; 400].join(" || ");
    assert!(expr::read(&long, &table()).is_ok());
}
