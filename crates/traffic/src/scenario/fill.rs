//! `domain` is added, filled once from `email`, and NOT NULL; `email` stays.

use fastrand::Rng;
use segue_model::engine::Engine;
use segue_model::value::Value;

use super::texts::{or_empty, seeded, text, text_or_null};
use super::{Rule, Scenario, Shared, Side, by_engine};

/// A new column that starts as a function of an old one and then stands alone.
pub fn fill(engine: Engine) -> Scenario {
    Scenario {
        name: "fill",
        table: "accounts",
        rule: Rule::FillOnce,
        create: "CREATE TABLE accounts (
    id bigint NOT NULL PRIMARY KEY,
    email text,
    note text,
    ver bigint NOT NULL DEFAULT 0
);
CREATE INDEX accounts_email ON accounts (email);",
        fill: by_engine(
            engine,
            "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < $1)
INSERT INTO accounts (id, email, note)
SELECT id,
       CASE id % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN replace(hex(zeroblob(120)), '0', 'x') WHEN 3 THEN 'Zoë 名前' ELSE 'mail' || id END,
       'seeded'
FROM n",
            "INSERT INTO accounts (id, email, note)
SELECT id,
       CASE id % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN repeat('x', 240) WHEN 3 THEN 'Zoë 名前' ELSE 'mail' || id END,
       'seeded'
FROM generate_series(1::bigint, $1) AS id",
        ),
        settle: by_engine(engine, "", "VACUUM ANALYZE accounts"),
        up: "ALTER TABLE accounts ADD COLUMN domain text;
UPDATE accounts SET domain = coalesce(email, '') || '.example';
ALTER TABLE accounts ALTER COLUMN domain SET NOT NULL;
",
        down: "ALTER TABLE accounts DROP COLUMN domain;
",
        old: Side {
            insert: "INSERT INTO accounts (id, email, note, ver) VALUES ($1, $2, $3, 1) RETURNING ver",
            upsert: Some(
                "INSERT INTO accounts (id, email, ver) VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET email = excluded.email, ver = accounts.ver + 1 RETURNING ver",
            ),
            update: "UPDATE accounts SET email = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            update_part: None,
            insert_bare: Some("INSERT INTO accounts (id, note, ver) VALUES ($1, $2, 1) RETURNING ver"),
            read: "SELECT ver, email FROM accounts WHERE id = $1",
            all: "SELECT id, ver, note, email FROM accounts",
            values: |rng| vec![text_or_null(rng)],
        },
        new: Side {
            insert: "INSERT INTO accounts (id, domain, note, ver) VALUES ($1, $2, $3, 1) RETURNING ver",
            upsert: Some(
                "INSERT INTO accounts (id, domain, ver) VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET domain = excluded.domain, ver = accounts.ver + 1 RETURNING ver",
            ),
            update: "UPDATE accounts SET domain = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            update_part: None,
            insert_bare: None,
            read: "SELECT ver, domain FROM accounts WHERE id = $1",
            all: "SELECT id, ver, note, domain FROM accounts",
            values: domain,
        },
        shared: Shared {
            annotate: "UPDATE accounts SET note = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            move_key: "UPDATE accounts SET id = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            delete: "DELETE FROM accounts WHERE id = $1 RETURNING ver",
            count: "SELECT count(*) FROM accounts",
        },
        seeded: |id| vec![seeded("mail", id)],
        defaults: || vec![Value::Null],
        forward: |old| vec![format!("{}.example", or_empty(&old[0])).into()],
        // The old column does not follow: what it is after an INSERT that does not name it.
        back: |_| vec![Value::Null],
    }
}

fn domain(rng: &mut Rng) -> Vec<Value> {
    vec![text(rng).into()]
}
