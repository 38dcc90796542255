//! The stories of the documentation, word for word: files are written, commands typed, SQL sent, and what is said to come out
//! comes out.
//!
//! A block ```` ```sql setup ```` or ```` ```sql run ```` is sent, ```` ```sql file NAME ```` is a file of the project,
//! ```` ```sql is VALUE ```` gives that value, and each line of ```` ```sh ```` is a command that ends with 0.

use std::path::Path;

use segue_testkit::client::Client;
use segue_testkit::postgres::PostgresServer;

use crate::project::Project;

/// A fenced block: what stands behind the fence, and the lines in it.
struct Block<'t> {
    info: &'t str,
    text: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = vec![];
    let mut open = false;
    for line in page.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(info), false) => {
                found.push(Block { info, text: String::new() });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                let block = found.last_mut().expect("a block is open");
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    found
}

/// Tells one story on one server; returns how many of its blocks did something.
fn tell(name: &str, server: &PostgresServer) -> usize {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/stories").join(name);
    let page = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let url = server.database();
    let project = Project::new(&url);
    let mut client = Client::connect(&url);
    let blocks = blocks(&page);
    for block in &blocks {
        let (kind, rest) = block.info.split_once(' ').unwrap_or((block.info, ""));
        match (kind, rest.split_once(' ').unwrap_or((rest, ""))) {
            ("sh", _) => {
                for line in block.text.lines() {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    assert_eq!(words[0], "segue", "{name}: {line}");
                    project.segue.ok(&words[1..]);
                }
            }
            ("sql", ("setup" | "run", _)) => client.batch(&block.text),
            ("sql", ("file", file)) => {
                project.write(file.strip_prefix("migrations/").expect("a file of the migrations"), &block.text);
            }
            ("sql", ("is", expected)) => {
                let statements: Vec<&str> = block.text.trim().trim_end_matches(';').split(";\n").collect();
                let (question, before) = statements.split_last().expect("a block has a statement");
                before.iter().for_each(|sql| client.batch(sql));
                let found = client.value(question).unwrap_or_default();
                assert_eq!(found, expected, "{name} on PostgreSQL {}: {question}", server.major());
            }
            _ => panic!("{name}: a block `{}` is none that this test knows", block.info),
        }
    }
    blocks.len()
}

fn told(name: &str) {
    for server in segue_testkit::oldest_and_newest_postgres() {
        assert!(tell(name, server) > 6, "{name} has become short");
    }
}

#[test]
fn a_column_is_renamed_across_two_deploys() {
    told("rename-a-column.md");
}

#[test]
fn a_primary_key_with_children_becomes_wide() {
    told("bigint-primary-key.md");
}

#[test]
fn a_table_is_extracted() {
    told("extract-a-table.md");
}
