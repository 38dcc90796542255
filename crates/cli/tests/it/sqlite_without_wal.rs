//! A SQLite file without a write-ahead log, where each COMMIT waits for the disk several times.

use std::path::Path;

use segue_testkit::sqlite::{TempDatabase, connect};

use crate::project::Project;

const UP: &str = "ALTER TABLE items ADD COLUMN label text;
UPDATE items SET label = coalesce(name, '') || '!';
";
const ROWS: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO items WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 400) SELECT n, 'x' FROM n;
PRAGMA journal_mode = DELETE";

/// Returns how many transactions have changed the file, as its header counts them: bytes 24 to 27
/// (<https://www.sqlite.org/fileformat2.html#file_change_counter>).
fn transactions(file: &Path) -> u32 {
    let header = std::fs::read(file).expect("the file is there");
    u32::from_be_bytes(header[24..28].try_into().expect("four bytes"))
}

#[test]
fn what_a_commit_costs_does_not_make_windows_small() {
    let file = TempDatabase::new(ROWS);
    let project = Project::new(&file.url());
    project.write("1_label.sql", UP);
    let before = transactions(&file.path());
    let applied = project.segue.run(&["apply"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let made = transactions(&file.path()) - before;
    println!("{made} transactions");
    assert!(made < 100, "{made} transactions for 400 rows");
    let sql = "SELECT count(*) FROM items WHERE label = 'x!'";
    let filled: i64 = connect(&file.path()).query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(filled, 400);
}
