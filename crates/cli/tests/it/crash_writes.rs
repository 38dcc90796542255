//! SIGKILL at every write that a run makes to SQLite's files: before it, in the middle of it, after it. Then the same command
//! again, or `rollback`, and the end is that of an uninterrupted run, or the beginning.

use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::disk::DiskFault;
use segue_testkit::segue::{Output, Segue};
use segue_testkit::skipped;
use segue_testkit::sqlite::connect;
use segue_traffic::{Place, scenario};
use tempfile::TempDir;

use crate::fault::place::{BACK, Case, Change, Content, WAY};
use crate::fault::sample::check_points;
use crate::project::Project;

const ROWS: u32 = 600;

/// What the sampled test may take.
const BUDGET: Duration = Duration::from_secs(20);

/// The uninterrupted run: a copy of the file before each command, and what is in it.
struct Straight {
    change: Change,
    folder: TempDir,
    contents: Vec<Content>,
}

/// Where a run is killed.
#[derive(Debug, Clone, Copy)]
struct Point {
    /// Commands done before.
    stage: usize,
    /// It is the way back that is killed.
    back: bool,
    fault: DiskFault,
    /// The run that was killed is taken back, where it is not taken up.
    then_back: bool,
}

/// A copy of a stage's file, under the name that it had: it is the same database.
struct Scratch {
    folder: TempDir,
    segue: Segue,
    _project: Project,
}

impl Scratch {
    fn file(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }
}

impl Straight {
    fn run(change: &Change) -> Self {
        let case = Case::sqlite(change);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let straight = Self { change: change.clone(), folder, contents: Vec::new() };
        let mut contents = Vec::new();
        for stage in 0..=WAY.len() {
            case.file().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("nobody else is there");
            std::fs::copy(case.path(), straight.stage(stage)).expect("our own folder takes files");
            contents.push(case.content());
            if let Some(arguments) = WAY.get(stage) {
                case.segue().ok(arguments);
            }
        }
        Self { contents, ..straight }
    }

    fn stage(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}.db"))
    }

    fn at(&self, stage: usize) -> Scratch {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("app.db");
        std::fs::copy(self.stage(stage), &file).expect("our own folder takes files");
        let project = self.change.project(&format!("sqlite:{}", file.display()));
        let segue = project.segue.clone();
        if stage > 0 {
            segue.ok(&["adopt"]);
        }
        Scratch { folder, segue, _project: project }
    }

    /// Returns every point, by counting each command's writes; `None` where writes cannot be made to fail.
    fn points(&self) -> Option<Vec<Point>> {
        let mut points = Vec::new();
        let forth = (0..WAY.len()).map(|stage| (stage, false));
        for (stage, back) in forth.chain((1..WAY.len()).map(|stage| (stage, true))) {
            let scratch = self.at(stage);
            let count = scratch.folder.path().join("count");
            let output = with_fault(&scratch.segue, DiskFault::None, &count, command(stage, back))?;
            assert_eq!(output.code, 0, "{}", output.stderr);
            let text = std::fs::read_to_string(&count).expect("it ended by itself");
            let writes: u64 = text.parse().expect("it is a number");
            println!("{}: {:?}: {writes} writes", self.change.scenario.name, command(stage, back));
            points.extend((1..=writes).flat_map(|at| {
                let faults = (0..).zip(DiskFault::kills(at));
                faults.map(move |(number, fault)| Point { stage, back, fault, then_back: (at + number) % 2 == 0 })
            }));
        }
        Some(points)
    }

    fn check(&self, point: &Point) -> Result<(), String> {
        let scratch = self.at(point.stage);
        let file = scratch.file();
        let command = command(point.stage, point.back);
        let count = scratch.folder.path().join("count");
        let output = with_fault(&scratch.segue, point.fault, &count, command).expect("writes were counted by it");
        if output.code > 0 {
            return Err(format!("it was not killed, and ended with {}: {}", output.code, output.stderr));
        }
        intact(&file)?;
        let then = if point.back || point.then_back { BACK } else { command };
        let output = scratch.segue.run(then);
        let again = || format!("{then:?} ended with {}: {}", output.code, output.stderr);
        let nothing_left = output.code == 2 && output.stderr.contains("no migration is");
        let closed = output.code == 5 && output.stderr.contains("no longer be rolled back");
        if output.code != 0 && !nothing_left && !closed {
            return Err(again());
        }
        if closed {
            let output = scratch.segue.run(command);
            if output.code != 0 {
                return Err(format!("{}; {command:?} ended with {}: {}", again(), output.code, output.stderr));
            }
        }
        let finished = closed || nothing_left && point.stage + 1 == WAY.len() && !point.back;
        let goes_back = (point.back || point.then_back) && !finished;
        let expected = &self.contents[if goes_back { 0 } else { point.stage + 1 }];
        let difference = expected.difference(&Content::of(&Place::Sqlite(file.clone()), self.change.scenario.table));
        intact(&file)?;
        if difference.is_empty() { Ok(()) } else { Err(format!("after {then:?}:\n{difference}")) }
    }
}

fn command(stage: usize, back: bool) -> &'static [&'static str] {
    if back { BACK } else { WAY[stage] }
}

/// Runs a command whose writes fail; `None` where they cannot be made to.
fn with_fault(segue: &Segue, fault: DiskFault, count: &Path, arguments: &[&str]) -> Option<Output> {
    let failing =
        fault.environment(count)?.into_iter().fold(segue.clone(), |segue, (name, value)| segue.with_env(&name, &value));
    Some(failing.run(arguments))
}

/// Asks SQLite whether the file is whole.
fn intact(file: &Path) -> Result<(), String> {
    let connection = connect(file);
    let said: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(|error| error.to_string())?;
    let strays: i64 = connection
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
        .map_err(|error| error.to_string())?;
    if said == "ok" && strays == 0 { Ok(()) } else { Err(format!("the file is damaged: {said}; {strays} strays")) }
}

#[test]
fn killed_at_every_write_on_sqlite() {
    let straight = Straight::run(&Change::new(scenario::split(Engine::Sqlite), ROWS));
    let Some(points) = straight.points() else { return skipped("C compiler") };
    check_points("SQLite, split", points, BUDGET, |point| straight.check(point));
}
