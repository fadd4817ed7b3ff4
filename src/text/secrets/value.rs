//! Whether what stands under a secret's name is a secret: not a reference to one, a stand-in, a hash or a word.

use super::name::NameStrength;
use super::stand_in;

/// How a value stands behind its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValuePlace {
    Quoted,
    /// Without quotes: in code it may be the name of something.
    Bare,
    /// Without quotes behind a name in capitals: a line of an environment file.
    Environment,
}

const MIN_BYTES: usize = 8;
/// What a token is at least: shorter ones are mostly words of a lexer.
const MIN_WEAK_BYTES: usize = 16;
const MIN_CERTAIN_BYTES: usize = 4;
/// Different characters of a value that a machine or a person made up.
const MIN_DISTINCT: u32 = 5;
/// Lengths of hashes in hexadecimal digits.
const HASH_LENGTHS: &[usize] = &[32, 40, 56, 64, 96, 128];
/// How values begin that only say where the secret is, or that are hashes.
const HARMLESS_STARTS: &[&str] = &[
    "$", "{", "<", "(", "[", "*", "%(", "./", "../", "/", "~/", "env:", "cmd:", "sha256-", "sha384-", "sha512-",
    "sha1-",
];
/// What only references and stand-ins hold.
const HARMLESS_PARTS: &[&str] =
    &["${", "{{", "$(", "://", "process.env", "os.environ", "secrets.", "getenv", "[redacted:"];
/// Words of keys that are examples.
const EXAMPLE_WORDS: &[&str] = &["example", "your", "xxxx", "placeholder", "changeme", "redacted"];

pub(super) fn is_secret_value(value: &[u8], strength: NameStrength, place: ValuePlace) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let is_reference = HARMLESS_STARTS.iter().any(|start| text.starts_with(start))
        || HARMLESS_PARTS.iter().any(|part| text.contains(part));
    if is_reference {
        return false;
    }
    let min = match strength {
        NameStrength::Certain => return value.len() >= MIN_CERTAIN_BYTES,
        NameStrength::Strong | NameStrength::Header => MIN_BYTES,
        NameStrength::Weak => MIN_WEAK_BYTES,
    };
    if value.len() < min || value.iter().any(u8::is_ascii_whitespace) || !is_plausible(value) || is_wordy(value) {
        return false;
    }
    let has = |is: fn(&u8) -> bool| value.iter().any(is);
    let has_symbol = value.iter().any(|byte| b"!@#$%^&*?".contains(byte)) && strength == NameStrength::Strong;
    if !has(u8::is_ascii_alphabetic) || !(has(u8::is_ascii_digit) || has_symbol) || is_date(value) {
        return false;
    }
    if strength == NameStrength::Weak && (is_hash(value) || is_uuid(value)) {
        return false;
    }
    match place {
        ValuePlace::Quoted => !is_identifier(value),
        ValuePlace::Bare => !value.contains(&b'.') && !is_identifier(value) && !ends_in_a_count(value),
        ValuePlace::Environment => true,
    }
}

/// Whether characters look as if they were made up, and not as a word or an example.
pub(super) fn is_plausible(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(stand_in::is_secret) && is_made_up(value)
}

/// The same for what stands behind the prefix of a key, where even a word is one.
pub(super) fn is_made_up(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let distinct = value.iter().fold(0u128, |set, byte| set | 1 << (byte & 127)).count_ones();
    let lower = text.to_ascii_lowercase();
    distinct >= MIN_DISTINCT
        && !stand_in::is_placeholder(text)
        && !EXAMPLE_WORDS.iter().any(|word| lower.contains(word))
}

/// Whether it is digits and letters, and no words with numbers between them.
pub(super) fn is_mixed(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic) && !is_wordy(value)
}

/// Whether each of its parts is letters or digits alone: words, numbers and versions that were joined.
fn is_wordy(value: &[u8]) -> bool {
    let parts = value.split(|byte| matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b','));
    parts.clone().count() > 1
        && parts.into_iter().all(|part| {
            part.iter().all(u8::is_ascii_digit)
                || part.iter().all(u8::is_ascii_lowercase)
                || part.iter().all(u8::is_ascii_uppercase)
                || (part.iter().all(u8::is_ascii_alphabetic) && part.len() <= 12)
        })
}

fn is_hash(value: &[u8]) -> bool {
    HASH_LENGTHS.contains(&value.len()) && value.iter().all(u8::is_ascii_hexdigit)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(nth, byte)| match nth {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_date(value: &[u8]) -> bool {
    value.iter().filter(|byte| byte.is_ascii_alphabetic()).count() <= 2
        && value.iter().filter(|byte| byte.is_ascii_digit()).count() >= 6
        && value.iter().any(|byte| matches!(byte, b'-' | b':' | b'/'))
}

/// Whether it is a name of code whose words begin with capitals, with a count behind it at most.
fn is_identifier(value: &[u8]) -> bool {
    let letters = without_count(value);
    letters.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && letters.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        && value.len() < 40
}

fn ends_in_a_count(value: &[u8]) -> bool {
    without_count(value).iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
}

/// Returns it without up to three digits at its end.
fn without_count(value: &[u8]) -> &[u8] {
    let digits = value.iter().rev().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    value.get(..value.len() - digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_secret(value: &str, strength: NameStrength, place: ValuePlace) -> bool {
        is_secret_value(value.as_bytes(), strength, place)
    }

    #[test]
    fn passwords_and_keys_are_secrets() {
        for value in
            ["hunter2hunter2", "s3cr3t-v4lue", "p@ssw.rd!x", "9f86d081884c7d659a2feaa0c55ad015", "aB3+/xY9zQ=="]
        {
            assert!(is_secret(value, NameStrength::Strong, ValuePlace::Quoted), "{value}");
        }
        assert!(is_secret("a8Kx02mZq7Lp41Ts", NameStrength::Weak, ValuePlace::Quoted));
        assert!(is_secret("p@ss!w0rd", NameStrength::Strong, ValuePlace::Environment));
        assert!(is_secret("abcd", NameStrength::Certain, ValuePlace::Bare), "the settings name it");
    }

    #[test]
    fn references_stand_ins_words_and_hashes_are_none() {
        for value in [
            "${DB_PASSWORD}",
            "$SECRET",
            "{{ vault.password }}",
            "<your-password>",
            "process.env.API_KEY1",
            "env:MY_KEY_2",
            "/run/secrets/db1",
            "https://host/path1",
            "changeme123",
            "inputPassword1",
            "my-secret-1",
            "correct horse battery 1",
            "2024-01-02T10:11:12Z",
            "sha512-a1b2c3d4e5f6==",
            "aaaaaaaa1",
            "abcdefgh",
        ] {
            assert!(!is_secret(value, NameStrength::Strong, ValuePlace::Quoted), "{value}");
        }
        for value in ["9f86d081884c7d659a2feaa0c55ad015", "123e4567-e89b-42d3-a456-426614174000", "user-token-12"] {
            assert!(!is_secret(value, NameStrength::Weak, ValuePlace::Quoted), "{value}");
        }
        for value in ["config.password1", "getPassword2", "new_password12"] {
            assert!(!is_secret(value, NameStrength::Strong, ValuePlace::Bare), "{value}");
        }
    }
}
