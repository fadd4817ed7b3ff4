//! Why HTTPS could not be agreed on, in plain words that name the setting to change.

use reqwest::Url;

use super::tls;
use crate::event::FaultKind;
use crate::net::failure::{HintAudience, RequestFailure};

/// Says in plain words why HTTPS could not be agreed on, and which setting may change that. No other try would.
pub(super) fn tls_failure(place: &str, url: &Url, error: &rustls::Error, whose: HintAudience) -> RequestFailure {
    use rustls::{AlertDescription, CertificateError, Error};
    let host = url.host_str().unwrap_or_default();
    let cert_file = tls::CERT_FILE;
    let mut text = match error {
        Error::InvalidCertificate(CertificateError::Expired) => {
            format!("the certificate of {place} has expired: renew it there, or set the clock here")
        }
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => format!(
            "the certificate of {place} expired on {} (it is {} here): renew it there, or set the clock here",
            day(not_after.as_secs()),
            day(time.as_secs())
        ),
        Error::InvalidCertificate(CertificateError::NotValidYet) => {
            format!("the certificate of {place} is not valid yet: set the clock here")
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => format!(
            "the certificate of {place} is not valid before {} (it is {} here): set the clock here",
            day(not_before.as_secs()),
            day(time.as_secs())
        ),
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            let names: Vec<String> = presented.iter().take(4).map(|name| presented_name(name)).collect();
            let names = if names.is_empty() { "no names".to_owned() } else { names.join(", ") };
            format!(
                "the certificate of {place} is for {names}, not for {host}: write one of its names {}",
                whose.address_setting()
            )
        }
        Error::InvalidCertificate(CertificateError::NotValidForName) => {
            format!("the certificate of {place} is not for {host}: write one of its names {}", whose.address_setting())
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => format!(
            "the certificate of {place} is not signed by a trusted authority: name a file with that \
             authority's certificate in {cert_file}"
        ),
        Error::InvalidCertificate(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => format!(
            "the certificate of {place} is a CA certificate, not a server's: if you trust exactly this certificate, \
             name a file that holds it in {cert_file}"
        ),
        Error::InvalidCertificate(other) => format!("the certificate of {place} {}", certificate_advice(other)),
        Error::InvalidMessage(_) => format!(
            "{place} responds, but not with HTTPS: write http:// {}, if it is a plain HTTP server",
            whose.address_setting()
        ),
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            format!("{place} speaks only an old version of TLS; 1.2 or 1.3 is needed: change the server's TLS settings")
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity) => {
            format!("{place} shares no cipher suite with jarvis-tui: change the server's TLS settings (1.2 or 1.3)")
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            format!("{place} does not know the host {host}: check the name {}", whose.address_setting())
        }
        Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            format!("{place} requires a client certificate, which jarvis-tui does not support: use a proxy that does")
        }
        other => format!("HTTPS with {place} failed: {other}; check the server's TLS settings"),
    };
    if matches!(error, Error::InvalidCertificate(_))
        && let Some(trouble) = tls::certificate_setting_problem()
    {
        text = format!("{text}. Besides, {trouble}");
    }
    RequestFailure::permanent(FaultKind::Network, text)
}

/// What is wrong with a certificate that nothing here can mend, and what its owner can do.
fn certificate_advice(error: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Fault;
    const WEAK_SIGNATURE_ADVICE: &str = "has an obsolete signature: create one there that is signed with SHA-256";
    let words = match error {
        Fault::BadEncoding => return "is damaged: create a new one there".to_owned(),
        Fault::Revoked => return "was revoked: renew it there".to_owned(),
        Fault::UnhandledCriticalExtension => "has an unknown critical extension: create one without it there",
        Fault::UnknownRevocationStatus
        | Fault::ExpiredRevocationList
        | Fault::ExpiredRevocationListContext { .. }
        | Fault::InvalidOcspResponse => {
            return "may have been revoked, and its authority's revocation data is unusable: renew that there"
                .to_owned();
        }
        Fault::UnsupportedSignatureAlgorithmContext { .. }
        | Fault::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => WEAK_SIGNATURE_ADVICE,
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            "is not a server certificate: create one there whose purpose is serverAuth"
        }
        // The deprecated twin of one above, and what the library has no word for.
        other if format!("{other:?}").starts_with("UnsupportedSignatureAlgorithm") => WEAK_SIGNATURE_ADVICE,
        other => {
            return format!(
                "can't be used ({}): create a new one there",
                crate::net::error_text::strip_os_error_number(&innermost_reason(other))
            );
        }
    };
    format!("{words}, or name a file that holds exactly this certificate in {}, if you trust it", tls::CERT_FILE)
}

