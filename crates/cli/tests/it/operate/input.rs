//! What is mistyped: exit code 2 with what is allowed, and nothing done.

use segue_testkit::segue::Output;

use super::slow::Slow;

#[track_caller]
fn refused(output: &Output, code: i32, says: &[&str]) {
    assert_eq!(output.code, code, "{}{}", output.stdout, output.stderr);
    for text in says {
        assert!(output.stderr.contains(text), "it does not say `{text}`:\n{}", output.stderr);
    }
}

#[test]
fn settings_name_what_is_allowed() {
    let slow = Slow::sqlite();
    let run = |arguments: &[&str]| slow.segue().run(arguments);
    for command in [&["apply", "--set"][..], &["tune"]] {
        let with = |pair: &'static str| run(&[command, &[pair]].concat());
        refused(&with("wrokers=2"), 2, &["`wrokers`", "Did you mean `workers`?"]);
        refused(&with("workers=many"), 2, &["many", "a whole number"]);
        refused(&with("workers=0"), 2, &["workers"]);
        refused(&with("window=1"), 2, &["100ms"]);
        refused(&with("only=22-6"), 2, &["22:00-06:00"]);
        refused(&with("replica_lag=soon"), 2, &["replica_lag", "500ms"]);
        refused(&with("=1"), 2, &["no setting ``"]);
        let secret = with("http=ftp://user:s3cret@host/");
        refused(&secret, 2, &["http", "https://host/path"]);
        assert!(!secret.stderr.contains("s3cret"), "{}", secret.stderr);
    }
    refused(&run(&["apply", "--set", "workers"]), 2, &["`workers` sets nothing", "KEY=VALUE"]);
    refused(&run(&["apply", "--only", "night"]), 2, &["22:00-06:00"]);
    assert_eq!(slow.status()["state"], "pending", "nothing was begun");
}

#[test]
fn times_need_a_unit() {
    let slow = Slow::sqlite();
    slow.segue().ok(&["apply", "--to", "expand"]);
    refused(&slow.segue().run(&["wait", "--until", "ready", "--timeout", "10"]), 2, &["--timeout", "10m"]);
    refused(&slow.segue().run(&["verify", "--continuous", "--every", "soon"]), 2, &["--every", "30s"]);
    refused(&slow.segue().run(&["wait", "--until", "done"]), 2, &["expand, ready, flip"]);
    refused(&slow.segue().run(&["wait"]), 2, &["--until"]);
    refused(&slow.segue().run(&["verify", "--repair", "--retry-quarantine"]), 2, &["cannot be used with"]);
    refused(&slow.segue().run(&["apply", "--join", "--detach"]), 2, &["cannot be used with"]);
}

#[test]
fn orders_are_for_what_is_under_way() {
    let slow = Slow::sqlite();
    for command in ["pause", "resume", "tune"] {
        refused(&slow.segue().run(&[command]), 2, &["no migration is under way"]);
        refused(&slow.segue().run(&[command, "1_lable"]), 2, &["Did you mean `1_label`?"]);
        refused(&slow.segue().run(&[command, "1_label"]), 5, &["has not begun"]);
    }
    refused(&slow.segue().run(&["apply", "--join", "1_label"]), 2, &["one process write at a time"]);
}

#[test]
fn a_configuration_names_the_line_and_the_nearest() {
    let slow = Slow::sqlite();
    let with = |text: &str| {
        slow.configure(text);
        slow.segue().run(&["status"])
    };
    refused(&with("[throttle]\nreplica_lga = \"1s\"\n"), 2, &["line 5", "`replica_lga`", "`replica_lag`?"]);
    refused(&with("wrokers = 1\n"), 2, &["line 4", "[backfill]", "`workers`?"]);
    refused(&with("replica_lag = \"1s\"\n"), 2, &["line 4", "[backfill]"]);
    refused(&with("workers = []\n"), 2, &["line 4", "takes one value"]);
    refused(&with("background_above = \"many\"\n"), 2, &["line 4", "number of rows"]);
    refused(&with("background_above = 0\n"), 2, &["inline_below", "background_above"]);
    refused(&with("[trottle]\n"), 2, &["line 4", "Did you mean `throttle`?"]);
    let secret = with("[throttle]\nhttp = \"gopher://user:s3cret@host\"\n");
    refused(&secret, 2, &["line 5", "http"]);
    assert!(!secret.stderr.contains("s3cret"), "{}", secret.stderr);
    let right = with(
        "workers = 2\npacing = false\nonly = \"22:00-06:00+01:00\"\n[throttle]\nlock_waits = 3\nreplica_lag = \"2s\"\n",
    );
    assert_eq!(right.code, 0, "{}", right.stderr);
}
