//! What a row is known by. Clients name rows by whole numbers; each shape says how such a number is written as its key.

use segue_model::engine::Engine;

/// What a row is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyShape {
    /// `integer`; on SQLite the rowid itself.
    Int,
    /// `bigint`; on SQLite a column beside the rowid.
    Bigint,
    /// `uuid`, in an order that is not that of the numbers.
    Uuid,
    /// `text`, in an order that is not that of the numbers.
    Text,
    /// Two columns, in the table's order.
    Composite,
    /// Two columns, in another order than the table's.
    Reordered,
    /// None: a plain index finds rows.
    NoKey,
    /// A `bigint`; every name has quotes, spaces, reserved words or other scripts in it.
    Hostile,
}

impl KeyShape {
    /// Returns the shapes that the engine has.
    pub fn all(engine: Engine) -> &'static [Self] {
        use KeyShape::{Bigint, Composite, Hostile, Int, NoKey, Reordered, Text, Uuid};
        match engine {
            Engine::Postgres => &[Int, Bigint, Uuid, Text, Composite, Reordered, NoKey, Hostile],
            Engine::Sqlite => &[Int, Bigint, Text, Composite, Reordered, NoKey, Hostile],
        }
    }

    /// Returns the name, for tables of counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Bigint => "bigint",
            Self::Uuid => "uuid",
            Self::Text => "text",
            Self::Composite => "composite",
            Self::Reordered => "reordered",
            Self::NoKey => "no key",
            Self::Hostile => "hostile names",
        }
    }

    /// Tells whether the key has two columns.
    pub(super) fn is_composite(self) -> bool {
        matches!(self, Self::Composite | Self::Reordered)
    }

    /// Returns the declaration of the column that tells rows apart.
    pub(super) fn declared(self, engine: Engine) -> &'static str {
        match (self, engine) {
            // On SQLite these words make the key the rowid, so that a changed key moves the row.
            (Self::Int, Engine::Sqlite) => "integer PRIMARY KEY",
            (Self::Int, Engine::Postgres) => "integer NOT NULL PRIMARY KEY",
            (Self::Uuid, _) => "uuid NOT NULL PRIMARY KEY",
            (Self::Text, _) => "text NOT NULL PRIMARY KEY",
            (Self::Bigint | Self::Hostile, _) => "bigint NOT NULL PRIMARY KEY",
            (Self::Composite | Self::Reordered | Self::NoKey, _) => "bigint NOT NULL",
        }
    }

    /// Returns the expression that writes a number, which `of` gives, as that column's value.
    pub(super) fn encoded(self, engine: Engine, of: &str) -> String {
        match (self, engine) {
            (Self::Uuid, _) => {
                format!("(reverse(lpad(to_hex({of}::bigint), 16, '0')) || '0000000000000000')::uuid")
            }
            (Self::Text, Engine::Postgres) => format!("'k' || reverse({of}::bigint::text)"),
            (Self::Text, Engine::Sqlite) => format!("'k' || {of}"),
            (Self::Composite | Self::Reordered, Engine::Postgres) => format!("{of}::bigint"),
            (Self::Int | Self::Bigint | Self::Hostile | Self::NoKey, _)
            | (Self::Composite | Self::Reordered, Engine::Sqlite) => of.to_owned(),
        }
    }

    /// Returns the expression that reads the number from that column.
    pub(super) fn decoded(self, engine: Engine, column: &str) -> String {
        match (self, engine) {
            (Self::Uuid, _) => {
                format!("('x' || reverse(left(replace({column}::text, '-', ''), 16)))::bit(64)::bigint")
            }
            (Self::Text, Engine::Postgres) => format!("reverse(substr({column}, 2))::bigint"),
            (Self::Text, Engine::Sqlite) => format!("CAST(substr({column}, 2) AS INTEGER)"),
            (Self::Int | Self::Bigint | Self::Composite | Self::Reordered | Self::NoKey | Self::Hostile, _) => {
                column.to_owned()
            }
        }
    }
}