/// The innermost reason of an error that the library has no word for.
fn innermost_reason(error: &rustls::CertificateError) -> String {
    match error {
        rustls::CertificateError::Other(other) => other.0.to_string(),
        other => other.to_string(),
    }
}

/// Names come as `DnsName("h")` and `IpAddress(127.0.0.1)`.
fn presented_name(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner.trim_end_matches(')'));
    crate::dialect::error::to_single_line(inner.trim_matches('"'))
}

fn day(seconds: u64) -> String {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX));
    time.map_or_else(|_| "an unrepresentable date".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{CertificateError, Error};

    use super::*;

    fn told(error: CertificateError) -> String {
        let url = Url::parse("https://gpu.example/v1").unwrap();
        tls_failure("https://gpu.example", &url, &Error::InvalidCertificate(error), HintAudience::Engine).fault.message
    }

    /// The first moment of a year.
    fn year(year: i64) -> UnixTime {
        let days = (1970..year).map(|year| if year % 4 == 0 { 366 } else { 365 }).sum::<u64>();
        UnixTime::since_unix_epoch(Duration::from_hours(days * 24))
    }

    #[test]
    fn dates_are_told_as_dates_with_what_to_set() {
        let expired = told(CertificateError::ExpiredContext { time: year(2030), not_after: year(2020) });
        let wanted = "the certificate of https://gpu.example expired on 2020-01-01 (it is 2030-01-01 here): renew it \
                      there, or set the clock here";
        assert_eq!(expired, wanted);
        let early = told(CertificateError::NotValidYetContext { time: year(2020), not_before: year(2030) });
        let wanted = "the certificate of https://gpu.example is not valid before 2030-01-01 (it is 2020-01-01 here): \
                      set the clock here";
        assert_eq!(early, wanted);
    }

    #[test]
    fn every_fault_of_a_certificate_has_plain_words_and_a_way_out() {
        let expected = ServerName::try_from("gpu.example").unwrap();
        let presented = vec!["DnsName(\"other.example\")".to_owned()];
        let (time, next_update) = (year(2030), year(2020));
        for (error, words) in [
            (CertificateError::Expired, "set the clock here"),
            (CertificateError::NotValidYet, "set the clock here"),
            (CertificateError::NotValidForName, "base_url"),
            (
                CertificateError::NotValidForNameContext { expected, presented },
                "is for other.example, not for gpu.example: write one of its names in the engine's base_url",
            ),
            (
                CertificateError::UnknownIssuer,
                "not signed by a trusted authority: name a file with that authority's certificate in SSL_CERT_FILE",
            ),
            (
                CertificateError::BadSignature,
                "not signed by a trusted authority: name a file with that authority's certificate in SSL_CERT_FILE",
            ),
            (CertificateError::BadEncoding, "is damaged: create a new one there"),
            (CertificateError::Revoked, "was revoked: renew it there"),
            (CertificateError::UnhandledCriticalExtension, "critical extension"),
            (CertificateError::UnknownRevocationStatus, "may have been revoked"),
            (CertificateError::ExpiredRevocationListContext { time, next_update }, "may have been revoked"),
            (CertificateError::InvalidOcspResponse, "may have been revoked"),
            (CertificateError::InvalidPurpose, "whose purpose is serverAuth"),
            (
                CertificateError::UnsupportedSignatureAlgorithmContext {
                    signature_algorithm_id: vec![1],
                    supported_algorithms: Vec::new(),
                },
                "signed with SHA-256",
            ),
            (CertificateError::ApplicationVerificationFailure, "create a new one there"),
        ] {
            let told = told(error);
            assert!(told.contains(words), "{words:?} is not in: {told}");
            for odd in ["Context", "os error", "UnixTime", "CertificateError", "OtherError", "since"] {
                assert!(!told.contains(odd), "{told}");
            }
        }
    }
}
