//! Products with the matrices of a file. Candle has kernels for most types; for Q4_1 it goes number by number on x86, so
//! that type is multiplied here, with AVX2 where the machine has it. What is rounded, and when, is as in ggml
//! (`quantize_row_q8_1` and `ggml_vec_dot_q4_1_q8_1`), for models are measured so.

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
    numbers: [i8; BLOCK_VALUES],
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
        let blocks: Vec<ValueBlock> = values.as_chunks().0.iter().map(quantize).collect();
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
                multiply(&Rows { weights, values: &blocks, per_row, count }, out);
            }
        });
        drop(pieces);
        let out = Tensor::from_vec(out, (self.rows, count), &Device::Cpu)?;
        if count == 1 { out.reshape((1, self.rows)) } else { out.t()?.contiguous() }
    }
}

/// Rows of the matrix, and the values of each token that they are multiplied by.
#[derive(Clone, Copy)]
struct Rows<'a> {
    weights: &'a [WeightBlock],
    values: &'a [ValueBlock],
    per_row: usize,
    count: usize,
}

/// Writes the products, row by row.
fn multiply(rows: &Rows<'_>, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return simd.vectorize(avx2::Multiply { simd, rows: *rows, out });
    }
    multiply_plainly(rows, out);
}

/// The same number by number.
fn multiply_plainly(rows: &Rows<'_>, out: &mut [f32]) {
    for (row, out) in rows.weights.chunks_exact(rows.per_row).zip(out.chunks_exact_mut(rows.count)) {
        for (values, out) in rows.values.chunks_exact(rows.per_row).zip(out) {
            *out = row.iter().zip(values).fold(0.0, |sum, (weight, value)| {
                let (low, high) = value.numbers.split_at(BLOCK_VALUES / 2);
                let numbers = weight.numbers.iter().zip(low.iter().zip(high));
                let products = numbers.map(|(packed, (low, high))| {
                    i32::from(packed & 15) * i32::from(*low) + i32::from(packed >> 4) * i32::from(*high)
                });
                sum + weight.scale * value.scale * products.sum::<i32>() as f32 + weight.offset * value.sum
            });
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "all of it must be compiled for the machine that was found")]
mod avx2 {
    use std::arch::x86_64::{__m256, __m256i};

    use pulp::NullaryFnOnce;
    use pulp::bytemuck::cast;
    use pulp::x86::V3;

    use super::{Rows, TOKENS_AT_ONCE, ValueBlock, WeightBlock};

    pub(super) struct Multiply<'a> {
        pub(super) simd: V3,
        pub(super) rows: Rows<'a>,
        pub(super) out: &'a mut [f32],
    }

    impl NullaryFnOnce for Multiply<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { simd, rows, out } = self;
            for (row, out) in rows.weights.chunks_exact(rows.per_row).zip(out.chunks_exact_mut(rows.count)) {
                let tokens = rows.values.chunks(TOKENS_AT_ONCE * rows.per_row);
                for (values, out) in tokens.zip(out.chunks_mut(TOKENS_AT_ONCE)) {
                    match out {
                        [out] => [*out] = row_product(simd, row, values),
                        out => {
                            let sums: [f32; TOKENS_AT_ONCE] = row_product(simd, row, values);
                            out.copy_from_slice(sums.get(..out.len()).unwrap_or_default());
                        }
                    }
                }
            }
        }
    }

    /// Multiplies a row by the values of at most so many tokens: a block of weights is unpacked once for all of them.
    #[inline(always)]
    fn row_product<const TOKENS: usize>(simd: V3, row: &[WeightBlock], values: &[ValueBlock]) -> [f32; TOKENS] {
        let mut sums = [simd.avx._mm256_setzero_ps(); TOKENS];
        let mut offsets = [0.0_f32; TOKENS];
        for (at, weight) in row.iter().enumerate() {
            let numbers = unpack(simd, weight.numbers);
            let of_tokens = values.iter().skip(at).step_by(row.len());
            for ((sum, offset), value) in sums.iter_mut().zip(&mut offsets).zip(of_tokens) {
                let scale = simd.avx._mm256_set1_ps(weight.scale * value.scale);
                *sum = simd.fma._mm256_fmadd_ps(scale, product(simd, numbers, cast(value.numbers)), *sum);
                *offset += weight.offset * value.sum;
            }
        }
        let mut out = [0.0; TOKENS];
        for ((out, sum), offset) in out.iter_mut().zip(sums).zip(offsets) {
            let [first, second]: [[f32; 4]; 2] = cast(sum);
            let [one, two, three, four] = std::array::from_fn(|at| first[at] + second[at]);
            *out = (one + three) + (two + four) + offset;
        }
        out
    }

    /// Returns the low halves of all bytes, and behind them the high ones.
    #[inline(always)]
    fn unpack(simd: V3, packed: [u8; 16]) -> __m256i {
        let packed = cast(packed);
        let high = simd.sse2._mm_srli_epi16::<4>(packed);
        simd.avx2._mm256_and_si256(simd.avx._mm256_set_m128i(high, packed), simd.avx._mm256_set1_epi8(15))
    }

    /// Returns eight sums of four products each.
    #[inline(always)]
    fn product(simd: V3, weights: __m256i, values: __m256i) -> __m256 {
        let pairs = simd.avx2._mm256_maddubs_epi16(weights, values);
        simd.avx._mm256_cvtepi32_ps(simd.avx2._mm256_madd_epi16(pairs, simd.avx._mm256_set1_epi16(1)))
    }
}

fn quantize(values: &[f32; BLOCK_VALUES]) -> ValueBlock {
    let most = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let scale = most / 127.0;
    let factor = if scale > 0.0 { 127.0 / most } else { 0.0 };
    let numbers = values.map(|value| (value * factor).round_ties_even() as i8);
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

    #[test]
    fn what_the_machine_has_for_it_gives_what_numbers_one_by_one_give() {
        let block = |nth: usize| WeightBlock {
            scale: 0.01 * nth as f32,
            offset: -0.07,
            numbers: std::array::from_fn(|at| (nth * 31 + at * 17) as u8),
        };
        for count in [1, TOKENS_AT_ONCE, TOKENS_AT_ONCE + 3] {
            let weights: Vec<_> = (0..15).map(block).collect();
            let value = |at: usize| ((at * 37 % 101) as f32 - 50.0) / 25.0;
            let values: Vec<_> =
                (0..3 * count).map(|nth| quantize(&std::array::from_fn(|at| value(nth * 7 + at)))).collect();
            let rows = Rows { weights: &weights, values: &values, per_row: 3, count };
            let (mut fast, mut plain) = (vec![0.0; 5 * count], vec![0.0; 5 * count]);
            multiply(&rows, &mut fast);
            multiply_plainly(&rows, &mut plain);
            let most =
                fast.iter().zip(&plain).map(|(one, other): (&f32, &f32)| (one - other).abs()).fold(0.0, f32::max);
            assert!(most < 1e-4 && plain.iter().any(|sum| sum.abs() > 1.0), "{most}");
        }
    }
}
