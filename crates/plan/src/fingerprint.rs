//! The hash of a plan: what was reviewed is what runs.

use segue_model::plan::Plan;
use segue_model::plan_file::steps_to_json;
use sha2::{Digest, Sha256};

/// Returns `sha256:<hex>` over all that decides what is done: the steps, the structure and the settings that they were
/// made for, the migration, the engine and its major version. Row counts, sizes and minor versions do not enter.
pub fn fingerprint(plan: &Plan) -> String {
    let steps = steps_to_json(&plan.steps);
    let decisive = (
        plan.engine,
        &plan.server_major,
        &plan.migration,
        &plan.checksum,
        plan.strategy,
        &plan.tables,
        &plan.shape,
        &plan.settings,
        &steps,
    );
    let json = serde_json::to_string(&decisive).expect("a plan holds only what JSON can hold");
    let digest = Sha256::digest(json.as_bytes());
    digest.iter().fold(String::from("sha256:"), |hash, byte| hash + &format!("{byte:02x}"))
}

/// Returns whether a plan still is what its hash was taken over.
pub fn verify(plan: &Plan) -> bool {
    fingerprint(plan) == plan.hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use segue_model::sql::Sql;
    use segue_model::step::Action;

    #[test]
    fn what_decides_what_is_done_changes_the_hash_and_evidence_does_not() {
        let plan = fixture::plan();
        let hash = fingerprint(&plan);
        assert_eq!(hash.len(), "sha256:".len() + 64);
        let changed = |change: &dyn Fn(&mut Plan)| {
            let mut other = plan.clone();
            change(&mut other);
            fingerprint(&other) != hash
        };
        assert!(!changed(&|p| p.evidence.rows.clear()));
        assert!(!changed(&|p| p.evidence.server_version = "15.21".into()));
        assert!(!changed(&|p| p.notes.clear()));
        assert!(!changed(&|p| p.verdicts.clear()));
        assert!(changed(&|p| p.steps[0].action = Action::Sql(vec![Sql::fixed("DROP TABLE users")])));
        assert!(changed(&|p| p.steps[1].on_interrupted.push(Sql::fixed("SELECT 1"))));
        assert!(changed(&|p| p.steps[0].tries = None));
        assert!(changed(&|p| p.shape.push('x')));
        assert!(changed(&|p| p.settings.insert("TimeZone".into(), "CET".into()).map_or((), drop)));
        assert!(changed(&|p| p.checksum.push('x')));
        assert!(changed(&|p| p.server_major = "16".into()));
    }

    #[test]
    fn a_plan_that_was_edited_is_seen() {
        let mut plan = fixture::plan();
        plan.hash = fingerprint(&plan);
        assert!(verify(&plan));
        plan.steps.pop();
        assert!(!verify(&plan));
    }
}
