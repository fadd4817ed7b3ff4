//! Text to tokens and back, as the file says: byte-level byte-pair encoding, SentencePiece's byte-pair encoding by score,
//! or unigram.
//!
//! The marks of a template are tokens of their own ("special"). Text of a conversation never becomes one of them:
//! [`Tokenizer::guard`] breaks what looks like one.

mod merges;
mod pieces;
mod unigram;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use regex::Regex;

use super::file::GgufFile;
use merges::{Symbol, merge};
use pieces::PieceSplitter;

/// A character that no text may have; it breaks a mark that stands in a text.
const GUARD: char = '\u{fdd0}';
const SPACE_MARK: &str = "\u{2581}";
/// Types of tokens in the file.
const UNKNOWN_TOKEN: i32 = 2;
const CONTROL_TOKEN: i32 = 3;
const USER_DEFINED: i32 = 4;
const BYTE_TOKEN: i32 = 6;
/// Names of the tokens that end an answer, besides the one that the file names.
const END_NAMES: &[&str] = &[
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<eos>",
    "</s>",
];

pub(super) struct Tokenizer {
    tokens: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, u32>,
    kinds: Vec<i32>,
    encoding: Encoding,
    /// Finds marks in the text of a template.
    marks: Option<Regex>,
    /// Finds what must not become a mark in the text of a conversation.
    guarded: Option<Regex>,
    bos: Option<u32>,
    eos: Option<u32>,
    unknown: Option<u32>,
    adds_bos: bool,
    adds_space: bool,
    /// White space after a mark is dropped.
    strips_after_marks: bool,
    ends: Vec<u32>,
}

enum Encoding {
    BytePair { ranks: HashMap<(u32, u32), u32>, splitter: PieceSplitter },
    SentencePiece { scores: Vec<f32> },
    Unigram { scores: Vec<f32>, longest: usize },
}

