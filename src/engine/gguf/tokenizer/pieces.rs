//! PURE. Cuts a text into the pieces within which bytes are paired. The expressions are those of the models' makers; the file
//! names which.

use regex::Regex;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";
const LLAMA3: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+";

pub(super) struct PieceSplitter {
    /// Each cuts the pieces of the one before.
    stages: Vec<Regex>,
    /// Blanks that end in a line break are a piece of their own.
    keeps_line_ends: bool,
    prefers_whole_pieces: bool,
}

impl PieceSplitter {
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let (stages, keeps_line_ends): (&[&str], bool) = match name {
            "gpt-2" | "phi-2" | "olmo" | "mpt" | "jina-en" | "trillion" => (&[GPT2], false),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => {
                (&[r"\p{N}", GPT2], false)
            }
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "smaug-bpe" | "dbrx" | "pixtral" | "seed-coder" => {
                (&[LLAMA3], true)
            }
            "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "megrez" | "hunyuan" => (&[QWEN2], true),
            "gpt-4o" | "llama4" => (&[GPT4O], true),
            "default" => (&[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"], false),
            other => return Err(format!("how it splits text, {other:?}, is not known here")),
        };
        let stages = stages.iter().map(|stage| Regex::new(stage)).collect::<Result<_, _>>();
        Ok(Self {
            stages: stages.map_err(|error| error.to_string())?,
            keeps_line_ends,
            prefers_whole_pieces: matches!(name, "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "pixtral"),
        })
    }

    /// Returns whether a piece that is a token is that token, whatever its pairs are.
    pub(super) fn prefers_whole_pieces(&self) -> bool {
        self.prefers_whole_pieces
    }

    pub(super) fn split<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut pieces = vec![text];
        for stage in &self.stages {
            let mut finer = Vec::new();
            for piece in pieces {
                self.split_once(stage, piece, &mut finer);
            }
            pieces = finer;
        }
        pieces
    }

    fn split_once<'a>(&self, stage: &Regex, text: &'a str, out: &mut Vec<&'a str>) {
        let mut at = 0;
        while let Some(found) = stage.find_at(text, at) {
            let mut end = found.end();
            // The makers' expressions look ahead here: the last of several blanks belongs to what follows.
            let piece = found.as_str();
            let is_blank = piece.chars().all(char::is_whitespace);
            let is_line_end = self.keeps_line_ends && piece.ends_with(['\r', '\n']);
            if is_blank && !is_line_end && end < text.len() {
                let last = piece.chars().next_back().map_or(0, char::len_utf8);
                end -= if last < piece.len() { last } else { 0 };
            }
            out.extend(text.get(at..found.start()).filter(|gap| !gap.is_empty()));
            out.extend(text.get(found.start()..end).filter(|piece| !piece.is_empty()));
            if end <= at && found.end() <= at {
                break;
            }
            at = end;
        }
        out.extend(text.get(at..).filter(|rest| !rest.is_empty()));
    }
}
