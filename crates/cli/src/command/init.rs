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
