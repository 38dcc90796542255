//! Tests of the resolver: what libpq would find, found.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn found(text: &str) -> Target {
    resolve(text, &env(&[])).unwrap_or_else(|fail| panic!("{text}: {fail}"))
}

#[track_caller]
fn refused(text: &str, part: &str) {
    let fail = resolve(text, &env(&[])).err().unwrap_or_else(|| panic!("{text} is taken"));
    assert_eq!(fail.kind, FailKind::Usage);
    assert!(fail.message.contains(part), "{}", fail.message);
    assert!(!fail.message.contains("hunter2"), "{}", fail.message);
}

fn tcp(name: &str) -> Place {
    Place::Tcp { name: name.to_owned(), address: name.parse().ok() }
}

#[test]
fn a_url_is_taken_apart() {
    let target = found("postgresql://me%40x:p%3Aw%2F@db.example:5433/sh%20op?options=-c%20a%3Db&connect_timeout=3");
    assert_eq!((target.user.as_str(), target.database.as_str()), ("me@x", "sh op"));
    assert_eq!((&target.hosts[0].place, target.hosts[0].port), (&tcp("db.example"), 5433));
    assert_eq!(target.hosts[0].password.as_deref(), Some("p:w/"));
    assert_eq!((target.options.as_deref(), target.connect_timeout), (Some("-c a=b"), Duration::from_secs(3)));
    assert_eq!(target.address(), "postgres://me@x@db.example:5433/sh op");
    let two = found("postgres://me@a:1,[::1]:2/db?target_session_attrs=read-write");
    let hosts: Vec<_> = two.hosts.iter().map(Host::shown).collect();
    assert_eq!((hosts.join(" ").as_str(), two.attrs), ("a:1 [::1]:2", SessionAttrs::ReadWrite));
    assert_eq!(found("postgres://me@%2Fsock%2Fdir/db").hosts[0].place, Place::Socket("/sock/dir".into()));
    assert_eq!(found("postgres://me@/db?host=/sock").hosts[0].place, Place::Socket("/sock".into()));
}

