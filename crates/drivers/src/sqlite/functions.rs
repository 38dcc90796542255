//! What our own statements may call besides SQLite's functions. Triggers never do: they run in the application's library.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Error, Result};

/// Adds them to a connection.
///
/// - `segue_checksum(value, …)`, an aggregate: a text that is equal for two sets of rows which are equal to the bit, in
///   whatever order they come.
/// - `segue_fail(text)`: fails with this text, and with it the transaction that must not go on.
pub(super) fn add(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_aggregate_function("segue_checksum", -1, flags, Checksum)?;
    connection.create_scalar_function("segue_fail", 1, flags, |context| -> Result<ToSqlOutput<'_>> {
        Err(Error::UserFunctionError(context.get::<String>(0)?.into()))
    })
}

/// The sum of the hashes of all rows: it does not depend on their order, and a row that is there twice counts twice.
struct Checksum;

impl Aggregate<u64, String> for Checksum {
    fn init(&self, _context: &mut Context<'_>) -> Result<u64> {
        Ok(0)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut u64) -> Result<()> {
        let mut row = DefaultHasher::new();
        for at in 0..context.len() {
            hash(context.get_raw(at), &mut row);
        }
        *sum = sum.wrapping_add(row.finish());
        Ok(())
    }

    fn finalize(&self, _context: &mut Context<'_>, sum: Option<u64>) -> Result<String> {
        Ok(format!("{:016x}", sum.unwrap_or_default()))
    }
}

/// The storage class enters too: 1, 1.0 and '1' are three values.
fn hash(value: ValueRef<'_>, row: &mut DefaultHasher) {
    match value {
        ValueRef::Null => 0_u8.hash(row),
        ValueRef::Integer(n) => (1_u8, n).hash(row),
        ValueRef::Real(n) => (2_u8, n.to_bits()).hash(row),
        ValueRef::Text(bytes) => (3_u8, bytes).hash(row),
        ValueRef::Blob(bytes) => (4_u8, bytes).hash(row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        add(&connection).unwrap();
        connection
    }

    fn sum(connection: &Connection, rows: &str) -> String {
        let sql = format!("SELECT segue_checksum(column1, column2) FROM ({rows})");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_checksum_tells_every_bit_and_no_order() {
        let connection = connection();
        let one = sum(&connection, "VALUES (1, 'a'), (2, NULL)");
        assert_eq!(sum(&connection, "VALUES (2, NULL), (1, 'a')"), one);
        for other in [
            "VALUES (1, 'a')",
            "VALUES (1, 'A'), (2, NULL)",
            "VALUES (1.0, 'a'), (2, NULL)",
            "VALUES ('1', 'a'), (2, NULL)",
            "VALUES (1, x'61'), (2, NULL)",
            "VALUES (1, 'a'), (2, NULL), (2, NULL)",
            "VALUES (1, NULL), (2, 'a')",
            "SELECT 1 AS column1, 2 AS column2 WHERE 0",
        ] {
            assert_ne!(sum(&connection, other), one, "{other}");
        }
    }

    #[test]
    fn a_transaction_that_must_not_go_on_fails_with_its_reason() {
        let connection = connection();
        let fail = connection.query_row("SELECT segue_fail('not so')", [], |_| Ok(())).unwrap_err();
        assert_eq!(fail.to_string(), "not so");
        assert!(connection.execute_batch("SELECT segue_fail('never') WHERE 0").is_ok());
    }
}
