//! PURE. Marks of Markdown around code that no code can end.

/// Returns the line before and after a block of code: more backticks than any run in it, at least three.
pub fn fence_around(code: &str) -> String {
    "`".repeat(longest_run(code).max(2) + 1)
}

/// Returns the backticks before and after code within a line: more than any run in it.
pub fn marks_around(code: &str) -> String {
    "`".repeat(longest_run(code) + 1)
}

fn longest_run(code: &str) -> usize {
    code.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_run_of_backticks_in_the_code_ends_it() {
        for (code, fence, marks) in
            [("", "```", "`"), ("a `b` c", "```", "``"), ("```rust\n`````\n```", "``````", "``````")]
        {
            assert_eq!((fence_around(code).as_str(), marks_around(code).as_str()), (fence, marks));
        }
    }
}
