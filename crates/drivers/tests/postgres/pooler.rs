//! Behind a pooler: which one hands backends around is found out, and cancelling does it no harm.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_drivers::connector;
use segue_model::session::{FailKind, Session};
use segue_testkit::postgres::{Pooler, PostgresServer, majors, postgres};

use crate::LIMIT;

/// One server is enough: the pooler is what is tested.
fn server() -> Option<&'static PostgresServer> {
    majors().into_iter().rev().find_map(postgres)
}

fn behind(pooler: &Pooler, server: &PostgresServer) -> Box<dyn Session> {
    let url = pooler.through(server, &server.database());
    connector(&url, &BTreeMap::new()).unwrap().connect("segue look").unwrap()
}

#[test]
fn a_pooler_in_transaction_mode_is_found_out() {
    let Some(server) = server() else { return };
    let Some(pooler) = Pooler::start(server, "transaction") else { return };
    let mut session = behind(&pooler, server);
    assert!(session.server().unwrap().pooled);
    // What is asked without a backend of one's own is answered all the same.
    let rows = session.query("SELECT 1", &[], LIMIT).unwrap();
    assert_eq!(rows.len(), 1);
}

/// Some releases of `PgBouncer` end as a whole when a request to cancel is closed before it was taken.
#[test]
fn cancelling_through_a_pooler_ends_the_statement_and_leaves_the_pooler_alone() {
    let Some(server) = server() else { return };
    let Some(pooler) = Pooler::start(server, "transaction") else { return };
    for _ in 0..5 {
        let mut session = behind(&pooler, server);
        let fail = session.query("SELECT pg_sleep(20)", &[], Duration::from_millis(300)).unwrap_err();
        assert!(matches!(fail.kind, FailKind::Deadline | FailKind::Cancelled), "{fail}");
    }
    assert!(behind(&pooler, server).server().unwrap().pooled);
}
