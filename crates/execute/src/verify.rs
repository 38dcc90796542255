//! Showing that every row is right, and making those right that are not.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use segue_model::bound::Bound;
use segue_model::ident::TableName;
use segue_model::journal::State;
use segue_model::session::{Fail, FailKind};
use segue_model::sql::Sql;
use segue_model::step::{Action, Phase, Step, Verify};
use segue_model::value::{Row, Value};

use crate::error::RunError;
use crate::guard::Patience;
use crate::observer::Progress;
use crate::outcome::{Checksum, Side, Sides, TableReport, VerifyReport};
use crate::phase::changes_tables;
use crate::running::Running;
use crate::throttle::Work;
use crate::window::{Extent, Size, Stretch, WINDOW};

/// Keys of wrong rows that are shown at most.
const SAMPLES_MAX: usize = 10;

/// What a window's count gives.
#[derive(Debug, Default, Clone)]
struct Counted {
    rows: u64,
    unrelated: u64,
    absent: u64,
    samples: Vec<String>,
    /// Both sides as wholes, where the plan compares them so.
    sides: Option<Sides>,
}

/// A window that was looked at.
struct Looked {
    part: Stretch,
    counted: Counted,
    took: Duration,
}

impl Running<'_> {
    /// Does a verification step: every row is right, or the phase ends here.
    pub(crate) fn verify_step(&mut self, step: &Step, verify: &Verify) -> Result<(), RunError> {
        self.persist(&Patience::journal(step), Self::check_shape)?;
        let table = self.look_at(step, verify, false)?;
        let note = serde_json::json!({ "rows": table.rows }).to_string();
        let mut report = self.outcome.verified.take().unwrap_or_default();
        report.tables.retain(|known| known.step != step.id);
        report.tables.push(table);
        self.conclude(report, false)?;
        self.finish(step, &note)
    }

    /// Verifies again what is in force now.
    pub(crate) fn verify_again(&mut self, repair: bool) -> Result<(), RunError> {
        let plan = Rc::clone(&self.plan);
        let mut report = VerifyReport::default();
        for (step, verify) in self.in_force(&plan.steps) {
            let table = self.look_at(step, verify, repair).map_err(|error| error.at(step.id, step.phase))?;
            report.tables.push(table);
        }
        self.conclude(report, repair)
    }

    /// Verifies once more, before anything is dropped, what no verification step of cleanup itself will.
    pub(crate) fn verify_before_cleanup(&mut self) -> Result<(), RunError> {
        self.check_sync()?;
        let plan = Rc::clone(&self.plan);
        let verified: BTreeSet<&TableName> = verifications(&plan.steps)
            .filter(|(step, _)| step.phase == Phase::Cleanup)
            .map(|(_, verify)| &verify.cut.table)
            .collect();
        let mut report = VerifyReport::default();
        for (step, verify) in self.in_force(&plan.steps) {
            if !verified.contains(&verify.cut.table) {
                report.tables.push(self.look_at(step, verify, false).map_err(|error| error.at(step.id, step.phase))?);
            }
        }
        if report.tables.is_empty() { Ok(()) } else { self.conclude(report, false) }
    }

    /// Fails when the means of sync are not all there and at work.
    pub(crate) fn check_sync(&mut self) -> Result<(), RunError> {
        let plan = Rc::clone(&self.plan);
        for (step, verify) in self.in_force(&plan.steps) {
            self.persist(&Patience::journal(step), |me| me.unmet(&verify.conditions))?.or_gate(Some(step.id))?;
        }
        Ok(())
    }

    /// Returns, for each table, the verification that speaks of the table as it is now: what changes the table in phases
    /// before it is done, and nothing of later phases is. Where none fits exactly, the last one that passed.
    fn in_force<'s>(&self, steps: &'s [Step]) -> Vec<(&'s Step, &'s Verify)> {
        let all: Vec<(&Step, &Verify)> = verifications(steps).collect();
        let tables: BTreeSet<_> = all.iter().map(|(_, verify)| &verify.cut.table).collect();
        let mut found = Vec::new();
        for table in tables {
            let of_table = || all.iter().copied().filter(|(_, verify)| verify.cut.table == *table);
            let fitting: Vec<_> = of_table().filter(|(step, _)| self.fits_now(step, table, steps)).collect();
            if fitting.is_empty() {
                found.extend(of_table().rfind(|(step, _)| self.is_done(step.id)));
            } else {
                found.extend(fitting);
            }
        }
        found
    }

    /// A verification stands among the steps of its phase: what changes the table before it there must be done too, and what
    /// comes after it only uses what it has shown.
    fn fits_now(&self, verify: &Step, table: &TableName, steps: &[Step]) -> bool {
        let touches = |step: &Step| step.locks.is_empty() || step.locks.iter().any(|lock| lock.relation == *table);
        let place = steps.iter().position(|step| step.id == verify.id);
        let changes = steps.iter().enumerate().filter(|(_, step)| changes_tables(step) && touches(step));
        changes.into_iter().all(|(at, step)| match step.phase.cmp(&verify.phase) {
            Ordering::Less => self.is_done(step.id),
            Ordering::Equal => Some(at) > place || self.is_done(step.id),
            Ordering::Greater => !self.may_be_there(step),
        })
    }

    fn conclude(&mut self, report: VerifyReport, repaired: bool) -> Result<(), RunError> {
        self.env.tell(&Progress::Verified { report: &report });
        self.outcome.verified = Some(report.clone());
        if report.is_clean() {
            return Ok(());
        }
        let hint = self.how_to_mend(&report, repaired, self.record.state);
        Err(RunError::Verification { report, hint })
    }

    /// Names a command that works in a state.
    pub(crate) fn how_to_mend(&self, report: &VerifyReport, repaired: bool, state: State) -> String {
        let id = self.id();
        let truth = if state >= State::Flipped { "new" } else { "old" };
        let wrong = |step: &Step| report.tables.iter().any(|table| table.step == step.id && table.wrong() > 0);
        let mut steps = self.plan.steps.iter().filter(|step| wrong(step));
        let mends =
            steps.all(|step| matches!(&step.action, Action::Verify(verify) if repair_by(verify, state).is_some()));
        if repaired || !mends {
            return format!(
                "They cannot be rewritten from the {truth} shape, which is the truth now: correct them by hand, see that all are right with `segue verify {id}`, and go on."
            );
        }
        format!(
            "Look at the rows named here; `segue verify {id} --repair` rewrites them from the {truth} shape, which is the truth now. Then run the same command again."
        )
    }

    /// Looks at a whole table; with `repair`, rewrites what is wrong from the authority and looks again.
    fn look_at(&mut self, step: &Step, verify: &Verify, repair: bool) -> Result<TableReport, RunError> {
        self.persist(&Patience::journal(step), |me| me.unmet(&verify.conditions))?.or_gate(Some(step.id))?;
        let found = self.count(step, verify, None)?;
        let Some(repair) = repair_by(verify, self.record.state).filter(|_| repair && found.wrong() > 0) else {
            return Ok(found);
        };
        let repaired = self.count(step, verify, Some(repair))?.repaired;
        Ok(TableReport { repaired, ..self.count(step, verify, None)? })
    }

    /// Counts a whole table by windows, each in one snapshot; with `repair`, windows with wrong rows are repaired.
    fn count(&mut self, step: &Step, verify: &Verify, repair: Option<&Sql>) -> Result<TableReport, RunError> {
        let tries = step.tries.unwrap_or_default();
        let patience = Patience { tries, ..Patience::journal(step) };
        let (mut report, mut took) = (empty_report(step, verify), Duration::ZERO);
        let Some(extent) = self.persist(&patience, |me| me.extent(&verify.cut))? else { return Ok(report) };
        let (plan, valve, epoch) = (Rc::clone(&self.plan), self.hand.valve, self.hand.control.epoch());
        valve.leads(epoch);
        valve.note(|figures| {
            figures.begins(step, &plan);
            figures.stands(1, 0, extent.total);
        });
        let mut size = Size::first(&verify.cut);
        let mut next = Some(extent.low.clone());
        while let Some(at) = next {
            valve.pass(self.env, Work::Window)?;
            size.aim(self.target(verify));
            let looked = self.persist(&patience, |me| {
                let began = me.env.clock.now();
                let looked = me.look(verify, &at, &extent.end, &size);
                size.heed(&looked, me.env.clock.now().saturating_sub(began));
                looked
            })?;
            if let Some(sql) = repair.filter(|_| looked.counted.wrong() > 0) {
                report.repaired += self.repair(&patience, verify, sql, at, &looked.part)?;
            }
            report.add(&looked.counted);
            size.took(looked.part.units, looked.took);
            took += looked.took;
            self.tell_looked(step, verify, &looked, &extent);
            self.rest(&verify.cut, looked.took)?;
            next = looked.part.next;
        }
        report.took = took;
        Ok(report)
    }

    /// Reading keeps nobody waiting, but it takes the disk and the cores from others: a window is short while they need them.
    fn target(&self, verify: &Verify) -> Duration {
        let valve = self.hand.valve;
        let alone = valve.tuning().window_ms.filter(|_| valve.is_quiet());
        Duration::from_millis(u64::from(alone.unwrap_or(verify.cut.target_ms).max(1)))
    }

    fn tell_looked(&self, step: &Step, verify: &Verify, looked: &Looked, extent: &Extent) {
        let Looked { part, counted, took } = looked;
        let now = self.env.clock.now();
        let (done, total) = self.hand.valve.note(|figures| figures.moved(now, part.units, counted.rows, *took));
        self.env.tell(&Progress::Window {
            step: step.id,
            pass: 1,
            done: if part.next.is_none() { extent.total } else { done },
            total,
            unit: &verify.cut.unit,
            rows: counted.rows,
            took: *took,
        });
    }

    fn look(&mut self, verify: &Verify, from: &Bound, end: &Bound, size: &Size) -> Result<Looked, RunError> {
        let began = self.env.clock.now();
        let (part, counted) = self.reading(|me| {
            let part = me.stretch(&verify.cut, from, end, size.units())?;
            let counted = me.counted(verify, &part.bounds(from))?;
            Ok((part, counted))
        })?;
        Ok(Looked { part, counted, took: self.env.clock.now().saturating_sub(began) })
    }

    /// Compares both sides of a window as wholes where the plan can, and row by row where they differ or it cannot.
    fn counted(&mut self, verify: &Verify, bounds: &[Value]) -> Result<Counted, RunError> {
        let sides = match &verify.compare {
            Some(compare) => Some(sides(&self.query(compare, bounds, WINDOW)?)?),
            None => None,
        };
        if let Some(sides) = sides.as_ref().filter(|sides| sides.old == sides.new) {
            return Ok(Counted { rows: sides.old.rows, sides: Some(*sides), ..Counted::default() });
        }
        let mut counted = counted(&self.query(&verify.count, bounds, WINDOW)?)?;
        if counted.wrong() > 0 {
            counted.samples = samples(&self.query(&verify.sample, bounds, WINDOW)?);
        } else if let Some(sides) = sides {
            // They differ, and no single row shows how: that must not pass for right.
            counted.unrelated = sides.old.rows.abs_diff(sides.new.rows).max(1);
            counted.samples = vec!["rows that cannot be named: the checksums of both sides differ".to_owned()];
        }
        Ok(Counted { sides, ..counted })
    }

    /// Repairs a window: in one transaction, or in smaller ones where that takes too long.
    fn repair(
        &mut self,
        patience: &Patience<'_>,
        verify: &Verify,
        sql: &Sql,
        from: Bound,
        whole: &Stretch,
    ) -> Result<u64, RunError> {
        let mut size = Size::whole(&verify.cut, whole.units);
        let (mut next, mut repaired) = (Some(from), 0);
        while let Some(at) = next {
            let (part, rows) = self.persist(patience, |me| {
                let began = me.env.clock.now();
                let part = me.stretch(&verify.cut, &at, &whole.to, size.units())?;
                let rows = me.repair_once(patience, verify, sql, &part.bounds(&at));
                size.heed(&rows, me.env.clock.now().saturating_sub(began));
                Ok((part, rows?))
            })?;
            (next, repaired) = (part.next, repaired + rows);
        }
        Ok(repaired)
    }

    fn repair_once(
        &mut self,
        patience: &Patience<'_>,
        verify: &Verify,
        sql: &Sql,
        bounds: &[Value],
    ) -> Result<u64, RunError> {
        self.own(patience.tries.each, |me| {
            me.execute_all(&verify.before_repair, WINDOW)?;
            me.execute(sql, bounds, WINDOW)
        })
    }
}

