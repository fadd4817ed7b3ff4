//! PURE. What a refused request says of the request that would be taken: the fields that a validator names.
//!
//! Source: the bodies of Pydantic's and FastAPI's validation errors (`loc`, a discriminator) and of Zod's issues (`path`).

use super::{REQUEST_KINDS, RequestKind};

/// Fields that are looked at.
const MAX_FIELDS: usize = 64;

/// Returns the kind of request that a refusal asks for, and the fields by which.
pub(super) fn wanted_kind(refusal: &str) -> Option<(&'static RequestKind, &'static [&'static str])> {
    let fields = named_fields(refusal);
    let is_named = |set: &&&[&str]| set.iter().all(|name| fields.iter().any(|field| field == name));
    let kinds = REQUEST_KINDS.into_iter();
    kinds.filter_map(|kind| Some((kind, *kind.wanted_fields.iter().find(is_named)?))).max_by_key(|(_, set)| set.len())
}

/// Returns the names of fields in a validator's errors. The body may be cut anywhere.
fn named_fields(refusal: &str) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for key in ["\"loc\"", "\"path\""] {
        for (at, _) in refusal.match_indices(key).take(MAX_FIELDS) {
            let rest = refusal.get(at + key.len()..).unwrap_or_default().trim_start_matches([':', ' ']);
            let list = rest.split_inclusive(']').next().unwrap_or_default();
            let Ok(place) = serde_json::from_str::<Vec<serde_json::Value>>(list) else { continue };
            // A place within a list is that of a field which is there.
            if place.len() <= 2
                && let Some(name) = place.last().and_then(serde_json::Value::as_str)
            {
                fields.push(name.to_owned());
            }
        }
    }
    if let Some((_, rest)) = refusal.split_once("discriminator '") {
        fields.extend(rest.split('\'').next().map(str::to_owned));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(refusal: &str) -> Option<&'static str> {
        wanted_kind(refusal).map(|(kind, _)| kind.name)
    }

    #[test]
    fn a_validator_that_names_fields_names_the_request() {
        for (refusal, name) in [
            (
                r#"[{"type":"missing","loc":["threadId"],"msg":"Field required","input":{}},{"type":"missing","loc":["runId"],"msg":"Field required"}]"#,
                Some("ag-ui"),
            ),
            (
                r#"[{"type":"union_tag_not_found","loc":[],"msg":"Unable to extract tag using discriminator 'trigger'","input":{"mo"#,
                Some("ai-sdk"),
            ),
            (
                r#"{"detail":[{"type":"missing","loc":["body","appName"]},{"type":"missing","loc": ["body", "userId"]},{"loc":["body","sessionId"]}]}"#,
                Some("adk"),
            ),
            (r#"{"detail":[{"type":"missing","loc":["body","message"],"msg":"Field required"}]}"#, Some("agno")),
            (r#"{"issues":[{"code":"invalid_type","path":["messages"],"message":"Required"}]}"#, Some("chat")),
            (r#"{"detail":[{"loc":["body","messages",0,"content"],"msg":"bad"}]}"#, None),
            (r#"{"detail":[{"loc":["body","threadId"],"msg":"bad"}]}"#, None),
            (r#"{"error":{"message":"model is overloaded"}}"#, None),
            (r#"{"detail":[{"loc":["body","thr"#, None),
        ] {
            assert_eq!(wanted(refusal), name, "{refusal}");
        }
    }
}
