//! Expressions written anew mean what they meant; words are cut where the server's scanner cuts them.

use segue_model::expr::{Expr, NameKind, Nullness};
use segue_model::ident::{Ident, TableRef};

use super::{expr, lex};
use crate::token::Kind;

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

/// Returns the expression with its columns bare and its names in `pg_catalog`.
#[track_caller]
fn written(sql: &str) -> String {
    let quoted = |name: &Ident| super::name::quoted(name.as_str());
    let rendered = read(sql).render(&quoted, &|used| {
        assert!(used.schema.as_ref().is_none_or(|schema| schema.as_str() == "pg_catalog"));
        "pg_catalog".to_owned()
    });
    rendered.as_str().to_owned()
}

/// Returns the tree without places, schemas and the marks of the syntax that was used.
#[track_caller]
fn tree(sql: &str) -> String {
    let parsed = match pg_query::parse(&format!("SELECT {sql}"), 0) {
        Ok(parsed) => parsed,
        Err(error) => panic!("{sql}: {error}"),
    };
    let mut tree = format!("{:?}", parsed.protobuf.stmts);
    for place in ["location: ", "rexpr_list_start: ", "rexpr_list_end: ", "list_start: ", "list_end: ", "stmt_len: "] {
        tree = without_numbers(&tree, place);
    }
    for (from, to) in [
        ("Node { node: Some(String(String { sval: \"pg_catalog\" })) }, ", ""),
        ("AexprLike", "AexprOp"),
        ("AexprIlike", "AexprOp"),
        ("AexprSimilar", "AexprOp"),
        ("CoerceSqlSyntax", "CoerceExplicitCall"),
    ] {
        tree = tree.replace(from, to);
    }
    tree
}

fn without_numbers(tree: &str, before: &str) -> String {
    let mut pieces = tree.split(before);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(piece.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit()));
    }
    out
}

