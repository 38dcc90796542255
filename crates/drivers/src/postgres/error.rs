//! What PostgreSQL and the way to it say, in the kinds that callers tell apart.

use std::error::Error as _;
use std::io;

use segue_model::session::{Fail, FailKind};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, ErrorPosition};

/// Returns what went wrong with `sql` on an open connection.
pub(super) fn statement(error: &Error, sql: &str) -> Fail {
    match error.as_db_error() {
        Some(said) if !lost(error) => server(said, sql),
        Some(said) => Fail { code: Some(said.code().code().to_owned()), ..Fail::new(FailKind::Lost, shown(said)) },
        None if lost(error) => Fail::new(FailKind::Lost, format!("the connection to the server is lost: {error}")),
        None => Fail::new(FailKind::Server, error.to_string()),
    }
}

/// What the driver says of a server that refuses encryption.
const WITHOUT_TLS: &str = "server does not support TLS";

/// Returns why there is no connection to `place`. The password is no part of any message here.
pub(super) fn connecting(error: &Error, place: &str) -> Fail {
    if let Some(said) = error.as_db_error() {
        let code = said.code().code();
        let kind = match code {
            "3D000" => FailKind::Usage,
            "53300" | "53400" | "57P03" | "57P01" | "57P02" => FailKind::Connect,
            _ if code.starts_with("28") => FailKind::Authentication,
            _ => server(said, "").kind,
        };
        let remedy = if code == "3D000" { "; check the database's name in the URL, or create it" } else { "" };
        let message = format!("{place}: {}{remedy}", said.message());
        return Fail { code: Some(code.to_owned()), ..Fail::new(kind, message) };
    }
    let told = told_by_tls(error);
    let text = error.to_string();
    let kind = match &told {
        Some(_) => FailKind::Tls,
        None if text.starts_with("error performing TLS handshake") => FailKind::Tls,
        None if text.starts_with("authentication error") || text.contains("password missing") => {
            FailKind::Authentication
        }
        None => FailKind::Connect,
    };
    let chain = innermost(error);
    let cause = match (told, kind) {
        (Some(told), _) => told,
        (None, FailKind::Tls) if chain == WITHOUT_TLS => {
            "this server takes no encrypted connections; switch them on there (`ssl = on`), or write sslmode=disable in \
             the URL if nobody can listen on the network between"
                .to_owned()
        }
        (None, FailKind::Authentication) if text.contains("password missing") => {
            "the server asks for a password and none is given".to_owned()
        }
        (None, _) => chain,
    };
    Fail::new(kind, format!("{place}: {cause}"))
}

/// Returns whether the connection is gone. `is_closed` alone says no for FATAL 57P01 and for a reset by the network.
fn lost(error: &Error) -> bool {
    error.is_closed()
        || error.source().is_some_and(|source| source.is::<io::Error>())
        || error.code().is_some_and(|state| {
            state.code().starts_with("08")
                || matches!(state.code(), "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04")
        })
}

fn server(said: &DbError, sql: &str) -> Fail {
    let code = said.code().code();
    let kind = if is_outdated(said) { FailKind::Serialization } else { kind(code) };
    Fail {
        kind,
        message: shown(said),
        code: Some(code.to_owned()),
        object: object(said),
        position: match said.position() {
            Some(ErrorPosition::Original(at)) => Some(byte_offset(sql, *at)),
            Some(ErrorPosition::Internal { .. }) | None => None,
        },
    }
}

/// The result of a prepared statement has other columns now. The server has no code of its own for it, only a routine.
fn is_outdated(said: &DbError) -> bool {
    said.code().code() == "0A000" && said.routine() == Some("RevalidateCachedQuery")
}

/// The kinds by SQLSTATE; what stands in no list is [`FailKind::Server`].
fn kind(code: &str) -> FailKind {
    match code {
        "55P03" => FailKind::LockTimeout,
        "40P01" => FailKind::Deadlock,
        "57014" => FailKind::Cancelled,
        "53100" => FailKind::DiskFull,
        "42501" => FailKind::Permission,
        "25006" => FailKind::ReadOnly,
        "23505" | "23P01" => FailKind::Unique,
        "23502" => FailKind::NotNull,
        "23503" => FailKind::ForeignKey,
        "23514" => FailKind::Check,
        "42601" => FailKind::Syntax,
        "42P01" | "42703" | "42883" | "42704" | "3F000" | "3D000" => FailKind::Undefined,
        "42P07" | "42701" | "42710" | "42723" | "42P06" | "42P04" => FailKind::Duplicate,
        // 42804 and 42846: a value of one type where another is wanted, found before any row is read.
        "42804" | "42846" => FailKind::Conversion,
        _ if code.starts_with("40") => FailKind::Serialization,
        _ if code.starts_with("22") => FailKind::Conversion,
        _ if code.starts_with("28") => FailKind::Authentication,
        _ => FailKind::Server,
    }
}

