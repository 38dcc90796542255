//! Encrypted connections: who is trusted, and what is said when nobody is.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use segue_drivers::connector;
use segue_model::session::{Fail, FailKind};
use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer, majors};

use crate::LIMIT;

/// Makes a self-signed certificate as the manual says, and returns its text and its key's; `None` without openssl.
fn self_signed(folder: &Path, san: &str) -> Option<(String, String)> {
    let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
    let made = Command::new("openssl")
        .args(["req", "-new", "-x509", "-days", "30", "-nodes", "-subj", "/CN=localhost", "-addext", san, "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output();
    made.ok().filter(|output| output.status.success())?;
    Some((std::fs::read_to_string(certificate).unwrap(), std::fs::read_to_string(key).unwrap()))
}

fn encrypted(url: &str, parameters: &str) -> Result<bool, Fail> {
    let sign = if url.contains('?') { '&' } else { '?' };
    let connector = connector(&format!("{url}{sign}{parameters}"), &BTreeMap::new())?;
    let mut session = connector.connect("segue tls main")?;
    let rows = session.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[], LIMIT)?;
    Ok(rows[0][0].as_bool() == Some(true))
}

#[test]
fn each_sslmode_trusts_whom_libpq_trusts() {
    for major in majors() {
        // A server of its own: its settings change.
        let Some(binaries) = Binaries::find(major) else {
            segue_testkit::skipped(&format!("postgres {major}"));
            continue;
        };
        let server = PostgresServer::start(&binaries, &PostgresOptions::default());
        let url = server.database();
        let folder = tempfile::tempdir().unwrap();
        let Some((certificate, key)) = self_signed(folder.path(), "subjectAltName=DNS:localhost") else {
            return segue_testkit::skipped("openssl");
        };
        let root = folder.path().join("server.crt").display().to_string();
        let mut admin = Client::connect(&url);
        let file = |name: &str, text: &str| {
            format!(
                "COPY (SELECT line FROM unnest(string_to_array('{text}', E'\\n')) line) TO PROGRAM 'umask 077; cat > {name}'"
            )
        };
        admin.batch(&file("segue.crt", &certificate));
        admin.batch(&file("segue.key", &key));
        for sql in ["ssl_cert_file = 'segue.crt'", "ssl_key_file = 'segue.key'", "ssl = on"] {
            admin.batch(&format!("ALTER SYSTEM SET {sql}"));
        }
        admin.batch("SELECT pg_reload_conf(), pg_sleep(0.5)");
        let named = url.replace("127.0.0.1", "localhost");
        assert!(!encrypted(&url, "sslmode=disable").unwrap());
        assert!(encrypted(&url, "sslmode=prefer").unwrap());
        assert!(encrypted(&url, "sslmode=require").unwrap());
        assert!(encrypted(&url, &format!("sslmode=verify-ca&sslrootcert={root}")).unwrap());
        assert!(encrypted(&named, &format!("sslmode=verify-full&sslrootcert={root}")).unwrap());
        let fail = encrypted(&url, &format!("sslmode=verify-full&sslrootcert={root}")).unwrap_err();
        assert_eq!(fail.kind, FailKind::Tls, "{fail}");
        let fail = encrypted(&named, "sslmode=verify-full").unwrap_err();
        assert_eq!(fail.kind, FailKind::Tls, "{fail}");
        assert!(fail.message.contains("sslrootcert"), "{fail}");
        let fail = encrypted(&named, "sslmode=verify-ca&sslrootcert=/missing").unwrap_err();
        assert_eq!(fail.kind, FailKind::Usage, "{fail}");
        admin.batch("ALTER SYSTEM RESET ssl");
        admin.batch("SELECT pg_reload_conf(), pg_sleep(0.3)");
        let fail = encrypted(&named, "sslmode=require").unwrap_err();
        assert_eq!(fail.kind, FailKind::Tls);
        assert!(fail.message.contains("write sslmode=disable"), "{fail}");
    }
}