#[test]
fn a_written_expression_is_the_same_tree() {
    for sql in [
        "a + b * c",
        "(a + b) * c",
        "a || b = c",
        "NOT a = b",
        "-a ^ 2",
        "- a",
        "+a",
        "- - a",
        "a - -1",
        "a - - 1",
        "2 ^ -1",
        "x::text || y",
        "-1::int",
        "(-1)::int",
        "a -> 'b' ->> 'c'",
        "a #>> '{x,y}'",
        "a @> b",
        "@ a",
        "a & b | c # d",
        "a COLLATE \"C\" < b",
        "(a || b) COLLATE \"de_DE\"",
        "a AT TIME ZONE 'UTC'",
        "a AT TIME ZONE b || c",
        "EXTRACT(year FROM a)",
        "EXTRACT('epoch' FROM a - b)",
        "SUBSTRING(a FROM 2 FOR 3)",
        "SUBSTRING(a FROM 2)",
        "SUBSTRING(a FROM '^x')",
        "SUBSTRING(a SIMILAR 'x' ESCAPE '#')",
        "substring(a, 2)",
        "TRIM(a)",
        "TRIM(LEADING 'x' FROM a)",
        "TRIM(BOTH FROM a)",
        "TRIM(TRAILING FROM a)",
        "POSITION('x' IN a)",
        "OVERLAY(a PLACING b FROM 1)",
        "a LIKE 'x%'",
        "a NOT LIKE b || '%'",
        "a ILIKE 'x' ESCAPE '#'",
        "a NOT ILIKE 'x'",
        "a SIMILAR TO 'x'",
        "a NOT SIMILAR TO 'x' ESCAPE '#'",
        "a ~ 'x'",
        "a !~* 'x'",
        "ARRAY[a, b]",
        "ARRAY[[1, 2], [3, 4]]",
        "ARRAY[]::int[]",
        "a[1]",
        "a[1:2]",
        "(a || b)[1]",
        "a[:2]",
        "CASE WHEN a THEN b END",
        "CASE WHEN a > 1 THEN b ELSE c END",
        "coalesce(a, b, '')",
        "greatest(a, 1)",
        "least(a, b)",
        "a IS NULL",
        "a || b IS NOT NULL",
        "a = b IS TRUE",
        "a IS NOT FALSE",
        "a IS UNKNOWN",
        "a AND b OR c",
        "a AND (b OR c)",
        "NOT (a OR b)",
        "NOT a AND b",
        "a AND b AND c",
        "(a AND b) AND c",
        "(a < b) = c",
        "a = ANY (b)",
        "a <> ALL (ARRAY[1, 2])",
        "a LIKE ANY (b)",
        "lower(upper(a))",
        "concat(VARIADIC a)",
        "make_interval(days => a)",
        "pg_catalog.lower(a)",
        "'it''s'",
        "E'a\\nb'",
        "E'\\\\'",
        "U&'\\0041'",
        "$$it's$$",
        "B'101'",
        "X'1F'",
        "1.5e10",
        "-1.5",
        "-2147483648",
        "9999999999",
        "0x1F",
        "1_000",
        "TRUE",
        "NULL",
        "CAST(a AS varchar(10))",
        "a::numeric(10, 2)",
        "a::timestamp(3) with time zone",
        "a::interval day to second",
        "interval '1 day'",
        "date '2020-01-01'",
        "a::char(3)",
        "a::\"char\"",
        "a::bit(3)",
        "a::int[][]",
        "a::float",
        "a::json",
        "t.a || t.b",
        "\"A b\" || \"$1\"",
        "\"we\"\"ird\"",
        "a OPERATOR(pg_catalog.+) b",
        "a::text::int",
        "a + b - c - d",
        "a - (b - c)",
        "a / b / c",
        "a ^ b ^ c",
        "a % b",
        "CURRENT_DATE",
        "CURRENT_TIMESTAMP(3)",
        "LOCALTIMESTAMP",
        "normalize(a, NFC)",
        "a IS NORMALIZED",
        "a <= b",
        "a <> b",
        "a != b",
    ] {
        let expected = tree(&sql.replace("t.a || t.b", "a || b").replace(" IS NORMALIZED", " IS NFC NORMALIZED"));
        let expected = if sql == "a IS NORMALIZED" { tree("is_normalized(a)") } else { expected };
        assert_eq!(tree(&written(sql)), expected, "{sql} became {}", written(sql));
    }
}

#[test]
fn syntax_that_hides_an_operator_becomes_that_operator() {
    for (sql, expected) in [
        ("a IN (1, 2)", "a = 1 OR a = 2"),
        ("a NOT IN (b, 'x')", "a <> b AND a <> 'x'"),
        ("a BETWEEN 1 AND 2", "a >= 1 AND a <= 2"),
        ("a NOT BETWEEN 1 AND 2", "a < 1 OR a > 2"),
        ("a BETWEEN SYMMETRIC b AND c", "(a >= b AND a <= c) OR (a >= c AND a <= b)"),
        ("a NOT BETWEEN SYMMETRIC b AND c", "(a < b OR a > c) AND (a < c OR a > b)"),
        ("CASE a WHEN 1 THEN b WHEN 2 THEN c ELSE d END", "CASE WHEN a = 1 THEN b WHEN a = 2 THEN c ELSE d END"),
        ("nullif(a, '')", "CASE WHEN a = '' THEN NULL ELSE a END"),
        ("a IS DISTINCT FROM b", "CASE WHEN a = b THEN FALSE WHEN a IS NULL AND b IS NULL THEN FALSE ELSE TRUE END"),
        ("a IS NOT DISTINCT FROM b", "CASE WHEN a = b THEN TRUE WHEN a IS NULL AND b IS NULL THEN TRUE ELSE FALSE END"),
    ] {
        assert_eq!(tree(&written(sql)), tree(expected), "{sql} became {}", written(sql));
    }
}

