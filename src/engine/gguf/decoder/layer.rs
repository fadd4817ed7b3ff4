//! A layer: attention over the tokens so far, then a network for each token.

use candle_core::{DType, Device, Tensor};
use candle_nn::ops::{rms_norm, silu, softmax_last_dim};

use super::matrix::Matrix;
use super::rotation::Turns;
use super::{Stop, missing, norm_heads, vector};
use crate::engine::gguf::file::GgufFile;
use crate::engine::gguf::shape::{Architecture, ModelShape};

/// Tokens for which keys and values first have room.
const FIRST_CAPACITY: usize = 256;

struct Linear {
    weight: Matrix,
    bias: Option<Tensor>,
}

impl Linear {
    fn read(file: &mut GgufFile, name: &str, rows: usize, columns: usize) -> Result<Self, Stop> {
        let weight = Matrix::read(file, &format!("{name}.weight"), rows, columns)?;
        let bias = vector(file, &format!("{name}.bias"), rows)?;
        Ok(Self { weight, bias })
    }

    fn forward(&self, values: &Tensor) -> candle_core::Result<Tensor> {
        let out = self.weight.forward(values)?;
        match &self.bias {
            Some(bias) => out.broadcast_add(bias),
            None => Ok(out),
        }
    }
}

/// Projections that a file may have as one.
enum Projections<const N: usize> {
    Apart([Linear; N]),
    Fused(Linear, [usize; N]),
}

impl<const N: usize> Projections<N> {
    fn forward(&self, values: &Tensor) -> candle_core::Result<[Tensor; N]> {
        let mut out: [Tensor; N] = std::array::from_fn(|_| values.clone());
        match self {
            Self::Apart(parts) => {
                for (place, part) in out.iter_mut().zip(parts) {
                    *place = part.forward(values)?;
                }
            }
            Self::Fused(whole, sizes) => {
                let whole = whole.forward(values)?;
                let mut start = 0;
                for (place, size) in out.iter_mut().zip(sizes) {
                    *place = whole.narrow(1, start, *size)?.contiguous()?;
                    start += size;
                }
            }
        }
        Ok(out)
    }
}

pub(super) struct Layer {
    attention_norm: Tensor,
    projections: Projections<3>,
    query_norm: Option<Tensor>,
    key_norm: Option<Tensor>,
    attention_output: Linear,
    attention_post_norm: Option<Tensor>,
    network_norm: Tensor,
    /// Gate and up.
    network_input: Projections<2>,
    network_output: Linear,
    network_post_norm: Option<Tensor>,
    window: Option<usize>,
    /// Heads, tokens and dimensions of what was computed, with room for more.
    kept: Option<(Tensor, Tensor)>,
}

impl Layer {
    pub(super) fn read(file: &mut GgufFile, shape: &ModelShape, at: usize) -> Result<Self, Stop> {
        let name = |part: &str| format!("blk.{at}.{part}");
        let (width, inner) = (shape.width, shape.inner_width);
        let (queries, keys) = (shape.heads * shape.head_size, shape.kv_heads * shape.head_size);
        let needed = |file: &mut GgufFile, part: &str| {
            let name = name(part);
            vector(file, &name, width)?.ok_or_else(|| missing(&name))
        };
        let projections = if file.place(&name("attn_qkv.weight")).is_some() {
            let fused = Linear::read(file, &name("attn_qkv"), queries + 2 * keys, width)?;
            Projections::Fused(fused, [queries, keys, keys])
        } else {
            Projections::Apart([
                Linear::read(file, &name("attn_q"), queries, width)?,
                Linear::read(file, &name("attn_k"), keys, width)?,
                Linear::read(file, &name("attn_v"), keys, width)?,
            ])
        };
        let network_input = if file.place(&name("ffn_gate.weight")).is_some() {
            Projections::Apart([
                Linear::read(file, &name("ffn_gate"), inner, width)?,
                Linear::read(file, &name("ffn_up"), inner, width)?,
            ])
        } else {
            Projections::Fused(Linear::read(file, &name("ffn_up"), 2 * inner, width)?, [inner, inner])
        };
        Ok(Self {
            attention_norm: needed(file, "attn_norm.weight")?,
            projections,
            query_norm: vector(file, &name("attn_q_norm.weight"), shape.head_size)?,
            key_norm: vector(file, &name("attn_k_norm.weight"), shape.head_size)?,
            attention_output: Linear::read(file, &name("attn_output"), width, queries)?,
            attention_post_norm: vector(file, &name("post_attention_norm.weight"), width)?,
            network_norm: needed(file, "ffn_norm.weight")?,
            network_input,
            network_output: Linear::read(file, &name("ffn_down"), width, inner)?,
            network_post_norm: vector(file, &name("post_ffw_norm.weight"), width)?,
            window: shape.window_of(at),
            kept: None,
        })
    }

    pub(super) fn has_window(&self) -> bool {
        self.window.is_some()
    }

