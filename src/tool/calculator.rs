//! Arithmetic and unit conversion, exact where possible.
//!
//! The library recurses with the brackets and can be kept busy forever, so length, depth, time and stack are bounded.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::ToolArgs;
use super::{CallDescription, Tool, ToolContext, ToolResult, run_blocking};
use crate::event::{Json, Risk, ToolKind, ToolSpec};

pub(super) struct Calculator;

const MAX_EXPRESSION_BYTES: usize = 1024;
const MAX_BRACKET_DEPTH: usize = 100;
const EVALUATION_TIMEOUT: Duration = Duration::from_millis(200);
/// Measured: a thousand nested operators overflow 2 MiB.
const STACK_BYTES: usize = 32 << 20;

impl Tool for Calculator {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "calculator".into(),
            description: "Works out an arithmetic expression or converts units, such as `17 * 23`, `sqrt(2)`, \
                          `3 ft to m`, `20% of 80` or `0xff to decimal`."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "expression": {"type": "string", "description": "The expression, at most 1024 bytes."}
                },
                "required": ["expression"]
            }),
            risk: Risk::ReadOnly,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Other
    }

    fn describe<'a>(&'a self, args: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        Box::pin(async move { Ok(CallDescription::new(Risk::ReadOnly, parse_expression(args)?)) })
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(run_blocking(args, ctx, |args, ctx| {
            let text = parse_expression(args)?;
            match evaluate(text, ctx.cancel.clone()) {
                Err(_) if ctx.cancel.is_cancelled() => Ok(ToolResult::cancelled("cancelled")),
                result => result.map(ToolResult::ok),
            }
        }))
    }
}

fn parse_expression(args: &Json) -> Result<String, String> {
    let text = ToolArgs::new(args)?.string(&["expression", "expr", "input", "query"])?.trim().to_owned();
    if text.is_empty() {
        return Err("the argument `expression` is empty".into());
    }
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(format!(
            "the argument `expression` has {} bytes; at most {MAX_EXPRESSION_BYTES} are allowed",
            text.len()
        ));
    }
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_BRACKET_DEPTH {
            return Err(format!("the argument `expression` nests brackets deeper than {MAX_BRACKET_DEPTH}"));
        }
    }
    Ok(text)
}

struct EvaluationLimit {
    deadline: Instant,
    cancel: CancellationToken,
}

impl fend_core::Interrupt for EvaluationLimit {
    fn should_interrupt(&self) -> bool {
        Instant::now() >= self.deadline || self.cancel.is_cancelled()
    }
}

fn evaluate(text: String, cancel: CancellationToken) -> Result<String, String> {
    let work = move || {
        let limit = EvaluationLimit { deadline: Instant::now() + EVALUATION_TIMEOUT, cancel };
        let result = fend_core::evaluate_with_interrupt(&text, &mut fend_core::Context::new(), &limit);
        let late = fend_core::Interrupt::should_interrupt(&limit);
        match result {
            Ok(value) if value.output_is_empty() => Err(format!("`{text}` has no value")),
            Ok(value) => Ok(value.get_main_result().to_owned()),
            Err(_) if late => {
                Err(format!("`{text}` takes longer than {} ms to work out", EVALUATION_TIMEOUT.as_millis()))
            }
            Err(error) => Err(format!("can't work out `{text}`: {error}")),
        }
    };
    // A thread of its own for the large stack; joined right here.
    let thread = std::thread::Builder::new().name("calculator".into()).stack_size(STACK_BYTES).spawn(work);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("the calculator crashed on this expression".into()),
        Err(error) => Err(format!("can't start a thread for the calculator: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, String> {
        evaluate(parse_expression(&json!({"expression": text}))?, CancellationToken::new())
    }

    #[test]
    fn results_are_exact_and_units_convert() {
        for (text, result) in [
            ("17*23", "391"),
            ("0.1 + 0.2", "0.3"),
            ("3 ft to m", "0.9144 m"),
            ("2 hours to minutes", "120 minutes"),
            ("20% of 80", "16"),
            ("2^100", "1267650600228229401496703205376"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(result), "{text}");
        }
    }

    #[test]
    fn hostile_expressions_end_soon_with_an_error() {
        let deep = format!("{}1{}", "(".repeat(400), ")".repeat(400));
        let long = "1+".repeat(600);
        for text in ["9^9^9^9", "100000!", "1/0", "1 +", "", "5 m to seconds", &deep, &long] {
            check(text).unwrap_err();
        }
    }

    #[test]
    fn nesting_without_brackets_does_not_overflow_the_stack() {
        for text in ["-".repeat(1000) + "1", "2^".repeat(500) + "1", "sqrt ".repeat(200) + "1", "!".repeat(1000)] {
            let _ = check(&text);
        }
        let _ = check(&format!("{}1{}", "(-".repeat(100), ")".repeat(100)));
        let _ = check(&("x:".repeat(500) + "1"));
    }
}