fn verifications(steps: &[Step]) -> impl Iterator<Item = (&Step, &Verify)> {
    steps.iter().filter_map(|step| match &step.action {
        Action::Verify(verify) => Some((step, verify)),
        _ => None,
    })
}

/// Returns the repair from the shape that is the authority in `state`.
fn repair_by(verify: &Verify, state: State) -> Option<&Sql> {
    if state >= State::Flipped { verify.repair_from_new.as_ref() } else { Some(&verify.repair_from_old) }
}

impl Counted {
    fn wrong(&self) -> u64 {
        self.unrelated.saturating_add(self.absent)
    }
}

impl TableReport {
    fn add(&mut self, counted: &Counted) {
        self.rows += counted.rows;
        self.unrelated += counted.unrelated;
        self.absent += counted.absent;
        self.chunks += 1;
        self.differing += u64::from(counted.wrong() > 0 || counted.sides.is_some_and(|sides| sides.old != sides.new));
        if let Some(sides) = counted.sides {
            let sum = self.sides.get_or_insert_default();
            sum.old.add(sides.old);
            sum.new.add(sides.new);
        }
        let room = SAMPLES_MAX.saturating_sub(self.samples.len());
        self.samples.extend(counted.samples.iter().take(room).cloned());
    }
}

fn empty_report(step: &Step, verify: &Verify) -> TableReport {
    TableReport {
        step: step.id,
        table: verify.cut.table.clone(),
        rows: 0,
        unrelated: 0,
        absent: 0,
        repaired: 0,
        samples: Vec::new(),
        chunks: 0,
        differing: 0,
        sides: None,
        took: Duration::ZERO,
    }
}

