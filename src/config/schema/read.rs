//! PURE. Reads a setting's type from a value; `None` if the value has another type.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::units;
use crate::config::value::SettingValue;

pub(super) fn string(value: &SettingValue) -> Option<String> {
    match value {
        SettingValue::String(text) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn strings(value: &SettingValue) -> Option<Vec<String>> {
    match value {
        SettingValue::List(values) => values.iter().map(string).collect(),
        _ => None,
    }
}

pub(super) fn boolean(value: &SettingValue) -> Option<bool> {
    match value {
        SettingValue::Bool(flag) => Some(*flag),
        _ => None,
    }
}

pub(super) fn integer(value: &SettingValue, least: i64, most: i64) -> Option<i64> {
    match value {
        SettingValue::Int(number) if (least..=most).contains(number) => Some(*number),
        _ => None,
    }
}

/// Limits of zero would stop everything at once, so they are errors.
pub(super) fn duration(value: &SettingValue) -> Option<Duration> {
    units::parse_duration(&string(value)?).filter(|span| !span.is_zero())
}

pub(super) fn price(value: &SettingValue) -> Option<(f64, f64)> {
    let SettingValue::Table(table) = value else { return None };
    let dollars = |table: &BTreeMap<String, SettingValue>, name| {
        let dollars = match table.get(name)? {
            SettingValue::Int(number) => *number as f64,
            SettingValue::Float(number) => *number,
            _ => return None,
        };
        (dollars.is_finite() && dollars >= 0.0).then_some(dollars)
    };
    (table.len() == 2).then_some((dollars(table, "input")?, dollars(table, "output")?))
}
