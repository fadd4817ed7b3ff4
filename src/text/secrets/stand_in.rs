//! PURE. Which keys are none: servers on one's own machine ask for a key and take any, so people write `ollama`,
//! `lm-studio`, `EMPTY` or `sk-no-key-required`. Blanking those out would blank out words of the answer.
//!
//! The rule: a key is a secret if it has at least [`MIN_SECRET_BYTES`] bytes and is neither a single word (at most
//! [`MAX_WORD_LETTERS`] letters of one case and nothing else) nor made of nothing but [`PLACEHOLDER_WORDS`], fillers
//! such as `xxxx` and the digits that everybody counts with. Keys that a machine made are longer or have digits or both
//! cases in them, and a person's phrase has a word that is none of these.

/// A shorter key is no secret: what is blanked out is found anywhere, also inside words.
const MIN_SECRET_BYTES: usize = 8;

/// LocatedBytes of the longest word; more of them are chosen by chance.
const MAX_WORD_LETTERS: usize = 16;

/// Digits of the longest count.
const MAX_COUNT_DIGITS: usize = 6;

/// Words that keys are made of where none is needed, and names of the servers that need none.
const PLACEHOLDER_WORDS: &[&str] = &[
    "a",
    "abc",
    "add",
    "an",
    "any",
    "anything",
    "api",
    "apikey",
    "bearer",
    "change",
    "changeme",
    "chat",
    "cpp",
    "default",
    "demo",
    "dev",
    "dummy",
    "empty",
    "enter",
    "example",
    "fake",
    "foo",
    "for",
    "free",
    "gpt",
    "here",
    "hf",
    "ignored",
    "in",
    "insert",
    "is",
    "it",
    "jan",
    "key",
    "litellm",
    "llama",
    "llamacpp",
    "llm",
    "lm",
    "lmstudio",
    "local",
    "localai",
    "localhost",
    "master",
    "me",
    "mock",
    "my",
    "na",
    "necessary",
    "need",
    "needed",
    "no",
    "nokey",
    "none",
    "not",
    "nothing",
    "null",
    "ollama",
    "open",
    "openai",
    "optional",
    "placeholder",
    "proj",
    "required",
    "sglang",
    "sk",
    "some",
    "something",
    "string",
    "studio",
    "test",
    "testing",
    "the",
    "this",
    "to",
    "token",
    "unused",
    "use",
    "used",
    "vllm",
    "whatever",
    "with",
    "without",
    "works",
    "x",
    "your",
];

/// Returns whether a text is to be kept from everybody.
pub fn is_secret(key: &str) -> bool {
    key.len() >= MIN_SECRET_BYTES && !is_word(key) && !is_placeholder(key)
}

fn is_word(key: &str) -> bool {
    let is_of = |case: fn(&u8) -> bool| key.as_bytes().iter().all(case);
    key.len() <= MAX_WORD_LETTERS && (is_of(u8::is_ascii_lowercase) || is_of(u8::is_ascii_uppercase))
}

pub(super) fn is_placeholder(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    lower.split(|letter: char| !letter.is_alphanumeric()).all(|part| {
        let letters = part.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let digits = part.get(letters.len()..).unwrap_or_default();
        let is_filler = letters.bytes().all(|byte| letters.as_bytes().first() == Some(&byte));
        let is_count = digits.len() <= MAX_COUNT_DIGITS && "01234567890".contains(digits);
        let is_counted = is_count || digits.bytes().all(|byte| byte == b'0');
        (is_filler || PLACEHOLDER_WORDS.contains(&letters)) && is_counted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_no_key_is_no_secret() {
        for key in [
            "ollama",
            "x",
            "lm-studio",
            "EMPTY",
            "no-key-required",
            "sk-no-key-required",
            "sk-local",
            "sk-dummy",
            "sk-1234",
            "token-abc123",
            "your_api_key_here",
            "<your-api-key>",
            "sk-xxxxxxxxxxxxxxxx",
            "sk-00000000",
            "not-needed",
            "llama.cpp",
            "placeholder",
            "hf_xxxxxxxxxx",
            "********",
            "tiny-7",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn keys_and_phrases_are_secrets() {
        for key in [
            "sk-12345678-abcdef",
            "sk-proj-Ab3xK9",
            "hunter2hunter2",
            "correct-horse-battery-staple",
            "0b5f1e9ac2d34f",
            "AIzaSyA-x",
            "test-gehe1m",
            "pässword1",
            "sk-12345678",
            "qzjxkwvbtmplrhgn-x",
            "qzjxkwvbtmplrhgnsd",
            "another-calls-key-7",
        ] {
            assert!(is_secret(key), "{key}");
        }
    }
}
