//! Which row a request is about, and what it does.

use std::sync::atomic::{AtomicI64, Ordering};

use fastrand::Rng;

use crate::op::{Kind, Version};
use crate::scenario::Scenario;

/// Rows that every client comes back to; never deleted or moved.
const HOT: i64 = 64;
/// How many of the last inserted rows are written again.
const RECENT: i64 = 200;
/// Rows that are only inserted by upserts, and never deleted or moved, so that a version of 1 means inserted. The gap before
/// them is what tables with generated keys look like.
const UPSERTS: i64 = 1 << 30;

/// What a client does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Read a row, perhaps the one this client wrote last.
    Read { id: i64 },
    /// Write.
    Write { id: i64, kind: Kind },
}

/// The keys in use. No key is given to a second row.
#[derive(Debug)]
pub(crate) struct Keys {
    seeded: i64,
    above: AtomicI64,
    below: AtomicI64,
    upserts: AtomicI64,
}

impl Keys {
    pub(crate) fn new(seeded: u32) -> Self {
        Self {
            seeded: seeded.into(),
            above: AtomicI64::new(i64::from(seeded) + 1),
            below: AtomicI64::new(-1),
            upserts: AtomicI64::new(1),
        }
    }

    /// Chooses by the mix: a fifth reads, the rest writes of every kind.
    pub(crate) fn choose(&self, scenario: &Scenario, version: Version, rng: &mut Rng) -> Wish {
        let side = version.side(scenario);
        let (id, kind) = match rng.u8(..100) {
            0..20 => return Wish::Read { id: self.any(rng) },
            20..32 => (self.fresh(rng), Kind::Insert),
            32..35 if side.insert_bare.is_some() => (self.fresh(rng), Kind::InsertBare),
            32..35 => (self.fresh(rng), Kind::Insert),
            35..47 if side.upsert.is_some() => (self.upsert(rng), Kind::Upsert),
            35..47 => (self.fresh(rng), Kind::Insert),
            47..65 => (self.any(rng), Kind::Update),
            65..75 if side.update_part.is_some() => (self.any(rng), Kind::UpdatePart),
            65..75 => (self.any(rng), Kind::Update),
            75..90 => (self.any(rng), Kind::Annotate),
            90..95 => (self.mortal(rng), Kind::Move { to: self.fresh(rng) }),
            _ => (self.mortal(rng), Kind::Delete),
        };
        Wish::Write { id, kind }
    }

    /// A key that no row had: above all others or below, so that moved rows pass a backfill's cursor both ways.
    fn fresh(&self, rng: &mut Rng) -> i64 {
        if rng.u8(..4) == 0 {
            self.below.fetch_sub(1, Ordering::Relaxed)
        } else {
            self.above.fetch_add(1, Ordering::Relaxed)
        }
    }

    fn upsert(&self, rng: &mut Rng) -> i64 {
        let known = self.upserts.load(Ordering::Relaxed);
        UPSERTS + if rng.u8(..3) == 0 { self.upserts.fetch_add(1, Ordering::Relaxed) } else { rng.i64(0..known) }
    }

    fn any(&self, rng: &mut Rng) -> i64 {
        match rng.u8(..20) {
            0..8 => 1 + rng.i64(0..HOT),
            8..10 => UPSERTS + rng.i64(0..self.upserts.load(Ordering::Relaxed)),
            _ => self.mortal(rng),
        }
    }

    fn mortal(&self, rng: &mut Rng) -> i64 {
        let newest = self.above.load(Ordering::Relaxed) - 1;
        if rng.bool() && newest > self.seeded || self.seeded <= HOT {
            (newest - rng.i64(0..RECENT)).max(self.seeded + 1)
        } else {
            HOT + 1 + rng.i64(0..self.seeded - HOT)
        }
    }
}
