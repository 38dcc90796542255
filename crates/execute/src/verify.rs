//! Showing that every row is right, and making those right that are not.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use segue_model::ident::TableName;
use segue_model::journal::{Checkpoint, State};
use segue_model::session::{Fail, FailKind};
use segue_model::sql::Sql;
use segue_model::step::{Action, Step, Verify};
use segue_model::value::{Row, Value};

use crate::error::RunError;
use crate::guard::Patience;
use crate::observer::Progress;
use crate::outcome::{TableReport, VerifyReport};
use crate::phase::changes_tables;
use crate::running::Running;
use crate::window::{Size, WINDOW};

/// Keys of wrong rows that are shown at most.
const SAMPLES_MAX: usize = 10;

/// What a window's count gives.
#[derive(Debug, Default, Clone)]
struct Counted {
    rows: u64,
    unrelated: u64,
    absent: u64,
    samples: Vec<String>,
}

/// A window that was looked at.
struct Looked {
    to: i64,
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
        let all: Vec<(&Step, &Verify)> = steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Verify(verify) => Some((step, verify)),
                _ => None,
            })
            .collect();
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

    fn fits_now(&self, verify: &Step, table: &TableName, steps: &[Step]) -> bool {
        let touches = |step: &Step| step.locks.is_empty() || step.locks.iter().any(|lock| lock.relation == *table);
        steps.iter().filter(|step| changes_tables(step) && touches(step)).all(|step| {
            match step.phase.cmp(&verify.phase) {
                Ordering::Less => self.is_done(step.id),
                Ordering::Equal => true,
                Ordering::Greater => !self.may_be_there(step),
            }
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

    /// Counts a whole table by windows; with `repair`, windows with wrong rows are repaired.
    fn count(&mut self, step: &Step, verify: &Verify, repair: Option<&Sql>) -> Result<TableReport, RunError> {
        let tries = step.tries.unwrap_or_default();
        let patience = Patience { tries, ..Patience::journal(step) };
        let (low, end) = self.persist(&patience, |me| me.extent(&verify.cut))?;
        let mut size = Size::first(&verify.cut);
        let mut report = empty_report(step, verify);
        let mut at = low;
        while at < end {
            let looked = self.persist(&patience, |me| {
                let began = me.env.clock.now();
                let looked = me.look(verify, at, end, &size);
                size.heed(&looked, me.env.clock.now().saturating_sub(began));
                looked
            })?;
            if let Some(sql) = repair.filter(|_| looked.counted.wrong() > 0) {
                report.repaired += self.repair(&patience, verify, sql, at, looked.to)?;
            }
            report.add(&looked.counted);
            size.took(looked.took);
            at = looked.to;
            let Looked { counted, took, .. } = looked;
            let checkpoint = Checkpoint { step: step.id, pass: 1, next: at, end, rows: report.rows };
            self.tell_window(step, &verify.cut, low, &checkpoint, counted.rows, took);
            self.rest(&verify.cut, took)?;
        }
        Ok(report)
    }

    fn look(&mut self, verify: &Verify, from: i64, end: i64, size: &Size) -> Result<Looked, RunError> {
        let began = self.env.clock.now();
        let (to, counted) = self.reading(|me| {
            let to = me.window_end(&verify.cut, from, end, size)?;
            let bounds = [Value::Int(from), Value::Int(to)];
            let mut counted = counted(&me.query(&verify.count, &bounds, WINDOW)?)?;
            if counted.wrong() > 0 {
                counted.samples = samples(&me.query(&verify.sample, &bounds, WINDOW)?);
            }
            Ok((to, counted))
        })?;
        Ok(Looked { to, counted, took: self.env.clock.now().saturating_sub(began) })
    }

    /// Repairs a window: in one transaction, or in smaller ones where that takes too long.
    fn repair(
        &mut self,
        patience: &Patience<'_>,
        verify: &Verify,
        sql: &Sql,
        from: i64,
        to: i64,
    ) -> Result<u64, RunError> {
        let mut size = Size::whole(&verify.cut, from, to);
        let (mut at, mut repaired) = (from, 0);
        while at < to {
            let (end, rows) = self.persist(patience, |me| {
                let began = me.env.clock.now();
                let end = size.end(at, to);
                let rows = me.repair_once(patience, verify, sql, (at, end));
                size.heed(&rows, me.env.clock.now().saturating_sub(began));
                Ok((end, rows?))
            })?;
            (at, repaired) = (end, repaired + rows);
        }
        Ok(repaired)
    }

    fn repair_once(
        &mut self,
        patience: &Patience<'_>,
        verify: &Verify,
        sql: &Sql,
        (from, to): (i64, i64),
    ) -> Result<u64, RunError> {
        self.own(patience.tries.each, |me| {
            me.execute_all(&verify.before_repair, WINDOW)?;
            me.execute(sql, &[Value::Int(from), Value::Int(to)], WINDOW)
        })
    }
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
        let room = SAMPLES_MAX.saturating_sub(self.samples.len());
        self.samples.extend(counted.samples.iter().take(room).cloned());
    }
}

fn empty_report(step: &Step, verify: &Verify) -> TableReport {
    let table = verify.cut.table.clone();
    TableReport { step: step.id, table, rows: 0, unrelated: 0, absent: 0, repaired: 0, samples: Vec::new() }
}

fn counted(rows: &[Row]) -> Result<Counted, RunError> {
    let number = |at: usize| {
        let value = rows.first().and_then(|row| row.get(at)).and_then(Value::as_i64);
        value.and_then(|number| u64::try_from(number).ok())
    };
    match (number(0), number(1), number(2)) {
        // A sum over no rows is NULL.
        (Some(0), None, None) => Ok(Counted::default()),
        (Some(rows), Some(unrelated), Some(absent)) => Ok(Counted { rows, unrelated, absent, samples: Vec::new() }),
        // A count that is not understood must not pass for zero.
        _ => Err(Fail::new(FailKind::Usage, "the plan's count of wrong rows does not give three numbers").into()),
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
