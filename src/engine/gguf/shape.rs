//! What the header of a file says of its model: sizes and options, checked before anything is read.

use super::file::GgufFile;

/// Tokens of the longest conversation where neither the settings nor the file say less: memory grows with it.
pub(super) const DEFAULT_CONTEXT: usize = 16_384;
const MAX_LAYERS: u64 = 512;
const MAX_WIDTH: u64 = 1 << 17;
const MAX_HEADS: u64 = 1024;
const MAX_VOCABULARY: u64 = 1 << 21;
const MAX_CONTEXT: u64 = 1 << 24;

/// The architectures that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    Llama,
    Qwen2,
    Qwen3,
    Gemma3,
    Phi3,
}

impl Architecture {
    pub(super) const ALL: [Self; 5] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma3, Self::Phi3];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
            Self::Phi3 => "phi3",
        }
    }

    pub(super) fn of(file: &GgufFile) -> Result<Self, String> {
        let name = file.text("general.architecture").unwrap_or_default();
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("models of the architecture {name:?} can't be run here, only {known}")
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelShape {
    pub(super) architecture: Architecture,
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_size: usize,
    pub(super) inner_width: usize,
    /// Dimensions of a head that are rotated.
    pub(super) rotated: usize,
    pub(super) context: usize,
    pub(super) epsilon: f32,
    pub(super) rope_base: f64,
    /// Positions are divided by it.
    pub(super) rope_divisor: f64,
    /// The context before it was stretched.
    pub(super) original_context: Option<usize>,
    /// Factor of rotated values.
    pub(super) rope_gain: f64,
    /// Tokens that layers with a window see.
    pub(super) window: Option<usize>,
}

impl ModelShape {
    pub(super) fn read(file: &GgufFile) -> Result<Self, String> {
        let architecture = Architecture::of(file)?;
        let key = |name: &str| format!("{}.{name}", architecture.name());
        let optional = |name: &str| file.integer(&key(name));
        let size = |name: &str, default: Option<u64>, most: u64| {
            let value = optional(name).or(default).ok_or_else(|| format!("{} is missing", key(name)))?;
            if value == 0 || value > most {
                return Err(format!("{} is {value}", key(name)));
            }
            usize::try_from(value).map_err(|error| error.to_string())
        };
        if optional("expert_count").is_some_and(|experts| experts > 0) {
            return Err("models with experts can't be run here".to_owned());
        }
        let width = size("embedding_length", None, MAX_WIDTH)?;
        let heads = size("attention.head_count", None, MAX_HEADS)?;
        let kv_heads = size("attention.head_count_kv", Some(heads as u64), MAX_HEADS)?;
        let head_size = size("attention.key_length", Some((width / heads) as u64), MAX_WIDTH)?;
        let value_size = size("attention.value_length", Some(head_size as u64), MAX_WIDTH)?;
        let rotated = size("rope.dimension_count", Some(head_size as u64), MAX_WIDTH)?;
        if !heads.is_multiple_of(kv_heads) || value_size != head_size || rotated > head_size || rotated % 2 != 0 {
            return Err(format!(
                "{heads} heads, {kv_heads} of keys, sizes {head_size}, {value_size} and {rotated} don't fit together"
            ));
        }
        let scaling = file.text(&key("rope.scaling.type")).unwrap_or("none");
        let factor = file.float(&key("rope.scaling.factor")).unwrap_or(1.0);
        let window = optional("attention.sliding_window").filter(|_| architecture == Architecture::Gemma3);
        let positive = |name: &str, default: f64| {
            file.float(&key(name)).filter(|value| value.is_finite() && *value > 0.0).unwrap_or(default)
        };
        let original = optional("rope.scaling.original_context_length").and_then(|tokens| usize::try_from(tokens).ok());
        let context = size("context_length", Some(4096), MAX_CONTEXT)?;
        let gemma_base = if architecture == Architecture::Gemma3 { 1e6 } else { 1e4 };
        Ok(Self {
            architecture,
            layers: size("block_count", None, MAX_LAYERS)?,
            width,
            heads,
            kv_heads,
            head_size,
            inner_width: size("feed_forward_length", None, MAX_WIDTH)?,
            rotated,
            // The stretching of YaRN isn't done here, so neither is the longer context.
            context: if scaling == "yarn" { original.unwrap_or(context).min(context) } else { context },
            epsilon: positive("attention.layer_norm_rms_epsilon", 1e-5) as f32,
            rope_base: positive("rope.freq_base", gemma_base),
            rope_divisor: if scaling == "linear" && factor.is_finite() && factor >= 1.0 { factor } else { 1.0 },
            original_context: original,
            rope_gain: positive("rope.scaling.attn_factor", 1.0),
            window: window.filter(|window| *window > 0).and_then(|window| usize::try_from(window).ok()),
        })
    }

    pub(super) fn check_vocabulary(count: usize) -> Result<(), String> {
        if count as u64 > MAX_VOCABULARY { Err(format!("it has {count} tokens")) } else { Ok(()) }
    }

    /// Returns the window of a layer: of Gemma's layers every sixth sees everything.
    pub(super) fn window_of(&self, layer: usize) -> Option<usize> {
        self.window.filter(|_| !(layer + 1).is_multiple_of(6))
    }

    /// Returns the factor of queries.
    pub(super) fn query_scale(&self) -> f64 {
        let is_largest_gemma = self.architecture == Architecture::Gemma3 && self.layers == 62;
        let size = if is_largest_gemma { self.width / self.heads } else { self.head_size };
        1.0 / (size as f64).sqrt()
    }
}
