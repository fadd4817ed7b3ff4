//! The program against wrong servers and proxies: which requests are sent, how often, and what is reported.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const KEY: &str = "sk-never-in-clear-text";

/// Serves every connection in a thread of its own and sends the first bytes of each.
fn listen(answer: impl Fn(TcpStream, &Sender<Vec<u8>>) + Send + Sync + 'static) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (answer, sender) = (answer.clone(), sender.clone());
            thread::spawn(move || answer(stream.unwrap(), &sender));
        }
    });
    (address, receiver)
}

/// Reads a request's head.
fn head(stream: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    head
}

/// Returns a complete HTTP response.
fn http(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// Responds like a model's server: a list to GET, an answer to POST.
fn answer(stream: &mut (impl Read + Write), received: &Sender<Vec<u8>>) {
    let head = head(stream);
    let asks = head.starts_with(b"POST");
    let _ = received.send(head);
    let reply = if asks {
        let delta = r#"data: {"choices":[{"delta":{"content":"over the line"},"finish_reason":"stop"}]}"#;
        http("200 OK", "text/event-stream", &format!("{delta}\n\ndata: [DONE]\n\n"))
    } else {
        http("200 OK", "application/json", r#"{"data":[{"id":"m","context_length":4096}]}"#)
    };
    let _ = stream.write_all(reply.as_bytes());
    let _ = stream.flush();
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certs").join(name)
}

/// Serves HTTPS with a certificate from plain `openssl req -x509`.
fn https() -> (SocketAddr, Receiver<Vec<u8>>) {
    let chain = vec![CertificateDer::from_pem_file(certificate("authority.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate("authority.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    listen(move |stream, received| {
        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        answer(&mut stream, received);
        stream.conn.send_close_notify();
        let _ = stream.flush();
    })
}

struct ConnectionOutput {
    code: i32,
    out: String,
    err: String,
}

fn run(variables: &[(&str, &str)]) -> ConnectionOutput {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_jarvis-tui"))
        .env_clear()
        .env("JARVIS_TUI_HOME", home.path())
        .env("OPENAI_API_KEY", KEY)
        .envs(variables.iter().copied())
        .current_dir(home.path())
        .args(["-p", "hi", "-m", "openai/m"])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let ran =
        ConnectionOutput { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.out.contains(KEY) && !ran.err.contains(KEY), "the key was shown: {} {}", ran.out, ran.err);
    ran
}

/// Runs into a failure and returns the error message.
fn fails(variables: &[(&str, &str)], words: &[&str]) -> String {
    let ran = run(variables);
    assert_ne!(ran.code, 0, "{}", ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{word:?} is not in: {}", ran.err);
    }
    assert!(!ran.err.contains("trying again"), "another try can't help: {}", ran.err);
    ran.err
}

#[test]
fn a_bare_public_host_is_asked_over_tls_and_the_key_is_never_seen_on_the_way() {
    let (proxy, seen) = listen(|mut stream, received| {
        let _ = received.send(head(&mut stream));
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let mut first = vec![0; 4096];
        let read = stream.read(&mut first).unwrap_or(0);
        first.truncate(read);
        let _ = received.send(first);
    });
    let proxy = format!("http://{proxy}");
    let ran = run(&[("OPENAI_BASE_URL", "gateway.example.com/v1"), ("HTTPS_PROXY", &proxy), ("HTTP_PROXY", &proxy)]);
    assert_ne!(ran.code, 0);
    let seen: Vec<Vec<u8>> = seen.try_iter().collect();
    let mut hellos = 0;
    for pair in seen.chunks(2) {
        let head = String::from_utf8_lossy(&pair[0]);
        assert!(head.starts_with("CONNECT gateway.example.com:443 HTTP/1.1\r\n"), "{head}");
        // An aborted probe sends nothing more.
        if let Some(hello) = pair.get(1).filter(|hello| !hello.is_empty()) {
            hellos += 1;
            assert_eq!((hello[0], hello[1], hello[5]), (0x16, 0x03, 0x01), "a TLS record with a ClientHello");
        }
    }
    assert!(hellos > 0, "{seen:?}");
    assert!(!seen.iter().any(|bytes| bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes())));
}

#[test]
fn a_key_that_goes_out_in_clear_text_by_an_address_written_so_is_told_once() {
    let (proxy, seen) = listen(|mut stream, received| answer(&mut stream, received));
    let proxy = format!("http://{proxy}");
    let ran = run(&[("OPENAI_BASE_URL", "http://gateway.example.com/v1"), ("HTTP_PROXY", &proxy)]);
    assert_eq!((ran.code, ran.out.trim()), (0, "over the line"), "{}", ran.err);
    let warning = "the API key and the whole conversation go to http://gateway.example.com unencrypted";
    assert_eq!(ran.err.matches(warning).count(), 1, "{}", ran.err);
    assert!(ran.err.contains("write https:// in OPENAI_BASE_URL"), "{}", ran.err);
    assert!(seen.try_iter().any(|head| head.starts_with(b"POST http://gateway.example.com/")));
}

#[test]
fn a_server_with_the_certificate_that_was_named_is_trusted_and_another_is_not() {
    let (server, seen) = https();
    let base = format!("https://localhost:{}/v1", server.port());
    let file = certificate("authority.pem");
    let ran = run(&[("OPENAI_BASE_URL", &base), ("SSL_CERT_FILE", file.to_str().unwrap())]);
    assert_eq!((ran.code, ran.out.trim()), (0, "over the line"), "{}", ran.err);
    assert!(seen.try_iter().any(|head| head.starts_with(b"POST ")));
    let other = certificate("other.pem");
    let words = ["the certificate of https://localhost", "SSL_CERT_FILE"];
    fails(&[("OPENAI_BASE_URL", &base), ("SSL_CERT_FILE", other.to_str().unwrap())], &words);
    assert_eq!(seen.try_iter().filter(|head| !head.is_empty()).count(), 0, "nothing was sent");
    let received = fails(
        &[("OPENAI_BASE_URL", &base), ("SSL_CERT_FILE", "/nowhere/ca.pem")],
        &["SSL_CERT_FILE names /nowhere/ca.pem, which can't be read", "unset SSL_CERT_FILE"],
    );
    assert!(!received.contains("rustls"), "{received}");
}

#[test]
fn the_wrong_scheme_is_told_with_the_right_one_at_once() {
    let (plain, _) = listen(|mut stream, received| answer(&mut stream, received));
    let asked = format!("https://{plain}/v1");
    let right = format!("write http://{plain}");
    fails(&[("OPENAI_BASE_URL", &asked)], &["speaks plain HTTP", &right, "base_url"]);
    let (secure, seen) = https();
    let asked = format!("http://{secure}/v1");
    let right = format!("write https://{secure}");
    fails(&[("OPENAI_BASE_URL", &asked)], &["speaks HTTPS", &right, "base_url"]);
    assert!(!seen.try_iter().any(|head| String::from_utf8_lossy(&head).contains(KEY)));
}

#[test]
fn a_proxy_that_is_in_the_way_is_named_with_its_variable_at_once() {
    let base = ("OPENAI_BASE_URL", "https://gateway.example.com/v1");
    for (status, words) in [
        ("407 Proxy Authentication Required", ["rejected the login", "NAME:PASSWORD@ in front of 127.0.0.1"]),
        ("403 Forbidden", ["refused to connect to gateway.example.com:443", "NO_PROXY"]),
    ] {
        let (proxy, _) = listen(move |mut stream, received| {
            let _ = received.send(head(&mut stream));
            let _ = stream.write_all(http(status, "text/plain", "no").as_bytes());
        });
        let proxy = format!("http://{proxy}");
        let received = fails(&[base, ("HTTPS_PROXY", &proxy)], &words);
        assert!(received.contains(&format!("the proxy {proxy}")), "{received}");
    }
    // Nothing listens on a port that was just released.
    let down = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    fails(&[base, ("HTTPS_PROXY", &down)], &["can't be reached", "unset HTTPS_PROXY"]);
    fails(&[base, ("ALL_PROXY", "socks5://127.0.0.1:9")], &["is of an unsupported kind", "unset ALL_PROXY"]);
}

#[test]
fn a_server_that_loads_its_model_is_waited_for_and_then_answers() {
    static LOADS: AtomicU32 = AtomicU32::new(0);
    let (server, seen) = listen(|mut stream, received| {
        let head = head(&mut stream);
        let asks = head.starts_with(b"POST");
        let _ = received.send(head);
        let reply = if asks && LOADS.fetch_add(1, Ordering::SeqCst) > 1 {
            let delta = r#"data: {"choices":[{"delta":{"content":"loaded"},"finish_reason":"stop"}]}"#;
            http("200 OK", "text/event-stream", &format!("{delta}\n\ndata: [DONE]\n\n"))
        } else {
            let body = r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#;
            http("503 Service Unavailable", "application/json", body)
        };
        let _ = stream.write_all(reply.as_bytes());
    });
    let ran = run(&[("OPENAI_BASE_URL", &format!("{server}/v1"))]);
    assert_eq!((ran.code, ran.out.trim()), (0, "loaded"), "{}", ran.err);
    assert_eq!(ran.err.matches("is loading its model").count(), 1, "{}", ran.err);
    assert_eq!(seen.try_iter().filter(|head| head.starts_with(b"POST")).count(), 3);
}
