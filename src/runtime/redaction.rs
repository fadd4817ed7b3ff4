//! From the settings and the environment to what is kept out of everything that is written.

use std::fs::File;
use std::io::{self, Write as _};
use std::panic;
use std::path::Path;
use std::sync::Once;

use crate::config::{Config, Paths, environment};
use crate::net::redact::{self, redact_crash, redact_secrets};
use crate::text::secrets::{CustomShape, KnownSecret, SecretSettings, builtin_kinds, is_secret, is_secret_name};

/// What is looked for, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactionSummary {
    /// Kinds of secrets with a shape.
    pub kinds: usize,
    /// Variables of the environment whose values are known.
    pub variables: usize,
}

/// Sets what is kept out of logs, recordings, exports and crash messages, for the whole program; and has crash messages
/// told without it.
pub fn configure(config: &Config, paths: &Paths) {
    redact::set_key_file(paths.redaction_key_file());
    tell_crashes_without_secrets();
    redact::configure(settings_of(config));
}

/// Returns what is looked for; none where the settings turn it off.
pub fn summary(config: &Config) -> Option<RedactionSummary> {
    let settings = settings_of(config)?;
    Some(RedactionSummary { kinds: builtin_kinds() + settings.shapes.len(), variables: settings.known.len() })
}

/// Returns a text as it may be written.
#[must_use]
pub fn redacted(mut text: String) -> String {
    redact_secrets(&mut text);
    text
}

fn settings_of(config: &Config) -> Option<SecretSettings> {
    let redact = &config.redact;
    let shape = |pattern: &String| CustomShape::parse("custom", pattern).ok();
    redact.enabled.then(|| SecretSettings {
        builtin: true,
        shapes: redact.shapes.iter().filter_map(shape).collect(),
        names: redact.names.clone(),
        allowed: redact.allow.clone(),
        known: known_variables(&redact.variables),
    })
}

/// Returns the values of variables that are named as secrets are, or in the settings.
fn known_variables(named: &[String]) -> Vec<KnownSecret> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let names: Vec<String> = names.filter(|name| named.contains(name) || is_secret_name(name)).collect();
    let value = |name: String| {
        let value = environment::variable(&name)?.trim().to_owned();
        let is_place = value.starts_with(['/', '.', '~']) || value.contains("://");
        (is_secret(&value) && (!is_place || named.contains(&name))).then_some(KnownSecret { kind: name, value })
    };
    names.into_iter().filter_map(value).collect()
}

/// What a crash says may hold what was worked with.
fn tell_crashes_without_secrets() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("unnamed");
            let message = redact_crash(&info.to_string());
            let trace = match std::env::var_os("RUST_BACKTRACE") {
                Some(wanted) if wanted != "0" => format!("\n{}", std::backtrace::Backtrace::force_capture()),
                _ => String::new(),
            };
            let _ = writeln!(io::stderr(), "\nthread '{name}' {message}{trace}");
        }));
    });
}

/// A file that gets lines without secrets. What is written at once is looked at as a whole.
#[derive(Debug)]
pub struct RedactedFile(File);

impl RedactedFile {
    /// Opens a file of the program's own to append to it.
    pub fn append_to(path: &Path) -> io::Result<Self> {
        Ok(Self(crate::private::open_options().create(true).append(true).open(path)?))
    }

    /// Returns another end of the same file.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }
}

impl io::Write for RedactedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let told = redact_crash(&String::from_utf8_lossy(bytes));
        self.0.write_all(told.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_programs_own_log_lose_their_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = RedactedFile::append_to(&path).unwrap();
        let key = format!("{}{}", "ghp", "_q7Zr81KxTn45bVw2YcM09LpDs63HgJf8AaEu");
        file.write_all(format!("WARN refused {key}\n").as_bytes()).unwrap();
        let told = std::fs::read_to_string(&path).unwrap();
        assert!(told.starts_with("WARN refused [redacted:github-token:") && !told.contains(&key), "{told}");
    }

    #[test]
    fn shapes_and_names_of_the_settings_are_taken() {
        let mut config = Config::default();
        config.redact.shapes = vec!["acme_[a-z0-9]{12,}".into()];
        config.redact.names = vec!["license".into()];
        let settings = settings_of(&config).unwrap();
        assert_eq!((settings.shapes.len(), settings.names, settings.builtin), (1, vec!["license".to_owned()], true));
        config.redact.enabled = false;
        assert_eq!(summary(&config), None);
    }
}
