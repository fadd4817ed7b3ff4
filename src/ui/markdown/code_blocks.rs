//! The code blocks of a Markdown text as they were written, without fences and without what surrounds them.
//!
//! For copying; not for layout. O(text), so only for a key press.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::{nesting, options};

/// A code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeBlock {
    /// Where it begins in the text, fence included.
    pub start: usize,
    pub text: String,
}

/// Returns all code blocks, also those inside lists and quotes.
pub fn code_blocks(source: &str) -> Vec<CodeBlock> {
    let mut blocks: Vec<CodeBlock> = Vec::new();
    let mut inside = false;
    let source = &*nesting::limit_depth(source);
    for (event, range) in Parser::new_ext(source, options()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(_)) => {
                inside = true;
                blocks.push(CodeBlock { start: range.start, text: String::new() });
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => {
                if let Some(block) = blocks.last_mut() {
                    block.text.push_str(&text);
                }
            }
            _ => {}
        }
    }
    blocks.retain(|block| !block.text.trim().is_empty());
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comes_without_fences_quotes_and_indents() {
        let text = "a\n\n```rust\nfn f() {\n    1\n}\n```\n\n- item\n\n  ```\n  x\n    y\n  ```\n\n> ~~~\n> q\n> ~~~\n\n    indented\n\n```\nopen";
        let found: Vec<String> = code_blocks(text).into_iter().map(|code| code.text).collect();
        assert_eq!(found, ["fn f() {\n    1\n}\n", "x\n  y\n", "q\n", "indented\n", "open"]);
    }
}
