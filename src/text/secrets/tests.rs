//! Tests of the rules on made-up secrets and harmless texts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::testkit::secrets::{PlantedSecret, SeededNumbers, harmless_texts, planted_secrets};

fn rules() -> SecretRules {
    SecretRules::new(&SecretSettings { builtin: true, ..SecretSettings::default() })
}

fn mark(kind: &str, value: &str) -> String {
    format!("[redacted:{kind}:{}]", value.len())
}

fn replaced(rules: &SecretRules, text: &str) -> String {
    rules.replace(text, &mark).unwrap_or_else(|| text.to_owned())
}

fn streamed<'a>(rules: &SecretRules, pieces: impl IntoIterator<Item = &'a str>) -> String {
    let mut stream = SecretStream::default();
    let mut out = String::new();
    for piece in pieces {
        match stream.push(rules, piece, &mark) {
            Some(told) => out.push_str(&told),
            None => out.push_str(piece),
        }
    }
    out + &stream.pause(rules, &mark)
}

/// Checks what came of a text in pieces: as of the whole, but that the first letter of a secret may stand before its
/// mark.
fn check_streamed(rules: &SecretRules, text: &str, told: &str) {
    let scan = rules.scan(text.as_bytes(), 0, true, MAX_HELD_BYTES, &mut ScanState::default());
    let (mut rest, mut at) = (told, 0);
    let expect = |rest: &mut &str, part: &str| {
        *rest = rest
            .strip_prefix(part)
            .unwrap_or_else(|| panic!("{part:?} is not where it should be in {told:?} of {text:?}"));
    };
    for SecretMatch { range, kind } in scan.matches {
        expect(&mut rest, &text[at..range.start]);
        let mark = mark(kind.unwrap_or_default(), &text[range.start..range.end.min(range.start + MAX_HELD_BYTES)]);
        if !rest.starts_with(&mark) {
            expect(&mut rest, &text[range.start..=range.start]);
        }
        expect(&mut rest, &mark);
        at = range.end;
    }
    assert_eq!(rest, &text[at..], "{text:?}");
}

#[test]
fn a_thousand_secrets_of_many_kinds_are_found_and_nothing_else_is_lost() {
    let rules = rules();
    let planted = planted_secrets(1, 1000);
    let kinds: BTreeSet<_> = planted.iter().map(|one| &one.kind).collect();
    assert!(kinds.len() >= 60, "{}", kinds.len());
    let missed: Vec<_> = planted
        .iter()
        .filter(|PlantedSecret { text, secret, .. }| {
            let told = replaced(&rules, text);
            told.contains(secret.as_str()) || !told.contains("[redacted:")
        })
        .collect();
    assert!(missed.is_empty(), "{} missed, such as {:#?}", missed.len(), &missed[..missed.len().min(5)]);
}

#[test]
fn a_secret_is_found_wherever_it_is_cut() {
    let rules = rules();
    for PlantedSecret { text, secret, kind } in planted_secrets(2, 1000) {
        let whole = replaced(&rules, &text);
        assert!(!whole.contains(&secret), "{kind}: {text}");
        // Every place of short texts, every seventh of keys with many lines.
        let step = if text.len() > 200 { 7 } else { 1 };
        for cut in (0..=text.len()).step_by(step).filter(|cut| text.is_char_boundary(*cut)) {
            check_streamed(&rules, &text, &streamed(&rules, [&text[..cut], &text[cut..]]));
        }
        let letters: Vec<&str> = text.split_inclusive(|_| true).collect();
        check_streamed(&rules, &text, &streamed(&rules, letters));
    }
}

#[test]
fn of_ten_thousand_harmless_texts_hardly_any_loses_something() {
    let rules = rules();
    let wrong: BTreeSet<_> = harmless_texts(3, 10_000)
        .into_iter()
        .filter_map(|text| {
            let told = replaced(&rules, &text);
            (told != text).then_some((told, text))
        })
        .collect();
    assert!(wrong.len() <= 5, "{} of 10000, such as {:#?}", wrong.len(), wrong.iter().take(6).collect::<Vec<_>>());
}

