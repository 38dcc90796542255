//! One round: a table under traffic goes from its old shape to its new one while something goes wrong.

use std::fs::File;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use segue_testkit::dump;
use segue_traffic::scenario::{Rule, generated};
use segue_traffic::{Load, Report, Running, Scenario, Traffic};

use crate::draw::Draw;
use crate::fault::Fault;
use crate::ground::{Ground, Servers};

/// Requests a second.
const RATE: u32 = 240;
/// How long the clients run in each state.
const A_WHILE: Duration = Duration::from_millis(120);
/// A command that has not ended by then hangs.
const COMMAND_WITHIN: Duration = Duration::from_secs(90);
/// How often a command that a fault ended is typed again.
const AGAIN: u32 = 40;
/// The pause before it is typed again.
const AGAIN_AFTER: Duration = Duration::from_millis(150);

/// The commands from the start to the end, and about how long each takes, in milliseconds.
const WAY: [(&[&str], f64); 4] = [
    (&["apply"], 450.0),
    (&["flip"], 60.0),
    (&["contract", "--old-version-stopped"], 100.0),
    (&["cleanup", "--yes", "--i-checked-references"], 120.0),
];
const BACK: (&[&str], f64) = (&["rollback", "--new-version-stopped"], 150.0);

/// How a round came out.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Requests of the clients.
    pub(crate) requests: u64,
    /// How long they were at work.
    pub(crate) seconds: f64,
    pub(crate) failed: u64,
    /// Requests that failed because the server was restarted; not counted as failed.
    pub(crate) cut: u64,
    pub(crate) lost: u64,
    pub(crate) wrong: u64,
    /// The fault came while a command ran.
    pub(crate) struck: bool,
    /// The plan was refused: nothing was done.
    pub(crate) refused: Option<String>,
    /// What is not as it must be.
    pub(crate) faults: Vec<String>,
}

/// What this build of the binary can be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abilities {
    /// `apply --set workers=2`.
    pub(crate) set: bool,
    /// Not of the binary, but what this run does to it: the sync triggers are off for a moment.
    pub(crate) harm: bool,
}

/// A round under way.
struct Stage<'a> {
    ground: &'a Ground<'a>,
    scenario: &'a Scenario,
    traffic: &'a Running,
    draw: Draw,
    abilities: Abilities,
    log: &'a Path,
    /// The fault has not come yet.
    loaded: bool,
    struck: bool,
    swaps: u32,
}

/// Runs a round; when it fails, leaves what explains it in `kept`.
pub(crate) fn run(servers: &mut Servers, draw: Draw, major: u32, abilities: Abilities, kept: &Path) -> Outcome {
    let scenario = generated(draw.mix.product.engine(), draw.mix.key, draw.mix.alteration);
    let naive = Ground::naive(servers, draw.mix.product, major, &scenario);
    let ground = Ground::new(servers, draw.mix.product, major, &scenario);
    let log = ground.project().join("commands.log");
    let outcome = on_ground(&ground, &scenario, draw, abilities, &naive, &log);
    if !outcome.faults.is_empty() {
        std::fs::create_dir_all(kept).expect("a folder can be made where failures are kept");
        let text = format!("{draw:#?}\n{outcome:#?}\n");
        std::fs::write(kept.join("round.txt"), text).expect("the folder was made just now");
        drop(std::fs::copy(&log, kept.join("commands.log")));
        ground.keep(kept, &scenario);
    }
    ground.drop_database();
    outcome
}

