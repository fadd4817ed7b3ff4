use std::sync::LazyLock;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;

use super::*;

type Der = LazyLock<CertificateDer<'static>>;

/// What plain `openssl req -x509` makes: an authority's certificate, for `localhost` and 127.0.0.1.
pub(in crate::net::http) static AUTHORITY: Der =
    LazyLock::new(|| one(include_bytes!("../../../../tests/certs/authority.pem")));
/// The same made anew.
static OTHER: Der = LazyLock::new(|| one(include_bytes!("../../../../tests/certs/other.pem")));
/// The same without a list of names: only the subject says `localhost`.
pub(in crate::net::http) static NAMELESS: Der =
    LazyLock::new(|| one(include_bytes!("../../../../tests/certs/nameless.pem")));
/// The same, over on 2020-03-01.
pub(in crate::net::http) static EXPIRED: Der =
    LazyLock::new(|| one(include_bytes!("../../../../tests/certs/expired.pem")));
/// A server's, for `gpu.example` and `gpu.internal`, signed by the first.
pub(in crate::net::http) static NAMED: Der = LazyLock::new(|| one(include_bytes!("../../../../tests/certs/named.pem")));

fn one(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).unwrap()
}

fn verify(own: &[&CertificateDer<'static>], shown: &CertificateDer<'static>, name: &str) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    for own in own {
        roots.add((*own).clone()).unwrap();
    }
    let provider = Arc::new(ring::default_provider());
    let usual = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let verifier = PinningVerifier { default_verifier: usual, pinned: own.iter().map(|own| (*own).clone()).collect() };
    // 2030-01-01.
    let now = UnixTime::since_unix_epoch(Duration::from_hours(525_960));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(shown, &[], &name, &[], now).map(drop)
}

fn refused(own: &[&CertificateDer<'static>], shown: &CertificateDer<'static>, name: &str) -> CertificateError {
    match verify(own, shown, name) {
        Err(Error::InvalidCertificate(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_authoritys_certificate_is_a_servers_only_where_exactly_it_was_named() {
    assert_eq!(verify(&[&AUTHORITY], &AUTHORITY, "localhost"), Ok(()));
    assert_eq!(verify(&[&OTHER, &AUTHORITY], &AUTHORITY, "127.0.0.1"), Ok(()));
    assert!(verify(&[&OTHER], &AUTHORITY, "localhost").is_err(), "the same names, another certificate");
    let mut changed = AUTHORITY.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert!(verify(&[&AUTHORITY], &changed.into(), "localhost").is_err(), "one bit");
}

#[test]
fn a_certificate_that_was_named_counts_for_its_names_and_in_its_time_only() {
    assert!(matches!(
        refused(&[&AUTHORITY], &AUTHORITY, "example.org"),
        CertificateError::NotValidForNameContext { .. }
    ));
    assert!(matches!(refused(&[&AUTHORITY], &AUTHORITY, "127.0.0.2"), CertificateError::NotValidForNameContext { .. }));
    assert!(matches!(refused(&[&EXPIRED], &EXPIRED, "localhost"), CertificateError::ExpiredContext { .. }));
}

#[test]
fn the_subject_names_the_host_where_no_names_are_listed() {
    assert_eq!(verify(&[&NAMELESS], &NAMELESS, "LOCALHOST"), Ok(()));
    assert!(matches!(refused(&[&NAMELESS], &NAMELESS, "a.localhost"), CertificateError::NotValidForNameContext { .. }));
    assert!(verify(&[&NAMELESS], &AUTHORITY, "localhost").is_err());
}

#[test]
fn what_an_authority_signed_is_trusted_as_ever() {
    assert_eq!(verify(&[&AUTHORITY], &NAMED, "gpu.example"), Ok(()));
    assert!(matches!(refused(&[&AUTHORITY], &NAMED, "localhost"), CertificateError::NotValidForNameContext { .. }));
    assert_eq!(refused(&[&OTHER], &NAMED, "gpu.example"), CertificateError::BadSignature);
}

#[test]
fn a_file_of_certificates_that_is_none_is_told_with_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.pem");
    let told = certificate_file_problem(&missing).unwrap();
    assert!(
        told.contains("none.pem") && told.contains("can't be read") && told.ends_with("unset SSL_CERT_FILE"),
        "{told}"
    );
    assert!(!told.contains("os error"), "{told}");
    std::fs::write(&missing, "-----BEGIN PRIVATE KEY-----").unwrap();
    assert!(certificate_file_problem(&missing).unwrap().contains("holds no certificate"));
    std::fs::write(&missing, include_bytes!("../../../../tests/certs/authority.pem")).unwrap();
    assert_eq!(certificate_file_problem(&missing), None);
}
