//! `segue init`.

use std::path::Path;

use crate::args::Common;
use crate::config::DEFAULT;
use crate::failure::Failure;
use crate::report;

/// What a new `segue.toml` says: every setting, with its default.
const TEMPLATE: &str = "\
# Settings of Segue. All may be left out.

# Where the migration files are.
migrations = \"migrations\"

# The database. Better left to --database-url or DATABASE_URL, so that no password gets into version control.
# database_url = \"postgres://user@host/database\"

[sqlite]
# The oldest SQLite library that the application runs with: triggers use only what it has. Default: what the file says.
# app_version = \"3.40.1\"

[cleanup]
# The least time between contract and cleanup: s, m, h or d.
# cool_down = \"24h\"

[backfill]
# Tables with fewer rows are brought over at once, tables with more in a way meant for `apply --detach`.
# inline_below = 100_000
# background_above = 10_000_000
# How many sessions move rows, how long each transaction takes, whether dead rows are cleared on the way, at which hours.
# workers = 1
# window = \"100ms\"
# pacing = true
# only = \"22:00-06:00\"
# How many rows may fail to be converted before it stops.
# quarantine = 10_000

[throttle]
# What holds a run back while it is exceeded. A limit that cannot be measured holds it back too.
# replica_lag = \"10s\"
# slot_wal = \"10GB\"
# active_sessions = 40
# lock_waits = 5
# longest_transaction = \"5min\"
# wal_rate = \"20MB/s\"
# forced_checkpoints = 2
# disk_free = \"10GB\"
# query = \"SELECT count(*) < 100 FROM jobs WHERE state = 'waiting'\"
# file = \"/run/segue.pause\"
# http = \"https://status.example.org/may-segue-run\"
";

/// Writes the configuration and the migrations folder; leaves alone what is there.
pub(super) fn run(common: &Common) -> Result<(), Failure> {
    let file = common.config.as_deref().unwrap_or(Path::new(DEFAULT));
    if file.exists() {
        report::line(&format!("{} is there already", file.display()));
    } else {
        std::fs::write(file, TEMPLATE)
            .map_err(|e| Failure::usage(format!("`{}` cannot be written: {e}", file.display())))?;
        report::line(&format!("wrote {}", file.display()));
    }
    let folder = common.dir.as_deref().unwrap_or(Path::new("migrations"));
    std::fs::create_dir_all(folder)
        .map_err(|e| Failure::usage(format!("`{}` cannot be created: {e}", folder.display())))?;
    report::line(&format!("migrations go into {}; next: segue new NAME", folder.display()));
    Ok(())
}
