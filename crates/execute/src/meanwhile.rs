//! Which changes of the tables' structure, made by others meanwhile, cannot touch what a plan does.

use segue_model::plan::Plan;
use segue_model::plan_file::to_json;

use crate::shape::difference;

/// What others did to the tables since a step was recorded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// The structure is as it was left.
    Nothing,
    /// It differs by what cannot touch the plan; as `-` and `+` lines.
    Harmless(String),
    /// It differs otherwise: all of it, as `-` and `+` lines.
    Serious(String),
}

/// Kinds of facts that no step depends on: what must not hang on the old columns, cleanup asks for itself.
const HARMLESS: [&str; 10] = [
    "grant ",
    "comment ",
    "option ",
    "toast option ",
    "statistics ",
    "publication ",
    "view ",
    "materialized view ",
    "referenced by ",
    "index ",
];

/// Compares what the last step left with what is there.
pub(crate) fn meanwhile(expected: &str, found: &str, plan: &Plan) -> Meanwhile {
    if expected == found {
        return Meanwhile::Nothing;
    }
    let lines = difference(expected, found);
    let text = text_of(plan);
    let removed = only(expected, found).all(|line| is_harmless(line, &text));
    let added = only(found, expected);
    let known = |line: &str| {
        is_harmless(line, &text) || is_new_column(line, expected, found, &text) || is_not_null(line, expected, &text)
    };
    let added = || added.clone().all(known);
    if removed && added() { Meanwhile::Harmless(lines) } else { Meanwhile::Serious(lines) }
}

fn only<'t>(of: &'t str, other: &'t str) -> impl Iterator<Item = &'t str> + Clone {
    of.lines().filter(move |line| !other.lines().any(|known| known == *line))
}

fn is_harmless(line: &str, plan: &str) -> bool {
    let fact = match fact(line) {
        Some((_, fact)) => fact,
        // The engine that names the kind first.
        None if line.starts_with("view \"") => return true,
        None if line.starts_with("index \"") => line,
        None => return false,
    };
    let is_index = fact.starts_with("index ");
    HARMLESS.iter().any(|kind| fact.starts_with(kind))
        && (!is_index || index(fact).is_some_and(|name| !names(plan, &name)))
}

/// Another additive migration: a column that was not there, of a table that shares its columns with no other.
fn is_new_column(line: &str, expected: &str, found: &str, plan: &str) -> bool {
    let column = |line| {
        let (table, fact) = fact(line)?;
        Some((table, identifier(fact.strip_prefix("column ")?)?.0))
    };
    let Some((table, name)) = column(line) else { return false };
    let of_table = || found.lines().filter_map(fact).filter(|(of, _)| *of == table).map(|(_, fact)| fact);
    let ordinary = of_table().any(|fact| fact.starts_with("table kind r ") && !fact.contains(" of "))
        && !of_table().any(|fact| fact.starts_with("inherits ") || fact.starts_with("child "))
        && !of_table().any(|fact| fact.starts_with("table kind ") && fact.contains(" partition "));
    let known = expected.lines().filter_map(column).any(|known| known == (table, name.clone()));
    ordinary && !known && !names(plan, &name)
}

/// Since PostgreSQL 18 a NOT NULL is a constraint with a name: that of a column that was not there.
fn is_not_null(line: &str, expected: &str, plan: &str) -> bool {
    let column = || {
        let (table, fact) = fact(line)?;
        let (_, rest) = identifier(fact.strip_prefix("constraint ")?)?;
        let (name, rest) = identifier(rest.strip_prefix(" NOT NULL ")?).or_else(|| {
            // The name ends the line.
            Some((rest.strip_prefix(" NOT NULL ")?.to_owned(), ""))
        })?;
        rest.is_empty().then_some((table, name))
    };
    let Some((table, name)) = column() else { return false };
    let there = |line: &str| {
        let (of, fact) = fact(line)?;
        Some(of == table && identifier(fact.strip_prefix("column ")?)?.0 == name)
    };
    !expected.lines().any(|line| there(line) == Some(true)) && !names(plan, &name)
}

/// Returns the table and the fact of a line `<schema>.<table>: <fact>`.
fn fact(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = identifier(line)?;
    let (_, rest) = identifier(rest.strip_prefix('.')?)?;
    let fact = rest.strip_prefix(": ")?;
    Some((&line[..line.len() - rest.len()], fact))
}

/// Returns the index that a line's definition names.
fn index(fact: &str) -> Option<String> {
    let definition = ["CREATE INDEX ", "CREATE UNIQUE INDEX "];
    let at = definition.iter().filter_map(|begin| Some(fact.find(begin)? + begin.len())).min()?;
    identifier(&fact[at..]).map(|(name, _)| name)
}

/// Returns the name that a text begins with, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([' ', '.', ':', '(']).filter(|end| *end > 0)?;
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        let Some(more) = rest.strip_prefix('"') else { return Some((unescaped(&name), rest)) };
        name.push('"');
        rest = more;
    }
}

/// Lines escape what would break them.
fn unescaped(name: &str) -> String {
    let mut characters = name.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        plain.push(match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            (other, false) => other,
        });
    }
    plain
}

