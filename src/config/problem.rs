//! PURE. Origins of values, and problems in the settings, reported with file, line and key.

use std::fmt;
use std::path::PathBuf;

use super::value::printable;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    User {
        file: String,
        line: usize,
    },
    Project {
        file: String,
        line: usize,
    },
    /// The variable's name.
    Environment(&'static str),
    /// The flag as typed, without its value.
    Flag(&'static str),
}

/// A problem in the settings. The merge decides whether it is a warning or an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    pub kind: ProblemKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    Syntax(String),
    UnknownKey {
        key: String,
        suggestion: Option<String>,
    },
    WrongValue {
        key: String,
        expected: String,
        found: String,
    },
    /// The file configures an engine that isn't built in without giving its kind.
    NoKind {
        engine: String,
    },
    /// An untrusted project sets more than appearance and model.
    Untrusted {
        keys: Vec<String>,
        /// How many more there are than listed.
        more: usize,
    },
    /// The file of an untrusted project can't be read.
    UntrustedBroken(String),
    /// An untrusted project names an engine that doesn't exist.
    UntrustedModel {
        model: String,
    },
    /// A project's file uses a command to get a key.
    ProjectCommand {
        key: String,
    },
    /// A project's file sets what is the person's alone.
    ProjectPersonal {
        key: String,
    },
    /// A project's file names a program to start.
    ProjectProgram {
        key: String,
    },
    /// The profile that is wanted isn't there; those that are.
    NoProfile {
        name: String,
        known: Vec<String>,
    },
    /// The theme that is wanted isn't there.
    MissingTheme(String),
    /// A line of a theme's file, as [`super::themes::ThemeFolder`] tells it.
    ThemeFile(String),
    /// `-o` without `=`, or with an invalid key.
    NotAnAssignment(String),
    File {
        path: PathBuf,
        reason: String,
    },
}

/// Why the program can't start with these settings; exit code 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Problem>);

impl Problem {
    pub fn new(origin: Origin, what: ProblemKind) -> Self {
        Self { origin, kind: what }
    }
}

impl ConfigError {
    pub(super) fn file(path: impl Into<PathBuf>, reason: impl fmt::Display) -> Self {
        let what = ProblemKind::File { path: path.into(), reason: reason.to_string() };
        Self(vec![Problem::new(Origin::Default, what)])
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::User { file, line } | Self::Project { file, line } => write!(f, "{}:{line}", printable(file)),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(self.kind, ProblemKind::File { .. } | ProblemKind::ThemeFile(_)) {
            write!(f, "{}: ", self.origin)?;
        }
        match &self.kind {
            ProblemKind::Syntax(message) => write!(f, "not valid TOML: {message}"),
            ProblemKind::UnknownKey { key, suggestion: Some(nearest) } => {
                write!(f, "unknown key `{key}`, did you mean `{nearest}`?")
            }
            ProblemKind::UnknownKey { key, suggestion: None } => write!(f, "unknown key `{key}`"),
            ProblemKind::WrongValue { key, expected, found } => {
                write!(f, "`{key}`: expected {expected}, found {found}")
            }
            ProblemKind::NoKind { engine } => {
                write!(f, "engine `{engine}` has no kind; add `kind = \"openai\"` or \"ollama\" to it")
            }
            ProblemKind::Untrusted { keys, more } => {
                write!(f, "this folder is not trusted, so only `model` and `ui.*` apply; ignored: ")?;
                f.write_str(&keys.join(", "))?;
                if *more > 0 {
                    write!(f, " and {more} more")?;
                }
                f.write_str("; read the file, then run `jarvis-tui config trust` to accept it as it is")
            }
            ProblemKind::UntrustedBroken(message) => {
                write!(f, "not valid TOML: {message}; ignored, since this folder is not trusted")
            }
            ProblemKind::UntrustedModel { model } => {
                write!(f, "ignored `model`: this folder is not trusted and no engine matches \"{model}\"")
            }
            ProblemKind::ProjectCommand { key } => {
                write!(f, "ignored `{key}`: a project may not run commands for keys; set it in your own file")
            }
            ProblemKind::ProjectPersonal { key } => {
                write!(f, "ignored `{key}`: a project may not say what is kept of secrets; set it in your own file")
            }
            ProblemKind::ProjectProgram { key } => {
                write!(f, "ignored `{key}`: a project may not name programs to start; set it in your own file")
            }
            ProblemKind::NoProfile { name, known } if known.is_empty() => {
                write!(f, "there is no profile \"{name}\": a table [profiles.{name}] in the settings makes one")
            }
            ProblemKind::NoProfile { name, known } => {
                write!(f, "there is no profile \"{name}\", only {}", known.join(", "))
            }
            ProblemKind::MissingTheme(told) | ProblemKind::ThemeFile(told) => f.write_str(told),
            ProblemKind::NotAnAssignment(text) => write!(f, "expected key=value, found \"{text}\""),
            ProblemKind::File { path, reason } => write!(f, "{}: {reason}", printable(&path.to_string_lossy())),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
