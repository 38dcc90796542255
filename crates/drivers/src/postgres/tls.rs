//! Encryption as libpq's `sslmode` means it, on rustls with ring.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::CertificateError::{
    Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
};
use rustls::Error::InvalidCertificate;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use segue_model::session::{Fail, FailKind};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much is asked of the server before it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted only when the server insists.
    Allow,
    /// Encrypted when the server can.
    Prefer,
    /// Encrypted, whoever answers.
    Require,
    /// Encrypted, and signed by a known authority.
    VerifyCa,
    /// The same, and for this host.
    VerifyFull,
}

/// Everything about encryption that a URL can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsWish {
    pub(super) mode: SslMode,
    /// A file of roots; `None`: the system's.
    pub(super) roots: Option<PathBuf>,
    /// Our certificate and its key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
    /// Say the host's name in the clear.
    pub(super) sni: bool,
    /// TLS from the first byte (PostgreSQL 17).
    pub(super) direct: bool,
    /// Refuse TLS 1.2.
    pub(super) only_13: bool,
}

/// Returns what makes encrypted connections as wished.
///
/// # Errors
/// [`FailKind::Usage`] when a named file cannot be used.
pub(super) fn connector(wish: &TlsWish) -> Result<MakeRustlsConnect, Fail> {
    // A provider of our own: never the process default, which another crate may have set or not.
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = if wish.only_13 { &[&rustls::version::TLS13] } else { rustls::DEFAULT_VERSIONS };
    let verifier = verifier(wish, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| Fail::new(FailKind::Tls, error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &wish.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
            builder.with_client_auth_cert(chain, key_der).map_err(|error| unusable(certificate, &error))?
        }
    };
    config.enable_sni = wish.sni;
    if wish.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

#[derive(Debug)]
struct Verifier {
    mode: SslMode,
    provider: Arc<CryptoProvider>,
    /// `None` for the modes that trust anybody.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    roots: Vec<CertificateDer<'static>>,
}

fn verifier(wish: &TlsWish, provider: &Arc<CryptoProvider>) -> Result<Verifier, Fail> {
    if !matches!(wish.mode, SslMode::VerifyCa | SslMode::VerifyFull) {
        return Ok(Verifier { mode: wish.mode, provider: provider.clone(), authorities: None, roots: Vec::new() });
    }
    let roots = match &wish.roots {
        Some(file) => certificates(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    // A version 1 root cannot be an anchor, but still be the server's own certificate.
    store.add_parsable_certificates(roots.iter().cloned());
    let authorities = if store.is_empty() {
        None
    } else {
        let built = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone()).build();
        Some(built.map_err(|error| Fail::new(FailKind::Tls, error.to_string()))?)
    };
    if authorities.is_none() && roots.is_empty() {
        let message = "no root certificates on this system: name one with sslrootcert=FILE";
        return Err(Fail::new(FailKind::Tls, message));
    }
    Ok(Verifier { mode: wish.mode, provider: provider.clone(), authorities, roots })
}

impl Verifier {
    fn verifies(&self) -> bool {
        matches!(self.mode, SslMode::VerifyCa | SslMode::VerifyFull)
    }

    /// The server's certificate is one of the roots itself: the manual's self-signed recipe, which webpki refuses.
    fn is_pinned(&self, leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
        let known = self.roots.iter().any(|root| root == leaf);
        known
            && (self.mode == SslMode::VerifyCa
                || ParsedCertificate::try_from(leaf).is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok()))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.verifies() {
            return Ok(ServerCertVerified::assertion());
        }
        let checked = match &self.authorities {
            Some(authorities) => authorities.verify_server_cert(leaf, intermediates, name, ocsp, now),
            None => Err(InvalidCertificate(rustls::CertificateError::UnknownIssuer)),
        };
        match checked {
            Err(InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if self.mode == SslMode::VerifyCa =>
            {
                Ok(ServerCertVerified::assertion())
            }
            Err(InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })) => {
                checked
            }
            Err(_) if self.is_pinned(leaf, name) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if !self.verifies() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // With `require` a version 1 certificate must do, and webpki cannot even read one to check a signature.
        if !self.verifies() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Fail> {
    let read = CertificateDer::pem_file_iter(file).map_err(|error| unusable(file, &error))?;
    let all = read.collect::<Result<Vec<_>, _>>().map_err(|error| unusable(file, &error))?;
    if all.is_empty() {
        return Err(Fail::new(FailKind::Usage, format!("`{}` holds no certificate", file.display())));
    }
    Ok(all)
}

fn unusable(file: &Path, error: &dyn std::fmt::Display) -> Fail {
    Fail::new(FailKind::Usage, format!("`{}` cannot be used: {error}", file.display()))
}