fn on_ground(
    ground: &Ground<'_>,
    scenario: &Scenario,
    draw: Draw,
    abilities: Abilities,
    naive: &[String],
    log: &Path,
) -> Outcome {
    segue_traffic::seed(&ground.place(), scenario, draw.rows).expect("an empty database can be seeded");
    let before = ground.catalog();
    let load = Load { rows: draw.rows, rate_per_s: RATE, seed: draw.seed, ..Load::default() };
    let began = Instant::now();
    let traffic = Traffic::start(&ground.place(), scenario, load).expect("the clients can start");
    std::thread::sleep(A_WHILE);
    let loaded = !matches!(draw.mix.fault, Fault::Nothing);
    let mut stage =
        Stage { ground, scenario, traffic: &traffic, draw, abilities, log, loaded, struck: !loaded, swaps: 0 };
    let went = stage.go(&before);
    let struck = stage.struck;
    std::thread::sleep(A_WHILE);
    let mut outcome = Outcome { struck, seconds: began.elapsed().as_secs_f64(), ..Outcome::default() };
    match went {
        Ok(()) => compare(&mut outcome, "after cleanup", naive, &ground.catalog()),
        Err(Stopped::Refused(why)) => outcome.refused = Some(why),
        Err(Stopped::Failed(why)) => outcome.faults.push(why),
    }
    let whole = outcome.faults.is_empty();
    match if whole { traffic.stop() } else { traffic.stop_before_ready() } {
        Ok(report) => judge(&mut outcome, draw, &report),
        Err(fault) => outcome.faults.push(format!("the table cannot be read: {fault}")),
    }
    outcome
}

fn compare(outcome: &mut Outcome, when: &str, must: &[String], is: &[String]) {
    let difference = dump::difference(must, is);
    if !difference.is_empty() {
        outcome.faults.push(format!("{when} the structure differs:\n{}", difference.join("\n")));
    }
}

fn judge(outcome: &mut Outcome, draw: Draw, report: &Report) {
    outcome.requests = report.requests;
    outcome.cut = if draw.mix.fault == Fault::Restart { report.cut_requests } else { 0 };
    outcome.failed = report.failed_requests - outcome.cut;
    outcome.lost = report.lost_writes;
    outcome.wrong = report.wrong_rows;
    let counts = [("failed", outcome.failed), ("lost", outcome.lost), ("wrong", outcome.wrong)];
    let lines = [&report.failures, &report.lost, &report.wrong];
    for ((what, count), lines) in counts.into_iter().zip(lines) {
        if count > 0 {
            outcome.faults.push(format!("{count} {what}:\n{}", lines.join("\n")));
        }
    }
    if report.requests == 0 {
        outcome.faults.push("no client did anything".to_owned());
    }
}

/// Why a round does not go on.
enum Stopped {
    Refused(String),
    Failed(String),
}

