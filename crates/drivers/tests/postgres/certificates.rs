//! Which certificate passes under which `sslmode`, and what is said of one that does not; logins by certificate, servers that
//! take only encrypted or only plain connections, and the binding of a login to its channel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use segue_drivers::connector;
use segue_model::session::{Fail, FailKind};
use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer, majors};
use tempfile::TempDir;

use crate::LIMIT;

/// An authority and what it has signed, as files.
struct Papers {
    folder: TempDir,
}

impl Papers {
    /// Returns an authority; `None` without openssl.
    fn new() -> Option<Self> {
        let papers = Self { folder: tempfile::tempdir().unwrap() };
        let of = |name: &str| papers.file(name).display().to_string();
        openssl(&[
            "req",
            "-new",
            "-x509",
            "-days",
            "30",
            "-nodes",
            "-subj",
            "/CN=segue test",
            "-out",
            &of("ca.crt"),
            "-keyout",
            &of("ca.key"),
        ])?;
        Some(papers)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Signs a certificate; without extensions OpenSSL makes one of version 1.
    fn sign(&self, name: &str, subject: &str, extensions: Option<&str>) {
        let of = |end: &str| self.file(&format!("{name}.{end}")).display().to_string();
        let (ca, key) = (self.file("ca.crt").display().to_string(), self.file("ca.key").display().to_string());
        openssl(&["req", "-new", "-nodes", "-subj", subject, "-out", &of("csr"), "-keyout", &of("key")]).unwrap();
        let (csr, crt, ext) = (of("csr"), of("crt"), of("ext"));
        let mut arguments = vec![
            "x509",
            "-req",
            "-days",
            "30",
            "-in",
            &csr,
            "-CA",
            &ca,
            "-CAkey",
            &key,
            "-CAcreateserial",
            "-out",
            &crt,
        ];
        if let Some(extensions) = extensions {
            std::fs::write(&ext, extensions).unwrap();
            arguments.extend(["-extfile", ext.as_str()]);
        }
        openssl(&arguments).unwrap();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    fn root(&self) -> String {
        self.file("ca.crt").display().to_string()
    }
}

fn openssl(arguments: &[&str]) -> Option<()> {
    let output = Command::new("openssl").args(arguments).output().ok()?;
    output.status.success().then_some(())
}

/// A server of its own, whose certificates and rules change.
struct Guarded {
    server: PostgresServer,
    url: String,
    admin: Client,
}

impl Guarded {
    fn start() -> Option<Self> {
        let major = majors().into_iter().rev().find(|major| Binaries::find(*major).is_some())?;
        let server = PostgresServer::start(&Binaries::find(major)?, &PostgresOptions::default());
        let url = server.database();
        let admin = Client::connect(&url);
        Some(Self { server, url, admin })
    }

    fn write(&mut self, name: &str, text: &str) {
        let lines = text.replace('\'', "''");
        self.admin.batch(&format!(
            "COPY (SELECT line FROM unnest(string_to_array('{lines}', E'\\n')) line) TO PROGRAM 'umask 077; cat > {name}'"
        ));
    }

    /// Shows this certificate from now on.
    fn shows(&mut self, papers: &Papers, name: &str) {
        self.write("segue.crt", &papers.text(&format!("{name}.crt")));
        self.write("segue.key", &papers.text(&format!("{name}.key")));
        self.write("segue-ca.crt", &papers.text("ca.crt"));
        for sql in
            ["ssl_cert_file = 'segue.crt'", "ssl_key_file = 'segue.key'", "ssl_ca_file = 'segue-ca.crt'", "ssl = on"]
        {
            self.admin.batch(&format!("ALTER SYSTEM SET {sql}"));
        }
        self.admin.batch("SELECT pg_reload_conf(), pg_sleep(0.4)");
    }

    /// Lets in by these rules first.
    fn rules(&mut self, rules: &str) {
        let file = self.admin.value("SHOW hba_file").unwrap();
        let known = std::fs::read_to_string(Path::new(&file)).unwrap();
        let known = known.lines().filter(|line| !line.contains("guarded")).collect::<Vec<_>>().join("\n");
        self.write("pg_hba.conf", &format!("{rules}\n{known}"));
        self.admin.batch("SELECT pg_reload_conf(), pg_sleep(0.4)");
    }

    fn named(&self) -> String {
        self.url.replace("127.0.0.1", "localhost")
    }

    fn as_role(&self, role: &str) -> String {
        self.server.as_role(&self.named(), role)
    }
}

fn encrypted(url: &str, parameters: &str) -> Result<bool, Fail> {
    let sign = if url.contains('?') { '&' } else { '?' };
    let connector = connector(&format!("{url}{sign}{parameters}"), &BTreeMap::new())?;
    let mut session = connector.connect("segue tls main")?;
    let rows = session.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[], LIMIT)?;
    Ok(rows[0][0].as_bool() == Some(true))
}

/// Says `ok`, or what was said.
fn outcome(result: Result<bool, Fail>) -> String {
    match result {
        Ok(true) => "ok".to_owned(),
        Ok(false) => "not encrypted".to_owned(),
        Err(fail) => fail.message,
    }
}

#[test]
fn each_certificate_passes_where_it_should_and_what_is_wrong_with_it_is_said() {
    let (Some(papers), Some(mut guarded)) = (Papers::new(), Guarded::start()) else {
        return segue_testkit::skipped("openssl or postgres");
    };
    papers.sign("named", "/CN=other", Some("subjectAltName=DNS:localhost"));
    papers.sign("common", "/CN=localhost", Some("basicConstraints=CA:FALSE"));
    papers.sign("old", "/CN=localhost", None);
    let root = papers.root();
    for (certificate, mode, expected) in [
        ("named", "require", "ok"),
        ("named", "verify-ca", "ok"),
        ("named", "verify-full", "ok"),
        ("common", "require", "ok"),
        ("common", "verify-ca", "ok"),
        ("common", "verify-full", "subjectAltName"),
        ("old", "require", "ok"),
        ("old", "verify-ca", "version 1"),
        ("old", "verify-full", "version 1"),
    ] {
        guarded.shows(&papers, certificate);
        // libpq reads a root that is there also under `require`; here none is named for it.
        let roots = if mode == "require" { String::new() } else { format!("&sslrootcert={root}") };
        let said = outcome(encrypted(&guarded.named(), &format!("sslmode={mode}{roots}")));
        assert!(said.contains(expected), "{certificate} under {mode}: {said}");
    }
    guarded.shows(&papers, "named");
    let other = outcome(encrypted(&guarded.url, &format!("sslmode=verify-full&sslrootcert={root}")));
    assert!(other.contains("not for this host"), "{other}");
    let unknown = outcome(encrypted(&guarded.named(), "sslmode=verify-full&sslrootcert=system"));
    assert!(unknown.contains("sslrootcert") || unknown.contains("no root certificates"), "{unknown}");
}

#[test]
fn logins_by_certificate_by_channel_and_by_rules_that_want_one_kind_of_connection() {
    let (Some(papers), Some(mut guarded)) = (Papers::new(), Guarded::start()) else {
        return segue_testkit::skipped("openssl or postgres");
    };
    papers.sign("named", "/CN=other", Some("subjectAltName=DNS:localhost"));
    papers.sign("guarded_cert", "/CN=guarded_cert", Some("basicConstraints=CA:FALSE"));
    guarded.shows(&papers, "named");
    guarded.admin.batch(
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE guarded_cert LOGIN; CREATE ROLE guarded_plain LOGIN; \
         CREATE ROLE guarded_ssl LOGIN PASSWORD 'pässword'",
    );
    guarded.rules(
        "hostssl all guarded_cert 127.0.0.1/32 cert\nhostssl all guarded_cert ::1/128 cert\nhostnossl all guarded_plain \
         127.0.0.1/32 trust\nhostnossl all guarded_plain ::1/128 trust\nhostssl all guarded_ssl 127.0.0.1/32 \
         scram-sha-256\nhostssl all guarded_ssl ::1/128 scram-sha-256\nhost all guarded_cert,guarded_plain,guarded_ssl all reject",
    );
    let roots = format!("sslmode=verify-full&sslrootcert={}", papers.root());
    let ours = format!(
        "{roots}&sslcert={}&sslkey={}",
        papers.file("guarded_cert.crt").display(),
        papers.file("guarded_cert.key").display()
    );
    assert!(encrypted(&guarded.as_role("guarded_cert"), &ours).unwrap());
    let without = encrypted(&guarded.as_role("guarded_cert"), &roots).unwrap_err();
    assert_eq!(without.kind, FailKind::Authentication, "{without}");
    // psql gets in with `prefer`, which goes back to a plain connection where the server wants one.
    assert!(!encrypted(&guarded.as_role("guarded_plain"), "sslmode=prefer").unwrap());
    assert!(encrypted(&guarded.as_role("guarded_plain"), "sslmode=require").is_err());
    let bound = "channel_binding=require&password=p%C3%A4ssword";
    assert!(encrypted(&guarded.as_role("guarded_ssl"), &format!("{roots}&{bound}")).unwrap());
    assert!(encrypted(&guarded.as_role("guarded_ssl"), &format!("sslmode=disable&{bound}")).is_err());
}
