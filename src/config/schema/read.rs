//! PURE. What a setting takes, read from a value; none where the value is something else.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::units;
use crate::config::value::Value;

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::List(values) => values.iter().map(text).collect(),
        _ => None,
    }
}

pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        _ => None,
    }
}

pub(super) fn whole(value: &Value, least: i64, most: i64) -> Option<i64> {
    match value {
        Value::Int(number) if (least..=most).contains(number) => Some(*number),
        _ => None,
    }
}

/// Limits of zero would stop everything at once, so they are mistakes.
pub(super) fn span(value: &Value) -> Option<Duration> {
    units::parse_duration(&text(value)?).filter(|span| !span.is_zero())
}

pub(super) fn price(value: &Value) -> Option<(f64, f64)> {
    let Value::Table(table) = value else { return None };
    let dollars = |table: &BTreeMap<String, Value>, name| {
        let dollars = match table.get(name)? {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            _ => return None,
        };
        (dollars.is_finite() && dollars >= 0.0).then_some(dollars)
    };
    (table.len() == 2).then_some((dollars(table, "input")?, dollars(table, "output")?))
}
