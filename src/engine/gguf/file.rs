//! Reads the header of a GGUF file, and then its tensors one by one.
//!
//! The file is hostile: every length and count is checked against what is left of the file before anything is
//! allocated for it, and lists only grow by what was read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

/// Bytes of the longest text in the header; templates are the longest.
const MAX_TEXT_BYTES: u64 = 4 * 1024 * 1024;
const MAX_DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;
/// The fewest bytes of an entry: an empty key, its type, one byte.
const MIN_ENTRY_BYTES: u64 = 13;
/// The fewest bytes that describe a tensor: an empty name, one dimension, its type and place.
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 8 + 4 + 8;

/// A value of the header.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum HeaderValue {
    Integer(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Floats(Vec<f32>),
    Integers(Vec<i32>),
    /// A list that was not wanted, with its length.
    Skipped(u64),
}

/// Where a tensor is in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorPlace {
    pub(super) kind: GgmlDType,
    /// Rows first, as candle has them.
    pub(super) shape: Vec<usize>,
    start: u64,
    bytes: usize,
}

/// How much of the header is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderDepth {
    /// Single values: what a list of models shows.
    Summary,
    Whole,
}

pub(super) struct GgufFile {
    file: BufReader<File>,
    values: HashMap<String, HeaderValue>,
    tensors: HashMap<String, TensorPlace>,
}

