//! Asks an address whether a run may go on.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The longest that one question may take, from the name's resolution to the answer's head.
const LIMIT: Duration = Duration::from_secs(2);

/// Returns whether `url` answers with 200. It is asked directly: no proxy of the environment, no redirect to elsewhere.
///
/// # Errors
/// Why a run has to wait, for people: names the address by scheme and host alone, since a path or query may hold a secret.
pub(crate) fn check(url: &str) -> Result<(), String> {
    let place = usable(url)?;
    let response = agent().get(url).call().map_err(|error| format!("{place} does not answer: {}", cause(&error)))?;
    match response.status().as_u16() {
        200 => Ok(()),
        other => Err(format!("{place} answers with {other}, not 200")),
    }
}

/// Returns scheme and host of an address that can be asked.
///
/// # Errors
/// What is wrong with it, without the address.
pub(crate) fn usable(url: &str) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|_| "the address is no URL".to_owned())?;
    match (uri.scheme_str(), uri.host()) {
        (Some(scheme @ ("http" | "https")), Some(host)) if !host.is_empty() => Ok(format!("{scheme}://{host}")),
        _ => Err("the address must begin with http:// or https:// and name a host".to_owned()),
    }
}

/// Returns what went wrong in words of ours: the library's own may repeat the address.
fn cause(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::Timeout(_) => "no answer within 2 s",
        ureq::Error::HostNotFound => "the host is not known",
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed => "no connection",
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "no encrypted connection",
        _ => "no usable answer",
    }
}

fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let trusted = rustls_native_certs::load_native_certs().certs;
        let roots: Vec<Certificate<'static>> =
            trusted.iter().map(|one| Certificate::from_der(one.as_ref()).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        Agent::config_builder()
            .timeout_global(Some(LIMIT))
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .tls_config(tls)
            .build()
            .into()
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with this head, and returns where.
    fn answering(head: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            let text = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(text.as_bytes()).unwrap();
        });
        format!("http://{address}/go?token=secret")
    }

    #[test]
    fn only_200_lets_go_on() {
        assert_eq!(check(&answering("200 OK")), Ok(()));
        let held = |head, says: &str| {
            let why = check(&answering(head)).unwrap_err();
            assert!(why.contains(says) && !why.contains("secret"), "{why}");
        };
        held("503 Service Unavailable", "answers with 503");
        held("204 No Content", "answers with 204");
        held("302 Found\r\nlocation: http://127.0.0.1:1/", "answers with 302");
    }

    #[test]
    fn who_does_not_answer_is_named_without_secrets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = format!("http://user:pass@{}/?token=secret", listener.local_addr().unwrap());
        let why = check(&silent).unwrap_err();
        assert_eq!(why, "http://127.0.0.1 does not answer: no answer within 2 s");
        drop(listener);
        let why = check(&silent).unwrap_err();
        assert!(why.contains("no connection") && !why.contains("secret"), "{why}");
    }

    #[test]
    fn other_schemes_are_not_asked() {
        for bad in ["", "file:///etc/passwd", "ftp://host/x", "localhost:80", "http://", "https:///x", "a b"] {
            assert!(usable(bad).is_err(), "{bad}");
        }
        assert_eq!(usable("https://u:p@status.example.org:8443/a?b"), Ok("https://status.example.org".to_owned()));
    }
}