#[test]
fn the_sources_of_this_program_hold_no_secret() {
    let rules = rules();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["Cargo.lock", "README.md", "src/agent/history.rs", "assets/languages.toml", "assets/models.toml"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert_eq!(
            rules.replace(&text, &|kind, value| format!("[{kind} {value}]")).map(|told| {
                told.lines().zip(text.lines()).find(|(told, line)| told != line).map(|(told, _)| told.to_owned())
            }),
            None,
            "{file}"
        );
    }
}

#[test]
fn marks_are_no_secrets() {
    let rules = rules();
    for PlantedSecret { text, .. } in planted_secrets(4, 300) {
        let once = replaced(&rules, &text);
        assert_eq!(replaced(&rules, &once), once);
    }
}

#[test]
fn what_is_too_long_to_wait_for_is_blanked_out_to_its_end() {
    let rules = rules();
    let mut numbers = SeededNumbers::new(5);
    let long = numbers.letters(b"ABCdefghij0123456789", 3 * MAX_HELD_BYTES);
    let text = format!("a {}{long} b", "sk-proj-");
    let whole = replaced(&rules, &text);
    assert_eq!(whole, format!("a {} b", mark("openai-key", &text[2..2 + MAX_HELD_BYTES])));
    let pieces: Vec<&str> = (0..text.len()).step_by(500).map(|at| &text[at..text.len().min(at + 500)]).collect();
    assert_eq!(streamed(&rules, pieces), whole);
    let lines = numbers.letters(b"ABCdefghij0123456789", 64) + "\n";
    let text = format!("-----BEGIN RSA PRIVATE KEY-----\n{}-----END RSA PRIVATE KEY-----\nrest", lines.repeat(300));
    let whole = replaced(&rules, &text);
    assert!(!whole.contains(&lines) && whole.ends_with("-----END RSA PRIVATE KEY-----\nrest"), "{whole}");
    let pieces: Vec<&str> = (0..text.len()).step_by(77).map(|at| &text[at..text.len().min(at + 77)]).collect();
    assert_eq!(streamed(&rules, pieces), whole);
}

#[test]
fn text_without_a_beginning_of_a_secret_is_passed_on_at_once() {
    let rules = rules();
    let mut stream = SecretStream::default();
    for piece in ["The ", "answer", " is 42: ", "read `config.rs`,\n", "not ask", "ed - twice = 3", " – é"] {
        assert_eq!(stream.push(&rules, piece, &mark), None, "{piece:?}");
        assert!(!stream.is_waiting(), "{piece:?}");
    }
}

#[test]
fn a_pause_in_a_secret_tells_little_and_the_rest_is_found() {
    let rules = rules();
    let secret = format!("{}{}", "ghp", "_q7Zr81KxTn45bVw2YcM09LpDs63HgJf8AaEu");
    for cut in 1..secret.len() {
        let mut stream = SecretStream::default();
        let mut out = stream.push(&rules, &secret[..cut], &mark).unwrap_or_else(|| secret[..cut].to_owned());
        out += &stream.pause(&rules, &mark);
        out += &stream.push(&rules, &secret[cut..], &mark).unwrap_or_else(|| secret[cut..].to_owned());
        out += &stream.pause(&rules, &mark);
        let told = out.split("[redacted:").next().unwrap_or_default();
        assert!(told.len() < 4 + 8 && out.contains("[redacted:github-token:"), "{cut}: {out}");
        assert!(!out.contains(&secret[12..20]), "{cut}: {out}");
    }
}

