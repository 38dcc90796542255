//! Compares the table with what the clients' records say it must hold.

use std::collections::{BTreeSet, HashMap, HashSet};

use segue_model::value::{Row, Value};

use crate::connection::Connection;
use crate::model::Image;
use crate::op::{Kind, Op, Sent, Version};
use crate::place::Fault;
use crate::report::{KEPT, Report};
use crate::scenario::{Rule, Scenario, Side};

/// What is judged.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) scenario: &'a Scenario,
    /// Rows 1 to this were seeded.
    pub(crate) seeded: u32,
    /// How often a rollback dropped the new shape.
    pub(crate) era: u16,
    /// The backfill has not finished: a new side that nobody wrote may still be absent.
    pub(crate) may_be_absent: bool,
}

/// Compares the table with the clients' records, and writes what differs into the report.
pub(crate) fn judge(
    case: Case<'_>,
    sent: Vec<Sent>,
    connection: &mut dyn Connection,
    report: &mut Report,
) -> Result<(), Fault> {
    let mut records = Records::replay(case, sent);
    report.rows_touched = records.rows.len() as u64;
    let sides: &[Version] = match case.scenario.rule {
        Rule::SameName => &[Version::Old],
        Rule::BothWays | Rule::FillOnce => &[Version::Old, Version::New],
    };
    let mut compared = 0;
    for version in sides {
        let side: &Side = version.side(case.scenario);
        if !connection.understands(side.all)? {
            continue;
        }
        compared += 1;
        let mut seen = HashSet::new();
        let mut untouched = 0;
        connection.scan(side.all, &mut |row| {
            report.rows_compared += 1;
            records.compare(case, *version, row, &mut seen, &mut untouched);
        })?;
        records.missing(case, &seen, untouched);
    }
    if compared == 0 {
        return Err(Fault::Refused(format!("`{}` has neither the old nor the new columns", case.scenario.table)));
    }
    records.findings.into_report(report);
    Ok(())
}

/// What the records say, and what was found to differ.
struct Records {
    /// Rows that were written to; `None`: gone.
    rows: HashMap<i64, Option<Image>>,
    /// Writes of which the outcome is not known, by row, in the order sent.
    unknown: HashMap<i64, Vec<Op>>,
    findings: Findings,
}

#[derive(Default)]
struct Findings {
    lost: BTreeSet<i64>,
    wrong: BTreeSet<i64>,
    lost_first: Vec<String>,
    wrong_first: Vec<String>,
}

impl Findings {
    fn lost(&mut self, id: i64, what: impl FnOnce() -> String) {
        if self.lost.insert(id) && self.lost_first.len() < KEPT {
            self.lost_first.push(what());
        }
    }

    fn wrong(&mut self, id: i64, what: impl FnOnce() -> String) {
        if self.wrong.insert(id) && self.wrong_first.len() < KEPT {
            self.wrong_first.push(what());
        }
    }

    fn into_report(self, report: &mut Report) {
        report.lost_writes += self.lost.len() as u64;
        report.wrong_rows += self.wrong.len() as u64;
        report.lost.extend(self.lost_first);
        report.wrong.extend(self.wrong_first);
    }
}

impl Records {
    fn replay(case: Case<'_>, sent: Vec<Sent>) -> Self {
        let mut known: HashMap<i64, Vec<(i64, Op)>> = HashMap::new();
        let mut unknown: HashMap<i64, Vec<Op>> = HashMap::new();
        for Sent { op, ver } in sent {
            match ver {
                Some(ver) => known.entry(op.id).or_default().push((ver, op)),
                None => unknown.entry(op.id).or_default().push(op),
            }
        }
        known.values_mut().for_each(|ops| ops.sort_by_key(|(ver, _)| *ver));
        let mut records = Self { rows: HashMap::new(), unknown, findings: Findings::default() };
        let begins = |id: &i64| begins(case, *id, &known[id], records.unknown.get(id));
        let mut beginnings: Vec<i64> = known.keys().copied().filter(begins).collect();
        beginnings.sort_unstable();
        for id in beginnings {
            records.follow(case, id, &mut known);
        }
        for id in records.unknown.keys().copied().filter(|id| is_seeded(case, *id)) {
            records.rows.entry(id).or_insert_with(|| Some(Image::seeded(case.scenario, id)));
        }
        for (id, ops) in known {
            records.findings.lost(id, || format!("row {id}: version {} of a row that was never made", ops[0].0));
        }
        records
    }

    /// Replays a row through every key it had.
    fn follow(&mut self, case: Case<'_>, first: i64, known: &mut HashMap<i64, Vec<(i64, Op)>>) {
        let mut id = first;
        let mut row = is_seeded(case, id).then(|| Image::seeded(case.scenario, id));
        if row.is_none() && known[&id][0].0 > 1 {
            row = self.born_unknown(case, id);
        }
        while let Some(ops) = known.remove(&id) {
            let mut next = None;
            for (ver, op) in ops {
                let ended = next.is_some() || (row.is_none() && ver != 1);
                if ended {
                    self.findings.lost(id, || format!("row {id}: version {ver} was written after it was gone"));
                    continue;
                }
                match &mut row {
                    None => row = Some(Image::inserted(case.scenario, &op)),
                    Some(image) => self.take(case, id, image, ver, &op),
                }
                match op.kind {
                    Kind::Move { to } => next = Some(to),
                    Kind::Delete => row = None,
                    _ => {}
                }
            }
            let Some(to) = next else { break };
            self.rows.insert(id, None);
            id = to;
        }
        if let Some(image) = &mut row {
            image.enter(case.scenario, case.era);
        }
        self.rows.insert(id, row);
    }

