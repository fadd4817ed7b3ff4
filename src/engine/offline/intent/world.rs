//! PURE. Requests that reach beyond files: commands, pages, the clock.

use super::words::{Kind, Words};
use super::{Step, json};

/// `$ ls -l` and `!ls -l`: the line is the command, whatever it holds.
pub(super) fn command_line(words: Words<'_>) -> Option<Step> {
    let line = words.raw_to_end();
    let command = line.strip_prefix('$').or_else(|| line.strip_prefix('!'))?;
    let spaced = line.starts_with('$');
    let command = command.strip_prefix(' ').or((!spaced).then_some(command))?.trim();
    let starts = command.chars().next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '/' | '_' | '~'));
    starts.then(|| Step::new("shell", json!({ "command": command })))
}

pub(super) fn shell(words: Words<'_>) -> Option<Vec<Step>> {
    const ARTICLES: [&str; 14] =
        ["the", "a", "an", "my", "this", "that", "it", "all", "your", "some", "these", "as", "in", "with"];
    let plain = words.plain();
    let mut rest = match plain.as_slice() {
        ["run" | "execute" | "exec", _, ..] => words.from(1),
        _ => return None,
    };
    if let Some(block) = rest.block() {
        return Some(vec![Step::new("shell", json!({ "command": rest.from(block).to(1).value().trim_end() }))]);
    }
    for phrase in [&["the", "shell", "command"][..], &["the", "command"], &["shell", "command"], &["command"]] {
        if rest.plain().starts_with(phrase) {
            rest = rest.from(phrase.len());
            break;
        }
    }
    let plain = rest.plain();
    let command = match rest.quoted().map(str::to_owned) {
        Some(command) => command,
        None if plain.first().is_none_or(|first| ARTICLES.contains(first)) => return None,
        // `run ls` in quotes with something after it: only what is quoted is the command.
        None => match rest.to(1).quoted() {
            Some(command) if rest.len() > 1 && !command.contains(char::is_whitespace) => rest.raw(),
            Some(command) => command.to_owned(),
            None => rest.raw(),
        },
    };
    let command = command.trim().to_owned();
    let starts = command.chars().next().is_some_and(|c| c.is_alphanumeric() || "./_~\"'([{$".contains(c));
    starts.then(|| vec![Step::new("shell", json!({ "command": command }))])
}

pub(super) fn fetch(words: Words<'_>) -> Option<Vec<Step>> {
    const VERBS: [&str; 13] = [
        "fetch",
        "download",
        "open",
        "visit",
        "browse",
        "load",
        "read",
        "show",
        "grab",
        "summarize",
        "summarise",
        "get",
        "curl",
    ];
    let plain = words.plain();
    let asked = match plain.as_slice() {
        [verb, ..] if VERBS.contains(verb) => true,
        ["what's" | "whats", at, ..] => matches!(*at, "at" | "on" | "behind"),
        ["what", is, ..] => matches!(*is, "is" | "does"),
        _ => false,
    };
    let urls: Vec<String> = (0..words.len()).filter_map(|at| url(words.from(at).to(1))).collect();
    let found = if !urls.is_empty() && (asked || urls.len() == words.len()) {
        urls
    } else if let ["fetch" | "visit" | "browse", .., name] = plain.as_slice()
        && urls.is_empty()
        && words.from(words.len() - 1).quoted().is_none()
        && looks_like_host(name)
    {
        // Case matters after the host.
        vec![format!("https://{}", words.from(words.len() - 1).value())]
    } else {
        return None;
    };
    Some(found.into_iter().map(|url| Step::new("fetch", json!({ "url": url }))).collect())
}

fn url(word: Words<'_>) -> Option<String> {
    if word.kind() == Some(Kind::Block) {
        return None;
    }
    let value = word.value();
    let value = value.trim_start_matches('<').trim_end_matches('>');
    let lower = value.to_ascii_lowercase();
    let host = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"))?;
    (!host.is_empty() && !host.contains(char::is_whitespace)).then(|| value.to_owned())
}

fn looks_like_host(word: &str) -> bool {
    let host = word.split('/').next().unwrap_or_default();
    let mut labels = host.split('.');
    host.contains('.')
        && labels.all(|label| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        && host.rsplit('.').next().is_some_and(|top| top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic()))
}

pub(super) fn clock(words: Words<'_>) -> Option<Vec<Step>> {
    let mut plain = words.plain();
    while plain.last().is_some_and(|last| matches!(*last, "now" | "right" | "currently" | "today" | "here" | "exactly"))
    {
        plain.pop();
    }
    if let ["tell" | "show" | "give", "me" | "us", rest @ ..] = plain.as_slice() {
        plain = rest.to_vec();
    }
    let rest: &[&str] = match plain.as_slice() {
        ["what" | "which", "time" | "day" | "date" | "weekday", "is" | "it's", "it", rest @ ..] => rest,
        ["what", "time" | "day" | "date", "it", "is", rest @ ..] => rest,
        ["what" | "which", "time" | "day" | "date", "is", rest @ ..] => rest,
        ["what's" | "whats", rest @ ..] | ["what", "is", rest @ ..] => the_time(rest)?,
        rest => the_time(rest)?,
    };
    let zone = match rest {
        [] => None,
        ["in" | "at" | "for", place @ ..] if !place.is_empty() && place.len() <= 4 => {
            let from = words.plain().iter().rposition(|word| matches!(*word, "in" | "at" | "for"))? + 1;
            Some(zone(&words.from(from).to(place.len()).value()))
        }
        [name] if looks_like_zone(name) => {
            let at = words.plain().iter().rposition(|word| word == name)?;
            Some(zone(&words.from(at).to(1).value()))
        }
        _ => return None,
    };
    Some(vec![Step::new("clock", zone.map_or_else(|| json!({}), |zone| json!({ "zone": zone })))])
}

