//! The decoder: one for all architectures, which differ in options. Keys and values of earlier tokens are kept, so that
//! only new tokens are computed.

mod layer;
mod matrix;
mod rotation;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{D, DType, Device, Module, Tensor};
use candle_nn::ops::rms_norm;
use std::sync::Arc;

use super::file::GgufFile;
use super::shape::{Architecture, ModelShape};
use layer::Layer;
use rotation::Rotation;

/// Tokens of a prompt that are computed together.
const CHUNK_TOKENS: usize = 128;

/// Why nothing was computed.
#[derive(Debug)]
pub(super) enum Stop {
    Cancelled,
    Failed(String),
}

impl From<candle_core::Error> for Stop {
    fn from(error: candle_core::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

pub(super) struct Decoder {
    pub(super) shape: ModelShape,
    embedding: Arc<QTensor>,
    layers: Vec<Layer>,
    norm: Tensor,
    output: QMatMul,
    rotation: Rotation,
    /// For the layers with a window.
    window_rotation: Option<Rotation>,
    position: usize,
}

impl Decoder {
    /// Reads the tensors. `context` is the length of the longest conversation.
    pub(super) fn read(
        file: &mut GgufFile,
        shape: ModelShape,
        vocabulary: usize,
        context: usize,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Stop> {
        ModelShape::check_vocabulary(vocabulary).map_err(Stop::Failed)?;
        let failed = Stop::Failed;
        let rows = [vocabulary, shape.width];
        let embedding = Arc::new(file.tensor("token_embd.weight", &rows).map_err(failed)?);
        let output = if file.place("output.weight").is_some() {
            Arc::new(file.tensor("output.weight", &rows).map_err(failed)?)
        } else {
            embedding.clone()
        };
        let norm = vector(file, "output_norm.weight", shape.width)?.ok_or_else(|| missing("output_norm.weight"))?;
        let rotation = Rotation::read(file, &shape, context)?;
        let window_rotation = shape.window.map(|_| Rotation::for_windows(&shape));
        let mut layers = Vec::new();
        for at in 0..shape.layers {
            if is_cancelled() {
                return Err(Stop::Cancelled);
            }
            layers.push(Layer::read(file, &shape, at)?);
        }
        let output = QMatMul::QTensor(output);
        Ok(Self { shape, embedding, layers, norm, output, rotation, window_rotation, position: 0 })
    }

    /// Forgets all tokens but the first ones.
    pub(super) fn truncate(&mut self, tokens: usize) {
        self.position = self.position.min(tokens);
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Computes what follows these tokens, which stand behind those before: a number for each token of the vocabulary.
    pub(super) fn advance(&mut self, tokens: &[u32], is_cancelled: &dyn Fn() -> bool) -> Result<Vec<f32>, Stop> {
        let mut last = None;
        for chunk in tokens.chunks(CHUNK_TOKENS) {
            last = Some(self.advance_chunk(chunk, is_cancelled)?);
            self.position += chunk.len();
        }
        let hidden = last.ok_or_else(|| Stop::Failed("there is no token".to_owned()))?;
        let hidden = rms_norm(&hidden, &self.norm, self.shape.epsilon)?;
        Ok(self.output.forward(&hidden)?.flatten_all()?.to_vec1()?)
    }

    /// Returns the hidden state of the last token.
    fn advance_chunk(&mut self, tokens: &[u32], is_cancelled: &dyn Fn() -> bool) -> Result<Tensor, Stop> {
        let ids = Tensor::new(tokens, &Device::Cpu)?;
        let mut hidden = self.embedding.embedding(&ids)?;
        if self.shape.architecture == Architecture::Gemma3 {
            hidden = (hidden * (self.shape.width as f64).sqrt())?;
        }
        let turns = self.rotation.at(self.position, tokens.len())?;
        let window_turns = match &self.window_rotation {
            Some(rotation) => Some(rotation.at(self.position, tokens.len())?),
            None => None,
        };
        for layer in &mut self.layers {
            if is_cancelled() {
                return Err(Stop::Cancelled);
            }
            let turns = if layer.has_window() { window_turns.as_ref().unwrap_or(&turns) } else { &turns };
            hidden = layer.forward(&hidden, &self.shape, self.position, turns)?;
        }
        Ok(hidden.narrow(0, tokens.len() - 1, 1)?)
    }
}

fn missing(name: &str) -> Stop {
    Stop::Failed(format!("the tensor {name} is missing"))
}

/// Reads a vector, where the file has it.
fn vector(file: &mut GgufFile, name: &str, size: usize) -> Result<Option<Tensor>, Stop> {
    if file.place(name).is_none() {
        return Ok(None);
    }
    let values = file.tensor(name, &[size]).map_err(Stop::Failed)?;
    Ok(Some(values.dequantize(&Device::Cpu)?.to_dtype(DType::F32)?))
}

/// Normalizes the rows of each head.
fn norm_heads(values: &Tensor, weight: Option<&Tensor>, epsilon: f32) -> candle_core::Result<Tensor> {
    match weight {
        Some(weight) if values.dim(D::Minus1)? == weight.dim(0)? => rms_norm(&values.contiguous()?, weight, epsilon),
        _ => Ok(values.clone()),
    }
}
