//! What each round does, drawn from the seed: the same seed and number give the same round.

use fastrand::Rng;
use segue_traffic::scenario::generated::{Alteration, KeyShape};

use crate::fault::Fault;
use crate::ground::Product;

/// A combination that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mix {
    pub(crate) product: Product,
    pub(crate) key: KeyShape,
    pub(crate) alteration: Alteration,
    pub(crate) fault: Fault,
}

/// A round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    pub(crate) number: usize,
    pub(crate) mix: Mix,
    pub(crate) rows: u32,
    /// Of the clients.
    pub(crate) seed: u64,
    /// The place of the server's version among those that are there.
    pub(crate) version: usize,
    pub(crate) workers: u32,
    /// First only `--to expand`, then the rest.
    pub(crate) in_parts: bool,
    /// The command in which the fault comes.
    pub(crate) command: usize,
    /// When it comes, as a part of the time that such a command takes.
    pub(crate) moment: f64,
    /// One of two ways in which some faults come.
    pub(crate) other_way: bool,
}

/// How many mixes are looked at for one that brings new pairs.
const LOOKED_AT: usize = 48;

/// The rounds of a seed, without end.
pub(crate) struct Draws {
    products: Vec<Product>,
    rng: Rng,
    number: usize,
    left: Vec<Mix>,
    pairs: std::collections::HashSet<(Product, u8, u8, u8)>,
}

impl Draws {
    pub(crate) fn new(seed: u64, products: Vec<Product>) -> Self {
        let (left, pairs) = Default::default();
        Self { products, rng: Rng::with_seed(seed), number: 0, left, pairs }
    }

    /// Returns every mix there is.
    pub(crate) fn mixes(&self) -> Vec<Mix> {
        let mut mixes = Vec::new();
        for product in self.products.iter().copied() {
            for key in KeyShape::all(product.engine()).iter().copied() {
                for alteration in Alteration::all(product.engine()).iter().copied() {
                    let faults = Fault::all(product).iter().copied();
                    mixes.extend(faults.map(|fault| Mix { product, key, alteration, fault }));
                }
            }
        }
        mixes
    }

    pub(crate) fn draw(&mut self) -> Draw {
        self.number += 1;
        let mix = self.mix();
        let rng = &mut self.rng;
        Draw {
            number: self.number,
            mix,
            rows: *rng.choice(&[0_u32, 70, 500, 2_000, 5_000, 12_000]).expect("the list is not empty"),
            seed: rng.u64(..),
            version: rng.usize(..),
            workers: rng.u32(1..4),
            in_parts: rng.u8(..4) == 0,
            command: *rng.choice(&[0, 0, 0, 0, 0, 0, 1, 2, 2, 3, 3]).expect("the list is not empty"),
            moment: rng.f64(),
            other_way: rng.bool(),
        }
    }

    /// Each mix comes once before any comes again; those that bring pairs which were not seen yet come first.
    fn mix(&mut self) -> Mix {
        if self.left.is_empty() {
            self.left = self.mixes();
            self.rng.shuffle(&mut self.left);
        }
        let looked_at = self.left.len().min(LOOKED_AT);
        let new = |mix: &Mix| pairs(*mix).iter().filter(|pair| !self.pairs.contains(*pair)).count();
        let at = (0..looked_at).max_by_key(|at| new(&self.left[*at])).expect("there is a mix");
        let mix = self.left.swap_remove(at);
        self.pairs.extend(pairs(mix));
        mix
    }
}

fn pairs(mix: Mix) -> [(Product, u8, u8, u8); 3] {
    let (key, alteration, fault) = (mix.key as u8, mix.alteration as u8, mix.fault as u8);
    [
        (mix.product, u8::MAX, alteration, fault),
        (mix.product, key, u8::MAX, fault),
        (mix.product, key, alteration, u8::MAX),
    ]
}
