//! PURE. The manual that is built into the program, and finding the sections that answer a question.
//!
//! Sections are what stands under one heading. They are ranked by BM25 over stems, headings weighing more than text,
//! with a small set of synonyms that count less than the word itself. It knows nothing of conversations or streaming.

mod terms;

use std::sync::LazyLock;

use terms::{group_of, terms};

const FILES: &[&str] = &[
    include_str!("../../../../assets/manual/getting-started.md"),
    include_str!("../../../../assets/manual/connecting.md"),
    include_str!("../../../../assets/manual/keys.md"),
    include_str!("../../../../assets/manual/commands.md"),
    include_str!("../../../../assets/manual/approvals.md"),
    include_str!("../../../../assets/manual/tools.md"),
    include_str!("../../../../assets/manual/sessions.md"),
    include_str!("../../../../assets/manual/replay.md"),
    include_str!("../../../../assets/manual/attaching.md"),
    include_str!("../../../../assets/manual/serving.md"),
    include_str!("../../../../assets/manual/headless.md"),
    include_str!("../../../../assets/manual/configuration.md"),
    include_str!("../../../../assets/manual/safety.md"),
    include_str!("../../../../assets/manual/troubleshooting.md"),
];

/// How often a word counts, by where it stands.
const IN_HEADING: f64 = 4.0;
const IN_PARENT: f64 = 1.0;
const IN_ALSO: f64 = 2.0;
/// A synonym counts this much of the word itself.
const SYNONYM: f64 = 0.55;
/// What a heading adds when the question has all of its words; less when it has some.
const NAMED: f64 = 2.0;
/// What a section that opens a chapter has ahead of those below it.
const OPENS: f64 = 0.5;
/// BM25: how fast repetition stops counting, and how much long sections are held back.
const K1: f64 = 1.3;
const B: f64 = 0.5;
/// A question counts as understood when sections know this share of its (weighted) words …
const COVERED: f64 = 0.42;
/// … and the best of them scores this much, or is named outright.
const ENOUGH: f64 = 3.2;
/// Words of a question that are looked at; a longer text is no question.
const LONGEST_QUESTION: usize = 60;

/// What stands under one heading.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: String,
    /// The heading above, when there is one.
    pub(super) parent: Option<String>,
    /// Markdown below the heading.
    pub(super) body: String,
    /// (stem, how much it counts), sorted by stem.
    weights: Vec<(String, f64)>,
    heading: Vec<String>,
    length: f64,
}

impl Section {
    /// Returns how the section is cited, such as `Connecting a model › Ollama`.
    pub(super) fn cite(&self) -> String {
        match &self.parent {
            Some(parent) => format!("{parent} › {}", self.title),
            None => self.title.clone(),
        }
    }

    /// Returns the share of its heading's words that the question has.
    fn named(&self, words: &[String]) -> f64 {
        let had = self.heading.iter().map(|word| {
            let alike = || group_of(word).any(|other| words.iter().any(|word| word == other));
            if words.contains(word) { 1.0 } else { f64::from(u8::from(alike())) * SYNONYM }
        });
        had.sum::<f64>() / (self.heading.len().max(1) as f64)
    }

    fn weight(&self, stem: &str) -> f64 {
        self.weights
            .binary_search_by(|(known, _)| known.as_str().cmp(stem))
            .ok()
            .and_then(|i| self.weights.get(i))
            .map_or(0.0, |(_, weight)| *weight)
    }
}

/// A section and how well it answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) section: &'static Section,
    pub(super) score: f64,
}

/// What the manual has on a question.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Best first, at most three.
    pub(super) hits: Vec<Hit>,
    /// Whether the best one can be given as an answer, rather than as a guess.
    pub(super) sure: bool,
}

static MANUAL: LazyLock<Manual> = LazyLock::new(Manual::read);

/// Finds the sections that answer a question. O(sections × words of the question).
pub(super) fn find(question: &str) -> Found {
    MANUAL.find(question)
}

struct Manual {
    sections: Vec<Section>,
    mean_length: f64,
}

impl Manual {
    fn read() -> Self {
        let sections: Vec<Section> = FILES.iter().flat_map(|file| split(file)).collect();
        let mean_length = sections.iter().map(|s| s.length).sum::<f64>() / (sections.len().max(1) as f64);
        Self { sections, mean_length }
    }