/// Returns what follows "the time" in its various forms.
fn the_time<'a, 'b>(plain: &'b [&'a str]) -> Option<&'b [&'a str]> {
    match plain {
        ["the", "current" | "local" | "exact", "time" | "date", rest @ ..] => Some(rest),
        ["the", "time" | "date" | "day", "and", "date" | "time", rest @ ..] => Some(rest),
        ["the", "time" | "date" | "day" | "weekday", rest @ ..] => Some(rest),
        ["current" | "local", "time" | "date", rest @ ..] => Some(rest),
        ["today's", "date", rest @ ..] => Some(rest),
        ["time" | "date", rest @ ..] => Some(rest),
        ["today" | "clock"] => Some(&[]),
        _ => None,
    }
}

fn looks_like_zone(word: &str) -> bool {
    matches!(word, "utc" | "gmt")
        || word.split_once('/').is_some_and(|(area, place)| !area.is_empty() && !place.is_empty())
}

/// Returns the IANA name of a place; what isn't known goes to the tool as it is, which will say so.
fn zone(place: &str) -> String {
    const PLACES: &[(&str, &str)] = &[
        ("utc", "UTC"),
        ("gmt", "UTC"),
        ("london", "Europe/London"),
        ("england", "Europe/London"),
        ("dublin", "Europe/Dublin"),
        ("lisbon", "Europe/Lisbon"),
        ("madrid", "Europe/Madrid"),
        ("paris", "Europe/Paris"),
        ("france", "Europe/Paris"),
        ("amsterdam", "Europe/Amsterdam"),
        ("brussels", "Europe/Brussels"),
        ("berlin", "Europe/Berlin"),
        ("germany", "Europe/Berlin"),
        ("munich", "Europe/Berlin"),
        ("vienna", "Europe/Vienna"),
        ("zurich", "Europe/Zurich"),
        ("rome", "Europe/Rome"),
        ("italy", "Europe/Rome"),
        ("stockholm", "Europe/Stockholm"),
        ("oslo", "Europe/Oslo"),
        ("copenhagen", "Europe/Copenhagen"),
        ("helsinki", "Europe/Helsinki"),
        ("warsaw", "Europe/Warsaw"),
        ("prague", "Europe/Prague"),
        ("athens", "Europe/Athens"),
        ("istanbul", "Europe/Istanbul"),
        ("kyiv", "Europe/Kyiv"),
        ("moscow", "Europe/Moscow"),
        ("cairo", "Africa/Cairo"),
        ("lagos", "Africa/Lagos"),
        ("nairobi", "Africa/Nairobi"),
        ("johannesburg", "Africa/Johannesburg"),
        ("dubai", "Asia/Dubai"),
        ("karachi", "Asia/Karachi"),
        ("delhi", "Asia/Kolkata"),
        ("mumbai", "Asia/Kolkata"),
        ("india", "Asia/Kolkata"),
        ("bangkok", "Asia/Bangkok"),
        ("jakarta", "Asia/Jakarta"),
        ("singapore", "Asia/Singapore"),
        ("hong kong", "Asia/Hong_Kong"),
        ("shanghai", "Asia/Shanghai"),
        ("beijing", "Asia/Shanghai"),
        ("china", "Asia/Shanghai"),
        ("seoul", "Asia/Seoul"),
        ("tokyo", "Asia/Tokyo"),
        ("japan", "Asia/Tokyo"),
        ("sydney", "Australia/Sydney"),
        ("melbourne", "Australia/Melbourne"),
        ("auckland", "Pacific/Auckland"),
        ("new york", "America/New_York"),
        ("boston", "America/New_York"),
        ("toronto", "America/Toronto"),
        ("chicago", "America/Chicago"),
        ("denver", "America/Denver"),
        ("los angeles", "America/Los_Angeles"),
        ("san francisco", "America/Los_Angeles"),
        ("california", "America/Los_Angeles"),
        ("seattle", "America/Los_Angeles"),
        ("vancouver", "America/Vancouver"),
        ("mexico city", "America/Mexico_City"),
        ("bogota", "America/Bogota"),
        ("buenos aires", "America/Argentina/Buenos_Aires"),
        ("sao paulo", "America/Sao_Paulo"),
        ("são paulo", "America/Sao_Paulo"),
        ("brazil", "America/Sao_Paulo"),
    ];
    let lower = place.to_lowercase();
    PLACES.iter().find(|(name, _)| *name == lower).map_or_else(|| place.to_owned(), |(_, zone)| (*zone).to_owned())
}