fn counted(rows: &[Row]) -> Result<Counted, RunError> {
    let number = |at: usize| {
        let value = rows.first().and_then(|row| row.get(at)).and_then(Value::as_i64);
        value.and_then(|number| u64::try_from(number).ok())
    };
    match (number(0), number(1), number(2)) {
        // A sum over no rows is NULL.
        (Some(0), None, None) => Ok(Counted::default()),
        (Some(rows), Some(unrelated), Some(absent)) => Ok(Counted { rows, unrelated, absent, ..Counted::default() }),
        // A count that is not understood must not pass for zero.
        _ => Err(Fail::new(FailKind::Usage, "the plan's count of wrong rows does not give three numbers").into()),
    }
}

/// Reads rows and checksum of both sides.
fn sides(rows: &[Row]) -> Result<Sides, RunError> {
    let at = |at: usize| rows.first().and_then(|row| row.get(at));
    let side = |rows: Option<&Value>, checksum: Option<&Value>| {
        let rows = rows.and_then(Value::as_i64).and_then(|rows| u64::try_from(rows).ok())?;
        let checksum = match checksum? {
            Value::Text(text) => Checksum::of(text),
            Value::Int(number) => Checksum::of(&number.to_string()),
            // A sum over no rows is NULL; over rows it must not pass for one.
            Value::Null if rows == 0 => Checksum::default(),
            Value::Null | Value::Real(_) | Value::Bytes(_) => return None,
        };
        Some(Side { rows, checksum })
    };
    match (side(at(0), at(1)), side(at(2), at(3))) {
        (Some(old), Some(new)) => Ok(Sides { old, new }),
        _ => Err(Fail::new(FailKind::Usage, "the plan's comparison does not give two counts and two checksums").into()),
    }
}