    fn find(&'static self, question: &str) -> Found {
        let mut words: Vec<String> = terms(question).take(LONGEST_QUESTION).collect();
        words.sort_unstable();
        words.dedup();
        if words.is_empty() {
            return Found::default();
        }
        let rarities: Vec<f64> = words.iter().map(|word| self.rarity(word)).collect();
        let mut hits: Vec<(Hit, f64, f64)> = self
            .sections
            .iter()
            .map(|section| {
                let (mut score, mut known) = (0.0, 0.0);
                for (word, rarity) in words.iter().zip(&rarities) {
                    let one = self.score(section, word);
                    score += one;
                    if one > 0.0 {
                        known += rarity;
                    }
                }
                let named = section.named(&words);
                let opens = if section.parent.is_none() && named > 0.0 { OPENS } else { 0.0 };
                (Hit { section, score: score + NAMED * named * named + opens }, known, named)
            })
            .filter(|(hit, known, _)| hit.score > 0.0 && *known > 0.0)
            .collect();
        // A stable sort: of equals the one that the manual names first.
        hits.sort_by(|a, b| b.0.score.total_cmp(&a.0.score));
        let asked: f64 = rarities.iter().sum();
        let sure = hits
            .first()
            .is_some_and(|(hit, known, named)| *known >= COVERED * asked && (hit.score >= ENOUGH || *named >= SYNONYM));
        Found { hits: hits.into_iter().take(3).map(|(hit, ..)| hit).collect(), sure }
    }

    fn score(&self, section: &Section, word: &str) -> f64 {
        let own = self.bm25(section, word);
        group_of(word)
            .filter(|other| *other != word)
            .map(|other| SYNONYM * self.bm25(section, other))
            .fold(own, f64::max)
    }

    fn bm25(&self, section: &Section, word: &str) -> f64 {
        let count = section.weight(word);
        if count == 0.0 {
            return 0.0;
        }
        let held = K1 * (1.0 - B + B * section.length / self.mean_length.max(1.0));
        self.rarity(word) * count * (K1 + 1.0) / (count + held)
    }

    /// Inverse document frequency: a word that no section knows is the rarest.
    fn rarity(&self, word: &str) -> f64 {
        let with = self.sections.iter().filter(|section| section.weight(word) > 0.0).count() as f64;
        let all = self.sections.len() as f64;
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }
}

/// Cuts a file at its headings. A heading inside a code fence is none.
fn split(file: &str) -> Vec<Section> {
    let mut sections: Vec<(String, Option<String>, String)> = Vec::new();
    let mut top: Option<String> = None;
    let mut fenced = false;
    for line in file.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if let Some(title) = line.strip_prefix("# ").filter(|_| !fenced) {
            top = Some(title.trim().to_owned());
            sections.push((title.trim().to_owned(), None, String::new()));
        } else if let Some(title) = line.strip_prefix("## ").filter(|_| !fenced) {
            sections.push((title.trim().to_owned(), top.clone(), String::new()));
        } else if let Some((_, _, body)) = sections.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    sections.into_iter().map(|(title, parent, text)| section(title, parent, &text)).collect()
}

/// `<!-- also: … -->` names words that people use for what the section is about; it is looked up but not shown.
fn section(title: String, parent: Option<String>, text: &str) -> Section {
    let (mut also, mut body) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("<!-- also:").and_then(|rest| rest.strip_suffix("-->")) {
            also.push_str(words);
        } else {
            body.push_str(line);
            body.push('\n');
        }
    }
    let mut weights = std::collections::BTreeMap::<String, f64>::new();
    let mut length = 0.0;
    for (source, worth) in [
        (title.as_str(), IN_HEADING),
        (parent.as_deref().unwrap_or_default(), IN_PARENT),
        (&also, IN_ALSO),
        (&body, 1.0),
    ] {
        for word in terms(source) {
            *weights.entry(word).or_default() += worth;
            length += 1.0;
        }
    }
    let heading = terms(&title).collect();
    Section { title, parent, heading, body: body.trim().to_owned(), weights: weights.into_iter().collect(), length }
}

#[cfg(test)]
mod tests;
