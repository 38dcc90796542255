//! A [`Plan`] as JSON, format 1: what a person reviews, a file keeps and a run carries out.
//!
//! Fields are added, never changed in meaning; unknown ones are passed over. Every statement stands in one place only, so
//! that what is read is what is hashed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::company::About;
use crate::engine::Engine;
use crate::ident::{Ident, MigrationId, TableName};
use crate::lock::{Blocks, LockMode, LockTries, RelationLock};
use crate::plan::{Evidence, FORMAT, Plan, Strategy};
use crate::sql::Sql;
use crate::step::{
    Action, Asks, Backfill, Condition, Cut, CutBy, Failures, Gate, Kept, Pace, Phase, Snapshot, Step, Transaction,
    Undo, UndoStep, Verify, Windows,
};
use crate::verdict::Verdict;

/// Why a text is no plan.
#[derive(Debug, thiserror::Error)]
pub enum BadPlan {
    /// It is not JSON, or a field is missing or wrong.
    #[error("this is not a plan in format {FORMAT}")]
    Json(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("the plan has format {found}, and this version reads format {FORMAT}")]
    Format {
        /// The number in the file.
        found: u64,
    },
    /// A step's parts do not go together.
    #[error("step {step} of the plan is of kind `{kind}`, and lacks or holds what that kind does not allow: {what}")]
    Step {
        /// The step's number.
        step: u32,
        /// Its kind.
        kind: String,
        /// What is wrong.
        what: &'static str,
    },
}

/// Returns the plan as indented JSON with a line feed at the end.
pub fn to_json(plan: &Plan) -> String {
    let mut json = serde_json::to_string_pretty(&PlanFile::of(plan)).expect("a plan holds only what JSON can hold");
    json.push('\n');
    json
}

/// Returns the steps as JSON in one line, fields in a fixed order: what the plan's hash is taken over.
pub fn steps_to_json(steps: &[Step]) -> String {
    let steps: Vec<StepFile> = steps.iter().map(StepFile::of).collect();
    serde_json::to_string(&steps).expect("a step holds only what JSON can hold")
}

/// Returns the plan that [`to_json`] wrote. Its hash is not checked here.
///
/// # Errors
/// [`BadPlan`] when it is no JSON, of another format, or incomplete.
pub fn from_json(json: &str) -> Result<Plan, BadPlan> {
    let head: Head = serde_json::from_str(json)?;
    if head.format != u64::from(FORMAT) {
        return Err(BadPlan::Format { found: head.format });
    }
    serde_json::from_str::<PlanFile>(json)?.plan()
}

#[derive(Deserialize)]
struct Head {
    format: u64,
}

#[derive(Serialize, Deserialize)]
struct PlanFile {
    format: u32,
    engine: Engine,
    server_major: String,
    migration: MigrationId,
    checksum: String,
    hash: String,
    strategy: Strategy,
    reason: String,
    verdicts: Vec<Verdict>,
    steps: Vec<StepFile>,
    rollback_points: Vec<RollbackPoint>,
    flip: String,
    notes: Vec<String>,
    tables: Vec<Spelled>,
    #[serde(default)]
    about: Vec<About>,
    shape: String,
    settings: BTreeMap<String, String>,
    evidence: Evidence,
}

impl PlanFile {
    fn of(plan: &Plan) -> Self {
        Self {
            format: FORMAT,
            engine: plan.engine,
            server_major: plan.server_major.clone(),
            migration: plan.migration.clone(),
            checksum: plan.checksum.clone(),
            hash: plan.hash.clone(),
            strategy: plan.strategy,
            reason: plan.reason.clone(),
            verdicts: plan.verdicts.clone(),
            steps: plan.steps.iter().map(StepFile::of).collect(),
            rollback_points: plan.rollback_points.iter().copied().map(RollbackPoint).collect(),
            flip: plan.flip.clone(),
            notes: plan.notes.clone(),
            tables: plan.tables.iter().cloned().map(Spelled).collect(),
            about: plan.about.clone(),
            shape: plan.shape.clone(),
            settings: plan.settings.clone(),
            evidence: plan.evidence.clone(),
        }
    }

