//! What llama.cpp says of texts and of what follows; `tests/live/local_model.py` writes that down.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::super::decoder::Decoder;
use super::super::file::{GgufFile, HeaderDepth};
use super::super::shape::ModelShape;
use super::super::tokenizer::Tokenizer;

#[derive(Deserialize)]
struct JudgedCase {
    file: String,
    #[serde(default)]
    text: Option<String>,
    tokens: Vec<u32>,
    #[serde(default)]
    greedy: Vec<u32>,
}

fn likeliest(scores: &[f32]) -> u32 {
    (0..).zip(scores).max_by(|one: &(u32, &f32), other| one.1.total_cmp(other.1)).unwrap().0
}

#[test]
fn tokens_and_what_follows_are_those_of_llama_cpp() {
    let Ok(cases) = std::env::var("JARVIS_TUI_GGUF_CASES") else {
        println!("judge missing: llama.cpp");
        return;
    };
    let cases: Vec<JudgedCase> = serde_json::from_slice(&std::fs::read(cases).unwrap()).unwrap();
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut parted = Vec::new();
    let mut loaded: Option<(String, Tokenizer, Decoder)> = None;
    for case in cases {
        let name = Path::new(&case.file).file_name().unwrap().to_string_lossy().into_owned();
        if loaded.as_ref().is_none_or(|(file, _, _)| *file != case.file) {
            let mut file = GgufFile::open(Path::new(&case.file), HeaderDepth::Whole).unwrap();
            let shape = ModelShape::read(&file).unwrap();
            let tokenizer = Tokenizer::read(&mut file, "").unwrap();
            let decoder = Decoder::read(&mut file, shape, tokenizer.count(), 512, &|| false).unwrap();
            loaded = Some((case.file.clone(), tokenizer, decoder));
        }
        let (_, tokenizer, decoder) = loaded.as_mut().unwrap();
        if let Some(text) = &case.text {
            assert_eq!(tokenizer.encode(text), case.tokens, "{text:?}");
        }
        let Some(first) = case.greedy.first() else { continue };
        decoder.truncate(0);
        let mut scores = decoder.advance(&case.tokens, &|| false).unwrap();
        let mut expected = *first;
        let mut rest = case.greedy.iter().skip(1);
        let is_same = loop {
            let found = likeliest(&scores);
            if found != expected {
                parted.push((name.clone(), scores[found as usize] - scores[expected as usize]));
                break false;
            }
            let Some(next) = rest.next() else { break true };
            scores = decoder.advance(&[found], &|| false).unwrap();
            expected = *next;
        };
        let count = counts.entry(name).or_default();
        *count = (count.0 + usize::from(is_same), count.1 + 1);
    }
    println!("judged: llama.cpp, same of all: {counts:?}; apart by: {parted:?}");
    // In four bits llama.cpp's own logits differ by up to 0.9 with the size of its batches.
    let near = |name: &str| if name.starts_with("tiny") { 0.05 } else { 0.6 };
    assert!(parted.iter().all(|(name, apart)| *apart < near(name)), "{parted:?}");
    assert!(counts.values().all(|(same, all)| same * 2 >= *all), "{counts:?}");
}
