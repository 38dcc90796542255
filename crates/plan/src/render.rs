//! A plan for people: text that is reviewed in a minute, and the SQL in order.

use std::fmt::{self, Write};

use segue_model::lock::{Blocks, LockTries, RelationLock};
use segue_model::plan::{Mode, Plan};
use segue_model::sql::Sql;
use segue_model::step::{Action, Asks, Backfill, Condition, Gate, Phase, Snapshot, Step, Transaction, Undo, Verify};
use segue_model::verdict::{Severity, Verdict};

use crate::figures::{grouped, lock};

/// Returns the plan as text: what it does and costs on the first page, then every statement. No control character of a name or a statement gets through.
pub fn text(plan: &Plan) -> String {
    let mut page = Page::default();
    header(&mut page, plan);
    as_written(&mut page, plan);
    for phase in Phase::ALL {
        phase_text(&mut page, plan, phase);
    }
    footer(&mut page, plan);
    page.line(0, "Every statement, as it will run: segue plan --format sql");
    page.0
}

/// Returns the plan's SQL in order, with comments. It shows the plan and does not replace it: windows, tries, gates and
/// settling after an interruption are not in it.
pub fn sql(plan: &Plan) -> String {
    let mut page = Page::default();
    page.comment(&format!("Migration {} on {} {}", plan.migration, plan.engine.product(), plan.server_major));
    page.comment(&format!("Plan {}, strategy {}", plan.hash, plan.strategy.name()));
    page.comment(
        "This shows the plan and does not replace it: windows, short lock tries, gates and resuming are not in it.",
    );
    for phase in Phase::ALL {
        for step in plan.steps.iter().filter(|step| step.phase == phase) {
            step_sql(&mut page, step);
        }
    }
    page.0
}

/// Text under construction: the one place where it is made safe for a terminal.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Writes one line, whatever the text holds.
    fn line(&mut self, indent: usize, text: &str) {
        self.raw(indent, &one_line(text));
    }

    fn raw(&mut self, indent: usize, safe: &str) {
        writeln!(self.0, "{:indent$}{safe}", "").expect("a String takes all text");
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }

    fn comment(&mut self, text: &str) {
        self.raw(0, format!("-- {}", one_line(text)).trim_end());
    }
}

fn header(page: &mut Page, plan: &Plan) {
    page.line(0, &format!("Plan of {} for {} {}", plan.migration, plan.engine.product(), plan.server_major));
    page.line(0, &format!("Hash {}", short(&plan.hash)));
    page.line(0, &format!("Strategy {}. {}", plan.strategy.name(), plan.reason));
    for table in &plan.tables {
        let name = table.to_string();
        let rows =
            plan.evidence.rows.get(&name).map_or("rows unknown".to_owned(), |rows| format!("{} rows", grouped(*rows)));
        let bytes = plan.evidence.bytes.get(&name).map_or(String::new(), |bytes| format!(", {}", size(*bytes)));
        page.line(0, &format!("Table {name}: {rows}{bytes}"));
        if let Some(moving) = plan.evidence.moving.get(&name) {
            page.line(0, &format!("Moves the rows of {name} {}: {}", way(moving.mode), moving.because));
        }
    }
}

fn way(mode: Mode) -> &'static str {
    match mode {
        Mode::Inline => "by one worker, without pacing or throttle",
        Mode::Batched => "in batches, paced and throttled",
        Mode::Background => "in the background (`segue apply --detach`), paced and throttled",
        Mode::Lazy => "when somebody touches them",
    }
}

/// Returns enough of a hash to tell two plans apart by eye.
fn short(hash: &str) -> String {
    match hash.split_once(':') {
        Some((kind, hex)) => format!("{kind}:{}", hex.chars().take(12).collect::<String>()),
        None => hash.to_owned(),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} kB", bytes.div_ceil(1024)),
        1_048_576..1_073_741_824 => format!("{} MB", bytes / 1_048_576),
        _ => format!("{} GB", bytes / 1_073_741_824),
    }
}

