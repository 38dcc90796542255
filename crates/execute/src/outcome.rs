//! What came of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use segue_model::ident::{MigrationId, TableName};
use segue_model::journal::{Holder, Leftover, State};
use segue_model::step::Phase;

/// What came of a run that reached its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The migration.
    pub migration: MigrationId,
    /// How far it is now.
    pub state: State,
    /// The phases that this run did something in, and how long that took.
    pub phases: Vec<(Phase, Duration)>,
    /// Whose run this one continued without the lease having been given back.
    pub took_over: Option<Holder>,
    /// Backends of earlier runs that were still there.
    pub leftovers: Vec<Leftover>,
    /// The longest wait for a step's locks in one try.
    pub longest_lock_wait: Duration,
    /// The longest time that a step's locks were held which keep writes or reads of the application waiting.
    pub longest_lock_held: Duration,
    /// Tries that did not get their lock, and transactions that were done again after a deadlock or a conflict.
    pub retries: u64,
    /// Times that the connection was lost and made again.
    pub reconnects: u32,
    /// Rows that backfills of this run changed.
    pub rows_filled: u64,
    /// Rows that nobody touches are not brought over until a person asks for it.
    pub left_to_touches: bool,
    /// Something was destroyed already, so nothing takes the migration back any more: it is to be finished.
    pub no_way_back: bool,
    /// How long each reason held this run back, while somebody waited for it.
    pub throttled: BTreeMap<String, Duration>,
    /// Times that dead rows were cleared.
    pub vacuums: u64,
    /// The last verification of this run.
    pub verified: Option<VerifyReport>,
    /// Preserved copies of what cleanup dropped. They stay until a person drops them.
    pub kept: Vec<TableName>,
    /// What a rollback lost, in a user's words.
    pub lost: Vec<String>,
    /// After a rollback: how the structure differs from the one before the migration, as `+` and `-` lines.
    pub difference: Option<String>,
    /// What else the user should know.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Returns the outcome of a run that has not done anything.
    pub(crate) fn nothing_yet(migration: MigrationId, state: State) -> Self {
        Self {
            migration,
            state,
            phases: Vec::new(),
            took_over: None,
            leftovers: Vec::new(),
            longest_lock_wait: Duration::ZERO,
            longest_lock_held: Duration::ZERO,
            retries: 0,
            reconnects: 0,
            rows_filled: 0,
            left_to_touches: false,
            no_way_back: false,
            throttled: BTreeMap::new(),
            vacuums: 0,
            verified: None,
            kept: Vec::new(),
            lost: Vec::new(),
            difference: None,
            notes: Vec::new(),
        }
    }
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// One entry for each verification step.
    pub tables: Vec<TableReport>,
}

impl VerifyReport {
    /// Returns whether every row is right.
    pub fn is_clean(&self) -> bool {
        self.tables.iter().all(|table| table.wrong() == 0)
    }

    /// Returns the number of wrong rows.
    pub fn wrong(&self) -> u64 {
        self.tables.iter().map(TableReport::wrong).sum()
    }
}

/// What a verification found in one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// The step.
    pub step: u32,
    /// The table.
    pub table: TableName,
    /// Rows looked at.
    pub rows: u64,
    /// Rows whose two sides do not follow from each other.
    pub unrelated: u64,
    /// Rows whose new side is absent though it must not be.
    pub absent: u64,
    /// Rows that were rewritten from the authority before this count.
    pub repaired: u64,
    /// Keys of up to 10 wrong rows.
    pub samples: Vec<String>,
    /// Chunks that were looked at, each in one snapshot.
    pub chunks: u64,
    /// Chunks with a wrong row, or whose two sides differ as wholes.
    pub differing: u64,
    /// Both sides as wholes, where they stand in two tables. Writes between two chunks are in it, so those of two
    /// verifications differ.
    pub sides: Option<Sides>,
    /// How long it took, without rests and waits.
    pub took: Duration,
}

/// The two tables that a verification compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides {
    /// The table.
    pub old: Side,
    /// Its copy.
    pub new: Side,
}

/// One of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Side {
    /// Its rows.
    pub rows: u64,
    /// What stands for their values, in any order.
    pub checksum: Checksum,
}

impl Side {
    /// Adds another part of the table.
    pub(crate) fn add(&mut self, part: Self) {
        self.rows = self.rows.saturating_add(part.rows);
        self.checksum = Checksum(self.checksum.0.wrapping_add(part.checksum.0));
    }
}

/// A sum over checksums of parts, so that it does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksum(u128);

impl Checksum {
    /// Returns that of a part, as the database gave it: whole numbers are taken as they are.
    pub(crate) fn of(text: &str) -> Self {
        // FNV-1a: equal texts must give equal sums, and nobody chooses them to collide.
        let hash =
            |sum: u128, byte: u8| (sum ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B);
        let hashed = || text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, hash);
        Self(text.parse::<i128>().map_or_else(|_| hashed(), |number| number as u128))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TableReport {
    /// Returns the rows looked at in a second; `None`: it took no time to speak of.
    pub fn rows_per_s(&self) -> Option<f64> {
        let seconds = self.took.as_secs_f64();
        (seconds > 0.0).then(|| self.rows as f64 / seconds)
    }

    /// Returns the number of wrong rows.
    pub fn wrong(&self) -> u64 {
        self.unrelated.saturating_add(self.absent)
    }
}