#[test]
fn a_keyword_string_is_taken_apart() {
    assert!(is_keyword_string("host = x") && !is_keyword_string("mysql") && !is_keyword_string("x=y"));
    let target = found(r"host=db port = 5433 user='it\'s me' password='a b\\' dbname=x");
    assert_eq!((target.user.as_str(), target.hosts[0].password.as_deref()), ("it's me", Some(r"a b\")));
    refused("host='x", "not closed");
}

#[test]
fn variables_fill_what_the_url_leaves_out() {
    let env = env(&[
        ("PGHOST", "h"),
        ("PGPORT", "77"),
        ("PGUSER", "u"),
        ("PGDATABASE", "d"),
        ("PGPASSWORD", "w"),
        ("PGSSLMODE", "disable"),
    ]);
    let target = resolve("postgres://", &env).unwrap();
    assert_eq!(target.address(), "postgres://u@h:77/d");
    assert_eq!((target.hosts[0].tls.mode, target.hosts[0].password.as_deref()), (SslMode::Disable, Some("w")));
    assert_eq!(resolve("postgres://x@y:1/z", &env).unwrap().address(), "postgres://x@y:1/z");
    assert_eq!(found("postgres://me@h").database, "me");
}

#[test]
fn a_service_and_a_password_file_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let services = dir.path().join("services");
    fs::write(&services, "[other]\nhost=no\n# x\n[shop]\nhost=db\nuser=svc\ndbname=a:b\n").unwrap();
    let words = dir.path().join("words");
    fs::write(&words, "#c\nno:*:*:*:no\ndb:5432:a\\:b:svc:s\\:e\\\\c:ret\n").unwrap();
    fs::set_permissions(&words, fs::Permissions::from_mode(0o600)).unwrap();
    let mut env = env(&[("PGSERVICE", "shop"), ("PGHOST", "ignored")]);
    env.insert("PGSERVICEFILE".into(), services.display().to_string());
    env.insert("PGPASSFILE".into(), words.display().to_string());
    let target = resolve("postgres://", &env).unwrap();
    assert_eq!(target.address(), "postgres://svc@db:5432/a:b");
    assert_eq!(target.hosts[0].password.as_deref(), Some("s:e\\c:ret"));
    fs::set_permissions(&words, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(resolve("postgres://", &env).err().unwrap().message.contains("chmod 600"));
    env.insert("PGSERVICE".into(), "gone".into());
    assert!(resolve("postgres://", &env).err().unwrap().message.contains("no service `gone`"));
}

#[test]
fn the_network_is_verified_and_the_own_machine_is_not() {
    let mode = |url: &str| found(url).hosts[0].tls.mode;
    assert_eq!(mode("postgres://me@db.example/x"), SslMode::VerifyFull);
    assert_eq!(mode("postgres://me@10.0.0.1/x"), SslMode::VerifyFull);
    assert_eq!(mode("postgres://me@db.example/x?sslmode=require"), SslMode::Require);
    assert_eq!(mode("postgres://me@db.example/x?sslmode=require&sslrootcert=/r"), SslMode::VerifyCa);
    for local in ["localhost", "127.0.0.1", "[::1]"] {
        assert_eq!(mode(&format!("postgres://me@{local}/x")), SslMode::Prefer);
    }
    assert_eq!(mode("postgres://me@%2Ftmp/x?sslmode=verify-full"), SslMode::Disable);
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    refused("postgres://me:hunter2@h/x?sslmod=require", "did you mean `sslmode`?");
    refused("postgres://me:hunter2@h/x?pool=5", "unknown connection parameter `pool`");
    refused("postgres://me@h/x?foo=5", "unknown connection parameter `foo`");
    refused("postgres://me:hunter2@ss@h/x", "%40");
    refused("postgres://me:hunter2@h:port/x", "`port` is not a port");
    refused("postgres://me:hunter2@h/x?sslmode=on", "verify-full");
    refused("postgres://me:hunter2@h/x?sslcrl=/f", "`sslcrl`");
    refused("postgres://me:hunter2@h/x?gssencmode=require", "GSSAPI");
    refused("postgres://me:hunter2@h/x?client_encoding=LATIN1", "UTF8");
    refused("postgres://me:hunter2@a,b:1,c:2/x?port=1,2", "port");
    refused("postgres://me:hunter2@h/x?connect_timeout=soon", "whole number");
    found("postgres://me@h/x?client_encoding=utf-8&gssencmode=prefer&krbsrvname=p&sslcompression=0");
}

#[test]
fn no_part_of_a_password_is_ever_shown() {
    let refusals = [
        "postgres://app:S3cret/x@127.0.0.1:5432/db",
        "postgres://app:12345/S3cret@127.0.0.1:5432/db",
        "postgres://app:1/S3cret?x@h/db",
        "postgres://app:S3cret?x@h/db",
        "postgres://app:12345?S3cret@h/db",
        "postgres://app:12345?S3cret=x@h/db",
        "postgres://app:12345?a=b&S3cret@h/db?sslmode=require",
        "postgres://app:a@S3cret@h/db",
        "postgres://app:a@S3cret/b@h/db",
        "postgres://app:a@b/S3cret@h/db",
        "postgres://app:a@b?S3cret=c@h/db",
        "postgres://app:S3cret",
        "postgres://app:S3cret/db",
        "postgres://app:S3cret#x/y@h:1/db",
        "postgres://app@h/db?password=a&S3cret=x",
        "postgres://app@h/db?pasword=a&S3cret",
        "postgres:app:S3cret=x@h/db",
        "postgres:app:S3cret@h/db",
        "host=h password='it''s S3cret' user=me",
        "host=h password=it S3cret=x",
        "host=h pasword=it S3cret=x",
        "host=h password=it S3cret",
        "host=h password='it S3cret",
    ];
    for text in refusals {
        let fail = resolve(text, &env(&[])).err().unwrap_or_else(|| panic!("{text} is taken"));
        assert!(!format!("{fail} {fail:?}").contains("S3cret"), "{text}: {fail}");
        assert_eq!(fail.kind, FailKind::Usage);
    }
    refused("postgres://app:S3cret/x@127.0.0.1:5432/db", "write `/` as `%2F`");
    for (text, password) in [
        ("postgres://app:S3cret:x@h:1/db", "S3cret:x"),
        ("postgres://app:S3cret#x@h:1/db", "S3cret#x"),
        ("postgres://app:S3cret%2F%3F%40@h:1/db?sslmode=disable", "S3cret/?@"),
        ("postgres://h:1/db?user=app&password=S3cret@x", "S3cret@x"),
        ("host=h port=1 user=app dbname=db password='S3cret \\' @x://y'", "S3cret ' @x://y"),
    ] {
        let target = found(text);
        assert_eq!(target.hosts[0].password.as_deref(), Some(password));
        assert_eq!(target.address(), "postgres://app@h:1/db", "{text}");
    }
    let target = resolve("postgres://app@h:1/db", &env(&[("PGPASSWORD", "S3cret/@")])).unwrap();
    assert_eq!(target.address(), "postgres://app@h:1/db");
    let fail = resolve("postgres://app@h:x/db", &env(&[("PGPASSWORD", "S3cret/@")])).err().unwrap();
    assert!(!fail.message.contains("S3cret"));
}