fn as_written(page: &mut Page, plan: &Plan) {
    if plan.verdicts.is_empty() {
        return;
    }
    page.gap();
    page.line(0, "Run as written, it would do this here");
    for verdict in &plan.verdicts {
        page.line(2, &verdict_line(verdict));
        for finding in &verdict.findings {
            let severity = severity(finding.severity);
            page.line(4, &format!("{severity} {} (line {}): {}", finding.rule, finding.line, finding.message));
            page.line(6, &finding.help);
        }
    }
}

fn verdict_line(verdict: &Verdict) -> String {
    let mut line = format!("statement {}: {}", verdict.statement, verdict.change.replace('_', " "));
    if !verdict.table.is_empty() {
        line += &format!(" on {}", verdict.table);
    }
    line += &format!(": {}, {}", lock(verdict.lock), blocks(verdict.blocks));
    for (holds, words) in [
        (verdict.rewrites, ", writes every row again"),
        (verdict.scans, ", reads every row under the lock"),
        (!verdict.compatible, ", breaks running code"),
    ] {
        line += if holds { words } else { "" };
    }
    line + &format!(", undo {}", verdict.reversible)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn blocks(blocks: Blocks) -> &'static str {
    match blocks {
        Blocks::Nothing => "blocks nothing",
        Blocks::Ddl => "blocks other DDL only",
        Blocks::Writes => "blocks writes",
        Blocks::Everything => "blocks reads and writes",
    }
}

fn phase_text(page: &mut Page, plan: &Plan, phase: Phase) {
    let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.phase == phase).collect();
    if steps.is_empty() {
        return;
    }
    page.gap();
    let later = if steps.iter().all(|step| step.provisional) { " (planned and approved anew at its time)" } else { "" };
    page.line(0, &format!("{}{later}: {}", capital(phase), meaning(phase)));
    for step in steps {
        step_text(page, step);
    }
}

fn capital(phase: Phase) -> String {
    let word = phase.to_string();
    word[..1].to_uppercase() + &word[1..]
}

fn meaning(phase: Phase) -> &'static str {
    match phase {
        Phase::Expand => "the new shape appears, empty",
        Phase::Sync => "every write reaches both shapes",
        Phase::Backfill => "existing rows are brought over",
        Phase::Verify => "it is shown that nothing is missing; then the migration is ready",
        Phase::Flip => "the authority moves to the new shape",
        Phase::Contract => "the old shape is hidden, still undoable",
        Phase::Cleanup => "the old shape is dropped",
    }
}

fn step_text(page: &mut Page, step: &Step) {
    page.line(2, &format!("{}. {}", step.id, step.title));
    page.line(5, &costs(step));
    match &step.undo {
        Undo::Lossless(_) => page.line(5, "undo lossless"),
        Undo::Lossy { loses, .. } => page.line(5, &format!("undo lossy: loses {loses}")),
        Undo::Nothing => page.line(5, "nothing to undo"),
        Undo::Impossible => page.line(5, "undo impossible: rollback stops before it"),
    }
    for line in words(&step.action) {
        page.line(5, &line);
    }
    for condition in step.undo.steps().iter().flat_map(|undo| &undo.conditions) {
        page.line(5, &format!("undo needs: {}", condition.says));
    }
}

