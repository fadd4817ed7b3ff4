//! PURE. Calls of an answer that was cut off or broken off, so that nobody ran them.

use super::Json;

/// What a call gives that the output limit cut off, where nobody would have run it.
pub const TRUNCATED_CALL_OUTPUT: &str = "not run: the answer reached its output limit in the middle of this call";

/// What a call gives of an answer that the model, or a filter, broke off.
pub const DECLINED_CALL_OUTPUT: &str = "not run: the model declined to go on with the answer that asked for this";

/// Returns whether a call's arguments came to their end: an object that is closed was written to its end, whatever cut
/// the answer off. `is_last` says that no other call of its message follows, so that it may have had no time to begin
/// them; `is_ready` that the server says they are complete.
pub fn are_args_complete(args: &str, is_last: bool, is_ready: bool) -> bool {
    match serde_json::from_str::<Json>(args) {
        Ok(Json::Object(args)) => !(is_last && args.is_empty()),
        Ok(_) => false,
        Err(_) => args.trim().is_empty() && !is_last && is_ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_whole_where_its_object_is_closed_or_there_was_none_to_write() {
        assert!(are_args_complete(r#"{"path":"a"}"#, true, false));
        assert!(are_args_complete("{}", false, true) && are_args_complete("", false, true));
        assert!(
            !are_args_complete("{}", true, true)
                && !are_args_complete("", true, true)
                && !are_args_complete("", false, false)
        );
        assert!(!are_args_complete(r#"{"path":"#, false, true) && !are_args_complete("[1]", false, true));
    }
}