/// Returns the message without row data: DETAIL is left out, and what a data exception quotes is a value.
fn shown(said: &DbError) -> String {
    if said.code().code().starts_with("22") { without_quoted(said.message()) } else { said.message().to_owned() }
}

/// Returns the text with what stands in quotes, of whatever language, replaced by `…`.
fn without_quoted(text: &str) -> String {
    const QUOTES: [(char, &[char]); 5] =
        [('"', &['"']), ('«', &['»']), ('„', &['“', '”']), ('“', &['”']), ('»', &['«'])];
    let Some((open, (_, close))) =
        text.char_indices().find_map(|(at, c)| QUOTES.iter().find(|(quote, _)| *quote == c).map(|q| (at, q)))
    else {
        return text.to_owned();
    };
    // The value may itself hold quotes: everything up to the last one goes.
    let end = text.rfind(*close).filter(|end| *end > open).map_or(text.len(), |end| end);
    let rest = text[end..].chars().skip(1).collect::<String>();
    format!("{}…{rest}", &text[..open])
}

fn object(said: &DbError) -> Option<String> {
    said.constraint().or(said.column()).or(said.table()).or(said.datatype()).or(said.schema()).map(ToOwned::to_owned)
}

/// Returns the byte offset of the server's position, which counts characters from 1.
fn byte_offset(sql: &str, position: u32) -> usize {
    let skip = usize::try_from(position).unwrap_or(usize::MAX).saturating_sub(1);
    sql.char_indices().nth(skip).map_or(sql.len(), |(at, _)| at)
}

/// Returns the last cause, which says the most: `Connection refused (os error 111)`.
fn innermost(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Returns what is wrong with the server's certificate and what to do about it.
fn told_by_tls(error: &Error) -> Option<String> {
    use rustls::CertificateError as Wrong;
    let tls = tls_error(error)?;
    let text = match tls {
        rustls::Error::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => {
            "the server's certificate is not for this host (its subjectAltName does not name it; a common name alone \
             does not count); reissue it, or use sslmode=verify-ca"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(Wrong::UnknownIssuer) => {
            "the server's certificate is not signed by a known authority; name its root with sslrootcert=FILE, or use \
             sslmode=require to encrypt without knowing the server"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. }) => {
            "the server's certificate has expired".to_owned()
        }
        rustls::Error::InvalidCertificate(Wrong::NotValidYet | Wrong::NotValidYetContext { .. }) => {
            "the server's certificate is not valid yet".to_owned()
        }
        rustls::Error::InvalidCertificate(other) => format!(
            "the server's certificate is refused ({other:?}); a self-signed or version 1 certificate must be named by \
             sslrootcert=FILE or be reissued with a subjectAltName, or use sslmode=require"
        ),
        other => format!("no encrypted connection: {other}"),
    };
    Some(text)
}

/// Finds rustls' own error below the I/O errors that wrap it; their `source` skips what they hold.
fn tls_error(error: &Error) -> Option<&rustls::Error> {
    let mut cause = error.source();
    while let Some(at) = cause {
        if let Some(tls) = at.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        let held = at.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = held.and_then(|held| held.downcast_ref::<rustls::Error>()) {
            return Some(tls);
        }
        cause = at.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_exception_does_not_show_the_value() {
        let said = "invalid input syntax for type integer: \"4111 \"1111\" secret\"";
        assert_eq!(without_quoted(said), "invalid input syntax for type integer: …");
        assert_eq!(
            without_quoted("value \"99999999999\" is out of range for type integer"),
            "value … is out of range for type integer"
        );
        assert_eq!(without_quoted("division by zero"), "division by zero");
        assert_eq!(without_quoted("ungültig: „geheim“"), "ungültig: …");
    }

    #[test]
    fn positions_count_characters_and_become_bytes() {
        assert_eq!(byte_offset("select 'é', nope", 13), 13);
        assert_eq!(byte_offset("é", 9), 2);
    }
}