/// Returns what a step costs the application: locks, what they block, tries, scan, rewrite, transaction.
fn costs(step: &Step) -> String {
    let mut parts = vec![locks(&step.locks), blocks(step.blocks).to_owned()];
    parts.extend(step.rewrites.then(|| "writes every row again".to_owned()));
    parts.extend(step.scans.then(|| "reads every row".to_owned()));
    parts.push(tries(step.tries, step.blocks));
    parts.push(match step.transaction {
        Transaction::Own => "own transaction".to_owned(),
        Transaction::None => "outside a transaction".to_owned(),
    });
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

fn locks(locks: &[RelationLock]) -> String {
    if locks.is_empty() {
        return "no lock".to_owned();
    }
    let each = locks.iter().map(|held| format!("{} on {}", lock(held.mode), held.relation));
    each.collect::<Vec<_>>().join(", ")
}

fn tries(tries: Option<LockTries>, blocks: Blocks) -> String {
    match tries {
        Some(tries) => format!("tries of {} ms within {} s", tries.each.as_millis(), tries.budget.as_secs()),
        None if blocks == Blocks::Nothing => String::new(),
        None => "waits for its lock without a short limit".to_owned(),
    }
}

/// A statement of an action, with what it is for.
struct Shown<'a> {
    label: &'static str,
    sql: &'a Sql,
    /// It runs only after an interruption or on request.
    only_if: bool,
}

/// Returns a statement that runs when all goes well.
fn runs<'a>(label: &'static str) -> impl Fn(&'a Sql) -> Shown<'a> {
    move |sql| Shown { label, sql, only_if: false }
}

/// Returns a statement that runs only after an interruption or on request.
fn only_if<'a>(label: &'static str) -> impl Fn(&'a Sql) -> Shown<'a> {
    move |sql| Shown { label, sql, only_if: true }
}

/// Returns the statements that an action sends, in order.
fn statements(action: &Action) -> Vec<Shown<'_>> {
    match action {
        Action::Sql(all) => all.iter().map(runs("")).collect(),
        Action::Settled { sql, settle } => vec![runs("")(sql), only_if("settle")(settle)],
        Action::Backfill(backfill) => backfill_statements(backfill),
        Action::Verify(verify) => verify_statements(verify),
        Action::Gate(gate) => conditions(&gate.conditions).collect(),
        Action::Snapshot(Snapshot { create, copy, .. }) => {
            let copy = copy.iter().map(|(_, sql)| runs("each window")(sql));
            create.iter().map(runs("")).chain(copy).collect()
        }
    }
}

fn conditions(all: &[Condition]) -> impl Iterator<Item = Shown<'_>> {
    all.iter().map(|condition| runs("no row from")(&condition.sql))
}

fn backfill_statements(backfill: &Backfill) -> Vec<Shown<'_>> {
    let before = backfill.before.iter().map(runs("before each"));
    let unlocked = backfill.fill_unlocked.iter().map(only_if("each window where another holds a row"));
    let pace = backfill.pace.iter().map(|pace| runs("now and then, outside a transaction")(&pace.vacuum));
    let failures = backfill.failures.iter();
    let failures =
        failures.flat_map(|failures| [runs("must be 0")(&failures.count), only_if("quarantine")(&failures.list)]);
    before.chain([runs("each window")(&backfill.fill)]).chain(unlocked).chain(pace).chain(failures).collect()
}

fn verify_statements(verify: &Verify) -> Vec<Shown<'_>> {
    let count = match verify.compare {
        Some(_) => only_if("each window that differs")(&verify.count),
        None => runs("each window")(&verify.count),
    };
    let repair = verify.before_repair.iter().map(only_if("before fixing"));
    let new = verify.repair_from_new.iter().map(only_if("fix from new"));
    conditions(&verify.conditions)
        .chain(verify.compare.iter().map(runs("each window")))
        .chain([count, only_if("sample")(&verify.sample)])
        .chain(repair)
        .chain([only_if("fix from old")(&verify.repair_from_old)])
        .chain(new)
        .collect()
}

/// Returns what an action means beside its SQL.
fn words(action: &Action) -> Vec<String> {
    let says = |conditions: &[Condition]| conditions.iter().map(|c| format!("needs: {}", c.says)).collect::<Vec<_>>();
    match action {
        Action::Sql(_) => vec![],
        Action::Settled { .. } => vec!["after an interruption `settle` says whether it was done".to_owned()],
        Action::Backfill(Backfill { cut, .. }) => vec![format!(
            "windows of {} {}, steered to {} ms, until a whole pass changes nothing",
            cut.size, cut.unit, cut.target_ms
        )],
        Action::Verify(Verify { cut, conditions, .. }) => {
            let mut words = says(conditions);
            words.push(format!("windows of {} {}; a fix runs only on request", cut.size, cut.unit));
            words
        }
        Action::Gate(Gate { conditions, asks }) => {
            let mut words = says(conditions);
            words.extend(asks.map(|asks| format!("asks: {}", question(asks))));
            words
        }
        Action::Snapshot(Snapshot { keeps, .. }) => vec![format!("keeps {keeps}, which stays until a person drops it")],
    }
}