fn samples(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .filter_map(|row| match row.first() {
            Some(Value::Text(text)) => Some(text.clone()),
            Some(Value::Int(number)) => Some(number.to_string()),
            Some(Value::Null | Value::Real(_) | Value::Bytes(_)) | None => None,
        })
        .take(SAMPLES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: [Value; 4]) -> Vec<Row> {
        vec![values.to_vec()]
    }

    #[test]
    fn both_sides_are_read_and_what_is_not_understood_does_not_pass_for_equal() {
        let text = |text: &str| Value::from(text);
        let same = sides(&row([Value::Int(3), text("77"), text("3"), Value::Int(77)])).unwrap();
        assert_eq!((same.old, same.old.rows), (same.new, 3));
        let differ = sides(&row([Value::Int(3), text("md5 a"), Value::Int(3), text("md5 b")])).unwrap();
        assert_ne!(differ.old, differ.new);
        let empty = sides(&row([Value::Int(0), Value::Null, Value::Int(0), text("0")])).unwrap();
        assert_eq!(empty.old, empty.new);
        for bad in [
            row([Value::Int(3), Value::Null, Value::Int(3), Value::Null]),
            row([Value::Int(-1), text("1"), Value::Int(-1), text("1")]),
            row([Value::Null, text("1"), Value::Null, text("1")]),
            row([Value::Int(1), Value::Real(1.0), Value::Int(1), Value::Real(1.0)]),
            Vec::new(),
        ] {
            assert!(sides(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn checksums_of_parts_add_up_in_any_order() {
        let part = |rows, text| Side { rows, checksum: Checksum::of(text) };
        let parts = [part(1, "-5"), part(2, "340282366920938463463374607431768211455"), part(3, "md5")];
        let (mut there, mut back) = (Side::default(), Side::default());
        parts.iter().for_each(|part| there.add(*part));
        parts.iter().rev().for_each(|part| back.add(*part));
        assert_eq!((there, there.rows), (back, 6));
        assert_eq!(part(0, "255").checksum.to_string(), "000000000000000000000000000000ff");
    }

    #[test]
    fn a_count_that_is_not_understood_does_not_pass_for_zero() {
        assert_eq!(counted(&[vec![Value::Int(0), Value::Null, Value::Null]]).unwrap().wrong(), 0);
        let wrong = counted(&[vec![Value::from("9"), Value::from("1"), Value::from("2")]]).unwrap();
        assert_eq!((wrong.rows, wrong.wrong()), (9, 3));
        for bad in [vec![], vec![vec![Value::Int(9), Value::Null, Value::Int(0)]], vec![vec![Value::Int(-9); 3]]] {
            assert!(counted(&bad).is_err(), "{bad:?}");
        }
    }
}