#[test]
fn every_name_is_listed_once() {
    let expr =
        read("lower(a) || lower(s.f(b)) || c::mood || (d COLLATE \"C\") || CURRENT_DATE || (e AT TIME ZONE 'x')");
    let names: Vec<String> = expr
        .uses
        .iter()
        .map(|used| {
            let kind = match used.kind {
                NameKind::Function => "f",
                NameKind::Operator => "o",
                NameKind::Type => "t",
                NameKind::Collation => "c",
            };
            format!("{kind}:{}{}", used.schema.as_ref().map_or(String::new(), |schema| format!("{schema}.")), used.name)
        })
        .collect();
    assert_eq!(names.join(" "), "f:lower o:|| f:s.f t:mood c:C f:pg_catalog.now f:pg_catalog.timezone");
}

#[track_caller]
fn nullness(sql: &str) -> Nullness {
    read(sql).nullness
}

#[test]
fn nullness_follows_the_columns() {
    let column = |name: &'static str| Nullness::Column(Ident::known(name));
    for sql in [
        "1",
        "coalesce(a, '')",
        "concat(a, b)",
        "concat_ws(' ', a, b)",
        "a IS NULL",
        "a IS DISTINCT FROM b",
        "CASE WHEN a THEN 1 ELSE 2 END",
        "lower('x') || 'y'",
        "ARRAY[a]",
        "'1'::int",
        "now()",
        "CURRENT_DATE",
        "greatest(a, 1)",
        "split_part(coalesce(a, ''), ' ', 1)",
        "upper(concat(a)) = 'x'",
    ] {
        assert_eq!(nullness(sql), Nullness::Never, "{sql}");
    }
    for (sql, expected) in [
        ("a", column("a")),
        ("a || ' '", column("a")),
        ("a || b", Nullness::Any(vec![column("a"), column("b")])),
        ("coalesce(a, b)", Nullness::All(vec![column("a"), column("b")])),
        ("lower(coalesce(a, b)) || c", Nullness::Any(vec![Nullness::All(vec![column("a"), column("b")]), column("c")])),
        ("CASE WHEN a THEN b ELSE 'x' END", column("b")),
        ("CASE WHEN a THEN 'x' END", Nullness::Unknown),
        ("nullif(a, '')", Nullness::Unknown),
        ("NULL::text", Nullness::Always),
        ("my_function(a)", Nullness::Unknown),
        ("s.lower('x')", Nullness::Unknown),
        ("a -> 'x'", Nullness::Unknown),
        ("a::mood", Nullness::Unknown),
        ("substring(a FROM 'x')", Nullness::Unknown),
        ("substring(a FROM 2)", column("a")),
        ("substring(a FROM position(' ' IN a) + 1)", column("a")),
        ("a[1]", Nullness::Unknown),
        ("concat_ws(a, 'x')", column("a")),
    ] {
        assert_eq!(nullness(sql), expected, "{sql}");
    }
}

#[test]
fn only_what_is_known_never_to_raise_is_said_not_to() {
    for sql in [
        "a || b",
        "concat_ws(' ', a, b)",
        "split_part(a, ' ', 2)",
        "substr(a, 1, 3)",
        "substring(a FROM 2)",
        "a = b",
        "CASE WHEN a ~ '^x' THEN lower(a) ELSE trim(b) END",
        "a LIKE 'x%'",
        "a::text",
        "1::bigint",
        "coalesce(a, 'x'::text)",
        "nullif(a, '')",
        "a IN ('x', 'y')",
        "a IS NULL OR NOT b",
        "left(a, -1)",
        "position(' ' IN a)",
        "'x'",
        "-1",
        "regexp_replace(a, 'x', 'y')",
        "a ILIKE 'x' ESCAPE '#'",
    ] {
        assert!(!read(sql).can_raise, "{sql}");
    }
    for sql in [
        "a + 1",
        "a / b",
        "a::int",
        "split_part(a, ' ', b)",
        "split_part(a, ' ', 0)",
        "substr(a, 1, b)",
        "substr(a, 1, -1)",
        "my_function(a)",
        "a ~ b",
        "a LIKE b",
        "a LIKE 'x\\'",
        "a LIKE 'x#' ESCAPE '#'",
        "a::varchar(3)",
        "'x'::int",
        "lower((a / b)::text)",
        "sqrt(a)",
        "a -> 'x'",
        "EXTRACT(year FROM a)",
        "a = ANY (b)",
        "a::mood",
    ] {
        assert!(read(sql).can_raise, "{sql}");
    }
}

