//! `amount int` becomes `bigint` under the same name.

use fastrand::Rng;
use segue_model::engine::Engine;
use segue_model::value::Value;

use super::{Rule, Scenario, Shared, Side};

/// What an INSERT that does not name the column gives.
pub(super) const DEFAULT: i64 = 7;

/// A wider type under the same name, on a NOT NULL column with a default and an index; `None` where the engine's integers
/// are wide already. Both versions write what fits both types, so that every rollback point stays open.
pub fn retype(engine: Engine) -> Option<Scenario> {
    (engine == Engine::Postgres).then(|| scenario("retype", |rng| vec![small(rng)]))
}

/// The same, and the new version writes what only the wide type holds: rollback ends at flip.
pub fn retype_beyond_int(engine: Engine) -> Option<Scenario> {
    (engine == Engine::Postgres).then(|| scenario("retype beyond int", |rng| vec![wide(rng)]))
}

fn scenario(name: &'static str, new_values: fn(&mut Rng) -> Vec<Value>) -> Scenario {
    let side = Side {
        insert: "INSERT INTO orders (id, amount, note, ver) VALUES ($1, $2, $3, 1) RETURNING ver",
        upsert: Some(
            "INSERT INTO orders (id, amount, ver) VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, ver = orders.ver + 1 RETURNING ver",
        ),
        update: "UPDATE orders SET amount = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
        update_part: None,
        insert_bare: Some("INSERT INTO orders (id, note, ver) VALUES ($1, $2, 1) RETURNING ver"),
        read: "SELECT ver, amount FROM orders WHERE id = $1",
        all: "SELECT id, ver, note, amount FROM orders",
        values: |rng| vec![small(rng)],
    };
    Scenario {
        name,
        table: "orders",
        rule: Rule::SameName,
        create: "CREATE TABLE orders (
    id bigint NOT NULL PRIMARY KEY,
    amount integer NOT NULL DEFAULT 7,
    note text,
    ver bigint NOT NULL DEFAULT 0
);
CREATE INDEX orders_amount ON orders (amount);",
        fill: "INSERT INTO orders (id, amount, note)
SELECT id, CASE id % 16 WHEN 0 THEN 0 WHEN 1 THEN 2147483647 WHEN 2 THEN -2147483648 ELSE (id % 1000000)::integer END, 'seeded'
FROM generate_series(1::bigint, $1) AS id",
        settle: "VACUUM ANALYZE orders",
        up: "ALTER TABLE orders ALTER COLUMN amount TYPE bigint;
",
        down: "ALTER TABLE orders ALTER COLUMN amount TYPE integer;
",
        old: side,
        new: Side { values: new_values, ..side },
        shared: Shared {
            annotate: "UPDATE orders SET note = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            move_key: "UPDATE orders SET id = $1, ver = ver + 1 WHERE id = $2 RETURNING ver",
            delete: "DELETE FROM orders WHERE id = $1 RETURNING ver",
            count: "SELECT count(*) FROM orders",
        },
        seeded: |id| vec![seeded(id)],
        defaults: || vec![Value::Int(DEFAULT)],
        forward: <[Value]>::to_vec,
        back: <[Value]>::to_vec,
    }
}

/// Returns the value of a seeded row: what the `CASE id % 16` of the SQL says.
pub(super) fn seeded(id: i64) -> Value {
    Value::Int(match id % 16 {
        0 => 0,
        1 => i32::MAX.into(),
        2 => i32::MIN.into(),
        _ => id % 1_000_000,
    })
}

/// Returns a value that both types hold.
pub(super) fn small(rng: &mut Rng) -> Value {
    Value::Int(match rng.u8(..10) {
        0 => i32::MAX.into(),
        1 => i32::MIN.into(),
        2 => 0,
        _ => rng.i32(..).into(),
    })
}

fn wide(rng: &mut Rng) -> Value {
    match rng.u8(..10) {
        0 => Value::Int(i64::MAX),
        1 => Value::Int(i64::from(i32::MAX) + 1),
        2..6 => Value::Int(rng.i64(..)),
        _ => small(rng),
    }
}
