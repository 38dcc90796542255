//! `first_name`, `last_name` become `full_name`.

use fastrand::Rng;
use segue_model::engine::Engine;
use segue_model::value::Value;

use super::texts::{or_empty, seeded, text, text_or_null};
use super::{Rule, Scenario, Shared, Side, by_engine};

/// Two columns become one; names such as `Cher` and `Mary Ann Lee` do not survive the way there and back.
pub fn split(engine: Engine) -> Scenario {
    Scenario {
        name: "split",
        table: "people",
        rule: Rule::BothWays,
        // On SQLite the key is the rowid itself, so that a changed key moves the row.
        create: by_engine(
            engine,
            "CREATE TABLE people (
    id integer PRIMARY KEY,
    first_name text,
    last_name text,
    note text,
    ver bigint NOT NULL DEFAULT 0
);",
            "CREATE TABLE people (
    id bigint NOT NULL PRIMARY KEY,
    first_name text,
    last_name text,
    note text,
    ver bigint NOT NULL DEFAULT 0
);",
        ),
        fill: by_engine(
            engine,
            "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < $1)
INSERT INTO people (id, first_name, last_name, note)
SELECT id,
       CASE id % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN replace(hex(zeroblob(120)), '0', 'x') WHEN 3 THEN 'Zoë 名前' ELSE 'First' || id END,
       CASE (id + 5) % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN replace(hex(zeroblob(120)), '0', 'x') WHEN 3 THEN 'Zoë 名前' ELSE 'Last' || (id + 5) END,
       'seeded'
FROM n",
            "INSERT INTO people (id, first_name, last_name, note)
SELECT id,
       CASE id % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN repeat('x', 240) WHEN 3 THEN 'Zoë 名前' ELSE 'First' || id END,
       CASE (id + 5) % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN repeat('x', 240) WHEN 3 THEN 'Zoë 名前' ELSE 'Last' || (id + 5) END,
       'seeded'
FROM generate_series(1::bigint, $1) AS id",
        ),
        settle: by_engine(engine, "", "VACUUM ANALYZE people"),
        up: by_engine(
            engine,
            "ALTER TABLE people ADD COLUMN full_name text;
UPDATE people SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, '');
ALTER TABLE people ALTER COLUMN full_name SET NOT NULL;
ALTER TABLE people DROP COLUMN first_name;
ALTER TABLE people DROP COLUMN last_name;
",
            "ALTER TABLE people ADD COLUMN full_name text;
UPDATE people SET full_name = concat_ws(' ', first_name, last_name);
ALTER TABLE people ALTER COLUMN full_name SET NOT NULL;
ALTER TABLE people DROP COLUMN first_name, DROP COLUMN last_name;
",
        ),
        down: by_engine(
            engine,
            "ALTER TABLE people ADD COLUMN first_name text;
ALTER TABLE people ADD COLUMN last_name text;
UPDATE people SET first_name = substr(full_name, 1, instr(full_name || ' ', ' ') - 1),
                  last_name = substr(full_name, instr(full_name || ' ', ' ') + 1);
ALTER TABLE people DROP COLUMN full_name;
",
            "ALTER TABLE people ADD COLUMN first_name text, ADD COLUMN last_name text;
UPDATE people SET first_name = split_part(full_name, ' ', 1), last_name = split_part(full_name, ' ', 2);
ALTER TABLE people DROP COLUMN full_name;
",
        ),
        old: Side {
            insert: "INSERT INTO people (id, first_name, last_name, note, ver) VALUES ($1, $2, $3, $4, 1) RETURNING ver",
            upsert: Some(
                "INSERT INTO people (id, first_name, last_name, ver) VALUES ($1, $2, $3, 1) ON CONFLICT (id) DO UPDATE SET first_name = excluded.first_name, last_name = excluded.last_name, ver = people.ver + 1 RETURNING ver",
            ),
            update: "UPDATE people SET first_name = $1, last_name = $2, ver = ver + 1 WHERE id = $3 RETURNING ver",
            update_part: Some("UPDATE people SET first_name = $1, ver = ver + 1 WHERE id = $2 RETURNING ver"),
            insert_bare: Some("INSERT INTO people (id, note, ver) VALUES ($1, $2, 1) RETURNING ver"),
            read: "SELECT ver, first_name, last_name FROM people WHERE id = $1",
            all: "SELECT id, ver, note, first_name, last_name FROM people",
            values: |rng| vec![text_or_null(rng), text_or_null(rng)],
        },
        new: Side {
            insert: "INSERT INTO people (id, full_name, note, ver) VALUES ($1, $2, $3, 1) RETURNING ver",
            upsert: Some(
                "INSERT INTO people (id, full_name, ver) VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET full_name = excluded.full_name, ver = people.ver + 1 RETURNING ver",
            ),
            update: "UPDATE people SET full_name = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            update_part: None,
            insert_bare: None,
            read: "SELECT ver, full_name FROM people WHERE id = $1",
            all: "SELECT id, ver, note, full_name FROM people",
            values: full_name,
        },
        shared: Shared {
            annotate: "UPDATE people SET note = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            move_key: "UPDATE people SET id = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            delete: "DELETE FROM people WHERE id = $1 RETURNING ver",
            count: "SELECT count(*) FROM people",
        },
        seeded: |id| vec![seeded("First", id), seeded("Last", id + 5)],
        defaults: || vec![Value::Null, Value::Null],
        forward: by_engine(engine, join_always, join_present),
        back: by_engine(engine, cut_at_first_space, two_first_parts),
    }
}

/// One word, two words, or more: what forward makes, and what it never makes.
pub(super) fn full_name(rng: &mut Rng) -> Vec<Value> {
    let name = match rng.u8(..3) {
        0 => text(rng),
        _ => format!("{} {}", text(rng), text(rng)),
    };
    vec![name.into()]
}

pub(super) fn join_always(old: &[Value]) -> Vec<Value> {
    vec![format!("{} {}", or_empty(&old[0]), or_empty(&old[1])).into()]
}

pub(super) fn join_present(old: &[Value]) -> Vec<Value> {
    vec![old.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ").into()]
}

pub(super) fn cut_at_first_space(new: &[Value]) -> Vec<Value> {
    let Some(name) = new[0].as_str() else { return vec![Value::Null, Value::Null] };
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    vec![first.into(), last.into()]
}

pub(super) fn two_first_parts(new: &[Value]) -> Vec<Value> {
    let Some(name) = new[0].as_str() else { return vec![Value::Null, Value::Null] };
    let mut parts = name.split(' ');
    vec![parts.next().unwrap_or("").into(), parts.next().unwrap_or("").into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_names_and_spaces_mean_what_the_sql_means() {
        let cut = |name: &str| cut_at_first_space(&[name.into()]);
        assert_eq!(cut("Cher"), ["Cher".into(), "".into()]);
        assert_eq!(cut(" a b"), ["".into(), "a b".into()]);
        let parts = |name: &str| two_first_parts(&[name.into()]);
        assert_eq!(parts("two  spaces"), ["two".into(), "".into()]);
        assert_eq!(join_present(&[Value::Null, "Lee".into()]), ["Lee".into()]);
        assert_eq!(join_always(&[Value::Null, Value::Null]), [" ".into()]);
    }
}
