//! Clients of both shapes at work, at random, while rows move.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use segue_testkit::client::Client;

use super::Case;

/// Rows that all clients write.
const HOT: u64 = 12;

/// A small generator of numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A value of this client, or none.
    fn text(&mut self, client: usize) -> String {
        if self.below(4) == 0 { "NULL".to_owned() } else { format!("'{client}-{}'", self.below(1_000_000)) }
    }
}

/// What a client did.
#[derive(Debug, Default)]
struct Done {
    writes: u64,
    deadlocks: u64,
}

/// Writes through the old table until it is told to end.
fn old_client(url: &str, number: usize, seed: u64, end: &AtomicBool) -> Done {
    let (mut client, mut dice, mut done) = (Client::connect(url), Dice(seed), Done::default());
    while !end.load(Ordering::Relaxed) {
        let hot = 1 + dice.below(HOT);
        let any = 1 + dice.below(2_500);
        let (street, city) = (dice.text(number), dice.text(number));
        let sql = match dice.below(10) {
            0 => format!("DELETE FROM users WHERE id = {any}"),
            1 | 2 => format!(
                "INSERT INTO users VALUES ({any}, 'n', {street}, {city}) ON CONFLICT (id) DO UPDATE SET street = EXCLUDED.street"
            ),
            3 => format!(
                "UPDATE users SET id = id + 10000 WHERE id = {any} AND NOT EXISTS (SELECT FROM users WHERE id = {any} + 10000)"
            ),
            4 => format!("UPDATE users SET name = name || '!' WHERE id BETWEEN {any} AND {any} + 5"),
            5 => format!("BEGIN; UPDATE users SET street = {street} WHERE id = {any}; ROLLBACK"),
            6 => format!(
                "BEGIN; UPDATE users SET city = {city} WHERE id = {hot}; UPDATE users SET street = {street} WHERE id = {hot}; COMMIT"
            ),
            _ => format!("UPDATE users SET street = {street}, city = {city} WHERE id = {hot}"),
        };
        note(&mut client, &sql, &mut done);
    }
    done
}

/// Writes through the new table until it is told to end.
fn new_client(url: &str, number: usize, seed: u64, end: &AtomicBool) -> Done {
    let (mut client, mut dice, mut done) = (Client::connect(url), Dice(seed), Done::default());
    while !end.load(Ordering::Relaxed) {
        let id = if dice.below(2) == 0 { 1 + dice.below(HOT) } else { 1 + dice.below(2_500) };
        let (street, city) = (dice.text(number), dice.text(number));
        let sql = match dice.below(6) {
            0 => format!("DELETE FROM addresses WHERE user_id = {id}"),
            1 | 2 => format!(
                "INSERT INTO addresses (user_id, street, city) SELECT id, {street}, {city} FROM users WHERE id = {id}
                 ON CONFLICT (user_id) DO UPDATE SET street = EXCLUDED.street"
            ),
            _ => format!("UPDATE addresses SET street = {street}, city = {city} WHERE user_id = {id}"),
        };
        note(&mut client, &sql, &mut done);
    }
    done
}

/// A user may be gone when their address comes: that is the foreign key's word, and not ours.
fn note(client: &mut Client, sql: &str, done: &mut Done) {
    match client.try_batch(sql) {
        Ok(()) => done.writes += 1,
        Err(error) => {
            drop(client.try_batch("ROLLBACK"));
            match error.code.as_str() {
                "40P01" => done.deadlocks += 1,
                "23503" => {}
                _ => panic!("a write failed: {error}\n{sql}"),
            }
        }
    }
}

/// Rows whose two shapes do not agree, by a query that knows nothing of ours.
const BEFORE: &str =
    "SELECT coalesce(u.id, a.user_id)::text FROM users AS u FULL JOIN addresses AS a ON a.user_id = u.id
    WHERE CASE WHEN u.street IS NULL THEN a.user_id IS NOT NULL
      ELSE a.user_id IS NULL OR a.street IS DISTINCT FROM u.street OR a.city IS DISTINCT FROM u.city END";
const AFTER: &str =
    "SELECT coalesce(u.id, a.user_id)::text FROM users AS u FULL JOIN addresses AS a ON a.user_id = u.id
    WHERE CASE WHEN a.user_id IS NULL THEN u.street IS NOT NULL
      ELSE u.id IS NULL OR a.street IS DISTINCT FROM u.street OR a.city IS DISTINCT FROM u.city END";

#[test]
fn no_write_is_lost_or_fails_while_rows_move_and_after_the_direction_turned() {
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_secs());
    println!("seed {seed}");
    for server in segue_testkit::oldest_and_newest_postgres() {
        let mut case = Case::addresses(server);
        case.client.batch("INSERT INTO users SELECT n, 'n', 's' || n, 'c' || n FROM generate_series(501, 20000) AS n");
        let end = AtomicBool::new(false);
        let url = case.url.clone();
        let done = std::thread::scope(|scope| {
            let (url, end) = (&url, &end);
            let clients: Vec<_> =
                (0..4).map(|number| scope.spawn(move || old_client(url, number, seed + number as u64, end))).collect();
            case.go_to("ready");
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until {
                assert_eq!(case.lines(BEFORE), Vec::<String>::new(), "each snapshot agrees");
            }
            case.run("verify");
            case.run("flip");
            let new: Vec<_> = (10..13)
                .map(|number| scope.spawn(move || new_client(url, number, seed + number as u64, end)))
                .collect();
            let until = Instant::now() + Duration::from_secs(3);
            while Instant::now() < until {
                assert_eq!(case.lines(AFTER), Vec::<String>::new(), "each snapshot agrees after flip");
            }
            end.store(true, Ordering::Relaxed);
            let of = |clients: Vec<std::thread::ScopedJoinHandle<'_, Done>>| {
                clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<Done>>()
            };
            (of(clients), of(new))
        });
        let sum = |of: &[Done]| {
            (of.iter().map(|one| one.writes).sum::<u64>(), of.iter().map(|one| one.deadlocks).sum::<u64>())
        };
        println!("PostgreSQL {}: old {:?}, new {:?} (writes, deadlocks)", server.major(), sum(&done.0), sum(&done.1));
        // How many there are depends on the machine, and on how long a deadlock takes to be found.
        assert!(sum(&done.0).0 > 100 && sum(&done.1).0 > 10, "{done:?}");
        case.run("verify");
        case.run("contract --old-version-stopped");
        case.run("cleanup --yes --i-checked-references");
    }
}