#[test]
fn an_expression_that_grows_without_bound_is_refused() {
    let mut sql = "a".to_owned();
    for _ in 0..12 {
        sql = format!("({sql} BETWEEN SYMMETRIC b AND c)");
    }
    assert!(expr::read(&sql, &table()).is_err());
    let deep = format!("{}a{}", "(a || ".repeat(5000), ")".repeat(5000));
    assert!(expr::read(&deep, &table()).is_err());
}

#[test]
fn words_are_cut_where_the_servers_scanner_cuts_them() {
    for sql in [
        "SELECT a.b, \"c\"\"d\", 'it''s', E'a\\'b', U&\"x\", $$ ; $$, $t$ $$ $t$, 1.5e-10, .5, 1_000, 0xFF, a$b$c",
        "a=-1, a||-b, a<=b, a->>'x', a::int[], x[1:2], b := 1, a /* /* x */ ; */ + -- y\n c, @-1, a#>>'{}', ?|, $1, :x",
        "UPDATE é SET ü = '🎉' WHERE a <> b AND c != d;",
        "n'x', b'1', x'F', e'\\\\', u&'x'",
    ] {
        let ours: Vec<_> =
            lex::Lexer::new(sql).map(|token| token.map(|token| (token.start, token.end)).unwrap()).collect();
        let tokens = pg_query::scan_tokens(sql).unwrap();
        let theirs: Vec<_> = tokens
            .iter()
            .map(|token| (usize::try_from(token.start).unwrap(), usize::try_from(token.end).unwrap()))
            .collect();
        let text = |spans: &[(usize, usize)]| {
            spans.iter().map(|(start, end)| sql[*start..*end].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(text(&ours), text(&theirs));
    }
    let kinds: Vec<Kind> =
        lex::Lexer::new("a = 'b' ; ( \"c\" . 1 , ) /**/ \\").map(|token| token.unwrap().kind).collect();
    use Kind::{Backslash, Close, Comma, Comment, Dot, Equals, Number, Open, Quoted, Semicolon, Text, Word};
    let expected = [Word, Equals, Text, Semicolon, Open, Quoted, Dot, Number, Comma, Close, Comment, Backslash];
    assert_eq!(kinds, expected);
}

#[test]
fn statements_are_split_where_the_parser_splits_them() {
    let sql = "SELECT ';' ; /* ; */ CREATE RULE r AS ON INSERT TO t DO (DELETE FROM u; DELETE FROM v);\n\
        CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END; -- ;\n\
        DO $x$ ; $$ ; $$ ; $x$; CREATE TABLE begin (\"atomic\" int); BEGIN; CREATE SCHEMA s CREATE TABLE t (); END";
    let mut ours = Vec::new();
    let mut from = Some(0);
    while let Some(at) = from {
        let piece = crate::split::piece(&super::Postgres, sql, at);
        let (start, end) = crate::token::span(&piece.tokens);
        ours.push(&sql[start..end]);
        from = piece.next;
    }
    let theirs: Vec<&str> = pg_query::split_with_parser(sql).unwrap();
    let bare = |text: &&str| text.trim().trim_start_matches("/* ; */").trim_start_matches("-- ;").trim().to_owned();
    assert_eq!(ours, theirs.iter().map(bare).collect::<Vec<_>>());
}
