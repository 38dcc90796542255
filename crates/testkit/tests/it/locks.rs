//! The lock probe sees what a session holds.

use segue_testkit::client::Client;
use segue_testkit::each_postgres;
use segue_testkit::lockprobe::locks_of;

#[test]
fn the_strongest_lock_of_each_relation_is_listed() {
    for server in each_postgres() {
        let url = server.database();
        let mut holder = Client::connect(&url);
        holder.batch(r#"CREATE TABLE "a.b c" (id int); CREATE TABLE other (id int)"#);
        holder.batch(r#"BEGIN; SELECT * FROM other; SELECT * FROM "a.b c"; ALTER TABLE "a.b c" ADD COLUMN x int"#);
        let pid = holder.pid();
        let locks = locks_of(&mut Client::connect(&url), pid);
        let expected = [("public.a.b c", "AccessExclusiveLock"), ("public.other", "AccessShareLock")];
        assert_eq!(locks, expected.map(|(relation, mode)| (relation.to_owned(), mode.to_owned())));
    }
}