/// Returns all that a plan does, in which each name stands in quotes.
fn text_of(plan: &Plan) -> String {
    to_json(&Plan { shape: String::new(), ..plan.clone() })
}

/// Returns whether a plan names an object: what it made, or will use or make, is not somebody else's.
fn names(plan: &str, name: &str) -> bool {
    let quoted = ["\"", &name.replace('"', "\"\""), "\""].concat();
    let escaped = serde_json::Value::from(quoted).to_string();
    let inner = escaped.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&escaped);
    plan.contains(inner)
}

#[cfg(test)]
mod tests {
    use segue_model::sql::Sql;
    use segue_model::step::Phase;

    use super::*;
    use crate::tests::{additive, sql};

    const BEFORE: &str = "public.users: column id integer\n\
        public.users: index CREATE INDEX users_name ON public.users USING btree (name)\n\
        public.users: table kind r persistence p method heap";

    fn after(added: &str) -> Meanwhile {
        let mut plan = additive();
        plan.steps = vec![sql(1, Phase::Expand, "CREATE INDEX \"ou\"\"rs\" ON \"users\" (\"full_name\")", "-")];
        plan.steps[0].on_interrupted = vec![Sql::fixed("DROP INDEX \"ours\"")];
        meanwhile(BEFORE, &format!("{BEFORE}\n{added}"), &plan)
    }

    #[test]
    fn what_no_step_depends_on_is_tolerated() {
        for line in [
            "public.users: index CREATE UNIQUE INDEX other ON public.users USING btree (full_name)",
            "\"we\"\"ird: column x\".\"a.b\": index CREATE INDEX \"my \"\"one\" ON x USING btree (y)",
            "public.users: grant =r/postgres",
            "public.users: grant on column id app=r/postgres",
            "public.users: comment on table - 'it''s'",
            "public.users: option autovacuum_enabled=false",
            "public.users: toast option autovacuum_enabled=false",
            "public.users: statistics CREATE STATISTICS public.s ON a, b FROM users target -1",
            "public.users: publication cdc",
            "public.users: view public.v (definition 0123)",
            "public.users: materialized view public.v (definition 0123)",
            "public.users: referenced by public.pets constraint c FOREIGN KEY (u) REFERENCES users(id)",
            "public.users: column nick text default 'a'",
            "public.users: constraint users_nick_not_null NOT NULL nick",
            "public.users: constraint \"we\"\"ird\" NOT NULL \"ni ck\"",
            "index \"other\" on \"users\": CREATE INDEX other ON users ( name )",
            "view \"v\" on \"v\": CREATE VIEW v AS SELECT 1",
        ] {
            assert_eq!(after(line), Meanwhile::Harmless(format!("+ {line}")));
        }
        let gone = BEFORE.lines().filter(|line| !line.contains(": index")).collect::<Vec<_>>().join("\n");
        assert!(matches!(meanwhile(BEFORE, &gone, &additive()), Meanwhile::Harmless(_)));
        assert_eq!(meanwhile(BEFORE, BEFORE, &additive()), Meanwhile::Nothing);
    }

    #[test]
    fn what_a_step_may_depend_on_is_not() {
        for line in [
            "public.users: constraint c CHECK (id > 0)",
            "public.users: constraint n NOT NULL id",
            "public.users: constraint n NOT NULL full_name",
            "public.users: trigger t enabled O CREATE TRIGGER t",
            "public.users: policy p for * permissive t to public",
            "public.users: rls",
            "public.users: owner app",
            "public.users: replica identity f",
            "public.users: inherits public.parent",
            "public.users: something new",
            "public.pets: column id integer",
            "public.users: column id bigint",
            "public.users: column full_name text",
            "public.users: index CREATE INDEX \"ou\"\"rs\" ON public.users USING btree (id)",
            "public.users: index CREATE INDEX ours ON public.users USING btree (id)",
            "trigger \"t\" on \"users\": CREATE TRIGGER t",
            "table \"users\" on \"users\": CREATE TABLE users ( id )",
            "\"index x\".y: column z text",
            "index",
            "\"open",
        ] {
            assert_eq!(after(line), Meanwhile::Serious(format!("+ {line}")), "{line}");
        }
        let both = "public.users: grant =r/postgres\npublic.users: rls";
        assert!(matches!(after(both), Meanwhile::Serious(_)));
    }

    #[test]
    fn a_column_of_a_table_that_shares_its_columns_is_not_tolerated() {
        for kind in ["table kind p persistence p", "table kind r persistence p partition FOR VALUES IN (1)"] {
            let before = format!("public.users: {kind}");
            let found = format!("{before}\npublic.users: column nick text");
            assert!(matches!(meanwhile(&before, &found, &additive()), Meanwhile::Serious(_)), "{kind}");
        }
        let before = "public.users: child public.kid\npublic.users: table kind r persistence p";
        let found = format!("{before}\npublic.users: column nick text");
        assert!(matches!(meanwhile(before, &found, &additive()), Meanwhile::Serious(_)));
        assert!(matches!(meanwhile(&found, before, &additive()), Meanwhile::Serious(_)), "a column that went");
    }
}
