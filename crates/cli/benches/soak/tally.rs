//! What was tested how often.

use std::collections::BTreeMap;

use segue_traffic::scenario::generated::{Alteration, KeyShape};

use crate::draw::Mix;
use crate::fault::Fault;
use crate::ground::Product;
use crate::round::Outcome;

/// The counts of a run.
#[derive(Default)]
pub(crate) struct Tally {
    counts: BTreeMap<Mix, u32>,
    /// By product, key shape and alteration: the first words of the refusal.
    refusals: BTreeMap<(Product, KeyShape, Alteration), String>,
    pub(crate) rounds: u64,
    pub(crate) bad: u64,
    missed: u64,
    refused: u64,
    requests: u64,
    seconds: f64,
    cut: u64,
    pub(crate) lost: u64,
    pub(crate) wrong: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn take(&mut self, mix: Mix, outcome: &Outcome) {
        self.rounds += 1;
        self.requests += outcome.requests;
        self.seconds += outcome.seconds;
        self.cut += outcome.cut;
        self.lost += outcome.lost;
        self.wrong += outcome.wrong;
        self.failed += outcome.failed;
        self.bad += u64::from(!outcome.faults.is_empty());
        if let Some(why) = &outcome.refused {
            self.refused += 1;
            self.refusals.insert((mix.product, mix.key, mix.alteration), why.clone());
        } else if outcome.struck {
            *self.counts.entry(mix).or_default() += 1;
        } else {
            self.missed += 1;
        }
    }

    /// Returns the counts by product, key shape, alteration and fault, and how many of `mixes` were never tested.
    pub(crate) fn table(&self, mixes: &[Mix]) -> String {
        let mut text = String::new();
        for product in [Product::Server, Product::File] {
            let of_product: Vec<&Mix> = mixes.iter().filter(|mix| mix.product == product).collect();
            let faults: Vec<Fault> =
                Fault::all(product).iter().copied().filter(|f| of_product.iter().any(|mix| mix.fault == *f)).collect();
            if faults.is_empty() {
                continue;
            }
            let head: Vec<String> = faults.iter().map(|fault| format!("{:>10}", fault.name())).collect();
            text.push_str(&format!("{:<33}{}\n", product.engine().product(), head.concat()));
            for key in KeyShape::all(product.engine()).iter().copied() {
                for alteration in Alteration::all(product.engine()).iter().copied() {
                    let count = |fault: &Fault| {
                        let mix = Mix { product, key, alteration, fault: *fault };
                        format!("{:>10}", self.counts.get(&mix).copied().unwrap_or_default())
                    };
                    let cells: Vec<String> = faults.iter().map(count).collect();
                    text.push_str(&format!("{:<15} × {:<15}{}\n", key.name(), alteration.name(), cells.concat()));
                }
            }
        }
        let never = mixes.iter().filter(|mix| !self.counts.contains_key(mix)).count();
        text.push_str(&format!("{} of {} combinations were not tested\n", never, mixes.len()));
        for ((product, key, alteration), why) in &self.refusals {
            let (product, key, alteration) = (product.engine().product(), key.name(), alteration.name());
            text.push_str(&format!("refused: {product}, {key}, {alteration}:\n{why}\n"));
        }
        text
    }

    /// Returns the sums in one line.
    pub(crate) fn sums(&self) -> String {
        format!(
            "{} rounds ({} refused, {} in which the fault came too late), {} requests ({:.0} a second in each \
             round; {} cut by a restart); \
             {} lost, {} wrong, {} failed; {} rounds not as they must be",
            self.rounds,
            self.refused,
            self.missed,
            self.requests,
            self.requests as f64 / self.seconds.max(1.0),
            self.cut,
            self.lost,
            self.wrong,
            self.failed,
            self.bad
        )
    }
}
