//! Products with the matrices of a file. Candle has kernels for most types; for Q4_1 it goes number by number on x86, so
//! that type is multiplied here, by loops that the compiler turns into vector instructions of the machine at hand. What
//! is rounded, and when, is as in ggml (`quantize_row_q8_1` and `ggml_vec_dot_q4_1_q8_1`), for models are measured so.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::quantized::{GgmlDType, QMatMul};
use candle_core::utils::barrier_pool;
use candle_core::{Device, Module, Tensor};
use half::f16;

use super::Stop;
use crate::engine::gguf::file::GgufFile;

/// Numbers of a block, which share a scale.
const BLOCK_VALUES: usize = 32;
const BLOCK_BYTES: usize = 20;
/// Rows of a result that are one piece of work.
const ROWS_AT_ONCE: usize = 16;
/// Tokens for which a block is unpacked once.
const TOKENS_AT_ONCE: usize = 8;

pub(super) enum Matrix {
    Candle(QMatMul),
    Q4_1(PackedMatrix),
}

impl Matrix {
    pub(super) fn read(file: &mut GgufFile, name: &str, rows: usize, columns: usize) -> Result<Self, Stop> {
        let kind = file.place(name).map(|place| place.kind);
        if kind == Some(GgmlDType::Q4_1) && columns.is_multiple_of(BLOCK_VALUES) {
            let bytes = file.bytes(name, &[rows, columns]).map_err(Stop::Failed)?;
            return Ok(Self::Q4_1(PackedMatrix::new(&bytes, rows, columns)));
        }
        let weight = file.tensor(name, &[rows, columns]).map_err(Stop::Failed)?;
        Ok(Self::Candle(QMatMul::QTensor(Arc::new(weight))))
    }

    pub(super) fn forward(&self, values: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Candle(weight) => weight.forward(values),
            Self::Q4_1(weight) => weight.forward(values),
        }
    }
}

/// Scale and offset of a block, and its numbers of four bits: the first half low, the second half high.
#[derive(Clone, Copy)]
struct WeightBlock {
    scale: f32,
    offset: f32,
    numbers: [u8; BLOCK_VALUES / 2],
}

/// A block of values: numbers of eight bits, their scale, and their sum by that scale.
#[derive(Clone, Copy)]
struct ValueBlock {
    scale: f32,
    sum: f32,
    numbers: [i16; BLOCK_VALUES],
}

pub(super) struct PackedMatrix {
    blocks: Vec<WeightBlock>,
    rows: usize,
    columns: usize,
}

impl PackedMatrix {
    fn new(bytes: &[u8], rows: usize, columns: usize) -> Self {
        let block = |bytes: &[u8; BLOCK_BYTES]| {
            let [d0, d1, m0, m1, numbers @ ..] = *bytes;
            let half = |bytes| f16::from_le_bytes(bytes).to_f32();
            WeightBlock { scale: half([d0, d1]), offset: half([m0, m1]), numbers }
        };
        Self { blocks: bytes.as_chunks().0.iter().map(block).collect(), rows, columns }
    }

    fn forward(&self, values: &Tensor) -> candle_core::Result<Tensor> {
        let count = values.dim(0)?;
        let values = values.flatten_all()?.to_vec1::<f32>()?;
        let arch = pulp::Arch::new();
        let blocks: Vec<ValueBlock> = arch.dispatch(|| values.as_chunks().0.iter().map(quantize).collect());
        // Row by row of the matrix, so that each piece of work has a place of its own.
        let mut out = vec![0.0_f32; self.rows * count];
        let per_row = self.columns / BLOCK_VALUES;
        let pieces: Vec<_> = out
            .chunks_mut(ROWS_AT_ONCE * count)
            .zip(self.blocks.chunks(ROWS_AT_ONCE * per_row))
            .map(Mutex::new)
            .collect();
        barrier_pool().execute_chunked(pieces.len(), |range| {
            for piece in pieces.get(range).unwrap_or_default() {
                let mut piece = piece.lock().unwrap_or_else(PoisonError::into_inner);
                let (out, weights) = &mut *piece;
                arch.dispatch(|| multiply(weights, &blocks, per_row, count, out));
            }
        });
        drop(pieces);
        let out = Tensor::from_vec(out, (self.rows, count), &Device::Cpu)?;
        if count == 1 { out.reshape((1, self.rows)) } else { out.t()?.contiguous() }
    }
}

