//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use segue_model::ident::MigrationId;

use crate::tuning;

/// Changes the schema of a live database without stopping the applications that use it.
#[derive(Debug, Parser)]
#[command(name = "segue", version, max_term_width = 110, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

const AFTER: &str = "\
A change goes: plan → apply (both shapes live, verified) → deploy the new code → flip → stop the old code → contract → cleanup.
Until cleanup, `segue rollback` takes it back. While it runs, `status --watch`, `pause`, `resume` and `tune` work from elsewhere.

Exit codes: 0 reached · 1 input refused, or findings · 2 command line, URL or configuration · 3 connection, permission or server
(resumable) · 4 another run holds the lease · 5 a gate is not met · 6 verification failed · 70 a bug of Segue · 130 interrupted (resumable)";

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Where the database is: postgres://user@host/db or sqlite:path/to/file [env: DATABASE_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// The folder of the migration files
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The configuration file [default: segue.toml, where there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How to report on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For machines
    Json,
    /// The plan's SQL, to look at (plan only)
    Sql,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a segue.toml and a migrations folder
    Init,
    /// Write an empty migration file and its down file
    New {
        /// What it is about, in a few words
        name: String,
    },
    /// Show what a migration would do to this database, without doing it
    Plan(Which),
    /// Carry out pending migrations, as far as needs no person
    Apply(Apply),
    /// Wait until a migration that a run brings on is at a point: exit code 0 there, 5 when the time is over
    Wait {
        #[command(flatten)]
        which: Which,
        /// The point; `ready` also means: replayed by every known standby
        #[arg(long, value_enum)]
        until: To,
        /// How long at most: 30s, 10m, 2h [default: as long as it takes]
        #[arg(long, value_name = "TIME")]
        timeout: Option<String>,
    },
    /// Show how far each migration is, how fast, what holds it back, and what to type next
    Status {
        #[command(flatten)]
        which: Which,
        /// Go on showing it until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Let a migration stand still; its run follows within a second
    Pause(Which),
    /// Let a paused migration go on
    Resume(Which),
    /// Show or change how fast a migration goes and what holds it back; its run follows within a second
    #[command(after_help = tuning::help())]
    Tune {
        /// The migration, where several fit, then settings; none: show what is in force
        #[arg(value_name = "MIGRATION|KEY=VALUE")]
        words: Vec<String>,
        /// Take back all that was set so before
        #[arg(long)]
        reset: bool,
    },
    /// Compare both shapes row by row
    Verify {
        #[command(flatten)]
        which: Which,
        /// Mend wrong rows from the shape that is the truth
        #[arg(long)]
        repair: bool,
        /// Try again to bring over the rows that could not be converted
        #[arg(long, conflicts_with_all = ["repair", "continuous"])]
        retry_quarantine: bool,
        /// Verify again and again, until Ctrl-C or until something is found
        #[arg(long, conflicts_with = "repair")]
        continuous: bool,
        /// The pause between two verifications: 30s, 10m, 2h
        #[arg(long, value_name = "TIME", requires = "continuous", default_value = "60s")]
        every: String,
    },
    /// Make the new shape the truth
    Flip(Which),
    /// Hide the old shape; it is still kept right and can come back
    Contract {
        #[command(flatten)]
        which: Which,
        /// No process of the old application version runs any more
        #[arg(long)]
        old_version_stopped: bool,
    },
    /// Drop the old shape, after a copy of it was made
    Cleanup {
        #[command(flatten)]
        which: Which,
        /// Yes, drop it
        #[arg(long)]
        yes: bool,
        /// I looked for references to the old shape in code, views and jobs, and there are none
        #[arg(long)]
        i_checked_references: bool,
    },
    /// Take back a migration that is not cleaned up
    Rollback {
        #[command(flatten)]
        which: Which,
        /// No process of the new application version runs any more
        #[arg(long)]
        new_version_stopped: bool,
        /// Do not compare both shapes first: what only the new shape holds may be lost
        #[arg(long)]
        accept_loss: bool,
    },
    /// Make the journal this database's own, where it is a copy of another that was made while a migration was under way
    Adopt,
    /// Reverse a finished migration: its down file becomes a change of its own
    Down {
        #[command(flatten)]
        which: Which,
        /// Stop at this point
        #[arg(long, value_enum)]
        to: Option<To>,
    },
    /// Watch a change happen under live traffic, on a scratch database
    Demo {
        /// Rows in the table
        #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
        rows: u64,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How `apply` goes about it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Stop at this point
    #[arg(long, value_enum)]
    pub(crate) to: Option<To>,
    /// Run exactly this reviewed plan (written by `segue plan --format json`)
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Go on in the background; output goes to .segue/MIGRATION.log
    #[arg(long)]
    pub(crate) detach: bool,
    /// Help a run that is under way elsewhere to bring rows over
    #[arg(long, conflicts_with_all = ["to", "plan", "detach", "complete"])]
    pub(crate) join: bool,
    /// Also bring over what a lazy migration leaves to those who touch the rows
    #[arg(long)]
    pub(crate) complete: bool,
    /// Move rows and take locks in these hours alone: HH:MM-HH:MM in UTC, or HH:MM-HH:MM+HH:MM
    #[arg(long, value_name = "HOURS")]
    pub(crate) only: Option<String>,
    /// Set how fast this run goes, or what holds it back; repeatable; `segue tune --help` lists the keys
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Which migration is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// The migration's id, its file name, or an unambiguous part of it; may be left out when only one fits
    pub(crate) migration: Option<String>,
}

/// Where `apply` stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum To {
    /// The new shape is there, empty
    Expand,
    /// Both shapes are right and verified
    Ready,
    /// The new shape is the truth
    Flip,
}

/// Returns what was typed; a wrong command line ends the process with exit code 2.
pub(crate) fn parse() -> Cli {
    Cli::parse()
}

/// Returns the id that a file name or an id means.
pub(crate) fn id_of(text: &str) -> Option<MigrationId> {
    let name = text.rsplit(['/', '\\']).next().unwrap_or(text);
    let name = name.strip_suffix(".sql").unwrap_or(name);
    MigrationId::new(name).ok()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_path_names_its_migration() {
        assert_eq!(id_of("migrations/1_a.sql").map(String::from), Some("1_a".to_owned()));
        assert_eq!(id_of("a b"), None);
    }
}
