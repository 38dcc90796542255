//! The rename once more, under names that break careless quoting.

use segue_model::engine::Engine;
use segue_model::value::Value;

use super::texts::{seeded, text_or_null};
use super::{Rule, Scenario, Shared, Side, by_engine};

/// A rename whose table and columns have quotes, spaces, emoji, `$1`, `{x}`, backslashes, and 63 bytes, in their names.
pub fn hostile(engine: Engine) -> Scenario {
    Scenario {
        name: "hostile names",
        table: r#""we""ird tåble $1 {x} \n 🦀""#,
        rule: Rule::BothWays,
        create: r#"CREATE TABLE "we""ird tåble $1 {x} \n 🦀" (
    id bigint NOT NULL PRIMARY KEY,
    "select ""it"" $2 {column} \" text,
    note text,
    ver bigint NOT NULL DEFAULT 0
);"#,
        fill: by_engine(
            engine,
            r#"WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < $1)
INSERT INTO "we""ird tåble $1 {x} \n 🦀" (id, "select ""it"" $2 {column} \", note)
SELECT id,
       CASE id % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN replace(hex(zeroblob(120)), '0', 'x') WHEN 3 THEN 'Zoë 名前' ELSE 'Title' || id END,
       'seeded'
FROM n"#,
            r#"INSERT INTO "we""ird tåble $1 {x} \n 🦀" (id, "select ""it"" $2 {column} \", note)
SELECT id,
       CASE id % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN repeat('x', 240) WHEN 3 THEN 'Zoë 名前' ELSE 'Title' || id END,
       'seeded'
FROM generate_series(1::bigint, $1) AS id"#,
        ),
        settle: by_engine(engine, "", r#"VACUUM ANALYZE "we""ird tåble $1 {x} \n 🦀""#),
        up: r#"ALTER TABLE "we""ird tåble $1 {x} \n 🦀" ADD COLUMN "nénénénénénénénénénénénénénénénénénénénéabc" text;
UPDATE "we""ird tåble $1 {x} \n 🦀" SET "nénénénénénénénénénénénénénénénénénénénéabc" = "select ""it"" $2 {column} \";
ALTER TABLE "we""ird tåble $1 {x} \n 🦀" DROP COLUMN "select ""it"" $2 {column} \";
"#,
        down: r#"ALTER TABLE "we""ird tåble $1 {x} \n 🦀" ADD COLUMN "select ""it"" $2 {column} \" text;
UPDATE "we""ird tåble $1 {x} \n 🦀" SET "select ""it"" $2 {column} \" = "nénénénénénénénénénénénénénénénénénénénéabc";
ALTER TABLE "we""ird tåble $1 {x} \n 🦀" DROP COLUMN "nénénénénénénénénénénénénénénénénénénénéabc";
"#,
        old: Side {
            insert: r#"INSERT INTO "we""ird tåble $1 {x} \n 🦀" (id, "select ""it"" $2 {column} \", note, ver) VALUES ($1, $2, $3, 1) RETURNING ver"#,
            upsert: Some(
                r#"INSERT INTO "we""ird tåble $1 {x} \n 🦀" (id, "select ""it"" $2 {column} \", ver) VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET "select ""it"" $2 {column} \" = excluded."select ""it"" $2 {column} \", ver = "we""ird tåble $1 {x} \n 🦀".ver + 1 RETURNING ver"#,
            ),
            update: r#"UPDATE "we""ird tåble $1 {x} \n 🦀" SET "select ""it"" $2 {column} \" = $1, ver = ver + 1 WHERE id = $2 RETURNING ver"#,
            update_part: None,
            insert_bare: Some(
                r#"INSERT INTO "we""ird tåble $1 {x} \n 🦀" (id, note, ver) VALUES ($1, $2, 1) RETURNING ver"#,
            ),
            read: r#"SELECT ver, "select ""it"" $2 {column} \" FROM "we""ird tåble $1 {x} \n 🦀" WHERE id = $1"#,
            all: r#"SELECT id, ver, note, "select ""it"" $2 {column} \" FROM "we""ird tåble $1 {x} \n 🦀""#,
            values: |rng| vec![text_or_null(rng)],
        },
        new: Side {
            insert: r#"INSERT INTO "we""ird tåble $1 {x} \n 🦀" (id, "nénénénénénénénénénénénénénénénénénénénéabc", note, ver) VALUES ($1, $2, $3, 1) RETURNING ver"#,
            upsert: Some(
                r#"INSERT INTO "we""ird tåble $1 {x} \n 🦀" (id, "nénénénénénénénénénénénénénénénénénénénéabc", ver) VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET "nénénénénénénénénénénénénénénénénénénénéabc" = excluded."nénénénénénénénénénénénénénénénénénénénéabc", ver = "we""ird tåble $1 {x} \n 🦀".ver + 1 RETURNING ver"#,
            ),
            update: r#"UPDATE "we""ird tåble $1 {x} \n 🦀" SET "nénénénénénénénénénénénénénénénénénénénéabc" = $1, ver = ver + 1 WHERE id = $2 RETURNING ver"#,
            update_part: None,
            insert_bare: Some(
                r#"INSERT INTO "we""ird tåble $1 {x} \n 🦀" (id, note, ver) VALUES ($1, $2, 1) RETURNING ver"#,
            ),
            read: r#"SELECT ver, "nénénénénénénénénénénénénénénénénénénénéabc" FROM "we""ird tåble $1 {x} \n 🦀" WHERE id = $1"#,
            all: r#"SELECT id, ver, note, "nénénénénénénénénénénénénénénénénénénénéabc" FROM "we""ird tåble $1 {x} \n 🦀""#,
            values: |rng| vec![text_or_null(rng)],
        },
        shared: Shared {
            annotate: r#"UPDATE "we""ird tåble $1 {x} \n 🦀" SET note = $1, ver = ver + 1 WHERE id = $2 RETURNING ver"#,
            move_key: r#"UPDATE "we""ird tåble $1 {x} \n 🦀" SET id = $1, ver = ver + 1 WHERE id = $2 RETURNING ver"#,
            delete: r#"DELETE FROM "we""ird tåble $1 {x} \n 🦀" WHERE id = $1 RETURNING ver"#,
            count: r#"SELECT count(*) FROM "we""ird tåble $1 {x} \n 🦀""#,
        },
        seeded: |id| vec![seeded("Title", id)],
        defaults: || vec![Value::Null],
        forward: <[Value]>::to_vec,
        back: <[Value]>::to_vec,
    }
}