#[allow(clippy::inline_always, reason = "it must be compiled for the machine that was found")]
#[inline(always)]
fn multiply(weights: &[WeightBlock], values: &[ValueBlock], per_row: usize, count: usize, out: &mut [f32]) {
    for (row, out) in weights.chunks_exact(per_row).zip(out.chunks_exact_mut(count)) {
        for (values, out) in values.chunks(TOKENS_AT_ONCE * per_row).zip(out.chunks_mut(TOKENS_AT_ONCE)) {
            let mut sums = [0.0_f32; TOKENS_AT_ONCE];
            for (at, weight) in row.iter().enumerate() {
                let mut numbers = [0_i16; BLOCK_VALUES];
                let (low, high) = numbers.split_at_mut(BLOCK_VALUES / 2);
                for ((low, high), packed) in low.iter_mut().zip(high).zip(weight.numbers) {
                    *low = i16::from(packed & 15);
                    *high = i16::from(packed >> 4);
                }
                for (sum, value) in sums.iter_mut().zip(values.iter().skip(at).step_by(per_row)) {
                    let mut product = 0_i32;
                    for (number, value) in numbers.iter().zip(&value.numbers) {
                        product += i32::from(*number) * i32::from(*value);
                    }
                    *sum += weight.scale * value.scale * product as f32 + weight.offset * value.sum;
                }
            }
            out.copy_from_slice(sums.get(..out.len()).unwrap_or_default());
        }
    }
}

#[allow(clippy::inline_always, reason = "it must be compiled for the machine that was found")]
#[inline(always)]
fn quantize(values: &[f32; BLOCK_VALUES]) -> ValueBlock {
    let most = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let scale = most / 127.0;
    let factor = if scale > 0.0 { 127.0 / most } else { 0.0 };
    let numbers = values.map(|value| (value * factor).round_ties_even() as i16);
    let sum: i32 = numbers.iter().map(|number| i32::from(*number)).sum();
    let as_half = |value: f32| f16::from_f32(value).to_f32();
    ValueBlock { scale: as_half(scale), sum: as_half(scale * sum as f32), numbers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_that_of_the_unpacked_weights_and_the_rounded_values() {
        let (rows, columns, count) = (35, 64, 11);
        let mut bytes = Vec::new();
        for block in 0..rows * columns / BLOCK_VALUES {
            bytes.extend([0x00, 0x2c, 0x00, 0xb0]);
            bytes.extend((0..16).map(|at| (block * 31 + at * 17) as u8));
        }
        let matrix = PackedMatrix::new(&bytes, rows, columns);
        let weights: Vec<f32> = matrix
            .blocks
            .iter()
            .flat_map(|block| {
                let number = |packed: u8| f32::from(packed) * block.scale + block.offset;
                let low = block.numbers.map(|packed| number(packed & 15));
                low.into_iter().chain(block.numbers.map(|packed| number(packed >> 4)))
            })
            .collect();
        let values: Vec<f32> = (0..columns * count).map(|at| ((at * 37 % 101) as f32 - 50.0) / 25.0).collect();
        let tensor = |values: Vec<f32>, shape| Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        let rounded = values.as_chunks().0.iter().map(quantize);
        let rounded = rounded.flat_map(|block| block.numbers.map(|number| f32::from(number) * block.scale)).collect();
        let values = tensor(values, (count, columns));
        let exact = tensor(rounded, (count, columns)).matmul(&tensor(weights, (rows, columns)).t().unwrap()).unwrap();
        let difference = (exact - matrix.forward(&values).unwrap()).unwrap().abs().unwrap();
        let most = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(most < 0.002, "{most}");
    }
}
