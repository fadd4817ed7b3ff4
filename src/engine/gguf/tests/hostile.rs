//! Files that lie are refused before memory is taken for what they claim.

use super::super::file::{GgufFile, HeaderDepth};
use super::super::places;
use super::super::shape::ModelShape;
use super::tiny::{TEMPLATE, TinyFile, model, write};

fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, bytes);
    for depth in [HeaderDepth::Summary, HeaderDepth::Whole] {
        assert!(GgufFile::open(&path, depth).is_err(), "{depth:?}");
    }
    GgufFile::open(&path, HeaderDepth::Whole).err().unwrap()
}

fn with_bytes_at(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = model(TEMPLATE).bytes();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn counts_and_lengths_beyond_the_file_are_refused() {
    let huge = (1_u64 << 63).to_le_bytes();
    assert!(refusal(&with_bytes_at(8, &huge)).contains("9223372036854775808 tensors"));
    assert!(refusal(&with_bytes_at(16, &huge)).contains("9223372036854775808 values"));
    assert!(refusal(&with_bytes_at(24, &huge)).contains("a text of 9223372036854775808 bytes"));
    assert!(refusal(&with_bytes_at(24, &u64::MAX.to_le_bytes())).contains("bytes left of the file"));
    let list = |kind: u32, count: u64| {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(count.to_le_bytes());
        TinyFile::new().raw("list", 9, &bytes).bytes()
    };
    for kind in [0, 5, 6, 8, 12] {
        assert!(refusal(&list(kind, 1 << 63)).contains("list: 9223372036854775808 values of a list"));
    }
    assert!(refusal(&list(9, 1)).contains("lists in lists"));
    assert!(refusal(&list(77, 1)).contains("unknown type 77"));
    assert!(refusal(&TinyFile::new().raw("odd", 99, &[]).bytes()).contains("odd: a value of the unknown type 99"));
}

#[test]
fn sizes_of_tensors_are_checked() {
    for sizes in [&[1 << 62, 8][..], &[u64::MAX], &[0], &[1 << 33]] {
        let mut bytes = TinyFile::new().tensor("t", &[1]).bytes();
        let mut header = bytes[..24 + 9].to_vec();
        header.extend((sizes.len() as u32).to_le_bytes());
        for size in sizes {
            header.extend(size.to_le_bytes());
        }
        header.extend(bytes.split_off(24 + 9 + 4 + 8));
        assert!(refusal(&header).contains("the tensor t "), "{sizes:?}");
    }
    let mut far = TinyFile::new().tensor("t", &[1]).bytes();
    far[24 + 9 + 4 + 8 + 4..][..8].copy_from_slice(&(1_u64 << 63).to_le_bytes());
    assert!(refusal(&far).contains("not within the file"));
}

#[test]
fn other_files_are_named_for_what_they_are() {
    assert_eq!(refusal(b"<html>this is a page, not a model</html>"), "this is not a GGUF file");
    assert_eq!(refusal(b""), "this is not a GGUF file");
    assert!(refusal(&with_bytes_at(4, &1_u32.to_le_bytes())).contains("version 1"));
    let split = TinyFile::new().number("split.count", 3).bytes();
    assert!(refusal(&split).contains("one of 3 parts"));
    let mut coded = TinyFile::new().tensor("t", &[1]).bytes();
    coded[24 + 9 + 4 + 8..][..4].copy_from_slice(&20_u32.to_le_bytes());
    assert!(refusal(&coded).contains("IQ4_NL"), "{}", refusal(&coded));
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(GgufFile::open(folder.path(), HeaderDepth::Whole).err().unwrap(), "this is not a file");
    let missing = places::describe("/nowhere/model.gguf", &|_| None).unwrap_err();
    assert!(missing.message.contains("/nowhere/model.gguf: there is no such file"), "{}", missing.message);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = model(TEMPLATE).bytes();
    let folder = tempfile::tempdir().unwrap();
    for end in (0..whole.len()).step_by(7) {
        let path = write(&folder, &whole[..end]);
        assert!(GgufFile::open(&path, HeaderDepth::Whole).is_err(), "cut at {end}");
    }
}

#[test]
fn sizes_that_do_not_fit_together_are_refused() {
    let shape = |file: TinyFile| {
        let folder = tempfile::tempdir().unwrap();
        ModelShape::read(&GgufFile::open(&file.write(&folder), HeaderDepth::Whole).unwrap()).map(|_| ())
    };
    assert_eq!(shape(model(TEMPLATE)), Ok(()));
    for (key, value) in [
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count", 3),
        ("llama.attention.head_count_kv", 3),
        ("llama.embedding_length", 0),
        ("llama.embedding_length", u32::MAX),
        ("llama.block_count", u32::MAX),
        ("llama.rope.dimension_count", 7),
        ("llama.rope.dimension_count", 64),
        ("llama.context_length", 0),
        ("llama.expert_count", 8),
    ] {
        assert!(shape(model(TEMPLATE).number(key, value)).is_err(), "{key} {value}");
    }
    let other = shape(TinyFile::new().text("general.architecture", "mamba")).unwrap_err();
    assert!(other.contains("\"mamba\"") && other.contains("llama, qwen2, qwen3, gemma3, phi3"), "{other}");
}
