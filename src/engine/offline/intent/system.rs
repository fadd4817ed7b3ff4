//! PURE. Requests that reach beyond files: commands, pages, the clock.

use super::words::{SpanKind, WordSlice};
use super::{PlanStep, is_path, is_plain_name, json, path_of};

/// `$ ls -l` and `!ls -l`: the line is the command, whatever it contains.
pub(super) fn command_line(words: WordSlice<'_>) -> Option<PlanStep> {
    let line = words.raw_to_end();
    let command = line.strip_prefix('$').or_else(|| line.strip_prefix('!'))?;
    let spaced = line.starts_with('$');
    let command = command.strip_prefix(' ').or((!spaced).then_some(command))?.trim();
    let starts = command.chars().next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '/' | '_' | '~'));
    starts.then(|| PlanStep::new("shell", json!({ "command": command })))
}

pub(super) fn shell(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    const NON_COMMAND_WORDS: [&str; 14] =
        ["the", "a", "an", "my", "this", "that", "it", "all", "your", "some", "these", "as", "in", "with"];
    let plain = words.plain();
    let mut rest = match plain.as_slice() {
        ["run" | "execute" | "exec", _, ..] => words.skip(1),
        _ => return None,
    };
    if let Some(block) = rest.block_position() {
        return Some(vec![PlanStep::new("shell", json!({ "command": rest.skip(block).take(1).value().trim_end() }))]);
    }
    for phrase in [&["the", "shell", "command"][..], &["the", "command"], &["shell", "command"], &["command"]] {
        if rest.plain().starts_with(phrase) {
            rest = rest.skip(phrase.len());
            break;
        }
    }
    if rest.plain().first().is_none_or(|first| NON_COMMAND_WORDS.contains(first)) {
        return None;
    }
    let ticked = |at: usize| rest.skip(at).take(1).quoted().filter(|_| rest.skip(at).take(1).raw().starts_with('`'));
    let commands = if rest.take(1).quoted().is_some() && (rest.len() == 1 || ticked(0).is_some()) {
        // In backticks the command is complete: what follows must be another one.
        let joint = |word: &str| matches!(word, "and" | "then" | "&");
        (0..rest.len())
            .filter(|at| !rest.plain().get(*at).is_some_and(|word| joint(word)))
            .map(|at| ticked(at).or(rest.quoted()).map(str::to_owned))
            .collect::<Option<Vec<String>>>()?
    } else {
        vec![rest.raw()]
    };
    let starts =
        |command: &str| command.trim().chars().next().is_some_and(|c| c.is_alphanumeric() || "./_~\"'([{$".contains(c));
    commands
        .iter()
        .all(|command| starts(command))
        .then(|| commands.iter().map(|command| PlanStep::new("shell", json!({ "command": command.trim() }))).collect())
}

/// "create a folder called notes": no tool makes folders, but a command does.
pub(super) fn new_folder(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    let ["create" | "make", middle @ .., _] = plain.as_slice() else { return None };
    let known = ["a", "an", "the", "new", "empty", "folder", "directory", "called", "named"];
    let says_folder = middle.contains(&"folder") || middle.contains(&"directory");
    let name = words.skip(words.len() - 1).value();
    (says_folder && middle.iter().all(|word| known.contains(word)) && is_plain_name(&name))
        .then(|| vec![PlanStep::new("shell", json!({ "command": format!("mkdir -p {name}") }))])
}