impl Tokenizer {
    pub(super) fn read(file: &mut GgufFile, template: &str) -> Result<Self, String> {
        let tokens: Vec<Arc<str>> = file.take_texts("tokenizer.ggml.tokens").into_iter().map(Arc::from).collect();
        if tokens.is_empty() {
            return Err("it has no tokens".to_owned());
        }
        let mut ids = HashMap::with_capacity(tokens.len());
        for (id, token) in (0_u32..).zip(&tokens) {
            ids.entry(token.clone()).or_insert(id);
        }
        let kinds = file.integers("tokenizer.ggml.token_type").to_vec();
        let mut scores = file.take_floats("tokenizer.ggml.scores");
        scores.resize(tokens.len(), 0.0);
        let model = file.text("tokenizer.ggml.model").unwrap_or_default().to_owned();
        let encoding = match model.as_str() {
            "gpt2" => {
                let name = file.text("tokenizer.ggml.pre").unwrap_or("default").to_owned();
                let splitter = PieceSplitter::named(&name)?;
                let mut ranks = HashMap::new();
                for (rank, pair) in (0_u32..).zip(file.take_texts("tokenizer.ggml.merges")) {
                    let at = pair.char_indices().skip(1).find(|(_, c)| *c == ' ').map(|(at, _)| at);
                    let Some((left, right)) = at.and_then(|at| Some((pair.get(..at)?, pair.get(at + 1..)?))) else {
                        continue;
                    };
                    if let (Some(left), Some(right)) = (ids.get(left), ids.get(right)) {
                        ranks.entry((*left, *right)).or_insert(rank);
                    }
                }
                Encoding::BytePair { ranks, splitter }
            }
            "llama" => Encoding::SentencePiece { scores },
            "t5" => {
                let longest = tokens.iter().map(|token| token.len()).max().unwrap_or(1).min(128);
                Encoding::Unigram { scores, longest }
            }
            other => return Err(format!("its tokenizer, {other:?}, is not known here")),
        };
        let is_sentence_piece = !matches!(encoding, Encoding::BytePair { .. });
        let kind = |id: usize| kinds.get(id).copied().unwrap_or(1);
        let is_mark = |id: usize| matches!(kind(id), CONTROL_TOKEN | USER_DEFINED | UNKNOWN_TOKEN);
        let is_guarded = |id: usize, token: &str| {
            kind(id) == CONTROL_TOKEN
                || (kind(id) == USER_DEFINED && token.starts_with('<') && template.contains(token))
        };
        let named = |wanted: &dyn Fn(usize, &str) -> bool| {
            let list = tokens.iter().enumerate().filter(|(id, token)| !token.is_empty() && wanted(*id, token));
            alternatives(list.map(|(_, token)| &**token).collect())
        };
        let marks = named(&|id, _| is_mark(id))?;
        let guarded = named(&is_guarded)?;
        let token = |key: &str| {
            let id = file.integer(&format!("tokenizer.ggml.{key}_token_id"))?;
            u32::try_from(id).ok().filter(|id| (*id as usize) < tokens.len())
        };
        let (bos, eos) = (token("bos"), token("eos"));
        let mut ends: Vec<u32> = ["eos", "eot", "eom"].into_iter().filter_map(token).collect();
        ends.extend(END_NAMES.iter().filter_map(|name| ids.get(*name)).filter(|id| is_mark(**id as usize)));
        let name = file.text("general.name").unwrap_or_default().to_lowercase();
        Ok(Self {
            marks,
            guarded,
            bos,
            eos,
            unknown: token("unknown"),
            adds_bos: file.flag("tokenizer.ggml.add_bos_token").unwrap_or(model == "llama"),
            adds_space: file.flag("tokenizer.ggml.add_space_prefix").unwrap_or(is_sentence_piece),
            strips_after_marks: is_sentence_piece && (name.contains("phi-3") || name.contains("phi3")),
            ends,
            tokens,
            ids,
            kinds,
            encoding,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    pub(super) fn bos_text(&self) -> &str {
        self.text_of(self.bos)
    }

    pub(super) fn eos_text(&self) -> &str {
        self.text_of(self.eos)
    }

    fn text_of(&self, token: Option<u32>) -> &str {
        token.and_then(|id| self.tokens.get(id as usize)).map_or("", |token| token)
    }

    /// Breaks what would become a mark of the template.
    pub(super) fn guard(&self, text: &str) -> String {
        let text = if text.contains(GUARD) { text.replace(GUARD, "") } else { text.to_owned() };
        match &self.guarded {
            Some(guarded) if guarded.is_match(&text) => guarded
                .replace_all(&text, |found: &regex::Captures<'_>| {
                    let mut broken = String::new();
                    for (at, c) in found[0].chars().enumerate() {
                        if at == 1 {
                            broken.push(GUARD);
                        }
                        broken.push(c);
                    }
                    broken
                })
                .into_owned(),
            _ => text,
        }
    }

    /// Returns the tokens of a text in which marks count.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        if let Some(bos) = self.bos.filter(|_| self.adds_bos)
            && !text.starts_with(self.text_of(Some(bos)))
        {
            out.push(bos);
        }
        let mut at = 0;
        let mut follows_mark = true;
        for found in self.marks.iter().flat_map(|marks| marks.find_iter(text)) {
            let Some(id) = self.ids.get(found.as_str()) else { continue };
            self.encode_between(text.get(at..found.start()).unwrap_or_default(), follows_mark, &mut out);
            out.push(*id);
            at = found.end();
            follows_mark = true;
        }
        follows_mark |= at == 0;
        self.encode_between(text.get(at..).unwrap_or_default(), follows_mark, &mut out);
        out
    }

    fn encode_between(&self, text: &str, follows_mark: bool, out: &mut Vec<u32>) {
        let text = text.replace(GUARD, "");
        let text = if self.strips_after_marks && follows_mark { text.trim_start() } else { &text };
        if text.is_empty() {
            return;
        }
        match &self.encoding {
            Encoding::BytePair { ranks, splitter } => {
                for piece in splitter.split(text) {
                    let mapped: String = piece.bytes().map(char_of_byte).collect();
                    match self.ids.get(mapped.as_str()).filter(|_| splitter.prefers_whole_pieces()) {
                        Some(id) => out.push(*id),
                        None => self.encode_pairs(&mapped, ranks, out),
                    }
                }
            }
            Encoding::SentencePiece { scores } => {
                let text = self.with_space_marks(text, follows_mark);
                let priority = |text: &str, _: Symbol, _: Symbol| {
                    let id = *self.ids.get(text)?;
                    scores.get(id as usize).copied()
                };
                for symbol in merge(&text, &|text| self.ids.get(text).copied(), &priority) {
                    self.push_symbol(&text, symbol, out);
                }
            }
            Encoding::Unigram { scores, longest } => {
                let text = self.with_space_marks(text, follows_mark);
                for symbol in unigram::best_split(&text, *longest, |text| {
                    let id = *self.ids.get(text)?;
                    Some((id, *scores.get(id as usize)?))
                }) {
                    self.push_symbol(&text, symbol, out);
                }
            }
        }
    }

    fn encode_pairs(&self, mapped: &str, ranks: &HashMap<(u32, u32), u32>, out: &mut Vec<u32>) {
        let priority =
            |_: &str, left: Symbol, right: Symbol| ranks.get(&(left.id?, right.id?)).map(|rank| -(*rank as f32));
        for symbol in merge(mapped, &|text| self.ids.get(text).copied(), &priority) {
            self.push_symbol(mapped, symbol, out);
        }
    }

    fn with_space_marks(&self, text: &str, follows_mark: bool) -> String {
        let marked = text.replace(' ', SPACE_MARK);
        if self.adds_space && follows_mark { format!("{SPACE_MARK}{marked}") } else { marked }
    }

    /// A symbol without a token becomes those of its bytes.
    fn push_symbol(&self, text: &str, symbol: Symbol, out: &mut Vec<u32>) {
        if let Some(id) = symbol.id {
            out.push(id);
            return;
        }
        let mut name = String::new();
        for byte in text.get(symbol.start..symbol.end).unwrap_or_default().bytes() {
            name.clear();
            let _ = write!(name, "<0x{byte:02X}>");
            out.extend(self.ids.get(name.as_str()).copied().or(self.unknown));
        }
    }

    /// Appends the bytes of a token. Marks have none, but those that a file defines as text.
    pub(super) fn decode(&self, token: u32, out: &mut Vec<u8>) {
        let Some(text) = self.tokens.get(token as usize) else { return };
        let kind = self.kinds.get(token as usize).copied().unwrap_or(1);
        match (kind, &self.encoding) {
            (CONTROL_TOKEN | UNKNOWN_TOKEN, _) => {}
            (USER_DEFINED, Encoding::BytePair { .. }) => out.extend_from_slice(text.as_bytes()),
            (BYTE_TOKEN, _) => out.extend(byte_of_name(text)),
            (_, Encoding::BytePair { .. }) => {
                for c in text.chars() {
                    match byte_of_char(c) {
                        Some(byte) => out.push(byte),
                        None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                    }
                }
            }
            (_, Encoding::SentencePiece { .. } | Encoding::Unigram { .. }) => {
                out.extend_from_slice(text.replace(SPACE_MARK, " ").as_bytes());
            }
        }
    }

    /// Returns the text of a mark, for models that write calls between marks.
    pub(super) fn mark_text(&self, token: u32) -> Option<&str> {
        let kind = self.kinds.get(token as usize).copied().unwrap_or(1);
        (kind == CONTROL_TOKEN).then(|| self.text_of(Some(token)))
    }
}

/// Returns an expression that finds any of these, the longest first.
fn alternatives(mut names: Vec<&str>) -> Result<Option<Regex>, String> {
    if names.is_empty() {
        return Ok(None);
    }
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let pattern = names.iter().map(|name| regex::escape(name)).collect::<Vec<_>>().join("|");
    let built = regex::RegexBuilder::new(&pattern).size_limit(64 << 20).build();
    built.map(Some).map_err(|_| "it has too many special tokens".to_owned())
}

fn byte_of_name(name: &str) -> Option<u8> {
    u8::from_str_radix(name.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()
}

/// GPT-2's letters for bytes: those that print stand for themselves, the others follow at 256.
fn char_of_byte(byte: u8) -> char {
    let code = match byte {
        0..=0x20 => 0x100 + u32::from(byte),
        0x7f..=0xa0 => 0x121 + u32::from(byte) - 0x7f,
        0xad => 0x143,
        _ => u32::from(byte),
    };
    char::from_u32(code).unwrap_or(' ')
}

fn byte_of_char(c: char) -> Option<u8> {
    let byte = match u32::from(c) {
        code @ 0x100..=0x120 => code - 0x100,
        code @ 0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        code => code,
    };
    u8::try_from(byte).ok()
}