    pub(super) fn forward(
        &mut self,
        hidden: &Tensor,
        shape: &ModelShape,
        position: usize,
        turns: &Turns,
    ) -> candle_core::Result<Tensor> {
        let normed = rms_norm(hidden, &self.attention_norm, shape.epsilon)?;
        let mut attended = self.attend(&normed, shape, position, turns)?;
        if let Some(norm) = &self.attention_post_norm {
            attended = rms_norm(&attended, norm, shape.epsilon)?;
        }
        let hidden = (hidden + attended)?;
        let normed = rms_norm(&hidden, &self.network_norm, shape.epsilon)?;
        let [gate, up] = self.network_input.forward(&normed)?;
        let gate = if shape.architecture == Architecture::Gemma3 { gate.gelu()? } else { silu(&gate)? };
        let mut out = self.network_output.forward(&(gate * up)?)?;
        if let Some(norm) = &self.network_post_norm {
            out = rms_norm(&out, norm, shape.epsilon)?;
        }
        hidden + out
    }

    fn attend(
        &mut self,
        normed: &Tensor,
        shape: &ModelShape,
        position: usize,
        turns: &Turns,
    ) -> candle_core::Result<Tensor> {
        let count = normed.dim(0)?;
        let [queries, keys, values] = self.projections.forward(normed)?;
        let by_head = |values: Tensor, heads: usize, norm: Option<&Tensor>| {
            let values = norm_heads(&values.reshape((count, heads, shape.head_size))?, norm, shape.epsilon)?;
            values.transpose(0, 1)?.contiguous()
        };
        let queries = by_head(queries, shape.heads, self.query_norm.as_ref())?;
        let keys = by_head(keys, shape.kv_heads, self.key_norm.as_ref())?;
        let values = by_head(values, shape.kv_heads, None)?;
        let queries = (turns.apply(&queries, shape)? * shape.query_scale())?;
        let (keys, values) = self.keep(&as_halves(&turns.apply(&keys, shape)?)?, &as_halves(&values)?, position)?;
        let end = position + count;
        let start = self.window.map_or(0, |window| (position + 1).saturating_sub(window));
        let keys = keys.narrow(1, start, end - start)?;
        let values = values.narrow(1, start, end - start)?;
        // The heads that share keys are rows of one product.
        let group = shape.heads / shape.kv_heads;
        let queries = as_halves(&queries)?.reshape((shape.kv_heads, group * count, shape.head_size))?;
        let mut scores = queries.matmul(&keys.t()?)?;
        if count > 1 {
            let mask = mask(position, count, start, self.window)?;
            let apart = (shape.kv_heads, group, count, end - start);
            scores = scores.reshape(apart)?.broadcast_add(&mask)?.reshape(scores.shape())?;
        }
        let weights = as_halves(&softmax_last_dim(&scores)?)?;
        let out = weights.matmul(&values)?;
        let out = out.reshape((shape.heads, count, shape.head_size))?.transpose(0, 1)?;
        self.attention_output.forward(&out.contiguous()?.reshape((count, shape.heads * shape.head_size))?)
    }

    /// Keeps keys and values behind those before `position`; returns all, with the room behind them.
    fn keep(&mut self, keys: &Tensor, values: &Tensor, position: usize) -> candle_core::Result<(Tensor, Tensor)> {
        let (heads, count, size) = keys.dims3()?;
        let needed = position + count;
        let room = self.kept.as_ref().map_or(Ok(0), |(keys, _)| keys.dim(1))?;
        if room < needed {
            let capacity = needed.max(FIRST_CAPACITY).max(room + room / 2).next_multiple_of(FIRST_CAPACITY);
            let grow = |old: Option<&Tensor>| {
                let new = Tensor::zeros((heads, capacity, size), DType::F32, &Device::Cpu)?;
                if let Some(old) = old.filter(|_| position > 0) {
                    new.slice_set(&old.narrow(1, 0, position)?.contiguous()?, 1, 0)?;
                }
                candle_core::Result::Ok(new)
            };
            let old = self.kept.take();
            let keys = grow(old.as_ref().map(|(keys, _)| keys))?;
            self.kept = Some((keys, grow(old.as_ref().map(|(_, values)| values))?));
        }
        let Some((all_keys, all_values)) = &self.kept else { candle_core::bail!("there is no room") };
        all_keys.slice_set(keys, 1, position)?;
        all_values.slice_set(values, 1, position)?;
        Ok((all_keys.clone(), all_values.clone()))
    }
}

/// Rounds to 16 bits, as llama.cpp does by default with keys and values, and with what they are multiplied by.
fn as_halves(values: &Tensor) -> candle_core::Result<Tensor> {
    values.to_dtype(DType::F16)?.to_dtype(DType::F32)
}

/// What is added to scores: tokens behind a token, and those before its window, don't count.
fn mask(position: usize, count: usize, start: usize, window: Option<usize>) -> candle_core::Result<Tensor> {
    let end = position + count;
    let values: Vec<f32> = (position..end)
        .flat_map(|at| {
            (start..end).map(move |seen| {
                let is_seen = seen <= at && window.is_none_or(|window| at - seen < window);
                if is_seen { 0.0 } else { f32::NEG_INFINITY }
            })
        })
        .collect();
    Tensor::from_vec(values, (1, 1, count, end - start), &Device::Cpu)
}