impl GgufFile {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path, depth: HeaderDepth) -> Result<Self, String> {
        let is_file = path.metadata().map_err(|error| error.to_string())?.is_file();
        if !is_file {
            return Err("this is not a file".to_owned());
        }
        let file = File::open(path).map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        let mut reader = HeaderReader { file: BufReader::with_capacity(64 * 1024, file), at: 0, length };
        let (values, tensors) = reader.header(depth)?;
        Ok(Self { file: reader.file, values, tensors })
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key)? {
            HeaderValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&self, key: &str) -> Option<u64> {
        match self.values.get(key)? {
            HeaderValue::Integer(value) => u64::try_from(*value).ok(),
            // A value for each layer: they are the same in what is read here.
            HeaderValue::Integers(values) => {
                let first = *values.first()?;
                values.iter().all(|value| *value == first).then_some(first)?.try_into().ok()
            }
            _ => None,
        }
    }

    pub(super) fn float(&self, key: &str) -> Option<f64> {
        match self.values.get(key)? {
            HeaderValue::Float(value) => Some(*value),
            HeaderValue::Integer(value) => Some(*value as f64),
            _ => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.values.get(key)? {
            HeaderValue::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn integers(&self, key: &str) -> &[i32] {
        match self.values.get(key) {
            Some(HeaderValue::Integers(values)) => values,
            _ => &[],
        }
    }

    pub(super) fn take_texts(&mut self, key: &str) -> Vec<String> {
        match self.values.remove(key) {
            Some(HeaderValue::Texts(values)) => values,
            _ => Vec::new(),
        }
    }

    pub(super) fn take_floats(&mut self, key: &str) -> Vec<f32> {
        match self.values.remove(key) {
            Some(HeaderValue::Floats(values)) => values,
            _ => Vec::new(),
        }
    }

    pub(super) fn place(&self, name: &str) -> Option<&TensorPlace> {
        self.tensors.get(name)
    }

    /// Returns the numbers in all tensors.
    pub(super) fn parameters(&self) -> u64 {
        self.tensors.values().map(|place| place.shape.iter().map(|size| *size as u64).product::<u64>()).sum()
    }

    /// Returns the type that most numbers have.
    pub(super) fn main_kind(&self) -> Option<GgmlDType> {
        let mut bytes: HashMap<GgmlDType, usize> = HashMap::new();
        for place in self.tensors.values() {
            *bytes.entry(place.kind).or_default() += place.bytes;
        }
        bytes.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(kind, _)| kind)
    }

    /// Reads a tensor that must have this shape.
    pub(super) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<QTensor, String> {
        let data = self.bytes(name, shape)?;
        let kind = self.place(name).map_or(GgmlDType::F32, |place| place.kind);
        let storage = QStorage::from_data(Cow::Owned(data), &Device::Cpu, kind);
        let tensor = storage.and_then(|storage| QTensor::new(storage, shape));
        tensor.map_err(|error| format!("the tensor {name} can't be read: {error}"))
    }

    /// Reads the bytes of a tensor that must have this shape.
    pub(super) fn bytes(&mut self, name: &str, shape: &[usize]) -> Result<Vec<u8>, String> {
        let place = self.tensors.get(name).ok_or_else(|| format!("the tensor {name} is missing"))?;
        if place.shape != shape {
            return Err(format!("the tensor {name} has the shape {:?} instead of {shape:?}", place.shape));
        }
        let failed = |error: &dyn std::fmt::Display| format!("the tensor {name} can't be read: {error}");
        self.file.seek(SeekFrom::Start(place.start)).map_err(|error| failed(&error))?;
        let mut data = Vec::new();
        data.try_reserve_exact(place.bytes).map_err(|error| failed(&error))?;
        data.resize(place.bytes, 0);
        self.file.read_exact(&mut data).map_err(|error| failed(&error))?;
        Ok(data)
    }
}

struct HeaderReader {
    file: BufReader<File>,
    at: u64,
    length: u64,
}

type Header = (HashMap<String, HeaderValue>, HashMap<String, TensorPlace>);

impl HeaderReader {
    fn header(&mut self, depth: HeaderDepth) -> Result<Header, String> {
        if self.length < 24 || self.bytes::<4>()? != *b"GGUF" {
            return Err("this is not a GGUF file".to_owned());
        }
        let version = self.u32()?;
        if !matches!(version, 2 | 3) {
            return Err(format!("version {version} of GGUF is not known here, only 2 and 3"));
        }
        let (tensor_count, value_count) = (self.u64()?, self.u64()?);
        self.check_count(value_count, MIN_ENTRY_BYTES, "values")?;
        self.check_count(tensor_count, MIN_TENSOR_BYTES, "tensors")?;
        let mut values = HashMap::new();
        for _ in 0..value_count {
            let key = self.text()?;
            let kind = self.u32()?;
            let value = self.value(kind, depth).map_err(|error| format!("{key}: {error}"))?;
            values.insert(key, value);
        }
        if let Some(HeaderValue::Integer(parts @ 2..)) = values.get("split.count") {
            return Err(format!("this is one of {parts} parts; join them with llama-gguf-split --merge"));
        }
        let alignment = match values.get("general.alignment") {
            Some(HeaderValue::Integer(value)) => u64::try_from(*value).unwrap_or(0),
            _ => DEFAULT_ALIGNMENT,
        };
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(format!("an alignment of {alignment} is wrong"));
        }
        let mut places = Vec::new();
        for _ in 0..tensor_count {
            places.push(self.tensor_place()?);
        }
        let start = self.at.next_multiple_of(alignment);
        let mut tensors = HashMap::new();
        for (name, mut place) in places {
            let begin = start.checked_add(place.start);
            let end = begin.and_then(|begin| begin.checked_add(place.bytes as u64));
            match (begin, end) {
                (Some(begin), Some(end)) if end <= self.length => place.start = begin,
                _ => {
                    let length = self.length;
                    return Err(format!("the tensor {name} is not within the file's {length} bytes; was it cut?"));
                }
            }
            tensors.insert(name, place);
        }
        Ok((values, tensors))
    }

    fn tensor_place(&mut self) -> Result<(String, TensorPlace), String> {
        let name = self.text()?;
        let dimensions = self.u32()?;
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(format!("the tensor {name} has {dimensions} dimensions"));
        }
        let mut shape = Vec::new();
        let mut count = Some(1_usize);
        for _ in 0..dimensions {
            let size = usize::try_from(self.u64()?).ok();
            count = count.zip(size).and_then(|(count, size)| count.checked_mul(size));
            shape.push(size.unwrap_or(0));
        }
        shape.reverse();
        let kind = self.u32()?;
        let kind = tensor_kind(kind)
            .ok_or_else(|| format!("the tensor {name} is {}; get a Q4_K_M or Q8_0 file", unread_kind(kind)))?;
        let start = self.u64()?;
        let row = shape.last().copied().unwrap_or(0);
        let bytes = count
            .filter(|count| *count > 0 && row.is_multiple_of(kind.block_size()))
            .and_then(|count| (count / kind.block_size()).checked_mul(kind.type_size()))
            .filter(|bytes| *bytes as u64 <= self.length)
            .ok_or_else(|| format!("the tensor {name} has a wrong size, {shape:?}"))?;
        Ok((name, TensorPlace { kind, shape, start, bytes }))
    }

    fn value(&mut self, kind: u32, depth: HeaderDepth) -> Result<HeaderValue, String> {
        Ok(match kind {
            0..=5 | 10 | 11 => HeaderValue::Integer(self.integer(kind)?),
            6 => HeaderValue::Float(f32::from_le_bytes(self.bytes()?).into()),
            7 => HeaderValue::Bool(self.bytes::<1>()? != [0]),
            8 => HeaderValue::Text(self.text()?),
            9 => self.list(depth)?,
            12 => HeaderValue::Float(f64::from_le_bytes(self.bytes()?)),
            _ => return Err(format!("a value of the unknown type {kind}")),
        })
    }

    fn list(&mut self, depth: HeaderDepth) -> Result<HeaderValue, String> {
        let kind = self.u32()?;
        let count = self.u64()?;
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => return Err("lists in lists are not known here".to_owned()),
            _ => return Err(format!("a list of the unknown type {kind}")),
        };
        self.check_count(count, size, "values of a list")?;
        if depth == HeaderDepth::Summary {
            if kind == 8 {
                for _ in 0..count {
                    let length = self.text_length()?;
                    self.skip(length)?;
                }
            } else {
                self.skip(count * size)?;
            }
            return Ok(HeaderValue::Skipped(count));
        }
        Ok(match kind {
            8 => HeaderValue::Texts((0..count).map(|_| self.text()).collect::<Result<_, _>>()?),
            6 => {
                let float = |_| Ok::<_, String>(f32::from_le_bytes(self.bytes()?));
                HeaderValue::Floats((0..count).map(float).collect::<Result<_, _>>()?)
            }
            12 => {
                let float = |_| Ok::<_, String>(f64::from_le_bytes(self.bytes()?) as f32);
                HeaderValue::Floats((0..count).map(float).collect::<Result<_, _>>()?)
            }
            _ => {
                let integer = |_| self.integer(kind).map(|value| i32::try_from(value).unwrap_or(i32::MAX));
                HeaderValue::Integers((0..count).map(integer).collect::<Result<_, _>>()?)
            }
        })
    }

    fn integer(&mut self, kind: u32) -> Result<i64, String> {
        Ok(match kind {
            0 | 7 => u8::from_le_bytes(self.bytes()?).into(),
            1 => i8::from_le_bytes(self.bytes()?).into(),
            2 => u16::from_le_bytes(self.bytes()?).into(),
            3 => i16::from_le_bytes(self.bytes()?).into(),
            4 => self.u32()?.into(),
            5 => i32::from_le_bytes(self.bytes()?).into(),
            10 => i64::try_from(self.u64()?).unwrap_or(i64::MAX),
            _ => i64::from_le_bytes(self.bytes()?),
        })
    }

    fn check_count(&self, count: u64, bytes_each: u64, what: &str) -> Result<(), String> {
        let left = self.length.saturating_sub(self.at);
        if count.saturating_mul(bytes_each) > left {
            return Err(format!("{count} {what} can't be in the {left} bytes that are left of the file"));
        }
        Ok(())
    }

    fn text_length(&mut self) -> Result<u64, String> {
        let length = self.u64()?;
        let left = self.length.saturating_sub(self.at);
        if length > left || length > MAX_TEXT_BYTES {
            return Err(format!("a text of {length} bytes can't be here, with {left} bytes left of the file"));
        }
        Ok(length)
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.text_length()?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        self.file.read_exact(&mut bytes).map_err(|_| cut())?;
        self.at += length;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), String> {
        self.file.seek_relative(bytes.cast_signed()).map_err(|_| cut())?;
        self.at += bytes;
        Ok(())
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(|_| cut())?;
        self.at += N as u64;
        Ok(bytes)
    }
}

fn cut() -> String {
    "the file ends within its header; was it cut?".to_owned()
}

fn tensor_kind(kind: u32) -> Option<GgmlDType> {
    Some(match kind {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

fn unread_kind(kind: u32) -> String {
    let name = match kind {
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return format!("of the type {kind}, which can't be read here"),
    };
    format!("quantized as {name}, which can't be read here")
}