    fn take(&mut self, case: Case<'_>, id: i64, image: &mut Image, ver: i64, op: &Op) {
        self.take_unknown(case, id, image, ver - 1);
        if ver != image.ver + 1 {
            let after = image.ver;
            self.findings.lost(id, || format!("row {id}: version {ver} followed version {after}"));
            image.ver = ver - 1;
        }
        image.take(case.scenario, op);
    }

    /// Versions that nobody was told of are those writes whose answer was lost.
    fn take_unknown(&mut self, case: Case<'_>, id: i64, image: &mut Image, until: i64) {
        let Some(ops) = self.unknown.get_mut(&id) else { return };
        while image.ver < until && !ops.is_empty() {
            image.take(case.scenario, &ops.remove(0));
        }
    }

    /// Returns the row that an insert made of which the answer was lost.
    fn born_unknown(&mut self, case: Case<'_>, id: i64) -> Option<Image> {
        let ops = self.unknown.get_mut(&id)?;
        let at = ops.iter().position(inserts)?;
        Some(Image::inserted(case.scenario, &ops.remove(at)))
    }

    fn compare(&mut self, case: Case<'_>, version: Version, row: Row, seen: &mut HashSet<i64>, untouched: &mut u64) {
        let Some((id, ver)) = row[0].as_i64().zip(row[1].as_i64()) else {
            return self.findings.lost(0, || format!("a row without id or version: {row:?}"));
        };
        let mut image = match self.rows.get(&id) {
            Some(Some(image)) => image.clone(),
            Some(None) => {
                return self.findings.lost(id, || format!("row {id}: is there, though it was deleted or moved"));
            }
            None if is_seeded(case, id) => Image::seeded(case.scenario, id),
            None => match self.born_unknown(case, id) {
                Some(image) => image,
                None => return self.findings.lost(id, || format!("row {id}: is there, though nobody wrote it")),
            },
        };
        if self.rows.contains_key(&id) {
            seen.insert(id);
        } else {
            *untouched += 1;
        }
        self.take_unknown(case, id, &mut image, ver);
        self.differ(case, version, id, &image, &row);
        if self.unknown.contains_key(&id) {
            self.rows.insert(id, Some(image));
            if seen.insert(id) {
                *untouched -= 1;
            }
        }
    }

    fn differ(&mut self, case: Case<'_>, version: Version, id: i64, image: &Image, row: &Row) {
        let (ver, note, columns) = (&row[1], &row[2], &row[3..]);
        if *ver != Value::Int(image.ver) || *note != image.note {
            let (is, must) = ((ver, note), (image.ver, &image.note));
            self.findings.lost(id, || format!("row {id}: (ver, note) is {is:?}, must be {must:?}"));
        }
        let absent = version == Version::New && columns.iter().all(|value| *value == Value::Null);
        if absent && case.may_be_absent && image.written != Some(Version::New) {
            return;
        }
        let must = match version {
            Version::Old => std::slice::from_ref(&image.old),
            Version::New => image.new.as_slice(),
        };
        if must.iter().any(|values| values == columns) {
            return;
        }
        let what = || {
            format!("row {id}: {version:?} side is {columns:?}, must be {must:?}, written last: {:?}", image.written)
        };
        let source = case.scenario.rule == Rule::FillOnce && version == Version::Old;
        if image.written == Some(version) || source {
            self.findings.lost(id, what);
        } else {
            self.findings.wrong(id, what);
        }
    }

    fn missing(&mut self, case: Case<'_>, seen: &HashSet<i64>, untouched: u64) {
        let Self { rows, findings, unknown } = self;
        let deleted = |id: &i64| unknown.get(id).is_some_and(|ops| ops.iter().any(|op| op.kind == Kind::Delete));
        for (id, _) in rows.iter().filter(|(id, row)| row.is_some() && !seen.contains(id) && !deleted(id)) {
            findings.lost(*id, || format!("row {id}: is missing"));
        }
        let seeded = i64::from(case.seeded);
        let touched = rows.keys().filter(|id| (1..=seeded).contains(id)).count() as u64;
        let must = u64::from(case.seeded) - touched;
        if untouched != must {
            findings.lost(0, || format!("{untouched} rows that nobody wrote to are there, must be {must}"));
        }
    }
}

fn is_seeded(case: Case<'_>, id: i64) -> bool {
    (1..=i64::from(case.seeded)).contains(&id)
}

/// A row begins where it was seeded or inserted; elsewhere it came by a change of its key.
fn begins(case: Case<'_>, id: i64, known: &[(i64, Op)], unknown: Option<&Vec<Op>>) -> bool {
    is_seeded(case, id) || inserts(&known[0].1) || unknown.is_some_and(|ops| ops.iter().any(inserts))
}

fn inserts(op: &Op) -> bool {
    matches!(op.kind, Kind::Insert | Kind::InsertBare | Kind::Upsert)
}
