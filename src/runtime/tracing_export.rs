//! From the settings to the collector of traces.

use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{TelemetryConfig, environment, secret};
use crate::net;
use crate::telemetry::export::Collector;

/// Where OpenTelemetry's collector listens on the same machine.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4318";
const TRACES_PATH: &str = "/v1/traces";
/// Names the whole address, in place of the endpoint.
const TRACES_ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const SERVICE_VARIABLE: &str = "OTEL_SERVICE_NAME";

/// Returns where traces go; `None` if none are sent. Blocks where a command tells the headers.
pub(super) fn collector(config: &TelemetryConfig) -> Option<Collector> {
    if !config.export {
        return None;
    }
    let variable = |name: &str| environment::variable(name).filter(|value| !value.trim().is_empty());
    let headers = secret::resolve_secret(&config.headers, &environment::variable).unwrap_or_else(|error| {
        tracing::warn!("the headers for traces: {error}");
        None
    });
    let headers = headers.map(|headers| parse_headers(headers.expose_secret())).unwrap_or_default();
    for (_, value) in &headers {
        net::register_secret(value);
    }
    let endpoint = match config.endpoint.strip_prefix("env:") {
        Some(name) => variable(name.trim()),
        None => Some(config.endpoint.clone()),
    };
    let url = match (endpoint, variable(TRACES_ENDPOINT_VARIABLE)) {
        (_, Some(url)) if config.endpoint.starts_with("env:") => url,
        (endpoint, _) => {
            format!("{}{TRACES_PATH}", endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT).trim_end_matches('/'))
        }
    };
    let service = variable(SERVICE_VARIABLE).unwrap_or_else(|| "jarvis-tui".to_owned());
    Some(Collector { url, headers, service, tells_content: config.content })
}

/// Reads `name=value,name=value` with percent signs for what can't stand there.
fn parse_headers(text: &str) -> Vec<(String, SecretString)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let read = |(name, value): (&str, &str)| (name.trim().to_owned(), SecretString::from(decode_percent(value.trim())));
    pairs.map(read).filter(|(name, _)| !name.is_empty()).collect()
}

fn decode_percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_opentelemetry_writes_them() {
        let read: Vec<_> = parse_headers("api-key=s3cret, authorization=Basic%20YWI%3D,=x,broken,odd=100%")
            .into_iter()
            .map(|(name, value)| (name, value.expose_secret().to_owned()))
            .collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read, [pair("api-key", "s3cret"), pair("authorization", "Basic YWI="), pair("odd", "100%")]);
    }

    #[test]
    fn nothing_is_sent_unless_the_settings_say_so() {
        assert!(collector(&TelemetryConfig::default()).is_none());
        let on = TelemetryConfig { export: true, endpoint: "http://127.0.0.1:1/".into(), ..TelemetryConfig::default() };
        assert_eq!(collector(&on).unwrap().url, "http://127.0.0.1:1/v1/traces");
    }
}