    fn plan(self) -> Result<Plan, BadPlan> {
        Ok(Plan {
            engine: self.engine,
            server_major: self.server_major,
            migration: self.migration,
            checksum: self.checksum,
            hash: self.hash,
            strategy: self.strategy,
            reason: self.reason,
            verdicts: self.verdicts,
            steps: self.steps.into_iter().map(StepFile::step).collect::<Result<_, _>>()?,
            rollback_points: self.rollback_points.into_iter().map(|point| point.0).collect(),
            flip: self.flip,
            notes: self.notes,
            tables: self.tables.into_iter().map(|table| table.0).collect(),
            about: self.about,
            shape: self.shape,
            settings: self.settings,
            evidence: self.evidence,
        })
    }
}

/// A phase after which rollback is possible; the end of verify is called `ready`.
struct RollbackPoint(Phase);

impl Serialize for RollbackPoint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 == Phase::Verify { to.serialize_str("ready") } else { self.0.serialize(to) }
    }
}

impl<'de> Deserialize<'de> for RollbackPoint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        let known = Phase::ALL.into_iter().find(|phase| word_of(*phase) == word);
        known.map(Self).ok_or_else(|| serde::de::Error::custom(format!("`{word}` is no rollback point")))
    }
}

fn word_of(phase: Phase) -> String {
    if phase == Phase::Verify { "ready".to_owned() } else { phase.to_string() }
}

/// A table as `schema.name`; a part that holds a dot or a quote stands in double quotes, so that it reads back as it was.
struct Spelled(TableName);

impl Serialize for Spelled {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{}.{}", spelled(&self.0.schema), spelled(&self.0.name)))
    }
}

impl<'de> Deserialize<'de> for Spelled {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        read_table(&text).map(Self).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no `schema.name`")))
    }
}

