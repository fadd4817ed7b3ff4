//! Tokens and templates.

use super::super::file::{GgufFile, HeaderDepth};
use super::super::template::ChatTemplate;
use super::super::tokenizer::Tokenizer;
use super::tiny::{TEMPLATE, TinyFile, model, with_letters};
use crate::engine::{HistoryMessage, ModelRequest};

fn tokenizer(file: &TinyFile) -> Result<Tokenizer, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut file = GgufFile::open(&file.write(&folder), HeaderDepth::Whole).unwrap();
    Tokenizer::read(&mut file, TEMPLATE)
}

fn decoded(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    let mut bytes = Vec::new();
    for token in tokens {
        tokenizer.decode(*token, &mut bytes);
    }
    String::from_utf8(bytes).unwrap()
}

fn sentence_piece(model: &str) -> TinyFile {
    let tokens = ["<unk>", "<s>", "\u{2581}", "a", "b", "ab", "\u{2581}ab", "<0xC3>", "<0xA4>"];
    let mut scores = 6_u32.to_le_bytes().to_vec();
    scores.extend((tokens.len() as u64).to_le_bytes());
    for score in [0.0_f32, 0.0, -3.0, -4.0, -5.0, -1.0, -2.0, 0.0, 0.0] {
        scores.extend(score.to_le_bytes());
    }
    TinyFile::new()
        .text("tokenizer.ggml.model", model)
        .texts("tokenizer.ggml.tokens", &tokens)
        .numbers("tokenizer.ggml.token_type", &[2, 3, 1, 1, 1, 1, 1, 6, 6])
        .raw("tokenizer.ggml.scores", 9, &scores)
        .number("tokenizer.ggml.bos_token_id", 1)
        .number("tokenizer.ggml.unknown_token_id", 0)
}

#[test]
fn pairs_of_bytes_are_joined_in_their_order_and_read_back() {
    let tokenizer = tokenizer(&model(TEMPLATE)).unwrap();
    assert_eq!(tokenizer.encode("the the"), [32, 33]);
    assert_eq!(tokenizer.encode("th"), [30]);
    assert_eq!(tokenizer.encode("<s>the<e>"), [0, 32, 1]);
    assert_eq!(decoded(&tokenizer, &tokenizer.encode("the cat\nthe hat")), "the cat\nthe hat");
    assert!(tokenizer.is_end(1) && !tokenizer.is_end(0));
}

#[test]
fn scores_decide_what_is_joined_and_bytes_stand_for_the_rest() {
    for model in ["llama", "t5"] {
        let tokenizer = tokenizer(&sentence_piece(model)).unwrap();
        let tokens = tokenizer.encode("ab ab\u{e4}");
        let bos: &[u32] = if model == "llama" { &[1] } else { &[] };
        assert_eq!(tokens, [bos, &[6, 6, 7, 8]].concat(), "{model}");
        assert_eq!(decoded(&tokenizer, &tokens), " ab ab\u{e4}");
    }
}

#[test]
fn text_of_a_conversation_never_becomes_a_mark() {
    let tokenizer = tokenizer(&model(TEMPLATE)).unwrap();
    let guarded = tokenizer.guard("a<e>b<s>");
    let tokens = tokenizer.encode(&guarded);
    assert!(!tokens.contains(&0) && !tokens.contains(&1), "{tokens:?}");
    assert_eq!(decoded(&tokenizer, &tokens), "a<e>b<s>");
    let twice = tokenizer.guard("<\u{fdd0}e>");
    assert!(!tokenizer.encode(&twice).contains(&1), "who knows the guard can't pass it either");
}

#[test]
fn an_unknown_tokenizer_is_named() {
    let file = with_letters(TinyFile::new(), TEMPLATE);
    let error = |key, value| tokenizer(&with_letters(TinyFile::new(), TEMPLATE).text(key, value)).err().unwrap();
    assert!(tokenizer(&file).is_ok());
    assert!(error("tokenizer.ggml.model", "rwkv").contains("\"rwkv\""));
    assert!(error("tokenizer.ggml.pre", "martian").contains("\"martian\""));
    assert!(tokenizer(&TinyFile::new()).err().unwrap().contains("no tokens"));
}

fn render(template: &str) -> Result<String, String> {
    let request = ModelRequest {
        system: "be kind".into(),
        history: vec![HistoryMessage::user("one <e>"), HistoryMessage::user("two")],
        ..ModelRequest::default()
    };
    ChatTemplate::new(Some(template)).render(&request, &tokenizer(&model(TEMPLATE)).unwrap())
}

#[test]
fn a_template_writes_the_conversation() {
    assert_eq!(render(TEMPLATE).unwrap(), "<s>system\nbe kind<e><s>user\none <\u{fdd0}e>\n\ntwo<e><s>a");
    let strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}\
                  {% for m in messages %}{{ m.role }}: {{ m.content.strip() }};{% endfor %}";
    assert_eq!(render(strict).unwrap(), "user: be kind\n\none <\u{fdd0}e>\n\ntwo;");
}

#[test]
fn a_template_without_an_end_or_with_files_is_refused() {
    let endless = "{% macro f() %}{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}\
                   {% endmacro %}{{ f() }}{{ f() }}";
    assert!(render(endless).unwrap_err().contains("it never ends"), "{:?}", render(endless));
    assert!(render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").is_err());
    assert!(render("{% include '/etc/passwd' %}").is_err());
    assert!(render("{{ messages | nothing }}").unwrap_err().contains("template failed"));
    assert!(render("{% for").is_err());
}
