//! Input that nobody meant: it is refused in words, and quickly.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use segue_model::change::{Change, Migration};
use segue_model::engine::Engine;
use segue_model::ident::MigrationId;
use segue_parse::{Problem, ProblemKind, Source, migration};

fn read(engine: Engine, text: &[u8]) -> Result<Migration, Vec<Problem>> {
    migration(engine, MigrationId::new("m").expect("a letter is an id"), &Source { file: "m.sql", text }, None)
}

const SAMPLES: [(Engine, &str); 4] = [
    (
        Engine::Postgres,
        "-- segue: users.full_name = lower(first_name)\nALTER TABLE users ADD COLUMN full_name text DEFAULT 'é'::text NOT NULL, \
         DROP COLUMN \"we\"\"ird\";\nUPDATE users SET (full_name, b) = (concat_ws(' ', a, E'\\n'), $$x$$) WHERE full_name IS NULL;\n\
         /* a /* b */ */ ALTER TABLE users ALTER COLUMN n TYPE bigint USING (n::bigint + 1) * -2;\n",
    ),
    (
        Engine::Postgres,
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a IN (1, 2) THEN 1 END; END;\n\
         -- segue: back t.a = split_part(b, ' ', 1), c = d -- x\nCREATE TABLE t (id int PRIMARY KEY);\nCOPY t FROM stdin;\n1\n\\.\n",
    ),
    (
        Engine::Sqlite,
        "-- segue: users.[full name] = coalesce(a, '') || x'0f'\nALTER TABLE users ADD COLUMN full_name VARCHAR(10, 2) DEFAULT -1 NOT NULL;\n\
         UPDATE users SET (full_name, `b`) = (a || ' é', CAST(b AS TEXT)) WHERE full_name IS NULL;\nALTER TABLE users DROP COLUMN a;\n",
    ),
    (
        Engine::Sqlite,
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET a = CASE WHEN 1 THEN 2 END; SELECT 1; END;\n\
         CREATE TABLE t (id INTEGER PRIMARY KEY, b GENERATED ALWAYS AS (id + 1)) STRICT; PRAGMA user_version = 1;\nALTER TABLE t ALTER a SET NOT NULL;",
    ),
];

#[test]
fn no_truncation_and_no_mutation_makes_a_panic() {
    let seed = 20_261_120;
    let mut random = fastrand::Rng::with_seed(seed);
    let bits: [&[u8]; 20] = [
        b"'",
        b"\"",
        b"$$",
        b"(",
        b")",
        b";",
        b"--",
        b"/*",
        b"*/",
        b"\\",
        b"\0",
        b"\xff",
        "é".as_bytes(),
        b"segue:",
        b",",
        b"=",
        b"[",
        b"`",
        b"\n",
        b" SELECT ",
    ];
    for (engine, sample) in SAMPLES {
        for end in 0..sample.len() {
            check(engine, &sample.as_bytes()[..end]);
            check(engine, &sample.as_bytes()[end..]);
        }
        for _ in 0..1500 {
            let mut text = sample.as_bytes().to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(0..text.len());
                let cut = random.usize(0..4).min(text.len() - at);
                let bit = bits[random.usize(0..bits.len())];
                text.splice(at..at + cut, bit.iter().copied());
            }
            check(engine, &text);
        }
    }
}

/// Every result must name a place that is in the file.
fn check(engine: Engine, text: &[u8]) {
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    match read(engine, text) {
        Ok(migration) => {
            for change in &migration.changes {
                assert!(change.at.line as usize <= lines);
                assert!(change.statement.is_some_and(|at| at < migration.statements.len()));
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.at.line as usize <= lines && problem.at.line > 0 && problem.at.column > 0);
                assert!(!problem.hint().is_empty() && !problem.to_string().is_empty());
                if let Some((start, end)) = problem.span {
                    assert!(start <= end && end <= text.len(), "{problem:?}");
                }
            }
        }
    }
}

fn dump(engine: Engine) -> String {
    let mut dump = String::new();
    for row in 0..40_000 {
        writeln!(dump, "INSERT INTO t (id, name, note) VALUES ({row}, 'it''s; row {row}', 'é {} ü');", "x".repeat(50))
            .expect("a string takes all that is written");
    }
    if engine == Engine::Postgres {
        dump.push_str("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $b$ BEGIN x := ';'; END $b$;\n");
    }
    dump
}

#[test]
fn a_file_of_five_megabytes_is_read_in_seconds() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let dump = dump(engine);
        assert!(dump.len() > 4_500_000);
        let start = Instant::now();
        let migration = read(engine, dump.as_bytes()).unwrap();
        assert!(migration.changes.len() >= 40_000);
        assert!(matches!(&migration.changes[0].what, Change::NotYet { what, .. } if what == "INSERT INTO"));
        assert_eq!(migration.changes[39_999].at.line, 40_000);
        let one_line = dump.replace('\n', " ");
        assert_eq!(read(engine, one_line.as_bytes()).unwrap().changes.len(), migration.changes.len());
        assert!(start.elapsed() < Duration::from_secs(20), "{engine:?} took {:?}", start.elapsed());
    }
}

#[test]
fn an_error_at_the_end_of_a_large_file_is_found() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let text = format!("{}ALTER TABEL x;", dump(engine));
        let problems = read(engine, text.as_bytes()).unwrap_err();
        assert_eq!((problems.len(), problems[0].at.column), (1, 7));
        assert!(problems[0].at.line > 40_000);
    }
}

#[test]
fn one_huge_broken_statement_is_refused_at_its_error() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let values = "(1, 'x'), ".repeat(100_000);
        let text = format!("INSERT INTO t VALUES {values} (2 3);");
        let problems = read(engine, text.as_bytes()).unwrap_err();
        assert_eq!(problems[0].span.unwrap().0, text.len() - 3, "{:?}", problems[0]);
    }
}

#[test]
fn garbage_is_not_reported_without_end() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let problems = read(engine, "x;\n".repeat(1000).as_bytes()).unwrap_err();
        assert_eq!(problems.len(), 20);
    }
    assert!(matches!(read(Engine::Sqlite, b"\xff").unwrap_err()[0].kind, ProblemKind::NotUtf8));
}

#[test]
fn deep_nesting_breaks_nothing() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        for depth in [100, 20_000] {
            let deep =
                format!("ALTER TABLE t ADD a int; UPDATE t SET a = {}b{};", "(".repeat(depth), ")".repeat(depth));
            check(engine, deep.as_bytes());
            let sum = format!("ALTER TABLE t ADD a int; UPDATE t SET a = {}b;", "b + ".repeat(depth));
            check(engine, sum.as_bytes());
            let comments = "/*".repeat(depth);
            check(engine, comments.as_bytes());
        }
    }
}

#[test]
fn an_empty_file_wants_nothing() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        for text in ["", ";", " ;; \n -- a remark", "/* x */"] {
            let migration = read(engine, text.as_bytes()).unwrap();
            assert!(migration.changes.is_empty() && migration.statements.is_empty());
        }
    }
}