#[test]
fn what_the_settings_name_is_found_and_what_they_allow_is_not() {
    let rules = SecretRules::new(&SecretSettings {
        builtin: true,
        shapes: vec![CustomShape::parse("acme-key", "acme_[a-z0-9]{12,}").unwrap()],
        names: vec!["license_code".into()],
        allowed: vec![format!("{}{}", "ghp", "_allowed0")],
        known: vec![KnownSecret { kind: "MY_TOKEN".into(), value: "correct-horse\"battery/9".into() }],
    });
    for (text, told) in [
        ("use acme_a1b2c3d4e5f6 now".to_owned(), "use [redacted:acme-key:17] now"),
        ("licenseCode: abcd".to_owned(), "licenseCode: [redacted:secret:4]"),
        (format!("{}{}", "ghp", "_allowed0Zr81KxTn45bVw2YcM09LpDs63HgJf8A"), ""),
        ("it is correct-horse\"battery/9!".to_owned(), "it is [redacted:MY_TOKEN:23]!"),
        ("{\"a\":\"correct-horse\\\"battery\\/9\"}".to_owned(), "{\"a\":\"[redacted:MY_TOKEN:25]\"}"),
        ("it ends in correct-horse".to_owned(), "it ends in [redacted:MY_TOKEN:13]"),
    ] {
        assert_eq!(replaced(&rules, &text), if told.is_empty() { text.clone() } else { told.to_owned() });
        for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            check_streamed(&rules, &text, &streamed(&rules, [&text[..cut], &text[cut..]]));
        }
    }
}

#[test]
fn kinds_and_ranges_are_told() {
    let rules = rules();
    let key = format!("{}{}", "sk-ant", "-api03-q7Zr81KxTn45bVw2YcM09LpDs63");
    for (text, told) in [
        (format!("ANTHROPIC_API_KEY={key}"), format!("ANTHROPIC_API_KEY=[redacted:api-key:{}]", key.len())),
        (format!("use {key}."), format!("use [redacted:anthropic-key:{}].", key.len())),
        ("postgres://me:s3cr3tpw@db/x".into(), "postgres://me:[redacted:password:8]@db/x".into()),
        ("\"password\": \"hunter2hunter2\",".into(), "\"password\": \"[redacted:password:14]\",".into()),
        ("Authorization: Basic dXNlcjpwYXNzd29yZDE=".into(), "Authorization: Basic [redacted:authorization:20]".into()),
    ] {
        assert_eq!(replaced(&rules, &text), told);
    }
}

#[test]
fn a_token_costs_a_few_looks_at_what_came_with_it() {
    let rules = rules();
    let mut stream = SecretStream::default();
    for _ in 0..20_000 {
        assert_eq!(stream.push(&rules, "a token of text ", &mark), None);
        assert!(stream.text.len() < 2 * (CONTEXT_BYTES + MAX_PASSED_FOR_TESTS), "what was passed on is forgotten");
    }
}

const MAX_PASSED_FOR_TESTS: usize = 1200;

proptest! {
    #[test]
    fn a_stream_comes_to_what_the_whole_text_comes_to(seed in any::<u64>(), cuts in prop::collection::vec(0..2000usize, 0..12)) {
        let rules = rules();
        let mut numbers = SeededNumbers::new(seed);
        let planted = planted_secrets(seed, 40);
        let harmless = harmless_texts(seed, 60);
        let mut text = String::new();
        for _ in 0..4 {
            text.push_str(&planted[numbers.below(planted.len())].text);
            let other = &harmless[numbers.below(harmless.len())];
            text.push_str(&other[..other.floor_char_boundary(numbers.below(200))]);
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut % (text.len() + 1))).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]);
        check_streamed(&rules, &text, &streamed(&rules, pieces));
    }

    #[test]
    fn no_text_is_too_odd(text in ".{0,200}", cut in 0..200usize) {
        let rules = rules();
        let cut = text.floor_char_boundary(cut);
        check_streamed(&rules, &text, &streamed(&rules, [&text[..cut], &text[cut..]]));
    }

    #[test]
    fn odd_beginnings_of_secrets_are_read(text in "(-----BEGIN |PRIVATE KEY-----|eyJ|[.:=/\\\\\"' \n]|sk-|ghp_|AKIA|token|password|://|@|[A-Za-z0-9]{1,20}){0,14}", cut in 0..200usize) {
        let rules = rules();
        let cut = text.floor_char_boundary(cut);
        check_streamed(&rules, &text, &streamed(&rules, [&text[..cut], &text[cut..]]));
    }
}
