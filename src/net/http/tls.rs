//! Whom HTTPS trusts: the system's authorities or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, and beyond that a server
//! that shows exactly a certificate of `SSL_CERT_FILE`.
//!
//! What `openssl req -x509` makes is an authority's certificate, which the usual rules refuse as a server's. Somebody who
//! names that very file has said whom they trust: name and dates are checked, and the server proves in the handshake that
//! the key is its own.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::Certificate;
use crate::net::error_text::strip_os_error_number;

/// Names a file of certificates to trust in place of the system's.
pub(super) const CERT_FILE: &str = "SSL_CERT_FILE";
/// Names folders of them.
pub(super) const CERT_DIR: &str = "SSL_CERT_DIR";

/// Returns what does the cryptography, for every client alike.
pub(super) fn crypto_provider() -> Arc<CryptoProvider> {
    if CryptoProvider::get_default().is_none() {
        // Somebody else was first: then that one counts.
        let _ = ring::default_provider().install_default();
    }
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}

/// Sets up HTTPS, or says which setting is in the way.
pub(super) fn client_config(http1_only: bool) -> Result<ClientConfig, String> {
    let provider = crypto_provider();
    let usual = rustls_platform_verifier::Verifier::new(provider.clone()).map_err(|error| {
        certificate_setting_problem().unwrap_or_else(|| {
            format!("{error}; install the system's CA certificates, or name a file of them in {CERT_FILE}")
        })
    })?;
    let own = std::env::var_os(CERT_FILE).map(|path| load_certificates(Path::new(&path)).unwrap_or_default());
    let verifier = PinningVerifier { default_verifier: Arc::new(usual), pinned: own.unwrap_or_default() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols =
        if http1_only { vec![b"http/1.1".to_vec()] } else { vec![b"h2".to_vec(), b"http/1.1".to_vec()] };
    Ok(config)
}

/// Says what is wrong with the certificates that the environment names, if anything is.
pub(super) fn certificate_setting_problem() -> Option<String> {
    let file = std::env::var_os(CERT_FILE).and_then(|path| certificate_file_problem(Path::new(&path)));
    file.or_else(|| {
        let folders = std::env::var_os(CERT_DIR)?;
        let broken =
            std::env::split_paths(&folders).find_map(|folder| Some((std::fs::read_dir(&folder).err()?, folder)));
        let (error, folder) = broken.filter(|(_, folder)| !folder.as_os_str().is_empty())?;
        let error = strip_os_error_number(&error.to_string());
        Some(format!(
            "{CERT_DIR} names {}, which can't be read: {error}; correct or unset {CERT_DIR}",
            folder.display()
        ))
    })
}

fn certificate_file_problem(path: &Path) -> Option<String> {
    let what = match load_certificates(path) {
        Err(error) => format!("can't be read: {}", strip_os_error_number(&error.to_string())),
        Ok(found) if found.is_empty() => "holds no certificate (expected a PEM file with BEGIN CERTIFICATE)".to_owned(),
        Ok(_) => return None,
    };
    Some(format!("{CERT_FILE} names {}, which {what}; correct or unset {CERT_FILE}", path.display()))
}

fn load_certificates(path: &Path) -> std::io::Result<Vec<CertificateDer<'static>>> {
    let pem = std::fs::read(path)?;
    Ok(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect())
}

/// The usual rules, and besides them certificates that are trusted as they are.
#[derive(Debug)]
struct PinningVerifier {
    default_verifier: Arc<dyn ServerCertVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for PinningVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.default_verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(_) if self.pinned.iter().any(|own| own == end_entity) => verify_pinned(end_entity, server_name, now),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.default_verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.default_verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.default_verifier.supported_verify_schemes()
    }
}

/// Checks the dates and the name of a certificate that is trusted as it is.
fn verify_pinned(
    end_entity: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let certificate = Certificate::parse(end_entity).ok_or(CertificateError::BadEncoding)?;
    let unix = |seconds: i64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds.max(0).unsigned_abs()));
    let (not_before, not_after) = (unix(certificate.not_before), unix(certificate.not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    if certificate.lists_names {
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        return Ok(ServerCertVerified::assertion());
    }
    let name = server_name.to_str();
    if certificate.common_names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
        return Ok(ServerCertVerified::assertion());
    }
    let expected = server_name.to_owned();
    Err(CertificateError::NotValidForNameContext { expected, presented: certificate.common_names }.into())
}

#[cfg(test)]
pub(super) mod tests;
