//! PURE. Arithmetic and units in plain words, turned into an expression for the calculator.
//!
//! Without a verb that says so, a text is an expression only when every word in it is a number, an operator, a function
//! or a unit: "what is plan mode" must not be one.

use super::words::WordSlice;
use super::{PlanStep, json};

pub(super) fn calculate(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    let expression = match plain.as_slice() {
        ["calculate" | "compute" | "evaluate" | "calc" | "solve", _, ..] => stated_expression(words.skip(1))?,
        ["work" | "figure", "out", _, ..] => stated_expression(words.skip(2))?,
        ["convert", _, ..] => conversion_expression(words.skip(1))?,
        ["how", "many", _, _, ..] => how_many_expression(words.skip(2))?,
        [
            "how",
            "much" | "tall" | "far" | "long" | "heavy" | "hot" | "cold" | "fast" | "big" | "high",
            "is" | "are",
            _,
            ..,
        ] => strict_expression(&words.skip(3).raw())?,
        ["add" | "multiply" | "divide" | "subtract" | "double", _, ..] => verb_expression(words)?,
        ["what's" | "whats", _, ..] => strict_expression(&words.skip(1).raw())?,
        ["what", "is" | "are", _, ..] => strict_expression(&words.skip(2).raw())?,
        _ => strict_expression(&words.raw())?,
    };
    Some(vec![PlanStep::new("calculator", json!({ "expression": expression }))])
}

/// "multiply 6 by 7", "subtract 3 from 10".
fn verb_expression(words: WordSlice<'_>) -> Option<String> {
    let plain = words.plain();
    if plain.first() == Some(&"double") {
        return strict_expression(&format!("2 * ({})", words.skip(1).raw()));
    }
    let at = plain.iter().position(|word| matches!(*word, "by" | "and" | "to" | "from" | "with"))?;
    let (one, two) = (normalize(&words.take(at).skip(1).raw()), normalize(&words.skip(at + 1).raw()));
    let (one, two) = if plain.first() == Some(&"subtract") { (two, one) } else { (one, two) };
    let sign = match *plain.first()? {
        "add" => '+',
        "multiply" => '*',
        "divide" => '/',
        _ => '-',
    };
    (!one.is_empty() && !two.is_empty()).then(|| strict_expression(&format!("{one} {sign} {two}"))).flatten()
}

/// After an explicit verb, anything with a number or a constant is tried.
fn stated_expression(words: WordSlice<'_>) -> Option<String> {
    let words = match words.plain().as_slice() {
        ["what", "is", _, ..] => words.skip(2),
        ["what's", _, ..] => words.skip(1),
        _ => words,
    };
    let text = words.quoted().map_or_else(|| words.raw(), str::to_owned);
    let expression = normalize(&text);
    let tokens = tokenize(&expression);
    let number = tokens.iter().any(|token| matches!(token, Token::Number) || is_constant(token));
    (number && expression.len() <= 1000).then_some(expression)
}

fn conversion_expression(words: WordSlice<'_>) -> Option<String> {
    let plain = words.plain();
    let to = plain.iter().rposition(|word| matches!(*word, "to" | "into" | "in" | "as"))?;
    let (from, unit) = (quantity(words.take(to)), normalize(&words.skip(to + 1).raw()));
    (!unit.is_empty() && from.contains(|c: char| c.is_ascii_digit())).then(|| format!("{from} to {unit}"))
}

/// "litres in 3 gallons", "seconds are there in a day", "km is 5 miles".
fn how_many_expression(words: WordSlice<'_>) -> Option<String> {
    let plain = words.plain();
    let at = plain.iter().position(|word| matches!(*word, "in" | "is" | "are" | "make" | "equals"))?;
    let mut rest = words.skip(at);
    while rest.plain().first().is_some_and(|w| matches!(*w, "in" | "is" | "are" | "there" | "make" | "equals")) {
        rest = rest.skip(1);
    }
    let (unit, from) = (normalize(&words.take(at).raw()), quantity(rest));
    let units = |text: &str| tokenize(text).iter().all(|token| matches!(token, Token::Word(word) if is_unit(word)));
    let measured = tokenize(&from).iter().all(|token| match token {
        Token::Word(word) => is_unit(word),
        Token::Number => true,
        Token::Operator(_) => true,
    });
    let number = from.contains(|c: char| c.is_ascii_digit());
    (!unit.is_empty() && units(&unit) && number && measured && from.contains(|c: char| c.is_ascii_alphabetic()))
        .then(|| format!("{from} to {unit}"))
}

/// "a day" is one day.
fn quantity(words: WordSlice<'_>) -> String {
    match words.plain().as_slice() {
        ["a" | "an" | "one", _, ..] => format!("1 {}", normalize(&words.skip(1).raw())),
        _ => normalize(&words.raw()),
    }
}