fn question(asks: Asks) -> &'static str {
    match asks {
        Asks::OldVersionStopped => "does no process that uses the old shape run any more?",
        Asks::NewVersionStopped => "does no process that uses the new shape run any more?",
    }
}

fn footer(page: &mut Page, plan: &Plan) {
    page.gap();
    if !plan.flip.is_empty() {
        page.line(0, &format!("Flip: {}", plan.flip));
    }
    page.line(0, &format!("Rollback is possible {}", rollback_points(&plan.rollback_points)));
    for note in &plan.notes {
        page.line(0, &format!("Note: {note}"));
    }
}

fn rollback_points(points: &[Phase]) -> String {
    if points.is_empty() {
        return "nowhere: there is nothing to take back".to_owned();
    }
    let word = |phase: &Phase| if *phase == Phase::Verify { "ready".to_owned() } else { phase.to_string() };
    format!("after: {}", points.iter().map(word).collect::<Vec<_>>().join(", "))
}

fn step_sql(page: &mut Page, step: &Step) {
    page.gap();
    page.comment(&format!("{}. {}: {}", step.id, step.phase, step.title));
    page.comment(&costs(step));
    for line in words(&step.action) {
        page.comment(&line);
    }
    for shown in statements(&step.action) {
        shown_sql(page, &shown);
    }
}

/// What does not run when all goes well stands in comments: whoever copies the text must not run it.
fn shown_sql(page: &mut Page, shown: &Shown<'_>) {
    if !shown.label.is_empty() {
        page.comment(shown.label);
    }
    let sql = shown.sql.as_str().trim_end().trim_end_matches(';');
    if shown.only_if {
        sql.split('\n').for_each(|line| page.comment(&format!("  {line}")));
    } else {
        let lines: Vec<String> = sql.split('\n').map(|line| safe(line).to_string()).collect();
        // A comment at the end would take the semicolon with it.
        let end = if lines.last().is_some_and(|line| line.contains("--")) { "\n;" } else { ";" };
        page.raw(0, &format!("{}{end}", lines.join("\n")));
    }
}

fn one_line(text: &str) -> String {
    let joined: Vec<&str> = text.split('\n').map(str::trim_end).collect();
    safe(&joined.join("\\n")).to_string()
}

/// A text whose control characters are written out, also those that turn the direction of writing.
fn safe(text: &str) -> Safe<'_> {
    Safe(text)
}

