//! Arithmetic and unit conversion, exact where it can be.
//!
//! The library recurses with the brackets and can be kept busy for ever, so length, depth, time and stack are bounded.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::Args;
use super::{Done, Tool, ToolCtx, ask, run_blocking};
use crate::event::{Ask, Json, Risk, ToolSpec};

pub(super) struct Calculator;

const LONGEST: usize = 1024;
const DEEPEST: usize = 100;
const TIME: Duration = Duration::from_millis(200);
/// Measured: a thousand nested operators overflow 2 MiB.
const STACK: usize = 32 << 20;

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

    fn ask<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Result<Ask, String>> {
        Box::pin(async move { Ok(ask("calculator", Risk::ReadOnly, expression(args)?, ctx)) })
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Done> {
        Box::pin(run_blocking(args, ctx, |args, ctx| {
            let text = expression(args)?;
            match evaluate(text, ctx.cancel.clone()) {
                Err(_) if ctx.cancel.is_cancelled() => Ok(Done::cancelled("cancelled")),
                result => result.map(Done::ok),
            }
        }))
    }
}

fn expression(args: &Json) -> Result<String, String> {
    let text = Args::new(args)?.text(&["expression", "expr", "input", "query"])?.trim().to_owned();
    if text.is_empty() {
        return Err("the argument `expression` is empty".into());
    }
    if text.len() > LONGEST {
        return Err(format!("the argument `expression` has {} bytes; {LONGEST} are allowed", text.len()));
    }
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!("the argument `expression` nests brackets deeper than {DEEPEST}"));
        }
    }
    Ok(text)
}

struct Limit {
    end: Instant,
    cancel: CancellationToken,
}

impl fend_core::Interrupt for Limit {
    fn should_interrupt(&self) -> bool {
        Instant::now() >= self.end || self.cancel.is_cancelled()
    }
}

fn evaluate(text: String, cancel: CancellationToken) -> Result<String, String> {
    let work = move || {
        let limit = Limit { end: Instant::now() + TIME, cancel };
        let result = fend_core::evaluate_with_interrupt(&text, &mut fend_core::Context::new(), &limit);
        let late = fend_core::Interrupt::should_interrupt(&limit);
        match result {
            Ok(value) if value.output_is_empty() => Err(format!("`{text}` has no value")),
            Ok(value) => Ok(value.get_main_result().to_owned()),
            Err(_) if late => Err(format!("`{text}` takes longer than {} ms to work out", TIME.as_millis())),
            Err(error) => Err(format!("can't work out `{text}`: {error}")),
        }
    };
    // A thread of its own for its stack; joined right here.
    let thread = std::thread::Builder::new().name("calculator".into()).stack_size(STACK).spawn(work);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("the calculator broke down on this expression".into()),
        Err(error) => Err(format!("no thread for the calculator: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, String> {
        evaluate(expression(&json!({"expression": text}))?, CancellationToken::new())
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
