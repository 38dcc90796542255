//! What the sync triggers cost a bulk UPDATE of the application.

use std::time::Instant;

use segue_testkit::client::Client;
use segue_testkit::postgres::PostgresServer;

use crate::figure::{Bar, Figure};
use crate::people::{Key, People};

/// Rows of the UPDATE.
const ROWS: u64 = 300_000;
const OF_THE_PAIR: &str = "UPDATE people SET first_name = first_name || 'x' WHERE id <= 300000";
const OF_ANOTHER: &str = "UPDATE people SET note = note || 'x' WHERE id <= 300000";

/// Measures each UPDATE with and without the triggers, on one table that is `ready`.
pub(crate) fn figures(server: &PostgresServer, runs: u32) -> Vec<Figure> {
    let people = People::new(server, ROWS, Key::Id);
    let applied = people.apply(&[]);
    let mut client = people.client();
    let kinds = [("column of the pair", OF_THE_PAIR, 1.4), ("another column", OF_ANOTHER, 1.15)];
    kinds
        .into_iter()
        .map(|(kind, sql, bar)| {
            let name = format!("bulk UPDATE of 300,000 rows with triggers ÷ without: {kind}");
            match &applied {
                Err(why) => Figure::broken(name, Bar::AtMost(bar), why),
                Ok(_) => {
                    let (with, without) = best(&mut client, sql, runs);
                    let note = format!("{with:.2} s and {without:.2} s");
                    Figure::new(name, with / without, Bar::AtMost(bar), note)
                }
            }
        })
        .collect()
}

/// Returns the best seconds with the triggers and without, taken there and back.
fn best(client: &mut Client, sql: &str, runs: u32) -> (f64, f64) {
    let (mut with, mut without) = (f64::INFINITY, f64::INFINITY);
    for run in 0..runs * 2 {
        let on = matches!(run % 4, 0 | 3);
        // One by one, since they are enabled ALWAYS: `DISABLE TRIGGER USER` and back would leave them otherwise.
        set_triggers(client, if on { "ENABLE ALWAYS" } else { "DISABLE" });
        client.batch("VACUUM people");
        client.batch("CHECKPOINT");
        let began = Instant::now();
        client.batch(sql);
        let seconds = began.elapsed().as_secs_f64();
        if on { with = with.min(seconds) } else { without = without.min(seconds) }
    }
    set_triggers(client, "ENABLE ALWAYS");
    (with, without)
}

fn set_triggers(client: &mut Client, how: &str) {
    let names = client
        .rows("SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = 'people'::regclass AND NOT tgisinternal");
    assert!(!names.is_empty(), "a table that is ready has triggers");
    for name in names.into_iter().flatten().flatten() {
        client.batch(&format!("ALTER TABLE people {how} TRIGGER {name}"));
    }
}
