//! What a row must be after the writes it took: the meaning of both shapes, and nothing of how they are kept in sync.

use segue_model::value::Value;

use crate::op::{Kind, Op, Version};
use crate::scenario::{Rule, Scenario};
use crate::seed::NOTE;

/// A row as it must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Image {
    pub(crate) ver: i64,
    pub(crate) note: Value,
    pub(crate) old: Vec<Value>,
    /// What the new columns may be: one thing, unless they were filled once at an unknown time.
    pub(crate) new: Vec<Vec<Value>>,
    /// The shape that was written last: a difference there is a lost write.
    pub(crate) written: Option<Version>,
    era: u16,
}

impl Image {
    /// Returns the row that was seeded under this key.
    pub(crate) fn seeded(scenario: &Scenario, id: i64) -> Self {
        let old = (scenario.seeded)(id);
        let new = vec![(scenario.forward)(&old)];
        Self { ver: 0, note: NOTE.into(), old, new, written: None, era: 0 }
    }

    /// Returns the row that an insert (or an upsert that found nothing) makes.
    pub(crate) fn inserted(scenario: &Scenario, op: &Op) -> Self {
        let note = if op.kind == Kind::Upsert { Value::Null } else { op.note() };
        let defaults = (scenario.defaults)();
        let written = (op.kind != Kind::InsertBare).then_some(op.version);
        let (old, new) = match written {
            None => forward_of(scenario, defaults),
            Some(Version::Old) => forward_of(scenario, op.values(scenario)),
            Some(Version::New) => inserted_by_new(scenario, defaults, op.values(scenario)),
        };
        Self { ver: 1, note, old, new: vec![new], written, era: op.era }
    }

    /// Lets the row take a write other than an insert, a move or a delete.
    pub(crate) fn take(&mut self, scenario: &Scenario, op: &Op) {
        self.enter(scenario, op.era);
        self.ver += 1;
        match op.kind {
            Kind::Annotate => self.note = op.note(),
            Kind::UpdatePart => {
                let mut values = match op.version {
                    Version::Old => self.old.clone(),
                    Version::New => self.new[0].clone(),
                };
                values[0] = op.values(scenario).swap_remove(0);
                self.write(scenario, op, values);
            }
            Kind::Insert | Kind::InsertBare | Kind::Upsert | Kind::Update => {
                self.write(scenario, op, op.values(scenario));
            }
            Kind::Move { .. } | Kind::Delete => {}
        }
    }

    /// A rollback dropped the new columns since: what only they held is gone.
    pub(crate) fn enter(&mut self, scenario: &Scenario, era: u16) {
        if era > self.era {
            self.era = era;
            self.new = vec![(scenario.forward)(&self.old)];
            self.written = None;
        }
    }

    fn write(&mut self, scenario: &Scenario, op: &Op, values: Vec<Value>) {
        match (scenario.rule, op.version) {
            (Rule::BothWays, Version::Old) => {
                if self.old != values {
                    self.new = vec![(scenario.forward)(&values)];
                    self.old = values;
                    self.written = Some(op.version);
                }
            }
            (Rule::BothWays, Version::New) => {
                if self.new[0] != values {
                    if (scenario.forward)(&self.old) != values {
                        self.old = (scenario.back)(&values);
                    }
                    self.new = vec![values];
                    self.written = Some(op.version);
                }
            }
            (Rule::FillOnce, Version::Old) => self.write_source(scenario, op, values),
            (Rule::FillOnce, Version::New) => {
                self.new = vec![values];
                self.written = Some(op.version);
            }
            (Rule::SameName, _) => {
                self.old.clone_from(&values);
                self.new = vec![values];
                self.written = Some(op.version);
            }
        }
    }

    /// The source of a fill changed: before every row was filled, the fill may have come before or after. A fill that gave
    /// NULL cannot be told from none, so the row may be filled again.
    fn write_source(&mut self, scenario: &Scenario, op: &Op, values: Vec<Value>) {
        let absent = self.new.iter().any(|new| new.iter().all(|value| *value == Value::Null));
        let filled = op.ready && op.era == self.era && !absent;
        let new = (scenario.forward)(&values);
        self.old = values;
        if !filled && self.written != Some(Version::New) && !self.new.contains(&new) {
            self.new.push(new);
        }
    }
}

fn forward_of(scenario: &Scenario, old: Vec<Value>) -> (Vec<Value>, Vec<Value>) {
    let new = (scenario.forward)(&old);
    (old, new)
}

fn inserted_by_new(scenario: &Scenario, defaults: Vec<Value>, new: Vec<Value>) -> (Vec<Value>, Vec<Value>) {
    let from_defaults = (scenario.forward)(&defaults);
    // All NULL cannot be told from absent, and what equals the defaults' transform is right as it is.
    let absent = new.iter().all(|value| *value == Value::Null);
    if absent || new == from_defaults { (defaults, from_defaults) } else { ((scenario.back)(&new), new) }
}

#[cfg(test)]
mod tests {
    use segue_model::engine::Engine;

    use super::*;
    use crate::scenario::split;

    fn op(version: Version, kind: Kind, seed: u64) -> Op {
        Op { id: 5, kind, version, seed, era: 0, ready: true }
    }

    #[test]
    fn the_written_side_is_kept_and_the_other_is_its_transform() {
        let scenario = split(Engine::Sqlite);
        let mut image = Image::seeded(&scenario, 5);
        assert_eq!(image.old, ["First5".into(), "Last10".into()]);
        let by_new = op(Version::New, Kind::Update, 3);
        image.take(&scenario, &by_new);
        assert_eq!(image.new, [by_new.values(&scenario)]);
        assert_eq!(image.old, (scenario.back)(&image.new[0]));
        let by_old = op(Version::Old, Kind::Update, 4);
        image.take(&scenario, &by_old);
        assert_eq!(image.old, by_old.values(&scenario));
        assert_eq!(image.new, [(scenario.forward)(&image.old)]);
        assert_eq!(image.ver, 2);
    }

    #[test]
    fn a_rollback_forgets_what_only_the_new_shape_held() {
        let scenario = split(Engine::Sqlite);
        let mut image = Image::seeded(&scenario, 5);
        image.write(&scenario, &op(Version::New, Kind::Update, 0), vec!["Cher".into()]);
        assert_eq!((&image.old, &image.new), (&vec!["Cher".into(), "".into()], &vec![vec!["Cher".into()]]));
        image.enter(&scenario, 1);
        assert_eq!(image.new, [vec!["Cher ".into()]]);
    }
}
