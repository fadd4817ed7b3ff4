//! PURE. Calls of an answer that was cut off or declined midway, which are therefore not run.

use super::Json;

/// The output of a call that the output limit cut off.
pub const TRUNCATED_CALL_OUTPUT: &str = "not run: the response reached its output limit in the middle of this call";

/// The output of a call whose answer the model, or a filter, broke off.
pub const DECLINED_CALL_OUTPUT: &str = "not run: the model declined to finish the response that requested this";

/// Returns whether a call's arguments are complete: a closed object was written to its end, however the answer was cut
/// off. `is_last` says that no other call of its message follows, so there may not have been time to begin the
/// arguments; `is_ready` that the server reports them as complete.
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