struct Safe<'a>(&'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\t' => f.write_str("    ")?,
                c if c.is_control() || turns_direction(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_plan_is_read_in_a_minute() {
        insta::assert_snapshot!(text(&fixture::plan()), @r"
        Plan of 20261120_n for PostgreSQL 15
        Hash sha256:0123456789ab
        Strategy expand-contract. Both shapes are kept side by side, because it is so.
        Table public.users: 1,000,000 rows, 134 MB
        Moves the rows of public.users in batches, paced and throttled: 1,000,000 rows, between 100,000 and 10,000,000

        Run as written, it would do this here
          statement 1: set not null on public.users: AccessExclusiveLock, blocks reads and writes, reads every row under the lock, breaks running code, undo lossless
            error not-null-scan (line 3): it reads all
              The plan proves it.

        Expand: the new shape appears, empty
          1. add n
             AccessExclusiveLock on public.users; blocks reads and writes; tries of 50 ms within 300 s; own transaction
             undo lossless

        Backfill: existing rows are brought over
          2. fill n
             AccessExclusiveLock on public.users; blocks reads and writes; tries of 50 ms within 300 s; own transaction
             nothing to undo
             windows of 16 pages, steered to 50 ms, until a whole pass changes nothing

        Verify: it is shown that nothing is missing; then the migration is ready
          3. count
             AccessExclusiveLock on public.users; blocks reads and writes; reads every row; tries of 50 ms within 300 s; own transaction
             nothing to undo
             needs: the trigger is there
             windows of 16 pages; a fix runs only on request

        Contract (planned and approved anew at its time): the old shape is hidden, still undoable
          4. wait for the old version
             AccessExclusiveLock on public.users; blocks reads and writes; tries of 50 ms within 300 s; own transaction
             undo lossy: loses what new code wrote
             needs: the trigger is there
             asks: does no process that uses the old shape run any more?

        Cleanup (planned and approved anew at its time): the old shape is dropped
          5. keep a copy
             AccessExclusiveLock on public.users; blocks reads and writes; tries of 50 ms within 300 s; own transaction
             undo impossible: rollback stops before it
             keeps segue.kept, which stays until a person drops it

        Flip: nothing in the database but a deploy.
        Rollback is possible after: expand, ready, flip, contract
        Note: an explicit NULL counts as not given.
        Every statement, as it will run: segue plan --format sql
        ");
    }

    #[test]
    fn the_sql_stands_in_order_with_comments() {
        insta::assert_snapshot!(sql(&fixture::plan()), @r"
        -- Migration 20261120_n on PostgreSQL 15
        -- Plan sha256:0123456789abcdef, strategy expand-contract
        -- This shows the plan and does not replace it: windows, short lock tries, gates and resuming are not in it.

        -- 1. expand: add n
        -- AccessExclusiveLock on public.users; blocks reads and writes; tries of 50 ms within 300 s; own transaction
        ALTER TABLE users ADD COLUMN n text;

        -- 2. backfill: fill n
        -- AccessExclusiveLock on public.users; blocks reads and writes; tries of 50 ms within 300 s; own transaction
        -- windows of 16 pages, steered to 50 ms, until a whole pass changes nothing
        -- before each
        SET LOCAL segue.backfill = 'on';
        -- each window
        UPDATE users SET n = o
        WHERE ctid >= $1;

        -- 3. verify: count
        -- AccessExclusiveLock on public.users; blocks reads and writes; reads every row; tries of 50 ms within 300 s; own transaction
        -- needs: the trigger is there
        -- windows of 16 pages; a fix runs only on request
        -- no row from
        SELECT 'gone';
        -- each window
        SELECT count(*), 0, 0 FROM users;
        -- sample
        --   SELECT id FROM users
        -- fix from old
        --   UPDATE users SET n = o

        -- 4. contract: wait for the old version
        -- AccessExclusiveLock on public.users; blocks reads and writes; tries of 50 ms within 300 s; own transaction
        -- needs: the trigger is there
        -- asks: does no process that uses the old shape run any more?
        -- no row from
        SELECT 'gone';

        -- 5. cleanup: keep a copy
        -- AccessExclusiveLock on public.users; blocks reads and writes; tries of 50 ms within 300 s; own transaction
        -- keeps segue.kept, which stays until a person drops it
        CREATE TABLE segue.kept AS SELECT 1;
        ");
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let mut plan = fixture::plan();
        let hostile = "a\u{1b}[2J\r\u{202e}b\nDROP";
        plan.steps[0].title = hostile.into();
        plan.notes = vec![hostile.into()];
        plan.flip = hostile.into();
        plan.reason = hostile.into();
        plan.verdicts[0].findings[0].message = hostile.into();
        for shown in [text(&plan), sql(&plan)] {
            assert!(shown.chars().all(|c| c == '\n' || !(c.is_control() || turns_direction(c))), "{shown}");
            assert!(!shown.lines().any(|line| line.trim_start().starts_with("DROP")), "{shown}");
        }
    }
}