impl Stage<'_> {
    fn go(&mut self, before: &[String]) -> Result<(), Stopped> {
        if self.draw.mix.fault == Fault::Back {
            let point = 1 + self.draw.command.min(2) + usize::from(self.draw.in_parts && self.draw.command == 0);
            self.forward(point, self.draw.in_parts)?;
            self.back(point, before)?;
        }
        self.forward(WAY.len(), false)
    }

    /// Types the first `commands` of the way, with the deploys between them.
    fn forward(&mut self, commands: usize, only_expand: bool) -> Result<(), Stopped> {
        let same_name = self.scenario.rule == Rule::SameName;
        for (at, (arguments, lasts)) in WAY.iter().enumerate().take(commands) {
            match at {
                0 => {
                    if self.draw.in_parts {
                        self.command(&[*arguments, &["--to", "expand"]].concat(), 80.0, at)?;
                        if only_expand && commands == 1 {
                            return Ok(());
                        }
                    }
                    let workers = format!("workers={}", self.draw.workers);
                    let set: &[&str] = if self.abilities.set { &["--set", workers.as_str()] } else { &[] };
                    self.command(&[*arguments, set].concat(), *lasts, at)?;
                    if self.abilities.harm {
                        self.ground.without_triggers(A_WHILE);
                    }
                    if !same_name {
                        self.traffic.start_new_version();
                        std::thread::sleep(A_WHILE);
                    }
                }
                1 => {
                    if same_name && self.swaps > 0 {
                        self.traffic.expect_swap();
                    }
                    self.swaps += 1;
                    self.command(arguments, *lasts, at)?;
                    self.traffic.start_new_version();
                    std::thread::sleep(A_WHILE);
                }
                2 => {
                    self.traffic.stop_old_version();
                    self.command(arguments, *lasts, at)?;
                    std::thread::sleep(A_WHILE);
                }
                _ => self.command(arguments, *lasts, at)?,
            }
        }
        Ok(())
    }

    /// Takes it back after the first `commands` of the way; the old version goes on. Every second time the rollback is killed
    /// on the way.
    fn back(&mut self, commands: usize, before: &[String]) -> Result<(), Stopped> {
        self.traffic.stop_new_version();
        if commands >= 2 && self.scenario.rule == Rule::SameName {
            self.traffic.expect_swap();
            self.swaps += 1;
        }
        if self.draw.other_way {
            self.loaded = true;
            self.typed(BACK.0, BACK.1, Some(Fault::Kill))?;
        } else {
            self.typed(BACK.0, BACK.1, None)?;
        }
        (self.loaded, self.struck) = (false, true);
        self.traffic.rolled_back();
        self.traffic.start_old_version();
        let difference = dump::difference(before, &self.ground.catalog());
        if !difference.is_empty() {
            let text = format!("after the rollback the structure differs:\n{}", difference.join("\n"));
            return Err(Stopped::Failed(text));
        }
        std::thread::sleep(A_WHILE);
        Ok(())
    }

    fn command(&mut self, arguments: &[&str], lasts: f64, at: usize) -> Result<(), Stopped> {
        let fault = self.draw.mix.fault;
        let due = self.loaded && fault != Fault::Back && at >= self.draw.command;
        self.typed(arguments, lasts, due.then_some(fault))
    }

    /// Types a command, lets the fault come, and types it again until it has reached its end.
    fn typed(&mut self, arguments: &[&str], lasts: f64, fault: Option<Fault>) -> Result<(), Stopped> {
        let mut disturbed = false;
        for attempt in 0..AGAIN {
            let began = Instant::now();
            let mut child = self.start(arguments);
            if let Some(fault) = fault.filter(|_| self.loaded) {
                let moment = Duration::from_secs_f64(lasts * self.draw.moment / 1000.0);
                if !ended_within(&mut child, moment) {
                    self.loaded = false;
                    disturbed = true;
                    let made = fault.strike(&mut child, self.ground, self.draw.other_way);
                    self.struck = made.is_ok();
                    self.note(&format!("--- {} after {moment:?}: {made:?}\n", fault.name()));
                }
            }
            if !ended_within(&mut child, COMMAND_WITHIN) {
                drop(child.kill());
                drop(child.wait());
                return Err(Stopped::Failed(format!("`{}` hangs", arguments.join(" "))));
            }
            let code = child.wait().ok().and_then(|status| status.code()).unwrap_or(-1);
            self.note(&format!("--- exit code {code} after {:?}\n", began.elapsed()));
            match code {
                0 => return Ok(()),
                // It had been finished just before it was ended.
                2 if disturbed && attempt > 0 => return Ok(()),
                1 if arguments[0] == "apply" && !disturbed => return Err(Stopped::Refused(self.said())),
                -1 | 3 | 4 | 130 if disturbed => std::thread::sleep(AGAIN_AFTER),
                _ => {
                    return Err(Stopped::Failed(format!(
                        "`{}` ended with {code}:\n{}",
                        arguments.join(" "),
                        self.said()
                    )));
                }
            }
        }
        Err(Stopped::Failed(format!("`{}` does not come to its end in {AGAIN} tries", arguments.join(" "))))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.note(&format!("$ segue {}\n", arguments.join(" ")));
        let open = || File::options().create(true).append(true).open(self.log).expect("the project's folder is ours");
        let mut command = self.ground.segue().command(arguments);
        command.stdout(open()).stderr(open()).spawn().expect("the binary was found and may be run")
    }

    fn note(&self, text: &str) {
        use std::io::Write as _;
        let file = File::options().create(true).append(true).open(self.log);
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("the project's folder is ours");
    }

    /// Returns the end of what the commands said.
    fn said(&self) -> String {
        let log = std::fs::read_to_string(self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

/// Waits for a command's end, at most so long.
fn ended_within(child: &mut Child, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    loop {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return true;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(Duration::from_millis(5)));
    }
}
