//! Parsers for argument values: durations, positions, sizes, and names from a list.

use std::ffi::OsStr;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command};

use crate::config::{ThemeChoice, units};
use crate::event::{ApprovalMode, Effort};

/// A screen's columns and rows, neither zero nor absurd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub width: u16,
    pub height: u16,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|side| (1..=1000).contains(side));
        text.split_once(['x', 'X'])
            .and_then(|(width, height)| Some(Self { width: side(width)?, height: side(height)? }))
            .ok_or_else(|| "expected columns and rows from 1 to 1000, such as 120x40".into())
    }
}

pub(super) fn mode_parser() -> impl TypedValueParser<Value = ApprovalMode> {
    PossibleValuesParser::new(ApprovalMode::ALL.map(ApprovalMode::name))
        .try_map(|name| ApprovalMode::parse(&name).ok_or_else(|| format!("unknown mode {name}")))
}

pub(super) fn effort_parser() -> impl TypedValueParser<Value = Effort> {
    PossibleValuesParser::new(Effort::ALL.map(Effort::name))
        .try_map(|name| Effort::parse(&name).ok_or_else(|| format!("unknown effort {name}")))
}

/// Takes any name that a theme may have; those that are built in are completed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThemeNameParser;

impl TypedValueParser for ThemeNameParser {
    type Value = ThemeChoice;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<ThemeChoice, clap::Error> {
        let parse =
            |name: String| ThemeChoice::parse(&name).ok_or("a theme has a name of small letters, digits, - and _");
        NonEmptyStringValueParser::new().try_map(parse).parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(ThemeChoice::built_in_names().map(PossibleValue::new)))
    }
}

/// Takes any name; those that are known are completed. Whoever uses the name says what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownNameParser(pub(super) fn() -> Vec<&'static str>);

impl TypedValueParser for KnownNameParser {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        NonEmptyStringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0().into_iter().map(PossibleValue::new)))
    }
}

pub(super) fn parse_duration_arg(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).ok_or_else(|| "expected a duration such as 90s, 15m or 250ms".into())
}

/// Parses an amount of US dollars, to a millionth.
pub(super) fn parse_dollars(text: &str) -> Result<f64, String> {
    let amount = text.trim().trim_start_matches('$').parse::<f64>().ok();
    amount.filter(|amount| (1e-6..=1e6).contains(amount)).ok_or_else(|| "expected US dollars such as 0.50".into())
}

pub(super) fn parse_timeout(text: &str) -> Result<Duration, String> {
    match parse_duration_arg(text)? {
        Duration::ZERO => Err("a limit of zero would stop at once".into()),
        span => Ok(span),
    }
}

/// Parses `90s`, or `1:30` and `1:02:03` as players show it.
pub(super) fn parse_position(text: &str) -> Result<Duration, String> {
    if !text.contains(':') {
        return parse_duration_arg(text).map_err(|_| "expected a time such as 90s or 1:30".into());
    }
    let mut seconds = 0_u64;
    for (index, part) in text.split(':').enumerate() {
        let digits = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = part.parse::<u64>().ok().filter(|number| digits && index <= 2 && (index == 0 || *number < 60));
        seconds = seconds * 60 + number.ok_or("expected a time such as 1:30 or 1:02:03")?;
    }
    Ok(Duration::from_secs(seconds))
}

pub(super) fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.strip_suffix(['x', 'X']).unwrap_or(text).parse().ok();
    speed.filter(|speed| (0.01..=1000.0).contains(speed)).ok_or_else(|| "expected a number from 0.01 to 1000".into())
}