fn spelled(name: &Ident) -> String {
    let name = name.as_str();
    if name.contains(['.', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

fn read_table(text: &str) -> Option<TableName> {
    let (schema, rest) = read_name(text)?;
    let (name, rest) = read_name(rest.strip_prefix('.')?)?;
    rest.is_empty().then_some(TableName { schema, name })
}

fn read_name(text: &str) -> Option<(Ident, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        return Some((Ident::new(&text[..end]).ok()?, &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let quote = rest.find('"')?;
        name.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        let Some(doubled) = rest.strip_prefix('"') else { return Some((Ident::new(name).ok()?, rest)) };
        name.push('"');
        rest = doubled;
    }
}

#[derive(Serialize, Deserialize)]
struct StepFile {
    id: u32,
    phase: Phase,
    kind: Kind,
    title: String,
    sql: Vec<Sql>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settle: Option<Sql>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backfill: Option<BackfillFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verify: Option<VerifyFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gate: Option<GateFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotFile>,
    locks: Vec<LockFile>,
    blocks: Blocks,
    rewrites: bool,
    scans: bool,
    transaction: Transaction,
    lock_try_ms: Option<u64>,
    lock_budget_ms: Option<u64>,
    provisional: bool,
    undo_class: UndoClass,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loses: Option<String>,
    undo: Vec<UndoFile>,
    on_interrupted: Vec<Sql>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Sql,
    Backfill,
    Verify,
    Gate,
    Snapshot,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Backfill => "backfill",
            Self::Verify => "verify",
            Self::Gate => "gate",
            Self::Snapshot => "snapshot",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UndoClass {
    Lossless,
    Lossy,
    Nothing,
    Impossible,
}

#[derive(Serialize, Deserialize)]
struct LockFile {
    relation: Spelled,
    mode: LockMode,
}

impl LockFile {
    fn all(locks: &[RelationLock]) -> Vec<Self> {
        locks.iter().map(|lock| Self { relation: Spelled(lock.relation.clone()), mode: lock.mode }).collect()
    }

    fn locks(all: Vec<Self>) -> Vec<RelationLock> {
        all.into_iter().map(|lock| RelationLock { relation: lock.relation.0, mode: lock.mode }).collect()
    }
}

#[derive(Serialize, Deserialize)]
struct CutFile {
    table: Spelled,
    unit: String,
    extent: Sql,
    end: Option<Sql>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<KeysFile>,
    size: u32,
    target_ms: u32,
    rest_percent: u32,
}

/// What a cut by keys needs beside its extent and its end.
#[derive(Serialize, Deserialize)]
struct KeysFile {
    columns: u32,
    total: Sql,
}

impl CutFile {
    fn of(cut: &Cut) -> Self {
        let (extent, end, keys) = match &cut.by {
            CutBy::Numbers { extent, end } => (extent, end.clone(), None),
            CutBy::Keys { columns, extent, end, total } => {
                (extent, Some(end.clone()), Some(KeysFile { columns: *columns, total: total.clone() }))
            }
        };
        Self {
            table: Spelled(cut.table.clone()),
            unit: cut.unit.clone(),
            extent: extent.clone(),
            end,
            keys,
            size: cut.size,
            target_ms: cut.target_ms,
            rest_percent: cut.rest_percent,
        }
    }

    fn cut(self) -> Result<Cut, &'static str> {
        let Self { table, unit, extent, end, keys, size, target_ms, rest_percent } = self;
        let by = match (keys, end) {
            (None, end) => CutBy::Numbers { extent, end },
            (Some(KeysFile { columns, total }), Some(end)) => CutBy::Keys { columns, extent, end, total },
            (Some(_), None) => return Err("a cut by keys without `end`"),
        };
        Ok(Cut { table: table.0, unit, by, size, target_ms, rest_percent })
    }
}

/// What a backfill needs beside its statement, which stands in the step's `sql`.
#[derive(Serialize, Deserialize)]
struct BackfillFile {
    cut: CutFile,
    before: Vec<Sql>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fill_unlocked: Option<Sql>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failures: Option<Failures>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pace: Option<Pace>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lazy: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    once: bool,
}

/// What a verification needs beside its count, which stands in the step's `sql`.
#[derive(Serialize, Deserialize)]
struct VerifyFile {
    cut: CutFile,
    conditions: Vec<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compare: Option<Sql>,
    sample: Sql,
    before_repair: Vec<Sql>,
    repair_from_old: Sql,
    repair_from_new: Option<Sql>,
}

#[derive(Serialize, Deserialize)]
struct GateFile {
    conditions: Vec<Condition>,
    asks: Option<Asks>,
}

/// What a snapshot needs beside the statements that create it, which stand in the step's `sql`.
#[derive(Serialize, Deserialize)]
struct SnapshotFile {
    keeps: Spelled,
    copy: Option<CopyFile>,
}

#[derive(Serialize, Deserialize)]
struct CopyFile {
    cut: CutFile,
    sql: Sql,
}

impl CopyFile {
    fn of(cut: &Cut, sql: &Sql) -> Self {
        Self { cut: CutFile::of(cut), sql: sql.clone() }
    }
}

#[derive(Serialize, Deserialize)]
struct UndoFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    needed: Option<Sql>,
    sql: Vec<Sql>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    windows: Option<CopyFile>,
    conditions: Vec<Condition>,
    locks: Vec<LockFile>,
    transaction: Transaction,
    lock_try_ms: Option<u64>,
    lock_budget_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keeps: Option<Kept>,
}

impl UndoFile {
    fn of(step: &UndoStep) -> Self {
        Self {
            needed: step.needed.clone(),
            sql: step.sql.clone(),
            windows: step.windows.as_ref().map(|Windows { cut, sql }| CopyFile::of(cut, sql)),
            conditions: step.conditions.clone(),
            locks: LockFile::all(&step.locks),
            transaction: step.transaction,
            lock_try_ms: step.tries.map(|tries| ms(tries.each)),
            lock_budget_ms: step.tries.map(|tries| ms(tries.budget)),
            keeps: step.keeps.clone(),
        }
    }

    fn undo_step(self) -> Result<UndoStep, &'static str> {
        let windows = |CopyFile { cut, sql }| Ok(Windows { cut: cut.cut()?, sql });
        Ok(UndoStep {
            needed: self.needed,
            sql: self.sql,
            windows: self.windows.map(windows).transpose()?,
            conditions: self.conditions,
            locks: LockFile::locks(self.locks),
            transaction: self.transaction,
            tries: tries(self.lock_try_ms, self.lock_budget_ms),
            keeps: self.keeps,
        })
    }
}

impl StepFile {
    fn of(step: &Step) -> Self {
        let bare = Self {
            id: step.id,
            phase: step.phase,
            kind: Kind::Sql,
            title: step.title.clone(),
            sql: vec![],
            settle: None,
            backfill: None,
            verify: None,
            gate: None,
            snapshot: None,
            locks: LockFile::all(&step.locks),
            blocks: step.blocks,
            rewrites: step.rewrites,
            scans: step.scans,
            transaction: step.transaction,
            lock_try_ms: step.tries.map(|tries| ms(tries.each)),
            lock_budget_ms: step.tries.map(|tries| ms(tries.budget)),
            provisional: step.provisional,
            undo_class: UndoClass::Nothing,
            loses: None,
            undo: step.undo.steps().iter().map(UndoFile::of).collect(),
            on_interrupted: step.on_interrupted.clone(),
        };
        bare.with_action(&step.action).with_undo_class(&step.undo)
    }

    fn with_action(self, action: &Action) -> Self {
        match action {
            Action::Sql(sql) => Self { sql: sql.clone(), ..self },
            Action::Settled { sql, settle } => Self { sql: vec![sql.clone()], settle: Some(settle.clone()), ..self },
            Action::Backfill(backfill) => Self {
                kind: Kind::Backfill,
                sql: vec![backfill.fill.clone()],
                backfill: Some(BackfillFile {
                    cut: CutFile::of(&backfill.cut),
                    before: backfill.before.clone(),
                    fill_unlocked: backfill.fill_unlocked.clone(),
                    failures: backfill.failures.clone(),
                    pace: backfill.pace.clone(),
                    lazy: backfill.lazy,
                    once: backfill.once,
                }),
                ..self
            },
            Action::Verify(verify) => Self {
                kind: Kind::Verify,
                sql: vec![verify.count.clone()],
                verify: Some(VerifyFile {
                    cut: CutFile::of(&verify.cut),
                    conditions: verify.conditions.clone(),
                    compare: verify.compare.clone(),
                    sample: verify.sample.clone(),
                    before_repair: verify.before_repair.clone(),
                    repair_from_old: verify.repair_from_old.clone(),
                    repair_from_new: verify.repair_from_new.clone(),
                }),
                ..self
            },
            Action::Gate(Gate { conditions, asks }) => {
                Self { kind: Kind::Gate, gate: Some(GateFile { conditions: conditions.clone(), asks: *asks }), ..self }
            }
            Action::Snapshot(Snapshot { keeps, create, copy }) => Self {
                kind: Kind::Snapshot,
                sql: create.clone(),
                snapshot: Some(SnapshotFile {
                    keeps: Spelled(keeps.clone()),
                    copy: copy.as_ref().map(|(cut, sql)| CopyFile::of(cut, sql)),
                }),
                ..self
            },
        }
    }

    fn with_undo_class(self, undo: &Undo) -> Self {
        match undo {
            Undo::Lossless(_) => Self { undo_class: UndoClass::Lossless, ..self },
            Undo::Lossy { loses, .. } => Self { undo_class: UndoClass::Lossy, loses: Some(loses.clone()), ..self },
            Undo::Nothing => Self { undo_class: UndoClass::Nothing, ..self },
            Undo::Impossible => Self { undo_class: UndoClass::Impossible, ..self },
        }
    }

    fn step(mut self) -> Result<Step, BadPlan> {
        let action = self.take_action()?;
        let undo = self.take_undo()?;
        Ok(Step {
            id: self.id,
            phase: self.phase,
            title: self.title,
            action,
            locks: LockFile::locks(self.locks),
            blocks: self.blocks,
            rewrites: self.rewrites,
            scans: self.scans,
            transaction: self.transaction,
            tries: tries(self.lock_try_ms, self.lock_budget_ms),
            provisional: self.provisional,
            undo,
            on_interrupted: self.on_interrupted,
        })
    }

    fn take_action(&mut self) -> Result<Action, BadPlan> {
        let action = match self.kind {
            Kind::Sql => match self.settle.take() {
                Some(settle) => Action::Settled { sql: self.take_one_sql()?, settle },
                None => Action::Sql(std::mem::take(&mut self.sql)),
            },
            Kind::Backfill => {
                let more = self.backfill.take().ok_or_else(|| self.bad("`backfill` is missing"))?;
                let fill = self.take_one_sql()?;
                let BackfillFile { cut, before, fill_unlocked, failures, pace, lazy, once } = more;
                let cut = cut.cut().map_err(|what| self.bad(what))?;
                Action::Backfill(Backfill { cut, before, fill, fill_unlocked, failures, pace, lazy, once })
            }
            Kind::Verify => {
                let more = self.verify.take().ok_or_else(|| self.bad("`verify` is missing"))?;
                Action::Verify(more.verify(self.take_one_sql()?).map_err(|what| self.bad(what))?)
            }
            Kind::Gate => {
                let GateFile { conditions, asks } = self.gate.take().ok_or_else(|| self.bad("`gate` is missing"))?;
                Action::Gate(Gate { conditions, asks })
            }
            Kind::Snapshot => {
                let more = self.snapshot.take().ok_or_else(|| self.bad("`snapshot` is missing"))?;
                let create = std::mem::take(&mut self.sql);
                let copy = more.copy.map(|copy| Ok((copy.cut.cut()?, copy.sql))).transpose();
                let copy = copy.map_err(|what| self.bad(what))?;
                Action::Snapshot(Snapshot { keeps: more.keeps.0, create, copy })
            }
        };
        self.nothing_left()?;
        Ok(action)
    }

    /// What a kind does not use is refused, so that nothing stands in a reviewed plan that does not run.
    fn nothing_left(&self) -> Result<(), BadPlan> {
        let left = self.settle.is_some()
            || self.backfill.is_some()
            || self.verify.is_some()
            || self.gate.is_some()
            || self.snapshot.is_some()
            || !self.sql.is_empty();
        if left { Err(self.bad("it holds parts of another kind")) } else { Ok(()) }
    }

    fn take_one_sql(&mut self) -> Result<Sql, BadPlan> {
        if self.sql.len() == 1 { Ok(self.sql.remove(0)) } else { Err(self.bad("`sql` must hold one statement")) }
    }

    fn take_undo(&mut self) -> Result<Undo, BadPlan> {
        let steps = std::mem::take(&mut self.undo).into_iter().map(UndoFile::undo_step);
        let steps: Vec<UndoStep> = steps.collect::<Result<_, _>>().map_err(|what| self.bad(what))?;
        match (self.undo_class, self.loses.take(), steps.is_empty()) {
            (UndoClass::Lossless, None, _) => Ok(Undo::Lossless(steps)),
            (UndoClass::Lossy, Some(loses), _) => Ok(Undo::Lossy { steps, loses }),
            (UndoClass::Nothing, None, true) => Ok(Undo::Nothing),
            (UndoClass::Impossible, None, true) => Ok(Undo::Impossible),
            _ => Err(self.bad("`undo`, `undo_class` and `loses` do not go together")),
        }
    }

    fn bad(&self, what: &'static str) -> BadPlan {
        BadPlan::Step { step: self.id, kind: self.kind.word().to_owned(), what }
    }
}

impl VerifyFile {
    fn verify(self, count: Sql) -> Result<Verify, &'static str> {
        Ok(Verify {
            cut: self.cut.cut()?,
            conditions: self.conditions,
            compare: self.compare,
            count,
            sample: self.sample,
            before_repair: self.before_repair,
            repair_from_old: self.repair_from_old,
            repair_from_new: self.repair_from_new,
        })
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn tries(each_ms: Option<u64>, budget_ms: Option<u64>) -> Option<LockTries> {
    Some(LockTries { each: Duration::from_millis(each_ms?), budget: Duration::from_millis(budget_ms?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Mode, Moving};
    use crate::verdict::{Finding, Label, Severity};

    fn table() -> TableName {
        TableName { schema: Ident::known("we\"ird.\u{1b}"), name: Ident::known("users 😀 $1 {x} \\") }
    }

    fn cut() -> Cut {
        Cut {
            table: table(),
            unit: "pages".into(),
            by: CutBy::Numbers { extent: Sql::fixed("SELECT 0, 9"), end: Some(Sql::fixed("SELECT $1 + $2")) },
            size: 16,
            target_ms: 50,
            rest_percent: 10,
        }
    }

    fn condition() -> Condition {
        Condition { sql: Sql::fixed("SELECT 1 WHERE false"), says: "it holds".into(), hint: "make it hold".into() }
    }

    fn undo_step() -> UndoStep {
        UndoStep {
            needed: None,
            sql: vec![Sql::fixed("DROP TABLE IF EXISTS x")],
            windows: None,
            conditions: vec![condition()],
            locks: vec![RelationLock { relation: table(), mode: LockMode::Write }],
            transaction: Transaction::None,
            tries: Some(LockTries::default()),
            keeps: Some(Kept { table: table(), count: Sql::fixed("SELECT 1"), drop_empty: Sql::fixed("DROP TABLE x") }),
        }
    }

    fn verify(repair_from_new: Option<Sql>) -> Action {
        Action::Verify(Verify {
            cut: cut(),
            conditions: vec![condition()],
            compare: repair_from_new.as_ref().map(|_| Sql::fixed("SELECT 1, 'a', 1, 'a'")),
            count: Sql::fixed("SELECT 1, 0, 0"),
            sample: Sql::fixed("SELECT id"),
            before_repair: vec![Sql::fixed("SET LOCAL x = 1")],
            repair_from_old: Sql::fixed("UPDATE a"),
            repair_from_new,
        })
    }

    fn actions() -> Vec<Action> {
        let keys = CutBy::Keys {
            columns: 2,
            extent: Sql::fixed("SELECT 1, 2, 3, 4"),
            end: Sql::fixed("SELECT $1, $2, $3, $4 LIMIT $5"),
            total: Sql::fixed("SELECT 100"),
        };
        let numbers = CutBy::Numbers { extent: Sql::fixed("SELECT 0, 9"), end: None };
        let plain = Backfill {
            cut: Cut { by: numbers, ..cut() },
            before: vec![Sql::fixed("SET LOCAL segue.backfill = 'on'")],
            fill: Sql::fixed("UPDATE t SET n = o"),
            fill_unlocked: None,
            failures: None,
            pace: None,
            lazy: false,
            once: false,
        };
        let full = Backfill {
            cut: Cut { by: keys, ..cut() },
            fill_unlocked: Some(Sql::fixed("UPDATE t SET n = o -- unlocked")),
            failures: Some(Failures { count: Sql::fixed("SELECT 0"), list: Sql::fixed("SELECT 'k', 'c', 'why'") }),
            pace: Some(Pace {
                vacuum: Sql::fixed("VACUUM t"),
                size: Sql::fixed("SELECT 8192"),
                holders: Sql::fixed("SELECT 'pid 1'"),
                percent: 20,
                growth_percent: 25,
            }),
            lazy: true,
            once: true,
            ..plain.clone()
        };
        let snapshot = |copy| Snapshot { keeps: table(), create: vec![Sql::fixed("CREATE TABLE s AS SELECT 1")], copy };
        vec![
            Action::Sql(vec![]),
            Action::Sql(vec![Sql::fixed("SELECT 1"), Sql::fixed("SELECT 2")]),
            Action::Settled { sql: Sql::fixed("CREATE INDEX CONCURRENTLY i"), settle: Sql::fixed("SELECT 'done'") },
            Action::Backfill(plain),
            Action::Backfill(full),
            verify(None),
            verify(Some(Sql::fixed("UPDATE b"))),
            Action::Gate(Gate { conditions: vec![condition()], asks: None }),
            Action::Gate(Gate { conditions: vec![], asks: Some(Asks::OldVersionStopped) }),
            Action::Gate(Gate { conditions: vec![], asks: Some(Asks::NewVersionStopped) }),
            Action::Snapshot(snapshot(None)),
            Action::Snapshot(snapshot(Some((cut(), Sql::fixed("INSERT INTO s"))))),
        ]
    }

    fn undos() -> Vec<Undo> {
        let needed = Some(Sql::fixed("SELECT 1"));
        let windows = Some(Windows { cut: cut(), sql: Sql::fixed("DELETE FROM x") });
        vec![
            Undo::Lossless(vec![UndoStep { needed, windows, ..undo_step() }]),
            Undo::Lossless(vec![undo_step(), UndoStep { tries: None, ..undo_step() }]),
            Undo::Lossless(vec![]),
            Undo::Lossy { steps: vec![undo_step()], loses: "what new code wrote".into() },
            Undo::Nothing,
            Undo::Impossible,
        ]
    }

    fn step(id: u32, action: Action, undo: Undo) -> Step {
        Step {
            id,
            phase: Phase::ALL[id as usize % 7],
            title: format!("step {id}"),
            action,
            locks: vec![RelationLock { relation: table(), mode: LockMode::ShareUpdateExclusive }],
            blocks: Blocks::Ddl,
            rewrites: id.is_multiple_of(2),
            scans: id.is_multiple_of(3),
            transaction: if id.is_multiple_of(2) { Transaction::Own } else { Transaction::None },
            tries: (id.is_multiple_of(2)).then(LockTries::default),
            provisional: id.is_multiple_of(5),
            undo,
            on_interrupted: vec![Sql::fixed("DROP INDEX IF EXISTS i")],
        }
    }

    fn plan() -> Plan {
        let pairs = actions().into_iter().zip(undos().into_iter().cycle());
        let steps = (1u32..).zip(pairs).map(|(id, (action, undo))| step(id, action, undo)).collect();
        Plan {
            engine: Engine::Postgres,
            server_major: "15".into(),
            migration: MigrationId::new("20261120093000_full_name").expect("an id"),
            checksum: "sha256:aa".into(),
            hash: "sha256:bb".into(),
            strategy: Strategy::ExpandContract,
            reason: "Because.".into(),
            verdicts: vec![Verdict {
                statement: 1,
                change: "set_not_null".into(),
                table: "public.users".into(),
                label: Label::Contract,
                fact: "test".into(),
                others: vec![],
                lock: LockMode::AccessExclusive,
                blocks: Blocks::Everything,
                rewrites: false,
                scans: true,
                compatible: false,
                reversible: "lossless".into(),
                findings: vec![Finding {
                    rule: "not-null-scan".into(),
                    severity: Severity::Error,
                    line: 3,
                    message: "m".into(),
                    help: "h".into(),
                }],
            }],
            steps,
            rollback_points: vec![Phase::Expand, Phase::Verify, Phase::Flip, Phase::Contract],
            flip: "nothing in the database".into(),
            notes: vec!["a note".into()],
            tables: vec![table()],
            about: vec![About { table: table(), columns: Some(vec![Ident::known("a")]), joins: false }],
            shape: "users(id)".into(),
            settings: BTreeMap::from([("TimeZone".into(), "UTC".into())]),
            evidence: Evidence {
                server_version: "15.20".into(),
                rows: BTreeMap::from([("public.users".into(), 1_000_000)]),
                bytes: BTreeMap::from([("public.users".into(), 140_550_144)]),
                moving: BTreeMap::from([(
                    "public.users".into(),
                    Moving { mode: Mode::Batched, because: "1,000,000 rows".into() },
                )]),
            },
        }
    }

    #[test]
    fn every_action_and_undo_reads_back_as_it_was() {
        let plan = plan();
        assert_eq!(from_json(&to_json(&plan)).expect("a plan"), plan);
    }

    #[test]
    fn the_documented_names_are_written() {
        let json: serde_json::Value = serde_json::from_str(&to_json(&plan())).expect("JSON");
        assert_eq!(json["format"], 1);
        assert_eq!(json["engine"], "postgres");
        assert_eq!(json["strategy"], "expand-contract");
        assert_eq!(json["rollback_points"], serde_json::json!(["expand", "ready", "flip", "contract"]));
        assert_eq!(json["verdicts"][0]["lock"], "AccessExclusiveLock");
        let step = &json["steps"][1];
        assert_eq!(step["kind"], "sql");
        assert_eq!(step["undo_class"], "lossless");
        assert_eq!(step["lock_try_ms"], 50);
        assert_eq!(step["lock_budget_ms"], 300_000);
        assert_eq!(step["locks"][0]["relation"], "\"we\"\"ird.\u{1b}\".users 😀 $1 {x} \\");
        assert_eq!(json["steps"][0]["lock_try_ms"], serde_json::Value::Null);
        assert_eq!(json["steps"][3]["sql"][0], "UPDATE t SET n = o");
    }

    #[test]
    fn another_format_is_named() {
        let json = to_json(&plan()).replacen("\"format\": 1", "\"format\": 7", 1);
        let error = from_json(&json).expect_err("format 7");
        assert_eq!(error.to_string(), "the plan has format 7, and this version reads format 1");
        assert!(matches!(from_json("{}"), Err(BadPlan::Json(_))));
        assert!(matches!(from_json("no"), Err(BadPlan::Json(_))));
    }

    #[test]
    fn a_step_that_holds_parts_of_another_kind_is_refused() {
        let json = to_json(&plan()).replacen("\"kind\": \"gate\"", "\"kind\": \"sql\"", 1);
        assert!(matches!(from_json(&json), Err(BadPlan::Step { .. })));
    }

    #[test]
    fn names_with_dots_and_quotes_read_back() {
        for name in ["a", "a.b", "\"", "a\"\"b.", " ", "."] {
            let table = TableName { schema: Ident::known("s"), name: Ident::new(name).expect("a name") };
            let text = format!("{}.{}", spelled(&table.schema), spelled(&table.name));
            assert_eq!(read_table(&text), Some(table), "{text}");
        }
        for bad in ["", "a", "a.", ".a", "\"a.b", "\"a\"b.c", "a.b.c"] {
            assert_eq!(read_table(bad), None, "{bad}");
        }
    }
}
