//! PURE. The manual that is built into the program, and the search for the sections that answer a question.
//!
//! A section is the text under one heading. Sections are ranked by BM25 over stems, headings weighing more than text,
//! with a small set of synonyms that count less than the word itself. It knows nothing of conversations or streaming.

mod terms;

use std::sync::LazyLock;

use terms::{synonyms_of, terms};

const MANUAL_FILES: &[&str] = &[
    include_str!("../../../../assets/manual/getting-started.md"),
    include_str!("../../../../assets/manual/connecting.md"),
    include_str!("../../../../assets/manual/keys.md"),
    include_str!("../../../../assets/manual/commands.md"),
    include_str!("../../../../assets/manual/approvals.md"),
    include_str!("../../../../assets/manual/tools.md"),
    include_str!("../../../../assets/manual/mcp.md"),
    include_str!("../../../../assets/manual/instructions.md"),
    include_str!("../../../../assets/manual/sessions.md"),
    include_str!("../../../../assets/manual/replay.md"),
    include_str!("../../../../assets/manual/attaching.md"),
    include_str!("../../../../assets/manual/serving.md"),
    include_str!("../../../../assets/manual/headless.md"),
    include_str!("../../../../assets/manual/configuration.md"),
    include_str!("../../../../assets/manual/safety.md"),
    include_str!("../../../../assets/manual/troubleshooting.md"),
];

/// Weight of a word, by where it occurs.
const HEADING_WEIGHT: f64 = 4.0;
const PARENT_HEADING_WEIGHT: f64 = 1.0;
const KEYWORD_WEIGHT: f64 = 2.0;
/// Weight of a synonym, relative to the word itself.
const SYNONYM_WEIGHT: f64 = 0.55;
/// Score of a heading when the question has all of its words; less when it has some.
const HEADING_MATCH_BONUS: f64 = 2.0;
/// Score of a section that opens a chapter, ahead of those below it.
const CHAPTER_BONUS: f64 = 0.5;
/// BM25: how fast repetition stops counting, and how much long sections are held back.
const BM25_K1: f64 = 1.3;
const BM25_B: f64 = 0.5;
/// A question counts as understood when sections know this share of its (weighted) words …
const MIN_COVERAGE: f64 = 0.42;
/// … and the best of them scores this much, or is named outright.
const MIN_SCORE: f64 = 3.2;
/// Words of a question that are used; a longer text is not a question.
const MAX_QUESTION_WORDS: usize = 60;

/// The text under one heading.
#[derive(Debug)]
pub(super) struct ManualSection {
    pub(super) title: String,
    /// The heading above, when there is one.
    pub(super) parent: Option<String>,
    /// Markdown below the heading.
    pub(super) body: String,
    /// (stem, weight), sorted by stem.
    weights: Vec<(String, f64)>,
    heading: Vec<String>,
    length: f64,
}

impl ManualSection {
    /// Returns how the section is cited, such as `Connecting a model › Ollama`.
    pub(super) fn citation(&self) -> String {
        match &self.parent {
            Some(parent) => format!("{parent} › {}", self.title),
            None => self.title.clone(),
        }
    }