/// Returns the expression when every word of the text belongs in one and there is something to calculate.
fn strict_expression(text: &str) -> Option<String> {
    if text.len() > 400 || looks_like_date(text.trim()) {
        return None;
    }
    let expression = normalize(text);
    let tokens = tokenize(&expression);
    let word = |name: &str| tokens.iter().any(|token| matches!(token, Token::Word(word) if word == name));
    let known = tokens.iter().all(|token| match token {
        Token::Word(word) => {
            is_function(word) || is_unit(word) || is_constant(token) || is_connective(word) || is_base(word)
        }
        Token::Number => true,
        Token::Operator(c) => "+-*/^%().!|&<>°".contains(*c),
    });
    let operands = tokens.iter().filter(|token| matches!(token, Token::Number) || is_constant(token)).count();
    let operator = tokens.iter().any(|token| matches!(token, Token::Operator(c) if "+-*/^".contains(*c)));
    let function = tokens.iter().any(|token| matches!(token, Token::Word(word) if is_function(word)));
    let unit = tokens.iter().any(|token| matches!(token, Token::Word(word) if is_unit(word) || is_base(word)));
    let factorial = operands == 1 && expression.ends_with('!');
    let percent = word("of") && expression.contains('%');
    let something = (operator && operands >= 2)
        || (function && operands >= 1)
        || (word("to") && unit && operands >= 1)
        || (word("mod") && operands >= 2)
        || factorial
        || (percent && operands >= 2)
        || matches!(expression.as_str(), "pi" | "tau");
    (known && something).then_some(expression)
}

fn looks_like_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day] if year.len() == 4 && month.len() == 2 && day.len() == 2)
}

enum Token {
    Number,
    Word(String),
    Operator(char),
}

fn tokenize(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_digit() {
            while chars.next_if(|c| c.is_ascii_alphanumeric() && c.is_ascii_digit() || *c == '.').is_some() {}
            tokens.push(Token::Number);
        } else if c.is_alphabetic() || c == '°' {
            let mut word = String::from(c);
            while let Some(more) = chars.next_if(|c| c.is_alphanumeric()) {
                word.push(more);
            }
            tokens.push(Token::Word(word.trim_start_matches('°').to_owned()));
        } else if !c.is_whitespace() {
            tokens.push(Token::Operator(c));
        }
    }
    tokens
}

/// Rewrites an expression for the calculator: operators for words, no thousands separators, `to` for conversions.
fn normalize(text: &str) -> String {
    let factorial =
        text.trim().strip_suffix('!').is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()) && !n.is_empty());
    if factorial {
        return text.trim().to_owned();
    }
    let text = text.trim().trim_end_matches(['?', '!', '=', '.', ',', ';', ':']).trim().trim_start_matches(':').trim();
    let text = strip_thousands_commas(text).replace(['×', '·'], "*").replace('÷', "/").replace(['−', '–'], "-");
    let text = text.replace("°C", " C").replace("°F", " F");
    let mut text = format!(" {} ", text.split_whitespace().collect::<Vec<_>>().join(" "));
    if text.is_ascii() && text.chars().any(|c| c.is_ascii_uppercase()) {
        text = lowercase_words(&text);
    }
    for (from, to) in [
        (" to the power of ", " ^ "),
        (" the result of ", " "),
        (" the value of ", " "),
        (" the ", " "),
        (" multiplied by ", " * "),
        (" divided by ", " / "),
        (" plus ", " + "),
        (" minus ", " - "),
        (" times ", " * "),
        (" over ", " / "),
        (" modulo ", " mod "),
        (" squared ", "^2 "),
        (" cubed ", "^3 "),
        (" per cent ", "% "),
        (" percent ", "% "),
        (" degrees ", " "),
        (" degree ", " "),
        (" into ", " to "),
    ] {
        // Twice, since neighbors share the space between them.
        text = text.replace(from, to).replace(from, to);
    }
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    for at in 1..words.len().saturating_sub(1) {
        let digit =
            |word: Option<&String>| word.is_some_and(|w| w.starts_with(|c: char| c.is_ascii_digit() || c == '('));
        let between = digit(words.get(at - 1)) && digit(words.get(at + 1));
        if let Some(word) = words.get_mut(at).filter(|word| between && *word == "x") {
            "*".clone_into(word);
        }
    }
    // "5 miles in km": here *in* requests a conversion; in "5 in to cm" it is the inch.
    if let [head @ .., joint, unit] = words.as_mut_slice()
        && (joint.as_str() == "in" || joint.as_str() == "as")
        && (is_unit(unit) || is_base(unit))
        && head.last().is_some_and(|w| w.starts_with(|c: char| c.is_ascii_digit()) || is_unit(w) || w.ends_with(')'))
    {
        "to".clone_into(joint);
    }
    let text = words.join(" ");
    named_operation(&text).or_else(|| percent_off(&text)).unwrap_or(text)
}

