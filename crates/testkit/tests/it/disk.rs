//! A disk that fails a process at a counted write.

use std::process::Command;

use segue_testkit::disk::DiskFault;
use segue_testkit::skipped;

/// Two writes by `dd`, each of four bytes; returns whether it ended well, what is in the file, and the count.
fn written(fault: DiskFault) -> Option<(bool, String, String)> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (input, output, count) = (folder.path().join("in"), folder.path().join("out"), folder.path().join("count"));
    std::fs::write(&input, "abcdefgh").expect("the folder is ours");
    let mut dd = Command::new("dd");
    dd.arg(format!("if={}", input.display())).arg(format!("of={}", output.display())).args(["bs=4", "status=none"]);
    let status = dd.envs(fault.environment(&count)?).status().expect("every system has `dd`");
    let text = |path| std::fs::read_to_string(path).unwrap_or_default();
    Some((status.success(), text(&output), text(&count)))
}

#[test]
fn a_write_is_lost_torn_or_the_last() {
    let Some((ended, text, _)) = written(DiskFault::None) else {
        return skipped("C compiler");
    };
    assert!(ended);
    assert_eq!(text, "abcdefgh");
    assert_eq!(written(DiskFault::KilledBefore(2)).map(|it| (it.0, it.1)), Some((false, "abcd".to_owned())));
    assert_eq!(written(DiskFault::Torn(2)).map(|it| (it.0, it.1)), Some((false, "abcdef".to_owned())));
    assert_eq!(written(DiskFault::KilledAfter(1)).map(|it| (it.0, it.1)), Some((false, "abcd".to_owned())));
    assert_eq!(written(DiskFault::Full(2)).map(|it| (it.0, it.1)), Some((false, "abcd".to_owned())));
}