    /// Returns the share of its heading's words that the question has.
    fn heading_coverage(&self, words: &[String]) -> f64 {
        let had = self.heading.iter().map(|word| {
            let alike = || synonyms_of(word).any(|other| words.iter().any(|word| word == other));
            if words.contains(word) { 1.0 } else { f64::from(u8::from(alike())) * SYNONYM_WEIGHT }
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

/// A section and its score.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectionHit {
    pub(super) section: &'static ManualSection,
    pub(super) score: f64,
}

/// The sections that answer a question.
#[derive(Debug, Default)]
pub(super) struct ManualHits {
    /// Best first, at most three.
    pub(super) hits: Vec<SectionHit>,
    /// Whether the best one can be given as an answer, rather than as a guess.
    pub(super) is_confident: bool,
}

static MANUAL: LazyLock<Manual> = LazyLock::new(Manual::read);

/// Finds the sections that answer a question. O(sections × words of the question).
pub(super) fn find(question: &str) -> ManualHits {
    MANUAL.find(question)
}

struct Manual {
    sections: Vec<ManualSection>,
    mean_length: f64,
}

impl Manual {
    fn read() -> Self {
        let sections: Vec<ManualSection> = MANUAL_FILES.iter().flat_map(|file| split_sections(file)).collect();
        let mean_length = sections.iter().map(|s| s.length).sum::<f64>() / (sections.len().max(1) as f64);
        Self { sections, mean_length }
    }

    fn find(&'static self, question: &str) -> ManualHits {
        let mut words: Vec<String> = terms(question).take(MAX_QUESTION_WORDS).collect();
        words.sort_unstable();
        words.dedup();
        if words.is_empty() {
            return ManualHits::default();
        }
        let frequencies: Vec<f64> = words.iter().map(|word| self.inverse_document_frequency(word)).collect();
        let mut hits: Vec<(SectionHit, f64, f64)> = self
            .sections
            .iter()
            .map(|section| {
                let (mut score, mut known) = (0.0, 0.0);
                for (word, frequency) in words.iter().zip(&frequencies) {
                    let one = self.score(section, word);
                    score += one;
                    if one > 0.0 {
                        known += frequency;
                    }
                }
                let named = section.heading_coverage(&words);
                let opens = if section.parent.is_none() && named > 0.0 { CHAPTER_BONUS } else { 0.0 };
                (SectionHit { section, score: score + HEADING_MATCH_BONUS * named * named + opens }, known, named)
            })
            .filter(|(hit, known, _)| hit.score > 0.0 && *known > 0.0)
            .collect();
        // A stable sort: of equals, the first in the manual.
        hits.sort_by(|a, b| b.0.score.total_cmp(&a.0.score));
        let total_weight: f64 = frequencies.iter().sum();
        let sure = hits.first().is_some_and(|(hit, known, named)| {
            *known >= MIN_COVERAGE * total_weight && (hit.score >= MIN_SCORE || *named >= SYNONYM_WEIGHT)
        });
        ManualHits { hits: hits.into_iter().take(3).map(|(hit, ..)| hit).collect(), is_confident: sure }
    }

    fn score(&self, section: &ManualSection, word: &str) -> f64 {
        let own = self.bm25(section, word);
        synonyms_of(word)
            .filter(|other| *other != word)
            .map(|other| SYNONYM_WEIGHT * self.bm25(section, other))
            .fold(own, f64::max)
    }

    fn bm25(&self, section: &ManualSection, word: &str) -> f64 {
        let count = section.weight(word);
        if count == 0.0 {
            return 0.0;
        }
        let held = BM25_K1 * (1.0 - BM25_B + BM25_B * section.length / self.mean_length.max(1.0));
        self.inverse_document_frequency(word) * count * (BM25_K1 + 1.0) / (count + held)
    }

    /// Inverse document frequency: a word in no section is the rarest.
    fn inverse_document_frequency(&self, word: &str) -> f64 {
        let with = self.sections.iter().filter(|section| section.weight(word) > 0.0).count() as f64;
        let all = self.sections.len() as f64;
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }
}

/// Splits a file at its headings, except those inside a code fence.
fn split_sections(file: &str) -> Vec<ManualSection> {
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

/// `<!-- also: … -->` lists words that people use for the topic of a section; they are searched but not shown.
fn section(title: String, parent: Option<String>, text: &str) -> ManualSection {
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
        (title.as_str(), HEADING_WEIGHT),
        (parent.as_deref().unwrap_or_default(), PARENT_HEADING_WEIGHT),
        (&also, KEYWORD_WEIGHT),
        (&body, 1.0),
    ] {
        for word in terms(source) {
            *weights.entry(word).or_default() += worth;
            length += 1.0;
        }
    }
    let heading = terms(&title).collect();
    ManualSection {
        title,
        parent,
        heading,
        body: body.trim().to_owned(),
        weights: weights.into_iter().collect(),
        length,
    }
}

#[cfg(test)]
mod tests;