/// Lower-cases words of two letters and more that are known in lower case; units such as `GB`, `K` and `C` stay.
fn lowercase_words(text: &str) -> String {
    text.split(' ')
        .map(|word| {
            let lower = word.to_lowercase();
            let letters = word.chars().filter(|c| c.is_alphabetic()).count();
            if (letters > 2 && !is_unit(word)) || is_connective(&lower) { lower } else { word.to_owned() }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn strip_thousands_commas(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
    chars
        .iter()
        .enumerate()
        .filter(|(at, c)| {
            let groups = *at > 0 && digit(at - 1) && digit(at + 1) && digit(at + 2) && digit(at + 3) && !digit(at + 4);
            **c != ',' || !groups
        })
        .map(|(_, c)| *c)
        .collect()
}

/// "square root of 2", "sum of 1, 2 and 3".
fn named_operation(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("factorial of ") {
        return Some(format!("{rest}!"));
    }
    for (name, by) in [("half of ", "2"), ("a third of ", "3"), ("a quarter of ", "4"), ("half ", "2")] {
        if let Some(rest) = text.strip_prefix(name) {
            return Some(format!("({rest}) / {by}"));
        }
    }
    for (name, function) in [("square root of ", "sqrt"), ("cube root of ", "cbrt"), ("root of ", "sqrt")] {
        if let Some(rest) = text.strip_prefix(name) {
            return Some(format!("{function}({rest})"));
        }
    }
    for (name, sign) in
        [("sum of ", " + "), ("product of ", " * "), ("difference between ", " - "), ("difference of ", " - ")]
    {
        if let Some(rest) = text.strip_prefix(name) {
            let parts: Vec<&str> =
                rest.split(',').flat_map(|part| part.split(" and ")).map(str::trim).filter(|p| !p.is_empty()).collect();
            let parts: Vec<&str> = parts.iter().map(|part| part.trim_start_matches("and ").trim()).collect();
            return (parts.len() > 1).then(|| parts.join(sign));
        }
    }
    None
}

fn percent_off(text: &str) -> Option<String> {
    let (percent, price) = text.split_once("% off ")?;
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit() || c == '.');
    (plain(percent) && plain(price)).then(|| format!("{price} * (1 - {percent}/100)"))
}

fn is_constant(token: &Token) -> bool {
    matches!(token, Token::Word(word) if matches!(word.as_str(), "pi" | "π" | "e" | "tau"))
}

fn is_function(word: &str) -> bool {
    const FUNCTIONS: &[&str] = &[
        "sqrt", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "ln", "log", "log2",
        "log10", "exp", "abs", "floor", "ceil", "round",
    ];
    FUNCTIONS.contains(&word)
}

fn is_connective(word: &str) -> bool {
    matches!(word, "of" | "to" | "in" | "as" | "per" | "mod")
}

fn is_base(word: &str) -> bool {
    matches!(word, "binary" | "hex" | "hexadecimal" | "octal" | "decimal")
}

/// Returns whether this names a unit, in the singular, the plural or abbreviated.
fn is_unit(word: &str) -> bool {
    const UNITS: &[&str] = &[
        "mm",
        "cm",
        "dm",
        "m",
        "km",
        "millimetre",
        "millimeter",
        "centimetre",
        "centimeter",
        "metre",
        "meter",
        "kilometre",
        "kilometer",
        "inch",
        "inches",
        "in",
        "foot",
        "feet",
        "ft",
        "yard",
        "yd",
        "mile",
        "mi",
        "mph",
        "kph",
        "kmh",
        "knot",
        "lightyear",
        "mg",
        "g",
        "kg",
        "gram",
        "gramme",
        "kilogram",
        "tonne",
        "ton",
        "oz",
        "ounce",
        "lb",
        "lbs",
        "pound",
        "stone",
        "ml",
        "cl",
        "dl",
        "l",
        "L",
        "litre",
        "liter",
        "millilitre",
        "milliliter",
        "gallon",
        "quart",
        "pint",
        "cup",
        "tablespoon",
        "teaspoon",
        "tbsp",
        "tsp",
        "ms",
        "s",
        "sec",
        "second",
        "min",
        "minute",
        "h",
        "hr",
        "hour",
        "day",
        "week",
        "month",
        "year",
        "decade",
        "century",
        "centuries",
        "fortnight",
        "millisecond",
        "celsius",
        "fahrenheit",
        "kelvin",
        "C",
        "F",
        "K",
        "bit",
        "byte",
        "b",
        "B",
        "kb",
        "kB",
        "KB",
        "KiB",
        "mb",
        "MB",
        "MiB",
        "gb",
        "GB",
        "GiB",
        "tb",
        "TB",
        "TiB",
        "kilobyte",
        "megabyte",
        "gigabyte",
        "terabyte",
        "j",
        "J",
        "joule",
        "kJ",
        "calorie",
        "kcal",
        "kWh",
        "w",
        "W",
        "kW",
        "watt",
        "hp",
        "horsepower",
        "volt",
        "V",
        "amp",
        "ohm",
        "hz",
        "Hz",
        "hertz",
        "kHz",
        "MHz",
        "GHz",
        "pa",
        "Pa",
        "kPa",
        "bar",
        "psi",
        "atm",
        "acre",
        "hectare",
        "radian",
        "rad",
        "degree",
        "newton",
        "N",
    ];
    let known = |word: &str| UNITS.contains(&word);
    known(word) || word.strip_suffix('s').is_some_and(|one| one.len() > 1 && known(one))
}
