//! Writes tiny files.

use std::path::PathBuf;

pub(super) struct TinyFile {
    values: Vec<u8>,
    value_count: u64,
    tensors: Vec<(String, Vec<u64>)>,
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl TinyFile {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), value_count: 0, tensors: Vec::new() }
    }

    /// Adds a value: its type and its bytes.
    pub(super) fn raw(mut self, key: &str, kind: u32, bytes: &[u8]) -> Self {
        text(&mut self.values, key);
        self.values.extend(kind.to_le_bytes());
        self.values.extend(bytes);
        self.value_count += 1;
        self
    }

    pub(super) fn text(self, key: &str, value: &str) -> Self {
        let mut bytes = Vec::new();
        text(&mut bytes, value);
        self.raw(key, 8, &bytes)
    }

    pub(super) fn number(self, key: &str, value: u32) -> Self {
        self.raw(key, 4, &value.to_le_bytes())
    }

    pub(super) fn texts(self, key: &str, values: &[&str]) -> Self {
        let mut bytes = 8_u32.to_le_bytes().to_vec();
        bytes.extend((values.len() as u64).to_le_bytes());
        for value in values {
            text(&mut bytes, value);
        }
        self.raw(key, 9, &bytes)
    }

    pub(super) fn numbers(self, key: &str, values: &[i32]) -> Self {
        let mut bytes = 5_u32.to_le_bytes().to_vec();
        bytes.extend((values.len() as u64).to_le_bytes());
        for value in values {
            bytes.extend(value.to_le_bytes());
        }
        self.raw(key, 9, &bytes)
    }

    /// Adds a tensor of F32; columns first, as files have it.
    pub(super) fn tensor(mut self, name: &str, sizes: &[u64]) -> Self {
        self.tensors.push((name.to_owned(), sizes.to_vec()));
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend(self.value_count.to_le_bytes());
        out.extend(&self.values);
        let mut data: Vec<u8> = Vec::new();
        let mut seed = 1_u32;
        for (name, sizes) in &self.tensors {
            text(&mut out, name);
            out.extend((sizes.len() as u32).to_le_bytes());
            for size in sizes {
                out.extend(size.to_le_bytes());
            }
            out.extend(0_u32.to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            for _ in 0..sizes.iter().product::<u64>() {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let unit = (seed >> 8) as f32 / (1 << 24) as f32;
                data.extend((if name.contains("norm") { 1.0 } else { unit - 0.5 }).to_le_bytes());
            }
            data.resize(data.len().next_multiple_of(32), 0);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(data);
        out
    }

    pub(super) fn write(&self, folder: &tempfile::TempDir) -> PathBuf {
        write(folder, &self.bytes())
    }
}

pub(super) fn write(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(super) const TEMPLATE: &str = "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}<e>{% endfor %}<s>a";
pub(super) const MARKS: [&str; 2] = ["<s>", "<e>"];

/// The letters and some pairs of them, with marks in front.
pub(super) fn with_letters(file: TinyFile, template: &str) -> TinyFile {
    let letters: Vec<String> = (b'a'..=b'z').map(|letter| char::from(letter).to_string()).collect();
    let mut tokens: Vec<&str> = MARKS.to_vec();
    tokens.extend(letters.iter().map(String::as_str));
    tokens.extend(["\u{120}", "\u{10a}", "th", "he", "the", "\u{120}the", "<", ">"]);
    let kinds: Vec<i32> = tokens.iter().map(|token| if MARKS.contains(token) { 3 } else { 1 }).collect();
    file.text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "gpt-2")
        .texts("tokenizer.ggml.tokens", &tokens)
        .numbers("tokenizer.ggml.token_type", &kinds)
        .texts("tokenizer.ggml.merges", &["t h", "h e", "th e", "\u{120} the"])
        .number("tokenizer.ggml.eos_token_id", 1)
        .text("tokenizer.chat_template", template)
}

/// A model of this architecture with random weights.
pub(super) fn model(template: &str) -> TinyFile {
    let mut file = with_letters(TinyFile::new().text("general.architecture", "llama"), template)
        .number("llama.context_length", 512)
        .number("llama.embedding_length", 16)
        .number("llama.block_count", 2)
        .number("llama.feed_forward_length", 32)
        .number("llama.attention.head_count", 4)
        .number("llama.attention.head_count_kv", 2)
        .tensor("token_embd.weight", &[16, 36])
        .tensor("output_norm.weight", &[16]);
    for layer in 0..2 {
        for (name, sizes) in [
            ("attn_norm", &[16][..]),
            ("ffn_norm", &[16]),
            ("attn_q", &[16, 16]),
            ("attn_k", &[16, 8]),
            ("attn_v", &[16, 8]),
            ("attn_output", &[16, 16]),
            ("ffn_gate", &[16, 32]),
            ("ffn_up", &[16, 32]),
            ("ffn_down", &[32, 16]),
        ] {
            file = file.tensor(&format!("blk.{layer}.{name}.weight"), sizes);
        }
    }
    file
}
