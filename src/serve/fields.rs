//! PURE. The fields of a JSON request, read one by one: null is "not said", a wrong type is refused by name.

use super::refuse::Refused;
use crate::event::{Json, Tuning};

pub(super) type Fields = serde_json::Map<String, Json>;

/// Reads a body that must be a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Fields, Refused> {
    match serde_json::from_slice(body) {
        Ok(Json::Object(fields)) => Ok(fields),
        Ok(_) => Err(Refused::bad("the body of the request must be a JSON object")),
        Err(error) => Err(Refused::bad(format!("the body of the request is not JSON: {error}"))),
    }
}

/// Returns a field that is there and not null.
pub(super) fn said<'f>(fields: &'f Fields, name: &str) -> Option<&'f Json> {
    fields.get(name).filter(|value| !value.is_null())
}

pub(super) fn text<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<Option<&'f str>, Refused> {
    match said(fields, name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(&of(at, name), "a string")),
    }
}

/// A text that must be there.
pub(super) fn needed<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<&'f str, Refused> {
    text(fields, name, at)?.ok_or_else(|| missing(&of(at, name)))
}

pub(super) fn flag(fields: &Fields, name: &str) -> Result<Option<bool>, Refused> {
    flag_at(fields, name, "")
}

pub(super) fn flag_at(fields: &Fields, name: &str, at: &str) -> Result<Option<bool>, Refused> {
    match said(fields, name) {
        None => Ok(None),
        Some(Json::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(wrong(&of(at, name), "true or false")),
    }
}

/// A whole number above nothing.
pub(super) fn count(fields: &Fields, name: &str) -> Result<Option<u32>, Refused> {
    match said(fields, name) {
        None => Ok(None),
        Some(Json::Number(n)) if n.as_u64().is_some_and(|n| n > 0) => {
            Ok(n.as_u64().map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
        }
        Some(_) => Err(wrong(name, "a positive whole number")),
    }
}

pub(super) fn list<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<&'f [Json], Refused> {
    match said(fields, name) {
        None => Ok(&[]),
        Some(Json::Array(list)) => Ok(list),
        Some(_) => Err(wrong(&of(at, name), "an array")),
    }
}

pub(super) fn map<'f>(fields: &'f Fields, name: &str) -> Result<Option<&'f Fields>, Refused> {
    map_at(fields, name, "")
}

pub(super) fn map_at<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<Option<&'f Fields>, Refused> {
    match said(fields, name) {
        None => Ok(None),
        Some(Json::Object(map)) => Ok(Some(map)),
        Some(_) => Err(wrong(&of(at, name), "an object")),
    }
}

/// How the model is to write; `limits` are the names of the most tokens, the first that is said counts.
pub(super) fn tuning(fields: &Fields, limits: &[&str]) -> Result<Tuning, Refused> {
    let mut max_output = None;
    for limit in limits {
        max_output = max_output.or(count(fields, limit)?);
    }
    let (temperature, top_p) = (number(fields, "temperature", 2.0)?, number(fields, "top_p", 1.0)?);
    Ok(Tuning { max_output, temperature, top_p, must_call: false })
}

fn number(fields: &Fields, name: &str, most: f64) -> Result<Option<f64>, Refused> {
    match said(fields, name).map(|value| value.as_f64().filter(|n| (0.0..=most).contains(n))) {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number)),
        Some(None) => Err(wrong(name, &format!("a number from 0 to {most}"))),
    }
}

/// The path of a field in another.
pub(super) fn of(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

pub(super) fn wrong(at: &str, wanted: &str) -> Refused {
    Refused::bad(format!("{at} must be {wanted}")).about(at)
}

pub(super) fn missing(at: &str) -> Refused {
    Refused::bad(format!("{at} is missing")).about(at)
}
