//! `title` becomes `heading`: a rename, written as add, UPDATE and drop.

use segue_model::engine::Engine;
use segue_model::value::Value;

use super::texts::{seeded, text_or_null};
use super::{Rule, Scenario, Shared, Side, by_engine};

/// A column under another name; both may be NULL, and both versions write NULL.
pub fn rename(engine: Engine) -> Scenario {
    Scenario {
        name: "rename",
        table: "articles",
        rule: Rule::BothWays,
        create: "CREATE TABLE articles (
    id bigint NOT NULL PRIMARY KEY,
    title text,
    note text,
    ver bigint NOT NULL DEFAULT 0
);",
        fill: by_engine(
            engine,
            "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < $1)
INSERT INTO articles (id, title, note)
SELECT id,
       CASE id % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN replace(hex(zeroblob(120)), '0', 'x') WHEN 3 THEN 'Zoë 名前' ELSE 'Title' || id END,
       'seeded'
FROM n",
            "INSERT INTO articles (id, title, note)
SELECT id,
       CASE id % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN repeat('x', 240) WHEN 3 THEN 'Zoë 名前' ELSE 'Title' || id END,
       'seeded'
FROM generate_series(1::bigint, $1) AS id",
        ),
        settle: by_engine(engine, "", "VACUUM ANALYZE articles"),
        up: "ALTER TABLE articles ADD COLUMN heading text;
UPDATE articles SET heading = title;
ALTER TABLE articles DROP COLUMN title;
",
        down: "ALTER TABLE articles ADD COLUMN title text;
UPDATE articles SET title = heading;
ALTER TABLE articles DROP COLUMN heading;
",
        old: Side {
            insert: "INSERT INTO articles (id, title, note, ver) VALUES ($1, $2, $3, 1) RETURNING ver",
            upsert: Some(
                "INSERT INTO articles (id, title, ver) VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET title = excluded.title, ver = articles.ver + 1 RETURNING ver",
            ),
            update: "UPDATE articles SET title = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            update_part: None,
            insert_bare: Some("INSERT INTO articles (id, note, ver) VALUES ($1, $2, 1) RETURNING ver"),
            read: "SELECT ver, title FROM articles WHERE id = $1",
            all: "SELECT id, ver, note, title FROM articles",
            values: |rng| vec![text_or_null(rng)],
        },
        new: Side {
            insert: "INSERT INTO articles (id, heading, note, ver) VALUES ($1, $2, $3, 1) RETURNING ver",
            upsert: Some(
                "INSERT INTO articles (id, heading, ver) VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET heading = excluded.heading, ver = articles.ver + 1 RETURNING ver",
            ),
            update: "UPDATE articles SET heading = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            update_part: None,
            insert_bare: Some("INSERT INTO articles (id, note, ver) VALUES ($1, $2, 1) RETURNING ver"),
            read: "SELECT ver, heading FROM articles WHERE id = $1",
            all: "SELECT id, ver, note, heading FROM articles",
            values: |rng| vec![text_or_null(rng)],
        },
        shared: Shared {
            annotate: "UPDATE articles SET note = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            move_key: "UPDATE articles SET id = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            delete: "DELETE FROM articles WHERE id = $1 RETURNING ver",
            count: "SELECT count(*) FROM articles",
        },
        seeded: |id| vec![seeded("Title", id)],
        defaults: || vec![Value::Null],
        forward: <[Value]>::to_vec,
        back: <[Value]>::to_vec,
    }
}
