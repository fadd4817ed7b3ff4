//! Rotary positions: by how much each pair of dimensions is turned at a position.

use candle_core::{Device, Tensor};
use candle_nn::rotary_emb::{rope, rope_i};

use super::{Stop, vector};
use crate::engine::gguf::file::GgufFile;
use crate::engine::gguf::shape::{Architecture, ModelShape};

/// The base of Gemma's layers with a window.
const WINDOW_BASE: f64 = 1e4;

pub(super) struct Rotation {
    /// Radians that each pair turns from one position to the next.
    steps: Vec<f64>,
    gain: f64,
}

/// The sines and cosines of some positions.
pub(super) struct Turns {
    cos: Tensor,
    sin: Tensor,
}

impl Rotation {
    pub(super) fn read(file: &mut GgufFile, shape: &ModelShape, context: usize) -> Result<Self, Stop> {
        let mut steps = steps(shape, shape.rope_base, shape.rope_divisor);
        let is_long = shape.original_context.is_some_and(|original| context > original);
        let name = if is_long { "rope_factors_long.weight" } else { "rope_factors_short.weight" };
        for name in ["rope_freqs.weight", name] {
            if let Some(factors) = vector(file, name, shape.rotated / 2)? {
                for (step, factor) in steps.iter_mut().zip(factors.to_vec1::<f32>()?) {
                    *step /= f64::from(factor);
                }
            }
        }
        Ok(Self { steps, gain: shape.rope_gain })
    }

    pub(super) fn for_windows(shape: &ModelShape) -> Self {
        Self { steps: steps(shape, WINDOW_BASE, 1.0), gain: 1.0 }
    }

    pub(super) fn at(&self, position: usize, count: usize) -> candle_core::Result<Turns> {
        let angles = || (position..position + count).flat_map(|at| self.steps.iter().map(move |step| at as f64 * step));
        let shape = (count, self.steps.len());
        let tensor = |of: fn(f64) -> f64| {
            let values: Vec<f32> = angles().map(|angle| (of(angle) * self.gain) as f32).collect();
            Tensor::from_vec(values, shape, &Device::Cpu)
        };
        Ok(Turns { cos: tensor(f64::cos)?, sin: tensor(f64::sin)? })
    }
}

fn steps(shape: &ModelShape, base: f64, divisor: f64) -> Vec<f64> {
    let size = shape.rotated as f64;
    (0..shape.rotated / 2).map(|pair| base.powf(-2.0 * pair as f64 / size) / divisor).collect()
}

impl Turns {
    /// Turns heads, tokens and dimensions of these.
    pub(super) fn apply(&self, values: &Tensor, shape: &ModelShape) -> candle_core::Result<Tensor> {
        let values = values.unsqueeze(0)?;
        // Only llama's files have the two numbers of a pair side by side.
        let turn = if shape.architecture == Architecture::Llama { rope_i } else { rope };
        if shape.rotated == shape.head_size {
            return turn(&values.contiguous()?, &self.cos, &self.sin)?.squeeze(0);
        }
        let turned = turn(&values.narrow(3, 0, shape.rotated)?.contiguous()?, &self.cos, &self.sin)?;
        let rest = values.narrow(3, shape.rotated, shape.head_size - shape.rotated)?;
        Tensor::cat(&[&turned, &rest.contiguous()?], 3)?.squeeze(0)
    }
}
