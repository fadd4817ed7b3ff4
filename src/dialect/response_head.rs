//! What a decoder may know of a response before its first frame. Empty where there was none: bytes from a pipe or a file.

/// Headers that give a client its rights or ask for them. They are not kept.
const CREDENTIAL_HEADERS: &[&str] = &[
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "authentication-info",
    "proxy-authenticate",
    "proxy-authentication-info",
];

/// The status and the headers of a response, without credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    status: Option<u16>,
    /// Names in lower case, in the order of the response.
    headers: Vec<(String, String)>,
}

impl ResponseHead {
    pub fn new<'a>(status: u16, headers: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                _ if CREDENTIAL_HEADERS.contains(&name.as_str()) => None,
                "content-type" => Some((name, value.to_ascii_lowercase())),
                _ => Some((name, value)),
            }
        });
        Self { status: Some(status), headers: headers.collect() }
    }

    /// Returns the head of a response of which nothing else is known.
    pub fn from_content_type(content_type: &str) -> Self {
        Self { status: None, ..Self::new(200, [("content-type", content_type.to_owned())]) }
    }

    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns the first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the content type, without parameters and in lower case; empty where the response has none.
    pub fn content_type(&self) -> &str {
        self.header("content-type").and_then(|value| value.split(';').next()).unwrap_or_default().trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_by_its_name_in_any_case_and_cookies_are_not_kept() {
        let head = ResponseHead::new(
            201,
            [
                ("X-Stream-Version", "V1".to_owned()),
                ("Set-Cookie", "session=1".to_owned()),
                ("Content-Type", "Text/Event-Stream; charset=UTF-8".to_owned()),
            ],
        );
        assert_eq!(head.header("x-stream-version"), Some("V1"));
        assert_eq!(head.header("X-STREAM-VERSION"), Some("V1"));
        assert_eq!(head.header("set-cookie"), None);
        assert_eq!((head.status(), head.content_type()), (Some(201), "text/event-stream"));
    }

    #[test]
    fn the_head_of_bytes_without_a_response_is_empty() {
        let head = ResponseHead::default();
        assert_eq!((head.status(), head.header("content-type"), head.content_type()), (None, None, ""));
        assert_eq!(ResponseHead::from_content_type("text/html").status(), None);
    }
}
