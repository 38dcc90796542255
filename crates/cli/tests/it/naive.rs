//! What Segue makes of a file, beside what the server makes of it when nobody uses the database.

use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::segue::Output;

use crate::project::Project;

/// A database after `setup`, and the migration `1_change`.
pub(crate) struct Case {
    pub(crate) url: String,
    pub(crate) project: Project,
    before: Vec<String>,
}

impl Case {
    pub(crate) fn new(server: &PostgresServer, setup: &str, up: &str) -> Self {
        let url = server.database();
        Client::connect(&url).batch(setup);
        let project = Project::new(&url);
        project.write("1_change.sql", up);
        let before = dump::postgres::catalog(&url, "public");
        Self { url, project, before }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.url)
    }

    pub(crate) fn dump(&self) -> Vec<String> {
        dump::postgres::catalog(&self.url, "public")
    }

    /// Returns what the command says that is refused.
    #[track_caller]
    pub(crate) fn refused(&self) -> String {
        let Output { code, stderr, .. } = self.project.segue.run(&["apply"]);
        assert_eq!(code, 1, "{stderr}");
        assert_same("a refusal changes nothing", &self.dump(), &self.before);
        stderr
    }
}

/// Applies a file to its end, whose catalog must then be that of the naive run; and on another database applies it and takes
/// it back, after which the catalog must be as before.
#[track_caller]
pub(crate) fn both_ways(server: &PostgresServer, setup: &str, up: &str) {
    both_ways_as(server, setup, up, up);
}

/// The same where PostgreSQL refuses what was written, and `naive` says it otherwise.
#[track_caller]
pub(crate) fn both_ways_as(server: &PostgresServer, setup: &str, up: &str, naive: &str) {
    let forth = Case::new(server, setup, up);
    forth.project.segue.ok(&["apply"]);
    let twin = server.database();
    Client::connect(&twin).batch(setup);
    let mut client = Client::connect(&twin);
    naive.split(";\n").filter(|sql| !sql.trim().is_empty()).for_each(|sql| client.batch(sql));
    let expected = dump::postgres::catalog(&twin, "public");
    assert_same(&format!("{} forth: {up}", server.major()), &meaningful(&forth.dump()), &meaningful(&expected));
    assert_ne!(expected, forth.before, "{up} changes nothing");

    let back = Case::new(server, setup, up);
    back.project.segue.ok(&["apply", "--to", "expand"]);
    assert_same(&format!("{} expanded: {up}", server.major()), &meaningful(&back.dump()), &meaningful(&expected));
    back.project.segue.ok(&["rollback", "1_change"]);
    assert_same(&format!("{} back: {up}", server.major()), &back.dump(), &back.before);
}

/// `connoinherit` says something of a CHECK or NOT NULL alone: of a key it only tells whether it was made before its table
/// became a partition.
fn meaningful(lines: &[String]) -> Vec<String> {
    let is_key = |line: &str| [", kind p,", ", kind u,", ", kind f,"].iter().any(|kind| line.contains(kind));
    let said =
        |line: &String| if is_key(line) { line.replace("no inherit true", "no inherit false") } else { line.clone() };
    lines.iter().map(said).collect()
}

/// Compares two catalogs and shows only what differs.
#[track_caller]
pub(crate) fn assert_same(what: &str, found: &[String], expected: &[String]) {
    let only = |of: &[String], other: &[String], sign: &str| -> Vec<String> {
        of.iter().filter(|line| !other.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    let mut lines = only(expected, found, "-");
    lines.extend(only(found, expected, "+"));
    assert!(lines.is_empty(), "{what}\n{}", lines.join("\n"));
}
