//! What the libraries below say of an error, for people.

use std::error::Error as _;

/// All that the layers say of an error.
pub(super) fn error_chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The innermost cause, which says most.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    strip_os_error_number(&crate::dialect::error::to_single_line(&text))
}

/// The words of a library for people: without the number that the system has for it.
pub(super) fn strip_os_error_number(text: &str) -> String {
    let (before, number) = text.rsplit_once(" (os error ").unwrap_or((text, ")"));
    let is_number = number.strip_suffix(')').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    if is_number { before.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_number_of_an_error_is_left_out() {
        assert_eq!(strip_os_error_number("Connection refused (os error 111)"), "Connection refused");
        assert_eq!(strip_os_error_number("tcp connect error"), "tcp connect error");
        assert_eq!(strip_os_error_number("it says (os error x)"), "it says (os error x)");
    }
}
