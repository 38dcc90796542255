//! What does not move, and why.

use super::{Case, DOWN, SETUP, UP};

/// Returns what `segue plan` says to a file.
#[track_caller]
fn refusal(up: &str, down: &str) -> String {
    let Some(server) = segue_testkit::oldest_and_newest_postgres().into_iter().next() else { return String::new() };
    let case = Case::new(server, SETUP, up, down);
    let told = case.project.segue.run(&["plan"]);
    assert_eq!(told.code, 1, "{}{}", told.stdout, told.stderr);
    told.stderr
}

#[track_caller]
fn says(up: &str, down: &str, words: &[&str]) {
    let told = refusal(up, down);
    if told.is_empty() {
        return println!("skipped: no postgres");
    }
    for word in words {
        assert!(told.contains(word), "`{word}` is not in: {told}");
    }
}

#[test]
fn what_could_refuse_a_write_of_old_code() {
    let with = |old: &str, new: &str| UP.replacen(old, new, 1);
    says(&with("bigint NOT NULL UNIQUE", "bigint NOT NULL"), DOWN, &["UNIQUE", "user_id"]);
    says(&with("city text\n", "city varchar(10)\n"), DOWN, &["may not fit", "city"]);
    says(&with("city text\n", "city text NOT NULL\n"), DOWN, &["`city` can be NULL", "WHERE city IS NOT NULL"]);
    says(&with("city text\n", "city text UNIQUE\n"), DOWN, &["a key over `city`"]);
    says(&with("city text\n", "city text CHECK (city <> '')\n"), DOWN, &["CHECK"]);
    says(&with("city text\n", "city text, country text NOT NULL\n"), DOWN, &["addresses.country"]);
    says(&with("WHERE street IS NOT NULL", "WHERE CAST(street AS int) = 1"), DOWN, &["raise"]);
}

#[test]
fn what_is_not_known_or_not_one_way() {
    let copy = UP.replacen("ALTER TABLE users DROP COLUMN street, DROP COLUMN city;\n", "", 1);
    says(&copy, "", &["Drop in this file"]);
    let spelled = UP.replacen("SELECT id, street, city", "SELECT id, street, upper(city)", 1);
    says(&spelled, "", &["users.city", "UPDATE", "the down file"]);
    let both = format!(
        "{UP}-- segue: rows users(id, street) from addresses(user_id, street) on users.id = addresses.user_id\n"
    );
    says(&both, DOWN, &["wait for each other"]);
    says(&UP.replacen("SELECT id, street, city", "SELECT id, strete, city", 1), DOWN, &["strete", "street"]);
    says(&UP.replacen("(user_id, street, city)", "(user_id, strete, city)", 1), DOWN, &["strete", "street"]);
}
