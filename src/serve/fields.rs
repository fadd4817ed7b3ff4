//! PURE. Reads the fields of a JSON request: null means absent, and a wrong type is an error that names the field.

use super::error::ApiError;
use crate::event::{Json, SamplingParams};

pub(super) type Fields = serde_json::Map<String, Json>;

/// Parses a body that must be a JSON object.
pub(super) fn parse_object(body: &[u8]) -> Result<Fields, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Json::Object(fields)) => Ok(fields),
        Ok(_) => Err(ApiError::bad_request("the body of the request must be a JSON object")),
        Err(error) => Err(ApiError::bad_request(format!("the body of the request is not JSON: {error}"))),
    }
}

/// Returns a field that is present and not null.
pub(super) fn get_value<'f>(fields: &'f Fields, name: &str) -> Option<&'f Json> {
    fields.get(name).filter(|value| !value.is_null())
}

pub(super) fn get_string<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<Option<&'f str>, ApiError> {
    match get_value(fields, name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_type(&field_path(at, name), "a string")),
    }
}

/// Returns a required string.
pub(super) fn get_required_string<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<&'f str, ApiError> {
    get_string(fields, name, at)?.ok_or_else(|| missing_field(&field_path(at, name)))
}

pub(super) fn get_bool(fields: &Fields, name: &str) -> Result<Option<bool>, ApiError> {
    get_bool_at(fields, name, "")
}

pub(super) fn get_bool_at(fields: &Fields, name: &str, at: &str) -> Result<Option<bool>, ApiError> {
    match get_value(fields, name) {
        None => Ok(None),
        Some(Json::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(wrong_type(&field_path(at, name), "true or false")),
    }
}

/// Returns a positive integer.
pub(super) fn get_positive(fields: &Fields, name: &str) -> Result<Option<u32>, ApiError> {
    match get_value(fields, name) {
        None => Ok(None),
        Some(Json::Number(n)) if n.as_u64().is_some_and(|n| n > 0) => {
            Ok(n.as_u64().map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
        }
        Some(_) => Err(wrong_type(name, "a positive whole number")),
    }
}

pub(super) fn get_array<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<&'f [Json], ApiError> {
    match get_value(fields, name) {
        None => Ok(&[]),
        Some(Json::Array(list)) => Ok(list),
        Some(_) => Err(wrong_type(&field_path(at, name), "an array")),
    }
}

pub(super) fn get_object<'f>(fields: &'f Fields, name: &str) -> Result<Option<&'f Fields>, ApiError> {
    get_object_at(fields, name, "")
}

pub(super) fn get_object_at<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<Option<&'f Fields>, ApiError> {
    match get_value(fields, name) {
        None => Ok(None),
        Some(Json::Object(map)) => Ok(Some(map)),
        Some(_) => Err(wrong_type(&field_path(at, name), "an object")),
    }
}

/// Returns the sampling parameters; `limits` are the possible names of the token limit, of which the first present one
/// counts.
pub(super) fn get_sampling_params(fields: &Fields, limits: &[&str]) -> Result<SamplingParams, ApiError> {
    let mut max_output = None;
    for limit in limits {
        max_output = max_output.or(get_positive(fields, limit)?);
    }
    let (temperature, top_p) = (get_number(fields, "temperature", 2.0)?, get_number(fields, "top_p", 1.0)?);
    Ok(SamplingParams { max_output_tokens: max_output, temperature, top_p, ..SamplingParams::default() })
}

fn get_number(fields: &Fields, name: &str, most: f64) -> Result<Option<f64>, ApiError> {
    match get_value(fields, name).map(|value| value.as_f64().filter(|n| (0.0..=most).contains(n))) {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number)),
        Some(None) => Err(wrong_type(name, &format!("a number from 0 to {most}"))),
    }
}

/// Returns the path of a field inside another.
pub(super) fn field_path(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

pub(super) fn wrong_type(at: &str, wanted: &str) -> ApiError {
    ApiError::bad_request(format!("{at} must be {wanted}")).with_param(at)
}

pub(super) fn missing_field(at: &str) -> ApiError {
    ApiError::bad_request(format!("{at} is missing")).with_param(at)
}