/// "how many lines does a.txt have", "count the lines in a.txt", "the last 5 lines of a.txt".
pub(super) fn line_command(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    let (rest, command) = match plain.as_slice() {
        ["how", "many", "lines", _, ..] => (words.skip(3), "wc -l".to_owned()),
        ["count", "lines", _, ..] => (words.skip(2), "wc -l".to_owned()),
        ["count", "the", "lines", _, ..] => (words.skip(3), "wc -l".to_owned()),
        [.., "last", count, "lines", "of" | "in" | "from", _] if count.chars().all(|c| c.is_ascii_digit()) => {
            let verb =
                matches!(*plain.first()?, "show" | "read" | "print" | "display" | "last" | "the" | "see" | "give");
            (verb.then(|| words.skip(words.len() - 2))?, format!("tail -n {count}"))
        }
        _ => return None,
    };
    let filler =
        |word: &str| matches!(word, "does" | "are" | "there" | "in" | "of" | "from" | "the" | "file" | "have" | "has");
    let at: Vec<usize> = (0..rest.len()).filter(|at| !rest.plain().get(*at).is_some_and(|word| filler(word))).collect();
    let [at] = at.as_slice() else { return None };
    let word = rest.skip(*at).take(1);
    let path = path_of(word);
    (is_path(word) && is_plain_name(&path))
        .then(|| vec![PlanStep::new("shell", json!({ "command": format!("{command} {path}") }))])
}

pub(super) fn fetch(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    const FETCH_VERBS: [&str; 13] = [
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
    let is_explicit = match plain.as_slice() {
        [verb, ..] if FETCH_VERBS.contains(verb) => true,
        ["what's" | "whats", at, ..] => matches!(*at, "at" | "on" | "behind"),
        ["what", is, ..] => matches!(*is, "is" | "does"),
        ["go", "to", ..] | ["look", "at", ..] => true,
        _ => false,
    };
    let urls: Vec<String> = (0..words.len()).filter_map(|at| url(words.skip(at).take(1))).collect();
    let found = if !urls.is_empty() && (is_explicit || urls.len() == words.len()) {
        urls
    } else if let ["fetch" | "visit" | "browse", .., name] = plain.as_slice()
        && urls.is_empty()
        && words.skip(words.len() - 1).quoted().is_none()
        && looks_like_host(name)
    {
        // Case matters after the host.
        vec![format!("https://{}", words.skip(words.len() - 1).value())]
    } else {
        return None;
    };
    Some(found.into_iter().map(|url| PlanStep::new("fetch", json!({ "url": url }))).collect())
}

fn url(word: WordSlice<'_>) -> Option<String> {
    if word.kind() == Some(SpanKind::Block) {
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

pub(super) fn clock(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
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
        ["what's" | "whats", rest @ ..] | ["what", "is", rest @ ..] => after_the_time(rest)?,
        rest => after_the_time(rest)?,
    };
    let zones = match rest {
        [] => return Some(vec![PlanStep::new("clock", json!({}))]),
        ["in" | "at" | "for", place @ ..] if !place.is_empty() => {
            let from = words.plain().iter().position(|word| matches!(*word, "in" | "at" | "for"))? + 1;
            places(words.skip(from).take(place.len()))?
        }
        [name] if looks_like_zone(name) => {
            let at = words.plain().iter().rposition(|word| word == name)?;
            vec![zone(&words.skip(at).take(1).value())]
        }
        _ => return None,
    };
    Some(zones.into_iter().map(|zone| PlanStep::new("clock", json!({ "zone": zone }))).collect())
}

/// "London, Paris and New York": the zones of up to four places.
fn places(words: WordSlice<'_>) -> Option<Vec<String>> {
    let plain = words.plain();
    let (mut zones, mut from) = (Vec::new(), 0);
    for at in 0..=plain.len() {
        let joint = plain.get(at).is_none_or(|word| *word == "and");
        let comma = at > from && words.punctuation_before(at) == Some(',');
        if !joint && !comma {
            continue;
        }
        if at > from {
            let place = words.take(at).skip(from);
            (place.len() <= 3).then(|| zones.push(zone(&place.value())))?;
        }
        from = if joint { at + 1 } else { at };
    }
    (1..=4).contains(&zones.len()).then_some(zones)
}

/// Returns what follows "the time" in its various forms.
fn after_the_time<'a, 'b>(plain: &'b [&'a str]) -> Option<&'b [&'a str]> {
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

/// Returns the IANA name of a place; an unknown place goes to the tool unchanged, which reports it.
fn zone(place: &str) -> String {
    const PLACE_ZONES: &[(&str, &str)] = &[
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
    PLACE_ZONES.iter().find(|(name, _)| *name == lower).map_or_else(|| place.to_owned(), |(_, zone)| (*zone).to_owned())
}
